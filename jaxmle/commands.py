"""What the subcommands `fit`, `predict` and `families` do; imported when one is asked for, since it imports JAX."""

from __future__ import annotations

import argparse
import csv
import json
import math
import sys
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .data.tables import optional
from .declare.catalogue import FAMILIES
from .declare.combinators.censored import censored
from .declare.combinators.inflated import zero_inflated
from .declare.model import Model
from .errors import DataError, FitWarning, ModelError, did_you_mean
from .fit import fit
from .result import Fit, load

READERS = {".csv": "csv", ".tsv": "csv", ".txt": "csv", ".parquet": "parquet", ".pq": "parquet",
           ".arrow": "arrow", ".feather": "arrow", ".ipc": "arrow"}  # fmt: skip

CONVERGED, NOT_CONVERGED = 0, 1


def read_table(path: str) -> Any:
    """The table in a CSV, Parquet or Arrow file, by the end of its name; `-` is CSV on the standard input.

    Raises:
        DataError: if there is no such file, or it is not of that format.
    """
    kind = "csv" if path == "-" else READERS.get(Path(path).suffix.lower())
    if kind is None:
        raise DataError(f"{path}: the name of a data file ends in one of {', '.join(READERS)}.")
    if path != "-" and not Path(path).is_file():
        raise DataError(f"There is no file {path!r}.")
    arrow = optional("pyarrow", "Files are read by pyarrow")
    try:
        if kind == "parquet":
            return optional("pyarrow.parquet").read_table(path)
        if kind == "arrow":
            return optional("pyarrow.feather").read_table(path)
        reader = optional("pyarrow.csv")
        source = sys.stdin.buffer if path == "-" else path
        separator = "\t" if Path(path).suffix.lower() == ".tsv" else ","
        return reader.read_csv(source, parse_options=reader.ParseOptions(delimiter=separator))
    except (arrow.ArrowInvalid, OSError) as error:
        raise DataError(f"{path} cannot be read as {kind}: {str(error).strip().splitlines()[0]}") from error


def model_of(arguments: argparse.Namespace) -> Model:
    """The model that the arguments of `jaxmle fit` name; raises `ModelError` for what makes no sense."""
    if arguments.family not in FAMILIES:
        raise ModelError(
            f"There is no family {arguments.family!r}.{did_you_mean(arguments.family, FAMILIES)} See: jaxmle families."
        )
    parameters: dict[str, Any] = {}
    for text in arguments.param:
        name, equals, value = text.partition("=")
        if not equals:
            raise ModelError(f"--param takes NAME=FORMULA or NAME=NUMBER, such as 'dispersion=~ site'; got {text!r}.")
        parameters[name.strip()] = _number_or_text(value.strip())
    settings = {"link": arguments.link, "exposure": arguments.exposure, "trials": arguments.trials,
                "group": arguments.group}  # fmt: skip
    parameters |= {name: value for name, value in settings.items() if value is not None}
    response = arguments.formula
    if "~" not in response and "," in response:  # several columns
        response = [name.strip() for name in response.split(",")]
    model = FAMILIES[arguments.family](response, **parameters)
    if arguments.zero is not None:
        model = zero_inflated(model, zero=arguments.zero)
    if arguments.event is not None:
        model = censored(model, event=arguments.event)
    return model


def _number_or_text(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def run_fit(arguments: argparse.Namespace) -> int:
    """`jaxmle fit`: the summary on the standard output, or JSON; warnings on the standard error."""
    model = model_of(arguments)
    data = read_table(arguments.data)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", FitWarning)
        result = fit(
            model,
            data,
            weights=arguments.weights,
            missing=arguments.missing,
            collinear=arguments.collinear,
            penalty=arguments.penalty,
        )
    for warning in caught:
        print(f"jaxmle: {warning.message}", file=sys.stderr)
    if arguments.json != "-":
        print(result.summary(level=arguments.level))
    if arguments.json is not None:
        text = json.dumps(as_json(result, arguments), indent=2, allow_nan=False) + "\n"
        if arguments.json == "-":
            sys.stdout.write(text)
        else:
            Path(arguments.json).write_text(text)
    if arguments.save is not None:
        result.save(arguments.save)
    return CONVERGED if result.converged else NOT_CONVERGED


def as_json(result: Fit, arguments: argparse.Namespace) -> dict[str, Any]:
    """Everything that the summary says, as plain JSON; what is not a finite number is null."""
    kind, cluster = arguments.covariance, arguments.cluster
    covariance = result.covariance(kind, cluster)
    named = result.without_data().estimates.covariance_kind if kind == "default" else kind
    intervals = result.confint(arguments.level) if kind == "default" and cluster is None else None
    errors = dict(zip(result.coef, np.sqrt(np.diag(covariance))))
    return {
        "family": arguments.family,
        "formula": arguments.formula,
        "converged": result.converged,
        "status": result.certificate.status,
        "reason": result.certificate.reason,
        "log_likelihood": _finite(result.log_likelihood),
        "n_obs": _finite(result.n_obs),
        "df": result.df,
        "aic": _finite(result.aic),
        "bic": _finite(result.bic),
        "solver": result.estimates.solver,
        "n_steps": result.n_steps,
        "covariance": named if cluster is None else f"{named}, by {cluster}",
        "level": arguments.level,
        "coefficients": [
            {"term": name, "estimate": _finite(value), "std_error": _finite(errors[name])}
            | ({} if intervals is None else dict(zip(("conf_low", "conf_high"), map(_finite, intervals[name]))))
            for name, value in result.coef.items()
        ],
    }


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def run_predict(arguments: argparse.Namespace) -> int:
    """`jaxmle predict`: one line of CSV a row, on the standard output or in a file."""
    result = load(arguments.fit)
    table = read_table(arguments.data)
    settings: dict[str, Any] = {"q": arguments.q, "value": arguments.value}
    answer = result.predict(table, arguments.what, arguments.se, level=arguments.level, **settings)
    columns = prediction_columns(result, answer, arguments)
    if arguments.output is None:
        _write_csv(sys.stdout, columns)
    else:
        with open(arguments.output, "w", newline="") as file:
            _write_csv(file, columns)
    return CONVERGED


def prediction_columns(result: Fit, answer: Any, arguments: argparse.Namespace) -> dict[str, np.ndarray]:
    """The answer of `Fit.predict` as named columns."""
    estimate, error = answer if arguments.se else (answer, None)
    estimate = np.asarray(estimate)
    if estimate.ndim == 1:
        names = [arguments.what]
    elif arguments.what == "interval":
        names = ["low", "high"]
    else:
        levels = getattr(result.model and result.model.log_density, "levels", None)
        levels = levels if levels is not None and len(levels) == estimate.shape[1] else range(estimate.shape[1])
        names = [f"{arguments.what}[{level}]" for level in levels]
    columns = {name: estimate.reshape(len(estimate), -1)[:, i] for i, name in enumerate(names)}
    if error is not None:
        wide = np.asarray(error).reshape(len(estimate), -1)
        columns |= {f"std_error[{name}]" if len(names) > 1 else "std_error": wide[:, i] for i, name in enumerate(names)}
    return columns


def _write_csv(file: Any, columns: Mapping[str, np.ndarray]) -> None:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*(values.tolist() for values in columns.values())))


def run_families(arguments: argparse.Namespace) -> int:
    """`jaxmle families`: every family with its parameters, their links, and one sentence; or all about one."""
    if arguments.name is not None:
        if arguments.name not in FAMILIES:
            raise ModelError(f"There is no family {arguments.name!r}.{did_you_mean(arguments.name, FAMILIES)}")
        print(f"{arguments.name}: {FAMILIES[arguments.name].__doc__}")
        return CONVERGED
    for name, made in sorted(FAMILIES.items()):
        print(f"{name:24s} {_parameters(made)}")
    return CONVERGED


def _parameters(made: Callable[..., Model]) -> str:
    distribution = getattr(made, "distribution", None)
    if distribution is None:
        return (made.__doc__ or "").strip().splitlines()[0]
    links = [f"{name} ({distribution.default_link(name).name})" for name in distribution.parameters]
    return ", ".join([*links, *(f"{name}=" for name in distribution.known)])

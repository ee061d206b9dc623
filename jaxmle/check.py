"""`jm.check_model`: is this log-density a density, and can its parameters be estimated? Asked before any data are fitted."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np
from scipy.stats import binom

from . import runtime
from .batch import fit_many
from .data.tables import Table
from .declare.conditional import Conditional
from .declare.distributions.supports import Support
from .declare.model import Model
from .errors import DataError, FitWarning, ModelError
from .infer.expectations import NODES, Responses, integrated, summed, with_ends
from .infer.model_checks import (
    BAD,
    OPEN,
    CheckLine,
    ModelCheck,
    Probe,
    derivatives,
    identified,
    integrates,
    recovered,
    score_and_information,
)
from .infer.statements import KEY, Draw
from .objective.build import Built, build
from .objective.fixing import start_vector
from .objective.rebuild import function_of_rows
from .objective.rows import hashable

SPREAD = 0.3
"""Standard deviation of the random points around the first, on the solver's scale."""

ROWS = 3
"""Rows whose response is integrated over."""

MOST_ROWS = 500
"""Rows of simulated data sets."""

WITHOUT_DATA = 200
"""Rows that are made up where the model needs none."""


@dataclass(frozen=True)
class _Plain:
    """A family's log-density as a function like any other: nothing is asked of the responses."""

    density: Callable[..., Any]

    def __call__(self, p: Any, row: Any) -> Any:
        return self.density(p, row)


@dataclass(frozen=True)
class DrawBy:
    """A draw by a function of the user's, from the key in `row[KEY]`."""

    function: Callable[..., Any]

    def __call__(self, p: Any, row: Any) -> Any:
        key = jax.random.wrap_key_data(row[KEY].astype(np.uint32))
        return self.function(p, row, key)


def check_model(
    model: Model,
    data: Any = None,
    *,
    params: Mapping[str, Any] | None = None,
    response: str | None = None,
    support: Any = None,
    simulate: Callable[..., Any] | None = None,
    replicates: int = 40,
    key: int = 0,
) -> ModelCheck:
    """Ask of a model what can be asked before it is believed, at given parameters and at random ones near them.

    Whether its density adds up to one; whether the score has mean zero and both forms of the information agree (Bartlett,
    1953); whether derivatives are finite over the support and in the data, and those of the function; whether parameters
    are identified; whether fits of simulated data find what made them.

    Arguments:
        model: a `Model`.
        data: rows: covariates, and responses if there are any to look at. None will do where only the response is read.
        params: name → value on the natural scale around which it is asked, as `start` of `jm.fit`; default where a search
            would begin.
        response: the column of the response, for a density of your own; a family knows it.
        support: its values: "real", "positive", (low, high), "counts", or a `jm.Support`; a family knows them.
        simulate: `f(p, row, key)` → a response, written in JAX, for a density of your own.
        replicates: how many data sets are simulated and fitted; 0 for none.
        key: seed.

    Returns:
        A `ModelCheck`: a line for each question, `ok`, and `check["integrates to one"]`.

    Raises:
        ModelError: for a model or an argument that cannot be used.
        DataError: for data that cannot be used, and where the model needs some.
    """
    if not isinstance(model, Model):
        raise ModelError(f"check_model takes a jm.Model; got {type(model).__name__}.")
    if isinstance(replicates, bool) or not isinstance(replicates, int | np.integer) or replicates < 0:
        raise ModelError(f"replicates must be a whole number from 0 up; got {replicates!r}.")
    conditional = model.log_density if isinstance(model.log_density, Conditional) else None
    column, values, why = response_of(model, conditional, response, support)
    table = rows_of(model, data, column, values)
    given = data is not None and (column is None or column in Table.read(data).names)
    built = built_on(model, table)
    objective = built.objective
    u, _ = start_vector(built.model, objective.layout, {**built.starts, **(params or {})})
    rng = np.random.default_rng(key)
    first = objective.to_z(u)
    points = [first] + [first + SPREAD * rng.standard_normal(objective.size) for _ in range(2)]
    probes: list[Probe] = []
    if not why and column is not None and values is not None:
        probes = _probes(built, column, values, points, rng, given)
    draw = Draw(conditional) if conditional is not None else None if simulate is None else DrawBy(hashable(simulate))
    lines = _on_the_response(probes, values, why)
    lines.append(derivatives(probes, objective if given else None, points, built.source.rows))
    usable = [p for p in probes if len(p.responses.y)]
    if data is None and usable:
        lines.append(identified(usable[0].at_responses, [p.z for p in usable]))
    else:
        lines.append(identified(objective, points))
    lines.append(_recovery(built, objective.natural(first)[0], column, draw, int(replicates), key))
    return ModelCheck(model.title, tuple(lines))


def response_of(
    model: Model, conditional: Conditional | None, response: str | None, support: Any
) -> tuple[str | None, Support | None, str]:
    """The column of the response, its values, and why it cannot be integrated over, if it cannot."""
    if model.unit_kind != "row":
        return None, None, f"an observation is not a row but unit={model.unit!r}"
    if conditional is not None:
        if response is not None or support is not None:
            raise ModelError("response= and support= are for densities of your own; a family knows them.")
        if len(conditional.response) != 1:
            return None, None, "the response has several columns"
        (name,) = conditional.response
        values = conditional.support
        levels = conditional.kind is not None and hasattr(conditional.kind, "probabilities")
        if conditional.outermost or values is None or levels:
            return name, values, "the response is censored, or a label"
        return name, values, ""
    if response is None or support is None:
        return response, None, "say where to look: response='y', support='real', 'positive', (low, high) or 'counts'"
    return response, _support(support), ""


def _support(given: Any) -> Support:
    named = {"real": Support(), "positive": Support(0.0), "counts": Support(0.0, closed=(True, False), whole=True)}
    if isinstance(given, Support):
        return given
    if isinstance(given, str) and given in named:
        return named[given]
    if isinstance(given, tuple | list) and len(given) == 2 and all(isinstance(x, int | float) for x in given):
        low, high = map(float, given)
        if low < high:
            return Support(low, high)
    raise ModelError(f"support must be 'real', 'positive', 'counts', (low, high) or a jm.Support; got {given!r}.")


def rows_of(model: Model, data: Any, column: str | None, values: Support | None) -> Table:
    """The rows: the user's, with a legal response where there is none."""
    table = None if data is None else Table.read(data)
    if column is None:
        if table is None:
            raise DataError(
                "This needs data=, the rows that the model is about; or response= and support=, if its density "
                "reads the response alone."
            )
        return table
    if table is not None and column in table.names:
        return table
    n = WITHOUT_DATA if table is None else table.n_rows
    s = values or Support()
    low, high = max(s.low, -1e6), min(s.high, 1e6)
    middle = np.linspace(low, min(high, low + 3), 5)[1:-1] if np.isfinite(s.low) else np.array([-1.0, 0.0, 1.0])
    middle = np.unique(np.clip(np.round(middle), low, high)) if s.whole else middle
    made = np.resize(middle, n)
    return Table.read({column: made}) if table is None else table.with_columns({column: made})


def built_on(model: Model, table: Table) -> Built:
    weights = np.ones(table.n_rows)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FitWarning)
        try:
            return build(model, table, weights=weights, collinear="keep")
        except DataError as error:
            if "There is no maximum" not in str(error):
                raise
            return build(model, table, weights=weights, to_fit=False)


def _probes(
    built: Built, column: str, values: Support, points: list[np.ndarray], rng: np.random.Generator, given: bool
) -> list[Probe]:
    """The response's distribution in some rows at all points."""
    table = built.table
    plain = replace(built.model, log_density=_Plain(hashable(built.model.log_density)))
    rows = np.unique(rng.integers(0, table.n_rows, ROWS)) if table.names != (column,) else np.zeros(1, int)
    old = table.numeric(column, "the response").astype(np.float64) if given else np.zeros(0)
    hints = np.unique(np.quantile(old[np.isfinite(old)], np.linspace(0, 1, 11))) if len(old) else old
    kind = np.int64 if values.whole else np.float64
    out = []
    for row in rows:
        one = table.take(np.full(NODES, row)).with_columns({column: np.resize(_legal(values), NODES).astype(kind)})
        objective = build(plain, one, weights=np.ones(NODES), to_fit=False).objective
        for number, z in enumerate(points):
            there = objective.to_z(built.objective.to_u(z))
            found = _distribution(objective, there, column, values, hints)
            out.append(Probe(int(row), number, objective, there, column, found))
    return out


def _legal(values: Support) -> np.ndarray:
    if np.isfinite(values.low) and np.isfinite(values.high):
        return np.array([values.low, values.high]) if values.whole else np.array([0.5 * (values.low + values.high)])
    return np.array(
        [values.low + 1 if np.isfinite(values.low) else values.high - 1 if np.isfinite(values.high) else 0.0]
    )


def _distribution(objective: Any, z: np.ndarray, column: str, values: Support, hints: np.ndarray) -> Responses:
    def log_f(y: np.ndarray) -> np.ndarray:
        padded = np.concatenate([y, np.full(NODES - len(y), y[-1])])
        with np.errstate(all="ignore"):
            return objective.with_columns({column: padded}).terms(z)[: len(y)]

    if values.whole:
        return summed(log_f, values.low, values.high)
    found = integrated(log_f, values.low, values.high, hints)
    ends = tuple(e for e, closed in zip((values.low, values.high), values.closed) if closed and np.isfinite(e))
    return with_ends(found, log_f, ends) if ends and np.isfinite(found.total) else found


def _on_the_response(probes: list[Probe], values: Support | None, why: str) -> list[CheckLine]:
    counts = values is not None and values.whole
    if not probes:
        names = ("sums to one" if counts else "integrates to one", "mean score is zero", "both informations agree")
        return [CheckLine(name, OPEN, why) for name in names]
    first, *others = integrates(probes, counts), *score_and_information(probes)
    return [first, *(replace(line, remedy="") if first.status == BAD else line for line in others)]


def _recovery(
    built: Built, params: Mapping[str, Any], column: str | None, draw: Any, replicates: int, key: int
) -> CheckLine:
    name = "simulated data are recovered"
    model = built.model
    if replicates == 0:
        return CheckLine(name, OPEN, "not asked")
    if draw is None:
        return CheckLine(name, OPEN, "the model cannot simulate", "Give simulate=f(p, row, key), or make it a family.")
    conditional = model.log_density if isinstance(model.log_density, Conditional) else None
    if model.unit_kind != "row" or column is None or (conditional is not None and conditional.outermost):
        return CheckLine(name, OPEN, "only one response for each row can be simulated here")
    if conditional is not None:
        draw = Draw(conditional)
    table = built.table.take(np.arange(min(built.table.n_rows, MOST_ROWS)))
    y = simulated(model, params, table, draw, replicates, key)
    labels = getattr(conditional, "levels", None)
    support = None if conditional is None else conditional.support
    y = np.asarray(labels)[y.astype(int)] if labels is not None else y
    y = y.astype(np.int64) if labels is None and support is not None and support.whole else y
    data = {n: table.column(n) for n in table.names if n != column} | {column: y}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FitWarning)
        try:
            fits = fit_many(model, data, progress=False)
        except (ModelError, DataError) as error:
            return CheckLine(name, OPEN, f"fit_many cannot fit what was simulated: {error}")
    tidy = fits.tidy()
    shape = fits.coef.shape
    low, high = (np.asarray(tidy[end], float).reshape(shape) for end in ("conf_low", "conf_high"))
    truth = _reported(built, params, fits.names)
    with np.errstate(invalid="ignore", divide="ignore"):
        away = (fits.coef - truth) / fits.std_errors
    ends = float(binom.ppf(1e-4 / shape[1], max(int(fits.converged.sum()), 1), 0.95)) / max(fits.converged.sum(), 1)
    return recovered(fits.names, truth, away, (low <= truth) & (truth <= high), fits.converged, ends)


def _reported(built: Built, params: Mapping[str, Any], names: tuple[str, ...]) -> np.ndarray:
    layout = built.objective.layout
    u, _ = start_vector(built.model, layout, params)
    _, reported = built.objective.natural(built.objective.to_z(u))
    values = dict(zip(layout.labels(), map(float, reported)))
    return np.array([values[name] for name in names])


def simulated(
    model: Model, params: Mapping[str, Any], table: Table, draw: Callable[..., Any], sets: int, key: int
) -> np.ndarray:
    """Responses (sets, rows), drawn at the parameters."""
    n = table.n_rows
    tall = table.take(np.tile(np.arange(n), sets))
    with runtime.x64():
        keys = jax.random.split(jax.random.key(key), n * sets)
        words = np.asarray(jax.device_get(jax.random.key_data(keys))).astype(np.int64)
    return function_of_rows(model, params, tall, draw, {KEY: words}).reshape(sets, n)

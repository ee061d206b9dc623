"""Predictions of any row, by any function of it, with standard errors by the delta method."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from .. import runtime
from ..declare.combinators.mixture import Mixing
from ..declare.conditional import Conditional, conditional_of
from ..declare.model import Model
from ..declare.series.dependent import Dependent
from ..errors import ModelError, did_you_mean
from ..objective.ahead import answered
from ..objective.objective import Objective
from ..objective.rebuild import derivatives_of_rows, function_of_rows
from ..objective.rows import hashable
from .ahead import DrawAll, asked_of_series
from .estimates import Estimates
from .intervals import check_level, half_width
from .statements import (
    INDEX,
    KEY,
    VALUE,
    ClassProbability,
    CumulativeHazard,
    Draw,
    Mean,
    Natural,
    Posterior,
    Predictor,
    Probability,
    Quantile,
    UpTo,
    Variance,
)

OF_TIME = ("survival", "cumulative_hazard")

STATEMENTS = ("mean", "variance", "prob", "label", "quantile", "interval", "linear", "posterior", "component", *OF_TIME)


class Prediction(NamedTuple):
    """Predicted values with their standard errors, arrays of one shape; unpacks as `estimate, std_error`."""

    estimate: np.ndarray
    std_error: np.ndarray

    def confint(self, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
        """Wald intervals for the predicted values: (low, high)."""
        half = half_width(level) * self.std_error
        return self.estimate - half, self.estimate + half


class Question(NamedTuple):
    """A function of the row, the columns that it reads beside the data's, and which of several answers it gives.

    `answer` is a pair such as ("grade", "A") or ("q", "0.5"), whose first may be empty, or both.
    """

    function: Callable[..., Any]
    columns: Mapping[str, np.ndarray]
    answer: tuple[str, str] = ("", "")


def predict(
    model: Model,
    estimates: Estimates,
    table: Any,
    what: Any,
    se: bool,
    q: Any = None,
    value: Any = None,
    level: float = 0.95,
) -> Any:
    """`Fit.predict`, of the rows of a table."""
    conditional = model.log_density if isinstance(model.log_density, Conditional) else None
    if what == "label":
        labels = _labels(model)
        chances = predict(model, estimates, table, "prob", False)
        most = np.asarray(chances > 0.5).astype(int) if chances.ndim == 1 else chances.argmax(axis=1)
        return np.asarray(labels)[most]
    if what == "component":
        return predict(model, estimates, table, "posterior", False).argmax(axis=1)
    if what == "interval":
        check_level(level)
        return predict(model, estimates, table, "quantile", se, q=[0.5 * (1 - level), 0.5 * (1 + level)])
    asked, stack = questions(model, conditional, table.n_rows, what, q, value)
    answers = [_answer(model, estimates, table, question, se) for question in asked]
    if not stack:
        return answers[0]
    if se:
        return Prediction(*(np.stack(parts, axis=1) for parts in zip(*answers)))
    return np.stack(answers, axis=1)


def _labels(model: Model) -> tuple[Any, ...]:
    conditional = conditional_of(model, "predict(what='label')")
    levels = getattr(conditional, "levels", None)
    if levels is None and not binary(conditional):
        raise ModelError(
            f"predict(what='label') is for binary, categorical and ordinal responses, not {model.title!r}."
        )
    return (0, 1) if levels is None else levels


def _number_of(value: Any, model: Model, conditional: Conditional) -> float:
    """A value of the response as the log-density reads it: of labels their number."""
    levels = getattr(conditional, "levels", None)
    if levels is not None:
        if value not in levels:
            raise ModelError(
                f"value={value!r} is none of the labels of {model.title!r}: {', '.join(map(repr, levels))}."
            )
        return float(levels.index(value))
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise ModelError(f"value= of {model.title!r} is a number, or several; got {value!r}.") from error


def binary(conditional: Conditional) -> bool:
    kind = conditional.kind
    return kind is not None and kind.__name__ == "Bernoulli"


def questions(
    model: Model, conditional: Conditional | None, n: int, what: Any, q: Any, value: Any
) -> tuple[list[Question], bool]:
    """The functions of the row that make up the answer, and whether they are stacked as columns."""
    if isinstance(conditional, Dependent):
        several, stack = asked_of_series(model, conditional.with_gaps(), n, what, q, value)
        return [Question(*one) for one in several], stack
    if callable(what):
        return [Question(hashable(what), {})], False
    is_parameter = isinstance(what, str) and what in model.params
    if is_parameter and (what not in STATEMENTS or conditional is None or (what == "prob" and value is None)):
        shape = model.params[what].shape
        size = int(np.prod(shape, dtype=int))
        if not shape:
            return [Question(Natural(what), {})], False
        several = [("", f"{what}[{i}]") for i in range(size)]
        return [Question(Natural(what, vector=True), {INDEX: np.full(n, i)}, a) for i, a in enumerate(several)], True
    if what not in STATEMENTS:
        known = (*STATEMENTS, *model.params)
        raise ModelError(
            f"predict: what={what!r} is neither a statement ({', '.join(STATEMENTS)}), a parameter "
            f"({', '.join(model.params)}) nor a function of (p, row).{did_you_mean(str(what), known)}"
        )
    if what == "linear":
        first = next(iter(model.params))
        several = [name for name in model.params if name.split(".")[0] == first.split(".")[0]]
        return [Question(Predictor(name), {}, ("", name if several[1:] else "")) for name in several], len(several) > 1
    conditional = conditional_of(model, f"predict(what={what!r})")
    if what == "mean" and len(conditional.response) > 1:
        each = enumerate(conditional.response)
        return [Question(Mean(conditional, vector=True), {INDEX: np.full(n, i)}, ("", name)) for i, name in each], True
    if what == "mean":
        return [Question(Mean(conditional), {})], False
    if what == "posterior":
        if not isinstance(conditional, Mixing):
            raise ModelError(f"predict(what='posterior') is for mixtures (jm.mixture), not {model.title!r}.")
        each = range(len(conditional.components))
        return [Question(Posterior(conditional), {INDEX: np.full(n, i)}, ("component", str(i))) for i in each], True
    if what == "variance":
        return [Question(Variance(conditional), {})], False
    if what == "quantile":
        if getattr(conditional, "levels", None) is not None:
            raise ModelError(
                f"{model.title!r} has labels, which have no quantiles: ask for what='prob' or what='label'."
            )
        if q is None:
            raise ModelError("predict(what='quantile') needs q=, a probability or several: q=0.5, q=[0.05, 0.95].")
        wanted = _probabilities(q)
        each = [(p, ("q", f"{p:g}") if wanted.ndim else ("", "")) for p in wanted.ravel()]
        return [Question(Quantile(conditional), {VALUE: np.full(n, p)}, a) for p, a in each], wanted.ndim > 0
    y = ", ".join(conditional.response)
    if what in OF_TIME:
        if value is None:
            raise ModelError(f"{what!r} needs the times at which it is asked for.")
        of = UpTo(conditional, upper=True) if what == "survival" else CumulativeHazard(conditional)
        each = [(of, {VALUE: np.full(n, t)}, ("time", f"{t:g}")) for t in np.ravel(np.asarray(value, np.float64))]
        return [Question(*one) for one in each], np.ndim(value) > 0
    if value is not None:
        each = [
            (Probability(conditional), {VALUE: np.full(n, _number_of(v, model, conditional))}, (y, str(v)))
            for v in np.ravel(np.asarray(value, object))
        ]
        return ([Question(*one) for one in each], True) if np.ndim(value) else ([Question(*each[0][:2])], False)
    if binary(conditional):
        return [Question(Mean(conditional), {})], False
    levels = getattr(conditional, "levels", None)
    if levels is None:
        raise ModelError(f"predict(what='prob') of {model.title!r} needs value=, whose probability is asked for.")
    each = enumerate(map(str, levels))
    return [Question(ClassProbability(conditional), {INDEX: np.full(n, k)}, (y, level)) for k, level in each], True


def _probabilities(q: Any) -> np.ndarray:
    wanted = np.asarray(q, dtype=np.float64)
    if not ((wanted > 0) & (wanted < 1)).all():
        raise ModelError(f"q must be between 0 and 1; got {q!r}.")
    return wanted


def _answer(model: Model, estimates: Estimates, table: Any, question: Question, se: bool) -> Any:
    args = (model, estimates.params, table, question.function, question.columns)
    if not se:
        return answered(table, function_of_rows(*args))
    values, errors, known = [], [], None
    for value, slope, objective, z in derivatives_of_rows(*args):
        if known is None:  # the same for every block of rows
            known = unconstrained_covariance(estimates, objective, z)
        values.append(value)
        errors.append(_delta(slope, *known))
    return Prediction(answered(table, np.concatenate(values)), answered(table, np.concatenate(errors)))


def _delta(slope: np.ndarray, covariance: np.ndarray, unknown: np.ndarray) -> np.ndarray:
    """Standard errors (rows,) of functions with derivatives `slope` (rows, size) in the unconstrained vector."""
    errors = np.sqrt(np.maximum(np.einsum("ij,ij->i", slope @ covariance, slope), 0.0))
    errors[(np.abs(slope[:, unknown]) > 0).any(axis=1)] = np.nan
    return errors


def unconstrained_covariance(
    estimates: Estimates, objective: Objective, z: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The covariance (size, size) on the unconstrained scale, zero for what is held; and a mask of what is withheld."""
    layout = objective.layout
    labels = layout.labels()
    where = {name: i for i, name in enumerate(labels)}
    position = np.array([where[name] for name in estimates.names], dtype=int)
    natural = np.zeros((len(labels), len(labels)))
    natural[np.ix_(position, position)] = estimates.covariance
    jacobian = layout.jacobian(objective.to_u(z))
    withheld = np.isnan(np.diag(natural))
    unknown = np.asarray((np.abs(jacobian[withheld]) > 0).any(axis=0))
    natural[withheld] = 0.0
    natural[:, withheld] = 0.0
    back = _inverse(jacobian)
    return back @ natural @ back.T, unknown


def _inverse(jacobian: np.ndarray) -> np.ndarray:
    diagonal = np.diag(jacobian)
    if jacobian.shape[0] == jacobian.shape[1] and np.array_equal(jacobian, np.diag(diagonal)):
        return np.diag(1.0 / np.where(diagonal == 0, 1.0, diagonal))
    return np.linalg.pinv(jacobian)


def simulate(model: Model, estimates: Estimates, table: Any, key: Any) -> np.ndarray:
    """One response for each row of `table`, drawn from the fitted distribution; labels where the response has them."""
    conditional = conditional_of(model, "simulate")
    return _as_given(conditional, _drawn(model, conditional, estimates.params, table, key))


def simulated_columns(model: Model, params: Mapping[str, Any], table: Any, key: int) -> dict[str, np.ndarray]:
    """A response for each row of `table`, drawn at `params`: the columns as a user would have them."""
    conditional = conditional_of(model, "A simulation")
    if conditional.support is None and len(conditional.response) == 1 and getattr(conditional, "levels", ()) is None:
        raise ModelError(
            f"The labels of {conditional.response[0]!r} are not known: take the model of a fit (fit.model), or give the "
            "data a column of labels."
        )
    drawn = np.asarray(_as_given(conditional, _drawn(model, conditional, params, table, key)))
    columns = drawn.T if len(conditional.response) > 1 else [drawn]
    return dict(zip(conditional.response, columns))


def _as_given(conditional: Conditional, draws: list[np.ndarray]) -> np.ndarray:
    """Draws in the user's terms: labels where the response has them, whole numbers where it is a count."""
    if len(draws) > 1:
        return np.stack(draws, axis=1)
    levels = getattr(conditional, "levels", None)
    if levels is not None:
        return np.asarray(levels)[draws[0].astype(int)]
    support = conditional.support
    return draws[0].astype(np.int64) if support is not None and support.whole else draws[0]


def responses(
    model: Model, estimates: Estimates, table: Any, n: int, key: int, first: int = 0
) -> dict[str, np.ndarray]:
    """`n` responses for each row of `table`, as the log-density sees them: name of the column → (n, rows).

    They are those of all that the key gives from the `first` on, a multiple of `together(rows)`.
    """
    conditional = conditional_of(model, "A parametric bootstrap")
    more = [c for c in conditional.columns if c not in conditional.response]
    if len(conditional.response) != 1 or (conditional.outermost and not isinstance(conditional, Dependent)):
        raise ModelError(
            f"A parametric bootstrap draws the one response of a family; this one has the columns "
            f"{', '.join(map(repr, (*conditional.response, *more)))}. Use kind='pairs'."
        )
    (drawn,) = _many(model, conditional, estimates.params, table, n, key, first)
    return {conditional.response[0]: drawn}


def data_sets(
    model: Model | None, params: Mapping[str, Any], table: Any, n: int, key: int
) -> list[dict[str, np.ndarray]]:
    """`n` data sets drawn for the rows of `table`: for each the columns of the response as the log-density sees them."""
    conditional = conditional_of(model, "A simulation")
    drawn = _many(model, conditional, params, table, n, key)  # type: ignore[arg-type]
    return [dict(zip(conditional.response, columns)) for columns in zip(*drawn)]


def _many(
    model: Model, conditional: Conditional, params: Mapping[str, Any], table: Any, n: int, key: int, first: int = 0
) -> list[np.ndarray]:
    """For each part of the response `n` draws for each row, (n, rows)."""
    rows, at_once = np.arange(table.n_rows), together(table.n_rows)
    out = []
    for at in range(0, n, at_once):
        many = min(at_once, n - at)
        tall = table.take(np.tile(rows, many))
        with runtime.x64():
            own = jax.random.fold_in(jax.random.key(int(key)), first + at)
        out.append([d.reshape(many, table.n_rows) for d in _drawn(model, conditional, params, tall, own)])
    drawn = [np.concatenate(parts) for parts in zip(*out)]
    if not isinstance(conditional, Dependent):
        return drawn
    known = [np.asarray(table.numeric(name), np.float64) for name in conditional.response]
    return [np.where(np.isnan(y), np.nan, d) for y, d in zip(known, drawn)]  # what is missing stays so


ROWS_AT_ONCE = 1_000_000
"""Rows for which responses are drawn in one go."""


def together(rows: int) -> int:
    """How many data sets of so many rows are drawn in one go."""
    return max(1, ROWS_AT_ONCE // rows)


def _drawn(model: Model, conditional: Any, params: Mapping[str, Any], table: Any, key: Any) -> list[np.ndarray]:
    """For each part of the response, one number for each row."""
    n = table.n_rows
    with runtime.x64():
        start = jax.random.key(key) if isinstance(key, int | np.integer) else key
        words = np.asarray(jax.device_get(jax.random.key_data(jax.random.split(start, n)))).astype(np.int64)
    parts = len(conditional.response)
    return [
        function_of_rows(
            model,
            params,
            table,
            DrawAll(conditional) if isinstance(conditional, Dependent) else Draw(conditional, vector=parts > 1),
            {KEY: words} | ({INDEX: np.full(n, i)} if parts > 1 else {}),
        )
        for i in range(parts)
    ]

"""Effects: how a prediction changes along one column, all others held."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...declare.conditional import Conditional
from ...declare.linear import Linear
from ...errors import ModelError, did_you_mean
from ...infer.intervals import half_width
from ...infer.settings import most_frequent
from ...objective.covariates import Covariate, distribution_columns
from ...special import expit, logit
from .canvas import FITTED, GROUPS, INK, REFERENCE, Axes, axes_of, legend, opened
from .observed import data_of, is_labelled

POINTS = 101
"""Of a curve."""

FEW = 6
"""Columns with so many values or fewer are drawn by each of them, where they tell curves apart."""

NAMED = 4
"""Columns whose values a caption says."""

SCALES = {
    "identity": (lambda v: v, lambda v: v, lambda v: np.ones_like(v)),
    "log": (np.log, np.exp, lambda v: 1 / v),
    "logit": (logit, expit, lambda v: 1 / (v * (1 - v))),
}
"""Name → the scale on which an interval is formed, the way back, and the slope."""


def plot_effect(
    fit: Any,
    column: str | None = None,
    by: str | None = None,
    ax: Axes | None = None,
    of: Any = None,
    at: Mapping[str, Any] | None = None,
    level: float = 0.95,
) -> Axes:
    """A prediction along one column with its interval, the other columns held at means, or at their commonest values.

    Intervals are by the delta method, formed on the log scale for what is positive and on the logit scale for what is
    between 0 and 1, so that they stay in range. The marks at the bottom are the column's values in the data.

    Arguments:
        fit: a `Fit` with its data.
        column: along which; by default the first that a predictor reads. Labels become points.
        by: another column: one curve for each of its values, or for its 10 %, 50 % and 90 % quantiles where it has many.
        ax: matplotlib axes to draw on; new ones by default.
        of: what is predicted, as `what` in `Fit.predict`; by default the mean, for labels the probability of each, for a
            log-density alone the first parameter that differs from row to row.
        at: values of other columns, in place of means and commonest values.
        level: of the pointwise intervals.

    Raises:
        ImportError: without matplotlib.
        ModelError: for a loaded fit, for unknown columns, and for what cannot be predicted.
    """
    table = data_of(fit, "effects")
    known = distribution_columns(fit.model, table)
    if not known:
        raise ModelError(f"{fit.model.title!r} has no column in a predictor, so no effect to draw.")
    column = next(iter(known)) if column is None else column
    for name in (column, *([] if by is None else [by]), *(at or {})):
        if name not in known:
            raise ModelError(f"No predictor reads the column {name!r}.{did_you_mean(str(name), known)}")
    if by == column:
        raise ModelError(f"by={by!r} is the column that the effect is along; name another.")
    half_width(level)
    along, numbers = _grid(table, known[column])
    each = [None] if by is None else _classes(table, known[by])
    held = {c: (at or {}).get(c, _typical(fit, table, known[c])) for c in known if c not in (column, by)}
    what, scale = _asked(fit, of)
    axes = axes_of(ax)
    lines = [
        (v, *line) for v in each for line in _lines(fit, column, along, held | ({} if by is None else {by: v}), what)
    ]
    several = len(lines) > 1
    for i, (value, label, estimate, error) in enumerate(lines):
        low, high = _interval(scale, estimate, error, level)
        name = " ".join([*([] if label is None else [str(label)]), *([] if by is None else [_short(value)])])
        colour = GROUPS[i % len(GROUPS)] if several else FITTED
        if numbers:
            axes.fill_between(along, low, high, color=colour, alpha=0.16, linewidth=0)
            axes.plot(along, estimate, color=colour, linewidth=2, label=name or None)
        else:
            where = np.arange(len(along)) + 0.5 * (i - 0.5 * (len(lines) - 1)) / len(lines)
            axes.vlines(where, low, high, color=colour, linewidth=1.6)
            axes.plot(where, estimate, "o", color=colour, markersize=6, label=name or None)
    if numbers:
        marks = table.numeric(column).astype(np.float64)
        marks = np.quantile(marks, np.linspace(0, 1, min(len(marks), 400)))
        axes.plot(marks, np.zeros(len(marks)), "|", transform=axes.get_xaxis_transform(), color=INK, alpha=0.35,
                  markersize=7, markeredgewidth=0.8)  # fmt: skip
        axes.set_xlim(along[0], along[-1])
    else:
        axes.set_xticks(np.arange(len(along)), [_short(v) for v in along])
        axes.set_xlim(-0.5, len(along) - 0.5)
    axes.set_xlabel(column)
    axes.set_ylabel(_title(fit, what))
    if several:
        legend(axes, title=by, title_fontsize="small")
    said = [f"{c} = {_short(v)}" for c, v in held.items() if np.ndim(v) == 0]
    if said:
        caption = ", ".join(said[:NAMED]) + (", …" if len(said) > NAMED else "")
        axes.set_title(f"at {caption}", fontsize="small", color=REFERENCE, loc="left")
    return opened(axes)


def _grid(table: Any, column: Covariate) -> tuple[np.ndarray, bool]:
    """The values along a column, and whether they are numbers on a scale."""
    values = table.column(column.name)
    if values.ndim > 1:
        raise ModelError(
            f"Column {column.name!r} has {values.shape[1]} numbers in a row: an effect is along one number."
        )
    if column.levels or values.dtype.kind not in "iuf":
        return np.array(_levels(table, column), dtype=values.dtype), False
    return np.linspace(values.min(), values.max(), POINTS), True


def _levels(table: Any, column: Covariate) -> list[Any]:
    values = list(dict.fromkeys(table.column(column.name).tolist()))
    ordered = [v for v in table.categories(column.name) or () if v in values]
    try:
        return ordered or sorted(values)
    except TypeError:
        return values


def _classes(table: Any, by: Covariate) -> list[Any]:
    levels = _levels(table, by)
    if len(levels) <= FEW:
        return levels
    if by.levels or table.column(by.name).dtype.kind not in "iuf":
        raise ModelError(
            f"by={by.name!r} has {len(levels)} values; a picture has room for {FEW}. Draw along it instead."
        )
    return np.quantile(table.numeric(by.name), [0.1, 0.5, 0.9], method="inverted_cdf").tolist()


def _typical(fit: Any, table: Any, column: Covariate) -> Any:
    """The mean of numbers, the commonest of other values; of what a family knows of each row, the median."""
    values, weights = table.column(column.name), fit.session.objective.weights()
    if column.name in [c for _, c in getattr(fit.model.log_density, "known", ())]:
        return np.quantile(values, 0.5, method="inverted_cdf")
    if column.levels or values.dtype.kind not in "iuf":
        return most_frequent(values, weights, column.levels)
    return np.average(values.astype(np.float64), axis=0, weights=weights)


def _asked(fit: Any, what: Any) -> tuple[Any, str]:
    """What is predicted, and the scale on which its interval is formed."""
    model, conditional = fit.model, fit.model.log_density
    first = next((n for n, p in model.params.items() if isinstance(p, Linear)), None)
    if what is None:
        what = ("prob" if is_labelled(fit) else "mean") if isinstance(conditional, Conditional) else first
    if callable(what) or what == "linear":
        return what, "identity"
    if what == "prob":
        return what, "logit"
    if what == "variance":
        return what, "log"
    if what in model.params:
        parameter = model.params[what]
        link = parameter.link.name if isinstance(parameter, Linear) else parameter.links()[0].name
        return what, link if link in SCALES else "identity"
    support = getattr(conditional, "support", None)
    if support is None or support.low < 0 or not np.isfinite(support.low):
        return what, "identity"
    return what, "logit" if (support.low, support.high) == (0.0, 1.0) else "log"


def _lines(
    fit: Any, column: str, along: np.ndarray, held: Mapping[str, Any], what: Any
) -> Sequence[tuple[Any, np.ndarray, np.ndarray]]:
    """Label, estimates and standard errors of each curve."""
    n = len(along)
    rows = {c: np.repeat(np.asarray(v)[None], n, axis=0) for c, v in held.items()}
    estimate, error = fit.predict(rows | {column: along}, what, se=True)
    if estimate.ndim == 1:
        return [(None, estimate, error)]
    levels = getattr(fit.model.log_density, "levels", None) or range(estimate.shape[1])
    return [(level, estimate[:, i], error[:, i]) for i, level in enumerate(levels)]


def _interval(scale: str, estimate: np.ndarray, error: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    forward, back, slope = SCALES[scale]
    with np.errstate(all="ignore"):
        half = half_width(level) * error * slope(estimate)
        return back(forward(estimate) - half), back(forward(estimate) + half)


def _title(fit: Any, what: Any) -> str:
    if callable(what):
        return getattr(what, "__name__", "prediction").replace("_", " ").strip("<>")
    response = getattr(fit.model.log_density, "response", ("",))
    if what == "mean":
        binary = getattr(getattr(fit.model.log_density, "kind", None), "__name__", "") == "Bernoulli"
        return f"probability of {response[0]}" if binary else f"mean of {', '.join(response)}"
    if what == "prob":
        return f"probability of {response[0]}"
    return what


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float | np.floating) else str(value)

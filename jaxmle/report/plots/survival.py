"""Survival: the product-limit estimate with the fitted curve on top."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import ModelError
from ...infer.kaplan_meier import KaplanMeier, kaplan_meier, observed_times
from ...infer.marginal import mean_survival
from .canvas import DATA, FITTED, GROUPS, INK, Axes, axes_of, legend, opened
from .observed import data_of

POINTS = 201


def plot_survival(fit: Any, ax: Axes | None = None, by: str | None = None, level: float = 0.95) -> Axes:
    """The Kaplan-Meier estimate of survival with Greenwood's intervals, and the fitted survival averaged over the rows.

    Censored times are marked on the estimate. Rows with late entry are at risk from their entry on.

    Arguments:
        fit: a `Fit` of a response that is one number, right-censored or not, with its data.
        ax: matplotlib axes to draw on; new ones by default.
        by: a column; one pair of curves for each of its values.
        level: of the pointwise intervals.

    Raises:
        ImportError: without matplotlib.
        ModelError: for a loaded fit, for other kinds of censoring, and for a column of more than eight values.
    """
    table = data_of(fit, "survival")
    time, event, entry = observed_times(fit)
    known = np.isfinite(time)
    weights = fit.session.objective.weights()
    axes = axes_of(ax)
    groups = [("", known)] if by is None else _groups(table.column(by, "the argument by"), by, known)
    end = time[known].max()
    for (label, rows), colour in zip(groups, (FITTED,) if by is None else GROUPS):
        if not (event & rows).any():
            continue
        estimate = kaplan_meier(time[rows], event[rows], None if entry is None else entry[rows], weights[rows])
        last = time[rows].max()
        _steps(axes, estimate, last, level, INK if by is None else colour, by is None)
        support = fit.model.log_density.support
        start = support.low if np.isfinite(support.low) else time[known].min()
        at = np.linspace(start, last, POINTS)
        if support.whole:
            at = np.unique(np.floor(at))
        curve = np.where(at <= support.low, 1.0, 0.0) if not support.whole else np.zeros(len(at))
        inside = curve == 0
        curve[inside] = mean_survival(fit, at[inside], rows)
        style = {"drawstyle": "steps-post"} if support.whole else {}
        axes.plot(at, curve, color=colour, linewidth=2, label=label or "fitted, mean of the rows", **style)
    axes.set_ylim(0, 1.03)
    axes.set_xlim(right=end)
    axes.set_xlabel(fit.model.log_density.response[0])
    axes.set_ylabel("survival" if by is None else "survival, steps: Kaplan–Meier")
    legend(axes, title=by, title_fontsize="small")
    return opened(axes)


def _groups(column: np.ndarray, by: str, known: np.ndarray) -> list[tuple[str, np.ndarray]]:
    values = list(dict.fromkeys(column.tolist()))
    values = sorted(values) if all(isinstance(v, type(values[0])) for v in values) else values
    if len(values) > len(GROUPS):
        raise ModelError(
            f"by={by!r} has {len(values)} values; a picture has room for {len(GROUPS)}. Cut it into classes."
        )
    return [(str(v), known & np.array([x == v for x in column.tolist()])) for v in values]


def _steps(axes: Axes, estimate: KaplanMeier, last: float, level: float, colour: str, named: bool) -> None:
    low, high = estimate.confint(level)
    at = np.concatenate([[min(0.0, estimate.time[0])], estimate.time, [last]])
    stretch = lambda v, first: np.concatenate([[first], v, v[-1:]])
    survival = stretch(estimate.survival, 1.0)
    axes.fill_between(at, stretch(low, 1.0), stretch(high, 1.0), step="post", color=DATA if named else colour,
                      alpha=0.3 if named else 0.12, linewidth=0,
                      label=f"{100 * level:.6g} % interval" if named else None)  # fmt: skip
    axes.step(at, survival, where="post", color=colour, linewidth=1.1, label="Kaplan–Meier" if named else None)
    marks = estimate.censored
    heights = survival[np.searchsorted(at, marks, side="right") - 1]
    axes.plot(marks, heights, "|", color=colour, markersize=6, markeredgewidth=1)

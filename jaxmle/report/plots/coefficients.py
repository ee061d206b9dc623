"""Estimates with their intervals, one below the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...errors import ModelError, did_you_mean
from ...infer.intervals import wald_intervals
from ..table import INTERCEPT
from .canvas import DASHED, FITTED, REFERENCE, Axes, axes_of, opened


def plot_coefficients(
    fit: Any, ax: Axes | None = None, names: Sequence[str] | None = None, level: float = 0.95
) -> Axes:
    """Estimates with their intervals, one below the other.

    Arguments:
        fit: a `Fit`.
        ax: matplotlib axes to draw on; new ones by default.
        names: which estimates, in which order; by default the coefficients other than constant terms if there are
            any, else all.
        level: the level of the intervals.

    Raises:
        ImportError: without matplotlib.
        ModelError: for unknown names, or a level that is not between 0 and 1.
    """
    estimates = fit.summary(level).estimates
    known = {name: i for i, name in enumerate(estimates.names)}
    if names is None:
        slopes = [n for n, g in zip(known, estimates.groups) if g in estimates.group_links and not is_constant(n, g)]
        names = slopes or list(known)
    for name in names:
        if name not in known:
            raise ModelError(f"The fit has no coefficient {name!r}.{did_you_mean(name, known)}")
    which = np.array([known[name] for name in names], dtype=int)
    low, high = wald_intervals(estimates, level)
    values, rows = estimates.values[which], np.arange(len(which))
    axes = axes_of(ax, height=1.2 + 0.32 * len(which))
    if len(which) and estimates.is_location[which].all():
        axes.axvline(0.0, color=REFERENCE, linewidth=1, linestyle=DASHED, zorder=0)
    axes.plot(values, rows, "o", markersize=5, color=FITTED)
    axes.hlines(rows, low[which], high[which], color=FITTED, linewidth=1.6)
    axes.set_yticks(rows, list(names))
    axes.set_ylim(len(which) - 0.5, -0.5)
    axes.set_xlabel(f"estimate and {100 * level:.6g} % interval")
    return opened(axes)


def is_constant(name: str, group: str) -> bool:
    """Whether a coefficient of a linear predictor is its constant term."""
    return name.removeprefix(f"{group}[").rstrip("]").split(",")[0] == INTERCEPT

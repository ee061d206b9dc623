"""Pictures of paths of penalised fits: coefficients and scores against the strength of the penalty."""

from __future__ import annotations

from typing import Any

import numpy as np

from .canvas import Axes, axes_of, legend, opened

NAMED = 8
"""Coefficients that get a name at the end of their line."""


def plot_path(path: Any, ax: Axes | None = None) -> Axes:
    """Each penalised coefficient against the strength of the penalty, the largest with their names.

    Arguments:
        path: a `Path`.
        ax: matplotlib axes to draw on; new ones by default.

    Raises:
        ImportError: without matplotlib.
    """
    axes = axes_of(ax)
    which = np.flatnonzero(path.penalised)
    axes.axhline(0.0, color="0.6", linewidth=0.8)
    for j in which:
        axes.plot(path.strengths, path.coef[:, j], linewidth=1.3)
    for j in which[np.argsort(-np.abs(path.coef[-1, which]), kind="stable")[:NAMED]]:
        axes.annotate(
            path.names[j], (path.strengths[-1], path.coef[-1, j]), xytext=(4, 0), textcoords="offset points",
            fontsize="small", va="center",
        )  # fmt: skip
    _strengths(axes)
    axes.set_ylabel("coefficient")
    return opened(axes)


def plot_scores(validation: Any, ax: Axes | None = None) -> Axes:
    """The mean score of rows not fitted, with a standard error either way, against the strength of the penalty.

    Arguments:
        validation: a `CrossValidation`.
        ax: matplotlib axes to draw on; new ones by default.

    Raises:
        ImportError: without matplotlib.
    """
    axes = axes_of(ax)
    axes.errorbar(validation.strengths, validation.mean, validation.std_error, fmt="o", markersize=3, linewidth=0.8)
    axes.axvline(validation.best, color="0.4", linewidth=1, linestyle=(0, (4, 3)), label="best")
    axes.axvline(validation.best_one_se, color="0.4", linewidth=1, linestyle=":", label="one standard error")
    _strengths(axes)
    axes.set_ylabel(f"{validation.score.replace('_', ' ')} of rows not fitted")
    legend(axes)
    return opened(axes)


def _strengths(axes: Axes) -> None:
    """An axis of strengths, the strongest penalty first."""
    axes.set_xscale("log")
    axes.invert_xaxis()
    axes.set_xlabel("strength of the penalty")

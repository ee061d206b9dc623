"""Whether predicted probabilities are kept."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import ModelError, did_you_mean
from ...infer.calibration import calibration
from .canvas import DASHED, FITTED, INK, REFERENCE, Axes, axes_of, opened
from .observed import data_of, is_labelled


def plot_calibration(fit: Any, ax: Axes | None = None, bins: int = 10, label: Any = None, level: float = 0.95) -> Axes:
    """The share of cases in which something happened against the probability predicted for it, in bins of like cases.

    Points on the diagonal are as they should be; bars are exact binomial intervals. The marks at the bottom are
    predictions.

    Arguments:
        fit: a `Fit` of a binary response, of successes in trials, or of one of several labels.
        ax: matplotlib axes to draw on; new ones by default.
        bins: how many, of about as many cases each.
        label: whose probability, by default the last label's.
        level: of the intervals.

    Raises:
        ImportError: without matplotlib.
        ModelError: for a loaded fit, and for a response of another kind.
    """
    name, predicted, successes, trials = _predictions(fit, label)
    found = calibration(predicted, successes, trials, bins, level)
    axes = axes_of(ax, 4.2, 4.4)
    low, high = min(found.predicted.min(), found.low.min()), max(found.predicted.max(), found.high.max())
    low, high = max(0.0, low - 0.08 * (high - low)), min(1.0, high + 0.08 * (high - low))
    axes.plot([0, 1], [0, 1], color=REFERENCE, linewidth=1, linestyle=DASHED, zorder=0)
    axes.vlines(found.predicted, found.low, found.high, color=FITTED, linewidth=1.5)
    axes.plot(found.predicted, found.observed, "o", color=FITTED, markersize=5)
    marks = np.quantile(predicted, np.linspace(0, 1, min(len(predicted), 400)))
    axes.plot(
        marks, np.full(len(marks), low), "|", color=INK, alpha=0.35, markersize=9, markeredgewidth=0.8, clip_on=False
    )
    axes.set_xlim(low, high)
    axes.set_ylim(low, high)
    axes.set_aspect("equal")
    axes.set_xlabel(f"predicted probability{name}")
    axes.set_ylabel(f"observed share, {100 * level:.6g} % interval")
    return opened(axes)


def _predictions(fit: Any, label: Any) -> tuple[str, np.ndarray, np.ndarray, np.ndarray]:
    """What of, and for each row the probability, the successes and the trials."""
    table, conditional = data_of(fit, "calibration"), fit.model.log_density
    kind, weights = getattr(conditional, "kind", None), fit.session.objective.weights()
    name = getattr(kind, "__name__", "")
    if name == "Binomial":
        trials = table.numeric(dict(conditional.known)["trials"]).astype(np.float64)
        predicted = np.asarray(fit.predict(what="mean")) / np.maximum(trials, 1e-300)
        some = trials > 0
        y = table.numeric(conditional.response[0])
        return "", predicted[some], (weights * y)[some], (weights * trials)[some]
    if name != "Bernoulli" and not is_labelled(fit):
        raise ModelError(
            f"Calibration is of binary, binomial, categorical and ordinal responses, not {fit.model.title!r}. For "
            "others what='residuals' says whether probabilities are kept."
        )
    levels = getattr(conditional, "levels", None) or (0, 1)
    label = levels[-1] if label is None else label
    if label not in levels:
        raise ModelError(
            f"label={label!r} is none of the response's.{did_you_mean(str(label), [str(v) for v in levels])}"
        )
    number = list(levels).index(label)
    chances = np.asarray(fit.predict(what="prob"))
    if chances.ndim == 1:
        chances = np.stack([1 - chances, chances], axis=1)
    hit = table.numeric(conditional.response[0]) == number
    said = f" of {conditional.response[0]} = {label}"
    return said, chances[:, number], weights * hit, weights

"""Residuals: whether the fitted distribution is right, seen from four sides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...errors import ModelError, did_you_mean
from ...special import betaincinv, gamma, ndtri
from .canvas import DASHED, DATA, FITTED, INK, REFERENCE, Axes, axes_of, figure_of, legend, opened, points
from .observed import data_of

PARTS = ("fitted", "qq", "histogram", "scale")

STRETCHES = 12
"""Of the fitted values, in each of which a trend is a mean."""

BAND = 401
"""Points at which the band of a normal plot is computed, evenly spaced, where there are more."""

LIMIT = 4.0
"""Half the range of a histogram of standard normal numbers, at least."""


def plot_residuals(fit: Any, axes: Any = None, parts: str | Sequence[str] | None = None, key: int = 0) -> Any:
    """Quantile residuals, which are standard normal if the model is right (Dunn and Smyth, 1996).

    - "fitted": against the fitted mean, with their mean along it: what the predictors have missed.
    - "qq": their quantiles against those of the normal distribution, with pointwise 95 % limits: the distribution's form.
    - "histogram": with the normal density.
    - "scale": the roots of their sizes against the fitted mean: whether the spread changes along it.

    Arguments:
        fit: a `Fit` of a family with a numeric response, censored or not, with its data.
        axes: matplotlib axes to draw on, as many as there are parts; those of a new figure by default.
        parts: one or more of the above. By default all of them, and where all rows have the same fitted mean "qq" and
            "histogram".
        key: a seed: residuals of counts and of censored responses are randomised.

    Returns:
        An array of axes, or the axes where `parts` is one name.

    Raises:
        ImportError: without matplotlib.
        ModelError: for a loaded fit, a log-density alone, labels as responses, and unknown parts.
    """
    data_of(fit, "residuals")
    residuals = fit.residuals("quantile", key=key)
    weights = fit.session.objective.weights()
    one = isinstance(parts, str)
    fitted = fitted_means(fit) if parts is None or {"fitted", "scale"} & set([parts] if one else parts) else None
    if parts is None:
        assert fitted is not None
        parts = PARTS if np.ptp(fitted) > 1e-9 * np.abs(fitted).max() else ("qq", "histogram")
    parts = [parts] if isinstance(parts, str) else list(parts)
    for part in parts:
        if part not in PARTS:
            raise ModelError(f"Residuals have no part {part!r}.{did_you_mean(str(part), PARTS)}")
    if axes is None:
        rows = 2 if len(parts) > 2 else 1
        axes = figure_of(rows, -(-len(parts) // rows)) if len(parts) > 1 else axes_of(None)
    flat = np.atleast_1d(np.asarray(axes, dtype=object)).ravel()
    if len(flat) < len(parts):
        raise ModelError(f"The residuals' parts {', '.join(parts)} need {len(parts)} axes; got {len(flat)}.")
    good = np.isfinite(residuals) & (weights > 0)
    for part, ax in zip(parts, map(axes_of, flat)):
        if part == "qq":
            _qq(ax, residuals[good], weights[good])
        elif part == "histogram":
            _histogram(ax, residuals[good], weights[good])
        else:
            assert fitted is not None
            _along(ax, fitted[good], residuals[good], part == "scale")
        if not good.all():
            ax.annotate(f"{(~good).sum():,} infinite", (0.02, 0.95), xycoords="axes fraction", fontsize="small")
        opened(ax)
    return flat[0] if one else flat[: len(parts)]


def fitted_means(fit: Any) -> np.ndarray:
    """The fitted mean of each row, or the median where there is no mean."""
    means = np.asarray(fit.predict(what="mean"))
    return means if np.isfinite(means).all() else np.asarray(fit.predict(what="quantile", q=0.5))


def _along(ax: Axes, fitted: np.ndarray, residuals: np.ndarray, scale: bool) -> None:
    y = np.sqrt(np.abs(residuals)) if scale else residuals
    middle = 2**0.25 * gamma(0.75) / np.sqrt(np.pi) if scale else 0.0  # E √|Z|
    points(ax, fitted, y)
    ax.axhline(middle, color=REFERENCE, linewidth=1, linestyle=DASHED, zorder=0)
    ax.plot(*_trend(fitted, y), color=FITTED, linewidth=2)
    if fitted.min() > 0 and fitted.max() > 50 * fitted.min():
        ax.set_xscale("log")
    ax.set_xlabel("fitted mean")
    ax.set_ylabel("√|quantile residual|" if scale else "quantile residual")
    if not scale:
        ax.set_ylim(*np.array([-1, 1]) * max(3.2, 1.08 * np.abs(residuals).max()))


def _trend(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means in stretches of x that hold as many points each."""
    parts = min(STRETCHES, max(2, len(x) // 8))
    order = np.argsort(x, kind="stable")
    x, y = x[order], y[order]
    number = (np.arange(len(x)) * parts) // len(x)
    number = number[np.searchsorted(x, x, side="left")]  # equal values stay together
    stretch = np.unique(number, return_inverse=True)[1].reshape(-1)
    n = np.bincount(stretch)
    return np.bincount(stretch, x) / n, np.bincount(stretch, y) / n


def _qq(ax: Axes, residuals: np.ndarray, weights: np.ndarray) -> None:
    order = np.argsort(residuals, kind="stable")
    y, w = residuals[order], weights[order]
    total = w.sum()
    rank = np.cumsum(w) - 0.5 * w + 0.5  # of n numbers, i
    theory = ndtri((rank - 0.5) / total)
    band = np.unique(np.searchsorted(theory, np.linspace(theory[0], theory[-1], BAND)))  # the same of fewer points
    at, i = theory[band], rank[band]
    low, high = (ndtri(betaincinv(i, total + 1 - i, q)) for q in (0.025, 0.975))
    ax.fill_between(at, low, high, color=DATA, alpha=0.45, linewidth=0, label="95 % pointwise")
    ends = np.array([theory[0], theory[-1]])
    ax.plot(ends, ends, color=INK, linewidth=1)
    points(ax, theory, y, color=FITTED, alpha=0.8)
    ax.set_xlabel("normal quantile")
    ax.set_ylabel("quantile residual")
    legend(ax, loc="upper left")


def _histogram(ax: Axes, residuals: np.ndarray, weights: np.ndarray) -> None:
    edge = max(LIMIT, np.ceil(np.abs(residuals).max()))
    bins = int(np.clip(2 * len(residuals) ** (1 / 3), 8, 40) * edge / LIMIT)
    edges = np.linspace(-edge, edge, 2 * (bins // 2) + 1)
    seen = np.histogram(residuals, edges, weights=weights, density=True)[0]
    ax.stairs(seen, edges, fill=True, color=DATA)
    at = np.linspace(-edge, edge, 201)
    ax.plot(at, np.exp(-0.5 * at**2) / np.sqrt(2 * np.pi), color=FITTED, linewidth=2)
    ax.set_xlim(-edge, edge)
    ax.set_xlabel("quantile residual")
    ax.set_ylabel("density")

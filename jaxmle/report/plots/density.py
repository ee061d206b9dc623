"""The response and its fitted distribution: histograms with densities, bars of probability, rootograms."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import ModelError
from ...infer.marginal import cells, expected_counts, mean_density
from .canvas import DATA, FITTED, INK, REFERENCE, Axes, axes_of, legend, opened
from .observed import Observed, middle, observed

POINTS = 301
"""Points of a density."""

MOST_BINS = 60


def plot_density(fit: Any, ax: Axes | None = None, response: str | None = None, bins: int | None = None) -> Axes:
    """The histogram of the response with the fitted density, or the shares of counts and labels with their probabilities.

    In a regression each row has its own distribution: what is drawn is their average over the rows (over 2,000 of them,
    where more differ), to be compared with all responses together.

    Arguments:
        fit: a `Fit` with its data.
        ax: matplotlib axes to draw on; new ones by default.
        response: the column of the response, where the model is a log-density alone that reads several columns.
        bins: of the histogram; by default as many as suit the data (Freedman and Diaconis, 1981).

    Raises:
        ImportError: without matplotlib.
        ModelError: for a loaded fit, and for a response that is not one number, or censored.
    """
    y = observed(fit, "the density", response)
    if y.labels is not None:
        return _labels(fit, y, axes_of(ax))
    if y.support.whole and np.ptp(y.values) <= 100 * MOST_BINS:
        return _counts(fit, y, axes_of(ax))
    return _histogram(fit, y, axes_of(ax), bins)


def plot_rootogram(fit: Any, ax: Axes | None = None, response: str | None = None) -> Axes:
    """A hanging rootogram: square roots of observed frequencies hang from those that the model expects.

    A bar that does not reach the line, or goes through it, is a count that is seen less, or more, often than expected; on
    the scale of roots such gaps have the standard deviation 1/2, which the band shows twice (Tukey, 1977; Kleiber
    and Zeileis, 2016, The American Statistician 70, 296-303). Where there are very many counts they are taken together.

    Arguments:
        fit: a `Fit` of whole numbers with its data.
        ax: matplotlib axes to draw on; new ones by default.
        response: the column of the response, where the model is a log-density alone that reads several columns.

    Raises:
        ImportError: without matplotlib.
        ModelError: for a loaded fit, and for a response that is no whole number.
    """
    y = observed(fit, "counts", response)
    if not y.support.whole or y.labels is not None:
        raise ModelError(f"A rootogram is of counts; the response of {fit.model.title!r} is none. Draw what='density'.")
    edges, seen, expected = _frequencies(fit, y)
    axes, at = axes_of(ax), _middles(edges)
    tops, heights = np.sqrt(expected), np.sqrt(seen)
    axes.axhspan(-1, 1, color="0.5", alpha=0.13, linewidth=0)
    axes.bar(at, heights, bottom=tops - heights, width=0.86 * (edges[1] - edges[0]), color=DATA, label="observed")
    axes.plot(at, tops, "o-", color=FITTED, markersize=3.5, linewidth=1.4, label="expected")
    axes.axhline(0.0, color=INK, linewidth=0.9)
    axes.set_xlabel(y.name)
    axes.set_ylabel("√frequency")
    legend(axes)
    return opened(axes)


def _middles(edges: np.ndarray) -> np.ndarray:
    """The middle of the whole numbers in each cell."""
    return 0.5 * (edges[:-1] + edges[1:] - 1)


def _frequencies(fit: Any, y: Observed) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cells of counts, how many responses are in each, and how many are expected."""
    edges = cells(y.values, y.support.low)
    return edges, np.histogram(y.values, edges, weights=y.weights)[0], expected_counts(fit, edges, y.name)


def _counts(fit: Any, y: Observed, axes: Axes) -> Axes:
    edges, seen, expected = _frequencies(fit, y)
    total, at = y.weights.sum(), _middles(edges)
    axes.bar(at, seen / total, width=0.86 * (edges[1] - edges[0]), color=DATA, label="observed")
    axes.plot(at, expected / total, "o-", color=FITTED, markersize=4, linewidth=1.2, label="fitted")
    return _named(axes, y, "share" if edges[1] - edges[0] == 1 else f"share of {edges[1] - edges[0]:g} numbers each")


def _labels(fit: Any, y: Observed, axes: Axes) -> Axes:
    chances = np.asarray(fit.predict(what="prob"))
    chances = np.stack([1 - chances, chances], axis=1) if chances.ndim == 1 else chances
    assert y.labels is not None
    at = np.arange(len(y.labels))
    seen = np.bincount(y.values.astype(int), y.weights, len(at)) / y.weights.sum()
    axes.bar(at, seen, width=0.7, color=DATA, label="observed")
    axes.plot(at, y.weights @ chances / y.weights.sum(), "o", color=FITTED, markersize=6, label="fitted")
    axes.set_xticks(at, [str(label) for label in y.labels])
    axes.set_ylim(0, 1.3 * axes.get_ylim()[1])  # room for the legend
    return _named(axes, y, "share")


def _histogram(fit: Any, y: Observed, axes: Axes, bins: int | None) -> Axes:
    total = y.weights.sum()
    low, high = middle(y.values)
    inside = (y.values >= low) & (y.values <= high)
    atoms = [end for end, closed in zip((y.support.low, y.support.high), y.support.closed) if closed]
    atoms = [end for end in atoms if y.weights[y.values == end].sum() > 1]
    spread = inside & ~np.isin(y.values, atoms)
    if not spread.any():
        spread, atoms = inside, []
    edges = np.histogram_bin_edges(y.values[spread], bins or "auto")
    if bins is None and len(edges) > MOST_BINS + 1:
        edges = np.histogram_bin_edges(y.values[spread], MOST_BINS)
    seen = np.histogram(y.values[spread], edges, weights=y.weights[spread])[0] / (total * np.diff(edges))
    axes.stairs(seen, edges, fill=True, color=DATA, label="observed")
    room = 0.06 * (high - low)
    left = low - room if low - room > y.support.low else y.support.low
    right = high + room if high + room < y.support.high else y.support.high
    at = np.linspace(left, right, POINTS)
    at = at[(at > y.support.low) & (at < y.support.high)]
    fitted = mean_density(fit, at, y.name)
    axes.plot(at, fitted, color=FITTED, linewidth=2, label="fitted")
    for atom in atoms:
        share = y.weights[y.values == atom].sum() / total
        chance = float(mean_density(fit, np.array([atom]), y.name)[0])
        axes.plot([], [], " ", label=f"{atom:g}: {100 * share:.1f} %, fitted {100 * chance:.1f} %")
    top = max(seen.max(), min(np.nanmax(fitted), 1.6 * seen.max()))
    axes.set_ylim(0, 1.08 * top)
    axes.set_xlim(left, right)
    beyond = y.weights[~inside].sum()
    if beyond:
        axes.annotate(f"{beyond:,g} beyond", (1, 0.02), xycoords="axes fraction", ha="right", color=REFERENCE,
                      fontsize="small")  # fmt: skip
    return _named(axes, y, "density")


def _named(axes: Axes, y: Observed, what: str) -> Axes:
    axes.set_xlabel(y.name)
    axes.set_ylabel(what)
    legend(axes)
    return opened(axes)

"""The fitted distribution of a response averaged over the rows of the data: what all responses together are compared with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..declare.conditional import Conditional
from ..objective.alike import unlike
from ..objective.covariates import distribution_columns
from ..objective.rebuild import function_of_rows
from ..objective.rows import hashable
from .statements import VALUE, Exp, Probability, UpTo

ROWS = 2_000
"""Rows over which an average is taken, spread evenly over those that differ, where there are more."""

WIDE = 2_000
"""Over more whole numbers than this, probabilities of cells are differences of distribution functions."""

AT_ONCE = 500_000
"""Rows times values in one go."""


def mean_density(fit: Any, at: np.ndarray, response: str | None = None) -> np.ndarray:
    """The mean over rows of the density (or probability) of each value, shape (m,).

    Arguments:
        response: the column of the response, where the model is a log-density alone.
    """
    if isinstance(fit.model.log_density, Conditional):
        return _averaged(fit, Probability(fit.model.log_density), np.asarray(at, np.float64), VALUE)
    read = [c for c in fit.session.source.columns if c != response and not c.startswith(" ")]
    values = np.asarray(at).astype(fit.session.used.numeric(response).dtype)
    return _averaged(fit, Exp(hashable(fit.model.log_density)), values, str(response), read)


def mean_survival(fit: Any, at: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
    """The mean over rows of P(Y > value), shape (m,); `rows` are some of them, a mask."""
    return _averaged(fit, UpTo(fit.model.log_density, upper=True), np.asarray(at, np.float64), VALUE, (), rows)


def expected_counts(fit: Any, edges: np.ndarray, response: str | None = None) -> np.ndarray:
    """How many responses (whole numbers) are expected in each cell, from edges[i] up to but without edges[i + 1]."""
    total = fit.session.objective.weights().sum()
    if isinstance(fit.model.log_density, Conditional) and edges[-1] - edges[0] > WIDE:
        below = _averaged(fit, UpTo(fit.model.log_density), np.asarray(edges, np.float64) - 1, VALUE)
        return total * np.diff(below)
    each = mean_density(fit, np.arange(edges[0], edges[-1]), response)
    return total * np.add.reduceat(each, (edges[:-1] - edges[0]).astype(int))


def cells(y: np.ndarray, low: float = -np.inf, most: int = 50) -> np.ndarray:
    """Edges of at most `most` cells of equal width that hold all of some whole numbers, from `low` on if that is near."""
    least, greatest = float(y.min()), float(y.max())
    if np.isfinite(low) and least - low <= max(0.2 * (greatest - least), 5):
        least = low
    width = np.ceil((greatest - least + 1) / most)
    return least + width * np.arange(np.ceil((greatest - least + 1) / width) + 1)


def _averaged(
    fit: Any,
    function: Callable[..., Any],
    values: np.ndarray,
    column: str,
    more: Sequence[str] = (),
    chosen: np.ndarray | None = None,
) -> np.ndarray:
    """The weighted mean over rows of `function(p, row)` with each value in a column, shape (m,)."""
    table, weights = fit.session.used, fit.session.objective.weights()
    if chosen is not None:
        table, weights = table.take(chosen), weights[chosen]
    rows, weights = unlike(table, (*distribution_columns(fit.model, table), *more), weights)
    if len(rows) > ROWS:
        some = np.linspace(0, len(rows) - 1, ROWS).astype(int)
        rows, weights = rows[some], weights[some]
    at_once = max(1, AT_ONCE // len(rows))
    out = []
    for first in range(0, len(values), at_once):
        some = values[first : first + at_once]
        tall = table.take(np.tile(rows, len(some)))
        each = function_of_rows(fit.model, fit.params, tall, function, {column: np.repeat(some, len(rows))})
        out.append(each.reshape(len(some), len(rows)) @ weights / weights.sum())
    return np.concatenate(out)

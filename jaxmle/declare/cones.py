"""Directions that a response does not resist: where a row's log-density stays up as the predictors go to infinity.

A direction of recession of the log-likelihood is one that no row resists; if one row gains on it, there is no finite
maximum (Geyer, 2009, Electronic Journal of Statistics 3, 259-289). A family says for its responses which directions
of the predictors those are, as linear inequalities, and a linear program does the rest (Konis, 2007, Linear
programming algorithms for detecting separated data in binary logistic regression models, Oxford).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Towards:
    """Rows whose log-density does not fall while one parameter goes to `end`, and falls without limit in any other way.

    Arguments:
        parameter: its name; a number in each row.
        end: an end of its range on the natural scale, that is, whatever the link; None where neither end will do.
        rows: which rows (m,).
    """

    parameter: str
    end: float | None
    rows: np.ndarray

    def among(self, rows: np.ndarray) -> Towards:
        """The same where its rows are numbers among these rows of more data."""
        return replace(self, rows=rows[self.rows])


@dataclass(frozen=True)
class Term:
    """One part of a contrast: `coefficient` times entry number `entry` of a parameter's predictor in row `rows`.

    All are (m,), or the same number for all. A constant parameter is the same in all rows.
    """

    parameter: str
    rows: np.ndarray
    coefficient: np.ndarray | float
    entry: np.ndarray | int = 0


@dataclass(frozen=True)
class Contrast:
    """m sums of terms that must not fall: directions d of the predictors (identity links) with Σ terms(d) ≥ 0."""

    terms: tuple[Term, ...]

    def among(self, rows: np.ndarray) -> Contrast:
        """The same where its rows are numbers among these rows of more data."""
        return Contrast(tuple(replace(t, rows=rows[t.rows]) for t in self.terms))


Cone = Towards | Contrast


def ends(parameter: str, low: np.ndarray, high: np.ndarray, ends: tuple[float, float]) -> tuple[Towards, ...]:
    """The rows of a response that lies at the low or the high end of what a parameter may predict, or between (n,)."""
    between = ~(low | high)
    masks = ((ends[0], low), (ends[1], high), (None, between))
    return tuple(Towards(parameter, end, np.flatnonzero(mask)) for end, mask in masks if mask.any())


def zeros(parameter: str, y: np.ndarray, end: float = 0.0) -> tuple[Towards, ...]:
    """Counts (n,): those of zero do not resist a parameter on its way to `end`, where every count is zero."""
    return ends(parameter, y == 0, np.zeros(len(y), bool), (end, np.nan))


def largest_of(parameters: tuple[str, ...], y: np.ndarray) -> tuple[Contrast, ...]:
    """Classes by their utilities: the class of a row, y (n,), must not lose against any other.

    `parameters` are the utilities of classes 1, 2, ...; that of class 0 is zero.
    """
    out = []
    for mine in range(len(parameters) + 1):
        rows = np.flatnonzero(y == mine)
        for other in (k for k in range(len(parameters) + 1) if k != mine and len(rows)):
            signed = ((mine, 1.0), (other, -1.0))
            out.append(Contrast(tuple(Term(parameters[k - 1], rows, sign) for k, sign in signed if k > 0)))
    return tuple(out)


def between_cutpoints(location: str, cutpoints: str, y: np.ndarray, n_classes: int) -> tuple[Contrast, ...]:
    """Ordered classes, P(y ≤ k) = F(c_k − location): each response (n,) pushes its two cutpoints apart."""
    above, below = np.flatnonzero(y < n_classes - 1), np.flatnonzero(y > 0)
    return (
        Contrast((Term(cutpoints, above, 1.0, y[above]), Term(location, above, -1.0))),
        Contrast((Term(location, below, 1.0), Term(cutpoints, below, -1.0, y[below] - 1))),
    )


def chosen_among(parameter: str, chosen: np.ndarray, groups: Sequence[np.ndarray]) -> tuple[Contrast, ...]:
    """Chosen rows in each group (its rows): none must lose against one of the others; `chosen` (n,) is true there."""
    first, other = [], []
    for rows in groups:
        mine, rest = rows[chosen[rows]], rows[~chosen[rows]]
        first.append(np.repeat(mine, len(rest)))
        other.append(np.tile(rest, len(mine)))
    a, b = (np.concatenate(x) if x else np.zeros(0, int) for x in (first, other))
    return (Contrast((Term(parameter, a, 1.0), Term(parameter, b, -1.0))),) if len(a) else ()

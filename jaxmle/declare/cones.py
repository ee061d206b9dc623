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

    def renamed(self, suffix: str) -> Towards:
        """The same of a parameter whose name has a suffix."""
        return replace(self, parameter=self.parameter + suffix)


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

    def renamed(self, suffix: str) -> Contrast:
        """The same of parameters whose names have a suffix."""
        return Contrast(tuple(replace(t, parameter=t.parameter + suffix) for t in self.terms))


Cone = Towards | Contrast


def ends(parameter: str, low: np.ndarray, high: np.ndarray, ends: tuple[float, float]) -> tuple[Towards, ...]:
    """The rows of a response that lies at the low or the high end of what a parameter may predict, or between (n,)."""
    between = ~(low | high)
    masks = ((ends[0], low), (ends[1], high), (None, between))
    return tuple(Towards(parameter, end, np.flatnonzero(mask)) for end, mask in masks if mask.any())


def largest_of(parameter: str, y: np.ndarray, n_classes: int) -> tuple[Contrast, ...]:
    """Classes by their utilities, that of class 0 being zero: the chosen class (n,) must not lose against any other."""
    rows, other = np.meshgrid(np.arange(len(y)), np.arange(n_classes), indexing="ij")
    keep = other != y[:, None]
    rows, other = rows[keep], other[keep]
    chosen = y[rows]
    term = lambda c, sign: Term(parameter, rows, sign * (c > 0), np.maximum(c - 1, 0))
    return (Contrast((term(chosen, 1.0), term(other, -1.0))),)


def between_cutpoints(location: str, cutpoints: str, y: np.ndarray, n_classes: int) -> tuple[Contrast, ...]:
    """Ordered classes, P(y ≤ k) = F(c_k − location): each response (n,) pushes its two cutpoints apart."""
    above, below = np.flatnonzero(y < n_classes - 1), np.flatnonzero(y > 0)
    return (
        Contrast((Term(cutpoints, above, 1.0, y[above]), Term(location, above, -1.0))),
        Contrast((Term(location, below, 1.0), Term(cutpoints, below, -1.0, y[below] - 1))),
    )


def chosen_among(parameter: str, chosen: np.ndarray, groups: Sequence[np.ndarray]) -> tuple[Contrast, ...]:
    """One chosen row in each group (its rows): it must not lose against the others; `chosen` (n,) is true there."""
    first, other = [], []
    for rows in groups:
        mine = chosen[rows].astype(bool)
        if mine.sum() != 1:
            continue
        rest = rows[~mine]
        first.append(np.repeat(rows[mine], len(rest)))
        other.append(rest)
    if not first:
        return ()
    a, b = np.concatenate(first), np.concatenate(other)
    return (Contrast((Term(parameter, a, 1.0), Term(parameter, b, -1.0))),)

"""The quantile of the largest of several correlated |z|: intervals that hold all at once.

The probability that all |z| are below c is found by Genz's separation of variables, the estimates' correlations taken in
by Cholesky's factor, on a fixed set of quasi-random points: the same numbers at every call, and smooth in c. Without
correlations it is Šidák's product, to rounding.

Genz (1992), Numerical computation of multivariate normal probabilities, Journal of Computational and Graphical
Statistics 1, 141-149; Hothorn, Bretz and Westfall (2008), Simultaneous inference in general parametric models,
Biometrical Journal 50, 346-363.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import ModelError
from ..special import ndtr, ndtri
from .estimates import Estimates
from .intervals import half_width

LOG_POINTS = 13
"""Logarithm to the base two of the number of points, of which there are four sets: the quantile is right to about 1e-4."""

SETS = 4

DEPENDENT = 1e-10
"""A variance left by those before that is rounding: the coefficient is a combination of them."""


def largest_z(estimates: Estimates, names: Sequence[str], level: float) -> float:
    """How many standard errors intervals of these coefficients reach to either side that hold all at once.

    Those without a standard error have no interval, and are left out.
    """
    at = [i for i, name in enumerate(estimates.names) if name in names and np.isfinite(estimates.covariance[i, i])]
    return largest_quantile(estimates.covariance[np.ix_(at, at)], level)


def largest_quantile(covariance: np.ndarray, level: float) -> float:
    """c with P(max |zᵢ| ≤ c) = level for normal z of this covariance, each over its standard deviation.

    Raises:
        ModelError: if `level` is not between 0 and 1, and for a covariance that is not positive semidefinite.
    """
    alone = half_width(level)
    k = len(covariance)
    if k <= 1:
        return alone
    size = np.sqrt(np.diag(covariance))
    factor = _factor(covariance / np.outer(size, size))
    from scipy.optimize import brentq  # these two take a third of a second to import
    from scipy.stats import qmc

    points = [qmc.Sobol(k - 1, scramble=True, seed=i).random_base2(LOG_POINTS) for i in range(SETS)]  # type: ignore[call-arg]
    points = np.concatenate(points)
    gap = lambda c: _all_below(factor, c, points) - level
    return float(brentq(gap, alone - 1e-9, half_width(1 - (1 - level) / k) + 1e-6, xtol=1e-10))  # type: ignore[arg-type]


def _factor(correlation: np.ndarray) -> np.ndarray:
    """Cholesky's factor, the most uncertain first; what depends on those before has rows without an entry of its own."""
    a, k = correlation.copy(), len(correlation)
    factor = np.zeros((k, k))
    for j in range(k):
        best = j + int(np.argmax(np.diag(a)[j:]))
        for swapped in (a, a.T, factor):
            swapped[[j, best]] = swapped[[best, j]]
        if a[j, j] < -1e-6:
            raise ModelError("Simultaneous intervals need a covariance that is positive semidefinite.")
        if a[j, j] > DEPENDENT:
            factor[j:, j] = a[j:, j] / np.sqrt(a[j, j])
            a[j:, j:] -= np.outer(factor[j:, j], factor[j:, j])
    return np.where(np.abs(factor) > DEPENDENT, factor, 0.0)


def _all_below(factor: np.ndarray, c: float, points: np.ndarray) -> float:
    """P(all |z| ≤ c), z = factor · independent normals y, averaged over the points (n, k − 1).

    Each y is bounded by all z that no later one is part of.
    """
    n, k = len(points), len(factor)
    last = k - 1 - np.argmax(factor[:, ::-1] != 0, axis=1)
    y, probability = np.zeros((n, k)), np.ones(n)
    for j in np.unique(last):
        rows = np.flatnonzero(last == j)
        centre, slope = y[:, :j] @ factor[rows, :j].T, factor[rows, j]
        ends = np.stack([(-c - centre) / slope, (c - centre) / slope])
        low, high = ndtr(ends.min(axis=0).max(axis=1)), ndtr(ends.max(axis=0).min(axis=1))
        share = np.maximum(high - low, 0.0)
        probability *= share
        if j < k - 1:
            y[:, j] = ndtri(np.clip(low + points[:, j] * share, 1e-300, 1 - 1e-16))
    return float(probability.mean())

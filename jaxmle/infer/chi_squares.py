"""Distributions that are made of χ²: mixtures over degrees of freedom (χ̄²), and weighted sums."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np

from ..special import chdtrc

NODES = 48
"""Of Gauss and Legendre for each pair of four dimensions; half as many for each of more."""

MOST = 7
"""Dimensions of an orthant at most."""

CONTOUR = 24
"""Points of Talbot's contour: 4⁻²⁴ is less than the rounding errors."""


def mixture_tail(statistic: float, dfs: Sequence[int], weights: Any) -> float:
    """The probability that a mixture of χ² with these degrees of freedom (0: always zero) is `statistic` or more."""
    tails = [float(chdtrc(df, statistic)) if df else float(statistic <= 0.0) for df in dfs]
    return float(min(np.dot(weights, tails), 1.0))


def chi_bar_weights(covariance: np.ndarray) -> np.ndarray:
    """Probabilities (k + 1,) that 0, 1, ..., k of k estimates are positive where none may be negative and all truly are 0.

    Arguments:
        covariance: of the estimates without the restriction, shape (k, k); only its correlations matter.

    Source:
        Kudo, 1963, Biometrika 50, 403-418; Shapiro, 1985, Biometrika 72, 133-144; Silvapulle and Sen, 2005, Constrained
        Statistical Inference, proposition 3.6.1: the sum over the sets of positive ones of P(the rest are pushed to zero)
        times P(these, given that the rest are zero, are positive).
    """
    k = len(covariance)
    weights = np.zeros(k + 1)
    for count in range(k + 1):
        for chosen in combinations(range(k), count):
            a = np.array(chosen, dtype=int)
            rest = np.setdiff1d(np.arange(k), a)
            push = np.linalg.inv(covariance[np.ix_(rest, rest)])
            cross = covariance[np.ix_(a, rest)]
            given = covariance[np.ix_(a, a)] - cross @ push @ cross.T
            weights[count] += orthant(push) * orthant(given)
    return weights


def orthant(covariance: np.ndarray) -> float:
    """The probability that all of a normal vector of mean zero are positive; of three dimensions in closed form.

    Of more by Plackett's identity (1954, Biometrika 41, 351-360): its derivative by a correlation is the density of that
    pair at zero times the orthant probability of the others, given that pair; from independence to the correlations.
    """
    size = np.sqrt(np.diag(covariance))
    return float(_orthants((covariance / np.outer(size, size))[None])[0])


def _orthants(r: np.ndarray) -> np.ndarray:
    """Orthant probabilities (b,) for correlation matrices (b, n, n)."""
    b, n, _ = r.shape
    pairs = list(combinations(range(n), 2))
    if n <= 3:
        angles = sum((np.arcsin(np.clip(r[:, i, j], -1, 1)) for i, j in pairs), np.zeros(b))
        return 0.5**n + angles / (np.pi * 2.0 ** (n - 1))
    nodes, shares = np.polynomial.legendre.leggauss(NODES if n == 4 else NODES // 2)
    t = 0.5 * (nodes + 1)
    part = ((1 - t)[:, None, None] * np.eye(n) + t[:, None, None] * r[:, None]).reshape(-1, n, n)
    total = np.full(b, 0.5**n)
    for i, j in pairs:
        rest = [m for m in range(n) if m not in (i, j)]
        rho, cross = part[:, i, j], part[:, rest][:, :, [i, j]]
        own = part[:, [i, j]][:, :, [i, j]]
        given = part[:, rest][:, :, rest] - cross @ np.linalg.solve(own, np.swapaxes(cross, 1, 2))
        size = np.sqrt(np.einsum("bii->bi", given))
        others = _orthants(given / (size[:, :, None] * size[:, None, :]))
        density = others / (2 * np.pi * np.sqrt(1 - rho**2))
        total += r[:, i, j] * (density.reshape(b, -1) @ (0.5 * shares))
    return total


def weighted_sum_tail(x: float, weights: np.ndarray) -> float:
    """P(Σ weight · χ²₁ > x), independent, weights ≥ 0, to about 1e-12.

    By inverting the Laplace transform of the tail, (1 − Π (1 + 2 p weight)^(−1/2)) / p, whose singularities are on the
    negative axis, on Talbot's contour (Trefethen, Weideman and Schmelzer, 2006, BIT 46, 653-670).
    """
    weights = np.asarray(weights, dtype=float)
    weights = weights[weights > 0]
    if x <= 0 or not len(weights):
        return float(x <= 0)
    angles = np.pi * np.arange(1 - CONTOUR, CONTOUR, 2) / CONTOUR
    cot = 1 / np.tan(0.6407 * angles)
    p = CONTOUR * (0.5017 * angles * cot - 0.6122 + 0.2645j * angles) / x
    slope = CONTOUR * (0.5017 * cot - 0.5017 * 0.6407 * angles / np.sin(0.6407 * angles) ** 2 + 0.2645j) / x
    transform = np.exp(-0.5 * np.log1p(2 * p[:, None] * weights).sum(axis=1))
    value = np.sum(np.exp(p * x) * (1 - transform) / p * slope) / (1j * CONTOUR)
    return float(np.clip(value.real, 0.0, 1.0))

"""What responses look like before a fit, in NumPy: the weighted quantiles, moments and L-moments that starts come from."""

from __future__ import annotations

import math

import numpy as np

from .base import weighted_mean, weighted_variance

EULER = 0.5772156649015329


def weighted_quantile(y: np.ndarray, weights: np.ndarray, q: float) -> float:
    """The smallest response with a share of at least `q` of the weight at or below it; midway between two at a tie."""
    order = np.argsort(y, kind="stable")
    below = np.cumsum(np.asarray(weights, np.float64)[order])
    target = q * below[-1]
    first = min(int(np.searchsorted(below, target * (1 - 1e-12))), len(y) - 1)
    value = float(y[order[first]])
    if first + 1 < len(y) and math.isclose(below[first], target, rel_tol=1e-12):
        value = 0.5 * (value + float(y[order[first + 1]]))
    return value


def weighted_median(y: np.ndarray, weights: np.ndarray) -> float:
    """The median."""
    return weighted_quantile(y, weights, 0.5)


def half_spread(y: np.ndarray, weights: np.ndarray) -> float:
    """Half the distance of the quartiles; some other measure of spread where more than half are equal, never zero."""
    half = 0.5 * (weighted_quantile(y, weights, 0.75) - weighted_quantile(y, weights, 0.25))
    return half if half > 0 else 0.1 * math.sqrt(weighted_variance(y, weights))


def weighted_skewness(y: np.ndarray, weights: np.ndarray) -> float:
    """The third standardised moment."""
    z = (y - weighted_mean(y, weights)) / math.sqrt(weighted_variance(y, weights))
    return weighted_mean(z**3, weights)


def l_moments(y: np.ndarray, weights: np.ndarray) -> tuple[float, float, float]:
    """The first two L-moments and the L-skewness (Hosking, 1990), by plotting positions."""
    order = np.argsort(y, kind="stable")
    x, w = np.asarray(y, np.float64)[order], np.asarray(weights, np.float64)[order]
    share = (np.cumsum(w) - 0.5 * w) / w.sum()
    b0, b1, b2 = (float(np.average(x * share**k, weights=w)) for k in range(3))
    second = max(2 * b1 - b0, 1e-12 * max(1.0, abs(b0)))
    return b0, second, (6 * b2 - 6 * b1 + b0) / second


def least_absolute_deviations(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Coefficients (p,) that minimise the weighted sum of |y - x b|, exactly: a linear program, solved by its dual.

    Source: Koenker and Bassett (1978). Least squares stands in where the program has no solution in time.
    """
    from scipy.optimize import linprog

    size = np.maximum(np.abs(x).max(axis=0, initial=0.0), 1e-300)
    unit = max(float(np.abs(y).max(initial=0.0)), 1e-300)
    scaled, target, w = x / size, y / unit, weights / np.max(weights)
    bounds = np.column_stack([-w, w])  # maximise y'd with x'd = 0 and |d| <= w: the multipliers are the coefficients
    found = linprog(-target, A_eq=scaled.T, b_eq=np.zeros(x.shape[1]), bounds=bounds, options={"time_limit": 20.0})
    if found.status == 0:
        b = -np.asarray(found.eqlin.marginals)
        tight = np.argsort(np.abs(target - scaled @ b))[: x.shape[1]]  # the solution goes through p responses: exactly
        try:
            exact = np.linalg.solve(scaled[tight], target[tight])
        except np.linalg.LinAlgError:
            exact = b
        cost = lambda v: float(w @ np.abs(target - scaled @ v))
        b = exact if cost(exact) <= cost(b) else b
    else:
        root = np.sqrt(w)
        b = np.linalg.lstsq(scaled * root[:, None], target * root, rcond=1e-10)[0]
    return b * unit / size


def unchanging(y: np.ndarray, limit: str) -> str | None:
    """Why a density has no maximum where all responses are equal: `limit` says what happens."""
    if (y == y[0]).all():
        return f"all {len(y):,} responses are {float(y[0]):g}: the likelihood grows without limit as {limit}"
    return None

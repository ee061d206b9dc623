"""Covariances of the estimates from the compiled objective, on the scale of the solver's vector `z`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..objective.objective import Objective
from ..solve.quadratic import factor, inverse_of_lower
from .directions import Direction


def observed(hessian: np.ndarray, withheld: Sequence[Direction] = ()) -> np.ndarray:
    """The inverse of the observed information, the withheld directions taken out.

    Without withheld directions this is H⁻¹. With them it is N (NᵀHN)⁻¹ Nᵀ, N spanning the rest: right for every
    coordinate that takes no part in a withheld direction, and without meaning for the others, which callers set to NaN.
    """
    metric = np.sqrt(np.abs(np.diag(hessian)))
    metric = np.where(metric > 0, metric, 1.0)
    scaled = hessian / np.outer(metric, metric)
    if not withheld:
        return _inverse(scaled) / np.outer(metric, metric)
    rest = complement([d.vector for d in withheld], metric)
    return rest @ _inverse(rest.T @ scaled @ rest) @ rest.T / np.outer(metric, metric)


def carried(jacobian: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """J V Jᵀ, the covariance of functions of what has the covariance V; most often each is of one parameter alone."""
    diagonal = np.diagonal(jacobian)
    if jacobian.shape == covariance.shape and np.count_nonzero(jacobian) == np.count_nonzero(diagonal):
        return diagonal[:, None] * covariance * diagonal
    return jacobian @ covariance @ jacobian.T


def complement(vectors: Sequence[np.ndarray], metric: np.ndarray) -> np.ndarray:
    """An orthonormal basis, in the variables scaled by `metric`, of all that is orthogonal to `vectors`."""
    if not len(vectors):
        return np.eye(len(metric))
    away = np.stack([v * metric for v in vectors], axis=1)
    u, s, _ = np.linalg.svd(away / np.linalg.norm(away, axis=0), full_matrices=True)
    return u[:, int((s > 1e-9).sum()) :]


def _inverse(a: np.ndarray) -> np.ndarray:
    """The inverse of a positive definite matrix, NaN where it is not one."""
    if not a.size:
        return np.zeros_like(a)
    if (lower := factor(a)) is None:
        return np.full_like(a, np.nan)
    inverse = inverse_of_lower(lower)
    return inverse.T @ inverse


def outer_product(objective: Objective, z: np.ndarray) -> np.ndarray:
    """Σ w s sᵀ at `z`: the information by the outer product of the scores (Berndt et al., 1974)."""
    return objective.evaluate(z, "opg", penalised=False).matrix


def contributions(objective: Objective, z: np.ndarray) -> np.ndarray:
    """What each unit adds to the score, its weight in it, shape (units, size)."""
    return objective.scores(z) * objective.weights()[:, None]


def meat(objective: Objective, z: np.ndarray, squared_weights: bool) -> np.ndarray:
    """Σ s sᵀ of what each independent unit contributes: the middle of a sandwich (White, 1982).

    `squared_weights` says that a weight multiplies a unit's contribution (sampling weights) and does not count copies
    of it (frequencies).
    """
    if not squared_weights:
        return outer_product(objective, z)
    s = contributions(objective, z)
    return s.T @ s


def clustered(each: np.ndarray, clusters: np.ndarray) -> np.ndarray:
    """Σ s sᵀ of the contributions `each`, first summed in clusters (codes from zero, one per unit; Liang and Zeger, 1986)."""
    sums = np.zeros((clusters.max() + 1, each.shape[1]))
    np.add.at(sums, clusters, each)
    return sums.T @ sums


def crossed(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The clusters of units that share both of two clusters, as codes from zero."""
    return np.unique(np.stack([first, second], axis=1), axis=0, return_inverse=True)[1].reshape(-1)


def bartlett(each: np.ndarray, lags: int) -> np.ndarray:
    """Σ of s_t s_uᵀ, each pair weighted by 1 − |t − u|/(lags + 1), of contributions in the order of time.

    Newey and West (1987), Econometrica 55, 703-708.
    """
    total = each.T @ each
    for lag in range(1, lags + 1):
        product = each[lag:].T @ each[:-lag]
        total += (1 - lag / (lags + 1)) * (product + product.T)
    return total

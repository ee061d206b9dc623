"""Covariances of the estimates from the compiled objective, on the scale of the solver's vector `z`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..objective.objective import Objective
from .directions import Direction


def observed(hessian: np.ndarray, withheld: Sequence[Direction] = ()) -> np.ndarray:
    """The inverse of the observed information, the withheld directions taken out.

    Without withheld directions this is H⁻¹. With them it is N (NᵀHN)⁻¹ Nᵀ, N spanning the rest: right for every
    coordinate that takes no part in a withheld direction, and without meaning for the others, which callers set to NaN.
    """
    metric = np.sqrt(np.abs(np.diag(hessian)))
    metric = np.where(metric > 0, metric, 1.0)
    scaled = hessian / np.outer(metric, metric)
    rest = complement([d.vector for d in withheld], metric)
    return rest @ _inverse(rest.T @ scaled @ rest) @ rest.T / np.outer(metric, metric)


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
    try:
        factor = np.linalg.inv(np.linalg.cholesky(a))
    except np.linalg.LinAlgError:
        return np.full_like(a, np.nan)
    return factor.T @ factor


def outer_product(objective: Objective, z: np.ndarray) -> np.ndarray:
    """Σ w s sᵀ at `z`: the information by the outer product of the scores (Berndt et al., 1974)."""
    return objective.evaluate(z, "opg", penalised=False).matrix


def meat(objective: Objective, z: np.ndarray, squared_weights: bool, clusters: np.ndarray | None = None) -> np.ndarray:
    """Σ s sᵀ of what each independent unit contributes: the middle of a sandwich (White, 1982; Liang and Zeger, 1986).

    `squared_weights` says that a weight multiplies a unit's contribution (sampling weights) and does not count copies
    of it (frequencies). With `clusters` (codes from zero, one per unit) contributions are first summed in clusters.
    """
    if clusters is None and not squared_weights:
        return outer_product(objective, z)
    scores, w = objective.scores(z), objective.weights()
    if clusters is None:
        s = scores * w[:, None]
        return s.T @ s
    sums = np.zeros((clusters.max() + 1, scores.shape[1]))
    np.add.at(sums, clusters, scores * w[:, None])
    return sums.T @ sums

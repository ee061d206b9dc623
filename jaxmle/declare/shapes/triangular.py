"""Components of any orientation whose matrices are equal, equal up to their volume, of one volume, or free."""

from __future__ import annotations

import numpy as np

from .frames import Triangular
from .shape import ROUNDS, Shape, one_for_all, settled, volumes


class EEE(Shape):
    """One matrix for all: the clusters of linear discriminant analysis."""

    name, words, frame = "EEE", "equal ellipsoids", Triangular()

    def maximise(self, n: np.ndarray, scatter: np.ndarray) -> np.ndarray:
        return one_for_all(scatter.sum(axis=0) / n.sum(), len(n))


class VEE(Shape):
    """λ_k C: volumes and the common matrix in turn."""

    name, words, frame = "VEE", "ellipsoids of varying volume, equal shape and orientation", Triangular()

    def maximise(self, n: np.ndarray, scatter: np.ndarray) -> np.ndarray:
        d = scatter.shape[1]
        common, size = scatter.sum(axis=0) / n.sum(), np.ones(len(n))
        for _ in range(ROUNDS):
            new = np.einsum("kij,ji->k", scatter, np.linalg.inv(common)) / (d * n)
            common = np.einsum("kij,k->ij", scatter, 1 / new) / n.sum()
            unit = volumes(common[None])[0]
            common, new = common / unit, new * unit
            if settled(new, size):
                break
            size = new
        return new[:, None, None] * common


class EVV(Shape):
    """λ C_k, all C_k of determinant one."""

    name, words, frame = "EVV", "ellipsoids of equal volume, varying shape and orientation", Triangular()

    def maximise(self, n: np.ndarray, scatter: np.ndarray) -> np.ndarray:
        roots = volumes(scatter)
        return roots.sum() / n.sum() * scatter / roots[:, None, None]


class VVV(Shape):
    """A free matrix for each."""

    name, words, frame = "VVV", "free ellipsoids", Triangular()

    def maximise(self, n: np.ndarray, scatter: np.ndarray) -> np.ndarray:
        return scatter / n[:, None, None]

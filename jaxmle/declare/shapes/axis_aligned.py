"""Components whose axes are those of the coordinates: spheres, and ellipsoids along the axes."""

from __future__ import annotations

import numpy as np

from .shape import ROUNDS, Shape, of_diagonals, one_for_all, settled


def _diagonals(scatter: np.ndarray) -> np.ndarray:
    return np.diagonal(scatter, axis1=1, axis2=2)


def _geometric_mean(x: np.ndarray) -> np.ndarray:
    """Over the last axis."""
    with np.errstate(divide="ignore"):
        return np.exp(np.mean(np.log(x), axis=-1))


class EII(Shape):
    """λ I."""

    name, words = "EII", "spheres of equal volume"

    def maximise(self, n: np.ndarray, scatter: np.ndarray) -> np.ndarray:
        k, d, _ = scatter.shape
        return one_for_all(_diagonals(scatter).sum() / (n.sum() * d) * np.eye(d), k)


class VII(Shape):
    """λ_k I."""

    name, words = "VII", "spheres of varying volume"

    def maximise(self, n: np.ndarray, scatter: np.ndarray) -> np.ndarray:
        d = scatter.shape[1]
        return of_diagonals(np.repeat((_diagonals(scatter).sum(axis=1) / (n * d))[:, None], d, axis=1))


class EEI(Shape):
    """λ A, A diagonal."""

    name, words = "EEI", "equal ellipsoids along the axes"

    def maximise(self, n: np.ndarray, scatter: np.ndarray) -> np.ndarray:
        return one_for_all(np.diag(_diagonals(scatter).sum(axis=0) / n.sum()), len(n))


class VEI(Shape):
    """λ_k A, A diagonal: volumes and shape in turn."""

    name, words = "VEI", "ellipsoids along the axes, of varying volume and equal shape"

    def maximise(self, n: np.ndarray, scatter: np.ndarray) -> np.ndarray:
        return of_diagonals(volumes_and_shape(n, _diagonals(scatter)))


class EVI(Shape):
    """λ A_k, A_k diagonal."""

    name, words = "EVI", "ellipsoids along the axes, of equal volume and varying shape"

    def maximise(self, n: np.ndarray, scatter: np.ndarray) -> np.ndarray:
        return of_diagonals(shapes_of_one_volume(n, _diagonals(scatter)))


class VVI(Shape):
    """λ_k A_k, A_k diagonal."""

    name, words = "VVI", "ellipsoids along the axes, of varying volume and shape"

    def maximise(self, n: np.ndarray, scatter: np.ndarray) -> np.ndarray:
        return of_diagonals(_diagonals(scatter) / n[:, None])


def volumes_and_shape(n: np.ndarray, sums: np.ndarray) -> np.ndarray:
    """Variances (k, d), λ_k times one shape, from the sums of squares along the axes (k, d)."""
    d = sums.shape[1]
    shape, size = sums.sum(axis=0) / n.sum(), np.ones(len(n))
    for _ in range(ROUNDS):
        new = (sums / shape).mean(axis=1) / n
        shape = (sums / new[:, None]).sum(axis=0) / n.sum()
        unit = _geometric_mean(shape)
        shape, new = shape / unit, new * unit
        if settled(new, size):
            break
        size = new
    assert shape.shape == (d,)
    return new[:, None] * shape


def shapes_of_one_volume(n: np.ndarray, sums: np.ndarray) -> np.ndarray:
    """Variances (k, d), one λ times a shape of each, from the sums of squares along the axes (k, d)."""
    roots = _geometric_mean(sums)
    return roots.sum() / n.sum() * sums / roots[:, None]

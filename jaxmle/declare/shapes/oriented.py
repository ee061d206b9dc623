"""Components that share their principal axes, or the variances along them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .axis_aligned import shapes_of_one_volume, volumes_and_shape
from .frames import Rotation
from .shape import ROUNDS, Shape, settled


class EVE(Shape):
    """λ D A_k Dᵀ."""

    name, words, frame = "EVE", "ellipsoids of equal volume and orientation, varying shape", Rotation()

    def maximise(self, n: np.ndarray, scatter: np.ndarray) -> np.ndarray:
        return common_axes(scatter, lambda sums: shapes_of_one_volume(n, sums))


class VVE(Shape):
    """λ_k D A_k Dᵀ: common principal components (Flury, 1984)."""

    name, words, frame = "VVE", "ellipsoids of equal orientation, varying volume and shape", Rotation()

    def maximise(self, n: np.ndarray, scatter: np.ndarray) -> np.ndarray:
        return common_axes(scatter, lambda sums: sums / n[:, None])


class EEV(Shape):
    """λ D_k A D_kᵀ."""

    name, words, frame = "EEV", "ellipsoids of equal volume and shape, varying orientation", Rotation()

    def maximise(self, n: np.ndarray, scatter: np.ndarray) -> np.ndarray:
        sums, axes = np.linalg.eigh(scatter)
        variances = np.broadcast_to(sums.sum(axis=0) / n.sum(), sums.shape)
        return _along(np.asarray(axes), variances)


class VEV(Shape):
    """λ_k D_k A D_kᵀ."""

    name, words, frame = "VEV", "ellipsoids of equal shape, varying volume and orientation", Rotation()

    def maximise(self, n: np.ndarray, scatter: np.ndarray) -> np.ndarray:
        sums, axes = np.linalg.eigh(scatter)
        return _along(axes, volumes_and_shape(n, sums))


def _along(axes: np.ndarray, variances: np.ndarray) -> np.ndarray:
    return (axes * variances[:, None, :]) @ np.swapaxes(axes, -1, -2)


def common_axes(scatter: np.ndarray, best: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """The matrices D diag(v_k) Dᵀ that are most likely; `best` gives v (k, d) from the sums of squares along the axes.

    In turn the variances, and for every two axes the rotation in their plane that is best with these: what is
    minimised, Σ_k tr(D diag(1/v_k) Dᵀ W_k), is there a quadratic form in one axis. So it falls with every step, as with
    the algorithm of Flury and Gautschi (1986, SIAM Journal on Scientific and Statistical Computing 7, 169-184).
    """
    k, d, _ = scatter.shape
    sizes = np.trace(scatter, axis1=1, axis2=2)
    axes = np.linalg.eigh(np.einsum("kij,k->ij", scatter, 1 / sizes))[1]
    variances = np.zeros((k, d))
    for _ in range(ROUNDS):
        sums = np.einsum("ji,kjl,li->ki", axes, scatter, axes)
        new = best(sums)
        if settled(new, variances):
            break
        variances = new
        for i in range(d):
            for j in range(i + 1, d):
                plane = axes[:, [i, j]]
                within = np.swapaxes(plane, 0, 1) @ scatter @ plane
                form = np.einsum("k,kab->ab", 1 / variances[:, i] - 1 / variances[:, j], within)
                turn = np.linalg.eigh(form)[1]
                turn = turn * np.where(np.diag(turn) < 0, -1.0, 1.0) if abs(turn[0, 0]) >= abs(turn[0, 1]) else turn
                axes = axes.copy()
                axes[:, [i, j]] = plane @ turn
    return _along(np.broadcast_to(axes, scatter.shape), new)

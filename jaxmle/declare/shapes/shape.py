"""What a covariance shape is: Σ_k = F_k diag(v_k) F_kᵀ, with variances v and a frame F shared as its letters say.

Three letters, as in mclust: of volume, shape and orientation, each E (equal in all components), V (varying) or I (the
identity: spheres, or axes along the coordinates).

Banfield and Raftery (1993), Model-based Gaussian and non-Gaussian clustering, Biometrics 49, 803-821; Celeux and
Govaert (1995), Gaussian parsimonious clustering models, Pattern Recognition 28, 781-793; Scrucca, Fop, Murphy and
Raftery (2016), mclust 5, The R Journal 8, 289-317.
"""

from __future__ import annotations

import abc
from functools import cache
from typing import ClassVar

import jax.numpy as jnp
import numpy as np
from jax import Array

from .frames import Frame, Upright

ROUNDS = 200
"""Rounds of an iterated M-step at most."""

SETTLED = 1e-13
"""A relative change of the variances at which such an iteration ends."""


class Shape(abc.ABC):
    """The covariance matrices of k components in d dimensions: free values, and the M-step.

    To add one, write a class with a `name`, a `frame` and `maximise`, and list it in the catalogue.
    """

    name: ClassVar[str]
    """Three letters: volume, shape, orientation."""

    frame: ClassVar[Frame] = Upright()

    words: ClassVar[str]
    """What the components look like."""

    @property
    def shared(self) -> bool:
        """Whether all components have one frame."""
        return self.name[2] != "V"

    def size(self, k: int, d: int) -> int:
        """The number of free values."""
        frames = 1 if self.shared else k
        return variance_basis(self.name[:2], k, d).shape[1] + frames * self.frame.size(d)

    def to_covariances(self, u: Array, k: int, d: int) -> Array:
        """The matrices (k, d, d) of free values `u` (size,)."""
        basis = variance_basis(self.name[:2], k, d)
        logs = jnp.matmul(jnp.asarray(basis, u.dtype), u[: basis.shape[1]], precision="highest")
        variances = jnp.exp(logs).reshape(k, d)
        frames = 1 if self.shared else k
        frame = jnp.broadcast_to(self.frame.matrices(u[basis.shape[1] :].reshape(frames, -1), d), (k, d, d))
        return jnp.einsum("kij,kj,klj->kil", frame, variances, frame, precision="highest")

    def to_free(self, covariances: Array) -> Array:
        """The free values (size,) of matrices (k, d, d) of this shape."""
        k, d, _ = covariances.shape
        frames, variances = self.frame.taken_from(covariances, self.shared)
        basis = variance_basis(self.name[:2], k, d)
        back = jnp.asarray(np.linalg.pinv(basis), covariances.dtype)
        logs = jnp.matmul(back, jnp.log(variances).reshape(-1), precision="highest")
        return jnp.concatenate([logs, frames.reshape(-1)])

    def holds(self, covariances: np.ndarray, tolerance: float) -> bool:
        """Whether matrices (k, d, d), positive definite, are of this shape: then they are their own M-step."""
        d = covariances.shape[-1]
        best = self.maximise(np.ones(len(covariances)), covariances)
        scale = np.sqrt(np.diagonal(covariances, axis1=1, axis2=2))
        return bool((np.abs(best - covariances) <= d * tolerance * scale[:, :, None] * scale[:, None, :]).all())

    @abc.abstractmethod
    def maximise(self, n: np.ndarray, scatter: np.ndarray) -> np.ndarray:
        """The M-step: the matrices (k, d, d) of this shape that maximise the expected log-likelihood.

        Arguments:
            n: what belongs to each component, Σ weight · responsibility (k,).
            scatter: Σ weight · responsibility · (y − mean)(y − mean)ᵀ (k, d, d).
        """


@cache
def variance_basis(letters: str, k: int, d: int) -> np.ndarray:
    """The matrix (k·d, m) whose product with m free values are the logarithms of the variances by component.

    `letters` are of volume and shape: the product of a component's variances, and their ratios.
    """
    components, axes = np.eye(k), np.eye(d)
    if letters == "EI":
        return np.ones((k * d, 1))
    if letters == "VI":
        return np.kron(components, np.ones((d, 1)))
    if letters == "EE":
        return np.kron(np.ones((k, 1)), axes)
    if letters == "VE":
        return np.hstack([np.kron(np.ones((k, 1)), axes), np.kron(components[:, 1:], np.ones((d, 1)))])
    everything = np.eye(k * d)
    if letters == "VV":
        return everything
    out = np.delete(everything, np.arange(2 * d - 1, k * d, d), axis=1)  # EV: the last variance of all but the first
    for i in range(1, k):
        last = i * d + d - 1
        out[last, :d] = 1.0
        first = d + (i - 1) * (d - 1)
        out[last, first : first + d - 1] = -1.0
    return out


def volumes(matrices: np.ndarray) -> np.ndarray:
    """The d-th roots of determinants, of matrices (k, d, d) that are positive definite; 0 where one is not."""
    sign, log = np.linalg.slogdet(matrices)
    return np.where(sign > 0, np.exp(log / matrices.shape[-1]), 0.0)


def of_diagonals(variances: np.ndarray) -> np.ndarray:
    """Diagonal matrices (k, d, d)."""
    return variances[..., None] * np.eye(variances.shape[-1])


def one_for_all(matrix: np.ndarray, k: int) -> np.ndarray:
    """The same matrix k times."""
    return np.repeat(matrix[None], k, axis=0)


def settled(new: np.ndarray, old: np.ndarray) -> bool:
    """Whether the variances of an iteration change no more."""
    return bool(np.all(np.abs(new - old) <= SETTLED * np.abs(new)))

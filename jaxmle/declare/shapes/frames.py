"""The frames of covariance matrices: none, a unit lower triangle, or a rotation; each by free real numbers."""

from __future__ import annotations

import abc

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array


class Frame(abc.ABC):
    """Matrices F with Σ = F diag(v) Fᵀ, smooth functions of free values."""

    @abc.abstractmethod
    def size(self, d: int) -> int:
        """The number of free values of one."""

    @abc.abstractmethod
    def matrices(self, u: Array, d: int) -> Array:
        """The frames (m, d, d) of free values (m, size)."""

    @abc.abstractmethod
    def taken_from(self, covariances: Array, shared: bool) -> tuple[Array, Array]:
        """The free values of the frames, (1, size) or (k, size), and the variances (k, d), of matrices (k, d, d)."""


class Upright(Frame):
    """No frame: the axes are those of the coordinates."""

    def size(self, d: int) -> int:
        return 0

    def matrices(self, u: Array, d: int) -> Array:
        return jnp.eye(d, dtype=u.dtype)[None]

    def taken_from(self, covariances: Array, shared: bool) -> tuple[Array, Array]:
        return jnp.zeros((1, 0), covariances.dtype), jnp.diagonal(covariances, axis1=1, axis2=2)


class Triangular(Frame):
    """A lower triangle with ones on the diagonal, as in Cholesky's decomposition: its entries are free."""

    def size(self, d: int) -> int:
        return d * (d - 1) // 2

    def matrices(self, u: Array, d: int) -> Array:
        i, j = np.tril_indices(d, -1)
        eye = jnp.broadcast_to(jnp.eye(d, dtype=u.dtype), (len(u), d, d))
        return eye.at[:, i, j].set(u)

    def taken_from(self, covariances: Array, shared: bool) -> tuple[Array, Array]:
        lower = jnp.linalg.cholesky(covariances)
        diagonal = jnp.diagonal(lower, axis1=1, axis2=2)
        i, j = np.tril_indices(covariances.shape[-1], -1)
        values = (lower / diagonal[:, None, :])[:, i, j]
        return (values[:1] if shared else values), diagonal**2


class Rotation(Frame):
    """Principal axes by Cayley's transform (I − S)(I + S)⁻¹, S skew-symmetric with free entries.

    It reaches every rotation without a half turn; an axis may point either way, and is made to point so that there is
    none (as in Ballard et al., 2015, Reconstructing Householder vectors from TSQR, section III).
    """

    def size(self, d: int) -> int:
        return d * (d - 1) // 2

    def matrices(self, u: Array, d: int) -> Array:
        i, j = np.tril_indices(d, -1)
        lower = jnp.zeros((len(u), d, d), u.dtype).at[:, i, j].set(u)
        skew, eye = lower - jnp.swapaxes(lower, 1, 2), jnp.eye(d, dtype=u.dtype)
        return jnp.linalg.solve(eye + skew, eye - skew)

    def taken_from(self, covariances: Array, shared: bool) -> tuple[Array, Array]:
        k, d, _ = covariances.shape
        if shared:  # axes of all: of a mean in which no two variances are equal by the symmetry of its weights
            share = jnp.asarray(1.0 + 0.37 * np.cos(1.0 + np.arange(k)))
            sizes = jnp.trace(covariances, axis1=1, axis2=2)
            frames = jnp.linalg.eigh(jnp.einsum("k,kij->ij", share / sizes, covariances))[1][None]
        else:
            frames = jnp.linalg.eigh(covariances)[1]
        each = jnp.broadcast_to(frames, (k, d, d))
        variances = jnp.einsum("kji,kjl,kli->ki", each, covariances, each)
        turned = jax.vmap(_without_half_turn)(frames)
        eye = jnp.eye(d, dtype=covariances.dtype)
        skew = jnp.swapaxes(jnp.linalg.solve(jnp.swapaxes(eye + turned, 1, 2), jnp.swapaxes(eye - turned, 1, 2)), 1, 2)
        i, j = np.tril_indices(d, -1)
        return skew[:, i, j], variances


def _without_half_turn(q: Array) -> Array:
    """The columns of an orthogonal matrix (d, d), some with the other sign, so that I + Q is far from singular.

    Gaussian elimination of Q + diag(s), every sign chosen as that of the pivot: all are one at least in size.
    """
    d = q.shape[0]
    rest, signs = q, []
    for j in range(d):
        sign = jnp.where(rest[j, j] < 0, -1.0, 1.0)
        signs.append(sign)
        pivot = rest[j, j] + sign
        rest = rest - jnp.outer(rest[:, j], rest[j]) / pivot
    return q * jnp.stack(signs)

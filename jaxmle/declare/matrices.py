"""Domains of several numbers that hang together: shares, ordered numbers, correlation and covariance matrices."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from .domains import ArrayDomain, Bounds, bracket, count
from .links import LINKS, Link

TOLERANCE = 1e-6
"""How far from exact (a sum of one, symmetry, a unit diagonal) a given value may be; the rest is taken off."""


@dataclass(frozen=True)
class _Several(ArrayDomain):
    """A core value of `k` numbers, or of k × k."""

    k: int

    least: ClassVar[int] = 1

    def __post_init__(self) -> None:
        self._set("k", count(self.k, self.least, type(self).__name__, "k"))
        super().__post_init__()

    @property
    def core_shape(self) -> tuple[int, ...]:
        return (self.k,)


@dataclass(frozen=True)
class Simplex(_Several):
    """k positive shares that sum to one, by the inverse isometric log-ratio transform.

    The softmax of V u, the columns of V an orthonormal basis of the vectors that sum to zero: k - 1 free values, all
    shares alike at u = 0 (Egozcue et al., 2003, Mathematical Geology 35, 279-300).
    """

    least: ClassVar[int] = 2
    place: ClassVar[str] = "row"

    @property
    def core_free(self) -> tuple[int, ...]:
        return (self.k - 1,)

    def _basis(self) -> np.ndarray:
        """Helmert's contrasts, k × (k - 1)."""
        j = np.arange(1, self.k)
        i = np.arange(self.k)[:, None]
        return np.where(i < j, 1.0, np.where(i == j, -1.0 * j, 0.0)) / np.sqrt(j * (j + 1.0))

    def to_natural(self, u: Array) -> Array:
        basis = jnp.asarray(self._basis(), u.dtype)
        return jax.nn.softmax(jnp.matmul(u, basis.T, precision="highest"), axis=-1)

    def to_free(self, theta: Array) -> Array:
        basis = jnp.asarray(self._basis(), theta.dtype)
        return jnp.matmul(jnp.log(theta), basis, precision="highest")

    def core_default(self) -> np.ndarray:
        return np.full(self.k, 1.0 / self.k)

    def core_links(self) -> tuple[Link, ...]:
        return (LINKS["logit"],) * self.k

    def core_bounds(self) -> Bounds:
        return ((0.0, 1.0),) * self.k

    def core_words(self) -> str:
        return f"{self.k} positive shares that sum to one"

    def fault(self, theta: np.ndarray) -> tuple[tuple[int, ...], str] | None:
        bad = np.argwhere(theta <= 0)
        if len(bad):
            return tuple(bad[0]), f"is {float(theta[tuple(bad[0])])!r}"
        total = theta.sum(axis=-1)
        for at in np.argwhere(np.abs(total - 1) > TOLERANCE):
            return tuple(at), f"sums to {float(total[tuple(at)])!r}"
        return None

    def tidy(self, theta: np.ndarray) -> np.ndarray:
        return theta / theta.sum(axis=-1, keepdims=True)


@dataclass(frozen=True)
class Ordered(_Several):
    """k increasing numbers: the first is free, and so are the logarithms of the gaps."""

    place: ClassVar[str] = "row"

    @property
    def core_free(self) -> tuple[int, ...]:
        return (self.k,)

    def to_natural(self, u: Array) -> Array:
        return jnp.cumsum(jnp.concatenate([u[..., :1], jnp.exp(u[..., 1:])], axis=-1), axis=-1)

    def to_free(self, theta: Array) -> Array:
        return jnp.concatenate([theta[..., :1], jnp.log(jnp.diff(theta, axis=-1))], axis=-1)

    def core_default(self) -> np.ndarray:
        return np.arange(self.k) - (self.k - 1) / 2

    def core_links(self) -> tuple[Link, ...]:
        return (LINKS["identity"],) * self.k

    def core_bounds(self) -> Bounds:
        return ((-math.inf, math.inf),) * self.k

    def core_words(self) -> str:
        return f"{self.k} strictly increasing numbers" if self.k > 1 else "1 finite number"

    def fault(self, theta: np.ndarray) -> tuple[tuple[int, ...], str] | None:
        for at in np.argwhere(np.diff(theta, axis=-1) <= 0):
            before, after = tuple(at), (*at[:-1], at[-1] + 1)
            what = f"is {float(theta[after])!r}, not above element {bracket(before)}, which is {float(theta[before])!r}"
            return after, what
        return None


@dataclass(frozen=True)
class _Matrix(_Several):
    """A symmetric k × k core value, built from a lower triangle L as L Lᵀ and reported by its upper triangle.

    The unconstrained values stand in the order of the reported entries: entry (i, j), i <= j, belongs to L[j, i].
    """

    place: ClassVar[str] = "matrix"
    offset: ClassVar[int] = 0
    """0: the diagonal is reported too; 1: it is not."""

    @property
    def core_shape(self) -> tuple[int, ...]:
        return (self.k, self.k)

    @property
    def core_free(self) -> tuple[int, ...]:
        return (len(self._upper()[0]),)

    def _upper(self) -> tuple[np.ndarray, np.ndarray]:
        """The rows and columns of the reported entries."""
        return np.triu_indices(self.k, self.offset)

    def core_entries(self) -> list[tuple[int, ...]]:
        return [(int(i), int(j)) for i, j in zip(*self._upper())]

    def core_default(self) -> np.ndarray:
        return np.eye(self.k)

    def _lower_triangle(self, values: Array) -> Array:
        """The values (..., m) of the reported order in the lower triangles (..., k, k), zeros elsewhere."""
        i, j = self._upper()
        return jnp.zeros((*values.shape[:-1], self.k, self.k), values.dtype).at[..., j, i].set(values)

    def fault(self, theta: np.ndarray) -> tuple[tuple[int, ...], str] | None:
        faults = (self._matrix_fault(theta, at) for at in np.ndindex(*theta.shape[:-2]))
        return next((found for found in faults if found is not None), None)

    def _matrix_fault(self, theta: np.ndarray, at: tuple[int, ...]) -> tuple[tuple[int, ...], str] | None:
        """The first thing wrong with the matrix at `at`: the diagonal, the symmetry, the definiteness."""
        matrix = theta[at]
        diagonal = np.diag(matrix)
        for i in np.flatnonzero(self._bad_diagonal(diagonal)):
            return (*at, int(i), int(i)), f"is {float(diagonal[i])!r}"
        scale = np.sqrt(diagonal)
        scaled = matrix / scale[:, None] / scale
        for i, j in np.argwhere(np.abs(scaled - scaled.T) > TOLERANCE):
            mirror = f"element {bracket((*at, j, i))} is {float(matrix[j, i])!r}"
            return (*at, i, j), f"is {float(matrix[i, j])!r} but {mirror}"
        for i, j in np.argwhere(np.triu(np.abs(scaled) >= 1, 1)):
            return (*at, i, j), f"is {float(matrix[i, j])!r}, a correlation of {float(scaled[i, j])!r}"
        smallest = float(np.linalg.eigvalsh((scaled + scaled.T) / 2)[0])
        if smallest < self.k * np.finfo(float).eps:
            return at, f"is not positive definite (its correlations have the smallest eigenvalue {smallest:.3g})"
        return None

    def _bad_diagonal(self, diagonal: np.ndarray) -> np.ndarray:
        return diagonal <= 0

    def tidy(self, theta: np.ndarray) -> np.ndarray:
        return (theta + np.swapaxes(theta, -1, -2)) / 2


def _outer_square(lower: Array) -> Array:
    return jnp.matmul(lower, jnp.swapaxes(lower, -1, -2), precision="highest")


@dataclass(frozen=True)
class Correlation(_Matrix):
    """A k × k correlation matrix, by hyperbolic tangents of its canonical partial correlations.

    L[j, i] = tanh(u_ij) ∏_{m<i} sech(u_mj) and L[j, j] = ∏_{m<j} sech(u_mj), so that every row of L has length one
    (Lewandowski, Kurowicka & Joe, 2009, Journal of Multivariate Analysis 100, 1989-2001). For k = 2, r = tanh(u).
    """

    least: ClassVar[int] = 2
    offset: ClassVar[int] = 1

    def to_natural(self, u: Array) -> Array:
        free = self._lower_triangle(u)
        # log sech in a form whose derivatives are right at zero and in both tails
        log_sech = jnp.tril(math.log(2.0) - free - jax.nn.softplus(-2.0 * free), -1)
        left = jnp.exp(jnp.cumsum(log_sech, axis=-1) - log_sech)
        eye = jnp.eye(self.k, dtype=u.dtype)
        return jnp.where(eye > 0, 1.0, _outer_square((jnp.tanh(free) + eye) * jnp.tril(left)))

    def to_free(self, theta: Array) -> Array:
        lower = jnp.linalg.cholesky(theta)
        i, j = self._upper()
        # sinh(u) is the entry over the length of what stands right of it in its row: nothing cancels
        right = jnp.cumsum(jnp.square(lower)[..., ::-1], axis=-1)[..., ::-1]
        return jnp.arcsinh(lower[..., j, i] / jnp.sqrt(right[..., j, i + 1]))

    def core_links(self) -> tuple[Link, ...]:
        return (LINKS["atanh"],) * len(self._upper()[0])

    def core_bounds(self) -> Bounds:
        return ((-1.0, 1.0),) * len(self._upper()[0])

    def core_words(self) -> str:
        return f"a {self.k}×{self.k} correlation matrix (symmetric, ones on the diagonal, positive definite)"

    def _bad_diagonal(self, diagonal: np.ndarray) -> np.ndarray:
        return np.abs(diagonal - 1) > TOLERANCE

    def tidy(self, theta: np.ndarray) -> np.ndarray:
        return np.where(np.eye(self.k) > 0, 1.0, super().tidy(theta))


@dataclass(frozen=True)
class Covariance(_Matrix):
    """A k × k covariance matrix, by its Cholesky factor with the logarithm of the diagonal.

    Pinheiro & Bates (1996, Statistics and Computing 6, 289-296), the log-Cholesky parametrisation.
    """

    def to_natural(self, u: Array) -> Array:
        on_diagonal = np.equal(*self._upper())
        # exp never sees an entry off the diagonal: an overflow there would turn into NaN derivatives
        values = jnp.where(on_diagonal, jnp.exp(jnp.where(on_diagonal, u, 0.0)), u)
        return _outer_square(self._lower_triangle(values))

    def to_free(self, theta: Array) -> Array:
        i, j = self._upper()
        values = jnp.linalg.cholesky(theta)[..., j, i]
        return jnp.where(i == j, jnp.log(jnp.where(i == j, values, 1.0)), values)

    def core_links(self) -> tuple[Link, ...]:
        return tuple(LINKS["log"] if i == j else LINKS["identity"] for i, j in self.core_entries())

    def core_bounds(self) -> Bounds:
        return tuple((0.0 if i == j else -math.inf, math.inf) for i, j in self.core_entries())

    def core_words(self) -> str:
        return f"a {self.k}×{self.k} covariance matrix (symmetric, positive definite)"

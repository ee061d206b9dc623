"""Mixtures of normal distributions as log-linear forms: log π_k + log f_k(y) = c_k · m(y), m the monomials of degree two.

Values, moments and curvatures are then products of matrices, whatever the covariance matrices have in common: one read
of the data gives Σ w r_k m (what an M-step and a gradient are made of), another Σ w r_k (δ_kl − r_l) m mᵀ, from the
distinct products of two monomials. What the coefficients c are of the parameters is a small function without data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.linalg import solve_triangular

from .. import runtime
from .layout import Layout
from .passes import sum_chunks

PRODUCTS_AT_ONCE = 1024
"""Products of two monomials that a chunk forms at a time: more of them leave a core's cache."""

LOG_2PI = float(np.log(2 * np.pi))


@dataclass(frozen=True)
class Monomials:
    """The monomials of responses in the columns `names`: 1, y_i, and y_i y_j, or y_i² alone where `upright`."""

    names: tuple[str, ...]
    upright: bool = False

    dtype = jnp.float64
    """What chunks are computed with."""

    @cached_property
    def pairs(self) -> np.ndarray:
        """Each monomial as a product of two among (1, y), shape (q, 2)."""
        d = len(self.names)
        if self.upright:
            return np.array([(0, i) for i in range(d + 1)] + [(i, i) for i in range(1, d + 1)])
        return np.stack(np.triu_indices(d + 1), axis=1)

    @cached_property
    def products(self) -> tuple[np.ndarray, np.ndarray]:
        """The distinct products of two monomials: the numbers of two whose product it is (n, 2), and its number (q, q)."""
        q = len(self.pairs)
        known: dict[tuple[int, ...], int] = {}
        of, number = [], np.empty((q, q), int)
        for a in range(q):
            for b in range(q):
                powers = tuple(sorted((*self.pairs[a].tolist(), *self.pairs[b].tolist())))
                if powers not in known:
                    known[powers] = len(of)
                    of.append((a, b))
                number[a, b] = known[powers]
        return np.array(of), number

    def of_chunk(self, chunk: Mapping[str, Any], centre: Array, whiten: Array) -> Array:
        """The monomials of whiten · (y − centre), shape (q, rows)."""
        y = jnp.stack([chunk["columns"][name].astype(jnp.float64) for name in self.names]) - centre[:, None]
        y = whiten[:, None] * y if self.upright else whiten @ y
        extended = jnp.concatenate([jnp.ones((1, y.shape[1])), y])
        return extended[self.pairs[:, 0]] * extended[self.pairs[:, 1]]

    def coefficients(self, p: Mapping[str, Any], centre: Array, whiten: Array) -> Array:
        """c (k, q) of the parameters `weight`, `mean` and `covariance`, with whitened responses."""
        if self.upright:
            log_det = jnp.sum(jnp.log(whiten))
            variances = jnp.diagonal(p["covariance"], axis1=1, axis2=2) * whiten**2
            mean = (p["mean"] - centre) * whiten
            slope, square = mean / variances, -0.5 / variances
            logs = jnp.sum(jnp.log(variances), axis=1)
        else:
            log_det = jnp.sum(jnp.log(jnp.diag(whiten)))
            mean = (p["mean"] - centre) @ whiten.T
            precision, logs = inverse_and_log_det(whiten @ p["covariance"] @ whiten.T)
            slope = jnp.einsum("kij,kj->ki", precision, mean)
            i, j = np.triu_indices(mean.shape[1])
            square = -precision[:, i, j] * np.where(i == j, 0.5, 1.0)
        constant = log_det - 0.5 * (logs + jnp.sum(mean * slope, axis=1) + mean.shape[1] * LOG_2PI)
        return jnp.concatenate([(constant + jnp.log(p["weight"]))[:, None], slope, square], axis=1)

    def unpacked(self, moments: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Sums Σ w r (k,), Σ w r y (k, d) and Σ w r y yᵀ (k, d, d), of moments (k, q); where `upright` its diagonal."""
        k, d = len(moments), len(self.names)
        squares = moments[:, d + 1 :]
        if self.upright:
            return moments[:, 0], moments[:, 1 : d + 1], squares[:, :, None] * np.eye(d)
        out = np.zeros((k, d, d))
        i, j = np.triu_indices(d)
        out[:, i, j] = out[:, j, i] = squares
        return moments[:, 0], moments[:, 1 : d + 1], out


@jax.custom_jvp
def inverse_and_log_det(covariance: Array) -> tuple[Array, Array]:
    """The inverses (k, d, d) and the logarithms of the determinants (k,) of positive definite matrices (k, d, d).

    Derivatives are products of the inverse, in a program a third as long as that through Cholesky's decomposition.
    """
    lower = jnp.linalg.cholesky(covariance)
    inverse = jax.vmap(lambda t: solve_triangular(t, jnp.eye(t.shape[0]), lower=True))(lower)
    logs = 2 * jnp.sum(jnp.log(jnp.diagonal(lower, axis1=1, axis2=2)), axis=1)
    return jnp.swapaxes(inverse, 1, 2) @ inverse, logs


@inverse_and_log_det.defjvp
def _along_covariance(at: tuple[Array], change: tuple[Array]) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    (moved,) = change
    precision, logs = inverse_and_log_det(*at)
    return (precision, logs), (-precision @ moved @ precision, jnp.einsum("kij,kji->k", precision, moved))


def _responsibilities(c: Array, m: Array) -> tuple[Array, Array]:
    """The log-densities (..., rows) and the probabilities of the components (..., k, rows), of coefficients (..., k, q)."""
    joint = (c.reshape(-1, c.shape[-1]) @ m).reshape(*c.shape[:-1], m.shape[-1])
    top = jnp.max(joint, axis=-2, keepdims=True)
    share = jnp.exp(joint - top)
    total = jnp.sum(share, axis=-2, keepdims=True)
    return (top + jnp.log(total))[..., 0, :], share / total


@partial(runtime.jit, static_argnums=0)
def moments(monomials: Monomials, c: Array, basis: tuple, data: dict, span: Any) -> tuple[Array, Array]:
    """Of several mixtures c (points, k, q) by one read: −log-likelihoods (points,), and Σ w r_k m (points, k, q)."""

    def body(c: Array, basis: tuple, chunk: dict) -> tuple[Array, Array]:
        m, w = monomials.of_chunk(chunk, *basis), chunk["weights"]
        terms, r = _responsibilities(c, m)
        sums = (r * w).reshape(-1, m.shape[1]) @ m.T
        return -(terms @ w), sums.reshape(c.shape)

    return sum_chunks(monomials, body, c, basis, data, span)  # type: ignore[arg-type]


def _by_products(monomials: Monomials, both: Array, m: Array) -> Array:
    """The sums (pairs, products) of `both` (pairs, rows) times the products of two monomials, some of them at a time."""
    of, _ = monomials.products
    if len(of) <= PRODUCTS_AT_ONCE:
        return both @ (m[of[:, 0]] * m[of[:, 1]]).T
    slices = -(-len(of) // PRODUCTS_AT_ONCE)
    of = np.resize(of, (slices * PRODUCTS_AT_ONCE, 2)).reshape(slices, PRODUCTS_AT_ONCE, 2)
    each = jax.lax.map(lambda ab: both @ (m[ab[:, 0]] * m[ab[:, 1]]).T, jnp.asarray(of))
    return jnp.moveaxis(each, 0, 1).reshape(len(both), -1)


@partial(runtime.jit, static_argnums=0)
def curvature(monomials: Monomials, c: Array, basis: tuple, data: dict, span: Any) -> tuple[Array, Array, Array]:
    """−log-likelihood, Σ w r_k m (k, q), and the Hessian of −log-likelihood in c by pairs k ≤ l: (pairs, products)."""
    first, second = np.triu_indices(c.shape[0])

    def body(c: Array, basis: tuple, chunk: dict) -> tuple[Array, Array, Array]:
        m, w = monomials.of_chunk(chunk, *basis), chunk["weights"]
        terms, r = _responsibilities(c, m)
        both = r[first] * (r[second] - (first == second)[:, None]) * w
        return -(terms @ w), (r * w) @ m.T, _by_products(monomials, both, m)

    return sum_chunks(monomials, body, c, basis, data, span)  # type: ignore[arg-type]


@partial(runtime.jit, static_argnums=(0, 1))
def coefficients_at(monomials: Monomials, layout: Layout, u: Array, constants: Any, basis: tuple) -> Array:
    """The coefficients (points, k, q) at points `u` (points, size)."""
    return jax.vmap(lambda v: monomials.coefficients(layout.natural(v, constants), *basis))(u)


@partial(runtime.jit, static_argnums=0)
def coefficients_of(monomials: Monomials, natural: tuple[Array, Array, Array], basis: tuple) -> Array:
    """The coefficients (points, k, q) at shares (points, k), means (points, k, d) and covariances (points, k, d, d)."""
    names = ("weight", "mean", "covariance")
    return jax.vmap(lambda *x: monomials.coefficients(dict(zip(names, x)), *basis))(*natural)


@partial(runtime.jit, static_argnums=(0, 1, 2))
def in_parameters(
    monomials: Monomials, layout: Layout, needs: str, u: Array, constants: Any, basis: tuple, sums: Array, second: Any
) -> tuple[Array, ...]:
    """The gradient, and the Hessian, in `u`, from the sums of `moments` or `curvature` at one point: the chain rule."""
    c = lambda v: monomials.coefficients(layout.natural(v, constants), *basis)
    along = lambda v: -jnp.sum(c(v) * sums)
    if needs == "gradient":
        return (jax.grad(along)(u),)
    k, q = sums.shape
    _, number = monomials.products
    first, after = np.triu_indices(k)
    where = np.zeros((k, k), int)
    where[first, after] = where[after, first] = np.arange(len(first))
    hessian = second[where[:, None, :, None], number[None, :, None, :]].reshape(k * q, k * q)
    slopes = jax.jacfwd(c)(u).reshape(k * q, -1)
    curved = jax.jacfwd(jax.grad(along))(u)
    return jax.grad(along)(u), slopes.T @ hessian @ slopes + curved

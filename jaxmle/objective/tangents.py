"""Derivatives of units' log-densities in (η, d), their predictors and what all rows share, one tangent through all rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .loops import held

TANGENTS_AT_ONCE = 32


def each(column: Callable[[jax.Array], Any], n: int) -> Any:
    """`column(i)` for i in 0 ... n - 1, stacked: so many tangents at once as memory allows."""
    if n <= TANGENTS_AT_ONCE:
        return jax.vmap(column)(jnp.arange(n))
    rounds = -(-n // TANGENTS_AT_ONCE)  # by hand: lax.map(batch_size=) fails where a column has an empty part
    stacked = jax.lax.map(jax.vmap(column), jnp.arange(rounds * TANGENTS_AT_ONCE).reshape(rounds, TANGENTS_AT_ONCE))
    return jax.tree.map(lambda x: x.reshape(rounds * TANGENTS_AT_ONCE, *x.shape[2:])[:n], stacked)


def along(i: jax.Array, f: Callable[..., Any], x: tuple[jax.Array, jax.Array]) -> tuple[Any, Any]:
    """`f(η, d)` and its derivative by the i-th of (η, d), for all units at once."""
    eta, dense = x
    k = eta.shape[0]
    t_eta = jnp.broadcast_to((jnp.arange(k) == i).astype(eta.dtype)[:, None], eta.shape)
    return jax.jvp(f, x, (t_eta, (jnp.arange(dense.shape[0]) + k == i).astype(dense.dtype)))


def slope(i: jax.Array, f: Callable[..., Any], x: tuple[jax.Array, jax.Array]) -> Any:
    """The derivative of `f(η, d)` by the i-th of (η, d), for all units at once."""
    return along(i, f, x)[1]


def pairs_of(size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The pairs i ≤ j below `size`, as two arrays, and the number (size, size) of the pair of any two."""
    first, second = np.triu_indices(size)
    number = np.zeros((size, size), int)
    number[first, second] = number[second, first] = np.arange(len(first))
    return first, second, number


def seconds(
    terms: Callable[..., Any],
    x: tuple[jax.Array, jax.Array],
    pairs: tuple[np.ndarray, np.ndarray] | None = None,
) -> jax.Array:
    """The second derivatives of each unit's `terms(η, d)`, by pairs (pairs, rows), all by default, in forward mode."""
    first, second = pairs or pairs_of(x[0].shape[0] + x[1].shape[0])[:2]
    i, j = jnp.asarray(first), jnp.asarray(second)
    return each(lambda n: slope(i[n], lambda *y: slope(j[n], terms, y), x), len(first))


def expansion(f: Callable[..., Any], x: tuple[jax.Array, jax.Array], number: jax.Array) -> tuple[Any, tuple, tuple]:
    """A sum `f(η, d)` over all units, its first derivatives (K, rows) and (m,), and its second, one column at a time.

    The second are those by η, of which each row has its own, (K + m, K, rows), and those by d alone, (m, m). All are
    computed once before products with designs read them: `number` is any number of the data.
    """
    gradient = jax.value_and_grad(f, (0, 1))
    k, size = x[0].shape[0], x[0].shape[0] + x[1].shape[0]

    def everything(eta: jax.Array, dense: jax.Array) -> tuple[Any, tuple, tuple]:
        if not 0 < size <= TANGENTS_AT_ONCE:
            h_eta, h_dense = each(lambda i: slope(i, lambda *y: gradient(*y)[1], (eta, dense)), size)
            return *gradient(eta, dense), (h_eta, h_dense[k:])
        by_tangent = jax.vmap(lambda i: along(i, gradient, (eta, dense)), out_axes=(None, 0))
        (value, slopes), (_, (h_eta, h_dense)) = by_tangent(jnp.arange(size))
        return value, slopes, (h_eta, h_dense[k:])

    return held(everything, number, *x)

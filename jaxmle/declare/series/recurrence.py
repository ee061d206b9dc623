"""Linear recurrences along the rows, x_t = x_{t-1} A_t + c_t, whose derivatives are recurrences again.

Differentiated step by step, a loop becomes loops that store and carry all that a step did. But a linear recurrence is a
triangular system of linear equations, so that derivatives of any order solve systems with the same matrices, forward or
backward: two short loops, of each of which a compiler makes one kernel, and products of all rows at once.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp


def times(x: jax.Array, a: jax.Array) -> jax.Array:
    """x A for vectors (..., k) and matrices (..., k, k), written out: a call of a library would keep a loop from being short."""
    return (x[..., :, None] * a).sum(axis=-2)


def moved(x: jax.Array, by: int = 1) -> jax.Array:
    """Rows in the place of those `by` after them, zeros before."""
    return jnp.pad(x, ((by, 0), *((0, 0),) * (x.ndim - 1)))[: x.shape[0]]


def product(x: jax.Array, a: jax.Array) -> jax.Array:
    """x A for matrices (..., i, k) and (..., k, j), written out likewise."""
    return times(x, a[..., None, :, :])


def through(x: jax.Array, a: jax.Array) -> jax.Array:
    """x A for a vector, Aᵀ x A for a matrix, of one row or of all."""
    return times(x, a) if x.ndim < a.ndim else product(product(jnp.swapaxes(a, -1, -2), x), a)


def recurrence(a: jax.Array, c: jax.Array) -> jax.Array:
    """x with x_t = x_{t-1} A_t + c_t, or for matrices x_t = A_tᵀ x_{t-1} A_t + c_t; before the rows, x is 0.

    Arguments:
        a: shape (n, k, k); `c`: vectors (n, k) or matrices (n, k, k).
    """
    after = jnp.concatenate([a[1:], jnp.zeros_like(a[:1])])
    turned = jnp.swapaxes(after, 1, 2)  # row t needs what row t + 1 took from it
    return jax.lax.custom_linear_solve(
        lambda x: x - through(moved(x), a),
        c,
        solve=lambda _, c: _solved(a, c),
        transpose_solve=lambda _, c: _solved(turned, c, reverse=True),
    )


def _solved(a: jax.Array, c: jax.Array, reverse: bool = False) -> jax.Array:
    def step(x: jax.Array, row: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        x = through(x, row[0]) + row[1]
        return x, x

    return jax.lax.scan(step, jnp.zeros_like(c[0]), (a, c), reverse=reverse)[1]

"""Linear recurrences along the rows, differentiated as the linear systems that they are."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

UNROLLED = 16
"""Rows that are compiled into one step of the loop."""


def recurred(a: jax.Array, c: jax.Array) -> jax.Array:
    """h_t = a_t·h_{t-1} + c_t from h_{-1} = 0, all (n,).

    Derivatives are recurrences of the same a, forward or backward, so that no loop is ever differentiated.
    """
    system = lambda h: h - a * jnp.concatenate([jnp.zeros_like(h[:1]), h[:-1]])
    after = jnp.concatenate([a[1:], jnp.zeros_like(a[:1])])
    return jax.lax.custom_linear_solve(
        system,
        c,
        solve=lambda _, b: _run(a, b, False),
        transpose_solve=lambda _, b: _run(after, b, True),
    )


def _run(a: jax.Array, c: jax.Array, reverse: bool) -> jax.Array:
    def step(h: Any, row: Any) -> Any:
        h = row[0] * h + row[1]
        return h, h

    return jax.lax.scan(step, jnp.zeros_like(c[0]), (a, c), reverse=reverse, unroll=UNROLLED)[1]

"""Loops within compiled programs whose steps are traced once: for the shapes of what they give, and in the loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp


def summed(step: Callable[..., Any], first: jax.Array, stop: Any, *rest: Any) -> Any:
    """Σ of `step(i, *rest)` over first <= i < stop; all that is traced comes as an argument."""
    step = jax.jit(step)
    add = lambda i, total: jax.tree.map(jnp.add, total, step(i, *rest))
    return jax.lax.fori_loop(first, stop, add, _zeros(jax.eval_shape(step, first, *rest)))


def stacked(step: Callable[..., Any], length: int, first: jax.Array, stop: Any, *rest: Any) -> Any:
    """`step(i, *rest)` for first <= i < stop, stacked, `length` of them; zeros after the last."""
    step = jax.jit(step)
    each = jax.eval_shape(step, first, *rest)
    shapes = jax.tree.map(lambda s: jax.ShapeDtypeStruct((length, *s.shape), s.dtype), each)
    write = lambda a, x, i: jax.lax.dynamic_update_index_in_dim(a, x, i - first, 0)
    put = lambda i, all: jax.tree.map(lambda a, x: write(a, x, i), all, step(i, *rest))
    return jax.lax.fori_loop(first, stop, put, _zeros(shapes))


def _zeros(shapes: Any) -> Any:
    return jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)

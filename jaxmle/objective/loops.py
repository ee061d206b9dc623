"""Loops within compiled programs whose steps are traced once: for the shapes of what they give, and in the loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp


def held(f: Callable[..., Any], number: jax.Array, *args: Any) -> Any:
    """`f(*args)`, computed once and kept, whoever reads it; `number` is any number of the data, all of which are finite.

    XLA on CPUs computes what is cheap anew for all that reads it (a row's derivative for every column of its design), and
    an `optimization_barrier` is gone before it does. It does not look across a branch, which it cannot know to be taken.
    """
    f = jax.jit(f)
    none = jax.tree.map(lambda s: jnp.full(s.shape, jnp.nan, s.dtype), jax.eval_shape(f, *args))
    on_cpu = lambda number, *args: jax.lax.cond(jnp.isfinite(number), f, lambda *_: none, *args)
    return jax.lax.platform_dependent(number, *args, cpu=on_cpu, default=lambda _, *args: f(*args))


FOLDED = 16


def weighted_sum(weights: jax.Array, terms: jax.Array) -> jax.Array:
    """Σ weight · term of vectors, taken of matrices of their entries.

    XLA on CPUs may write a vector over another that it is made of, the terms over their predictors, and a loop that does is
    left without vector instructions (docs/hazards.md). It does not write what has another shape there.
    """
    if terms.size % FOLDED == 0:
        weights, terms = weights.reshape(-1, FOLDED), terms.reshape(-1, FOLDED)
    return jnp.sum(weights * terms)


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

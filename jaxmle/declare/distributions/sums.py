"""Sums over whole numbers, however many terms they need, with derivatives of every order in both modes of autodiff.

A sum's derivative is the sum of its terms' derivatives over the same range: so loops whose length depends on the
parameters (`lax.while_loop` has no reverse mode) never have to be differentiated themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from ...numerics import logaddexp

Term = Callable[[Array, Array], Array]
"""A function of a vector of parameters (m,) and a whole number; it closes over nothing that is traced."""

BLOCK = 128
"""Terms evaluated at once."""

LIMIT = 2**18
"""The most terms on either side of the mode."""

CUT = 40.0
"""Terms are left out when a whole block of them is below exp(-CUT) of the sum."""


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def total(f: Term, first: Array, last: Array, at: Array) -> Array:
    """The sum of f(at, k) over first <= k <= last, of the shape of f's values; the range is a constant to autodiff."""
    shape = jax.eval_shape(f, at, first)

    def body(state: tuple) -> tuple:
        k, so_far = state
        ks = k + jnp.arange(BLOCK, dtype=at.dtype)
        values = jax.vmap(lambda j: f(at, j))(jnp.minimum(ks, last))
        kept = jnp.where((ks <= last).reshape(BLOCK, *[1] * len(shape.shape)), values, 0.0)
        return k + BLOCK, so_far + kept.sum(axis=0)

    return jax.lax.while_loop(lambda s: s[0] <= last, body, (first, jnp.zeros(shape.shape, shape.dtype)))[1]


@total.defjvp
def _total_jvp(f: Term, primals: tuple, tangents: tuple) -> tuple:
    slope = total(jax.jacfwd(f), *primals)
    return total(f, *primals), jnp.tensordot(slope, tangents[2], 1)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def log_sum(log_f: Term, first: Array, last: Array, at: Array) -> Array:
    """The logarithm of the sum of exp(log_f(at, k)) over first <= k <= last; -inf where the range is empty."""

    def body(state: tuple) -> tuple:
        k, so_far = state
        ks = k + jnp.arange(BLOCK, dtype=at.dtype)
        values = jax.vmap(lambda j: log_f(at, j))(jnp.minimum(ks, last))
        return k + BLOCK, logaddexp(so_far, _log_total(jnp.where(ks <= last, values, -jnp.inf)))

    start = (first, jnp.full((), -jnp.inf, at.dtype))
    return jax.lax.while_loop(lambda s: s[0] <= last, body, start)[1]


@log_sum.defjvp
def _log_sum_jvp(log_f: Term, primals: tuple, tangents: tuple) -> tuple:
    first, last, at = primals
    value = log_sum(log_f, *primals)
    known = jnp.where(value == -jnp.inf, 0.0, value)

    def share(more: Array, k: Array) -> Array:
        log_term = log_f(more[:-1], k)
        weight = jnp.exp(log_term - more[-1])
        return jnp.where(log_term > -jnp.inf, weight * jax.jacfwd(log_f)(more[:-1], k), 0.0)

    slope = total(share, first, last, jnp.concatenate([at, known[None]]))
    return value, slope @ tangents[2]


def _log_total(values: Array) -> Array:
    """log of a sum of exponentials, of a few values, none of which is differentiated."""
    most = jnp.max(values)
    safe = jnp.where(most > -jnp.inf, most, 0.0)
    return safe + jnp.log(jnp.sum(jnp.exp(values - safe)))


class Bulk(NamedTuple):
    """Where nearly all of a distribution of whole numbers is: its mode, first and last number, and whether that is all."""

    mode: Array
    first: Array
    last: Array
    complete: Array


def mode_of(log_f: Term, at: Array, low: float, high: float) -> Array:
    """The whole number of the greatest term, of those that rise to it and fall from it."""
    dtype = at.dtype
    powers = 2.0 ** jnp.arange(0, 50, dtype=dtype) - 1.0
    if low > -jnp.inf:
        grid = low + powers
    elif high < jnp.inf:
        grid = high - powers[::-1]
    else:
        grid = jnp.concatenate([-powers[:0:-1], powers])
    value = jax.vmap(lambda k: log_f(at, k))

    def best(grid: Array) -> tuple[Array, Array, Array]:
        inside = jnp.clip(grid, low, high)
        i = jnp.argmax(value(inside))
        return inside[i], inside[jnp.maximum(i - 1, 0)], inside[jnp.minimum(i + 1, len(grid) - 1)]

    def zoom(_: int, state: tuple) -> tuple:
        _, left, right = state
        return best(jnp.round(left + (right - left) * jnp.linspace(0.0, 1.0, 33, dtype=dtype)))

    return jax.lax.fori_loop(0, 13, zoom, best(grid))[0]


def outward(log_f: Term, at: Array, start: Array, sign: Array, low: float, high: float, mode: Any = None) -> Array:
    """The last number, going from `start` in the direction of `sign`, before the terms no longer count.

    With a `mode` the terms are weighted by the square of their distance from it, as in a variance.
    """
    away = (lambda k: 0.0) if mode is None else (lambda k: 2.0 * jnp.log1p(jnp.abs(k - mode)))

    def more(state: tuple) -> Array:
        k, so_far, block, n = state
        return (block > so_far - CUT) & (k >= low) & (k <= high) & (n < LIMIT)

    def body(state: tuple) -> tuple:
        k, so_far, _, n = state
        ks = k + sign * jnp.arange(BLOCK, dtype=at.dtype)
        inside = (ks >= low) & (ks <= high)
        values = jax.vmap(lambda j: log_f(at, j) + away(j))(jnp.clip(ks, low, high))
        block = _log_total(jnp.where(inside, values, -jnp.inf))
        return k + sign * BLOCK, logaddexp(so_far, block), jnp.where(block > -jnp.inf, block, -1e300), n + BLOCK

    start_state = (start, jnp.full((), -jnp.inf, at.dtype), jnp.zeros((), at.dtype), 0)
    end, _, _, n = jax.lax.while_loop(more, body, start_state)
    last = jnp.clip(end - sign, low, high)
    return jnp.where(n < LIMIT, last, jnp.nan)


def bulk(log_f: Term, at: Array, low: float, high: float) -> Bulk:
    """The range that holds all of the distribution but some 1e-17 of it, and whether it does hold it."""
    at = jax.lax.stop_gradient(at)
    mode = mode_of(log_f, at, low, high)
    down, up = (outward(log_f, at, mode, jnp.asarray(s, at.dtype), low, high, mode) for s in (-1.0, 1.0))
    found = jnp.isfinite(down) & jnp.isfinite(up)
    first, last = jnp.where(found, down, mode), jnp.where(found, up, mode)
    mass = log_sum(log_f, first, last, at)
    return Bulk(mode, first, last, found & (jnp.abs(mass) < 1e-8))

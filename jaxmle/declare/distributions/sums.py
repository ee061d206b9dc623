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
import numpy as np
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
    n = 33
    if low > -jnp.inf:
        grid = low + 2.0 ** np.arange(n) - 1.0
    elif high < jnp.inf:
        grid = high - (2.0 ** np.arange(n) - 1.0)[::-1]
    else:
        far = 4.0 ** np.arange(n // 2)
        grid = np.concatenate([-far[::-1], [0.0], far])

    def zoom(i: int, state: tuple) -> tuple:
        _, left, right = state
        nearer = jnp.round(left + (right - left) * jnp.linspace(0.0, 1.0, n, dtype=at.dtype))
        ks = jnp.clip(jnp.where(i == 0, jnp.asarray(grid, at.dtype), nearer), low, high)
        best = jnp.argmax(jax.vmap(lambda k: log_f(at, k))(ks))
        return ks[best], ks[jnp.maximum(best - 1, 0)], ks[jnp.minimum(best + 1, n - 1)]

    zero = jnp.zeros((), at.dtype)
    return jax.lax.fori_loop(0, 10, zoom, (zero, zero, zero))[0]


def outward(
    log_f: Term, at: Array, start: Array, sign: Array, low: float, high: float, mode: Any = None
) -> tuple[Array, Array]:
    """The last number, going from `start` in the direction of `sign`, before the terms no longer count; and log of the sum.

    With a `mode` the terms, but not their sum, are weighted by the square of their distance from it, as in a variance.
    """
    away = (lambda k: 0.0) if mode is None else (lambda k: 2.0 * jnp.log1p(jnp.abs(k - mode)))

    def more(state: tuple) -> Array:
        k, _, so_far, block, n = state
        return (block > so_far - CUT) & (k >= low) & (k <= high) & (n < LIMIT)

    def body(state: tuple) -> tuple:
        k, plain, so_far, _, n = state
        ks = k + sign * jnp.arange(BLOCK, dtype=at.dtype)
        values = jax.vmap(lambda j: log_f(at, j))(jnp.clip(ks, low, high))
        values = jnp.where((ks >= low) & (ks <= high), values, -jnp.inf)
        block = _log_total(values + away(ks))
        ahead = jnp.where(block > -jnp.inf, block, -1e300)
        return k + sign * BLOCK, logaddexp(plain, _log_total(values)), logaddexp(so_far, block), ahead, n + BLOCK

    none = jnp.full((), -jnp.inf, at.dtype)
    end, plain, _, _, n = jax.lax.while_loop(more, body, (start, none, none, jnp.zeros((), at.dtype), 0))
    return jnp.where(n < LIMIT, jnp.clip(end - sign, low, high), jnp.nan), plain


def bulk(log_f: Term, at: Array, low: float, high: float) -> Bulk:
    """The range that holds all of the distribution but some 1e-17 of it, and whether it does hold it."""
    at = jax.lax.stop_gradient(at)
    mode = mode_of(log_f, at, low, high)
    starts, signs = jnp.stack([mode - 1.0, mode]), jnp.asarray([-1.0, 1.0], at.dtype)
    ends, sides = jax.vmap(lambda start, sign: outward(log_f, at, start, sign, low, high, mode))(starts, signs)
    found = jnp.isfinite(ends).all()
    first, last = (jnp.where(found, jnp.where(mode > low, ends[0], mode), mode), jnp.where(found, ends[1], mode))
    return Bulk(mode, first, last, found & (jnp.abs(logaddexp(sides[0], sides[1])) < 1e-8))

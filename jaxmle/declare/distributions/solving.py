"""Quantiles by solving log P(Y ≤ y) = log q, or that of the upper tail: whichever is the smaller."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from .integrals import from_line, log_density, log_tails, mode_of

MOST = 200
"""Steps of a search; Newton's method takes some 10, bisection 60 to 100."""


def count_by_cdf(d: Any, q: Array) -> Array:
    """The smallest whole number with P(Y ≤ y) ≥ q: a bracket around the expectation is doubled, then halved."""
    low, high = float(d.support.low), float(d.support.high)
    slack = 64 * jnp.finfo(q.dtype).eps
    inside = jnp.clip(q, jnp.finfo(q.dtype).tiny, 1.0 - jnp.finfo(q.dtype).epsneg)

    def reached(k: Array) -> Array:
        lower = d.log_cdf(k) >= jnp.log(inside) - slack
        return jnp.where(inside > 0.5, d.log_survival(k) <= jnp.log1p(-inside) + slack, lower) | (k >= high)

    mean, sd = d.expectation(), jnp.sqrt(d.variance())
    mean, sd = jnp.where(jnp.isfinite(mean), mean, max(low, 0.0)), jnp.where(jnp.isfinite(sd), sd, 1.0)
    start = jnp.clip(jnp.floor(mean), low, high)
    step = jnp.maximum(jnp.floor(sd), 1.0)

    def search(state: tuple) -> tuple:
        # `reached` is written once: it is most of the program
        k, left, right, step, n = state
        there = reached(k)
        left, right = jnp.where(there, left, k), jnp.where(there, k, right)
        up, down = jnp.isinf(right), jnp.isinf(left)
        middle = jnp.floor(left + 0.5 * (right - left))
        k = jnp.where(up, jnp.minimum(k + step, high), jnp.where(down, k - step, middle))
        # below the support nothing is reached
        left = jnp.where(k < low, jnp.maximum(left, low - 1.0), left)
        k = jnp.where(k < low, jnp.floor(left + 0.5 * (right - left)), k)
        return k, left, right, jnp.where(up | down, 2.0 * step, step), n + 1

    infinite = jnp.full_like(q, jnp.inf)
    state = (start, -infinite, infinite, step, 0)
    answer = jax.lax.while_loop(lambda s: (s[2] - s[1] > 1) & (s[4] < MOST), search, state)[2]
    answer = jnp.where(q <= 0, low, jnp.where(q >= 1, high, answer))
    return jnp.where((q >= 0) & (q <= 1), answer, jnp.nan)


def real_by_cdf(d: Any, q: Array) -> Array:
    """The value with P(Y ≤ y) = q; the ends of the support at q = 0 and 1, NaN for q outside."""
    inside = (q > 0) & (q < 1)
    value = _quantile(d, jnp.where(inside, q, 0.5))
    ends = jnp.where(q == 0, d.support.low, jnp.where(q == 1, d.support.high, jnp.nan))
    return jnp.where(inside, value, ends)


@jax.custom_jvp
def _quantile(d: Any, q: Array) -> Array:
    own = d.has("log_cdf") and d.has("log_survival")
    mode = None if own else mode_of(d)

    def surplus(t: Array) -> tuple[Array, Array]:
        """A function that rises through zero at the solution, and its derivative."""
        y = from_line(d.support, t)[0]
        log_lower, log_upper = (d.log_cdf(y), d.log_survival(y)) if own else log_tails(d, y, mode)
        below = q <= 0.5
        gap = jnp.where(below, log_lower - jnp.log(q), jnp.log1p(-q) - log_upper)
        if mode is not None:  # beyond a support narrower than the declared one there is no density
            gap = jnp.where(jnp.isnan(gap), jnp.where(t < mode, -jnp.inf, jnp.inf), gap)
        return gap, jnp.exp(log_density(d, t) - jnp.where(below, log_lower, log_upper))

    eps = jnp.finfo(q.dtype).eps
    rounding = 16 * eps * (1.0 - jnp.where(q <= 0.5, jnp.log(q), jnp.log1p(-q)))

    def search(state: tuple) -> tuple:
        # `surplus` is written once: it is most of the program
        left, right, t, step, _, n = state
        gap, slope = surplus(t)
        left, right = jnp.where(gap < 0, t, left), jnp.where(gap < 0, right, t)
        middle, newton = 0.5 * (left + right), t - gap / slope
        halve = ~((newton > left) & (newton < right)) | (n % 4 == 3)
        # a step that no longer moves t, or a difference that is rounding
        done = (
            (jnp.abs(gap) <= rounding) | (jnp.abs(newton - t) <= eps * jnp.abs(t)) | (right - left <= eps * jnp.abs(t))
        )
        out = jnp.where(jnp.isinf(right), t + step, jnp.where(jnp.isinf(left), t - step, middle))
        next_t = jnp.where(jnp.isinf(right - left), out, jnp.where(halve, middle, newton))
        return left, right, jnp.where(done, t, next_t), 2.0 * step, done, n + 1

    start, infinite = (jnp.zeros_like(q) if mode is None else mode), jnp.full_like(q, jnp.inf)
    state = (-infinite, infinite, start, jnp.ones_like(q), q != q, 0)
    t = jax.lax.while_loop(lambda s: ~s[4] & (s[5] < MOST), search, state)[2]
    return from_line(d.support, t)[0]


@_quantile.defjvp
def _quantile_jvp(primals: tuple, tangents: tuple) -> tuple:
    # P(Y <= y; parameters) = q on both sides: f dy + (change of P with the parameters at y) = dq
    (d, q), (dd, dq) = primals, tangents
    y = _quantile(d, q)
    log_lower, d_lower = jax.jvp(lambda d: d.log_cdf(y), (d,), (dd,))
    log_upper, d_upper = jax.jvp(lambda d: d.log_survival(y), (d,), (dd,))
    change = jnp.where(q <= 0.5, jnp.exp(log_lower) * d_lower, -jnp.exp(log_upper) * d_upper)
    return y, (dq - change) / jnp.exp(d.log_prob(y))

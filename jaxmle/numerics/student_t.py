"""Log probabilities of Student's t distribution, both tails, with derivatives in the argument and the degrees of freedom.

P(|T| > t) = I(df / 2, 1 / 2, x) with x = df / (df + t**2) in the tail; in the centre P(|T| < t) = I(1 / 2, df / 2, y),
y = 1 - x, whose leading factor sqrt(y) is written as t / sqrt(df + t**2), so that the function of t is odd and smooth
through zero. Source: DLMF 8.17.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from .floats import floats
from .gammas import betaln
from .incomplete_beta import is_lower, log_lead, log_series
from .logarithms import log, log1p
from .logs import log1mexp

NORMAL = 1e20


@jax.custom_jvp
def _shares(t: Array, df: Array) -> tuple[Array, Array]:
    """df / (df + t**2) and t**2 / (df + t**2)."""
    square = t * t
    total = df + square
    return df / total, square / total


@_shares.defjvp
def _shares_jvp(primals, tangents):
    (t, df), (dt, ddf) = primals, tangents
    x, y = _shares(t, df)
    dx = (y * ddf - 2.0 * t * x * dt) / (df + t * t)  # 1 / total - df / total**2 would cancel for large df
    return (x, y), (dx, -dx)


def is_tail(t: Array, df: Array) -> Array:
    half = jnp.full_like(df, 0.5)
    return is_lower(0.5 * df, half, *_shares(t, df))


def log_outside(t: Array, df: Array) -> Array:
    """log P(|T| > |t|) where `is_tail`."""
    a, b = 0.5 * df, jnp.full_like(df, 0.5)
    x, y = _shares(t, df)
    return log_lead(a, b, x, y) + log_series(a, b, x, y)


def _inside(t: Array, df: Array) -> Array:
    """P(|T| < |t|) with the sign of t, where not `is_tail`."""
    a, b = jnp.full_like(df, 0.5), 0.5 * df
    x, y = _shares(t, df)
    log_size = log_series(a, b, y, x) - b * log1p(t * (t / df)) - betaln(a, b)
    return 2.0 * t * jax.lax.rsqrt(df + t * t) * jnp.exp(log_size)


def _log_sf(t: Array, df: Array) -> Array:
    tail = is_tail(t, df)
    outside = log_outside(jnp.where(tail, t, jnp.sqrt(jnp.maximum(2.0 * df, 4.0))), df) - math.log(2.0)
    central = log1p(-_inside(jnp.where(tail, 0.0, t), df)) - math.log(2.0)
    return jnp.where(tail, jnp.where(t > 0, outside, log1mexp(-outside)), central)


def _log_sf_far(t: Array, df: Array) -> Array:
    """log P(T > t) for every finite t: far out a power of t, as its square would leave the range."""
    far = jnp.finfo(t.dtype).max ** 0.2
    size = jnp.abs(t)
    beyond = size > far
    near = _log_sf(jnp.where(beyond, jnp.sign(t) * far, t), df)
    extra = df * (log(jnp.where(beyond, size, far)) - log(far))
    return jnp.where(beyond, jnp.where(t > 0, near - extra, near), near)


def log_student_t_sf(t: ArrayLike, df: ArrayLike) -> Array:
    """log P(T > t) of Student's t with df > 0 degrees of freedom, elementwise and broadcast.

    Keeps its digits in both tails, with derivatives of every order in t and df; NaN where df is not
    positive. With more than 1e20 degrees of freedom, or infinitely many, it is the normal distribution's.
    """
    t, df = floats(t, df)
    df = jnp.minimum(df, NORMAL)
    good = (df > 0) & ~jnp.isnan(t)
    infinite = jnp.isinf(t)
    value = _log_sf_far(jnp.where(good & ~infinite, t, 0.0), jnp.where(good, df, 1.0))
    return jnp.where(good, jnp.where(infinite, jnp.where(t > 0, -jnp.inf, 0.0), value), jnp.nan)


def log_student_t_cdf(t: ArrayLike, df: ArrayLike) -> Array:
    """log P(T < t) of Student's t with df > 0 degrees of freedom, elementwise and broadcast; as `log_student_t_sf`."""
    (t,) = floats(t)
    return log_student_t_sf(-t, df)

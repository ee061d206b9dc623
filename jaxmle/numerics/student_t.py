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
from .logs import log1mexp

FAR = 1e75
"""Larger arguments are replaced by this one where the square would leave the range; the slope is kept."""


def _shares(t: Array, df: Array) -> tuple[Array, Array]:
    """df / (df + t**2) and t**2 / (df + t**2)."""
    square = t * t
    total = df + square
    return df / total, square / total


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
    log_size = log_series(a, b, y, x) - b * jnp.log1p(t * (t / df)) - betaln(a, b)
    return 2.0 * t * jax.lax.rsqrt(df + t * t) * jnp.exp(log_size)


def _log_sf(t: Array, df: Array) -> Array:
    tail = is_tail(t, df)
    outside = log_outside(jnp.where(tail, t, jnp.sqrt(jnp.maximum(2.0 * df, 4.0))), df) - math.log(2.0)
    central = jnp.log1p(-_inside(jnp.where(tail, 0.0, t), df)) - math.log(2.0)
    return jnp.where(tail, jnp.where(t > 0, outside, log1mexp(-outside)), central)


def log_student_t_sf(t: ArrayLike, df: ArrayLike) -> Array:
    """log P(T > t) of Student's t with df > 0 degrees of freedom, elementwise and broadcast.

    Keeps its digits in both tails, with derivatives of every order in t and df; NaN where df is not in (0, inf).
    """
    t, df = floats(t, df)
    good = (df > 0) & (df < jnp.inf) & ~jnp.isnan(t)
    infinite = jnp.isinf(t)
    value = _log_sf(jnp.where(good & ~infinite, t, 0.0), jnp.where(good, df, 1.0))
    return jnp.where(good, jnp.where(infinite, jnp.where(t > 0, -jnp.inf, 0.0), value), jnp.nan)


def log_student_t_cdf(t: ArrayLike, df: ArrayLike) -> Array:
    """log P(T < t) of Student's t with df > 0 degrees of freedom, elementwise and broadcast; as `log_student_t_sf`."""
    (t,) = floats(t)
    return log_student_t_sf(-t, df)

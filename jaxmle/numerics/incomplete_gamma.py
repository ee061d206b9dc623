"""The regularised incomplete gamma functions and their logarithms, with derivatives in both arguments.

With D = x**a exp(-x) / gamma(a + 1),

    P(a, x) = D (1 + x I),   I = integral over s > 0 of exp(-(a + 1) s - x expm1(-s)),
    Q(a, x) = D a I,         I = integral over s > 0 of exp(a s - x expm1(s)),

whichever is the smaller, and P = x**a / gamma(a + 1) (1 - a R(a, x)), R a power series, for x < 1. That product is
1 + O(a) with its digits when a is small; in the others nothing is subtracted at all, in the derivatives neither.
Source: DLMF 8.5, 8.6, 8.7; the choice of the tail as in Didonato and Morris (1986).
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from .deviances import digamma_less_log, log1p_given, log1pmx, reciprocal
from .floats import floats
from .gammas import log_factorial, stirling_correction
from .logarithms import log, log1p
from .logs import log1mexp, one_minus_exp
from .polygammas import digamma, polygamma
from .quadrature import integral, quadratic_reach, reach
from .stirling import HALF_LOG_2PI, SHIFT

TERMS = 18
"""Terms of the power series: the next one, 1 / 19! at x = 1, is below rounding."""


def _offset(a: Array, x: Array) -> tuple[Array, Array]:
    """x / a - 1 and log(x / a)."""
    u = (x - a) / a
    return u, log1p_given(u, log(x) - log(a))


@jax.custom_jvp
def log_lead(a: Array, x: Array) -> Array:
    """log D = log(x**a exp(-x) / gamma(a + 1))."""
    u, log_ratio = _offset(a, x)
    return a * log1pmx(u, log_ratio) - HALF_LOG_2PI - 0.5 * log(a) - stirling_correction(a)


@log_lead.defjvp
def _log_lead_jvp(primals, tangents):
    (a, x), (da, dx) = primals, tangents
    return log_lead(a, x), da * _lead_slope(a, x) + dx * ((a - x) * reciprocal(x))


@jax.custom_jvp
def _lead_slope(a: Array, x: Array) -> Array:
    """log x - psi(a + 1)."""
    large = _offset(a, x)[1] - digamma_less_log(a) - 1.0 / a
    return jnp.where(a < SHIFT, log(x) - digamma(a + 1.0), large)


@_lead_slope.defjvp
def _lead_slope_jvp(primals, tangents):
    (a, x), (da, dx) = primals, tangents
    return _lead_slope(a, x), dx * reciprocal(x) - da * polygamma(1, a + 1.0)


def _log_series(a: Array, x: Array) -> Array:
    """log P for x < 1."""
    total = jnp.zeros_like(x)
    for n in range(TERMS, 0, -1):
        total = (x / n) * (1.0 / (a + n) - total)
    return a * log(x) - log_factorial(a) + log1p(-a * total)


def _log_tail(a: Array, x: Array, lower: Array) -> Array:
    """log P where lower, for 1 <= x < a, else log Q, for x >= a, x >= 1."""
    sign = jnp.where(lower, -1.0, 1.0)
    c = jnp.where(lower, a + 1.0, a)

    def fall(s, x, c):
        return x * jnp.expm1(sign * s) - sign * c * s, sign * (x * jnp.exp(sign * s) - c)

    length = reach(fall, lambda x, c: quadratic_reach(sign * (x - c), x), x, c)
    e = lambda v: v[..., None]
    area = integral(lambda s: jnp.exp(e(sign * c) * s - e(x) * jnp.expm1(e(sign) * s)), length)
    # The branch not taken gets an argument of 1, so that it has no infinities to pass on.
    small, large = jnp.where(lower, x * area, 1.0), jnp.where(lower, 1.0, a * area)
    return log_lead(a, x) + jnp.where(lower, log1p(small), log(large))


def log_smaller(a: Array, x: Array) -> tuple[Array, Array]:
    """Whether the lower tail is the one computed, and the logarithm of that tail, for positive finite a and x."""
    near = x < 1.0
    lower = x < jnp.maximum(a, 1.0)
    series = _log_series(a, jnp.where(near, x, 0.5))
    tail = _log_tail(a, jnp.where(near, jnp.maximum(a, 1.0), x), lower & ~near)
    return lower, jnp.where(near, series, tail)


def _inside(a: Array, x: Array) -> tuple[Array, Array, Array]:
    """Arguments moved inside (0, inf), and whether x was there."""
    inside = (x > 0) & (x < jnp.inf) & (a > 0) & (a < jnp.inf)
    return inside, jnp.where(inside, a, 1.0), jnp.where(inside, x, 1.0)


def _at_ends(inside: Array, value: Array, a: Array, x: Array, at_zero: float, at_infinity: float) -> Array:
    end = jnp.where((x == 0) & (a > 0), at_zero, jnp.where((x == jnp.inf) & (a > 0), at_infinity, jnp.nan))
    return jnp.where(inside, value, end)


def log_gammainc(a: ArrayLike, x: ArrayLike) -> Array:
    """log P(a, x), the log of a gamma distribution function of shape a > 0 at x >= 0, elementwise and broadcast.

    Keeps its digits in both tails, with derivatives of every order in a and x; NaN outside the domain.
    """
    a, x = floats(a, x)
    inside, a_in, x_in = _inside(a, x)
    lower, log_p = log_smaller(a_in, x_in)
    return _at_ends(inside, jnp.where(lower, log_p, log1mexp(-log_p)), a, x, -math.inf, 0.0)


def log_gammaincc(a: ArrayLike, x: ArrayLike) -> Array:
    """log Q(a, x) = log(1 - P(a, x)), a gamma log survival function, elementwise and broadcast; as `log_gammainc`."""
    a, x = floats(a, x)
    inside, a_in, x_in = _inside(a, x)
    lower, log_p = log_smaller(a_in, x_in)
    return _at_ends(inside, jnp.where(lower, log1mexp(-log_p), log_p), a, x, 0.0, -math.inf)


def gammainc(a: ArrayLike, x: ArrayLike) -> Array:
    """P(a, x), the regularised lower incomplete gamma function for a > 0, x >= 0, elementwise and broadcast.

    The distribution function of a gamma variable of shape a; differentiable in both arguments to every order, where
    `jax.scipy.special.gammainc` has no second derivative. NaN outside the domain.
    """
    a, x = floats(a, x)
    inside, a_in, x_in = _inside(a, x)
    lower, log_p = log_smaller(a_in, x_in)
    return _at_ends(inside, jnp.where(lower, jnp.exp(log_p), one_minus_exp(log_p)), a, x, 0.0, 1.0)


def gammaincc(a: ArrayLike, x: ArrayLike) -> Array:
    """Q(a, x) = 1 - P(a, x), the regularised upper incomplete gamma function, elementwise and broadcast."""
    a, x = floats(a, x)
    inside, a_in, x_in = _inside(a, x)
    lower, log_p = log_smaller(a_in, x_in)
    return _at_ends(inside, jnp.where(lower, one_minus_exp(log_p), jnp.exp(log_p)), a, x, 1.0, 0.0)

"""The gamma function's logarithm, its derivatives, and their differences over a step.

Arguments of at least ten use Stirling's asymptotic series (twelve terms: relative error below 1e-17); smaller ones are
first shifted by ten with the recurrence. A difference psi(a + b) - psi(a) is formed term by term (log1p for the
logarithm, divided differences for the series, (b / t) / s for the shift), so that no two nearly equal numbers are ever
subtracted: it keeps its digits for b << a, where subtracting two values leaves none (n >> 1e8), and for b >> a.

Order n = -1 is log gamma, n = 0 digamma, n >= 1 the polygamma function, everywhere in this file.
Source: Abramowitz and Stegun 6.1.40, 6.3.18, 6.4.11; DLMF 5.11, 5.15.
"""

from __future__ import annotations

import math
from functools import partial

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from .floats import floats, saturate

BERNOULLI = (
    *(1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6),
    *(-3617 / 510, 43867 / 798, -174611 / 330, 854513 / 138, -236364091 / 2730),
)
"""The Bernoulli numbers B2, B4, ... B24."""

HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)
SHIFT = 10
"""Stirling's series is used from here on; smaller arguments are shifted by as much."""


def _series(n: int) -> list[float]:
    """The coefficients g_k, k = 1 ... 12, of order n's series: x**-n times the sum of g_k x**(-2 k)."""
    return [b * math.factorial(2 * k + n - 1) / math.factorial(2 * k) for k, b in enumerate(BERNOULLI, start=1)]


def _horner(coefficients: list[float], w: Array) -> Array:
    result = jnp.full_like(w, coefficients[-1])
    for c in reversed(coefficients[:-1]):
        result = c + w * result
    return result


def _horner_difference(coefficients: list[float], w: Array, v: Array) -> Array:
    """(p(v) - p(w)) / (v - w) of a polynomial, without the subtraction."""
    inner = jnp.full_like(w, coefficients[-1])
    outer = inner
    for c in reversed(coefficients[1:-1]):
        inner = c + w * inner
        outer = inner + v * outer
    return outer


def _power_difference(m: int, u: Array, v: Array) -> Array:
    """(v**m - u**m) / (v - u), without the subtraction."""
    return sum((u**i * v ** (m - 1 - i) for i in range(m)), jnp.zeros_like(u))


def stirling_series(x: Array) -> Array:
    """log gamma(x) - [(x - 1/2) log x - x + log(2 pi) / 2] for x >= 10, by its asymptotic series."""
    u = 1.0 / x
    return u * _horner(_series(-1), u * u)


def _shifted(x: Array) -> Array:
    return jnp.where(x < SHIFT, x + SHIFT, x)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
@partial(jax.jit, static_argnums=0)  # traced once, however often the rules call it
def _polygamma(n: int, x: Array) -> Array:
    sign = (-1.0) ** (n + 1)
    y = _shifted(x)
    u = 1.0 / y
    tail = 0.5 * math.factorial(n) * u + u * u * _horner(_series(n), u * u)
    large = -(jnp.log(y) - tail) if n == 0 else u**n * (math.factorial(n - 1) + tail)
    small = sum(((1.0 / (x + j)) ** (n + 1) for j in range(SHIFT)), jnp.zeros_like(x))
    total = large + jnp.where(x < SHIFT, math.factorial(n) * small, 0.0)
    return jnp.where(x < 0, jnp.nan, sign * total)


@_polygamma.defjvp
def _polygamma_jvp(n, primals, tangents):
    (x,), (dx,) = primals, tangents
    return _polygamma(n, x), dx * saturate(_polygamma(n + 1, x))


def polygamma(n: int, x: ArrayLike) -> Array:
    """The n-th derivative of the digamma function at x > 0, elementwise; n is a Python integer, NaN for x < 0."""
    (x,) = floats(x)
    return _polygamma(n, x)


def digamma(x: ArrayLike) -> Array:
    """The derivative of log gamma at x > 0, elementwise; NaN for x < 0."""
    (x,) = floats(x)
    return _polygamma(0, x)


def lgamma_near_two(b: Array) -> Array:
    """log gamma(2 + b) for -1 <= b <= 8, proportional to b and so exact to rounding also near its zero."""
    q = b / 12.0
    log_ratio = jnp.log1p(q)
    u, v = jnp.full_like(b, 1.0 / 12.0), 1.0 / (12.0 + b)
    series = -b * u * v * _series_difference(-1, u, v)
    product = jnp.zeros_like(b)  # of (1 + b / (2 + j)), less 1
    for j in range(SHIFT):
        r = b / (2.0 + j)
        product = product + r + product * r
    return b * (math.log(12.0) - 1.0) + log_ratio * (b + 11.5) + series - jnp.log1p(product)


def lgamma_large(x: Array) -> Array:
    """log gamma(x) for x >= 10; infinite from 2.56e305 on."""
    return (x - 0.5) * (jnp.log(x) - 1.0) + (HALF_LOG_2PI - 0.5) + stirling_series(x)


@jax.custom_jvp
@jax.jit
def _gammaln(x: Array) -> Array:
    near_one = x < 1.5
    b = jnp.clip(jnp.where(near_one, x - 1.0, x - 2.0), -1.0, 8.0)
    small = lgamma_near_two(b) - jnp.where(near_one, jnp.log(x), 0.0)
    return jnp.where(x < SHIFT, small, lgamma_large(jnp.maximum(x, SHIFT)))


@_gammaln.defjvp
def _gammaln_jvp(primals, tangents):
    (x,), (dx,) = primals, tangents
    return _gammaln(x), dx * _polygamma(0, x)


def gammaln(x: ArrayLike) -> Array:
    """log gamma(x) for x > 0, elementwise; inf at 0, NaN below. Exact to rounding also next to its zeros 1 and 2."""
    (x,) = floats(x)
    return _gammaln(x)


def _series_difference(n: int, u: Array, v: Array) -> Array:
    """The divided difference between 1/u and 1/v, in u, of all of order n's expansion but its logarithms."""
    g, w, y = _series(n), u * u, v * v
    result = _power_difference(n + 2, u, v) * _horner(g, y) + u ** (n + 2) * (u + v) * _horner_difference(g, w, y)
    if n >= 0:
        result = result + 0.5 * math.factorial(n) * _power_difference(n + 1, u, v)
    if n >= 1:
        result = result + math.factorial(n - 1) * _power_difference(n, u, v)
    return result


def _difference_large(n: int, a: Array, b: Array) -> Array:
    """The difference of order n from a to a + b, for a >= 10."""
    u, v = 1.0 / a, 1.0 / (a + b)
    q = b / a
    step = -u / (1.0 + a / b)  # v - u
    series = (-1.0) ** (n + 1) * step * _series_difference(n, u, v)
    if n >= 1:
        return series
    log_ratio = jnp.log1p(q)
    if n == 0:
        return log_ratio + series
    surplus = q - log_ratio
    return b * jnp.log(a + b) - jnp.where(surplus == 0, 0.0, a * surplus) - 0.5 * log_ratio + series


def _log_rising(a: Array, b: Array) -> Array:
    """The sum of log((a + b + j) / (a + j)), j = 0 ... 9, for 0 < a < 10."""
    limit = jnp.finfo(a.dtype).max ** (1.0 / 6.0)  # beyond it these terms are lost in b log b
    first = b / a
    total = jnp.where(jnp.isinf(first), jnp.log(b) - jnp.log(a), jnp.log1p(first))
    b = jnp.minimum(b, limit)
    for group in (range(1, 6), range(6, SHIFT)):
        product = jnp.zeros_like(a)
        for j in group:
            r = b / (a + j)
            product = product + r + product * r
        total = total + jnp.log1p(product)
    return total


@partial(jax.custom_jvp, nondiff_argnums=(0,))
@partial(jax.jit, static_argnums=0)  # traced once, however often the rules call it
def difference(n: int, a: Array, b: Array) -> Array:
    """The difference of order n from a to a + b, for a > 0 and b >= 0: psi(a + b) - psi(a) for n = 0."""
    large = _difference_large(n, _shifted(a), b)
    if n == -1:
        return large - jnp.where(a < SHIFT, _log_rising(a, b), 0.0)
    shift = jnp.zeros_like(a)
    for j in range(SHIFT):
        s = a + j
        u, v = 1.0 / s, 1.0 / (s + b)
        shift = shift + u / (1.0 + s / b) * _power_difference(n + 1, u, v)
    return large + jnp.where(a < SHIFT, (-1.0) ** n * math.factorial(n) * shift, 0.0)


@difference.defjvp
def _difference_jvp(n, primals, tangents):
    (a, b), (da, db) = primals, tangents
    slope_a, slope_b = difference(n + 1, a, b), _polygamma(n + 1, a + b)
    return difference(n, a, b), da * saturate(slope_a) + db * saturate(slope_b)

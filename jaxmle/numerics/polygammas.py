"""The gamma function's logarithm, its derivatives, and their differences over a step.

Arguments of at least ten use Stirling's asymptotic series (twelve terms: relative error below 1e-17); smaller ones are
first shifted by ten with the recurrence. A difference psi(a + b) - psi(a) is formed term by term (log1p for the
logarithm, divided differences for the series, (b / t) / s for the shift), so that no two nearly equal numbers are ever
subtracted: it keeps its digits for b << a, where subtracting two values leaves none (n >> 1e8), and for b >> a.
The ten terms or factors of a shift are added or multiplied as fractions, numerator and denominator apart, all of one
sign: the rows of a pass are then worked on in one loop, which a compiler splits at every quotient that is used twice.

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

from .floats import along, floats, saturate, with_tangent

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


def _largest(x: Array) -> float:
    return float(jnp.finfo(x.dtype).max)


def _pieces(shifts: range, x: Array, double: int, single: int) -> list[range]:
    """The shifts in pieces, so many at a time as the range of x's type allows products of their terms."""
    size = double if _largest(x) > 1e300 else single
    return [shifts[i : i + size] for i in range(0, len(shifts), size)]


def _powers(m: int, x: Array) -> Array:
    """The sum of (x + j)**-m, j = 0 ... 9, for 0 < x < 10."""
    total = jnp.zeros_like(x)
    for piece in _pieces(range(SHIFT), x, 10, 2):
        over, under = jnp.zeros_like(x), jnp.ones_like(x)
        for j in piece:
            power = (x + j) ** m
            over, under = over * power + under, under * power
        total = total + over / under
    return total


@partial(jax.custom_jvp, nondiff_argnums=(0,))
@partial(jax.jit, static_argnums=0)  # traced once, however often the rules call it
def _polygamma(n: int, x: Array) -> Array:
    sign = (-1.0) ** (n + 1)
    y = _shifted(x)
    u = 1.0 / y
    tail = 0.5 * math.factorial(n) * u + u * u * _horner(_series(n), u * u)
    large = -(jnp.log(y) - tail) if n == 0 else u**n * (math.factorial(n - 1) + tail)
    total = large + jnp.where(x < SHIFT, math.factorial(n) * _powers(n + 1, x), 0.0)
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


@jax.jit
def log_gamma(x: Array, less_one: Array) -> Array:
    """log gamma(x) for x > 0, of which x - 1 is given too: exact to rounding also next to its zeros 1 and 2.

    Below ten it is that at 2 + b, -1 <= b <= 8, proportional to b: log gamma(12 + b) - log gamma(12) by the series, less
    the logarithm of the factors (1 + b / (2 + j)), j = 0 ... 9, and of gamma(2 + b) / gamma(x).
    """
    tiny, near_one, large = x < 0.5, x < 1.5, x >= SHIFT
    b = jnp.where(tiny, x, jnp.where(near_one, less_one, jnp.where(large, 0.0, less_one - 1.0)))
    gain, factors = jnp.where(near_one, b, 0.0), 1.0  # the product of the factors is 1 + gain / factors
    for s in range(2, 2 + SHIFT):
        gain, factors = gain * (s + b) + factors * b, factors * s
    gain = gain / factors
    shifted = jnp.log1p(jnp.where(tiny, 1.0 / (x + x * gain) - 1.0, gain))
    logarithm = jnp.log1p(jnp.where(large, less_one, b / 12.0))
    u, v = jnp.full_like(b, 1.0 / 12.0), 1.0 / (12.0 + b)
    series = -b * u * v * _series_difference(-1, u, v)
    small = b * (math.log(12.0) - 1.0) + logarithm * (b + 11.5) + series + jnp.where(tiny, shifted, -shifted)
    far = (x - 0.5) * (logarithm - 1.0) + (HALF_LOG_2PI - 0.5) + stirling_series(jnp.maximum(x, SHIFT))
    return jnp.where(large, far, small)


@jax.custom_jvp
def _gammaln(x: Array) -> Array:
    return jnp.where(x < 0, jnp.nan, log_gamma(x, x - 1.0))


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


def _large(n: int, a: Array, b: Array) -> Array:
    """The difference of order n from a to a + b, for a >= 10."""
    u, v = 1.0 / a, 1.0 / (a + b)
    step = -u * _share(b, v)  # v - u
    series = (-1.0) ** (n + 1) * step * _series_difference(n, u, v)
    if n >= 1:
        return series
    q = b * u
    log_ratio = jnp.log1p(q)
    if n == 0:
        return log_ratio + series
    surplus = q - log_ratio
    return b * (jnp.log(a) + log_ratio) - jnp.where(surplus == 0, 0.0, a * surplus) - 0.5 * log_ratio + series


def _share(b: Array, v: Array) -> Array:
    """b / (a + b), of which v = 1 / (a + b)."""
    return jnp.where(jnp.isinf(b), 1.0, b * v)


def _log_rising(a: Array, b: Array) -> Array:
    """The sum of log((a + b + j) / (a + j)), j = 0 ... 9, for 0 < a < 10."""
    largest, pieces = _largest(a), _pieces(range(1, SHIFT), a, 9, 5)
    b = jnp.minimum(b, largest ** (1 / 21 if len(pieces) == 1 else 1 / 6))  # beyond it this sum is lost in b log b
    first, scale = b / a, largest**0.5
    far = first > scale
    gain, total = jnp.where(far, b / (a * scale) - 1.0, first), jnp.where(far, math.log(scale), 0.0)
    if len(pieces) > 1:
        gain, total = jnp.zeros_like(b), total + jnp.log1p(gain)
    for piece in pieces:
        factors = jnp.ones_like(a)  # the product is 1 + gain / factors
        for j in piece:
            gain, factors = gain * (a + j + b) + factors * b, factors * (a + j)
        gain, total = jnp.zeros_like(b), total + jnp.log1p(gain / factors)
    return total


def _shift_difference(n: int, a: Array, b: Array) -> Array:
    """The sum of (a + j)**-m - (a + b + j)**-m, j = 0 ... 9, m = n + 1, for 0 < a < 10."""
    m = n + 1
    u, v = 1.0 / a, 1.0 / (a + b)
    total = u * _share(b, v) * _power_difference(m, u, v)
    pieces = _pieces(range(1, SHIFT), a, 5, 1)
    largest = _largest(a) ** (0.95 / (m * len(pieces[0])))  # that s t may be, with s below 20
    b = jnp.minimum(b, largest / 20.0)  # beyond it the second of the powers is nothing beside the first
    for piece in pieces:
        over, under = jnp.zeros_like(b), jnp.ones_like(b)
        for j in piece:
            s = a + j
            t = s + b
            power = (s * t) ** m
            over, under = over * power + under * _power_difference(m, s, t), under * power
        total = total + b * (over / under)
    return total


@partial(jax.custom_jvp, nondiff_argnums=(0,))
@partial(jax.jit, static_argnums=0)  # traced once, however often the rules call it
def difference(n: int, a: Array, b: Array) -> Array:
    """The difference of order n from a to a + b, for a > 0 and a + b > 0: psi(a + b) - psi(a) for n = 0."""
    down = b < 0
    a, b = jnp.where(down, a + b, a), jnp.abs(b)
    total, few = _large(n, _shifted(a), b), a < SHIFT
    if n == -1:
        total = total - jnp.where(few, _log_rising(a, b), 0.0)
    else:
        total = total + jnp.where(few, (-1.0) ** n * math.factorial(n) * _shift_difference(n, a, b), 0.0)
    return jnp.where(down, -total, total)


def _difference_jvp(n, primals, tangents):
    (a, b), (da, db) = primals, tangents
    by_a = along(da, lambda: saturate(difference(n + 1, a, b)))
    return with_tangent(difference(n, a, b), by_a, along(db, lambda: saturate(_polygamma(n + 1, a + b))))


difference.defjvp(_difference_jvp, symbolic_zeros=True)

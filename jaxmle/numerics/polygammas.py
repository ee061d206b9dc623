"""The gamma function's logarithm, its derivatives, and their differences over a step.

Arguments of at least ten use Stirling's asymptotic series (twelve terms: relative error below 1e-17); smaller ones are
first shifted by ten with the recurrence. A difference psi(a + b) - psi(a) is formed term by term (log1p for the
logarithm, divided differences for the series, (b / t) / s for the shift), so that no two nearly equal numbers are ever
subtracted: it keeps its digits for b << a, where subtracting two values leaves none (n >> 1e8), and for b >> a.
The ten terms or factors of a shift are added or multiplied as fractions, numerator and denominator apart, all of one
sign: the rows of a pass are then worked on in one loop, which a compiler splits at every quotient that is used twice.
For the same reason log gamma uses each of its quotients and logarithms once (see stirling.py).

Order n = -1 is log gamma, n = 0 digamma, n >= 1 the polygamma function, everywhere in this file.
Source: Abramowitz and Stegun 6.3.5, 6.4.6; DLMF 5.5, 5.15.
"""

from __future__ import annotations

import math
from functools import partial, reduce
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from . import stirling
from .floats import along, floats, saturate, with_tangent
from .logarithms import log, log1p
from .stirling import HALF_LOG_2PI, SHIFT, horner


def _horner_difference(coefficients: list[float], w: Array, v: Array) -> Array:
    """(p(v) - p(w)) / (v - w) of a polynomial, without the subtraction."""
    inner = jnp.full_like(w, coefficients[-1])
    outer = inner
    for c in reversed(coefficients[1:-1]):
        inner = c + w * inner
        outer = inner + v * outer
    return outer


def _power_difference(m: int, u: Array, v: Array) -> Any:
    """(v**m - u**m) / (v - u), without the subtraction."""
    if m < 2:
        return float(m)
    total, power = u + v, u
    for _ in range(m - 2):
        power = power * u
        total = total * v + power
    return total


def _shifted(x: Array) -> Array:
    return jnp.where(x < SHIFT, x + SHIFT, x)


def _pieces(shifts: range, x: Array, double: int, single: int) -> list[range]:
    """The shifts in pieces, so many at a time as the range of x's type allows products of their terms."""
    size = double if stirling.largest(x) > 1e300 else single
    return [shifts[i : i + size] for i in range(0, len(shifts), size)]


def _added(first: tuple[Any, Array], second: tuple[Any, Array]) -> tuple[Array, Array]:
    """The sum of two fractions (numerator, denominator); a numerator may be the number one."""
    (a, b), (c, d) = first, second
    return a * d + (b if isinstance(c, float) else b * c), b * d


def _plus(total: Array, few: Array, factor: Any, fractions: list[tuple[Any, Array]]) -> Array:
    """`total` and, where `few`, `factor` times the fractions (numerators, denominators), the sum a quotient again.

    What is cheap is computed anew by a compiler for each that uses it, and derivatives are used by many: a quotient is not.
    """
    for over, under in fractions:
        under = jnp.where(few, under, 1.0)
        total = (total * under + jnp.where(few, factor * over, 0.0)) / under
    return total


def _powers(m: int, x: Array) -> list[tuple[Any, Array]]:
    """The sum of (x + j)**-m, j = 0 ... 9, for 0 < x < 10, in fractions."""
    return [reduce(_added, ((1.0, (x + j) ** m) for j in piece)) for piece in _pieces(range(SHIFT), x, 10, 2)]


@partial(jax.custom_jvp, nondiff_argnums=(0,))
@partial(jax.jit, static_argnums=0)  # traced once, however often the rules call it
def _polygamma(n: int, x: Array) -> Array:
    sign = (-1.0) ** (n + 1)
    y = _shifted(x)
    if n == 0:
        few = jnp.minimum(y, stirling.largest(x) ** (1 / (2 * stirling.DEGREE + 4)))  # beyond it, it is as 1 / x
        large = stirling.digamma_over(few) / (2.0 * stirling.under(few) ** 2 * y) - log(y)
    else:
        u = 1.0 / y
        tail = 0.5 * math.factorial(n) * u + u * u * horner(stirling.series(n), u * u)
        large = u**n * (math.factorial(n - 1) + tail)
    large = jnp.where(x < 0, jnp.nan, sign * large)
    return _plus(large, x < SHIFT, sign * math.factorial(n), _powers(n + 1, x))


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
    product = x * (factors + gain)
    quotient = jnp.where(tiny, factors - product, gain) / jnp.where(tiny, product, factors)
    shifted = jnp.where(tiny, 1.0, -1.0) * log1p(quotient)  # zero where x is large
    t = jnp.where(large, jnp.minimum(x, stirling.largest(x) ** (1 / (stirling.DEGREE + 1))), stirling.BASE + b)
    over = jnp.where(large, stirling.over(t), b * stirling.over_from_base(t))
    logarithm = log1p(jnp.where(large, less_one, b / stirling.BASE)) - jnp.where(large, 1.0, 0.0)
    main = jnp.where(large, x - 0.5, b + (stirling.BASE - 0.5)) * logarithm
    rest = jnp.where(large, HALF_LOG_2PI - 0.5, b * (math.log(stirling.BASE) - 1.0))
    return main + rest + (over / stirling.under(t) + shifted)


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
    """The divided difference between 1/u and 1/v, in u, of all of order n's expansion but its logarithms; n >= 0."""
    g, w, y = stirling.series(n), u * u, v * v
    result = _power_difference(n + 2, u, v) * horner(g, y) + u ** (n + 2) * (u + v) * _horner_difference(g, w, y)
    result = result + 0.5 * math.factorial(n) * _power_difference(n + 1, u, v)
    if n >= 1:
        result = result + math.factorial(n - 1) * _power_difference(n, u, v)
    return result


def _large(n: int, a: Array, b: Array) -> Array:
    """The difference of order n >= 0 from a to a + b, for a >= 10."""
    u, v = 1.0 / a, 1.0 / (a + b)
    step = -u * _share(b, v)  # v - u
    series = (-1.0) ** (n + 1) * step * _series_difference(n, u, v)
    return log1p(b * u) + series if n == 0 else series


def _log_large(a: Array, b: Array) -> Array:
    """log gamma(a + b) - log gamma(a), for a >= 10 and b >= 0."""
    ratio = log1p(b / a)
    surplus = jnp.where(b > a * jnp.finfo(a.dtype).tiny, (a + b - 0.5) * ratio - b, 0.0)  # else no digit is left of it
    most = stirling.largest(a) ** (1 / (2 * stirling.DEGREE + 2))
    a_few, b_few = jnp.minimum(a, most), jnp.minimum(b, most)  # beyond it, the series is nothing beside b log a
    t = a_few + b_few
    series = b_few * stirling.divided_over(a_few, t) / (stirling.under(a_few) * stirling.under(t))
    return b * log(a) + surplus + series


def _share(b: Array, v: Array) -> Array:
    """b / (a + b), of which v = 1 / (a + b)."""
    return jnp.where(jnp.isinf(b), 1.0, b * v)


def _log_rising(a: Array, b: Array) -> Array:
    """The sum of log((a + b + j) / (a + j)), j = 0 ... 9, for 0 < a < 10."""
    largest, pieces = stirling.largest(a), _pieces(range(1, SHIFT), a, 9, 5)
    b = jnp.minimum(b, largest ** (1 / 21 if len(pieces) == 1 else 1 / 6))  # beyond it this sum is lost in b log b
    scale = largest**0.5
    far = b > a * scale
    gain = b / jnp.where(far, a * scale, a) - jnp.where(far, 1.0, 0.0)
    total = jnp.where(far, math.log(scale), 0.0)
    if len(pieces) > 1:
        gain, total = jnp.zeros_like(b), total + log1p(gain)
    for piece in pieces:
        factors = jnp.ones_like(a)  # the product is 1 + gain / factors
        for j in piece:
            gain, factors = gain * (a + j + b) + factors * b, factors * (a + j)
        gain, total = jnp.zeros_like(b), total + log1p(gain / factors)
    return total


def _shift_difference(n: int, a: Array, b: Array) -> tuple[Array, Array, list[tuple[Any, Array]]]:
    """The sum of (a + j)**-m - (a + b + j)**-m, j = 0 ... 9, m = n + 1, for 0 < a < 10: the first term, and a factor of
    the others in fractions."""
    m = n + 1
    u, v = 1.0 / a, 1.0 / (a + b)
    first, fractions = u * _share(b, v) * _power_difference(m, u, v), []
    pieces = _pieces(range(1, SHIFT), a, 5, 1)
    largest = stirling.largest(a) ** (0.95 / (m * len(pieces[0])))  # that s t may be, with s below 20
    b = jnp.minimum(b, largest / 20.0)  # beyond it the second of the powers is nothing beside the first
    for piece in pieces:
        pairs = [(s := a + j, s + b) for j in piece]
        fractions.append(reduce(_added, ((_power_difference(m, s, t), (s * t) ** m) for s, t in pairs)))
    return first, b, fractions


@partial(jax.custom_jvp, nondiff_argnums=(0,))
@partial(jax.jit, static_argnums=0)  # traced once, however often the rules call it
def difference(n: int, a: Array, b: Array) -> Array:
    """The difference of order n from a to a + b, for a > 0 and a + b > 0: psi(a + b) - psi(a) for n = 0."""
    sign = jnp.where(b < 0, -1.0, 1.0)
    a, b = jnp.minimum(a, a + b), jnp.abs(b)
    few, high = a < SHIFT, _shifted(a)
    if n == -1:  # where there are not few, the sum is that of no step, zero
        return sign * (_log_large(high, b) - _log_rising(jnp.where(few, a, 1.0), jnp.where(few, b, 0.0)))
    total = sign * _large(n, high, b)
    sign = sign * ((-1.0) ** n * math.factorial(n))
    first, factor, fractions = _shift_difference(n, a, b)
    total = _plus(total, few, sign * factor, fractions)
    return total + jnp.where(few, sign * first, 0.0)  # which may be too large to be multiplied


def _difference_jvp(n, primals, tangents):
    (a, b), (da, db) = primals, tangents
    by_a = along(da, lambda: saturate(difference(n + 1, a, b)))
    return with_tangent(difference(n, a, b), by_a, along(db, lambda: saturate(_polygamma(n + 1, a + b))))


difference.defjvp(_difference_jvp, symbolic_zeros=True)

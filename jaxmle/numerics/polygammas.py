"""The gamma function's logarithm, its derivatives, and their differences over a step.

Arguments of at least ten use Stirling's asymptotic series (twelve terms: relative error below 1e-17); smaller ones are
first shifted by ten with the recurrence. A difference psi(a + b) - psi(a) is formed term by term (log1p for the
logarithm, divided differences for the series, (b / t) / s for the shift), so that no two nearly equal numbers are ever
subtracted: it keeps its digits for b << a, where subtracting two values leaves none (n >> 1e8), and for b >> a.
The ten terms or factors of a shift are added or multiplied as fractions, numerator and denominator apart, all of one
sign: the rows of a pass are then worked on in one loop, which a compiler splits at every quotient that is used twice.
So log gamma's own series is a quotient of polynomials, and each quotient and logarithm of it is used once: a loop that is
split is not only read and written once more, but may be left without vectors (docs/hazards.md).

Order n = -1 is log gamma, n = 0 digamma, n >= 1 the polygamma function, everywhere in this file.
Source: Abramowitz and Stegun 6.1.40, 6.3.18, 6.4.11; DLMF 5.10, 5.11, 5.15.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import partial
from typing import Any

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


STIELTJES = tuple(Fraction(*c) for c in ((1, 12), (1, 30), (53, 210), (195, 371), (22999, 22737), (29944523, 19733142)))
"""Stirling's series is about c0 / (x + c1 / (x + c2 / (x + ...))): with these, to 1.2e-16 for x >= 10 (DLMF 5.10.1)."""


def _convergent() -> tuple[list[Fraction], list[Fraction]]:
    """Numerator and denominator of that continued fraction, polynomials in x, the constant coefficient first."""
    over, under = [Fraction(0)], [Fraction(1)]
    for c in reversed(STIELTJES):
        longer = [Fraction(0), *under]
        over, under = [c * d for d in under], [d + (over[i] if i < len(over) else 0) for i, d in enumerate(longer)]
    return over, under


OVER, UNDER = _convergent()


def _divided() -> list[list[Fraction]]:
    """The coefficients k_ij of a**i t**j in the divided difference of OVER / UNDER from a to t, times UNDER of each."""
    size = max(len(OVER), len(UNDER)) - 1
    k = [[Fraction(0)] * size for _ in range(size)]
    for i, p in enumerate(OVER):
        for j, q in enumerate(UNDER):
            for m in range(abs(i - j)):
                k[min(i, j) + m][max(i, j) - 1 - m] += p * q * (1 if i > j else -1)
    return k


DIVIDED = _divided()
STEP_FROM = 12.0
"""Below ten, log gamma is that from here on, with a step back."""

FROM_TWELVE = [
    sum(row[j] * Fraction(STEP_FROM) ** i for i, row in enumerate(DIVIDED))
    / sum(c * Fraction(STEP_FROM) ** i for i, c in enumerate(UNDER))
    for j in range(len(DIVIDED))
]
"""The divided difference from there to t, times UNDER of t."""


def _product(p: list[Fraction], q: list[Fraction]) -> list[Fraction]:
    out = [Fraction(0)] * (len(p) + len(q) - 1)
    for i, c in enumerate(p):
        for j, d in enumerate(q):
            out[i + j] += c * d
    return out


def _slope(p: list[Fraction]) -> list[Fraction]:
    return [i * c for i, c in enumerate(p)][1:]


SQUARE = _product(UNDER, UNDER)
SLOPE_OVER = [
    b - 2 * (c - d)
    for b, c, d in zip(SQUARE, [0, *_product(_slope(OVER), UNDER), 0], [0, *_product(OVER, _slope(UNDER)), 0])
]
"""log x - digamma(x) is this over 2 x UNDER(x)**2."""


def _polynomial(coefficients: list[Fraction], x: Array) -> Array:
    """Σ c_i x**i, of which every other coefficient is zero."""
    first = 0 if coefficients[0] else 1
    value = _horner([float(c) for c in coefficients[first::2]], x * x)
    return x * value if first else value


def _divided_difference(a: Array, t: Array) -> Array:
    """Σ k_ij a**i t**j."""
    result = jnp.zeros_like(a)
    for row in reversed(DIVIDED):
        result = _polynomial(row, t) + a * result
    return result


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


def _plus(total: Array, few: Array, factor: Any, fractions: list[tuple[Array, Array]]) -> Array:
    """`total` and, where `few`, `factor` times the fractions (numerators, denominators), the sum a quotient again.

    What is cheap is computed anew by a compiler for each that uses it, and derivatives are used by many: a quotient is not.
    """
    for over, under in fractions:
        under = jnp.where(few, under, 1.0)
        total = (total * under + jnp.where(few, factor * over, 0.0)) / under
    return total


def _powers(m: int, x: Array) -> list[tuple[Array, Array]]:
    """The sum of (x + j)**-m, j = 0 ... 9, for 0 < x < 10, in fractions."""
    fractions = []
    for piece in _pieces(range(SHIFT), x, 10, 2):
        over, under = jnp.zeros_like(x), jnp.ones_like(x)
        for j in piece:
            power = (x + j) ** m
            over, under = over * power + under, under * power
        fractions.append((over, under))
    return fractions


@partial(jax.custom_jvp, nondiff_argnums=(0,))
@partial(jax.jit, static_argnums=0)  # traced once, however often the rules call it
def _polygamma(n: int, x: Array) -> Array:
    sign = (-1.0) ** (n + 1)
    y = _shifted(x)
    if n == 0:
        few = jnp.minimum(y, _largest(x) ** (1 / (2 * len(UNDER) + 2)))  # beyond it, it is as 1 / x
        tail = few * _horner([float(c) for c in SLOPE_OVER], few)
        large = tail / (2.0 * few * _polynomial(UNDER, few) ** 2 * y) - jnp.log(y)
    else:
        u = 1.0 / y
        tail = 0.5 * math.factorial(n) * u + u * u * _horner(_series(n), u * u)
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
    shifted = jnp.where(tiny, 1.0, -1.0) * jnp.log1p(quotient)  # zero where x is large
    t = jnp.where(large, jnp.minimum(x, _largest(x) ** (1 / len(UNDER))), STEP_FROM + b)
    over = jnp.where(large, _polynomial(OVER, t), b * _horner([float(c) for c in FROM_TWELVE], t))
    logarithm = jnp.log1p(jnp.where(large, less_one, b / STEP_FROM)) - jnp.where(large, 1.0, 0.0)
    main = jnp.where(large, x - 0.5, b + (STEP_FROM - 0.5)) * logarithm
    rest = jnp.where(large, HALF_LOG_2PI - 0.5, b * (math.log(STEP_FROM) - 1.0))
    return main + rest + (over / _polynomial(UNDER, t) + shifted)


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
    g, w, y = _series(n), u * u, v * v
    result = _power_difference(n + 2, u, v) * _horner(g, y) + u ** (n + 2) * (u + v) * _horner_difference(g, w, y)
    result = result + 0.5 * math.factorial(n) * _power_difference(n + 1, u, v)
    if n >= 1:
        result = result + math.factorial(n - 1) * _power_difference(n, u, v)
    return result


def _large(n: int, a: Array, b: Array) -> Array:
    """The difference of order n from a to a + b, for a >= 10."""
    if n == -1:
        return _log_large(a, b)
    u, v = 1.0 / a, 1.0 / (a + b)
    step = -u * _share(b, v)  # v - u
    series = (-1.0) ** (n + 1) * step * _series_difference(n, u, v)
    return jnp.log1p(b * u) + series if n == 0 else series


def _log_large(a: Array, b: Array) -> Array:
    """log gamma(a + b) - log gamma(a), for a >= 10 and b >= 0."""
    ratio = jnp.log1p(b / a)
    surplus = jnp.where(b > a * jnp.finfo(a.dtype).tiny, (a + b - 0.5) * ratio - b, 0.0)  # else no digit is left of it
    most = _largest(a) ** (1 / (2 * len(UNDER)))
    a_few, b_few = jnp.minimum(a, most), jnp.minimum(b, most)  # beyond it, the series is nothing beside b log a
    t = a_few + b_few
    series = b_few * _divided_difference(a_few, t) / (_polynomial(UNDER, a_few) * _polynomial(UNDER, t))
    return b * jnp.log(a) + surplus + series


def _share(b: Array, v: Array) -> Array:
    """b / (a + b), of which v = 1 / (a + b)."""
    return jnp.where(jnp.isinf(b), 1.0, b * v)


def _log_rising(a: Array, b: Array) -> Array:
    """The sum of log((a + b + j) / (a + j)), j = 0 ... 9, for 0 < a < 10."""
    largest, pieces = _largest(a), _pieces(range(1, SHIFT), a, 9, 5)
    b = jnp.minimum(b, largest ** (1 / 21 if len(pieces) == 1 else 1 / 6))  # beyond it this sum is lost in b log b
    scale = largest**0.5
    far = b > a * scale
    gain = b / jnp.where(far, a * scale, a) - jnp.where(far, 1.0, 0.0)
    total = jnp.where(far, math.log(scale), 0.0)
    if len(pieces) > 1:
        gain, total = jnp.zeros_like(b), total + jnp.log1p(gain)
    for piece in pieces:
        factors = jnp.ones_like(a)  # the product is 1 + gain / factors
        for j in piece:
            gain, factors = gain * (a + j + b) + factors * b, factors * (a + j)
        gain, total = jnp.zeros_like(b), total + jnp.log1p(gain / factors)
    return total


def _shift_difference(n: int, a: Array, b: Array) -> tuple[Array, Array, list[tuple[Array, Array]]]:
    """The sum of (a + j)**-m - (a + b + j)**-m, j = 0 ... 9, m = n + 1, for 0 < a < 10: the first term, and a factor of
    the others in fractions."""
    m = n + 1
    u, v = 1.0 / a, 1.0 / (a + b)
    first, fractions = u * _share(b, v) * _power_difference(m, u, v), []
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
        fractions.append((over, under))
    return first, b, fractions


@partial(jax.custom_jvp, nondiff_argnums=(0,))
@partial(jax.jit, static_argnums=0)  # traced once, however often the rules call it
def difference(n: int, a: Array, b: Array) -> Array:
    """The difference of order n from a to a + b, for a > 0 and a + b > 0: psi(a + b) - psi(a) for n = 0."""
    sign = jnp.where(b < 0, -1.0, 1.0)
    a, b = jnp.minimum(a, a + b), jnp.abs(b)
    total, few = sign * _large(n, _shifted(a), b), a < SHIFT
    if n == -1:
        return total - sign * _log_rising(jnp.where(few, a, 1.0), jnp.where(few, b, 0.0))  # zero of no step
    sign = sign * ((-1.0) ** n * math.factorial(n))
    first, factor, fractions = _shift_difference(n, a, b)
    total = _plus(total, few, sign * factor, fractions)
    return total + jnp.where(few, sign * first, 0.0)  # which may be too large to be multiplied


def _difference_jvp(n, primals, tangents):
    (a, b), (da, db) = primals, tangents
    by_a = along(da, lambda: saturate(difference(n + 1, a, b)))
    return with_tangent(difference(n, a, b), by_a, along(db, lambda: saturate(_polygamma(n + 1, a + b))))


difference.defjvp(_difference_jvp, symbolic_zeros=True)

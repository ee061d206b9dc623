"""Stirling's series for log gamma and its derivatives, and for the first two the same as quotients of polynomials.

In a loop over rows a compiler computes a quotient apart that is used more than once, as the series' 1 / x is, and such a
loop may be left without vector instructions (docs/hazards.md): a quotient of polynomials in x is used once.
Source: Abramowitz and Stegun 6.1.40, 6.3.18, 6.4.11; DLMF 5.10, 5.11.
"""

from __future__ import annotations

import math
from fractions import Fraction

import jax.numpy as jnp
import numpy as np
from jax import Array

BERNOULLI = (
    *(1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6),
    *(-3617 / 510, 43867 / 798, -174611 / 330, 854513 / 138, -236364091 / 2730),
)
"""The Bernoulli numbers B2, B4, ... B24."""

HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)
SHIFT = 10
"""Stirling's series is used from here on; smaller arguments are shifted by as much."""


def largest(x: Array) -> float:
    """The largest number of x's type."""
    return float(jnp.finfo(x.dtype).max)


def series(n: int) -> list[float]:
    """The coefficients g_k, k = 1 ... 12, of order n's series: x**-n times the sum of g_k x**(-2 k)."""
    return [b * math.factorial(2 * k + n - 1) / math.factorial(2 * k) for k, b in enumerate(BERNOULLI, start=1)]


def horner(coefficients: list[float], w: Array) -> Array:
    """The polynomial in w, the constant coefficient first."""
    result = jnp.full_like(w, coefficients[-1])
    for c in reversed(coefficients[:-1]):
        result = c + w * result
    return result


def stirling_series(x: Array) -> Array:
    """log gamma(x) - [(x - 1/2) log x - x + log(2 pi) / 2] for x >= 10, by its asymptotic series."""
    u = 1.0 / x
    return u * horner(series(-1), u * u)


# --- as a quotient --------------------------------------------------------------------------------------------------------

STIELTJES = tuple(Fraction(*c) for c in ((1, 12), (1, 30), (53, 210), (195, 371), (22999, 22737), (29944523, 19733142)))
"""The series is about c0 / (x + c1 / (x + c2 / (x + ...))): with these, to 1.2e-16 for x >= 10 (DLMF 5.10.1)."""


def _convergent() -> tuple[list[Fraction], list[Fraction]]:
    """Numerator and denominator of that continued fraction."""
    over, under = [Fraction(0)], [Fraction(1)]
    for c in reversed(STIELTJES):
        longer = [Fraction(0), *under]
        over, under = [c * d for d in under], [d + (over[i] if i < len(over) else 0) for i, d in enumerate(longer)]
    return over, under


OVER, UNDER = _convergent()
DEGREE = len(UNDER) - 1


def _times(p: list[Fraction], q: list[Fraction]) -> list[Fraction]:
    return np.convolve(np.array(p, object), np.array(q, object)).tolist()


def _slope(p: list[Fraction]) -> list[Fraction]:
    return [i * c for i, c in enumerate(p)][1:]


def _divided() -> list[list[Fraction]]:
    """The coefficients k_ij of a**i t**j in OVER(t) UNDER(a) - OVER(a) UNDER(t), divided by t - a."""
    k = [[Fraction(0)] * DEGREE for _ in range(DEGREE)]
    for i, p in enumerate(OVER):
        for j, q in enumerate(UNDER):
            for m in range(abs(i - j)):
                k[min(i, j) + m][max(i, j) - 1 - m] += p * q * (1 if i > j else -1)
    return k


DIVIDED = _divided()
BASE = 12.0
"""Log gamma below ten is that from here on."""

FROM_BASE = [
    sum(row[j] * Fraction(BASE) ** i for i, row in enumerate(DIVIDED))
    / sum(c * Fraction(BASE) ** i for i, c in enumerate(UNDER))
    for j in range(DEGREE)
]
_RISE = [c - d for c, d in zip(_times(_slope(OVER), UNDER), _times(OVER, _slope(UNDER)))]
DIGAMMA_OVER = [c - 2 * d for c, d in zip(_times(UNDER, UNDER), [0, *_RISE, 0])]


def _alternate(coefficients: list[Fraction], x: Array) -> Array:
    """A polynomial of which every other coefficient is zero."""
    first = 0 if coefficients[0] else 1
    value = horner([float(c) for c in coefficients[first::2]], x * x)
    return x * value if first else value


def over(x: Array) -> Array:
    """The series is `over(x) / under(x)` for x >= 10."""
    return _alternate(OVER, x)


def under(x: Array) -> Array:
    """See `over`; it is of the degree `DEGREE`."""
    return _alternate(UNDER, x)


def divided_over(a: Array, t: Array) -> Array:
    """The series at t less that at a, divided by t - a, times `under(a) * under(t)`."""
    result = jnp.zeros_like(a)
    for row in reversed(DIVIDED):
        result = _alternate(row, t) + a * result
    return result


def over_from_base(t: Array) -> Array:
    """The series at t less that at `BASE`, divided by t - BASE, times `under(t)`."""
    return horner([float(c) for c in FROM_BASE], t)


def digamma_over(x: Array) -> Array:
    """log x - digamma(x) is `digamma_over(x) / (2 x under(x)**2)` for x >= 10."""
    return horner([float(c) for c in DIGAMMA_OVER], x)

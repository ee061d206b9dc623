"""Combinations of log gamma functions that keep their digits: ratios, the beta function, binomial coefficients.

Their derivatives are written in differences of polygamma functions (`polygammas.difference`), never as a formula that
picks the smaller of two arguments: so they are right at a == b as well.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from .floats import floats
from .logarithms import log, log1p
from .polygammas import difference, gammaln, log_gamma, polygamma
from .stirling import HALF_LOG_2PI, SHIFT, stirling_series


def log_gamma_ratio(a: ArrayLike, b: ArrayLike) -> Array:
    """log gamma(a + b) - log gamma(a) for a > 0 and a + b > 0, elementwise and broadcast.

    Keeps its digits for b far below a, as in counts n >> 1e8 with a small dispersion, and for b far above a.
    """
    return difference(-1, *floats(a, b))


@jax.custom_jvp
def _log_factorial(n: Array) -> Array:
    return log_gamma(n + 1.0, n)


@_log_factorial.defjvp
def _log_factorial_jvp(primals, tangents):
    (n,), (dn,) = primals, tangents
    return _log_factorial(n), dn * polygamma(0, n + 1.0)


def log_factorial(n: ArrayLike) -> Array:
    """log gamma(n + 1) for n > -1, elementwise; exactly 0 at n = 0 and n = 1."""
    (n,) = floats(n)
    return _log_factorial(n)


@jax.custom_jvp
def _binet_slope(y: Array) -> Array:
    return log1p(1.0 / y) - (y + 0.5) / y / (y + 1.0)


@_binet_slope.defjvp
def _binet_slope_jvp(primals, tangents):
    (y,), (dy,) = primals, tangents
    r = 1.0 / y / (y + 1.0)
    return _binet_slope(y), dy * (0.5 * r * r)


@jax.custom_jvp
def _binet(y: Array) -> Array:
    """What Stirling's correction loses from y to y + 1: (y + 1/2) log(1 + 1/y) - 1."""
    return (y + 0.5) * log1p(1.0 / y) - 1.0


@_binet.defjvp
def _binet_jvp(primals, tangents):
    (y,), (dy,) = primals, tangents
    return _binet(y), dy * _binet_slope(y)


def stirling_correction(x: ArrayLike) -> Array:
    """log gamma(x) - [(x - 1/2) log x - x + log(2 pi) / 2] for x > 0, elementwise: about 1 / (12 x).

    The remainder that is lost when log gamma and Stirling's formula are subtracted.
    """
    (x,) = floats(x)
    small = x < SHIFT
    y = jnp.where(small, x, 1.0)
    steps = sum((_binet(y + j) for j in range(SHIFT)), jnp.zeros_like(y))
    total = stirling_series(jnp.where(small, x + SHIFT, x)) + jnp.where(small, steps, 0.0)
    return jnp.where(x < 0, jnp.nan, total)


def _betaln_large(s: Array, x: Array) -> Array:
    """log beta(s, x) for 10 <= s <= x."""
    corrections = stirling_series(x + s) - stirling_series(x) - stirling_series(s)
    ratio = s / x
    main = s * log1p(x / s) + jnp.where(ratio == 0, s, x * log1p(ratio))
    return HALF_LOG_2PI - main - 0.5 * (log(s) - log1p(ratio)) - corrections


@jax.custom_jvp
def _betaln(a: Array, b: Array) -> Array:
    small, large = jnp.minimum(a, b), jnp.maximum(a, b)
    direct = gammaln(small) - difference(-1, large, small)
    return jnp.where(small < SHIFT, direct, _betaln_large(jnp.maximum(small, SHIFT), jnp.maximum(large, SHIFT)))


@_betaln.defjvp
def _betaln_jvp(primals, tangents):
    (a, b), (da, db) = primals, tangents
    return _betaln(a, b), -(da * difference(0, a, b) + db * difference(0, b, a))


def betaln(a: ArrayLike, b: ArrayLike) -> Array:
    """log beta(a, b) = log gamma(a) + log gamma(b) - log gamma(a + b) for a, b > 0, elementwise and broadcast.

    Value, gradient and Hessian are right at a == b and for arguments of any size, where `jax.scipy.special.betaln`
    has a singular Hessian, and a value wrong in the seventh digit.
    """
    a, b = floats(a, b)
    return _betaln(a, b)


@jax.custom_jvp
def log_choose(x: Array, y: Array) -> Array:
    """log((x + y)! / (x! y!)) for x, y >= 0."""
    small, large = jnp.minimum(x, y), jnp.maximum(x, y)
    direct = difference(-1, large + 1.0, small) - _log_factorial(small)
    s, t = jnp.maximum(small, SHIFT), jnp.maximum(large, SHIFT)
    return jnp.where(small < SHIFT, direct, -_betaln_large(s + 1.0, t + 1.0) - log(s + t + 1.0))


@log_choose.defjvp
def _log_choose_jvp(primals, tangents):
    (x, y), (dx, dy) = primals, tangents
    return log_choose(x, y), dx * difference(0, x + 1.0, y) + dy * difference(0, y + 1.0, x)


def log_binomial(n: ArrayLike, k: ArrayLike) -> Array:
    """log(n! / (k! (n - k)!)) for 0 <= k <= n, elementwise and broadcast; -inf, with zero derivatives, elsewhere."""
    n, k = floats(n, k)
    outside = (k < 0) | (k > n)
    result = log_choose(jnp.where(outside, 0.0, n - k), jnp.where(outside, 0.0, k))
    return jnp.where(outside, -jnp.inf, result)


def _before(counts: Array) -> Array:
    """The sum of the entries before each one, along the last axis."""
    return jnp.concatenate([jnp.zeros_like(counts[..., :1]), jnp.cumsum(counts, axis=-1)[..., :-1]], axis=-1)


@jax.custom_jvp
def _log_multinomial(counts: Array) -> Array:
    return jnp.sum(log_choose(_before(counts), counts), axis=-1)


@_log_multinomial.defjvp
def _log_multinomial_jvp(primals, tangents):
    (counts,), (dcounts,) = primals, tangents
    others = _before(counts) + jnp.flip(_before(jnp.flip(counts, -1)), -1)
    return _log_multinomial(counts), jnp.sum(dcounts * difference(0, counts + 1.0, others), axis=-1)


def log_multinomial(counts: ArrayLike, axis: int = -1) -> Array:
    """log((sum counts)! / prod(counts!)) along an axis, for counts >= 0; -inf where one is negative.

    Formed as a chain of binomial coefficients: every term is positive, so that nothing cancels.
    """
    (counts,) = floats(counts)
    counts = jnp.moveaxis(counts, axis, -1)
    outside = jnp.any(counts < 0, axis=-1)
    return jnp.where(outside, -jnp.inf, _log_multinomial(jnp.where(outside[..., None], 0.0, counts)))

"""Log-probabilities of counts written as deviances, so that a mean of 1e8 or a dispersion of 1e-12 costs no digits.

With Stirling's formula taken out of log y!, what is left are terms of one sign: y (log(1 + u) - u) and a small correction.
Source: Loader (2000), "Fast and accurate computation of binomial probabilities".
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ...numerics import log_binomial, log_factorial
from ...numerics.deviances import NEAR, log1pmx
from ...numerics.floats import along, with_tangent
from ...numerics.stirling import HALF_LOG_2PI, SHIFT, series, stirling_series

FEW = float(SHIFT)
"""Below this many the plain formula loses nothing."""


def poisson(y: Array, log_rate: Array, rate: Array) -> Array:
    """y log(rate) - rate - log y!, for y >= 0 of any size; y need not be whole."""
    many = jnp.maximum(y, FEW)
    log_many = jnp.log(many)
    large = -HALF_LOG_2PI - 0.5 * log_many - stirling_series(many)
    return _poisson(y, log_many, jnp.where(y < FEW, -log_factorial(y), large), log_rate, rate)


@jax.custom_jvp
def _poisson(y: Array, log_many: Array, constant: Array, log_rate: Array, rate: Array) -> Array:
    """What is left when all that depends on the count alone is given."""
    many = jnp.maximum(y, FEW)
    deviance = many * log1pmx((rate - many) / many, log_rate - log_many)
    power = jnp.where(y > 0, jnp.where(y > 0, y, 1.0) * log_rate, 0.0)
    return jnp.where(y < FEW, power - rate, deviance) + constant


def _poisson_jvp(primals: tuple, tangents: tuple) -> tuple:
    (y, log_many, _, log_rate, rate), (dy, dmany, dconstant, dlog, drate) = primals, tangents
    few = y < FEW
    change = along(dlog, lambda: y) + along(drate, lambda: -jnp.ones_like(rate))
    change = change + along(dy, lambda: log_rate - jnp.where(few, 0.0, log_many - 1.0))
    change = change + along(dmany, lambda: jnp.where(few, 0.0, -y)) + along(dconstant, lambda: jnp.ones_like(y))
    return with_tangent(_poisson(*primals), change)


_poisson.defjvp(_poisson_jvp, symbolic_zeros=True)


def binomial(n: Array, y: Array, log_p: Array, log_q: Array) -> Array:
    """log of n! / (y! (n - y)!) p**y q**(n - y) for p + q = 1, 0 <= y <= n of any size."""
    few, a, b = _many(n, y)
    log_a, log_b, log_m = jnp.log(a), jnp.log(b), jnp.log(a + b)
    corrections = stirling_series(a + b) - stirling_series(a) - stirling_series(b)
    large = corrections - HALF_LOG_2PI - 0.5 * (log_a + log_b - log_m)
    constant = jnp.where(few, log_binomial(n, y), large)
    return _binomial(n, y, log_m - log_a, log_m - log_b, constant, log_p, log_q)


def _many(n: Array, y: Array) -> tuple[Array, Array, Array]:
    """Whether one of the two counts is small, and the counts, or others in the place of small ones."""
    z = n - y
    few = jnp.minimum(y, z) < FEW
    return few, jnp.where(few, FEW, y), jnp.where(few, FEW, z)


@jax.custom_jvp
def _binomial(n: Array, y: Array, over_a: Array, over_b: Array, constant: Array, log_p: Array, log_q: Array) -> Array:
    """What is left when all that depends on the counts alone is given."""
    few, a, b = _many(n, y)
    p, q = jnp.exp(log_p), jnp.exp(log_q)
    # the counts' distance from their expectation, from the smaller chance, which has its digits
    gap = jnp.where(p < q, (a + b) * p - a, b - (a + b) * q)
    deviance = a * log1pmx(gap / a, over_a + log_p) + b * log1pmx(-gap / b, over_b + log_q)
    return jnp.where(few, _times(y, log_p) + _times(n - y, log_q), deviance) + constant


def _times(count: Array, log_p: Array) -> Array:
    """count times log_p, and zero for none of a thing that cannot be."""
    return jnp.where(count > 0, count * jnp.where(count > 0, log_p, 0.0), 0.0)


def _binomial_jvp(primals: tuple, tangents: tuple) -> tuple:
    (n, y, over_a, over_b, _, log_p, log_q), (dn, dy, da, db, dconstant, dp, dq) = primals, tangents
    few, z = _many(n, y)[0], n - y
    own, other = log_p + jnp.where(few, 0.0, over_a), log_q + jnp.where(few, 0.0, over_b)
    change = along(dp, lambda: y) + along(dq, lambda: z)
    change = change + along(dn, lambda: other) + along(dy, lambda: own - other)
    change = change + along(da, lambda: jnp.where(few, 0.0, y)) + along(db, lambda: jnp.where(few, 0.0, z))
    change = change + along(dconstant, lambda: jnp.ones_like(y))
    return with_tangent(_binomial(*primals), change)


_binomial.defjvp(_binomial_jvp, symbolic_zeros=True)


def negative_binomial(y: Array, log_mean: Array, mean: Array, alpha: Array) -> Array:
    """The log-probability of a count with the mean given and variance mean + alpha mean**2; alpha = 0 is the Poisson.

    With r = 1 / alpha it is log of gamma(y + r) / (gamma(r) y!) (r / (r + mean))**r (mean / (r + mean))**y, of which
    nothing large is left to cancel: each term goes to that of the Poisson as alpha goes to 0.
    """
    y = jnp.asarray(y, jnp.result_type(mean, 1.0))  # of whole numbers there are no tangents, but tangents of them
    log_k = jnp.log(jnp.where(y > 0, y, 1.0))
    constant = -HALF_LOG_2PI - 0.5 * log_k - _stirling(jnp.where(y > 0, 1.0 / jnp.where(y > 0, y, 1.0), 1.0))
    return _negative_binomial(y, log_k, constant, log_mean, mean, jnp.maximum(alpha, 1e-280))


@jax.custom_jvp
def _negative_binomial(y: Array, log_k: Array, constant: Array, log_mean: Array, mean: Array, alpha: Array) -> Array:
    """What is left when all that depends on the count alone is given."""
    some = y > 0
    k = jnp.where(some, y, 1.0)
    log_spread, log_count = jnp.log1p(alpha * mean), jnp.log1p(alpha * k)
    spread = 1.0 + alpha * mean
    near = alpha * mean < NEAR
    beyond = log_spread / jnp.where(near, 1.0, alpha)
    none = jnp.where(near, mean + alpha * mean**2 * _curve(alpha * mean, log_spread), beyond)
    gap = (k - mean) / spread
    deviance = k * log1pmx(-gap / k, log_mean - log_k + log_count - log_spread)
    deviance = deviance + alpha * gap**2 * _curve(alpha * gap, log_count - log_spread)
    corrections = _stirling(alpha / (1.0 + alpha * k)) - _stirling(alpha)
    return jnp.where(some, deviance + constant - 0.5 * log_count + corrections, -none)


def _negative_binomial_jvp(primals: tuple, tangents: tuple) -> tuple:
    # the mean moves with its logarithm, and is counted there: y and the other part of the slope would cancel
    (y, log_k, _, log_mean, mean, alpha), (dy, dk, dconstant, dlog, _, dalpha) = primals, tangents
    change = along(dlog, lambda: _by_log_mean(y, mean, alpha)) + along(dalpha, lambda: _by_dispersion(y, mean, alpha))
    # the count's logarithm is taken out with the count: y log y - y and what goes with it
    change = change + along(dk, lambda: -y) + along(dconstant, lambda: jnp.where(y > 0, 1.0, 0.0))
    change = change + along(dy, lambda: log_mean - log_k + 1.0 + _by_count(y, mean, alpha))
    return with_tangent(_negative_binomial(*primals), change)


_negative_binomial.defjvp(_negative_binomial_jvp, symbolic_zeros=True)


def _by_count(y: Array, mean: Array, alpha: Array) -> Array:
    """d/dy of what log gamma(y + 1 / alpha) leaves beside y log(alpha) and terms of y alone."""
    u = alpha / (1.0 + alpha * y)
    return jnp.log1p(alpha * y) - jnp.log1p(alpha * mean) - 0.5 * u - u * u * _digamma_rest(u)


@jax.custom_jvp
def _by_log_mean(y: Array, mean: Array, alpha: Array) -> Array:
    """The derivative of the log-probability in the logarithm of the mean."""
    return (y - mean) / (1.0 + alpha * mean)


def _by_log_mean_jvp(primals: tuple, tangents: tuple) -> tuple:
    (y, mean, alpha), (dy, dmean, dalpha) = primals, tangents
    spread = 1.0 + alpha * mean
    change = along(dy, lambda: 1.0 / spread) - along(dmean, lambda: (1.0 + alpha * y) / spread**2)
    return with_tangent(_by_log_mean(*primals), change - along(dalpha, lambda: mean * (y - mean) / spread**2))


_by_log_mean.defjvp(_by_log_mean_jvp, symbolic_zeros=True)


@jax.custom_jvp
def _by_dispersion(y: Array, mean: Array, alpha: Array) -> Array:
    """The derivative of the log-probability in alpha: ((y - mean)**2 - y) / 2 at alpha = 0."""
    spread, count = 1.0 + alpha * mean, 1.0 + alpha * y
    gap = (y - mean) / spread
    squares = gap**2 * _curve(alpha * gap, jnp.log1p(alpha * y) - jnp.log1p(alpha * mean))
    return _digamma_rest(alpha / count) / count**2 - _digamma_rest(alpha) - squares - 0.5 * y / count


def _by_dispersion_jvp(primals: tuple, tangents: tuple) -> tuple:
    (y, mean, alpha), (dy, dmean, dalpha) = primals, tangents
    of = lambda i: lambda x: _by_dispersion.fun(*primals[:i], x, *primals[i + 1 :])
    slope = lambda i: jax.jvp(of(i), (primals[i],), (jnp.ones_like(primals[i]),))[1]
    change = along(dalpha, lambda: slope(2)) - along(dmean, lambda: (y - mean) / (1.0 + alpha * mean) ** 2)
    return with_tangent(_by_dispersion(*primals), change + along(dy, lambda: slope(0)))


_by_dispersion.defjvp(_by_dispersion_jvp, symbolic_zeros=True)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _polynomial(coefficients: tuple[float, ...], x: Array) -> Array:
    """By Horner's rule, the coefficient of x**0 first; its derivatives too, which is less to compile than their own."""
    total = jnp.full_like(x, coefficients[-1])
    for c in coefficients[-2::-1]:
        total = c + x * total
    return total


@_polynomial.defjvp
def _polynomial_jvp(coefficients: tuple[float, ...], primals: tuple, tangents: tuple) -> tuple:
    slope = tuple(k * c for k, c in enumerate(coefficients))[1:] or (0.0,)
    return _polynomial(coefficients, *primals), _polynomial(slope, *primals) * tangents[0]


ARTANH = tuple(1.0 / k for k in range(3, 28, 2))
"""(artanh(r) - r) / r**3 in powers of r**2."""

STIRLING = tuple(series(-1)[:8])
"""Stirling's correction, divided by u, in powers of u**2, where u is the inverse of the argument of log gamma."""

RISING = tuple(float(c) for c in np.poly(-np.arange(1.0, SHIFT))[::-1])
"""(x + 1) (x + 2) ... (x + 9)."""


def _curve(u: Array, log1p_u: Array) -> Array:
    """(log(1 + u) - u) / u**2, about -1/2, with all derivatives at u = 0; the logarithm is given, as in `log1pmx`."""
    near = jnp.abs(u) < NEAR
    v = jnp.where(near, u, 0.0)
    r = v / (2.0 + v)  # log(1 + v) = 2 artanh r
    far = jnp.where(near, 1.0, u)
    return jnp.where(
        near, (2.0 * r * _polynomial(ARTANH, r * r) / (2.0 + v) - 1.0) / (2.0 + v), (log1p_u - far) / far / far
    )


def _stirling(inverse: Array) -> Array:
    """log gamma(x) - [(x - 1/2) log x - x + log(2 pi) / 2] at x = 1 / inverse; elementary, so that it compiles quickly."""
    large = inverse < 1.0 / SHIFT
    x = 1.0 / jnp.where(large, 1.0, inverse)
    far = x + SHIFT
    small = (far - 0.5) * jnp.log(far) - SHIFT - jnp.log(_polynomial(RISING, x)) - (x + 0.5) * jnp.log(x)
    u = jnp.where(large, inverse, 1.0 / far)
    return jnp.where(large, 0.0, small) + u * _polynomial(STIRLING, u * u)


DIGAMMA = tuple(series(0)[:8])
"""What digamma leaves beside its logarithm and half an inverse, divided by u**2, in powers of u**2; see `STIRLING`."""

RISEN = tuple(float(c) for c in np.poly(-np.arange(0.0, SHIFT))[::-1])
"""x (x + 1) ... (x + 9)."""


def _digamma_rest(inverse: Array) -> Array:
    """(log x - 1 / (2 x) - digamma(x)) x**2 at x = 1 / inverse; about 1/12 for large x."""
    large = inverse < 1.0 / SHIFT
    x = 1.0 / jnp.where(large, 1.0, inverse)
    far = x + SHIFT
    u = jnp.where(large, inverse, 1.0 / far)
    series = _polynomial(DIGAMMA, u * u)
    slope = tuple(k * c for k, c in enumerate(RISEN))[1:]
    digamma = jnp.log(far) - 0.5 * u - u * u * series - _polynomial(slope, x) / _polynomial(RISEN, x)
    return jnp.where(large, series, (jnp.log(x) - digamma) * x * x - 0.5 * x)

"""The modified Bessel function I0, its logarithm and slope, and the von Mises distribution function.

With v = 1 - cos(angle), log I0(k) = k + log of the mean of exp(-k v) over the circle: the slope is 1 minus the mean of v
under the von Mises density, the curvature its variance, and the sums over one set of nodes give them without
1 - A / k - A**2, which has no digits left at k = 1e6. Small arguments use the power series (DLMF 10.25.2).
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from .floats import floats
from .logarithms import log, log1p
from .quadrature import CUT, integral

SMALL = 8.0
"""Up to here the power series, 28 terms: the next is 1e-22 of the sum."""
TERMS = 28


def _cut(k: Array) -> Array:
    """The angle beyond which exp(-k v) is lost in rounding; a constant in differentiation."""
    return jax.lax.stop_gradient(2.0 * jnp.arcsin(jnp.sqrt(jnp.minimum(1.0, 0.5 * CUT / k))))


def _v(angle: Array) -> Array:
    """1 - cos(angle)."""
    s = jnp.sin(0.5 * angle)
    return 2.0 * s * s


def _log_mean(k: Array) -> Array:
    """log of the mean of exp(-k v) over the circle, for k >= 8."""
    return log(integral(lambda t: jnp.exp(-k[..., None] * _v(t)), _cut(k)) / math.pi)


def _mean_v(k: Array) -> Array:
    """The mean of v under the von Mises density, for k >= 8."""
    cut = _cut(k)
    weigh = lambda f: integral(lambda t: f(_v(t)) * jnp.exp(-k[..., None] * _v(t)), cut)
    return weigh(lambda v: v) / weigh(jnp.ones_like)


def _less_one(q: Array, order: int) -> Array:
    """The sum over n >= 1 of q**n order! / (n! (n + order)!)."""
    total = jnp.zeros_like(q)
    for n in range(TERMS, 0, -1):
        total = q / (n * (n + order)) * (1.0 + total)
    return total


def _split(k: Array) -> tuple[Array, Array, Array]:
    """Whether |k| is small; k made small, and |k| made large, where they are not."""
    small = jnp.abs(k) < SMALL
    largest = jnp.finfo(k.dtype).max  # in place of infinity, which would meet a zero
    return small, jnp.where(small, k, 0.0), jnp.where(small, SMALL, jnp.minimum(jnp.abs(k), largest))


@jax.custom_jvp
def _log_i0(k: Array) -> Array:
    small, low, high = _split(k)
    return jnp.where(small, log1p(_less_one(0.25 * low * low, 0)), jnp.abs(k) + _log_mean(high))


@_log_i0.defjvp
def _log_i0_jvp(primals, tangents):
    (k,), (dk,) = primals, tangents
    return _log_i0(k), dk * _bessel_ratio(k)


def _bessel_ratio(k: Array) -> Array:
    small, low, high = _split(k)
    q = 0.25 * low * low
    series = 0.5 * low * (1.0 + _less_one(q, 1)) / (1.0 + _less_one(q, 0))
    return jnp.where(small, series, jnp.sign(k) * (1.0 - _mean_v(high)))


def log_i0(x: ArrayLike) -> Array:
    """log I0(x), the log of the modified Bessel function of order 0, elementwise; with derivatives of every order."""
    (x,) = floats(x)
    return _log_i0(x)


def bessel_ratio(x: ArrayLike) -> Array:
    """I1(x) / I0(x), the derivative of `log_i0`, elementwise: the mean length of a von Mises variable."""
    (x,) = floats(x)
    return _bessel_ratio(x)


def _tail(angle: Array, k: Array) -> Array:
    """The probability beyond |angle| on one side: an integral from the angle to pi, or to where it no longer matters."""
    x = jnp.where(angle > 0, angle, -angle)  # not abs, whose derivative at 0 would be 0
    end = 2.0 * jnp.arcsin(jnp.sqrt(jnp.minimum(1.0, 0.5 * (_v(x) + CUT / k))))
    length = jax.lax.stop_gradient(end) - x
    e = lambda v: v[..., None]
    area = integral(lambda s: jnp.exp(-2.0 * e(k) * jnp.sin(e(x) + 0.5 * s) * jnp.sin(0.5 * s)), length)
    return area * jnp.exp(-k * _v(x) - log_i0e(k)) / (2.0 * math.pi)


def log_i0e(k: Array) -> Array:
    """log I0(k) - k for k >= 0."""
    small, low, high = _split(k)
    return jnp.where(small, log1p(_less_one(0.25 * low * low, 0)) - low, _log_mean(high))


@jax.custom_jvp
def _von_mises_cdf(x: Array, k: Array) -> Array:
    tail = _tail(x, k)
    return jnp.where(x > 0, 1.0 - tail, tail)


@_von_mises_cdf.defjvp
def _von_mises_cdf_jvp(primals, tangents):
    (x, k), (dx, dk) = primals, tangents
    density = jnp.exp(-k * _v(x) - log_i0e(k)) / (2.0 * math.pi)
    slope = jax.jvp(lambda k: _tail(x, k), (k,), (jnp.ones_like(k),))[1]
    return _von_mises_cdf(x, k), dx * density + dk * jnp.where(x > 0, -slope, slope)


def von_mises_cdf(x: ArrayLike, kappa: ArrayLike) -> Array:
    """The von Mises probability of (-pi, x] for -pi <= x <= pi and concentration kappa >= 0, elementwise and broadcast.

    The mean direction is 0. Relative precision in the left tail; 0 below -pi and 1 above pi.
    """
    x, kappa = floats(x, kappa)
    below, above = x <= -math.pi, x >= math.pi
    value = _von_mises_cdf(jnp.where(below | above, 0.0, x), kappa)
    return jnp.where(kappa >= 0, jnp.where(below, 0.0, jnp.where(above, 1.0, value)), jnp.nan)

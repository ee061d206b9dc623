"""Quotients that are smooth through 0 / 0, with all their derivatives: expm1(x) / x, log1p(x) / x and their relatives.

They make a density that has another one as its limit (shape to 0) a single formula: (1 + s z)**(-1 / s) is
exp(-z log1p_ratio(s z)). Near zero each is its power series, elsewhere the quotient.
"""

from __future__ import annotations

import math

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from .floats import floats
from .logarithms import log, log1p

_EXP_NEAR = 2.0
_EXP_TERMS = 24
_LOG_NEAR = 0.4
_LOG_TERMS = 15


def _power_series(coefficients: list[float], x: Array) -> Array:
    total = jnp.full_like(x, coefficients[-1])
    for c in reversed(coefficients[:-1]):
        total = c + x * total
    return total


def _exp_remainder(order: int, x: Array) -> Array:
    """(exp(x) less its first `order` terms) / x**order, by its series for |x| < 2."""
    return _power_series([1.0 / math.factorial(k + order) for k in range(_EXP_TERMS)], x)


def expm1_ratio(x: ArrayLike) -> Array:
    """(exp(x) - 1) / x, and 1 at 0, elementwise."""
    (x,) = floats(x)
    near = jnp.abs(x) < _EXP_NEAR
    far = jnp.where(near, 1.0, x)
    return jnp.where(near, _exp_remainder(1, jnp.where(near, x, 0.0)), jnp.expm1(far) / far)


def expm1_less_ratio(x: ArrayLike) -> Array:
    """(exp(x) - 1 - x) / x**2, and 1/2 at 0, elementwise."""
    (x,) = floats(x)
    near = jnp.abs(x) < _EXP_NEAR
    far = jnp.where(near, 1.0, x)
    return jnp.where(near, _exp_remainder(2, jnp.where(near, x, 0.0)), (jnp.expm1(far) / far - 1.0) / far)


def log1p_ratio(x: ArrayLike) -> Array:
    """log(1 + x) / x, and 1 at 0, for x > -1, elementwise."""
    (x,) = floats(x)
    near = jnp.abs(x) < _LOG_NEAR
    v = jnp.where(near, x, 0.0)
    r = v / (2.0 + v)  # log(1 + v) = 2 artanh r
    series = 2.0 / (2.0 + v) * _power_series([1.0 / (2 * k + 1) for k in range(_LOG_TERMS)], r * r)
    far = jnp.where(near, 1.0, x)
    return jnp.where(near, series, log1p(far) / far)


def xlogx_less_ratio(x: ArrayLike) -> Array:
    """((1 + x) log(1 + x) - x) / x**2, and 1/2 at 0, for x > -1, elementwise."""
    (x,) = floats(x)
    near = jnp.abs(x) < 0.3
    series = _power_series([(-1.0) ** k / ((k + 1) * (k + 2)) for k in range(32)], jnp.where(near, x, 0.0))
    far = jnp.where(near, 1.0, x)
    return jnp.where(near, series, ((1.0 + far) * log1p(far) - far) / (far * far))


def log1mexp_exp(u: ArrayLike) -> Array:
    """log(1 - exp(-exp(u))), elementwise: close to u in the left tail, and to 0 in the right one."""
    (u,) = floats(u)
    left = u < 0
    low = jnp.where(left, u, -1.0)
    high = jnp.clip(u, 0.0, 7.0)  # beyond, all is below the smallest number
    return jnp.where(left, low + log(expm1_ratio(-jnp.exp(low))), log1p(-jnp.exp(-jnp.exp(high))))


def log1p_square(z: ArrayLike) -> Array:
    """log(1 + z**2), elementwise, also where z**2 overflows."""
    (z,) = floats(z)
    large = jnp.abs(z) > 1.0
    far = jnp.where(large, z, 1.0)
    s = jnp.where(large, 1.0 / far, z)
    return log1p(s * s) + jnp.where(large, 2.0 * log(jnp.abs(far)), 0.0)

"""Products with a logarithm in which a zero factor wins: x log(y) and x log(1 + y)."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from .floats import floats
from .logarithms import log, log1p


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _over_power(n: int, x: Array, y: Array) -> Array:
    """x / y**n, and 0 where x is 0; one factor 1/y after the other, because y**n may leave the range of the numbers.

    (Not by repeated division: XLA makes x / (y * y) of x / y / y.)
    """
    result, r = x, 1.0 / y
    for _ in range(n):
        result = result * r
    return jnp.where(x == 0, 0.0, result)


@_over_power.defjvp
def _over_power_jvp(n, primals, tangents):
    (x, y), (dx, dy) = primals, tangents
    corner = (x == 0) & (y == 0)
    y_safe = jnp.where(corner, 1.0, y)
    slope_x = jnp.where(corner, 0.0, _over_power(n, jnp.ones_like(x), y_safe))
    value = _over_power(n, x, y)
    # dy / y first: where dy is 0, so is the product, however large x / y**(n + 1).
    return value, dx * slope_x - (n * value) * (dy * (1.0 / y_safe))


@jax.custom_jvp
def _xlogy(x: Array, y: Array) -> Array:
    return jnp.where((x == 0) & ~jnp.isnan(y), 0.0, x * log(y))


@_xlogy.defjvp
def _xlogy_jvp(primals, tangents):
    (x, y), (dx, dy) = primals, tangents
    corner = (x == 0) & ((y <= 0) | jnp.isinf(y))
    slope_x = jnp.where(corner, 0.0, log(jnp.where(corner, 1.0, y)))
    return _xlogy(x, y), dx * slope_x + dy * _over_power(1, x, y)


@jax.custom_jvp
def _xlog1py(x: Array, y: Array) -> Array:
    return jnp.where((x == 0) & ~jnp.isnan(y), 0.0, x * log1p(y))


@_xlog1py.defjvp
def _xlog1py_jvp(primals, tangents):
    (x, y), (dx, dy) = primals, tangents
    corner = (x == 0) & ((y <= -1) | jnp.isinf(y))
    slope_x = jnp.where(corner, 0.0, log1p(jnp.where(corner, 0.0, y)))
    return _xlog1py(x, y), dx * slope_x + dy * _over_power(1, x, 1.0 + y)


def xlogy(x: ArrayLike, y: ArrayLike) -> Array:
    """x log(y), and 0 where x is 0, elementwise and broadcast.

    At (0, 0) every derivative is 0: that of a term with no observations, and of a share that has underflowed. (Along
    x = y the one-sided derivative of x log(x) is -inf there.)
    """
    x, y = floats(x, y)
    return _xlogy(x, y)


def xlog1py(x: ArrayLike, y: ArrayLike) -> Array:
    """x log(1 + y), and 0 where x is 0, elementwise and broadcast; at (0, -1) every derivative is 0."""
    x, y = floats(x, y)
    return _xlog1py(x, y)

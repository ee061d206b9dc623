"""Functions made total: a chosen value, and a zero derivative, where the ordinary function has none.

`where(x > 0, log(x), 0)` has a NaN gradient at 0, because the branch not taken is differentiated too and 0 times
infinity is NaN. Here the argument of that branch is replaced as well ("double where").
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from .floats import floats
from .logarithms import log


def safe_log(x: ArrayLike, otherwise: float = -jnp.inf) -> Array:
    """log(x) where x > 0, else the constant `otherwise` with derivative zero, elementwise."""
    (x,) = floats(x)
    bad = x <= 0
    return jnp.where(bad, otherwise, log(jnp.where(bad, 1.0, x)))


def safe_sqrt(x: ArrayLike, otherwise: float = 0.0) -> Array:
    """sqrt(x) where x > 0, else the constant `otherwise` with derivative zero, elementwise."""
    (x,) = floats(x)
    bad = x <= 0
    return jnp.where(bad, otherwise, jnp.sqrt(jnp.where(bad, 1.0, x)))


@jax.custom_jvp
def divide(x: Array, y: Array) -> Array:
    """x / y, with derivatives that do not square y."""
    return x / y


@divide.defjvp
def _divide_jvp(primals, tangents):
    (x, y), (dx, dy) = primals, tangents
    ratio, r = divide(x, y), divide(jnp.ones_like(y), y)
    # JAX's own rule squares y, which leaves the range of the numbers for y = 1e200.
    return ratio, dx * r - (dy * r) * ratio


def safe_divide(x: ArrayLike, y: ArrayLike, otherwise: float = 0.0) -> Array:
    """x / y where y is not 0, else the constant `otherwise` with derivative zero, elementwise and broadcast."""
    x, y = floats(x, y)
    bad = y == 0
    return jnp.where(bad, otherwise, divide(jnp.where(bad, 0.0, x), jnp.where(bad, 1.0, y)))


@jax.custom_jvp
def _norm(x: Array) -> Array:
    largest = jnp.max(jnp.abs(x), axis=-1, keepdims=True, initial=0.0)
    scale = jnp.where((largest == 0) | jnp.isinf(largest), 1.0, largest)
    return scale[..., 0] * jnp.sqrt(jnp.sum((x / scale) ** 2, axis=-1))


@_norm.defjvp
def _norm_jvp(primals, tangents):
    (x,), (dx,) = primals, tangents
    return _norm(x), jnp.sum(_direction(x) * dx, axis=-1)


@jax.custom_jvp
def _direction(x: Array) -> Array:
    """x / |x|, and 0 at the origin."""
    length = _norm(x)[..., None]
    return jnp.where(length == 0, 0.0, x / jnp.where(length == 0, 1.0, length))


@_direction.defjvp
def _direction_jvp(primals, tangents):
    (x,), (dx,) = primals, tangents
    length = _norm(x)[..., None]
    at_origin = length == 0
    unit = _direction(x)
    across = dx - unit * jnp.sum(unit * dx, axis=-1, keepdims=True)
    return unit, jnp.where(at_origin, 0.0, divide(across, jnp.where(at_origin, 1.0, length)))


def norm(x: ArrayLike, axis: int | None = None) -> Array:
    """The Euclidean length sqrt(sum x**2) over one axis, or over all of them; neither over- nor underflows.

    At the origin, where it has a kink, the gradient is 0 (its smallest subgradient) and so is the Hessian.
    """
    (x,) = floats(x)
    return _norm(x.reshape(-1) if axis is None else jnp.moveaxis(x, axis, -1))

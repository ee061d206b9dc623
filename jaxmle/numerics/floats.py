"""Arguments of any kind to floating-point arrays of one type and one shape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.custom_derivatives import SymbolicZero
from jax.typing import ArrayLike


def floats(*values: ArrayLike) -> list[Array]:
    """Arrays of JAX's common floating type, broadcast together; integers become the default float.

    Raises `TypeError` for complex numbers.
    """
    dtype = jnp.result_type(*values)
    if jnp.issubdtype(dtype, jnp.complexfloating):
        raise TypeError("expected real numbers, got complex ones.")
    if not jnp.issubdtype(dtype, jnp.floating):
        dtype = jnp.result_type(float)
    return jnp.broadcast_arrays(*(jnp.asarray(v, dtype=dtype) for v in values))


@jax.custom_jvp
def saturate(x: Array) -> Array:
    """x, with infinities replaced by the largest number: a derivative of infinity times a tangent of zero is then zero.

    In forward mode the tangent of every argument that is held fixed is such a zero. Differentiated as x itself.
    """
    largest = jnp.finfo(x.dtype).max
    return jnp.clip(x, -largest, largest)


@saturate.defjvp
def _saturate_jvp(primals, tangents):
    return saturate(*primals), tangents[0]


def along(tangent: Any, slope: Callable[[], Any]) -> Any:
    """The part of a tangent that belongs to one argument; its slope is not computed where the argument does not move."""
    return 0.0 if isinstance(tangent, SymbolicZero) else tangent * slope()


def with_tangent(value: Array, *parts: Any) -> tuple[Array, Array]:
    """What a rule of a `custom_jvp` returns: the value, and the sum of the parts of its tangent in the value's shape."""
    return value, jnp.broadcast_to(jnp.asarray(sum(parts[1:], parts[0]), value.dtype), value.shape)

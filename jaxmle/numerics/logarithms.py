"""The logarithms of x and of 1 + x as functions that a CPU computes for several rows with each instruction.

XLA's own take four times as long there (docs/hazards.md), and that of 1 + x loses two digits. They are steps of JAX's kind,
not functions with rules of their own: so they may stand anywhere, also in what a loop carries.

x is 2**k m, with m between the roots of 1/2 and 2; log m is f - f**2 / 2 + f**3 R(f), f = m - 1, where R is a quotient of
polynomials, to 1e-17 of the logarithm: the interpolation of (log(1 + f) - f + f**2 / 2) / f**3 in twelve Chebyshev nodes.
The quotient is used once, so that a compiler need not split the loop over the rows at it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.interpreters import ad, batching, mlir
from jax.typing import ArrayLike

from .. import runtime
from .stirling import horner

OVER = [
    *(0.3333333333333333, 0.8858108172106093, 0.8656942129158384),
    *(0.3790261760192077, 0.07144484732597503, 0.00434038119699182),
]
UNDER = [
    *(1.0, 3.407432451631829, 4.552656977471392, 3.0071117901818436),
    *(1.01321899537606, 0.15966861120572465, 0.008691087636233464),
]
"""The coefficients of R, the constant one first."""

LOG_2 = 0.693359375, -2.121944400546905827679e-4
"""The logarithm of two in two parts: whole multiples of the first, of few bits, are exact."""

DIGITS, BIAS, TWICE_BIAS = np.uint64(52), np.uint64(1023 << 52), np.uint64(2046 << 52)
"""Where a number's exponent begins, and in its place the exponent of one, 1023, and twice that."""

FROM_ROOT = np.uint64((1023 << 52) - int(np.float64(math.sqrt(0.5)).view(np.uint64)))
"""What takes the root of one half to one: the exponents of all from there to the root of two are then zero."""

WHOLE = np.uint64((1023 + 52) << 52)
"""With these bits before it, a whole number is that and 2**52 as a float."""

LOST = 60.0
"""The power of two from which on one is nothing beside x."""

MANY = 1024
"""Of fewer numbers the logarithms are XLA's own: they take less time than the longer compiling."""

SMALLEST = float(np.finfo(np.float64).tiny)


@jax.jit
def _logarithm(x: Array, total: Array, until: float) -> Array:
    """log x, where `total` is x and `until` less than all powers of two, or log(1 + x), with 1 + x and `LOST`."""
    bits = lax.bitcast_convert_type(total, jnp.uint64)
    exponent = lax.shift_right_logical(bits + FROM_ROOT, DIGITS)
    k = lax.bitcast_convert_type(exponent | WHOLE, jnp.float64) - (2.0**52 + 1023)
    places = lax.shift_left(exponent, DIGITS)
    less_one = lax.bitcast_convert_type(bits - places + BIAS, jnp.float64) - 1.0
    scale = lax.bitcast_convert_type(TWICE_BIAS - places, jnp.float64)  # 2**-k
    f = lax.select(k < until, x * scale + (scale - 1.0), less_one)  # total / 2**k - 1, with all digits of x
    square = f * f
    rest = f * square * (horner(OVER, f) / horner(UNDER, f)) + k * LOG_2[1] - 0.5 * square
    value = lax.select(total < jnp.inf, f + rest + k * LOG_2[0], total)
    least = lax.select(total < 0, lax.full_like(x, jnp.nan), lax.full_like(x, -jnp.inf))
    return lax.select(total < SMALLEST, least, value)  # what is smaller is zero to XLA


def _step(name: str, original: Callable[..., Any], one: bool, slope: Callable[..., Any]) -> Any:
    """A step of JAX's kind for numbers of 64 bits: on CPUs that of x, or of `one` more, as here where it is of `MANY`, else
    JAX's `original`."""

    def quick(x: Array) -> Array:
        with runtime.x64():  # which may be over where a function is compiled that was traced in such a scope
            return _logarithm(x, 1.0 + x, LOST) if one else _logarithm(x, x, -np.inf)

    step = type(lax.log_p)(name)  # the type by itself is in a module whose import adds to JAX's settings
    step.def_abstract_eval(lambda x: x)
    step.def_impl(quick)
    batching.defvectorized(step)
    ad.defjvp(step, slope)
    as_jax, by_many = (mlir.lower_fun(f, multiple_results=False) for f in (original, quick))
    mlir.register_lowering(step, as_jax)
    on_cpu = lambda ctx, x: (by_many if ctx.avals_in[0].size >= MANY else as_jax)(ctx, x)
    mlir.register_lowering(step, on_cpu, platform="cpu")
    return step


LOG = _step("log", lax.log, False, lambda g, x: g / x)
LOG1P = _step("log1p", lax.log1p, True, lambda g, x: g / (1.0 + x))

QUICK: Mapping[Any, Callable[..., Array]] = MappingProxyType(
    {lax.log_p: lambda x, **_: LOG.bind(x), lax.log1p_p: lambda x, **_: LOG1P.bind(x)}
)
"""Steps of JAX's own, and what may stand in their place for numbers of 64 bits."""


def _either(step: Any, original: Callable[..., Array], x: ArrayLike) -> Array:
    x = jnp.asarray(x)
    return step.bind(x) if x.dtype == jnp.float64 else original(x)


def log(x: ArrayLike) -> Array:
    """The natural logarithm, elementwise; -inf at zero, NaN below."""
    return _either(LOG, jnp.log, x)


def log1p(x: ArrayLike) -> Array:
    """log(1 + x), elementwise; -inf at -1, NaN below."""
    return _either(LOG1P, jnp.log1p, x)

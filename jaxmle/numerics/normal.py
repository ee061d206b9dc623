"""The standard normal distribution function, its logarithm, its hazard, and log-probabilities of intervals.

Everything in the tails rests on r_n(z) = h_(n+1)(z) / h_n(z), where h_n(z) is the integral of t**n exp(-t**2 / 2 - z t)
over t > 0 (h_0 is Mills' ratio; with x = -z, log Phi has the derivative z + r_0, and so on). These ratios obey
r_(n-1) = n / (z + r_n), Laplace's continued fraction, and r_n' = -r_n (r_(n+1) - r_n). The terms are positive, so that
digits are kept at z = 1e10, where the textbook's second derivative -m (m - z), m = phi / Phi, has none left.
Source: DLMF 7.9 and 7.18; Gautschi (1967), "Computational aspects of three-term recurrence relations".
"""

from __future__ import annotations

import math
from functools import partial

import jax
import jax.numpy as jnp
from jax import Array
from jax.scipy.special import erfc
from jax.typing import ArrayLike

from .floats import floats
from .logarithms import log, log1p
from .logs import log1mexp
from .stirling import HALF_LOG_2PI

TAIL = 2.0
"""Below minus this the continued fraction is used; above, phi over Phi."""

DEPTH = 40
"""Steps of the continued fraction: with the start below, a relative error of 2e-15 in r_3 at z = 2, less beyond."""

FAR = 100.0
"""Beyond this many standard deviations the density is zero in every floating-point format."""


def _fraction_start(n: int, z: Array) -> Array:
    """r_n(z) for large n: the root of r**2 + z r = n + 1 + r', with r' from the same equation, twice."""
    z = jnp.minimum(z, 1e8)  # farther out the start no longer matters, and z**3 must not overflow
    s0 = jnp.sqrt(z * z + 4.0 * (n + 1))
    c1 = n + 1 + 0.5 * (z / s0 - 1.0)
    s1 = jnp.sqrt(z * z + 4.0 * c1)
    slope = 0.5 * ((z + 4.0 * (n + 1) / s0 / s0 / s0) / s1 - 1.0)
    c2 = n + 1 + slope
    return 2.0 * c2 / (jnp.sqrt(z * z + 4.0 * c2) + z)


def _density(x: Array) -> Array:
    """exp(-x**2 / 2) / sqrt(2 pi); flat beyond 100, so that its derivatives there are zeros and not NaN."""
    x = jnp.clip(x, -FAR, FAR)
    return jnp.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi)


def _upper(x: Array) -> Array:
    """1 - Phi(x)."""
    return 0.5 * erfc(x / math.sqrt(2.0))


@partial(jax.custom_jvp, nondiff_argnums=(0,))
@partial(jax.jit, static_argnums=0)  # traced once, however often the rules call it
def _ratio(n: int, x: Array) -> Array:
    """r_n(-x)."""
    z = jnp.maximum(-x, TAIL)
    tail = _fraction_start(DEPTH, z)
    for k in range(DEPTH, n, -1):
        tail = k / (z + tail)
    y = jnp.maximum(x, -TAIL)
    centre = y + _density(y) / _upper(-y)
    for k in range(1, n + 1):
        centre = y + k / centre
    return jnp.where(x < -TAIL, tail, centre)


@_ratio.defjvp
def _ratio_jvp(n, primals, tangents):
    (x,), (dx,) = primals, tangents
    low = jnp.where(x < 0, x, -1.0)
    high = jnp.where(x < 0, 1.0, x)
    r = _ratio(n, low)
    left = r * (_ratio(n + 1, low) - r)
    # The same slope without the difference, which cancels on this side.
    before = _inverse_mills(high) if n == 0 else n / _ratio(n - 1, high)
    right = (n + 1.0) - jnp.where(before == 0, 0.0, before * _ratio(n, high))
    return _ratio(n, x), dx * jnp.where(x < 0, left, right)


@jax.custom_jvp
def _inverse_mills(x: Array) -> Array:
    y = jnp.maximum(x, -TAIL)
    return jnp.where(x < -TAIL, _ratio(0, x) - x, _density(y) / _upper(-y))


@_inverse_mills.defjvp
def _inverse_mills_jvp(primals, tangents):
    (x,), (dx,) = primals, tangents
    low = jnp.where(x < 0, x, -1.0)
    high = jnp.where(x < 0, 1.0, jnp.minimum(x, FAR))
    r = _ratio(0, low)
    left = r * (_ratio(1, low) - r) - 1.0
    right = -_inverse_mills(high) * _ratio(0, high)
    return _inverse_mills(x), dx * jnp.where(x < 0, left, right)


def inverse_mills(x: ArrayLike) -> Array:
    """phi(x) / Phi(x), the derivative of `log_ndtr`, elementwise; close to -x in the far left tail."""
    (x,) = floats(x)
    return _inverse_mills(x)


@jax.custom_jvp
def _ndtr(x: Array) -> Array:
    return _upper(-x)


@_ndtr.defjvp
def _ndtr_jvp(primals, tangents):
    (x,), (dx,) = primals, tangents
    return _ndtr(x), dx * _density(x)


def ndtr(x: ArrayLike) -> Array:
    """Phi(x), the standard normal distribution function, elementwise; relative precision in the left tail."""
    (x,) = floats(x)
    return _ndtr(x)


def _log_mills(x: Array) -> Array:
    """log(Phi(x) / phi(x)) for x < -2."""
    return -log(_ratio(0, x) - x)


@jax.custom_jvp
def _log_ndtr(x: Array) -> Array:
    low = jnp.minimum(x, -TAIL)
    tail = -0.5 * low * low - HALF_LOG_2PI + _log_mills(low)
    centre = log(_upper(-jnp.clip(x, -TAIL, 0.0)))
    right = log1p(-_upper(jnp.maximum(x, 0.0)))
    return jnp.where(x < -TAIL, tail, jnp.where(x < 0, centre, right))


@_log_ndtr.defjvp
def _log_ndtr_jvp(primals, tangents):
    (x,), (dx,) = primals, tangents
    return _log_ndtr(x), dx * _inverse_mills(x)


def log_ndtr(x: ArrayLike) -> Array:
    """log Phi(x), elementwise; full relative precision in both tails, with its derivatives."""
    (x,) = floats(x)
    return _log_ndtr(x)


@jax.custom_jvp
def _log_ndtr_gain(a: Array, b: Array) -> Array:
    """log Phi(b) - log Phi(a) for a < b, where a is not close to b on the scale of the tail."""
    low_a, low_b = jnp.minimum(a, -TAIL), jnp.minimum(b, -TAIL)
    width = low_b - low_a
    ra, rb = _ratio(0, low_a), _ratio(0, low_b)
    tail = -0.5 * width * (low_a + low_b) + log1p((width + ra - rb) / (rb - low_b))
    return jnp.where(b < -TAIL, tail, _log_ndtr(b) - _log_ndtr(a))


@_log_ndtr_gain.defjvp
def _log_ndtr_gain_jvp(primals, tangents):
    (a, b), (da, db) = primals, tangents
    return _log_ndtr_gain(a, b), db * _inverse_mills(b) - da * _inverse_mills(a)


# Gauss and Legendre's eight nodes and weights, the positive half.
_NODES = (0.1834346424956498, 0.5255324099163290, 0.7966664774136267, 0.9602898564975363)
_WEIGHTS = (0.3626837833783620, 0.3137066458778873, 0.2223810344533745, 0.1012285362903763)


def _log_narrow(a: Array, b: Array) -> Array:
    """log(Phi(b) - Phi(a)) for (b - a) max(1, |a + b| / 2) <= 1: the density at the middle times a quadrature."""
    width, middle = b - a, 0.5 * (a + b)
    half = 0.5 * width
    tilt = middle * half
    total = jnp.zeros_like(width)
    for t, w in zip(_NODES, _WEIGHTS, strict=True):
        total = total + w * jnp.exp(-0.5 * (half * t) ** 2) * jnp.cosh(tilt * t)
    return -0.5 * middle * middle - HALF_LOG_2PI + log(width) + log(total)


def log_ndtr_interval(a: ArrayLike, b: ArrayLike) -> Array:
    """log(Phi(b) - Phi(a)) for a <= b, elementwise and broadcast: the log-probability of an interval.

    Keeps its digits, with its derivatives, in either tail and for intervals of any width; a may be -inf and b inf.
    -inf where a == b, NaN where a > b.
    """
    a, b = floats(a, b)
    edge = jnp.finfo(a.dtype).max ** 0.25
    flip = a + b > 0
    a, b = jnp.where(flip, -b, a), jnp.where(flip, -a, b)
    a, b = jnp.maximum(a, -edge), jnp.minimum(b, edge)  # an infinite end: finite, so that its derivatives are zeros
    narrow = ~((b - a) * jnp.maximum(1.0, -0.5 * (a + b)) > 1.0)
    near = _log_narrow(jnp.where(narrow, a, -0.5), jnp.where(narrow, b, 0.5))
    a, b = jnp.where(narrow, -2.0, a), jnp.where(narrow, 0.0, b)
    return jnp.where(narrow, near, _log_ndtr(b) + log1mexp(_log_ndtr_gain(a, b)))

"""Owen's T function and the log probabilities of the skew-normal distribution, both tails.

T(h, a) is 1 / (2 pi) times the integral over 0 < x < a of exp(-h**2 (1 + x**2) / 2) / (1 + x**2), smooth in both, and
its derivatives are closed forms. The skew-normal's left tail, Phi(-h) - 2 T(h, a), is what is missing of T(h, inf): it
is integrated itself where the difference would cancel.
Source: Owen (1956); Patefield and Tandy (2000); Azzalini (1985).
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from jax import Array
from jax.scipy.special import erf, erfc
from jax.typing import ArrayLike

from .floats import floats
from .logarithms import log, log1p
from .logs import log1mexp
from .normal import log_ndtr
from .quadrature import CUT, integral


def _upper(h: Array) -> Array:
    return 0.5 * erfc(h / math.sqrt(2.0))


def _arc(h: Array, a: Array) -> Array:
    """2 pi exp(h**2 / 2) T(h, a) for 0 <= a <= 1."""
    length = jnp.minimum(a, math.sqrt(2.0 * CUT) / h)
    return integral(lambda x: jnp.exp(-0.5 * (h[..., None] * x) ** 2) / (1.0 + x * x), length)


def _small_t(h: Array, a: Array) -> Array:
    return jnp.exp(-0.5 * h * h) * _arc(h, a) / (2.0 * math.pi)


@jax.custom_jvp
def _owens_t(h: Array, a: Array) -> Array:
    size, steep = jnp.abs(h), jnp.abs(a)
    far = steep > 1.0
    across = jnp.where(far, size * steep, 0.0)
    t = _small_t(jnp.where(far, across, size), jnp.where(far, 1.0 / jnp.where(far, steep, 1.0), steep))
    # T(h, a) + T(a h, 1 / a) = (q + p) / 2 - q p, with the tails q and p of h and a h.
    rest = 0.5 * (_upper(size) * erf(across / math.sqrt(2.0)) + _upper(across))
    return jnp.sign(a) * jnp.where(far, rest - t, t)


@_owens_t.defjvp
def _owens_t_jvp(primals, tangents):
    (h, a), (dh, da) = primals, tangents
    along_h = -0.5 * jnp.exp(-0.5 * h * h) / math.sqrt(2.0 * math.pi) * erf(a * h / math.sqrt(2.0))
    along_a = jnp.exp(-0.5 * h * h * (1.0 + a * a)) / (2.0 * math.pi * (1.0 + a * a))
    return _owens_t(h, a), dh * along_h + da * along_a


def owens_t(h: ArrayLike, a: ArrayLike) -> Array:
    """Owen's T(h, a), elementwise and broadcast: P(X > h, 0 < Y < a X) of two independent standard normals, a > 0.

    Odd in a, even in h, with derivatives of every order in both.
    """
    h, a = floats(h, a)
    return _owens_t(h, a)


def _log_far(h: Array, a: Array) -> Array:
    """log(Phi(-h) - 2 T(h, a)) for a >= 0 and h max(1, a) >= 1: the integral over x = sinh w beyond a."""
    start = jnp.arcsinh(a)
    length = jax.lax.stop_gradient(jnp.arcsinh(jnp.hypot(a, math.sqrt(2.0 * CUT) / h)) - start)
    e = lambda v: v[..., None]

    def weight(s):
        # sinh(start + s) - a, and that square less a**2, without their difference
        rise = 2.0 * jnp.sinh(0.5 * s) * jnp.cosh(e(start) + 0.5 * s)
        return jnp.exp(-0.5 * e(h * h) * rise * (2.0 * e(a) + rise)) / jnp.cosh(e(start) + s)

    return log(integral(weight, length) / math.pi) - 0.5 * h * h * (1.0 + a * a)


def _log_cdf_left(z: Array, shape: Array) -> Array:
    """log P(Z <= z) for z <= 0."""
    h, positive = -z, shape > 0
    a = jnp.where(positive, shape, -shape)
    far = h * jnp.maximum(a, 1.0) >= 1.0
    tail = _log_far(jnp.where(far, h, 1.0), jnp.where(far, a, 1.0))
    both = log_ndtr(jnp.where(far, z, -1.0)) + math.log(2.0)  # of the shapes a and -a together
    rest = both + log1p(-jnp.exp(jnp.where(positive, -1.0, tail - both)))
    h, a = jnp.where(far, 0.5, h), jnp.where(far, 0.0, shape)
    steep = a > 1.0
    s = jnp.where(steep, a, 2.0)
    across = h * s
    near = 2.0 * _owens_t(across, 1.0 / s) - _upper(across) * erf(h / math.sqrt(2.0))
    other = _upper(h) - 2.0 * _owens_t(h, jnp.where(steep, 0.0, a))
    return jnp.where(far, jnp.where(positive, tail, rest), log(jnp.where(steep, near, other)))


def _log_cdf(z: Array, shape: Array) -> Array:
    left = z <= 0
    log_p = _log_cdf_left(jnp.where(left, z, -z), jnp.where(left, shape, -shape))
    return jnp.where(left, log_p, log1mexp(-log_p))


def log_skew_normal_cdf(z: ArrayLike, shape: ArrayLike) -> Array:
    """log P(Z < z) of the density 2 phi(z) Phi(shape z), elementwise and broadcast.

    Keeps its digits in both tails and for either sign of the shape, with derivatives of every order in both arguments.
    """
    z, shape = floats(z, shape)
    infinite = jnp.isinf(z)
    value = _log_cdf(jnp.where(infinite, 0.0, z), shape)
    return jnp.where(infinite, jnp.where(z > 0, 0.0, -jnp.inf), value)


def log_skew_normal_sf(z: ArrayLike, shape: ArrayLike) -> Array:
    """log P(Z > z) of the density 2 phi(z) Phi(shape z), elementwise and broadcast; as `log_skew_normal_cdf`."""
    z, shape = floats(z, shape)
    return log_skew_normal_cdf(-z, -shape)

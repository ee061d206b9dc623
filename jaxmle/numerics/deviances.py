"""Pieces of log densities that are differences of large numbers: log(1 + u) - u, log x - psi(a + 1).

With Stirling's formula taken out of log gamma, a gamma or beta log density is a sum of terms of one sign (a deviance),
so that a shape of 1e6 costs no digits. Source: Loader (2000), "Fast and accurate computation of binomial
probabilities"; DLMF 5.11.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from jax import Array

from .logarithms import log, log1p
from .polygammas import digamma
from .stirling import SHIFT, horner, series

NEAR = 0.4
"""Below this |u| series are used."""


@jax.custom_jvp
def log1pmx(u: Array, log1p_u: Array) -> Array:
    """log(1 + u) - u; the logarithm is given, as u has lost its digits where it is close to -1."""
    near = jnp.abs(u) < NEAR
    v = jnp.where(near, u, 0.0)
    r = v / (2.0 + v)  # log(1 + v) = 2 artanh r
    w = r * r
    total = horner([1.0 / k for k in range(3, 30, 2)], w)
    return jnp.where(near, r * (2.0 * w * total - v), log1p_u - u)


@log1pmx.defjvp
def _log1pmx_jvp(primals: tuple, tangents: tuple) -> tuple:
    # in closed form: the derivative of the series takes long to compile, and to run
    (u, log1p_u), (du, dlog) = primals, tangents
    near = jnp.abs(u) < NEAR
    v = jnp.where(near, u, 0.0)
    return log1pmx(u, log1p_u), jnp.where(near, -v / (1.0 + v), -1.0) * du + jnp.where(near, 0.0, dlog)


@jax.custom_jvp
def less_expm1(t: Array) -> Array:
    """t - expm1(t), which is `log1pmx` of expm1(t): log r - (r - 1) by the logarithm of r."""
    near = jnp.abs(t) < NEAR
    v = jnp.where(near, t, 0.0)
    total = horner([1.0 / math.factorial(k) for k in range(2, 15)], v)  # the next term is less than 1e-16 of the first
    return jnp.where(near, -v * v * total, t - (jnp.exp(t) - 1.0))


@less_expm1.defjvp
def _less_expm1_jvp(primals: tuple, tangents: tuple) -> tuple:
    (t,), (dt,) = primals, tangents
    value = less_expm1(t)
    expm1 = jnp.where(jnp.abs(t) < NEAR, t - value, jnp.exp(t) - 1.0)  # no digits are lost near zero
    return value, -expm1 * dt


def log1p_given(u: Array, log1p_u: Array) -> Array:
    """log(1 + u), from u where it is small, and as given elsewhere."""
    return jnp.where(jnp.abs(u) < NEAR, log1p(jnp.where(jnp.abs(u) < NEAR, u, 0.0)), log1p_u)


def digamma_less_log(x: Array) -> Array:
    """psi(x) - log x, which is about -1 / (2 x)."""
    u = 1.0 / jnp.maximum(x, SHIFT)
    total = u * u * horner(series(0), u * u)
    small = jnp.where(x < SHIFT, x, 1.0)
    return jnp.where(x < SHIFT, digamma(small) - log(small), -(0.5 * u + total))


@jax.custom_jvp
def reciprocal(x: Array) -> Array:
    """1 / x, with a derivative that does not leave the range of the numbers before it must."""
    return 1.0 / x


@reciprocal.defjvp
def _reciprocal_jvp(primals, tangents):
    (x,), (dx,) = primals, tangents
    r = reciprocal(x)
    return r, -(dx * r) * r

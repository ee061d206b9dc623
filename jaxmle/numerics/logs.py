"""Logarithms and exponentials that keep their digits: log(1 - exp(-x)), log(exp a + exp b), the logistic function.

Every derivative is written in quantities that do not cancel (the logistic function of a difference, 1/expm1), and each
of those carries a rule in the same quantities, so that derivatives of any order keep their digits too.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from .floats import floats
from .logarithms import log, log1p


@jax.custom_jvp
def bose(x: Array) -> Array:
    """1 / (exp(x) - 1), the derivative of log(1 - exp(-x)); its own derivative is -bose (1 + bose)."""
    return 1.0 / jnp.expm1(x)


@bose.defjvp
def _bose_jvp(primals, tangents):
    (x,), (dx,) = primals, tangents
    g = bose(x)
    return g, -dx * (g * (1.0 + g))


@jax.custom_jvp
def _log1mexp(x: Array) -> Array:
    return jnp.where(x < math.log(2.0), log(-jnp.expm1(-x)), log1p(-jnp.exp(-x)))


@_log1mexp.defjvp
def _log1mexp_jvp(primals, tangents):
    (x,), (dx,) = primals, tangents
    return _log1mexp(x), dx * bose(x)


def log1mexp(x: ArrayLike) -> Array:
    """log(1 - exp(-x)) for x > 0, elementwise; -inf at 0, NaN below.

    The sign is Mächler's (2012, "Accurately computing log(1 - exp(-|a|))"): the argument is positive, such as minus a
    log-probability: `log1mexp(-log_p)` is the log of the complement.
    """
    (x,) = floats(x)
    return _log1mexp(x)


@jax.custom_jvp
def one_minus_exp(x: Array) -> Array:
    """1 - exp(x); JAX's own rule for expm1 adds one to its value, which loses a slope of 1e-50."""
    return -jnp.expm1(x)


@one_minus_exp.defjvp
def _one_minus_exp_jvp(primals, tangents):
    (x,), (dx,) = primals, tangents
    return one_minus_exp(x), -dx * jnp.exp(x)


@jax.custom_jvp
def _sigmoid(x: Array) -> Array:
    e = jnp.exp(-jnp.abs(x))
    return jnp.where(x >= 0, 1.0, e) / (1.0 + e)


@_sigmoid.defjvp
def _sigmoid_jvp(primals, tangents):
    (x,), (dx,) = primals, tangents
    return _sigmoid(x), dx * _bell(x)


@jax.custom_jvp
def _bell(x: Array) -> Array:
    """The logistic density, sigmoid(x) sigmoid(-x)."""
    e = jnp.exp(-jnp.abs(x))
    return e / ((1.0 + e) * (1.0 + e))


@_bell.defjvp
def _bell_jvp(primals, tangents):
    (x,), (dx,) = primals, tangents
    bell = _bell(x)
    return bell, -dx * (bell * jnp.tanh(0.5 * x))


def sigmoid(x: ArrayLike) -> Array:
    """The logistic function 1 / (1 + exp(-x)), elementwise; its derivative keeps its digits in both tails."""
    (x,) = floats(x)
    return _sigmoid(x)


@jax.custom_jvp
def _log1pexp(x: Array) -> Array:
    return jnp.maximum(x, 0.0) + log1p(jnp.exp(-jnp.abs(x)))


@_log1pexp.defjvp
def _log1pexp_jvp(primals, tangents):
    (x,), (dx,) = primals, tangents
    return _log1pexp(x), dx * _sigmoid(x)


def log1pexp(x: ArrayLike) -> Array:
    """log(1 + exp(x)), elementwise: the softplus function."""
    (x,) = floats(x)
    return _log1pexp(x)


def log_sigmoid(x: ArrayLike) -> Array:
    """log(1 / (1 + exp(-x))), elementwise: the log-probability of a success with log-odds x."""
    (x,) = floats(x)
    return -_log1pexp(-x)


@jax.custom_jvp
def _logit_slope(p: Array) -> Array:
    return 1.0 / (p * (1.0 - p))


@_logit_slope.defjvp
def _logit_slope_jvp(primals, tangents):
    (p,), (dp,) = primals, tangents
    slope = _logit_slope(p)
    return slope, dp * (slope * (slope * (2.0 * p - 1.0)))


@jax.custom_jvp
def _logit(p: Array) -> Array:
    central = log1p((2.0 * p - 1.0) / (1.0 - p))
    return jnp.where(jnp.abs(p - 0.5) < 0.25, central, log(p) - log1p(-p))


@_logit.defjvp
def _logit_jvp(primals, tangents):
    (p,), (dp,) = primals, tangents
    return _logit(p), dp * _logit_slope(p)


def logit(p: ArrayLike) -> Array:
    """log(p / (1 - p)) for p in [0, 1], elementwise; exact to rounding near 1/2, where the two logs cancel."""
    (p,) = floats(p)
    return _logit(p)


def _same_infinity(a: Array, b: Array) -> Array:
    return (a == b) & jnp.isinf(a)


def _gap(a: Array, b: Array) -> Array:
    """a - b, and 0 for two equal infinities (with a zero derivative there)."""
    same = _same_infinity(a, b)
    return jnp.where(same, 0.0, a) - jnp.where(same, 0.0, b)


def _share(a: Array, b: Array) -> Array:
    """exp(a) / (exp(a) + exp(b)); 0 when both are -inf."""
    return jnp.where((a == -jnp.inf) & (b == -jnp.inf), 0.0, _sigmoid(_gap(a, b)))


@jax.custom_jvp
def _logaddexp(a: Array, b: Array) -> Array:
    return jnp.maximum(a, b) + log1p(jnp.exp(-jnp.abs(_gap(a, b))))


@_logaddexp.defjvp
def _logaddexp_jvp(primals, tangents):
    (a, b), (da, db) = primals, tangents
    return _logaddexp(a, b), da * _share(a, b) + db * _share(b, a)


def logaddexp(a: ArrayLike, b: ArrayLike) -> Array:
    """log(exp(a) + exp(b)), elementwise and broadcast.

    An argument of -inf is a zero term: its derivative is zero, and both derivatives are zero when both are -inf.
    """
    a, b = floats(a, b)
    return _logaddexp(a, b)


def logsubexp(a: ArrayLike, b: ArrayLike) -> Array:
    """log(exp(a) - exp(b)) for a >= b, elementwise and broadcast; -inf where a == b, NaN where a < b."""
    a, b = floats(a, b)
    return a + _log1mexp(_gap(a, b))

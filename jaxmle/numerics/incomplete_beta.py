"""The regularised incomplete beta function and its logarithms, with derivatives in all three arguments.

With y = 1 - x and L = x**a y**b / (a B(a, b)), the smaller tail is (after exchanging a with b and x with y if need be)

    I(a, b, x) = L (1 + r_0 (1 + r_1 (1 + (a + b + 2) x K))),   r_i = (a + b + i) x / (a + 1 + i),
    K = integral over s > 0 of exp(-(a + 3) s - (a + b + 3) log1p(x expm1(-s))),

a log-concave integral in logit x, which the three steps from a to a + 3 make short also when a is small. Everything is
a function of x and y apart, so that callers which know both exactly (Student's t) lose nothing where one of them is
close to one. Source: DLMF 8.17 (8.17.20 for a step from a to a + 1).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from .deviances import digamma_less_log, log1p_given, log1pmx, reciprocal
from .floats import floats
from .gammas import stirling_correction
from .logarithms import log, log1p
from .logs import log1mexp, one_minus_exp
from .polygammas import difference, digamma, polygamma
from .quadrature import integral, quadratic_reach, reach
from .stirling import HALF_LOG_2PI, SHIFT

STEPS = 3
"""How far a is raised before the integral."""


def _offset(a: Array, b: Array, x: Array, y: Array) -> tuple[Array, Array]:
    """u and log(1 + u), where 1 + u = x (a + b) / a is x over its mean."""
    u = (x * b - y * a) / a
    return u, log1p_given(u, log(x) + log(a + b) - log(a))


@jax.custom_jvp
def log_lead(a: Array, b: Array, x: Array, y: Array) -> Array:
    """log L = log(x**a y**b / (a B(a, b))), for x + y = 1; its derivatives in x and y are those of x**a y**b."""
    corrections = stirling_correction(a + b) - stirling_correction(a) - stirling_correction(b)
    deviance = a * log1pmx(*_offset(a, b, x, y)) + b * log1pmx(*_offset(b, a, y, x))
    return deviance + 0.5 * (log(b) - log(a) - log(a + b)) - HALF_LOG_2PI + corrections


@log_lead.defjvp
def _log_lead_jvp(primals, tangents):
    (a, b, x, y), (da, db, dx, dy) = primals, tangents
    along = da * _slope_a(a, b, x, y) + db * _slope_b(a, b, x, y)
    return log_lead(a, b, x, y), along + dx * (a * reciprocal(x)) + dy * (b * reciprocal(y))


@jax.custom_jvp
def _slope_a(a: Array, b: Array, x: Array, y: Array) -> Array:
    """log x + psi(a + b) - psi(a + 1)."""
    n = a + b
    large = _offset(a, b, x, y)[1] + digamma_less_log(n) - digamma_less_log(a) - 1.0 / a
    return jnp.where(a < SHIFT, log(x) + digamma(n) - digamma(a + 1.0), large)


@_slope_a.defjvp
def _slope_a_jvp(primals, tangents):
    (a, b, x, y), (da, db, dx, _) = primals, tangents
    small = polygamma(1, a + b) - polygamma(1, a + 1.0)
    curvature = jnp.where(a < 1.0, small, difference(1, a, b) + 1.0 / (a * a))
    return _slope_a(a, b, x, y), da * curvature + db * polygamma(1, a + b) + dx * reciprocal(x)


@jax.custom_jvp
def _slope_b(a: Array, b: Array, x: Array, y: Array) -> Array:
    """log y + psi(a + b) - psi(b)."""
    large = _offset(b, a, y, x)[1] + digamma_less_log(a + b) - digamma_less_log(b)
    return jnp.where(b < SHIFT, log(y) + difference(0, b, a), large)


@_slope_b.defjvp
def _slope_b_jvp(primals, tangents):
    (a, b, x, y), (da, db, _, dy) = primals, tangents
    return _slope_b(a, b, x, y), db * difference(1, b, a) + da * polygamma(1, a + b) + dy * reciprocal(y)


def log_series(a: Array, b: Array, x: Array, y: Array) -> Array:
    """log(1 + (a + b) x K), for x no more than about the mean a / (a + b), or than 1 / (1 + max(b, 1)); 0 at x = 0."""
    n, up = a + b + STEPS, a + STEPS
    flip = x > 0.5  # from whichever of x and y is the smaller, so that log1p keeps its digits
    sign, c, z = jnp.where(flip, 1.0, -1.0), jnp.where(flip, b, up), jnp.where(flip, y, x)

    def fall(s, n, c, z):
        grown = z * jnp.expm1(sign * s)
        return n * log1p(grown) - sign * c * s, sign * (n * z * jnp.exp(sign * s) / (1.0 + grown) - c)

    def start(n, c, z):
        return quadratic_reach(jnp.maximum(sign * (n * z - c), 0.0), n * z * (1.0 - z))

    length = reach(fall, start, n, c, z)
    e = lambda v: v[..., None]
    area = integral(lambda s: jnp.exp(e(sign * c) * s - e(n) * log1p(e(z) * jnp.expm1(e(sign) * s))), length)
    total = (n - 1.0) * x * area
    for i in range(STEPS - 2, -1, -1):
        total = ((a + b + i) * x / (a + (1.0 + i))) * (1.0 + total)
    return log1p(total)


def is_lower(a: Array, b: Array, x: Array, y: Array) -> Array:
    """Whether the lower tail is the one to compute."""
    return x * jnp.maximum(b, 1.0) < y * jnp.maximum(a, 1.0)


def log_smaller(a: Array, b: Array, x: Array, y: Array) -> tuple[Array, Array]:
    """Whether the lower tail is the one computed, and its logarithm; for positive finite a and b, 0 < x, y < 1."""
    lower = is_lower(a, b, x, y)
    a, b = jnp.where(lower, a, b), jnp.where(lower, b, a)
    x, y = jnp.where(lower, x, y), jnp.where(lower, y, x)
    return lower, log_lead(a, b, x, y) + log_series(a, b, x, y)


def _inside(a: Array, b: Array, x: Array) -> tuple[Array, Array, Array, Array]:
    positive = (a > 0) & (a < jnp.inf) & (b > 0) & (b < jnp.inf)
    inside = positive & (x > 0) & (x < 1)
    return inside, jnp.where(inside, a, 0.5), jnp.where(inside, b, 0.5), jnp.where(inside, x, 0.5)


def _at_ends(inside: Array, value: Array, a: Array, b: Array, x: Array, at_zero: float, at_one: float) -> Array:
    positive = (a > 0) & (b > 0)
    end = jnp.where(positive & (x == 0), at_zero, jnp.where(positive & (x == 1), at_one, jnp.nan))
    return jnp.where(inside, value, end)


def log_betainc(a: ArrayLike, b: ArrayLike, x: ArrayLike) -> Array:
    """log I(a, b, x), the log of a beta distribution function of shapes a, b > 0 at 0 <= x <= 1, elementwise.

    Keeps its digits in both tails, with derivatives of every order in all arguments; NaN outside the domain.
    """
    a, b, x = floats(a, b, x)
    inside, p, q, z = _inside(a, b, x)
    lower, log_p = log_smaller(p, q, z, 1.0 - z)
    return _at_ends(inside, jnp.where(lower, log_p, log1mexp(-log_p)), a, b, x, -jnp.inf, 0.0)


def log_betaincc(a: ArrayLike, b: ArrayLike, x: ArrayLike) -> Array:
    """log(1 - I(a, b, x)), a beta log survival function, elementwise and broadcast; as `log_betainc`."""
    a, b, x = floats(a, b, x)
    inside, p, q, z = _inside(a, b, x)
    lower, log_p = log_smaller(p, q, z, 1.0 - z)
    return _at_ends(inside, jnp.where(lower, log1mexp(-log_p), log_p), a, b, x, 0.0, -jnp.inf)


def betainc(a: ArrayLike, b: ArrayLike, x: ArrayLike) -> Array:
    """I(a, b, x), the regularised incomplete beta function for a, b > 0 and 0 <= x <= 1, elementwise and broadcast.

    The distribution function of a beta variable; differentiable in all arguments to every order, where
    `jax.scipy.special.betainc` has no derivative in a and b. NaN outside the domain.
    """
    a, b, x = floats(a, b, x)
    inside, p, q, z = _inside(a, b, x)
    lower, log_p = log_smaller(p, q, z, 1.0 - z)
    return _at_ends(inside, jnp.where(lower, jnp.exp(log_p), one_minus_exp(log_p)), a, b, x, 0.0, 1.0)

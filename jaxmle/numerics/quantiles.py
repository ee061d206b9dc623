"""Quantiles of the normal, gamma, beta and Student's t distributions, with derivatives in every argument.

Each solves log F(u) = log p (or, above the median, the same of the complement) by Newton's method in a variable u in
which the density is log-concave: log F is then concave, and the iteration cannot fail to converge, from whichever side.
Derivatives follow from the implicit function theorem, in logarithms, so that they are right far in the tails.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array
from jax.scipy import special
from jax.typing import ArrayLike

from . import incomplete_beta as beta
from . import incomplete_gamma as gamma
from .floats import floats
from .gammas import betaln, log_factorial
from .logarithms import log, log1p
from .logs import log1mexp, sigmoid
from .normal import inverse_mills, log_ndtr
from .stirling import HALF_LOG_2PI
from .student_t import NORMAL, log_student_t_sf

STEPS = 100


def _edge(x: Array) -> float:
    """exp of this, and of minus this, are still numbers."""
    return -math.log(float(jnp.finfo(x.dtype).tiny)) - 0.5


def _newton(gap: Callable[[Array], tuple[Array, Array]], start: Array) -> Array:
    """The root of the concave function whose value and slope `gap` returns, elementwise."""
    edge = _edge(start)
    tolerance = 4.0 * jnp.finfo(start.dtype).eps

    def unfinished(state):
        u, step, n = state
        return (n < STEPS) & jnp.any(jnp.abs(step) > tolerance * (1e-3 + jnp.abs(u)))

    def body(state):
        u, _, n = state
        value, slope = gap(u)
        new = jnp.clip(u - value / slope, -edge, edge)
        return new, new - u, n + 1

    return jax.lax.while_loop(unfinished, body, (start, jnp.ones_like(start), 0))[0]


def _lower(p: Array) -> tuple[Array, Array]:
    """Whether p is below the median, and the logarithm of p, or else of 1 - p."""
    lower = p <= 0.5
    return lower, log(jnp.where(lower, p, 1.0 - p))


def _inside(p: Array, low: float, high: float, good: Array) -> tuple[Array, Callable[[Array], Array]]:
    """p with 1/2 where it is 0 or 1 or the parameters are wrong, and the values for there to be put in afterwards."""
    inside = (p > 0) & (p < 1) & good
    ends = jnp.where((p == 0) & good, low, jnp.where((p == 1) & good, high, jnp.nan))
    return jnp.where(inside, p, 0.5), lambda value: jnp.where(inside, value, ends)


@jax.custom_jvp
def _ndtri(p: Array) -> Array:
    lower, log_p = _lower(p)
    x = special.ndtri(jnp.where(lower, p, 1.0 - p))
    x = x - (log_ndtr(x) - log_p) / inverse_mills(x)
    return jnp.where(lower, x, -x)


@_ndtri.defjvp
def _ndtri_jvp(primals, tangents):
    (p,), (dp,) = primals, tangents
    x = _ndtri(p)
    return x, dp * jnp.exp(0.5 * x * x + HALF_LOG_2PI)


def ndtri(p: ArrayLike) -> Array:
    """The standard normal quantile of p in [0, 1], elementwise; -inf at 0 and inf at 1, with derivatives of zero."""
    (p,) = floats(p)
    p, ended = _inside(p, -jnp.inf, jnp.inf, p == p)
    return ended(_ndtri(p))


@jax.custom_jvp
def _gammaincinv(a: Array, p: Array) -> Array:
    lower, target = _lower(p)
    spread = jnp.sqrt(-2.0 * a * target)
    power = (target + log_factorial(a)) / a
    # Bounds of the root on the side from which the iteration is monotone: x**a / gamma(a + 1) and the Gaussian bound
    # are above P, the sub-gamma bound (Boucheron, Lugosi and Massart, 2013, section 2.4) above Q.
    gaussian = log(jnp.where(a > spread, a - spread, 1.0))
    low = jnp.where(a > spread, jnp.maximum(gaussian, power), power)
    start = jnp.where(lower, low, log(a + spread - target))

    def gap(u):
        x = jnp.exp(u)
        below, small = gamma.log_smaller(a, x)
        value = jnp.where(below == lower, small, log1mexp(-small))
        slope = jnp.exp(gamma.log_lead(a, x) + log(a) - value)
        return value - target, jnp.where(lower, slope, -slope)

    return jnp.exp(_newton(gap, jnp.clip(start, -_edge(a), _edge(a))))


@_gammaincinv.defjvp
def _gammaincinv_jvp(primals, tangents):
    (a, p), (da, dp) = primals, tangents
    x = _gammaincinv(a, p)
    log_density = gamma.log_lead(a, x) + log(a) - log(x)
    (below, small), (_, slope) = jax.jvp(lambda a: gamma.log_smaller(a, x), (a,), (jnp.ones_like(a),))
    along_a = jnp.where(below, -slope, slope) * jnp.exp(small - log_density)
    return x, da * along_a + dp * jnp.exp(-log_density)


def gammaincinv(a: ArrayLike, p: ArrayLike) -> Array:
    """The x with P(a, x) = p, a gamma quantile of shape a > 0 and p in [0, 1], elementwise and broadcast.

    Below 3.3e-308 it is that number; NaN outside the domain.
    """
    a, p = floats(a, p)
    good = (a > 0) & (a < jnp.inf)
    p, ended = _inside(p, 0.0, jnp.inf, good)
    return ended(_gammaincinv(jnp.where(good, a, 1.0), p))


@jax.custom_jvp
def _betaincinv(a: Array, b: Array, p: Array) -> Array:
    lower, target = _lower(p)
    near, far = jnp.where(lower, a, b), jnp.where(lower, b, a)

    def gap(u):
        x, y = sigmoid(u), sigmoid(-u)
        below, small = beta.log_smaller(near, far, x, y)
        value = jnp.where(below, small, log1mexp(-small))
        return value - target, jnp.exp(beta.log_lead(near, far, x, y) + log(near) - value)

    u = _newton(gap, log(near) - log(far))
    return sigmoid(jnp.where(lower, u, -u))


@_betaincinv.defjvp
def _betaincinv_jvp(primals, tangents):
    (a, b, p), (da, db, dp) = primals, tangents
    x = _betaincinv(a, b, p)
    y = 1.0 - x
    log_density = beta.log_lead(a, b, x, y) + log(a) - log(x) - log(y)
    (below, small), (_, slope) = jax.jvp(lambda a, b: beta.log_smaller(a, b, x, y), (a, b), (da, db))
    return x, jnp.where(below, -slope, slope) * jnp.exp(small - log_density) + dp * jnp.exp(-log_density)


def betaincinv(a: ArrayLike, b: ArrayLike, p: ArrayLike) -> Array:
    """The x with I(a, b, x) = p, a beta quantile of shapes a, b > 0 and p in [0, 1], elementwise and broadcast.

    Below 3.3e-308 it is that number; NaN outside the domain.
    """
    a, b, p = floats(a, b, p)
    good = (a > 0) & (a < jnp.inf) & (b > 0) & (b < jnp.inf)
    p, ended = _inside(p, 0.0, 1.0, good)
    return ended(_betaincinv(jnp.where(good, a, 1.0), jnp.where(good, b, 1.0), p))


def _log_density_t(t: Array, df: Array) -> Array:
    return -0.5 * (df + 1.0) * log1p(t * (t / df)) - 0.5 * log(df) - betaln(0.5, 0.5 * df)


@jax.custom_jvp
def _student_t_quantile(p: Array, df: Array) -> Array:
    lower, target = _lower(p)
    root = jnp.sqrt(df)

    def gap(w):
        t = root * jnp.sinh(w)
        value = log_student_t_sf(t, df)
        # The density of w: that of t times root cosh(w), or df * log cosh(w) at once, as a square could overflow.
        log_cosh = jnp.abs(w) + log1p(jnp.exp(-2.0 * jnp.abs(w))) - math.log(2.0)
        log_cosh = jnp.where(jnp.abs(w) < 1.0, 0.5 * log1p(jnp.sinh(w) ** 2), log_cosh)
        return value - target, -jnp.exp(-df * log_cosh - betaln(0.5, 0.5 * df) - value)

    start = jnp.arcsinh(-_ndtri(jnp.where(lower, p, 1.0 - p)) / root)
    t = root * jnp.sinh(_newton(gap, start))
    return jnp.where(lower, -t, t)


@_student_t_quantile.defjvp
def _student_t_quantile_jvp(primals, tangents):
    (p, df), (dp, ddf) = primals, tangents
    t = _student_t_quantile(p, df)
    size = jnp.where(t > 0, t, -t)
    log_density = _log_density_t(size, df)
    log_sf, slope = jax.jvp(lambda df: log_student_t_sf(size, df), (df,), (jnp.ones_like(df),))
    along_df = jnp.where(t > 0, 1.0, -1.0) * slope * jnp.exp(log_sf - log_density)
    return t, dp * jnp.exp(-log_density) + ddf * along_df


def student_t_quantile(p: ArrayLike, df: ArrayLike) -> Array:
    """The quantile of p in [0, 1] of Student's t with df > 0 degrees of freedom, elementwise and broadcast."""
    p, df = floats(p, df)
    df = jnp.minimum(df, NORMAL)
    good = df > 0
    p, ended = _inside(p, -jnp.inf, jnp.inf, good)
    return ended(_student_t_quantile(p, jnp.where(good, df, 1.0)))

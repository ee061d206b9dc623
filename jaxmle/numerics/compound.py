"""The series of a sum of gamma variables whose number is a Poisson one, which is what a Tweedie variable is.

With a mean of `m` variables, each of shape `alpha`, and the sum at its own mean, the term of n variables is a deviance
less Stirling's corrections c,

    -n (1 + alpha) (r - 1 - log r) - c(n) - c(n alpha),   r = m / n,

so that nothing cancels (Dunn and Smyth, 2005, Statistics and Computing 15, 267-280). Terms are one apart where they are
few, and evenly spaced where they are many, which sums a smooth bell without error. They are added up one after another,
for all rows at once, with the moments that the first and second derivatives are made of.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from .deviances import log1pmx
from .floats import floats
from .logarithms import log
from .stirling import SHIFT, horner, series

TERMS = 112
"""Terms at most. The first 112 suffice until their peak is at 41, and are then far below it at the ends."""

CORRECTIONS = [series(n)[:7] for n in (-1, 0, 1)]
"""Of Stirling's correction and its derivatives: an absolute 1e-16 from `SHIFT` on, which a term of a series needs."""


class Moments(NamedTuple):
    """The logarithm of the sum, its slopes by log m and alpha, and its second derivatives."""

    value: Array
    by_log: Array
    by_alpha: Array
    by_logs: Array
    by_both: Array
    by_alphas: Array


def spaced(peak: Array, width: Array) -> tuple[Array, Array, Array]:
    """Counts that cover a bell about `peak`: the first, from 1 on, how far they are apart, and how many (at most `TERMS`)."""
    low = jnp.maximum(1.0, jnp.floor(peak - 9 * width - 4))
    reach = peak + 9.5 * width + 10 - low
    step = jnp.maximum(1.0, reach / (TERMS - 1))
    return low, step, jnp.minimum(jnp.ceil(reach / step).astype(jnp.int32) + 1, TERMS)


def corrections(x: Array, log_x: Array) -> tuple[Array, Array, Array]:
    """Stirling's correction log gamma(x) - [(x - 1/2) log x - x + log(2 pi) / 2] and its first two derivatives."""
    small = x < SHIFT
    low, log_low = jnp.where(small, x, 1.0), jnp.where(small, log_x, 0.0)
    high = jnp.where(small, x + SHIFT, x)
    u = 1.0 / high
    w = u * u
    zeroth, first, second = (horner(c, w) for c in CORRECTIONS)
    zeroth, first, second = u * zeroth, -w * first, u * w * second
    product, slope, bend = low, 1.0, 0.0  # of x (x + 1) ... (x + 9), with its derivatives
    for j in range(1, SHIFT):
        factor = low + j
        product, slope, bend = product * factor, slope * factor + product, bend * factor + 2.0 * slope
    log_high, over, ratio = log(high), 1.0 / low, 1.0 / product
    slope, bend = slope * ratio, bend * ratio
    zeroth += jnp.where(small, (high - 0.5) * log_high - SHIFT - (low - 0.5) * log_low - log(product), 0.0)
    first += jnp.where(small, log_high - 0.5 * u - log_low + 0.5 * over - slope, 0.0)
    second += jnp.where(small, u + 0.5 * w - over - 0.5 * over * over + (slope * slope - bend), 0.0)
    return zeroth, first, second


def _moments(log_m: Array, alpha: Array) -> Moments:
    held = jax.lax.stop_gradient
    m = jnp.exp(log_m)
    low, step, count = spaced(held(m), held(jnp.sqrt(m / (1.0 + alpha))))
    log_alpha = log(alpha)

    def term(n: Array, log_n: Array) -> tuple[Array, Array, Array]:
        """A term, and its first and second derivative by alpha."""
        d = log1pmx((m - n) / n, log_m - log_n)
        zeroth, first, second = corrections(n * alpha, log_n + log_alpha)
        return n * (1.0 + alpha) * d - zeroth, n * (d - first), -n * n * second

    # moments are taken about where the largest term is, so that where it is nearly alone they keep their digits
    origin, log_origin = held(jnp.maximum(m, 1.0)), held(jnp.maximum(log_m, 0.0))
    top, slope, _ = term(origin, log_origin)
    top, slope = held(top), held(slope)

    def add(i: Array, sums: tuple[Array, ...]) -> tuple[Array, ...]:
        n = low + i * step
        log_n = log(n)
        value, first, second = term(n, log_n)
        weight = jnp.exp(value - top - corrections(n, log_n)[0])
        k, g = n - origin, first - slope
        return tuple(s + weight * x for s, x in zip(sums, (1.0, k, g, k * k, k * g, g * g, second)))

    total, *sums = jax.lax.fori_loop(0, jnp.max(count), add, (jnp.zeros_like(m),) * 7)
    k, g, kk, kg, gg, bent = (s / total for s in sums)
    rise = 1.0 + alpha
    return Moments(
        top + log(total * step),
        rise * (origin - m + k),
        slope + g,
        rise * (rise * (kk - k * k) - m),
        (origin - m + k) + rise * (kg - k * g),
        gg - g * g + bent,
    )


@jax.custom_jvp
def _compound_series(log_m: Array, alpha: Array) -> Array:
    return _moments(log_m, alpha).value


@jax.custom_jvp
def _slopes(log_m: Array, alpha: Array) -> tuple[Array, Array]:
    return _moments(log_m, alpha)[1:3]


@_compound_series.defjvp
def _compound_series_jvp(primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    by_log, by_alpha = _slopes(*primals)
    return _compound_series(*primals), by_log * tangents[0] + by_alpha * tangents[1]


@_slopes.defjvp
def _slopes_jvp(primals: tuple, tangents: tuple) -> tuple:
    moments = _moments(*primals)
    dlog, dalpha = tangents
    along = (
        moments.by_logs * dlog + moments.by_both * dalpha,
        moments.by_both * dlog + moments.by_alphas * dalpha,
    )
    return moments[1:3], along


def compound_series(log_m: Array, alpha: Array) -> Array:
    """log of the sum of the terms, times sqrt(alpha) / (2 pi), elementwise and broadcast.

    It is that of y times the density of y > 0, a sum of gamma variables of shape alpha > 0 of which there are m = exp(log_m)
    in the mean, where y is their mean.
    """
    log_m, alpha = floats(log_m, alpha)
    return _compound_series(log_m, alpha) + 0.5 * log(alpha) - math.log(2.0 * math.pi)

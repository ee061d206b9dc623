"""Integrals of a density over its support, from the mode or from a point outwards, differentiable to every order.

The support is mapped onto the real line (log, logit); a tail is cut off where its terms are lost in rounding, and
stretched so that power tails become exponential ones; then Gauss and Legendre's rule on panels. Where the panels lie is a
constant to autodiff, since the integral does not depend on it.

Where a density has no bound at an end of its support other than 0, numbers next to that end are too few for it: there
the nearest 1e-16 of the support are lost.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ...numerics import log1mexp, log_sigmoid, logsumexp, sigmoid

PANELS, POINTS = 16, 16
CUT = 42.0
"""Terms below exp(-CUT) of the largest are left out."""

STEPS = 2.0 ** np.concatenate([np.arange(-44, 64), np.arange(64, 1000, 16)])
"""Distances at which a tail is looked for; the tail of a Cauchy density is 2**60 scales long."""


def _rule() -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights on (0, 1): Gauss and Legendre's on equal panels."""
    nodes, weights = np.polynomial.legendre.leggauss(POINTS)
    nodes = (np.arange(PANELS)[:, None] + 0.5 * (nodes + 1.0)).ravel() / PANELS
    return nodes, np.tile(0.5 * weights / PANELS, PANELS)


NODES, WEIGHTS = _rule()


def to_line(support: Any, y: Array) -> Array:
    """A value inside the support as a number of the real line."""
    low, high = support.low, support.high
    if low > -np.inf and high < np.inf:
        return jnp.log(y - low) - jnp.log(high - y)
    if low > -np.inf:
        return jnp.log(y - low)
    return -jnp.log(high - y) if high < np.inf else y


def from_line(support: Any, t: Array) -> tuple[Array, Array]:
    """The value at t, kept off the ends of the support, and the logarithm of its derivative."""
    low, high = support.low, support.high
    if low > -np.inf and high < np.inf:
        width = high - low
        y = jnp.where(t < 0, low + width * sigmoid(t), high - width * sigmoid(-t))
        log_slope = np.log(width) + log_sigmoid(t) + log_sigmoid(-t)
    elif low > -np.inf:
        y, log_slope = low + jnp.exp(t), t
    elif high < np.inf:
        y, log_slope = high - jnp.exp(-t), -t
    else:
        return t, jnp.zeros_like(t)
    # an infinite end is left to the density: beyond the largest number it must not look flat
    if low > -np.inf:
        y = jnp.maximum(y, jnp.finfo(t.dtype).tiny if low == 0 else np.nextafter(np.asarray(low, t.dtype), np.inf))
    if high < np.inf:
        y = jnp.minimum(y, np.nextafter(np.asarray(high, t.dtype), -np.inf))
    return y, log_slope


def log_density(d: Any, t: Array) -> Array:
    """The log-density of t, the response on the real line; -inf where the distribution's is not a number."""
    y, log_slope = from_line(d.support, t)
    value = d.log_prob(y) + log_slope
    return jnp.where(jnp.isnan(value) | (value == jnp.inf), -jnp.inf, value)


def mode_of(d: Any) -> Array:
    """Where on the real line the density is greatest, if it rises to there and falls from there."""
    d = jax.lax.stop_gradient(d)
    far = 16.0 ** np.arange(-5, 16)
    grid = jnp.asarray(np.concatenate([-far[::-1], [0.0], far]), jnp.result_type(float))
    n = len(grid)

    def zoom(i: int, state: tuple) -> tuple:
        _, left, right = state
        ts = jnp.where(i == 0, grid, left + (right - left) * jnp.linspace(0.0, 1.0, n, dtype=grid.dtype))
        best = jnp.argmax(jax.vmap(lambda t: log_density(d, t))(ts))
        return ts[best], ts[jnp.maximum(best - 1, 0)], ts[jnp.minimum(best + 1, n - 1)]

    zero = jnp.zeros((), grid.dtype)
    return jax.lax.fori_loop(0, 22, zoom, (zero, zero, zero))[0]


def _reach(d: Any, t: Array, sign: Array, power: int) -> tuple[Array, Array, Array]:
    """The scale and the end of the tail from t in the direction of `sign`, and whether there is an end.

    Terms are weighted by the `power` of the distance from t on the response's own scale.
    """
    d, t = jax.lax.stop_gradient((d, t))
    steps = jnp.asarray(STEPS, t.dtype)
    h = jax.vmap(lambda w: log_density(d, t + sign * w))(steps)
    here = log_density(d, t)
    fallen = jnp.abs(h - here) > 1.0
    scale = steps[jnp.argmax(fallen)]
    y = lambda w: from_line(d.support, t + sign * w)[0]
    unit = jnp.maximum(jnp.abs(y(scale) - y(0.0)), jnp.finfo(t.dtype).tiny)
    weighted = h + jnp.log(steps) + power * jnp.log1p(jnp.abs(jax.vmap(y)(steps) - y(0.0)) / unit)
    weighted = jnp.where(jnp.isnan(weighted) | (h == -jnp.inf), -jnp.inf, weighted)
    counts = weighted > jnp.max(weighted) - CUT
    last = len(steps) - 1 - jnp.argmax(counts[::-1])
    end = steps[jnp.minimum(last + 1, len(steps) - 1)]
    return scale, end, fallen.any() & (last < len(steps) - 1)


def outward(d: Any, t: Array, sign: Array, power: int = 0, factor: Callable[[Array], Array] | None = None) -> Array:
    """The integral of factor(y) times the density from t outwards, or its logarithm where there is no factor."""
    ts, log_terms, ends = _rule_from(d, t, sign, power)
    if factor is None:
        out = logsumexp(log_terms)
    else:
        out = jnp.exp(log_terms) @ factor(jax.vmap(lambda t: from_line(d.support, t)[0])(ts))
    return jnp.where(ends, out, jnp.nan)


def _rule_from(d: Any, t: Array, sign: Array, power: int) -> tuple[Array, Array, Array]:
    """Nodes from t outwards, the logarithms of density times weight there, and whether they meet the whole tail."""
    scale, end, ends = _reach(d, t, sign, power)
    length = jnp.log1p(end / scale)
    u = length * jnp.asarray(NODES, t.dtype)
    ts = t + sign * scale * jnp.expm1(u)
    log_terms = jax.vmap(lambda t: log_density(d, t))(ts) + u + jnp.log(scale) + jnp.log(length) + jnp.log(WEIGHTS)
    return ts, log_terms, ends


def nodes(d: Any) -> tuple[Array, Array]:
    """Values of the response, and the probability that each stands for: a rule for expectations, NaN where there is none.

    Functions that grow like a polynomial have theirs, and in a power tail those that grow like its logarithm.
    """
    d = jax.tree.map(lambda x: jnp.asarray(x, jnp.result_type(float)), jax.lax.stop_gradient(d))
    t = mode_of(d)
    ts, log_terms, ends = jax.vmap(lambda sign: _rule_from(d, t, sign, 0))(jnp.asarray([-1.0, 1.0], t.dtype))
    values = jax.vmap(lambda t: from_line(d.support, t)[0])(ts.reshape(-1))
    return values, jnp.where(ends[:, None], jnp.exp(log_terms), jnp.nan).reshape(-1)


def log_tails(d: Any, y: Any, mode: Array | None = None) -> tuple[Array, Array]:
    """log P(Y ≤ y) and log P(Y > y): the tail away from the mode is integrated, the other is its complement."""
    y = jnp.asarray(y, dtype=jnp.result_type(float))
    below, above = y <= d.support.low, y >= d.support.high
    mode = mode_of(d) if mode is None else mode
    inside = jnp.where(below | above | jnp.isnan(y), from_line(d.support, mode)[0], y)
    t = to_line(d.support, inside)
    lower = t < mode
    tail = outward(d, t, jnp.where(lower, -1.0, 1.0).astype(t.dtype))
    proper = tail < 0
    other = jnp.where(proper, log1mexp(-jnp.where(proper, tail, -1.0)), jnp.where(jnp.isnan(tail), jnp.nan, -jnp.inf))
    pair = jnp.where(lower, tail, other), jnp.where(lower, other, tail)
    ends = ((-jnp.inf, 0.0), (0.0, -jnp.inf))
    return tuple(  # type: ignore[return-value]
        jnp.where(below, b, jnp.where(above, a, jnp.where(jnp.isnan(y), jnp.nan, v))) for v, b, a in zip(pair, *ends)
    )


def _both_sides(d: Any, centre: Array, power: int, factor: Callable[[Array], Array]) -> Array:
    """The integral of factor(y) over the support; NaN where the density does not integrate to one."""
    t = mode_of(d)
    both = lambda y: jnp.stack([jnp.ones_like(y), factor(y)], axis=-1)
    sides = jax.vmap(lambda sign: outward(d, t, sign, power, both))(jnp.asarray([-1.0, 1.0], t.dtype))
    mass, value = sides.sum(axis=0)
    return jnp.where(jnp.abs(mass - 1.0) < 1e-6, centre + value, jnp.nan)


def expectation(d: Any) -> Array:
    """E Y."""
    centre = from_line(d.support, mode_of(d))[0]
    return _both_sides(d, centre, 1, lambda y: y - centre)


def variance(d: Any, mean: Array) -> Array:
    """Var Y, given the expectation."""
    return _both_sides(d, jnp.zeros_like(mean), 2, lambda y: (y - mean) ** 2)

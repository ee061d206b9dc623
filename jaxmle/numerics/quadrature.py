"""Integrals of a log-concave function from a point into its tail, by Gauss and Legendre's rule on a fitted interval.

The probability of a tail is density(x) times the integral over s > 0 of exp(h(s)), where h(0) = 0 and h falls. In the
right variable (log x for a gamma, logit x for a beta) h is concave and analytic whatever the parameters, and the rule
cut off where exp(h) is lost in rounding is exact to rounding. The nodes are constants in differentiation, because the
integral does not depend on them: derivatives of every order are then sums over the same nodes, as exact as the value.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from .logarithms import log

CUT = 38.0
"""exp(-CUT) is a sixth of the rounding error of one."""


def _rule(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Gauss and Legendre's nodes and weights on (0, 1)."""
    nodes, weights = np.polynomial.legendre.leggauss(n)
    return 0.5 * (nodes + 1.0), 0.5 * weights


NODES, WEIGHTS = _rule(32)


def reach(fall: Callable[..., tuple[Array, Array]], start: Callable[..., Array], *parameters: Array) -> Array:
    """Where -h(s) is about CUT; `fall(s, *parameters)` returns -h(s) and -h'(s). A constant in differentiation.

    Newton's iteration for log(-h) against log s: exact for powers, and quick for exponential growth too.
    """
    parameters = tuple(map(jax.lax.stop_gradient, parameters))  # here, so that nothing below is differentiated
    s = start(*parameters)
    for _ in range(4):
        value, slope = fall(s, *parameters)
        s = s * jnp.exp(jnp.clip(value / (s * slope) * log(CUT / value), -3.0, 3.0))
    return s


def quadratic_reach(slope: Array, curvature: Array) -> Array:
    """The positive root s of slope s + curvature s**2 / 2 = CUT."""
    return 2.0 * CUT / (slope + jnp.hypot(slope, jnp.sqrt(2.0 * CUT * curvature)))


def integral(f: Callable[[Array], Array], length: Array) -> Array:
    """The integral of f(s) over 0 < s < length; f takes the nodes along a new last axis."""
    nodes, weights = (jnp.asarray(v, dtype=length.dtype) for v in (NODES, WEIGHTS))
    return length * jnp.sum(weights * f(length[..., None] * nodes), axis=-1)

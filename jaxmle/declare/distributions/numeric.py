"""What a distribution does not know in closed form, found from its `log_prob`: sums and integrals over the support.

Whole numbers are summed around the mode (`sums`), other numbers integrated from it (`integrals`), to about 1e-10 for a
distribution with one mode whose density is smooth but for its mode. Results are NaN where the density does not sum to
one, or an expectation does not exist.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.flatten_util import ravel_pytree

from ...errors import ModelError
from ...numerics import log1mexp
from . import integrals, sums
from .solving import count_by_cdf, real_by_cdf


def expectation(d: Any) -> Array:
    """E Y, a sum or an integral over the support of a distribution of one number; NaN where it does not exist."""
    d = _checked(d)
    if not d.support.whole:
        return integrals.expectation(d)
    log_f, at, found = _bulk(d)
    mean = found.mode + sums.total(_distance(log_f), found.first, found.last, _with(at, found.mode))
    return jnp.where(found.complete, mean, jnp.nan)


def variance(d: Any) -> Array:
    """Var Y, likewise."""
    d = _checked(d)
    mean = d.expectation()
    if not d.support.whole:
        return integrals.variance(d, mean)
    log_f, at, found = _bulk(d)
    square = sums.total(_squared_distance(log_f), found.first, found.last, _with(at, mean))
    return jnp.where(found.complete, square, jnp.nan)


def range_of(d: Any) -> tuple[Array, Array]:
    """The first and the last whole number that all but some 1e-17 of a distribution is between; NaN where it is not."""
    found = _bulk(_checked(jax.lax.stop_gradient(d)))[2]
    return found.first, jnp.where(found.complete, found.last, jnp.nan)


def log_cdf(d: Any, y: Any) -> Array:
    """log P(Y ≤ y), with its digits in the far tail."""
    d = _checked(d)
    return _log_tails(d, y)[0] if d.support.whole else integrals.log_tails(d, y)[0]


def log_survival(d: Any, y: Any) -> Array:
    """log P(Y > y), with its digits in the far tail."""
    d = _checked(d)
    return _log_tails(d, y)[1] if d.support.whole else integrals.log_tails(d, y)[1]


def quantile(d: Any, q: Any) -> Array:
    """The smallest value with P(Y ≤ value) ≥ q; by the distribution's own `log_cdf` and `log_survival` if it has them.

    Derivatives of a continuous quantile in the parameters and q are those of the implicit function; a count's are zero.
    """
    d, q = _checked(d), _number(q)
    if not d.support.whole:
        return real_by_cdf(d, q)
    d, q = jax.lax.stop_gradient((d, q))
    if d.has("log_cdf") and d.has("log_survival"):
        return count_by_cdf(d, q)
    return jax.lax.stop_gradient(_count_by_sum(d, q))


# --- distributions of whole numbers -----------------------------------------------------------------------------------


def _term(d: Any) -> tuple[sums.Term, Array]:
    """The log-probability as a function of a flat vector of parameters, and that vector.

    What all probabilities have in common (`log_normaliser`, `log_weight`) is computed once and not for every term.
    """
    at, rebuild = ravel_pytree(d)
    if hasattr(d, "log_normaliser"):
        at = jnp.concatenate([at, d.log_normaliser()[None]])
        log_prob = lambda at, k: rebuild(at[:-1]).log_weight(k) - at[-1]
    else:
        log_prob = lambda at, k: rebuild(at).log_prob(k)

    def log_f(at: Array, k: Array) -> Array:
        value = log_prob(at, k)
        return jnp.where(jnp.isnan(value), -jnp.inf, value)

    return log_f, at


def _with(at: Array, centre: Array) -> Array:
    return jnp.concatenate([at, centre[None]])


def _distance(log_f: sums.Term) -> sums.Term:
    return lambda more, k: (k - more[-1]) * _probability(log_f, more[:-1], k)


def _squared_distance(log_f: sums.Term) -> sums.Term:
    return lambda more, k: (k - more[-1]) ** 2 * _probability(log_f, more[:-1], k)


def _probability(log_f: sums.Term, at: Array, k: Array) -> Array:
    return jnp.exp(log_f(at, k))


def _bulk(d: Any) -> tuple[sums.Term, Array, sums.Bulk]:
    log_f, at = _term(d)
    return log_f, at, sums.bulk(log_f, at, float(d.support.low), float(d.support.high))


def _log_tails(d: Any, y: Any) -> tuple[Array, Array]:
    """log P(Y ≤ y) and log P(Y > y): one of them is a sum, away from the mode, the other its complement."""
    low, high = float(d.support.low), float(d.support.high)
    log_f, at, found = _bulk(d)
    y = jnp.floor(jax.lax.stop_gradient(_number(y)))
    below, above = y < low, y >= high
    inside = jnp.where(below | above, found.mode, y)
    lower = inside < found.mode
    sign = jnp.where(lower, -1.0, 1.0).astype(at.dtype)
    start = jnp.where(lower, inside, inside + 1.0)
    end = sums.outward(log_f, jax.lax.stop_gradient(at), start, sign, low, high)[0]
    complete = found.complete & jnp.isfinite(end)
    end = jnp.where(complete, end, start)
    first = jnp.where(lower, jnp.minimum(end, found.first), start)
    last = jnp.where(lower, start, jnp.maximum(end, found.last))
    tail = sums.log_sum(log_f, first, last, at)
    some = tail > -jnp.inf
    other = jnp.where(some, log1mexp(jnp.where(some, -tail, 1.0)), 0.0)
    pair = jnp.where(lower, tail, other), jnp.where(lower, other, tail)
    at_ends = ((-jnp.inf, 0.0), (0.0, -jnp.inf))
    return tuple(  # type: ignore[return-value]
        jnp.where(below, b, jnp.where(above, a, jnp.where(complete, v, jnp.nan))) for v, b, a in zip(pair, *at_ends)
    )


def _count_by_sum(d: Any, q: Array) -> Array:
    """Terms are added from the nearer end until q, or 1 - q, is reached."""
    log_f, at, found = _bulk(d)
    low, high = float(d.support.low), float(d.support.high)
    upper = q > 0.5
    sign, start = jnp.where(upper, -1.0, 1.0), jnp.where(upper, found.last, found.first)
    slack = 64 * jnp.finfo(at.dtype).eps
    target = jnp.where(upper, (1.0 - q) * (1.0 + slack), q * (1.0 - slack))
    steps = jnp.arange(sums.BLOCK, dtype=at.dtype)

    def body(state: tuple) -> tuple:
        k, mass, _, answer = state
        ks = k + sign * steps
        inside = (ks >= found.first) & (ks <= found.last)
        p = jnp.where(inside, jax.vmap(lambda j: _probability(log_f, at, jnp.clip(j, low, high)))(ks), 0.0)
        reached = mass + jnp.cumsum(p)
        hit = jnp.where(upper, reached > target, reached >= target)
        done = hit.any() | (ks[-1] < found.first) | (ks[-1] > found.last)
        last = jnp.where(upper, found.first, found.last)
        return k + sign * sums.BLOCK, reached[-1], done, jnp.where(hit.any(), ks[jnp.argmax(hit)], last)

    zero = jnp.zeros((), at.dtype)
    answer = jax.lax.while_loop(lambda s: ~s[2], body, (start, zero, ~found.complete, zero))[3]
    answer = jnp.where(q <= 0, low, jnp.where(q >= 1, high, answer))
    return jnp.where(found.complete & (q >= 0) & (q <= 1), answer, jnp.nan)


# --- what is asked ----------------------------------------------------------------------------------------------------


def _number(x: Any) -> Array:
    return jnp.asarray(x, dtype=jnp.result_type(float))


def _checked(d: Any) -> Any:
    """The distribution with all its numbers as floats; `ModelError` unless its response is one number."""
    d = jax.tree.map(_number, d)
    _asked(type(d).__name__, d.log_prob)
    return d


def _asked(name: str, log_prob: Callable[[Any], Any]) -> None:
    one = jax.ShapeDtypeStruct((), jnp.result_type(float))
    try:
        shape = jnp.shape(jax.eval_shape(log_prob, one))
    except (TypeError, IndexError, ValueError) as error:
        raise ModelError(_refusal(name)) from error
    if shape != ():
        raise ModelError(_refusal(name))


def _refusal(name: str) -> str:
    return (
        f"{name} is not a distribution of one number, or its parameters are vectors: its expectation, probabilities and "
        "quantiles are not found numerically. Write the methods expectation, log_cdf, ... that are needed."
    )

"""Sums of exponentials on the log scale: logsumexp, softmax and log-softmax with a temperature.

The largest term is kept apart from the others, as in 1 + rest: what is left for the others then keeps its digits when
it is far smaller than one, in values and in derivatives.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from .floats import floats
from .logarithms import log, log1p
from .safe import divide


def _top(x: Array) -> Array:
    """True at (the first of) the largest entries along the last axis."""
    return jnp.arange(x.shape[-1]) == jnp.argmax(x, axis=-1, keepdims=True)


def _pick(mask: Array, x: Array) -> Array:
    return jnp.sum(jnp.where(mask, x, 0.0), axis=-1, keepdims=True)


def _below_top(x: Array) -> tuple[Array, Array, Array]:
    """The largest entry, every entry minus it, and the sum of exp of the latter over all other entries."""
    top = _top(x)
    largest = _pick(top, x)
    below = jnp.where(x == largest, 0.0, x - largest)
    return largest, below, jnp.sum(jnp.where(top, 0.0, jnp.exp(below)), axis=-1, keepdims=True)


def _centre(x: Array, w: Array, dx: Array) -> Array:
    """dx minus its mean under the weights w = softmax(x), formed relative to the largest entry so as not to cancel."""
    top = _top(x)
    shifted = jnp.where(top, 0.0, dx - _pick(top, dx))
    return shifted - jnp.sum(w * shifted, axis=-1, keepdims=True)


@jax.custom_jvp
def _softmax(x: Array) -> Array:
    largest, below, rest = _below_top(x)
    return jnp.where(largest == -jnp.inf, 0.0, jnp.exp(below) / (1.0 + rest))


@_softmax.defjvp
def _softmax_jvp(primals, tangents):
    (x,), (dx,) = primals, tangents
    w = _softmax(x)
    return w, w * _centre(x, w, dx)


@jax.custom_jvp
def _log_softmax(x: Array) -> Array:
    largest, below, rest = _below_top(x)
    return jnp.where(largest == -jnp.inf, jnp.nan, below - log1p(rest))


@_log_softmax.defjvp
def _log_softmax_jvp(primals, tangents):
    (x,), (dx,) = primals, tangents
    return _log_softmax(x), _centre(x, _softmax(x), dx)


@jax.custom_jvp
def _logsumexp(x: Array) -> Array:
    largest, _, rest = _below_top(x)
    return (largest + log1p(rest))[..., 0]


@_logsumexp.defjvp
def _logsumexp_jvp(primals, tangents):
    (x,), (dx,) = primals, tangents
    return _logsumexp(x), jnp.sum(_softmax(x) * dx, axis=-1)


def _key(x: Array, b: Array) -> Array:
    return jnp.where(b > 0, x + log(jnp.where(b > 0, b, 1.0)), -jnp.inf)


def _weighted_below_top(x: Array, b: Array) -> tuple[Array, Array, Array, Array]:
    """The largest weighted term: its x and its b; exp(x - that x) over that b; the sum of the other terms over it."""
    top = _top(_key(x, b))
    largest, weight = _pick(top, x), _pick(top, b)
    below = jnp.where((x == largest) | (b == 0), 0.0, x - largest)
    term = jnp.exp(below) * (b / jnp.where(weight > 0, weight, 1.0))
    # A weight of zero takes its x out of the sum, however large; its own derivative needs exp(x - largest).
    unit = jnp.exp(jnp.where(x == largest, 0.0, x - largest)) / jnp.where(weight > 0, weight, 1.0)
    return largest, weight, unit, jnp.sum(jnp.where(top, 0.0, term), axis=-1, keepdims=True)


@jax.custom_jvp
def _weighted_logsumexp(x: Array, b: Array) -> Array:
    largest, weight, _, rest = _weighted_below_top(x, b)
    total = largest + log(weight) + log1p(rest)
    return jnp.where((weight <= 0) & jnp.any(b < 0, axis=-1, keepdims=True), jnp.nan, total)[..., 0]


@jax.custom_jvp
def _terms(x: Array, b: Array) -> Array:
    """exp(x) / sum b exp(x): the derivative of the weighted logsumexp in b."""
    largest, weight, unit, rest = _weighted_below_top(x, b)
    return jnp.where((weight > 0) & (largest > -jnp.inf), unit / (1.0 + rest), 0.0)


@jax.custom_jvp
def _shares(x: Array, b: Array) -> Array:
    """b exp(x) / sum b exp(x): the derivative of the weighted logsumexp in x."""
    return jnp.where(b == 0, 0.0, b * _terms(x, b))


@_weighted_logsumexp.defjvp
def _weighted_logsumexp_jvp(primals, tangents):
    (x, b), (dx, db) = primals, tangents
    slope = jnp.sum(_shares(x, b) * dx, axis=-1) + jnp.sum(_terms(x, b) * db, axis=-1)
    return _weighted_logsumexp(x, b), slope


@_terms.defjvp
def _terms_jvp(primals, tangents):
    (x, b), (dx, db) = primals, tangents
    v, w = _terms(x, b), _shares(x, b)
    return v, v * (_centre(_key(x, b), w, dx) - jnp.sum(v * db, axis=-1, keepdims=True))


@_shares.defjvp
def _shares_jvp(primals, tangents):
    (x, b), (dx, db) = primals, tangents
    key = _key(x, b)
    v, w, top = _terms(x, b), _shares(x, b), _top(key)
    gain = v * db
    others = jnp.sum(jnp.where(top, 0.0, gain), axis=-1, keepdims=True)
    left = jnp.sum(jnp.where(top, 0.0, w), axis=-1, keepdims=True)
    in_b = jnp.where(top, gain * left - w * others, gain - w * jnp.sum(gain, axis=-1, keepdims=True))
    return w, w * _centre(key, w, dx) + in_b


def logsumexp(
    x: ArrayLike, axis: int | tuple[int, ...] | None = None, weights: ArrayLike | None = None, keepdims: bool = False
) -> Array:
    """log(sum weights * exp(x)) over an axis, several axes, or all of them; weights of 1 if None.

    Entries of -inf are zero terms: their derivatives are zero, also when there is nothing else and the value is -inf.
    A weight of zero takes its entry out. A negative total gives NaN.
    """
    arrays = floats(x) if weights is None else floats(x, weights)
    ndim = arrays[0].ndim
    axes = tuple(range(ndim)) if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
    axes = tuple(a % ndim for a in axes)
    kept = [a for a in range(ndim) if a not in axes]
    shape = arrays[0].shape
    flat = [jnp.transpose(a, kept + list(axes)).reshape([shape[k] for k in kept] + [-1]) for a in arrays]
    if flat[0].shape[-1] == 0:
        result = jnp.full(flat[0].shape[:-1], -jnp.inf, flat[0].dtype)
    else:
        result = _logsumexp(*flat) if weights is None else _weighted_logsumexp(*flat)
    return result.reshape([1 if a in axes else shape[a] for a in range(ndim)]) if keepdims else result


def _tempered(x: ArrayLike, temperature: ArrayLike, axis: int) -> Array:
    """(x - max x) / temperature with the axis moved last; -inf stays -inf, with derivatives of zero."""
    x, temperature = floats(x, temperature)
    x, temperature = jnp.moveaxis(x, axis, -1), jnp.moveaxis(temperature, axis, -1)
    largest = jax.lax.stop_gradient(jnp.max(x, axis=-1, keepdims=True))
    hidden = x == -jnp.inf
    below = jnp.where(hidden, 0.0, x) - jnp.where(jnp.isinf(largest), 0.0, largest)
    hidden = hidden | (below / temperature == -jnp.inf)
    return jnp.where(hidden, -jnp.inf, divide(jnp.where(hidden, 0.0, below), temperature))


def softmax(x: ArrayLike, temperature: ArrayLike = 1.0, axis: int = -1) -> Array:
    """exp(x / temperature) over its sum along an axis; the temperature is positive and broadcasts against x.

    Entries of -inf get a share and derivatives of zero; NaN if all are -inf.
    """
    scores = _tempered(x, temperature, axis)
    nothing = jnp.all(scores == -jnp.inf, axis=-1, keepdims=True)
    return jnp.moveaxis(jnp.where(nothing, jnp.nan, _softmax(scores)), -1, axis)


def log_softmax(x: ArrayLike, temperature: ArrayLike = 1.0, axis: int = -1) -> Array:
    """The logarithm of `softmax`, with full relative precision also where the share is almost one."""
    return jnp.moveaxis(_log_softmax(_tempered(x, temperature, axis)), -1, axis)

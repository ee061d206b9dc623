"""Log-probabilities from logits: of a binary outcome and of a class, and the cross-entropy."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from .floats import floats, saturate
from .logs import log_sigmoid, sigmoid
from .sums import log_softmax


@jax.custom_jvp
def _bernoulli(logits: Array, labels: Array) -> Array:
    success = jnp.where(labels == 0, 0.0, labels * log_sigmoid(logits))
    failure = jnp.where(labels == 1, 0.0, (1.0 - labels) * log_sigmoid(-logits))
    return success + failure


@_bernoulli.defjvp
def _bernoulli_jvp(primals, tangents):
    (logits, labels), (dlogits, dlabels) = primals, tangents
    residual = labels * sigmoid(-logits) - (1.0 - labels) * sigmoid(logits)
    return _bernoulli(logits, labels), dlogits * residual + dlabels * saturate(logits)


def bernoulli_logit_log_prob(logits: ArrayLike, labels: ArrayLike) -> Array:
    """labels log(p) + (1 - labels) log(1 - p) with p = sigmoid(logits), elementwise and broadcast.

    Labels are 0 or 1, or a share of successes between them.
    """
    return _bernoulli(*floats(logits, labels))


def binary_cross_entropy(logits: ArrayLike, labels: ArrayLike) -> Array:
    """Minus `bernoulli_logit_log_prob`, elementwise and broadcast, in nats."""
    return -_bernoulli(*floats(logits, labels))


def categorical_logit_log_prob(logits: ArrayLike, index: ArrayLike) -> Array:
    """The log-softmax of logits (..., K) at index (...): the log-probability of class `index`, counted from zero.

    Leading axes broadcast. An index outside 0 ... K - 1 gives NaN.
    """
    logits, index = jnp.asarray(logits), jnp.asarray(index)
    classes = jnp.arange(logits.shape[-1])
    chosen = index[..., None] == classes
    result = jnp.sum(jnp.where(chosen, log_softmax(logits), 0.0), axis=-1)
    return jnp.where(jnp.any(chosen, axis=-1), result, jnp.nan)

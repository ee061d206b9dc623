"""Hidden states that follow a Markov chain: what the responses tell of them, forward, backward and along the best path.

Arrays: `log_b` (n, k) the log-density of each response in each state, `start` (k,) and `transition` (k, k), whose rows
sum to one, `first` (n,) whether a row begins a series. Source: Rabiner (1989, Proceedings of the IEEE 77, 257-286).
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from .recurrence import moved, recurrence, times


def stationary(transition: jax.Array) -> jax.Array:
    """The distribution (k,) that a step of the chain leaves as it is."""
    k = transition.shape[0]
    return jnp.linalg.solve((jnp.eye(k) - transition + 1.0).T, jnp.ones(k))


def scaled(log_b: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The densities over the largest of their row, and the logarithm of that."""
    top = jax.lax.stop_gradient(log_b.max(axis=1))
    return jnp.exp(log_b - top[:, None]), top


@jax.custom_jvp
def chances_before(b: jax.Array, start: jax.Array, transition: jax.Array, first: jax.Array) -> jax.Array:
    """The chances (n, k) of the states given the responses before each row, from densities `b` (n, k) up to factors."""

    def step(chances: Any, row: Any) -> Any:
        b, is_first = row
        chances = jnp.where(is_first, start, chances)
        joint = chances * b
        return times(joint, transition) / joint.sum(), chances

    return jax.lax.scan(step, start, (b, first))[1]


@chances_before.defjvp
def _chances_before(primals: Any, tangents: Any) -> Any:
    """What moves the chances after a row: those before it, the row's densities and the transitions; factors do not."""
    b, start, transition, first = primals
    d_b, d_start, d_transition, _ = tangents
    chances = chances_before(b, start, transition, first)
    joint, d_joint = chances * b, chances * d_b
    total = joint.sum(axis=1, keepdims=True)
    after = times(joint, transition) / total
    matrix = b[:, :, None] * (transition - after[:, None, :]) / total[:, :, None]
    source = (
        times(d_joint, transition) + times(joint, d_transition) - d_joint.sum(axis=1, keepdims=True) * after
    ) / total
    matrix = jnp.where(first[:, None, None], 0.0, moved(matrix))
    return chances, recurrence(matrix, jnp.where(first[:, None], d_start, moved(source)))


def forward(log_b: jax.Array, start: jax.Array, transition: jax.Array, first: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The log-density (n,) of each response given those before it, and the chances (n, k) of the states given these."""
    b, top = scaled(log_b)
    chances = chances_before(b, start, transition, first)
    return jnp.log((chances * b).sum(axis=1)) + top, chances


def smoothed(log_b: jax.Array, start: jax.Array, transition: jax.Array, first: jax.Array) -> jax.Array:
    """The chances (n, k) of the states given all responses."""
    b, _ = scaled(log_b)
    _, chances = forward(log_b, start, transition, first)
    joint = chances * b
    last = jnp.append(first[1:], True)

    def step(after: Any, row: Any) -> Any:
        joint, b, is_last = row
        after = jnp.where(is_last, 1.0, after)
        both = joint * after
        before = transition @ (b * after)
        return before / before.sum(), both / both.sum()

    return jax.lax.scan(step, jnp.ones_like(start), (joint, b, last), reverse=True)[1]


def best_path(log_b: jax.Array, start: jax.Array, transition: jax.Array, first: jax.Array) -> jax.Array:
    """The likeliest sequence of states (n,) (Viterbi, 1967)."""
    log_start, log_transition = jnp.log(start), jnp.log(transition)
    k = start.shape[0]

    def ahead(best: Any, row: Any) -> Any:
        log_b, is_first = row
        anew = jnp.broadcast_to(best[:, None], (k, k)) + log_start
        reach = jnp.where(is_first, anew, best[:, None] + log_transition)
        return reach.max(axis=0) + log_b, reach.argmax(axis=0)

    best, came = jax.lax.scan(ahead, jnp.zeros(k), (log_b, first))

    def back(state: Any, came: Any) -> Any:
        return came[state], state

    return jax.lax.scan(back, best.argmax(), came, reverse=True)[1]

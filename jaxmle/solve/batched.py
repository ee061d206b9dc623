"""Newton's method for many small problems at once: one compiled loop in which every problem takes its own steps.

The problems are the first axis of every array, but inside the loop the last: so each instruction works on many problems, where
loops over the few numbers of one would have none that works on several. A problem that has ended stands still; others go on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from .newton import CLOSE, PATIENCE, TRIES, WORTHWHILE
from .quadratic import FLAT

RUNNING, DONE, STALLED, MAX_STEPS, FAILED = range(5)
"""How a search stands: as in `solver`, by number."""

FIRST_DAMPING = 0.03
"""What is added to the unit diagonal of a scaled Hessian when its own step was refused."""

LEAST_DAMPING = 1e-3
"""Less is nothing: Newton's own steps, which alone converge quadratically."""

LOST = 1e-14
"""Rounding errors of a value, relative."""

Evaluate = Callable[[jax.Array], tuple[jax.Array, jax.Array, jax.Array, jax.Array]]
"""From points (B, k) to values (B,), gradients (B, k), Hessians (B, k, k), and values without penalties (B,)."""


class Searches(NamedTuple):
    """Where B searches stand; `trial` are the points that are evaluated next.

    `inverse` is that of the Hessian scaled to a unit diagonal, with zeros for coordinates that it does not determine,
    `pivots` the smallest pivot of its factorisation and `dependent` the first such coordinate (-1: there is none).
    `decrement` is the distance to the optimum in standard errors, `before` what it was one step earlier.
    """

    z: Any
    trial: Any
    value: Any
    plain: Any
    gradient: Any
    hessian: Any
    inverse: Any
    pivots: Any
    dependent: Any
    decrement: Any
    before: Any
    predicted: Any
    damping: Any
    status: Any
    steps: Any
    polished: Any
    tries: Any
    milestone: Any
    since: Any

    @staticmethod
    def at(z: np.ndarray) -> Searches:
        """Searches that begin at the points `z`, shape (B, k)."""
        b, k = z.shape
        whole = lambda value=0: np.full(b, value, np.int32)
        number = lambda value: np.full(b, value, np.float64)
        return Searches(
            z=np.array(z),
            trial=np.array(z),
            value=number(np.inf),
            plain=number(np.nan),
            gradient=np.full((b, k), np.nan),
            hessian=np.full((b, k, k), np.nan),
            inverse=np.full((b, k, k), np.nan),
            pivots=number(np.nan),
            dependent=whole(-1),
            decrement=number(np.inf),
            before=number(np.inf),
            predicted=number(np.inf),
            damping=number(0.0),
            status=whole(RUNNING),
            steps=whole(-1),
            polished=whole(),
            tries=whole(),
            milestone=number(np.inf),
            since=whole(),
        )


def minimise(evaluate: Evaluate, searches: Searches, tol: jax.Array, max_steps: jax.Array, rounds: jax.Array) -> Any:
    """Take at most `rounds` steps of every search that runs."""

    def going(carry: tuple) -> jax.Array:
        at, s = carry
        return (at < rounds) & jnp.any(s.status == RUNNING)

    def step(carry: tuple) -> tuple:
        at, s = carry
        return at + 1, advance(evaluate, s, tol, max_steps)

    last = jax.tree.map(_problems_last, searches)
    return jax.tree.map(_problems_first, jax.lax.while_loop(going, step, (jnp.zeros((), jnp.int32), last))[1])


def _problems_last(x: jax.Array) -> jax.Array:
    return jnp.moveaxis(x, 0, -1)


def _problems_first(x: jax.Array) -> jax.Array:
    return jnp.moveaxis(x, -1, 0)


def advance(evaluate: Evaluate, s: Searches, tol: jax.Array, max_steps: jax.Array) -> Searches:
    """One step of every search that runs, the problems last: look at its trial point, go there or not, and choose the next."""
    k = len(s.z)
    value, gradient, hessian, plain = map(_problems_last, evaluate(_problems_first(s.trial)))
    finite = jnp.isfinite(value) & jnp.isfinite(gradient).all(0) & jnp.isfinite(hessian).all((0, 1))
    gradient = jnp.where(finite, gradient, 1.0)
    hessian = jnp.where(finite, hessian, jnp.eye(k)[:, :, None])
    inverse, pivots, dependent = _inverse(hessian, metric(gradient, hessian))
    decrement = _decrement(gradient, hessian, inverse, pivots)

    first = s.steps < 0
    running = s.status == RUNNING
    noise = LOST * (jnp.abs(s.value) + k)
    gained = jnp.where(first, jnp.inf, s.value - value)
    near = (s.predicted <= 10 * noise) & ~first  # the values can no longer tell: the decrement decides
    ratio = jnp.where(first, 1.0, gained / s.predicted)
    better = jnp.where(near, (gained >= -100 * noise) & (decrement < s.decrement), ratio >= 1e-4)
    moved = running & finite & (first | better)
    refused = running & ~moved & ~first
    stopped = refused & near  # nothing is left to gain that could be seen
    small = 0.5 * s.decrement**2 <= tol

    status = jnp.where(running & first & ~finite, FAILED, s.status)
    status = jnp.where(stopped, jnp.where(small, DONE, STALLED), status)
    status = jnp.where(refused & ~near & (s.tries >= TRIES), STALLED, status)
    damping = jnp.where(near | (ratio > 0.25), 0.1 * s.damping, jnp.maximum(3.0 * s.damping, FIRST_DAMPING))
    damping = jnp.where(damping < LEAST_DAMPING, 0.0, damping)
    damping = jnp.where(moved, damping, jnp.where(refused, jnp.maximum(8.0 * s.damping, FIRST_DAMPING), s.damping))

    take = lambda new, old: jnp.where(moved, new, old)
    s = s._replace(
        z=take(s.trial, s.z),
        value=take(value, s.value),
        plain=take(plain, s.plain),
        gradient=take(gradient, s.gradient),
        hessian=take(hessian, s.hessian),
        inverse=take(inverse, s.inverse),
        pivots=take(pivots, s.pivots),
        dependent=take(dependent, s.dependent),
        before=take(s.decrement, s.before),
        decrement=take(decrement, s.decrement),
        damping=damping,
        status=status.astype(jnp.int32),
        steps=s.steps + running,
        tries=jnp.where(moved, 0, s.tries + refused),
    )
    return _choose(_judge(s, moved, tol, max_steps))


def _judge(s: Searches, moved: jax.Array, tol: jax.Array, max_steps: jax.Array) -> Searches:
    """Stop as `Newton` does: when the decrement is small, after one more step, if that has contracted it."""
    running = s.status == RUNNING
    small = 0.5 * s.decrement**2 <= tol
    contracted = s.decrement < 0.1 * s.before
    done = moved & small & ((s.decrement <= CLOSE) | ((s.polished > 0) & contracted) | (s.polished >= 4))
    progress = s.value < s.milestone - jnp.maximum(tol, WORTHWHILE)
    large = moved & ~small
    since = jnp.where(large, jnp.where(progress, 0, s.since + 1), s.since)
    status = jnp.where(running & done, DONE, s.status)
    status = jnp.where(running & ~done & (since > PATIENCE), STALLED, status)
    status = jnp.where((status == RUNNING) & (s.steps >= max_steps), MAX_STEPS, status)
    return s._replace(
        polished=jnp.where(moved, jnp.where(small, s.polished + 1, 0), s.polished).astype(jnp.int32),
        since=since.astype(jnp.int32),
        milestone=jnp.where(large & progress, s.value, s.milestone),
        status=status.astype(jnp.int32),
    )


def _choose(s: Searches) -> Searches:
    """The next trial points: Newton's own where the Hessian allows, else damped until it is positive definite."""
    unit, m = len(s.z), metric(s.gradient, s.hessian)
    running = s.status == RUNNING
    slope = s.gradient / m
    damped = running & ((s.damping > 0) | (s.pivots < -floor(unit)) | ~jnp.isfinite(s.decrement))

    def by_damping(carry: tuple) -> tuple:
        _, damping, _, tries = carry
        inverse, pivots, _ = _inverse(s.hessian, m, damping)
        bad = damped & (pivots <= floor(unit))
        return inverse, jnp.where(bad, jnp.maximum(10 * damping, 0.01), damping), bad.any(), tries + 1

    start = (s.inverse, jnp.where(damped, jnp.maximum(s.damping, LEAST_DAMPING), 0.0), damped.any(), 0)
    inverse, damping, _, _ = jax.lax.while_loop(lambda c: c[2] & (c[3] < 8), by_damping, start)
    step = -_times(jnp.where(damped, inverse, s.inverse), slope)
    change = jnp.sum((slope + 0.5 * _times(_scaled(s.hessian, m), step)) * step, axis=0)
    trial = s.z + step / m
    stays = running & ((trial == s.z).all(0) | ~jnp.isfinite(trial).all(0))
    return s._replace(
        trial=jnp.where(running & ~stays, trial, s.z),
        predicted=jnp.where(running, -change, s.predicted),
        damping=jnp.where(damped, damping, s.damping),
        status=jnp.where(stays, STALLED, s.status).astype(jnp.int32),
    )


def metric(gradient: jax.Array, hessian: jax.Array) -> jax.Array:
    """The Hessian's diagonal as units of length (k, B): one standard error of each coordinate, the others held."""
    diagonal = jnp.sqrt(jnp.abs(jnp.diagonal(hessian).T))
    fallback = jnp.sqrt(jnp.abs(gradient))
    return jnp.where(diagonal > 0, diagonal, jnp.where(fallback > 0, fallback, 1.0))


def floor(k: int) -> float:
    """Pivots of a scaled Hessian below this are rounding errors of zero."""
    return FLAT * k * k


def _scaled(hessian: jax.Array, m: jax.Array) -> jax.Array:
    return hessian / (m[:, None] * m[None, :])


def _inverse(hessian: jax.Array, m: jax.Array, damping: Any = 0.0) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The inverse of the scaled Hessian plus damping, its smallest pivot, and the first coordinate that has none."""
    k = len(m)
    swept, pivots = sweep(_scaled(hessian, m) + damping * jnp.eye(k)[:, :, None], floor(k))
    missing = pivots <= floor(k)
    dependent = jnp.where(missing.any(0), jnp.argmax(missing, axis=0), -1).astype(jnp.int32)
    return swept, pivots.min(0, initial=jnp.inf), dependent


def sweep(a: jax.Array, least: float) -> tuple[jax.Array, jax.Array]:
    """The inverses of symmetric matrices (k, k, B) by sweeping their pivots (Goodnight, 1979), and the pivots (k, B).

    All pivots are positive if and only if a matrix is positive definite. Where one is not above `least` in size, its
    coordinate depends on those before it and is left out: its row and column of the inverse are zero.
    """
    k = a.shape[0]

    def one(j: Any, carry: tuple) -> tuple:
        # with r the row of the pivot d and q = r - e_j, a - q q' / d is what sweeping makes of a, but for 2 in the corner
        a, pivots = carry
        row = jax.lax.dynamic_index_in_dim(a, j, 0, keepdims=False)
        pivot = jax.lax.dynamic_index_in_dim(row, j, 0, keepdims=False)
        lost = jnp.abs(pivot) <= least
        here = (jnp.arange(k) == j)[:, None]
        away = row - here
        ratio = jnp.where(lost, 0.0, away / jnp.where(lost, 1.0, pivot))
        corner = (here[:, None, :] & here[None, :, :]) * jnp.where(lost, 0.0, 2.0)
        return a - away[:, None, :] * ratio[None, :, :] - corner, jnp.where(here, pivot, pivots)

    swept, pivots = jax.lax.fori_loop(0, k, one, (a, jnp.zeros(a.shape[1:], a.dtype)))
    kept = ~(jnp.abs(pivots) <= least)
    return jnp.where(kept[:, None, :] & kept[None, :, :], -swept, 0.0), pivots


def _times(matrix: jax.Array, vector: jax.Array) -> jax.Array:
    """Symmetric matrices (k, k, B) times vectors (k, B)."""
    return jnp.sum(matrix * vector[:, None], axis=0)


def _decrement(gradient: jax.Array, hessian: jax.Array, inverse: jax.Array, pivots: jax.Array) -> jax.Array:
    """√(gᵀH⁻¹g): the distance to the minimum in standard errors; inf where the Hessian has negative curvature, or
    where the gradient points into directions that it does not determine."""
    m = metric(gradient, hessian)
    slope = gradient / m
    step = _times(inverse, slope)
    left = jnp.abs(_times(_scaled(hessian, m), step) - slope).max(0, initial=0.0)
    tied = left <= 1e-6 * jnp.maximum(1.0, jnp.abs(slope).max(0, initial=0.0))
    square = jnp.sum(slope * step, axis=0)
    known = (pivots >= -floor(len(m))) & tied & (square >= 0)
    return jnp.where(known, jnp.sqrt(jnp.where(known, square, 1.0)), jnp.inf)

"""Proximal Newton: a smooth function plus weights times absolute values, by exact Hessians and soft thresholds.

Lee, Sun and Saunders (2014), Proximal Newton-type methods for minimizing composite functions, SIAM Journal on
Optimization 24, 1420-1443; coordinate descent as in Friedman, Hastie and Tibshirani (2010), Journal of Statistical
Software 33(1).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .linesearch import line_through
from .solver import DONE, FAILED, RUNNING, STALLED, Function, Solver, State, finite

DAMPINGS = (0.0, 1e-8, 1e-4, 1e-2, 1.0, 1e2, 1e4)
"""Fractions of the Hessian's diagonal added to it, until the model has a minimum."""

SINGULAR = 1e-12
"""A pivot of the scaled Hessian below this has no digits left."""

ROUNDS, SWEEPS = 300, 3

PATIENCE = 60

CLOSE = 1e-7


@dataclass(frozen=True)
class ProximalState(State):
    """`value` has the absolute values in it; `target` is the minimum of the model at `z`, `slope` the change to first
    order on the way there."""

    target: np.ndarray = None  # type: ignore[assignment]
    slope: float = 0.0
    polished: int = 0
    milestone: float = np.inf
    since: int = 0


@dataclass(frozen=True)
class ProximalNewton(Solver):
    """Newton's method for a function plus Σ weight·|z|: the minimum of the quadratic model with the absolute values in it.

    Arguments:
        tol: the gain still expected at which it stops, after one more step.
        max_steps: the most steps.

    The objective tells its weights by `l1` (None: it has none, and this is Newton's method with a line search).
    Entries that are zero at the minimum are exactly zero.
    """

    tol: float = 1e-9
    max_steps: int = 1000

    needs = "hessian"

    def init(self, objective: Function, z: np.ndarray) -> ProximalState:
        evaluation = objective.evaluate(z, self.needs)
        if not finite(evaluation):
            return ProximalState(z, evaluation.value, evaluation.gradient, evaluation.matrix, stop=FAILED)
        return self._judge(self._at(objective, ProximalState(z, np.inf), z, evaluation), np.inf)

    def step(self, objective: Function, state: ProximalState) -> ProximalState:
        if state.target is None or np.array_equal(state.target, state.z):
            return replace(state, stop=DONE if state.gain <= self.tol else STALLED)
        noise = 1e-14 * (abs(state.value) + len(state.z))
        evaluation = objective.evaluate(state.target, self.needs)
        if finite(evaluation):
            moved = self._at(objective, state, state.target, evaluation)
            if -state.slope <= 10 * noise:  # values can no longer tell: the gain still expected does
                if moved.value <= state.value + 100 * noise and moved.gain < state.gain:
                    return self._judge(moved, state.gain)
                return replace(state, stop=DONE if state.gain <= self.tol else STALLED)
            if moved.value <= state.value + 1e-4 * state.slope:
                return self._judge(moved, state.gain)
        found = self._shorter(objective, state, noise)
        return replace(state, stop=STALLED) if found is None else self._judge(found, state.gain)

    def _shorter(self, objective: Function, state: ProximalState, noise: float) -> ProximalState | None:
        """The state at a shorter step that lowers the value enough: on the line, where trials are cheap."""
        weights, way = weights_of(objective), state.target - state.z
        line = line_through(objective, state.z, way)
        step = 1.0
        for _ in range(50):
            step *= 0.5
            z = state.z + step * way
            value = line(step)[0] + weights @ np.abs(z)
            if np.isfinite(value) and value <= state.value + 1e-4 * step * state.slope + noise:
                evaluation = objective.evaluate(z, self.needs)
                if finite(evaluation):
                    return self._at(objective, state, z, evaluation)
        return None

    def _at(self, objective: Function, state: ProximalState, z: np.ndarray, evaluation: Any) -> ProximalState:
        weights = weights_of(objective)
        target, gain, slope = proposed(z, evaluation.gradient, evaluation.matrix, weights)
        return replace(
            state,
            z=z,
            value=evaluation.value + float(weights @ np.abs(z)),
            gradient=evaluation.gradient,
            matrix=evaluation.matrix,
            gain=gain,
            target=target,
            slope=slope,
        )

    def _judge(self, state: ProximalState, before: float) -> ProximalState:
        """Stop when little is to be gained: after one more step, and never on the strength of one that did not contract."""
        if state.gain > self.tol:
            if state.value < state.milestone - max(self.tol, 1e-6):
                return replace(state, polished=0, milestone=state.value, since=0)
            stop = RUNNING if state.since < PATIENCE else STALLED
            return replace(state, polished=0, since=state.since + 1, stop=stop)
        contracted = state.gain < 0.01 * before
        if state.gain <= 0.5 * CLOSE**2 or (state.polished and contracted) or state.polished >= 4:
            return replace(state, stop=DONE)
        return replace(state, polished=state.polished + 1)


def weights_of(objective: Any) -> np.ndarray:
    """The weights of the absolute values, zeros where the objective has none."""
    weights = getattr(objective, "l1", None)
    return np.zeros(objective.size) if weights is None else weights


def proposed(
    z: np.ndarray, gradient: np.ndarray, hessian: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray | None, float, float]:
    """The minimum of the model at `z`, the gain that it promises, and the change to first order on the way there.

    Where the Hessian is not positive definite on the entries that are not zero, a multiple of its diagonal is added;
    the gain is then unknown, infinite. Without any minimum the first of the three is None.
    """
    diagonal = np.diag(hessian)
    fallback = np.maximum(np.abs(gradient), 1e-8)
    metric = np.where(diagonal != 0, np.abs(diagonal), fallback)
    for damping in DAMPINGS:
        damped = hessian if damping == 0.0 else hessian + np.diag(damping * metric)
        target = minimum(z, gradient, damped, weights)
        if target is None:
            continue
        way = target - z
        slope = float(gradient @ way + weights @ (np.abs(target) - np.abs(z)))
        moved = np.flatnonzero(way)
        change = slope + 0.5 * float(way[moved] @ damped[np.ix_(moved, moved)] @ way[moved])
        return target, max(-change, 0.0) if damping <= DAMPINGS[1] else np.inf, slope
    return None, np.inf, 0.0


def minimum(z: np.ndarray, gradient: np.ndarray, hessian: np.ndarray, weights: np.ndarray) -> np.ndarray | None:
    """The minimum of g·(x − z) + ½(x − z)ᵀH(x − z) + Σ weight·|x|; None if H is not positive definite where x moves.

    In turns: a Newton step in the entries that are not zero, up to the first that changes its sign, and coordinate
    descent in these and in all that zero is not the best value of. The first finds the minimum exactly as soon as the
    second has found which entries are zero.
    """
    x, q, diagonal = z.copy(), gradient.copy(), np.diag(hessian)
    smooth = weights == 0
    slack = 1e-9 * weights + 1e-12 * np.sqrt(np.abs(diagonal))
    for _ in range(ROUNDS):
        moving = np.flatnonzero((x != 0) | smooth)
        if len(moving):
            step = _face_step(hessian, moving, q[moving] + weights[moving] * np.sign(x[moving]))
            if step is None:
                return None
            ends = x[moving] + step
            crossing = ~smooth[moving] & (x[moving] * ends < 0)
            share = 1.0
            if crossing.any():
                shares = np.where(crossing, -x[moving] / np.where(step == 0, 1.0, step), np.inf)
                share = float(shares.min())
                ends = np.where(shares <= share, 0.0, x[moving] + share * step)
            q = q + (ends - x[moving]) @ hessian[moving]
            x[moving] = ends
            if share == 1.0 and not ((x == 0) & (np.abs(q) > weights + slack) & ~smooth).any():
                return x
        elif not (np.abs(q) > weights + slack).any():
            return x
        for _ in range(SWEEPS):
            for j in np.flatnonzero((x != 0) | smooth | (np.abs(q) > weights)):
                if not diagonal[j] > 0:
                    return None
                pull = diagonal[j] * x[j] - q[j]
                new = np.sign(pull) * max(abs(pull) - weights[j], 0.0) / diagonal[j]
                if new != x[j]:
                    q += hessian[j] * (new - x[j])
                    x[j] = new
        if not np.isfinite(x).all():
            return None
    return x


def _face_step(hessian: np.ndarray, moving: np.ndarray, slope: np.ndarray) -> np.ndarray | None:
    """Newton's step in some entries, None where the Hessian is not positive definite there beyond rounding."""
    from scipy.linalg import cho_factor, cho_solve  # slow to load, and needed by few fits

    block = hessian[np.ix_(moving, moving)]
    diagonal = np.diag(block)
    if not (diagonal > 0).all():
        return None
    metric = np.sqrt(diagonal)
    try:
        factor = cho_factor(block / np.outer(metric, metric), lower=True, check_finite=False)
    except np.linalg.LinAlgError:
        return None
    if not np.diag(factor[0]).min() ** 2 >= SINGULAR:
        return None
    return cho_solve(factor, -slope / metric, check_finite=False) / metric

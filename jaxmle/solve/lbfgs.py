"""L-BFGS: a quasi-Newton method whose memory and steps cost O(size), for objectives whose Hessian is too large."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from .linesearch import NOISE, Point, WolfeSearch, evaluate_on, line_through
from .quadratic import factor
from .solver import DONE, FAILED, RUNNING, STALLED, Function, Solver, State, finite

POLISH = 1e-4
"""Steps go on until the gain is this fraction of `tol`: the distance to the optimum falls with its square root."""
SETTLED = 20
"""But so many in a row with a gain below `tol` are enough."""
IDLE = 8
"""So many steps in a row that lower the value by rounding errors only, and nothing more is to be expected."""

PLAIN = 8
"""Steps after which, short of the optimum, it is seen that some directions are much flatter than others."""

PER_PARAMETER = 8
"""Units of a sample for each parameter: with fewer, steps measured by it contract little."""

LEAST = 1e-6
"""A Hessian, scaled to a unit diagonal, with an eigenvalue below this says nothing of how far to go."""


@dataclass(frozen=True)
class Memory:
    """The inverse Hessian implied by the last steps and the gradient's changes over them; at first `scale` times `inverse`,
    or the identity."""

    steps: tuple[np.ndarray, ...] = ()
    changes: tuple[np.ndarray, ...] = ()
    scale: float = 1.0
    inverse: np.ndarray | None = None

    def times(self, v: np.ndarray) -> np.ndarray:
        """The inverse Hessian times `v`, by the two-loop recursion (Nocedal and Wright, 2006, algorithm 7.4)."""
        out, weights = v, []
        for s, y in zip(reversed(self.steps), reversed(self.changes)):
            weights.append((s @ out) / (s @ y))
            out = out - weights[-1] * y
        out = self.scale * self._first(out)
        for s, y, weight in zip(self.steps, self.changes, reversed(weights)):
            out = out + (weight - (y @ out) / (s @ y)) * s
        return out

    def with_pair(self, s: np.ndarray, y: np.ndarray, most: int) -> Memory:
        """One more pair, unless it has no positive curvature; the oldest beyond `most` are forgotten."""
        curved = float(s @ y)
        if not (np.isfinite(curved) and curved > 1e-12 * np.linalg.norm(s) * np.linalg.norm(y)):
            return self
        return replace(self, steps=(*self.steps, s)[-most:], changes=(*self.changes, y)[-most:])._scaled()

    def measured_by(self, inverse: np.ndarray | None) -> Memory:
        """The same steps, with a matrix in place of the identity, if there is one."""
        return self if inverse is None else replace(self, inverse=inverse)._scaled()

    def _scaled(self) -> Memory:
        """With the scale that suits the last step."""
        s, y = self.steps[-1], self.changes[-1]
        return replace(self, scale=float(s @ y) / float(y @ self._first(y)))

    def _first(self, v: np.ndarray) -> np.ndarray:
        return v if self.inverse is None else self.inverse @ v


@dataclass(frozen=True)
class LBFGSState(State):
    gradient: Any = None
    memory: Memory = field(default_factory=Memory)
    settled: int = 0
    idle: int = 0
    taken: int = 0


@dataclass(frozen=True)
class LBFGS(Solver):
    """Limited-memory BFGS with a strong-Wolfe line search (Liu and Nocedal, 1989).

    Arguments:
        tol: the log-likelihood still to be gained, ½ gᵀBg with B the implied inverse Hessian, at which it stops once
            that held after two steps in a row.
        max_steps: the most steps.
        memory: how many past steps are remembered.
        polish: whether steps go on until the gain is a small fraction of `tol`.
        by_sample: the number of steps after which, short of the optimum, the Hessian of some of the data is asked for, to
            measure the others by; never where None.

    A step costs one gradient; where the whole step is not right, another read of the designs and a few trials on the line
    that do not read them again.
    """

    tol: float = 1e-9
    max_steps: int = 2000
    memory: int = 20
    polish: bool = True
    by_sample: int | None = None

    def init(self, objective: Function, z: np.ndarray) -> LBFGSState:
        evaluation = objective.evaluate(z, "gradient")
        state = LBFGSState(z, evaluation.value, evaluation.gradient)
        if not finite(evaluation):
            return replace(state, stop=FAILED)
        if not evaluation.gradient.any():
            return replace(state, gain=0.0, stop=DONE)
        return replace(state, memory=Memory(scale=min(1.0, 1.0 / float(np.linalg.norm(evaluation.gradient)))))

    def step(self, objective: Function, state: LBFGSState) -> LBFGSState:
        if state.taken == self.by_sample and state.memory.steps:
            state = replace(state, memory=state.memory.measured_by(about_inverse(objective, state.z)))
        moved = self._move(objective, state)
        if moved is None and state.memory.steps:  # the memory misleads: once more along the gradient
            state = replace(state, memory=replace(state.memory, steps=(), changes=()))
            moved = self._move(objective, state)
        if moved is None:
            return replace(state, stop=DONE if state.gain <= self.tol else STALLED)
        return self._judge(moved, state)

    def _move(self, objective: Function, state: LBFGSState) -> LBFGSState | None:
        p = -state.memory.times(state.gradient)
        slope = float(state.gradient @ p)
        if not (slope < 0 and np.isfinite(p).all()):
            return None
        search, start = WolfeSearch(), Point(0.0, state.value, slope)
        if state.memory.steps and hasattr(objective, "along"):  # mostly the step is right as it is: one read, not two
            z = state.z + p
            whole = objective.evaluate(z, "gradient")
            if finite(whole) and search.accepts(start, Point(1.0, whole.value, float(whole.gradient @ p))):
                return self._moved(state, z, whole)
        line, longest = line_through(objective, state.z, p), np.inf
        for _ in range(5):
            found: Point | None = search(line, state.value, slope, min(1.0, 0.25 * longest), longest)
            if found is None:
                return None
            z = state.z + found.step * p
            evaluation = evaluate_on(line, objective, z, found.step)
            if finite(evaluation):
                return self._moved(state, z, evaluation)
            longest = found.step  # finite along the line, but not its gradient
        return None

    def _moved(self, state: LBFGSState, z: np.ndarray, evaluation: Any) -> LBFGSState:
        memory = state.memory.with_pair(z - state.z, evaluation.gradient - state.gradient, self.memory)
        value, gradient = evaluation.value, evaluation.gradient
        return replace(state, z=z, value=value, gradient=gradient, memory=memory, taken=state.taken + 1)

    def _judge(self, state: LBFGSState, before: LBFGSState) -> LBFGSState:
        g, memory = state.gradient, state.memory
        if not g.any():
            return replace(state, gain=0.0, stop=DONE)
        gain = 0.5 * float(g @ memory.times(g)) if memory.steps else np.inf
        settled = state.settled + 1 if gain <= self.tol else 0
        fell = before.value - state.value > NOISE * abs(state.value)
        idle = 0 if fell else state.idle + 1
        done = settled >= SETTLED or (settled >= 2 and gain <= (POLISH if self.polish else 1.0) * self.tol)
        stop = DONE if done else STALLED if idle >= IDLE else RUNNING
        return replace(state, gain=gain, settled=settled, idle=idle, stop=stop)


def about_inverse(objective: Function, z: np.ndarray) -> np.ndarray | None:
    """The inverse of the Hessian at `z`, about; None where that is not to be had, or it is not positive definite.

    What the sample says nothing of, as rare levels, is as curved as the rest is on average.
    """
    about = getattr(objective, "about_hessian", None)
    hessian = None if about is None else about(z, PER_PARAMETER * len(z))
    if hessian is None or not np.isfinite(hessian).all():
        return None
    curved, blank = np.diag(hessian) > 0, ~hessian.any(axis=0)
    if not curved.any() or not (curved | blank).all():
        return None
    metric = np.sqrt(np.where(blank, np.diag(hessian)[curved].mean(), np.diag(hessian)))
    scaled = hessian / metric / metric[:, None] + np.diag(blank)
    if factor(scaled - LEAST * np.eye(len(metric))) is None:
        return None
    return np.linalg.inv(scaled) / metric / metric[:, None]

"""L-BFGS: a quasi-Newton method whose memory and steps cost O(size), for objectives whose Hessian is too large."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from .linesearch import NOISE, Point, WolfeSearch, evaluate_on, line_through
from .solver import DONE, FAILED, RUNNING, STALLED, Function, Solver, State, finite

POLISH = 1e-4
"""Steps go on until the gain is this fraction of `tol`: the distance to the optimum falls with its square root."""
SETTLED = 20
"""But so many in a row with a gain below `tol` are enough."""
IDLE = 8
"""So many steps in a row that lower the value by rounding errors only, and nothing more is to be expected."""


@dataclass(frozen=True)
class Memory:
    """The inverse Hessian implied by the last steps and the gradient's changes over them; at first `scale` times I."""

    steps: tuple[np.ndarray, ...] = ()
    changes: tuple[np.ndarray, ...] = ()
    scale: float = 1.0

    def times(self, v: np.ndarray) -> np.ndarray:
        """The inverse Hessian times `v`, by the two-loop recursion (Nocedal and Wright, 2006, algorithm 7.4)."""
        out, weights = v, []
        for s, y in zip(reversed(self.steps), reversed(self.changes)):
            weights.append((s @ out) / (s @ y))
            out = out - weights[-1] * y
        out = self.scale * out
        for s, y, weight in zip(self.steps, self.changes, reversed(weights)):
            out = out + (weight - (y @ out) / (s @ y)) * s
        return out

    def with_pair(self, s: np.ndarray, y: np.ndarray, most: int) -> Memory:
        """One more pair, unless it has no positive curvature; the oldest beyond `most` are forgotten."""
        curved = float(s @ y)
        if not (np.isfinite(curved) and curved > 1e-12 * np.linalg.norm(s) * np.linalg.norm(y)):
            return self
        return Memory((*self.steps, s)[-most:], (*self.changes, y)[-most:], curved / float(y @ y))


@dataclass(frozen=True)
class LBFGSState(State):
    gradient: Any = None
    memory: Memory = field(default_factory=Memory)
    settled: int = 0
    idle: int = 0


@dataclass(frozen=True)
class LBFGS(Solver):
    """Limited-memory BFGS with a strong-Wolfe line search (Liu and Nocedal, 1989).

    Arguments:
        tol: the log-likelihood still to be gained, ½ gᵀBg with B the implied inverse Hessian, at which it stops once
            that held after two steps in a row.
        max_steps: the most steps.
        memory: how many past steps are remembered.

    A step costs one gradient, and a few trials on the line that do not read the designs again.
    """

    tol: float = 1e-9
    max_steps: int = 2000
    memory: int = 20

    def init(self, objective: Function, z: np.ndarray) -> LBFGSState:
        evaluation = objective.evaluate(z, "gradient")
        state = LBFGSState(z, evaluation.value, evaluation.gradient)
        if not finite(evaluation):
            return replace(state, stop=FAILED)
        if not evaluation.gradient.any():
            return replace(state, gain=0.0, stop=DONE)
        return replace(state, memory=Memory(scale=min(1.0, 1.0 / float(np.linalg.norm(evaluation.gradient)))))

    def step(self, objective: Function, state: LBFGSState) -> LBFGSState:
        moved = self._move(objective, state)
        if moved is None and state.memory.steps:  # the memory misleads: once more along the gradient
            state = replace(state, memory=Memory(scale=state.memory.scale))
            moved = self._move(objective, state)
        if moved is None:
            return replace(state, stop=DONE if state.gain <= self.tol else STALLED)
        return self._judge(moved, state)

    def _move(self, objective: Function, state: LBFGSState) -> LBFGSState | None:
        p = -state.memory.times(state.gradient)
        slope = float(state.gradient @ p)
        if not (slope < 0 and np.isfinite(p).all()):
            return None
        line, longest = line_through(objective, state.z, p), np.inf
        for _ in range(5):
            found: Point | None = WolfeSearch()(line, state.value, slope, min(1.0, 0.25 * longest), longest)
            if found is None:
                return None
            z = state.z + found.step * p
            evaluation = evaluate_on(line, objective, z, found.step)
            if finite(evaluation):
                memory = state.memory.with_pair(z - state.z, evaluation.gradient - state.gradient, self.memory)
                return replace(state, z=z, value=evaluation.value, gradient=evaluation.gradient, memory=memory)
            longest = found.step  # finite along the line, but not its gradient
        return None

    def _judge(self, state: LBFGSState, before: LBFGSState) -> LBFGSState:
        g, memory = state.gradient, state.memory
        if not g.any():
            return replace(state, gain=0.0, stop=DONE)
        gain = 0.5 * float(g @ memory.times(g)) if memory.steps else np.inf
        settled = state.settled + 1 if gain <= self.tol else 0
        fell = before.value - state.value > NOISE * abs(state.value)
        idle = 0 if fell else state.idle + 1
        done = settled >= SETTLED or (settled >= 2 and gain <= POLISH * self.tol)
        stop = DONE if done else STALLED if idle >= IDLE else RUNNING
        return replace(state, gain=gain, settled=settled, idle=idle, stop=stop)

"""Down from a corner: BFGS with a weak-Wolfe line search, where the objective has kinks and Hessians mislead."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from .linesearch import NOISE, evaluate_on, line_through
from .solver import DONE, FAILED, RUNNING, STALLED, Function, Progress, Solution, Solver, State, finite

MOST_PARAMETERS = 400
"""The inverse Hessian is a matrix: with more parameters than this no search past corners is begun."""

IDLE = 10
"""Steps in a row that lower the value by rounding errors only, after which nothing more is to be expected."""


ASIDE = 1e-2
"""How far beside a corner, relative to the point, the search begins: at a corner a gradient is that of one side only."""


COARSE = 1e-3
"""Units in the last place of a parameter, in standard errors, above which values say nothing about corners."""

WORTHWHILE = 1e-6
"""The gain in log-likelihood that another search must promise, and bring."""


@dataclass(frozen=True)
class CornersState(State):
    inverse: np.ndarray = field(default_factory=lambda: np.eye(0))
    idle: int = 0


@dataclass(frozen=True)
class Corners(Solver):
    """BFGS for objectives that need not be smooth (Lewis and Overton, 2013, Mathematical Programming 141, 135-163).

    At a minimum with a corner gradients do not go to zero, and the search ends where no step lowers the value: it is
    then stalled, and claims nothing. The line search asks for decrease and for a slope that has become less steep, and
    doubles or halves.

    Arguments:
        tol: the largest ½ gᵀBg, with B the implied inverse Hessian, at which it stops on smooth ground.
        max_steps: the most steps.
    """

    tol: float = 1e-9
    max_steps: int = 1000

    def init(self, objective: Function, z: np.ndarray) -> CornersState:
        evaluation = objective.evaluate(z, "gradient")
        state = CornersState(z, evaluation.value, evaluation.gradient)
        if not finite(evaluation):
            return replace(state, stop=FAILED)
        length = float(np.linalg.norm(evaluation.gradient))
        return replace(state, inverse=np.eye(len(z)) / max(length, 1.0), stop=RUNNING if length > 0 else DONE)

    def step(self, objective: Function, state: CornersState) -> CornersState:
        g = np.asarray(state.gradient)
        p = -state.inverse @ g
        slope = float(g @ p)
        if not (slope < 0 and np.isfinite(p).all()):
            return replace(state, stop=STALLED)
        line = line_through(objective, state.z, p)
        length = weak_wolfe(line, state.value, slope)
        if length is None:
            return replace(state, stop=STALLED)
        z = state.z + length * p
        evaluation = evaluate_on(line, objective, z, length)
        if not finite(evaluation):
            return replace(state, stop=STALLED)
        s, y = z - state.z, evaluation.gradient - g
        fell = state.value - evaluation.value > NOISE * abs(state.value)
        inverse = _updated(state.inverse, s, y)
        gain = 0.5 * float(evaluation.gradient @ inverse @ evaluation.gradient)
        idle = 0 if fell else state.idle + 1
        stop = STALLED if idle >= IDLE else DONE if gain <= self.tol else RUNNING
        return CornersState(
            z,
            evaluation.value,
            evaluation.gradient,
            gain=gain,
            stop=stop,
            inverse=inverse,
            idle=idle,
            notes=state.notes,
        )


def weak_wolfe(
    line: Callable[[float], tuple[float, float]], value: float, slope: float, most: int = 60
) -> float | None:
    """A step at which the value has fallen and the slope is less steep; None if no step tried lowers the value."""
    low, high, step, fallen = 0.0, np.inf, 1.0, None
    for _ in range(most):
        here, inclined = line(step)
        if not (np.isfinite(here) and here < value and here <= value + 1e-4 * step * slope):
            high = step
        elif inclined < 0.9 * slope:
            low = fallen = step
        else:
            return step
        step = 2 * low if np.isinf(high) else 0.5 * (low + high)
    return fallen


def _updated(inverse: np.ndarray, s: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The BFGS update of an inverse Hessian (Nocedal and Wright, 2006, equation 6.17)."""
    curved = float(s @ y)
    if not (np.isfinite(curved) and curved > 0):
        return inverse
    left = np.eye(len(s)) - np.outer(s, y) / curved
    return left @ inverse @ left.T + np.outer(s, s) / curved


def past_corners(objective: Function, solution: Solution, watch: Callable[[Progress], None] | None = None) -> Solution:
    """The solution, or a better one where a search has stalled that should have gained more, and one that bears
    corners does."""
    hopeless = not solution.trace or solution.trace[-1].gain <= WORTHWHILE
    if solution.stop != STALLED or hopeless or objective.size > MOST_PARAMETERS or _drowned(objective, solution):
        return solution
    tell = None if watch is None else lambda p: watch(replace(p, step=p.step + solution.n_steps))
    aside = ASIDE * np.maximum(1.0, np.abs(solution.z)) * np.random.default_rng(0).normal(size=objective.size)
    best, n_steps, seconds = solution, solution.n_steps, solution.seconds
    for start in (solution.z, solution.z + aside):
        with np.errstate(over="ignore", invalid="ignore"):
            further = Corners().minimise(objective, start, tell)
        n_steps, seconds = n_steps + further.n_steps, seconds + further.seconds
        if further.stop != FAILED and further.value < best.value - WORTHWHILE:
            best = further
    if best is solution or not finite(objective.evaluate(best.z)):  # it may have run into a point without derivatives
        return solution
    notes = (*solution.notes, "went on past corners by BFGS (Lewis and Overton, 2013)")
    stop = STALLED if best.stop == DONE else best.stop
    return replace(best, stop=stop, solver=solution.solver, n_steps=n_steps, seconds=seconds, notes=notes)


def _drowned(objective: Function, solution: Solution) -> bool:
    """Whether values say nothing here: rounding errors exceed what counts, or curvature what numbers resolve."""
    z = solution.z
    near = [objective.evaluate(z + sign * 4 * np.spacing(np.abs(z)), "value").value for sign in (1.0, -1.0)]
    if not all(abs(value - solution.value) <= WORTHWHILE for value in near):
        return True
    if solution.hessian is None:
        return False
    curvature = np.sqrt(np.maximum(np.diag(solution.hessian), 0.0))
    return bool((curvature * np.spacing(np.abs(z)) > COARSE).any())

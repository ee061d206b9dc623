"""Newton's method by Hessian-vector products alone: truncated conjugate gradients in a trust region."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .linesearch import NOISE, WolfeSearch, evaluate_on, line_through
from .solver import DONE, FAILED, RUNNING, STALLED, Function, Solver, State, finite

TIGHT = 1e-6
"""The relative residual of the Newton equations at which a small gain of their solution is believed,"""
PATIENCE = 10
"""after so many products: a small residual says little about directions of little curvature."""
PROBES = 20
"""Products spent, where the search would stop, on looking for a direction in which the objective curves down."""


@dataclass(frozen=True)
class Plan:
    """A step, the decrease that the quadratic model predicts for it, and whether it solves the Newton equations.

    `down` is a direction in which the model falls for ever, if one was met.
    """

    step: np.ndarray
    predicted: float
    solved: bool
    down: np.ndarray | None = None


def truncated_cg(
    product: Callable[[np.ndarray], np.ndarray],
    gradient: np.ndarray,
    radius: float,
    reach: float,
    enough: Callable[[float, float, int], bool],
    most: int,
) -> Plan:
    """The minimum of the model g·p + ½ pᵀHp in |p| ≤ radius, approximately (Steihaug, 1983; Toint, 1981).

    Arguments:
        product: v → Hv.
        gradient: g, shape (size,).
        radius: of the trust region; may be infinite.
        reach: how far to go along a direction in which the model falls for ever, where the radius is infinite.
        enough: (relative residual, predicted decrease, products) → whether to stop.
        most: the most products.
    """
    p, residual = np.zeros_like(gradient), gradient
    d, squared, predicted = -gradient, float(gradient @ gradient), 0.0
    size_of_gradient = np.sqrt(squared)
    if squared == 0:
        return Plan(p, 0.0, True)
    for used in range(1, most + 1):
        hd = product(d)
        curvature = float(d @ hd)
        if not np.isfinite(curvature):
            return Plan(p, predicted, False)
        down = curvature <= 1e-14 * np.linalg.norm(d) * np.linalg.norm(hd)
        step = np.inf if down else squared / curvature
        if down or np.linalg.norm(p + step * d) >= radius:
            step = _to_boundary(p, d, radius if np.isfinite(radius) else float(np.linalg.norm(p)) + reach)
            predicted += step * squared - 0.5 * step**2 * curvature
            return Plan(p + step * d, predicted, False, d if down else None)
        p = p + step * d
        predicted += 0.5 * step * squared
        residual = residual + step * hd
        last, squared = squared, float(residual @ residual)
        if squared == 0 or enough(np.sqrt(squared) / size_of_gradient, predicted, used):
            return Plan(p, predicted, True)
        d = -residual + (squared / last) * d
    return Plan(p, predicted, False)


def _to_boundary(p: np.ndarray, d: np.ndarray, radius: float) -> float:
    """The positive step at which |p + step·d| = radius."""
    a, b, c = float(d @ d), float(p @ d), float(p @ p) - radius**2
    return (-b + np.sqrt(max(b**2 - a * c, 0.0))) / a


@dataclass(frozen=True)
class NewtonCGState(State):
    gradient: Any = None
    plan: Any = None
    radius: float = np.inf
    polished: int = 0


@dataclass(frozen=True)
class NewtonCG(Solver):
    """Newton's method whose equations are solved by conjugate gradients: no Hessian is ever formed.

    Arguments:
        tol: the log-likelihood still to be gained, by the quadratic model, at which it stops after one more step.
        max_steps: the most steps; each is one gradient and a few products of the Hessian with a vector.

    A step that the model misjudges is shortened by a search along it, which costs no further products (Nocedal and
    Yuan, 1998). Where it would stop it looks for a direction in which the objective curves down (Royer, O'Neill and
    Wright, 2020), so that it does not end at a saddle.
    """

    tol: float = 1e-9
    max_steps: int = 1000

    def init(self, objective: Function, z: np.ndarray) -> NewtonCGState:
        evaluation = objective.evaluate(z, "gradient")
        state = NewtonCGState(z, evaluation.value, evaluation.gradient)
        if not finite(evaluation):
            return replace(state, stop=FAILED)
        return self._planned(objective, state, forcing=0.1)

    def step(self, objective: Function, state: NewtonCGState) -> NewtonCGState:
        p, predicted = state.plan.step, state.plan.predicted
        length = float(np.linalg.norm(p))
        slope = float(state.gradient @ p)
        z = state.z + p
        if not np.isfinite(z).all() or np.array_equal(z, state.z):
            return self._end(state)
        evaluation = objective.evaluate(z, "gradient")
        gained = state.value - evaluation.value if finite(evaluation) else -np.inf
        noise = NOISE * (abs(state.value) + len(z))
        if predicted <= 10 * noise:  # the values can no longer tell: the slopes decide
            if gained < -100 * noise or abs(float(evaluation.gradient @ p)) > 0.9 * abs(slope):
                return self._end(state)
            radius = state.radius
        elif gained < 1e-4 * predicted:
            return self._shorten(objective, state, slope)
        elif gained < 0.25 * predicted:
            radius = 0.5 * length
        elif gained > 0.75 * predicted and not state.plan.solved:
            radius = 3.0 * max(length, state.radius if np.isfinite(state.radius) else length)
        else:
            radius = state.radius
        return self._moved(objective, state, z, evaluation, radius)

    def _shorten(self, objective: Function, state: NewtonCGState, slope: float) -> NewtonCGState:
        """The best point on the way to a step that was too long."""
        p = state.plan.step
        if not slope < 0:  # at a stationary point, downwards by curvature alone
            return replace(state, plan=replace(state.plan, step=0.25 * p, predicted=state.plan.predicted / 16))
        line = line_through(objective, state.z, p)
        found = WolfeSearch()(line, state.value, slope, 0.25, 1.0)
        if found is None:
            return self._end(state)
        z = state.z + found.step * p
        evaluation = evaluate_on(line, objective, z, found.step)
        if not finite(evaluation):
            return self._end(state)
        return self._moved(objective, state, z, evaluation, found.step * float(np.linalg.norm(p)))

    def _moved(
        self, objective: Function, state: NewtonCGState, z: np.ndarray, evaluation, radius: float
    ) -> NewtonCGState:
        ratio = np.linalg.norm(evaluation.gradient) / np.linalg.norm(state.gradient) if state.gradient.any() else 1.0
        forcing = float(np.clip(0.9 * ratio**2, 1e-6, 0.1))  # Eisenstat and Walker (1996), choice 2
        state = replace(state, z=z, value=evaluation.value, gradient=evaluation.gradient, radius=radius)
        if state.polished and state.gain <= self.tol:
            return replace(state, stop=DONE)
        return self._planned(objective, state, forcing)

    def _planned(self, objective: Function, state: NewtonCGState, forcing: float) -> NewtonCGState:
        """The state with its next step and the gain that the model expects, or stopped."""
        product = lambda v: objective.hvp(state.z, v)
        size, reach = len(state.z), 1.0 + float(np.linalg.norm(state.z))

        def enough(residual: float, gain: float, used: int) -> bool:
            if gain > self.tol:
                return residual <= forcing
            return residual <= 1e-12 or (residual <= TIGHT and used >= min(size, PATIENCE))

        plan = truncated_cg(product, state.gradient, state.radius, reach, enough, min(2 * size + 10, 400))
        if plan.predicted > self.tol or not plan.solved:
            return replace(state, plan=plan, gain=plan.predicted if plan.solved else np.inf, polished=0)
        down = self._downwards(product, state, min(state.radius, reach))
        if down is not None:
            return replace(state, plan=down, gain=np.inf, polished=0)
        stop = DONE if plan.predicted == 0 else RUNNING
        return replace(state, plan=plan, gain=plan.predicted, polished=1, stop=stop)

    def _downwards(self, product: Callable, state: NewtonCGState, radius: float) -> Plan | None:
        """A step along which the objective curves down, if conjugate gradients on a random vector meet one."""
        size = len(state.z)
        if size == 0:
            return None
        probe = np.random.default_rng(0).standard_normal(size)
        never = lambda residual, gain, used: residual <= 1e-10
        d = truncated_cg(product, probe, np.inf, 1.0, never, min(size, PROBES)).down
        if d is None:
            return None
        d = d * (radius / np.linalg.norm(d) * (-1.0 if state.gradient @ d > 0 else 1.0))
        curvature = float(d @ product(d))
        return Plan(d, -float(state.gradient @ d) - 0.5 * curvature, False, d) if curvature < 0 else None

    def _end(self, state: NewtonCGState) -> NewtonCGState:
        return replace(state, stop=DONE if state.gain <= self.tol else STALLED)

"""A line search for the strong Wolfe conditions that steps back from where the objective is not finite.

Bracketing and safeguarded cubic interpolation (Nocedal and Wright, 2006, algorithms 3.5 and 3.6; Moré and Thuente,
1994). Near the minimum, where the values differ by rounding errors only, slopes decide (Hager and Zhang, 2005).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .solver import Function

NOISE = 1e-14
"""Rounding errors of a value, as a fraction of it."""


@dataclass(frozen=True)
class Point:
    """The objective on a line: `value` and `slope` at `step`; an infinite value marks a wall not to be reached."""

    step: float
    value: float
    slope: float


class EvaluatedLine:
    """A line built from `evaluate`, for an objective without `along`; it keeps what it evaluated."""

    def __init__(self, objective: Function, z: np.ndarray, p: np.ndarray) -> None:
        self._objective, self._z, self._p = objective, z, p
        self.seen: dict[float, Any] = {}

    def __call__(self, step: float) -> tuple[float, float]:
        self.seen[step] = evaluation = self._objective.evaluate(self._z + step * self._p, "gradient")
        return evaluation.value, float(evaluation.gradient @ self._p)


def line_through(objective: Function, z: np.ndarray, p: np.ndarray) -> Callable[[float], tuple[float, float]]:
    """The objective on the line `z + step·p`, by its own `along` where it has one."""
    along = getattr(objective, "along", None)
    return EvaluatedLine(objective, z, p) if along is None else along(z, p)


def evaluate_on(line: Any, objective: Function, z: np.ndarray, step: float) -> Any:
    """Value and gradient at `z`, which lies at `step` on the line; by the line where it can, for what it knows already."""
    if isinstance(line, EvaluatedLine) and step in line.seen:
        return line.seen[step]
    by_line = getattr(line, "evaluate", None)
    return objective.evaluate(z, "gradient") if by_line is None else by_line(step)


@dataclass(frozen=True)
class WolfeSearch:
    """A step with f(a) ≤ f(0) + `decrease`·a·f'(0) and |f'(a)| ≤ `curvature`·|f'(0)|, in at most `most` trials."""

    decrease: float = 1e-4
    curvature: float = 0.9
    most: int = 40

    def __call__(
        self,
        line: Callable[[float], tuple[float, float]],
        value: float,
        slope: float,
        first: float = 1.0,
        longest: float = np.inf,
    ) -> Point | None:
        """The step found from f(0) = `value`, f'(0) = `slope` < 0, trying `first`; None if no step lowers the value.

        Steps of `longest` and more are not tried. If the trials run out, the lowest point found is returned, with
        sufficient decrease but possibly not the curvature condition.
        """
        start = low = before = Point(0.0, value, slope)
        high = Point(longest, np.inf, np.nan) if np.isfinite(longest) else None
        noise = NOISE * abs(value)
        step, widths = first, [np.inf, np.inf]
        for _ in range(self.most):
            trial = Point(step, *line(step))
            if self.accepts(start, trial):
                return trial
            if self._beyond(start, low, high, trial, noise):
                high = trial if np.isfinite(trial.value) and np.isfinite(trial.slope) else Point(step, np.inf, np.nan)
            else:
                if trial.slope * (np.inf if high is None else high.step - low.step) >= 0:
                    high = low
                before, low = low, trial
            if high is None:
                step = _extrapolate(before, low)
                if not np.isfinite(step):
                    break
                continue
            width = abs(high.step - low.step)
            if width <= 1e-15 * max(low.step, high.step):
                break
            step = 0.5 * (low.step + high.step) if width > 0.66 * widths[0] else _interpolate(low, high, noise)
            widths = [widths[1], width]
        return low if low.step > 0 else None

    def accepts(self, start: Point, trial: Point) -> bool:
        """Whether the conditions hold at a point of the line; near the minimum, slopes decide."""
        if not abs(trial.slope) <= self.curvature * abs(start.slope):
            return False
        if abs(trial.value - start.value) <= NOISE * abs(start.value):
            return trial.slope <= 0.8 * abs(start.slope)
        return trial.value <= start.value + self.decrease * trial.step * start.slope

    def _beyond(self, start: Point, low: Point, high: Point | None, trial: Point, noise: float) -> bool:
        """Whether `trial` bounds the search on the side away from `low`."""
        if not (np.isfinite(trial.value) and np.isfinite(trial.slope)):
            return True
        if abs(trial.value - low.value) <= noise:
            return trial.slope * (1.0 if high is None else high.step - low.step) > 0
        return trial.value > min(start.value + self.decrease * trial.step * start.slope, low.value)


def _cubic(a: Point, b: Point) -> float:
    """The minimum of the cubic through two points and their slopes (Nocedal and Wright, 2006, equation 3.59)."""
    with np.errstate(all="ignore"):
        d1 = a.slope + b.slope - 3 * (a.value - b.value) / (a.step - b.step)
        d2 = np.sign(b.step - a.step) * np.sqrt(d1**2 - a.slope * b.slope)
        return float(b.step - (b.step - a.step) * (b.slope + d2 - d1) / (b.slope - a.slope + 2 * d2))


def _secant(a: Point, b: Point) -> float:
    with np.errstate(all="ignore"):
        return float(np.float64(b.step) - b.slope * (b.step - a.step) / np.float64(b.slope - a.slope))


def _extrapolate(before: Point, low: Point) -> float:
    """A longer step, where the slope is still steep: between 1.1 and 9 times the last one further on."""
    last = low.step - before.step
    step = _cubic(before, low)
    if not (np.isfinite(step) and step > low.step):
        step = np.inf
    return float(np.clip(step, low.step + 1.1 * last, low.step + 9.0 * last))


def _interpolate(low: Point, high: Point, noise: float) -> float:
    """A step inside the bracket, at least a tenth of its width from either end."""
    width = high.step - low.step
    if not np.isfinite(high.value):
        return low.step + 0.25 * width
    step = _secant(low, high) if abs(low.value - high.value) <= noise else _cubic(low, high)
    if not np.isfinite(step):
        step = low.step + 0.5 * width
    near, far = sorted((low.step + 0.1 * width, low.step + 0.9 * width))
    return float(np.clip(step, near, far))

"""The objective on a line: its predictors there cost one read of the designs, and each evaluation none."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from .. import runtime
from . import passes
from .passes import Evaluation


class Line:
    """The objective on a line: `line(step)` → (value, slope)."""

    def __init__(self, objective: Any, z: np.ndarray, p: np.ndarray) -> None:
        self._objective, self._z, self._p = objective, z, p
        self._u = objective.to_u(z), objective.direction(p)
        o = objective
        calls = [(o.likelihood, s.length, self._u, s.data, s.span) for s in o.stretches]
        self._etas = o.run_each(passes.predictors, calls)

    def __call__(self, step: float) -> tuple[float, float]:
        """Value and slope at a step: the designs are not read."""
        self._objective.count("line")
        value, slope = (float(x) for x in self._sums(passes.along, step))
        if extra := self._objective.penalty("gradient", self._u[0] + step * self._u[1]):
            value, slope = value + float(extra[0]), slope + float(extra[1] @ self._u[1])
        return value, slope

    def evaluate(self, step: float) -> Evaluation:
        """Value and gradient at a step, for one read of the designs."""
        o = self._objective
        if not o.large:
            return o.evaluate(self._z + step * self._p, "gradient")
        o.count("gradient")
        return o.completed(self._sums(passes.gradient_on, step), "gradient", self._u[0] + step * self._u[1])

    def _sums(self, f: Callable, step: float) -> tuple:
        o, at = self._objective, np.float64(step)
        calls = [(o.likelihood, at, self._u, e, o.constants, s.data, s.span) for e, s in zip(self._etas, o.stretches)]
        return summed(runtime.on_host(o.run_each(f, calls)))


def summed(sums: Sequence[Any]) -> Any:
    """The sum of what a pass gave of each stretch."""
    return jax.tree.map(lambda *x: functools.reduce(np.add, x), *sums)


def added(sums: tuple, extra: tuple) -> tuple:
    """Value and derivatives of the likelihood, and those of the penalties where there are any."""
    return tuple(a + b for a, b in zip(sums, extra)) if extra else sums

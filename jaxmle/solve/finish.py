"""A gradient method whose last steps are Newton's: with the Hessian that standard errors take anyway."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from .lbfgs import LBFGS
from .newton import Newton
from .solver import DONE, Function, Progress, Solution

ROUGH = 1e-2
"""The log-likelihood left by the gradient method: a step of Newton's from there goes to the end."""

FEW = 10
"""Steps of Newton's at most: where they do not end, the gradient method goes on."""


@dataclass(frozen=True)
class ThenNewton:
    """L-BFGS to near the optimum, then Newton's method.

    Arguments:
        tol: the log-likelihood still to be gained at which the search ends.
        max_steps: the most steps of the gradient method.
        search: the gradient method.
    """

    tol: float = 1e-9
    max_steps: int = 2000
    search: LBFGS = field(default_factory=LBFGS)

    needs = "gradient"

    @property
    def name(self) -> str:
        return self.search.name

    def minimise(self, objective: Function, z: np.ndarray, watch: Callable[[Progress], None] | None = None) -> Solution:
        """Search from `z`; see `Solver.minimise`."""
        whole = replace(self.search, tol=self.tol, max_steps=self.max_steps)
        first = replace(whole, tol=max(self.tol, ROUGH)).minimise(objective, z, watch)
        if first.stop != DONE:
            return first
        last = Newton(self.tol, FEW).minimise(objective, first.z, going_on(watch, first))
        if last.stop != DONE:
            last = whole.minimise(objective, first.z, going_on(watch, first))
        return replace(
            last, n_steps=first.n_steps + last.n_steps, seconds=first.seconds + last.seconds, solver=first.solver
        )


def going_on(watch: Callable[[Progress], None] | None, first: Solution) -> Callable[[Progress], None] | None:
    """What is told of the steps after the first search's, in one count."""
    if watch is None:
        return None
    return lambda p: watch(replace(p, step=p.step + first.n_steps, seconds=p.seconds + first.seconds))

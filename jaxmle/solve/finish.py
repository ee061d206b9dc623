"""A gradient method whose last steps are Newton's: with the Hessian that standard errors take anyway, or a few of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from .lbfgs import LBFGS, PLAIN
from .newton import Newton
from .solver import DONE, INTERRUPTED, MAX_STEPS, Function, Progress, Solution

ROUGH = 1e-2
"""The log-likelihood left by the gradient method: a step of Newton's from there goes to the end."""

FEW = 10
"""Steps of Newton's at most: where they do not end, the gradient method goes on."""

AT_LEAST = 20
"""Steps of the gradient method, however little a Hessian costs; else it may cost as much as one, and no more: columns that are
alike take hundreds of steps, Newton's method six."""


@dataclass(frozen=True)
class ThenNewton:
    """L-BFGS to near the optimum, or for as long as a Hessian takes, then Newton's method.

    Where a few steps do not get there, L-BFGS goes on with a Hessian of some of the data.

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
        most = min(self.max_steps, max(AT_LEAST, round(getattr(objective, "hessian_cost", 1.0))))
        near = replace(whole, tol=max(self.tol, ROUGH), max_steps=most, polish=False, by_sample=PLAIN)
        first = near.minimise(objective, z, watch)
        dear = first.stop == MAX_STEPS and most < self.max_steps
        if first.stop != DONE and not dear:
            return first
        last = Newton(self.tol, FEW).minimise(objective, first.z, going_on(watch, first))
        total = joined(first, last, f"{first.solver}, then Newton")
        if last.stop in (DONE, INTERRUPTED):
            return total
        best = first if first.value <= last.value else last
        return joined(total, whole.minimise(objective, best.z, going_on(watch, total)), first.solver)


def going_on(watch: Callable[[Progress], None] | None, first: Solution) -> Callable[[Progress], None] | None:
    """What is told of the steps after the first search's, in one count."""
    if watch is None:
        return None
    return lambda p: watch(replace(p, step=p.step + first.n_steps, seconds=p.seconds + first.seconds))


def joined(first: Solution | None, then: Solution, name: str, keep_notes: bool = True) -> Solution:
    """Two searches one after the other as one."""
    if first is None:
        return replace(then, solver=name)
    return replace(
        then,
        n_steps=first.n_steps + then.n_steps,
        seconds=first.seconds + then.seconds,
        notes=(*first.notes, *then.notes) if keep_notes else then.notes,
        solver=name,
    )

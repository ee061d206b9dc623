"""On along the edge of the support: where one parameter can go no further, the others still can."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from .newton import Newton
from .solver import STALLED, Progress, Solution, finite

STEP = 1e-6
"""A step downhill, relative to a coordinate, that leaves the support where the search is at its edge."""

MOST_COORDINATES = 30

WORTHWHILE = 1e-6
"""The gain in log-likelihood that the rest of the search must bring."""


def along_edges(objective: Any, solution: Solution, watch: Callable[[Progress], None] | None = None) -> Solution:
    """The solution, or where a search has stalled because steps of some coordinates leave the support, the best point of
    the others with those held where they are."""
    z, slope = solution.z, solution.gradient
    if solution.stop != STALLED or slope is None or len(z) > MOST_COORDINATES:
        return solution
    ahead = -np.sign(slope) * STEP * np.maximum(1.0, np.abs(z))
    held = [i for i, step in enumerate(np.diag(ahead)) if slope[i] and np.isposinf(objective.value(z + step))]
    if not 0 < len(held) < len(z):
        return solution
    rest = objective.with_fixed(objective.free[held], objective.to_u(z))
    further = Newton().minimise(rest, np.delete(z, held), watch)
    if not further.value < solution.value - WORTHWHILE:
        return solution
    z = z.copy()
    z[np.setdiff1d(np.arange(len(z)), held)] = further.z
    here = objective.evaluate(z, "hessian")
    if not finite(here):
        return solution
    return replace(
        solution,
        z=z,
        value=here.value,
        gradient=here.gradient,
        hessian=here.matrix,
        model=None,
        n_steps=solution.n_steps + further.n_steps,
        seconds=solution.seconds + further.seconds,
        notes=(*solution.notes, "went on along the edge of the support"),
    )

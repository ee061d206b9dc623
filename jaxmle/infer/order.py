"""The order of what has no order of its own: the components of a mixture."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..declare.model import Model
from ..objective import em
from ..objective.clusters import ClusterObjective
from ..objective.objective import Objective
from ..solve.solver import FAILED, Solution

SAME = 1e-5
"""Optima whose entries differ by less than this, relative, are one that was found under several names."""


def in_order(objective: Objective, model: Model, solution: Solution) -> Solution:
    """The same solution with the components of a mixture in the order of their first parameters, whatever the start."""
    if solution.stop == FAILED:
        return solution
    z = _moved(objective, model, solution.z)
    optima: list[tuple[float, np.ndarray]] = []
    for value, point in solution.optima:
        moved = _moved(objective, model, point)
        point = point if moved is None else moved
        if not any(np.allclose(point, other, rtol=SAME, atol=SAME) for _, other in optima):
            optima.append((value, point))
    changed: dict[str, Any] = {} if z is None else dict(z=z, gradient=None, hessian=None, model=None, trace=())
    return replace(solution, optima=tuple(optima), **changed)


def _moved(objective: Objective, model: Model, z: np.ndarray) -> np.ndarray | None:
    """The point with the components in order, None where they are; of clusters, by the first coordinate of their means."""
    if not isinstance(objective, ClusterObjective):
        return em.in_order(objective, model, z)
    if not objective.free_labels or not np.isfinite(z).all():
        return None
    found = objective.natural_values(z)
    return None if found.is_ordered else objective.free_values(found.ordered())

"""What is reported of a fit, as functions of the solver's vector `z`: names, values, ranges and derivatives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..objective.layout import reported_of
from ..objective.objective import Objective


def reported_index(objective: Objective) -> np.ndarray:
    """Positions, among all reported entries, of those that are estimated: held entries are left out."""
    layout = objective.layout
    free = np.zeros(layout.size, bool)
    free[objective.free] = True
    out, at = [], 0
    for block in layout.blocks:
        n = len(block.labels())
        if block.elementwise:
            out.extend(at + np.flatnonzero(free[block.start : block.stop]))
        else:
            out.extend(range(at, at + n))
        at += n
    return np.array(out, dtype=int)


def entry_names(objective: Objective) -> list[str]:
    """A name for each entry of `z`: the coefficient's, or a number within parameters whose entries depend on each other."""
    names: list[str] = []
    for block in objective.layout.blocks:
        if block.elementwise:
            names.extend(block.labels())
        else:
            names.extend(f"{block.name}~{i}" for i in range(block.stop - block.start))
    return [names[i] for i in objective.free]


def entry_limits(objective: Objective) -> np.ndarray:
    """The ends of the range of each entry of `z`; NaN for entries of a parameter that depend on each other."""
    out = np.full((objective.layout.size, 2), np.nan)
    for block in objective.layout.blocks:
        if block.elementwise:
            out[block.start : block.stop] = block.bounds()
    return out[objective.free]


@dataclass(frozen=True)
class Reported:
    """The r estimated quantities at `z`: names, values (r,), ends of their ranges (r, 2), derivatives by `z` (r, k)."""

    names: tuple[str, ...]
    values: np.ndarray
    bounds: np.ndarray
    jacobian: np.ndarray

    @staticmethod
    def at(objective: Objective, z: np.ndarray) -> Reported:
        """The reported quantities of `objective` at `z`."""
        layout, index = objective.layout, reported_index(objective)
        labels = layout.labels()
        u = objective.to_u(z)
        entries = layout.entries(u, objective.run)
        jacobian = layout.jacobian(u, entries)[:, objective.free] * objective.scale
        return Reported(
            names=tuple(labels[i] for i in index),
            values=reported_of(entries)[index],
            bounds=np.array(layout.bounds(), dtype=float).reshape(-1, 2)[index],
            jacobian=jacobian[index],
        )

    def moved_by(self, vector: np.ndarray, metric: np.ndarray) -> np.ndarray:
        """Which entries change to first order along a direction in `z`: those for which it matters, beyond rounding.

        What is reported may depend on every entry of `z` and yet not on this direction: when one of three shares goes
        to zero, the other two keep their meaning. An entry that depends on nothing (it is at its limit) counts too.
        `metric` are the units in which the entries of `z` are alike.
        """
        size = np.linalg.norm(self.jacobian / metric, axis=1)
        along = np.abs(self.jacobian @ vector)
        return (along > 1e-5 * size * np.linalg.norm(metric * vector)) | ~self.depends

    def named_by(self, vector: np.ndarray) -> np.ndarray:
        """Which entries a direction in `z` is about: those that its parts move, and do not move back."""
        return (np.abs(self.jacobian @ vector) > 1e-5 * np.abs(self.jacobian) @ np.abs(vector)) & self.depends

    @property
    def depends(self) -> np.ndarray:
        """Which entries depend on anything."""
        return (self.jacobian != 0).any(axis=1)

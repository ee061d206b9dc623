"""A random sample's objective beside that of all units: how it bends tells where a step of Newton's method will be off."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .quadratic import Quadratic
from .solver import Function, finite

LEFT = 9.0
"""The share of what a step of Newton's method would be off by that is left after a correction by a sample is about this
over the root of its units: a tenth to a seventh of 4,000, a fifteenth of 30,000."""

MOST = 0.5
"""A correction of more than this share of the step corrects nothing."""


@dataclass(frozen=True)
class Sample:
    """The `objective` of a sample of so many `units`, of which that of all units is about `share` times as much."""

    objective: Function
    share: float
    units: int

    @property
    def left(self) -> float:
        """The share of what a step would be off by that a correction will probably leave."""
        return LEFT / float(np.sqrt(self.units))

    def corrected(self, z: np.ndarray, trial: np.ndarray, model: Quadratic, needs: str) -> np.ndarray:
        """A point nearer to the minimum than `trial`, where a step of Newton's method with the `model` at `z` ends.

        The gradient there is not zero, as the step supposes, by what the Hessian changes on the way; the sample's gradient
        shows how much. Two evaluations of the sample, the second of what it `needs` for a gradient.
        """
        here, there = self.objective.evaluate(z), self.objective.evaluate(trial, needs)
        if not (finite(here) and finite(there)):
            return trial
        missed = self.share * (there.gradient - here.gradient - here.matrix @ (trial - z))
        back = model.at(missed).newton()
        return trial + model.to_z(back) if np.linalg.norm(back) <= MOST * np.linalg.norm(model.newton()) else trial

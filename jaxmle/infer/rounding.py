"""What rounding does to a fit: its sums over the data, once more, without any (Shewchuk, 1997, by `math.fsum`)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..errors import ModelError
from ..objective.objective import Objective


@dataclass(frozen=True)
class Rounding:
    """The log-likelihood in float64 and as the rounded exact sum of its terms, and what exact sums do to the estimates.

    `move` is the largest step, in standard errors, that Newton's method takes from the estimates by a score whose sums
    are exact. The terms themselves, one log-density and its derivatives each, are in float64 in both.
    """

    log_likelihood: float
    exact: float
    move: float

    @property
    def difference(self) -> float:
        """The log-likelihood as reported, less the exact sum."""
        return self.log_likelihood - self.exact

    def __repr__(self) -> str:
        return (
            f"Log-likelihood {self.exact:.15g} by exact sums, {self.difference:+.1g} as reported; "
            f"estimates {self.move:.0e} standard errors from where an exact score has them"
        )


def rounding_of(objective: Objective, z: np.ndarray, hessian: np.ndarray | None) -> Rounding:
    """`Fit.rounding`."""
    if hessian is None or not (np.linalg.eigvalsh(hessian) > 0).all():
        raise ModelError("Rounding is measured in standard errors, and this fit has none.")
    weights, terms = objective.weights(), objective.terms(z)
    here, alone = objective.evaluate(z, "gradient"), objective.evaluate(z, "gradient", penalised=False)
    scores = objective.scores(z)
    exact = [math.fsum((weights * column).tolist()) for column in scores.T]
    gradient = here.gradient - alone.gradient - np.array(exact)
    step = np.linalg.solve(hessian, gradient)
    errors = np.sqrt(np.diag(np.linalg.inv(hessian)))
    return Rounding(-alone.value, math.fsum((weights * terms).tolist()), float(np.abs(step / errors).max(initial=0.0)))

"""Where a log-likelihood can have one optimum alone: what the families declare, and a look whether it is so."""

from __future__ import annotations

import numpy as np

from .jeffreys import FirthObjective
from .objective import Objective

SPREADS = (1.0, 3.0, 10.0, 30.0)
"""How far away the declaration of a family that is not this package's own is looked at, in standard errors by one row."""

NEGATIVE = 1e-8
"""A curvature below minus so much of the largest is no rounding error."""


def concave(objective: Objective) -> bool:
    """Whether the log-density is declared concave in every predictor, the parameters that have none held."""
    density, layout = objective.program.log_density, objective.program.layout
    known = getattr(density, "concave", {})
    if not known or objective.program.penalties or isinstance(objective, FirthObjective):
        return False
    return all(
        block.found is None and block.parameter.link.name in known.get(_base(block.name), ())  # type: ignore[union-attr]
        for block in layout.linears
    )


def one_optimum(objective: Objective, z: np.ndarray) -> bool:
    """Whether a proper optimum is the only one: the log-likelihood is concave, if need be after a change of variables.

    It is if the log-density is concave in the predictors, and the other parameters are held, or are constants of which
    the family says that they add no optimum. `z` is where a declaration that is not this package's own is looked at.
    """
    if not concave(objective):
        return False
    density, layout = objective.program.log_density, objective.program.layout
    others = [b for b in layout.blocks if _base(b.name) not in density.concave]
    free = any(((objective.free >= b.start) & (objective.free < b.stop)).any() for b in others)
    if free and (objective.shrinkage is not None or not density.one_optimum):
        return False
    kind = getattr(density, "kind", None)
    ours = kind is None or kind.__module__.split(".")[0] == __name__.split(".")[0]
    return ours or _looks_concave(objective, z)


def _looks_concave(objective: Objective, z: np.ndarray) -> bool:
    """Whether no predictor's coefficients have a direction of convexity at points around `z`."""
    layout, glimpse = objective.program.layout, objective.glimpse()
    names = objective.program.log_density.concave
    mine = np.zeros(len(z), bool)
    for block in layout.blocks:
        if _base(block.name) in names:
            mine |= (objective.free >= block.start) & (objective.free < block.stop)
    rng = np.random.default_rng(0)
    information = np.abs(np.diag(glimpse.evaluate(z).matrix)) / max(float(glimpse.weights().sum()), 1.0)
    size = 1.0 / np.sqrt(np.maximum(information, 1e-300))
    for spread in SPREADS:
        matrix = glimpse.evaluate(z + spread * size * rng.choice([-1.0, 1.0], len(z)) * mine).matrix
        if matrix is None or not np.isfinite(matrix).all():
            return False
        curvature = np.linalg.eigvalsh(matrix[np.ix_(mine, mine)])
        if curvature[0] < -NEGATIVE * max(curvature[-1], 1e-300):
            return False
    return True


def _base(name: str) -> str:
    """The parameter that a block belongs to: `logits` of `logits.red`."""
    return name.split(".")[0]

"""Are the derivatives those of the function? Scores and Hessians against finite differences along random directions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..objective.objective import Objective
from ..solve.quadratic import Quadratic

STEPS = (1e-4, 1e-6, 1e-8)
"""Lengths of the difference, in standard errors of the data at hand: a mismatch must persist at all of them."""

TOLERANCE = 1e-4
"""Relative mismatch that rounding and curvature cannot explain at such a step."""


@dataclass(frozen=True)
class DerivativeCheck:
    """What the comparison found: the largest mismatches, relative to the size of the derivative along the direction.

    `noise` is the rounding error of the value; `suspects` are positions in `z` whose own direction mismatches.
    """

    score_error: float
    hessian_error: float
    noise: float
    suspects: tuple[int, ...] = ()
    compared: bool = True

    @property
    def ok(self) -> bool:
        return not self.compared or max(self.score_error, self.hessian_error) <= TOLERANCE


def check_derivatives(objective: Objective, z: np.ndarray, n_directions: int = 2, seed: int = 0) -> DerivativeCheck:
    """Compare score and Hessian at `z` with central differences of value and score; at most the first chunks are used."""
    glimpse = objective.glimpse()
    here = glimpse.evaluate(z)
    if not (np.isfinite(here.value) and np.isfinite(here.gradient).all() and np.isfinite(here.matrix).all()):
        return DerivativeCheck(np.nan, np.nan, np.nan, compared=False)
    metric = Quadratic.of(here.gradient, here.matrix).metric
    rng = np.random.default_rng(seed)
    directions = rng.standard_normal((n_directions, len(z)))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    results = [_mismatch(glimpse, here, z, metric, v) for v in directions]
    results = [r for r in results if r is not None]
    if not results:
        return DerivativeCheck(np.nan, np.nan, np.nan, compared=False)
    score, hessian, noise = (max(r[i] for r in results) for i in range(3))
    check = DerivativeCheck(score, hessian, noise)
    if check.ok or len(z) > 50:
        return check
    suspects = []
    for i, v in enumerate(np.eye(len(z))):
        found = _mismatch(glimpse, here, z, metric, v)
        if found is not None and max(found[:2]) > TOLERANCE:
            suspects.append(i)
    return DerivativeCheck(score, hessian, noise, tuple(suspects))


def _mismatch(objective: Objective, here, z: np.ndarray, metric: np.ndarray, v: np.ndarray):
    """(score error, Hessian error, noise) along `v`, given in standard errors; None if no difference can be formed."""
    p = v / metric
    slope, bend = here.gradient @ p, here.matrix @ p / metric
    best = None
    for h in STEPS:
        up, down = objective.evaluate(z + h * p), objective.evaluate(z - h * p)
        if not (np.isfinite([up.value, down.value]).all() and np.isfinite([up.gradient, down.gradient]).all()):
            continue
        noise = 1e-15 * (abs(up.value) + len(z))
        slope_fd = (up.value - down.value) / (2 * h)
        bend_fd = (up.gradient - down.gradient) / metric / (2 * h)
        size = max(abs(slope), 1.0, 0.1 * np.abs(bend).max())
        score_error = max(abs(slope_fd - slope) - 10 * noise / h, 0.0) / size
        slack = 1e-13 * np.abs(here.gradient / metric).max() / h + 1e-15 / h
        hessian_error = max(np.abs(bend_fd - bend).max() - slack, 0.0) / max(np.abs(bend).max(), 1.0)
        found = score_error, hessian_error, noise
        best = found if best is None else tuple(map(min, best, found))
        if max(best[:2]) <= TOLERANCE:
            break
    return best

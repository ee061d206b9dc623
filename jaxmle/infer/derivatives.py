"""Are the derivatives those of the function? Scores and Hessians against finite differences along random directions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..objective.objective import Objective
from ..solve.newton import DEAR
from ..solve.quadratic import Quadratic, metric_of
from ..solve.solver import finite

STEPS = (1e-3, 1e-5, 1e-7, 1e-9, 1e-2, 1e-1)
"""Lengths of the difference, in standard errors of the data at hand: a mismatch must persist at all of them.

A smooth function agrees at the shorter lengths, one that is computed with rounding errors at the longer ones. At a kink
the Hessian disagrees at every length, the more the shorter it is. Most functions agree at the first.
"""

LONG_STEPS = (0.1, 1.0, 3.0)
"""If differences over so many standard errors agree and shorter ones do not, the shorter ones are rounding errors."""

LEAST_METRIC = 1e-6
"""Of the largest: where a coordinate has less, its curvature and its score are rounding errors, and no unit of length."""

TOLERANCE = 1e-4
"""Relative mismatch that rounding and curvature cannot explain at such a step."""


@dataclass(frozen=True)
class DerivativeCheck:
    """What the comparison found: the largest mismatches, relative to the size of the derivative along the direction.

    `noise` is the rounding error of the value; `suspects` are positions in `z` whose own direction mismatches.
    `rounding` says that differences over long steps agree: the function is smooth, but for its rounding errors.
    """

    score_error: float
    hessian_error: float
    noise: float
    suspects: tuple[int, ...] = ()
    compared: bool = True
    rounding: bool = False

    @property
    def ok(self) -> bool:
        return not self.compared or max(self.score_error, self.hessian_error) <= TOLERANCE


NOT_COMPARED = DerivativeCheck(np.nan, np.nan, np.nan, compared=False)


def check_derivatives(objective: Objective, z: np.ndarray, n_directions: int = 2, seed: int = 0) -> DerivativeCheck:
    """Compare score and Hessian with central differences of value and score; at most the first chunks are used."""
    glimpse = objective.glimpse()
    here = glimpse.evaluate(z)
    if not finite(here):
        return NOT_COMPARED
    metric, needs = metric_of(here.gradient, here.matrix), cheapest(objective)
    metric = np.maximum(metric, LEAST_METRIC * metric.max(initial=0.0))
    rng = np.random.default_rng(seed)
    directions = rng.standard_normal((n_directions, len(z)))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    results = [_least_mismatch(glimpse, needs, here, z, metric, v, STEPS) for v in directions]
    results = [r for r in results if r is not None]
    if not results:
        return NOT_COMPARED
    score, hessian, noise = (max(r[i] for r in results) for i in range(3))
    check = DerivativeCheck(score, hessian, noise)
    if check.ok:
        return check
    long = [_least_mismatch(glimpse, needs, here, z, metric, v, LONG_STEPS) for v in directions]
    rounding = all(r is not None and max(r[:2]) < 0.25 for r in long)
    suspects = []
    for i, v in enumerate(np.eye(len(z)) if len(z) <= 50 else ()):
        found = _least_mismatch(glimpse, needs, here, z, metric, v, STEPS)
        if found is not None and max(found[:2]) > TOLERANCE:
            suspects.append(i)
    if not suspects:  # none alone, or too many to be tried: those whose scores are off
        suspects = sorted({int(r[3]) for r in results if r[1] > TOLERANCE})
    return DerivativeCheck(score, hessian, noise, tuple(suspects), rounding=rounding)


def _least_mismatch(
    objective: Objective, needs: str, here, z: np.ndarray, metric: np.ndarray, v: np.ndarray, steps: tuple
):
    """The least (score error, Hessian error, noise) along `v`, in standard errors, over the lengths `steps`; and the
    position in `z` whose score is most off where the Hessian's error is least.

    None if no difference can be formed. Away from z the objective is asked for what it `needs`. Score and Hessian may
    agree at different lengths.
    """
    p = v / metric
    best, worst = None, 0
    for h in steps:
        high, low = z + h * p, z - h * p
        moved = (high - low) / (2 * h)  # not quite p, for large z
        slope, bend = here.gradient @ moved, here.matrix @ moved / metric
        up, down = objective.evaluate(high, needs), objective.evaluate(low, needs)
        if not (np.isfinite([up.value, down.value]).all() and np.isfinite([up.gradient, down.gradient]).all()):
            continue
        noise = 1e-15 * (abs(up.value) + len(z))
        slope_fd = (up.value - down.value) / (2 * h)
        bend_fd = (up.gradient - down.gradient) / metric / (2 * h)
        size = max(abs(slope), 1.0, 0.1 * np.abs(bend).max())
        score_error = max(abs(slope_fd - slope) - 10 * noise / h, 0.0) / size
        slack = 1e-13 * np.abs(here.gradient / metric).max() / h + 1e-15 / h
        misses = np.abs(bend_fd - bend)
        hessian_error = max(misses.max() - slack, 0.0) / max(np.abs(bend).max(), 1.0)
        found = score_error, hessian_error, noise
        if best is None or hessian_error < best[1]:
            worst = int(misses.argmax())
        best = found if best is None else tuple(map(min, best, found))
        if max(best[:2]) <= TOLERANCE:
            break
    return best and (*best, worst)


def cheapest(objective: Objective) -> str:
    """What is asked for where a gradient is wanted: a Hessian too, by the program that is there, if it costs little.

    `objective` is that of all data, which knows whether there is a program for gradients too.
    """
    return "gradient" if objective.hessian_cost > DEAR else "hessian"


def jitter(objective: Objective, z: np.ndarray, model: Quadratic) -> tuple[float, float]:
    """Rounding errors at `z`: of the value, relative to it, and of the score, in units of its standard deviation.

    From second differences at nine neighbouring points, 1e-8 standard errors apart or, where that is more, four units
    in the last place. The third largest is taken: a kink in between can make at most two of them large.
    """
    glimpse = objective.glimpse()
    p = np.minimum(1e-8 / (model.metric * np.sqrt(len(z))), 1e-6 * np.maximum(np.abs(z), 1.0))
    p = np.maximum(p, 4 * np.spacing(np.abs(z)))
    points = [glimpse.evaluate(z + k * p, cheapest(objective)) for k in range(9)]
    points = [e for e in points if np.isfinite(e.value) and np.isfinite(e.gradient).all()]
    if len(points) < 5:  # an edge of the support, which is another finding
        return 0.0, 0.0
    values = np.diff([e.value for e in points], 2)
    scores = np.abs(np.diff([e.gradient for e in points], 2, axis=0) / model.metric).max(axis=1)
    value, score = np.sort(np.abs(values))[-3], np.sort(scores)[-3]
    return float(value / max(abs(points[0].value), 1.0)), float(score)

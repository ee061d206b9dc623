"""Is the log-likelihood about quadratic near its maximum? What a standard error presupposes, looked at directly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..objective.objective import Objective
from ..objective.passes import Evaluation
from ..solve.quadratic import Quadratic

RADIUS = 5e-4
"""How far is looked, in standard errors.

At a maximum with a standard error the curvature changes little over so short a way, even with three observations or in
a valley as bent and ill-conditioned as that of NIST's Lanczos3 (condition 1e8). Where the maximum is at infinity (an
exponential tail, e⁻ᶿ), or the information is zero (θ⁴), the search ends where curvature is nearly nothing: the
"standard error" is then thousands of times the way over which the curvature changes.
"""

LARGEST, SMALLEST = 3.0, 1 / 3
"""Ratios of the curvature to that at the maximum within which a change is no alarm."""

SLIGHT = 0.1
"""A change of the curvature, relative, of which no more need be known."""

CORNER = 0.3
"""Relative difference, between the change of the score and what the Hessians say it is, that betrays a corner."""

BEND = 1e-2
"""Relative difference, between second differences of the values and the Hessian, that betrays a wrong one.

Differences of scores cannot tell if the scores themselves are wrong, as with a derivative of the user's own making: at
the maximum a wrong score may be zero like the right one.
"""

WELL_CONDITIONED = 1e6
"""Condition of the scaled Hessian up to which rounding errors of its elements are no matter."""

LONGER = (40.0, 400.0)
"""Multiples of `RADIUS` at which a mismatch of values must persist."""


@dataclass(frozen=True)
class Neighbourhood:
    """What was found near the maximum.

    `ratio` is that of the curvature there to that at the maximum, in the direction of the greatest change; `corner` the
    mismatch of scores and Hessians over the way; `bend` that of values and Hessians, beyond rounding; `finite` whether
    the log-likelihood is finite there.
    """

    ratio: float
    corner: float
    bend: float
    finite: bool = True

    @property
    def steady(self) -> bool:
        """Whether the curvature is about the same all the way."""
        return self.finite and SMALLEST < self.ratio < LARGEST

    @property
    def smooth(self) -> bool:
        """Whether values, scores and Hessians belong to one function."""
        return self.finite and self.corner < CORNER and self.bend < BEND

    @property
    def quadratic(self) -> bool:
        return self.steady and self.smooth


def look_around(objective: Objective, z: np.ndarray, model: Quadratic, seed: int = 1) -> Neighbourhood | None:
    """Compare curvature and score at two points `RADIUS` standard errors to either side; None if H is not positive.

    The first chunks of the data stand for all of them: two cheap evaluations, however many parameters there are. Where
    they raise an alarm, all data are asked: of a parameter that is hardly known, a few rows may say the contrary.
    """
    if not model.positive:
        return None
    glimpse = objective.glimpse()
    found = _around(glimpse, z, model, seed)
    if glimpse is not objective and (found is None or not found.quadratic):
        found = _around(objective, z, model, seed)
    return found


def _around(objective: Objective, z: np.ndarray, model: Quadratic, seed: int) -> Neighbourhood | None:
    """What `objective`, of all data or of some, is like near z."""
    whiten = model.curvature.whiten / model.metric[:, None]
    v = _askew(len(z), seed)
    step = RADIUS * whiten @ v
    here, up, down = (objective.evaluate(z + s * step) for s in (0.0, 1.0, -1.0))
    if not all(np.isfinite(e.value) and np.isfinite(e.matrix).all() for e in (here, up, down)):
        return Neighbourhood(np.inf, np.inf, np.inf, finite=False)
    inverse = whiten @ whiten.T
    share = np.sum(inverse * here.matrix) / len(z)  # of the information, in the chunks looked at
    if not share > 0:
        return None
    changes = [(there.matrix - here.matrix) / share for there in (up, down)]
    ratio = max((r for change in changes for r in _ratios(change, inverse, whiten, model)), key=_size)
    mean = whiten.T @ ((up.matrix + 4 * here.matrix + down.matrix) @ (whiten @ v)) / 6
    moved = whiten.T @ (up.gradient - down.gradient) / (2 * RADIUS)
    scale = max(np.linalg.norm(mean), share)
    corner = float(np.linalg.norm(moved - mean) / scale)
    bend = _bend(z, step, here, up, down, RADIUS**2 * share)
    if bend >= BEND:
        bend = min(bend, _least_bend(objective, z, here, step, RADIUS**2 * share))
    return Neighbourhood(float(ratio), corner, bend)


def _ratios(change: np.ndarray, inverse: np.ndarray, whiten: np.ndarray, model: Quadratic) -> tuple[float, float]:
    """Bounds on how many times its size the curvature is after a change of the Hessian, whose inverse was W Wᵀ.

    Where the change is small by its norm ‖Wᵀ ΔH W‖ or by what that is at most, by that; else the least and the greatest.
    """
    norm = float(np.linalg.norm(change / model.metric / model.metric[:, None])) / model.curvature.least
    if not norm < SLIGHT:  # a bound of little work would not do
        relative = inverse @ change
        norm = float(np.sqrt(max(np.sum(relative * relative.T), 0.0)))
    low, high = (-norm, norm) if norm < SLIGHT else np.linalg.eigvalsh(whiten.T @ change @ whiten)[[0, -1]]
    return 1 + float(low), 1 + float(high)


def _askew(k: int, seed: int) -> np.ndarray:
    """A unit vector in R^k that is no sum or difference of axes: where curvatures are equal, those lie anywhere."""
    rng = np.random.default_rng(seed)
    v = np.where(rng.uniform(size=k) < 0.5, -1.0, 1.0) * rng.uniform(0.5, 1.0, size=k)
    return v / np.linalg.norm(v)


def _least_bend(objective: Objective, z: np.ndarray, here: Evaluation, step: np.ndarray, size: float) -> float:
    """The least mismatch of values and Hessians over steps that are longer, for which rounding errors matter less."""
    out = [np.inf]
    for longer in LONGER:
        up, down = objective.evaluate(z + longer * step), objective.evaluate(z - longer * step)
        if np.isfinite([up.value, down.value]).all() and np.isfinite([up.matrix, down.matrix]).all():
            out.append(_bend(z, longer * step, here, up, down, longer**2 * size))
    return min(out)


def _bend(z: np.ndarray, step: np.ndarray, here: Evaluation, up: Evaluation, down: Evaluation, size: float) -> float:
    """The mismatch of second differences of the values at `z ± step` with the Hessians (Numerov's weights).

    Relative to `size`, or what the Hessian says if that is more; what rounding errors may do is taken off.
    """
    hessian = (up.matrix + 10 * here.matrix + down.matrix) / 12
    seen = expected = 0.0
    for there, moved in ((up, (z + step) - z), (down, (z - step) - z)):  # not quite the step, for large z
        seen += there.value - here.value - here.gradient @ moved
        expected += 0.5 * moved @ hessian @ moved
    rounding = 1e-13 * (abs(here.value) + len(z))
    return float(max(abs(seen - expected) - rounding, 0.0) / max(abs(expected), size))


def lost_in_rounding(objective: Objective, z: np.ndarray, model: Quadratic) -> float:
    """How much of the smallest curvature is rounding errors: its relative change between neighbouring points.

    They are 1e-8 standard errors apart, the other parameters held, and only looked at where the Hessian is so badly
    conditioned that there might be any.
    """
    if model.curvature.is_conditioned(WELL_CONDITIONED) or (low := model.curvature.extremes[0]) <= 0:
        return 0.0
    axis = model.curvature.axes[:, 0] / model.metric
    rng = np.random.default_rng(0)
    steps = [rng.choice([-1e-8, 1e-8], size=len(z)) / model.metric for _ in range(3)]
    return float(max(abs(axis @ objective.evaluate(z + s).matrix @ axis / low - 1) for s in steps))


def faults(objective: Objective, z: np.ndarray, model: Quadratic) -> list[np.ndarray]:
    """The coordinates along which values and Hessian disagree; at most `MOST_AXES` are tried."""
    glimpse, out = objective.glimpse(), []
    here = glimpse.evaluate(z)
    for i in range(min(len(z), MOST_AXES)):
        e = np.eye(len(z))[i]
        step = RADIUS / model.metric[i] * e
        curvature = abs(here.matrix[i, i]) * step[i] ** 2
        if curvature > 0 and _least_bend(glimpse, z, here, step, curvature) >= BEND:
            out.append(e)
    return out


def _size(ratio: float) -> float:
    """How far a ratio is from one, on a logarithmic scale; infinite if it is not positive."""
    return abs(np.log(ratio)) if ratio > 0 else np.inf


MOST_AXES = 50


def fading(objective: Objective, z: np.ndarray, model: Quadratic) -> list[np.ndarray]:
    """The directions in `z` whose own curvature changes too much over `RADIUS` of what would be their standard error.

    Single parameters first; if none is to blame, the axes of the Hessian, the weakest first. All data are asked of those
    alone of which the first chunks raise an alarm.
    """
    k, glimpse = len(z), objective.glimpse()
    few, all_of_it = glimpse.evaluate(z).matrix, model.curvature.scaled * np.outer(model.metric, model.metric)

    def fades(data: Objective, here: np.ndarray, v: np.ndarray, step: np.ndarray) -> bool:
        curvature = float(v @ here @ v)
        ratios = (float(v @ data.evaluate(z + s * step).matrix @ v) / curvature for s in (1.0, -1.0))
        return not curvature > 0 or not all(SMALLEST < ratio < LARGEST for ratio in ratios)

    for axes in (np.eye(k), model.curvature.axes):
        out = []
        for axis in axes.T[: min(k, MOST_AXES)]:
            curvature = float(axis @ model.curvature.scaled @ axis)
            if not curvature > 0:
                continue
            v = axis / model.metric
            step = RADIUS / np.sqrt(curvature) * v
            if fades(glimpse, few, v, step) and (glimpse is objective or fades(objective, all_of_it, v, step)):
                out.append(v)
        if out:
            return out
    return []

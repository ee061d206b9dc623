"""Is the log-likelihood about quadratic near its maximum? What a standard error presupposes, looked at directly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..objective.objective import Objective
from ..solve.quadratic import Quadratic

RADIUS = 5e-4
"""How far is looked, in standard errors.

At a maximum with a standard error the curvature changes little over so short a way, even with three observations or in
a valley as bent and ill-conditioned as that of NIST's Lanczos3 (condition 1e8). Where
the maximum is at infinity (an exponential tail, e⁻ᶿ), or the information is zero (θ⁴), the search ends where curvature
is nearly nothing: the "standard error" is then thousands of times the way over which the curvature changes.
"""

LARGEST, SMALLEST = 3.0, 1 / 3
"""Ratios of the curvature to that at the maximum within which a change is no alarm."""

CORNER = 0.3
"""Relative difference, between the change of the score and what the Hessians say it is, that betrays a corner."""


@dataclass(frozen=True)
class Neighbourhood:
    """What was found near the maximum.

    `ratio` is that of the curvature there to that at the maximum, in the direction of the greatest change; `corner` the
    mismatch of score and Hessians over the way; `finite` whether the log-likelihood is finite there.
    """

    ratio: float
    corner: float
    finite: bool = True

    @property
    def quadratic(self) -> bool:
        return self.finite and SMALLEST < self.ratio < LARGEST and self.corner < CORNER


def look_around(objective: Objective, z: np.ndarray, model: Quadratic, seed: int = 1) -> Neighbourhood | None:
    """Compare curvature and score at two points `RADIUS` standard errors to either side; None if H is not positive.

    The first chunks of the data stand for all of them: two cheap evaluations, however many parameters there are.
    """
    if not model.positive:
        return None
    whiten = (model.axes / np.sqrt(model.curvature)) / model.metric[:, None]
    signs = np.where(np.random.default_rng(seed).uniform(size=len(z)) < 0.5, -1.0, 1.0)
    v = signs / np.sqrt(len(z))
    step = RADIUS * whiten @ v
    glimpse = objective.glimpse()
    here, up, down = (glimpse.evaluate(z + s * step) for s in (0.0, 1.0, -1.0))
    if not all(np.isfinite(e.value) and np.isfinite(e.matrix).all() for e in (here, up, down)):
        return Neighbourhood(np.inf, np.inf, finite=False)
    within = lambda matrix: whiten.T @ matrix @ whiten
    start = within(here.matrix)
    share = np.trace(start) / len(z)  # of the information, in the chunks looked at
    if not share > 0:
        return None
    changes = [
        np.linalg.eigvalsh((there - start) / share)[[0, -1]] for there in (within(up.matrix), within(down.matrix))
    ]
    ratio = max((float(r) for r in 1 + np.ravel(changes)), key=_size)
    mean = (within(up.matrix) + 4 * start + within(down.matrix)) / 6
    moved = whiten.T @ (up.gradient - down.gradient) / (2 * RADIUS)
    scale = max(np.linalg.norm(mean @ v), share)
    return Neighbourhood(float(ratio), float(np.linalg.norm(moved - mean @ v) / scale))


def _size(ratio: float) -> float:
    """How far a ratio is from one, on a logarithmic scale; infinite if it is not positive."""
    return abs(np.log(ratio)) if ratio > 0 else np.inf


MOST_AXES = 50


def fading(objective: Objective, z: np.ndarray, model: Quadratic) -> list[np.ndarray]:
    """The directions in `z` whose own curvature changes too much over `RADIUS` of what would be their standard error.

    Single parameters first; if none is to blame, the axes of the Hessian, the weakest first.
    """
    k = len(z)
    hessian = _scaled_hessian(model)
    for axes in (np.eye(k), model.axes):
        out = []
        for axis in axes.T[: min(k, MOST_AXES)]:
            curvature = float(axis @ hessian @ axis)
            if not curvature > 0:
                continue
            v = axis / model.metric
            step = RADIUS / np.sqrt(curvature) * v
            for sign in (1.0, -1.0):
                there = objective.evaluate(z + sign * step).matrix
                if not SMALLEST < float(v @ there @ v) / curvature < LARGEST:
                    out.append(v)
                    break
        if out:
            return out
    return []


def _scaled_hessian(model: Quadratic) -> np.ndarray:
    """The Hessian scaled to a unit diagonal."""
    return (model.axes * model.curvature) @ model.axes.T

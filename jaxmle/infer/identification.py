"""Directions without curvature, told apart: not identified, a kink, steps, a plateau, or no information there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..objective.objective import Objective
from ..solve.quadratic import Quadratic
from .covariance import complement
from .directions import sparse_basis

NO_CURVATURE = 1e-6
"""Curvature, relative to the variance of the scores, below which the two cannot be two estimates of one information."""

SLACK = 1e-6
"""A change of the log-likelihood, relative to 1 + |log-likelihood|, that is none."""


def kinks(opg: np.ndarray, hessian: np.ndarray) -> list[np.ndarray]:
    """Directions in which the scores of the units vary, but the Hessian is zero: the density has corners or steps.

    At a maximum of a smooth density both are estimates of the information (Fisher). A parameter that is not identified
    has no scores either. `opg` is Σ s sᵀ.
    """
    size = np.sqrt(np.diag(opg))
    size = np.where(size > 0, size, 1.0)
    values, axes = np.linalg.eigh(opg / np.outer(size, size))
    known = values > 1e-8 * values[-1]
    if not values[-1] > 0:
        return []
    whiten = (axes[:, known] / np.sqrt(values[known])) / size[:, None]
    curvature, axes = np.linalg.eigh(whiten.T @ hessian @ whiten)
    cornered = np.abs(curvature) < NO_CURVATURE
    return list(sparse_basis(whiten @ axes[:, cornered]).T) if cornered.any() else []


def entangled(opg: np.ndarray, vectors: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The coordinates whose scores are explained, by more than a third, by those along `vectors`.

    Their standard errors would be those with the kinked parameters known, which is much too small.
    """
    if not vectors:
        return []
    v = np.stack(vectors, axis=1)
    gain = np.linalg.pinv(v.T @ opg @ v, hermitian=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.einsum("ij,jk,ik->i", opg @ v, gain, opg @ v) / np.diag(opg)
    return [np.eye(len(opg))[i] for i in np.flatnonzero(share > 1 / 3)]


def along(objective: Objective, z: np.ndarray, value: float, model: Quadratic, v: np.ndarray, noise: float) -> str:
    """What the log-likelihood does along a direction `v` without curvature, at a point where its score is zero.

    "flat": no change, perhaps after the other parameters have followed (a curve, as with a·b). "steps": it changes,
    but its derivative is zero everywhere. "plateau": constant near here, and not further away. "singular": it falls,
    but only at third or fourth order, so that the information is zero.
    """
    slack = max(SLACK, 30 * noise) * (1 + abs(value))
    step = v / np.abs(v).max()
    step = step * max(1.0, np.abs(z[step != 0]).max(initial=0.0))
    rises, constant = {}, {}
    for t in (0.01, -0.01, 0.1, -0.1, 1.0, -1.0, 10.0, -10.0):
        e = objective.evaluate(z + t * step)
        if np.isfinite(e.value) and np.isfinite(e.gradient).all():
            rises[t], constant[t] = abs(e.value - value) > slack, not e.gradient[step != 0].any()
    if constant and all(constant.values()):
        return "steps" if any(rises.values()) else "flat"
    if any(constant[t] and not rises[t] for t in (0.01, -0.01) if t in rises):
        return "plateau"
    if not any(rise for t, rise in rises.items() if abs(t) <= 1):
        return "flat"
    profile = [_follow(objective, z + t * step, model, v) - value for t in (1.0, -1.0)]
    return "flat" if any(abs(p) <= slack for p in profile) else "singular"


@dataclass(frozen=True)
class End:
    """Where a plateau ends: which `way` leads back onto it, how `steep` the end is, and whether beyond it is `higher`."""

    way: np.ndarray
    steep: float
    higher: bool

    @property
    def saturated(self) -> bool:
        """Whether the plateau is where a limit has been reached to the last digit.

        The slope of a saturated function (a probability that is 1 to the last digit) begins with the least number there
        is, that of a function that was clipped with its full size.
        """
        return self.steep < 1e-6


def end_of_plateau(objective: Objective, z: np.ndarray, v: np.ndarray) -> End | None:
    """The nearest end, along `v`, of the plateau on which `z` is; None if none was met."""
    step = v / np.abs(v).max()
    step = step * max(1.0, np.abs(z[step != 0]).max(initial=0.0))
    slope = lambda t: objective.evaluate(z + t * step).gradient @ step
    for sign in (1.0, -1.0):
        inside = 0.0
        for outside in (0.01, 0.1, 0.5, 1.0, 10.0):
            s = slope(sign * outside)
            if not np.isfinite(s):
                break
            if s == 0:
                inside = outside
                continue
            for _ in range(40):
                middle = 0.5 * (inside + outside)
                if slope(sign * middle) == 0:
                    inside = middle
                else:
                    outside = middle
            s = slope(sign * outside)
            return End(-sign * v, abs(s), sign * s < 0)
    return None


def _follow(objective: Objective, z: np.ndarray, model: Quadratic, v: np.ndarray) -> float:
    """The least value that Newton's method reaches from `z` without moving along `v`."""
    rest = complement([v], model.metric)
    here = objective.evaluate(z)
    for _ in range(15):
        part = Quadratic.of(rest.T @ (here.gradient / model.metric), rest.T @ _scaled(here.matrix, model) @ rest)
        step = rest @ part.to_z(part.newton()) / model.metric
        for _ in range(12):
            there = objective.evaluate(z + step)
            if np.isfinite(there.value) and np.isfinite(there.matrix).all() and there.value <= here.value:
                break
            step = 0.5 * step
        else:
            break
        gained = here.value - there.value
        z, here = z + step, there
        if gained <= 1e-9:
            break
    return here.value


def _scaled(matrix: np.ndarray, model: Quadratic) -> np.ndarray:
    return matrix / np.outer(model.metric, model.metric)

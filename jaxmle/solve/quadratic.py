"""The quadratic model of the objective: scaled so that units do not matter, and its minimum inside a ball.

Moré and Sorensen (1983), Computing a trust region step; the metric is the Hessian's diagonal (Moré, 1978).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

FLAT = 1e-13
"""Eigenvalues of the scaled Hessian below this fraction of the largest are rounding errors of zero."""


def metric_of(gradient: np.ndarray, hessian: np.ndarray) -> np.ndarray:
    """D: the unit of each coordinate, by the Hessian's diagonal, or where that is zero by the gradient."""
    diagonal = np.sqrt(np.abs(np.diag(hessian)))
    fallback = np.sqrt(np.abs(gradient))
    return np.where(diagonal > 0, diagonal, np.where(fallback > 0, fallback, 1.0))


@dataclass(frozen=True)
class Quadratic:
    """value + g·p + ½ pᵀHp in the variables y = D p, D² = |diag H|: eigenvalues `curvature`, axes `axes`, slope `slope`.

    A length of 1 in `y` along one coordinate is one standard error of it, the others held.
    """

    metric: np.ndarray
    curvature: np.ndarray
    axes: np.ndarray
    slope: np.ndarray

    @staticmethod
    def of(gradient: np.ndarray, hessian: np.ndarray) -> Quadratic:
        metric = metric_of(gradient, hessian)
        curvature, axes = np.linalg.eigh(hessian / np.outer(metric, metric))
        return Quadratic(metric, curvature, axes, axes.T @ (gradient / metric))

    def at(self, gradient: np.ndarray) -> Quadratic:
        """The model of another point that has the same Hessian, or nearly."""
        return replace(self, slope=self.axes.T @ (gradient / self.metric))

    @property
    def floor(self) -> float:
        return FLAT * len(self.curvature) * max(np.abs(self.curvature).max(initial=0.0), 1e-300)

    @property
    def positive(self) -> bool:
        """Whether the Hessian is positive definite, beyond rounding."""
        return bool(self.curvature.size == 0 or self.curvature[0] > self.floor)

    @property
    def decrement(self) -> float:
        """√(gᵀH⁻¹g): the distance to the minimum in standard errors; flat directions are left out; inf if not convex."""
        if self.curvature.size and self.curvature[0] < -self.floor:
            return np.inf
        flat = np.abs(self.slope[self.curvature <= self.floor]).max(initial=0.0)
        if flat > 1e-6 * max(1.0, np.abs(self.slope).max(initial=0.0)):
            return np.inf
        return self.distance

    @property
    def distance(self) -> float:
        """The distance to the minimum in the directions of positive curvature alone, in standard errors."""
        curved = self.curvature > self.floor
        return float(np.sqrt(np.sum(self.slope[curved] ** 2 / self.curvature[curved])))

    def newton(self) -> np.ndarray:
        """The step to the minimum of the curved part, in `y`-axes coordinates."""
        curved = self.curvature > self.floor
        return np.where(curved, -self.slope / np.where(curved, self.curvature, 1.0), 0.0)

    def within(self, radius: float) -> np.ndarray:
        """The minimum inside |y| ≤ radius, in the coordinates of `axes`."""
        if self.decrement < np.inf:
            step = self.newton()
            if np.linalg.norm(step) <= radius:
                return step
        lowest = min(self.curvature[0], 0.0)
        low = -lowest + 1e-12 * max(1.0, abs(lowest))
        length = lambda shift: np.linalg.norm(self.slope / (self.curvature + shift))
        high = max(low * 2, np.linalg.norm(self.slope) / radius - lowest, 1e-8)
        while length(high) > radius:
            high *= 4
        if length(low) < radius:  # the hard case: along the lowest axis to the boundary
            step = -self.slope / (self.curvature + low)
            size = np.linalg.norm(step)
            rest = np.sqrt(max(radius - size, 0.0)) * np.sqrt(radius + size)  # radius² may be too large a number
            step[0] += rest if step[0] >= 0 else -rest
            return step
        for _ in range(60):
            shift = np.sqrt(low * high) if low > 0 else 0.5 * (low + high)
            if length(shift) > radius:
                low = shift
            else:
                high = shift
            if high - low <= 1e-3 * high:
                break
        return -self.slope / (self.curvature + high)

    def change(self, step: np.ndarray) -> float:
        """The predicted change of the objective for a step in axes coordinates."""
        return float(self.slope @ step + 0.5 * np.sum(self.curvature * step**2))

    def to_z(self, step: np.ndarray) -> np.ndarray:
        """A step in axes coordinates as one in `z`."""
        return (self.axes @ step) / self.metric

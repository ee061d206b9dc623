"""The quadratic model of the objective: scaled so that units do not matter, and its minimum inside a ball.

Moré and Sorensen (1983), Computing a trust region step; the metric is the Hessian's diagonal (Moré, 1978).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

FLAT = 1e-13
"""Eigenvalues of the scaled Hessian below this fraction of the largest are rounding errors of zero."""

FACTORED = 60
"""Matrices of more rows are first factored by Cholesky: a tenth of the time of their eigenvalues and axes, or less."""

POWER = 10
"""Steps of the power method that look for the smallest eigenvalue."""

BLOCK = 64
"""Rows up to which a triangle is inverted like any matrix."""


def metric_of(gradient: np.ndarray, hessian: np.ndarray) -> np.ndarray:
    """D: the unit of each coordinate, by the Hessian's diagonal, or where that is zero by the gradient."""
    diagonal = np.sqrt(np.abs(np.diag(hessian)))
    fallback = np.sqrt(np.abs(gradient))
    return np.where(diagonal > 0, diagonal, np.where(fallback > 0, fallback, 1.0))


def factor(matrix: np.ndarray) -> np.ndarray | None:
    """Cholesky's lower factor, None where the matrix is not positive definite."""
    try:
        return np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        return None


def inverse_of_lower(lower: np.ndarray) -> np.ndarray:
    """The inverse of a lower triangle, by halves: most of it is products, and a sixth of the work."""
    n, half = len(lower), len(lower) // 2
    if n <= BLOCK:
        return np.tril(np.linalg.inv(lower))
    out = np.zeros_like(lower)
    out[:half, :half] = above = inverse_of_lower(lower[:half, :half])
    out[half:, half:] = below = inverse_of_lower(lower[half:, half:])
    out[half:, :half] = -below @ (lower[half:, :half] @ above)
    return out


@dataclass(frozen=True, eq=False)
class Curvature:
    """A symmetric matrix, scaled to a unit diagonal, and what is known of it: each part is computed when it is asked for."""

    scaled: np.ndarray

    @cached_property
    def _eigen(self) -> tuple[np.ndarray, np.ndarray]:
        return np.linalg.eigh(self.scaled)

    @property
    def _is_factored(self) -> bool:
        """Whether Cholesky's factor is asked before the eigenvalues are."""
        return len(self.scaled) > FACTORED and "_eigen" not in self.__dict__

    @property
    def values(self) -> np.ndarray:
        """The eigenvalues, the smallest first."""
        return self._eigen[0]

    @property
    def axes(self) -> np.ndarray:
        """The eigenvectors, as columns."""
        return self._eigen[1]

    @cached_property
    def extremes(self) -> tuple[float, float]:
        """The smallest and the largest eigenvalue."""
        values = np.linalg.eigvalsh(self.scaled) if self._is_factored else self.values
        return (float(values[0]), float(values[-1])) if len(values) else (np.nan, np.nan)

    def kept(self) -> Curvature | tuple[float, float]:
        """The extremes where they are known, else no more than they can be found from."""
        return Curvature(self.scaled) if self._is_factored else self.extremes

    @property
    def floor(self) -> float:
        """What an eigenvalue may be by rounding alone."""
        return FLAT * len(self.scaled) * max(np.abs(self.values).max(initial=0.0), 1e-300)

    @property
    def _most(self) -> float:
        """No eigenvalue is larger."""
        return float(np.abs(self.scaled).sum(axis=0).max(initial=0.0))

    @cached_property
    def _inverse_root(self) -> np.ndarray | None:
        """The transposed inverse of Cholesky's factor, if there is one."""
        lower = factor(self.scaled)
        return None if lower is None else inverse_of_lower(lower).T

    @cached_property
    def least(self) -> float:
        """What all eigenvalues are at least: the smallest, or a number not much smaller."""
        if not self._is_factored:
            return float(self.values[0]) if len(self.values) else np.inf
        if (root := self._inverse_root) is None:
            return -np.inf
        v = np.ones(len(root))
        for _ in range(POWER):
            v = root @ (root.T @ v)
            v /= np.linalg.norm(v)
        near = float(v @ self.scaled @ v)
        for below in (near / 2, near / 8):
            if self._has_all_above(below):
                return below
        return 1 / float(np.sum(root**2))

    def _has_all_above(self, bound: float) -> bool:
        return factor(self.scaled - bound * np.eye(len(self.scaled))) is not None

    def exceeds(self, bound: float) -> bool:
        """Whether all eigenvalues are larger."""
        if not self._is_factored:
            return self.least > bound
        root = self._inverse_root
        if root is None:
            return bound < 0 and self._has_all_above(bound)
        return 1 / float(np.sum(root**2)) > bound or self._has_all_above(bound)

    def is_conditioned(self, most: float) -> bool:
        """Whether it is positive definite and the largest eigenvalue at most so many times the smallest."""
        if self._is_factored and self.exceeds(self._most / most):
            return True
        low, high = self.extremes
        return low > 0 and high <= most * low

    @cached_property
    def positive(self) -> bool:
        """Whether it is positive definite, beyond rounding."""
        if self._is_factored and self.exceeds(FLAT * len(self.scaled) * self._most):
            return True
        return self.values.size == 0 or bool(self.values[0] > self.floor)

    @property
    def whiten(self) -> np.ndarray:
        """W, where WᵀSW is the identity and WWᵀ the inverse of a matrix S that is `positive`."""
        root = self._inverse_root if self._is_factored else None
        return self.axes / np.sqrt(self.values) if root is None else root


@dataclass(frozen=True)
class Quadratic:
    """value + g·p + ½ pᵀHp in the variables y = D p, D² = |diag H|: `curvature` is of D⁻¹HD⁻¹, `slope` is D⁻¹g.

    A length of 1 in `y` along one coordinate is one standard error of it, the others held.
    """

    metric: np.ndarray
    curvature: Curvature
    slope: np.ndarray

    @staticmethod
    def of(gradient: np.ndarray, hessian: np.ndarray) -> Quadratic:
        metric = metric_of(gradient, hessian)
        return Quadratic(metric, Curvature(hessian / np.outer(metric, metric)), gradient / metric)

    def at(self, gradient: np.ndarray) -> Quadratic:
        """The model of another point that has the same Hessian, or nearly."""
        return replace(self, slope=gradient / self.metric)

    @property
    def positive(self) -> bool:
        """Whether the Hessian is positive definite, beyond rounding."""
        return self.curvature.positive

    @property
    def along(self) -> np.ndarray:
        """The slope along the axes."""
        return self.curvature.axes.T @ self.slope

    @property
    def decrement(self) -> float:
        """√(gᵀH⁻¹g): the distance to the minimum in standard errors; flat directions are left out; inf if not convex."""
        if self.positive:
            return self.distance
        values, floor, along = self.curvature.values, self.curvature.floor, np.abs(self.along)
        if values[0] < -floor:
            return np.inf
        flat = along[values <= floor].max(initial=0.0)
        return np.inf if flat > 1e-6 * max(1.0, along.max(initial=0.0)) else self.distance

    @property
    def distance(self) -> float:
        """The distance to the minimum in the directions of positive curvature alone, in standard errors."""
        if self.positive:
            return float(np.linalg.norm(self.curvature.whiten.T @ self.slope))
        curved = self.curvature.values > self.curvature.floor
        return float(np.sqrt(np.sum(self.along[curved] ** 2 / self.curvature.values[curved])))

    def newton(self) -> np.ndarray:
        """The step to the minimum of the curved part, in `y`."""
        if self.positive:
            return -self.curvature.whiten @ (self.curvature.whiten.T @ self.slope)
        values = self.curvature.values
        curved = values > self.curvature.floor
        return self.curvature.axes @ np.where(curved, -self.along / np.where(curved, values, 1.0), 0.0)

    def descent(self) -> np.ndarray:
        """A step downwards in `y`: negative curvature is taken by its size."""
        values = np.maximum(np.abs(self.curvature.values), self.curvature.floor)
        return self.curvature.axes @ (-self.along / values)

    def within(self, radius: float) -> np.ndarray:
        """The minimum inside |y| ≤ radius."""
        if self.decrement < np.inf:
            step = self.newton()
            if np.linalg.norm(step) <= radius:
                return step
        values, along = self.curvature.values, self.along
        lowest = min(values[0], 0.0)
        low = -lowest + 1e-12 * max(1.0, abs(lowest))
        length = lambda shift: np.linalg.norm(along / (values + shift))
        high = max(low * 2, np.linalg.norm(along) / radius - lowest, 1e-8)
        while length(high) > radius:
            high *= 4
        if length(low) < radius:  # the hard case: along the lowest axis to the boundary
            step = -along / (values + low)
            size = np.linalg.norm(step)
            rest = np.sqrt(max(radius - size, 0.0)) * np.sqrt(radius + size)  # radius² may be too large a number
            step[0] += rest if step[0] >= 0 else -rest
            return self.curvature.axes @ step
        for _ in range(60):
            shift = np.sqrt(low * high) if low > 0 else 0.5 * (low + high)
            if length(shift) > radius:
                low = shift
            else:
                high = shift
            if high - low <= 1e-3 * high:
                break
        return self.curvature.axes @ (-along / (values + high))

    def change(self, step: np.ndarray) -> float:
        """The predicted change of the objective for a step in `y`."""
        return float(self.slope @ step + 0.5 * step @ self.curvature.scaled @ step)

    def to_z(self, step: np.ndarray) -> np.ndarray:
        """A step in `y` as one in `z`."""
        return step / self.metric

"""EM for clusters without the parameters' own scale: shares, means and matrices, as a flat vector that may be extrapolated.

A search over many shapes and numbers of components compiles two small programs for each number, whatever the shape.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..declare.clusters import Clusters
from ..declare.shapes.catalogue import SHAPES
from .clusters import ClusterObjective, Natural
from .em import EXPECTATION, Expectation


def with_shape(objective: ClusterObjective, k: int, shape: str) -> ClusterObjective:
    """The same data under another number of components and another shape, for steps of EM alone: it has no layout."""
    density: Clusters = objective.density
    other = replace(density, components=(density.components[0],) * k, shape=shape)
    return replace(objective, program=replace(objective.program, log_density=other), constants={})


def n_parameters(k: int, d: int, shape: str) -> int:
    """The number of free parameters."""
    return k - 1 + k * d + SHAPES[shape].size(k, d)


@dataclass(frozen=True, eq=False)
class Path:
    """What an EM solver asks of an objective: points are shares, means and Cholesky factors, each by its logarithm where
    it is positive, and are drawn back to the shape."""

    objective: ClusterObjective

    @property
    def _sizes(self) -> tuple[int, int]:
        return self.objective.density.k, len(self.objective.density.response)

    @property
    def size(self) -> int:
        k, d = self._sizes
        return k + k * d + k * d * (d + 1) // 2

    def flat(self, at: Natural) -> np.ndarray:
        """The point of natural values."""
        k, d = self._sizes
        lower = np.linalg.cholesky(at.covariance)
        scale = np.diagonal(lower, axis1=1, axis2=2)
        i, j = np.tril_indices(d, -1)
        parts = (np.log(at.weight), at.mean, np.log(scale), (lower / scale[:, None, :])[:, i, j])
        return np.concatenate([part.reshape(-1) for part in parts])

    def natural(self, z: np.ndarray) -> Natural:
        """The natural values of a point."""
        k, d = self._sizes
        weight, mean, scale, below = np.split(z, np.cumsum([k, k * d, k * d]))
        i, j = np.tril_indices(d, -1)
        lower = np.repeat(np.eye(d)[None], k, axis=0)
        lower[:, i, j] = below.reshape(k, -1)
        lower = lower * np.exp(scale.reshape(k, 1, d))
        weight = np.exp(weight - weight.max())
        weight = weight / weight.sum()
        scatter = weight[:, None, None] * (lower @ np.swapaxes(lower, 1, 2))
        return Natural(weight, mean.reshape(k, d), self.objective.shape.maximise(weight, scatter))

    def minimise(self, start: Natural, solver: Any) -> tuple[Any, Natural]:
        """What a solver that asks for `EXPECTATION` finds from a start, and the natural values there."""
        end = solver.minimise(self, self.flat(start))
        return end, self.natural(end.z)

    def evaluate(self, z: np.ndarray, needs: str = EXPECTATION) -> Any:
        """The step of EM from `z`."""
        assert needs == EXPECTATION
        with np.errstate(all="ignore"):
            (step,) = self.objective.steps([self.natural(z)])
        best = np.full(self.size, np.nan) if step.maximum is None else self.flat(step.maximum)
        return Expectation(step.value, None, None, best, step.improper)

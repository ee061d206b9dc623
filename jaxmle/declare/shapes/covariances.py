"""Covariance matrices of several components as one parameter."""

from __future__ import annotations

import math
from dataclasses import dataclass

import jax
import numpy as np
from jax import Array

from ..domains import ArrayDomain, Bounds, bracket, count
from ..links import LINKS, Link
from ..matrices import TOLERANCE, Covariance
from .catalogue import SHAPES


@dataclass(frozen=True)
class Covariances(ArrayDomain):
    """The covariance matrices (k, d, d) of k components of one shape, `covariance.0[0,0]`, `covariance.0[0,1]`, ..."""

    k: int
    d: int
    kind: str

    def __post_init__(self) -> None:
        self._set("k", count(self.k, 1, type(self).__name__, "k"))
        self._set("d", count(self.d, 1, type(self).__name__, "d"))
        super().__post_init__()

    @property
    def core_shape(self) -> tuple[int, ...]:
        return (self.k, self.d, self.d)

    @property
    def core_free(self) -> tuple[int, ...]:
        return (SHAPES[self.kind].size(self.k, self.d),)

    def to_natural(self, u: Array) -> Array:
        shape, batch = SHAPES[self.kind], u.shape[:-1]
        out = jax.vmap(lambda v: shape.to_covariances(v, self.k, self.d))(u.reshape(-1, u.shape[-1]))
        return out.reshape(*batch, *self.core_shape)

    def to_free(self, theta: Array) -> Array:
        batch = theta.shape[:-3]
        out = jax.vmap(SHAPES[self.kind].to_free)(theta.reshape(-1, *self.core_shape))
        return out.reshape(*batch, *self.core_free)

    def core_default(self) -> np.ndarray:
        return np.repeat(np.eye(self.d)[None], self.k, axis=0)

    def core_entries(self) -> list[tuple[int, ...]]:
        i, j = np.triu_indices(self.d)
        return [(c, int(a), int(b)) for c in range(self.k) for a, b in zip(i, j)]

    def core_links(self) -> tuple[Link, ...]:
        return tuple(LINKS["log"] if i == j else LINKS["identity"] for _, i, j in self.core_entries())

    def core_bounds(self) -> Bounds:
        return tuple((0.0 if i == j else -math.inf, math.inf) for _, i, j in self.core_entries())

    def labels(self) -> tuple[str, ...]:
        return tuple(f".{c}{bracket((*at, i, j))}" for at in np.ndindex(*self.batch) for c, i, j in self.core_entries())

    def core_words(self) -> str:
        return f"{self.k} covariance matrices of {self.d}×{self.d}, {SHAPES[self.kind].words} ({self.kind})"

    def fault(self, theta: np.ndarray) -> tuple[tuple[int, ...], str] | None:
        found = Covariance(self.d).fault(theta)
        if found is None and not all(SHAPES[self.kind].holds(theta[at], TOLERANCE) for at in np.ndindex(*self.batch)):
            return (), "is of another shape"
        return found

    def tidy(self, theta: np.ndarray) -> np.ndarray:
        return (theta + np.swapaxes(theta, -1, -2)) / 2

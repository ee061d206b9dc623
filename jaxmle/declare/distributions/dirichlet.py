"""The Dirichlet distribution of shares that add up to one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ...numerics import digamma, gammaln
from ..domains import Positive
from ..matrices import Simplex
from .base import Distribution
from .supports import UNIT


class Dirichlet(Distribution):
    """Shares (k,) that add up to one, by their expectations `mean` and a precision: alpha = mean · precision."""

    mean: Simplex(2)  # type: ignore[valid-type]  # of any length
    precision: Positive

    support = UNIT
    title = "Dirichlet regression"

    def log_prob(self, y: Any) -> Any:
        alpha = self.mean * self.precision
        return gammaln(self.precision) - jnp.sum(gammaln(alpha)) + jnp.sum((alpha - 1) * jnp.log(y))

    def expectation(self) -> Any:
        return self.mean

    def variance(self) -> Any:
        """The covariance matrix (k, k)."""
        return (jnp.diag(self.mean) - jnp.outer(self.mean, self.mean)) / (self.precision + 1)

    def sample(self, key: jax.Array) -> Any:
        return jax.random.dirichlet(key, self.mean * self.precision)

    def expected_log_prob(self, truth: Dirichlet) -> Any:
        alpha, true = self.mean * self.precision, truth.mean * truth.precision
        log_share = digamma(true) - digamma(truth.precision)
        return gammaln(self.precision) - jnp.sum(gammaln(alpha)) + jnp.sum((alpha - 1) * log_share)

    @classmethod
    def degenerate(cls, y: np.ndarray, known: Mapping[str, np.ndarray]) -> str | None:
        if (y == y[0]).all():
            return f"all {len(y):,} rows have the same shares: the likelihood grows without limit with the precision"
        return None

    @classmethod
    def starts(cls, y: np.ndarray, weights: np.ndarray, known: Mapping[str, np.ndarray]) -> dict[str, Any]:
        mean = np.average(y, axis=0, weights=weights)
        variance = np.average((y - mean) ** 2, axis=0, weights=weights)
        precision = np.sum(mean * (1 - mean)) / max(float(variance.sum()), 1e-12) - 1.0
        return {"mean": mean / mean.sum(), "precision": float(np.clip(precision, 0.1, 1e8))}

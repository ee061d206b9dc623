"""The multivariate normal distribution."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import solve_triangular

from ..domains import Real
from ..matrices import Covariance
from .base import Distribution
from .normal import LOG_ROOT_2PI


class MultivariateNormal(Distribution):
    """Several numbers (k,) by their mean (k,) and covariance matrix (k, k), whose estimate divides by n."""

    mean: Real
    covariance: Covariance(1)  # type: ignore[valid-type]  # of any size

    title = "Multivariate normal regression"

    def log_prob(self, y: Any) -> Any:
        lower = jnp.linalg.cholesky(self.covariance)
        z = solve_triangular(lower, y - self.mean, lower=True)
        return -0.5 * jnp.sum(z**2) - jnp.sum(jnp.log(jnp.diag(lower))) - LOG_ROOT_2PI * z.shape[0]

    def expectation(self) -> Any:
        return self.mean

    def variance(self) -> Any:
        """The covariance matrix (k, k)."""
        return self.covariance

    def sample(self, key: jax.Array) -> Any:
        lower = jnp.linalg.cholesky(self.covariance)
        return self.mean + lower @ jax.random.normal(key, (lower.shape[0],), jnp.float64)

    def expected_log_prob(self, truth: MultivariateNormal) -> Any:
        lower = jnp.linalg.cholesky(self.covariance)
        z = solve_triangular(lower, truth.mean - self.mean, lower=True)
        ratio = solve_triangular(lower, jnp.linalg.cholesky(truth.covariance), lower=True)
        half = 0.5 * (jnp.sum(z**2) + jnp.sum(ratio**2))
        return -half - jnp.sum(jnp.log(jnp.diag(lower))) - LOG_ROOT_2PI * z.shape[0]

    @classmethod
    def degenerate(cls, y: np.ndarray, known: Mapping[str, np.ndarray]) -> str | None:
        away = y - y.mean(axis=0)
        size = np.sqrt((away**2).sum(axis=0))
        scaled = away / np.where(size > 0, size, 1.0)
        if np.linalg.matrix_rank(scaled, tol=1e-10) < y.shape[1]:
            return (
                f"the {y.shape[1]} responses depend on each other linearly in these {len(y):,} rows: the likelihood "
                "grows without limit as the covariance becomes singular"
            )
        return None

    @classmethod
    def starts(cls, y: np.ndarray, weights: np.ndarray, known: Mapping[str, np.ndarray]) -> dict[str, Any]:
        mean = np.average(y, axis=0, weights=weights)
        away = (y - mean) * np.sqrt(weights / weights.sum())[:, None]
        covariance = away.T @ away
        floor = 1e-8 * np.maximum(np.diag(covariance), 1e-12 * np.maximum(1.0, mean**2))
        return {"mean": mean, "covariance": covariance + np.diag(floor)}

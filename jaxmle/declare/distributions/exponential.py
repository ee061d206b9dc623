"""The exponential distribution."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ...numerics import log1mexp
from ..domains import Positive
from .base import TINY, Distribution, weighted_mean
from .supports import NONNEGATIVE


class Exponential(Distribution):
    """The exponential distribution, with hazard `rate` and mean 1 / rate."""

    rate: Positive

    support = NONNEGATIVE
    title = "Exponential regression"
    concave = MappingProxyType({"rate": ("log", "identity")})
    one_optimum = one_optimum_censored = True

    def log_prob(self, y: Any) -> Any:
        inside = (y >= 0) & (y < jnp.inf)
        return jnp.where(inside, self.log_of("rate") - self.rate * jnp.where(inside, y, 0.0), -jnp.inf)

    def expectation(self) -> Any:
        return 1 / self.rate

    def variance(self) -> Any:
        return 1 / self.rate**2

    def log_cdf(self, y: Any) -> Any:
        inside = (y > 0) & (y < jnp.inf)
        return jnp.where(inside, log1mexp(self.rate * jnp.where(inside, y, 1.0)), jnp.where(y > 0, 0.0, -jnp.inf))

    def log_survival(self, y: Any) -> Any:
        inside = y < jnp.inf
        return jnp.where(inside, -self.rate * jnp.where(inside, jnp.maximum(y, 0.0), 0.0), -jnp.inf)

    def quantile(self, q: Any) -> Any:
        return -jnp.log1p(-q) / self.rate

    def sample(self, key: jax.Array) -> Any:
        return jax.random.exponential(key, dtype=jnp.float64) / self.rate

    def saturated_log_prob(self, y: Any) -> Any:
        return -jnp.log(y) - 1.0

    def expected_log_prob(self, truth: Exponential) -> Any:
        return self.log_of("rate") - self.rate / truth.rate

    def sufficient(self, y: Any, r: Any) -> Any:
        return jnp.stack([r.sum(), (r * y).sum()])

    def maximum(self, sums: Any) -> dict[str, Any]:
        return {"rate": sums[0] / jnp.maximum(sums[1], TINY)}

    @classmethod
    def degenerate(cls, y: np.ndarray, known: Mapping[str, np.ndarray]) -> str | None:
        if not y.any():
            return f"all {len(y):,} responses are 0: the likelihood grows without limit as every rate does"
        return None

    @classmethod
    def starts(cls, y: np.ndarray, weights: np.ndarray, known: Mapping[str, np.ndarray]) -> dict[str, Any]:
        return {"rate": 1 / max(weighted_mean(y, weights), 1e-300)}

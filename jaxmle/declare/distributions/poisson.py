"""The Poisson distribution."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ...numerics import log_factorial, xlogy
from ..domains import Positive
from .base import Distribution, weighted_mean
from .supports import COUNT


class Poisson(Distribution):
    """A count with mean and variance `rate`."""

    rate: Positive

    support = COUNT
    title = "Poisson regression"

    def log_prob(self, y: Any) -> Any:
        return y * self.log_of("rate") - self.rate - log_factorial(y)

    def expectation(self) -> Any:
        return self.rate

    def variance(self) -> Any:
        return self.rate

    def sample(self, key: jax.Array) -> Any:
        return jax.random.poisson(key, self.rate).astype(jnp.float64)

    def saturated_log_prob(self, y: Any) -> Any:
        return xlogy(y, y) - y - log_factorial(y)

    def expected_log_prob(self, truth: Poisson) -> Any:
        return truth.rate * self.log_of("rate") - self.rate  # log y! does not depend on the rate

    @classmethod
    def degenerate(cls, y: np.ndarray, known: Mapping[str, np.ndarray]) -> str | None:
        if not y.any():
            return f"all {len(y):,} counts are 0: the likelihood grows as every rate goes to 0"
        return None

    @classmethod
    def starts(cls, y: np.ndarray, weights: np.ndarray, known: Mapping[str, np.ndarray]) -> dict[str, Any]:
        return {"rate": max(weighted_mean(y, weights), 1e-6)}

"""The geometric distribution."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ...numerics import log1mexp, xlogy
from ..cones import Cone, zeros
from ..domains import UnitInterval
from .base import Distribution, weighted_mean
from .supports import COUNT


class Geometric(Distribution):
    """The number of failures before the first success, each trial succeeding with probability `prob`."""

    prob: UnitInterval

    support = COUNT
    title = "Geometric regression"
    concave = MappingProxyType({"prob": ("logit",)})

    def log_prob(self, y: Any) -> Any:
        return self.log_of("prob") + y * self.log_complement_of("prob")

    def expectation(self) -> Any:
        return jnp.exp(self.log_complement_of("prob") - self.log_of("prob"))

    def variance(self) -> Any:
        return jnp.exp(self.log_complement_of("prob") - 2 * self.log_of("prob"))

    def log_survival(self, y: Any) -> Any:
        return jnp.maximum(jnp.floor(y) + 1.0, 0.0) * self.log_complement_of("prob")

    def log_cdf(self, y: Any) -> Any:
        some = y >= 0
        fall = -jnp.where(some, jnp.floor(y) + 1.0, 1.0) * self.log_complement_of("prob")
        return jnp.where(some, log1mexp(fall), -jnp.inf)

    def sample(self, key: jax.Array) -> Any:
        waiting = jax.random.exponential(key, dtype=jnp.float64)
        return jnp.floor(waiting / -self.log_complement_of("prob"))

    def saturated_log_prob(self, y: Any) -> Any:
        return xlogy(y, y) - xlogy(y + 1.0, y + 1.0)  # prob = 1 / (1 + y)

    def expected_log_prob(self, truth: Geometric) -> Any:
        return self.log_of("prob") + truth.expectation() * self.log_complement_of("prob")

    @classmethod
    def recession(
        cls, y: np.ndarray, known: Mapping[str, np.ndarray], levels: tuple[Any, ...] | None
    ) -> tuple[Cone, ...]:
        return zeros("prob", y, 1.0)

    @classmethod
    def degenerate(cls, y: np.ndarray, known: Mapping[str, np.ndarray]) -> str | None:
        if not y.any():
            return f"all {len(y):,} counts are 0: the likelihood grows as every probability goes to 1"
        return None

    @classmethod
    def starts(cls, y: np.ndarray, weights: np.ndarray, known: Mapping[str, np.ndarray]) -> dict[str, Any]:
        return {"prob": 1.0 / (1.0 + max(weighted_mean(y, weights), 1e-6))}

"""The log-normal distribution."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ...numerics import log_ndtr, ndtri
from ..domains import Positive, Real
from .base import weighted_mean, weighted_variance
from .positive import PositiveResponse

LOG_ROOT_2PI = 0.5 * math.log(2 * math.pi)


class LogNormal(PositiveResponse):
    """The log-normal distribution: log Y is normal with mean `mu` and standard deviation `sigma`."""

    mu: Real
    sigma: Positive

    title = "Log-normal regression"
    concave = MappingProxyType({"mu": ("identity",)})
    one_optimum = one_optimum_censored = True
    collapse = "sigma goes to 0"

    def _z(self, y: Any) -> Any:
        return (jnp.log(y) - self.mu) / self.sigma

    def inner_log_prob(self, y: Any) -> Any:
        return -0.5 * self._z(y) ** 2 + self.saturated_log_prob(y)

    def inner_log_cdf(self, y: Any) -> Any:
        return log_ndtr(self._z(y))

    def inner_log_survival(self, y: Any) -> Any:
        return log_ndtr(-self._z(y))

    def expectation(self) -> Any:
        return jnp.exp(self.mu + 0.5 * self.sigma**2)

    def variance(self) -> Any:
        return jnp.expm1(self.sigma**2) * jnp.exp(2 * self.mu + self.sigma**2)

    def quantile(self, q: Any) -> Any:
        return jnp.exp(self.mu + self.sigma * ndtri(q))

    def sample(self, key: jax.Array) -> Any:
        return jnp.exp(self.mu + self.sigma * jax.random.normal(key, dtype=jnp.float64))

    def phi(self) -> Any:
        return self.sigma**2

    def saturated_log_prob(self, y: Any) -> Any:
        return -self.log_of("sigma") - LOG_ROOT_2PI - jnp.log(y)

    def expected_log_prob(self, truth: LogNormal) -> Any:
        spread = truth.sigma**2 + (truth.mu - self.mu) ** 2
        return -0.5 * spread / self.sigma**2 - self.log_of("sigma")

    @classmethod
    def starts(cls, y: np.ndarray, weights: np.ndarray, known: Mapping[str, np.ndarray]) -> dict[str, Any]:
        x = np.log(y)
        return {"mu": weighted_mean(x, weights), "sigma": math.sqrt(weighted_variance(x, weights))}

"""The normal distribution."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtri

from ...numerics import log_ndtr
from ..domains import Positive, Real
from .base import TINY, Distribution, weighted_mean, weighted_variance

LOG_ROOT_2PI = 0.5 * math.log(2 * math.pi)


class Normal(Distribution):
    """The normal distribution by its mean and its standard deviation `sd`, whose estimate divides by n."""

    mean: Real
    sd: Positive

    title = "Normal regression"
    concave = MappingProxyType({"mean": ("identity",)})
    one_optimum = one_optimum_censored = True

    def _z(self, y: Any) -> Any:
        return (y - self.mean) / self.sd

    def log_prob(self, y: Any) -> Any:
        return -0.5 * self._z(y) ** 2 - self.log_of("sd") - LOG_ROOT_2PI

    def expectation(self) -> Any:
        return self.mean

    def variance(self) -> Any:
        return self.sd**2

    def log_cdf(self, y: Any) -> Any:
        return log_ndtr(self._z(y))

    def log_survival(self, y: Any) -> Any:
        return log_ndtr(-self._z(y))

    def quantile(self, q: Any) -> Any:
        return self.mean + self.sd * ndtri(q)

    def sample(self, key: jax.Array) -> Any:
        return self.mean + self.sd * jax.random.normal(key, dtype=jnp.float64)

    def phi(self) -> Any:
        return self.sd**2

    def saturated_log_prob(self, y: Any) -> Any:
        return -self.log_of("sd") - LOG_ROOT_2PI

    def expected_log_prob(self, truth: Normal) -> Any:
        spread = truth.sd**2 + (truth.mean - self.mean) ** 2
        return -0.5 * spread / self.sd**2 - self.log_of("sd") - LOG_ROOT_2PI

    def sufficient(self, y: Any, r: Any) -> Any:
        z = self._z(y)
        return jnp.stack([r.sum(), (r * z).sum(), (r * z**2).sum()])

    def maximum(self, sums: Any) -> dict[str, Any]:
        total = jnp.maximum(sums[0], TINY)
        shift = sums[1] / total
        return {
            "mean": self.mean + self.sd * shift,
            "sd": self.sd * jnp.sqrt(jnp.maximum(sums[2] / total - shift**2, 0.0)),
        }

    @classmethod
    def degenerate(cls, y: np.ndarray, known: Mapping[str, np.ndarray]) -> str | None:
        if (y == y[0]).all():
            return f"all {len(y):,} responses are {float(y[0]):g}: the likelihood grows without limit as sd goes to 0"
        return None

    @classmethod
    def starts(cls, y: np.ndarray, weights: np.ndarray, known: Mapping[str, np.ndarray]) -> dict[str, Any]:
        return {"mean": weighted_mean(y, weights), "sd": math.sqrt(weighted_variance(y, weights))}

"""The skew-normal distribution."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ...numerics import log_ndtr, log_skew_normal_cdf, log_skew_normal_sf
from ..domains import Real
from .base import weighted_mean, weighted_variance
from .location_scale import LOG_2, LocationScale
from .summaries import weighted_skewness

LOG_ROOT_2PI = 0.5 * math.log(2 * math.pi)


class SkewNormal(LocationScale):
    """The skew-normal distribution: 2 phi(z) Phi(shape z) / scale, z = (y - loc) / scale (Azzalini, 1985).

    At shape = 0 it is the normal distribution, and the information matrix is singular there.
    """

    shape: Real

    title = "Skew-normal regression"

    def standard_log_prob(self, z: Any) -> Any:
        return LOG_2 - 0.5 * z**2 - LOG_ROOT_2PI + log_ndtr(self.shape * z)

    def standard_log_cdf(self, z: Any) -> Any:
        return log_skew_normal_cdf(z, self.shape)

    def standard_log_survival(self, z: Any) -> Any:
        return log_skew_normal_sf(z, self.shape)

    def _delta(self) -> Any:
        return self.shape / jnp.sqrt(1 + self.shape**2)

    def expectation(self) -> Any:
        return self.loc + self.scale * self._delta() * math.sqrt(2 / math.pi)

    def variance(self) -> Any:
        return self.scale**2 * (1 - 2 / math.pi * self._delta() ** 2)

    def sample(self, key: jax.Array) -> Any:
        first, second = jax.random.normal(key, (2,), dtype=jnp.float64)
        z = (self.shape * jnp.abs(first) + second) / jnp.sqrt(1 + self.shape**2)
        return self.loc + self.scale * z

    @classmethod
    def starts(cls, y: np.ndarray, weights: np.ndarray, known: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """By moments, with a skewness that is neither zero, where the likelihood has a saddle, nor out of reach."""
        skewness = weighted_skewness(y, weights)
        size = min(max(abs(skewness), 0.2), 0.9) ** (2 / 3)
        delta = math.sqrt(0.5 * math.pi * size / (size + (0.5 * (4 - math.pi)) ** (2 / 3)))
        delta = math.copysign(min(delta, 0.98), skewness)
        scale = math.sqrt(weighted_variance(y, weights) / (1 - 2 / math.pi * delta**2))
        loc = weighted_mean(y, weights) - scale * delta * math.sqrt(2 / math.pi)
        return {"loc": loc, "scale": scale, "shape": delta / math.sqrt(1 - delta**2)}

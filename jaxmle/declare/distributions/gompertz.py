"""The Gompertz distribution of survival times."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import jax.numpy as jnp
import numpy as np

from ...numerics import log1mexp
from ...numerics.limits import expm1_ratio, log1p_ratio
from ..domains import Positive, Real
from . import numeric
from .base import Distribution, weighted_mean
from .summaries import unchanging
from .supports import NONNEGATIVE


class Gompertz(Distribution):
    """The Gompertz distribution: hazard rate exp(shape y) for y >= 0.

    At shape = 0 it is the exponential distribution; for shape < 0 a share exp(rate / shape) never fails.
    """

    rate: Positive
    shape: Real

    support = NONNEGATIVE
    title = "Gompertz regression"
    concave = MappingProxyType({"rate": ("log",)})

    def _hazard(self, y: Any) -> Any:
        """The cumulated hazard."""
        return self.rate * y * expm1_ratio(self.shape * y)

    def _forever(self) -> Any:
        """The cumulated hazard of all time."""
        immune = self.shape < 0
        return jnp.where(immune, -self.rate / jnp.where(immune, self.shape, -1.0), jnp.inf)

    def log_prob(self, y: Any) -> Any:
        inside = (y >= 0) & (y < jnp.inf)
        t = jnp.where(inside, y, 0.0)
        return jnp.where(inside, self.log_of("rate") + self.shape * t - self._hazard(t), -jnp.inf)

    def log_cdf(self, y: Any) -> Any:
        inside = (y > 0) & (y < jnp.inf)
        value = log1mexp(self._hazard(jnp.where(inside, y, 1.0)))
        return jnp.where(inside, value, jnp.where(y > 0, log1mexp(self._forever()), -jnp.inf))

    def log_survival(self, y: Any) -> Any:
        inside = y < jnp.inf
        value = -self._hazard(jnp.where(inside, jnp.maximum(y, 0.0), 0.0))
        return jnp.where(inside, value, -self._forever())

    def expectation(self) -> Any:
        return jnp.where(self.shape < 0, jnp.inf, numeric.expectation(self))

    def variance(self) -> Any:
        return jnp.where(self.shape < 0, jnp.inf, numeric.variance(self))

    def quantile(self, q: Any) -> Any:
        hazard = -jnp.log1p(-q)
        reached = hazard < self._forever()
        time = jnp.where(reached, hazard, 0.0) / self.rate
        return jnp.where(reached, time * log1p_ratio(self.shape * time), jnp.inf)

    @classmethod
    def degenerate(cls, y: np.ndarray, known: Mapping[str, np.ndarray]) -> str | None:
        return unchanging(y, "shape grows")

    @classmethod
    def starts(cls, y: np.ndarray, weights: np.ndarray, known: Mapping[str, np.ndarray]) -> dict[str, Any]:
        return {"rate": 1 / max(weighted_mean(y, weights), 1e-300), "shape": 0.0}

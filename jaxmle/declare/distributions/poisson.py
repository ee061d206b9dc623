"""The Poisson distribution."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ...numerics import log_gammainc, log_gammaincc
from ..domains import Positive
from . import count_kernels
from .base import TINY, weighted_mean
from .counts import CountResponse


class Poisson(CountResponse):
    """A count with mean and variance `rate`."""

    rate: Positive

    title = "Poisson regression"
    concave = MappingProxyType({"rate": ("log", "identity")})

    def log_prob(self, y: Any) -> Any:
        log_rate = jnp.asarray(self.log_of("rate"))
        return count_kernels.poisson(jnp.asarray(y, log_rate.dtype), log_rate, jnp.asarray(self.rate))

    def expectation(self) -> Any:
        return self.rate

    def variance(self) -> Any:
        return self.rate

    def log_cdf(self, y: Any) -> Any:
        y = jnp.floor(y)
        return jnp.where(y < 0, -jnp.inf, log_gammaincc(jnp.maximum(y, 0.0) + 1.0, self.rate))

    def log_survival(self, y: Any) -> Any:
        y = jnp.floor(y)
        return jnp.where(y < 0, 0.0, log_gammainc(jnp.maximum(y, 0.0) + 1.0, self.rate))

    def sample(self, key: jax.Array) -> Any:
        return jax.random.poisson(key, self.rate).astype(jnp.float64)

    def saturated_log_prob(self, y: Any) -> Any:
        count = jnp.where(y > 0, y, 1.0)
        return jnp.where(y > 0, count_kernels.poisson(count, jnp.log(count), count), 0.0)

    def expected_log_prob(self, truth: Poisson) -> Any:
        return truth.rate * self.log_of("rate") - self.rate  # log y! does not depend on the rate

    def sufficient(self, y: Any, r: Any) -> Any:
        return jnp.stack([r.sum(), (r * y).sum()])

    def maximum(self, sums: Any) -> dict[str, Any]:
        return {"rate": sums[1] / jnp.maximum(sums[0], TINY)}

    @classmethod
    def starts(cls, y: np.ndarray, weights: np.ndarray, known: Mapping[str, np.ndarray]) -> dict[str, Any]:
        return {"rate": max(weighted_mean(y, weights), 1e-6)}

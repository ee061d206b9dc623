"""The generalised Poisson distribution."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from ..domains import Positive
from . import count_kernels
from .base import weighted_mean, weighted_variance
from .counts import CountResponse


class GeneralizedPoisson(CountResponse):
    """A count with Var = mean (1 + dispersion)²: the Poisson as dispersion goes to 0, skewer than a negative binomial.

    Consul and Jain's (1973) theta (theta + lambda y)^(y-1) exp(-theta - lambda y) / y! with theta = mean / (1 + dispersion)
    and lambda = dispersion / (1 + dispersion): statsmodels' `GeneralizedPoisson` with p = 1, VGAM's `genpoisson1`.
    Overdispersed counts only: with lambda < 0 the probabilities do not sum to one.
    """

    mean: Positive
    dispersion: Positive

    title = "Generalised Poisson regression"

    def log_prob(self, y: Any) -> Any:
        grown = jnp.log1p(self.dispersion * y / self.mean)
        log_rate = self.log_of("mean") + grown - jnp.log1p(self.dispersion)
        rate = (self.mean + self.dispersion * y) / (1.0 + self.dispersion)
        return count_kernels.poisson(jnp.asarray(y, log_rate.dtype), log_rate, rate) - grown

    def expectation(self) -> Any:
        return self.mean

    def variance(self) -> Any:
        return self.mean * (1.0 + self.dispersion) ** 2

    @classmethod
    def starts(cls, y: np.ndarray, weights: np.ndarray, known: Mapping[str, np.ndarray]) -> dict[str, Any]:
        mean = max(weighted_mean(y, weights), 1e-6)
        return {"mean": mean, "dispersion": max(math.sqrt(weighted_variance(y, weights) / mean) - 1.0, 0.05)}

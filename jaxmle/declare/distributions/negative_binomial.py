"""The negative binomial distributions, by their mean: variance quadratic in it (NB2) or proportional to it (NB1)."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ...numerics import log1mexp, log_gammainc, log_gammaincc
from ...numerics.incomplete_beta import log_smaller
from ..domains import Positive
from . import count_kernels
from .base import weighted_mean, weighted_variance
from .counts import CountResponse

POISSON = 1e-15
"""Where alpha times the largest count at hand is below this, probabilities are the Poisson's to rounding."""


class _Overdispersed(CountResponse):
    """A count that is a Poisson with a gamma-distributed rate of coefficient of variation sqrt(alpha)."""

    mean: Positive
    dispersion: Positive

    title = "Negative binomial regression"

    @abc.abstractmethod
    def _alpha(self) -> Any:
        """What multiplies the square of the mean in the variance."""

    def log_prob(self, y: Any) -> Any:
        return count_kernels.negative_binomial(y, self.log_of("mean"), self.mean, self._alpha())

    def expectation(self) -> Any:
        return self.mean

    def variance(self) -> Any:
        return self.mean * (1.0 + self._alpha() * self.mean)

    def _log_tails(self, y: Any) -> tuple[Any, Any]:
        y = jnp.floor(y)
        k = jnp.maximum(y, 0.0) + 1.0
        alpha = self._alpha()
        simple = alpha * jnp.maximum(k, self.mean) < POISSON
        r = 1.0 / jnp.where(simple, 1.0, alpha)
        chance = 1.0 / (1.0 + self.mean / r)
        lower, smaller = log_smaller(r, k, chance, self.mean / r * chance)
        larger = log1mexp(-smaller)
        down = jnp.where(simple, log_gammaincc(k, self.mean), jnp.where(lower, smaller, larger))
        up = jnp.where(simple, log_gammainc(k, self.mean), jnp.where(lower, larger, smaller))
        return jnp.where(y < 0, -jnp.inf, down), jnp.where(y < 0, 0.0, up)

    def log_cdf(self, y: Any) -> Any:
        return self._log_tails(y)[0]

    def log_survival(self, y: Any) -> Any:
        return self._log_tails(y)[1]

    def sample(self, key: jax.Array) -> Any:
        first, second = jax.random.split(key)
        r = 1.0 / jnp.maximum(self._alpha(), 1e-280)
        # in logarithms: a draw of a gamma variable of small shape is below the smallest number
        rate = self.mean * jnp.exp(jax.random.loggamma(first, r, dtype=jnp.float64) - jnp.log(r))
        return jax.random.poisson(second, rate).astype(jnp.float64)


class NegativeBinomial(_Overdispersed):
    """A count with Var = mean + dispersion mean² (NB2): the Poisson as dispersion goes to 0, the geometric at 1."""

    concave = MappingProxyType({"mean": ("log",)})

    def _alpha(self) -> Any:
        return self.dispersion

    def saturated_log_prob(self, y: Any) -> Any:
        k = jnp.where(y > 0, y, 1.0)
        return jnp.where(y > 0, count_kernels.negative_binomial(k, jnp.log(k), k, self.dispersion), 0.0)

    @classmethod
    def starts(cls, y: np.ndarray, weights: np.ndarray, known: Mapping[str, np.ndarray]) -> dict[str, Any]:
        mean, variance = max(weighted_mean(y, weights), 1e-6), weighted_variance(y, weights)
        return {"mean": mean, "dispersion": float(np.clip((variance - mean) / mean**2, 0.05, 20.0))}


class NegativeBinomial1(_Overdispersed):
    """A count with Var = mean + dispersion mean (NB1): the Poisson as dispersion goes to 0."""

    def _alpha(self) -> Any:
        return self.dispersion / self.mean

    @classmethod
    def starts(cls, y: np.ndarray, weights: np.ndarray, known: Mapping[str, np.ndarray]) -> dict[str, Any]:
        mean, variance = max(weighted_mean(y, weights), 1e-6), weighted_variance(y, weights)
        return {"mean": mean, "dispersion": max(variance / mean - 1.0, 0.05)}

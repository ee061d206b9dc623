"""The gamma distribution, by its mean and dispersion."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ...numerics import gammaincinv, log_gammainc, log_gammaincc, stirling_correction
from ...numerics.deviances import digamma_less_log, less_expm1
from ..domains import Positive
from .base import weighted_mean
from .positive import PositiveResponse

LOG_2PI = math.log(2 * math.pi)


class Gamma(PositiveResponse):
    """The gamma distribution by its mean and its dispersion: Var Y = dispersion mean²; its shape is 1 / dispersion."""

    mean: Positive
    dispersion: Positive

    title = "Gamma regression"
    concave = MappingProxyType({"mean": ("log",)})
    one_optimum = True

    def _shape(self) -> Any:
        return jnp.exp(-self.log_of("dispersion"))

    def _norm(self) -> Any:
        """What is left of k log k - k - log gamma(k) for the shape k, but a constant."""
        return -0.5 * self.log_of("dispersion") - stirling_correction(self._shape())

    def inner_log_prob(self, y: Any) -> Any:
        # the deviance form of Loader: k (log r - (r - 1)) for r = y / mean has no large terms that cancel
        deviance = less_expm1(jnp.log(y) - self.log_of("mean"))
        return self._shape() * deviance + self._norm() - 0.5 * LOG_2PI - jnp.log(y)

    def inner_log_cdf(self, y: Any) -> Any:
        return log_gammainc(self._shape(), y / self.mean * self._shape())

    def inner_log_survival(self, y: Any) -> Any:
        return log_gammaincc(self._shape(), y / self.mean * self._shape())

    def expectation(self) -> Any:
        return self.mean

    def variance(self) -> Any:
        return self.dispersion * self.mean**2

    def quantile(self, q: Any) -> Any:
        return gammaincinv(self._shape(), q) * self.dispersion * self.mean

    def sample(self, key: jax.Array) -> Any:
        log_draw = jax.random.loggamma(key, self._shape(), dtype=jnp.float64)
        return self.mean * jnp.exp(log_draw + self.log_of("dispersion"))

    def phi(self) -> Any:
        return self.dispersion

    def saturated_log_prob(self, y: Any) -> Any:
        return self._norm() - 0.5 * LOG_2PI - jnp.log(y)

    def expected_log_prob(self, truth: Gamma) -> Any:
        gap = truth.log_of("mean") - self.log_of("mean")
        deviance = gap - jnp.expm1(gap) + digamma_less_log(truth._shape())  # E (log r - (r - 1))
        return self._shape() * deviance + self._norm()

    @classmethod
    def starts(cls, y: np.ndarray, weights: np.ndarray, known: Mapping[str, np.ndarray]) -> dict[str, Any]:
        mean = weighted_mean(y, weights)
        s = max(math.log(mean) - weighted_mean(np.log(y), weights), 1e-14)
        shape = (3 - s + math.sqrt((s - 3) ** 2 + 24 * s)) / (12 * s)  # Minka (2002)
        return {"mean": mean, "dispersion": 1 / shape}

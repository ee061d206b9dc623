"""Log-location-scale survival times: the Weibull and the log-logistic distribution."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import jax.numpy as jnp
import numpy as np

from ...numerics import gammaln, log_factorial, log_sigmoid, logit
from ...numerics.limits import log1mexp_exp
from ..domains import Positive
from .base import weighted_mean, weighted_variance
from .positive import PositiveResponse
from .summaries import EULER, half_spread, weighted_median


class Weibull(PositiveResponse):
    """The Weibull distribution: P(Y > y) = exp(-(y / scale)^shape). A formula for scale is an accelerated failure time."""

    scale: Positive
    shape: Positive

    title = "Weibull regression"
    concave = MappingProxyType({"scale": ("log",)})
    one_optimum = one_optimum_censored = True
    collapse = "shape grows"

    def _u(self, y: Any) -> Any:
        """The logarithm of the cumulated hazard."""
        return self.shape * (jnp.log(y) - self.log_of("scale"))

    def inner_log_prob(self, y: Any) -> Any:
        u = self._u(y)
        return u - jnp.exp(u) + self.log_of("shape") - jnp.log(y)

    def inner_log_cdf(self, y: Any) -> Any:
        return log1mexp_exp(self._u(y))

    def inner_log_survival(self, y: Any) -> Any:
        return -jnp.exp(self._u(y))

    def expectation(self) -> Any:
        return self.scale * jnp.exp(log_factorial(1 / self.shape))

    def variance(self) -> Any:
        first = log_factorial(1 / self.shape)
        return self.expectation() ** 2 * jnp.expm1(log_factorial(2 / self.shape) - 2 * first)

    def quantile(self, q: Any) -> Any:
        return self.scale * jnp.exp(jnp.log(-jnp.log1p(-q)) / self.shape)

    def expected_log_prob(self, truth: Weibull) -> Any:
        gap = truth.log_of("scale") - self.log_of("scale")
        ratio = self.shape / truth.shape
        growth = jnp.exp(self.shape * gap + gammaln(1 + ratio))  # the expected cumulated hazard
        return self.shape * gap - EULER * ratio - growth + self.log_of("shape")

    @classmethod
    def starts(cls, y: np.ndarray, weights: np.ndarray, known: Mapping[str, np.ndarray]) -> dict[str, Any]:
        x = np.log(y)
        shape = math.pi / math.sqrt(6 * weighted_variance(x, weights))
        return {"scale": math.exp(weighted_mean(x, weights) + EULER / shape), "shape": shape}


class LogLogistic(PositiveResponse):
    """The log-logistic distribution: P(Y > y) = 1 / (1 + (y / scale)^shape); `scale` is its median."""

    scale: Positive
    shape: Positive

    title = "Log-logistic regression"
    concave = MappingProxyType({"scale": ("log",)})
    one_optimum = one_optimum_censored = True
    collapse = "shape grows"

    def _u(self, y: Any) -> Any:
        """The log-odds of having failed."""
        return self.shape * (jnp.log(y) - self.log_of("scale"))

    def inner_log_prob(self, y: Any) -> Any:
        u = self._u(y)
        return log_sigmoid(u) + log_sigmoid(-u) + self.log_of("shape") - jnp.log(y)

    def inner_log_cdf(self, y: Any) -> Any:
        return log_sigmoid(self._u(y))

    def inner_log_survival(self, y: Any) -> Any:
        return log_sigmoid(-self._u(y))

    def expectation(self) -> Any:
        angle = math.pi / jnp.maximum(self.shape, 1.0)
        return jnp.where(self.shape > 1, self.scale * angle / jnp.sin(angle), jnp.inf)

    def variance(self) -> Any:
        angle = math.pi / jnp.maximum(self.shape, 2.0)
        ratio = angle / jnp.tan(angle)  # E Y² / (E Y)² is tan(angle) / angle
        first = self.scale * angle / jnp.sin(angle)
        return jnp.where(self.shape > 2, first**2 * (1 - ratio) / ratio, jnp.inf)

    def quantile(self, q: Any) -> Any:
        return self.scale * jnp.exp(logit(q) / self.shape)

    @classmethod
    def starts(cls, y: np.ndarray, weights: np.ndarray, known: Mapping[str, np.ndarray]) -> dict[str, Any]:
        x = np.log(y)
        return {"scale": math.exp(weighted_median(x, weights)), "shape": math.log(3.0) / half_spread(x, weights)}

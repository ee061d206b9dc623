"""The beta distribution, by its mean and precision."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ...numerics import betaincinv, betaln, digamma, log_betainc, log_betaincc, polygamma, sigmoid
from ...numerics.incomplete_beta import log_lead
from ..domains import Positive, UnitInterval
from .base import Distribution, weighted_mean, weighted_variance
from .summaries import unchanging
from .supports import UNIT

REACH, HALVINGS, STEPS = 700.0, 20, 6


class Beta(Distribution):
    """The beta distribution by its mean and its precision = a + b: a = mean precision, b = (1 - mean) precision."""

    mean: UnitInterval
    precision: Positive

    support = UNIT
    title = "Beta regression"

    def _ab(self) -> tuple[Any, Any]:
        log_precision = self.log_of("precision")
        a = jnp.exp(self.log_of("mean") + log_precision)
        return a, jnp.exp(self.log_complement_of("mean") + log_precision)

    def log_prob(self, y: Any) -> Any:
        inside = (y > 0) & (y < 1)
        x = jnp.where(inside, y, 0.5)
        return jnp.where(inside, _log_density(*self._ab(), x), -jnp.inf)

    def expectation(self) -> Any:
        return self.mean

    def variance(self) -> Any:
        return self.mean * jnp.exp(self.log_complement_of("mean")) / (1 + self.precision)

    def log_cdf(self, y: Any) -> Any:
        return log_betainc(*self._ab(), jnp.clip(y, 0.0, 1.0))

    def log_survival(self, y: Any) -> Any:
        return log_betaincc(*self._ab(), jnp.clip(y, 0.0, 1.0))

    def quantile(self, q: Any) -> Any:
        return betaincinv(*self._ab(), q)

    def sample(self, key: jax.Array) -> Any:
        a, b = self._ab()
        first, second = jax.random.split(key)
        odds = jax.random.loggamma(first, a, dtype=jnp.float64) - jax.random.loggamma(second, b, dtype=jnp.float64)
        return sigmoid(odds)

    def saturated_log_prob(self, y: Any) -> Any:
        """At the mean m with psi(m precision) - psi((1 - m) precision) = logit y: bisection, then Newton's method."""
        precision = jax.lax.stop_gradient(self.precision)
        eta = jax.lax.stop_gradient(_best_logit(y, precision))
        return _log_density(self.precision * sigmoid(eta), self.precision * sigmoid(-eta), y)

    def expected_log_prob(self, truth: Beta) -> Any:
        (a, b), (a0, b0) = self._ab(), truth._ab()
        total = digamma(truth.precision)
        return a * (digamma(a0) - total) + b * (digamma(b0) - total) - betaln(a, b)

    @classmethod
    def degenerate(cls, y: np.ndarray, known: Mapping[str, np.ndarray]) -> str | None:
        return unchanging(y, "precision grows")

    @classmethod
    def starts(cls, y: np.ndarray, weights: np.ndarray, known: Mapping[str, np.ndarray]) -> dict[str, Any]:
        mean, variance = weighted_mean(y, weights), weighted_variance(y, weights)
        return {"mean": mean, "precision": max(mean * (1 - mean) / variance - 1, 0.1)}


def _log_density(a: Any, b: Any, y: Any) -> Any:
    return log_lead(a, b, y, 1.0 - y) + jnp.log(a) - jnp.log(y) - jnp.log1p(-y)


def _best_logit(y: Any, precision: Any) -> Any:
    """The logit of the mean at which the density of y is largest."""
    target = jnp.log(y) - jnp.log1p(-y)

    def score(eta):
        return digamma(precision * sigmoid(eta)) - digamma(precision * sigmoid(-eta)) - target

    low, high = jnp.full_like(target, -REACH), jnp.full_like(target, REACH)
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        above = score(middle) > 0
        low, high = jnp.where(above, low, middle), jnp.where(above, middle, high)
    eta = 0.5 * (low + high)
    for _ in range(STEPS):
        m = sigmoid(eta)
        slope = polygamma(1, precision * m) + polygamma(1, precision * sigmoid(-eta))
        eta = jnp.clip(eta - score(eta) / (slope * precision * m * sigmoid(-eta)), low, high)
    return eta

"""The beta-binomial distribution."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ...numerics import log_binomial, log_gamma_ratio
from ..cones import Cone, ends
from ..domains import Positive, UnitInterval
from .base import Distribution, Known
from .binomial import SUCCESSES, Binomial, all_alike, share


class BetaBinomial(Distribution):
    """Successes in `trials` whose probability is a beta variable with shapes mean * precision, (1 - mean) * precision.

    The binomial as precision goes to infinity; the variance is trials mean (1 - mean) (1 + (trials - 1) / (1 + precision)).
    """

    trials: Known
    mean: UnitInterval
    precision: Positive

    support = SUCCESSES
    title = "Beta-binomial regression"

    def _shapes(self) -> tuple[Any, Any]:
        log_precision = self.log_of("precision")
        return jnp.exp(self.log_of("mean") + log_precision), jnp.exp(self.log_complement_of("mean") + log_precision)

    def log_prob(self, y: Any) -> Any:
        inside = (y >= 0) & (y <= self.trials)
        k = jnp.where(inside, y, 0.0)
        a, b = self._shapes()
        value = log_binomial(self.trials, k) - log_gamma_ratio(self.precision, self.trials)
        value = value + log_gamma_ratio(a, k) + log_gamma_ratio(b, self.trials - k)
        return jnp.where(inside, value, -jnp.inf)

    def expectation(self) -> Any:
        return self.trials * self.mean

    def variance(self) -> Any:
        spread = 1.0 + (self.trials - 1.0) / (1.0 + self.precision)
        return self.trials * self.mean * jnp.exp(self.log_complement_of("mean")) * spread

    def quantile(self, q: Any) -> Any:
        return jnp.minimum(super().quantile(q), self.trials)

    def sample(self, key: jax.Array) -> Any:
        first, second = jax.random.split(key)
        a, b = self._shapes()
        x, y = (jax.random.loggamma(k, shape, dtype=jnp.float64) for k, shape in zip(jax.random.split(first), (a, b)))
        return Binomial(trials=self.trials, prob=jax.nn.sigmoid(x - y)).sample(second)

    @classmethod
    def outside(cls, y: np.ndarray, known: Mapping[str, np.ndarray]) -> np.ndarray:
        return Binomial.outside(y, known)

    @classmethod
    def recession(
        cls, y: np.ndarray, known: Mapping[str, np.ndarray], levels: tuple[Any, ...] | None
    ) -> tuple[Cone, ...]:
        n = known["trials"]
        return ends("mean", (y == 0) & (n > 0), (y == n) & (n > 0), (0.0, 1.0))

    @classmethod
    def degenerate(cls, y: np.ndarray, known: Mapping[str, np.ndarray]) -> str | None:
        if (np.asarray(known["trials"]) <= 1).all():
            return "no row has more than one trial, so that nothing is known of the precision"
        return all_alike(y, known["trials"])

    @classmethod
    def starts(cls, y: np.ndarray, weights: np.ndarray, known: Mapping[str, np.ndarray]) -> dict[str, Any]:
        trials = np.asarray(known["trials"], np.float64)
        mean = share(y, weights, trials)
        rows = trials > 1
        n, w = trials[rows], np.asarray(weights)[rows]
        if not rows.any():
            return {"mean": mean, "precision": 1.0}
        excess = np.sum(w * ((y[rows] - n * mean) ** 2 / (n * mean * (1 - mean)) - 1.0)) / np.sum(w * (n - 1.0))
        return {"mean": mean, "precision": float(np.clip(1.0 / max(excess, 1e-3) - 1.0, 0.5, 500.0))}

"""The binomial distribution."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ...numerics import log_betainc, log_betaincc
from ..cones import Cone, ends
from ..domains import UnitInterval
from . import count_kernels
from .base import Distribution, Known
from .supports import Support

SUCCESSES = Support(0.0, closed=(True, False), whole=True, words="a whole number from 0 to its trials, a whole number")


class Binomial(Distribution):
    """The number of successes in a known number of trials: `trials="column"`, each with the probability `prob`."""

    trials: Known
    prob: UnitInterval

    support = SUCCESSES
    title = "Binomial regression"
    concave = MappingProxyType({"prob": ("logit", "probit", "cloglog", "loglog")})

    def log_prob(self, y: Any) -> Any:
        inside = (y >= 0) & (y <= self.trials)
        counts = jnp.where(inside, y, 0.0)
        trials, counts = _floats(self.trials, counts)
        value = count_kernels.binomial(trials, counts, self.log_of("prob"), self.log_complement_of("prob"))
        return jnp.where(inside, value, -jnp.inf)

    def expectation(self) -> Any:
        return self.trials * self.prob

    def variance(self) -> Any:
        return self.trials * self.prob * jnp.exp(self.log_complement_of("prob"))

    def log_cdf(self, y: Any) -> Any:
        y = jnp.floor(y)
        inside = (y >= 0) & (y < self.trials)
        k = jnp.where(inside, y, 0.0)
        value = log_betaincc(k + 1.0, jnp.where(inside, self.trials - k, 1.0), self.prob)
        return jnp.where(inside, value, jnp.where(y < 0, -jnp.inf, 0.0))

    def log_survival(self, y: Any) -> Any:
        y = jnp.floor(y)
        inside = (y >= 0) & (y < self.trials)
        k = jnp.where(inside, y, 0.0)
        value = log_betainc(k + 1.0, jnp.where(inside, self.trials - k, 1.0), self.prob)
        return jnp.where(inside, value, jnp.where(y < 0, 0.0, -jnp.inf))

    def quantile(self, q: Any) -> Any:
        return jnp.minimum(super().quantile(q), self.trials)

    def saturated_log_prob(self, y: Any) -> Any:
        y, n = _floats(y, self.trials)
        both = (y > 0) & (y < n)
        k, m = jnp.where(both, y, 1.0), jnp.where(both, n, 2.0)
        value = count_kernels.binomial(m, k, jnp.log(k) - jnp.log(m), jnp.log(m - k) - jnp.log(m))
        return jnp.where(both, value, 0.0)

    def expected_log_prob(self, truth: Binomial) -> Any:
        failures = truth.trials * jnp.exp(truth.log_complement_of("prob"))
        # log of the binomial coefficient does not depend on prob
        return truth.expectation() * self.log_of("prob") + failures * self.log_complement_of("prob")

    @classmethod
    def outside(cls, y: np.ndarray, known: Mapping[str, np.ndarray]) -> np.ndarray:
        trials = np.asarray(known["trials"])
        return ~cls.support.holds(y) | ~cls.support.holds(trials) | (y > trials)

    @classmethod
    def recession(
        cls, y: np.ndarray, known: Mapping[str, np.ndarray], levels: tuple[Any, ...] | None
    ) -> tuple[Cone, ...]:
        n = known["trials"]
        return ends("prob", (y == 0) & (n > 0), (y == n) & (n > 0), (0.0, 1.0))

    @classmethod
    def degenerate(cls, y: np.ndarray, known: Mapping[str, np.ndarray]) -> str | None:
        return all_alike(y, known["trials"])

    @classmethod
    def starts(cls, y: np.ndarray, weights: np.ndarray, known: Mapping[str, np.ndarray]) -> dict[str, Any]:
        return {"prob": share(y, weights, known["trials"])}


def _floats(*values: Any) -> tuple[jax.Array, ...]:
    return tuple(jnp.asarray(v, jnp.result_type(float)) for v in values)


def all_alike(y: np.ndarray, trials: np.ndarray) -> str | None:
    """Why no probability fits best where all trials succeeded, or none."""
    if not np.any(y):
        return f"none of the {trials.sum():,.0f} trials succeeded: the likelihood grows as every probability goes to 0"
    if (y == trials).all():
        return f"all {trials.sum():,.0f} trials succeeded: the likelihood grows as every probability goes to 1"
    return None


def share(y: np.ndarray, weights: np.ndarray, trials: np.ndarray) -> float:
    """The share of successes, inside (0, 1)."""
    return float((np.sum(weights * y) + 0.5) / (np.sum(weights * trials) + 1.0))

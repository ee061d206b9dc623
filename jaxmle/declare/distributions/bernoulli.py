"""The Bernoulli distribution."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..cones import Cone, ends
from ..domains import UnitInterval
from ..linear import Linear
from .base import Distribution, weighted_mean
from .levels import encode_binary
from .supports import BINARY


class Bernoulli(Distribution):
    """A binary response: P(Y = 1) = prob.

    Links for `prob`: logit (logistic regression), probit, cloglog, loglog, cauchit, log.
    """

    prob: UnitInterval

    support = BINARY
    title = "Bernoulli"
    concave = MappingProxyType({"prob": ("logit", "probit", "cloglog", "loglog")})

    def log_prob(self, y: Any) -> Any:
        return self.log_of_outcome("prob", y > 0.5)

    def expectation(self) -> Any:
        return self.prob

    def variance(self) -> Any:
        return self.prob * (1 - self.prob)

    def log_cdf(self, y: Any) -> Any:
        return jnp.where(y < 0, -jnp.inf, jnp.where(y < 1, self.log_complement_of("prob"), 0.0))

    def log_survival(self, y: Any) -> Any:
        return jnp.where(y < 0, 0.0, jnp.where(y < 1, self.log_of("prob"), -jnp.inf))

    def quantile(self, q: Any) -> Any:
        return jnp.where(q <= 1 - self.prob, 0.0, 1.0)

    def sample(self, key: jax.Array) -> Any:
        return jax.random.bernoulli(key, self.prob).astype(jnp.float64)

    def saturated_log_prob(self, y: Any) -> Any:
        return jnp.zeros(())

    def expected_log_prob(self, truth: Bernoulli) -> Any:
        return truth.prob * self.log_of("prob") + (1 - truth.prob) * self.log_complement_of("prob")

    @classmethod
    def heading(cls, params: Mapping[str, Any]) -> str:
        prob = params["prob"]
        names = {"logit": "Logistic regression", "probit": "Probit regression"}
        return names.get(prob.link.name, "Binary regression") if isinstance(prob, Linear) else "Bernoulli"

    @classmethod
    def encode(cls, data: Any, name: str, levels: tuple[Any, ...] | None) -> tuple[np.ndarray, tuple[Any, ...] | None]:
        return encode_binary(data, name, levels)

    @classmethod
    def degenerate(cls, y: np.ndarray, known: Mapping[str, np.ndarray]) -> str | None:
        first = y[0]
        if (y == first).all():
            return (
                f"all {len(y):,} responses are {first:g}: the likelihood grows as every probability goes to {first:g}"
            )
        return None

    @classmethod
    def recession(
        cls, y: np.ndarray, known: Mapping[str, np.ndarray], levels: tuple[Any, ...] | None
    ) -> tuple[Cone, ...]:
        return ends("prob", y < 0.5, y > 0.5, (0.0, 1.0))

    @classmethod
    def starts(cls, y: np.ndarray, weights: np.ndarray, known: Mapping[str, np.ndarray]) -> dict[str, Any]:
        n = float(weights.sum())
        return {"prob": (weighted_mean(y, weights) * n + 0.5) / (n + 1.0)}

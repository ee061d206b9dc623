"""Excesses over a known threshold: the Pareto (Lomax) and the generalised Pareto distribution."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from ...numerics import log1mexp
from ...numerics.limits import expm1_ratio, log1p_ratio
from ..domains import Positive, Real
from .base import Distribution
from .summaries import l_moments, unchanging
from .supports import NONNEGATIVE


class Pareto(Distribution):
    """The Pareto distribution of type II (Lomax), of excesses: P(Y > y) = (1 + y / scale)^-shape for y >= 0."""

    scale: Positive
    shape: Positive

    support = NONNEGATIVE
    title = "Pareto regression"

    def log_prob(self, y: Any) -> Any:
        inside = (y >= 0) & (y < jnp.inf)
        growth = jnp.log1p(jnp.where(inside, y, 0.0) / self.scale)
        value = self.log_of("shape") - self.log_of("scale") - (self.shape + 1) * growth
        return jnp.where(inside, value, -jnp.inf)

    def log_cdf(self, y: Any) -> Any:
        inside = (y > 0) & (y < jnp.inf)
        value = log1mexp(self.shape * jnp.log1p(jnp.where(inside, y, 1.0) / self.scale))
        return jnp.where(inside, value, jnp.where(y > 0, 0.0, -jnp.inf))

    def log_survival(self, y: Any) -> Any:
        inside = y < jnp.inf
        value = -self.shape * jnp.log1p(jnp.where(inside, jnp.maximum(y, 0.0), 0.0) / self.scale)
        return jnp.where(inside, value, -jnp.inf)

    def expectation(self) -> Any:
        exists = self.shape > 1
        return jnp.where(exists, self.scale / jnp.where(exists, self.shape - 1, 1.0), jnp.inf)

    def variance(self) -> Any:
        exists = self.shape > 2
        shape = jnp.where(exists, self.shape, 3.0)
        return jnp.where(exists, (self.scale / (shape - 1)) ** 2 * shape / (shape - 2), jnp.inf)

    def quantile(self, q: Any) -> Any:
        return self.scale * jnp.expm1(-jnp.log1p(-q) / self.shape)

    @classmethod
    def degenerate(cls, y: np.ndarray, known: Mapping[str, np.ndarray]) -> str | None:
        return _all_zero(y)

    @classmethod
    def starts(cls, y: np.ndarray, weights: np.ndarray, known: Mapping[str, np.ndarray]) -> dict[str, Any]:
        mean, second, _ = l_moments(y, weights)
        xi = float(np.clip(2 - mean / second, 0.05, 0.9))
        return {"scale": max(mean, 1e-300) * (1 - xi) / xi, "shape": 1 / xi}


class GeneralizedPareto(Distribution):
    """The generalised Pareto distribution, of excesses: P(Y > y) = (1 + shape y / scale)^(-1/shape) for y >= 0.

    At shape = 0 it is the exponential distribution. For shape < 0 it ends at -scale / shape: beyond, the log-density is
    -inf, and no step is taken there. (Below shape = -1 the likelihood has no maximum; one found above is local.)
    """

    scale: Positive
    shape: Real

    support = NONNEGATIVE
    title = "Generalised Pareto regression"

    def _inside(self, y: Any) -> tuple[Any, Any, Any]:
        """Whether y is in the support, z = y / scale, and shape z; both 0 outside."""
        z = jnp.where(jnp.isfinite(y), y, 0.0) / self.scale
        inside = (y >= 0) & (y < jnp.inf) & (self.shape * z > -1)
        z = jnp.where(inside, z, 0.0)
        return inside, z, jnp.where(inside, self.shape * z, 0.0)

    def log_prob(self, y: Any) -> Any:
        inside, z, x = self._inside(y)
        return jnp.where(inside, -jnp.log1p(x) - z * log1p_ratio(x) - self.log_of("scale"), -jnp.inf)

    def log_cdf(self, y: Any) -> Any:
        inside, z, x = self._inside(y)
        proper = inside & (z > 0)
        hazard = jnp.where(proper, z, 1.0) * log1p_ratio(jnp.where(proper, x, 0.0))
        return jnp.where(proper, log1mexp(hazard), jnp.where(y > 0, 0.0, -jnp.inf))

    def log_survival(self, y: Any) -> Any:
        inside, z, x = self._inside(y)
        return jnp.where(inside, -z * log1p_ratio(x), jnp.where(y > 0, -jnp.inf, 0.0))

    def expectation(self) -> Any:
        exists = self.shape < 1
        return jnp.where(exists, self.scale / jnp.where(exists, 1 - self.shape, 1.0), jnp.inf)

    def variance(self) -> Any:
        exists = self.shape < 0.5
        shape = jnp.where(exists, self.shape, 0.0)
        return jnp.where(exists, (self.scale / (1 - shape)) ** 2 / (1 - 2 * shape), jnp.inf)

    def quantile(self, q: Any) -> Any:
        hazard = -jnp.log1p(-q)
        return self.scale * hazard * expm1_ratio(self.shape * hazard)

    @classmethod
    def degenerate(cls, y: np.ndarray, known: Mapping[str, np.ndarray]) -> str | None:
        return unchanging(y, "the end of the support, -scale / shape, comes close to them")

    @classmethod
    def starts(cls, y: np.ndarray, weights: np.ndarray, known: Mapping[str, np.ndarray]) -> dict[str, Any]:
        mean, second, _ = l_moments(y, weights)  # Hosking and Wallis (1987)
        shape = float(np.clip(2 - mean / second, -0.4, 0.9))
        scale = max(mean, 1e-300) * (1 - shape)
        return {"scale": max(scale, -1.05 * shape * float(np.max(y))), "shape": shape}


def _all_zero(y: np.ndarray) -> str | None:
    if y.any():
        return None
    return f"all {len(y):,} responses are 0: the likelihood grows without limit as scale goes to 0"

"""The generalised extreme-value distribution."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from ...numerics import log_factorial
from ...numerics.limits import expm1_ratio, log1mexp_exp, log1p_ratio
from ..domains import Positive, Real
from .base import Distribution
from .summaries import EULER, l_moments, unchanging

ZETA = (1.6449340668482264, 1.2020569031595943, 1.0823232337111382, 1.0369277551433699, 1.0173430619844491)
"""Riemann's zeta function at 2, 3, ..., 6."""


class GEV(Distribution):
    """The generalised extreme-value distribution: P(Y <= y) = exp(-(1 + shape z)^(-1/shape)), z = (y - loc) / scale.

    At shape = 0 it is the Gumbel distribution; shape > 0 is Fréchet's (heavy right tail), shape < 0 Weibull's, which
    ends at loc - scale / shape. Outside the support the log-density is -inf, and no step is taken there. (Below
    shape = -1 the likelihood has no maximum; one found above is local.) Source: Coles (2001).
    """

    loc: Real
    scale: Positive
    shape: Real

    title = "Generalised extreme-value regression"

    def _inside(self, y: Any) -> tuple[Any, Any, Any]:
        """Whether y is in the support, shape z, and -log(-log P(Y <= y)); both 0 outside."""
        z = (jnp.where(jnp.isfinite(y), y, self.loc) - self.loc) / self.scale
        inside = jnp.isfinite(y) & (self.shape * z > -1)
        z = jnp.where(inside, z, 0.0)
        x = jnp.where(inside, self.shape * z, 0.0)
        return inside, x, z * log1p_ratio(x)

    def log_prob(self, y: Any) -> Any:
        inside, x, u = self._inside(y)
        return jnp.where(inside, -jnp.log1p(x) - u - jnp.exp(-u) - self.log_of("scale"), -jnp.inf)

    def log_cdf(self, y: Any) -> Any:
        inside, _, u = self._inside(y)
        return jnp.where(inside, -jnp.exp(-u), jnp.where(y > self.loc, 0.0, -jnp.inf))

    def log_survival(self, y: Any) -> Any:
        inside, _, u = self._inside(y)
        return jnp.where(inside, log1mexp_exp(-u), jnp.where(y > self.loc, -jnp.inf, 0.0))

    def expectation(self) -> Any:
        exists = self.shape < 1
        shape = jnp.where(exists, self.shape, 0.0)
        slope = _log_gamma_slope(shape)
        return jnp.where(exists, self.loc + self.scale * slope * expm1_ratio(shape * slope), jnp.inf)

    def variance(self) -> Any:
        exists = self.shape < 0.5
        shape = jnp.where(exists, self.shape, 0.0)
        near = jnp.abs(shape) < 1e-3
        far = jnp.where(near, 0.25, shape)
        # (log gamma(1 - 2 s) - 2 log gamma(1 - s)) / s², by its power series near zero
        series = sum(z * (2.0**k - 2) / k * shape ** (k - 2) for k, z in enumerate(ZETA, start=2))
        bend = jnp.where(near, series, (log_factorial(-2 * far) - 2 * log_factorial(-far)) / far**2)
        spread = bend * expm1_ratio(shape**2 * bend) * jnp.exp(2 * shape * _log_gamma_slope(shape))
        return jnp.where(exists, self.scale**2 * spread, jnp.inf)

    def quantile(self, q: Any) -> Any:
        u = -jnp.log(-jnp.log(q))
        return self.loc + self.scale * u * expm1_ratio(self.shape * u)

    @classmethod
    def degenerate(cls, y: np.ndarray, known: Mapping[str, np.ndarray]) -> str | None:
        return unchanging(y, "scale goes to 0")

    @classmethod
    def starts(cls, y: np.ndarray, weights: np.ndarray, known: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """By L-moments (Hosking, Wallis and Wood, 1985), widened until all responses are inside."""
        mean, second, skewness = l_moments(y, weights)
        c = 2 / (3 + skewness) - math.log(2) / math.log(3)
        shape = float(np.clip(-(7.859 * c + 2.9554 * c**2), -0.4, 0.8))
        if abs(shape) < 1e-6:
            scale = second / math.log(2)
            return {"loc": mean - EULER * scale, "scale": scale, "shape": 0.0}
        gamma = math.gamma(1 - shape)
        scale = second * shape / (gamma * (2**shape - 1))
        loc = mean - scale * (gamma - 1) / shape
        farthest = float(np.max(-np.sign(shape) * (np.asarray(y) - loc)))  # towards the end of the support
        return {"loc": loc, "scale": max(scale, 1.05 * abs(shape) * farthest), "shape": shape}


def _log_gamma_slope(shape: Any) -> Any:
    """log gamma(1 - s) / s, which is Euler's constant at 0."""
    near = jnp.abs(shape) < 1e-3
    far = jnp.where(near, 0.5, shape)
    series = EULER + sum(z / k * shape ** (k - 1) for k, z in enumerate(ZETA, start=2))
    return jnp.where(near, series, log_factorial(-far) / far)

"""Distributions of loc + scale Z, for a fixed distribution of Z: Laplace, Cauchy, logistic, Gumbel."""

from __future__ import annotations

import abc
import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ...numerics import digamma, gammaln, log_sigmoid, logit
from ...numerics.limits import log1mexp_exp, log1p_square
from ..domains import Positive, Real
from ..links import LINKS
from .base import Distribution, weighted_mean, weighted_variance
from .summaries import EULER, half_spread, least_absolute_deviations, unchanging, weighted_median

LOG_2, LOG_PI = math.log(2.0), math.log(math.pi)


class LocationScale(Distribution):
    """loc + scale Z; a subclass writes the density of Z, and its distribution function where that is closed."""

    loc: Real
    scale: Positive

    @abc.abstractmethod
    def standard_log_prob(self, z: Any) -> Any:
        """The log-density of Z."""

    @abc.abstractmethod
    def standard_log_cdf(self, z: Any) -> Any:
        """log P(Z <= z) for finite z."""

    def standard_log_survival(self, z: Any) -> Any:
        """log P(Z > z) for finite z; that of a symmetric Z unless it is overridden."""
        return self.standard_log_cdf(-z)

    def standardised(self, y: Any) -> Any:
        """(y - loc) / scale, and 0 for infinite y."""
        finite = jnp.isfinite(y)
        return jnp.where(finite, (jnp.where(finite, y, 0.0) - self.loc) / self.scale, 0.0)

    def log_prob(self, y: Any) -> Any:
        return self.standard_log_prob((y - self.loc) / self.scale) - self.log_of("scale")

    def log_cdf(self, y: Any) -> Any:
        inside = self.standard_log_cdf(self.standardised(y))
        return jnp.where(y == jnp.inf, 0.0, jnp.where(y == -jnp.inf, -jnp.inf, inside))

    def log_survival(self, y: Any) -> Any:
        inside = self.standard_log_survival(self.standardised(y))
        return jnp.where(y == -jnp.inf, 0.0, jnp.where(y == jnp.inf, -jnp.inf, inside))

    @classmethod
    def degenerate(cls, y: np.ndarray, known: Mapping[str, np.ndarray]) -> str | None:
        return unchanging(y, "scale goes to 0")


class Laplace(LocationScale):
    """The Laplace (double exponential) distribution: exp(-|y - loc| / scale) / (2 scale); its loc is the median.

    The log-likelihood has a kink at every response, and its maximum over `loc` is at a kink: there are standard errors
    by expected information, and none by the Hessian.
    """

    title = "Laplace regression"

    def standard_log_prob(self, z: Any) -> Any:
        return -jnp.abs(z) - LOG_2

    def standard_log_cdf(self, z: Any) -> Any:
        return jnp.where(z < 0, z - LOG_2, jnp.log1p(-0.5 * jnp.exp(-jnp.maximum(z, 0.0))))

    def expectation(self) -> Any:
        return self.loc

    def variance(self) -> Any:
        return 2 * self.scale**2

    def quantile(self, q: Any) -> Any:
        return self.loc + self.scale * jnp.where(q < 0.5, jnp.log(2 * q), -jnp.log(2 * (1 - q)))

    def sample(self, key: jax.Array) -> Any:
        return self.loc + self.scale * jax.random.laplace(key, dtype=jnp.float64)

    def expected_log_prob(self, truth: Laplace) -> Any:
        v = (self.loc - truth.loc) / truth.scale
        w = jnp.abs(v)
        near = w < 1e-2
        far = jnp.where(near, 1.0, w)
        # E|Y - loc| / truth.scale - 1 = |v| + exp(-|v|) - 1, which has two derivatives at 0
        excess = jnp.where(near, v * v * (0.5 - w / 6 + w * w / 24), far + jnp.expm1(-far))
        return -truth.scale * (1 + excess) / self.scale - self.log_of("scale") - LOG_2

    @classmethod
    def regression_starts(cls, y: np.ndarray, weights: np.ndarray, x: np.ndarray, offset: np.ndarray) -> dict[str, Any]:
        """The maximum itself, for a linear predictor of loc (identity link) and one scale: least absolute deviations."""
        beta = least_absolute_deviations(x, y - offset, weights)
        error = weighted_mean(np.abs(y - offset - x @ beta), weights)
        return {"loc": beta, "scale": max(error, 1e-12 * max(1.0, float(np.abs(y).max())))}

    @classmethod
    def starts(cls, y: np.ndarray, weights: np.ndarray, known: Mapping[str, np.ndarray]) -> dict[str, Any]:
        loc = weighted_median(y, weights)
        return {"loc": loc, "scale": max(weighted_mean(np.abs(y - loc), weights), 1e-12 * max(1.0, abs(loc)))}


class Cauchy(LocationScale):
    """The Cauchy distribution, 1 / (pi scale (1 + z²)), z = (y - loc) / scale: Student's t with one degree of freedom.

    Its likelihood may have several local maxima in `loc`; the search begins at the median.
    """

    title = "Cauchy regression"

    def standard_log_prob(self, z: Any) -> Any:
        return -LOG_PI - log1p_square(z)

    def standard_log_cdf(self, z: Any) -> Any:
        tail = jnp.arctan2(jnp.ones_like(z), jnp.abs(z)) / math.pi  # P(Z > |z|)
        return jnp.where(z < 0, jnp.log(tail), jnp.log1p(-tail))

    def expectation(self) -> Any:
        return jnp.full_like(self.loc + self.scale, jnp.nan)

    def variance(self) -> Any:
        return jnp.full_like(self.loc + self.scale, jnp.nan)

    def quantile(self, q: Any) -> Any:
        return self.loc + self.scale * LINKS["cauchit"].forward(q)

    def sample(self, key: jax.Array) -> Any:
        return self.loc + self.scale * jax.random.cauchy(key, dtype=jnp.float64)

    @classmethod
    def degenerate(cls, y: np.ndarray, known: Mapping[str, np.ndarray]) -> str | None:
        values, counts = np.unique(y, return_counts=True)
        if 2 * counts.max() > len(y):
            tied = f"{counts.max():,} of {len(y):,} responses, more than half, are {values[counts.argmax()]:g}"
            return f"{tied}: the likelihood grows without limit as scale goes to 0 around them"
        return None

    @classmethod
    def starts(cls, y: np.ndarray, weights: np.ndarray, known: Mapping[str, np.ndarray]) -> dict[str, Any]:
        return {"loc": weighted_median(y, weights), "scale": half_spread(y, weights)}


class Logistic(LocationScale):
    """The logistic distribution: P(Y <= y) = 1 / (1 + exp(-(y - loc) / scale))."""

    title = "Logistic-distribution regression"
    concave = MappingProxyType({"loc": ("identity",)})
    one_optimum = one_optimum_censored = True

    def standard_log_prob(self, z: Any) -> Any:
        return log_sigmoid(z) + log_sigmoid(-z)

    def standard_log_cdf(self, z: Any) -> Any:
        return log_sigmoid(z)

    def expectation(self) -> Any:
        return self.loc

    def variance(self) -> Any:
        return (math.pi * self.scale) ** 2 / 3

    def quantile(self, q: Any) -> Any:
        return self.loc + self.scale * logit(q)

    @classmethod
    def starts(cls, y: np.ndarray, weights: np.ndarray, known: Mapping[str, np.ndarray]) -> dict[str, Any]:
        sd = math.sqrt(weighted_variance(y, weights))
        return {"loc": weighted_mean(y, weights), "scale": sd * math.sqrt(3.0) / math.pi}


class Gumbel(LocationScale):
    """The Gumbel distribution of maxima (right-skewed): P(Y <= y) = exp(-exp(-(y - loc) / scale))."""

    title = "Gumbel regression"
    concave = MappingProxyType({"loc": ("identity",)})
    one_optimum = one_optimum_censored = True

    def standard_log_prob(self, z: Any) -> Any:
        return -z - jnp.exp(-z)

    def standard_log_cdf(self, z: Any) -> Any:
        return -jnp.exp(-z)

    def standard_log_survival(self, z: Any) -> Any:
        return log1mexp_exp(-z)

    def expectation(self) -> Any:
        return self.loc + EULER * self.scale

    def variance(self) -> Any:
        return (math.pi * self.scale) ** 2 / 6

    def quantile(self, q: Any) -> Any:
        return self.loc - self.scale * jnp.log(-jnp.log(q))

    def expected_log_prob(self, truth: Gumbel) -> Any:
        shift, ratio = (truth.loc - self.loc) / self.scale, truth.scale / self.scale
        growth = jnp.exp(gammaln(1 + ratio) - shift)  # E exp(-z)
        return -(shift - digamma(1.0) * ratio) - growth - self.log_of("scale")

    @classmethod
    def starts(cls, y: np.ndarray, weights: np.ndarray, known: Mapping[str, np.ndarray]) -> dict[str, Any]:
        scale = math.sqrt(6 * weighted_variance(y, weights)) / math.pi
        return {"loc": weighted_mean(y, weights) - EULER * scale, "scale": scale}

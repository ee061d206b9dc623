"""The Tweedie distribution between the Poisson and the gamma: zeros and positive numbers in one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ...numerics import log1mexp, log_gammainc, log_gammaincc, logaddexp, logsumexp
from ...numerics.compound import TERMS, compound_series, corrections, spaced
from ...numerics.deviances import less_expm1
from ..domains import Interval, Positive
from . import numeric
from .base import Distribution, weighted_mean, weighted_variance
from .supports import NONNEGATIVE

LOG_2PI = math.log(2 * math.pi)


class Tweedie(Distribution):
    """The Tweedie distribution: Var Y = dispersion mean^power with 1 < power < 2, and P(Y = 0) > 0.

    The sum of N gamma variables, N a Poisson one. Its density is a deviance and a series over N that does not depend on the
    mean (`compound_series`), so that nothing cancels however far y is from it. Held to 1e-11 for powers from 1.01 to 1.99.
    """

    mean: Positive
    dispersion: Positive
    power: Interval(1.0, 2.0)  # type: ignore[valid-type]

    support = NONNEGATIVE
    title = "Tweedie regression"
    concave = MappingProxyType({"mean": ("log",)})

    def _compound(self) -> tuple[Any, Any, Any, Any]:
        """log of the Poisson rate, of the gamma scale, of the gamma shape over N; and the ratio of these shapes."""
        log_mean, log_phi = self.log_of("mean"), self.log_of("dispersion")
        above, below = self.power - 1, 2 - self.power
        log_rate = below * log_mean - log_phi - jnp.log(below)
        log_scale = above * log_mean + log_phi + jnp.log(above)
        return log_rate, log_scale, jnp.log(below) - jnp.log(above), below / above

    def _log_peak(self, log_y: Any) -> Any:
        """The logarithm of the N of the largest term of the density at y."""
        below = 2 - self.power
        return below * log_y - self.log_of("dispersion") - jnp.log(below)

    def log_prob(self, y: Any) -> Any:
        inside = (y > 0) & (y < jnp.inf)
        log_y = jnp.log(jnp.where(inside, y, 1.0))
        at_mean, deviance = self._parts(log_y)
        return jnp.where(inside, at_mean - deviance, jnp.where(y == 0, -jnp.exp(self._compound()[0]), -jnp.inf))

    def _parts(self, log_y: Any) -> tuple[Any, Any]:
        """The log density at y if that is the mean, and what is lost where it is not: half a deviance over dispersion."""
        above, below = self.power - 1, 2 - self.power
        alpha, away = below / above, self.log_of("mean") - log_y
        log_peak = self._log_peak(log_y)
        lost = less_expm1(below * away) + alpha * less_expm1(-above * away)
        return compound_series(log_peak, alpha) - log_y, -jnp.exp(log_peak) * lost

    def expectation(self) -> Any:
        return self.mean

    def variance(self) -> Any:
        return jnp.exp(self.log_of("dispersion") + self.power * self.log_of("mean"))

    def _log_tail(self, y: Any, upper: bool) -> Any:
        """log P(0 < Y <= y), or log P(Y > y): the sum over N of a Poisson probability and a gamma tail."""
        log_rate, log_scale, _, alpha = self._compound()
        edge = jnp.maximum(y, self.mean) if upper else jnp.minimum(y, self.mean)
        peak = jnp.exp(self._log_peak(jnp.log(edge)))
        low, step, _ = jax.lax.stop_gradient(spaced(peak, jnp.sqrt(peak)))
        n = low + step * jnp.arange(TERMS, dtype=low.dtype)
        tail = (log_gammaincc if upper else log_gammainc)(n * alpha, jnp.exp(jnp.log(y) - log_scale))
        poisson = n * less_expm1(log_rate - jnp.log(n)) - corrections(n, jnp.log(n))[0] - 0.5 * (LOG_2PI + jnp.log(n))
        return logsumexp(poisson + tail) + jnp.log(step)

    def _log_smaller(self, y: Any) -> tuple[Any, Any]:
        """Whether y is below the mean, and the logarithm of P(Y <= y) if so, else of P(Y > y); for finite y > 0."""
        lower = y < self.mean
        below = logaddexp(-jnp.exp(self._compound()[0]), self._log_tail(jnp.where(lower, y, self.mean), False))
        above = self._log_tail(jnp.where(lower, self.mean, y), True)
        return lower, jnp.minimum(jnp.where(lower, below, above), -1e-300)

    def log_cdf(self, y: Any) -> Any:
        inside = (y > 0) & (y < jnp.inf)
        lower, value = self._log_smaller(jnp.where(inside, y, 1.0))
        at_ends = jnp.where(y == 0, -jnp.exp(self._compound()[0]), jnp.where(y > 0, 0.0, -jnp.inf))
        return jnp.where(inside, jnp.where(lower, value, log1mexp(-value)), at_ends)

    def log_survival(self, y: Any) -> Any:
        inside = (y > 0) & (y < jnp.inf)
        lower, value = self._log_smaller(jnp.where(inside, y, 1.0))
        at_ends = jnp.where(y == 0, log1mexp(jnp.exp(self._compound()[0])), jnp.where(y > 0, -jnp.inf, 0.0))
        return jnp.where(inside, jnp.where(lower, log1mexp(-value), value), at_ends)

    def quantile(self, q: Any) -> Any:
        zero = jnp.exp(-jnp.exp(self._compound()[0]))
        above = q > zero
        return jnp.where(above, numeric.quantile(self, jnp.where(above, q, 0.5 * (1 + zero))), 0.0)

    def sample(self, key: jax.Array) -> Any:
        log_rate, log_scale, _, alpha = self._compound()
        first, second = jax.random.split(key)
        n = jax.random.poisson(first, jnp.exp(log_rate)).astype(jnp.float64)
        log_gamma = jax.random.loggamma(second, jnp.maximum(n, 1.0) * alpha, dtype=jnp.float64)
        return jnp.where(n > 0, jnp.exp(log_gamma + log_scale), 0.0)

    def phi(self) -> Any:
        return self.dispersion

    def saturated_log_prob(self, y: Any) -> Any:
        return jnp.where(y > 0, self._parts(jnp.log(jnp.where(y > 0, y, 1.0)))[0], 0.0)

    @classmethod
    def degenerate(cls, y: np.ndarray, known: Mapping[str, np.ndarray]) -> str | None:
        if not y.any():
            return f"all {len(y):,} responses are 0: the likelihood grows as every mean goes to 0"
        if (y == y[0]).all():
            return f"all {len(y):,} responses are {float(y[0]):g}: the likelihood grows without limit as dispersion goes to 0"
        return None

    @classmethod
    def starts(cls, y: np.ndarray, weights: np.ndarray, known: Mapping[str, np.ndarray]) -> dict[str, Any]:
        mean = max(weighted_mean(y, weights), 1e-300)
        return {"mean": mean, "dispersion": weighted_variance(y, weights) / mean**1.5, "power": 1.5}

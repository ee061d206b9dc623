"""Distributions with probability put on single values: zero-inflated, hurdle, and inflated at both ends of (0, 1)."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from ...numerics import log1mexp, logaddexp, logsubexp
from ..domains import UnitInterval
from .base import Distribution, Known
from .supports import CLOSED_UNIT, COUNT, Support


def positive_log_prob(d: Distribution) -> Any:
    """log P(Y > 0) of a distribution on counts, from its P(0): exact also where hardly a count is positive."""
    return log1mexp(-d.log_prob(jnp.zeros(()))) if d.support.whole and d.support.holds(0.0) else jnp.zeros(())


class ZeroInflated(Distribution):
    """Zero with probability `zero`, else a count from `inner`, which may be zero too (Lambert, 1992)."""

    inner: Known
    zero: UnitInterval

    support = COUNT
    title = "Zero-inflated regression"

    def log_prob(self, y: Any) -> Any:
        counted = self.log_complement_of("zero") + self.inner.log_prob(y)
        at_zero = logaddexp(
            self.log_of("zero"), self.log_complement_of("zero") + self.inner.log_prob(jnp.zeros_like(counted))
        )
        return jnp.where(y == 0, at_zero, counted)

    def expectation(self) -> Any:
        return (1 - self.zero) * self.inner.expectation()

    def variance(self) -> Any:
        return (1 - self.zero) * (self.inner.variance() + self.zero * self.inner.expectation() ** 2)

    def log_cdf(self, y: Any) -> Any:
        at = jnp.maximum(y, 0.0)
        inside = logaddexp(self.log_of("zero"), self.log_complement_of("zero") + self.inner.log_cdf(at))
        return jnp.where(y < 0, -jnp.inf, inside)

    def log_survival(self, y: Any) -> Any:
        at = jnp.maximum(y, 0.0)
        return jnp.where(y < 0, 0.0, self.log_complement_of("zero") + self.inner.log_survival(at))

    def quantile(self, q: Any) -> Any:
        rest = (q - self.zero) / (1 - self.zero)
        return jnp.where(rest <= 0, 0.0, self.inner.quantile(jnp.where(rest <= 0, 0.5, rest)))

    def sample(self, key: jax.Array) -> Any:
        first, second = jax.random.split(key)
        return jnp.where(jax.random.bernoulli(first, self.zero), 0.0, self.inner.sample(second))


class Hurdle(Distribution):
    """Zero with probability `zero`, else a draw from `inner` given that it is positive (Mullahy, 1986).

    `inner` is a distribution on counts or on positive numbers; the second are never zero, and stay as they are.
    """

    inner: Known
    zero: UnitInterval

    title = "Hurdle regression"

    @property
    def support(self) -> Support:  # type: ignore[override]
        return COUNT if self.inner.support.whole else Support(0.0, closed=(True, False), words="zero or positive")

    def _positive(self) -> Any:
        return positive_log_prob(self.inner)

    def log_prob(self, y: Any) -> Any:
        positive = y > 0
        beyond = self.log_complement_of("zero") - self._positive() + self.inner.log_prob(jnp.where(positive, y, 1.0))
        return jnp.where(positive, beyond, self.log_of("zero"))

    def expectation(self) -> Any:
        return (1 - self.zero) * self.inner.expectation() / jnp.exp(self._positive())

    def variance(self) -> Any:
        share = (1 - self.zero) / jnp.exp(self._positive())
        mean = self.inner.expectation()
        return share * (self.inner.variance() + mean**2) - (share * mean) ** 2

    def log_survival(self, y: Any) -> Any:
        positive = y > 0
        beyond = self.inner.log_survival(jnp.where(positive, y, 1.0)) - self._positive()
        here = self.log_complement_of("zero") + jnp.where(positive, beyond, 0.0)
        return jnp.where(y < 0, 0.0, here)

    def log_cdf(self, y: Any) -> Any:
        positive = y > 0
        up_to = self.inner.log_cdf(jnp.where(positive, y, 1.0))
        if self.inner.support.whole:
            up_to = logsubexp(up_to, self.inner.log_prob(jnp.zeros_like(up_to)))
        up_to = logaddexp(self.log_of("zero"), self.log_complement_of("zero") + up_to - self._positive())
        return jnp.where(y < 0, -jnp.inf, jnp.where(positive, up_to, self.log_of("zero")))

    def quantile(self, q: Any) -> Any:
        rest = (q - self.zero) / (1 - self.zero)
        none = -jnp.expm1(self._positive())
        within = none + jnp.where(rest <= 0, 0.5, rest) * (1 - none)
        found = self.inner.quantile(within)
        found = jnp.maximum(found, 1.0) if self.inner.support.whole else found
        return jnp.where(rest <= 0, 0.0, found)


class ZeroOneInflated(Distribution):
    """Zero with probability `zero`, one with probability `one`, else a draw from `inner` on (0, 1).

    Ospina & Ferrari (2010, Statistical Papers 51, 111-126). The two probabilities add up to less than one; where
    predictors would have them pass it, the density is NaN and a search turns back.
    """

    inner: Known
    zero: UnitInterval
    one: UnitInterval

    support = CLOSED_UNIT
    title = "Zero-and-one-inflated regression"

    def _inside(self) -> Any:
        return logsubexp(self.log_complement_of("zero"), self.log_of("one"))

    def log_prob(self, y: Any) -> Any:
        between = (y > 0) & (y < 1)
        inside = self._inside() + self.inner.log_prob(jnp.where(between, y, 0.5))
        return jnp.where(between, inside, jnp.where(y <= 0, self.log_of("zero"), self.log_of("one")))

    def expectation(self) -> Any:
        return self.one + (1 - self.zero - self.one) * self.inner.expectation()

    def variance(self) -> Any:
        share, mean = 1 - self.zero - self.one, self.inner.expectation()
        return self.one + share * (self.inner.variance() + mean**2) - self.expectation() ** 2

    def log_cdf(self, y: Any) -> Any:
        between = (y > 0) & (y < 1)
        inside = self._inside() + self.inner.log_cdf(jnp.where(between, y, 0.5))
        up_to = jnp.where(between, logaddexp(self.log_of("zero"), inside), self.log_of("zero"))
        return jnp.where(y < 0, -jnp.inf, jnp.where(y >= 1, 0.0, up_to))

    def log_survival(self, y: Any) -> Any:
        between = (y > 0) & (y < 1)
        inside = self._inside() + self.inner.log_survival(jnp.where(between, y, 0.5))
        above = jnp.where(between, logaddexp(self.log_of("one"), inside), self.log_complement_of("zero"))
        return jnp.where(y < 0, 0.0, jnp.where(y >= 1, -jnp.inf, above))

    def quantile(self, q: Any) -> Any:
        rest = (q - self.zero) / (1 - self.zero - self.one)
        inside = self.inner.quantile(jnp.where((rest > 0) & (rest < 1), rest, 0.5))
        return jnp.where(rest <= 0, 0.0, jnp.where(rest >= 1, 1.0, inside))

    def sample(self, key: jax.Array) -> Any:
        first, second = jax.random.split(key)
        u = jax.random.uniform(first, dtype=jnp.float64)
        inside = self.inner.sample(second)
        return jnp.where(u < self.zero, 0.0, jnp.where(u < self.zero + self.one, 1.0, inside))

"""Finite mixtures of distributions."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from ...numerics import logsumexp
from .base import Distribution, Known
from .supports import Support


class Mixed(Distribution):
    """A draw from one of several distributions, chosen with probabilities exp(log_weights)."""

    components: Known
    log_weights: Known

    title = "Mixture"

    @property
    def support(self) -> Support:  # type: ignore[override]
        return common_support([d.support for d in self.components])

    def _each(self, of: Any) -> Any:
        return jnp.stack([jnp.asarray(of(d)) for d in self.components])

    def _average(self, values: Any) -> Any:
        return jnp.tensordot(jnp.exp(self.log_weights), values, 1)

    def parts(self, y: Any) -> tuple[Any, Any]:
        """The logarithms of the share and of the density of `y`, of each component, shape (k,) each."""
        return self.log_weights, self._each(lambda d: d.log_prob(y))

    def log_prob(self, y: Any) -> Any:
        return logsumexp(sum(self.parts(y)))

    def expectation(self) -> Any:
        return self._average(self._each(lambda d: d.expectation()))

    def variance(self) -> Any:
        means, mean = self._each(lambda d: d.expectation()), self.expectation()
        if jnp.ndim(mean):
            spread = jax.vmap(jnp.outer)(means - mean, means - mean)
        else:
            spread = (means - mean) ** 2
        return self._average(self._each(lambda d: d.variance()) + spread)

    def log_cdf(self, y: Any) -> Any:
        return logsumexp(self.log_weights + self._each(lambda d: d.log_cdf(y)))

    def log_survival(self, y: Any) -> Any:
        return logsumexp(self.log_weights + self._each(lambda d: d.log_survival(y)))

    def sample(self, key: jax.Array) -> Any:
        first, *rest = jax.random.split(key, len(self.components) + 1)
        draws = jnp.stack([jnp.asarray(d.sample(k)) for d, k in zip(self.components, rest)])
        return draws[jax.random.categorical(first, self.log_weights)]

    def posterior(self, y: Any) -> Any:
        """The log-probability of each component given the response, shape (k,)."""
        joint = sum(self.parts(y))
        return joint - logsumexp(joint)


def common_support(supports: list[Support]) -> Support:
    """The smallest interval that holds all of several supports."""
    first = supports[0]
    if all(s == first for s in supports):
        return first
    low, high = min(s.low for s in supports), max(s.high for s in supports)
    closed = (
        any(s.closed[0] for s in supports if s.low == low),
        any(s.closed[1] for s in supports if s.high == high),
    )
    whole = all(s.whole for s in supports)
    return Support(low, high, closed, whole, " or ".join(dict.fromkeys(s.words for s in supports)))

"""Distributions of a label among k, counted from 0: unordered (softmax) and ordered (cutpoints of a latent variable)."""

from __future__ import annotations

import abc
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp

from ...errors import ModelError
from ...numerics import (
    categorical_logit_log_prob,
    log1mexp,
    log_ndtr,
    log_ndtr_interval,
    log_sigmoid,
    log_softmax,
    logsumexp,
)
from ...numerics.limits import log1mexp_exp
from .base import Distribution, Known
from .supports import COUNT


class Labelled(Distribution):
    """One of k labels; a subclass writes `log_probabilities`."""

    support = COUNT

    @abc.abstractmethod
    def log_probabilities(self) -> Any:
        """The log-probability of every label, shape (k,)."""

    def probabilities(self) -> Any:
        """The probability of every label, shape (k,)."""
        return jnp.exp(self.log_probabilities())

    def log_prob(self, y: Any) -> Any:
        each = self.log_probabilities()
        return jnp.sum(jnp.where(jnp.arange(each.shape[0]) == y, each, 0.0))

    def log_cdf(self, y: Any) -> Any:
        each = self.log_probabilities()
        return logsumexp(jnp.where(jnp.arange(each.shape[0]) <= y, each, -jnp.inf))

    def log_survival(self, y: Any) -> Any:
        each = self.log_probabilities()
        return logsumexp(jnp.where(jnp.arange(each.shape[0]) > y, each, -jnp.inf))

    def quantile(self, q: Any) -> Any:
        up_to = jnp.cumsum(self.probabilities())
        return jnp.sum(up_to[:-1] < q).astype(up_to.dtype)

    def sample(self, key: jax.Array) -> Any:
        return jax.random.categorical(key, self.log_probabilities()).astype(jnp.float64)

    def expectation(self) -> Any:
        raise ModelError("Labels have no expectation; ask for their probabilities: predict(what='prob').")

    def variance(self) -> Any:
        raise ModelError("Labels have no variance; ask for their probabilities: predict(what='prob').")

    def saturated_log_prob(self, y: Any) -> Any:
        return jnp.zeros(())

    def expected_log_prob(self, truth: Any) -> Any:
        return jnp.sum(truth.probabilities() * self.log_probabilities())


class Categorical(Labelled):
    """P(Y = k) proportional to exp(logits[k]); the logit of label 0, the reference, is zero."""

    logits: Known

    title = "Multinomial logistic regression"
    concave = MappingProxyType({"logits": ("identity",)})

    def _all(self) -> Any:
        return jnp.concatenate([jnp.zeros_like(self.logits[:1]), self.logits])

    def log_probabilities(self) -> Any:
        return log_softmax(self._all())

    def log_prob(self, y: Any) -> Any:
        return categorical_logit_log_prob(self._all(), y)


class Ordered(Labelled):
    """P(Y <= k) = F(cutpoints[k] - location) for k = 0, ..., K - 2 (McCullagh, 1980)."""

    cutpoints: Known
    location: Known

    title = "Ordinal regression"

    @abc.abstractmethod
    def lower(self, z: Any) -> Any:
        """log F(z)."""

    @abc.abstractmethod
    def upper(self, z: Any) -> Any:
        """log(1 - F(z))."""

    @abc.abstractmethod
    def between(self, low: Any, high: Any) -> Any:
        """log(F(high) - F(low)) for low < high."""

    def _cutpoint(self, k: Any) -> Any:
        """The cutpoint of number `k` from the location, 0 if there is none."""
        chosen = jnp.arange(self.cutpoints.shape[0]) == k
        return jnp.sum(jnp.where(chosen, self.cutpoints, 0.0)) - self.location

    def log_prob(self, y: Any) -> Any:
        first, last = y <= 0, y >= self.cutpoints.shape[0]
        low, high = self._cutpoint(y - 1), self._cutpoint(y)
        middle = (
            self.between(jnp.where(first, high - 1.0, low), jnp.where(last, low + 1.0, high)) if self._middle else 0.0
        )
        return jnp.where(first, self.lower(high), jnp.where(last, self.upper(low), middle))

    @property
    def _middle(self) -> bool:
        return self.cutpoints.shape[0] > 1

    def log_probabilities(self) -> Any:
        return jax.vmap(self.log_prob)(jnp.arange(self.cutpoints.shape[0] + 1))

    def log_cdf(self, y: Any) -> Any:
        y = jnp.floor(y)
        inside = (y >= 0) & (y < self.cutpoints.shape[0])
        value = self.lower(self._cutpoint(y))
        return jnp.where(inside, value, jnp.where(y < 0, -jnp.inf, 0.0))

    def log_survival(self, y: Any) -> Any:
        y = jnp.floor(y)
        inside = (y >= 0) & (y < self.cutpoints.shape[0])
        value = self.upper(self._cutpoint(y))
        return jnp.where(inside, value, jnp.where(y < 0, 0.0, -jnp.inf))


class OrderedLogit(Ordered):
    """Ordered labels by the logistic distribution: proportional odds."""

    title = "Ordered logistic regression"
    concave = MappingProxyType({"location": ("identity",)})
    one_optimum = True

    def lower(self, z: Any) -> Any:
        return log_sigmoid(z)

    def upper(self, z: Any) -> Any:
        return log_sigmoid(-z)

    def between(self, low: Any, high: Any) -> Any:
        return log_sigmoid(high) + log_sigmoid(-low) + log1mexp(high - low)


class OrderedProbit(Ordered):
    """Ordered labels by the normal distribution."""

    title = "Ordered probit regression"
    concave = MappingProxyType({"location": ("identity",)})
    one_optimum = True

    def lower(self, z: Any) -> Any:
        return log_ndtr(z)

    def upper(self, z: Any) -> Any:
        return log_ndtr(-z)

    def between(self, low: Any, high: Any) -> Any:
        return log_ndtr_interval(low, high)


class OrderedCLogLog(Ordered):
    """Ordered labels by F(z) = 1 - exp(-exp(z)): grouped proportional hazards."""

    title = "Ordered complementary log-log regression"
    concave = MappingProxyType({"location": ("identity",)})
    one_optimum = True

    def lower(self, z: Any) -> Any:
        return log1mexp_exp(z)

    def upper(self, z: Any) -> Any:
        return -jnp.exp(z)

    def between(self, low: Any, high: Any) -> Any:
        return -jnp.exp(low) + log1mexp_exp(high + log1mexp(high - low))


ORDERED: dict[str, type[Ordered]] = {"logit": OrderedLogit, "probit": OrderedProbit, "cloglog": OrderedCLogLog}
"""Link → distribution."""

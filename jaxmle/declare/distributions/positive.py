"""Distributions of a positive response: everything inside (0, inf) is written by a subclass, the ends are here."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np

from .base import Distribution
from .summaries import unchanging
from .supports import POSITIVE


class PositiveResponse(Distribution):
    """A response above zero; outside its density is 0, with derivatives of 0."""

    support = POSITIVE
    collapse: ClassVar[str] = "dispersion goes to 0"
    """What the parameters do where all responses are equal."""

    @abc.abstractmethod
    def inner_log_prob(self, y: Any) -> Any:
        """The log-density at finite y > 0."""

    @abc.abstractmethod
    def inner_log_cdf(self, y: Any) -> Any:
        """log P(Y <= y) at finite y > 0."""

    @abc.abstractmethod
    def inner_log_survival(self, y: Any) -> Any:
        """log P(Y > y) at finite y > 0."""

    def log_prob(self, y: Any) -> Any:
        inside = (y > 0) & (y < jnp.inf)
        return jnp.where(inside, self.inner_log_prob(jnp.where(inside, y, 1.0)), -jnp.inf)

    def log_cdf(self, y: Any) -> Any:
        inside = (y > 0) & (y < jnp.inf)
        value = self.inner_log_cdf(jnp.where(inside, y, 1.0))
        return jnp.where(inside, value, jnp.where(y > 0, 0.0, -jnp.inf))

    def log_survival(self, y: Any) -> Any:
        inside = (y > 0) & (y < jnp.inf)
        value = self.inner_log_survival(jnp.where(inside, y, 1.0))
        return jnp.where(inside, value, jnp.where(y > 0, -jnp.inf, 0.0))

    @classmethod
    def degenerate(cls, y: np.ndarray, known: Mapping[str, np.ndarray]) -> str | None:
        return unchanging(y, cls.collapse)

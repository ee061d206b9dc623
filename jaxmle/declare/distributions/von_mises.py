"""The von Mises distribution of angles, in radians."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ...numerics import bessel_ratio, von_mises_cdf
from ...numerics.bessel import log_i0e
from ..domains import Positive, Real
from .base import Distribution, weighted_mean
from .summaries import unchanging

LOG_2PI = math.log(2 * math.pi)


@dataclass(frozen=True)
class Angle(Real):
    """A direction in radians: any real number to the search, reported in (-pi, pi]."""

    def to_natural(self, u: Array) -> Array:
        return wrapped(u)

    def core_words(self) -> str:
        return "an angle in radians"


def wrapped(angle: Any) -> Any:
    """The angle less a multiple of 2 pi, in (-pi, pi]."""
    return angle - 2 * math.pi * jnp.ceil((angle - math.pi) / (2 * math.pi))


class VonMises(Distribution):
    """The von Mises distribution: exp(concentration cos(y - direction)) / (2 pi I0(concentration)), y in radians.

    A formula predicts the direction as 2 arctan(eta), Fisher and Lee's link (1992); eta is infinite at ±pi, so let
    zero be near the middle of the responses. Responses are angles modulo 2 pi. The expectation is the mean direction
    in (-pi, pi], the variance the circular one, 1 - I1 / I0 (Mardia and Jupp, 2000).
    """

    direction: Angle
    concentration: Positive

    title = "Von Mises regression"
    links = MappingProxyType({"direction": "circular"})

    def log_prob(self, y: Any) -> Any:
        half = jnp.sin(0.5 * (y - self.direction))
        return -2 * self.concentration * half**2 - LOG_2PI - log_i0e(self.concentration)

    def expectation(self) -> Any:
        return wrapped(self.direction)

    def variance(self) -> Any:
        return 1 - bessel_ratio(self.concentration)

    def log_cdf(self, y: Any) -> Any:
        """The logarithm of the probability of the arc from the point opposite to the direction up to y."""
        return jnp.log(von_mises_cdf(wrapped(y - self.direction), self.concentration))

    def log_survival(self, y: Any) -> Any:
        return jnp.log(von_mises_cdf(-wrapped(y - self.direction), self.concentration))

    def sample(self, key: jax.Array) -> Any:
        """By Best and Fisher's rejection (1979)."""
        k = self.concentration
        # r - 1 of their wrapped Cauchy envelope, without cancellation
        tau = 1 + jnp.sqrt(1 + 4 * k**2)
        rho = 2 * k / (tau + jnp.sqrt(2 * tau))
        r = jnp.where(k < 1e-4, 1 / jnp.maximum(k, 1e-300), (1 + rho**2) / (2 * rho))

        def trial(state):
            key, _, _ = state
            key, first, second = jax.random.split(key, 3)
            z = jnp.cos(math.pi * jax.random.uniform(first, dtype=jnp.float64))
            f = (1 + r * z) / (r + z)
            c = k * (r - f)
            u = jax.random.uniform(second, dtype=jnp.float64, minval=1e-300)
            return key, f, (c * (2 - c) > u) | (jnp.log(c / u) + 1 >= c)

        key, sign_key = jax.random.split(key)
        start = (key, jnp.ones_like(k), jnp.zeros_like(k, dtype=bool))
        _, f, _ = jax.lax.while_loop(lambda state: ~state[2], trial, start)
        sign = jnp.where(jax.random.bernoulli(sign_key), 1.0, -1.0)
        return wrapped(self.direction + sign * jnp.arccos(jnp.clip(f, -1.0, 1.0)))

    @classmethod
    def degenerate(cls, y: np.ndarray, known: Mapping[str, np.ndarray]) -> str | None:
        return unchanging(y, "concentration grows")

    @classmethod
    def starts(cls, y: np.ndarray, weights: np.ndarray, known: Mapping[str, np.ndarray]) -> dict[str, Any]:
        c, s = weighted_mean(np.cos(y), weights), weighted_mean(np.sin(y), weights)
        r = min(math.hypot(c, s), 1 - 1e-9)
        kappa = max(r * (2 - r**2) / (1 - r**2), 1e-3)  # Banerjee et al. (2005)
        return {"direction": math.atan2(s, c), "concentration": kappa}

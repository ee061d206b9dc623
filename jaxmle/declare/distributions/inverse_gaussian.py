"""The inverse Gaussian distribution, by its mean and dispersion."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ...numerics import inverse_mills, log1mexp, log_ndtr, logaddexp
from ..domains import Positive
from .base import weighted_mean
from .positive import PositiveResponse

LOG_ROOT_2PI = 0.5 * math.log(2 * math.pi)
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)


class InverseGaussian(PositiveResponse):
    """The inverse Gaussian distribution by its mean and its dispersion: Var Y = dispersion mean³ (lambda = 1 / it)."""

    mean: Positive
    dispersion: Positive

    title = "Inverse Gaussian regression"

    def inner_log_prob(self, y: Any) -> Any:
        return -0.5 * self._gap(y) ** 2 / (self.dispersion * y) + self.saturated_log_prob(y)

    def _gap(self, y: Any) -> Any:
        """y / mean - 1, with digits in value and derivative whether y is close to the mean or far from it."""
        return jnp.where(jnp.abs(y - self.mean) < 0.5 * self.mean, (y - self.mean) / self.mean, y / self.mean - 1)

    def _ends(self, y: Any) -> tuple[Any, Any]:
        """a and b with P(Y <= y) = Phi(a) + exp(2 / (mean dispersion)) Phi(-b)."""
        root = jnp.exp(-0.5 * (self.log_of("dispersion") + jnp.log(y)))
        ratio = y / self.mean
        return root * self._gap(y), root * (ratio + 1)

    def inner_log_cdf(self, y: Any) -> Any:
        lower, value = self._log_smaller(y)
        return jnp.where(lower, value, log1mexp(-value))

    def inner_log_survival(self, y: Any) -> Any:
        lower, value = self._log_smaller(y)
        return jnp.where(lower, log1mexp(-value), value)

    def _log_smaller(self, y: Any) -> tuple[Any, Any]:
        """Whether y is below the mean, and the logarithm of P(Y <= y) if so, else of P(Y > y)."""
        lower = y < self.mean
        # exp(2 / (mean dispersion)) phi(b) = phi(a): the second term is phi(a) times Mills' ratio at b
        a, b = self._ends(jnp.where(lower, y, self.mean))
        below = logaddexp(log_ndtr(a), -0.5 * a**2 - LOG_ROOT_2PI - jnp.log(inverse_mills(-b)))
        a, b = self._ends(jnp.where(lower, self.mean, y))
        return lower, jnp.where(lower, below, -0.5 * a**2 - LOG_ROOT_2PI + jnp.log(_mills_fall(a, b)))

    def expectation(self) -> Any:
        return self.mean

    def variance(self) -> Any:
        return self.dispersion * self.mean**3

    def sample(self, key: jax.Array) -> Any:
        """By the transformation of Michael, Schucany and Haas (1976)."""
        normal, uniform = jax.random.split(key)
        v = 0.5 * self.mean * self.dispersion * jax.random.normal(normal, dtype=jnp.float64) ** 2
        x = self.mean / (1 + v + jnp.sqrt(v * (2 + v)))  # the smaller root
        first = jax.random.uniform(uniform, dtype=jnp.float64) * (self.mean + x) <= self.mean
        return jnp.where(first, x, self.mean * (self.mean / x))

    def phi(self) -> Any:
        return self.dispersion

    def saturated_log_prob(self, y: Any) -> Any:
        return -0.5 * self.log_of("dispersion") - LOG_ROOT_2PI - 1.5 * jnp.log(y)

    def expected_log_prob(self, truth: InverseGaussian) -> Any:
        spread = ((truth.mean - self.mean) / self.mean) ** 2 / truth.mean + truth.dispersion
        return -0.5 * spread / self.dispersion - 0.5 * self.log_of("dispersion")

    @classmethod
    def starts(cls, y: np.ndarray, weights: np.ndarray, known: Mapping[str, np.ndarray]) -> dict[str, Any]:
        mean = weighted_mean(y, weights)
        return {"mean": mean, "dispersion": max(weighted_mean(1 / y, weights) - 1 / mean, 1e-12 / mean)}


def _mills_slope(t: Any) -> Any:
    """Minus the derivative of Mills' ratio M at t, 1 - t M(t), without the subtraction."""
    value, slope = jax.jvp(inverse_mills, (-t,), (jnp.ones_like(t),))
    return -slope / value**2


def _mills_fall(a: Any, b: Any) -> Any:
    """M(a) - M(b) of Mills' ratio M for a < b: by quadrature of its slope where the two are close."""
    close = b - a < jnp.maximum(1.0, 0.5 * a)
    low, high = jnp.where(close, a, 0.0), jnp.where(close, b, 1.0)
    half, middle = 0.5 * (high - low), 0.5 * (high + low)
    t = middle[..., None] + half[..., None] * jnp.asarray(_NODES, middle.dtype)
    near = half * jnp.sum(jnp.asarray(_WEIGHTS, middle.dtype) * _mills_slope(t), axis=-1)
    low, high = jnp.where(close, 0.0, a), jnp.where(close, 1.0, b)
    return jnp.where(close, near, 1 / inverse_mills(-low) - 1 / inverse_mills(-high))

"""The generalised gamma distribution, in Prentice's parameters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ...numerics import log1mexp, log_gamma_ratio, log_gammainc, log_gammaincc, stirling_correction
from ...numerics.limits import expm1_less_ratio, expm1_ratio, xlogx_less_ratio
from ...numerics.quadrature import integral, quadratic_reach, reach
from ...numerics.stirling import horner, series
from ..domains import Positive, Real
from .base import weighted_mean, weighted_variance
from .positive import PositiveResponse

LOG_ROOT_2PI = 0.5 * math.log(2 * math.pi)
SMALL = 0.3
"""Below this |shape| Stirling's series, in powers of shape², stands for log gamma(1 / shape²)."""


class GeneralizedGamma(PositiveResponse):
    """The generalised gamma distribution: Y = exp(mu + sigma W), shape W = log(shape² G), G gamma of shape 1 / shape².

    At shape = 0 it is the log-normal, at 1 the Weibull, at shape = sigma the gamma distribution; shape < 0 has a heavy
    tail. Source: Prentice (1974).
    """

    mu: Real
    sigma: Positive
    shape: Real

    title = "Generalised gamma regression"
    collapse = "sigma goes to 0"

    def _w(self, y: Any) -> Any:
        return (jnp.log(y) - self.mu) / self.sigma

    def _log_density_of_w(self, w: Any) -> Any:
        # with Stirling's formula taken out of log gamma, everything is a power series in shape near 0
        return -w * (w * expm1_less_ratio(self.shape * w)) - _correction(self.shape) - LOG_ROOT_2PI

    def inner_log_prob(self, y: Any) -> Any:
        return self._log_density_of_w(self._w(y)) - self.log_of("sigma") - jnp.log(y)

    def _log_smaller(self, y: Any) -> tuple[Any, Any]:
        """Whether y is below exp(mu), and the logarithm of P(Y <= y) if so, else of P(Y > y)."""
        w = self._w(y)
        lower = w < 0
        near = jnp.abs(self.shape) < 0.5
        q = jnp.where(near, self.shape, 0.0)
        tail = self._log_density_of_w(w) + jnp.log(_tail(w, q, jnp.where(lower, -1.0, 1.0)))
        far = jnp.where(near, 1.0, self.shape)
        k = 1 / far**2
        x = k * jnp.exp(jnp.clip(far * w, -600.0, 600.0))
        direct = jnp.where(lower == (far > 0), log_gammainc(k, x), log_gammaincc(k, x))
        return lower, jnp.where(near, tail, direct)

    def inner_log_cdf(self, y: Any) -> Any:
        lower, value = self._log_smaller(y)
        return jnp.where(lower, value, log1mexp(-value))

    def inner_log_survival(self, y: Any) -> Any:
        lower, value = self._log_smaller(y)
        return jnp.where(lower, log1mexp(-value), value)

    def _log_moment(self, r: float) -> Any:
        """log E (Y / exp(mu))^r; inf where there is none."""
        rs = r * self.sigma
        exists = rs * self.shape > -1
        near = jnp.abs(self.shape) < SMALL
        q = jnp.where(near & exists, self.shape, 0.0)
        c = q * rs
        series = rs**2 * xlogx_less_ratio(c) - 0.5 * jnp.log1p(c) + _correction(q / jnp.sqrt(1 + c)) - _correction(q)
        far = jnp.where(near | ~exists, 1.0, self.shape)
        direct = log_gamma_ratio(1 / far**2, rs / far) + rs / far * jnp.log(far**2)
        return jnp.where(exists, jnp.where(near, series, direct), jnp.inf)

    def expectation(self) -> Any:
        return jnp.exp(self.mu + self._log_moment(1.0))

    def variance(self) -> Any:
        first, second = self._log_moment(1.0), self._log_moment(2.0)
        exists = second < jnp.inf
        first, second = jnp.where(exists, first, 0.0), jnp.where(exists, second, 0.0)
        return jnp.where(exists, jnp.exp(2 * (self.mu + first)) * jnp.expm1(second - 2 * first), jnp.inf)

    def sample(self, key: jax.Array) -> Any:
        normal = jnp.abs(self.shape) < 1e-7
        q = jnp.where(normal, 1.0, self.shape)
        first, second = jax.random.split(key)
        log_gamma = jax.random.loggamma(first, 1 / q**2, dtype=jnp.float64) + jnp.log(q**2)
        w = jnp.where(normal, jax.random.normal(second, dtype=jnp.float64), log_gamma / q)
        return jnp.exp(self.mu + self.sigma * w)

    @classmethod
    def starts(cls, y: np.ndarray, weights: np.ndarray, known: Mapping[str, np.ndarray]) -> dict[str, Any]:
        x = np.log(y)
        return {"mu": weighted_mean(x, weights), "sigma": math.sqrt(weighted_variance(x, weights)), "shape": 0.0}


def _correction(q: Any) -> Any:
    """Stirling's correction of log gamma at 1 / q²."""
    near = jnp.abs(q) < SMALL
    u = jnp.where(near, q, 0.0) ** 2
    return jnp.where(near, u * horner(series(-1), u * u), stirling_correction(1 / jnp.where(near, 1.0, q) ** 2))


def _tail(w: Any, q: Any, sign: Any) -> Any:
    """The integral over s > 0 of the density of W at w + sign s over that at w, for |q| < 1/2 and sign w >= 0."""
    slope = jnp.abs(w) * expm1_ratio(q * w)
    bend = jnp.exp(q * w)

    def fall(s, slope, bend, tilt):
        return s * (slope + bend * s * expm1_less_ratio(tilt * s)), slope + bend * s * expm1_ratio(tilt * s)

    length = reach(fall, lambda slope, bend, _: quadratic_reach(slope, bend), slope, bend, sign * q)
    e = lambda v: jnp.asarray(v)[..., None]

    def ratio(s):
        return jnp.exp(-s * (e(slope) + e(bend) * s * expm1_less_ratio(e(sign * q) * s)))

    return integral(ratio, length)

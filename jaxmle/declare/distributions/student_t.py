"""Student's t distribution, with a location and a scale."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ...numerics import log_gamma_ratio, log_student_t_cdf, log_student_t_sf, student_t_quantile
from ...numerics.deviances import log1pmx
from ...numerics.limits import log1p_square
from ..domains import Positive
from .location_scale import LocationScale
from .summaries import half_spread, weighted_median

LOG_ROOT_2PI = 0.5 * math.log(2 * math.pi)
NORMAL_NEAR = 0.3
"""Below this z² / df the density is the normal one times a correction in which nothing cancels."""

LARGE = 40.0
_SERIES = (-1 / 8, 1 / 192, -1 / 640, 17 / 14336, -31 / 18432)


class StudentT(LocationScale):
    """Student's t distribution of (y - loc) / scale with `df` degrees of freedom, any positive number."""

    df: Positive

    title = "Student's t regression"

    def standard_log_prob(self, z: Any) -> Any:
        root = jnp.exp(0.5 * self.log_of("df"))
        s = z / root
        near = jnp.abs(s) < math.sqrt(NORMAL_NEAR)
        u = jnp.where(near, s, 0.0) ** 2
        v = jnp.where(near, z, 0.0)
        normal = -0.5 * v * v - 0.5 * self.df * log1pmx(u, jnp.log1p(u)) - 0.5 * jnp.log1p(u)
        tail = -0.5 * (self.df + 1) * log1p_square(jnp.where(near, 1.0, s))
        return jnp.where(near, normal, tail) + _log_norm(self.df) - LOG_ROOT_2PI

    def standard_log_cdf(self, z: Any) -> Any:
        return log_student_t_cdf(z, self.df)

    def standard_log_survival(self, z: Any) -> Any:
        return log_student_t_sf(z, self.df)

    def expectation(self) -> Any:
        return jnp.where(self.df > 1, self.loc, jnp.nan)

    def variance(self) -> Any:
        finite = self.df > 2
        value = self.scale**2 * self.df / jnp.where(finite, self.df - 2, 1.0)
        return jnp.where(finite, value, jnp.where(self.df > 1, jnp.inf, jnp.nan))

    def quantile(self, q: Any) -> Any:
        return self.loc + self.scale * student_t_quantile(q, self.df)

    def sample(self, key: jax.Array) -> Any:
        return self.loc + self.scale * jax.random.t(key, self.df, dtype=jnp.float64)

    @classmethod
    def starts(cls, y: np.ndarray, weights: np.ndarray, known: Mapping[str, np.ndarray]) -> dict[str, Any]:
        return {"loc": weighted_median(y, weights), "scale": 1.3 * half_spread(y, weights), "df": 5.0}


def _log_norm(df: Any) -> Any:
    """log gamma((df + 1) / 2) - log gamma(df / 2) - log(df / 2) / 2, which is about -1 / (4 df)."""
    large = df > LARGE
    u = 2 / jnp.where(large, df, LARGE)
    w = u * u
    total = jnp.zeros_like(u)
    for c in reversed(_SERIES):
        total = c + w * total
    half = 0.5 * jnp.where(large, LARGE, df)
    return jnp.where(large, u * total, log_gamma_ratio(half, 0.5) - 0.5 * jnp.log(half))

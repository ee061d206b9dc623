"""The coefficients of stationary autoregressions and of invertible moving averages, by their partial autocorrelations."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import jax.numpy as jnp
import numpy as np
from jax import Array

from ..domains import Bounds
from ..links import LINKS, Link, interval
from ..matrices import _Several

BORDER = 1e-9
"""How far from one in size the partial autocorrelations of a given value must be."""


@dataclass(frozen=True)
class Stationary(_Several):
    """k coefficients φ with which y_t = φ_1 y_{t-1} + ... + φ_k y_{t-k} + e_t is stationary.

    The free values are inverse hyperbolic tangents of the partial autocorrelations (Monahan, 1984, Biometrika 71,
    403-404); they are mapped by the Durbin-Levinson recursion, one to one onto all such coefficients.
    """

    sign: ClassVar[float] = -1.0
    """Of what the recursion adds."""

    process: ClassVar[str] = "a stationary autoregression"

    @property
    def core_free(self) -> tuple[int, ...]:
        return (self.k,)

    def to_natural(self, u: Array) -> Array:
        return from_partials(jnp.tanh(u), self.sign)

    def to_free(self, theta: Array) -> Array:
        return jnp.arctanh(partials_of(theta, self.sign))

    def core_default(self) -> np.ndarray:
        return np.zeros(self.k)

    def core_links(self) -> tuple[Link, ...]:
        return tuple(interval(low, high) for low, high in self.core_bounds()[:-1]) + (LINKS["atanh"],)

    def core_bounds(self) -> Bounds:
        return tuple((-1.0 * math.comb(self.k, j), 1.0 * math.comb(self.k, j)) for j in range(1, self.k + 1))

    def core_words(self) -> str:
        return f"the {self.k} coefficient{'s' * (self.k > 1)} of {self.process}"

    def fault(self, theta: np.ndarray) -> tuple[tuple[int, ...], str] | None:
        for at in np.ndindex(*theta.shape[:-1]):
            size = np.abs(known_partials(theta[at], self.sign)).max()
            if not size < 1 - BORDER:
                return at, f"has a partial autocorrelation of size {size:.6g}, and not all of them below 1"
        return None


@dataclass(frozen=True)
class Invertible(Stationary):
    """k coefficients θ of an invertible moving average y_t = e_t + θ_1 e_{t-1} + ... + θ_k e_{t-k}: -θ is `Stationary`."""

    sign: ClassVar[float] = 1.0
    process: ClassVar[str] = "an invertible moving average"


def from_partials(r: Array, sign: float = -1.0) -> Array:
    """The coefficients (..., k) of partial autocorrelations (..., k)."""
    phi = r[..., :1]
    for j in range(1, r.shape[-1]):
        last = r[..., j : j + 1]
        phi = jnp.concatenate([phi + sign * last * phi[..., ::-1], last], axis=-1)
    return phi


def orders(phi: Array) -> list[Array]:
    """The coefficients of the best predictions from 0, 1, ..., k values before: k + 1 arrays (j,), the last is `phi`."""
    found = [phi]
    for j in range(phi.shape[-1] - 1, -1, -1):
        last, before = phi[j], phi[:j]
        phi = (before + last * before[::-1]) / (1.0 - last * last)
        found.append(phi)
    return found[::-1]


def partials_of(theta: Array, sign: float = -1.0) -> Array:
    """The partial autocorrelations (..., k) of coefficients (..., k): the inverse of `from_partials`."""
    out = []
    for j in range(theta.shape[-1] - 1, -1, -1):
        last, before = theta[..., j : j + 1], theta[..., :j]
        out.append(last)
        theta = (before - sign * last * before[..., ::-1]) / (1.0 - last * last)
    return jnp.concatenate(out[::-1], axis=-1)


def known_partials(theta: np.ndarray, sign: float = -1.0) -> np.ndarray:
    """`partials_of` of given numbers (k,); infinite from where one is not below 1 in size."""
    out = np.full(len(theta), np.inf)
    for j in range(len(theta) - 1, -1, -1):
        out[j] = last = theta[j]
        if not abs(last) < 1:
            break
        theta = (theta[:j] - sign * last * theta[:j][::-1]) / (1.0 - last * last)
    return out

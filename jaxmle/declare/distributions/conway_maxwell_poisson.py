"""The Conway-Maxwell-Poisson distribution."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ..domains import Positive
from . import count_kernels, sums
from .base import weighted_mean, weighted_variance
from .counts import CountResponse

WIDE = 150.0
"""From this value of dispersion times location on, the distribution is far from zero."""

SMOOTH = 2.25
"""With this variance, location / dispersion, and more, a sum over counts is an integral, to exp(-2 pi² 2.25) = 1e-19."""

STRIDE = 0.6
"""A sum of a normal density over points 0.6 standard deviations apart is its integral, to exp(-2 pi² / 0.36) = 1e-24."""

STRIDES = np.arange(-18, 19)


class ConwayMaxwellPoisson(CountResponse):
    """A count with probability rate^y / (y!)^dispersion / Z: underdispersed for dispersion > 1, the Poisson at 1.

    Parameters as in Shmueli, Minka, Kadane, Borle and Boatwright (2005), where they are lambda and nu. Z is summed to
    rounding: over real numbers in steps of 0.6 standard deviations, which is exact, where the location
    rate^(1/dispersion) is over 150 / dispersion and over 2.25 dispersion; else term by term, and NaN where that takes
    more than 262,144 terms on one side of the location (a dispersion close to 0 with a rate close to 1 or above).
    """

    rate: Positive
    dispersion: Positive

    title = "Conway-Maxwell-Poisson regression"

    def _natural(self) -> tuple[Array, Array]:
        """The natural parameters of (y - location, log Poisson(y) - log Poisson(location)), and the log of location.

        The location is a constant to autodiff, so that the first parameter is zero, but its derivatives are not.
        """
        log_rate = jnp.asarray(self.log_of("rate"), jnp.result_type(float))
        nu = jnp.asarray(self.dispersion, log_rate.dtype)
        log_location = jax.lax.stop_gradient(log_rate / nu)
        return jnp.stack([log_rate - nu * log_location, nu]), log_location

    def log_prob(self, y: Any) -> Any:
        return self.log_weight(y) - self.log_normaliser()

    def log_weight(self, y: Any) -> Any:
        """The log-probability but for the normaliser."""
        at, log_location = self._natural()
        return at @ _features(jnp.asarray(y, at.dtype), log_location, _peak(log_location))

    def log_normaliser(self) -> Any:
        """What is the same for all counts."""
        return _moments(0, *self._natural())[0]

    def expectation(self) -> Any:
        at, log_location = self._natural()
        return jnp.exp(log_location) + _moments(1, at, log_location)[1][0]

    def variance(self) -> Any:
        _, first, second = _moments(2, *self._natural())
        return second[0, 0] - first[0] ** 2

    def expected_log_prob(self, truth: ConwayMaxwellPoisson) -> Any:
        at, log_location = self._natural()
        true_at, true_log_location = truth._natural()
        here, there = jnp.exp(log_location), jnp.exp(true_log_location)
        distance, fall = _moments(1, true_at, true_log_location)[1]
        mean = there + distance
        # a Poisson's log-probability, in expectation, at another rate than that of the truth
        moved = fall + _peak(true_log_location) + mean * (log_location - true_log_location) - here + there
        return at @ jnp.stack([mean - here, moved - _peak(log_location)]) - _moments(0, at, log_location)[0]

    @classmethod
    def degenerate(cls, y: np.ndarray, known: Mapping[str, np.ndarray]) -> str | None:
        if y.any() and (y == y[0]).all():
            return f"all {len(y):,} counts are {float(y[0]):g}: the likelihood grows as the dispersion parameter does"
        return super().degenerate(y, known)

    @classmethod
    def starts(cls, y: np.ndarray, weights: np.ndarray, known: Mapping[str, np.ndarray]) -> dict[str, Any]:
        mean, variance = max(weighted_mean(y, weights), 1e-2), weighted_variance(y, weights)
        nu = float(np.clip(mean / variance, 0.2, 5.0))
        location = max(mean + (nu - 1.0) / (2.0 * nu), 0.1 * mean)  # Shmueli et al. (2005), E Y of large rates
        return {"rate": location**nu, "dispersion": nu}


def _peak(log_location: Array) -> Array:
    """The log-probability of its mean in a Poisson distribution."""
    location = jnp.exp(log_location)
    return count_kernels.poisson(location, log_location, location)


def _features(k: Array, log_location: Array, peak: Array) -> Array:
    """What a count is weighted by: its distance from the location, and how far a Poisson's log-probability falls to it."""
    location = jnp.exp(log_location)
    return jnp.stack([k - location, count_kernels.poisson(k, log_location, location) - peak])


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _moments(order: int, at: Array, log_location: Array) -> tuple[Array, ...]:
    """log of the sum Z over k of exp(at · features(k)), and the first `order` moments of the features about zero."""
    z, *sums_of = _weighted(order, at, log_location)
    return jnp.log(z), *(s / z for s in sums_of)


@_moments.defjvp
def _moments_jvp(order: int, primals: tuple, tangents: tuple) -> tuple:
    # an exponential family: the derivative of an expectation is a covariance with the features
    values = _moments(order + 1, *primals)
    along = values[1] @ tangents[0]
    changes = (higher @ tangents[0] - value * along for value, higher in zip(values[1:], values[2:]))
    return values[:-1], (along, *changes)


def _weighted(order: int, at: Array, log_location: Array) -> list[Array]:
    """The sums over all k of exp(at · features(k)), and of it times the features to the power of 1, ... `order`."""
    at, log_location = jax.lax.stop_gradient((at, log_location))
    location, nu = jnp.exp(log_location), at[1]
    wide = (nu * location > WIDE) & (location > SMOOTH * nu)
    shapes = [(2,) * j for j in range(order + 1)]

    def term(more: Array, k: Array) -> Array:
        features = _features(k, more[1], more[2])
        powers = [jnp.exp(more[0] * features[1])]
        for _ in range(order):
            powers.append(powers[-1][..., None] * features)
        return jnp.concatenate([p.ravel() for p in powers])

    def arguments(nu: Array, log_location: Array) -> Array:
        return jnp.stack([nu, log_location, _peak(log_location)])

    # whichever is not wanted gets arguments at which it is quick and finite
    near = arguments(jnp.where(wide, 1.0, nu), jnp.where(wide, 0.0, log_location))
    by_term = sums.total(term, *_range(near), near)
    centre = jnp.where(wide, location, WIDE / nu)
    stride = STRIDE * jnp.sqrt(centre / nu)
    far = arguments(nu, jnp.log(centre))
    by_stride = stride * jax.vmap(lambda j: term(far, centre + stride * j))(jnp.asarray(STRIDES, at.dtype)).sum(axis=0)
    flat = jnp.where(wide, by_stride, by_term)
    ends = np.cumsum([2**j for j in range(order + 1)])
    return [part.reshape(shape) for part, shape in zip(jnp.split(flat, ends[:-1]), shapes)]


def _range(at: Array) -> tuple[Array, Array]:
    """Counts beyond which nothing is left; away from the mode the terms fall faster and faster."""
    nu, log_location, peak = at
    middle = jnp.floor(jnp.exp(log_location))
    reaches = 2.0 ** jnp.arange(2, 19, dtype=nu.dtype)
    fallen = jax.vmap(lambda k: nu * _features(k, log_location, peak)[1] < -45.0)
    below, above = fallen(jnp.maximum(middle - reaches, 0.0)), fallen(middle + reaches)
    first = jnp.maximum(middle - jnp.where(below.any(), reaches[jnp.argmax(below)], middle), 0.0)
    return first, jnp.where(above.any(), middle + reaches[jnp.argmax(above)], jnp.nan)

"""A distribution that is seen only between two values, and the probability of lying there."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp

from ...numerics import logsubexp
from .base import Distribution, Known
from .inflated import positive_log_prob
from .supports import Support

FAR = 1e300
"""A limit at this distance is none: JAX reads columns of finite numbers."""


def log_between(d: Distribution, low: Any, high: Any) -> Any:
    """log P(low < Y <= high); an end that is None, infinite, or beyond the support is open.

    The difference is taken of the smaller tails: of distribution functions on the left, of survival functions on the
    right, so that it keeps its digits in both. No function is evaluated at an open end, where derivatives are NaN.
    """
    s = d.support
    if high is None:
        if low is None:
            return jnp.zeros(())
        low_open = below(s, low)
        return jnp.where(low_open, 0.0, d.log_survival(jnp.where(low_open, inner_point(s), low)))
    high_open = high >= s.high
    if low is None:
        return jnp.where(high_open, 0.0, d.log_cdf(jnp.where(high_open, inner_point(s), high)))
    low_open = below(s, low)
    closed = ~low_open & ~high_open
    at_low = jnp.where(low_open, jnp.where(high_open, inner_point(s), high), low)
    at_high = jnp.where(high_open, at_low, high)
    up_to_high, beyond_low = d.log_cdf(at_high), d.log_survival(at_low)
    right = beyond_low < up_to_high
    more = jnp.where(right, beyond_low, up_to_high)
    less = jnp.where(closed, jnp.where(right, d.log_survival(at_high), d.log_cdf(at_low)), more - 1.0)
    one_sided = jnp.where(low_open, jnp.where(high_open, 0.0, up_to_high), beyond_low)
    return jnp.where(closed, logsubexp(more, less), one_sided)


def below(s: Support, value: Any) -> Any:
    """Whether all of the support is above a value."""
    return value < s.low if s.closed[0] else value <= s.low


def inner_point(s: Support) -> float:
    """Some number inside a support."""
    if s.low > -jnp.inf and s.high < jnp.inf:
        return 0.5 * (s.low + s.high)
    return s.low + 1.0 if s.low > -jnp.inf else s.high - 1.0 if s.high < jnp.inf else 0.0


class Constant(float):
    """A number that JAX does not trace: it decides the support."""


jax.tree_util.register_pytree_node(Constant, lambda c: ((), float(c)), lambda value, _: Constant(value))


class Truncated(Distribution):
    """`inner` given that low < Y < high; None for an end that is open, a `Constant` for one that is the same everywhere."""

    inner: Known
    low: Known
    high: Known

    title = "Truncated regression"

    @property
    def support(self) -> Support:  # type: ignore[override]
        ends = (v if isinstance(v, Constant) else None for v in (self.low, self.high))
        return truncated_support(self.inner.support, *ends)

    def _ends(self) -> tuple[Any, Any]:
        """low < Y <= high."""
        low, high = (float(v) if isinstance(v, Constant) else v for v in (self.low, self.high))
        low = None if low is None else jnp.where(low > -FAR, low, -jnp.inf)
        high = None if high is None else jnp.where(high < FAR, high, jnp.inf)
        if self.inner.support.whole:
            low = None if low is None else jnp.floor(low)
            high = None if high is None else jnp.ceil(high) - 1.0
        return low, high

    def _total(self) -> Any:
        if self._positive_counts():
            return positive_log_prob(self.inner)
        return log_between(self.inner, *self._ends())

    def _positive_counts(self) -> bool:
        return isinstance(self.low, Constant) and self.low == 0.0 and self.high is None and self.inner.support.whole

    def log_prob(self, y: Any) -> Any:
        low, high = self._ends()
        inside = jnp.ones((), bool) if low is None else y > low
        inside = inside if high is None else inside & (y <= high)
        return jnp.where(inside, self.inner.log_prob(y) - self._total(), -jnp.inf)

    def log_cdf(self, y: Any) -> Any:
        low, high = self._ends()
        up_to = y if high is None else jnp.minimum(y, high)
        none = jnp.zeros((), bool) if low is None else up_to <= low
        up_to = up_to if low is None else jnp.where(none, low + 1.0, up_to)
        return jnp.where(none, -jnp.inf, log_between(self.inner, low, up_to) - self._total())

    def log_survival(self, y: Any) -> Any:
        low, high = self._ends()
        beyond = y if low is None else jnp.maximum(y, low)
        none = jnp.zeros((), bool) if high is None else beyond >= high
        beyond = beyond if high is None else jnp.where(none, high - 1.0, beyond)
        return jnp.where(none, -jnp.inf, log_between(self.inner, beyond, high) - self._total())

    def expectation(self) -> Any:
        if self._positive_counts():
            return self.inner.expectation() / jnp.exp(self._total())
        return super().expectation()

    def variance(self) -> Any:
        if self._positive_counts():
            square = (self.inner.variance() + self.inner.expectation() ** 2) / jnp.exp(self._total())
            return square - self.expectation() ** 2
        return super().variance()

    def quantile(self, q: Any) -> Any:
        low, high = self._ends()
        start = 0.0 if low is None else jnp.exp(log_between(self.inner, None, low))
        found = self.inner.quantile(start + q * jnp.exp(self._total()))
        step = 1.0 if self.inner.support.whole else 0.0
        found = found if low is None else jnp.maximum(found, low + step)
        return found if high is None else jnp.minimum(found, high)


def truncated_support(s: Support, low: float | None, high: float | None) -> Support:
    """The support that is left strictly between two numbers."""
    ends = []
    if low is not None and not below(s, low):
        least, closed = (math.floor(low) + 1.0, True) if s.whole else (float(low), False)
        s = replace(s, low=least, closed=(closed, s.closed[1]))
        ends.append(f"above {low:g}")
    if high is not None and high <= s.high:
        most, closed = (math.ceil(high) - 1.0, True) if s.whole else (float(high), False)
        s = replace(s, high=most, closed=(s.closed[0], closed))
        ends.append(f"below {high:g}")
    return replace(s, words=f"{'a count' if s.whole else 'a number'} {' and '.join(ends)}") if ends else s

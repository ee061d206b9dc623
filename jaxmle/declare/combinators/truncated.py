"""Truncated models: responses beyond some limit are not in the data at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...errors import DataError, ModelError, rows_in_words
from ..conditional import Bound, Data
from ..distributions.base import Distribution
from ..distributions.supports import Support
from ..distributions.truncated import FAR, Constant, Truncated, below, truncated_support
from ..model import Model, Parameter
from .around import Around, number_or_column, numbers_of, wrapped


def truncated(model: Model, low: float | str | None = None, high: float | str | None = None) -> Model:
    """A response that is seen only where low < y < high: the density is divided by the probability of that.

    For counts this leaves low + 1, ..., high - 1: `truncated(jm.poisson("y ~ x"), low=0)` is the zero-truncated Poisson.

    Arguments:
        model: a model of one number.
        low, high: limits, as numbers or names of columns (where a missing or infinite value is an open end); None for
            no limit.

    Raises:
        ModelError: for limits that leave nothing of the support.
    """
    conditional, support = wrapped(model, "truncated")
    ends = [number_or_column(v, "truncated", n) for v, n in ((low, "low"), (high, "high"))]
    if all(v is None for v in ends):
        raise ModelError("truncated needs low=, high= or both: the limits between which responses are seen.")
    least, most = (v if isinstance(v, float) else None for v in ends)
    if isinstance(conditional, Truncation):
        raise ModelError("truncated is applied twice: give low= and high= to one call.")
    left = truncated_support(support, least, most)
    if not (left.low < left.high or (left.low == left.high and all(left.closed))):
        raise ModelError(f"truncated: no value of {support.words} is between low={low!r} and high={high!r}.")
    said = [f"{sign} {v:g}" if isinstance(v, float) else f"{sign} {v}" for sign, v in zip("><", ends) if v is not None]
    name = f"{model.title}, truncated (y {' and '.join(said)})"
    return Model(Truncation(conditional, *ends), model.params, name=name, about=model.about)


@dataclass(frozen=True)
class Truncation(Around):
    """A truncated response; the limits are numbers, columns or None."""

    low: float | str | None = None
    high: float | str | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.inner.columns, *self._limits())))

    @property
    def optional(self) -> tuple[str, ...]:
        return (*self.inner.optional, *(name for name in self._limits() if name not in self.inner.columns))

    def _limits(self) -> tuple[str, ...]:
        return tuple(v for v in (self.low, self.high) if isinstance(v, str))

    @property
    def support(self) -> Support:
        inner = self.inner.support
        assert inner is not None
        return truncated_support(inner, *(v if isinstance(v, float) else None for v in (self.low, self.high)))

    def distribution(self, p: Any, row: Mapping[str, Any]) -> Distribution:
        low, high = (row[v] if isinstance(v, str) else v if v is None else Constant(v) for v in (self.low, self.high))
        return Truncated(inner=self.inner.distribution(p, row), low=low, high=high)

    def bind(self, params: Mapping[str, Parameter], data: Data, weights: np.ndarray) -> Bound:
        y = numbers_of(self, data)
        encoded = {}
        for limit, sign, role in ((self.low, 1.0, "low"), (self.high, -1.0, "high")):
            if limit is None:
                continue
            if isinstance(limit, str):
                value = data.numeric(limit, f"the truncation ({role})").astype(np.float64)
                value = encoded[limit] = np.clip(np.where(np.isnan(value), -sign * FAR, value), -FAR, FAR)
            else:
                value = limit
            beyond = ~(sign * y > sign * value)
            if beyond.any():
                rows = np.flatnonzero(beyond)
                what = "above" if sign > 0 else "below"
                raise DataError(
                    f"Response {self.response[0]!r} is not {what} {role}={limit!r}, where it could not have been seen, "
                    f"in {rows_in_words(data.numbered(rows))} ({', '.join(f'{v:g}' for v in y[rows[:5]])}). Leave out "
                    "these rows; values that are seen but known only to lie beyond a limit are censored, not truncated."
                )
        bound = self.inner.bind(params, data, weights)
        reason = bound.degenerate
        inner = self.inner.support
        assert inner is not None
        if isinstance(self.low, float) and inner.whole and not below(inner, self.low) and reason is None:
            least = self.support.low
            if (y == least).all():
                reason = f"all responses are {least:g}, the smallest that can be seen: the likelihood has no maximum"
        return replace(
            bound,
            conditional=replace(self, inner=bound.conditional),
            encoded={**bound.encoded, **encoded},
            degenerate=reason,
        )

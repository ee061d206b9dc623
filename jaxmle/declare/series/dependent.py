"""The distribution of each row of a series given the rows before it, from which all else follows."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ...errors import DataError, ModelError, rows_in_words
from ..conditional import Conditional, Data
from ..distributions.base import Distribution
from ..distributions.supports import REAL, Support
from .order import AGE, ages


@dataclass(frozen=True)
class Dependent(Conditional):
    """A response whose rows depend on those before them: `ahead` says how. A density of the whole data (`unit="all"`).

    The log-likelihood is the sum of the predictive log-densities, one for each row; a missing response has none. What is
    asked of a row (its mean, its quantiles, its residual) is asked of its distribution given the rows before it.
    """

    series: str | None = None
    time: str | None = None

    @abc.abstractmethod
    def ahead(self, p: Any, data: Mapping[str, Any]) -> Any:
        """The distribution of each row's response given those before it: a `Distribution` of arrays (n, ...)."""

    @abc.abstractmethod
    def simulated(self, p: Any, data: Mapping[str, Any], keys: jax.Array) -> Any:
        """Responses (n,) drawn for the whole series, with a random key for each row."""

    def with_gaps(self) -> Dependent:
        """The same, for data in which responses are missing."""
        return self

    def present(self, columns: Mapping[str, np.ndarray]) -> np.ndarray:
        """Which rows (n,) have a response, from the columns that the log-density reads."""
        return ~np.any([np.isnan(columns[name]) for name in self.response], axis=0)

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(c for c in (*self.response, self.series, self.time) if c is not None))

    @property
    def optional(self) -> tuple[str, ...]:
        return self.response

    @property
    def outermost(self) -> bool:
        return True

    def distribution(self, p: Any, row: Mapping[str, Any]) -> Distribution:
        raise ModelError(
            "The rows of a series depend on those before them, and none has a distribution of its own. predict, simulate "
            "and residuals (kind='response', 'pearson' or 'quantile') know their distribution given the rows before."
        )

    def __call__(self, p: Any, data: Mapping[str, Any]) -> Any:  # type: ignore[override]
        y, seen = seen_of(data, self.response[0])
        return jnp.where(seen, jax.vmap(lambda d, v: d.log_prob(v))(self.ahead(p, data), y), 0.0)


@dataclass(frozen=True)
class OfNumbers(Dependent):
    """A series of one real number in each row."""

    name: str = ""

    @property
    def response(self) -> tuple[str, ...]:
        return (self.name,)

    @property
    def support(self) -> Support | None:
        return REAL


def seen_of(data: Mapping[str, Any], name: str) -> tuple[Any, Any]:
    """The responses (n,), a legal one in place of each that is missing, and whether they are there."""
    y = data[name]
    if not jnp.issubdtype(y.dtype, jnp.floating):
        y = y.astype(jnp.float64)
    seen = ~jnp.isnan(y)
    return jnp.where(seen, y, y[jnp.argmax(seen)]), seen


def in_order(data: Mapping[str, Any]) -> Any:
    """For each row how many rows of its series are before it (n,)."""
    return data[AGE]


def by_row(f: Callable[..., Any], p: Any, names: tuple[str, ...], data: Mapping[str, Any], columns: Any) -> Any:
    """`f(p, row)` for every row of the data: parameters called `names` differ from row to row, the others do not."""
    scales = getattr(p, "scales", None) or {}
    where = {name: 0 if name in names else None for name in p}
    on = {name: 0 if name in names else None for name in scales}
    rows = {name: data[name] for name in columns}

    def one(values: Any, scales: Any, row: Any) -> Any:
        return f(Known(values, scales), row)

    return jax.vmap(one, in_axes=(where, on, 0))(dict(p), dict(scales), rows)


class Known(dict):
    """Parameters of one row, with what is known of them by their predictors."""

    def __init__(self, values: Mapping[str, Any], scales: Mapping[str, Any]) -> None:
        super().__init__(values)
        self.scales = dict(scales)


@dataclass(frozen=True)
class Read:
    """A response as binding reads it: numbers (n,), which of them are there, and each row's place in its series."""

    y: np.ndarray
    seen: np.ndarray
    age: np.ndarray

    @property
    def gaps(self) -> bool:
        """Whether a response is missing."""
        return not self.seen.all()


def read_series(conditional: Dependent, data: Data, weights: np.ndarray) -> Read:
    """The response of a series and the order of its rows, checked.

    Raises:
        DataError: for infinite responses, none at all, an order or weights that make no sense.
    """
    name = conditional.response[0]
    y = np.asarray(data.numeric(name, "the response"), np.float64)
    if y.ndim != 1:
        raise DataError(f"Response {name!r} of a series is one number in each row; got shape {y.shape}.")
    if (wrong := np.flatnonzero(np.isinf(y))).size:
        raise DataError(
            f"Response {name!r} is infinite in {rows_in_words(data.numbered(wrong))}; expected finite numbers, NaN for a "
            "response that is missing."
        )
    age = ages(data, conditional.series, conditional.time)
    check_weights(weights, age, data)
    seen = ~np.isnan(y)
    if not seen.any():
        raise DataError(f"Response {name!r} has no value that is not missing.")
    return Read(y, seen, age)


def check_weights(weights: np.ndarray, age: np.ndarray, data: Data) -> None:
    """`DataError` where weights (n,) differ within a series."""
    within = age[1:] > 0
    if (np.diff(weights)[within] != 0).any():
        row = np.flatnonzero(within & (np.diff(weights) != 0))[:1] + 1
        raise DataError(
            f"Weights differ within a series, in {rows_in_words(data.numbered(row))}: rows that depend on each other are not "
            "repeated one by one. Weights may differ between series (series=)."
        )

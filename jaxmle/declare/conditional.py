"""The distribution of a response in one row: log-densities that know more than their value."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from ..errors import DataError, ModelError, rows_in_words
from .cones import Cone
from .distributions.base import Distribution
from .distributions.supports import Support
from .model import Parameter

Encoded = dict[str, np.ndarray]
"""Columns of the data as the log-density reads them, by name."""


class Data(Protocol):
    """What binding asks of the data: their columns, before anything is computed."""

    @property
    def n_rows(self) -> int: ...
    def column(self, name: str, role: str = ...) -> np.ndarray: ...
    def numeric(self, name: str, role: str = ...) -> np.ndarray: ...
    def categories(self, name: str) -> tuple[Any, ...] | None: ...
    def numbered(self, rows: np.ndarray) -> np.ndarray: ...


@dataclass(frozen=True)
class Bound:
    """A family's log-density that has seen the data: levels known, support checked.

    `encoded` are the columns that it reads in place of the user's; `starts` values of parameters from which a search
    may begin; `degenerate` says why these responses have no maximum of the likelihood, if they have none. `scattered(n,
    key)` are `n` other such starts, drawn at random, where the likelihood is known to have several maxima.
    """

    conditional: Conditional
    params: Mapping[str, Parameter]
    encoded: Encoded
    starts: Mapping[str, Any]
    degenerate: str | None = None
    scattered: Callable[[int, int], list[Mapping[str, Any]]] | None = None


@dataclass(frozen=True)
class Conditional(abc.ABC):
    """The distribution of a response given its row; called like any log-density, of `p` and `row`.

    Equal contents are equal objects, so that equal models are compiled once. What belongs to it by composition
    (inflated, truncated, censored) is another `Conditional` around one.
    """

    @property
    @abc.abstractmethod
    def response(self) -> tuple[str, ...]:
        """The columns of the response."""

    @property
    @abc.abstractmethod
    def columns(self) -> tuple[str, ...]:
        """All columns that it reads, those of the response among them."""

    @property
    def optional(self) -> tuple[str, ...]:
        """Those of its columns that may have missing or infinite values, which mean something."""
        return ()

    @abc.abstractmethod
    def distribution(self, p: Any, row: Mapping[str, Any]) -> Distribution:
        """The distribution of the response; it does not read the response."""

    @abc.abstractmethod
    def bind(self, params: Mapping[str, Parameter], data: Data, weights: np.ndarray) -> Bound:
        """Learn levels from the data, or check them against those known; raises `DataError` outside the support."""

    def observed(self, row: Mapping[str, Any]) -> Any:
        """The response in one row: a number, or a vector where it has several columns."""
        if len(self.response) == 1:
            return row[self.response[0]]
        return jnp.stack([row[name] for name in self.response])

    def seen(self, row: Mapping[str, Any]) -> tuple[Any, Any]:
        """Between which values the response is known to lie: twice itself, unless it is censored."""
        y = self.observed(row)
        return y, y

    def among_seen(self, p: Any, row: Mapping[str, Any]) -> Distribution:
        """The distribution of the responses that can be in the data: less than all of them where entry is late."""
        return self.distribution(p, row)

    def __call__(self, p: Any, row: Mapping[str, Any]) -> Any:
        return self.distribution(p, row).log_prob(self.observed(row))

    def expected(self, p: Any, row: Mapping[str, Any]) -> Any:
        """The expectation of the log-density, taken at parameters that are held while it is differentiated."""
        here = self.distribution(p, row)
        return here.expected_log_prob(held(here))

    def recession(
        self, columns: Mapping[str, np.ndarray], groups: Sequence[np.ndarray] | None
    ) -> tuple[Cone, ...] | None:
        """The directions that the responses do not resist, as `Distribution.recession`, from encoded columns (n,).

        `groups` are the rows of each unit where that is not the row. None if it is not known.
        """
        return None

    @property
    def coding(self) -> str:
        """How labels were made numbers, for a summary: in words, or nothing."""
        return ""

    @property
    def kind(self) -> type[Distribution] | None:
        """The class of the distribution, where it is one of a family; None for compositions."""
        return None

    @property
    def concave(self) -> Mapping[str, tuple[str, ...]]:
        """Parameter → links with which the log-density is concave in its predictor, as `Distribution.concave`."""
        return {} if self.kind is None else self.kind.concave

    @property
    def one_optimum(self) -> bool:
        """As `Distribution.one_optimum`."""
        return self.kind is not None and self.kind.one_optimum

    @property
    def outermost(self) -> bool:
        """Whether it says how a response is seen, so that nothing can be put around it."""
        return False

    @property
    def support(self) -> Support | None:
        """The numbers that the response may be; None for labels and for responses of several columns."""
        return None


@dataclass(frozen=True)
class OneColumn(Conditional):
    """A response in one column, which is all that the log-density reads beside its parameters."""

    name: str

    @property
    def response(self) -> tuple[str, ...]:
        return (self.name,)

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.name,)


def held(distribution: Any) -> Any:
    """A distribution whose parameters are constants to autodiff."""
    return jax.tree.map(jax.lax.stop_gradient, distribution)


@dataclass(frozen=True)
class Response(Conditional):
    """The response of one family.

    Arguments:
        family: the class of the distribution.
        names: the columns of the response.
        known: (field, column) for what the family knows in each row, such as the trials.
        levels: the two or more values that are encoded as 0, 1, ..., when these have been learnt from data.
    """

    family: type[Distribution]
    names: tuple[str, ...]
    known: tuple[tuple[str, str], ...] = ()
    levels: tuple[Any, ...] | None = None

    @property
    def response(self) -> tuple[str, ...]:
        return self.names

    @property
    def columns(self) -> tuple[str, ...]:
        return (*self.names, *(column for _, column in self.known))

    @property
    def kind(self) -> type[Distribution]:
        return self.family

    @property
    def coding(self) -> str:
        return "" if self.levels is None else f"1 is {self.levels[-1]}"

    @property
    def support(self) -> Support | None:
        return self.family.support if len(self.names) == 1 else None

    def distribution(self, p: Any, row: Mapping[str, Any]) -> Distribution:
        fields = {field: row[column] for field, column in self.known}
        fields |= {name: on_scale(p, name) for name in self.family.parameters}
        return self.family(**fields)

    def recession(
        self, columns: Mapping[str, np.ndarray], groups: Sequence[np.ndarray] | None
    ) -> tuple[Cone, ...] | None:
        if groups is not None:
            return None
        y = columns[self.names[0]] if len(self.names) == 1 else np.stack([columns[n] for n in self.names], axis=1)
        known = {field: np.asarray(columns[column], np.float64) for field, column in self.known}
        return self.family.recession(np.asarray(y), known, self.levels)

    def bind(self, params: Mapping[str, Parameter], data: Data, weights: np.ndarray) -> Bound:
        known = {}
        for field, column in self.known:
            known[field] = data.numeric(column, f"the {field} of {self.family.title}").astype(np.float64)
        encoded: Encoded = {}
        levels = self.levels
        if len(self.names) == 1:
            y, levels = self.family.encode(data, self.names[0], self.levels)
            if np.ndim(y) != 1:
                raise DataError(
                    f"Response {self.names[0]!r} has shape {np.shape(y)}; {self.family.title} takes one number in each row. "
                    "Name one of its columns, or a family of several."
                )
            encoded[self.names[0]] = y
        else:
            y = np.stack([data.numeric(name, "the response").astype(np.float64) for name in self.names], axis=1)
        refuse_outside(self.family, self.names, y, known, data)
        starts = self.family.starts(y, weights, known)
        return Bound(replace(self, levels=levels), params, encoded, starts, self.family.degenerate(y, known))


def on_scale(p: Any, name: str) -> Any:
    """A parameter by its predictor if `p` knows it, else by its natural value."""
    scales = getattr(p, "scales", None)
    return scales[name] if scales and name in scales else p[name]


def refuse_outside(
    family: type[Distribution], names: tuple[str, ...], y: np.ndarray, known: Mapping[str, np.ndarray], data: Data
) -> None:
    """`DataError` for responses that no parameter of the family can explain, naming the first rows and values."""
    outside = np.asarray(family.outside(y, known))
    if not outside.any():
        return
    rows = np.flatnonzero(outside)
    values = ", ".join(str(v) for v in np.asarray(y)[rows[:5]].tolist())
    column = ", ".join(map(repr, names))
    what = f"{len(rows):,} value{'s' * (len(rows) != 1)}"
    raise DataError(
        f"Response {column} has {what} outside the support of {family.__name__} in {rows_in_words(data.numbered(rows))} "
        f"({values}); expected {family.support.words}. Mend or leave out these rows, or choose another family."
    )


def conditional_of(model: Any, wanted: str) -> Conditional:
    """The model's conditional distribution; `ModelError` if its log-density is a plain function."""
    if not isinstance(model.log_density, Conditional):
        raise ModelError(
            f"{wanted} needs a model made of a family, whose distribution is known; {model.title!r} is a log-density "
            "alone. Make a jm.Distribution of it, and jm.family(...) gives the rest."
        )
    return model.log_density

"""A conditional distribution around another one, and the rows on which the inner one is bound."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...errors import ModelError
from ..conditional import Bound, Conditional, Data, conditional_of
from ..distributions.base import Distribution
from ..distributions.supports import Support
from ..families import declared
from ..model import Model, Parameter


@dataclass(frozen=True)
class Around(Conditional):
    """What belongs to the response of another conditional distribution."""

    inner: Conditional

    @property
    def response(self) -> tuple[str, ...]:
        return self.inner.response

    @property
    def columns(self) -> tuple[str, ...]:
        return self.inner.columns

    @property
    def optional(self) -> tuple[str, ...]:
        return self.inner.optional

    @property
    def levels(self) -> tuple[Any, ...] | None:
        """The labels of the response, where it has such."""
        return getattr(self.inner, "levels", None)


@dataclass(frozen=True)
class Some:
    """Some rows of the data; columns may be given in place of theirs, by name, each with a value for every row."""

    data: Data
    rows: np.ndarray
    instead: Mapping[str, np.ndarray]

    @property
    def n_rows(self) -> int:
        return len(self.rows)

    def column(self, name: str, role: str = "log_density") -> np.ndarray:
        """As `Table.column`."""
        whole = self.instead[name] if name in self.instead else self.data.column(name, role)
        return whole[self.rows]

    def numeric(self, name: str, role: str = "log_density") -> np.ndarray:
        """As `Table.numeric`."""
        whole = self.instead[name] if name in self.instead else self.data.numeric(name, role)
        return whole[self.rows]

    def categories(self, name: str) -> tuple[Any, ...] | None:
        """As `Table.categories`."""
        return None if name in self.instead else self.data.categories(name)

    def numbered(self, rows: np.ndarray) -> np.ndarray:
        """As `Table.numbered`."""
        return self.data.numbered(self.rows[rows])


def bound_on(
    inner: Conditional,
    params: Mapping[str, Parameter],
    data: Data,
    weights: np.ndarray,
    rows: np.ndarray,
    instead: Mapping[str, np.ndarray] | None = None,
) -> Bound:
    """The inner distribution bound on the rows of a mask (n,), its response encoded in all rows."""
    if rows.all() and not instead:
        return inner.bind(params, data, weights)
    some = Some(data, np.flatnonzero(rows), instead or {})
    bound = inner.bind(params, some, weights[rows])
    everything = replace(some, rows=np.arange(data.n_rows))
    encoded = {}
    for name, values in bound.encoded.items():
        encoded[name] = everything.numeric(name).astype(np.float64)
        encoded[name][rows] = values
    return replace(bound, encoded=encoded)


def numbers_of(conditional: Conditional, data: Data) -> np.ndarray:
    """The response (n,) as numbers."""
    return data.numeric(conditional.response[0], "the response").astype(np.float64)


def wrapped(model: Any, by: str) -> tuple[Conditional, Support]:
    """The conditional distribution of a model's one numeric response, and its support; `ModelError` if it has none."""
    if not isinstance(model, Model):
        raise ModelError(
            f"{by} takes a model, such as jm.poisson('y ~ x'); got {model!r}. The model comes first, other "
            "arguments after it by name."
        )
    conditional = conditional_of(model, by)
    if conditional.outermost:
        raise ModelError(
            f"{by} goes inside: {model.title!r} says how responses are seen, so it is the last step, as in "
            f"censored({by}(...), event=...)."
        )
    support = conditional.support
    if support is None or model.unit != "row":
        raise ModelError(f"{by} needs a response that is one number in each row; that of {model.title!r} is not.")
    return conditional, support


def with_parameters(model: Model, by: str, distribution: type[Distribution], given: Mapping[str, Any]) -> dict:
    """The model's parameters and those of a distribution around it; `ModelError` where names meet."""
    both = [name for name in given if name in model.params]
    if both:
        raise ModelError(
            f"{by} adds a parameter {both[0]!r}, but {model.title!r} has one of this name already: a model is "
            "combined in this way once."
        )
    return dict(model.params) | declared(distribution, None, given)


def is_free(parameter: Parameter) -> bool:
    """Whether a parameter is estimated."""
    return parameter.fixed is None


def number_or_column(value: Any, by: str, argument: str) -> float | str | None:
    """An argument that is a number, the name of a column, or None; `ModelError` for anything else."""
    if value is None or (isinstance(value, str) and value.strip()):
        return value
    try:
        number = float(value) if not isinstance(value, bool | str) and np.ndim(value) == 0 else np.nan
    except (TypeError, ValueError):
        number = np.nan
    if np.isnan(number):
        raise ModelError(
            f"{by}: {argument} takes a number or the name of a column; got {value!r}. Add other values as a column."
        )
    return None if np.isinf(number) else number

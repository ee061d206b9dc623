"""The rows that effects are averaged over: as they were observed, at their means, or with columns set to values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from ..errors import DataError, ModelError, did_you_mean, rows_in_words
from ..objective.covariates import Covariate

Group = tuple[str, Any] | None
"""A column and its value in a group of rows; None for all rows."""

Groups = list[tuple[Group, np.ndarray]]
"""Groups, each with the weights of the rows (n,)."""


@dataclass(frozen=True)
class Setting:
    """Rows, the groups that they are averaged in, and the values `at` which columns were set."""

    table: Any
    groups: Groups
    at: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class Change:
    """A column set to one value in all rows, or with a number added to it."""

    value: Any
    added: bool = False

    def of(self, column: str, table: Any) -> Any:
        """The table with the column changed."""
        if self.added:
            values = table.numeric(column, "a contrast").astype(np.float64) + self.value
        else:
            values = np.full(table.n_rows, self.value)
        return table.with_columns({column: values})


def settings(columns: Mapping[str, Covariate], table: Any, weights: np.ndarray, at: Any, by: Any) -> list[Setting]:
    """What `at` and `by` ask for.

    Raises:
        ModelError: for values that make no sense.
        DataError: for a column that does not exist, or has missing values.
    """
    groups = _grouped(table, weights, by)
    if isinstance(at, str):
        if at == "observed":
            return [Setting(table, groups)]
        if at == "mean":
            return [_at_means(columns, table, groups)]
    if not isinstance(at, Mapping) or not at:
        raise ModelError(f"at must be 'observed', 'mean' or a mapping of columns to values; got {at!r}.")
    lists = {}
    for name, values in at.items():
        if name not in columns:
            raise ModelError(f"at: the predictions do not depend on {name!r}.{did_you_mean(str(name), columns)}")
        several = values if isinstance(values, list | tuple | np.ndarray | range) else [values]
        if not len(several):
            raise ModelError(f"at: {name!r} has no values.")
        lists[name] = [checked(columns[name], table, value, "at") for value in several]
    out = []
    for values in product(*lists.values()):
        chosen = tuple(zip(lists, values))
        changed = table
        for name, value in chosen:
            changed = Change(value).of(name, changed)
        out.append(Setting(changed, groups, chosen))
    return out


def checked(column: Covariate, table: Any, value: Any, role: str) -> Any:
    """A value that a column may have; raises `ModelError` for levels that are not known, and for text as a number."""
    name, value = column.name, value.item() if isinstance(value, np.generic) else value
    if column.levels:
        if value not in column.levels:
            known = ", ".join(repr(v) for v in column.levels[:10])
            raise ModelError(f"{role}: {value!r} is not a level of {name!r}. Levels: {known}.")
        return value
    if table.column(name).dtype.kind not in "biuf":
        return value
    if not isinstance(value, int | float) or not np.isfinite(value):
        raise ModelError(f"{role}: column {name!r} holds numbers, and {value!r} is none that it can have.")
    return bool(value) if table.column(name).dtype == bool and value in (0, 1) else value


def levels_of(column: Covariate, table: Any, discrete: bool) -> tuple[Any, ...]:
    """The values that a column changes between, the reference first: of factors, booleans, zeros and ones; or none."""
    if column.levels:
        return column.levels
    values = table.column(column.name)
    if values.dtype == bool:
        return (False, True)
    numbers = discrete and values.dtype.kind in "iuf" and values.ndim == 1
    return (0, 1) if numbers and ((values == 0) | (values == 1)).all() and np.ptp(values) else ()


def _grouped(table: Any, weights: np.ndarray, by: Any) -> Groups:
    if by is None:
        return [(None, weights)]
    if not isinstance(by, str):
        raise ModelError(f"by must be the name of a column; got {by!r}.")
    values = table.column(by, "the argument by")
    if values.ndim != 1:
        raise DataError(f"by: column {by!r} has shape {values.shape}; expected one label in each row.")
    missing = np.array([v is None or v != v for v in values.tolist()])
    if missing.any():
        rows = rows_in_words(table.numbered(np.flatnonzero(missing)))
        raise DataError(f"by: column {by!r} has missing values in {rows}.")
    found = list(dict.fromkeys(values.tolist()))
    order = table.categories(by)
    try:
        labels = [v for v in order if v in set(found)] if order is not None else sorted(found)
    except TypeError:
        labels = found
    if len(labels) > MOST_GROUPS:
        raise ModelError(
            f"by: column {by!r} has {len(labels):,} values; averages are for at most {MOST_GROUPS:,} groups."
        )
    number = {label: i for i, label in enumerate(labels)}
    of = np.array([number[v] for v in values.tolist()])
    return [((by, label), np.where(of == i, weights, 0.0)) for i, label in enumerate(labels)]


MOST_GROUPS = 1000
"""Each group takes a pass over the rows."""


def _at_means(columns: Mapping[str, Covariate], table: Any, groups: Groups) -> Setting:
    """One row for each group: means of numbers, and of factors, text and booleans the value that is most frequent."""
    made: dict[str, list[Any]] = {name: [] for name in columns}
    for _, weights in groups:
        for name, column in columns.items():
            values = table.column(name)
            if column.levels or values.dtype.kind not in "iuf":
                made[name].append(most_frequent(values, weights, column.levels))
            else:
                made[name].append(np.tensordot(weights, values.astype(np.float64), 1) / weights.sum())
    rows = table.take(np.zeros(len(groups), int)).with_columns({k: np.array(v) for k, v in made.items()})
    return Setting(rows, [(group, np.eye(len(groups))[i]) for i, (group, _) in enumerate(groups)])


def most_frequent(values: np.ndarray, weights: np.ndarray, levels: tuple[Any, ...]) -> Any:
    """The value with the greatest weight; of several the first among the levels."""
    count: dict[Any, float] = dict.fromkeys(levels, 0.0)
    for value, weight in zip(values.tolist(), weights.tolist()):
        count[value] = count.get(value, 0.0) + weight
    return max(count, key=lambda value: count[value])

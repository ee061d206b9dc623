"""New rows of series: those that come after the rows that were fitted, and series of their own."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..data.grouping import codes_of
from ..data.tables import Table
from ..declare.model import Model
from ..declare.series.dependent import Dependent
from ..declare.series.order import AGE, ages
from ..errors import DataError, ModelError

ANSWER = " answer"
"""A column that says in which place of the answer a row is, -1 for rows that were asked nothing."""


def following(model: Model | None, table: Table, used: Table | None) -> Table:
    """The rows of `table` as a series reads them: after those of `used` if they have no response, else by themselves.

    Other models' rows are returned as they are.

    Raises:
        DataError: for an order of the rows that makes no sense.
    """
    conditional = model.log_density if model is not None else None
    if not isinstance(conditional, Dependent):
        return table
    assert model is not None
    lacking = [name for name in conditional.response if name not in table.names]
    if not lacking:
        return table.with_columns(conditional.bind(model.params, table, np.ones(table.n_rows)).encoded)
    if used is None:
        age = ages(table, conditional.series, conditional.time)
        nothing = np.full(table.n_rows, np.nan)
        return table.with_columns({AGE: age} | dict.fromkeys(lacking, nothing))
    both = {name: _joined(used, table, name) for name in used.names if name in table.names and not name.startswith(" ")}
    for name in (c for c in conditional.columns if c not in both and c not in conditional.response):
        raise DataError(f"Rows that follow a series need column {name!r}, which tells where they belong.")
    for name in conditional.response:
        known = np.asarray(used.numeric(name), np.float64)
        both[name] = np.concatenate([known, np.full(table.n_rows, np.nan)])
    place = np.concatenate([np.full(used.n_rows, -1), np.arange(table.n_rows)])
    if conditional.series is not None:
        order = np.argsort(codes_of(both[conditional.series])[0], kind="stable")
        both, place = {name: values[order] for name, values in both.items()}, place[order]
    whole = Table.read(both)
    return whole.with_columns({AGE: ages(whole, conditional.series, conditional.time), ANSWER: place})


def _joined(used: Table, table: Table, name: str) -> np.ndarray:
    first, second = used.column(name), table.column(name)
    if first.shape[1:] != second.shape[1:]:
        raise ModelError(f"Column {name!r} has shape {second.shape}; its rows before have shape {first.shape}.")
    return np.concatenate([first, second])


def answered(table: Table, values: np.ndarray) -> Any:
    """Of values for every row, those of the rows that were asked for, in their order."""
    if ANSWER not in table.names:
        return values
    place = table.column(ANSWER)
    asked = np.flatnonzero(place >= 0)
    return values[asked[np.argsort(place[asked])]]

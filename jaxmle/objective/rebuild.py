"""Functions of new rows at given parameters: the log-density of a fitted model, or any other, by the same passes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import jax
import numpy as np

from ..data.tables import Table
from ..declare.model import Model
from .build import build
from .fixing import start_vector
from .objective import Objective

NUMBERS_AT_ONCE = 5_000_000
"""How many numbers the derivatives of a block of rows may be."""


def rebuilt(model: Model, params: Mapping[str, Any], table: Table) -> tuple[Objective, np.ndarray]:
    """The objective of `model` on the rows of `table`, with nothing held, and its `z` at `params` (natural scale).

    Raises:
        DataError: for data that the model cannot use.
    """
    built = build(model, table, weights=np.ones(table.n_rows), to_fit=False)
    known = {name: value for name, value in params.items() if name in built.model.params}
    u, _ = start_vector(built.model, built.objective.layout, known)
    return built.objective, built.objective.to_z(u)


def log_density_of(model: Model, params: Mapping[str, Any], data: Any) -> np.ndarray:
    """One log-density per unit of `data`, at `params` (natural scale); raises `DataError` for data that do not fit."""
    objective, z = rebuilt(model, params, Table.read(data))
    return objective.terms(z)


def function_of_rows(
    model: Model,
    params: Mapping[str, Any],
    table: Table,
    function: Callable[..., Any],
    columns: Mapping[str, np.ndarray] | None = None,
) -> np.ndarray:
    """`function(p, row)` of every row of `table`, shape (rows,), at `params`.

    Arguments:
        columns: arrays (rows,) that the function reads beside those of the table.
    """
    table = table.with_columns(columns or {})
    objective, z = rebuilt(replace(model, log_density=function, unit="row"), params, table)
    return objective.terms(z)


def derivatives_of_rows(
    model: Model,
    params: Mapping[str, Any],
    table: Table,
    function: Callable[..., Any],
    columns: Mapping[str, np.ndarray] | None = None,
) -> Iterator[tuple[np.ndarray, np.ndarray, Objective, np.ndarray]]:
    """`function(p, row)` and its derivatives in the flat unconstrained vector, for blocks of rows: (values, d/du, ...).

    Yields:
        values (rows,), derivatives (rows, size), and the objective and `z` that they belong to.
    """
    model = replace(model, log_density=function, unit="row")
    table = table.with_columns(columns or {})
    size = sum(np.size(leaf) for leaf in jax.tree.leaves(dict(params)))
    step = max(NUMBERS_AT_ONCE // max(size, 1), 1)
    for at in range(0, table.n_rows, step):
        rows = np.arange(at, min(at + step, table.n_rows))
        objective, z = rebuilt(model, params, table if len(rows) == table.n_rows else table.take(rows))
        yield objective.terms(z), objective.scores(z) / objective.scale, objective, z


def averages_of_rows(
    model: Model,
    params: Mapping[str, Any],
    table: Table,
    function: Callable[..., Any],
    columns: Mapping[str, np.ndarray],
    weights: Sequence[np.ndarray],
) -> tuple[np.ndarray, np.ndarray, Objective]:
    """Weighted averages of `function(p, row)` over the rows of `table`, and their derivatives by one pass each.

    Arguments:
        weights: arrays (rows,), each of one average.

    Returns:
        The averages (m,), their derivatives (m, size) in the flat unconstrained vector, and the objective of that vector.
    """
    model = replace(model, log_density=function, unit="row")
    objective, z = rebuilt(model, params, table.with_columns(columns))
    values, slopes = np.empty(len(weights)), np.zeros((len(weights), objective.layout.size))
    for i, w in enumerate(weights):
        e = objective.weighted(w / w.sum()).evaluate(z, "gradient", penalised=False)
        values[i], slopes[i, objective.free] = -e.value, -e.gradient / objective.scale
    return values, slopes, objective

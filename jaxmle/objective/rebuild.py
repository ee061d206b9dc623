"""Functions of new rows at given parameters: the log-density of a fitted model, or any other, by the same passes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import jax
import numpy as np

from ..data.tables import Table
from ..declare.model import Model
from ..errors import ModelError
from .build import Built, build
from .fixing import start_vector
from .layout import Block
from .objective import Objective

NUMBERS_AT_ONCE = 5_000_000
"""How many numbers the derivatives of a block of rows may be."""


def rebuilt(model: Model, params: Mapping[str, Any], table: Table) -> tuple[Objective, np.ndarray]:
    """The objective of `model` on the rows of `table`, with nothing held, and its `z` at `params` (natural scale).

    Raises:
        DataError: for data that the model cannot use.
    """
    built = _built(model, table)
    return built.objective, _at(built, params)


def _built(model: Model, table: Table) -> Built:
    missing = "allow" if _is_whole(model.log_density) else "raise"  # a response may be missing, or still to come
    return build(model, table, weights=np.ones(table.n_rows), missing=missing, to_fit=False)


def _is_whole(function: Callable[..., Any]) -> bool:
    """Whether a function reads all rows at once, `(p, data)`, and returns one number for each."""
    return getattr(function, "whole", False)


def asking(model: Model, function: Callable[..., Any]) -> Model:
    """The model with a function of its rows, or of all of them at once, in place of its log-density."""
    return replace(model, log_density=function, unit="all" if _is_whole(function) else "row")


def _at(built: Built, params: Mapping[str, Any]) -> np.ndarray:
    known = {name: value for name, value in params.items() if name in built.model.params}
    u, _ = start_vector(built.model, built.objective.layout, known)
    return built.objective.to_z(u)


def bound(model: Model, table: Table) -> Model:
    """The model as the rows of `table` have bound it: levels and knots learnt."""
    return _built(model, table).model


def whole_truth(model: Model, params: Mapping[str, Any], table: Table) -> dict[str, Any]:
    """Every parameter on its natural scale, from values by name or by flat name; the response is not looked at.

    Raises:
        ModelError: for names that are unknown, and those that are missing.
        DataError: for rows that the predictors cannot use.
    """
    objective = _built(replace(model, log_density=_nothing, unit="row"), table).objective
    u, _ = start_vector(model, objective.layout, params, "params")
    held = np.ones(objective.layout.size, bool)
    held[objective.free] = False
    for block in objective.layout.blocks:
        n = block.stop - block.start
        if block.is_linear and block.name in params and np.size(params[block.name]) == 1 < n:  # one for all is a start
            raise ModelError(f"params of {block.name!r} must be {n} numbers: {_labels(block)}.")
        given = block.name in params or (block.elementwise and set(block.labels()) <= set(params))
        if not given and not held[block.start : block.stop].all():
            raise ModelError(f"params lacks {block.name!r}: give every parameter its true value ({_labels(block)}).")
    return objective.natural(objective.to_z(u))[0]


def _labels(block: Block) -> str:
    labels = block.labels()
    return ", ".join(labels[:8]) + (", ..." if len(labels) > 8 else "")


def _nothing(p: Any, row: Any) -> float:
    return 0.0


def read(data: Any) -> Table:
    """The user's data, in any form that `fit` takes."""
    return Table.read(data)


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
    objective, z = rebuilt(asking(model, function), params, table)
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
    model = asking(model, function)
    table = table.with_columns(columns or {})
    size = sum(np.size(leaf) for leaf in jax.tree.leaves(dict(params)))
    step = table.n_rows if _is_whole(function) else max(NUMBERS_AT_ONCE // max(size, 1), 1)
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

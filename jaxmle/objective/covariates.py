"""The columns that a model predicts from: whether they are numbers or levels, and how predictors move with them."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..data.slopes import slope_of, slopes
from ..data.state import from_json
from ..data.syntax import check, dotted_name, names_in
from ..data.tables import Table
from ..declare.combinators.censored import Censoring
from ..declare.conditional import Conditional
from ..declare.formula import Formula
from ..declare.linear import CONSTANT, Linear
from ..declare.model import Model
from ..errors import DataError
from .source import used_columns

TANGENT = "slope-of-"
"""Before the name of a parameter: the parameter whose predictor is the derivative of its own by a column."""


@dataclass(frozen=True)
class Covariate:
    """A column that predictions depend on.

    `levels` are those of a factor, the reference first, or empty for numbers. `main` is false for what predictions are
    not asked about unless it is named: offsets, and what a family reads beside its response, such as trials. `direct`
    tells that the function of the row reads the column itself.
    """

    name: str
    levels: tuple[Any, ...] = ()
    main: bool = True
    direct: bool = False


def predictor_columns(model: Model, names: Sequence[str]) -> dict[str, Covariate]:
    """The columns that predictors read, by name, and those of their offsets; `names` are those of the table."""
    found: dict[str, Covariate] = {}
    for parameter in model.params.values():
        if isinstance(parameter, Linear):
            for name, levels in _terms_of(parameter).items():
                if name not in found or levels:
                    found[name] = Covariate(name, levels)
    for parameter in model.params.values():
        if isinstance(parameter, Linear):
            for entry in parameter.offset:
                for name in (entry,) if entry in names else names_in(entry):
                    found.setdefault(name, Covariate(name, main=False))
    return found


def covariates(model: Model, table: Table, function: Callable[..., Any]) -> dict[str, Covariate]:
    """The columns that `function(p, row)` of a fitted model depends on, by name, those of predictors first."""
    found = predictor_columns(model, table.names)
    family = isinstance(model.log_density, Conditional)
    for name in used_columns(replace(model, log_density=function, unit="row"), table):
        found[name] = replace(found.get(name, Covariate(name, main=not family)), direct=True)
    return found


def distribution_columns(model: Model, table: Table) -> dict[str, Covariate]:
    """The columns that the distribution of a response depends on: of predictors, and what a family knows beside it."""
    found, conditional = predictor_columns(model, table.names), model.log_density
    if isinstance(conditional, Censoring):  # how a response is seen says nothing of its distribution
        conditional = conditional.inner
    if isinstance(conditional, Conditional):
        for name in conditional.columns:
            if name not in conditional.response:
                found.setdefault(name, Covariate(name, main=False))
    return found


def _terms_of(linear: Linear) -> dict[str, tuple[Any, ...]]:
    """The columns of the terms, each with its levels if it has any."""
    if not isinstance(linear.terms, Formula):
        terms = (linear.terms,) if isinstance(linear.terms, str) else linear.terms
        return {str(t): () for t in terms if t != CONSTANT}
    found: dict[str, tuple[Any, ...]] = {}
    for stored in from_json(linear.terms.state)["factors"]:
        expression = check(stored["text"], dict(linear.terms.functions))
        levels: tuple[Any, ...] = ()
        inner = expression.tree.args[0] if isinstance(expression.tree, ast.Call) else expression.tree
        if stored["kind"] == "levels" and dotted_name(inner) is not None:
            levels = tuple(stored["levels"])
            shown = stored["codings"]["reduced"].get("shown")
            if shown is not None:
                base = next((k for k in range(len(levels)) if k not in shown), 0)
                levels = (levels[base], *(v for k, v in enumerate(levels) if k != base))
        for name in expression.columns:
            found[name] = levels or found.get(name, ())
    return found


def with_tangents(
    model: Model, params: Mapping[str, Any], table: Table, column: str
) -> tuple[Model, dict[str, Any], Table, dict[str, np.ndarray]]:
    """The model with one more parameter for each linear predictor that moves with a column: the derivative by it.

    Returns:
        The model, its parameters, the table with the columns that it needs, and for each new parameter which of the
        coefficients of its predictor are its own.

    Raises:
        DataError: where a derivative does not exist.
    """
    more: dict[str, Linear] = {}
    values: dict[str, Any] = {}
    columns: dict[str, np.ndarray] = {}
    which: dict[str, np.ndarray] = {}
    for name, parameter in model.params.items():
        if not isinstance(parameter, Linear):
            continue
        positions, matrix = _slopes(parameter, table, name, column)
        offset = _offset_slope(parameter, table, name, column)
        if not len(positions) and offset is None:
            continue
        new = TANGENT + name
        if not len(positions):  # it moves by its offset alone: a coefficient of nothing
            positions, matrix = np.zeros(1, int), np.zeros((table.n_rows, 1))
        columns[new] = matrix
        if offset is not None:
            columns[new + " offset"] = offset
        more[new] = Linear(new, shape=parameter.shape, offset=() if offset is None else new + " offset")
        values[new] = np.asarray(params[name])[positions]
        which[new] = positions
    return replace(model, params={**model.params, **more}), {**params, **values}, table.with_columns(columns), which


def _slopes(linear: Linear, table: Table, parameter: str, column: str) -> tuple[np.ndarray, np.ndarray]:
    if isinstance(linear.terms, Formula):
        return slopes(linear.terms, table, parameter, column)
    terms: Any = (linear.terms,) if isinstance(linear.terms, str) else linear.terms
    at = 0
    for term in terms:
        size = 1 if term == CONSTANT else table.numeric(str(term))[:1].size
        if term == column:
            if table.numeric(column).ndim > 1:
                raise DataError(f"Column {column!r} has {size} numbers in a row: there is no derivative by one of it.")
            return np.array([at]), np.ones((table.n_rows, 1))
        at += size
    return np.zeros(0, int), np.zeros((table.n_rows, 0))


def _offset_slope(linear: Linear, table: Table, parameter: str, column: str) -> np.ndarray | None:
    """The derivative of the offsets, shape (n,) or (n, *shape); None where they do not move."""
    total = None
    for entry in linear.offset:
        if entry == column:
            slope = np.ones(table.n_rows)
        elif entry in table.names or column not in names_in(entry):
            continue
        else:
            slope = slope_of(entry, table, column, f"the offset of {parameter!r}", dict(linear.functions))
        slope = np.broadcast_to(slope.reshape(-1, *[1] * len(linear.shape)), (len(slope), *linear.shape))
        total = slope if total is None else total + slope
    return total

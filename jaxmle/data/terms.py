"""The factors of a formula's terms: what each learns from the data, and its columns in the same rows or in new ones.

A factor is what stands between the operators of a formula: a column, a call, `C(...)`. What it learnt is plain data
(see `state`): its `kind`, "numbers" (a column as it stands), "levels" or "expression", and what belongs to that kind.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..errors import DataError, ModelError, rows_in_words
from .expressions import value_of
from .levels import Coding, Factor, codes_of, coding, codings, learn_levels
from .syntax import Expression, Functions, check, constant, contrast, dotted_name
from .tables import Table, check_finite

Column = tuple[str, np.ndarray]
"""A column's label and its values (n,)."""


def learn(label: str, text: str, table: Table, parameter: str, functions: Functions) -> dict[str, Any]:
    """What a factor learns from the rows of `table`, as plain data.

    label: the factor's name in the names of columns; text: its expression, a bare column in backticks.
    Raises `DataError` for columns that cannot be used, `ModelError` for contrasts that do not fit the levels.
    """
    expression = check(text, functions)
    stored: dict[str, Any] = {"label": label, "text": text}
    tree = expression.tree
    if _is_levels(tree) or (dotted_name(tree) is not None and _is_text(table, str(dotted_name(tree)), parameter)):
        return stored | {"kind": "levels", **_learn_levels(label, tree, table, parameter, functions)}
    if dotted_name(tree) is not None and expression.columns:
        table.numeric(str(dotted_name(tree)), role_of(parameter))
        return stored | {"kind": "numbers", "spans": False}
    state: dict[str, Any] = {}
    _check_columns(expression, table, parameter)
    value = value_of(expression, table, role_of(parameter), functions, state)
    meta = getattr(value, "__formulaic_metadata__", None)
    spans = bool(meta is not None and meta.spans_intercept)
    stored |= {"kind": "expression", "state": state, "spans": spans, "drop": str(meta.drop_field) if spans else None}  # type: ignore[union-attr]
    return stored | {"labels": [name for name, _ in fields_of(label, value, table.n_rows, parameter)]}


def role_of(parameter: str) -> str:
    """Who asks for a column, in messages."""
    return f"the linear predictor of {parameter!r}"


def _is_levels(tree: ast.expr) -> bool:
    return isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and tree.func.id == "C"


def _is_text(table: Table, name: str, parameter: str) -> bool:
    """Whether a column holds levels as it stands: categories, or text."""
    values = table.column(name, role_of(parameter))
    if table.categories(name) is not None or values.dtype.kind in "UTS":
        return True
    if values.dtype.kind != "O":
        return False
    return all(isinstance(v, str) or v is None or v != v for v in values.tolist())


def _check_columns(expression: Expression, table: Table, parameter: str) -> None:
    role = role_of(parameter)
    check_finite({name: table.column(name, role) for name in expression.columns}, "raise", role)


def _raw(tree: ast.expr, table: Table, parameter: str, functions: Functions) -> tuple[np.ndarray, Any, bool]:
    """The values (n,) that a factor's levels are found in, the categories if they have any, and whether the column
    stands alone."""
    inner = tree.args[0] if isinstance(tree, ast.Call) else tree
    name = dotted_name(inner)
    if name is None:
        expression = Expression(ast.unparse(inner), inner, (), ())
        values = np.asarray(value_of(expression, table, role_of(parameter), functions))
        return np.broadcast_to(values, (table.n_rows, *values.shape[1:])), None, False
    return table.column(name, role_of(parameter)), table.categories(name), inner is tree


def _learn_levels(label: str, tree: ast.expr, table: Table, parameter: str, functions: Functions) -> dict[str, Any]:
    values, categories, bare = _raw(tree, table, parameter, functions)
    check_finite({label: values}, "raise", role_of(parameter))
    levels = learn_levels(values, categories, label, parameter, bare=bare)
    contrasts = None
    if isinstance(tree, ast.Call):
        options = {str(k.arg): k.value for k in tree.keywords}
        given = tree.args[1] if len(tree.args) > 1 else options.get("contrasts")
        contrasts = None if given is None else contrast(given, lambda node, why="": ModelError(f"{label}: {why}."))
        if "levels" in options:
            listed = constant(options["levels"])
            codes_of(values, listed, label, parameter, table)
            levels = tuple(v for v in listed if v in set(levels))
    return {"levels": list(levels), "spans": True, "codings": codings(label, levels, contrasts)}


def fields_of(label: str, value: Any, n_rows: int, parameter: str) -> list[Column]:
    """The columns of what an expression gave, by label: one for a vector, one by field for matrices and splines."""
    meta = getattr(value, "__formulaic_metadata__", None)
    raw = getattr(value, "__wrapped__", value)
    if isinstance(raw, dict):
        named = {k: np.asarray(v) for k, v in raw.items() if not str(k).startswith("__")}
    else:
        array = np.asarray(raw)
        if array.ndim < 2:
            return [(label, np.broadcast_to(array, (n_rows,)))]
        if array.ndim > 2:
            raise DataError(f"Term {label!r} of {parameter!r} has shape {array.shape}; expected (n,) or (n, k).")
        named = dict(zip((meta is not None and meta.column_names) or range(array.shape[1]), array.T))
    return [(f"{label}[{name}]", np.broadcast_to(array, (n_rows,))) for name, array in named.items()]


@dataclass(frozen=True)
class Values:
    """A factor that has learnt, on the rows of a table."""

    stored: Mapping[str, Any]
    table: Table
    parameter: str
    functions: Mapping[str, Callable[..., Any]]

    @property
    def label(self) -> str:
        return self.stored["label"]

    @cached_property
    def expression(self) -> Expression:
        return check(self.stored["text"], self.functions)

    @cached_property
    def codes(self) -> np.ndarray:
        values, _, _ = _raw(self.expression.tree, self.table, self.parameter, self.functions)
        check_finite({self.label: values}, "raise", role_of(self.parameter))
        return codes_of(values, self.stored["levels"], self.label, self.parameter, self.table)

    @cached_property
    def fields(self) -> list[Column]:
        """The columns of numbers, all that there are; raises `DataError` where they are not finite."""
        _check_columns(self.expression, self.table, self.parameter)
        if self.stored["kind"] == "numbers":
            values = self.table.numeric(self.expression.columns[0], role_of(self.parameter))
            return fields_of(self.label, values, self.table.n_rows, self.parameter)
        value = value_of(self.expression, self.table, role_of(self.parameter), self.functions, self.stored["state"])
        out = fields_of(self.label, value, self.table.n_rows, self.parameter)
        labels = [name for name, _ in out]
        if labels != self.stored["labels"]:
            raise DataError(
                f"Term {self.label!r} of {self.parameter!r} has the columns {labels}, {self.stored['labels']} in the fit."
            )
        for _, column in out:
            with np.errstate(over="ignore", invalid="ignore"):
                finite = np.isfinite(column.sum())
            if not finite:
                refuse_infinite(column, self.label, self.table, self.parameter, self.expression.columns)
        return out

    @property
    def matrix(self) -> np.ndarray | None:
        """The user's own matrix (n, k), where the factor is that as it stands, rows first in memory."""
        if self.stored["kind"] != "numbers":
            return None
        values = self.table.numeric(self.expression.columns[0], role_of(self.parameter))
        return values if values.ndim == 2 and values.flags.c_contiguous else None

    @cached_property
    def dtype(self) -> np.dtype | None:
        """The type of the numbers that this factor is made of, None for levels."""
        if self.stored["kind"] == "levels":
            return None
        types = [self.table.numeric(c).dtype for c in self.expression.columns if self._is_numeric(c)]
        return np.result_type(*types) if types else None

    def _is_numeric(self, name: str) -> bool:
        return self.table.column(name).dtype.kind not in "OUTS"

    def coding(self, reduced: bool) -> Coding:
        return coding(self.stored["codings"]["reduced" if reduced else "full"])

    def width(self, reduced: bool) -> int | None:
        """How many columns the levels have; None for numbers."""
        return len(self.coding(reduced).labels) if self.stored["kind"] == "levels" else None

    def may_be_codes(self, reduced: bool, least: int) -> bool:
        """Whether the factor can be kept as codes, and has so many columns that it should be."""
        if self.stored["kind"] != "levels":
            return False
        coded = self.coding(reduced)
        return coded.matrix is None and len(coded.shown) >= least

    def factor(self, reduced: bool, first: int) -> tuple[tuple[str, ...], Factor]:
        """The labels of the levels and their codes."""
        coded = self.coding(reduced)
        return coded.labels, coded.factor(self.codes, first, len(self.stored["levels"]))

    def columns(self, reduced: bool) -> list[Column]:
        """The columns in full or reduced rank."""
        if self.stored["kind"] == "levels":
            coded = self.coding(reduced)
            return list(zip(coded.labels, coded.columns(self.codes)))
        dropped = f"{self.label}[{self.stored.get('drop')}]" if reduced and self.stored["spans"] else None
        return [(name, column) for name, column in self.fields if name != dropped]


def refuse_infinite(column: np.ndarray, label: str, table: Table, parameter: str, of: tuple[str, ...] = ()) -> None:
    """Raise `DataError` if a term is not finite somewhere, naming the rows and what the term is made of there."""
    rows = np.flatnonzero(~np.isfinite(column))
    if not len(rows):
        return
    shown = ", ".join(f"{v:g}" for v in column[rows[:5]])
    causes = "; ".join(f"{c} = {', '.join(map(_short, table.column(c)[rows[:5]].tolist()))}" for c in of)
    raise DataError(
        f"Term {label!r} of {parameter!r} is not finite in {rows_in_words(table.numbered(rows))}: {shown}"
        f"{f', where {causes}' if causes else ''}. Correct these rows, or take them out."
    )


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else repr(value)

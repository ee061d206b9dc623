"""Expressions in formulas and offsets, evaluated on a table without running Python; `syntax` says what they may be."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import DataError, ModelError
from .syntax import (
    CONSTANTS,
    NUMERIC,
    Expression,
    Functions,
    called_name,
    check,
    constant,
    dotted_name,
    is_constant,
    names_in,
    text_of,
)
from .tables import Table, optional

__all__ = ["Evaluation", "check", "evaluate", "names_in", "number_of", "value_of"]

_NUMERIC: dict[str, Callable[..., Any]] = {name: getattr(np, name) for name in NUMERIC if name != "exp10"} | {
    "exp10": lambda x: np.power(10.0, x)
}
_ARITHMETIC: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: np.divide,
    ast.Mod: np.mod,
    ast.FloorDiv: np.floor_divide,
    ast.Pow: np.power,
    ast.BitAnd: lambda a, b: (a != 0) & (b != 0),
    ast.BitOr: lambda a, b: (a != 0) | (b != 0),
}
_SIGNS: dict[type, Callable[[Any], Any]] = {
    ast.UAdd: lambda a: a,
    ast.USub: operator.neg,
    ast.Invert: lambda a: a == 0,
}
_COMPARISONS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}


def evaluate(expr: str, table: Table, role: str = "an expression", functions: Functions | None = None) -> np.ndarray:
    """The expression in every row, float64 of shape (n,); infinities and NaN are left for the caller to name.

    Raises:
        ModelError: for what the language does not know.
        DataError: for columns that are unknown or not numeric, and for anything but one number in a row.
    """
    values = value_of(check(expr, functions), table, role, functions)
    values = np.asarray(values)
    if values.dtype.kind not in "biuf" or values.shape not in ((), (table.n_rows,)):
        raise DataError(f"{expr!r}, in {role}, has shape {values.shape}; expected one number in each row.")
    return np.array(np.broadcast_to(values, (table.n_rows,)), np.float64)


def value_of(
    expression: Expression,
    table: Table,
    role: str,
    functions: Functions | None = None,
    state: dict[str, Any] | None = None,
) -> Any:
    """What an expression gives, as its outermost call returns it; `state` is what learning transforms keep."""
    evaluation = Evaluation(table, role, functions or {}, {} if state is None else state)
    with np.errstate(all="ignore"):
        return evaluation.value(expression.tree)


@dataclass
class Evaluation:
    """Walks over a checked tree and computes; numbers are float64, so that no power or product of integers wraps."""

    table: Table
    role: str
    functions: Functions
    state: dict[str, Any]

    def value(self, node: ast.expr) -> Any:
        match node:
            case ast.Constant(value=int() | float() as value):
                return np.float64(value)
            case ast.Name() | ast.Attribute():
                dotted = str(dotted_name(node))
                root, _, rest = dotted.partition(".")
                if root in ("np", "numpy") and rest in CONSTANTS:
                    return np.float64(CONSTANTS[rest])
                return self.table.numeric(dotted, self.role).astype(np.float64)
            case ast.UnaryOp(op=op, operand=inner):
                return _SIGNS[type(op)](number_of(self.value(inner)))
            case ast.BinOp(op=op, left=left, right=right):
                return self.joined(node, _ARITHMETIC[type(op)], left, right)
            case ast.Compare(left=left, ops=ops, comparators=others):
                operands = [left, *others]
                pairs = [
                    self.joined(node, _COMPARISONS[type(op)], a, b) for op, a, b in zip(ops, operands, operands[1:])
                ]
                return np.logical_and.reduce(pairs) if len(pairs) > 1 else pairs[0]
            case ast.Call():
                return self.call(node)
        raise AssertionError(ast.dump(node))  # pragma: no cover: the expression was checked

    def joined(self, node: ast.expr, function: Callable[[Any, Any], Any], *operands: ast.expr) -> Any:
        text = next((t for t in map(text_of, operands) if t is not None), None)
        if text is not None:
            column = next(o for o in operands if text_of(o) is None)
            values = self.table.column(str(dotted_name(column)), self.role)
            return np.array([bool(function(v, text)) for v in values.tolist()])
        values = [number_of(self.value(o)) for o in operands]
        try:
            return function(*values)
        except ValueError:
            shapes = " and ".join(str(np.shape(v)) for v in values)
            raise DataError(f"{ast.unparse(node)}, in {self.role}, joins arrays of shapes {shapes}.") from None

    def call(self, node: ast.Call) -> Any:
        name = str(called_name(node))
        if name in self.functions:
            function = self.functions[name]
            args = [constant(a) if is_constant(a) else number_of(self.value(a)) for a in node.args]
            kwargs = {
                str(k.arg): constant(k.value) if is_constant(k.value) else number_of(self.value(k.value))
                for k in node.keywords
            }
            return _rows_of(function(*args, **kwargs), self.table.n_rows, name)
        if name == "I":
            return self.value(node.args[0])
        if name in NUMERIC:
            args = [number_of(self.value(a)) for a in node.args]
            return _NUMERIC[name](*args[:1], int(args[1])) if name == "round" and args[1:] else _NUMERIC[name](*args)
        state = self.state.setdefault(ast.unparse(node), {})
        options = {str(k.arg): constant(k.value) for k in node.keywords}
        values = np.broadcast_to(number_of(self.value(node.args[0])), (self.table.n_rows,))
        transform = formulaic("transforms").TRANSFORMS[name]
        try:
            return transform(values, *(constant(a) for a in node.args[1:]), _state=state, **options)
        except TypeError as error:
            raise ModelError(f"{ast.unparse(node)}: {error}.") from None
        except (ValueError, np.linalg.LinAlgError) as error:
            raise DataError(f"{ast.unparse(node)}, in {self.role}: {error}") from None


def formulaic(module: str = "") -> Any:
    """The package formulaic, or one of its modules; raises an error that names the extra where it is missing."""
    return optional(f"formulaic.{module}" if module else "formulaic", "This formula needs formulaic", "formulas")


def number_of(value: Any) -> np.ndarray:
    """The numbers of what a transform returned: formulaic wraps arrays, and makes a dict of several columns."""
    value = getattr(value, "__wrapped__", value)
    if isinstance(value, dict):
        raise ModelError("A spline has several columns, so nothing can be computed from it: make it a term of its own.")
    return np.asarray(value)


def _rows_of(value: Any, n_rows: int, name: str) -> Any:
    values = np.asarray(value)
    if values.ndim not in (1, 2) or len(values) != n_rows or values.dtype.kind not in "biuf":
        raise DataError(
            f"The function {name!r} returned {values.dtype} of shape {values.shape}; expected numbers of shape "
            f"({n_rows},) or ({n_rows}, k)."
        )
    return values.astype(np.float64)

"""Derivatives of a formula's columns by a column of the data, exact: by the chain rule on the syntax of its terms.

Arithmetic and known functions are differentiated by JAX. Splines and polynomials are polynomials between their knots:
each piece is interpolated at as many points as its degree asks for, inside it, and the interpolant is differentiated.
Only functions of the user's, which are NumPy's, take central differences (of the fourth order).
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.polynomial import chebyshev

from .. import runtime
from ..declare.formula import Formula
from ..errors import DataError, rows_in_words
from .expressions import Evaluation, formulaic, number_of
from .state import from_json
from .syntax import NUMERIC, Functions, called_name, check, constant, dotted_name, is_constant
from .tables import Table
from .terms import Values, fields_of, role_of

_NUMERIC: dict[str, Callable[..., Any]] = {name: getattr(jnp, name) for name in NUMERIC if name != "exp10"} | {
    "exp10": lambda x: jnp.power(10.0, x)
}
_ARITHMETIC: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: jnp.add,
    ast.Sub: jnp.subtract,
    ast.Mult: jnp.multiply,
    ast.Div: jnp.divide,
    ast.Mod: jnp.mod,
    ast.FloorDiv: jnp.floor_divide,
    ast.Pow: jnp.power,
}
STEP = 1e-3
"""The step of a difference, in standard deviations: its error is of the order of the fourth power."""


def slopes(formula: Formula, table: Table, parameter: str, by: str) -> tuple[np.ndarray, np.ndarray]:
    """The columns of a bound formula that move with the column `by`: their positions (k,), and derivatives (n, k).

    Raises:
        DataError: where a derivative is not finite, such as that of a square root at zero.
    """
    state = from_json(formula.state)
    values = [Values(stored, table, parameter, dict(formula.functions)) for stored in state["factors"]]
    moving = {i: _of_factor(v, by) for i, v in enumerate(values) if by in _moved_by(v)}
    at, found = 0, {}
    for scale, members in (s for term in state["terms"] for s in term):
        widths = [_width(values[i], reduced) for i, reduced in members]
        if not any(i in moving for i, _ in members):
            at += prod(widths)
            continue
        parts = [_with_slopes(values[i], reduced, moving.get(i)) for i, reduced in reversed(members)]
        for chosen in product(*parts):
            found[at] = scale * _product_rule(chosen, table.n_rows)
            at += 1
    dropped = np.asarray(sorted(state["dropped"]), int)
    kept = [p for p in found if p not in set(dropped.tolist())]
    positions = np.asarray([p - int((dropped < p).sum()) for p in kept], int)
    matrix = np.stack([found[p] for p in kept], axis=1) if kept else np.zeros((table.n_rows, 0))
    return positions, matrix


def slope_of(expr: str, table: Table, by: str, role: str, functions: Functions | None = None) -> np.ndarray:
    """The derivative of an expression by the column `by`, shape (n,)."""
    expression = check(expr, functions)
    slope = _Slopes(table, role, functions or {}, {}, by).slope(expression.tree)
    return _finite(np.zeros(table.n_rows) if slope is None else slope, expr, table, by)


def _of_factor(values: Values, by: str) -> list[np.ndarray]:
    """The derivative (n,) of each of the factor's columns of numbers."""
    n = values.table.n_rows
    if values.stored["kind"] == "numbers":
        return [np.ones(n)]
    steps = _Slopes(values.table, role_of(values.parameter), values.functions, values.stored["state"], by)
    slope = steps.slope(values.expression.tree)
    if slope is None:
        return [np.zeros(n) for _ in values.fields]
    return list(_finite(np.asarray(slope), values.label, values.table, by).reshape(n, -1).T)


def _moved_by(values: Values) -> tuple[str, ...]:
    """The columns in which a factor is a function of numbers."""
    return () if values.stored["kind"] == "levels" else values.expression.columns


def _finite(slope: np.ndarray, label: str, table: Table, by: str) -> np.ndarray:
    rows = np.flatnonzero(~np.isfinite(slope.reshape(table.n_rows, -1)).all(axis=1))
    if len(rows):
        raise DataError(
            f"The derivative of {label!r} by {by!r} is not finite in {rows_in_words(table.numbered(rows))}. Ask for "
            "the effect at other values (at=), or for a contrast."
        )
    return slope


def _width(values: Values, reduced: bool) -> int:
    width = values.width(reduced)
    return len(values.columns(reduced)) if width is None else width


def _with_slopes(
    values: Values, reduced: bool, slopes: list[np.ndarray] | None
) -> list[tuple[np.ndarray, np.ndarray | None]]:
    """The factor's columns, each with its derivative or None."""
    columns = values.columns(reduced)
    if slopes is None:
        return [(np.asarray(column, np.float64), None) for _, column in columns]
    of = {name: slope for (name, _), slope in zip(values.fields, slopes)}
    return [(np.asarray(column, np.float64), of[name]) for name, column in columns]


def _product_rule(chosen: tuple[tuple[np.ndarray, np.ndarray | None], ...], n: int) -> np.ndarray:
    total = np.zeros(n)
    for i, (_, slope) in enumerate(chosen):
        if slope is not None:
            total += slope * np.prod([column for j, (column, _) in enumerate(chosen) if j != i], axis=0)
    return total


@dataclass
class _Slopes(Evaluation):
    """Walks over a checked tree like the evaluation, for derivatives by one column."""

    by: str

    def slope(self, node: ast.expr) -> np.ndarray | None:
        """The derivative of a node's value, of the same shape; None where it does not move."""
        match node:
            case ast.Name() | ast.Attribute():
                return np.ones(self.table.n_rows) if dotted_name(node) == self.by else None
            case ast.UnaryOp(op=ast.USub() | ast.UAdd() as op, operand=inner):
                slope = self.slope(inner)
                return -slope if slope is not None and isinstance(op, ast.USub) else slope
            case ast.BinOp(op=op, left=left, right=right) if type(op) in _ARITHMETIC:
                return self.chained(_ARITHMETIC[type(op)], [left, right])
            case ast.Call():
                return self.of_call(node)
        return None  # constants, and what is true or false

    def chained(self, function: Callable[..., Any], nodes: list[ast.expr]) -> np.ndarray | None:
        """The chain rule through a function of JAX, in those of its arguments that move."""
        slopes = [self.slope(node) for node in nodes]
        move = [i for i, s in enumerate(slopes) if s is not None]
        if not move:
            return None
        values = [np.asarray(number_of(self.value(node)), np.float64) for node in nodes]
        shape = np.broadcast_shapes(*(v.shape for v in values))

        def of(*moving: Any) -> Any:
            args: list[Any] = list(values)
            for i, value in zip(move, moving):
                args[i] = value
            return function(*args)

        with runtime.x64():
            at = tuple(jnp.asarray(values[i]) for i in move)
            along = tuple(jnp.asarray(np.broadcast_to(slopes[i], values[i].shape)) for i in move)  # type: ignore[arg-type]
            slope = np.asarray(jax.device_get(jax.jvp(of, at, along)[1]), np.float64)
        return np.array(np.broadcast_to(slope, shape))

    def of_call(self, node: ast.Call) -> np.ndarray | None:
        name = str(called_name(node))
        if name in self.functions:
            return self.of_own(self.functions[name], node)
        if name == "I":
            return self.slope(node.args[0])
        if name in ("floor", "ceil", "round", "sign"):
            return None
        if name in NUMERIC:
            return self.chained(_NUMERIC[name], node.args)
        inner = self.slope(node.args[0])
        if inner is None:
            return None
        outer = self.of_learnt(node, number_of(self.value(node.args[0])))
        return outer * inner.reshape(-1, *[1] * (outer.ndim - 1))

    def of_own(self, function: Callable[..., Any], node: ast.Call) -> np.ndarray | None:
        """The derivative of a function of the user's, by central differences along the slopes of its arguments."""
        nodes: dict[Any, ast.expr] = {**dict(enumerate(node.args)), **{str(k.arg): k.value for k in node.keywords}}
        given = {i: constant(a) if is_constant(a) else number_of(self.value(a)) for i, a in nodes.items()}
        slopes = {i: None if is_constant(a) else self.slope(a) for i, a in nodes.items()}
        moving = {i: s for i, s in slopes.items() if s is not None}
        if not moving:
            return None
        spread = max(float(np.std(given[i])) or float(np.max(np.abs(given[i]))) or 1.0 for i in moving)
        h = STEP * spread / max(float(np.max(np.abs(s))) or 1.0 for s in moving.values())

        def at(t: float) -> np.ndarray:
            args = {i: given[i] + t * moving[i] if i in moving else given[i] for i in given}
            positional = [v for i, v in args.items() if isinstance(i, int)]
            named = {i: v for i, v in args.items() if isinstance(i, str)}
            return np.asarray(function(*positional, **named), np.float64)

        with np.errstate(all="ignore"):
            return (8.0 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12.0 * h)

    def of_learnt(self, node: ast.Call, v: np.ndarray) -> np.ndarray:
        """The derivative of a learnt transform at the values of its argument, shape (n,) or (n, k)."""
        name, state = str(called_name(node)), self.state.setdefault(ast.unparse(node), {})
        options = {str(k.arg): constant(k.value) for k in node.keywords}
        args = [constant(a) for a in node.args[1:]]
        transform = formulaic("transforms").TRANSFORMS[name]
        v = np.broadcast_to(v, (self.table.n_rows,)).astype(np.float64)
        made = self.value(node)  # what is missing in `state` is learnt
        raw = getattr(made, "__wrapped__", made)

        def at(x: np.ndarray) -> np.ndarray:
            return np.stack([c for _, c in fields_of("", transform(x, *args, _state=state, **options), len(x), "")], 1)

        where = {"poly": 0, "bs": 2}.get(name)
        given = args[where] if where is not None and len(args) > where else None
        degree = int(options.get("degree", given) or DEGREES.get(name, 1))
        low, high = state.get("lower_bound"), state.get("upper_bound")
        breaks = [*np.ravel(state.get("knots", ())), *(b for b in (low, high) if b is not None)]
        if name == "cc":
            v = low + (v - low) % (high - low)  # type: ignore[operator]
        slope = derivative_of_pieces(at, np.array(breaks, np.float64), degree, v)
        return slope if isinstance(raw, dict) or np.ndim(raw) > 1 else slope[:, 0]


DEGREES = {"bs": 3, "cr": 3, "cs": 3, "cc": 3}
"""Of the polynomials between the knots, where none is given."""


def derivative_of_pieces(
    f: Callable[[np.ndarray], np.ndarray], breaks: np.ndarray, degree: int, v: np.ndarray
) -> np.ndarray:
    """The derivative at v (n,) of functions that are polynomials of a degree between breaks: f (m,) → (m, k)."""
    low, high = float(v.min()), float(v.max())
    inner = np.unique(breaks)
    low, high = min([low, *inner]), max([high, *inner])
    if low == high:
        low, high = low - max(1.0, abs(low)), high + max(1.0, abs(high))
    ends = np.unique([low, *inner, high])
    piece = np.clip(np.searchsorted(ends, v, side="right") - 1, 0, len(ends) - 2)
    nodes = np.cos(np.pi * (np.arange(degree + 1) + 0.5) / (degree + 1))
    middle, half = 0.5 * (ends[1:] + ends[:-1]), 0.5 * np.diff(ends)
    values = f((middle[:, None] + half[:, None] * nodes).ravel())
    basis = chebyshev.chebvander(nodes, degree)
    out = np.zeros((len(v), values.shape[1]))
    for i in np.unique(piece):
        rows = piece == i
        coefficients = np.linalg.solve(basis, values[i * (degree + 1) : (i + 1) * (degree + 1)])
        slope = chebyshev.chebval((v[rows] - middle[i]) / half[i], chebyshev.chebder(coefficients))
        out[rows] = np.reshape(slope, (values.shape[1], -1)).T / half[i]
    return out

"""Design matrices: from the terms of a `Linear` to named columns, the same way for new rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..declare.formula import Formula
from ..declare.linear import CONSTANT, Linear
from ..errors import DataError, rows_in_words
from .beside import Beside, pieces_of
from .expressions import check, evaluate
from .formula import bind, columns, split_offset
from .levels import Factor
from .tables import Table

__all__ = ["Design", "Factor", "offset_of"]


@dataclass(frozen=True)
class Design:
    """The columns of one linear predictor.

    `names` are the terms, in the order of the coefficients; `matrix` (n, k) holds the columns that are numbers, in that
    order too; `factors` are categorical effects of many levels, kept as codes. `Design.of` is applied again, with the
    same `Linear`, to new rows.
    """

    names: tuple[str, ...]
    matrix: np.ndarray | Beside
    factors: tuple[Factor, ...] = ()

    @property
    def dense(self) -> tuple[int, ...]:
        """The positions of the matrix' columns among all columns."""
        levels = {i for f in self.factors for i in range(f.first, f.first + f.n_levels)}
        return tuple(i for i in range(len(self.names)) if i not in levels)

    def written_out(self, rows: np.ndarray) -> np.ndarray:
        """All p columns at these rows, shape (m, p) in float64, levels kept as codes as columns of zeros and ones."""
        out = np.zeros((len(rows), len(self.names)), order="F")
        out[:, list(self.dense)] = self.matrix[rows]
        for f in self.factors:
            codes = f.codes[rows]
            at = np.flatnonzero(codes >= 0)
            out[at, f.first + codes[at]] = 1.0
        return out

    @staticmethod
    def of(linear: Linear, table: Table, parameter: str) -> Design:
        """The design of `linear` on the rows of `table`.

        A formula that has seen no data learns its levels and knots here; its `offset(...)` belongs to `offset_of`.

        Raises:
            DataError: for columns that cannot be used, and for levels that the formula has not seen.
        """
        if linear.is_formula:
            formula: Any = linear.terms
            if not isinstance(formula, Formula):
                formula = bind(split_offset(formula)[0], table, parameter, dict(linear.functions))
            return Design(*columns(formula, table, parameter))
        role = f"the linear predictor of {parameter!r}"
        if isinstance(linear.terms, str):
            matrix = table.numeric(linear.terms, role)
            if matrix.ndim == 1:
                return Design((linear.terms,), matrix[:, None])
            _check_matrix(matrix, linear.terms, parameter)
            return Design(tuple(f"{linear.terms}{j}" for j in range(matrix.shape[1])), matrix)
        terms: Any = linear.terms
        parts = {t: Design.of(Linear(t), table, parameter) for t in terms if isinstance(t, str)}
        kind = np.result_type(np.float32, *(p.matrix.dtype for p in parts.values())) if parts else np.dtype(np.float64)
        one = Design(("Intercept",), np.broadcast_to(np.ones((1, 1), kind), (table.n_rows, 1)))
        chosen = [one if term == CONSTANT else parts[str(term)] for term in terms]
        names = tuple(name for part in chosen for name in part.names)
        pieces = tuple(piece for part in chosen for piece in pieces_of(part.matrix))
        return Design(names, pieces[0] if len(pieces) == 1 else Beside(pieces))


def offset_of(linear: Linear, table: Table, parameter: str) -> np.ndarray | None:
    """The known part of the predictor, shape (n,) or (n, *shape), or None: columns and expressions, added up.

    Raises:
        DataError: for columns that cannot be used, naming rows where an expression is not finite.
    """
    entries = linear.offset
    if isinstance(linear.terms, str) and linear.is_formula:
        entries = (*entries, *split_offset(linear.terms)[1])
    total = None
    for entry in entries:
        if entry in table.names:
            column = table.numeric(entry, f"the offset of {parameter!r}").astype(np.float64)
        else:
            column = _evaluated(entry, linear, table, parameter)
        if column.shape[1:] not in ((), linear.shape):
            raise DataError(
                f"offset column {entry!r} of {parameter!r} has shape {column.shape[1:]} in a row; "
                f"expected a number or shape {linear.shape}."
            )
        if column.ndim == 1 and linear.shape:
            column = np.broadcast_to(column.reshape(-1, *[1] * len(linear.shape)), (len(column), *linear.shape))
        total = column if total is None else total + column
    return total


def _evaluated(entry: str, linear: Linear, table: Table, parameter: str) -> np.ndarray:
    role, functions = f"the offset of {parameter!r}", dict(linear.functions)
    column = evaluate(entry, table, role, functions)
    rows = np.flatnonzero(~np.isfinite(column))
    if len(rows):
        of = check(entry, functions).columns
        values = "; ".join(f"{c} = {', '.join(f'{v:g}' for v in table.numeric(c)[rows[:5]].tolist())}" for c in of)
        hint = " An exposure must be positive." if "log" in entry else ""
        raise DataError(
            f"The offset {entry!r} of {parameter!r} is not finite in {rows_in_words(table.numbered(rows))}, where "
            f"{values}.{hint}"
        )
    return column


def _check_matrix(matrix: np.ndarray, name: str, parameter: str) -> None:
    if matrix.ndim != 2 or matrix.shape[1] == 0:
        raise DataError(
            f"Column {name!r}, the design of {parameter!r}, has shape {matrix.shape}; "
            "expected a vector or an n×p matrix."
        )

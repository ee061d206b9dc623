"""Design matrices: from the terms of a `Linear` to named columns, the same way for new rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..declare.linear import CONSTANT, Linear
from ..errors import DataError, ModelError
from .tables import Table


@dataclass(frozen=True)
class Design:
    """The columns of one linear predictor.

    `names` are the terms, in the order of the coefficients; `matrix` is (n, p). `Design.of` is applied again, with
    the same `Linear`, to new rows.
    """

    names: tuple[str, ...]
    matrix: np.ndarray

    @staticmethod
    def of(linear: Linear, table: Table, parameter: str) -> Design:
        """The design of `linear` on the rows of `table`; raises `DataError` for columns that cannot be used."""
        if linear.is_formula:
            raise ModelError(
                f"Parameter {parameter!r}: the formula {linear.terms!r} cannot be read by this version. Name the "
                "columns, with 1 for the constant term: Linear([1, 'x', 'z'])."
            )
        role = f"the linear predictor of {parameter!r}"
        if isinstance(linear.terms, str):
            matrix = table.numeric(linear.terms, role)
            if matrix.ndim == 1:
                return Design((linear.terms,), matrix[:, None])
            _check_matrix(matrix, linear.terms, parameter)
            return Design(tuple(f"{linear.terms}{j}" for j in range(matrix.shape[1])), matrix)
        parts = {t: Design.of(Linear(t), table, parameter) for t in linear.terms if isinstance(t, str)}
        kind = np.result_type(np.float32, *(p.matrix for p in parts.values())) if parts else np.dtype(np.float64)
        one = Design(("Intercept",), np.ones((table.n_rows, 1), kind))
        chosen = [one if term == CONSTANT else parts[str(term)] for term in linear.terms]
        names = tuple(name for part in chosen for name in part.names)
        return Design(names, np.concatenate([part.matrix for part in chosen], axis=1))


def offset_of(linear: Linear, table: Table, parameter: str) -> np.ndarray | None:
    """The known part of the predictor, shape (n,) or (n, *shape), or None."""
    total = None
    for name in linear.offset:
        column = table.numeric(name, f"the offset of {parameter!r}").astype(np.float64)
        if column.shape[1:] not in ((), linear.shape):
            raise DataError(
                f"offset column {name!r} of {parameter!r} has shape {column.shape[1:]} in a row; "
                f"expected a number or shape {linear.shape}."
            )
        if column.ndim == 1 and linear.shape:
            column = np.broadcast_to(column.reshape(-1, *[1] * len(linear.shape)), (len(column), *linear.shape))
        total = column if total is None else total + column
    return total


def _check_matrix(matrix: np.ndarray, name: str, parameter: str) -> None:
    if matrix.ndim != 2 or matrix.shape[1] == 0:
        raise DataError(
            f"Column {name!r}, the design of {parameter!r}, has shape {matrix.shape}; "
            "expected a vector or an n×p matrix."
        )

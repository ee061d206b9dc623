"""Rows that are alike in some columns, one of which speaks for all."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..data.grouping import codes_of
from ..data.tables import Table

ALIKE = 200_000
"""In more rows than this it is not looked for rows that are alike."""


def unlike(table: Table, columns: Iterable[str], weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows that differ in some of the columns, one of each kind, and the sums of the weights of their kinds.

    In very many rows it is not looked for rows that are alike: all are returned.
    """
    columns = list(columns)
    if not columns:
        return np.zeros(1, dtype=int), np.array([weights.sum()])
    if table.n_rows > ALIKE:
        return np.arange(table.n_rows), weights
    code = np.zeros(table.n_rows, dtype=np.int64)
    for name in columns:
        values = table.column(name)
        own = _codes(values)
        code = np.unique(code * (own.max() + 1) + own, return_inverse=True)[1].reshape(-1)
    first = np.unique(code, return_index=True)[1]
    return first, np.bincount(code, weights)


def _codes(values: np.ndarray) -> np.ndarray:
    if values.dtype.kind in "OTUS":
        return codes_of(values)[0]
    if values.ndim > 1:
        return np.unique(values.reshape(len(values), -1), axis=0, return_inverse=True)[1].reshape(-1)
    return np.unique(values, return_inverse=True)[1].reshape(-1)

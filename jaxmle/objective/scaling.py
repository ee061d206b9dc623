"""Sizes of columns: what each coefficient is multiplied by, so that the solver's vector ignores units."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..data.beside import pieces_of
from ..data.design import Design
from .layout import Layout


def column_scale(layout: Layout, designs: Sequence[Design]) -> np.ndarray:
    """For each entry of `u`, a power of two near 1/(root mean square of its column): `z` ignores units of columns."""
    scale = np.ones(layout.size)
    cached: dict[int, np.ndarray] = {}
    for block in layout.predicted:
        if block.design not in cached:
            cached[block.design] = np.exp2(-np.round(_log2_sizes(designs[block.design])))
        scale[block.positions] = cached[block.design][:, None]
    return scale


def _log2_sizes(design: Design) -> np.ndarray:
    """`_log2_size` of every column, by name; a level's column of zeros and ones has the size √(its share of rows)."""
    out = np.zeros(len(design.names))
    out[list(design.dense)] = np.concatenate([_log2_size(piece) for piece in pieces_of(design.matrix)])
    for f in design.factors:
        count = np.bincount(f.codes + 1, minlength=f.n_levels + 1)[1:]  # the reference level is no column
        out[f.first : f.first + f.n_levels] = 0.5 * np.log2(np.where(count > 0, count / len(f.codes), 1.0))
    return out


ENOUGH, NUMBERS = 1 << 13, 1 << 19
"""So many rows, from everywhere, tell the size of a column; of many columns, as many as have so many numbers."""


def _log2_size(matrix: np.ndarray) -> np.ndarray:
    """The logarithm of each column's root mean square, about; zero for a column of zeros."""
    with np.errstate(over="ignore", under="ignore", divide="ignore"):
        enough = min(ENOUGH, 1 + NUMBERS // max(1, matrix.shape[1]))
        square = _mean_square(matrix[:: max(1, len(matrix) // enough)])
        if not square.all():  # zero in these rows, or in all
            square = _mean_square(matrix)
        out = 0.5 * np.log2(square)
    for j in np.flatnonzero(~((square > 1e-290) & (square < np.inf))):  # squares beyond the range of a float
        column = matrix[:, j].astype(np.float64)
        largest = np.abs(column).max()
        out[j] = np.log2(largest) + 0.5 * np.log2(np.mean(np.square(column / largest))) if largest > 0 else 0.0
    return out


def _mean_square(matrix: np.ndarray) -> np.ndarray:
    return np.einsum("ij,ij->j", matrix, matrix, dtype=np.float64) / len(matrix)

"""Matrices side by side that are read as one, and only written out as one where somebody needs it whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class Beside:
    """Matrices (n, k₁), (n, k₂) ... as one of k₁ + k₂ + ... columns: rows and columns of it are taken as of an array."""

    pieces: tuple[np.ndarray, ...]

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.pieces[0]), sum(p.shape[1] for p in self.pieces)

    @property
    def ndim(self) -> int:
        return 2

    @property
    def dtype(self) -> np.dtype:
        return np.result_type(*self.pieces)

    def __len__(self) -> int:
        return len(self.pieces[0])

    def __getitem__(self, index: Any) -> np.ndarray:
        if isinstance(index, tuple):
            rows, columns = index
            of_all = np.arange(self.shape[1])[columns]
            ends = np.cumsum([0, *(p.shape[1] for p in self.pieces)])
            places = [(p, of_all[(of_all >= a) & (of_all < b)] - a) for p, a, b in zip(self.pieces, ends, ends[1:])]
            if (np.diff(of_all) > 0).all():
                return np.concatenate([p[rows][..., at] for p, at in places if len(at)], axis=-1)
            return np.asarray(self)[index]
        return np.concatenate([p[index] for p in self.pieces], axis=-1)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        whole = np.concatenate(self.pieces, axis=1)
        return whole if dtype is None else whole.astype(dtype, copy=False)

    @property
    def T(self) -> np.ndarray:
        return np.asarray(self).T


def pieces_of(matrix: Any) -> tuple[np.ndarray, ...]:
    """What a matrix is made of: itself, if it is an array."""
    return matrix.pieces if isinstance(matrix, Beside) else (matrix,)

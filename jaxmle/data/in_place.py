"""Large matrices with rows first are read where the user has them: cut into chunks without a copy of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .. import runtime
from .beside import pieces_of

LEAST_BYTES = 1 << 23
"""A smaller matrix is copied in no time, and read a little faster afterwards."""

FEWEST_COLUMNS = 16
"""Rows shorter than a few lines of the cache are read faster column by column."""

ALIGNMENT = 64
"""Bytes: a CPU device shares the memory of arrays that begin at a multiple of this, and copies others."""

HEAD = 4
"""Rows at the beginning that are copied: where the memory that can be shared begins is within them, or before."""


def resident(matrix: Any) -> int | None:
    """The number of the piece of a matrix that is large enough to be left where it is; None if none is."""
    pieces = pieces_of(matrix)
    best = max(range(len(pieces)), key=lambda i: pieces[i].nbytes, default=None)
    if best is None:
        return None
    piece = pieces[best]
    apart = ALIGNMENT // piece.itemsize <= HEAD * piece.shape[1] and piece.ctypes.data % piece.itemsize == 0
    large = piece.nbytes >= LEAST_BYTES and piece.shape[1] >= FEWEST_COLUMNS
    return best if large and apart and piece.flags.c_contiguous and piece.dtype.kind in "fiub" else None


@partial(jax.tree_util.register_dataclass, data_fields=["flat", "copied", "first", "offset"], meta_fields=[])
@dataclass(frozen=True)
class InPlace:
    """The rows of a matrix (n, p) in chunks (rows, p): most of them in the matrix' own memory, the others copied.

    `flat` is that memory, in which the rows of chunk `first` begin at `offset` and the others' follow; `copied`
    (chunks, rows, p) holds the chunks before those and after.
    """

    flat: Any
    copied: Any
    first: Any
    offset: Any

    @property
    def nbytes(self) -> int:
        return self.flat.nbytes + self.copied.nbytes

    @property
    def n_shared(self) -> int:
        """Chunks in the matrix' own memory."""
        _, rows, p = self.copied.shape
        return (self.flat.shape[0] - HEAD * p) // (rows * p)

    def _where(self, i: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        """For chunks `i`: the number among those in the matrix' own memory, whether they are, and else among the copied."""
        j = jnp.asarray(i, self.offset.dtype) - self.first
        is_shared = (j >= 0) & (j < self.n_shared)
        return j, is_shared, jnp.where(is_shared, 0, jnp.where(j < 0, i, i - self.n_shared))

    def chunk(self, i: jax.Array) -> jax.Array:
        """Chunk `i`, (rows, p)."""
        _, rows, p = self.copied.shape
        j, is_shared, at = self._where(i)

        def shared() -> jax.Array:
            return jax.lax.dynamic_slice(self.flat, (self.offset + j * (rows * p),), (rows * p,))

        def copied() -> jax.Array:
            return jax.lax.dynamic_index_in_dim(self.copied, at, keepdims=False).reshape(-1)

        # numbers one after another: a loop over few columns of each row would be written out, without vector instructions
        return (jax.lax.cond(is_shared, shared, copied) if self.n_shared else copied()).reshape(rows, p)

    def rows(self, chunk: jax.Array, row: jax.Array) -> jax.Array:
        """The rows at positions (`chunk`, `row`), (m, p)."""
        _, rows, p = self.copied.shape
        j, is_shared, at = self._where(chunk)
        begin = self.offset + (jnp.where(is_shared, j, 0) * rows + row) * p
        shared = self.flat[begin[:, None] + jnp.arange(p)]
        return jnp.where(is_shared[:, None], shared, self.copied[at, row])

    def rearranged(self, chunk: np.ndarray, row: np.ndarray) -> InPlace:
        """The same chunks with, at every position, the row that is now at position (`chunk`, `row`), in new memory."""
        _, rows, p = self.copied.shape
        new = np.asarray(jax.jit(InPlace.rows)(self, chunk.reshape(-1), row.reshape(-1))).reshape(-1, rows, p)
        first, offset = int(self.first), int(self.offset)
        flat = np.array(self.flat)
        flat[offset : offset + self.n_shared * rows * p] = new[first : first + self.n_shared].reshape(-1)
        copied = np.concatenate([new[:first], new[first + self.n_shared :]])
        return jax.device_put(replace(self, flat=flat, copied=copied), self.flat.sharding)

    @staticmethod
    def of(matrix: np.ndarray, rows: int, total: int, count: int, sample: np.ndarray) -> InPlace:
        """`total` chunks: those of the `sample` (indices of rows), `count` of all rows in the order `HEAD`, `HEAD` + 1, …,
        n - 1, 0, … `HEAD` - 1, and padding that is never read."""
        n, p = matrix.shape
        n_shared = shared_chunks(n, rows)
        memory = matrix.reshape(-1)
        before = -memory.ctypes.data % ALIGNMENT // matrix.itemsize
        flat = memory[before : before + (n_shared * rows + HEAD) * p]
        first = len(sample) // rows
        copied = np.empty((total - n_shared, rows, p), matrix.dtype)
        drawn = copied[:first].reshape(-1, p)

        def take(some: slice) -> None:
            matrix.take(sample[some], axis=0, out=drawn[some], mode="clip")  # "raise" makes another copy

        runtime.in_lanes(take, runtime.spans(len(sample), drawn.nbytes))
        after = copied[first : first + count - n_shared].reshape(-1, p)
        end = n - HEAD - n_shared * rows
        after[:end], after[end : end + HEAD], after[end + HEAD :] = matrix[n - end :], matrix[:HEAD], matrix[HEAD - 1]
        return InPlace(flat, copied, np.int64(first), np.int64(HEAD * p - before))


def shared_chunks(n: int, rows: int) -> int:
    """How many chunks of n rows are read in place: one of few numbers, so that programs are reused."""
    most = max(0, (n - 2 * HEAD) // rows)
    step = 1 << max(0, most.bit_length() - 4)
    return most // step * step

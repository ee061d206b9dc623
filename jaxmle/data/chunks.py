"""Units of observation, cut into equal chunks: rows last, padded by repeating a real unit with weight zero."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from .. import runtime
from ..runtime import MAX_KERNEL_ROWS
from .beside import Beside, pieces_of
from .design import Design

CHUNK_ROWS = 2048
"""The most units in one chunk of a data set that needs several, unless asked otherwise."""

CHUNK_BYTES = 1 << 18
"""About the size of a chunk's designs: together with what is computed from it, it stays in a core's own cache."""

FEWEST_ROWS = 512

MIXED_SHARE = 32
"""One unit in so many, drawn at random, is put first: the first chunks are a sample of the data set."""

MIXED_FROM = 8
"""The fewest chunks of which a sample is put first."""

Arrays: TypeAlias = Mapping[str, Any]
"""What one design is made of, see `design_arrays`."""


@dataclass(frozen=True)
class Chunks:
    """One compiled program's data. Every array has shape (chunks, ..., rows of a chunk).

    `columns` by name, `designs` ("dense" and "codes") in the order of the layout, `offsets` by parameter, `weights`
    (zero for padding), `mask` for groups only. `count` chunks hold data; the rest is padding and never computed.
    `units` tells which unit of the data set (a row, a group) each real position is; the first `n_mixed` positions, whole
    chunks, are a random sample of all (zero where there are few chunks, or their order matters).
    """

    columns: dict[str, np.ndarray]
    designs: tuple[Arrays, ...]
    offsets: dict[str, np.ndarray]
    weights: np.ndarray
    mask: np.ndarray | None
    count: int
    units: np.ndarray
    n_mixed: int = 0


def design_arrays(design: Design) -> Arrays:
    """What a design is made of, rows first: "dense", its columns of numbers, and "codes", one column a factor."""
    codes = [f.codes for f in design.factors]
    return {"dense": design.matrix} | ({"codes": np.stack(codes, axis=1)} if codes else {})


def bucket(n: int) -> int:
    """The next of the few sizes that counts are padded to (at most 12.5 % above n), so that programs are reused."""
    if n <= 8:
        return max(n, 1)
    step = 1 << (int(n - 1).bit_length() - 4)
    return -(-n // step) * step


def chunk_rows(columns: int) -> int:
    """Units in one chunk whose units have so many numbers in designs: as many as fit the cache, a power of two."""
    fit = CHUNK_BYTES / (8 * max(columns, 1))
    return min(CHUNK_ROWS, max(FEWEST_ROWS, 1 << max(0, round(math.log2(max(fit, 1.0))))))


def chunk_shape(n: int, rows: int | None, n_devices: int = 1, columns: int = 1) -> tuple[int, int, int]:
    """(chunks with padding, chunks that hold data, rows of a chunk) for n units of so many numbers on so many devices."""
    share = -(-n // n_devices)
    if rows is None:
        most = chunk_rows(columns)
        rows = most if share > most else bucket(share)
    rows = min(rows, MAX_KERNEL_ROWS, bucket(share))
    count = -(-n // rows)
    per_device = bucket(-(-count // n_devices))
    return per_device * n_devices, count, rows


ALIGNMENT = 64
"""Bytes: a CPU device shares the memory of arrays that begin at a multiple of this, and copies others."""


def _empty(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    size = math.prod(shape) * dtype.itemsize
    raw = np.empty(size + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + size].view(dtype).reshape(shape)


def _cut(array: Any, chunks: int, rows: int, units: np.ndarray) -> np.ndarray:
    """(n, ...) → (chunks, ..., rows): the unit axis last, in the order `units`; positions past the end repeat the last."""
    out = _empty((chunks, *array.shape[1:], rows), array.dtype)
    at = 0
    for piece in pieces_of(array):
        if isinstance(array, Beside):
            _fill(out[:, at : at + piece.shape[1]], piece, rows, units)
            at += piece.shape[1]
        else:
            _fill(out, piece, rows, units)
    return out


def _fill(out: np.ndarray, array: np.ndarray, rows: int, units: np.ndarray) -> None:
    n = len(array)
    full = n // rows
    whole = array[: full * rows].reshape(full, rows, *array.shape[1:])

    def copy(some: slice) -> None:
        out[some] = np.moveaxis(whole[some], 1, -1)

    runtime.in_lanes(copy, runtime.spans(full, array.nbytes))
    if full < len(out):
        out[full:] = np.moveaxis(array[-1:], 0, -1)
        rest = array[full * rows :]
        if len(rest):
            out[full, ..., : len(rest)] = np.moveaxis(rest, 0, -1)
    moved = np.flatnonzero(units != np.arange(n))
    if len(moved):
        out[moved // rows, ..., moved % rows] = array[units[moved]]


def _mixed(n: int, count: int, rows: int) -> tuple[np.ndarray, int]:
    """An order of n units in which the first ones are a random sample, all others are where they were; and how many."""
    units = np.arange(n)
    if count < MIXED_FROM:
        return units, 0
    m = rows * -(-count // MIXED_SHARE)
    drawn = np.random.default_rng(0).choice(n, m, replace=False)
    come, leave = drawn[drawn >= m], np.setdiff1d(np.arange(m), drawn)
    units[leave], units[come] = come, leave
    return units, m


def _weights(weights: np.ndarray, chunks: int, rows: int) -> np.ndarray:
    out = np.zeros(chunks * rows)
    out[: len(weights)] = weights
    return out.reshape(chunks, rows)


def row_chunks(
    columns: Mapping[str, np.ndarray],
    designs: tuple[Arrays, ...],
    offsets: Mapping[str, np.ndarray],
    weights: np.ndarray,
    rows: int | None = None,
    n_devices: int = 1,
    mask: np.ndarray | None = None,
) -> Chunks:
    """Chunks of units that are the first axis of every array."""
    n = len(weights)
    numbers = sum(math.prod(d["dense"].shape[1:]) for d in designs)
    total, count, rows = chunk_shape(n, rows, n_devices, numbers)
    units, n_mixed = _mixed(n, count, rows)
    cut = lambda arrays: {k: _cut(v, total, rows, units) for k, v in arrays.items()}
    return Chunks(
        columns=cut(columns),
        designs=tuple(cut(d) for d in designs),
        offsets=cut(offsets),
        weights=_weights(weights[units], total, rows),
        mask=None if mask is None else _cut(mask, total, rows, units),
        count=count,
        units=units,
        n_mixed=n_mixed,
    )


def whole(
    columns: Mapping[str, np.ndarray],
    designs: tuple[Arrays, ...],
    offsets: Mapping[str, np.ndarray],
    weights: np.ndarray,
) -> Chunks:
    """One chunk that is the whole data set in its own order, without padding; a copy, as a device may share memory."""
    return Chunks(
        columns={k: v[None].copy() for k, v in columns.items()},
        designs=tuple({k: v.T[None].copy() for k, v in d.items()} for d in designs),
        offsets={k: np.moveaxis(v, 0, -1)[None].copy() for k, v in offsets.items()},
        weights=weights[None].copy(),
        mask=None,
        count=1,
        units=np.arange(len(weights)),
    )


@dataclass(frozen=True)
class Groups:
    """Rows sorted into groups: `keys` the distinct values, `members` the rows of each in the order of the data."""

    keys: np.ndarray
    members: tuple[np.ndarray, ...]

    @staticmethod
    def of(column: np.ndarray) -> Groups:
        keys, first, codes = np.unique(column, return_index=True, return_inverse=True)
        appearance = np.argsort(first, kind="stable")
        rank = np.empty_like(appearance)
        rank[appearance] = np.arange(len(keys))
        codes = rank[codes.reshape(-1)]
        rows = np.argsort(codes, kind="stable")
        ends = np.cumsum(np.bincount(codes, minlength=len(keys)))
        return Groups(keys[appearance], tuple(np.split(rows, ends[:-1])))


def group_chunks(
    groups: Groups,
    columns: Mapping[str, np.ndarray],
    designs: tuple[Arrays, ...],
    offsets: Mapping[str, np.ndarray],
    weights: np.ndarray,
    rows: int | None = None,
    n_devices: int = 1,
) -> list[Chunks]:
    """Chunks whose unit is the group, bucketed by size so that a few long groups do not pad all the others.

    Group lengths are padded to powers of two, at least to two so that differences are never empty; a chunk has fewer
    groups the longer they are, so that it has about as many rows as any other. Padded places repeat the group's last
    row and are false in `mask`.
    """
    lengths = np.array([len(m) for m in groups.members])
    padded = 1 << np.ceil(np.log2(np.maximum(lengths, 2))).astype(int)
    out = []
    for length in np.unique(padded):
        units = np.flatnonzero(padded == length)
        where = np.stack([_pad(groups.members[u], length) for u in units])
        chunks = row_chunks(
            {k: v[where] for k, v in columns.items()},
            tuple({k: np.moveaxis(v[where], 1, -1) for k, v in d.items()} for d in designs),
            {k: np.moveaxis(v[where], 1, -1) for k, v in offsets.items()},
            weights[units],
            _groups_of(int(length), len(units), rows),
            n_devices,
            np.arange(length)[None, :] < lengths[units][:, None],
        )
        out.append(replace(chunks, units=units[chunks.units]))
    return out


def _groups_of(length: int, n: int, groups: int | None) -> int | None:
    """How many groups of padded length `length` go into one chunk: as many rows as any chunk may have."""
    if groups is None:
        return max(1, CHUNK_ROWS // length) if n * length > CHUNK_ROWS else None
    return min(groups, max(1, MAX_KERNEL_ROWS // length))


def _pad(members: np.ndarray, length: int) -> np.ndarray:
    return np.concatenate([members, np.full(length - len(members), members[-1])])

"""Units of observation, cut into equal chunks: rows last, padded by repeating a real unit with weight zero."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from ..runtime import MAX_KERNEL_ROWS
from .design import Design

CHUNK_ROWS = 2048
"""Units in one chunk of a data set that needs several: near the fastest on CPUs, for 2 to 100 columns."""


Arrays: TypeAlias = Mapping[str, np.ndarray]
"""What one design is made of, see `design_arrays`."""


@dataclass(frozen=True)
class Chunks:
    """One compiled program's data. Every array has shape (chunks, ..., rows of a chunk).

    `columns` by name, `designs` ("dense" and "codes") in the order of the layout, `offsets` by parameter, `weights`
    (zero for padding), `mask` for groups only. `count` chunks hold data; the rest is padding and never computed.
    `units` tells which unit of the data set (a row, a group) each real position is, in order.
    """

    columns: dict[str, np.ndarray]
    designs: tuple[Arrays, ...]
    offsets: dict[str, np.ndarray]
    weights: np.ndarray
    mask: np.ndarray | None
    count: int
    units: np.ndarray


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


def chunk_shape(n: int, rows: int | None, n_devices: int = 1) -> tuple[int, int, int]:
    """(chunks with padding, chunks that hold data, rows of a chunk) for n units on so many devices."""
    share = -(-n // n_devices)
    if rows is None:
        rows = CHUNK_ROWS if share > CHUNK_ROWS else bucket(share)
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


def _cut(array: np.ndarray, chunks: int, rows: int) -> np.ndarray:
    """(n, ...) → (chunks, ..., rows): the unit axis last; positions past the end repeat the last unit."""
    n = len(array)
    out = _empty((chunks, *array.shape[1:], rows), array.dtype)
    full = n // rows
    out[:full] = np.moveaxis(array[: full * rows].reshape(full, rows, *array.shape[1:]), 1, -1)
    if full < chunks:
        out[full:] = np.moveaxis(array[-1:], 0, -1)
        rest = array[full * rows :]
        if len(rest):
            out[full, ..., : len(rest)] = np.moveaxis(rest, 0, -1)
    return out


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
    total, count, rows = chunk_shape(len(weights), rows, n_devices)
    return Chunks(
        columns={k: _cut(v, total, rows) for k, v in columns.items()},
        designs=tuple({k: _cut(v, total, rows) for k, v in d.items()} for d in designs),
        offsets={k: _cut(v, total, rows) for k, v in offsets.items()},
        weights=_weights(weights, total, rows),
        mask=None if mask is None else _cut(mask, total, rows),
        count=count,
        units=np.arange(len(weights)),
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
        out.append(replace(chunks, units=units))
    return out


def _groups_of(length: int, n: int, groups: int | None) -> int | None:
    """How many groups of padded length `length` go into one chunk: as many rows as any chunk may have."""
    if groups is None:
        return max(1, CHUNK_ROWS // length) if n * length > CHUNK_ROWS else None
    return min(groups, max(1, MAX_KERNEL_ROWS // length))


def _pad(members: np.ndarray, length: int) -> np.ndarray:
    return np.concatenate([members, np.full(length - len(members), members[-1])])

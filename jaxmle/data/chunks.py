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
from .grouping import codes_of
from .in_place import ALIGNMENT, HEAD, InPlace, resident
from .tables import index_type

CHUNK_ROWS = 2048
"""The most units in one chunk of a data set that needs several, unless asked otherwise."""

CHUNK_BYTES = 1 << 18
"""About the size of a chunk's designs: together with what is computed from it, it stays in a core's own cache."""

FEWEST_ROWS = 512

MATRICES = 1 << 16
"""So many numbers have the matrices by row of a chunk's groups, if their density forms such, or one matrix more."""

SAMPLE_SHARE = 32
"""One unit in so many, one at random from each stretch, is copied to the front: chunks of a sample, before all units."""

SAMPLE_FROM = 8
"""The fewest chunks of which a sample is made."""

Arrays: TypeAlias = Mapping[str, Any]
"""What one design is made of, see `design_arrays`."""


@dataclass(frozen=True)
class Chunks:
    """One compiled program's data. Every array has shape (chunks, ..., rows of a chunk).

    `columns` by name, `designs` in the order of the layout, `offsets` by parameter, `weights` (zero for padding), `mask`
    for groups only. First come the chunks of `sample`, units drawn at random, so many as fill them (none where there are
    few chunks, or their order matters), in each chunk from everywhere; then `count` chunks with every unit once, `units`
    says which at each position; the rest is padding and never computed.
    """

    columns: dict[str, np.ndarray]
    designs: tuple[Arrays, ...]
    offsets: dict[str, np.ndarray]
    weights: np.ndarray
    mask: np.ndarray | None
    count: int
    units: np.ndarray
    sample: np.ndarray


def design_arrays(design: Design, in_place: bool = False) -> Arrays:
    """What a design is made of, rows first: "dense", its columns of numbers, and "codes", one column a factor.

    With `in_place` a large matrix among them is by itself, "in_place".
    """
    codes = [f.codes for f in design.factors]
    at = resident(design.matrix) if in_place else None
    numbers: Arrays = {"dense": design.matrix}
    if at is not None:
        pieces = pieces_of(design.matrix)
        rest = pieces[:at] + pieces[at + 1 :]
        numbers = {"dense": Beside(rest) if rest else np.zeros((len(pieces[at]), 0)), "in_place": pieces[at]}
    return numbers | ({"codes": np.stack(codes, axis=1)} if codes else {})


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


def _empty(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    size = math.prod(shape) * dtype.itemsize
    raw = np.empty(size + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + size].view(dtype).reshape(shape)


@dataclass(frozen=True)
class Order:
    """Where units go: the chunks of a sample first, then all units from number `head` on, and those before it last."""

    sample: np.ndarray
    head: int
    chunks: int
    rows: int

    @staticmethod
    def of(n: int, head: int, total: int, count: int, rows: int, drawn: bool) -> Order:
        """The order of n units that fill `count` of `total` chunks, or of more with a sample where it is to be `drawn`."""
        size = rows * -(-count // SAMPLE_SHARE) if drawn and count >= SAMPLE_FROM else 0
        ends = np.arange(size + 1) * n // max(size, 1)
        sample = np.random.default_rng(0).integers(ends[:-1], ends[1:])
        sample = sample.reshape(rows, -1).T.reshape(-1)  # every chunk has units from everywhere
        return Order(sample, head, max(total, bucket(size // rows + count)), rows)

    def units(self, n: int) -> np.ndarray:
        units = np.arange(self.head, self.head + n, dtype=index_type(n))
        units[n - self.head :] -= n
        return units

    def weights(self, weights: np.ndarray) -> np.ndarray:
        out, first, n = np.zeros(self.chunks * self.rows), len(self.sample), len(weights)
        out[:first] = weights[self.sample]
        out[first : first + n - self.head] = weights[self.head :]
        out[first + n - self.head : first + n] = weights[: self.head]
        return out.reshape(self.chunks, self.rows)

    def cut(self, array: Any) -> np.ndarray:
        """(n, ...) → (chunks, ..., rows): the unit axis last; the last unit is repeated to the end of its chunk."""
        out = _empty((self.chunks, *array.shape[1:], self.rows), array.dtype)
        at = 0
        for piece in pieces_of(array):
            if isinstance(array, Beside):
                self._fill(out[:, at : at + piece.shape[1]], piece)
                at += piece.shape[1]
            else:
                self._fill(out, piece)
        return out

    def _fill(self, out: np.ndarray, array: np.ndarray) -> None:
        before = len(self.sample) // self.rows
        in_order = array[self.head :]
        full = len(in_order) // self.rows
        blocks = lambda x: np.moveaxis(x.reshape(len(x) // self.rows, self.rows, *array.shape[1:]), 1, -1)
        whole = blocks(in_order[: full * self.rows])

        def copy(some: slice) -> None:
            out[before + some.start : before + some.stop] = whole[some]

        runtime.in_lanes(copy, runtime.spans(full, array.nbytes))
        out[:before] = blocks(array[self.sample])
        rest = np.concatenate([in_order[full * self.rows :], array[: self.head]])
        if len(rest):
            rest = rest[np.minimum(np.arange(-(-len(rest) // self.rows) * self.rows), len(rest) - 1)]
            out[before + full :][: len(rest) // self.rows] = blocks(rest)


def row_chunks(
    columns: Mapping[str, np.ndarray],
    designs: tuple[Arrays, ...],
    offsets: Mapping[str, np.ndarray],
    weights: np.ndarray,
    rows: int | None = None,
    n_devices: int = 1,
    mask: np.ndarray | None = None,
    drawn: bool = True,
) -> Chunks:
    """Chunks of units that are the first axis of every array; of several, on one device, with a sample if it is `drawn`."""
    n = len(weights)
    numbers = sum(math.prod(x.shape[1:]) for d in designs for name, x in d.items() if name != "codes")
    total, count, rows = chunk_shape(n, rows, n_devices, numbers)
    head = HEAD if any("in_place" in d for d in designs) else 0
    order = Order.of(n, head, total, count, rows, drawn and n_devices == 1)

    def cut(arrays: Arrays) -> dict[str, Any]:
        return {
            k: InPlace.of(v, rows, order.chunks, count, order.sample) if k == "in_place" else order.cut(v)
            for k, v in arrays.items()
        }

    return Chunks(
        columns=cut(columns),
        designs=tuple(cut(d) for d in designs),
        offsets=cut(offsets),
        weights=order.weights(weights),
        mask=None if mask is None else order.cut(mask),
        count=count,
        units=order.units(n),
        sample=order.sample,
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
        sample=np.zeros(0, int),
    )


@dataclass(frozen=True)
class Groups:
    """Rows sorted into groups: `keys` the distinct values, `members` the rows of each in the order of the data."""

    keys: np.ndarray
    members: tuple[np.ndarray, ...]

    @staticmethod
    def of(column: np.ndarray) -> Groups:
        codes, keys = codes_of(column)
        rows = np.argsort(codes, kind="stable")
        ends = np.cumsum(np.bincount(codes, minlength=len(keys)))
        return Groups(keys, tuple(np.split(rows, ends[:-1])))


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

    Those between two powers of two are padded to the longest of them, or a little more, at least to two so that
    differences are never empty; a chunk has fewer groups the longer they are, so that it has about as many rows as any
    other. Padded places repeat the group's last row and are false in `mask`.
    """
    lengths = np.array([len(m) for m in groups.members])
    octaves = np.ceil(np.log2(np.maximum(lengths, 2))).astype(int)
    sizes, out = np.unique(octaves), []
    for octave in sizes:
        units = np.flatnonzero(octaves == octave)
        length = bucket(max(int(lengths[units].max()), 2))
        where = np.stack([_pad(groups.members[u], length) for u in units])
        chunks = row_chunks(
            {k: v[where] for k, v in columns.items()},
            tuple({k: np.moveaxis(v[where], 1, -1) for k, v in d.items()} for d in designs),
            {k: np.moveaxis(v[where], 1, -1) for k, v in offsets.items()},
            weights[units],
            _groups_of(length, len(units), rows),
            n_devices,
            np.arange(length)[None, :] < lengths[units][:, None],
            drawn=len(sizes) == 1,
        )
        out.append(replace(chunks, units=units[chunks.units], sample=units[chunks.sample]))
    return out


def _groups_of(length: int, n: int, groups: int | None) -> int | None:
    """How many groups of padded length `length` go into one chunk: as many rows as any chunk may have."""
    if groups is None:
        most = max(1, min(CHUNK_ROWS // length, MATRICES // length**2))
        return most if n > most else None
    return min(groups, max(1, MAX_KERNEL_ROWS // length))


def _pad(members: np.ndarray, length: int) -> np.ndarray:
    return np.concatenate([members, np.full(length - len(members), members[-1])])

"""Many data sets under one model: their rows side by side, and value, gradient and Hessian of each in one read.

The data sets are the first axis and rows the last: a row's derivatives in its predictors and in the parameters that all
rows share are numbers (see `passes`), and sums over the rows of each data set are small matrix products.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..data.chunks import bucket
from ..runtime import MAX_KERNEL_ROWS
from .layout import Block, Layout
from .loops import held as apart
from .loops import summed
from .rows import Program, log_densities, penalty_value, widened
from .tangents import pairs_of

UNROLLED = 6
"""Up to so many variables of a row the columns of its Hessian are written out one by one."""

PAIRED = 20
"""Up to so many columns of a data set's own design each product of two of them is made once: no small matrix products,
which take up to twice as long."""

NUMBERS_AT_ONCE = 1 << 20
"""How many second derivatives of rows may be in memory at once."""


@dataclass(frozen=True)
class Sharing:
    """What the compiled code of a batch depends on: the program, the entries of `u` that are estimated, and which
    designs, columns and offsets all data sets share."""

    program: Program
    free: tuple[int, ...]
    designs: tuple[bool, ...]
    columns: tuple[str, ...] = ()
    offsets: tuple[str, ...] = ()

    @property
    def layout(self) -> Layout:
        return self.program.layout

    @property
    def variables(self) -> int:
        """Numbers that a row's log-density depends on: its predictors, and the parameters that all rows share."""
        return self.program.n_predictors + len(self._dense)

    @property
    def _dense(self) -> np.ndarray:
        return self.layout.dense_index

    @property
    def pieces(self) -> tuple[tuple[np.ndarray, Block | None], ...]:
        """For each variable of a row, the entries of `u` that it is made of, and the block if it is a predictor."""
        out: list[tuple[np.ndarray, Block | None]] = []
        for b in self.program.predictors:
            out += [(positions, b) for positions in b.positions.T]
        return (*out, *((np.array([i]), None) for i in self._dense))

    def sets_at_once(self, length: int) -> int:
        """How many data sets of so many rows one kernel takes, a power of two."""
        most = min(MAX_KERNEL_ROWS, NUMBERS_AT_ONCE // self.variables**2) // length
        return 1 << max(0, int(most).bit_length() - 1)


@dataclass(frozen=True, eq=False)
class Rows:
    """Which rows each of some data sets has: all of `span`, so many in each, or `index` (sets, length).

    Past the end of a data set, `counts` (sets,), its last row is repeated.
    """

    counts: np.ndarray
    index: np.ndarray | None = None
    span: slice | None = None

    def put(self, place: np.ndarray, array: np.ndarray) -> None:
        """Write an array's rows of these data sets to `place`, shape (sets or more, length or more, ...)."""
        if self.span is None:
            place[: len(self.counts)] = array[self.index]
            return
        n, sets = int(self.counts[0]), len(self.counts)
        place[:sets, :n] = array[self.span].reshape(sets, n, *array.shape[1:])
        place[:sets, n:] = place[:sets, n - 1 : n]


@dataclass(frozen=True, eq=False)
class Stack:
    """The data of all data sets, on the host: data set g has the rows order[ends[g - 1]:ends[g]].

    Arrays have their rows first, (n, ...), a design is its columns (n,); those that `sharing` names are of one data set,
    and all have them. `order` is None where the rows of each data set stand together.
    """

    sharing: Sharing
    columns: Mapping[str, np.ndarray]
    designs: Sequence[Sequence[np.ndarray]]
    offsets: Mapping[str, np.ndarray]
    weights: np.ndarray
    order: np.ndarray | None
    ends: np.ndarray

    @cached_property
    def lengths(self) -> np.ndarray:
        return np.diff(self.ends, prepend=0)

    @cached_property
    def totals(self) -> np.ndarray:
        """The sum of the weights of each data set."""
        out = np.zeros(len(self.ends))
        some = self.lengths > 0
        weights = self.weights if self.order is None else self.weights[self.order]
        if some.any():
            out[some] = np.add.reduceat(weights, (self.ends - self.lengths)[some])
        return out

    def members(self, g: int) -> np.ndarray:
        """The rows of one data set."""
        rows = np.arange(self.ends[g] - self.lengths[g], self.ends[g])
        return rows if self.order is None else self.order[rows]

    def rows_of(self, sets: np.ndarray, length: int) -> Rows:
        """The rows of these data sets, of at most so many each."""
        counts, first = self.lengths[sets], self.ends[sets] - self.lengths[sets]
        if self.order is None and (counts == counts[0]).all() and (np.diff(sets) == 1).all():
            return Rows(counts, span=slice(int(first[0]), int(self.ends[sets[-1]])))
        index = first[:, None] + np.minimum(np.arange(length), counts[:, None] - 1)
        return Rows(counts, index if self.order is None else self.order[index])

    def drawn(self, sets: int, length: int, key: int = 0) -> Rows:
        """Data sets of rows drawn at random from all of them."""
        rng = np.random.default_rng(key)
        share = self.sharing
        if any(share.designs) or share.columns or share.offsets:  # row r is row r of what all data sets share
            n = int(self.lengths[0])
            first = n * rng.integers(0, len(self.ends), (sets, length))
            return Rows(np.full(sets, n), first + np.minimum(np.arange(length), n - 1))
        return Rows(np.full(sets, length), rng.integers(0, len(self.weights), (sets, length)))

    def common(self, length: int) -> dict[str, Any]:
        """What all data sets share, padded to the length."""
        pad = lambda x: np.concatenate([x, np.repeat(x[-1:], length - len(x), axis=0)])
        return {
            "columns": {k: pad(self.columns[k]) for k in self.sharing.columns},
            "designs": tuple(
                np.stack([pad(column) for column in d]) if s else None
                for d, s in zip(self.designs, self.sharing.designs)
            ),
            "offsets": {k: pad(self.offsets[k]) for k in self.sharing.offsets},
        }

    def page(self, blocks: Sequence[Rows], shape: tuple[int, int, int]) -> dict[str, Any]:
        """The arrays of data sets in blocks, `shape`: (blocks, sets of a block, rows of a set); the rest is zero."""
        n, sets, length = shape

        def put(array: np.ndarray) -> np.ndarray:
            out = np.zeros((n, sets, length, *array.shape[1:]), array.dtype)
            for place, rows in zip(out, blocks):
                rows.put(place, array)
            return out

        def turned(columns: Sequence[np.ndarray]) -> np.ndarray:
            out = np.zeros((n, sets, len(columns), length), np.result_type(*columns))
            for place, rows in zip(out, blocks):
                for j, column in enumerate(columns):
                    rows.put(place[:, j], column)
            return out

        weights = put(self.weights)
        for place, rows in zip(weights, blocks):
            place[: len(rows.counts)] *= np.arange(length) < rows.counts[:, None]
        own = self.sharing
        return {
            "columns": {k: put(v) for k, v in self.columns.items() if k not in own.columns},
            "designs": tuple(None if s else turned(d) for d, s in zip(self.designs, own.designs)),
            "offsets": {k: put(v) for k, v in self.offsets.items() if k not in own.offsets},
            "weights": weights,
        }


def padded_length(n: int) -> int:
    """The next of few lengths: at most 12.5 % above n from 32 rows on, a power of two below."""
    if n <= 32:
        return 1 << max(2, int(max(n, 1) - 1).bit_length())
    if n > MAX_KERNEL_ROWS:
        return -(-n // MAX_KERNEL_ROWS) * MAX_KERNEL_ROWS
    return bucket(n)


def evaluate(
    sharing: Sharing, z: jax.Array, held: Mapping[str, Any], common: Mapping[str, Any], block: Mapping[str, Any]
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Each data set's negative penalised log-likelihood, gradient and Hessian in `z`, and the value without penalties.

    Arguments:
        z: the estimated entries of `u`, shape (sets, k).
        held: "base", the whole `u`; "constants" by name; "l2", the weight of u²/2 for each entry of `u`.
        common, block: the shared arrays, and those of these data sets, as `Stack` makes them; "base" (sets, size) in
            place of that in `held`, where data sets hold other values.
    """
    program, free = sharing.program, np.array(sharing.free)
    base = block.get("base", held["base"])
    u = jnp.broadcast_to(base, (z.shape[0], base.shape[-1])).at[:, free].set(z)
    block = {k: v for k, v in block.items() if k != "base"}
    length = block["weights"].shape[1]
    if length <= MAX_KERNEL_ROWS:
        plain, gradient, hessian = _sums(sharing, u, held["constants"], common, block)
    else:
        plain, gradient, hessian = _by_piece(sharing, u, held["constants"], common, block)
    order = np.argsort(np.concatenate([positions for positions, _ in sharing.pieces]))[free]
    gradient, hessian = gradient[:, order], hessian[:, order][:, :, order]
    l2 = held["l2"][free]
    value = plain + 0.5 * jnp.sum(held["l2"] * u**2, axis=1)
    gradient, hessian = gradient + l2 * z, hessian + jnp.diag(l2)
    if program.penalties:
        penalty = lambda v: penalty_value(program, v, held["constants"])
        more, slope = jax.vmap(jax.value_and_grad(penalty))(u)
        curvature = jax.vmap(jax.hessian(penalty))(u)
        value = value + more
        gradient, hessian = gradient + slope[:, free], hessian + curvature[:, free][:, :, free]
    return value, gradient, 0.5 * (hessian + jnp.swapaxes(hessian, 1, 2)), plain


def _by_piece(sharing: Sharing, u: jax.Array, constants: Any, common: Any, block: Any) -> Any:
    """`_sums` of data sets that are longer than a kernel may be."""
    length = block["weights"].shape[1]
    size = length // -(-length // MAX_KERNEL_ROWS)
    cut = lambda axis, i: lambda x: jax.lax.dynamic_slice_in_dim(x, i * size, size, axis)

    def piece(i: Any, u: jax.Array, constants: Any, common: Any, block: Any) -> Any:
        own = {k: jax.tree.map(cut(2 if k == "designs" else 1, i), v) for k, v in block.items()}
        shared = {k: jax.tree.map(cut(1 if k == "designs" else 0, i), v) for k, v in common.items()}
        return _sums(sharing, u, constants, shared, own)

    return summed(piece, jnp.zeros((), jnp.int32), length // size, u, constants, common, block)


def _sums(sharing: Sharing, u: jax.Array, constants: Any, common: Any, block: Any) -> Any:
    """Value (sets,), gradient and Hessian in the variables of `Sharing.pieces`, of minus the log-likelihood."""
    program, pieces = sharing.program, sharing.pieces
    weights = block["weights"]
    designs = [_design(program, b, common, block) for _, b in pieces]
    at = [
        u[:, positions[0]] if x is None else _predictor(u[:, positions], x)
        for (positions, _), x in zip(pieces, designs)
    ]
    at = _with_offsets(program, at, common, block)
    rows_of = lambda at, common, own, weights: _of_rows(program, constants, list(at), common, own, weights)
    value, first, second = apart(rows_of, weights[0, 0], tuple(at), common["columns"], block["columns"], weights)
    minus = -weights
    gradient = [_down(minus * g, x)[:, None] if x is None else _down(minus * g, x) for g, x in zip(first, designs)]
    rows = [
        [_product(designs[i], minus * second[max(i, j), min(i, j)], designs[j]) for j in range(i + 1)]
        for i in range(len(pieces))
    ]
    full = [
        [rows[i][j] if j <= i else jnp.swapaxes(rows[j][i], 1, 2) for j in range(len(pieces))]
        for i in range(len(pieces))
    ]
    hessian = jnp.concatenate([jnp.concatenate(row, axis=2) for row in full], axis=1)
    return jnp.sum(minus * value, axis=1), jnp.concatenate(gradient, axis=1), hessian


def _design(program: Program, b: Block | None, common: Any, block: Any) -> jax.Array | None:
    """The design of a variable: (sets, p, rows), or (p, rows) where all share it; None if it is one number."""
    if b is None:
        return None
    own = block["designs"][b.design]
    return (common["designs"][b.design] if own is None else own).astype(program.dtype)


def _predictor(beta: jax.Array, x: jax.Array) -> jax.Array:
    return beta @ x if x.ndim == 2 else jnp.einsum("bpr,bp->br", x, beta)


def _down(w: jax.Array, x: jax.Array | None) -> jax.Array:
    """The sums over the rows of w times each column: (sets, p), or (sets,)."""
    if x is None:
        return w.sum(axis=1)
    return w @ x.T if x.ndim == 2 else jnp.einsum("bpr,br->bp", x, w)


def _product(x: jax.Array | None, w: jax.Array, y: jax.Array | None) -> jax.Array:
    """X diag(w) Yᵀ for every data set, (sets, p, q); one matrix product for all of them where they share both."""
    if x is None or y is None:
        sums = _down(w, y if x is None else x)
        return sums.reshape(len(w), *((-1, 1) if y is None else (1, -1)))
    p = x.shape[-2]
    if x is y and (x.ndim == 2 or p <= PAIRED):  # symmetric: each pair of columns once
        first, second, number = pairs_of(p)
        return _down(w, x[..., first, :] * x[..., second, :])[:, number]
    if x.ndim == y.ndim == 2:
        pairs = (x[:, None, :] * y[None, :, :]).reshape(-1, x.shape[1])
        return (w @ pairs.T).reshape(len(w), len(x), len(y))
    if x.ndim == 2:
        return jnp.swapaxes(_product(y, w, x), 1, 2)
    left = x * w[:, None, :]
    return left @ y.T if y.ndim == 2 else jnp.einsum("bpr,bqr->bpq", left, y)


def _with_offsets(program: Program, at: list[jax.Array], common: Any, block: Any) -> list[jax.Array]:
    out, i = list(at), 0
    for b in program.predictors:
        outputs = b.n_outputs
        offset = block["offsets"].get(b.name, common["offsets"].get(b.name))
        if offset is not None:
            lead = offset.shape[:2] if b.name in block["offsets"] else (1, offset.shape[0])
            offset = offset.astype(program.dtype).reshape(*lead, outputs)
            out[i : i + outputs] = [out[i + o] + offset[:, :, o] for o in range(outputs)]
        i += outputs
    return out


def _of_rows(program: Program, constants: Any, at: list[jax.Array], common: Any, own: Any, weights: jax.Array) -> Any:
    """Every row's log-density, its first derivatives, and its second ones by (i, j ≤ i), all of shape (sets, rows)."""
    k = program.n_predictors

    def unit(variables: tuple, columns: Mapping[str, Any], weight: Any) -> tuple:
        chunk = {
            "columns": {name: widened(x)[..., None] for name, x in columns.items()},
            "designs": (),
            "offsets": {},
            "weights": weight[None],
            "mask": None,
        }

        def f(*v: jax.Array) -> jax.Array:
            eta = jnp.stack(v[:k])[:, None] if k else jnp.zeros((0, 1))
            dense = jnp.stack(v[k:]) if len(v) > k else jnp.zeros(0)
            return log_densities(program, eta, dense, constants, chunk)[0].astype(jnp.float64)

        return _derivatives(f, variables)

    variable = tuple(0 if v.ndim == 2 else None for v in at)
    shared = dict.fromkeys(common, 0), dict.fromkeys(common, None)
    by_row = jax.vmap(unit, in_axes=(variable, dict.fromkeys(own, 0) | shared[0], 0))
    by_set = jax.vmap(by_row, in_axes=((0,) * len(at), dict.fromkeys(own, 0) | shared[1], 0))
    return by_set(tuple(at), dict(own) | dict(common), weights)


def _derivatives(f: Callable[..., jax.Array], v: tuple) -> tuple:
    """Value, gradient and Hessian of a function of several numbers; the Hessian's entries (i, j ≤ i) by position."""
    n = len(v)
    gradient = jax.value_and_grad(f, argnums=tuple(range(n)))
    if n > UNROLLED:
        value, first = gradient(*v)
        columns = jax.jacfwd(lambda x: jnp.stack(gradient(*x)[1]))(jnp.stack(v))
        return value, first, {(i, j): columns[i, j] for i in range(n) for j in range(i + 1)}
    value: Any = None
    first: Any = None
    second = {}
    for i in range(n):
        along = lambda x, i=i: gradient(*v[:i], x, *v[i + 1 :])
        (value, first), (_, column) = jax.jvp(along, (v[i],), (jnp.ones_like(v[i]),))
        second |= {(i, j): column[j] for j in range(i + 1)}
    return value, first, second

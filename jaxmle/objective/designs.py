"""Products with designs whose categorical columns are codes: a table of zeros and ones is never made of all rows.

A chunk's design is {"dense": (columns that are numbers, rows), "in_place": (rows, columns), "codes": (factors, rows)};
`Columns` says what stands where. Numbers are stored column by column, but those of a large matrix as the user has them,
row by row (`data.in_place`). A factor's code is the number of its level, -1 for the reference level, which has no
column. Sums by level have a place for the reference level all the same, before the others: so no row is a case apart.
The sums over a design's columns are thus vectors of `places`: the numbers first, those in place after the others, then
each factor with its reference level; `order` finds the columns there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeGuard

import jax
import jax.numpy as jnp
import numpy as np

from ..data.beside import pieces_of
from ..data.design import Design
from ..data.in_place import resident
from .loops import held
from .strips import STRIP, ByRow, Numbers, by_column, joined, of_numbers, symmetric

Arrays: TypeAlias = Mapping[str, jax.Array]
"""One design of one chunk; without "codes" where it has no factors, "in_place" where no matrix is."""


@dataclass(frozen=True)
class Levels:
    """A factor of a design: `size` columns from position `first`; equal `key`s in a model mean equal codes."""

    first: int
    size: int
    key: int


@dataclass(frozen=True)
class Together:
    """Several factors of one design whose levels are few enough for one table of all pairs of them."""

    factors: tuple[Levels, ...]

    @property
    def size(self) -> int:
        return self.places - 1

    @property
    def places(self) -> int:
        return sum(f.size + 1 for f in self.factors)

    @property
    def starts(self) -> np.ndarray:
        """The place before each factor's reference level."""
        return np.cumsum([0, *(f.size + 1 for f in self.factors[:-1])]).astype(np.int32)


Part: TypeAlias = Levels | Together | Numbers

TOGETHER = 640
"""Places of all factors of a design up to which they are added up together: a table of 640² numbers is 3 MB."""


@dataclass(frozen=True)
class Columns:
    """Which columns of a design are numbers, which of them in place (positions among all), and which levels of factors."""

    dense: tuple[int, ...] = ()
    factors: tuple[Levels, ...] = ()
    in_place: tuple[int, ...] = ()

    @property
    def parts(self) -> tuple[Part, ...]:
        """What products are made of one by one: the numbers, where there are any, and the factors."""
        few = len(self.factors) > 1 and Together(self.factors).places <= TOGETHER
        factors: tuple[Part, ...] = (Together(self.factors),) if few else self.factors
        by_row: tuple[Part, ...] = (ByRow(),) if self.in_place else ()
        return ((None,) if self.dense or not (by_row or factors) else ()) + by_row + factors

    @property
    def numbers(self) -> tuple[int, ...]:
        """The columns that are numbers, by their places."""
        return self.dense + self.in_place

    @property
    def places(self) -> int:
        return len(self.numbers) + sum(f.size + 1 for f in self.factors)

    @property
    def order(self) -> np.ndarray:
        """For each column, its place in sums over the design."""
        out = np.zeros(len(self.numbers) + sum(f.size for f in self.factors), int)
        at = len(self.numbers)
        out[list(self.numbers)] = np.arange(at)
        for f in self.factors:
            out[f.first : f.first + f.size] = at + 1 + np.arange(f.size)
            at += f.size + 1
        return out


def columns_of(designs: Sequence[Design], in_place: bool = False) -> tuple[Columns, ...]:
    """The columns of a model's designs; factors with the same codes, in whatever design, get the same key.

    With `in_place` large matrices are where they are.
    """
    seen: list[np.ndarray] = []

    def key(codes: np.ndarray) -> int:
        for i, known in enumerate(seen):
            if known is codes or np.array_equal(known, codes):
                return i
        seen.append(codes)
        return len(seen) - 1

    out = []
    for design in designs:
        levels = tuple(Levels(int(f.first), int(f.n_levels), key(f.codes)) for f in design.factors)
        out.append(Columns(*_numbers_of(design, in_place, levels)))
    return tuple(out)


def _numbers_of(
    design: Design, in_place: bool, levels: tuple[Levels, ...]
) -> tuple[tuple[int, ...], tuple[Levels, ...], tuple[int, ...]]:
    at = resident(design.matrix) if in_place else None
    if at is None:
        return design.dense, levels, ()
    widths = [piece.shape[1] for piece in pieces_of(design.matrix)]
    start = sum(widths[:at])
    stop = start + widths[at]
    return design.dense[:start] + design.dense[stop:], levels, design.dense[start:stop]


AT_ONCE = 8
"""Columns of a design that are multiplied and added up in one loop over the rows."""

FEW_OUTPUTS = 2
"""With more outputs than this, a matrix product of the library is the faster one."""


def _dense_times(beta: jax.Array, x: jax.Array) -> jax.Array:
    """`tensordot(beta.T, x, 1)`, on CPUs in a third of the time (XLA's product of a vector and a matrix is slow there).

    Columns are multiplied a few at a time, row beside row; it must not be differentiated in `beta`.
    """
    product = lambda beta, x: jnp.tensordot(beta.T, x, axes=1)
    if beta.shape[1] > FEW_OUTPUTS or beta.shape[0] == 0:
        return product(beta, x)

    def by_columns(beta: jax.Array, x: jax.Array) -> jax.Array:
        p, k = beta.shape
        rounds = p // AT_ONCE

        def some(beta: jax.Array, x: jax.Array, start: jax.Array) -> jax.Array:
            sums = [sum((x[j] * beta[j, o] for j in range(1, len(x))), x[0] * beta[0, o]) for o in range(k)]
            return start + jnp.stack(sums)

        total = jnp.zeros((k, *x.shape[1:]), jnp.result_type(beta, x))
        if rounds == 1:
            total = some(beta[:AT_ONCE], x[:AT_ONCE], total)
        elif rounds:
            b = beta[: rounds * AT_ONCE].reshape(rounds, AT_ONCE, k)
            xs = x[: rounds * AT_ONCE].reshape(rounds, AT_ONCE, *x.shape[1:])
            total = jax.lax.fori_loop(0, rounds, lambda i, total: some(b[i], xs[i], total), total)
        return some(beta[rounds * AT_ONCE :], x[rounds * AT_ONCE :], total) if p % AT_ONCE else total

    return jax.lax.platform_dependent(beta, x, cpu=by_columns, default=product)


def times(columns: Columns, design: Arrays, beta: jax.Array, differentiated: bool = False) -> jax.Array:
    """X β: coefficients (columns, outputs) to predictors (outputs, ..., rows); differentiated in β only where it says so."""
    dense = (lambda b, x: jnp.tensordot(b.T, x, axes=1)) if differentiated else _dense_times
    if columns.parts == (None,):
        return dense(beta, design["dense"])
    terms = []
    for f, x in _parts(columns, design):
        if f is None:
            terms.append(dense(beta[np.array(columns.dense, int)], x))
        elif isinstance(f, ByRow):
            b = beta[np.array(columns.in_place)]
            terms.append((x @ b[:, 0])[None] if b.shape[1] == 1 else (x @ b).T)
        elif isinstance(f, Together):
            pieces = [jnp.pad(beta[g.first : g.first + g.size].T, ((0, 0), (1, 0))) for g in f.factors]
            terms.append(jnp.concatenate(pieces, axis=1).at[:, x].get(mode="clip").sum(axis=1))
        else:
            levels = jnp.pad(beta[f.first : f.first + f.size].T, ((0, 0), (1, 0)))
            terms.append(levels.at[:, x + 1].get(mode="clip"))
    return sum(terms[1:], terms[0])


def transposed(columns: Columns, design: Arrays, g: jax.Array) -> jax.Array:
    """Xᵀ g: numbers by row, shape (..., rows), to float64 sums over the rows by place, shape (places, ...)."""

    def of_part(f: Part, x: jax.Array) -> jax.Array:
        if f is None:  # one column is held: XLA would compute each number of g anew, one row after another
            times_g = lambda x, g: x @ g.T
            return (held(times_g, x[0, 0], x, g) if len(x) == 1 else times_g(x, g)).astype(jnp.float64)
        if isinstance(f, ByRow):  # held: a product that XLA turns itself takes twice the time
            return held(jnp.matmul, x[0, 0], g, x).T.astype(jnp.float64)
        return _by_level(f, x, g)

    sums = [of_part(f, x) for f, x in _parts(columns, design)]
    return sums[0] if len(sums) == 1 else jnp.concatenate(sums)


def rows(columns: Columns, design: Arrays, g: jax.Array) -> jax.Array:
    """Xᵀ diag(g): the columns, each row multiplied by its number, shape (places, rows)."""
    pieces = []
    for f, x in _parts(columns, design):
        if isinstance(f, Together):
            of = np.repeat(np.arange(len(f.factors)), [h.size + 1 for h in f.factors])
            pieces.append(jnp.where(x[of] == jnp.arange(f.places)[:, None], g, 0))
        elif isinstance(f, Levels):
            pieces.append(jnp.where(x == jnp.arange(-1, f.size)[:, None], g, 0))
        else:
            pieces.append(by_column(f, x) * g)
    return pieces[0] if len(pieces) == 1 else jnp.concatenate(pieces)


def product(columns_a: Columns, a: Arrays, w: jax.Array, columns_b: Columns, b: Arrays) -> list[list[Any]]:
    """X_aᵀ diag(w) X_b for several w, shape (n, rows), part by part and compact; `matrix` writes the sum out.

    With one design on both sides it is symmetric, and only the parts above the diagonal are given.
    """
    left = _parts(columns_a, a)
    right = left if a is b else _parts(columns_b, b)
    return [[None if a is b and q < p else _block(x, w, y) for q, y in enumerate(right)] for p, x in enumerate(left)]


def product_beside(columns: Columns, x: Arrays, w: jax.Array, g: jax.Array) -> tuple[list[list[Any]], jax.Array]:
    """`product` of a design with itself and `transposed` of g, shape (m, rows): where it has few columns, by one product."""
    if columns.parts != (None,) or x["dense"].shape[0] >= 2 * STRIP:
        return product(columns, x, w, columns, x), transposed(columns, x, g)
    dense, n = x["dense"], len(w)
    right = jnp.concatenate([(w[:, None, :] * dense[None]).reshape(-1, dense.shape[1]), g])
    sums = (dense @ right.T).astype(jnp.float64)
    cut = n * dense.shape[0]
    return [[jnp.swapaxes(sums[:, :cut].reshape(-1, n, len(dense)), 0, 1)]], sums[:, cut:]


def matrix(columns_a: Columns, sums: list[list[Any]], columns_b: Columns, i: int) -> jax.Array:
    """The `i`-th of the matrices that `product` gave the parts of, shape (places, places)."""

    def block(p: int, q: int) -> jax.Array:
        f, g, x = columns_a.parts[p], columns_b.parts[q], sums[p][q]
        if x is None:
            return block(q, p).T
        if isinstance(x, list):
            return joined(x, i)
        if isinstance(x, dict):
            half = x["half"][i]
            return half + half.T - jnp.diag(jnp.diag(half))
        if _is_numbers(f) and not _is_numbers(g):
            return x[:, i].T
        if not _is_numbers(f) and _is_numbers(g):
            return x[:, i]
        return jnp.diag(x[:, i]) if _same(f, g) else x[i]

    written = [[block(p, q) for q in range(len(columns_b.parts))] for p in range(len(columns_a.parts))]
    return written[0][0] if len(written) == len(written[0]) == 1 else jnp.block(written)


def _parts(columns: Columns, design: Arrays) -> list[tuple[Part, jax.Array]]:
    """Each part with its numbers, its codes, or, of several factors together, the place of each row's levels."""
    parts = columns.parts
    arrays = [design["dense"]] if parts[0] is None else []
    if columns.in_place:
        arrays.append(design["in_place"])
    if isinstance(parts[-1], Together):
        codes = design["codes"]  # (factors, rows), or (factors, length, groups)
        arrays.append(codes + 1 + parts[-1].starts.reshape(-1, *[1] * (codes.ndim - 1)))
    elif columns.factors:
        arrays.extend(design["codes"])
    return list(zip(parts, arrays))


def _is_numbers(f: Part) -> TypeGuard[Numbers]:
    return f is None or isinstance(f, ByRow)


def _same(f: Part, g: Part) -> bool:
    return isinstance(f, Levels) and isinstance(g, Levels) and f.key == g.key


def _by_level(f: Levels | Together, codes: jax.Array, values: jax.Array) -> jax.Array:
    """Σ over the rows of each level, the reference level first: (..., rows) to (1 + size, ...).

    The compiler adds to the running total of all chunks in place if nothing is done to what this returns.
    """
    values = jnp.moveaxis(values, -1, 0).astype(jnp.float64)
    zeros = jnp.zeros((f.size + 1, *values.shape[1:]))
    if isinstance(f, Together):
        return jax.lax.scan(lambda total, at: (total.at[at].add(values, mode=IN_BOUNDS), None), zeros, codes)[0]
    return zeros.at[codes + 1].add(values)


IN_BOUNDS = "promise_in_bounds"
"""Codes are checked where they are made."""


def _places(f: Levels | Together, codes: jax.Array) -> jax.Array:
    return codes if isinstance(f, Together) else codes[None] + 1


def _tabulated(
    x: tuple[Levels | Together, jax.Array], w: jax.Array, y: tuple[Levels | Together, jax.Array], half: bool
) -> jax.Array:
    """Cross-tabulations of w, shape (n, rows), by all pairs of factors; of one list with itself, `half` of them.

    One loop over the pairs, in a sixth of the time that a program for each of them takes, and compiled in a tenth.
    """
    (f, left), (g, right) = x, y
    left, right = _places(f, left), _places(g, right)
    pairs = [(i, j) for i in range(len(left)) for j in range(i if half else 0, len(right))]
    first, second = (jnp.array([pair[side] for pair in pairs], np.int32) for side in (0, 1))
    values, width = w.astype(jnp.float64), g.size + 1

    def add(table: jax.Array, pair: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
        i, j = pair
        return table.at[:, left[i] * width + right[j]].add(values, mode=IN_BOUNDS), None

    table, _ = jax.lax.scan(add, jnp.zeros((w.shape[0], (f.size + 1) * width)), (first, second))
    return table.reshape(w.shape[0], f.size + 1, width)


def _block(x: tuple[Part, jax.Array], w: jax.Array, y: tuple[Part, jax.Array]) -> Any:
    """One part of `product`: numbers (n, p, q; with themselves, strips of it), numbers and levels (levels, n, p), the same
    levels (levels, n: a diagonal), levels of different factors (n, levels, levels; the `half` of a list with itself)."""
    (f, left), (g, right) = x, y
    if _is_numbers(f) and _is_numbers(g):
        sums = symmetric(f, left, w) if left is right else of_numbers(f, left, w, g, right)
        return jax.tree.map(lambda x: x.astype(jnp.float64), sums)
    if f is None or isinstance(f, ByRow):
        return _by_level(g, right, w[:, None, :] * by_column(f, left)[None])  # type: ignore[arg-type]
    if g is None or isinstance(g, ByRow):
        return _by_level(f, left, w[:, None, :] * by_column(g, right)[None])
    if _same(f, g):
        return _by_level(f, left, w)
    if isinstance(f, Together) or isinstance(g, Together):
        half = left is right
        table = _tabulated((f, left), w, (g, right), half)
        return {"half": table} if half else table
    zeros = jnp.zeros((w.shape[0], f.size + 1, g.size + 1))
    return zeros.at[:, left + 1, right + 1].add(w.astype(jnp.float64))

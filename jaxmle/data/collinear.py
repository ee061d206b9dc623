"""Columns of a design that are exact linear combinations of earlier ones, found on a few rows and proved on all.

A combination that holds on all rows holds on some of them; so the columns are orthogonalised on a sample, in their own
order, and what depends on earlier columns there is looked at on all rows. Rows in which it does not hold join the
sample, until every dependence that is left holds everywhere. Full rank of the sample is full rank of the whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from .design import Design
from .formula import drop_columns
from .tables import at_rows

SMALL = 1e-11
"""A column is dependent if so little of its length is left beside earlier ones. The smallest share that is left of an
honest design is far larger: 9e-5 in Longley's data, 5e-8 in Filip's polynomial of degree ten (NIST)."""

ROUNDINGS = 64
"""So many roundings of the combination's terms also count as nothing left: sums of large numbers that cancel."""

INDEPENDENT = 1e-6
"""Columns of unit length whose products have no smaller eigenvalue are independent: of none is a thousandth its length
left, and rounding errors of the products are millions of times smaller."""

MOST_COLUMNS = 1_500
"""Above so many columns, levels kept as codes are left out of the search."""

FEW, MANY = 4, 20
"""Rows of a sample for each column: for a first look, and where that leaves doubt, so that rare columns are in it too."""

SAMPLE_ROWS = 2_000
BLOCK = 64
CHUNK = 65_536
ROUNDS = 30

Aliased = list[tuple[int, dict[str, float]]]
"""Positions among a design's columns, and the combination of earlier columns that each is."""


def aliased(design: Design, weights: np.ndarray | None = None) -> Aliased:
    """The columns that are linear combinations of earlier ones, with these combinations by name.

    design: n rows. weights: (n,), of which zeros leave out rows. A column of zeros is the empty combination. Levels
    kept as codes count as the columns that they stand for, up to `MOST_COLUMNS` columns in all.
    """
    rows = np.arange(len(design.matrix)) if weights is None else np.flatnonzero(np.asarray(weights) > 0)
    seen = _Seen(design, with_factors=bool(design.factors) and len(design.names) <= MOST_COLUMNS)
    eps = float(np.finfo(np.float32 if design.matrix.dtype == np.float32 else np.float64).eps)
    sample = seen.sample(rows, FEW)
    if _surely_independent(seen.columns(sample)):
        return []
    sample = sample if seen.factors else seen.sample(rows, MANY)  # levels have their rows already
    for round_number in range(ROUNDS):
        columns = seen.columns(sample)
        combinations = _combinations(columns, eps)
        if not combinations:
            return []
        if len(sample) == len(rows):
            break
        share, worst, limits = seen.left_over(combinations, rows, eps)
        broken = [j for j in combinations if share[j] > limits[j]]
        if not broken:
            break
        more = np.setdiff1d(np.concatenate([worst[j] for j in broken]), sample)
        if not len(more) or round_number == ROUNDS - 1:
            combinations = {j: c for j, c in combinations.items() if share[j] <= 1e-8}
            break
        sample = np.concatenate([sample, more])
    return [(seen.positions[j], _named(c, columns, design.names, seen.positions)) for j, c in combinations.items()]


def in_words(found: Aliased, names: Sequence[str], limit: int = 5, terms: int = 8) -> str:
    """`b = x - 2·z; c = 0 and 3 more`: the combinations as a message says them.

    names: of all columns of the design. limit and terms: how many combinations, and of how many terms each, are shown.
    """
    shown = []
    for position, combination in found[:limit]:
        text = ""
        for name, c in list(combination.items())[:terms]:
            sign = ("-" if c < 0 else "") if not text else (" - " if c < 0 else " + ")
            text += sign + (name if abs(c) == 1 else f"{abs(c):.6g}·{name}")
        more = len(combination) - terms
        shown.append(f"{names[position]} = {text or '0'}{f' + {more} more terms' if more > 0 else ''}")
    return "; ".join(shown) + (f" and {len(found) - limit} more" if len(found) > limit else "")


def without(design: Design, positions: Iterable[int]) -> Design:
    """The design without the columns at these positions; a level without a column is one more reference level."""
    return Design(*drop_columns(design.names, design.matrix, design.factors, positions))


class _Seen:
    """The columns of a design that are searched: `positions` among all; rows of them on demand."""

    def __init__(self, design: Design, *, with_factors: bool) -> None:
        self.design = design
        self.factors = design.factors if with_factors else ()
        self.positions = list(range(len(design.names))) if with_factors else list(design.dense)
        self.dense = list(design.dense) if with_factors else list(range(design.matrix.shape[1]))

    def sample(self, rows: np.ndarray, per_column: int) -> np.ndarray:
        """The first rows to look at: some at random, and two with each level."""
        size = max(SAMPLE_ROWS, per_column * len(self.positions))
        if len(rows) <= size:
            return rows
        chosen = [rows[np.random.default_rng(0).integers(0, len(rows), size)]]
        for f in self.factors:
            codes = at_rows(f.codes, rows) + 1
            for order in (slice(None), slice(None, None, -1)):  # the last row of each level, and the first
                found = np.full(f.n_levels + 1, -1)
                found[codes[order]] = rows[order]
                chosen.append(found[found >= 0])
        return np.unique(np.concatenate(chosen))

    def columns(self, rows: np.ndarray) -> np.ndarray:
        """The columns (m, p) in float64 at these rows."""
        if self.factors:
            return self.design.written_out(rows)
        return np.array(self.design.matrix[rows], np.float64, order="F")

    def left_over(
        self, combinations: dict[int, np.ndarray], rows: np.ndarray, eps: float
    ) -> tuple[dict[int, float], dict[int, np.ndarray], dict[int, float]]:
        """For each combination: the share of its column's length that it does not explain in all rows, the rows in
        which it explains it worst, and how large that share may be."""
        members = list(combinations)
        weights = np.stack([combinations[j] for j in members], axis=1)
        square, length, size = np.zeros(len(members)), np.zeros(len(members)), np.zeros(len(members))
        worst: list[list[tuple[float, int]]] = [[] for _ in members]
        for start in range(0, len(rows), CHUNK):
            part = rows[start : start + CHUNK]
            x, total, absolute = self._times(part, weights, members)
            off = x - total
            square += np.sum(off**2, axis=0)
            length += np.sum(x**2, axis=0)
            size += np.sum(absolute**2, axis=0)
            top = (
                np.argsort(-np.abs(off), axis=0)[:5] if len(part) <= 5 else np.argpartition(-np.abs(off), 5, axis=0)[:5]
            )
            for i in range(len(members)):
                worst[i] = sorted([*worst[i], *((abs(off[r, i]), int(part[r])) for r in top[:, i])], reverse=True)[:5]
        nonzero = np.where(length > 0, length, 1.0)
        share = np.sqrt(square / nonzero)
        limit = np.maximum(SMALL, ROUNDINGS * eps * (1 + np.sqrt(size / nonzero)))
        return (
            dict(zip(members, share)),
            {j: np.array([r for _, r in w]) for j, w in zip(members, worst)},
            dict(zip(members, limit)),
        )

    def _times(self, rows: np.ndarray, weights: np.ndarray, members: list[int]) -> tuple[np.ndarray, ...]:
        """The columns themselves, the combinations, and the sums of absolute values of their terms, (m, k) each."""
        dense = self.design.matrix[rows].astype(np.float64)
        total = dense @ weights[self.dense]
        absolute = np.abs(dense) @ np.abs(weights[self.dense])
        x = np.zeros((len(rows), len(members)))
        place = {at: i for i, at in enumerate(self.dense)}
        for i, j in enumerate(members):
            if j in place:
                x[:, i] = dense[:, place[j]]
        for f in self.factors:
            table = np.concatenate([weights[f.first : f.first + f.n_levels], np.zeros((1, len(members)))])
            codes = f.codes[rows]
            total += table[codes]  # code -1 finds the zeros at the end
            absolute += np.abs(table)[codes]
            for i, j in enumerate(members):
                if f.first <= j < f.first + f.n_levels:
                    x[:, i] = codes == j - f.first
        return x, total, absolute


def _surely_independent(columns: np.ndarray) -> bool:
    """Whether no column (m, p) is a combination of others, beyond all doubt: `False` says nothing."""
    length = np.sqrt(np.einsum("ij,ij->j", columns, columns))
    if not (length > 0).all():
        return False
    scaled = columns / length
    try:
        np.linalg.cholesky(scaled.T @ scaled - INDEPENDENT * np.eye(len(length)))
    except np.linalg.LinAlgError:
        return False
    return True


def _combinations(columns: np.ndarray, eps: float) -> dict[int, np.ndarray]:
    """Column → its combination (p,) of earlier ones, for every column that is one in these rows.

    Gram–Schmidt, twice, in blocks of columns, in their order.
    """
    m, p = columns.shape
    length = np.sqrt(np.einsum("ij,ij->j", columns, columns))
    scaled = columns / np.where(length > 0, length, 1.0)
    basis = np.empty((m, min(m, p)), order="F")
    r = np.zeros((min(m, p), p))
    kept: list[int] = []
    found: dict[int, np.ndarray] = {}
    for start in range(0, p, BLOCK):
        block = np.array(scaled[:, start : start + BLOCK], order="F")
        for _ in range(2):
            shares = basis[:, : len(kept)].T @ block
            block -= basis[:, : len(kept)] @ shares
            r[: len(kept), start : start + BLOCK] += shares
        before = len(kept)
        for j in range(start, min(start + BLOCK, p)):
            column = block[:, j - start]
            for _ in range(2):
                own = basis[:, before : len(kept)]
                shares = own.T @ column
                column -= own @ shares
                r[before : len(kept), j] += shares
            left = float(np.linalg.norm(column))
            rank = len(kept)
            if left < 1e-4 or rank == basis.shape[1]:
                c = _solve(r[:rank, kept], r[:rank, j])
                if left <= max(SMALL, ROUNDINGS * eps * (1 + float(np.abs(c).sum()))) or rank == basis.shape[1]:
                    combination = np.zeros(p)
                    combination[kept] = c * length[j] / length[kept]
                    found[j] = combination
                    continue
            basis[:, rank] = column / left
            r[rank, j] = left
            kept.append(j)
    return found


def _solve(upper: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.linalg.solve(upper, right) if len(right) else np.zeros(0)


def _named(c: np.ndarray, columns: np.ndarray, names: Sequence[str], positions: Sequence[int]) -> dict[str, float]:
    """The terms of a combination that are more than rounding, whole numbers made whole."""
    terms = np.abs(c) * np.sqrt(np.einsum("ij,ij->j", columns, columns))
    whole = np.round(c)
    c = np.where((whole != 0) & (np.abs(c - whole) <= 1e-9 * np.abs(whole)), whole, c)
    large = terms > 1e-8 * terms.max(initial=0.0)
    return {names[positions[k]]: float(c[k]) for k in np.flatnonzero(large & (c != 0)).tolist()}

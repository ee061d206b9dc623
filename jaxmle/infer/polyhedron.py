"""Rays of a cone {d: A d ≥ 0, E d = 0}: whether one makes an inequality strict, and which are tied on all of them.

The rows that some ray makes strict are found together: a linear program maximises the sum of A d, rows that gain are
taken away, and it is asked again until none is left. What then leaves all other rows at zero is the span of the cone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .directions import sparse_basis

TIED = 1e-9
"""A row changes along a ray of length 1 by no more than this, relative to its largest entry: it is tied to it."""

RANK = 1e-10
"""Singular values below this share of the largest are zero: sums of squares lose half the digits, and are redone."""

ROWS_AT_ONCE = 2_000
"""Inequalities that are added to a linear program at a time: the few that bind are enough of a million."""

MOST_ROUNDS, MOST_SECONDS = 200, 60.0

Block = tuple[Any, np.ndarray, bool]
"""A sparse matrix (m, size), the row of the data that each of its rows is about (m,), and whether it is equalities."""


@dataclass(frozen=True)
class Ray:
    """A relative interior ray of the cone, if it makes any row strict.

    `basis` (size, k) spans the cone, each vector with few entries; `rows` are the inequalities on the columns
    `present`, scaled. Of the `n_rows` rows of data `n_gaining` gain in all their inequalities, and `n_left` do not.
    """

    basis: np.ndarray
    rows: Any
    present: np.ndarray
    scale: np.ndarray
    n_touched: int
    n_gaining: int
    n_left: int
    n_rows: int
    deadline: float

    def involved(self) -> np.ndarray:
        """The coordinates that take part."""
        return np.flatnonzero(np.any(self.basis != 0, axis=1))

    def sign(self, v: np.ndarray) -> int:
        """Whether `v` (1) or its opposite (-1) belongs to the cone; 0 if neither does, or both."""
        scaled = (v * self.scale)[self.present]
        change = self.rows @ (scaled / np.abs(scaled).max())
        up, down = bool((change >= -TIED).all()), bool((change <= TIED).all())
        return int(up) - int(down)

    def smallest(self, most: int, constant: np.ndarray) -> np.ndarray:
        """Coordinates that make every row strict, none of which can be left out; all involved where they are many.

        `constant` ones stay: they are constant terms.
        """
        kept = np.zeros(len(self.scale), bool)
        kept[self.involved()] = True
        trials = np.flatnonzero(kept & ~constant)[::-1]  # what was named first is kept
        if len(trials) > most or self.rows.shape[0] * len(trials) > 10 * ROWS_AT_ONCE * most:
            return np.flatnonzero(kept)
        dense = np.asarray(self.rows.todense()) if hasattr(self.rows, "todense") else self.rows
        for i in trials:
            kept[i] = False
            if not _all_strict(dense[:, kept[self.present]], self.deadline):
                kept[i] = True
        return np.flatnonzero(kept)


def ray_of(
    blocks: Callable[[], Iterable[Block]],
    scale: np.ndarray,
    start: np.ndarray,
    largest: int,
    nearly: Callable[[], np.ndarray],
) -> Ray | None:
    """The relative interior of the cone of `blocks`; None where no answer was found in time.

    Arguments:
        scale: size of each column (size,).
        start: a vector (size,) that may be a ray.
        largest: numbers beyond which inequalities are kept only for rows of data that `nearly` (a mask) says may gain.
    """
    deadline = time.monotonic() + MOST_SECONDS
    used, n_numbers = np.zeros(len(scale), bool), 0
    seen = [np.zeros(0, int)]
    for matrix, rows, equal in blocks():
        used |= abs(matrix).max(axis=0).toarray().ravel() > 0
        n_numbers += 0 if equal else matrix.nnz
        seen.append(np.unique(rows))
    n_data, present = len(np.unique(np.concatenate(seen))), np.flatnonzero(used)
    whole, scale, hint = scale, scale[present], (start * scale)[present]
    size = len(present)
    able = nearly() if n_numbers > largest else None

    def scaled() -> Iterable[Block]:
        for matrix, rows, equal in blocks():
            matrix = _normed(matrix[:, present] / scale)
            if equal or able is None:
                yield matrix, rows, equal
                continue
            for chosen, is_equal in ((able[rows], False), (~able[rows], True)):
                if chosen.any():
                    yield matrix[chosen], rows[chosen], is_equal

    tied = null_space(lambda: (m for m, _, equal in scaled() if equal), size)
    kept = [(m, rows) for m, rows, equal in scaled() if not equal]
    if not kept or tied.shape[1] == 0:
        return Ray(np.zeros((len(whole), 0)), np.zeros((0, size)), present, whole, 0, 0, n_data, n_data, deadline)
    from scipy import sparse

    matrix, data_rows = sparse.vstack([m for m, _ in kept], format="csr"), np.concatenate([rows for _, rows in kept])
    free = tied.shape[1] == size
    reduced = matrix if free else matrix @ tied
    if free and matrix.shape[0] * size <= largest:  # type: ignore[index]
        reduced = matrix.toarray()
    hint = hint if free else np.linalg.lstsq(tied, hint, rcond=None)[0]
    found = gaining(reduced, hint, deadline)
    if found is None:
        return None
    left = np.unique(np.concatenate([rows for _, rows, equal in scaled() if equal] + [data_rows[~found]]))
    gained = np.setdiff1d(data_rows[found], left)
    rest = reduced[~found]  # type: ignore[index]
    inner = null_space(lambda: iter((rest,)), tied.shape[1]) if found.any() else np.zeros((tied.shape[1], 0))
    basis = np.zeros((len(whole), inner.shape[1]))
    if inner.size:
        basis[present] = sparse_basis(inner if free else tied @ inner) / scale[:, None]
    n_touched, n_gaining = (len(np.unique(data_rows[found])), len(gained)) if inner.size else (0, 0)
    return Ray(basis, matrix, present, whole, n_touched, n_gaining, len(left), n_data, deadline)


def _normed(matrix: Any) -> Any:
    """Each row divided by its largest entry; rows of zeros as they are."""
    from scipy import sparse

    matrix = sparse.csr_array(matrix)
    size = abs(matrix).max(axis=1).toarray().ravel()
    return sparse.csr_array(sparse.diags_array(1.0 / np.where(size > 0, size, 1.0)) @ matrix)


def null_space(parts: Callable[[], Iterable[Any]], size: int) -> np.ndarray:
    """An orthonormal basis (size, k) of what all rows of all `parts` are zero on; they are walked through twice."""
    gram = np.zeros((size, size))
    for part in parts():
        product = part.T @ part
        gram += product.toarray() if hasattr(product, "toarray") else product
    values, axes = np.linalg.eigh(gram)
    largest = max(1.0, *values.tolist())  # rows are of size one
    small = axes[:, values <= 1e-9 * largest]
    if not small.shape[1]:
        return small
    factor = np.zeros((0, small.shape[1]))
    for part in parts():
        factor = np.linalg.qr(np.concatenate([factor, part @ small]), mode="r")
    _, values, axes_t = np.linalg.svd(factor, full_matrices=True)
    values = np.concatenate([values, np.zeros(small.shape[1] - len(values))])
    return small @ axes_t[values <= RANK * np.sqrt(largest)].T


def gaining(matrix: Any, hint: np.ndarray, deadline: float) -> np.ndarray | None:
    """Which rows of `matrix @ d` some d with `matrix @ d ≥ 0` makes positive (m,); None if time ran out."""
    if isinstance(matrix, np.ndarray):
        size = np.abs(matrix).max(axis=1, initial=0.0)
        matrix = np.where(size[:, None] > TIED, matrix / np.where(size > TIED, size, 1.0)[:, None], 0.0)
        unique, inverse = np.unique(np.round(matrix, 12), axis=0, return_inverse=True)
        found = _gaining(unique, hint, deadline)
        return None if found is None else found[inverse.reshape(-1)]
    return _gaining(matrix, hint, deadline)


def _gaining(matrix: Any, hint: np.ndarray, deadline: float) -> np.ndarray | None:
    found = np.zeros(matrix.shape[0], bool)
    rest = np.flatnonzero(np.asarray(abs(matrix).max(axis=1)).ravel() if isinstance(matrix, np.ndarray) else
                          abs(matrix).max(axis=1).toarray().ravel())  # fmt: skip
    for trial in range(MOST_ROUNDS):
        if not len(rest):
            break
        part = matrix[rest]
        ray = hint / max(np.abs(hint).max(initial=0.0), 1e-300)
        if trial or not ((part @ ray) >= 0).all() or not ((part @ ray) > TIED).any():
            solved = _steepest(part, deadline)
            if solved is None:
                return None
            ray = solved
        gains = part @ ray > 10 * TIED
        if not gains.any():
            break
        found[rest[gains]] = True
        rest = rest[~gains]
    return found


def _steepest(matrix: Any, deadline: float) -> np.ndarray | None:
    """The d in the unit cube with `matrix @ d ≥ 0` whose sum of `matrix @ d` is largest; rows are added as they bind."""
    m, size = matrix.shape
    total = np.asarray(matrix.sum(axis=0)).ravel()
    total = total / max(np.abs(total).max(), 1e-300)
    used = np.unique(np.linspace(0, m - 1, min(m, ROWS_AT_ONCE)).astype(int))
    for _ in range(MOST_ROUNDS):
        d = _program(-total, matrix[used], np.zeros(len(used)), (-1.0, 1.0), deadline)
        if d is None:
            return None
        change = matrix @ d
        if not change.max() > TIED or len(used) == m:
            return d
        violated = np.flatnonzero(change < -TIED)
        violated = np.setdiff1d(violated, used)
        if not len(violated):
            return d
        worst = violated[np.argsort(change[violated])[:ROWS_AT_ONCE]]
        used = np.union1d(used, worst)
    return None


def _all_strict(matrix: np.ndarray, deadline: float) -> bool:
    """Whether one d makes every row of `matrix @ d` positive."""
    m, k = matrix.shape
    if not k:
        return False
    rows = np.concatenate([matrix, -np.ones((m, 1))], axis=1)
    cost = np.zeros(k + 1)
    cost[-1] = -1.0
    d = _program(cost, rows, np.zeros(m), (-1.0, 1.0), deadline)
    return d is not None and bool((matrix @ d[:-1]).min() > 10 * TIED)


def _program(cost: np.ndarray, rows: Any, least: np.ndarray, bounds: tuple[float, float], deadline: float):
    """The solution of: minimise cost @ d for rows @ d ≥ least within bounds; None if it was not found in time."""
    from scipy.optimize import linprog

    remaining = deadline - time.monotonic()
    if remaining <= 0:
        return None
    options = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10, "time_limit": remaining}
    solved = linprog(cost, A_ub=-rows, b_ub=-least, bounds=bounds, method="highs", options=options)
    return solved.x if solved.status == 0 else None

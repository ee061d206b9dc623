"""Many data sets as one table: rows with a label each, or arrays whose first axis is the data sets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import DataError, rows_in_words
from .tables import Table, at_rows, read_weights
from .validate import check_finite, column_array


@dataclass(frozen=True, eq=False)
class Grouping:
    """A table of the rows of all data sets, and which data set each row belongs to.

    `labels` (G,) in the order of appearance; `codes` (rows,) number them, or None where every data set has the
    `each` rows that follow those of the one before. `shared` are the columns that are the same in all data sets; where
    all columns are, the table is that of one of them, and `own` their weights (G, rows).
    """

    table: Table
    weights: np.ndarray
    labels: np.ndarray
    codes: np.ndarray | None
    each: int = 0
    shared: frozenset[str] = frozenset()
    own: np.ndarray | None = None

    def ends(self, kept: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Of the rows that are kept: where each data set ends, and the order that puts its rows together (None: as is)."""
        n = len(self.labels)
        if self.own is not None:
            return np.arange(1, n + 1) * len(kept), None
        if self.codes is None:
            if len(kept) == self.table.n_rows:
                return np.arange(1, n + 1) * self.each, None
            codes = kept // self.each
        else:
            codes = at_rows(self.codes, kept)
        ends = np.cumsum(np.bincount(codes, minlength=n))
        together = bool((codes[1:] >= codes[:-1]).all())
        return ends, None if together else np.argsort(codes, kind="stable")

    def weights_of(self, kept: np.ndarray) -> np.ndarray:
        """The weights of the rows that are kept, data set after data set where all share them."""
        if self.own is not None:
            return self.own[:, kept].reshape(-1)
        return at_rows(self.weights, kept)

    def of(self, g: int) -> tuple[Table, np.ndarray]:
        """The rows of a data set, and their weights."""
        if self.own is not None:
            return self.table, self.own[g]
        whole = self.codes is None
        rows = np.arange(g * self.each, (g + 1) * self.each) if whole else np.flatnonzero(self.codes == g)
        return self.table.take(rows), self.weights[rows]


def grouped(data: Any, by: Any, weights: Any, missing: str) -> Grouping:
    """The data sets of a table, by a column or by one label per row; raises `DataError` for labels that are missing."""
    table = Table.read(data)
    name = by if isinstance(by, str) else "by"
    labels = table.column(by, "the argument by") if isinstance(by, str) else column_array("by", by)
    if labels.shape != (table.n_rows,):
        raise DataError(f"by= needs one label per row, shape ({table.n_rows},); got shape {labels.shape}.")
    number = np.ones(table.n_rows) if weights is None else read_weights(weights, table, "weights")
    known = check_finite({name: labels}, "drop", "the argument by") if labels.dtype.kind not in "biuUS" else None
    if known is not None:
        if missing != "drop":
            lost = rows_in_words(np.flatnonzero(~known))
            raise DataError(f"by={name!r} has missing labels in {lost}: missing='drop' leaves these rows out.")
        number = np.where(known, number, 0.0)
        table, number, labels = table.take(known), number[known], labels[known]
    codes, distinct = codes_of(labels)
    return Grouping(table, number, distinct, codes)


def codes_of(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The number of each label in the order of appearance, and the distinct labels in that order.

    Nothing but whole numbers is sorted: labels of several types have no order.
    """
    if labels.dtype.kind in "iu":
        keys, first, codes = np.unique(labels, return_index=True, return_inverse=True)
        appearance = np.argsort(first, kind="stable")
        rank = np.empty_like(appearance)
        rank[appearance] = np.arange(len(keys))
        return rank[codes.reshape(-1)], keys[appearance]
    begins = np.flatnonzero(np.concatenate([[True], labels[1:] != labels[:-1]]))
    runs = labels[begins].tolist()
    number: dict[Any, int] = {}
    of_run = np.array([number.setdefault(label, len(number)) for label in runs])
    codes = np.repeat(of_run, np.diff(begins, append=len(labels)))
    first = begins[np.unique(of_run, return_index=True)[1]]
    return codes, labels[first]


def stacked(data: Any, response: tuple[str, ...], weights: Any) -> Grouping:
    """The data sets of arrays: (G, n, ...) where they differ by data set, (n, ...) where they are shared.

    response: the columns of a family's response, which differ by data set. Raises `DataError` for shapes that do not
    fit together.
    """
    if not isinstance(data, Mapping):
        raise DataError(
            "Without by=, fit_many takes a mapping of arrays with the data sets on the first axis, {'y': (G, n), "
            f"'x': (G, n) or (n,)}}; got {type(data).__name__}. For a table, name the column that tells data sets apart: "
            "by='gene'."
        )
    arrays = {name: column_array(name, value) for name, value in data.items()}
    if weights is not None and not isinstance(weights, str):
        weights = np.asarray(weights, dtype=np.float64)
    if isinstance(weights, np.ndarray) and weights.ndim == 2:
        own = any(array.shape[:2] == weights.shape for array in arrays.values())
        if not own:
            return _by_weights(arrays, weights)
    sets, n = _axes(arrays, response)
    flat, shared = {}, []
    for name, array in arrays.items():
        if array.shape[:2] == (sets, n):
            flat[name] = array.reshape(sets * n, *array.shape[2:])
        else:
            shared.append(name)
            flat[name] = np.tile(array, (sets, *[1] * (array.ndim - 1)))
    if isinstance(weights, np.ndarray):
        if weights.shape not in ((sets, n), (n,)):
            raise DataError(f"weights have shape {weights.shape}; expected {(sets, n)}, or {(n,)} for all data sets.")
        weights = np.broadcast_to(weights, (sets, n)).reshape(-1)
    table = Table.read(flat)
    number = np.ones(sets * n) if weights is None else read_weights(weights, table, "weights")
    return Grouping(table, number, np.arange(sets), None, n, frozenset(shared))


def _by_weights(arrays: Mapping[str, np.ndarray], weights: np.ndarray) -> Grouping:
    """Data sets that differ by their weights alone (G, n), such as bootstrap samples and folds."""
    table = Table.read(arrays)
    if weights.shape[1] != table.n_rows:
        raise DataError(
            f"weights have shape {weights.shape}, but the arrays have {table.n_rows} rows: where data sets differ by their "
            f"weights alone, these have shape (G, {table.n_rows})."
        )
    read_weights(weights.sum(0), table, "weights")
    if not (weights >= 0).all():
        raise DataError("weights: some are negative; weights count observations, zero or more.")
    labels = np.arange(len(weights))
    return Grouping(table, weights.max(0), labels, None, table.n_rows, frozenset(arrays), weights)


def _axes(arrays: Mapping[str, np.ndarray], response: tuple[str, ...]) -> tuple[int, int]:
    """(G, n): the first two axes of one array such that every other one begins with them, or with n alone."""
    shapes = {name: array.shape for name, array in arrays.items()}
    listed = ", ".join(f"{name!r} {shape}" for name, shape in list(shapes.items())[:8])
    own = [name for name in response if name in shapes] or [name for name, shape in shapes.items() if len(shape) > 1]
    fits = []
    for name in own:
        if len(shapes[name]) < 2:
            raise DataError(
                f"The response {name!r} has shape {shapes[name]}; without by=, stacked data sets give it one row for each "
                "data set, shape (G, n). For one long table, name the column that tells data sets apart: by='gene'."
            )
        g, n = shapes[name][:2]
        if all(shape[:2] == (g, n) or shape[:1] == (n,) for shape in shapes.values()):
            fits.append((g, n))
    if not fits:
        raise DataError(
            f"The arrays do not stack: {listed}. Those that differ by data set begin with the axes (G, n), data sets and "
            "rows; those that are shared with n alone."
        )
    if 0 in fits[0]:
        raise DataError(f"There is nothing to fit: {listed}.")
    return fits[0]

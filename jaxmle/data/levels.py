"""Categorical columns: their levels in order, the number of each row's level, and what the levels' columns are."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import DataError, ModelError, rows_in_words
from .expressions import formulaic
from .tables import Table
from .validate import reads_as_number

SUSPECT_ROWS = 50
"""From so many rows on, a column of text with a level for every other row is taken for an identifier."""


@dataclass(frozen=True)
class Factor:
    """A categorical main effect kept as codes, in the place of its columns of zeros and ones.

    `codes` (n,) int32 number the columns, -1 being a reference level, which has none; `first` is the position of its
    first column among all columns of the design, `n_levels` how many it has.
    """

    codes: np.ndarray
    first: int
    n_levels: int


def learn_levels(
    values: np.ndarray, categories: Sequence[Any] | None, term: str, parameter: str, *, bare: bool
) -> tuple[Any, ...]:
    """The levels of a categorical term: the categories that occur, in their order, or else what occurs, sorted.

    values: (n,) without missing entries. bare: whether the term is a column of text as it stands, not `C(...)`.
    Raises `DataError` for dates, for numbers held as text, and for identifiers.
    """
    where = f"Term {term!r} of {parameter!r}"
    if values.ndim != 1:
        raise DataError(f"{where} has shape {values.shape}; a categorical term has one level in each row.")
    if values.dtype.kind in "biuf":
        found = _distinct(values).tolist()
        if values.dtype.kind == "f" and all(v.is_integer() and abs(v) < 2**53 for v in found):
            found = [int(v) for v in found]  # numbers that have or had missing values beside them
    else:
        found = list(dict.fromkeys(values.tolist()))
    if any(isinstance(v, datetime.date | datetime.time | datetime.timedelta) for v in found) or (
        values.dtype.kind in "mM"
    ):
        raise DataError(
            f"{where} holds dates or times. Turn them into numbers, such as days since the first, "
            "(x - x.min()) / np.timedelta64(1, 'D'), or into text for one level each."
        )
    odd = next((v for v in found if not isinstance(v, str | int | float | bool)), None)
    if odd is not None:
        raise DataError(f"{where} holds {odd!r} ({type(odd).__name__}); levels are text, numbers or booleans.")
    if categories is not None:
        present = set(found)
        return tuple(c for c in categories if c in present)
    if bare and all(reads_as_number(v) for v in found):
        shown = ", ".join(repr(v) for v in found[:3])
        raise DataError(
            f"Column {term!r}, in the linear predictor of {parameter!r}, holds numbers as text ({shown}, ...). "
            f"Convert it, np.asarray(x, dtype=float), or write C({term}) if categories are meant."
        )
    n = len(values)
    if n >= SUSPECT_ROWS and len(found) > (n / 2 if bare else n - 1):
        remedy = f"C({term}) says that categories are meant." if bare else "Each would fit its one row alone."
        raise DataError(
            f"{where} has {len(found):,} levels in {n:,} rows: it looks like an identifier. Leave it out. {remedy}"
        )
    try:
        return tuple(sorted(found))
    except TypeError:
        return tuple(sorted(found, key=lambda v: (type(v).__name__, str(v))))


NARROW = 1 << 20
"""Whole numbers between two so far apart are looked up in a table."""


def _offsets(values: np.ndarray, low: int, high: int) -> np.ndarray | None:
    """How far whole numbers are above `low`, if all are between two that are not far apart."""
    if values.dtype.kind not in "iu" or high - low >= NARROW or not len(values):
        return None
    if int(values.min()) < low or int(values.max()) > high:
        return None
    return values.astype(np.int64, copy=False) - low


def _distinct(values: np.ndarray) -> np.ndarray:
    """The distinct values, sorted."""
    low, high = (int(values.min()), int(values.max())) if values.dtype.kind in "iu" and len(values) else (0, -1)
    above = _offsets(values, low, high)
    return np.unique(values) if above is None else np.flatnonzero(np.bincount(above)) + low


def codes_of(values: np.ndarray, levels: Sequence[Any], term: str, parameter: str, table: Table) -> np.ndarray:
    """The number of each row's level (n,) int32; raises `DataError` naming rows with levels that are not known."""
    if values.dtype.kind in "biuf" and all(isinstance(v, int | float) for v in levels):
        known = np.array(levels)
        whole = known.dtype.kind in "iu" and len(known)
        above = _offsets(values, int(known.min()), int(known.max())) if whole else None
        if above is not None:
            number = np.full(int(known.max()) - int(known.min()) + 1, -1, np.int32)
            number[known - known.min()] = np.arange(len(known))
            codes = number[above]
        else:
            order = np.argsort(known, kind="stable")
            at = np.minimum(np.searchsorted(known, values, sorter=order), len(known) - 1)
            codes = np.where(known[order[at]] == values, order[at], -1).astype(np.int32)
    else:
        numbered = {level: i for i, level in enumerate(levels)}
        codes = np.fromiter((numbered.get(v, -1) for v in values.tolist()), np.int32, len(values))
    rows = np.flatnonzero(codes < 0)
    if len(rows):
        raise DataError(_unseen(values, rows, levels, term, parameter, table))
    return codes


def _unseen(
    values: np.ndarray, rows: np.ndarray, levels: Sequence[Any], term: str, parameter: str, table: Table
) -> str:
    new = list(dict.fromkeys(values[rows].tolist()))
    shown = ", ".join(repr(v) for v in new[:5]) + (f" and {len(new) - 5} more" if len(new) > 5 else "")
    known = ", ".join(repr(v) for v in levels[:10]) + (f" and {len(levels) - 10} more" if len(levels) > 10 else "")
    text = (
        f"Term {term!r} of {parameter!r} has the level{'s' * (len(new) != 1)} {shown} in "
        f"{rows_in_words(table.numbered(rows))}, but its known levels are {known}."
    )
    by_text = {str(v) for v in levels}
    if all(str(v) in by_text for v in new):
        before, now = type(levels[0]).__name__, type(new[0]).__name__
        return f"{text} They are of another type, {now} instead of {before}: convert the column."
    return f"{text} Leave these rows out, or fit on data that have the level."


@dataclass(frozen=True)
class Coding:
    """Columns for levels: their labels, and the values of each level in them, (levels, columns); without a matrix,
    column k is one where the level is `shown[k]`."""

    labels: tuple[str, ...]
    shown: tuple[int, ...] = ()
    matrix: np.ndarray | None = None

    def columns(self, codes: np.ndarray) -> list[np.ndarray]:
        """The columns (n,) for rows with these codes."""
        if self.matrix is None:
            return [codes == k for k in self.shown]
        return [column[codes] for column in np.ascontiguousarray(self.matrix.T)]

    def factor(self, codes: np.ndarray, first: int, n_known: int) -> Factor:
        """The columns as one factor, for codes below `n_known`; only without a matrix."""
        place = np.full(n_known, -1, np.int32)
        place[list(self.shown)] = np.arange(len(self.shown), dtype=np.int32)
        return Factor(place[codes], first, len(self.shown))


def codings(term: str, levels: Sequence[Any], contrast: tuple[str, Any, dict[str, Any]] | None) -> dict[str, Any]:
    """What a formula stores of a factor's columns: for "full" and "reduced" rank, labels with levels or a matrix.

    contrast: name in formulaic, arguments, options; None is treatment coding against the first level.
    Raises `ModelError` for contrasts that cannot be read or do not fit the levels.
    """
    full = {"labels": [f"{term}[{v}]" for v in levels], "shown": list(range(len(levels)))}
    if contrast is None or contrast[0] in ("treatment", "SAS"):
        base = 0 if contrast is None or contrast[0] == "treatment" else len(levels) - 1
        given = [] if contrast is None else [*contrast[1], *contrast[2].values()]
        if len(given) > 1 or (contrast is not None and set(contrast[2]) - {"base", "reference"}):
            raise ModelError(f"{term}: these contrasts take one argument, the level that all others are compared with.")
        if given:
            if given[0] not in levels:
                known = ", ".join(map(repr, levels[:10]))
                raise ModelError(f"{term}: {given[0]!r} is not a level. Levels: {known}.")
            base = list(levels).index(given[0])
        kept = [k for k in range(len(levels)) if k != base]
        return {"full": full, "reduced": {"labels": [full["labels"][k] for k in kept], "shown": kept}}
    module = formulaic("transforms.contrasts")
    kind, arguments, options = contrast
    try:
        if kind == "custom":
            made = module.CustomContrasts(arguments)
        else:
            made = getattr(module.ContrastsRegistry, kind)(*arguments, **options)
        names = list(made.get_coding_column_names(levels, reduced_rank=True))
        matrix = np.asarray(made.get_coding_matrix(levels, reduced_rank=True), np.float64)
        form = made.get_factor_format(levels, reduced_rank=True)
        if matrix.shape != (len(levels), len(names)):
            raise ValueError(f"the matrix has shape {matrix.shape}, for {len(levels)} levels")
    except (TypeError, ValueError, KeyError) as error:
        raise ModelError(f"{term}: the contrasts cannot be used: {error}.") from None
    reduced = {"labels": [form.format(name=term, field=n) for n in names], "matrix": matrix.tolist()}
    if kind == "custom":  # as they stand, whatever else is in the formula
        full = reduced
    return {"full": full, "reduced": reduced}


def coding(stored: dict[str, Any]) -> Coding:
    """What `codings` stored for one rank."""
    matrix = np.asarray(stored["matrix"], np.float64) if "matrix" in stored else None
    return Coding(tuple(stored["labels"]), tuple(stored.get("shown", ())), matrix)

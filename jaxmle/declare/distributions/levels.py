"""Responses that are labels: which of them is 0, 1, 2, ..."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import DataError, rows_in_words


def encode_levels(data: Any, name: str, levels: tuple[Any, ...] | None) -> tuple[np.ndarray, tuple[Any, ...]]:
    """The column as codes (n,) from 0, and its levels: those known, or the categories, or the sorted values.

    Raises:
        DataError: for values that are not among the known levels, and values that cannot be sorted.
    """
    values = np.asarray(data.column(name, "the response"))
    if values.ndim != 1:
        raise DataError(f"Response {name!r} has shape {values.shape}; expected one label a row.")
    if levels is None:
        levels = data.categories(name)
        if levels is None:
            try:
                levels = tuple(sorted(set(values.tolist())))
            except TypeError:
                raise DataError(f"Response {name!r} mixes types; make all of them text, or numbers.") from None
        else:
            present = set(values.tolist())
            levels = tuple(level for level in levels if level in present)
    number = {level: code for code, level in enumerate(levels)}
    codes = np.array([number.get(value, -1) for value in values.tolist()], dtype=np.int64)
    if (codes < 0).any():
        rows = np.flatnonzero(codes < 0)
        strange = ", ".join(sorted({repr(v) for v in values[rows[:50]].tolist()}))
        known = ", ".join(map(repr, levels[:10]))
        raise DataError(
            f"Response {name!r} has levels that the fitted data did not have ({strange}) in "
            f"{rows_in_words(data.numbered(rows))}; known are {known}."
        )
    return codes, levels


def encode_binary(data: Any, name: str, levels: tuple[Any, ...] | None) -> tuple[np.ndarray, tuple[Any, ...] | None]:
    """A binary response as 0 and 1: numbers 0/1 and booleans as they stand, else the second of two labels is 1."""
    values = np.asarray(data.column(name, "the response"))
    if values.dtype.kind in "biuf" and (levels is None or set(levels) <= {0, 1}):
        numbers = data.numeric(name, "the response")
        if data.categories(name) is None and np.isin(numbers, (0, 1)).all():
            return numbers, None
    if levels is None and values.dtype.kind == "f" and not np.isfinite(values).all():
        return values, None
    if levels is None and values.dtype.kind == "f" and len(set(values.tolist())) > 2:
        return values, None  # refused by the support
    codes, levels = encode_levels(data, name, levels)
    if len(levels) > 2:
        shown = ", ".join(map(repr, levels[:5])) + (", ..." if len(levels) > 5 else "")
        raise DataError(
            f"Response {name!r} has {len(levels)} levels ({shown}); a binary response has two. "
            "For more use categorical or ordinal."
        )
    return codes, levels

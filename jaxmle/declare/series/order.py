"""The order of the rows of series: where each begins, and that time goes on in equal steps."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import DataError, ModelError, rows_in_words
from ..conditional import Data

AGE = " age"
"""The column that says how many rows of its series are before a row."""

EQUAL = 1e-6
"""How much steps in time may differ, of themselves."""


def column_or_none(value: Any, argument: str, owner: str) -> str | None:
    """The name of a column, or None; `ModelError` for anything else."""
    if value is None or (isinstance(value, str) and value.strip()):
        return value
    raise ModelError(f"{owner}: {argument} takes the name of a column; got {value!r}. Add the values as a column.")


def order(value: Any, least: int, owner: str, argument: str = "order") -> int:
    """A whole number of at least `least`; `ModelError` for anything else."""
    if isinstance(value, int | np.integer) and not isinstance(value, bool) and value >= least:
        return int(value)
    raise ModelError(f"{owner} needs {argument} to be a whole number of at least {least}; got {value!r}.")


def ages(data: Data, series: str | None, time: str | None) -> np.ndarray:
    """For each row how many rows of its series are before it (n,).

    Raises:
        DataError: where the rows of a series are not together, and where time does not go on in equal steps.
    """
    n = data.n_rows
    first = np.zeros(n, bool)
    first[0] = True
    if series is not None:
        labels = np.asarray(data.column(series, "the argument series"))
        if labels.ndim != 1:
            raise DataError(
                f"Column {series!r} tells series apart: expected one label a row, got shape {labels.shape}."
            )
        first[1:] = labels[1:] != labels[:-1]
        begins = np.flatnonzero(first)
        seen: set[Any] = set()
        for row, label in zip(begins, labels[begins].tolist()):
            if label in seen:
                raise DataError(
                    f"The rows of series {label!r} (column {series!r}) are not together: it begins once more in "
                    f"{rows_in_words(data.numbered(np.array([row])))}. Sort the rows by series, and in each by time."
                )
            seen.add(label)
    age = np.arange(n) - np.maximum.accumulate(np.where(first, np.arange(n), 0))
    if time is not None:
        _check_time(data, time, age)
    return age


def _check_time(data: Data, time: str, age: np.ndarray) -> None:
    values = np.asarray(data.column(time, "the argument time"))
    if values.ndim != 1 or values.dtype.kind not in "biufM":
        raise DataError(
            f"Column {time!r} is the time: expected one number or date a row; got {values.dtype} of shape {values.shape}."
        )
    months = values.dtype.kind == "M"
    at = values.astype("datetime64[ns]").astype(np.int64).astype(float) if months else values.astype(float)
    within = age[1:] > 0
    step = np.diff(at)
    back = np.flatnonzero(within & ~(step > 0))
    if len(back):
        shown = ", ".join(f"{values[i + 1]} after {values[i]}" for i in back[:3])
        raise DataError(
            f"Time {time!r} does not go forward in {rows_in_words(data.numbered(back + 1))} ({shown}). Sort the rows by time"
            "; where there are several series in the data, name the column that tells them apart: series=."
        )
    if not within.any():
        return
    if months and _whole_months(values, within):
        return
    usual = float(np.median(step[within]))
    uneven = np.flatnonzero(within & ~(np.abs(step - usual) <= EQUAL * usual))
    if len(uneven):
        shown = ", ".join(f"{values[i]} to {values[i + 1]}" for i in uneven[:3])
        steps = "" if months else f" of {usual:g}"
        raise DataError(
            f"Time {time!r} goes on in equal steps{steps}, but not in {rows_in_words(data.numbered(uneven + 1))} ({shown}). Add "
            "the rows that are missing, with a response of NaN: they are skipped exactly."
        )


def _whole_months(values: np.ndarray, within: np.ndarray) -> bool:
    """Whether dates are the same day of months, quarters or years that follow each other."""
    month = values.astype("datetime64[M]")
    day = (values - month.astype(values.dtype)).astype("timedelta64[ns]").astype(np.int64)
    step = np.diff(month.astype(np.int64))[within]
    return bool((day == day[0]).all() and (step == step[0]).all() and step[0] > 0)

"""What is wrong with a column, and what to do about it: every message about the user's data is worded here."""

from __future__ import annotations

import datetime
import decimal
import numbers
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import jax
import numpy as np

from .. import runtime
from ..errors import DataError, ModelError, did_you_mean, rows_in_words

MISSING = ("raise", "drop", "allow")
_TEMPORAL = (datetime.date, datetime.time, datetime.timedelta)
_ROLES = {"log_density": "the log-density"}


def role_in_words(role: str) -> str:
    """Who asks for a column, as it is named in a message."""
    return _ROLES.get(role, role)


def check_names(names: Iterable[Any]) -> tuple[str, ...]:
    """The column names as a tuple; `DataError` if there are none or one is not a string."""
    names = tuple(names)
    if not names:
        raise DataError("The data have no columns.")
    wrong = [name for name in names if not isinstance(name, str)]
    if wrong:
        listed = ", ".join(f"{name!r} ({type(name).__name__})" for name in wrong[:5])
        remedy = "df.columns = ['_'.join(map(str, c)) for c in df.columns]" if isinstance(wrong[0], tuple) else None
        remedy = remedy or "df.columns = df.columns.map(str), or string keys in a mapping"
        raise DataError(f"Column names must be strings, got {listed}. Rename them: {remedy}.")
    return names


def check_lengths(shapes: Mapping[str, tuple[int, ...]]) -> int:
    """The common number of rows of columns with these shapes; `DataError` if they differ or are zero."""
    counts = Counter(shape[0] for shape in shapes.values())
    (usual, votes), *others = counts.most_common()
    if not others:
        if usual == 0:
            raise DataError(f"The data have no rows: column {next(iter(shapes))!r} is empty.")
        return usual
    clear = votes > others[0][1]
    odd = {name: shape for name, shape in shapes.items() if not clear or shape[0] != usual}
    listed = ", ".join(f"{name!r} has {shape[0]} rows" for name, shape in list(odd.items())[:6])
    listed += f" and {len(odd) - 6} more columns differ" if len(odd) > 6 else ""
    text = f"Columns of unequal length: {listed}"
    if clear:
        same = [name for name in shapes if name not in odd]
        named = ", ".join(map(repr, same[:3])) + (", ..." if len(same) > 3 else "")
        text += f", but the majority ({votes} of {len(shapes)} columns: {named}) have {usual} rows"
    turned = [name for name, shape in odd.items() if set(shape[1:]) & (set(counts) - {shape[0]})]
    hint = f" Rows go on the first axis: transpose {turned[0]!r} (shape {shapes[turned[0]]})." if turned else ""
    raise DataError(f"{text}. Every column needs one entry per row.{hint}")


def column_array(name: str, value: Any) -> np.ndarray:
    """A value of the user's mapping as an array with rows on the first axis; masked entries become NaN (or None).

    Arrays are not copied. Raises `DataError` for scalars, ragged rows and things that are no arrays.
    """
    try:
        values = np.asanyarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        lengths = _lengths(value)
        if lengths and len(set(lengths)) > 1:
            raise DataError(_ragged(name, lengths)) from error
        raise DataError(f"Column {name!r} ({_kind(value)}) cannot be read as an array: {error}") from error
    if values.ndim == 0:
        raise DataError(f"Column {name!r} is {_no_column(value, values)}")
    if isinstance(values, np.ma.MaskedArray):
        values = _unmasked(values)
    values = np.asarray(values)
    if values.dtype == object and values.ndim == 1:
        nested = {type(v) for v in values.tolist()} & {list, tuple, np.ndarray}
        if nested:
            raise DataError(_ragged(name, _lengths(values)))
    return values


def _kind(value: Any) -> str:
    kind = type(value)
    root = kind.__module__.split(".")[0]
    return kind.__name__ if root == "builtins" else f"{root} {kind.__name__}"


def _no_column(value: Any, values: np.ndarray) -> str:
    """The end of the message about a value without rows."""
    if values.dtype.kind in "biufc":
        return (
            f"the single number {values[()]}, not a column: repeat it, np.full(n, {values[()]}), "
            f"or make it a fixed parameter, Real(fixed={values[()]})."
        )
    if hasattr(value, "toarray"):
        return f"a sparse matrix ({_kind(value)}): pass value.toarray()."
    if isinstance(value, Mapping):
        return f"itself a mapping ({_kind(value)}): pass its entries as columns of their own."
    remedy = "" if isinstance(value, str | bytes) or value is None else " Make it one with np.array(list(...))."
    return f"{value!r:.60} ({_kind(value)}), not an array with one entry per row.{remedy}"


def refuse_table(name: str, value: Any) -> DataError:
    """The error for a data frame used as one column."""
    return DataError(
        f"Column {name!r} holds a whole table ({_kind(value)}): pass its columns one by one (dict(df) for pandas), "
        f"or its numbers as a matrix, {{{name!r}: df.to_numpy()}}."
    )


def _lengths(value: Any) -> list[int]:
    """The length of every entry of a sequence that holds sequences; 1 for those without."""
    if not isinstance(value, list | tuple | np.ndarray):
        return []
    return [len(v) if hasattr(v, "__len__") and not isinstance(v, str) else 1 for v in value]


def _ragged(name: str, lengths: list[int]) -> str:
    other = next((i for i, n in enumerate(lengths) if n != lengths[0]), None)
    if other is None:
        return f"Column {name!r} is an object array of arrays: make it one array with np.stack(list(value))."
    return (
        f"Column {name!r} is ragged: row 0 has {lengths[0]} entries, row {other} has {lengths[other]}. Give one number "
        "per row and name the group in another column (unit='<that column>'), or pad the rows to one length."
    )


def _unmasked(values: np.ma.MaskedArray) -> np.ndarray:
    if not np.ma.is_masked(values):
        return values.data
    kind = values.dtype.kind
    blank = {"f": np.nan, "c": np.nan, "m": "NaT", "M": "NaT"}
    plain = values.data.astype(np.float64 if kind in "biu" else values.dtype if kind in blank else object)
    plain[np.ma.getmaskarray(values)] = np.nan if kind in "biu" else blank.get(kind)
    return plain


def numeric_array(values: np.ndarray, name: str, role: str, label: str, kind: str | None = None) -> np.ndarray:
    """A column that JAX can take as it is, copied only where its type must change.

    values: (n, ...) array; label: the dtype by the user's name for it; kind: "categories" or "struct" where the
    array does not tell. Floats below 32 bits become float32, above 64 bits float64; byte order becomes the machine's.
    Raises `DataError` for anything but numbers and booleans.
    """
    dtype = values.dtype
    if kind is None:
        if dtype.kind in "biu":
            return values.astype(dtype.newbyteorder("="), copy=False)
        if dtype.kind in "fV" and jax.numpy.issubdtype(dtype, np.floating):
            size = min(max(dtype.itemsize, 4), 8)
            return values.astype(np.dtype(f"f{size}"), copy=False)
        if dtype.kind == "V" and jax.numpy.issubdtype(dtype, np.integer):  # ml_dtypes; durations are integers too
            return values.astype(np.int8 if jax.numpy.issubdtype(dtype, np.signedinteger) else np.uint8)
    found, remedy = _why_not_numeric(values, name, kind)
    asks = f"{role_in_words(role)} needs numbers"
    raise DataError(f"Column {name!r} ({label}) is not numeric, but {asks}: {found}. {remedy}")


def _why_not_numeric(values: np.ndarray, name: str, kind: str | None) -> tuple[str, str]:
    """(the offending rows and their values, what to do)."""
    everything = range(len(values))
    if kind == "struct" or values.dtype.names:
        return _rows(values, everything), f"Make each field a column of its own ({name}_<field>)."
    if values.dtype.kind == "c":
        return _rows(values, everything), "Pass the real and the imaginary part as two columns (x.real, x.imag)."
    if values.dtype.kind == "M":
        remedy = "Turn dates into numbers, such as days since the first: (x - x.min()) / np.timedelta64(1, 'D')."
        return _rows(values, everything), remedy
    if values.dtype.kind == "m":
        return _rows(values, everything), "Divide durations by a unit of time: x / np.timedelta64(1, 'D')."
    present = np.flatnonzero(~_missing(values).reshape(len(values), -1).any(axis=1))
    if not len(present):
        return "every value is missing", "Leave the column out, or fill it with np.nan (dtype float) to say so."
    codes = f"Encode it as integers (np.unique(x, return_inverse=True)[1]), or write C({name}) in a formula."
    if kind == "categories":
        return _rows(values, present), codes
    if values.ndim > 1:
        return _rows(values, present), "Convert the matrix with np.asarray(x, dtype=float)."
    wrong = [int(row) for row in present if not _is_number(values[row])]
    if not wrong:
        remedy = "np.asarray(x, dtype=float), or pandas.to_numeric(df['x']).".replace("'x'", repr(name))
        return f"it has dtype {values.dtype} and holds only numbers", f"Convert it: {remedy}"
    if isinstance(values[wrong[0]], _TEMPORAL):
        return _rows(values, wrong), "Turn dates and times into numbers, such as days since the first one."
    if isinstance(values[wrong[0]], list | tuple | dict | np.ndarray):
        return _rows(values, wrong), "Give one number per row, or an (n, p) matrix (np.stack) if all have one length."
    unread = [int(row) for row in present if not reads_as_number(values[row])]
    if not unread:
        return f"{_rows(values, wrong)}, text that reads as numbers", "Convert it: np.asarray(x, dtype=float)."
    if 2 * len(unread) < len(present):
        found = f"{_rows(values, unread)}, while the other {len(present) - len(unread)} values read as numbers"
        return found, "Correct these entries or replace them with NaN, then convert: np.asarray(x, dtype=float)."
    return _rows(values, wrong), codes


def _rows(values: np.ndarray, rows: Iterable[int], limit: int = 5) -> str:
    rows = list(rows)
    shown = ", ".join(f"{_plain(values[row])!r:.40}" for row in rows[:limit])
    verb = "holds" if len(rows) == 1 else "hold"
    return f"{rows_in_words(rows, limit)} {verb} {shown}{', ...' if len(rows) > limit else ''}"


def _plain(value: Any) -> Any:
    if isinstance(value, np.datetime64 | np.timedelta64):
        return str(value)
    return value.item() if isinstance(value, np.generic) else value


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real | decimal.Decimal | np.bool_)


def reads_as_number(value: Any) -> bool:
    """Whether a value is a number, or text that reads as one."""
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def check_finite(columns: Mapping[str, np.ndarray], missing: str, where: str) -> np.ndarray | None:
    """Look for missing and infinite values.

    columns: arrays (n, ...); missing: "raise", "drop" or "allow"; where: whose data these are, for the message.
    Returns the mask (n,) of the rows to keep under "drop", None if all are kept. Raises `DataError` for missing
    values under "raise" and for infinite ones unless "allow"; `ModelError` for an unknown option.
    """
    if missing not in MISSING:
        raise ModelError(f"missing={missing!r} is not an option.{did_you_mean(str(missing), MISSING)}")
    if missing == "allow":
        return None
    absent, infinite = {}, {}
    for name, values in columns.items():
        if _sums_finite(values):
            continue
        lost = _missing(values)
        if lost.any():
            absent[name] = lost
        if values.dtype.kind == "f":
            beyond = np.isinf(values)
            if beyond.any():
                infinite[name] = beyond
    gone = [lost.reshape(len(lost), -1).any(axis=1) for lost in absent.values()]
    keep = ~np.logical_or.reduce(gone) if gone else None
    if infinite or (missing == "raise" and absent):
        raise DataError(_unusable(absent if missing == "raise" else {}, infinite, keep, where))
    if keep is not None and not keep.any():
        empty = [name for name, lost in zip(absent, gone) if lost.all()]
        why = f"column {empty[0]!r} has no values at all" if empty else f"look at {', '.join(map(repr, absent))}"
        raise DataError(f"In {where}, every row has a missing value ({why}): missing='drop' leaves nothing to fit.")
    return keep


def _sums_finite(values: np.ndarray) -> bool:
    """True if a column is seen at once to hold nothing missing or infinite: NaN and infinities survive in a sum."""
    if values.dtype.kind in "biu":
        return True
    if values.dtype.kind != "f":
        return False

    def finite(some: slice) -> bool:
        with np.errstate(all="ignore"):  # of this thread
            return bool(np.isfinite(values[some].sum()))

    return all(runtime.in_lanes(finite, runtime.spans(len(values), values.nbytes)))


def _missing(values: np.ndarray) -> np.ndarray:
    """Where an array of any type holds NaN, NaT, None or pandas.NA."""
    if values.dtype.kind in "fc":
        return np.isnan(values)
    if values.dtype.kind in "mM":
        return np.isnat(values)
    if values.dtype.kind not in "OT":
        return np.zeros(values.shape, bool)
    try:
        none: Any = None
        return np.equal(values, none).astype(bool) | np.not_equal(values, values).astype(bool)
    except (TypeError, ValueError):  # pandas.NA has no truth value, arrays inside have many
        lost = [_is_missing(v) for v in values.flat]
        return np.array(lost, bool).reshape(values.shape)


def _is_missing(value: Any) -> bool:
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return _is_number(value) and bool(value != value)


def _unusable(
    absent: Mapping[str, np.ndarray], infinite: Mapping[str, np.ndarray], keep: np.ndarray | None, where: str
) -> str:
    found = [_count(name, at, "missing") for name, at in absent.items()]
    found += [_count(name, at, "infinite") for name, at in infinite.items()]
    more = f"; {len(found) - 10} more columns" if len(found) > 10 else ""
    text = f"In {where}: {'; '.join(found[:10])}{more}."
    if absent and keep is not None:
        left_out = f"leaves out {len(keep) - int(keep.sum())} of {len(keep)} rows"
        text += f" For missing values use missing='drop' ({left_out}), or impute them first."
    if infinite:
        text += " Infinite values often come from log(0) or a division by zero: correct these rows or take them out"
        text += " (missing='drop' does not)." if not absent else "."
    return text


def _count(name: str, at: np.ndarray, what: str) -> str:
    rows = np.flatnonzero(at.reshape(len(at), -1).any(axis=1))
    number = int(at.sum())
    inside = f", matrix columns {np.flatnonzero(at.any(axis=0))[:5].tolist()}" if at.ndim == 2 else ""
    return f"column {name!r} has {number} {what} value{'s' * (number != 1)} ({rows_in_words(rows)}{inside})"

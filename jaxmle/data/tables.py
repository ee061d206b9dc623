"""The user's data as named columns: mappings of arrays, structured arrays and data frames of any make, read once."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from ..errors import DataError, did_you_mean, rows_in_words
from ..process import uncollected
from .validate import (
    check_finite,
    check_lengths,
    check_names,
    column_array,
    numeric_array,
    refuse_table,
    role_in_words,
)

__all__ = ["Table", "check_finite", "read_weights"]

_ACCEPTED = (
    "a mapping of column names to arrays ({'y': y, 'x': x}), a NumPy structured array, "
    "or a pandas, polars or pyarrow table (anything narwhals understands)"
)


class MissingExtraError(DataError, ImportError):
    """The data need a package that is not installed: names the extra to install."""


@dataclass(frozen=True, eq=False, repr=False)
class Table:
    """Columns of equal length, by name; rows are the first axis of every column.

    Columns are read-only views of the caller's arrays where these are NumPy's; columns of a data frame are converted
    when they are first asked for.
    """

    n_rows: int
    names: tuple[str, ...]
    _source: Any = field(default_factory=dict)  # name -> array or narwhals Series, in the rows of the root table
    _frame_type: Any = None  # narwhals' name of the user's frame library, None for arrays
    _parent: Table | None = None
    _rows: np.ndarray | None = None  # the rows taken from the parent
    _arrays: dict[str, np.ndarray] = field(default_factory=dict)  # what has been converted so far
    _own: frozenset[str] = frozenset()  # columns that are arrays of ours, whatever the source says

    @staticmethod
    def read(data: Any) -> Table:
        """Read and validate the user's data; no array is copied that need not be.

        data: mapping of names to arrays (n, ...), structured array (n,), data frame (lazy ones are collected), Table.
        Raises `DataError` naming the culprit for empty data, unequal lengths, bad names, and what is no column.
        """
        if isinstance(data, Table):
            return data
        if isinstance(data, Mapping):
            return _read_mapping(data)
        if isinstance(data, np.ndarray) and data.dtype.names:
            if data.ndim != 1:
                raise DataError(f"A structured array must have one axis, the rows; got shape {data.shape}.")
            return _read_mapping({name: data[name] for name in data.dtype.names})
        return _read_frame(data)

    def column(self, name: str, role: str = "log_density") -> np.ndarray:
        """The column (n, ...) as it is, nulls as NaN, NaT or None.

        role: who asks, for the message. Raises `DataError` for an unknown name.
        """
        if name not in self.names:
            asks = f"{role_in_words(role)} asks for column {name!r}, which the data do not have."
            raise DataError(asks[0].upper() + asks[1:] + did_you_mean(name, self.names))
        if name not in self._arrays:
            if self._parent is not None:
                values = self._parent.column(name)
                values = values if self._rows is None else values[self._rows]
            else:
                source = self._source[name]
                values = source if isinstance(source, np.ndarray) else _from_series(source)
            # numbers that are far apart, as in a column of a matrix, are read many times: once is enough
            values = (np.ascontiguousarray(values) if values.ndim == 1 else values).view()
            values.flags.writeable = False
            self._arrays[name] = values
        return self._arrays[name]

    def numeric(self, name: str, role: str = "log_density") -> np.ndarray:
        """The column (n, ...) as numbers that JAX can take: floats in their own precision, integers, booleans.

        Nulls become NaN in floats. Raises `DataError` naming column, type, rows and remedy for anything else.
        """
        values = self.column(name, role)
        source = values if name in self._own else self._source[name]
        label, kind = (str(values.dtype), None) if isinstance(source, np.ndarray) else _describe(source)
        return numeric_array(values, name, role, label, kind)

    def frame_like(self, columns: Mapping[str, Sequence[Any] | np.ndarray]) -> Any:
        """A table of these columns in the frame type of the user's data, a dict of arrays if these were arrays.

        columns: name -> (m,) values, m of any length; in frames an array (m, k) becomes the columns `name[0]`, ...
        """
        if self._frame_type is None:
            return {name: np.asarray(values) for name, values in columns.items()}
        flat: dict[str, Any] = {}
        for name, values in columns.items():
            values = np.asarray(values) if not isinstance(values, list | tuple) else np.asarray(values, _dtype(values))
            for index in np.ndindex(values.shape[1:]):
                label = f"{name}[{','.join(map(str, index))}]" if index else name
                flat[label] = values[(slice(None), *index)]
        return optional("narwhals").from_dict(flat, backend=self._frame_type).to_native()

    def take(self, rows: np.ndarray) -> Table:
        """The table of these rows, in this order: indices (m,) from zero, or a mask (n,); sliced when asked for.

        Raises `DataError` if no row is left or one does not exist.
        """
        rows = np.array(rows)  # a copy: the caller may change theirs before a column is asked for
        if rows.ndim != 1 or rows.dtype.kind not in "biu":
            raise DataError(f"Rows to take are integers or a mask on one axis, got {rows.dtype} of shape {rows.shape}.")
        if rows.dtype == bool:
            if rows.shape != (self.n_rows,):
                raise DataError(f"A mask over {self.n_rows} rows must have shape ({self.n_rows},), got {rows.shape}.")
            rows = np.flatnonzero(rows)
        if rows.size == 0:
            raise DataError("No rows are left.")
        if rows.min() < 0 or rows.max() >= self.n_rows:
            raise DataError(f"Rows must lie between 0 and {self.n_rows - 1}, got {rows.min()} to {rows.max()}.")
        return Table(len(rows), self.names, self._source, self._frame_type, self, rows, {}, self._own)

    def with_columns(self, columns: Mapping[str, np.ndarray]) -> Table:
        """The table with these arrays (n, ...) added, or in place of the columns of the same name."""
        names = tuple(dict.fromkeys((*self.names, *columns)))
        own = self._own | frozenset(columns)
        return Table(self.n_rows, names, self._source, self._frame_type, self, None, dict(columns), own)

    def categories(self, name: str) -> tuple[Any, ...] | None:
        """The levels of a categorical column in their order, None for a column of another type."""
        source = None if name in self._own or name not in self.names else self._source[name]
        if source is None or isinstance(source, np.ndarray):
            return None
        nw = optional("narwhals")
        if not isinstance(source.dtype, nw.Categorical | nw.Enum):
            return None
        # the main one may drop categories of an order of its own
        stable = optional("narwhals.stable.v2")
        return tuple(stable.from_native(source.to_native(), series_only=True).cat.get_categories().to_list())

    def numbered(self, rows: np.ndarray) -> np.ndarray:
        """Which rows of the user's data these rows are: what a message names."""
        rows = np.asarray(rows)
        if self._parent is None:
            return rows
        return self._parent.numbered(rows if self._rows is None else np.arange(self._parent.n_rows)[self._rows][rows])

    def __len__(self) -> int:
        return self.n_rows

    def __repr__(self) -> str:
        shown = ", ".join(self.names[:8]) + (", ..." if len(self.names) > 8 else "")
        return f"Table({self.n_rows:,} rows, {len(self.names)} columns: {shown})"


def index_type(n: int) -> type:
    """The integers that number n rows, and a few more: no longer than they must be."""
    return np.int32 if n < 1 << 30 else np.int64


def at_rows(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The values at different rows in order: all of them as they are."""
    return values if len(rows) == len(values) else values[rows]


def read_weights(weights: Any, table: Table, name: str) -> np.ndarray:
    """Weights (n,) in float64, from a column name or an array.

    name: the argument's name, for messages. Raises `DataError` for a wrong length, negative, missing or infinite
    weights, and for weights that are all zero.
    """
    role = f"the argument {name}"
    if isinstance(weights, str):
        values = table.numeric(weights, role)
        called = f"{name} (column {weights!r})"
    else:
        alone = Table(table.n_rows, (name,), {name: _read_value(name, weights)})
        values = alone.numeric(name, role)
        called = name
    if values.shape != (table.n_rows,):
        shape = f"has {len(values)} values" if values.ndim == 1 else f"has shape {values.shape}"
        raise DataError(f"{called} {shape}, but the data have {table.n_rows} rows: one number per row is needed.")
    values = values.astype(np.float64, copy=False)
    for wrong, what, remedy in (
        (~np.isfinite(values), "missing or infinite", "Give these rows a weight, or zero to leave them out."),
        (values < 0, "negative", "Weights count observations: they must be zero or more."),
    ):
        if wrong.any():
            rows = np.flatnonzero(wrong)
            first = ", ".join(f"{v:g}" for v in values[rows[:5]])
            number = f"{len(rows)} {what} value{'s' * (len(rows) != 1)}"
            raise DataError(f"{called} has {number} in {rows_in_words(rows)} ({first}). {remedy}")
    if not values.any():
        raise DataError(f"{called}: all weights are zero, so no observation is left to fit.")
    return values


def _read_mapping(data: Mapping[Any, Any]) -> Table:
    names = check_names(data)
    source = {name: _read_value(name, data[name]) for name in names}
    return Table(check_lengths({name: tuple(v.shape) for name, v in source.items()}), names, source)


def _read_value(name: str, value: Any) -> Any:
    """An array, or a narwhals Series where the value is a column of a data frame."""
    if isinstance(value, np.ndarray | list | tuple | jax.Array) or not _is_framed(value):
        return column_array(name, value)
    nw = optional("narwhals")
    try:
        wrapped = nw.from_native(value, allow_series=True)
    except TypeError:
        if not hasattr(value, "__arrow_c_array__"):
            return column_array(name, value)
        pyarrow = optional("pyarrow")
        wrapped = nw.from_native(pyarrow.chunked_array([pyarrow.array(value)]), series_only=True)
    if not isinstance(wrapped, nw.Series):
        raise refuse_table(name, value)
    return wrapped


def _is_framed(value: Any) -> bool:
    """Whether a value speaks Arrow's or pandas' protocol: the columns whose nulls NumPy alone would lose."""
    return any(hasattr(value, marker) for marker in ("__arrow_c_stream__", "__arrow_c_array__", "iloc"))


def optional(module: str, needed: str = "", extra: str = "frames") -> Any:
    """A module of an optional package; raises an error that says what needs it and which extra to install.

    needed: who needs the package, for the message.
    """
    try:
        with uncollected:
            return importlib.import_module(module)
    except ImportError as error:
        package = module.split(".")[0]
        who = needed or f"Data of this type need {package}"
        raise MissingExtraError(f"{who}: pip install 'jaxmle[{extra}]'.") from error


def _read_frame(data: Any) -> Table:
    if isinstance(data, np.ndarray | jax.Array):
        raise DataError(f"An array of shape {data.shape} has no column names: pass a mapping, such as {{'x': x}}.")
    if isinstance(data, str | os.PathLike):
        raise DataError(f"The data are a name ({os.fspath(data)!r}); read the file first, as with polars.read_parquet.")
    if data is None or isinstance(data, list | tuple | int | float):
        kind = type(data).__name__
        raise DataError(f"The data are a {kind}; expected {_ACCEPTED}. Rows as dicts: pandas.DataFrame(rows).")
    nw = optional("narwhals")
    try:
        frame = _frame(nw, data)
    except TypeError as error:
        kind = f"{type(data).__module__}.{type(data).__name__}"
        raise DataError(f"The data are a {kind}; expected {_ACCEPTED}.") from error
    except (nw.exceptions.NarwhalsError, ValueError) as error:
        if "unique column names" not in str(error):
            raise
        found = " ".join(str(error).split("\n", 1)[-1].split()).removeprefix("- ")
        raise DataError(f"Duplicated column names: {found}. Rename or remove the copies.") from error
    if isinstance(frame, nw.Series):
        raise DataError("The data are a single Series: give the column a name, such as {'y': series}.")
    if isinstance(frame, nw.LazyFrame):
        frame = frame.collect()
    names = check_names(frame.columns)
    n_rows = check_lengths({name: (len(frame),) for name in names})
    return Table(n_rows, names, frame, frame.implementation)


def _frame(nw: Any, data: Any) -> Any:
    try:
        return nw.from_native(data, allow_series=True)
    except TypeError:
        if not _is_framed(data):
            raise
        pyarrow = optional("pyarrow")
        return nw.from_native(pyarrow.table(data))


def _from_series(series: Any) -> np.ndarray:
    """A column of a data frame as an array, nulls as NaN in numbers, NaT in dates and None elsewhere."""
    nw, dtype = optional("narwhals"), series.dtype
    if isinstance(dtype, nw.Decimal | nw.Int128 | nw.UInt128):
        return series.cast(nw.Float64).to_numpy()
    if dtype.is_numeric():
        return series.to_numpy()
    nulls = series.null_count()
    if dtype == nw.Boolean:
        return (series.cast(nw.Float64) if nulls else series).to_numpy()
    if nulls and isinstance(dtype, nw.Categorical | nw.Enum):
        # as an array, pyarrow gives the last category in place of a null, and pandas turns 10 into 10.0
        values = np.empty(len(series), object)
        values[:] = series.to_list()
    else:
        values = series.to_numpy()
    if isinstance(dtype, nw.Array) and values.dtype == object and not nulls:
        return np.stack(list(values))
    if nulls and values.ndim == 1 and values.dtype.kind not in "fmM":
        values = values.astype(object)
        values[series.is_null().to_numpy().astype(bool)] = None
    return values


def _describe(series: Any) -> tuple[str, str | None]:
    """(the type by the user's name for it, "categories" or "struct" where the array would not tell)."""
    nw, native = optional("narwhals"), series.to_native()
    label = str(native.dtype if hasattr(native, "dtype") else native.type)
    if isinstance(series.dtype, nw.Categorical | nw.Enum):
        return label, "categories"
    return label, "struct" if isinstance(series.dtype, nw.Struct) else None


def _dtype(values: Sequence[Any]) -> Any:
    """Object where a list mixes text or None with numbers, which NumPy would turn into text."""
    return object if any(v is None or isinstance(v, str) for v in values) else None

"""A column that cannot be used is refused with its name, its rows and what to do; missing values are found."""

import datetime
import re
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from jaxmle.data.tables import Table, check_finite
from jaxmle.errors import DataError, ModelError

DAYS = [datetime.date(2024, 1, day) for day in range(1, 7)]


def refused(*parts, error=DataError):
    """The error's text holds all parts, in this order."""
    return pytest.raises(error, match="(?s)" + ".*".join(re.escape(part) for part in parts))


# ---- columns that are not numeric


@pytest.mark.parametrize(
    ("values", "parts"),
    [
        (["a", "b", "c"], ["'x' (<U1)", "rows 0, 1, 2 hold 'a', 'b', 'c'", "np.unique", "C(x)"]),
        (np.array(["a", "b"], object), ["'x' (object)", "rows 0, 1 hold 'a', 'b'", "C(x)"]),
        (["1", "2.5"], ["reads as numbers", "np.asarray(x, dtype=float)"]),
        (["1", "2", "n/a", "4"], ["row 2 holds 'n/a'", "other 3 values", "NaN"]),
        (
            np.array([1, 2.5, None], object),
            ["(object)", "only numbers", "np.asarray(x, dtype=float)", "to_numeric(df['x'])"],
        ),
        (np.array([1, "b", 2.5], object), ["row 1 holds 'b'", "other 2 values"]),
        (np.array([None, None], object), ["every value is missing", "np.nan"]),
        (np.array([[1, 2], [3, 4]], object), ["(object)", "np.asarray(x, dtype=float)"]),
        (np.array(["2024-01-01", "NaT"], "M8[D]"), ["datetime64[D]", "'2024-01-01'", "timedelta64(1, 'D')"]),
        (np.array([1, 2], "m8[s]"), ["timedelta64[s]", "unit of time"]),
        (np.array(DAYS, object), ["datetime.date(2024, 1, 1)", "days since"]),
        (np.array([1 + 2j]), ["complex128", "row 0 holds", "x.real, x.imag"]),
        (np.array([(1, 2.0)], [("a", int), ("b", float)]), ["'x'", "x_<field>"]),
        (pd.Series(["u", "v"], dtype="category"), ["(category)", "'u', 'v'", "C(x)"]),
        (pd.Series([1, 2], dtype="category"), ["(category)", "hold 1, 2", "C(x)"]),
        (pd.Series(["u", None]), ["row 0 holds 'u'", "C(x)"]),
        (pd.Series([1, pd.NA], dtype=object), ["only numbers", "to_numeric"]),
        (pd.Series(pd.to_datetime(["2024-01-01"], utc=True)), ["UTC", "2024-01-01", "timedelta64(1, 'D')"]),
        (pd.Series(pd.period_range("2024", periods=2, freq="D")), ["period[D]", "Period('2024-01-01', 'D')"]),
        (pl.Series(["u"], dtype=pl.Enum(["u"])), ["Enum", "'u'", "C(x)"]),
        (pl.Series([[1], [1, 2]]), ["List(Int64)", "one number per row"]),
        (pl.Series([{"a": 1}]), ["Struct", "x_<field>"]),
        (pl.Series([datetime.time(1)]), ["Time", "datetime.time(1, 0)"]),
        (pa.chunked_array([pa.array(["u", None]).dictionary_encode()]), ["dictionary", "row 0 holds 'u'", "C(x)"]),
    ],
)
def test_not_numeric(values, parts):
    table = Table.read({"x": values})
    assert len(table.column("x")) == len(values)
    with refused("Column 'x' (", "is not numeric, but the formula needs numbers") as caught:
        table.numeric("x", "the formula")
    text = str(caught.value)
    for part in parts:
        assert part in text, text


def test_remedies_work():
    """What the messages tell the user to do leads to a column that is accepted."""
    for values in (["1", "2.5"], np.array([1, 2.5, None], object)):
        assert Table.read({"x": np.asarray(values, dtype=float)}).numeric("x")[0] == 1
    assert Table.read({"x": pd.to_numeric(pd.Series([1, pd.NA], dtype=object))}).numeric("x")[0] == 1
    dates = np.array(DAYS, "M8[D]")
    assert Table.read({"x": (dates - dates.min()) / np.timedelta64(1, "D")}).numeric("x").tolist() == [0, 1, 2, 3, 4, 5]


def test_long_bad_columns_are_listed_briefly():
    table = Table.read({"x": [f"level {i}" for i in range(1000)]})
    with refused("rows 0, 1, 2, 3, 4 and 995 more") as caught:
        table.numeric("x")
    assert len(str(caught.value)) < 500


# ---- missing and infinite values


def test_finite_data_pass():
    columns = {
        "x": np.ones(3),
        "i": np.arange(3),
        "b": np.ones(3, bool),
        "huge": np.full(3, 1e308),
        "huge32": np.full(3, 3e38, np.float32),
        "s": np.array(["a", "b", "c"]),
        "d": np.array(DAYS[:3], "M8[D]"),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for missing in ("raise", "drop", "allow"):
            assert check_finite(columns, missing, "the data") is None
    assert check_finite({}, "raise", "the data") is None


def test_missing_values_are_named():
    x = np.ones(100)
    x[[3, 50]] = np.nan
    m = np.ones((100, 3), np.float32)
    m[7, 1] = np.nan
    m[8, 2] = -np.inf
    s = np.array(["a", None] * 50, object)
    with refused("In the new data", "'x' has 2 missing values (rows 3, 50)", "'m' has 1 missing value", "impute"):
        check_finite({"x": x, "ok": np.ones(100), "m": m}, "raise", "the new data")
    with refused("'m' has 1 infinite value (row 8, matrix columns [2])", "log(0)"):
        check_finite({"m": m}, "raise", "the data")
    with refused("'s' has 50 missing values (rows 1, 3, 5, 7, 9 and 45 more)", "leaves out 50 of 100 rows"):
        check_finite({"s": s}, "raise", "the data")
    with refused("'d' has 1 missing value (row 1)"):
        check_finite({"d": np.array(["2024-01-01", "NaT"], "M8[D]")}, "raise", "the data")
    with refused("'n' has 1 missing value (row 1)"):
        check_finite({"n": np.array(["a", pd.NA], object)}, "raise", "the data")


def test_infinities_of_both_signs():
    with refused("'x' has 2 infinite values (rows 0, 2)"):
        check_finite({"x": np.array([np.inf, 0, -np.inf])}, "raise", "the data")


def test_drop():
    x, y = np.ones(4), np.ones((4, 2))
    x[1], y[3, 0] = np.nan, np.nan
    keep = check_finite({"x": x, "y": y, "i": np.arange(4)}, "drop", "the data")
    assert keep.dtype == bool
    assert keep.tolist() == [True, False, True, False]
    x[0] = np.inf
    with refused("'x' has 1 infinite value (row 0)", "missing='drop' does not"):
        check_finite({"x": x}, "drop", "the data")
    with refused("every row has a missing value", "'x' has no values at all"):
        check_finite({"x": np.full(4, np.nan), "y": y}, "drop", "the data")


def test_allow_and_unknown_option():
    assert check_finite({"x": np.array([np.nan, np.inf])}, "allow", "the data") is None
    with refused("missing='dropp'", "Did you mean 'drop'?", "'raise', 'drop', 'allow'", error=ModelError):
        check_finite({"x": np.ones(1)}, "dropp", "the data")


def test_no_row_of_good_data_is_visited_in_python(monkeypatch):
    """NumPy is asked for a sum only: the search for culprits starts when that is not finite."""
    monkeypatch.setattr(np, "isnan", None)
    monkeypatch.setattr(np, "isinf", None)
    x = np.ones(3_000_000, np.float32)
    table = Table.read({"x": x, "y": np.broadcast_to(np.arange(3.0), (3_000_000, 3))})
    columns = {name: table.numeric(name) for name in table.names}
    assert check_finite(columns, "drop", "the data") is None
    assert np.shares_memory(columns["x"], x)

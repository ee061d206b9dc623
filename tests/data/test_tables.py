"""The user's data come in unchanged, or are refused with an error that names the culprit and the remedy."""

import datetime
import decimal
import re
import sys

import jax.numpy as jnp
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from jaxmle.data.tables import Table, check_finite, read_weights
from jaxmle.errors import DataError

N = 6
DAYS = [datetime.date(2024, 1, day) for day in range(1, N + 1)]
FRAMES = {
    "pandas": pd.DataFrame,
    "pandas-arrow": lambda columns: pa.table(columns).to_pandas(types_mapper=pd.ArrowDtype),
    "polars": pl.DataFrame,
    "polars-lazy": pl.LazyFrame,
    "pyarrow": pa.table,
    "pyarrow-chunked": lambda columns: pa.concat_tables([pa.table(columns).slice(0, 2), pa.table(columns).slice(2)]),
    "pyarrow-batch": pa.record_batch,
}


def frames(test):
    return pytest.mark.parametrize("make", FRAMES.values(), ids=FRAMES)(test)


def refused(*parts, error=DataError):
    """The error's text holds all parts, in this order."""
    return pytest.raises(error, match="(?s)" + ".*".join(re.escape(part) for part in parts))


# ---- mappings


def test_mapping_keeps_the_callers_arrays():
    base = np.arange(2.0 * N).reshape(N, 2)
    columns = {
        "f64": base[:, 0],
        "f32": np.arange(N, dtype=np.float32),
        "i8": np.arange(N, dtype=np.int8),
        "bool": np.arange(N) > 2,
        "u64": np.arange(N, dtype=np.uint64),
        "fortran": np.asfortranarray(np.ones((N, 3))),
        "strided": np.arange(3.0 * N)[::3],
        "backwards": np.arange(float(N))[::-1],
        "cube": np.zeros((N, 2, 2)),
    }
    columns["f32"].flags.writeable = False
    before = {name: values.copy() for name, values in columns.items()}
    table = Table.read(columns)
    assert table.n_rows == len(table) == N
    assert table.names == tuple(columns)
    for name, values in columns.items():
        got = table.numeric(name)
        assert (got.dtype, got.shape) == (values.dtype, values.shape), name
        together = values.ndim > 1 or values.flags.c_contiguous  # numbers far apart are copied side by side, once
        assert np.shares_memory(got, values) == together, name
        assert np.shares_memory(got, table.column(name)), name
        np.testing.assert_array_equal(got, before[name])
        with pytest.raises(ValueError, match="read-only"):
            got[...] = 0
    assert columns["f64"].flags.writeable
    assert not columns["f32"].flags.writeable


def test_lists_ranges_and_jax_arrays():
    table = Table.read({"a": [1.5, 2, 3], "b": (True, False, True), "c": range(3), "j": jnp.ones((3, 2), jnp.float32)})
    assert [table.numeric(name).dtype.name for name in "abcj"] == ["float64", "bool", "int64", "float32"]
    assert table.numeric("j").shape == (3, 2)
    assert isinstance(table.numeric("j"), np.ndarray)


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (np.array([1, 2], np.float16), "float32"),
        (np.array([1, 2], np.longdouble), "float64"),
        (np.array([1, 2], ">f8"), "float64"),
        (np.array([1, 2], ">i4"), "int32"),
        (jnp.array([1, 2], jnp.bfloat16), "float32"),
        (jnp.array([1, 2], jnp.int4), "int8"),
    ],
)
def test_numbers_jax_cannot_take_are_widened(values, dtype):
    got = Table.read({"x": values}).numeric("x")
    assert got.dtype == np.dtype(dtype)
    assert got.dtype.isnative
    assert got.tolist() == [1, 2]


def test_masked_arrays_are_missing():
    mask = [False, True, False]
    table = Table.read(
        {
            "f": np.ma.masked_array(np.array([1, 2, 3], np.float32), mask),
            "i": np.ma.masked_array([1, 2, 3], mask),
            "s": np.ma.masked_array(["a", "b", "c"], mask),
            "d": np.ma.masked_array(np.array(DAYS[:3], "M8[D]"), mask),
            "whole": np.ma.masked_array([1, 2, 3]),
        }
    )
    np.testing.assert_array_equal(table.numeric("f"), np.array([1, np.nan, 3], np.float32), strict=True)
    np.testing.assert_array_equal(table.numeric("i"), [1, np.nan, 3])
    assert table.numeric("whole").dtype == np.int64
    assert table.column("s").tolist() == ["a", None, "c"]
    assert np.isnat(table.column("d")).tolist() == mask


def test_structured_arrays():
    data = np.array([(1, 2.5, [1, 2]), (3, 4.5, [3, 4])], [("i", "i4"), ("x", "f8"), ("m", "f8", (2,))])
    table = Table.read(data)
    assert table.names == ("i", "x", "m")
    assert table.numeric("x").tolist() == [2.5, 4.5]
    assert table.numeric("m").tolist() == [[1, 2], [3, 4]]
    assert table.numeric("i").dtype == np.int32
    assert Table.read(np.rec.array(data)).numeric("x").tolist() == [2.5, 4.5]
    with refused("structured array", "(1, 2)"):
        Table.read(data[None, :])


def test_a_table_reads_as_itself():
    table = Table.read({"x": [1.0]})
    assert Table.read(table) is table
    assert "1 rows" in repr(table)
    assert "x" in repr(table)


# ---- data frames


@frames
def test_frames(make):
    columns = {
        "x": np.linspace(0, 1, N),
        "f32": np.arange(N, dtype=np.float32),
        "i": np.arange(N, dtype=np.int8),
        "b": np.arange(N) % 2 == 0,
        "s": list("aabbcc"),
    }
    table = Table.read(make(columns))
    assert table.n_rows == N
    assert table.names == tuple(columns)
    for name in ("x", "f32", "i", "b"):
        np.testing.assert_array_equal(table.numeric(name), columns[name], strict=True)
    assert table.column("s").tolist() == columns["s"]
    with refused("the log-density needs", "numbers", "'a'"):
        table.numeric("s")


@frames
def test_nulls_become_nan(make):
    arrow = {
        "i": pa.array([1, None, 3], pa.int32()),
        "f": pa.array([1.5, None, float("nan")], pa.float32()),
        "b": pa.array([True, None, False]),
        "s": pa.array(["u", None, "v"]),
        "d": pa.array([DAYS[0], None, DAYS[1]]),
        "money": pa.array([decimal.Decimal("1.25"), None, decimal.Decimal("3")]),
    }
    if make in (pd.DataFrame, pl.DataFrame, pl.LazyFrame):
        frame = pa.table(arrow).to_pandas() if make is pd.DataFrame else pl.from_arrow(pa.table(arrow))
        frame = frame.astype({"i": "Int32", "b": "boolean", "money": float}) if make is pd.DataFrame else frame
    else:
        frame = make(arrow)
    table = Table.read(frame)
    np.testing.assert_array_equal(table.numeric("i"), [1.0, np.nan, 3.0])
    np.testing.assert_array_equal(table.numeric("f"), np.array([1.5, np.nan, np.nan], np.float32), strict=True)
    np.testing.assert_array_equal(table.numeric("b"), [1.0, np.nan, 0.0])
    np.testing.assert_array_equal(table.numeric("money"), [1.25, np.nan, 3.0])
    assert table.column("s").tolist() == ["u", None, "v"]
    with refused("'f' has 2 missing values (rows 1, 2)", "missing='drop'"):
        check_finite({"f": table.numeric("f")}, "raise", "the data")


def test_nullable_without_nulls_keeps_its_type():
    frame = pd.DataFrame({"i": pd.array([1, 2], "Int64"), "b": pd.array([True, False], "boolean")})
    table = Table.read(frame)
    assert table.numeric("i").dtype == np.int64
    assert table.numeric("b").dtype == bool


def test_pandas_numbers_are_not_copied():
    frame = pd.DataFrame({"x": np.arange(5.0), "y": np.arange(5.0)})
    assert np.shares_memory(Table.read(frame).numeric("x"), frame["x"].to_numpy())


@pytest.mark.parametrize("levels", [["a", "b", None, "a"], [10, 20, None, 10]])
def test_missing_category_is_not_the_last_one(levels):
    """pyarrow's `ChunkedArray.to_numpy` reads a null of a dictionary column as its last category."""
    chunks = pa.chunked_array([pa.array(levels).dictionary_encode(), pa.array(levels[:3]).dictionary_encode()])
    expected = levels + levels[:3]
    assert Table.read(pa.table({"g": chunks})).column("g").tolist() == expected
    assert Table.read({"g": chunks}).column("g").tolist() == expected
    assert Table.read(pd.DataFrame({"g": pd.Categorical(levels)})).column("g").tolist() == levels


def test_matrix_columns_in_frames():
    frame = pl.DataFrame({"m": [[1.0, 2.0], [3.0, 4.0]]}, schema={"m": pl.Array(pl.Float64, 2)})
    for data in (frame, frame.to_arrow()):
        assert Table.read(data).numeric("m").tolist() == [[1, 2], [3, 4]]


def test_series_inside_a_mapping():
    data = {
        "pd": pd.Series([1, None, 3], dtype="Int64"),
        "pl": pl.Series([1, None, 3]),
        "pa": pa.chunked_array([[1], [None, 3]]),
        "array": pa.array([1, None, 3]),
        "np": np.array([1, np.nan, 3]),
    }
    table = Table.read(data)
    for name in data:
        np.testing.assert_array_equal(table.numeric(name), [1, np.nan, 3])


@pytest.mark.skipif(not hasattr(pl, "Int128"), reason="polars before 1.18")
def test_wide_integers_of_polars():
    assert Table.read(pl.DataFrame({"i": pl.Series([1, 2], dtype=pl.Int128)})).numeric("i").tolist() == [1, 2]


# ---- what is refused when reading


@pytest.mark.parametrize(
    ("data", "parts"),
    [
        ({}, ["no columns"]),
        ({"x": []}, ["no rows", "'x'"]),
        (pd.DataFrame(), ["no columns"]),
        (pl.DataFrame({"x": []}), ["no rows"]),
        ({"x": np.ones(3), "y": np.ones(4)}, ["unequal length", "'x' has 3 rows", "'y' has 4 rows"]),
        (
            {"x": np.ones(4), "y": np.ones(3), "z": np.ones(4)},
            ["'y' has 3 rows", "majority (2 of 3 columns: 'x', 'z')", "4 rows"],
        ),
        ({"X": np.ones((2, 5)), "y": np.ones(5)}, ["'X' has 2 rows", "transpose 'X'"]),
        ({"x": np.ones(2), 3: np.ones(2)}, ["must be strings", "3 (int)", "Rename"]),
        (pd.DataFrame(np.ones((2, 2))), ["must be strings", "0 (int)", "map(str)"]),
        (
            pd.DataFrame(np.ones((1, 1)), columns=pd.MultiIndex.from_tuples([("a", "b")])),
            ["must be strings", "('a', 'b')", "'_'.join"],
        ),
        (pd.DataFrame(np.ones((2, 2)), columns=["a", "a"]), ["Duplicated column names: 'a'", "Rename"]),
        (pa.table([[1], [2]], names=["a", "a"]), ["Duplicated column names: 'a'", "Rename"]),
        ({"x": np.ones(3), "k": 2.5}, ["'k'", "single number 2.5", "np.full(n, 2.5)", "Real(fixed=2.5)"]),
        ({"x": np.ones(3), "k": np.array(2)}, ["'k'", "single number 2", "Real(fixed=2)"]),
        ({"x": np.ones(3), "k": jnp.array(2)}, ["'k'", "single number 2"]),
        ({"x": "abc"}, ["'x'", "'abc'", "one entry per row"]),
        ({"x": None}, ["'x'", "None"]),
        ({"x": {1.0, 2.0}}, ["'x'", "set", "np.array(list"]),
        ({"x": (i for i in range(3))}, ["'x'", "generator", "np.array(list"]),
        ({"x": {"a": [1]}}, ["'x'", "a mapping"]),
        ({"x": pd.DataFrame({"a": [1]})}, ["'x'", "whole table", "to_numpy()"]),
        ({"x": pl.DataFrame({"a": [1]})}, ["'x'", "whole table"]),
        ({"x": pa.table({"a": [1]})}, ["'x'", "whole table"]),
        ({"x": [[1, 2], [3]]}, ["'x' is ragged", "row 0 has 2", "row 1 has 1", "unit="]),
        ({"x": np.array([[1, 2], [3]], dtype=object)}, ["'x' is ragged", "row 1 has 1"]),
        (np.ones((3, 2)), ["shape (3, 2)", "{'x': x}"]),
        (jnp.ones(3), ["shape (3,)", "{'x': x}"]),
        (None, ["NoneType", "mapping"]),
        ([{"x": 1}], ["list", "pandas.DataFrame(rows)"]),
        ("people.csv", ["'people.csv'", "read the file first"]),
        (pd.Series([1.0]), ["single Series", "{'y': series}"]),
        (object(), ["builtins.object", "narwhals"]),
    ],
)
def test_refused_when_read(data, parts):
    with refused(*parts):
        Table.read(data)


def test_object_array_of_equal_arrays_asks_for_stack():
    cells = np.empty(2, object)
    cells[:] = [np.ones(2), np.ones(2)]
    with refused("'x'", "np.stack"):
        Table.read({"x": cells})


def test_sparse_matrix_asks_for_toarray():
    sparse = pytest.importorskip("scipy.sparse", reason="SciPy is an extra")
    with refused("'x'", "sparse", "toarray()"):
        Table.read({"x": sparse.eye(3).tocsr()})


def test_narwhals_is_needed_for_frames_only(monkeypatch):
    monkeypatch.setitem(sys.modules, "narwhals", None)
    assert Table.read({"x": np.ones(2), "j": jnp.ones(2), "l": [1, 2]}).n_rows == 2
    assert Table.read(np.array([(1.0,)], [("x", "f8")])).n_rows == 1
    with refused("narwhals", "pip install 'jaxmle[frames]'"):
        Table.read(pd.DataFrame({"x": [1.0]}))
    with refused("pip install 'jaxmle[frames]'", error=ImportError):
        Table.read({"x": pd.Series([1.0])})


# ---- asking for columns


def test_unknown_column():
    table = Table.read({"age": [1.0], "y": [2.0]})
    with refused("The log-density asks for column 'agee'", "Did you mean 'age'?", "'y'"):
        table.column("agee")
    with refused("The formula of 'rate' asks for column 'ages'", "Did you mean 'age'?"):
        table.numeric("ages", "the formula of 'rate'")


# ---- tables like the user's, and rows of them


@frames
def test_frame_like_gives_the_users_type(make):
    table = Table.read(make({"x": np.ones(3)}))
    out = table.frame_like({"term": ["a", None], "estimate": np.array([1.5, np.nan]), "se": np.array([[1, 2], [3, 4]])})
    library = type(make({"x": [1]})).__module__.split(".")[0]
    assert type(out) is {"pandas": pd.DataFrame, "polars": pl.DataFrame, "pyarrow": pa.Table}[library]
    again = Table.read(out)
    assert again.names == ("term", "estimate", "se[0]", "se[1]")
    assert again.column("term").tolist() == ["a", None]
    np.testing.assert_array_equal(again.numeric("estimate"), [1.5, np.nan])
    assert again.numeric("se[1]").tolist() == [2, 4]


def test_frame_like_of_arrays_is_a_dict():
    out = Table.read({"x": [1.0]}).frame_like({"term": ["a", "b"], "estimate": jnp.ones(2)})
    assert out["term"].tolist() == ["a", "b"]
    assert isinstance(out["estimate"], np.ndarray)


@pytest.mark.parametrize("make", [dict, pd.DataFrame, pl.DataFrame, pa.table])
def test_take(make):
    x = np.arange(10.0)
    table = Table.read(make({"x": x, "s": list("abcdefghij")}))
    part = table.take(x > 4)
    assert part.n_rows == 5
    assert part.names == table.names
    assert part.numeric("x").tolist() == [5, 6, 7, 8, 9]
    rows = np.array([4, 0, 0])
    again = part.take(rows)
    rows[:] = 1
    assert again.numeric("x").tolist() == [9, 5, 5]
    assert again.column("s").tolist() == ["j", "f", "f"]
    assert type(again.frame_like({"x": x})) is type(table.frame_like({"x": x}))
    with refused("asks for column 'z'"):
        again.column("z")


@pytest.mark.parametrize(
    ("rows", "parts"),
    [
        (np.zeros(3, bool), ["No rows"]),
        (np.array([], int), ["No rows"]),
        (np.array([3]), ["between 0 and 2", "3"]),
        (np.array([-1]), ["between 0 and 2", "-1"]),
        (np.ones(2, bool), ["(3,)", "(2,)"]),
        (np.array([0.0]), ["integers or a mask", "float64"]),
    ],
)
def test_take_refuses(rows, parts):
    with refused(*parts):
        Table.read({"x": np.ones(3)}).take(rows)


# ---- weights


@pytest.mark.parametrize(
    "weights",
    ["w", [1, 2, 0], np.array([1, 2, 0], np.float32), jnp.array([1, 2, 0]), pd.Series([1, 2, 0]), pl.Series([1, 2, 0])],
)
def test_weights(weights):
    got = read_weights(weights, Table.read({"x": np.ones(3), "w": [1, 2, 0]}), "weights")
    np.testing.assert_array_equal(got, np.array([1.0, 2.0, 0.0]), strict=True)


@pytest.mark.parametrize(
    ("weights", "parts"),
    [
        (np.ones(4), ["weights has 4 values", "3 rows"]),
        (np.ones((3, 1)), ["weights has shape (3, 1)", "one number per row"]),
        ([1, -2, 1], ["1 negative value in row 1 (-2)", "zero or more"]),
        ([1, np.nan, np.inf], ["2 missing or infinite values in rows 1, 2 (nan, inf)"]),
        (pl.Series([1, None, 2]), ["1 missing or infinite value in row 1"]),
        (np.zeros(3), ["all weights are zero"]),
        (["a", "b", "c"], ["'weights' (<U1)", "the argument weights needs numbers"]),
        ("ww", ["The argument weights asks for column 'ww'", "Did you mean 'w'?"]),
        ("w", ["weights (column 'w') has 1 negative value in row 0"]),
        (2.0, ["'weights'", "single number 2.0", "np.full(n, 2.0)"]),
    ],
)
def test_weights_refused(weights, parts):
    with refused(*parts):
        read_weights(weights, Table.read({"x": np.ones(3), "w": [-1, 1, 1]}), "weights")

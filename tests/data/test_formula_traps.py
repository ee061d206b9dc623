"""What goes wrong silently elsewhere is an error here: unseen levels, missing values, text for numbers, identifiers."""

import datetime
import re

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from jaxmle.data.design import Design, offset_of
from jaxmle.data.formula import bind, columns
from jaxmle.data.tables import Table
from jaxmle.declare.linear import Linear
from jaxmle.errors import DataError, ModelError

FRAMES = {"arrays": dict, "pandas": pd.DataFrame, "polars": pl.DataFrame, "pyarrow": pa.table}


def refused(*parts, error=DataError):
    return pytest.raises(error, match="(?s)" + ".*".join(re.escape(part) for part in parts))


def design(text, table, **kwargs):
    return Design.of(Linear(f"~ {text}", **kwargs), Table.read(table), "rate")


def applied(text, old, new):
    return Design(*columns(bind(f"~ {text}", Table.read(old), "rate"), Table.read(new), "rate"))


# ---- levels


@pytest.mark.parametrize("make", FRAMES.values(), ids=FRAMES)
@pytest.mark.parametrize("text", ["site", "C(site)", "x:site", "C(site, contr.sum)"])
def test_unseen_levels_are_named(make, text):
    old = make({"site": ["A", "B", "C", "A"], "x": [1.0, 2.0, 3.0, 4.0]})
    new = make({"site": ["B", "D", "E", "D"], "x": [1.0, 2.0, 3.0, 4.0]})
    with refused("site", "'D', 'E'", "rows 1, 2, 3", "'A', 'B', 'C'"):
        applied(text, old, new)


def test_unseen_levels_are_named_in_the_users_rows():
    formula = bind("~ C(k)", Table.read({"k": [1, 2, 3]}), "rate")
    new = Table.read({"k": [9, 1, 7, 2]}).take(np.array([1, 2, 3]))
    with refused("level 7 in row 2"):
        columns(formula, new, "rate")


def test_a_level_of_another_type_is_said_to_be_one():
    with refused("'1', '2'", "str instead of int", "convert"):
        applied("C(k)", {"k": [1, 2, 3]}, {"k": ["1", "2"]})
    with refused("another type, int instead of str"):
        applied("C(k)", {"k": ["1", "2", "3"]}, {"k": [1, 2]})


def test_whole_numbers_are_the_same_levels_as_integers():
    ints = applied("C(k)", {"k": [1, 2, 3]}, {"k": np.array([3.0, 1.0])})
    floats = applied("C(k)", {"k": np.array([1.0, 2.0, 3.0])}, {"k": np.array([3, 1], np.int8)})
    assert ints.names == floats.names == ("Intercept", "C(k)[2]", "C(k)[3]")
    np.testing.assert_array_equal(ints.matrix, [[1, 0, 1], [1, 0, 0]])
    np.testing.assert_array_equal(floats.matrix, ints.matrix)
    with refused("level 1.5 in row 0"):
        applied("C(k)", {"k": [1, 2, 3]}, {"k": [1.5, 2.0]})


CATEGORIES = {
    "pandas": lambda v, c: pd.Series(pd.Categorical(v, categories=c)),
    "pandas-ordered": lambda v, c: pd.Series(pd.Categorical(v, categories=c, ordered=True)),
    "polars": lambda v, c: pl.Series(v, dtype=pl.Enum(c)),
    "pyarrow": lambda v, c: pa.chunked_array([pa.DictionaryArray.from_arrays([c.index(i) for i in v], c)]),
}


@pytest.mark.parametrize("make", CATEGORIES.values(), ids=CATEGORIES)
def test_categories_keep_their_order_and_lose_those_that_do_not_occur(make):
    values = ["low", "high", "low", "mid"]
    got = design("d", {"d": make(values, ["never", "mid", "low", "high"])})
    assert got.names == ("Intercept", "d[low]", "d[high]")
    np.testing.assert_array_equal(got.matrix[:, 1], [1, 0, 1, 0])
    numbers_as_text = ["2", "1", "2", "3"]
    assert design("d", {"d": make(numbers_as_text, ["3", "2", "1"])}).names == ("Intercept", "d[2]", "d[1]")


def test_a_text_column_without_order_is_sorted():
    assert design("g", {"g": ["b", "c", "a"]}).names == ("Intercept", "g[b]", "g[c]")
    assert design("C(g)", {"g": np.array([1, "b", 2.5], object)}).names == ("Intercept", "C(g)[1]", "C(g)[b]")


def test_one_level_has_no_effect():
    with refused("'site'", "one level, 'A'"):
        design("site + x", {"site": ["A", "A"], "x": [1.0, 2.0]})
    assert design("0 + site", {"site": ["A", "A"]}).names == ("site[A]",)


def test_the_effect_of_a_boolean_is_one_column():
    for make in FRAMES.values():
        got = design("0 + flag", make({"flag": [True, False, True]}))
        assert got.names == ("flag",)
        np.testing.assert_array_equal(got.matrix[:, 0], [1, 0, 1])


def test_integers_stay_numbers():
    got = design("k", {"k": np.array([0, 1, 2])})
    assert got.names == ("Intercept", "k")


# ---- what looks like something else


@pytest.mark.parametrize("make", FRAMES.values(), ids=FRAMES)
def test_numbers_held_as_text_are_no_levels(make):
    table = make({"income": ["10", "20.5", "1e3"]})
    with refused("'income'", "numbers as text", "'10'", "C(income)"):
        design("income", table)
    assert len(design("C(income)", table).names) == 3


@pytest.mark.parametrize("make", FRAMES.values(), ids=FRAMES)
def test_an_identifier_is_no_factor(make):
    table = make({"name": [f"person {i}" for i in range(50)]})
    with refused("'name'", "50 levels in 50 rows", "identifier"):
        design("name", table)
    assert len(design("name", make({"name": [f"person {i}" for i in range(49)]})).names) == 49
    half = make({"name": [f"person {i % 25}" for i in range(50)]})
    assert len(design("name", half).names) == 25
    with refused("identifier"):
        design("C(name)", table)


@pytest.mark.parametrize("make", FRAMES.values(), ids=FRAMES)
@pytest.mark.parametrize("text", ["day", "C(day)", "log(day)"])
def test_dates_are_refused_with_a_remedy(make, text):
    days = [datetime.datetime(2024, 1, d) for d in (1, 2, 3)]
    with refused("day", "days since the first"):
        design(text, make({"day": np.array(days, "datetime64[us]")}))


# ---- what is not there


@pytest.mark.parametrize("text", ["x", "log(x)", "poly(x, 2)", "bs(x, df=4)", "center(x)", "x:z", "C(x)"])
def test_missing_numbers_are_an_error(text):
    x = np.array([1.0, 2.0, np.nan, 4.0, 5.0])
    tables = {
        "arrays": {"x": x, "z": np.ones(5)},
        "pandas": pd.DataFrame({"x": x}),
        "polars NaN": pl.DataFrame({"x": x}),
        "polars null": pl.DataFrame({"x": [1.0, 2.0, None, 4.0, 5.0]}),
        "pyarrow": pa.table({"x": pa.array([1.0, 2.0, None, 4.0, 5.0])}),
    }
    for name, table in tables.items():
        if "z" in text and name != "arrays":
            continue
        with refused("x", "missing", "row 2"):
            design(text, table)


@pytest.mark.parametrize("text", ["g", "C(g)", "x:g"])
def test_missing_levels_are_an_error(text):
    values = ["a", None, "b", "a"]
    x = [1.0, 2.0, 3.0, 4.0]
    for table in (
        {"g": np.array(values, object), "x": x},
        pd.DataFrame({"g": values, "x": x}),
        pd.DataFrame({"g": pd.Categorical(values), "x": x}),
        pl.DataFrame({"g": values, "x": x}),
        pa.table({"g": values, "x": x}),
    ):
        with refused("g", "missing", "row 1"):
            design(text, table)


@pytest.mark.parametrize(
    ("text", "value"), [("log(x)", "-inf"), ("np.log(x - 1)", "nan"), ("I(1 / x)", "inf"), ("exp(1000 - x)", "inf")]
)
def test_a_term_that_is_not_finite_names_its_rows(text, value):
    table = Table.read({"x": np.array([3.0, 1.0, 0.0, 2.0])}).take(np.array([2, 3]))
    with refused("not finite", "row", "2", value, "x = 0"):
        Design.of(Linear(f"~ {text}"), table, "rate")


def test_an_interaction_that_overflows_names_its_rows():
    with refused("'a:b'", "not finite in row 1"):
        design("a:b", {"a": np.array([1.0, 1e300]), "b": np.array([1.0, 1e300])})


def test_infinite_values_are_refused():
    with refused("x", "infinite", "row 1"):
        design("x", {"x": np.array([1.0, np.inf])})


def test_splines_beyond_their_knots_are_refused():
    old = {"x": np.linspace(0, 1, 30)}
    with refused("bs(x, df=4)", "beyond"):
        applied("bs(x, df=4)", old, {"x": np.array([2.0])})
    far = applied("bs(x, df=4, extrapolation='extend')", old, {"x": np.array([2.0])})
    assert np.isfinite(far.matrix).all()


def test_unknown_columns_are_named():
    with refused("'rate'", "'agee'", "Did you mean 'age'"):
        design("agee", {"age": [1.0, 2.0]})
    with refused("'agee'"):
        design("log(agee)", {"age": [1.0, 2.0]})


def test_text_where_numbers_are_needed_is_named():
    with refused("'g'", "not numeric"):
        design("log(g)", {"g": ["a", "b"]})
    with refused("'x'", "not numeric"):
        applied("x", {"x": [1.0, 2.0]}, {"x": ["1", "2"]})


def test_functions_must_return_a_number_for_each_row():
    with refused("'f'", "shape ()", "(2,)"):
        design("f(x)", {"x": [1.0, 2.0]}, functions={"f": np.sum})


# ---- offsets


def test_offsets_are_columns_or_expressions():
    table = Table.read({"t": np.array([1.0, 2.0]), "b": np.array([3, 4])})
    got = offset_of(Linear("~ 1", offset=("b", "log(t)")), table, "rate")
    np.testing.assert_array_equal(got, np.array([3, 4]) + np.log([1.0, 2.0]))
    np.testing.assert_array_equal(offset_of(Linear("~ 1 + offset(log(t))"), table, "rate"), np.log([1.0, 2.0]))
    assert offset_of(Linear("~ 1"), table, "rate") is None
    assert offset_of(Linear("~ 1", shape=2, offset="log(t)"), table, "rate").shape == (2, 2)


def test_an_exposure_must_be_positive():
    table = Table.read({"t": np.array([1.0, 0.0, -1.0])})
    with refused("log(t)", "'rate'", "rows 1, 2", "t = 0, -1", "must be positive"):
        offset_of(Linear("~ 1", offset="log(t)"), table, "rate")
    with refused("'nope'"):
        offset_of(Linear("~ 1", offset="log(nope)"), table, "rate")
    with refused("calls 'os.system'", error=ModelError):
        offset_of(Linear("~ 1", offset="os.system('ls')"), table, "rate")

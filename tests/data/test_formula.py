"""Designs of formulas are formulaic's, from every kind of table, in the rows of the fit and in new ones."""

import json

import formulaic
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from jaxmle.data.beside import pieces_of
from jaxmle.data.design import Design
from jaxmle.data.formula import bind, columns, without
from jaxmle.data.tables import Table
from jaxmle.declare.formula import Formula
from jaxmle.declare.linear import Linear

N = 200


def data(n=N, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "x": rng.normal(size=n),
        "z": rng.uniform(1, 9, size=n),
        "g": rng.choice(list("abc"), n),
        "h": rng.choice(["u", "v", "w"], n),
        "k": rng.integers(0, 12, n),
        "flag": rng.random(n) > 0.5,
        "my col": rng.normal(size=n),
    }


FORMULAS = [
    "1",
    "x",
    "x + z - 1",
    "-1 + x",
    "x * z",
    "2:x + z",
    "x / g",
    "g / x",
    "x %in% g",
    "(x + z + g)**2",
    "(x + z)^2 - x",
    "g",
    "0 + g",
    "g + h",
    "0 + g + h",
    "g * h",
    "g:h",
    "0 + g:h",
    "x:g",
    "0 + x:g",
    "g * h * x",
    "C(k)",
    "x + C(k) + z",
    "0 + C(k) + g",
    "C(k) * x",
    "C(k) + C(k):x",
    "C(x > 0)",
    "flag",
    "C(flag)",
    "I(x > 0)",
    "I(x**2) + x",
    "{x + z}",
    "`my col` + np.exp(`my col`)",
    "np.log(z)",
    "log(z):g",
    "poly(x, 3) + z",
    "poly(x, 2, raw=True)",
    "bs(x, df=5)",
    "bs(x, df=5, include_intercept=True)",
    "0 + bs(x, df=5, include_intercept=True)",
    "bs(x, knots=[-0.5, 0.5], degree=2):g",
    "cr(x, df=4)",
    "cs(z, df=3)",
    "cc(x, df=4)",
    "poly(log(z), 2)",
    "center(x) + scale(z) + standardize(x)",
    "C(g, contr.treatment('b'))",
    "C(g, contr.treatment(base='c')):x",
    "C(g, Treatment('b'))",
    "C(g, contr.SAS)",
    "C(g, contr.sum)",
    "C(g, Sum)",
    "0 + C(g, contr.sum)",
    "C(g, contr.helmert) + h",
    "C(g, contr.diff)",
    "C(g, contr.poly) * x",
    "C(g, {'low': [1, 0, 0], 'rest': [0, 1, -1]})",
    "C(g, levels=['c', 'a', 'b'])",
]


def written_out(design):
    """All columns as numbers (n, p)."""
    out = np.zeros((len(design.matrix), len(design.names)))
    out[:, list(design.dense)] = design.matrix
    for f in design.factors:
        out[:, f.first : f.first + f.n_levels] = f.codes[:, None] == np.arange(f.n_levels)
    return out


def design(text, table, **kwargs):
    return Design.of(Linear(f"~ {text}", **kwargs), Table.read(table), "rate")


@pytest.mark.parametrize("text", FORMULAS)
def test_columns_are_formulaics(text):
    ours = design(text, data())
    theirs = formulaic.model_matrix(text, pd.DataFrame(data()), context={})
    assert list(ours.names) == [c.replace("[T.", "[") for c in theirs.columns]
    np.testing.assert_allclose(written_out(ours), theirs.to_numpy(float), atol=1e-12)
    assert ours.matrix.dtype == np.float64


@pytest.mark.parametrize("text", FORMULAS)
def test_every_table_gives_the_same_design(text):
    ours = design(text, data())
    for make in (pd.DataFrame, pl.DataFrame, pa.table):
        again = design(text, make(data()))
        assert again.names == ours.names
        np.testing.assert_array_equal(written_out(again), written_out(ours))


@pytest.mark.parametrize("text", FORMULAS)
def test_what_was_learnt_is_plain_text_and_exact_on_new_rows(text):
    everything = Table.read(data())
    formula = bind(f"~ {text}", everything, "rate")
    assert isinstance(json.loads(formula.state), dict)
    again = Formula(formula.text, json.loads(json.dumps(formula.state)))
    assert again == formula
    assert hash(again) == hash(formula)
    rows = np.array([3, 1, 4, 100])
    few = {name: values[rows] for name, values in data().items()}  # fewer levels, other means and ranges
    new = Design(*columns(again, Table.read(few), "rate"))
    old = Design(*columns(formula, everything, "rate"))
    assert new.names == old.names
    np.testing.assert_array_equal(written_out(new), written_out(old)[rows])
    np.testing.assert_array_equal(written_out(Design.of(Linear(formula), everything, "rate")), written_out(old))


def test_the_callers_variables_do_not_leak_in():
    C = log = x = 3  # noqa: F841
    ours = design("C(g) + log(z)", data())
    assert ours.names == ("Intercept", "C(g)[b]", "C(g)[c]", "log(z)")
    columns_named = data() | {"C": data()["x"], "log": data()["z"]}
    assert design("C + C(g) + log(log)", columns_named).names == ("Intercept", "C", "C(g)[b]", "C(g)[c]", "log(log)")


def test_functions_are_given_by_name():
    table = data()
    ours = design(
        "double(x) + both(x, 2)",
        table,
        functions={"double": lambda v: 2 * v, "both": lambda v, p: np.stack([v, v**p], 1)},
    )
    assert ours.names == ("Intercept", "double(x)", "both(x, 2)[0]", "both(x, 2)[1]")
    np.testing.assert_array_equal(ours.matrix[:, 1], 2 * table["x"])
    mine = {"f": np.abs, "unused": np.exp}
    assert bind("~ f(x)", Table.read(table), "rate", mine).functions == (("f", np.abs),)


def test_matrix_columns_are_taken_one_by_one():
    X = np.arange(12.0).reshape(4, 3)
    ours = design("X + log(Y)", {"X": X, "Y": X[:, :2] + 1})
    assert ours.names == ("Intercept", "X[0]", "X[1]", "X[2]", "log(Y)[0]", "log(Y)[1]")
    np.testing.assert_array_equal(ours.matrix[:, 1:4], X)


def test_a_matrix_that_is_a_term_by_itself_is_not_copied():
    X, z = np.arange(12.0).reshape(4, 3), np.array([2.0, 3.0, 5.0, 7.0])
    table = {"X": X, "z": z, "s": np.array(list("abab")), "W": np.asfortranarray(X)}
    ours = design("z + X + s", table)
    assert [np.shares_memory(piece, X) for piece in pieces_of(ours.matrix)] == [False, True, False]
    assert ours.names == ("Intercept", "z", "X[0]", "X[1]", "X[2]", "s[b]")
    np.testing.assert_array_equal(ours.matrix, np.column_stack([np.ones(4), z, X, [0, 1, 0, 1]]))
    multiplied = design("X + X:z", table)
    assert not any(np.shares_memory(piece, X) for piece in pieces_of(multiplied.matrix))
    np.testing.assert_array_equal(multiplied.matrix, np.column_stack([np.ones(4), X, X * z[:, None]]))
    columns_first = design("W", table)
    np.testing.assert_array_equal(columns_first.matrix, np.column_stack([np.ones(4), X]))


def test_columns_can_be_left_out_for_good():
    table = Table.read(data())
    formula = bind("~ x + C(k) + z", table, "rate")
    full = Design(*columns(formula, table, "rate"))
    less = without(formula, [1, 4], len(full.names))
    fewer = Design(*columns(less, table, "rate"))
    np.testing.assert_array_equal(written_out(fewer), np.delete(written_out(full), [1, 4], axis=1))
    least = without(less, [0], len(fewer.names))
    assert columns(least, table, "rate")[0] == fewer.names[1:]
    few = Table.read({name: values[:5] for name, values in data().items()})
    np.testing.assert_array_equal(written_out(Design(*columns(less, few, "rate"))), written_out(fewer)[:5])


def test_many_terms_are_read_quickly():
    many = {f"x{i}": np.arange(3.0) for i in range(500)}
    assert len(design(" + ".join(many), many).names) == 501

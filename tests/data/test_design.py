"""Designs: columns of numbers in their own precision, and factors of many levels as codes."""

import tracemalloc

import numpy as np
import pytest

import jaxmle as jm
from jaxmle.data.design import Design
from jaxmle.data.levels import codes_of, learn_levels
from jaxmle.data.tables import Table
from jaxmle.declare.linear import Linear


def of(terms, table):
    return Design.of(Linear(terms), Table.read(table), "rate")


def test_a_factor_of_many_levels_is_codes():
    rng = np.random.default_rng(0)
    k = rng.permutation(np.arange(90) % 9)
    got = of("~ x + C(k) + z", {"x": rng.normal(size=90), "z": rng.normal(size=90), "k": k})
    assert got.names == ("Intercept", "x", *(f"C(k)[{i}]" for i in range(1, 9)), "z")
    assert got.dense == (0, 1, 10)
    assert got.matrix.shape == (90, 3)
    (factor,) = got.factors
    assert (factor.first, factor.n_levels, factor.codes.dtype) == (2, 8, np.int32)
    np.testing.assert_array_equal(factor.codes, k - 1)  # -1 is the reference


def test_few_levels_interactions_and_other_contrasts_are_dense():
    rng = np.random.default_rng(0)
    table = {"k": np.arange(90) % 9, "few": np.arange(90) % 8, "x": rng.normal(size=90)}
    for terms in ("~ C(few)", "~ C(k):x", "~ C(k)*x", "~ C(k, contr.sum)"):
        assert of(terms, table).factors == ()


def test_without_an_intercept_the_first_factor_has_all_levels():
    k = np.arange(30) % 10
    got = of("~ 0 + C(k)", {"k": k})
    assert got.matrix.shape == (30, 0)
    assert got.dense == ()
    np.testing.assert_array_equal(got.factors[0].codes, k)
    two = of("~ 0 + C(k) + C(h)", {"k": k, "h": np.arange(30) % 15})
    assert [(f.first, f.n_levels, f.codes.min()) for f in two.factors] == [(0, 10, 0), (10, 14, -1)]


def test_another_reference_level():
    got = of("~ C(k, contr.treatment(base=3))", {"k": np.arange(30) % 10})
    assert "C(k, contr.treatment(base=3))[3]" not in got.names
    codes = got.factors[0].codes
    np.testing.assert_array_equal(codes[:10], [0, 1, 2, -1, 3, 4, 5, 6, 7, 8])


@pytest.mark.parametrize("kind", ["text", "integers"])
def test_two_thousand_levels_are_never_written_out(kind):
    n = 20_000
    codes = np.random.default_rng(0).permutation(np.arange(n) % 2_000)
    column = np.array([f"zip {c:04d}" for c in range(2_000)], object)[codes] if kind == "text" else codes
    of("~ C(k)", {"k": np.arange(30) % 10})  # imports are no part of it
    tracemalloc.start()
    got = of("~ C(zip) + x", {"zip": column, "x": np.ones(n)})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(got.names) == 2_001
    assert peak < 40 * n * 8  # bytes: written out it would be 2,000 · n · 8, or 2,000 · n of booleans


def test_float32_columns_stay_float32():
    table = {"a": np.ones(4, np.float32), "b": np.arange(4, dtype=np.float32), "k": np.arange(4), "f": np.arange(4) > 1}
    for terms in ("~ a + b", "~ a*b + f", "~ log(a) + C(k)", [1, "a", "b"]):
        assert of(terms, table).matrix.dtype == np.float32, terms
    for terms in ("~ a + k", "~ 1", "~ C(k)", [1, "k"]):
        assert of(terms, table).matrix.dtype == np.float64, terms


def test_column_lists_are_taken_as_they_stand():
    X = np.arange(8.0).reshape(4, 2)
    assert of("X", {"X": X}).names == ("X0", "X1")
    got = of([1, "x", "X"], {"x": X[:, 0], "X": X})
    assert got.names == ("Intercept", "x", "X0", "X1")
    assert got.dense == (0, 1, 2, 3)
    assert got.factors == ()


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int64, np.uint64, np.float64])
@pytest.mark.parametrize("base", [0, 5, 2**40])
def test_levels_of_whole_numbers_whatever_their_type_and_range(kind, base):
    if base > np.iinfo(np.int8).max and np.dtype(kind).itemsize == 1:
        base = 100
    values = (base + np.random.default_rng(1).integers(0, 9, 200)).astype(kind)
    levels = learn_levels(values, None, "x", "mean", bare=False)
    assert levels == tuple(sorted(set(values.tolist())))
    table = Table.read({"x": values})
    np.testing.assert_array_equal(codes_of(values, levels, "x", "mean", table), np.searchsorted(levels, values))
    backwards = levels[::-1]
    codes = codes_of(values, backwards, "x", "mean", table)
    np.testing.assert_array_equal(np.array(backwards)[codes], values)
    with pytest.raises(jm.DataError, match=r"rows? "):
        codes_of(values, levels[1:], "x", "mean", table)
    with pytest.raises(jm.DataError, match=r"rows? "):
        codes_of(values, (levels[0], *levels[2:]), "x", "mean", table)

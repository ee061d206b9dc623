"""Exact linear dependencies of a design's columns, and no false ones on hard data."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxmle import datasets
from jaxmle.data import collinear
from jaxmle.data.collinear import aliased, in_words, without
from jaxmle.data.design import Design
from jaxmle.data.levels import Factor
from jaxmle.data.tables import Table
from jaxmle.declare.linear import Linear


def design(columns, factors=()):
    return Design(tuple(f"x{i}" for i in range(columns.shape[1])), columns, factors)


def rows(n, p, seed=0):
    return np.random.default_rng(seed).normal(size=(n, p))


def test_independent_columns_are_left_alone():
    assert aliased(design(rows(100, 5))) == []
    assert aliased(design(rows(5, 5))) == []


def test_later_columns_are_combinations_of_earlier_ones():
    x = rows(100, 4)
    x = np.column_stack([x, x[:, 0] - 2 * x[:, 1], rows(100, 1, 1), np.zeros(100), x.sum(axis=1)])
    found = aliased(design(x))
    assert [at for at, _ in found] == [4, 6, 7]
    assert found[0][1] == pytest.approx({"x0": 1, "x1": -2})
    assert found[1][1] == {}
    assert found[2][1] == pytest.approx({f"x{i}": 1 for i in range(4)})
    assert in_words(found, design(x).names) == "x4 = x0 - 2·x1; x6 = 0; x7 = x0 + x1 + x2 + x3"
    assert in_words(found, design(x).names, limit=1, terms=1) == "x4 = x0 + 1 more terms and 2 more"


@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_units_do_not_matter(scale):
    x = rows(100, 3)
    x[:, 1] *= scale
    assert aliased(design(x)) == []
    ((at, combination),) = aliased(design(np.column_stack([x, x[:, 0] + x[:, 1] / scale])))
    assert at == 3
    assert combination == pytest.approx({"x0": 1, "x1": 1 / scale})


def test_hard_data_of_full_rank_are_not_called_deficient():
    data, _ = datasets.load("longley"), None
    names = [n for n in data if n != "employed"]
    longley = np.column_stack([np.ones(16), *(np.asarray(data[n], float) for n in names)])
    assert aliased(design(longley)) == []
    x = np.linspace(-8.8, -3.1, 82)  # the range of Filip's polynomial (NIST)
    assert aliased(design(np.vander(x, 11, increasing=True))) == []
    assert aliased(design(np.vander(np.linspace(0, 20, 21), 6, increasing=True))) == []  # Wampler (NIST)


def test_float32_columns_are_judged_by_their_own_rounding():
    x = rows(500, 3).astype(np.float32)
    assert aliased(design(x)) == []
    ((at, _),) = aliased(design(np.column_stack([x, x[:, 0] + x[:, 1]])))
    assert at == 3


def test_fewer_rows_than_columns():
    assert [at for at, _ in aliased(design(rows(3, 5)))] == [3, 4]


def test_what_holds_in_a_sample_must_hold_everywhere():
    x = rows(50_000, 6)
    x[:, 2] = 0
    x[41_234, 2] = 1  # one row alone
    x[:, 4] = x[:, 0] + x[:, 1]
    x[[7, 30_001], 4] += 1e-3
    assert aliased(design(x)) == []
    x[:, 5] = x[:, 4] + 3 * x[:, 2]
    ((at, combination),) = aliased(design(x))
    assert at == 5
    assert combination == pytest.approx({"x4": 1, "x2": 3})


def test_rows_of_weight_zero_do_not_count():
    x = rows(100, 3)
    x[:, 2] = x[:, 0]
    x[5, 2] += 1
    weights = np.ones(100)
    assert aliased(design(x), weights) == []
    weights[5] = 0
    assert [at for at, _ in aliased(design(x), weights)] == [2]


def nested(n=20_000, levels=60):
    """An intercept, a factor, a column of numbers, and a factor that is a coarser version of the first."""
    rng = np.random.default_rng(0)
    fine = rng.integers(0, levels, n)
    coarse = fine // 6
    names = (
        "Intercept",
        *(f"zip{i}" for i in range(1, levels)),
        "x",
        *(f"state{i}" for i in range(1, levels // 6)),
    )
    factors = (
        Factor((fine - 1).astype(np.int32), 1, levels - 1),
        Factor((coarse - 1).astype(np.int32), levels + 1, levels // 6 - 1),
    )
    return Design(names, np.column_stack([np.ones(n), rng.normal(size=n)]), factors)


def test_factors_kept_as_codes_count_as_their_columns():
    found = aliased(nested())
    assert [nested().names[at] for at, _ in found] == [f"state{i}" for i in range(1, 10)]
    assert found[0][1] == pytest.approx({f"zip{i}": 1 for i in range(6, 12)})
    left = without(nested(), [at for at, _ in found])
    assert len(left.factors) == 1
    assert aliased(left) == []


def test_a_column_that_is_constant_within_levels_is_found():
    full = nested()
    income = np.append(0.0, np.random.default_rng(1).normal(size=59))
    fine = full.factors[0].codes + 1
    matrix = np.column_stack([full.matrix, income[fine]])
    names = (*full.names[:61], "income")
    ((at, combination),) = aliased(Design(names, matrix, full.factors[:1]))
    assert at == 61
    assert combination["zip1"] == pytest.approx(income[1])
    assert len(combination) == 59


def test_two_crossed_factors_are_of_full_rank():
    rng = np.random.default_rng(0)
    table = Table.read({"a": rng.integers(0, 40, 5_000), "b": rng.integers(0, 30, 5_000), "x": rng.normal(size=5_000)})
    crossed = Design.of(Linear("~ C(a) + x + C(b)"), table, "rate")
    assert len(crossed.factors) == 2
    assert aliased(crossed) == []


def test_a_level_left_out_is_one_more_reference_level():
    full = nested()
    less = without(full, [0, 3])
    assert less.names == (*full.names[1:3], *full.names[4:])
    assert less.dense == (58,)
    first, second = less.factors
    assert (first.first, first.n_levels, second.first) == (0, 58, 59)
    before = full.factors[0].codes
    np.testing.assert_array_equal(first.codes, np.where(before == 2, -1, before - (before > 2)))


def test_factors_alone():
    table = Table.read({"k": np.arange(40) % 10, "h": np.arange(40) % 20})
    both = Design.of(Linear("~ 0 + C(k) + C(h)"), table, "rate")
    assert both.matrix.shape == (40, 0)
    assert len(aliased(both)) == 9  # h tells k
    assert aliased(Design.of(Linear("~ 0 + C(k)"), table, "rate")) == []


def test_columns_that_are_plainly_independent_need_no_orthogonalising(monkeypatch):
    def no(*_):
        raise AssertionError("orthogonalised")

    monkeypatch.setattr(collinear, "_combinations", no)
    assert aliased(design(rows(3_000, 40))) == []
    with pytest.raises(AssertionError, match="orthogonalised"):
        aliased(design(np.column_stack([rows(3_000, 3), rows(3_000, 3).sum(axis=1)])))


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 12), st.floats(-12, -2))
def test_only_independent_columns_are_called_so(seed, p, power):
    """Against singular values: of columns of unit length, the square of the smallest is the smallest eigenvalue."""
    x = rows(200, p, seed)
    x[:, -1] = x[:, :-1].sum(axis=1) + 10.0**power * x[:, -1]
    smallest = np.linalg.svd(x / np.linalg.norm(x, axis=0), compute_uv=False)[-1]
    assert collinear._surely_independent(x) == (smallest**2 > collinear.INDEPENDENT)

"""Designs that keep categorical columns as codes: the numbers of the same table of zeros and ones, which is never made."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import jaxmle as jm
from jaxmle import Linear, Model
from jaxmle.data.chunks import design_arrays, row_chunks
from jaxmle.data.tables import Table
from jaxmle.objective.build import build
from jaxmle.objective.objective import Objective
from jaxmle.runtime import Compilation

from .coded import (
    ALL_LEVELS,
    GROUPS,
    OUT_OF_ORDER,
    SAME_FACTOR,
    SHARED,
    WHOLE,
    Case,
    N,
    coded,
    codes,
    poisson,
    truth,
    two_factors,
)
from .models import close


def agree(got: Any, expected: Any) -> None:
    close(got, expected, 1e-10)


@pytest.mark.parametrize(
    ("case", "rows", "devices", "every_pass"),
    [
        pytest.param(case, rows, devices, every_pass, id=f"{case.name}-{rows}-{devices}")
        for case, rows, devices, every_pass in (
            (SHARED, 1, 1, True),
            (SHARED, 1000, 2, False),
            (SHARED, None, 2, False),
            (SAME_FACTOR, 7, 2, True),
            (SAME_FACTOR, 1, 2, False),
            (OUT_OF_ORDER, 1000, 1, True),
            (OUT_OF_ORDER, 7, 1, False),
        )
    ],
)
def test_every_pass_gives_the_numbers_of_the_whole_matrix(case: Case, rows: int | None, devices: int, every_pass: bool):
    o, dense, designs, data = case.objectives(seed=3, devices=devices, rows=rows)
    assert o.program.structured
    assert np.array_equal(o.scale, dense.scale)
    rng = np.random.default_rng(4)
    z, v = 0.3 * rng.normal(size=(2, o.size))
    here, there = (truth(case, o, designs, data["y"], x) for x in (z, z + 0.3 * v))
    e = o.evaluate(z)
    agree(e.value, here.value)
    agree(e.gradient, here.gradient)
    agree(e.matrix, here.hessian)
    agree(o.terms(z), here.terms)
    if not every_pass:
        return
    agree(o.value(z), here.value)
    agree(o.value_and_grad(z)[1], here.gradient)
    agree(o.evaluate(z, "opg").matrix, (here.scores.T * o.weights()) @ here.scores)
    for batched, expected in zip(o.evaluate_batch(np.stack([z, z + 0.3 * v])), (here, there)):
        agree(batched.value, expected.value)
        agree(batched.gradient, expected.gradient)
        agree(batched.matrix, expected.hessian)
    agree(o.hvp(z, v), here.hessian @ v)
    agree(o.scores(z), here.scores)
    line = o.along(z, v)
    agree(line(0.0), (here.value, here.gradient @ v))
    agree(line(0.3), (there.value, there.gradient @ v))
    chosen = np.arange(N)[::3]
    share = o.weights()[chosen] * N / len(chosen)
    value, gradient = o.sample(z, chosen)
    agree(value, -share @ here.terms[chosen])
    agree(gradient, -share @ here.scores[chosen])


def same(compact: Objective, dense: Objective, tolerance: float) -> None:
    """Value, gradient, Hessian, scores, and a line, of one objective are those of another."""
    rng = np.random.default_rng(1)
    z, v = 0.3 * rng.normal(size=(2, compact.size))
    for got, expected in zip(compact.evaluate(z), dense.evaluate(z)):
        close(got, expected, tolerance)
    close(compact.scores(z), dense.scores(z), tolerance)
    close(compact.along(z, v)(0.3), dense.along(z, v)(0.3), tolerance)


@pytest.mark.parametrize(
    ("case", "settings"),
    [
        (SHARED, {"structured": False, "rows": 100, "devices": 2}),
        (GROUPS, {"rows": 3}),
        (GROUPS, {"devices": 2}),
        (WHOLE, {}),
    ],
)
def test_coefficients_that_are_differentiated_one_by_one(case: Case, settings: dict):
    compact, dense, *_ = case.objectives(**settings)
    assert not compact.program.structured
    same(compact, dense, 1e-10)


def test_single_precision():
    compact, dense, *_ = SAME_FACTOR.objectives(rows=50, precision="float32")
    same(compact, dense, 3e-5)
    assert compact.evaluate(np.zeros(compact.size)).matrix.dtype == np.float64


def test_a_level_that_no_row_has():
    """Its column is zero, and so is all that comes of it."""
    rng = np.random.default_rng(0)
    f = codes(rng, 4)
    f[f == 2] = 3
    o, dense, *_ = Case("empty", lambda _: (coded(f, np.ones(N)),), {"a": (0, None, ())}).objectives()
    assert o.scale[2] == dense.scale[2] == 1
    e = o.evaluate(np.zeros(o.size))
    assert not e.matrix[2].any()
    assert e.gradient[2] == 0


def test_codes_are_stored_once_for_each_row_in_32_bits():
    (design,) = two_factors(np.random.default_rng(0))
    (cut,) = row_chunks({}, (design_arrays(design),), {}, np.ones(N), 64).designs
    assert cut["codes"].shape == (5, 2, 64)
    assert cut["codes"].dtype == np.int32
    assert cut["dense"].shape == (5, 2, 64)


def test_other_codes_of_as_many_levels_compile_nothing():
    case = SHARED
    z = np.zeros(case.objectives()[0].size)
    case.objectives(seed=1)[0].evaluate(z)
    with Compilation() as compilation:
        case.objectives(seed=2)[0].evaluate(z)
    assert compilation.count == 0


def test_two_factors_meet_in_a_table_of_their_levels():
    """X diag(w) Xᵀ of two factors counts, with weights, the rows that have both levels."""
    rng = np.random.default_rng(0)
    f, g = codes(rng, 30, ALL_LEVELS), codes(rng, 20, ALL_LEVELS)
    o, *_ = Case(
        "two", lambda _: (coded(f, g),), {"rate": (0, "log", ())}, lambda p, r: poisson(p, {"y": 1.0})
    ).objectives(rows=64)
    held = o.with_fixed(np.array([50]), np.zeros(51))
    matrix = held.evaluate(np.zeros(50)).matrix / np.outer(held.scale, held.scale)
    table = np.zeros((30, 20))
    np.add.at(table, (f, g), o.weights())
    close(matrix[:30, 30:], table, 1e-13)
    close(matrix[:30, :30], np.diag(table.sum(axis=1)), 1e-13)


def test_a_formula_with_many_levels_is_fitted_from_codes():
    """Grouped means by least squares: the slope is that of what is left when both columns lose their group means."""
    rng = np.random.default_rng(0)
    group, x = rng.integers(0, 150, 3_000), rng.normal(size=3_000)
    level = rng.normal(size=150)
    data = {"y": level[group] + 0.5 * x + rng.normal(size=3_000), "x": x, "group": np.char.add("g", group.astype(str))}
    normal = lambda p, row: -0.5 * (row["y"] - p["mean"]) ** 2
    model = Model(normal, {"mean": Linear("~ x + C(group)")})
    o = build(model, Table.read(data), weights=np.ones(3_000)).objective
    assert "codes" in o.parts[0].data["designs"][0]
    fit = jm.fit(model, data, progress=False)
    assert fit.converged
    count = np.bincount(group)
    within = lambda v: v - (np.bincount(group, v) / count)[group]
    slope = within(x) @ data["y"] / (within(x) @ x)
    assert fit.coef["mean[x]"] == pytest.approx(slope, rel=1e-9)
    assert fit.std_errors["mean[x]"] == pytest.approx((within(x) @ x) ** -0.5, rel=1e-9)
    assert len(fit.coef) == 151

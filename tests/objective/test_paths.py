"""Structured and generic derivatives agree with each other and with the whole data at once, however the rows are cut."""

from __future__ import annotations

from dataclasses import replace
from itertools import cycle

import jax
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jaxmle.data.chunks import CHUNK_ROWS, bucket, chunk_shape
from jaxmle.objective.objective import Objective
from jaxmle.runtime import MAX_KERNEL_ROWS

from .models import CASES, Case, at, close, point, truth

N = 1301
"""Rows, of which a fifth has weight zero: more than 1,000 are left, and no chunk size divides their number."""

PLACEMENTS = [(rows, devices) for rows in (1, 7, 1000, None) for devices in (1, 2)]
"""Rows of a chunk, and devices."""

SMALL = ("one_predictor", "whole_numbers", "float32_columns")
"""Structures whose products and scores are cheap enough to compile on both paths."""

WITH_LINES = ("one_predictor", "no_predictor", "shared_columns", "vector", "four_predictors", "held")

BY_NAME = {case.name: case for case in CASES}

examples = settings(max_examples=3, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize(
    ("case", "rows", "devices"),
    [pytest.param(c, *p, id=f"{c.name}-{p[0]}-{p[1]}") for c, p in zip(CASES, cycle(PLACEMENTS))],
)
@given(seed=st.integers(0, 2**32 - 1))
@examples
def test_both_paths_give_the_derivatives_of_the_whole(case: Case, rows: int | None, devices: int, seed: int):
    data, weights = case.data(seed, N), case.weights(seed, N)
    fast = case.objective(data, weights, devices, chunk_rows=rows)
    slow = case.objective(data, weights, devices, chunk_rows=rows, structured=False)
    assert fast.program.structured == bool(case.predictors)
    assert not slow.program.structured
    z, v = point(seed, fast), point(seed + 1, fast)
    t = truth(case, fast, data, weights, z)
    for objective in (fast, slow):
        for got, expected in zip(at(objective, z), (t.value, t.gradient, t.hessian)):
            close(got, expected)
    for objective in (fast, slow) if case.name in SMALL else (fast,):
        close(objective.hvp(z, v), t.hessian @ v)
        close(objective.scores(z), t.scores)
    close(fast.terms(z), t.terms)
    assert np.array_equal(fast.weights(), weights[weights > 0])
    if case.name in WITH_LINES:
        line, there = fast.along(z, v), truth(case, fast, data, weights, z + 0.7 * v)
        close(line(0.0), (t.value, t.gradient @ v))
        close(line(0.7), (there.value, there.gradient @ v))


@pytest.mark.parametrize(
    ("name", "rows", "devices"),
    [("one_predictor", 7, 2), ("shared_columns", 1000, 2), ("tree", None, 1)],
)
@given(seed=st.integers(0, 2**32 - 1))
@examples
def test_cheaper_passes_outer_products_and_batches(name: str, rows: int | None, devices: int, seed: int):
    case = BY_NAME[name]
    data, weights = case.data(seed, N), case.weights(seed, N)
    objective = case.objective(data, weights, devices, chunk_rows=rows)
    points = np.stack([point(seed + i, objective) for i in range(3)])
    truths = [truth(case, objective, data, weights, z) for z in points]
    z, t = points[0], truths[0]
    close(objective.value(z), t.value)
    close(objective.value_and_grad(z)[1], t.gradient)
    opg = objective.evaluate(z, "opg")
    close(opg.value, t.value)
    close(opg.gradient, t.gradient)
    close(opg.matrix, t.opg)
    for e, expected in zip(objective.evaluate_batch(points, "gradient"), truths):
        close(e.value, expected.value)
        close(e.gradient, expected.gradient)


def test_a_batch_has_every_hessian_and_outer_product():
    case = BY_NAME["one_predictor"]
    data, weights = case.data(1, 50), case.weights(1, 50)
    objective = case.objective(data, weights)
    points = np.stack([point(i, objective) for i in range(2)])
    hessians, products = objective.evaluate_batch(points), objective.evaluate_batch(points, "opg")
    for z, hessian, product in zip(points, hessians, products):
        t = truth(case, objective, data, weights, z)
        close(hessian.matrix, t.hessian)
        close(product.matrix, t.opg)


@pytest.mark.parametrize(("name", "devices"), [("one_predictor", 2), ("float32_columns", 1), ("no_predictor", 2)])
@given(seed=st.integers(0, 2**32 - 1))
@examples
def test_a_sample_stands_for_the_whole(name: str, devices: int, seed: int):
    case = BY_NAME[name]
    data, weights = case.data(seed, N), case.weights(seed, N)
    objective = case.objective(data, weights, devices, chunk_rows=7)
    z = point(seed, objective)
    t = truth(case, objective, data, weights, z)
    chosen = np.random.default_rng(seed).integers(0, objective.n_units, 25)
    kept = weights[weights > 0][chosen]
    share = objective.n_units / len(chosen)
    value, gradient = objective.sample(z, chosen)
    close(value, -share * kept @ t.terms[chosen])
    close(gradient, -share * kept @ t.scores[chosen])


@pytest.mark.parametrize(("name", "structured"), [("one_predictor", True), ("one_predictor", False)])
def test_results_do_not_depend_on_how_the_rows_are_cut(name: str, structured: bool):
    case = BY_NAME[name]
    data, weights = case.data(5, N), case.weights(5, N)
    first = None
    for rows, devices in PLACEMENTS:
        objective = case.objective(data, weights, devices, chunk_rows=rows, structured=structured)
        z = point(5, objective)
        if first is None:
            t = truth(case, objective, data, weights, z)
            first = t.value, t.gradient, t.hessian
        for got, expected in zip(at(objective, z), first):
            close(got, expected, 1e-10)


# --- padding ----------------------------------------------------------------------------------------------------------


def poisoned(objective: Objective) -> Objective:
    """The same objective with NaN and positive weights in every chunk that holds no data."""

    def spoil(part):
        holds = np.zeros(part.data["weights"].shape[0], bool)
        holds[part.places[0]] = True
        assert not holds.all(), "no chunk is padding: the test has nothing to spoil"

        def fill(x):
            values = np.array(x)
            values[~holds] = np.nan if values.dtype.kind == "f" else 1
            return jax.device_put(values, x.sharding)

        data = jax.tree.map(fill, part.data)
        return replace(part, data=data)

    return replace(objective, parts=tuple(spoil(p) for p in objective.parts))


@pytest.mark.parametrize("devices", [1, 2])
def test_chunks_of_padding_are_never_touched(devices: int):
    case = BY_NAME["one_predictor"]
    n = 7 * 17 * 2 * 5 // 4 + 1  # 17 chunks that hold data on each device, of 18 that there are
    data, weights = case.data(3, n), case.weights(3, n)
    objective = case.objective(data, weights, devices, chunk_rows=7)
    spoilt = poisoned(objective)
    z, v = point(3, objective), point(4, objective)
    for f in (
        lambda o: at(o, z),
        lambda o: o.evaluate(z, "opg")[:],
        lambda o: (o.hvp(z, v), o.terms(z), o.scores(z)),
        lambda o: o.along(z, v)(0.4),
        lambda o: o.evaluate_batch(z[None], "gradient")[0][:2],
        lambda o: o.sample(z, np.arange(n // 2)),
    ):
        for got, expected in zip(f(spoilt), f(objective)):
            assert np.array_equal(got, expected)


@pytest.mark.parametrize("n", [1, 2, 7, 8, 9, 2048, 2049, 100_001, 1_000_000])
@pytest.mark.parametrize("rows", [None, 1, 1000, 10**9])
@pytest.mark.parametrize("devices", [1, 2, 3])
def test_padding_is_at_most_an_eighth(n: int, rows: int | None, devices: int):
    total, count, width = chunk_shape(n, rows, devices)
    assert total % devices == 0
    assert (count - 1) * width < n <= count * width
    assert width <= MAX_KERNEL_ROWS
    assert rows is not None or width <= CHUNK_ROWS
    assert total <= bucket(-(-count // devices)) * devices
    assert width <= 1.125 * -(-n // devices) + 1


def test_buckets_are_few_and_close():
    sizes = sorted({bucket(n) for n in range(1, 100_001)})
    assert all(bucket(n) >= n and bucket(bucket(n)) == bucket(n) for n in range(1, 5000))
    assert max(bucket(n) / n for n in range(1, 100_001)) <= 1.125
    assert len(sizes) <= 8 * 17

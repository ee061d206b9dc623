"""Passes side by side: stretches of chunks, a sample put first, Hessians that are kept, products of few columns."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import gammaln

import jaxmle as jm
from jaxmle import runtime
from jaxmle.data.beside import Beside
from jaxmle.data.chunks import chunk_rows, row_chunks
from jaxmle.data.tables import Table
from jaxmle.objective import designs
from jaxmle.objective.build import build
from jaxmle.objective.designs import Columns
from jaxmle.solve.newton import Newton

N, P = 180_000, 30


@pytest.fixture(scope="module")
def sorted_data() -> dict[str, np.ndarray]:
    """Counts in order of size: the first rows are nothing like the rest."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(N, P)) / 4
    y = rng.poisson(np.exp(0.3 + x @ np.linspace(-0.5, 0.5, P)))
    order = np.argsort(y, kind="stable")
    return {"y": y[order].astype(float), "x": x[order]}


MODEL = jm.poisson("y", rate=jm.Linear([1, "x"]))


@pytest.fixture(scope="module")
def objective(sorted_data):
    return build(MODEL, Table.read(sorted_data), weights=np.ones(N)).objective


@pytest.fixture(scope="module")
def fitted(sorted_data) -> jm.Fit:
    return jm.fit(MODEL, sorted_data)


def test_stretches_cover_the_chunks_once(objective):
    (part,) = objective.parts
    covered = np.concatenate([np.arange(*s.span) for s in objective.stretches])
    np.testing.assert_array_equal(covered, np.arange(*part.span))
    assert len(objective.stretches) > 1 or runtime.cores() == 1


def test_the_first_chunks_are_a_sample_and_nothing_is_lost(objective, sorted_data):
    (part,) = objective.parts
    np.testing.assert_array_equal(np.sort(part.units), np.arange(N))
    sample = objective.sampled()
    y, drawn = sorted_data["y"], sorted_data["y"][sample.parts[0].units]
    assert len(drawn) == sample.n_units == -(-part.n_chunks // 32) * part.rows
    assert abs(drawn.mean() - y.mean()) < 4 * y.std() / np.sqrt(len(drawn))
    first = y[objective.glimpse().parts[0].units]  # a few of these: from everywhere too
    assert len(first) < len(drawn)
    assert abs(first.mean() - y.mean()) < 4 * y.std() / np.sqrt(len(first))
    z = np.zeros(objective.size)  # every rate is 1
    assert objective.value(z) == pytest.approx(N + gammaln(y + 1).sum(), rel=1e-6)
    np.testing.assert_allclose(objective.terms(z)[:5], -1 - np.log([1.0] * 5), rtol=1e-12)  # y = 0 there


def test_a_fit_begins_with_the_sample_and_ends_at_the_optimum(fitted, sorted_data):
    """The score of a Poisson regression with constant term is Xᵀ(y − μ) = 0, the information XᵀμX."""
    assert "rows drawn at random" in str(fitted)
    assert fitted.converged
    X = np.column_stack([np.ones(N), sorted_data["x"]])
    mu = np.exp(X @ np.array(list(fitted.coef.values())))
    information = X.T @ (mu[:, None] * X)
    score = X.T @ (sorted_data["y"] - mu)
    assert np.sqrt(score @ np.linalg.solve(information, score)) < 1e-6
    np.testing.assert_allclose(fitted.covariance(), np.linalg.inv(information), rtol=1e-6, atol=1e-12)


def test_hessians_are_kept_where_they_are_dear(objective):
    passes = objective.tally.passes
    passes.clear()
    solution = Newton().minimise(objective, np.zeros(objective.size))
    assert passes["gradient"] > 0
    assert passes["hessian"] + passes["gradient"] == solution.n_steps + 1
    np.testing.assert_allclose(solution.hessian, objective.evaluate(solution.z).matrix, rtol=1e-6, atol=1e-3)
    assert np.abs(solution.gradient / np.sqrt(np.diag(solution.hessian))).max() < 1e-6


@pytest.mark.parametrize("devices", [None, "cpu", 1, 3])
def test_devices_do_not_matter(devices, objective, sorted_data):
    chosen = jax.devices()[:devices] if isinstance(devices, int) else devices
    few = {k: v[::30] for k, v in sorted_data.items()}
    here, there = jm.fit(MODEL, few), jm.fit(MODEL, few, devices=chosen)
    np.testing.assert_allclose(list(there.coef.values()), list(here.coef.values()), rtol=1e-9)
    assert there.log_likelihood == pytest.approx(here.log_likelihood, rel=1e-12)
    np.testing.assert_allclose(there.covariance(), here.covariance(), rtol=1e-9)


@pytest.mark.parametrize(
    ("devices", "words"), [("gpu", "no device of kind 'gpu'"), (7, "devices must be"), ([], "devices")]
)
def test_a_device_that_is_not_there(devices, words, sorted_data):
    with pytest.raises(jm.ModelError, match=words):
        jm.fit(MODEL, {k: v[:50] for k, v in sorted_data.items()}, devices=devices)


@pytest.mark.parametrize("p", [0, 1, 7, 8, 9, 16, 35, 130])
@pytest.mark.parametrize("outputs", [1, 2, 5])
def test_products_of_few_outputs(p: int, outputs: int):
    rng = np.random.default_rng(p)
    x, beta = rng.normal(size=(p, 33)), rng.normal(size=(p, outputs))
    columns = Columns(tuple(range(p)))
    with runtime.x64():
        got = jax.jit(lambda b, x: designs.times(columns, {"dense": x}, b))(beta, x)
        w, design = rng.uniform(size=(2, 33)), {"dense": jnp.asarray(x)}
        sums = jax.jit(lambda w, design: designs.product(columns, design, w, columns, design))(w, design)
        square = [designs.matrix(columns, sums, columns, i) for i in range(2)]
    np.testing.assert_allclose(got, beta.T @ x, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(square, np.einsum("jr,nr,kr->njk", x, w, x), rtol=1e-11, atol=1e-11)


@given(n=st.integers(1, 300), rows=st.integers(1, 40), seed=st.integers(0, 9))
def test_chunks_hold_a_sample_and_then_every_unit_once(n: int, rows: int, seed: int):
    rng = np.random.default_rng(seed)
    pieces = rng.normal(size=(n, 1)), rng.normal(size=(n, 3))
    chunks = row_chunks({"i": np.arange(n)}, ({"dense": Beside(pieces)},), {}, 1.0 + np.arange(n), rows)
    first = len(chunks.sample)
    assert len(np.unique(chunks.sample)) == first == (-(-chunks.count // 32) * rows if chunks.count >= 8 else 0)
    here = np.concatenate([chunks.sample, np.arange(n)])
    np.testing.assert_array_equal(chunks.units, np.arange(n))
    np.testing.assert_array_equal(chunks.columns["i"].reshape(-1)[: len(here)], here)
    np.testing.assert_array_equal(chunks.weights.reshape(-1)[: len(here)], 1.0 + here)
    assert not chunks.weights.reshape(-1)[len(here) :].any()
    dense = np.moveaxis(chunks.designs[0]["dense"], 1, -1).reshape(-1, 4)[: len(here)]
    np.testing.assert_array_equal(dense, np.hstack(pieces)[here])


def test_chunks_fit_the_cache():
    assert [chunk_rows(p) for p in (1, 16, 50, 100, 5000)] == [2048, 2048, 512, 512, 512]
    matrix = Beside((np.ones((4, 1)), np.arange(8.0).reshape(4, 2)))
    whole = np.asarray(matrix)
    np.testing.assert_array_equal(matrix[1:3], whole[1:3])
    np.testing.assert_array_equal(matrix[:, [2, 0]], whole[:, [2, 0]])
    np.testing.assert_array_equal(matrix[:, 1:], whole[:, 1:])
    assert matrix.shape == whole.shape
    assert matrix.dtype == whole.dtype


def test_the_caller_works_too_and_the_order_is_kept(monkeypatch):
    threads, started = set(), threading.Barrier(3, timeout=60)
    monkeypatch.setattr(runtime, "cores", lambda: 3)
    pool = ThreadPoolExecutor(2)
    monkeypatch.setattr(runtime, "_helpers", lambda: pool)

    def square(i):
        if i < 3:
            started.wait()  # three at once, or this fails
        threads.add(threading.get_ident())
        return i * i

    assert runtime.in_lanes(square, range(20)) == [i * i for i in range(20)]
    assert threading.get_ident() in threads
    assert len(threads) == 3
    assert runtime.in_lanes(square, []) == []


@pytest.mark.parametrize("culprit", [0, 7])
def test_what_fails_in_a_lane_is_raised_and_the_rest_is_left(culprit):
    done = []

    def work(i):
        if i == culprit:
            raise KeyError(i)
        done.append(i)
        time.sleep(0.001)

    with pytest.raises(KeyError, match=str(culprit)):
        runtime.in_lanes(work, range(10_000))
    assert len(done) < 100


def test_pieces_of_work():
    cut = lambda n, size: [s.stop - s.start for s in runtime.spans(n, size)]
    assert cut(100, 1000) == [100]
    assert sum(cut(1001, 1 << 40)) == 1001
    if runtime.cores() > 1:
        assert len(cut(100, 1 << 24)) == runtime.cores()
        assert len(cut(100, 1 << 30)) > 2 * runtime.cores()

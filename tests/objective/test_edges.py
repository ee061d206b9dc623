"""Row counts, weights, penalties, precision, column types and ways to write a density: what surrounds the passes."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxmle as jm
from jaxmle import Linear, Model, Positive, Real
from jaxmle.data.chunks import row_chunks
from jaxmle.data.tables import Table
from jaxmle.objective.build import build
from jaxmle.objective.placement import Placement
from jaxmle.runtime import MAX_KERNEL_ROWS

from .models import CASES, at, close, point

# --- row counts -------------------------------------------------------------------------------------------------------


def density(p, row):
    z = (row["y"] - p["loc"]) / p["scale"]
    return -0.5 * z**2 - jnp.log(p["scale"])


NORMAL = Model(density, {"loc": Linear([1]), "scale": Positive()})


def normal_regression(y: np.ndarray, weights: np.ndarray, **settings: Any):
    return build(NORMAL, Table.read({"y": y}), weights=weights, **settings)


@pytest.mark.parametrize(
    ("n", "dtype"),
    [(n, np.float64) for n in sorted({2**k + d for k in range(13) for d in (-1, 0, 1)} - {0})]
    + [(n, np.float32) for n in (1, 257, 4097)],
)
def test_row_counts_around_powers_of_two(n: int, dtype: type):
    y = np.random.default_rng(n).normal(3.0, 2.0, n).astype(dtype)
    objective = normal_regression(y, np.ones(n)).objective
    loc, log_scale = 2.5, 0.4
    z = objective.to_z(np.array([loc, log_scale]))
    r = (y.astype(np.float64) - loc) / np.exp(log_scale)
    close(objective.value(z), 0.5 * r @ r + n * log_scale, 1e-12)
    if n > 2000:
        gradient = objective.value_and_grad(z)[1]
        close(gradient / objective.scale, [-r.sum() / np.exp(log_scale), n - r @ r], 1e-12)


def test_one_row_on_two_devices():
    objective = normal_regression(
        np.array([1.5]), np.array([3.0]), placement=Placement(tuple(jax.devices()[:2]))
    ).objective
    e = objective.evaluate(np.zeros(2))
    close(e.value, 3 * 0.5 * 1.5**2, 1e-14)
    close(e.gradient, [-3 * 1.5, 3 * (1 - 1.5**2)], 1e-14)
    close(objective.terms(np.zeros(2)), [-0.5 * 1.5**2], 1e-14)


# --- weights, fixed values, penalties, precision ------------------------------------------------------------------------


def test_rows_repeated_and_rows_weighted_are_the_same():
    case = CASES[0]
    data, weights = case.data(8, 60), case.weights(8, 60)
    often = np.repeat(np.arange(60), weights.astype(int))
    weighted = case.objective(data, weights)
    repeated = case.objective({k: v[often] for k, v in data.items()}, np.ones(len(often)))
    u = weighted.to_u(point(8, weighted))
    for a, b in zip(at(weighted, weighted.to_z(u)), at(repeated, repeated.to_z(u))):
        k = np.ones(()) if a.ndim == 0 else weighted.scale / repeated.scale
        close(b * (k if a.ndim < 2 else np.outer(k, k)), a, 1e-12)


def test_rows_of_weight_zero_may_hold_anything():
    y = np.array([1.0, np.nan, 2.0, np.inf])
    objective = normal_regression(y, np.array([1.0, 0.0, 2.0, 0.0])).objective
    close(objective.value(np.zeros(2)), 0.5 * (1 + 2 * 4), 1e-14)
    assert objective.n_units == 2


def test_more_parameters_than_tangents_at_once_without_a_predictor():
    """jax.lax.map(batch_size=) cannot divide what has no entries, here the part of the predictors."""
    model = Model(lambda p, row: -0.5 * jnp.sum((row["y"] - p["m"]) ** 2), {"m": Real(shape=70)})
    y = np.random.default_rng(0).normal(size=(12, 70))
    objective = build(model, Table.read({"y": y}), weights=np.ones(12)).objective
    e = objective.evaluate(np.zeros(70))
    close(e.matrix, 12 * np.eye(70), 1e-14)
    close(e.gradient, -y.sum(axis=0), 1e-14)


def test_priors_and_penalties_are_added_to_every_pass():
    prior = lambda s: -2.0 * (s - 1.5) ** 2
    penalty = lambda p: 0.7 * jnp.sum(p["loc"] ** 2) * p["scale"]
    model = Model(density, {"loc": Linear([1, "x"]), "scale": Positive(prior=prior)})
    rng = np.random.default_rng(2)
    data = {"y": rng.normal(size=30), "x": rng.normal(size=30)}
    objective = build(model, Table.read(data), weights=np.ones(30), penalty=penalty).objective

    def nll(u):
        loc, scale = u[0] + u[1] * data["x"], jnp.exp(u[2])
        terms = -0.5 * ((data["y"] - loc) / scale) ** 2 - u[2]
        return -terms.sum() + 2.0 * (scale - 1.5) ** 2 + 0.7 * (u[0] ** 2 + u[1] ** 2) * scale

    z, v = point(0, objective), point(1, objective)
    u, s = objective.to_u(z), objective.scale
    value, gradient, hessian = jax.jit(lambda u: (nll(u), jax.grad(nll)(u), jax.hessian(nll)(u)))(u)
    gradient, hessian = np.asarray(gradient) * s, np.asarray(hessian) * np.outer(s, s)
    for got, expected in zip(at(objective, z), (value, gradient, hessian)):
        close(got, expected, 1e-12)
    close(objective.hvp(z, v), hessian @ v, 1e-12)
    close(objective.along(z, v)(0.0), (value, gradient @ v), 1e-12)
    close(objective.sample(z, np.arange(30))[1], gradient, 1e-12)
    close(objective.evaluate_batch(z[None], "gradient")[0].gradient, gradient, 1e-12)
    bare = objective.evaluate(z, "gradient", penalised=False)
    close(bare.value, -objective.terms(z).sum(), 1e-12)


@pytest.mark.parametrize(
    ("penalty", "message"),
    [
        (lambda p: p["loc"], r"penalty must be one real number; it returned an array of shape \(1,\)"),
        (lambda p: None, "penalty must be a number; it returned NoneType"),
        (lambda p: p["lok"] ** 2, "'lok'.*Did you mean 'loc'"),
        (lambda p: 1.0 if p["scale"] > 2 else 0.0, "penalty or a prior cannot be evaluated: it uses `if`"),
        (lambda p: np.log(p["scale"]), "use jax.numpy"),
    ],
)
def test_penalties_that_cannot_be_used_are_refused_before_anything_is_compiled(penalty: Any, message: str):
    with pytest.raises(jm.ModelError, match=message):
        normal_regression(np.ones(5), np.ones(5), penalty=penalty)


def test_chunks_are_shared_with_the_device_and_not_copied():
    n = 5000
    columns, X = {"y": np.zeros(n, np.float32)}, np.ones((n, 3))
    chunks = row_chunks(columns, ({"dense": X},), {}, np.ones(n))
    for array in (*chunks.designs[0].values(), *chunks.columns.values()):
        assert array.ctypes.data % 64 == 0
        assert array.flags.c_contiguous


def test_float32_precision_sums_in_float64():
    """Each term is good to seven digits, and so is their sum; a slope for all rows adds up a chunk of them in float32.

    The worst that n numbers lose that are added one after another is n − 1 roundings of the total (Higham, 2002, 4.2).
    """
    n = 200_000
    y = np.full(n, 0.1)
    objective = normal_regression(y, np.full(n, 16_777_217.0), precision="float32").objective
    z = np.array([0.7, 0.0])
    expected = n * 16_777_217.0 * 0.5 * (np.float32(0.1) - np.float32(0.7)) ** 2
    assert objective.value(z) == pytest.approx(float(expected), rel=1e-6)
    assert objective.weights()[0] == 16_777_217.0
    e = objective.evaluate(z)
    assert e.matrix.dtype == np.float64
    assert e.gradient[0] == pytest.approx(n * 16_777_217.0 * 0.6, rel=MAX_KERNEL_ROWS * 2.0**-24)
    all_rows = np.add.accumulate(np.full(n, np.float32(0.6)))[-1]  # a sum that is no sum of chunks in float64
    assert abs(all_rows / (n * 0.6) - 1) > 2 * MAX_KERNEL_ROWS * 2.0**-24


@pytest.mark.parametrize("dtype", ["f2", ">f8", ">i4", "u8", "i1", "?"])
def test_columns_of_every_number_type(dtype: str):
    rng = np.random.default_rng(4)
    x = rng.integers(0, 2, 40).astype(dtype)
    data = {"y": rng.normal(size=40), "x": x}
    model = Model(lambda p, row: density(p, row) + 0.0 * row["x"], {"loc": Linear([1, "x"]), "scale": Positive()})
    objective = build(model, Table.read(data), weights=np.ones(40)).objective
    loc = 0.2 + 0.3 * x.astype(float)
    expected = 0.5 * np.sum((data["y"] - loc) ** 2)
    close(objective.value(objective.to_z(np.array([0.2, 0.3, 0.0]))), expected, 1e-12)


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        ([1, "single", "wide"], np.float32),
        ([1, "single", "flag"], np.float32),
        ([1, "single", "y"], np.float64),
        ([1, "count"], np.float64),
        (["flag"], bool),
        ("single", np.float32),
        ([1], np.float64),
    ],
)
def test_designs_take_no_more_memory_than_their_columns(terms: Any, expected: type):
    n = 9
    columns = {
        "y": np.zeros(n),
        "single": np.ones(n, np.float32),
        "wide": np.ones((n, 2), np.float32),
        "flag": np.ones(n, bool),
        "count": np.arange(n),
    }
    (design,) = build(
        Model(density, {"loc": Linear(terms), "scale": Positive()}), Table.read(columns), weights=np.ones(n)
    ).source.designs
    assert design.matrix.dtype == expected


def test_a_density_may_look_at_no_data():
    model = Model(lambda p, row: -((p["a"] - 2.0) ** 2), {"a": Real()})
    with pytest.warns(jm.FitWarning, match="reads no column"):
        objective = build(model, Table.read({"y": np.zeros(5)}), weights=np.ones(5)).objective
    e = objective.evaluate(np.zeros(1))
    close(e.value, 20.0, 1e-15)
    close(e.matrix, [[10.0]], 1e-15)
    close(objective.scores(np.zeros(1)), np.full((5, 1), 4.0), 1e-15)


def test_the_caller_may_write_to_the_data_afterwards():
    """On a CPU, JAX shares the memory of arrays that happen to be aligned."""
    for unit in ("row", "all"):
        raw = np.zeros(520)
        shift = (-raw.ctypes.data % 64) // 8
        y, x = raw[shift : shift + 256], np.zeros(256)
        y[:] = np.random.default_rng(0).normal(size=256)
        model = Model(density, {"loc": Linear("x"), "scale": Positive()}, unit=unit)
        objective = build(model, Table.read({"y": y, "x": x}), weights=np.ones(256)).objective
        before = objective.value(np.zeros(2))
        y[:] = 1e6
        x[:] = 1e6
        assert objective.value(np.zeros(2)) == before
        assert objective.value(np.ones(2)) == objective.value(np.array([0.0, 1.0]))


@pytest.mark.parametrize("wrap", ["jit", "inner_jit", "checkpoint", "no_hash", "mapping", "vmap"])
def test_any_way_to_write_a_density(wrap: str):
    class NoHash:
        __hash__ = None

        def __call__(self, p, row):
            return density(p, row)

    inner = jax.jit(density)
    written = {
        "jit": inner,
        "inner_jit": lambda p, row: inner(p, row),
        "checkpoint": jax.checkpoint(density),
        "no_hash": NoHash(),
        "mapping": lambda p, row: density({**p}, {**row}),
        "vmap": lambda p, row: jax.vmap(density, in_axes=(None, 0))(p, {"y": row["y"][None]})[0],
    }[wrap]
    y = np.array([1.0, 2.0])
    data = {"y": y, "name": np.array(["a", "b"])}  # a column of text is nobody's business
    model = Model(written, {"loc": Linear([1]), "scale": Positive()})
    objective = build(model, Table.read(data), weights=np.ones(2)).objective
    close(objective.value(np.zeros(2)), 2.5, 1e-14)


def test_the_default_device_is_respected():
    second = jax.devices()[1]
    with jax.default_device(second):
        assert Placement.of().devices == (second,)
        objective = normal_regression(np.array([1.0, 2.0]), np.ones(2)).objective
    assert objective.parts[0].data["weights"].devices() == {second}
    close(objective.value(np.zeros(2)), 2.5, 1e-14)


def test_a_sample_may_have_more_units_than_a_kernel_takes():
    n = 3 * MAX_KERNEL_ROWS + 11
    y = np.random.default_rng(0).normal(size=n)
    objective = normal_regression(y, np.ones(n)).objective
    z = np.array([0.3, 0.2])
    chosen = np.random.default_rng(1).permutation(n)[: 2 * MAX_KERNEL_ROWS + 5]
    value, gradient = objective.sample(z, chosen)
    share = n / len(chosen)
    close(value, -share * objective.terms(z)[chosen].sum())
    close(gradient, -share * objective.scores(z)[chosen].sum(axis=0))
    every = objective.sample(z, np.arange(n))
    close(every[0], objective.value(z))

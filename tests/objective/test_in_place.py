"""Large matrices read where they are: the same numbers as from a copy, without one."""

import re

import jax
import numpy as np
import pytest

import jaxmle as jm
from jaxmle import runtime
from jaxmle.data import in_place
from jaxmle.data.in_place import HEAD, InPlace, resident
from jaxmle.data.tables import Table
from jaxmle.objective import passes
from jaxmle.objective.build import build

N, P = 3_001, 16


@pytest.fixture(autouse=True)
def small_ones_too(monkeypatch):
    monkeypatch.setattr(in_place, "LEAST_BYTES", 1)


def matrix(dtype: str = "float64", p: int = P, n: int = N, start: int = 0) -> np.ndarray:
    """A matrix whose memory begins `start` numbers into some."""
    rng = np.random.default_rng(7)
    numbers = rng.integers(-3, 4, size=n * p + start) / (1 if dtype.startswith("int") else 2)
    return numbers.astype(dtype)[start:].reshape(n, p)


@pytest.mark.parametrize("dtype", ["float64", "float32", "int8", "int64"])
@pytest.mark.parametrize(
    ("p", "n", "rows"), [(16, 3_001, 64), (17, 3_000, 64), (23, 257, 8), (90, 1_000, 512), (16, 20, 40)]
)
@pytest.mark.parametrize("start", [0, 5])
def test_every_row_is_where_it_should_be(dtype: str, p: int, n: int, rows: int, start: int):
    X = matrix(dtype, p, n, start)
    count = -(-n // rows)
    sample = np.random.default_rng(0).choice(n, 2 * rows, replace=n < 2 * rows)
    cut = InPlace.of(X, rows, count + 5, count, sample)
    assert np.shares_memory(cut.flat, X)
    assert cut.flat.ctypes.data % 64 == 0
    order = np.concatenate([sample, np.roll(np.arange(n), -HEAD)])
    with runtime.x64():
        held = jax.device_put(cut)
        chunk = jax.jit(InPlace.chunk)
        got = np.concatenate([chunk(held, np.int32(i)) for i in range(2 + count)])
        at = np.random.default_rng(1).permutation(len(order))
        picked = jax.jit(InPlace.rows)(held, at // rows, at % rows)
        turned = held.rearranged(*np.divmod(np.arange(len(got)).reshape(-1, rows)[::-1], rows))
        back = np.concatenate([chunk(turned, np.int32(i)) for i in range(2 + count)])
    np.testing.assert_array_equal(got[: len(order)], X[order])
    np.testing.assert_array_equal(picked, X[order[at]])
    if n > 10 * rows:
        assert cut.copied.nbytes < 0.3 * X.nbytes + 9 * rows * p * X.itemsize
    np.testing.assert_array_equal(back, got.reshape(-1, rows, p)[::-1].reshape(-1, p))


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="XLA's loops on CPUs")
def test_a_chunk_is_read_as_one_row_of_numbers():
    """The loops that read it go over one index: over few columns of each row they would be without vector instructions."""
    cut = InPlace.of(matrix(), 64, 60, 47, np.zeros(64, int))
    with runtime.x64():
        text = jax.jit(lambda x, i: x.chunk(i).T @ x.chunk(i)).lower(cut, np.int32(3)).compile().as_text()
    inside = re.findall(r"\n%(?:fused|wrapped)\S+ \([^\n]*\) -> (\S+) \{\n(.*?)\n\}", text, re.S)
    read = [shape for shape, body in inside if " dynamic-slice(" in body]
    assert read
    assert {shape.split("{")[0] for shape in read} == {f"f64[{64 * P}]"}


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="XLA's fusions on CPUs")
def test_derivatives_of_a_row_are_not_computed_within_a_product():
    """The product with the constant column beside the matrix finds its numbers ready, though it could compute them."""
    data = {"X": matrix(), "y": np.arange(1.0, N + 1)}
    o = build(jm.gamma("y", mean=jm.Linear([1, "X"])), Table.read(data), weights=np.ones(N), chunk_rows=64).objective
    with runtime.x64():
        (first, *_) = o.stretches
        u, held = o.to_u(np.zeros(o.size)), o.constants
        args = (o.likelihood, "gradient", u, held, first.data, first.span)
        text = passes.evaluate.lower(*args).compile(compiler_options=runtime.ONE_THREAD | runtime.QUICKLY).as_text()
    inside = re.findall(r"\n%\S+ \([^\n]*\{\n(.*?)\n\}", text, re.S)
    products = [body for body in inside if " dot(" in body]
    assert len(products) == (3 if jax.__version_info__ < (0, 11) else 2)  # later, that with one column is a sum
    assert max(body.count(" multiply(") for body in products) < 3
    assert max(body.count(" multiply(") for body in inside) > 10  # the density is there


def data() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    X = matrix() / 3
    site = rng.integers(0, 4, N)
    return {"X": X, "y": rng.poisson(np.exp(0.1 * X[:, 0] + 0.2 * site)).astype(float), "site": site, "w": X[:, 1] ** 2}


def log_density(p, row):
    size = 1 / p["size"]
    mean = p["mean"]
    ln = jax.scipy.special.gammaln
    y = row["y"]
    return (
        ln(y + size)
        - ln(size)
        - ln(y + 1)
        + size * jax.numpy.log(size / (size + mean))
        + y * jax.numpy.log(mean / (size + mean))
    )


MODELS = {
    "one predictor": jm.poisson("y", rate=jm.Linear([1, "X", "w"])),
    "two with one matrix": jm.Model(
        log_density, {"mean": jm.Linear([1, "X"], link="log"), "size": jm.Linear([1, "X"], link="log")}
    ),
    "beside levels": jm.Model(
        log_density, {"mean": jm.Linear([1, "X"], link="log"), "size": jm.Linear("~ C(site)", link="log")}
    ),
    "two outputs": jm.Model(
        lambda p, row: -0.5 * (row["y"] - p["eta"][0]) ** 2 - 0.5 * (row["w"] - p["eta"][1]) ** 2,
        {"eta": jm.Linear([1, "X"], shape=(2,))},
    ),
    "found": jm.Model(
        lambda p, row: -0.5 * (row["y"] - p["a"] - row["X"] @ p["b"]) ** 2, {"a": jm.Real(), "b": jm.Real(shape=(P,))}
    ),
}


QUICK = [("two with one matrix", None), ("beside levels", False), ("found", None)]
LONGER = [("one predictor", None), ("beside levels", None), ("two outputs", None), ("two outputs", False)]


@pytest.mark.parametrize(
    ("name", "structured"), [*QUICK, *(pytest.param(*case, marks=pytest.mark.slow) for case in LONGER)]
)
def test_the_same_numbers_as_from_a_copy(name: str, structured: bool | None, monkeypatch):
    weights = np.random.default_rng(2).integers(1, 4, N).astype(float)
    settings = dict(weights=weights, chunk_rows=64, structured=structured)
    here = build(MODELS[name], Table.read(data()), **settings).objective
    monkeypatch.setattr(in_place, "LEAST_BYTES", 1 << 40)
    copied = build(MODELS[name], Table.read(data()), **settings).objective
    held = [any(isinstance(x, InPlace) for x in d.values()) for d in here.parts[0].data["designs"]]
    assert any(held) or (name == "found" and structured is False)
    assert not any("in_place" in d for d in copied.parts[0].data["designs"])
    z = 0.1 * np.random.default_rng(5).normal(size=here.size)
    v = np.random.default_rng(6).normal(size=here.size)
    for needs in ("gradient", "hessian", "opg"):
        for a, b in zip(here.evaluate(z, needs), copied.evaluate(z, needs)):
            if b is not None:
                np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-9)
    np.testing.assert_allclose(here.hvp(z, v), copied.hvp(z, v), rtol=1e-10, atol=1e-9)
    np.testing.assert_allclose(here.scores(z), copied.scores(z), rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(here.terms(z), copied.terms(z), rtol=1e-12, atol=1e-12)
    some = np.array([0, 3, 4, 2_000, N - 1])
    for a, b in zip(here.sample(z, some), copied.sample(z, some)):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-9)
    for a, b in zip(here.along(z, v)(0.1), copied.along(z, v)(0.1)):
        np.testing.assert_allclose(a, b, rtol=1e-10)
    doubled = here.weighted(2 * weights)
    np.testing.assert_allclose(doubled.value(z), 2 * copied.value(z), rtol=1e-12)
    np.testing.assert_allclose(doubled.sampled().value(z), 2 * copied.sampled().value(z), rtol=1e-12)


def test_a_wide_symmetric_product():
    X = matrix(p=101, n=600) / 3
    data = {"X": X, "y": X[:, 0] - X[:, 1] ** 2}
    model = jm.Model(lambda p, row: -0.5 * (row["y"] - p["b"]) ** 2, {"b": jm.Linear("X")})
    objective = build(model, Table.read(data), weights=np.ones(600), chunk_rows=64).objective
    got = objective.evaluate(np.zeros(101)).matrix / np.outer(objective.scale, objective.scale)
    np.testing.assert_allclose(got, X.T @ X, rtol=1e-12, atol=1e-12)


def test_what_is_left_where_it_is():
    X = matrix()
    assert resident(X) == 0
    assert resident(np.asfortranarray(X)) is None
    assert resident(X[:, :15]) is None
    assert resident(X[::2]) is None
    assert resident(X.astype(complex)) is None


def test_a_fit_says_the_same_and_names_bad_rows():
    table = data()
    fit = jm.fit(MODELS["one predictor"], table, chunk_rows=64)
    again = jm.fit(MODELS["one predictor"], table | {"X": np.asfortranarray(table["X"])}, chunk_rows=64)
    assert fit.converged
    np.testing.assert_allclose(list(fit.coef.values()), list(again.coef.values()), atol=1e-9)
    np.testing.assert_allclose(list(fit.std_errors.values()), list(again.std_errors.values()), rtol=1e-8)
    model = jm.Model(
        lambda p, row: -0.5 * (row["y"] - p["b"]) ** 2 + jax.numpy.sqrt(row["w"] * 1e308), {"b": jm.Linear("X")}
    )
    table["w"] = np.where(np.arange(N) == 2_345, 1e9, 0.0)
    with pytest.raises(jm.ModelError, match=r"2,?345"):
        jm.fit(model, table, chunk_rows=64)

"""Units of observation other than the row: groups with a mask, and the whole data set with one term per row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxmle as jm
from jaxmle import DataError, Interval, Linear, Model, ModelError, Positive, Real, runtime
from jaxmle.data.chunks import CHUNK_ROWS
from jaxmle.data.tables import Table
from jaxmle.objective.build import Built, build
from jaxmle.objective.objective import Objective
from jaxmle.objective.placement import Placement
from jaxmle.runtime import MAX_KERNEL_ROWS

from ..conftest import SHARED
from .models import close

SIZES = (1, 70, 2, 3, 4, 1, 17, 2, 4, 31, 66, 1)
"""Rows of each group, in the order of the keys below."""

KEYS = np.array(["oslo", "bergen", "ab", "z", "tromsø", "a", "Oslo", "", "m", "k2", "k10", "x y"])


def households(p: Mapping[str, Any], rows: Mapping[str, Any], mask: Any) -> Any:
    """A normal random intercept, integrated out; by the determinant lemma and Sherman-Morrison."""
    n = mask.sum()
    r = jnp.where(mask, rows["y"] - p["mean"], 0.0)
    noise, between = p["noise"] ** 2, p["between"] ** 2
    total = noise + n * between
    quadratic = (jnp.sum(r**2) - between / total * jnp.sum(r) ** 2) / noise
    return -0.5 * (n * jnp.log(2 * jnp.pi) + (n - 1) * jnp.log(noise) + jnp.log(total) + quadratic)


MODEL = Model(
    households,
    {"mean": Linear([1, "x"], offset="known"), "noise": Positive(), "between": Positive()},
    unit="town",
)


def ragged(seed: int = 0) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Rows of all groups in random order, and for each row the number of its group in the order of appearance."""
    rng = np.random.default_rng(seed)
    codes = rng.permutation(np.repeat(np.arange(len(SIZES)), SIZES))
    n = len(codes)
    data = {"y": rng.normal(size=n), "x": rng.normal(size=n), "known": rng.normal(size=n), "town": KEYS[codes]}
    rank = np.argsort(np.argsort(np.unique(codes, return_index=True)[1]))
    return data, rank[codes]


def by_loop(data: Mapping[str, np.ndarray], groups: np.ndarray, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The log-density and the score of every group from its own covariance matrix, in NumPy, without padding."""
    terms, scores = [], []
    for g in range(groups.max() + 1):
        y, x, known = (data[k][groups == g] for k in ("y", "x", "known"))
        n = len(y)
        r = y - (u[0] + u[1] * x + known)
        noise, between = np.exp(2 * u[2]) * np.eye(n), np.exp(2 * u[3]) * np.ones((n, n))
        inverse = np.linalg.inv(noise + between)
        w = inverse @ r
        terms.append(-0.5 * (n * np.log(2 * np.pi) - np.linalg.slogdet(inverse)[1] + r @ w))
        scores.append([w.sum(), w @ x, *(w @ part @ w - np.sum(inverse * part) for part in (noise, between))])
    return np.array(terms), np.array(scores)


def differences(f: Any, u: np.ndarray, h: float = 1e-5) -> np.ndarray:
    return np.array([(f(u + h * e) - f(u - h * e)) / (2 * h) for e in np.eye(len(u))])


def built(
    model: Model, data: Mapping[str, Any], weights: np.ndarray | None = None, devices: int = 1, **kw: Any
) -> Built:
    table = Table.read(data)
    weights = np.ones(table.n_rows) if weights is None else weights
    return build(model, table, weights=weights, placement=Placement(tuple(jax.devices()[:devices])), **kw)


@pytest.mark.parametrize(("rows", "devices"), [(None, 1), (1, 2), (3, 1)])
def test_groups_give_what_a_loop_over_them_gives(rows: int | None, devices: int):
    data, groups = ragged()
    frequency = np.resize([1.0, 2.0, 0.0, 3.0], len(SIZES))
    kept, u = frequency > 0, np.array([0.3, -0.2, 0.1, -0.4])
    gradient_at = lambda u: -frequency @ by_loop(data, groups, u)[1]
    terms, scores = by_loop(data, groups, u)
    value, gradient, hessian = -frequency @ terms, gradient_at(u), differences(gradient_at, u)

    b = built(MODEL, data, frequency[groups], devices, chunk_rows=rows)
    o = b.objective
    appeared = data["town"][np.sort(np.unique(groups, return_index=True)[1])]
    assert list(b.source.groups.keys) == list(appeared[kept])
    assert np.array_equal(o.weights(), frequency[kept])
    z, s = o.to_z(u), o.scale
    e = o.evaluate(z)
    close(e.value, value)
    close(e.gradient, gradient * s)
    close(e.matrix, hessian * np.outer(s, s), 1e-7)
    close(o.scores(z), scores[kept] * s)
    if rows is None:
        v = np.array([1.0, 2.0, -1.0, 0.5])
        close(o.terms(z), terms[kept])
        close(o.hvp(z, v), e.matrix @ v)
        close(o.along(z, v)(0.0), (value, gradient * s @ v))
        assert o.can_sample is None
        chosen = np.array([0, 3, 1, 3])
        value, gradient = o.sample(z, chosen)
        share = frequency[kept][chosen] * kept.sum() / 4
        close(value, -share @ terms[kept][chosen])
        close(gradient, -share @ (scores[kept] * s)[chosen])


def test_groups_are_bucketed_by_size():
    data, _ = ragged()
    o = built(MODEL, data).objective
    assert [part.data["mask"].shape[1] for part in o.parts] == [2, 4, 32, 72]  # from 2, 4, 31, 70
    for part in o.parts:
        size = np.asarray(part.data["mask"]).sum(axis=1)
        length = part.data["mask"].shape[1]
        least = 1 << ((length - 1).bit_length() - 1) if length > 2 else 0
        assert ((size > least) & (size <= length)).all()
    assert sorted(np.concatenate([part.units for part in o.parts])) == list(range(len(SIZES)))


@pytest.mark.parametrize("rows", [None, 8192])
def test_no_kernel_has_more_rows_than_is_safe_however_long_the_groups(rows: int | None):
    n_groups, length = 300, 60
    codes = np.repeat(np.arange(n_groups), length)
    data = {"y": np.zeros(len(codes)), "x": np.ones(len(codes)), "known": np.zeros(len(codes)), "town": codes}
    (part,) = built(MODEL, data, chunk_rows=rows).objective.parts
    _, padded, groups = part.data["mask"].shape
    assert padded * groups <= (CHUNK_ROWS if rows is None else MAX_KERNEL_ROWS)


def test_a_group_longer_than_a_safe_kernel_asks_the_list_of_bad_compilers(monkeypatch):
    n = MAX_KERNEL_ROWS + 1
    data = {"y": np.zeros(n), "x": np.ones(n), "known": np.zeros(n), "town": np.zeros(n, int)}
    asked = []
    with monkeypatch.context() as patch:
        patch.setattr(runtime, "check_compiler", lambda rows, precision: asked.append((rows, precision)))
        built(MODEL, data, precision="float32")
    assert asked == [(n, "float32")]
    with pytest.raises(ModelError, match="known to miscompile"):
        runtime.check_compiler(n, "float64", "0.10.2", "cpu")
    with pytest.raises(ModelError, match="known to miscompile"):
        runtime.check_compiler(n, "float32", "0.10.1", "cpu")
    runtime.check_compiler(n, "float64", "0.10.1", "cpu")
    runtime.check_compiler(MAX_KERNEL_ROWS, "float32", "0.10.2", "cpu")
    runtime.check_compiler(n, "float64", "0.10.2", "gpu")


def test_rows_of_a_group_keep_their_order_and_padding_repeats_the_last():
    def steps(p, rows, mask):
        y = rows["y"] * p["k"]
        jumps = jnp.where(mask[1:], (y[1:] - y[:-1]) ** 2, 0.0)
        return -jnp.sum(jumps) - 100.0 * jnp.sum(jnp.where(mask, 0.0, (y - y[mask.sum() - 1]) ** 2)) - p["k"] ** 2

    data = {"y": np.array([1.0, 10.0, 2.0, 20.0, 4.0, 50.0, 7.0]), "g": np.array([3, 1, 3, 1, 3, 1, 9])}
    o = built(Model(steps, {"k": Real()}, unit="g"), data).objective
    close(o.terms(np.ones(1)), [-(1 + 4) - 1.0, -(100 + 900) - 1.0, -1.0], 1e-14)


def test_vectors_matrices_and_linear_predictors_in_a_group_have_rows_first():
    seen = {}

    def shapes(p, rows, mask):
        seen.update(v=p["v"].shape, m=p["m"].shape, t=rows["t"].shape, mask=mask.shape, flag=rows["flag"].dtype)
        inside = jnp.sum(p["v"] * jnp.array([1.0, 2.0, 3.0]), axis=1) + p["m"][:, 1, 0] * rows["t"][:, 1]
        return -jnp.sum(jnp.where(mask & rows["flag"], inside**2, 0.0))

    rng = np.random.default_rng(0)
    n = 21
    data = {"x": rng.normal(size=n), "t": rng.normal(size=(n, 2)), "flag": rng.integers(0, 2, n).astype(bool)}
    data |= {"known": rng.normal(size=(n, 3)), "g": np.repeat([0, 1, 2], 7)}
    params = {"v": Linear([1, "x"], shape=3, offset="known"), "m": Linear("x", shape=(2, 2), link="log")}
    o = built(Model(shapes, params, unit="g"), data).objective
    u = rng.normal(size=10)
    terms = o.terms(o.to_z(u))
    assert seen == {"v": (7, 3), "m": (7, 2, 2), "t": (7, 2), "mask": (7,), "flag": jnp.dtype(bool)}
    v = np.stack([np.ones(n), data["x"]], 1) @ u[:6].reshape(2, 3) + data["known"]
    inside = v @ [1.0, 2.0, 3.0] + np.exp(data["x"] * u[6:].reshape(2, 2)[1, 0]) * data["t"][:, 1]
    close(terms, -np.where(data["flag"], inside**2, 0.0).reshape(3, 7).sum(axis=1), 1e-12)


def test_a_group_of_one_row_has_differences_too():
    """They are masked, but jnp.max of nothing would be an error."""

    def density(p, rows, mask):
        jumps = jnp.where(mask[1:], jnp.abs(rows["y"][1:] - rows["y"][:-1]), 0.0)
        return -jnp.max(jumps) * p["k"]

    o = built(Model(density, {"k": Real()}, unit="g"), {"y": np.array([1.0, 4.0, 2.0]), "g": np.array([0, 0, 1])})
    close(o.objective.terms(np.ones(1)), [-3.0, 0.0], 1e-15)


def test_a_sample_of_groups_stands_for_all():
    rng = np.random.default_rng(1)
    codes = np.repeat(np.arange(40), 3)
    data = {"y": rng.normal(size=120), "x": rng.normal(size=120), "known": np.zeros(120), "town": codes}
    o = built(MODEL, data, chunk_rows=7).objective
    z = np.array([0.1, 0.2, 0.3, -0.1])
    assert o.can_sample is None
    chosen = np.array([39, 0, 7, 7, 20])
    value, gradient = o.sample(z, chosen)
    close(value, -8 * o.terms(z)[chosen].sum())
    close(gradient, -8 * o.scores(z)[chosen].sum(axis=0))


def test_a_glimpse_of_groups_compiles_nothing():
    rng = np.random.default_rng(1)
    n = 3 * 700
    codes = np.repeat(np.arange(700), 3)
    data = {"y": rng.normal(size=n), "x": rng.normal(size=n), "known": np.zeros(n), "town": codes}
    o = built(MODEL, data, chunk_rows=7).objective
    z = np.zeros(4)
    o.evaluate(z, "gradient")
    with runtime.Compilation() as compilation:
        few = o.glimpse().evaluate(z, "gradient")
    assert compilation.count == 0
    (part,) = o.glimpse().parts
    assert len(part.units) == 7 * (2048 // (7 * 3))
    close(few.value, -o.terms(z)[part.units].sum())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.pop("town"), "column 'town'"),
        (lambda d: d.update(town=np.where(np.arange(len(d["y"])) == 4, np.nan, 1.0)), r"'town' has 1 missing.*row 4"),
        (
            lambda d: d.update(town=np.array([None, *KEYS[np.ones(len(d["y"]) - 1, int)]], object)),
            "'town' has 1 missing",
        ),
        (lambda d: d.update(town=np.ones((len(d["y"]), 2))), "one label a row"),
    ],
)
def test_labels_of_groups_that_cannot_be_used(change, message: str):
    data, _ = ragged()
    change(data)
    with pytest.raises(DataError, match=message):
        built(MODEL, data)
    if "missing" in message:
        with pytest.raises(DataError, match=message):
            built(MODEL, data, missing="allow")


def test_weights_that_differ_inside_a_group_are_refused():
    data, groups = ragged()
    weights = np.ones(len(groups))
    weights[np.flatnonzero(data["town"] == "bergen")[5]] = 2.0
    with pytest.raises(DataError, match=r"same in all rows of one 'town'.*bergen"):
        built(MODEL, data, weights)


@pytest.mark.parametrize("unit", ["row", "g", "all"])
@pytest.mark.parametrize("value", [None, "text", (1.0, 2.0), "vector", "complex"])
def test_densities_that_return_no_number(unit: str, value: Any):
    def wrong(p, data, *mask):
        if value == "vector":
            return data["y"][..., None] * p["k"] * jnp.ones(2)
        return jnp.sum(data["y"]) * p["k"] * 1j if value == "complex" else value

    data = {"y": np.arange(4.0), "g": np.array([0, 0, 1, 1])}
    expected = "one term per row" if unit == "all" else "one observation must be"
    with pytest.raises(ModelError, match=expected):
        built(Model(wrong, {"k": Real()}, unit=unit), data)


# --- the whole data set -------------------------------------------------------------------------------------------------


def ar1(p: Mapping[str, Any], data: Mapping[str, Any]) -> Any:
    """Exact Gaussian AR(1) around a mean; the first term from the stationary distribution."""
    d = data["y"] - p["mean"]
    before = jnp.concatenate([jnp.zeros(1), d[:-1]])
    first = jnp.arange(d.shape[0]) == 0
    variance = jnp.where(first, p["sigma2"] / (1 - p["rho"] ** 2), p["sigma2"])
    return -0.5 * (jnp.log(2 * jnp.pi * variance) + (d - p["rho"] * before) ** 2 / variance)


AR1 = Model(ar1, {"mean": Real(), "rho": Interval(-1, 1), "sigma2": Positive()}, unit="all")


def ar1_by_covariance(y: np.ndarray, mean: np.ndarray | float, rho: float, sigma2: float) -> float:
    """The same log-likelihood from the covariance matrix of the whole series."""
    n = len(y)
    cov = sigma2 / (1 - rho**2) * rho ** np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    r = y - mean
    return -0.5 * (n * np.log(2 * np.pi) + np.linalg.slogdet(cov)[1] + r @ np.linalg.solve(cov, r))


def series(n: int = 150, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    y = np.zeros(n)
    for t in range(1, n):
        y[t] = 0.6 * y[t - 1] + rng.normal()
    return 5 + y


def test_a_series_has_its_exact_likelihood():
    y = series()
    o = built(AR1, {"y": y}, devices=2).objective
    assert o.placement.n_devices == 1
    f = lambda u: -ar1_by_covariance(y, u[0], np.tanh(u[1] / 2), np.exp(u[2]))
    u = np.array([4.5, 0.8, 0.3])
    z = o.to_z(u)
    e = o.evaluate(z)
    close(e.value, f(u), 1e-11)
    close(e.gradient, differences(f, u), 1e-7)
    close(e.matrix, differences(lambda u: o.evaluate(o.to_z(u), "gradient").gradient, u), 1e-7)
    terms, scores = o.terms(z), o.scores(z)
    assert terms.shape == (150,)
    close(terms.sum(), -e.value, 1e-13)
    close(scores.sum(axis=0), -e.gradient, 1e-12)
    close(scores, differences(lambda u: o.terms(o.to_z(u)), u).T, 1e-7)
    assert "depend on each other" in o.can_sample


def test_lake_huron(cases):
    """Against the verified reference: statsmodels' SARIMAX and others."""
    case = cases["ar1_lakehuron"]
    y = np.genfromtxt(SHARED / case["data_file"], delimiter=",", names=True)[case["response"]]
    fit = jm.fit(AR1, {"y": y}, start={"mean": float(y.mean()), "rho": 0.5}, progress=False)
    expected = case["expected"]
    assert fit.log_likelihood == pytest.approx(expected["loglik"], rel=1e-9)
    close(fit.coef["mean"], expected["params"]["mu"], 1e-6)
    close(fit.coef["rho"], expected["params"]["rho"], 1e-5)
    close(fit.coef["sigma2"], expected["params"]["sigma2"], 1e-5)
    assert fit.converged


def test_a_linear_predictor_offset_and_vectors_in_a_series():
    y, rng = series(), np.random.default_rng(1)
    x, known, many = rng.normal(size=150), rng.normal(size=150), rng.normal(size=(150, 2))
    seen = {}

    def density(p, data):
        seen.update(mean=p["mean"].shape, both=p["both"].shape, many=data["many"].shape)
        return ar1(p, data) - jnp.sum(p["both"] * data["many"], axis=1)

    params = {"mean": Linear([1, "x"], offset="known"), "both": Linear("x", shape=2), "rho": Interval(-1, 1)}
    o = built(
        Model(density, params | {"sigma2": Positive()}, unit="all"), {"y": y, "x": x, "known": known, "many": many}
    )
    o = o.objective
    assert not o.program.structured
    u = np.array([4.0, 0.5, 0.2, -0.1, 0.7, 0.2])

    def f(u):
        bilinear = np.sum(np.outer(x, u[2:4]) * many)
        return -ar1_by_covariance(y, u[0] + u[1] * x + known, np.tanh(u[4] / 2), np.exp(u[5])) + bilinear

    value, gradient = o.value_and_grad(o.to_z(u))
    close(value, f(u), 1e-11)
    close(gradient / o.scale, differences(f, u), 1e-7)
    assert seen == {"mean": (150,), "both": (150, 2), "many": (150, 2)}


def test_rows_of_weight_zero_stay_in_a_series():
    """A burn-in has no say but for what comes after it."""
    y = series(30)
    weights = np.ones(30)
    weights[:10] = 0.0
    o = built(AR1, {"y": y}, weights).objective
    full = built(AR1, {"y": y}).objective
    z = np.array([4.0, 0.5, 0.1])
    assert o.n_units == 30
    close(o.value(z), -full.terms(z)[10:].sum(), 1e-13)
    late = Model(lambda p, d: ar1(p, d) + jnp.where(jnp.arange(30) < 10, -jnp.inf, 0.0), AR1.params, unit="all")
    e = built(late, {"y": y}, weights).objective.evaluate(z)
    close(e.value, o.value(z), 1e-13)
    assert np.isfinite(e.gradient).all()


@pytest.mark.parametrize(
    "wrong", [lambda y: y.sum(), lambda y: y[1:], lambda y: jnp.stack([y, y]), lambda y: y[:, None]]
)
def test_a_series_must_return_one_term_per_row(wrong):
    model = Model(lambda p, d: wrong(d["y"] * p["k"]), {"k": Real()}, unit="all")
    with pytest.raises(ModelError, match=r"one term per row, shape \(20,\)"):
        built(model, {"y": series(20)})


def test_labels_of_clusters_by_unit():
    data, groups = ragged()
    b = built(MODEL, data)
    region = np.array(["north", "south"])[groups % 2]
    codes = b.source.unit_labels(region, Table.read(data))
    assert list(codes) == [g % 2 for g in range(len(SIZES))]
    with pytest.raises(DataError, match="same in all rows"):
        b.source.unit_labels(np.arange(len(groups)), Table.read(data))


def test_objectives_of_groups_are_equal_to_those_of_rows_where_groups_are_single_rows():
    rng = np.random.default_rng(3)
    data = {"y": rng.normal(size=25), "x": rng.normal(size=25), "g": np.arange(25)[::-1]}
    one = lambda p, row: -0.5 * ((row["y"] - p["m"]) / p["s"]) ** 2 - jnp.log(p["s"])
    params = {"m": Linear([1, "x"]), "s": Positive()}
    rows: Objective = built(Model(one, params), data).objective
    groups = built(Model(lambda p, r, mask: jnp.sum(jnp.where(mask, one(p, r), 0.0)), params, unit="g"), data).objective
    z = np.array([0.2, 0.1, -0.3])
    for a, b in zip(rows.evaluate(z), groups.evaluate(z)):
        close(b, a, 1e-13)
    close(groups.terms(z), rows.terms(z), 1e-13)

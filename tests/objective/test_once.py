"""What depends on the data alone is computed once: with the same numbers, by fewer steps, and never from other data."""

import re

import jax
import numpy as np
import pytest
from scipy import stats

import jaxmle as jm
from jaxmle.data.tables import Table
from jaxmle.objective import once, passes
from jaxmle.objective.build import build
from jaxmle.objective.rows import ONCE

N = 700
RNG = np.random.default_rng(8)
X = RNG.normal(size=N)
DATA = {
    "x": X,
    "count": RNG.poisson(np.exp(1.0 + 0.4 * X)).astype(float),
    "many": RNG.poisson(np.exp(5.0 + 0.4 * X)).astype(float),
    "trials": RNG.integers(5, 60, N).astype(float),
    "time": RNG.gamma(2.0, np.exp(0.3 * X)),
}
DATA["hits"] = RNG.binomial(DATA["trials"].astype(int), 1 / (1 + np.exp(-X))).astype(float)


def shifted(p, row):
    """The logarithm of what depends on a parameter is none of the data's."""
    return -0.5 * (row["time"] - p["loc"]) ** 2 - jax.numpy.log(1 + (row["x"] - p["loc"]) ** 2)


MODELS = {  # how many columns are computed: log y! and the logarithm of the count, and so on
    "poisson": (lambda: jm.poisson("count ~ x"), 2),
    "poisson of many": (lambda: jm.poisson("many ~ x"), 2),
    "binomial": (lambda: jm.binomial("hits ~ x", trials="trials"), 3),
    "negative binomial": (lambda: jm.negative_binomial("count ~ x"), 2),
    "gamma": (lambda: jm.gamma("time ~ x"), 1),
    "normal": (lambda: jm.normal("time ~ x"), 0),
    "own": (lambda: jm.Model(shifted, {"loc": jm.Real()}), 0),
}


def objective_of(model, monkeypatch, rows):
    monkeypatch.setattr(once, "MANY_ROWS", rows)
    return build(model, Table.read(DATA), weights=np.ones(N)).objective


@pytest.mark.parametrize("name", MODELS)
def test_the_numbers_are_those_of_the_density(name, monkeypatch):
    made, columns = MODELS[name]
    apart, whole = objective_of(made(), monkeypatch, 1), objective_of(made(), monkeypatch, 10**9)
    assert sum(c.startswith(ONCE) for c in apart.parts[0].data["columns"]) == columns
    z = np.full(apart.size, 0.3)
    a, b = apart.evaluate(z), whole.evaluate(z)
    assert a.value == pytest.approx(b.value, rel=1e-14)
    assert a.gradient == pytest.approx(b.gradient, rel=1e-11, abs=1e-11 * abs(b.gradient).max())
    assert a.matrix == pytest.approx(b.matrix, rel=1e-11, abs=1e-11 * abs(b.matrix).max())
    assert apart.scores(z) == pytest.approx(whole.scores(z), rel=1e-11, abs=1e-11)
    assert apart.terms(z) == pytest.approx(whole.terms(z), rel=1e-13, abs=1e-13)


def whole_steps(dtype, low=0, top=9):
    return np.arange(3000).astype(dtype) % dtype(top) + dtype(low)


@pytest.mark.parametrize(
    "columns",
    [
        {"y": whole_steps(np.float64)},
        {"y": whole_steps(np.float64, -4), "event": whole_steps(np.float64, 0, 2).astype(bool)},
        {"y": whole_steps(np.uint8, 200, 50), "z": whole_steps(np.int64, -7, 80)},
        {"y": np.zeros(3000)},
        {"y": whole_steps(np.float32, 3, 4096)},
    ],
    ids=["counts", "with truth values", "integers", "one value", "as many as there may be"],
)
def test_columns_of_few_whole_numbers_are_every_combination_of_them(columns):
    found = once._combinations(columns)
    assert found is not None
    distinct, of_row = found
    for name, column in columns.items():
        assert len(distinct[name]) == once.COMBINATIONS
        np.testing.assert_array_equal(distinct[name][of_row], column)


def late(value):
    y = whole_steps(np.float64)
    y[-1] = value
    return y


@pytest.mark.parametrize(
    "columns",
    [
        {"y": late(0.5)},
        {"y": late(5000.0)},
        {"y": late(1e300)},
        {"y": late(np.nan)},
        {"y": late(np.inf)},
        {"y": whole_steps(np.float64), "z": whole_steps(np.float64, 0, 1000)},
        {"y": whole_steps(np.float64).reshape(-1, 2)},
        {"y": np.linspace(0, 1, 3000)},
    ],
    ids=["a half", "a far one", "a huge one", "nan", "infinity", "too many pairs", "vectors", "fractions"],
)
def test_other_columns_have_none(columns):
    assert once._combinations(columns) is None


def test_the_density_is_that_of_scipy(monkeypatch):
    objective = objective_of(jm.poisson("many ~ x"), monkeypatch, 1)
    z = objective.to_z(np.array([4.9, 0.35]))
    expected = stats.poisson.logpmf(DATA["many"], np.exp(4.9 + 0.35 * X))
    assert objective.terms(z) == pytest.approx(expected, rel=1e-11)


def test_a_pass_has_no_step_that_was_taken_before(monkeypatch):
    """Of Poisson's pass, the only dear step that is left is one exponential a row."""

    def dear(objective):
        part = objective.parts[0]
        args = (np.zeros(objective.layout.size), {}, part.data, np.array([0, 1], np.int32))
        with jax.enable_x64(True):
            text = passes.evaluate.lower(objective.likelihood, "value", *args).as_text()
        return {word: len(re.findall(rf"\b{word}\b", text)) for word in ("stablehlo.log", "stablehlo.exponential")}

    apart = dear(objective_of(jm.poisson("count ~ x"), monkeypatch, 1))
    whole = dear(objective_of(jm.poisson("count ~ x"), monkeypatch, 10**9))
    assert apart["stablehlo.log"] == 0
    assert whole["stablehlo.log"] > 0
    assert apart["stablehlo.exponential"] == whole["stablehlo.exponential"] > 0


def test_other_responses_are_not_read_with_what_was_computed_of_the_first(monkeypatch):
    objective = objective_of(jm.poisson("count ~ x"), monkeypatch, 1)
    z = objective.to_z(np.array([0.8, 0.2]))
    other = DATA["count"] + 3.0
    expected = stats.poisson.logpmf(other, np.exp(0.8 + 0.2 * X))
    assert objective.with_columns({"count": other}).terms(z) == pytest.approx(expected, rel=1e-11)


def both_ways(monkeypatch, of):
    for rows in (1, 10**9):
        monkeypatch.setattr(once, "MANY_ROWS", rows)
        yield of()


def test_what_simulates_is_the_same(monkeypatch):
    """The parametric bootstrap puts other responses in place."""
    drawn = lambda: jm.fit(jm.poisson("count ~ x"), DATA, progress=False).bootstrap(5, kind="parametric", key=3).coef
    apart, whole = both_ways(monkeypatch, drawn)
    assert apart == pytest.approx(whole, rel=1e-8)


@pytest.mark.slow
def test_what_sums_over_all_counts_is_the_same(monkeypatch):
    """The expected information of counts puts every count in place."""
    model = jm.negative_binomial("count ~ x")
    apart, whole = both_ways(monkeypatch, lambda: jm.fit(model, DATA, progress=False).covariance("expected"))
    assert apart == pytest.approx(whole, rel=1e-8)

"""Separated data: found exactly, named, and never alleged; the estimates that exist are those of the limiting model."""

import time
import warnings

import numpy as np
import pytest
from scipy.optimize import linprog

import jaxmle as jm
from jaxmle.data.design import Design
from jaxmle.data.levels import Factor
from jaxmle.declare.catalogue import FAMILIES
from jaxmle.declare.combinators.inflated import hurdle
from jaxmle.declare.cones import ends
from jaxmle.infer.polyhedron import ray_of

from ..conftest import SHARED

F = FAMILIES


def fit(model, data, **settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", jm.FitWarning)
        return jm.fit(model, data, **settings)


def the_others_are_those_of(limit, f, of=lambda name: name):
    """Estimates and standard errors of the fit `f` that exist are those of `limit`, the fit of what remains."""
    assert limit.converged
    for name, value in limit.coef.items():
        se = limit.std_errors[name]
        assert f.coef[of(name)] == pytest.approx(value, abs=1e-5 * se)
        assert f.std_errors[of(name)] == pytest.approx(se, rel=1e-5)


@pytest.fixture(scope="module")
def groups():
    rng = np.random.default_rng(0)
    n = 240
    return {
        "g": np.array(list("ABCD"))[rng.integers(0, 4, n)],
        "x": rng.normal(size=n),
        "u": rng.uniform(size=n),
        "count": rng.poisson(2.0, size=n),
        "label": np.array(["p", "q", "r"])[rng.integers(0, 3, n)],
    }


def without(data, level):
    return {k: v[data["g"] != level] for k, v in data.items()}


# --- the reference cases ---------------------------------------------------------------------------------------------


def test_endometrial_cancer(cases):
    case = cases["separation_quasi_endometrial"]
    table = np.genfromtxt(f"{SHARED}/{case['data_file']}", delimiter=",", names=True)
    f = fit(F["bernoulli"]("HG ~ NV + PI + EH"), table)
    assert f.certificate.status == "no_finite_maximum"
    assert "Quasi-complete separation by NV: 13 of 79 rows" in f.certificate.reason
    assert "prob[NV] → +∞" in f.certificate.reason
    assert set(f.withheld) == {"prob[NV]"}
    assert f.withheld["prob[NV]"] == f.certificate.reason
    for name, value in case["expected"]["limit_params"].items():
        assert f.coef[f"prob[{name}]"] == pytest.approx(value, rel=1e-6)
    kept = fit(F["bernoulli"]("HG ~ PI + EH"), table[table["NV"] == 0])
    the_others_are_those_of(kept, f)


def test_iris(cases):
    case = cases["separation_complete_iris"]
    table = np.genfromtxt(f"{SHARED}/{case['data_file']}", delimiter=",", names=True)
    f = fit(F["bernoulli"]("y ~ petal_length + sepal_width"), table)
    assert f.certificate.status == "no_finite_maximum"
    assert f.certificate.reason.startswith("Complete separation by petal_length: it predicts every response")
    assert set(f.withheld) == {"prob[Intercept]", "prob[petal_length]", "prob[sepal_width]"}
    assert f.log_likelihood == pytest.approx(0.0, abs=1e-6)


# --- every kind of response --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("link", ["logit", "probit", "cloglog"])
def test_all_ones_within_a_level(groups, link):
    y = (groups["x"] + 2 * (groups["u"] - 0.5) > 0).astype(int)
    data = groups | {"y": np.where(groups["g"] == "B", 1, y)}
    f = fit(F["bernoulli"]("y ~ x + C(g)", link=link), data)
    n = int((data["g"] == "B").sum())
    assert (
        f"separation by C(g)[B]: {n} of 240 rows are predicted perfectly as prob[C(g)[B]] → +∞" in f.certificate.reason
    )
    assert set(f.withheld) == {"prob[C(g)[B]]"}
    the_others_are_those_of(fit(F["bernoulli"]("y ~ x + C(g)", link=link), without(data, "B")), f)


@pytest.mark.parametrize("family", ["poisson", "negative_binomial", "geometric"])
def test_counts_that_are_zero_within_a_level(groups, family):
    data = groups | {"y": np.where(groups["g"] == "C", 0, groups["count"])}
    if family == "negative_binomial":
        data["y"] = data["y"] * np.where(groups["u"] < 0.5, 1, 3)
    f = fit(F[family]("y ~ x + C(g)"), data)
    first = next(iter(f.coef)).split("[")[0]
    sign = "+" if family == "geometric" else "−"
    assert "separation by C(g)[C]" in f.certificate.reason
    assert f"{first}[C(g)[C]] → {sign}∞" in f.certificate.reason
    assert set(f.withheld) == {f"{first}[C(g)[C]]"}
    the_others_are_those_of(fit(F[family]("y ~ x + C(g)"), without(data, "C")), f)


def test_trials_that_all_succeed_within_a_level(groups):
    successes = np.where(groups["g"] == "D", 4, np.minimum(groups["count"], 4))
    f = fit(F["binomial"]("s ~ x + C(g)", trials="t"), groups | {"s": successes, "t": np.full(240, 4)})
    assert set(f.withheld) == {"prob[C(g)[D]]"}
    assert "prob[C(g)[D]] → +∞" in f.certificate.reason


def test_a_label_that_never_occurs_within_a_level(groups):
    label = np.where((groups["g"] == "B") & (groups["label"] == "q"), "p", groups["label"])
    f = fit(F["categorical"]("y ~ x + C(g)"), groups | {"y": label})
    assert set(f.withheld) == {"logits.q[C(g)[B]]"}
    assert "logits.q[C(g)[B]] → −∞" in f.certificate.reason
    assert "never occur" in f.certificate.reason


def test_ordered_labels(groups):
    level = np.clip(np.round(groups["x"] + groups["u"]), -1, 1).astype(int)
    f = fit(F["ordinal"]("y ~ x + C(g)"), groups | {"y": np.where(groups["g"] == "B", 1, level)})
    assert set(f.withheld) == {"location[C(g)[B]]"}
    exact = fit(F["ordinal"]("y ~ x"), {"x": groups["x"], "y": np.clip(np.round(groups["x"]), -1, 1)})
    assert exact.certificate.reason.startswith("Complete separation by x")
    assert set(exact.withheld) == {"location[x]", "cutpoints[0]", "cutpoints[1]"}


def test_choices():
    rng = np.random.default_rng(1)
    chosen = (np.arange(240) % 3 == np.repeat(rng.integers(0, 3, 80), 3)).astype(int)
    data = {"chosen": chosen, "x": rng.normal(size=240), "who": np.repeat(np.arange(80), 3)}
    data["sign"] = ((rng.uniform(size=240) < 0.3) & (chosen == 1)).astype(float)
    f = fit(F["conditional_logit"]("chosen ~ x + sign", group="who"), data)
    assert set(f.withheld) == {"utility[sign]"}
    assert "separation by sign" in f.certificate.reason


def test_both_parts_of_a_hurdle(groups):
    y = np.where(groups["g"] == "B", 1, groups["count"] * (groups["u"] < 0.8))
    f = fit(hurdle(F["poisson"]("y ~ x + C(g)"), zero="~ x + C(g)"), groups | {"y": y})
    assert set(f.withheld) == {"rate[C(g)[B]]", "zero[C(g)[B]]"}


def test_a_factor_of_codes_is_seen_like_a_formula(groups):
    """Levels kept as codes enter the linear program as the columns that they stand for."""
    from types import SimpleNamespace

    codes = np.unique(groups["g"], return_inverse=True)[1].astype(np.int32) - 1
    design = Design(("Intercept", "B", "C", "D", "x"), np.stack([np.ones(240), groups["x"]], 1), (Factor(codes, 1, 3),))
    assert design.dense == (0, 4)
    y = np.where(groups["g"] == "C", 0, groups["count"])
    from jaxmle.declare.links import LINKS
    from jaxmle.infer.separation import System

    block = SimpleNamespace(
        name="rate", is_linear=True, elementwise=True, terms=design.names, design=0, start=0, stop=5,
        parameter=SimpleNamespace(n_outputs=1, link=LINKS["log"]),
    )  # fmt: skip
    layout = SimpleNamespace(blocks=(block,), linears=(block,), size=5)
    objective = SimpleNamespace(layout=layout, free=np.arange(5), owners=np.zeros(5, int), scale=np.ones(5))
    source = SimpleNamespace(designs=(design,), groups=None)
    cones = ends("rate", y == 0, np.zeros(240, bool), (0.0, np.inf))
    system = System.of(objective, source, cones, np.zeros(5))
    ray = ray_of(system.blocks, system.scale, np.zeros(5), 10**7, None)
    np.testing.assert_array_equal(ray.involved(), [2])
    assert ray.sign(ray.basis[:, 0]) * np.sign(ray.basis[2, 0]) == -1


# --- no false alarm ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("overlap", [1e-2, 1e-5])
def test_data_separable_but_for_one_row_are_not_accused(overlap):
    rng = np.random.default_rng(2)
    x = np.sort(np.concatenate([rng.uniform(-2, -0.1, 60), rng.uniform(0.1, 2, 60), [0.0, overlap]]))
    y = (np.arange(122) > 60).astype(int)
    y[60], y[61] = 1, 0
    f = fit(F["bernoulli"]("y ~ x"), {"x": x, "y": y})
    assert f.converged, f.certificate.reason
    assert not f.withheld


def test_a_hair_apart_is_separated_and_a_hair_across_is_not():
    def verdict(gap):
        x = np.array([-2.0, -1.0, 0.0, gap, 1.0, 2.0])
        y = np.array([0, 0, 0, 1, 1, 1])
        return ray(np.stack([np.ones(6), x], 1), y).n_touched > 0

    assert verdict(1e-6)
    assert verdict(0.0)  # a tie is quasi-complete separation
    assert not verdict(-1e-6)


def test_large_slopes_that_are_finite():
    """A level with one failure in 4,000 trials: rare, and known."""
    x = np.repeat([0.0, 1.0], 4000)
    y = np.concatenate([np.arange(4000) % 2, np.ones(4000)]).astype(int)
    y[-1] = 0
    f = fit(F["bernoulli"]("y ~ x"), {"x": x, "y": y})
    assert f.converged
    assert f.coef["prob[x]"] == pytest.approx(np.log(3999), abs=1e-6)


# --- the linear program against brute force --------------------------------------------------------------------------


def ray(x, y):
    from scipy import sparse

    signs = np.where(y == 1, 1.0, -1.0)
    matrix = sparse.csr_array(signs[:, None] * x)
    blocks = lambda: [(matrix, np.arange(len(y)), False)]
    return ray_of(blocks, np.abs(x).max(axis=0), np.zeros(x.shape[1]), 10**7, None)


def brute_force(x, y):
    """Which coefficients have no finite estimate: one linear program for each row, and ranks (Konis, 2007)."""
    a = np.where(y == 1, 1.0, -1.0)[:, None] * x
    strict = [linprog(-row, A_ub=-a, b_ub=np.zeros(len(a)), bounds=(-1, 1)).fun < -1e-7 for row in a]
    rest = a[~np.array(strict)]
    if not any(strict):
        return set()
    null = np.linalg.svd(rest)[2][np.linalg.matrix_rank(rest) :] if len(rest) else np.eye(x.shape[1])
    return set(np.flatnonzero((np.abs(null) > 1e-9).any(axis=0)).tolist())


@pytest.mark.parametrize("seed", range(40))
def test_random_data_against_brute_force(seed):
    rng = np.random.default_rng(seed)
    n, p = int(rng.integers(6, 25)), int(rng.integers(1, 4))
    x = np.concatenate([np.ones((n, 1)), rng.integers(-2, 3, (n, p))], axis=1).astype(float)
    x = x[:, [0, *(j for j in range(1, p + 1) if np.ptp(x[:, j]) > 0)]]
    if np.linalg.matrix_rank(x) < x.shape[1]:
        x = x[:, :1]
    y = (x @ rng.normal(size=x.shape[1]) + rng.normal(size=n) * rng.choice([0.0, 0.3, 2.0]) > 0).astype(int)
    found = ray(x, y)
    assert set(found.involved().tolist()) == brute_force(x, y)


def test_many_rows_do_not_hang():
    """300,000 rows that are separated but for two, and a rare level that is separated: seconds, not minutes."""
    rng = np.random.default_rng(3)
    n = 300_000
    x = rng.normal(size=n)
    rare = (np.arange(n) >= n - 20).astype(float)
    y = (x > 0).astype(int)
    y[:2] = 1 - y[:2]
    design = np.stack([np.ones(n), x, rng.normal(size=n), rare], 1)
    y[-20:] = 1
    start = time.perf_counter()
    found = ray(design, y)
    assert time.perf_counter() - start < 60
    np.testing.assert_array_equal(found.involved(), [3])


# --- arguments ---------------------------------------------------------------------------------------------------------


def test_a_log_link_reaches_one_end_only():
    """With P(Y = 1) = exp(η) a response of 1 holds η back; only zeros let it go."""
    x = np.repeat([0.0, 1.0], 30)
    y = np.concatenate([np.arange(30) % 2, np.zeros(30)]).astype(int)
    f = fit(F["bernoulli"]("y ~ x", link="log"), {"x": x, "y": y})
    assert "prob[x] → −∞" in f.certificate.reason


def test_a_held_coefficient_is_not_asked(groups):
    data = groups | {"y": np.where(groups["g"] == "C", 0, groups["count"])}
    f = fit(F["poisson"]("y ~ x + C(g)"), data, fixed={"rate[C(g)[C]]": -3.0})
    assert f.converged

"""Tests of goodness of fit against scipy, against counting, and against published critical values."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import jaxmle as jm
from jaxmle.infer import goodness_of_fit, predict, replicates
from jaxmle.objective.replicas import terms_of_replicas

N = 50
RNG = np.random.default_rng(12)
DATA = {"x": RNG.normal(size=N), "y": RNG.normal(2.0, 3.0, N), "t": RNG.exponential(2.0, N)}
DATA["c"] = RNG.negative_binomial(1.0, 0.3, N)
DATA["n"] = np.full(N, 12)
DATA["s"] = RNG.binomial(12, 0.4, N)


@pytest.fixture(scope="module")
def normal():
    fit = jm.fit(jm.normal("y"), DATA)
    return fit, fit.goodness_of_fit(1000)


def anderson(f):
    """A² by its definition, from F at the sorted values."""
    i = np.arange(1, len(f) + 1)
    return -len(f) - np.mean((2 * i - 1) * (np.log(f) + np.log1p(-f[::-1])))


def test_distances_are_those_of_the_sample(normal):
    _, found = normal
    fitted = stats.norm(DATA["y"].mean(), DATA["y"].std())
    assert found.statistic["ks"] == pytest.approx(stats.kstest(DATA["y"], fitted.cdf).statistic, abs=1e-7)
    assert found.statistic["ad"] == pytest.approx(anderson(fitted.cdf(np.sort(DATA["y"]))), abs=1e-6)


def modified(found, n, family):
    """5 % points of A² and D, in the form in which they are tabulated for parameters that were estimated.

    Stephens, in D'Agostino and Stephens (1986, Goodness-of-Fit Techniques), tables 4.7 (normal) and 4.11 (exponential).
    """
    a, d = found.critical_value("ad"), found.critical_value("ks")
    if family == "normal":
        return a * (1 + 0.75 / n + 2.25 / n**2), d * (np.sqrt(n) - 0.01 + 0.85 / np.sqrt(n))
    return a * (1 + 0.6 / n), (d - 0.2 / n) * (np.sqrt(n) + 0.26 + 0.5 / np.sqrt(n))


TABLES = {"normal": (0.752, 0.895), "exponential": (1.321, 1.094)}
MODELS = {"normal": jm.normal("y"), "exponential": jm.exponential("t")}


def test_critical_values_are_near_the_published_ones(normal):
    """With 1,000 data sets the 5 % points have standard errors of about 0.025 and 0.012."""
    a, d = modified(normal[1], N, "normal")
    assert a == pytest.approx(TABLES["normal"][0], abs=0.08)
    assert d == pytest.approx(TABLES["normal"][1], abs=0.04)


@pytest.mark.slow
@pytest.mark.parametrize("family", MODELS)
def test_critical_values_are_the_published_ones(family):
    found = jm.fit(MODELS[family], DATA).goodness_of_fit(40_000, key=3)
    assert modified(found, N, family) == pytest.approx(TABLES[family], rel=0.02)


@pytest.mark.slow
def test_p_values_are_uniform_under_the_model_and_small_under_another():
    rng = np.random.default_rng(2)
    right = [jm.fit(MODELS["normal"], {"y": rng.normal(size=25)}).goodness_of_fit(200, key=i) for i in range(150)]
    for name in ("ks", "ad"):
        assert stats.kstest([g.p_value[name] for g in right], "uniform").pvalue > 0.01
    wrong = jm.fit(MODELS["normal"], {"y": rng.exponential(size=60)}).goodness_of_fit(200)
    assert wrong.p_value["ad"] < 0.02


def test_counts_have_a_chi_squared(normal):
    """By hand: cells from the left with five or more expected, as many beyond."""
    fit = jm.fit(jm.poisson("c"), DATA)
    found = fit.goodness_of_fit(200)
    rate = stats.poisson(DATA["c"].mean())
    edges, last = [], -1
    for edge in range(1, DATA["c"].max() + 1):
        if N * (rate.cdf(edge - 1) - rate.cdf(last)) >= 5 and N * rate.sf(edge - 1) >= 5:
            edges.append(edge)
            last = edge - 1
    assert found.n_cells == len(edges) + 1
    expected = N * np.diff([0, *rate.cdf(np.array(edges) - 1), 1])
    observed = np.diff([0, *[np.sum(DATA["c"] < e) for e in edges], N])
    assert found.statistic["chi2"] == pytest.approx(np.sum((observed - expected) ** 2 / expected), abs=1e-6)
    assert all(p < 0.02 for p in found.p_value.values())  # geometric counts
    assert "chi2" not in normal[1].p_value


@pytest.mark.parametrize(
    "model", [jm.poisson("c ~ x"), jm.negative_binomial("c"), jm.binomial("s ~ x", trials="n")], ids=str
)
def test_cells_are_the_same_by_probabilities_and_by_distribution_functions(model, monkeypatch):
    fit = jm.fit(model, DATA)
    added = fit.goodness_of_fit(30)
    monkeypatch.setattr(goodness_of_fit, "PROBABILITIES", 0)
    differences = fit.goodness_of_fit(30)
    assert added.statistic["chi2"] == pytest.approx(differences.statistic["chi2"], rel=1e-9)
    np.testing.assert_allclose(added.simulated["chi2"], differences.simulated["chi2"], rtol=1e-9)


def test_page_by_page_the_distances_are_the_same(monkeypatch):
    """Of a thousand data sets of many rows, a few are in memory at once; the data themselves count once."""
    fit = jm.fit(jm.normal("y ~ x"), DATA)
    monkeypatch.setattr(predict, "ROWS_AT_ONCE", 4 * N)
    whole = fit.goodness_of_fit(30, key=2)
    monkeypatch.setattr(replicates, "NUMBERS", 8 * N)
    paged = fit.goodness_of_fit(30, key=2)
    assert paged.n == whole.n == 30
    for name in ("ks", "ad"):
        assert paged.statistic[name] == pytest.approx(whole.statistic[name], rel=1e-9)
        np.testing.assert_allclose(paged.simulated[name], whole.simulated[name], rtol=1e-6)


def test_the_chi_squared_has_a_degree_of_freedom_less_for_each_parameter():
    """Grouped likelihood would lose exactly one; with the ungrouped estimate its law lies just above (Chernoff and
    Lehmann, 1954)."""
    data = {"c": np.random.default_rng(7).poisson(3.0, 200)}
    found = jm.fit(jm.poisson("c"), data).goodness_of_fit(1000)
    df = found.n_cells - 1
    low, high = stats.chi2(df - 1).ppf(0.95), stats.chi2(df).ppf(0.95)
    assert low - 1.0 < found.critical_value("chi2") < high + 1.0


def test_trials_are_known_in_each_data_set():
    found = jm.fit(jm.binomial("s", trials="n"), DATA).goodness_of_fit(100)
    assert min(found.p_value.values()) > 0.01


def test_a_p_value_counts_and_says_its_error(normal):
    fit, found = normal
    worse = np.sum(found.simulated["ad"] >= found.statistic["ad"])
    p = (1 + worse) / 1001
    assert found.p_value["ad"] == pytest.approx(p)
    assert found.p_value_error["ad"] == pytest.approx(np.sqrt(p * (1 - p) / 1000))
    assert found.n == 1000
    assert f"{p:.3f} ± {found.p_value_error['ad']:.3f}" in repr(found)
    assert found.tidy()["p_value"].tolist() == list(found.p_value.values())
    again, other = fit.goodness_of_fit(50, key=1), fit.goodness_of_fit(50, key=2)
    assert again.simulated["ad"].tolist() == fit.goodness_of_fit(50, key=1).simulated["ad"].tolist()
    assert again.simulated["ad"].tolist() != other.simulated["ad"].tolist()


def test_log_densities_of_replicas_are_those_of_each():
    fit = jm.fit(jm.normal("y ~ x"), DATA)
    objective = fit.session.objective
    z = fit.session.z + np.array([[0.0, 0.0, 0.0], [0.1, -0.2, 0.3]])
    y = np.stack([DATA["y"], DATA["y"][::-1]])
    found = terms_of_replicas(objective, np.stack([objective.to_u(v) for v in z]), {"y": y})
    for i in range(2):
        p = objective.natural(z[i])[0]
        mean = p["mean"][0] + p["mean"][1] * DATA["x"]
        np.testing.assert_allclose(found[i], stats.norm(mean, p["sd"]).logpdf(y[i]), rtol=1e-10)


REFUSED = {
    "few": (jm.normal("y"), {"n": 3}, "n must be"),
    "text": (jm.normal("y"), {"n": "100"}, "n must be"),
    "seed": (jm.normal("y"), {"key": -1}, "key must be"),
    "labels": (jm.categorical("n"), {}, "one number"),
    "censored": (jm.censored(jm.exponential("t"), high=2.0), {}, "censored is unknown"),
    "alone": (jm.Model(lambda p, row: -jnp.square(row["y"] - p["m"]), {"m": jm.Real()}), {}, "made of a family"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_such_test_is_refused(name):
    model, arguments, words = REFUSED[name]
    data = DATA | {"n": np.tile([0, 1], N // 2)}
    with pytest.raises(jm.ModelError, match=words):
        jm.fit(model, data).goodness_of_fit(**arguments)


def test_binary_and_weighted_responses_are_refused():
    with pytest.raises(jm.ModelError, match="binary"):
        jm.fit(jm.bernoulli("b"), {"b": [0, 1, 1, 0, 1]}).goodness_of_fit()
    with pytest.raises(jm.ModelError, match="weight one"):
        jm.fit(jm.normal("y"), DATA, weights=np.full(N, 2.0)).goodness_of_fit()

"""Vuong's tests, the information matrix test and tables of criteria: published values, closed forms, and NumPy."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import chi2

import jaxmle as jm

from ..conftest import SHARED

RNG = np.random.default_rng(12)
COUNTS = np.repeat(np.arange(8.0), [30, 31, 20, 12, 10, 4, 2, 1])
SAMPLE = RNG.gamma(3.0, 1.0, 120)


@pytest.fixture(scope="module")
def poisson():
    return jm.fit(jm.poisson("y"), {"y": COUNTS})


@pytest.fixture(scope="module")
def geometric():
    return jm.fit(jm.geometric("y"), {"y": COUNTS})


@pytest.fixture(scope="module")
def normal():
    return jm.fit(jm.normal("y"), {"y": SAMPLE})


def tail_of_two(x, weights):
    """P(a X² + b Y² > x): by the angle of (X, Y), the radius integrated out; a mean over equal steps is exact."""
    angle = 2 * np.pi * np.arange(4000) / 4000
    a, b = weights
    return np.exp(-0.5 * x / (a * np.cos(angle) ** 2 + b * np.sin(angle) ** 2)).mean()


def test_vuong_of_poisson_and_geometric_by_hand(poisson, geometric):
    """Both have mean ȳ; scores and Hessians in it in closed form, W of Vuong (1989, 3.6) two by two."""
    y, n, m = COUNTS, len(COUNTS), COUNTS.mean()
    found = jm.vuong_test(poisson, geometric)
    log_factorial = np.array([np.log(np.arange(1, k + 1)).sum() for k in y.astype(int)])
    gaps = y * np.log(m) - m - log_factorial - (y * np.log(m) - (y + 1) * np.log1p(m))
    variance = gaps.var()
    assert found.statistic == pytest.approx(gaps.sum() / np.sqrt(n * variance), rel=1e-8)
    assert found.variance == pytest.approx(variance, rel=1e-8)
    s, t = y / m - 1, y / m - (y + 1) / (1 + m)
    a, b = -np.mean(y / m**2), -np.mean(y / m**2 - (y + 1) / (1 + m) ** 2)
    w = np.array([[-(s @ s) / a, -(s @ t) / b], [(s @ t) / a, (t @ t) / b]]) / n
    squares = np.linalg.eigvals(w).real ** 2
    assert found.p_value_same == pytest.approx(tail_of_two(n * variance, squares), abs=1e-9)
    back = jm.vuong_test(geometric, poisson)
    assert (back.statistic, back.p_value_same) == (pytest.approx(-found.statistic), pytest.approx(found.p_value_same))
    assert jm.vuong_test(poisson, geometric, "aic").statistic == pytest.approx(found.statistic)  # one parameter each


def test_vuong_counts_frequencies(poisson, geometric):
    values, times = np.unique(COUNTS, return_counts=True)
    data = {"y": values, "times": times}
    few = [jm.fit(m, data, weights="times") for m in (jm.poisson("y"), jm.geometric("y"))]
    found, whole = jm.vuong_test(*few), jm.vuong_test(poisson, geometric)
    for name in ("statistic", "variance", "p_value_same", "difference"):
        assert getattr(found, name) == pytest.approx(getattr(whole, name), rel=1e-6), name


@pytest.mark.skipif(not SHARED.exists(), reason="the reference cases are not part of this repository")
def test_the_publications_of_biochemists():
    """Long, 1997, Regression Models for Categorical and Limited Dependent Variables, section 8.5: V = 4.18 of the
    zero-inflated Poisson against Poisson; with divisor n − 1 as there and in pscl::vuong."""
    data = np.genfromtxt(SHARED / "biochemists.csv", delimiter=",", names=True)
    x = "~ fem + mar + kid5 + phd + ment"
    plain = jm.fit(jm.poisson("art " + x), data)
    inflated = jm.fit(jm.zero_inflated(jm.poisson("art " + x), zero=x), data)
    found, n = jm.vuong_test(inflated, plain), len(data)
    assert found.statistic * np.sqrt((n - 1) / n) == pytest.approx(4.18, abs=0.005)
    assert found.better == 0
    assert "is closer to the truth" in str(found)
    k, gap = 6, found.difference
    for correction, penalty in (("aic", k), ("bic", k * np.log(n) / 2)):
        expected = (gap - penalty) / np.sqrt(n * found.variance)
        assert jm.vuong_test(inflated, plain, correction).statistic == pytest.approx(expected, rel=1e-9)


def test_a_model_is_not_told_from_itself(poisson):
    found = jm.vuong_test(poisson, poisson)
    assert (found.statistic, found.p_value, found.p_value_same, found.better) == (0.0, 1.0, 1.0, None)
    assert "cannot tell the two apart" in str(found)


def opg_test(scores, indicators):
    x, ones = np.column_stack([scores, indicators]), np.ones(len(scores))
    return ones @ x @ np.linalg.lstsq(x, ones, rcond=None)[0]


def test_the_information_matrix_test_of_a_normal_sample(normal):
    """Its indicators are z² − 1, z³ − 3z and z⁴ − 5z² + 2: two that are new, of skewness and kurtosis (Hall, 1987)."""
    z = (SAMPLE - SAMPLE.mean()) / SAMPLE.std()
    found = jm.information_matrix_test(normal)
    expected = opg_test(np.column_stack([z, z**2 - 1]), np.column_stack([z**3 - 3 * z, z**4 - 5 * z**2 + 2]))
    assert (found.statistic, found.df) == (pytest.approx(expected, rel=1e-6), 2)
    assert found.p_value == pytest.approx(chi2.sf(expected, 2), rel=1e-5)
    assert found.redundant == (("mean", "mean"),)
    assert "redundant, and left out: mean²" in str(found)
    spread = jm.information_matrix_test(normal, names=["sd"])
    expected = opg_test(np.column_stack([z, z**2 - 1]), z**4 - 5 * z**2 + 2)
    assert (spread.statistic, spread.df) == (pytest.approx(expected, rel=1e-6), 1)


def test_the_information_matrix_test_of_counts(poisson):
    """Of a Poisson sample the indicator is (y − ȳ)² − ȳ, whose mean is the variance less the mean."""
    away = COUNTS - COUNTS.mean()
    expected = opg_test(away, away**2 - COUNTS.mean())
    assert jm.information_matrix_test(poisson).statistic == pytest.approx(expected, rel=1e-6)
    values, times = np.unique(COUNTS, return_counts=True)
    few = jm.fit(jm.poisson("y"), {"y": values, "times": times}, weights="times")
    assert jm.information_matrix_test(few).statistic == pytest.approx(expected, rel=1e-6)


def test_the_information_matrix_test_of_a_density_does_not_depend_on_its_parameters(normal):
    """A density of one's own, by the precision and not the standard deviation, with nothing known of its structure."""

    def density(p, row):
        return 0.5 * jnp.log(p["precision"]) - 0.5 * p["precision"] * (row["y"] - p["mean"]) ** 2

    own = jm.fit(jm.Model(density, {"mean": jm.Real(), "precision": jm.Positive()}), {"y": SAMPLE})
    expected = jm.information_matrix_test(normal).statistic
    assert jm.information_matrix_test(own).statistic == pytest.approx(expected, rel=1e-6)


def test_the_information_matrix_test_of_a_regression():
    """Poisson with covariates: scores (y − μ)x, indicators ((y − μ)² − μ) x xᵀ; those of a dummy are twice there."""
    x, d = RNG.normal(size=200), np.arange(200) % 2
    y = RNG.poisson(np.exp(0.5 + 0.3 * x))
    fit = jm.fit(jm.poisson("y ~ x + d"), {"y": y, "x": x, "d": d})
    design = np.column_stack([np.ones(200), x, d])
    mu = np.exp(design @ np.array(list(fit.coef.values())))
    pairs = [design[:, i] * design[:, j] for i, j in ((0, 0), (0, 1), (1, 1), (0, 2), (1, 2))]
    expected = opg_test((y - mu)[:, None] * design, ((y - mu) ** 2 - mu)[:, None] * np.column_stack(pairs))
    found = jm.information_matrix_test(fit)
    assert (found.statistic, found.df) == (pytest.approx(expected, rel=1e-6), 5)
    assert found.redundant == (("rate[d]", "rate[d]"),)


def test_criteria_in_closed_form(poisson, normal):
    """trace(J⁻¹K) is variance over mean for Poisson, and 1 + (kurtosis − 1)/2 for a normal sample."""
    assert poisson.tic == pytest.approx(-2 * poisson.log_likelihood + 2 * COUNTS.var() / COUNTS.mean(), rel=1e-9)
    z = (SAMPLE - SAMPLE.mean()) / SAMPLE.std()
    assert normal.tic == pytest.approx(-2 * normal.log_likelihood + 2 + (z**4).mean() - 1, rel=1e-9)
    assert normal.aicc == pytest.approx(normal.aic + 2 * 2 * 3 / (120 - 3))
    few = jm.fit(jm.normal("y"), {"y": SAMPLE[:3]})
    assert few.aicc == np.inf


def test_a_table_of_fits(poisson, geometric):
    third = jm.fit(jm.poisson("y ~ x"), {"y": COUNTS, "x": np.cos(np.arange(len(COUNTS)))})
    found = jm.compare(poisson, geometric, third)
    by_hand = np.array([-2 * f.log_likelihood + 2 * f.df for f in (poisson, geometric, third)])
    np.testing.assert_allclose(found.aic, np.sort(by_hand))
    share = np.exp(-0.5 * (np.sort(by_hand) - by_hand.min()))
    np.testing.assert_allclose(found.weights, share / share.sum())
    np.testing.assert_allclose(found.delta, np.sort(by_hand) - by_hand.min())
    named = jm.compare({"a": poisson, "b": geometric}, by="bic")
    assert set(named.names) == {"a", "b"}
    assert named.tidy()["delta"][0] == 0
    assert str(named).splitlines()[0] == "2 fits of 110 observations, best first by BIC"
    loaded = jm.compare(poisson.without_data(), geometric)
    assert np.isnan(loaded.tic[loaded.names.index("Poisson")])


def test_what_cannot_be_compared(poisson, geometric, normal):
    logged = {"y": np.log(SAMPLE)}
    part = jm.fit(jm.poisson("y"), {"y": COUNTS[:-1]})
    sampled = jm.fit(jm.poisson("y"), {"y": COUNTS}, probability_weights=np.ones(len(COUNTS)))
    ridge = jm.fit(jm.poisson("y ~ x"), {"y": COUNTS, "x": np.sin(COUNTS)}, penalty=jm.Ridge(1.0))
    for fits, message in (
        ((poisson,), "two fits or more"),
        ((poisson, 3), "A Fit is needed"),
        ((poisson, part), "110 and 109 observations"),
        ((normal, jm.fit(jm.normal("y"), logged)), "different responses in rows 0, 1"),
        ((poisson, sampled), "Sampling weights"),
        ((poisson, ridge), "no likelihood at its maximum"),
    ):
        with pytest.raises(jm.ModelError, match=message):
            jm.compare(*fits)
        if len(fits) == 2:
            with pytest.raises(jm.ModelError, match=message):
                jm.vuong_test(*fits)
    with pytest.raises(jm.ModelError, match="by must be one of"):
        jm.compare(poisson, geometric, by="dic")
    with pytest.raises(jm.ModelError, match="correction must be"):
        jm.vuong_test(poisson, geometric, "hqc")
    for ask in (jm.information_matrix_test, lambda fit: fit.tic, lambda fit: jm.vuong_test(fit, geometric)):
        with pytest.raises(jm.ModelError, match="loaded fit"):
            ask(poisson.without_data())
    with pytest.raises(jm.ModelError, match="no coefficient 'foo'"):
        jm.information_matrix_test(normal, names=["foo"])
    tiny = jm.fit(jm.normal("y"), {"y": SAMPLE[:5]})
    with pytest.raises(jm.ModelError, match="too many for 5 observations"):
        jm.information_matrix_test(tiny)

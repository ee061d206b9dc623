"""Deviance, Pearson's statistic, residuals and pseudo-R², against their definitions and R."""

import numpy as np
import pytest
from scipy import stats

import jaxmle as jm

# Dobson (1990), the first example of R's ?glm: counts of 3 treatments by 3 outcomes, and what R 4.2 prints of
# glm(counts ~ outcome + treatment, family = poisson())
COUNTS = [18, 17, 15, 20, 10, 20, 25, 13, 12]
DOBSON = {"counts": COUNTS, "outcome": list("123" * 3), "treatment": list("111222333")}


@pytest.fixture(scope="module")
def dobson():
    return jm.fit(jm.poisson("counts ~ C(outcome) + C(treatment)"), DOBSON)


def test_dobson_as_r_prints_it(dobson):
    coef = list(dobson.coef.values())
    np.testing.assert_allclose(coef[:3], [3.045, -0.4543, -0.2930], atol=5e-4)
    assert dobson.deviance == pytest.approx(5.1291, abs=5e-5)
    assert dobson.null.deviance == pytest.approx(10.5814, abs=5e-5)
    assert dobson.aic == pytest.approx(56.76, abs=5e-3)
    assert dobson.pearson_statistic == pytest.approx(5.17320, abs=5e-5)  # sum(residuals(glm, "pearson")^2)


def test_residuals_by_their_definitions(dobson):
    mu, y = dobson.predict(), np.array(COUNTS)
    np.testing.assert_allclose(dobson.residuals(), y - mu, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(dobson.residuals("pearson"), (y - mu) / np.sqrt(mu), rtol=1e-9, atol=1e-10)
    unit = 2 * (y * np.log(y / mu) - (y - mu))
    np.testing.assert_allclose(dobson.residuals("deviance"), np.sign(y - mu) * np.sqrt(unit), rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(dobson.residuals("working"), (y - mu) / mu, rtol=1e-9, atol=1e-10)
    assert np.sum(dobson.residuals("deviance") ** 2) == pytest.approx(dobson.deviance)


def test_quantile_residuals_lie_between_their_limits(dobson):
    mu, y = dobson.predict(), np.array(COUNTS)
    low, high = stats.norm.ppf(stats.poisson.cdf(y - 1, mu)), stats.norm.ppf(stats.poisson.cdf(y, mu))
    for key in range(3):
        r = dobson.residuals("quantile", key=key)
        assert ((low <= r) & (r <= high)).all()
    assert (dobson.residuals("quantile", key=0) != dobson.residuals("quantile", key=1)).any()


def test_quantile_residuals_of_a_normal_are_standardised_residuals_however_far_out():
    rng = np.random.default_rng(0)
    y = rng.normal(size=200)
    y[0] = 1e3
    fit = jm.fit(jm.normal("y", sd=30.0), {"y": y})
    np.testing.assert_allclose(fit.residuals("quantile"), (y - fit.coef["mean"]) / 30.0, rtol=1e-8)


def test_quantile_residuals_of_a_right_model_are_standard_normal():
    rng = np.random.default_rng(1)
    x = rng.normal(size=2000)
    fit = jm.fit(jm.poisson("y ~ x"), {"y": rng.poisson(np.exp(0.5 * x)), "x": x})
    assert stats.kstest(fit.residuals("quantile"), "norm").pvalue > 1e-3


def test_the_deviance_of_a_normal_is_its_residual_sum_of_squares():
    rng = np.random.default_rng(2)
    x, w = rng.normal(size=50), rng.integers(1, 4, 50)
    data = {"y": 1 + x + rng.normal(size=50), "x": x, "w": w}
    fit = jm.fit(jm.normal("y ~ x"), data, weights="w")
    rss = np.sum(w * (data["y"] - fit.predict()) ** 2)
    assert fit.deviance == pytest.approx(rss)
    assert fit.pearson_statistic == pytest.approx(rss)
    mean = np.average(data["y"], weights=w)
    assert fit.null.deviance == pytest.approx(np.sum(w * (data["y"] - mean) ** 2))


def test_pseudo_r_squared_by_their_definitions(dobson):
    ll, null, n = dobson.log_likelihood, dobson.null.log_likelihood, 9
    rate = np.mean(COUNTS)
    assert null == pytest.approx(stats.poisson.logpmf(COUNTS, rate).sum())
    assert dobson.pseudo_r2() == pytest.approx(1 - ll / null)
    assert dobson.pseudo_r2("mcfadden_adjusted") == pytest.approx(1 - (ll - 4) / null)
    cox_snell = 1 - np.exp(2 * (null - ll) / n)
    assert dobson.pseudo_r2("cox_snell") == pytest.approx(cox_snell)
    assert dobson.pseudo_r2("nagelkerke") == pytest.approx(cox_snell / (1 - np.exp(2 * null / n)))


def test_a_constant_term_with_an_exposure_is_the_null_model():
    rng = np.random.default_rng(4)
    t, x = rng.uniform(1, 5, 100), rng.normal(size=100)
    y = rng.poisson(t * np.exp(0.2 * x))
    fit = jm.fit(jm.poisson("y ~ x", exposure="t"), {"y": y, "x": x, "t": t})
    assert fit.null.coef["rate[Intercept]"] == pytest.approx(np.log(y.sum() / t.sum()))


def test_what_has_no_residuals_is_said(dobson):
    with pytest.raises(jm.ModelError, match="kind='persson'"):
        dobson.residuals("persson")
    with pytest.raises(jm.ModelError, match="pseudo_r2"):
        dobson.pseudo_r2("efron")


def test_quantile_residuals_know_of_late_entry():
    """Of an exponential what is left after entry is exponential again: u = 1 − exp(−rate (t − entry))."""
    rng = np.random.default_rng(4)
    entry = rng.uniform(0.0, 2.0, 60)
    data = {"t": entry + rng.exponential(2.0, 60), "from": np.where(entry < 0.5, 0.0, entry)}
    fit = jm.fit(jm.censored(jm.exponential("t"), entry="from"), data)
    left = data["t"] - data["from"]
    expected = stats.norm.ppf(-np.expm1(-left / left.mean()))
    np.testing.assert_allclose(fit.residuals("quantile"), expected, atol=1e-5)

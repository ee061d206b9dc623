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


def test_the_null_model_is_of_the_rows_that_were_fitted():
    """A smaller model reads fewer columns, and would lose fewer rows."""
    rng = np.random.default_rng(5)
    data = {"y": rng.poisson(2, 60).astype(float), "x": rng.normal(size=60), "w": rng.integers(0, 3, 60)}
    data["x"][:10] = np.nan
    kept = {k: v[10:] for k, v in data.items()}
    for weights in (None, "w"):
        fit = jm.fit(jm.poisson("y ~ x"), data, missing="drop", weights=weights)
        w = np.ones(50) if weights is None else kept["w"]
        rate = np.average(kept["y"], weights=w)
        assert fit.null.n_obs == fit.n_obs == w.sum()
        assert fit.null.log_likelihood == pytest.approx(w @ stats.poisson.logpmf(kept["y"], rate), rel=1e-9)
    shares = np.linspace(0.5, 1.5, 60)
    sampled = jm.fit(jm.poisson("y ~ x"), data, missing="drop", probability_weights=shares)
    rate = np.average(kept["y"], weights=shares[10:])
    assert sampled.null.n_obs == 50
    assert sampled.null.coef["rate[Intercept]"] == pytest.approx(np.log(rate), rel=1e-9)


def test_what_is_held_stays_so_in_the_null_model():
    rng = np.random.default_rng(6)
    data = {"x": rng.normal(size=200)}
    data["y"] = rng.negative_binomial(2, 2 / (2 + np.exp(0.5 + 0.4 * data["x"])))
    fit = jm.fit(jm.negative_binomial("y ~ x"), data, fixed={"dispersion": 3.0, "mean[x]": 0.3})
    mean = data["y"].mean()  # with the dispersion known, the mean is its own estimate
    true = stats.nbinom.logpmf(data["y"], 1 / 3, 1 / (1 + 3 * mean)).sum()
    assert fit.null.log_likelihood == pytest.approx(true, rel=1e-9)
    assert fit.null.df == 1


def test_the_null_models_of_what_has_no_constant():
    """Of an ordinal response the frequencies; of Cox's likelihood that without coefficients: R's coxph(...)$loglik[1]."""
    rng = np.random.default_rng(7)
    x = rng.normal(size=200)
    labels = np.array(list("abcd"))[np.digitize(x + rng.logistic(size=200), [-1, 0, 1])]
    fit = jm.fit(jm.ordinal("o ~ x"), {"x": x, "o": labels})
    counts = np.unique(labels, return_counts=True)[1]
    assert fit.null.log_likelihood == pytest.approx(counts @ np.log(counts / 200), rel=1e-9)
    assert fit.pseudo_r2() == pytest.approx(1 - fit.log_likelihood / (counts @ np.log(counts / 200)), rel=1e-9)
    data = {"t": [5, 3, 8, 1, 9, 2, 7], "x": [1, 2, 0, 3, 1, 2, 0], "e": [1, 1, 0, 1, 1, 0, 1]}
    cox = jm.fit(jm.cox("t ~ x", event="e"), data)
    assert cox.log_likelihood == pytest.approx(-3.589025, abs=1e-6)
    assert cox.pseudo_r2() == pytest.approx(1 - 3.589025 / 6.040255, abs=1e-6)
    with pytest.raises(jm.ModelError, match="nothing to estimate"):
        _ = cox.null


def test_of_censored_responses_no_deviance_is_taken():
    rng = np.random.default_rng(8)
    data = {"t": rng.gamma(2.0, size=80), "x": rng.normal(size=80), "e": rng.uniform(size=80) < 0.6}
    fit = jm.fit(jm.censored(jm.gamma("t ~ x"), event="e"), data)
    for ask in (lambda: fit.deviance, lambda: fit.pearson_statistic, lambda: fit.residuals("deviance")):
        with pytest.raises(jm.ModelError, match="of censored ones only bounds are known"):
            ask()
    seen = jm.fit(jm.censored(jm.gamma("t ~ x"), event="e"), data | {"e": np.ones(80)})
    assert seen.deviance == pytest.approx(jm.fit(jm.gamma("t ~ x"), data).deviance, rel=1e-6)


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

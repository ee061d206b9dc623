"""Autoregressions and moving averages: against normal densities, statsmodels, and the reference case."""

import numpy as np
import pytest
from scipy.linalg import toeplitz
from scipy.stats import multivariate_normal

import jaxmle as jm
from jaxmle.declare.series import starts
from jaxmle.infer.predict import data_sets

from .numbers import HURON, TREND, log_likelihood, with_gaps

AR2 = jm.ar("y", order=2)


@pytest.fixture(scope="module")
def ar2():
    return jm.fit(AR2, {"y": HURON})


def autocovariances(phi, theta, sd, n):
    """γ_0, ..., γ_{n-1} of an ARMA process, by its moving average of many terms."""
    psi = np.zeros(4000)
    for j in range(len(psi)):
        psi[j] = (j == 0) + (theta[j - 1] if 0 < j <= len(theta) else 0.0)
        psi[j] += sum(phi[i] * psi[j - 1 - i] for i in range(min(len(phi), j)))
    return sd**2 * np.array([psi[: len(psi) - k] @ psi[k:] for k in range(n)])


@pytest.mark.parametrize("gaps", [False, True], ids=["whole", "with gaps"])
@pytest.mark.parametrize(
    ("phi", "theta"), [([0.9], []), ([1.2, -0.5, 0.1], []), ([0.5, 0.3], [0.4, -0.3]), ([], [0.7])]
)
def test_the_likelihood_is_that_of_a_normal_vector(phi, theta, gaps):
    y = np.random.default_rng(1).normal(2.0, 1.0, 30)
    if gaps:
        y[[0, 7, 8, 20]] = np.nan
    seen = ~np.isnan(y)
    cov = toeplitz(autocovariances(phi, theta, 0.8, 30))[np.ix_(seen, seen)]
    expected = multivariate_normal(np.full(seen.sum(), 1.5), cov).logpdf(y[seen])
    params = {"mean": 1.5, "sd": 0.8} | ({"ar": phi} if phi else {}) | ({"ma": theta} if theta else {})
    model = jm.arma("y", order=(len(phi), len(theta))) if theta else jm.ar("y", order=len(phi))
    assert log_likelihood(model, params, {"y": y}) == pytest.approx(expected, rel=1e-11)


def test_series_are_independent():
    two = jm.ar("y", order=2, series="lake")
    params = {"mean": 579.0, "ar": [0.6, 0.1], "sd": 0.7}
    both = log_likelihood(two, params, {"y": np.concatenate([HURON, HURON[:40]]), "lake": np.repeat([1, 2], [98, 40])})
    alone = [log_likelihood(AR2, params, {"y": y}) for y in (HURON, HURON[:40])]
    assert both == pytest.approx(sum(alone), rel=1e-12)


STATSMODELS = {
    ("ar", "x", False): -109.79404107492459,
    ("arma11", "", False): -105.90210142681151,
    ("arma11", "", True): -102.6031243671215,
    ("ma2", "", False): -190.55302160967216,
    ("arma21", "x", True): -99.80859356783826,
}
"""statsmodels 0.15.0: SARIMAX(y, exog=[1, x], order, trend="n").loglike([579, -0.02, ar 0.6, 0.1, ma 0.3, -0.2, 0.5])."""


@pytest.mark.parametrize(("kind", "x", "gaps"), STATSMODELS)
def test_the_likelihood_is_statsmodels(kind, x, gaps):
    p, q = {"ar": (2, 0), "arma11": (1, 1), "ma2": (0, 2), "arma21": (2, 1)}[kind]
    model = jm.arma("y ~ x" if x else "y", order=(p, q)) if q else jm.ar("y ~ x", order=p)
    params = {"mean": [579.0, -0.02] if x else 579.0, "ar": [0.6, 0.1][:p], "ma": [0.3, -0.2][:q], "sd": np.sqrt(0.5)}
    params = {name: value for name, value in params.items() if np.size(value)}
    data = {"y": with_gaps() if gaps else HURON, "x": TREND}
    assert log_likelihood(model, params, data) == pytest.approx(STATSMODELS[kind, x, gaps], rel=1e-10)


def test_the_reference_case(cases):
    case = cases["ar1_lakehuron"]["polished"]
    fit = jm.fit(jm.ar("y"), {"y": HURON})
    assert fit.log_likelihood == pytest.approx(case["loglik"], abs=1e-8)
    assert fit.coef["ar[0]"] == pytest.approx(case["params"]["rho"], abs=1e-6)
    assert fit.coef["sd"] ** 2 == pytest.approx(case["params"]["sigma2"], abs=1e-6)
    for kind, name in (("observed", "observed"), ("HC0", "HC0"), ("opg", "opg")):
        errors = dict(zip(fit.coef, np.sqrt(np.diag(fit.covariance(kind)))))
        expected = case["std_errors"][name]
        found = [errors["mean"], errors["ar[0]"], 2 * fit.coef["sd"] * errors["sd"]]
        np.testing.assert_allclose(found, [expected[k] for k in ("mu", "rho", "sigma2")], rtol=1e-4)


def test_estimates_and_forecasts_are_statsmodels():
    """statsmodels 0.15.0: SARIMAX(y, exog=[1], order=(1, 0, 1), trend="n").fit(), y with four missing; get_forecast(3)."""
    fit = jm.fit(jm.arma("y", order=(1, 1), time="year"), {"y": with_gaps(), "year": np.arange(1875, 1973)})
    assert fit.converged
    assert fit.log_likelihood == pytest.approx(-100.29172976896069, abs=1e-8)
    assert fit.n_obs == 94
    found = [fit.coef[k] for k in ("mean", "ar[0]", "ma[0]")] + [fit.coef["sd"] ** 2]
    np.testing.assert_allclose(found, [579.034643957204, 0.71440567972, 0.37673776288, 0.47291420594], rtol=2e-5)
    new = {"year": np.arange(1973, 1976)}
    np.testing.assert_allclose(fit.predict(new), [579.6856732419495, 579.4997429758904, 579.3669133377858], rtol=1e-7)
    spread = fit.predict(new, what="variance")
    np.testing.assert_allclose(spread, [0.4729142059385, 1.0359630278772, 1.3233293379443], rtol=2e-4)
    z = fit.residuals("pearson")
    assert np.flatnonzero(np.isnan(z)).tolist() == [3, 10, 11, 50]
    terms = -0.5 * z**2 - 0.5 * np.log(2 * np.pi * fit.predict(what="variance"))
    assert np.nansum(terms) == pytest.approx(fit.log_likelihood, abs=1e-9)
    with pytest.raises(jm.DataError, match="equal steps"):
        fit.predict({"year": np.arange(1974, 1976)})


def test_forecasts_of_an_autoregression(ar2):
    """By the recursion of its coefficients; standard errors by differences of the forecasts."""
    new = {"any": np.zeros(4)}
    mean, phi = ar2.coef["mean"], ar2.params["ar"]
    x = list(HURON[-2:] - mean)
    for _ in range(4):
        x.append(phi[0] * x[-1] + phi[1] * x[-2])
    forecast = ar2.predict(new, se=True)
    np.testing.assert_allclose(forecast.estimate, mean + np.array(x[2:]), rtol=1e-12)
    psi = [1.0, phi[0], phi[0] ** 2 + phi[1]]
    np.testing.assert_allclose(
        ar2.predict(new, what="variance")[2], ar2.coef["sd"] ** 2 * np.square(psi).sum(), rtol=1e-10
    )
    gradient = np.array([1 - phi.sum(), x[1], x[0], 0.0])
    expected = np.sqrt(gradient @ ar2.covariance() @ gradient)
    assert forecast.std_error[0] == pytest.approx(expected, rel=1e-8)
    low, high = ar2.predict(new, what="interval").T
    np.testing.assert_allclose(high - low, 2 * 1.959963985 * np.sqrt(ar2.predict(new, what="variance")), rtol=1e-8)


def test_residuals_are_standard_normal_and_one_step(ar2):
    z = ar2.residuals("pearson")
    np.testing.assert_allclose(ar2.residuals("quantile"), z, atol=1e-9)
    np.testing.assert_allclose(ar2.residuals(), HURON - ar2.predict(), atol=1e-10)
    assert abs(z.mean()) < 0.2
    assert z.std() == pytest.approx(1.0, abs=0.02)


def test_drawn_series_have_the_autocovariances_of_the_process(ar2):
    drawn = np.stack([d["y"] for d in data_sets(ar2.model, ar2.params, ar2.session.used, 400, 0)])
    x = drawn - ar2.coef["mean"]
    expected = autocovariances(ar2.params["ar"], [], ar2.coef["sd"], 4)
    for lag, value in enumerate(expected):
        assert (x[:, lag:] * x[:, : 98 - lag]).mean() == pytest.approx(value, abs=0.1), lag
    assert x[:, 0].var() == pytest.approx(expected[0], rel=0.25)


def test_hannan_rissanen_starts_near_the_truth():
    rng = np.random.default_rng(3)
    e = rng.normal(size=5001)
    x = np.zeros(5000)
    for t in range(1, 5000):
        x[t] = 0.7 * x[t - 1] + e[t] + 0.4 * e[t - 1]
    found = starts.arma(x + 3.0, np.ones(5000, bool), np.arange(5000), 1, 1)
    assert found["ar"][0] == pytest.approx(0.7, abs=0.06)
    assert found["ma"][0] == pytest.approx(0.4, abs=0.08)
    assert found["sd"] == pytest.approx(1.0, abs=0.06)


def test_held_coefficients():
    fit = jm.fit(jm.ar("y", ar=[0.5]), {"y": HURON})
    assert set(fit.coef) == {"mean", "sd"}

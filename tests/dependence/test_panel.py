"""Repeated measurements: against dense normal densities, R's nlme, quadrature and closed forms."""

import numpy as np
import pytest
import scipy.stats

import jaxmle as jm
from jaxmle.objective.rebuild import log_density_of

from ..conftest import SHARED

close = np.testing.assert_allclose


@pytest.fixture(scope="module")
def ragged():
    """Groups of one to nine rows, in no order."""
    rng = np.random.default_rng(0)
    g = np.repeat(np.arange(12), [1, 2, 3, 9, 5, 1, 4, 8, 2, 6, 3, 7])
    mixed = rng.permutation(len(g))
    time = np.concatenate([np.cumsum(rng.integers(1, 4, (g == i).sum())) for i in range(12)]).astype(float)
    data = {"g": g, "time": time, "x": rng.normal(size=len(g)), "y": rng.normal(size=len(g))}
    return {k: v[mixed] for k, v in data.items()} | {"count": rng.poisson(3, len(g)).astype(float)}


def covariance(structure: str, time: np.ndarray, sd: float, other: float) -> np.ndarray:
    apart = np.abs(np.subtract.outer(time, time))
    if structure == "random_intercept":
        return sd**2 * np.eye(len(time)) + other**2
    if structure == "exchangeable":
        return sd**2 * ((1 - other) * np.eye(len(time)) + other)
    return sd**2 * np.sign(other) ** apart * np.abs(other) ** apart


@pytest.mark.parametrize(
    ("structure", "name", "other"),
    [
        ("random_intercept", "intercept_sd", 0.7),
        ("exchangeable", "correlation", -0.1),
        ("exchangeable", "correlation", 0.9),
        ("ar1", "correlation", 0.6),
        ("ar1", "correlation", -0.6),
    ],
)
def test_the_likelihood_is_that_of_the_whole_covariance_matrix(ragged, structure: str, name: str, other: float):
    model = jm.panel("y ~ x", group="g", structure=structure, time="time" if structure == "ar1" else None)
    terms = log_density_of(model, {"mean": np.array([0.3, -0.5]), "sd": 1.3, name: other}, ragged)
    appeared = list(dict.fromkeys(ragged["g"].tolist()))
    for term, g in zip(terms, appeared):
        mine = ragged["g"] == g
        sigma = covariance(structure, ragged["time"][mine], 1.3, other)
        mean = 0.3 - 0.5 * ragged["x"][mine]
        close(term, scipy.stats.multivariate_normal(mean, sigma).logpdf(ragged["y"][mine]), rtol=1e-11)


def test_counts_with_gamma_effects_by_quadrature(ragged):
    model = jm.panel("count ~ x", group="g", structure="gamma_poisson")
    beta, dispersion = np.array([0.9, 0.3]), 0.4
    terms = log_density_of(model, {"rate": beta, "dispersion": dispersion}, ragged)
    nodes, weights = np.polynomial.legendre.leggauss(400)
    a, weights = 7.5 * (nodes + 1), 7.5 * weights
    density = scipy.stats.gamma(1 / dispersion, scale=dispersion).pdf(a)
    for term, g in zip(terms, dict.fromkeys(ragged["g"].tolist())):
        mine = ragged["g"] == g
        y, rate = ragged["count"][mine], np.exp(beta[0] + beta[1] * ragged["x"][mine])
        given = scipy.stats.poisson.pmf(y, a[:, None] * rate).prod(axis=1)
        close(np.exp(term), weights @ (density * given), rtol=1e-9)
    alone = log_density_of(model, {"rate": beta, "dispersion": 1e-14}, ragged).sum()
    independent = scipy.stats.poisson.logpmf(ragged["count"], np.exp(beta[0] + beta[1] * ragged["x"])).sum()
    close(alone, independent, rtol=1e-11)


@pytest.fixture(scope="module")
def sleep():
    path = SHARED / "sleepstudy.csv"
    if not path.exists():
        pytest.skip("the reference cases are not part of this repository")
    table = np.genfromtxt(path, delimiter=",", names=True)
    data = {name: table[name] for name in table.dtype.names}
    i = np.arange(1, len(table) + 1)
    some = (i % 4 != 2) & (i % 7 != 3)
    gaps = {k: v[some] for k, v in data.items()}
    return data, gaps | {"when": gaps["days"] + 0.5 * (gaps["days"] % 3 == 1)}


def test_a_random_intercept_as_in_r(sleep):
    """nlme 3.1.162: lme(reaction ~ days, random = ~1 | subject, method = "ML"); lme4 has the same."""
    fit = jm.fit(jm.panel("reaction ~ days", group="subject"), sleep[0])
    assert fit.converged
    close(fit.log_likelihood, -897.039321503, rtol=1e-11)
    close(list(fit.coef.values()), [251.4051048485, 10.4672859596, 30.8954338797, 36.0120818654], rtol=1e-7)
    close(list(fit.std_errors.values())[:2], [9.506185178046, 0.801735421825], rtol=1e-7)
    assert fit.n_obs == 18
    mean = fit.predict({"days": [0.0, 9.0]})
    close(mean, 251.4051048485 + 10.4672859596 * np.array([0, 9]), rtol=1e-7)


def test_ar1_errors_with_gaps_as_in_r(sleep):
    """nlme 3.1.162: gls(reaction ~ days, correlation = corAR1(form = ~days | subject), method = "ML")."""
    shuffled = np.random.default_rng(0).permutation(len(sleep[1]["days"]))
    data = {k: v[shuffled] for k, v in sleep[1].items()}
    fit = jm.fit(jm.panel("reaction ~ days", group="subject", structure="ar1", time="days"), data)
    assert fit.converged
    close(fit.log_likelihood, -582.750334644, rtol=1e-11)
    close(list(fit.coef.values()), [253.63016275431, 9.84595134827, 47.743224846, 0.74675463424], rtol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "which", "params", "log_likelihood"),
    [
        # gls(..., correlation = corCompSymm(form = ~1 | subject)) and corCAR1(form = ~when | subject)
        ({"structure": "exchangeable"}, 0, (251.4051048485, 10.4672859596, 47.4488937472, 0.576028730486), -897.039321503),
        ({"structure": "ar1", "time": "when"}, 1, (252.4517328350, 10.1487797382, 47.7600660526, 0.690075549734), -586.496101842),
    ],
)  # fmt: skip
def test_other_structures_at_the_estimates_of_r(sleep, arguments, which, params, log_likelihood):
    model = jm.panel("reaction ~ days", group="subject", **arguments)
    at = {"mean": np.array(params[:2]), "sd": params[2], "correlation": params[3]}
    close(log_density_of(model, at, sleep[which]).sum(), log_likelihood, rtol=1e-11)


def test_the_sandwich_is_that_of_generalised_least_squares(sleep):
    """With known variances it is (ΣX'V⁻¹X)⁻¹ (ΣX'V⁻¹ee'V⁻¹X) (ΣX'V⁻¹X)⁻¹ over subjects (Liang and Zeger, 1986)."""
    data = sleep[0]
    fit = jm.fit(jm.panel("reaction ~ days", group="subject", sd=30.0, intercept_sd=36.0), data)
    bread, meat, beta = np.zeros((2, 2)), np.zeros((2, 2)), fit.params["mean"]
    for s in np.unique(data["subject"]):
        mine = data["subject"] == s
        x = np.stack([np.ones(mine.sum()), data["days"][mine]], 1)
        weighed = np.linalg.solve(covariance("random_intercept", data["days"][mine], 30.0, 36.0), x)
        score = weighed.T @ (data["reaction"][mine] - x @ beta)
        bread, meat = bread + weighed.T @ x, meat + np.outer(score, score)
    expected = np.linalg.inv(bread) @ meat @ np.linalg.inv(bread)
    close(fit.covariance("sandwich"), expected, rtol=1e-7)
    close(fit.covariance("observed"), np.linalg.inv(bread), rtol=1e-7)
    pairs = (data["subject"] - 308) // 30  # clusters of subjects
    close(fit.covariance("sandwich", cluster="subject"), expected, rtol=1e-7)
    assert not np.allclose(fit.covariance("sandwich", cluster=pairs), expected, rtol=1e-3)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: jm.panel("y ~ x", group="g", structure="ar2"), jm.ModelError, "structure is one of"),
        (lambda: jm.panel("y ~ x", group="all"), jm.ModelError, "other than 'row', 'all'"),
        (lambda: jm.panel(["y", "x"], group="g"), jm.ModelError, "one response"),
        (lambda: jm.panel("y ~ x", group="g", time="time"), jm.ModelError, "for structure='ar1'"),
        (lambda: jm.panel("y ~ x", group="g", correlation=0.3), jm.ModelError, "has no parameter 'correlation'"),
        (lambda: jm.panel("y ~ x", group="g", intercept_sd="~ x"), jm.ModelError, "intercept_sd of panel"),
        (lambda: jm.panel("y ~ x", group="x"), jm.DataError, "Every row is a group"),
        (lambda: jm.panel("same ~ x", group="g"), jm.DataError, "same in all rows"),
        (lambda: jm.panel("y ~ x", group="g", structure="ar1", time="same"), jm.DataError, "have the same 'same'"),
        (lambda: jm.panel("y ~ x", group="g", structure="gamma_poisson"), jm.DataError, "is no count"),
    ],
)
def test_what_is_refused(ragged, make, error, message: str):
    with pytest.raises(error, match=message):
        jm.fit(make(), ragged | {"same": np.ones(len(ragged["y"]))})

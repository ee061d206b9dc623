"""GARCH: the published benchmark, arch's likelihoods, a loop written out."""

import numpy as np
import pytest

import jaxmle as jm

from .numbers import log_likelihood

PARAMS = {"mean": 0.01, "omega": 0.02, "alpha": [0.1, 0.05], "beta": [0.7, 0.1]}


def returns(n=300, seed=2):
    rng = np.random.default_rng(seed)
    y, h, e = np.empty(n), 1.0, 0.5
    for t in range(n):
        h = 0.1 + 0.2 * e**2 + 0.7 * h
        e = y[t] = np.sqrt(h) * rng.normal()
    return y


def by_loop(y, omega, alpha, beta, mean):
    """Variances of rows, from what is before the first: the mean square."""
    e = (y - mean) ** 2
    seen = ~np.isnan(y)
    squares, variances = [np.nanmean(e)] * 5, [np.nanmean(e)] * 5
    for t in range(len(y)):
        h = omega + sum(a * squares[-1 - i] for i, a in enumerate(alpha))
        h += sum(b * variances[-1 - j] for j, b in enumerate(beta))
        squares.append(e[t] if seen[t] else h)
        variances.append(h)
    return np.array(variances[5:])


@pytest.mark.parametrize(("p", "q"), [(1, 1), (1, 0), (2, 1), (2, 2)])
@pytest.mark.parametrize("gaps", [False, True], ids=["whole", "with gaps"])
def test_the_likelihood_is_that_of_a_loop(p, q, gaps):
    y = returns(120)
    if gaps:
        y[[0, 5, 6, 100]] = np.nan
    alpha, beta = PARAMS["alpha"][:p], PARAMS["beta"][:q]
    h = by_loop(y, 0.02, alpha, beta, 0.01)
    expected = np.nansum(-0.5 * (y - 0.01) ** 2 / h - 0.5 * np.log(2 * np.pi * h))
    params = {"mean": 0.01, "omega": 0.02, "alpha": alpha if p > 1 else alpha[0]}
    params |= {"beta": beta if q > 1 else beta[0]} if q else {}
    assert log_likelihood(jm.garch("y", order=(p, q)), params, {"y": y}) == pytest.approx(expected, rel=1e-11)


ARCH = {
    (1, 1, "normal"): -501.3338947404023,
    (1, 1, "student_t"): -455.15689762436256,
    (2, 1, "normal"): -467.47791798605624,
    (2, 2, "normal"): -446.874911949468,
    (1, 0, "normal"): -1893.5969347609466,
}
"""arch 8.0.0, the first 600 rows of the benchmark: GARCH(p, q).compute_variance with a backcast of the mean square, and
Normal() or StudentsT().loglikelihood; at the parameters above, 6 degrees of freedom."""


@pytest.fixture(scope="module")
def rates(cases):
    from tests.conftest import SHARED

    return np.genfromtxt(SHARED / cases["garch11_dem2gbp"]["data_file"], names=True)["y"]


@pytest.mark.parametrize(("p", "q", "errors"), ARCH)
def test_the_likelihood_is_archs(p, q, errors, rates):
    params = {"mean": 0.01, "omega": 0.02, "alpha": PARAMS["alpha"][:p] if p > 1 else 0.1}
    params |= {"beta": PARAMS["beta"][:q] if q > 1 else 0.7} if q else {}
    params |= {"df": 6.0} if errors == "student_t" else {}
    model = jm.garch("y", order=(p, q), errors=errors)
    assert log_likelihood(model, params, {"y": rates[:600]}) == pytest.approx(ARCH[p, q, errors], rel=1e-10)


def test_the_published_benchmark(cases, rates):
    """Bollerslev and Ghysels (1996), to the digits of Fiorentini, Calzolari and Panattoni (1996); robust errors too."""
    case = cases["garch11_dem2gbp"]["third_party_published"][0]
    fit = jm.fit(jm.garch("y"), {"y": rates})
    assert fit.converged
    assert fit.log_likelihood == pytest.approx(case["loglik"], abs=1e-7)
    names = {"mean": "mu", "omega": "omega", "alpha": "alpha", "beta": "beta"}
    np.testing.assert_allclose([fit.coef[k] for k in names], [case["params"][k] for k in names.values()], rtol=1e-5)
    errors = np.sqrt(np.diag(fit.covariance("sandwich")))
    np.testing.assert_allclose(errors, [case["std_errors"][k] for k in names.values()], rtol=1e-5)


def test_forecasts_of_the_variance_and_residuals():
    y = returns()
    fit = jm.fit(jm.garch("y"), {"y": y})
    assert fit.converged
    omega, alpha, beta = (fit.coef[k] for k in ("omega", "alpha", "beta"))
    h = by_loop(y, omega, [alpha], [beta], fit.coef["mean"])
    np.testing.assert_allclose(fit.predict(what="variance"), h, rtol=1e-9)
    np.testing.assert_allclose(fit.residuals("pearson"), (y - fit.coef["mean"]) / np.sqrt(h), rtol=1e-9, atol=1e-12)
    ahead = [omega + alpha * (y[-1] - fit.coef["mean"]) ** 2 + beta * h[-1]]
    ahead.append(omega + (alpha + beta) * ahead[0])
    np.testing.assert_allclose(fit.predict({"any": [0, 0]}, what="variance"), ahead, rtol=1e-9)


def test_each_series_begins_with_its_own_mean_square():
    model, params = jm.garch("y", series="firm"), {"mean": 0.01, "omega": 0.02, "alpha": 0.1, "beta": 0.7}
    one, two = returns(60), 3 * returns(60, 5)
    alone = [log_likelihood(jm.garch("y"), params, {"y": y}) for y in (one, two)]
    both = log_likelihood(model, params, {"y": np.concatenate([one, two]), "firm": np.repeat(["a", "b"], 60)})
    assert both == pytest.approx(sum(alone), rel=1e-12)

"""Firth's penalised likelihood: against published numbers, closed forms, and modified scores written out in NumPy."""

import numpy as np
import pytest

import jaxmle as jm
from jaxmle.data.tables import Table
from jaxmle.declare.catalogue import FAMILIES
from jaxmle.objective.build import build

from ..conftest import SHARED

F = FAMILIES


def modified_scores(x, y, mean, variance, weights=1.0):
    """Coefficients (p,) at which Σ x (y − μ + h/2 · dV/dμ) is zero (Firth, 1993), and their covariance.

    For a canonical link: the hat values h are those of the weights V(μ).
    """
    beta, w = np.zeros(x.shape[1]), weights * np.ones(len(y))
    for _ in range(500):
        mu = mean(x @ beta)
        v, slope = variance(mu)
        information = (x * (w * v)[:, None]).T @ x
        h = np.einsum("ij,jk,ik->i", x, np.linalg.inv(information), x) * w * v
        step = np.linalg.solve(information, x.T @ (w * (y - mu) + 0.5 * h * slope))
        beta = beta + step / max(1.0, np.abs(step).max())
        if np.abs(step).max() < 1e-13:
            break
    return beta, np.linalg.inv(information)


logistic = (lambda eta: 1 / (1 + np.exp(-eta)), lambda mu: (mu * (1 - mu), 1 - 2 * mu))
poisson = (np.exp, lambda mu: (mu, np.ones_like(mu)))


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=60)
    return {
        "x": x,
        "y": (x + rng.normal(size=60) > 0).astype(int),
        "split": (x > 0).astype(int),
        "count": rng.poisson(np.exp(0.3 * x)),
        "real": 1 + 2 * x + rng.normal(size=60),
        "w": rng.integers(1, 4, 60),
        "z": rng.normal(size=60),
    }


def is_proved(f):
    assert f.converged, str(f.certificate)
    assert "Firth" in str(f)
    assert not f.withheld


def test_endometrial_cancer(cases):
    """Estimates of brglm2 (in the reference cases); standard errors as printed by its vignette."""
    case = cases["separation_quasi_endometrial"]
    table = np.genfromtxt(f"{SHARED}/{case['data_file']}", delimiter=",", names=True)
    f = jm.fit(F["bernoulli"]("HG ~ NV + PI + EH"), table, penalty="firth")
    is_proved(f)
    published = case["expected"]["other"]["firth_bias_reduced_brglm2_AS_mean"]
    errors = {"Intercept": 1.48869, "NV": 1.55076, "PI": 0.03958, "EH": 0.77602}
    for name, value in published.items():
        assert f.coef[f"prob[{name}]"] == pytest.approx(value, abs=1e-6 * errors[name])
        assert f.std_errors[f"prob[{name}]"] == pytest.approx(errors[name], abs=1e-5)
    x = np.stack([np.ones(79), table["NV"], table["PI"], table["EH"]], axis=1)
    beta, covariance = modified_scores(x, table["HG"], *logistic)
    np.testing.assert_allclose(list(f.coef.values()), beta, rtol=1e-7)
    np.testing.assert_allclose(f.covariance(), covariance, rtol=1e-7)
    mu = logistic[0](x @ beta)
    plain = np.sum(np.log(np.where(table["HG"] == 1, mu, 1 - mu)))
    assert f.log_likelihood == pytest.approx(plain, rel=1e-8)
    half = 0.5 * np.linalg.slogdet(np.linalg.inv(covariance))[1]
    assert f.estimates.objective_value == pytest.approx(plain + half, rel=1e-8)


def test_complete_separation_has_finite_estimates(data):
    f = jm.fit(F["bernoulli"]("split ~ x"), data, penalty="firth")
    is_proved(f)
    beta, covariance = modified_scores(np.stack([np.ones(60), data["x"]], 1), data["split"], *logistic)
    np.testing.assert_allclose(list(f.coef.values()), beta, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(f.covariance(), covariance, rtol=1e-5)


def test_counts_with_weights(data):
    f = jm.fit(F["poisson"]("count ~ x"), data, weights="w", penalty="firth")
    is_proved(f)
    beta, covariance = modified_scores(np.stack([np.ones(60), data["x"]], 1), data["count"], *poisson, data["w"])
    np.testing.assert_allclose(list(f.coef.values()), beta, rtol=1e-7)
    np.testing.assert_allclose(f.covariance(), covariance, rtol=1e-7)


def test_all_counts_zero_within_a_level():
    """In a saturated model of counts half a count is added to each level."""
    x = np.repeat([0.0, 1.0], [20, 30])
    y = np.where(x > 0, 0, np.arange(50) % 4)
    f = jm.fit(F["poisson"]("y ~ x"), {"x": x, "y": y}, penalty="firth")
    is_proved(f)
    low, high = np.log((y[:20].sum() + 0.5) / 20), np.log(0.5 / 30)
    assert f.coef["rate[Intercept]"] == pytest.approx(low, rel=1e-9)
    assert f.coef["rate[x]"] == pytest.approx(high - low, rel=1e-9)


def test_constant_responses():
    f = jm.fit(F["bernoulli"]("y ~ 1"), {"y": np.ones(9, int)}, penalty="firth")
    is_proved(f)
    assert f.coef["prob[Intercept]"] == pytest.approx(np.log(9.5 / 0.5), rel=1e-9)


def test_a_probability_is_the_same_as_a_constant_and_as_a_formula():
    y = np.array([0, 0, 0, 1, 1, 0, 1])
    constant = jm.fit(F["bernoulli"]("y"), {"y": y}, penalty="firth")
    formula = jm.fit(F["bernoulli"]("y ~ 1"), {"y": y}, penalty="firth")
    assert constant.coef["prob"] == pytest.approx(3.5 / 8, rel=1e-9)
    assert formula.coef["prob[Intercept]"] == pytest.approx(np.log(3.5 / 4.5), rel=1e-9)


def test_normal_closed_form(data):
    """½ log det I = −p log sd + constant on the scale of the predictors and of log sd: sd² = RSS/(n + p)."""
    f = jm.fit(F["normal"]("real ~ x"), data, penalty="firth")
    is_proved(f)
    x = np.stack([np.ones(60), data["x"]], 1)
    beta, rss, *_ = np.linalg.lstsq(x, data["real"])
    np.testing.assert_allclose([f.coef["mean[Intercept]"], f.coef["mean[x]"]], beta, rtol=1e-8)
    assert f.coef["sd"] ** 2 == pytest.approx(rss[0] / 62, rel=1e-8)


def test_multinomial(data):
    """Classes by pairs: the information of a softmax in NumPy, its derivative by central differences."""
    y = np.where(data["split"] == 0, 0, 1 + data["y"])  # class 0 is separated
    f = jm.fit(F["categorical"]("label ~ x"), {"label": y, "x": data["x"]}, penalty="firth")
    is_proved(f)
    x = np.stack([np.ones(60), data["x"]], 1)

    def penalised(beta):
        eta = np.concatenate([np.zeros((60, 1)), x @ beta.reshape(2, 2).T], axis=1)
        p = np.exp(eta - eta.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        v = p[:, 1:, None] * (np.eye(2)[None] - p[:, None, 1:])
        information = np.einsum("nab,ni,nj->aibj", v, x, x).reshape(4, 4)
        return np.log(p[np.arange(60), y]).sum() + 0.5 * np.linalg.slogdet(information)[1]

    at = np.array(list(f.coef.values()))
    assert f.estimates.objective_value == pytest.approx(penalised(at), rel=1e-9)
    slope = [(penalised(at + h) - penalised(at - h)) / 2e-5 for h in 1e-5 * np.eye(4)]
    np.testing.assert_allclose(slope, 0.0, atol=1e-6)


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(F["negative_binomial"]("count ~ x"), marks=pytest.mark.slow, id="negative_binomial"),
        pytest.param(F["bernoulli"]("y ~ x", link="probit"), id="probit"),
    ],
)
def test_derivatives_are_those_of_the_value(data, model):
    """Observed information (negative binomial) and expected information of a link that is not canonical."""
    objective = build(model, Table.read(data), weights=np.ones(60), penalty="firth").objective
    z = objective.to_z(np.linspace(-0.4, 0.3, objective.layout.size))
    e = objective.evaluate(z)
    for i, h in enumerate(1e-4 * np.eye(len(z))):
        up, down = objective.evaluate(z + h, "gradient"), objective.evaluate(z - h, "gradient")
        assert (up.value - down.value) / 2e-4 == pytest.approx(e.gradient[i], rel=1e-5, abs=1e-5)
        np.testing.assert_allclose((up.gradient - down.gradient) / 2e-4, e.matrix[i], rtol=1e-5, atol=1e-5)


def test_any_program_has_the_same_derivatives(data):
    args = F["bernoulli"]("y ~ x", link="probit"), Table.read(data)
    one, other = (build(*args, weights=np.ones(60), penalty="firth", structured=s).objective for s in (True, False))
    z = np.array([0.2, -0.3])
    for a, b in zip(one.evaluate(z), other.evaluate(z)):
        np.testing.assert_allclose(a, b, rtol=1e-9)


@pytest.mark.slow
def test_negative_binomial_is_proved(data):
    rng = np.random.default_rng(1)
    y = rng.negative_binomial(2.0, 2.0 / (2.0 + np.exp(1 + 0.3 * data["x"])))
    y[data["z"] > 1.0] = 0
    data = {"y": y, "x": data["x"], "high": (data["z"] > 1.0).astype(float)}
    f = jm.fit(F["negative_binomial"]("y ~ x + high"), data, penalty="firth")
    is_proved(f)
    assert -10 < f.coef["mean[high]"] < -2


def test_a_wrong_name_lists_the_penalties(data):
    with pytest.raises(jm.ModelError, match="'firth'"):
        jm.fit(F["bernoulli"]("y ~ x"), data, penalty="jeffreys")

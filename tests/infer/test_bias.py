"""The bias of order 1/n: closed forms, the formula for generalised linear models, Firth's estimate, simulation."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

import jaxmle as jm
from jaxmle.infer import bias as room

from .densities import normal
from .spector import spector

RNG = np.random.default_rng(0)
Y = RNG.normal(1.0, 2.0, 15)


def by_variance(p, row):
    return -0.5 * (row["y"] - p["mu"]) ** 2 / p["v"] - 0.5 * jnp.log(2 * jnp.pi * p["v"])


@pytest.fixture(scope="module")
def variance():
    return jm.fit(jm.Model(by_variance, {"mu": jm.Real(), "v": jm.Positive()}), {"y": Y})


def test_the_variance_of_a_normal_is_divided_by_n_less_one_to_first_order(variance):
    """E v̂ = v (1 − 1/n). Means over the data give it whatever the kurtosis of the sample."""
    found = variance.bias_corrected()
    assert found.kind == "empirical"
    assert found.coef["v"] == pytest.approx(Y.var() * (1 + 1 / 15), rel=1e-8)
    assert found.coef["v"] == pytest.approx(Y.var(ddof=1), rel=2 / 15**2)
    assert found.coef["mu"] == pytest.approx(Y.mean())


def test_the_standard_deviation_of_a_normal():
    """E σ̂ = σ (1 − 3/(4n)) + O(n⁻²)."""
    found = jm.fit(jm.normal("y"), {"y": Y}).bias_corrected()
    assert found.kind == "expected"
    assert found.bias[1] == pytest.approx(-0.75 * Y.std() / 15, rel=1e-8)


def test_the_rate_of_an_exponential():
    """E λ̂ = λ n/(n − 1)."""
    y = np.random.default_rng(1).exponential(2.0, 12)
    fit = jm.fit(jm.exponential("y"), {"y": y})
    assert fit.bias_corrected().coef["rate"] == pytest.approx(fit.coef["rate"] * (1 - 1 / 12), rel=1e-9)
    empirical = fit.coef["rate"] * y.var() / y.mean() ** 2 / 12
    assert fit.bias_corrected("empirical").bias[0] == pytest.approx(empirical, rel=1e-8)


@pytest.mark.parametrize("link", ["logit", "probit"])
def test_the_formula_for_generalised_linear_models(link):
    """(XᵀWX)⁻¹XᵀWξ, ξ_i = −½ Q_ii μ″/μ′, Q = X(XᵀWX)⁻¹Xᵀ.

    Cordeiro and McCullagh (1991), Bias correction in generalized linear models, Journal of the Royal Statistical Society
    B 53, 629-643, equation (4.2).
    """
    data = spector()
    fit = jm.fit(jm.bernoulli("grade ~ gpa + tuce + psi", link=link), data)
    x = np.column_stack([np.ones(32), data["gpa"], data["tuce"], data["psi"]])
    eta = x @ list(fit.coef.values())
    if link == "logit":
        mean = 1 / (1 + np.exp(-eta))
        first, second = mean * (1 - mean), mean * (1 - mean) * (1 - 2 * mean)
    else:
        mean, first, second = norm.cdf(eta), norm.pdf(eta), -eta * norm.pdf(eta)
    w = first**2 / (mean * (1 - mean))
    inverse = np.linalg.inv(x.T @ (w[:, None] * x))
    q = np.einsum("ij,jk,ik->i", x, inverse, x)
    expected = inverse @ x.T @ (w * -0.5 * q * second / first)
    np.testing.assert_allclose(fit.bias_corrected().bias, expected, rtol=1e-6)


def test_firths_estimate_agrees_to_first_order():
    """Ten times the data: what is left between the two is of order n⁻², a hundredth."""
    model, data, gaps = jm.bernoulli("grade ~ gpa + psi"), spector(), []
    for times in (10, 100):
        weights = np.full(32, times)
        fit = jm.fit(model, data, weights=weights)
        firth = jm.fit(model, data, weights=weights, penalty="firth")
        found = fit.bias_corrected()
        gaps.append(np.array(list(firth.coef.values())) - list(found.coef.values()))
    np.testing.assert_allclose(gaps[0] / gaps[1], 100.0, rtol=0.2)
    assert np.abs(gaps[1]).max() < 0.01 * np.abs(found.bias).max()


def test_the_shape_of_a_weibull():
    """1.3795/n of it: Yang and Xie (2003), Journal of Statistical Computation and Simulation 73, 115-130.

    The sample is the quantiles of the distribution, so that means over the data are expectations.
    """
    n = 20_000
    y = (-np.log1p(-(np.arange(n) + 0.5) / n)) ** (1 / 1.7)
    fit = jm.fit(jm.weibull("y"), {"y": y})
    found = fit.bias_corrected("empirical")
    share = dict(zip(found.names, n * found.bias / found.estimate))
    assert share["shape"] == pytest.approx(1.3795, rel=0.01)


def test_weights_and_units():
    """Frequencies are copies; sampling weights multiply contributions, and their scale does not matter."""
    model, y = jm.Model(normal, {"mu": jm.Real(), "sigma": jm.Positive()}), Y[:10]
    w = np.arange(1, 11) % 3 + 1
    counted = jm.fit(model, {"y": y}, weights=w).bias_corrected()
    copied = jm.fit(model, {"y": np.repeat(y, w)}).bias_corrected()
    np.testing.assert_allclose(counted.bias, copied.bias, rtol=1e-8, atol=1e-12)
    one, two = (jm.fit(model, {"y": y}, probability_weights=s * w).bias_corrected() for s in (1.0, 7.0))
    np.testing.assert_allclose(one.bias, two.bias, rtol=1e-7, atol=1e-12)
    assert one.kind == "empirical"
    assert np.abs(one.bias[1] - counted.bias[1]) > 1e-3
    grouped = jm.Model(lambda p, rows, mask: jnp.sum(jnp.where(mask, normal(p, rows), 0.0)), model.params, unit="g")
    fit = jm.fit(grouped, {"y": y, "g": np.arange(10)})
    np.testing.assert_allclose(
        fit.bias_corrected().bias, jm.fit(model, {"y": y}).bias_corrected().bias, rtol=1e-8, atol=1e-12
    )


def test_what_is_printed(variance):
    lines = str(variance.bias_corrected()).splitlines()
    assert lines[1].split() == ["estimate", "bias", "corrected", "std", "error", "bias/error"]
    assert lines[2].split()[:3] == ["mu", f"{Y.mean():.4g}", "0"]
    assert "Rilstone" in lines[-1]
    assert variance.bias_corrected().tidy()["term"] == ["mu", "v"]


def test_what_cannot_be_said(variance, monkeypatch):
    with pytest.raises(jm.ModelError, match="expected' or 'empirical"):
        variance.bias_corrected("emprical")
    with pytest.raises(jm.ModelError, match="expected information is known"):
        variance.bias_corrected("expected")
    with pytest.raises(jm.ModelError, match="needs the data"):
        variance.without_data().bias_corrected()
    with pytest.raises(jm.ModelError, match="on purpose"):
        jm.fit(jm.bernoulli("grade ~ gpa"), spector(), penalty=jm.Ridge(1.0)).bias_corrected()
    monkeypatch.setattr(room, "NUMBERS_AT_ONCE", 100)
    with pytest.raises(jm.ModelError, match="chunk_rows"):
        variance.bias_corrected()

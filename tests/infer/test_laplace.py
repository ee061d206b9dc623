"""Laplace's approximation of part of the covariance, against the full Hessian of models that are small enough for one."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.special import expit

import jaxmle as jm

rng = np.random.default_rng(12)
N, K = 240, 6
A = rng.standard_normal((N, K))
T = (rng.random(N) < expit(A @ [1.0, -0.5, 0.3, 0.0, 0.2, -1.0])).astype(int)
W = 1.0 + np.arange(N) % 3
DATA = {"a": A, "t": T, "w": W}


def logit(p, row):
    eta = row["a"] @ p["net"]["first"] + p["bias"]
    return row["t"] * eta - jnp.logaddexp(0.0, eta)


@pytest.fixture(scope="module")
def fit():
    return jm.fit(jm.Model(logit, {"net": jm.Tree({"first": np.zeros(K)}), "bias": jm.Real()}), DATA, weights="w")


@pytest.fixture(scope="module")
def hessian(fit):
    """Xᵀ diag(w p (1 − p)) X at the estimates: the information of a logistic regression."""
    x = np.column_stack([A, np.ones(N)])
    p = expit(x @ np.array(list(fit.coef.values())))
    return (x.T * (W * p * (1 - p))) @ x


def test_chosen_parameters_have_the_inverse_of_their_block(fit, hessian):
    part = jm.laplace_covariance(fit, "parameters", names="net['first']")
    assert part.names == tuple(f"net['first'][{i}]" for i in range(K))
    inverse = np.linalg.inv(hessian[:K, :K])
    np.testing.assert_allclose(part.covariance(), inverse, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(list(part.std_errors.values()), np.sqrt(np.diag(inverse)), rtol=1e-8)
    with_prior = jm.laplace_covariance(fit, "parameters", names=["bias", "net['first'][2]"], prior_precision=3.0)
    block = hessian[np.ix_([2, 6], [2, 6])] + 3 * np.eye(2)
    np.testing.assert_allclose(with_prior.covariance(), np.linalg.inv(block), rtol=1e-8)
    assert with_prior.names == ("net['first'][2]", "bias")
    everything = jm.laplace_covariance(fit, "parameters")
    np.testing.assert_allclose(everything.covariance(), fit.covariance(), rtol=1e-8, atol=1e-12)


def test_the_diagonal_is_one_over_that_of_the_information(fit, hessian):
    np.testing.assert_allclose(jm.laplace_covariance(fit).variances, 1 / np.diag(hessian), rtol=1e-9)
    x = np.column_stack([A, np.ones(N)])
    residual = T - expit(x @ np.array(list(fit.coef.values())))
    squares = (W * residual**2) @ x**2
    opg = jm.laplace_covariance(fit, "diagonal", information="opg", prior_precision=0.5, names="net")
    np.testing.assert_allclose(opg.variances, 1 / (squares[:K] + 0.5), rtol=1e-9)
    np.testing.assert_allclose(np.diag(opg.covariance()), opg.variances)


def test_low_rank(fit, hessian):
    """Of full rank it is the inverse; of less, the largest axes with the prior's precision in all other directions."""
    whole = jm.laplace_covariance(fit, "low_rank", rank=K + 1)
    np.testing.assert_allclose(whole.covariance(), np.linalg.inv(hessian), rtol=1e-8, atol=1e-12)
    values, axes = np.linalg.eigh(hessian)
    few = jm.laplace_covariance(fit, "low_rank", rank=3, prior_precision=2.0)
    expected = np.linalg.inv((axes[:, -3:] * values[-3:]) @ axes[:, -3:].T + 2 * np.eye(K + 1))
    np.testing.assert_allclose(few.covariance(), expected, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(few.variances, np.diag(expected), rtol=1e-8)


@pytest.mark.parametrize(
    "settings",
    [
        {"kind": "parameters"},
        {"kind": "diagonal", "prior_precision": 1.0},
        {"kind": "low_rank", "rank": 2, "prior_precision": 5.0},
    ],
)
def test_functions_and_draws_have_the_covariance(fit, settings):
    part = jm.laplace_covariance(fit, **settings)
    covariance = part.covariance()
    rows = A[:4]
    value, error = part.transform(lambda p: rows @ p["net"]["first"] + p["bias"])
    x = np.column_stack([A[:4], np.ones(4)])
    np.testing.assert_allclose(value, x @ np.array(list(fit.coef.values())), rtol=1e-9)
    np.testing.assert_allclose(error, np.sqrt(np.einsum("ij,jk,ik->i", x, covariance, x)), rtol=1e-9)
    drawn = part.draws(300, key=1)
    z = np.array([[*p["net"]["first"], p["bias"]] for p in drawn]) - np.array(list(fit.coef.values()))
    lower = np.linalg.cholesky(covariance)
    white = np.linalg.solve(lower, z.T)
    assert np.abs(white @ white.T / 300 - np.eye(K + 1)).max() < 5 * np.sqrt(2 / 300)
    assert np.abs(white.mean(axis=1)).max() < 5 / np.sqrt(300)


def test_positive_parameters_have_standard_errors_on_their_own_scale():
    """n/(2σ²) · ... : of a normal sample, the error of σ is σ/√(2n)."""
    density = lambda p, row: -0.5 * ((row["y"] - p["mean"]) / p["sigma"]) ** 2 - jnp.log(p["sigma"])
    y = 3.0 * rng.standard_normal(50)
    normal = jm.fit(jm.Model(density, {"mean": jm.Real(), "sigma": jm.Positive()}), {"y": y})
    part = jm.laplace_covariance(normal)
    np.testing.assert_allclose(part.std_errors["sigma"], y.std() / np.sqrt(100), rtol=1e-6)
    np.testing.assert_allclose(part.std_errors["mean"], y.std() / np.sqrt(50), rtol=1e-6)


@pytest.mark.filterwarnings("ignore::jaxmle.FitWarning")
def test_the_last_layer_of_a_network():
    """Against jax.hessian of the whole network; too many parameters for a covariance are refused with the size."""
    start = {"in": 0.5 * rng.standard_normal((K, 500)), "out": 0.1 * rng.standard_normal(500)}

    def network(p, row):
        eta = jnp.tanh(row["a"] @ p["deep"]["in"]) @ p["deep"]["out"]
        return row["t"] * eta - jnp.logaddexp(0.0, eta)

    fit = jm.fit(
        jm.Model(network, {"deep": jm.Tree(start)}), DATA, solver=jm.Minibatch(optax.adam(1e-3), batch=80, epochs=3)
    )
    some = [f"deep['out'][{i}]" for i in (0, 7, 499)]
    part = jm.laplace_covariance(fit, "parameters", names=some, prior_precision=1.0)
    hidden = np.tanh(A @ fit.params["deep"]["in"])
    p = expit(hidden @ fit.params["deep"]["out"])
    block = (hidden.T * (p * (1 - p))) @ hidden
    expected = np.linalg.inv(block[np.ix_([0, 7, 499], [0, 7, 499])] + np.eye(3))
    np.testing.assert_allclose(part.covariance(), expected, rtol=1e-8)
    diagonal = jm.laplace_covariance(fit, prior_precision=1.0)
    assert "Σ score²" in str(diagonal)
    squares = ((T - p) ** 2) @ hidden**2
    np.testing.assert_allclose(diagonal.variances[-500:], 1 / (squares + 1.0), rtol=1e-8)
    with pytest.raises(jm.ModelError, match=r"3,500² numbers .*laplace_covariance"):
        fit.covariance()
    for ask in (lambda: jm.laplace_covariance(fit, "parameters"), diagonal.covariance):
        with pytest.raises(jm.ModelError, match=r"A matrix of 3,500 entries has 3,500² numbers \(0.098 GB\)"):
            ask()


def test_a_penalty_is_part_of_it(fit, hessian):
    ridge = jm.fit(fit.model, DATA, weights="w", penalty=lambda p: 2.0 * jnp.sum(p["net"]["first"] ** 2))
    x = np.column_stack([A, np.ones(N)])
    p = expit(x @ np.array(list(ridge.coef.values())))
    total = (x.T * (W * p * (1 - p))) @ x + np.diag([4.0] * K + [0.0])
    np.testing.assert_allclose(jm.laplace_covariance(ridge).variances, 1 / np.diag(total), rtol=1e-8)
    with pytest.raises(jm.ModelError, match="knows nothing of a penalty"):
        jm.laplace_covariance(ridge, information="opg")


def test_mistakes(fit, tmp_path):
    for settings, words in [
        ({"kind": "diag"}, "no approximation of kind 'diag'.*diagonal"),
        ({"rank": 3}, "rank= goes with kind='low_rank'"),
        ({"kind": "low_rank"}, "needs rank="),
        ({"kind": "low_rank", "rank": 0, "prior_precision": 1.0}, "rank must be a whole number"),
        ({"kind": "low_rank", "rank": 3}, "give prior_precision="),
        ({"prior_precision": -1.0}, "prior_precision must be a number from 0 up"),
        ({"kind": "parameters", "information": "opg"}, "goes with kind='diagonal'"),
        ({"names": "nett"}, "no parameter or coefficient is called 'nett'.*'net'"),
    ]:
        with pytest.raises(jm.ModelError, match=words):
            jm.laplace_covariance(fit, **settings)
    fit.save(tmp_path / "fit.npz")
    with pytest.raises(jm.ModelError, match="a loaded fit does not have"):
        jm.laplace_covariance(jm.load(tmp_path / "fit.npz"))


@pytest.mark.filterwarnings("ignore::jaxmle.FitWarning")
def test_an_information_that_is_not_positive_is_refused():
    """−log(1 + x²) far from its maximum is convex."""
    density = lambda p, row: -jnp.log1p((row["y"] - p["far"]) ** 2)
    stopped = jm.fit(
        jm.Model(density, {"far": jm.Real(start=9.0)}),
        {"y": np.linspace(-1, 1, 5)},
        solver=jm.Minibatch(optax.sgd(1e-9), epochs=1),
    )
    with pytest.raises(jm.ModelError, match=r"there is no covariance\. Give prior_precision="):
        jm.laplace_covariance(stopped)
    assert jm.laplace_covariance(stopped, prior_precision=1.0).variances > 0

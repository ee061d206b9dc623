"""Ridge, lasso and elastic net against glmnet, scikit-learn and closed forms; certificates and duality gaps."""

import warnings

import jax.numpy as jnp
import numpy as np
import pytest

import jaxmle as jm
from jaxmle.declare.catalogue import bernoulli, normal, poisson
from jaxmle.declare.penalties import ElasticNet, Lasso, Ridge
from jaxmle.runtime import Compilation
from jaxmle.solve.proximal import ProximalNewton

from .models import fit


def wave(n=60, p=6):
    """Columns and responses without a random number, so that other programs can be given the same."""
    i, j = np.arange(1, n + 1)[:, None], np.arange(1, p + 1)[None]
    x = np.sin(1.7 * i * j + 0.3 * j) * (1 + 0.5 * j)
    eta = 0.4 + x @ np.array([0.5, -0.3, 0, 0.1, 0, 0.05])
    s = np.sin(12.9898 * np.arange(1, n + 1)) * 43758.5453
    u = s - np.floor(s)
    binary, count = (u < 1 / (1 + np.exp(-eta))).astype(float), np.floor(np.exp(0.4 * eta) + 2 * u)
    return {"b": binary, "c": count, "g": eta + 2 * u - 1, **{f"x{k}": x[:, k] for k in range(p)}}


DATA = wave()
X = np.stack([DATA[f"x{k}"] for k in range(6)], axis=1)
TERMS = " ~ " + " + ".join(f"x{k}" for k in range(6))
LOGISTIC, COUNTS = bernoulli("b" + TERMS), poisson("c" + TERMS)


def array(fit):
    return np.array(list(fit.coef.values()))


GLMNET = [
    (LOGISTIC, Lasso(3.0), [0.4225662643264, 0.1755671376980, -0.0457478596372, -0.0836905839462, 0.0679504798626,
                            0.0411786912469, 0.0939386670593]),
    (LOGISTIC, Lasso(3.0, standardize=True), [0.40907413747315, 0.15911599969718, -0.00693876838462,
                                              -0.03377184389434, 0.01555835097455, 0, 0.04490923440444]),
    (LOGISTIC, ElasticNet(3.0, 0.5, standardize=True), [0.4190710983477, 0.2360703200188, -0.0694636451712,
                                                        -0.0831249957853, 0.0573502559647, 0.0309535919478,
                                                        0.0757405194201]),
    (COUNTS, Lasso(4.0, standardize=True), [0.50711678213796, 0.11930224952627, -0.04744610314925, 0, 0, 0,
                                            0.00629671565149]),
    (COUNTS, ElasticNet(4.0, 0.3), [0.49977412992421, 0.14277901845533, -0.06755300452676, 0, 0.01348131262791,
                                    -0.00949183014794, 0.01987752765859]),
]  # fmt: skip
"""R's glmnet 4.1-6, thresh=1e-16, lambda = strength / 60, standardize as here."""


@pytest.mark.parametrize(("model", "penalty", "expected"), GLMNET)
def test_glmnet(model, penalty, expected):
    f = fit(model, DATA, penalty=penalty)
    np.testing.assert_allclose(array(f), expected, atol=2e-8)
    assert [c == 0 for c in array(f)] == [c == 0 for c in expected]
    assert f.converged
    assert f.certificate.gap < 1e-9
    assert f.certificate.zeros == sum(c == 0 for c in expected)
    assert f.df == sum(c != 0 for c in expected)


@pytest.mark.parametrize("l1_ratio", [0.0, 0.6, 1.0])
def test_scikit_learns_logistic_regression(l1_ratio):
    linear = pytest.importorskip("sklearn.linear_model", reason="scikit-learn is an extra")
    settings = dict(C=1 / 2.5, l1_ratio=l1_ratio, solver="saga", tol=1e-12, max_iter=100_000)
    peer = linear.LogisticRegression(**settings).fit(X, DATA["b"])
    f = fit(LOGISTIC, DATA, penalty=ElasticNet(2.5, l1_ratio))
    np.testing.assert_allclose(array(f), [peer.intercept_[0], *peer.coef_[0]], atol=1e-6)


def test_scikit_learns_poisson_regressor():
    linear = pytest.importorskip("sklearn.linear_model", reason="scikit-learn is an extra")
    peer = linear.PoissonRegressor(alpha=3.0 / 60, tol=1e-10, max_iter=10_000).fit(X, DATA["c"])
    np.testing.assert_allclose(array(fit(COUNTS, DATA, penalty=Ridge(3.0)))[1:], peer.coef_, atol=1e-6)


@pytest.mark.parametrize("l1_ratio", [0.5, 1.0])
def test_scikit_learns_elastic_net(l1_ratio):
    linear = pytest.importorskip("sklearn.linear_model", reason="scikit-learn is an extra")
    peer = linear.ElasticNet(alpha=6.0 / 60, l1_ratio=l1_ratio, tol=1e-14, max_iter=100_000).fit(X, DATA["g"])
    f = fit(normal("g" + TERMS, sd=1.0), DATA, penalty=ElasticNet(6.0, l1_ratio))
    np.testing.assert_allclose(array(f), [peer.intercept_, *peer.coef_], atol=1e-9)
    assert f.certificate.gap < 1e-8


def test_ridge_is_a_normal_prior_and_has_its_standard_errors():
    ridge = fit(LOGISTIC, DATA, penalty=Ridge(2.0))
    prior = fit(LOGISTIC, DATA, penalty=lambda p: 1.0 * jnp.sum(p["prob"][1:] ** 2))
    np.testing.assert_allclose(array(ridge), array(prior), atol=1e-10)
    np.testing.assert_allclose(ridge.covariance(), prior.covariance(), rtol=1e-8)
    assert ridge.log_likelihood == pytest.approx(prior.log_likelihood)
    assert ridge.certificate.zeros is None
    assert "ridge, strength 2" in str(ridge)


def test_another_strength_compiles_nothing():
    fit(LOGISTIC, DATA, penalty=Ridge(1.0)), fit(LOGISTIC, DATA, penalty=Lasso(1.0))
    with Compilation() as compiled:
        fit(LOGISTIC, DATA, penalty=Ridge(1.5)), fit(LOGISTIC, DATA, penalty=Lasso(1.5))
        fit(LOGISTIC, DATA)
    assert compiled.count == 0


def test_a_lasso_has_no_standard_errors_and_says_so():
    f = fit(LOGISTIC, DATA, penalty=Lasso(3.0))
    assert np.isnan(list(f.std_errors.values())).all()
    assert np.isnan(f.covariance("sandwich")).all()
    assert "corners" in f.withheld["prob[x0]"]
    text = str(f)
    assert "penalised optimum proved: duality gap" in text
    assert "penalty with corners" in text
    assert "lasso, strength 3" in text


def test_the_gap_is_the_distance_in_value():
    """At points that are not optimal the gap bounds what is missing, and goes to zero with it."""
    from jaxmle.objective.duality import duality_gap

    for model, penalty in ((LOGISTIC, Lasso(3.0)), (COUNTS, ElasticNet(4.0, 0.3)), (normal("g" + TERMS), Lasso(6.0))):
        f = fit(model, DATA, penalty=penalty)
        objective, z = f.session.objective, f.session.z
        total = lambda z, o=objective: o.value(z) + o.l1 @ np.abs(z)
        for size in (1e-4, 1e-2):
            away = z + size * np.sin(np.arange(len(z))) * (np.arange(len(z)) < 7)
            gap = duality_gap(objective, away, objective.evaluate(away))
            missing = total(away) - total(z)
            assert missing <= gap
            assert gap <= 20 * missing + 100 * size


def test_an_unpenalised_term_and_several_factors():
    f = fit(LOGISTIC, DATA, penalty=Lasso(1000.0, factors={"prob[x1]": 0.0}))
    alone = fit(bernoulli("b ~ x1"), DATA)
    assert f.coef["prob[x1]"] == pytest.approx(alone.coef["prob[x1]"])
    assert f.coef["prob[Intercept]"] == pytest.approx(alone.coef["prob[Intercept]"])
    assert f.certificate.zeros == 5


def test_all_coefficients_zero_without_an_intercept():
    f = fit(bernoulli("b ~ x0 + x1 - 1"), DATA, penalty=Lasso(1000.0))
    assert array(f).tolist() == [0.0, 0.0]
    assert f.converged
    assert f.log_likelihood == pytest.approx(-60 * np.log(2))


def test_a_second_predictor_and_a_density_of_the_users():
    """Scale and location with a lasso each: the conditions of optimality, from the formulas of the normal density."""
    model = normal("g ~ x0 + x1 + x2", sd="~ x3 + x4")
    f = fit(model, DATA, penalty=Lasso(4.0))
    b = f.params
    x, s = np.column_stack([np.ones(60), X[:, :3]]), np.column_stack([np.ones(60), X[:, 3:5]])
    mu, sd = x @ b["mean"], np.exp(s @ b["sd"])
    r = (DATA["g"] - mu) / sd
    scores = {"mean": x.T @ (r / sd), "sd": s.T @ (r**2 - 1)}
    for name, score in scores.items():
        bound = 4.0 * np.sign(b[name])
        np.testing.assert_allclose(score[1:][b[name][1:] != 0], bound[1:][b[name][1:] != 0], atol=1e-6)
        assert (np.abs(score[1:]) <= 4.0 + 1e-6).all()
        assert abs(score[0]) < 1e-6
    assert f.converged
    assert np.isnan(f.certificate.gap)
    only = fit(model, DATA, penalty=Lasso(4.0, parameters="sd"))
    assert (only.params["mean"] != 0).all()


def test_levels_that_stay_codes():
    rng = np.random.default_rng(3)
    level, w = rng.integers(0, 12, 200), rng.integers(1, 4, 200)
    data = {"y": rng.poisson(np.exp(0.1 * level)), "s": np.array([f"s{k:02d}" for k in level])}
    dense = data | {f"d{k}": (level == k).astype(float) for k in range(1, 12)}
    penalty = Lasso(3.0, standardize=True)
    coded = fit(poisson("y ~ s"), data, penalty=penalty, weights=w)
    plain = fit(poisson("y ~ " + " + ".join(f"d{k}" for k in range(1, 12))), dense, penalty=penalty, weights=w)
    assert coded.session.source.designs[0].factors
    np.testing.assert_allclose(array(coded), array(plain), atol=1e-8)
    assert 0 < coded.certificate.zeros < 11


def test_separated_data_have_finite_penalised_estimates():
    data = {"y": (np.arange(20) > 9).astype(float), "x": np.arange(20.0)}
    for penalty in (Ridge(0.1), Lasso(0.1), ElasticNet(0.1, 0.5)):
        f = fit(bernoulli("y ~ x"), data, penalty=penalty)
        assert f.converged
        assert np.isfinite(array(f)).all()


def test_saved_fits_keep_their_gap(tmp_path):
    f = fit(LOGISTIC, DATA, penalty=Lasso(3.0))
    f.save(tmp_path / "lasso")
    again = jm.load(tmp_path / "lasso")
    assert str(again.certificate) == str(f.certificate)
    assert again.coef == f.coef


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Lasso(-1.0), "strength must be a number from 0 up"),
        (lambda: Lasso("much"), "strength must be a number"),
        (lambda: ElasticNet(1.0, 1.5), "l1_ratio must be a number from 0 to 1"),
        (lambda: Ridge(1.0, l1_ratio=0.5), "use ElasticNet"),
        (lambda: Lasso(1.0, parameters=3), "names of parameters"),
        (lambda: Lasso(1.0, factors={"prob[x0]": -1}), "factors"),
        (lambda: Lasso(1.0, standardize="yes"), "standardize"),
        (lambda: fit(LOGISTIC, DATA, penalty=Lasso()), "needs a strength"),
        (lambda: fit(LOGISTIC, DATA, penalty=Lasso(1.0, parameters="rate")), "no parameter 'rate' has a predictor"),
        (
            lambda: fit(LOGISTIC, DATA, penalty=Lasso(1.0, factors={"prob[z]": 1})),
            "no penalised coefficient 'prob\\[z\\]'",
        ),
        (lambda: fit(bernoulli("b"), DATA, penalty=Ridge(1.0)), "nothing to penalise"),
        (lambda: fit(LOGISTIC, DATA, penalty=Lasso(1.0), solver="lbfgs"), "ProximalNewton"),
        (lambda: fit(LOGISTIC, DATA, penalty=3.0), "penalty must be"),
    ],
)
def test_bad_input(make, words):
    with pytest.raises(jm.ModelError, match=words):
        make()


def test_the_solver_by_itself_and_one_that_ends_early():
    same = fit(LOGISTIC, DATA, penalty=Lasso(3.0), solver=ProximalNewton())
    assert same.converged
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        early = fit(LOGISTIC, DATA, penalty=Lasso(3.0), max_steps=1)
    assert not early.converged
    assert any(isinstance(w.message, jm.FitWarning) for w in seen)

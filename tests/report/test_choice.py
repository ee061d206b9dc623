"""`Fit.plot`: which pictures are drawn of a model, and what is said of those that cannot be."""

import jax.numpy as jnp
import matplotlib
import numpy as np
import pytest

matplotlib.use("Agg")
from matplotlib import pyplot

import jaxmle as jm

N = 120
RNG = np.random.default_rng(8)
DATA = {"x": RNG.normal(size=N), "g": RNG.choice(["a", "b"], N), "d": RNG.uniform(size=N) < 0.8}
DATA["y"] = 1 + DATA["x"] + RNG.normal(size=N)
DATA["c"] = RNG.poisson(np.exp(0.3 + 0.5 * DATA["x"]))
DATA["t"] = RNG.exponential(size=N)
DATA["b"] = RNG.uniform(size=N) < 0.4


def own(p, row):
    return -0.5 * (row["y"] - p["mu"]) ** 2 / p["sd"] ** 2 - jnp.log(p["sd"]) - 0.5 * jnp.log(2 * jnp.pi)


def unnormed(p, row):
    return -0.5 * (row["y"] - p["mu"]) ** 2 / p["sd"] ** 2 - jnp.log(p["sd"])


@pytest.fixture(scope="module")
def counts():
    return jm.fit(jm.poisson("c ~ x + C(g)"), DATA)


@pytest.fixture(autouse=True)
def _closed():
    yield
    pyplot.close("all")


QQ = "normal quantile"
PARAMETERS = {"mu": jm.Real(), "sd": jm.Positive()}
PANELS = {
    "counts": (jm.poisson("c ~ x"), ["estimate and 95 % interval", "c", QQ, "fitted mean"]),
    "a sample": (jm.normal("y"), ["y", QQ, "mean"]),
    "a line": (jm.normal("y ~ x"), ["estimate and 95 % interval", "y", QQ, "fitted mean"]),
    "binary": (jm.bernoulli("b ~ x"), ["estimate and 95 % interval", "predicted probability of b = 1", "x"]),
    "labels": (jm.categorical("g"), ["g", "logits.b"]),
    "survival": (jm.censored(jm.exponential("t ~ C(g)"), event="d"), ["estimate and 95 % interval", "t", QQ]),
    "a density of one's own": (jm.Model(own, PARAMETERS), ["y", "mu"]),
    "without its constant": (jm.Model(unnormed, PARAMETERS), ["mu"]),
    "several columns": (jm.multivariate_normal(["x", "y"]), ["mean[0]", "mean[1]"]),
    "all rows at once": (
        jm.Model(lambda p, data: -((data["y"] - p["mu"]) ** 2), {"mu": jm.Real()}, unit="all"),
        ["mu"],
    ),
}


@pytest.mark.parametrize("name", PANELS)
def test_the_pictures_of_a_model(name):
    model, labels = PANELS[name]
    fit = jm.fit(model, DATA)
    assert [ax.get_xlabel() for ax in np.atleast_1d(fit.plot())] == labels


def test_one_picture_by_what_it_is_of(counts):
    assert counts.plot("rate[x]").get_xlabel() == "rate[x]"
    assert counts.plot(["rate[x]", "rate[C(g)[b]]"]).get_ylabel() == "rate[C(g)[b]]"
    assert counts.plot(lambda p: p["rate"][0]).get_ylabel() == "log-likelihood − maximum"
    assert counts.plot("x").get_ylabel() == counts.plot("x", what="effect").get_ylabel() == "mean of c"
    assert counts.plot(what="effect", column="g", at={"x": 0.0}).get_xlabel() == "g"
    assert counts.plot("rootogram").get_ylabel() == counts.plot(what="rootogram").get_ylabel() == "√frequency"
    assert len(counts.plot("residuals", parts=["qq", "scale"])) == 2
    assert counts.plot(what="contour", truth=(0.5, 0.0)).get_xlabel() == "rate[x]"


def test_axes_are_drawn_on(counts):
    _, axes = pyplot.subplots(1, 2)
    assert counts.plot(ax=axes[0]) is axes[0]
    assert counts.plot("rate[x]", axes[1]) is axes[1]
    assert list(counts.plot("residuals", axes, parts=["qq", "fitted"])) == list(axes)


MISTAKES = {
    "an unknown picture": (lambda f: f.plot(what="residual"), "Did you mean 'residuals'"),
    "an unknown name": (lambda f: f.plot("rate[y]"), "Did you mean 'rate\\[x\\]'"),
    "an unknown option": (lambda f: f.plot("x", color="red"), "'effect' has no option 'color'; it has column, by"),
    "an option of no picture": (lambda f: f.plot(by="g"), "say which by what="),
    "a name twice": (lambda f: f.plot("x", what="effect", column="x"), "give one of them"),
    "a name too many": (lambda f: f.plot("x", what="residuals"), "takes no name"),
    "a picture of another model": (lambda f: f.plot("calibration"), "Calibration is of"),
    "text for axes": (lambda f: f.plot("x", "left"), "matplotlib axes"),
    "text for the residuals' axes": (lambda f: f.plot("residuals", "left", parts="qq"), "matplotlib axes"),
    "a level": (lambda f: f.plot("x", level="95%"), "between 0 and 1"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_gets_one_clear_error(name, counts):
    ask, words = MISTAKES[name]
    with pytest.raises(jm.ModelError, match=words):
        ask(counts)


def test_a_loaded_fit_has_its_coefficients(counts, tmp_path):
    counts.save(tmp_path / "fit.npz")
    loaded = jm.load(tmp_path / "fit.npz")
    assert loaded.plot().get_xlabel() == "estimate and 95 % interval"
    with pytest.raises(jm.ModelError, match="loaded fit"):
        loaded.plot("residuals")

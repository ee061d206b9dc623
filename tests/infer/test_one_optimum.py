"""When an optimum is called global: the declarations of the families against second derivatives, and what fits say."""

from types import MappingProxyType

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxmle as jm
from jaxmle import runtime
from jaxmle.declare.catalogue import FAMILIES
from jaxmle.declare.distributions.base import OnScale
from jaxmle.declare.distributions.labelled import Categorical, OrderedCLogLog, OrderedLogit, OrderedProbit
from jaxmle.declare.families import Family
from jaxmle.declare.links import LINKS

KINDS = [f.distribution for f in FAMILIES.values() if isinstance(f, Family) and f.distribution.concave]
DECLARED = [(kind, name, link) for kind in KINDS for name, links in kind.concave.items() for link in links]


def eigenvalues(f, points):
    """The largest eigenvalue of the Hessian of `f`, relative to the size of the Hessian, at each of the points."""
    with runtime.x64():
        hessians = jax.jit(jax.vmap(jax.hessian(lambda v: f(*v))))(jnp.asarray(points))
    values = np.linalg.eigvalsh(np.asarray(hessians))
    return values[:, -1] / np.maximum(np.abs(values).max(axis=1), 1e-12)


def others_of(kind, name, rng):
    """Values of the parameters but one, legal ones."""
    ranges = {"power": (1.1, 1.9)}
    low_high = {n: ranges.get(n, (0.3, 3.0)) for n in kind.parameters if n != name}
    return {n: rng.uniform(*ends) for n, ends in low_high.items()}


@pytest.mark.parametrize(("kind", "name", "link"), DECLARED, ids=lambda v: getattr(v, "__name__", v))
def test_log_densities_are_concave_where_it_is_declared(kind, name, link):
    rng = np.random.default_rng(1)
    positive = link == "identity" and name == "rate"
    with runtime.x64():
        for _ in range(5):
            others = others_of(kind, name, rng) | ({"trials": 7.0} if "trials" in kind.known else {})
            typical = kind(**others, **{name: OnScale(LINKS[link], jnp.asarray(1.0))})
            y = [float(typical.sample(k)) for k in jax.random.split(jax.random.key(int(rng.integers(100))), 4)]
            for value in y:
                eta = rng.uniform(0.05 if positive else -4.0, 4.0, (50, 1))
                log_prob = lambda e, v=value, o=others: kind(**o, **{name: OnScale(LINKS[link], e)}).log_prob(v)
                assert eigenvalues(log_prob, eta).max() < 1e-7, (value, others)


JOINT = {
    "Normal": lambda a, b: {"mean": a / b, "sd": 1 / b},
    "LogNormal": lambda a, b: {"mu": a / b, "sigma": 1 / b},
    "Logistic": lambda a, b: {"loc": a / b, "scale": 1 / b},
    "Gumbel": lambda a, b: {"loc": a / b, "scale": 1 / b},
    "Weibull": lambda a, b: {"scale": jnp.exp(a / b), "shape": b},
    "LogLogistic": lambda a, b: {"scale": jnp.exp(a / b), "shape": b},
}
"""Parameters by location over scale, and one over scale: there the log-density is concave in both (Burridge, 1981)."""


@pytest.mark.parametrize("kind", [k for k in KINDS if k.one_optimum_censored and k.__name__ != "Exponential"])
def test_location_and_scale_are_jointly_concave_censored_or_not(kind):
    rng = np.random.default_rng(2)
    at = JOINT[kind.__name__]
    points = np.stack([rng.uniform(-3, 3, 60), rng.uniform(0.3, 3, 60)], axis=1)
    for low in (0.2, 1.0, 2.5):
        assert eigenvalues(lambda a, b, y=low: kind(**at(a, b)).log_prob(y), points).max() < 1e-7
        assert eigenvalues(lambda a, b, y=low: kind(**at(a, b)).log_survival(y), points).max() < 1e-7
        assert eigenvalues(lambda a, b, y=low: kind(**at(a, b)).log_cdf(y), points).max() < 1e-7
        inside = lambda a, b, y=low: jnp.log(kind(**at(a, b)).cdf(y + 1.0) - kind(**at(a, b)).cdf(y))
        assert eigenvalues(inside, points[np.abs(points[:, 0] / points[:, 1] - low) < 2]).max() < 1e-6


@pytest.mark.parametrize("kind", [OrderedLogit, OrderedProbit, OrderedCLogLog])
def test_cutpoints_and_location_are_jointly_concave(kind):
    rng = np.random.default_rng(3)
    points = np.sort(rng.uniform(-3, 3, (60, 3)), axis=1) + [0, 0.1, 0.2]
    points = np.concatenate([points, rng.uniform(-2, 2, (60, 1))], axis=1)
    for y in range(4):
        of = lambda a, b, c, location, y=y: kind(cutpoints=jnp.stack([a, b, c]), location=location).log_prob(y)
        assert eigenvalues(of, points).max() < 1e-6


def test_logits_are_jointly_concave():
    points = np.random.default_rng(4).uniform(-3, 3, (60, 2))
    for y in range(3):
        assert eigenvalues(lambda a, b, y=y: Categorical(logits=jnp.stack([a, b])).log_prob(y), points).max() < 1e-7


N = 300
RNG = np.random.default_rng(5)
X = RNG.normal(size=N)
DATA = {
    "x": X,
    "count": RNG.negative_binomial(2, 2 / (2 + np.exp(0.5 + 0.3 * X))),
    "yes": RNG.random(N) < 1 / (1 + np.exp(-X)),
    "real": X + RNG.normal(size=N),
    "time": RNG.weibull(1.5, N) * np.exp(0.3 * X),
    "seen": RNG.random(N) < 0.7,
    "label": np.array(["a", "b", "c"])[np.clip(np.round(X + RNG.normal(size=N) + 1), 0, 2).astype(int)],
    "group": np.repeat(np.arange(N // 3), 3),
    "chosen": np.tile([1, 0, 0], N // 3),
    "entry": np.zeros(N),
}


class Sech(jm.Distribution):
    """The hyperbolic secant, whose logarithm is concave, as it says."""

    loc: jm.Real
    concave = MappingProxyType({"loc": ("identity",)})

    def log_prob(self, y):
        return -jnp.log(jnp.cosh(y - self.loc)) - jnp.log(jnp.pi)


class Mistaken(Sech):
    """Cauchy's density, which is not log-concave, though it says so."""

    def log_prob(self, y):
        return -jnp.log1p((y - self.loc) ** 2) - jnp.log(jnp.pi)


GLOBAL = {
    "poisson": (lambda: jm.poisson("count ~ x"), {}),
    "constant": (lambda: jm.poisson("count"), {}),
    "probit": (lambda: jm.bernoulli("yes ~ x", link="probit"), {}),
    "normal": (lambda: jm.normal("real ~ x"), {}),
    "gamma": (lambda: jm.gamma("time ~ x"), {}),
    "censored": (lambda: jm.censored(jm.weibull("time ~ x"), event="seen"), {}),
    "dispersion held": (lambda: jm.negative_binomial("count ~ x"), {"fixed": {"dispersion": 0.5}}),
    "categorical": (lambda: jm.categorical("label ~ x"), {}),
    "ordinal": (lambda: jm.ordinal("label ~ x"), {}),
    "conditional": (lambda: jm.conditional_logit("chosen ~ x", group="group"), {}),
    "ridge": (lambda: jm.poisson("count ~ x"), {"penalty": jm.Ridge(1.0)}),
    "declared": (lambda: jm.family(Sech)("real ~ x"), {}),
}
LOCAL = {
    "dispersion": (lambda: jm.negative_binomial("count ~ x"), {}),
    "cauchy": (lambda: jm.cauchy("real ~ x"), {}),
    "cauchit": (lambda: jm.bernoulli("yes ~ x", link="cauchit"), {}),
    "two predictors": (lambda: jm.normal("real ~ x", sd="~ x"), {}),
    "ridge and scale": (lambda: jm.normal("real ~ x"), {"penalty": jm.Ridge(1.0)}),
    "own penalty": (lambda: jm.poisson("count ~ x"), {"penalty": lambda p: jnp.sum(p["rate"] ** 2)}),
    "late entry": (lambda: jm.censored(jm.weibull("time ~ x"), event="seen", entry="entry"), {}),
    "mistaken": (lambda: jm.family(Mistaken)("real ~ x"), {}),
    "own density": (
        lambda: jm.Model(lambda p, row: -0.5 * (row["real"] - p["loc"]) ** 2, {"loc": jm.Linear("~ x")}),
        {},
    ),
}


@pytest.mark.parametrize("name", GLOBAL)
def test_an_optimum_that_is_the_only_one_is_called_global(name):
    make, settings = GLOBAL[name]
    fit = jm.fit(make(), DATA, **settings)
    assert fit.certificate.proved
    assert fit.certificate.only
    assert "✓ global optimum proved" in str(fit)


@pytest.mark.parametrize("name", LOCAL)
def test_an_optimum_beside_which_there_may_be_others_is_not(name):
    make, settings = LOCAL[name]
    fit = jm.fit(make(), DATA, **settings)
    assert fit.certificate.proved
    assert not fit.certificate.only
    assert "✓ optimum proved" in str(fit)


def test_one_optimum_of_a_gamma_regression_from_everywhere():
    """Its mean's coefficients do not depend on the dispersion, and the likelihood in the dispersion has one peak."""
    fit = jm.fit(jm.gamma("time ~ x"), DATA, solver=jm.MultiStart(12, spread=2.0))
    assert len(fit.optima) == 1

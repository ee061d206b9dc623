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


def eigenvalues(f, points, *more):
    """The largest eigenvalue of the Hessian of `f(*point, *more)` in the point, relative to its size, for each of the rows."""

    def hessian(v, more):
        return jax.hessian(lambda v: f(*v, *more))(v)

    with runtime.x64():
        hessians = jax.jit(jax.vmap(hessian))(jnp.asarray(points), tuple(map(jnp.asarray, more)))
    values = np.linalg.eigvalsh(np.asarray(hessians))
    return values[:, -1] / np.maximum(np.abs(values).max(axis=1), 1e-12)


@pytest.mark.parametrize(("kind", "name", "link"), DECLARED, ids=lambda v: getattr(v, "__name__", v))
def test_log_densities_are_concave_where_it_is_declared(kind, name, link):
    """At random values of the predictor, the other parameters, and responses drawn in their neighbourhood."""
    rng, n = np.random.default_rng(1), 400
    ranges = {"power": (1.1, 1.9)}
    others = {k: rng.uniform(*ranges.get(k, (0.3, 3.0)), n) for k in kind.parameters if k != name}
    if "trials" in kind.known:
        others["trials"] = np.full(n, 7.0)
    positive = link == "identity" and name == "rate"
    eta, typical = rng.uniform(0.05 if positive else -4.0, 4.0, n), rng.uniform(0.2, 2.0, n)
    made = lambda e, o: kind(**dict(zip(others, o)), **{name: OnScale(LINKS[link], e)})
    with runtime.x64():
        keys = jax.random.split(jax.random.key(1), n)
        y = jax.jit(jax.vmap(lambda k, e, o: made(e, o).sample(k)))(keys, typical, tuple(others.values()))
    log_prob = lambda e, y, *o: made(e, o).log_prob(y)
    assert eigenvalues(log_prob, eta[:, None], y, *others.values()).max() < 1e-7


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
    points = np.stack([rng.uniform(-3, 3, 180), rng.uniform(0.3, 3, 180)], axis=1)
    low = np.tile([0.2, 1.0, 2.5], 60)
    for f in ("log_prob", "log_survival", "log_cdf"):
        assert eigenvalues(lambda a, b, y, f=f: getattr(kind(**at(a, b)), f)(y), points, low).max() < 1e-7
    near = np.abs(points[:, 0] / points[:, 1] - low) < 2
    inside = lambda a, b, y: jnp.log(kind(**at(a, b)).cdf(y + 1.0) - kind(**at(a, b)).cdf(y))
    assert eigenvalues(inside, points[near], low[near]).max() < 1e-6


@pytest.mark.parametrize("kind", [OrderedLogit, OrderedProbit, OrderedCLogLog])
def test_cutpoints_and_location_are_jointly_concave(kind):
    rng = np.random.default_rng(3)
    points = np.sort(rng.uniform(-3, 3, (60, 3)), axis=1) + [0, 0.1, 0.2]
    points = np.concatenate([points, rng.uniform(-2, 2, (60, 1))], axis=1)
    of = lambda a, b, c, location, y: kind(cutpoints=jnp.stack([a, b, c]), location=location).log_prob(y)
    assert eigenvalues(of, np.tile(points, (4, 1)), np.repeat(np.arange(4), 60)).max() < 1e-6


def test_logits_are_jointly_concave():
    points = np.random.default_rng(4).uniform(-3, 3, (60, 2))
    of = lambda a, b, y: Categorical(logits=jnp.stack([a, b])).log_prob(y)
    assert eigenvalues(of, np.tile(points, (3, 1)), np.repeat(np.arange(3), 60)).max() < 1e-7


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

"""Inflated, truncated and mixed distributions: densities from the literature, in the tails too; quantiles and draws."""

import functools
import math

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest
import scipy.stats

from jaxmle import runtime
from jaxmle.declare.distributions.base import OnScale
from jaxmle.declare.distributions.gamma import Gamma
from jaxmle.declare.distributions.inflated import Hurdle, ZeroInflated
from jaxmle.declare.distributions.mixed import Mixed
from jaxmle.declare.distributions.normal import Normal
from jaxmle.declare.distributions.poisson import Poisson
from jaxmle.declare.distributions.truncated import Constant, Truncated, log_between
from jaxmle.declare.links import LINKS

from .examples_special import EXAMPLES


def at_once(example, params, method, points):
    """A method of an example's distribution at many points, compiled once for each example and method."""
    names = tuple(example.params)
    with runtime.x64():
        values = jnp.asarray([params[n] for n in names])
        return np.asarray(_compiled(example.family, names, method)(values, jnp.asarray(points)))


@functools.cache
def _compiled(kind, names, method):
    one = lambda values, y: getattr(kind(**dict(zip(names, values))), method)(y)
    return jax.jit(jax.vmap(one, in_axes=(None, 0)))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: e.id)
def test_the_density_of_the_literature(example):
    for change in ({}, *example.others):
        params = example.params | change
        with mp.workdps(60):
            exact = {k: mp.mpf(v) for k, v in params.items()}
            want = [float(example.reference(mp, mp.mpf(y), **exact)) for y in example.grid]
        got = at_once(example, params, "log_prob", example.grid)
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)
        low, high = (at_once(example, params, method, example.grid) for method in ("log_cdf", "log_survival"))
        np.testing.assert_allclose(np.logaddexp(low, high), 0.0, atol=1e-10)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: e.id)
def test_draws_have_the_mean_and_the_variance(example):
    n, names = 4_000, tuple(example.params)

    def moments(values, keys):
        d = example.family(**dict(zip(names, values)))
        return d.expectation(), d.variance(), jax.vmap(d.sample)(keys)

    with runtime.x64():
        values = jnp.asarray(list(example.params.values()))
        found = jax.jit(moments)(values, jax.random.split(jax.random.key(1), n))
        mean, variance, draws = (np.asarray(x) for x in found)
    sd = math.sqrt(float(variance))
    assert draws.mean() == pytest.approx(float(mean), abs=5 * sd / math.sqrt(n))
    assert draws.std() == pytest.approx(sd, rel=0.1)


def log_rate(eta):
    return OnScale(LINKS["log"], eta)


def logit(eta):
    return OnScale(LINKS["logit"], eta)


def derivatives(f):
    """f, its gradient and its Hessian at a point, and more arguments, compiled once."""

    def everything(at, *more):
        g = jax.grad(lambda a: f(*a, *more))
        return jnp.concatenate([jnp.atleast_1d(f(*at, *more)), g(at), jax.jacfwd(g)(at).ravel()])

    compiled = jax.jit(everything)

    def at(*point, more=()):
        with runtime.x64():
            return np.asarray(compiled(jnp.asarray(point, jnp.float64), *more))

    return at


def exact_derivatives(f, *at, digits=60):
    n = len(at)
    orders = [tuple(int(i == j) for i in range(n)) for j in range(n)]
    pairs = [tuple(a + b for a, b in zip(p, q)) for p in orders for q in orders]
    with mp.workdps(digits):
        point = tuple(mp.mpf(v) for v in at)
        step = mp.mpf(10) ** (-digits // 4)
        return np.array([float(f(*point))] + [float(mp.diff(f, point, order, h=step)) for order in orders + pairs])


TAILS = [(-40.0, -30.0), (-40.0, 30.0), (5.0, -40.0), (3.0, 35.0), (0.3, -0.2)]


def share(z):
    return 1 / (1 + mp.exp(-z))


def poisson_chance(y, e):
    return mp.exp(y * e - mp.exp(e) - mp.loggamma(y + 1))


def test_zero_inflated_and_hurdle_counts_keep_their_derivatives_in_the_tails():
    inflated = derivatives(lambda e, z, y: ZeroInflated(inner=Poisson(rate=log_rate(e)), zero=logit(z)).log_prob(y))
    past = derivatives(lambda e, z, y: Hurdle(inner=Poisson(rate=log_rate(e)), zero=logit(z)).log_prob(y))
    for y in (0.0, 1.0, 4.0):
        at_zero = y == 0
        with_zeros = lambda e, z, y=y: mp.log((share(z) if y == 0 else 0) + share(-z) * poisson_chance(y, e))
        positive = lambda e, z, y=y: mp.log(share(-z) * poisson_chance(y, e) / -mp.expm1(-mp.exp(e)))
        none = lambda e, z: mp.log(share(z))
        for at in TAILS:
            pairs = ((inflated, with_zeros), (past, none if at_zero else positive))
            for ours, exact in pairs:
                want = exact_derivatives(exact, *at)
                np.testing.assert_allclose(ours(*at, more=(y,)), want, rtol=1e-9, atol=1e-12, err_msg=f"{y} {at}")


def test_a_normal_between_two_limits_keeps_its_derivatives_in_the_tails():
    def truncated_normal(m, s):
        return Truncated(inner=Normal(mean=m, sd=log_rate(s)), low=Constant(0.0), high=Constant(1.5)).log_prob(0.7)

    def exact(m, s):
        sd = mp.exp(s)
        tail = lambda x: mp.erfc(x / (sd * mp.sqrt(2))) / 2
        left, right = (tail(m - mp.mpf("1.5")), tail(m)) if m > 0 else (tail(-m), tail(mp.mpf("1.5") - m))
        return mp.log(mp.npdf(mp.mpf(0.7), m, sd) / (left - right))

    ours = derivatives(truncated_normal)
    for mean in (0.5, -35.0, 60.0):
        np.testing.assert_allclose(ours(mean, 0.1), exact_derivatives(exact, mean, 0.1), rtol=1e-8, err_msg=f"{mean}")


def test_open_ends_of_an_interval():
    def value(mean, low, high):
        return log_between(Gamma(mean=mean, dispersion=0.5), low, high)

    inf = np.inf
    ends = np.array([(0.0, inf), (-1.0, 3.0), (1.0, inf), (1.0, 3.0), (0.0, 2.0), (2.0, inf)])
    with runtime.x64():
        both = jax.jit(jax.vmap(jax.value_and_grad(value), in_axes=(None, 0, 0)))
        values, slopes = both(2.0, jnp.asarray(ends[:, 0]), jnp.asarray(ends[:, 1]))
    law = scipy.stats.gamma(2.0, scale=1.0)
    np.testing.assert_allclose(np.exp(values), law.cdf(ends[:, 1]) - law.cdf(ends[:, 0]), rtol=1e-12)
    assert np.isfinite(slopes).all()  # no NaN from the end that is open


def test_limits_of_counts():
    def chances(rate):
        d = Truncated(inner=Poisson(rate=rate), low=Constant(0.5), high=Constant(4.0))
        return jnp.exp(jax.vmap(d.log_prob)(jnp.arange(7.0))), d.expectation()

    with runtime.x64():
        each, mean = (np.asarray(x) for x in jax.jit(chances)(2.0))
        support = Truncated(inner=Poisson(rate=2.0), low=Constant(0.5), high=Constant(4.0)).support
    assert each.sum() == pytest.approx(1.0, rel=1e-12)
    assert (each > 0).tolist() == [False, True, True, True, False, False, False]
    assert support.holds(np.arange(6)).tolist() == [False, True, True, True, False, False]
    assert float(mean) == pytest.approx(float(each @ np.arange(7)), rel=1e-9)


def test_a_mixture_says_which_component_a_response_is_from():
    with runtime.x64():
        d = Mixed(
            components=(Normal(mean=0.0, sd=1.0), Normal(mean=4.0, sd=1.0)), log_weights=jnp.log(jnp.array([0.3, 0.7]))
        )
        np.testing.assert_allclose(np.exp(d.posterior(2.0)), [0.3, 0.7], rtol=1e-12)

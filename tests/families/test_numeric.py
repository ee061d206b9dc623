"""Expectations, tails and quantiles of a distribution that has only its log_prob, against SciPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.special import gammaln as jax_gammaln
from scipy import stats

import jaxmle as jm
from jaxmle import runtime
from jaxmle.declare.distributions.base import Distribution
from jaxmle.declare.distributions.supports import COUNT, POSITIVE, UNIT, Support
from jaxmle.declare.domains import Positive, Real, UnitInterval


class Bell(Distribution):
    mean: Real
    sd: Positive

    def log_prob(self, y):
        return -0.5 * ((y - self.mean) / self.sd) ** 2 - jnp.log(self.sd) - 0.5 * jnp.log(2 * jnp.pi)


class Peak(Distribution):
    loc: Real
    scale: Positive

    def log_prob(self, y):
        return -jnp.abs(y - self.loc) / self.scale - jnp.log(2 * self.scale)


class Heavy(Distribution):
    loc: Real
    scale: Positive
    df: Positive

    def log_prob(self, y):
        z2 = ((y - self.loc) / self.scale) ** 2
        norm = jax_gammaln(0.5 * (self.df + 1)) - jax_gammaln(0.5 * self.df) - 0.5 * jnp.log(self.df * jnp.pi)
        return norm - jnp.log(self.scale) - 0.5 * (self.df + 1) * jnp.log1p(z2 / self.df)


class Wait(Distribution):
    shape: Positive
    scale: Positive

    support = POSITIVE

    def log_prob(self, y):
        z = y / self.scale
        return (self.shape - 1) * jnp.log(z) - z - jax_gammaln(self.shape) - jnp.log(self.scale)


class Share(Distribution):
    a: Positive
    b: Positive

    support = UNIT

    def log_prob(self, y):
        log_beta = jax_gammaln(self.a) + jax_gammaln(self.b) - jax_gammaln(self.a + self.b)
        return (self.a - 1) * jnp.log(y) + (self.b - 1) * jnp.log1p(-y) - log_beta


class Below(Distribution):
    rate: Positive

    support = Support(high=2.0, words="a number below 2")

    def log_prob(self, y):
        return jnp.log(self.rate) - self.rate * (2.0 - y)


class Few(Distribution):
    rate: Positive

    support = COUNT

    def log_prob(self, y):
        return y * jnp.log(self.rate) - self.rate - jax_gammaln(y + 1)


class Tries(Distribution):
    prob: UnitInterval

    support = Support(1.0, closed=(True, False), whole=True)

    def log_prob(self, y):
        return jnp.log(self.prob) + (y - 1) * jnp.log1p(-self.prob)


class Difference(Distribution):
    """Whole numbers on both sides of zero: a discretised Laplace distribution."""

    share: UnitInterval

    support = Support(whole=True)

    def log_prob(self, y):
        return jnp.log1p(-self.share) - jnp.log1p(self.share) + jnp.abs(y) * jnp.log(self.share)


class Two(Distribution):
    """Counts with two modes, far apart."""

    low: Positive
    high: Positive

    support = COUNT

    def log_prob(self, y):
        return jnp.logaddexp(Few(rate=self.low).log_prob(y), Few(rate=self.high).log_prob(y)) - jnp.log(2.0)


def ask(d, ys, qs) -> dict:
    """All that is found numerically, compiled."""

    def f(d, ys, qs):
        tails = jax.vmap(lambda y: (d.log_cdf(y), d.log_survival(y)))(ys)
        return d.expectation(), d.variance(), *tails, jax.vmap(d.quantile)(qs)

    names = ("expectation", "variance", "log_cdf", "log_survival", "quantile")
    out = runtime.call(jax.jit(f), d, np.asarray(ys, np.float64), np.asarray(qs, np.float64))[0]
    return {k: np.asarray(v) for k, v in zip(names, out)}


CHANCES = np.array([1e-6, 1e-3, 0.2, 0.5, 0.8, 0.999, 1 - 1e-6])

CONTINUOUS = [
    (Bell(mean=-3.0, sd=2.0), stats.norm(-3, 2)),
    (Bell(mean=1e4, sd=1e-2), stats.norm(1e4, 1e-2)),
    (Peak(loc=0.7, scale=3.0), stats.laplace(0.7, 3)),
    (Heavy(loc=5.0, scale=0.2, df=5.0), stats.t(5, 5, 0.2)),
    (Wait(shape=0.3, scale=7.0), stats.gamma(0.3, scale=7)),
    (Wait(shape=40.0, scale=1e-5), stats.gamma(40, scale=1e-5)),
    (Share(a=0.7, b=2.0), stats.beta(0.7, 2.0)),
    (Share(a=30.0, b=300.0), stats.beta(30, 300)),
]


@pytest.mark.parametrize(
    ("d", "truth"), CONTINUOUS, ids=[f"{type(d).__name__}{i}" for i, (d, _) in enumerate(CONTINUOUS)]
)
def test_continuous(d, truth):
    ys = truth.ppf(CHANCES)
    got = ask(d, ys, CHANCES)
    # the density itself is only as smooth as the rounding of y lets it be
    tol = max(1e-9, 1e-14 * abs(truth.mean()) / truth.std())
    assert got["expectation"] == pytest.approx(truth.mean(), abs=tol * truth.std())
    assert got["variance"] == pytest.approx(truth.var(), rel=tol)
    np.testing.assert_allclose(got["log_cdf"], truth.logcdf(ys), atol=tol)
    np.testing.assert_allclose(got["log_survival"], truth.logsf(ys), atol=tol, rtol=1e-9)
    np.testing.assert_allclose(got["quantile"], ys, rtol=1e-9, atol=1e-8 * truth.std())


def test_a_support_that_ends_above():
    truth = stats.expon(scale=1 / 1.7)
    got = ask(Below(rate=1.7), [1.9, 0.3, -20.0], [0.1, 0.9])
    assert got["expectation"] == pytest.approx(2 - truth.mean(), abs=1e-10)
    assert got["variance"] == pytest.approx(truth.var(), rel=1e-10)
    np.testing.assert_allclose(got["log_cdf"], -1.7 * (2.0 - np.array([1.9, 0.3, -20.0])), rtol=1e-10)
    np.testing.assert_allclose(got["quantile"], 2 + np.log([0.1, 0.9]) / 1.7, rtol=1e-10)


def test_tails_where_one_minus_the_cdf_is_zero():
    got = ask(Bell(mean=0.0, sd=1.0), [-40.0, 40.0], [0.5])
    assert got["log_cdf"][0] == pytest.approx(stats.norm.logcdf(-40), rel=1e-12)
    assert got["log_survival"][1] == pytest.approx(stats.norm.logsf(40), rel=1e-12)
    got = ask(Few(rate=3.0), [200.0, 1000.0], [0.5])
    far = [stats.poisson(3).logpmf(y + 1) + np.log1p(3 / (y + 2) * (1 + 3 / (y + 3))) for y in (200, 1000)]
    np.testing.assert_allclose(got["log_survival"], far, rtol=1e-8)


def test_ends_of_the_support():
    got = ask(Wait(shape=2.0, scale=1.0), [-1.0, 0.0, np.inf], [0.0, 1.0, 1.5, np.nan])
    np.testing.assert_array_equal(got["log_cdf"], [-np.inf, -np.inf, 0.0])
    np.testing.assert_array_equal(got["log_survival"], [0.0, 0.0, -np.inf])
    np.testing.assert_array_equal(got["quantile"], [0.0, np.inf, np.nan, np.nan])
    got = ask(Few(rate=2.0), [-1.0, -0.5], [0.0, 1.0, 1.5, np.nan])
    np.testing.assert_array_equal(got["log_cdf"], [-np.inf, -np.inf])
    np.testing.assert_array_equal(got["log_survival"], [0.0, 0.0])
    np.testing.assert_array_equal(got["quantile"], [0.0, np.inf, np.nan, np.nan])


@pytest.mark.parametrize("rate", [1e-3, 0.7, 30.0, 2e4])
def test_counts(rate):
    truth = stats.poisson(rate)
    ys = truth.ppf(CHANCES)
    got = ask(Few(rate=rate), [*ys, rate + 0.5], [*CHANCES, *truth.cdf(ys[:5])])
    tol = 1e-9 + 1e-14 * rate  # log_prob loses as much
    assert got["expectation"] == pytest.approx(rate, rel=tol)
    assert got["variance"] == pytest.approx(rate, rel=tol)
    np.testing.assert_allclose(got["log_cdf"], truth.logcdf([*ys, rate + 0.5]), rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(got["log_survival"], truth.logsf([*ys, rate + 0.5]), rtol=1e-8, atol=1e-9)
    np.testing.assert_array_equal(got["quantile"][: len(ys)], ys)


def test_counts_from_one_and_on_both_sides_of_zero():
    truth = stats.geom(0.02)
    got = ask(Tries(prob=0.02), [1.0, 50.0, 900.0], CHANCES)
    assert got["expectation"] == pytest.approx(50.0, rel=1e-10)
    assert got["variance"] == pytest.approx(truth.var(), rel=1e-10)
    np.testing.assert_allclose(got["log_survival"], truth.logsf([1, 50, 900]), rtol=1e-9)
    np.testing.assert_array_equal(got["quantile"], truth.ppf(CHANCES))
    truth = stats.dlaplace(0.3)
    got = ask(Difference(share=float(np.exp(-0.3))), [-40.0, 0.0, 3.0], CHANCES)
    assert got["expectation"] == pytest.approx(0.0, abs=1e-10)
    assert got["variance"] == pytest.approx(truth.var(), rel=1e-10)
    np.testing.assert_allclose(got["log_cdf"], truth.logcdf([-40, 0, 3]), rtol=1e-9)
    np.testing.assert_array_equal(got["quantile"], truth.ppf(CHANCES))


def test_what_does_not_exist_is_nan():
    got = ask(Heavy(loc=0.0, scale=1.0, df=1.0), [2.0], [0.9])
    assert np.isnan(got["expectation"])
    assert got["log_cdf"][0] == pytest.approx(stats.cauchy.logcdf(2.0), abs=1e-10)
    assert got["quantile"][0] == pytest.approx(stats.cauchy.ppf(0.9), rel=1e-9)
    got = ask(Heavy(loc=0.0, scale=1.0, df=1.5), [2.0], [0.9])
    assert np.isnan(got["variance"])


def test_two_modes_between_which_nothing_lies_are_summed_or_refused():
    mean = ask(Two(low=1.0, high=20_000.0), [5.0], [0.25])
    assert np.isnan(mean["expectation"]) or mean["expectation"] == pytest.approx(10_000.5)
    mean = ask(Two(low=5.0, high=40.0), [20.0], [0.25])
    assert mean["expectation"] == pytest.approx(22.5, rel=1e-10)
    both = 0.5 * stats.poisson(5).cdf(20) + 0.5 * stats.poisson(40).cdf(20)
    assert mean["log_cdf"][0] == pytest.approx(np.log(both), rel=1e-9)


def test_derivatives_in_the_parameters_are_those_of_the_closed_forms():
    def quantile(theta, q):
        return Wait(shape=3.0, scale=theta).quantile(q)

    both = jax.jit(lambda t, q: (jax.grad(quantile, (0, 1))(t, q), jax.hessian(quantile, (0, 1))(t, q)))
    (by_scale, by_q), ((twice, mixed), (_, q_twice)) = jax.tree.map(float, runtime.call(both, 2.0, 0.9)[0])
    truth = stats.gamma(3)
    y = truth.ppf(0.9)
    f = truth.pdf(y)
    assert by_scale == pytest.approx(y, rel=1e-9)
    assert by_q == pytest.approx(2 / f, rel=1e-9)
    assert twice == pytest.approx(0.0, abs=1e-8)
    assert mixed == pytest.approx(1 / f, rel=1e-8)
    assert q_twice == pytest.approx(-2 * (2 / y - 1) / f**2, rel=1e-8)  # -(log f)' / f**2, times the scale

    def tail(rate):
        return Few(rate=rate).log_survival(9.0)

    both = jax.jit(lambda r: (jax.grad(tail)(r), jax.hessian(tail)(r), jax.jacfwd(jax.jacfwd(tail))(r)))
    slope, second, forward = map(float, runtime.call(both, 5.0)[0])
    ratio = stats.poisson(5).pmf(9) / stats.poisson(5).sf(9)  # dS/drate = pmf(9)
    assert slope == pytest.approx(ratio, rel=1e-10)
    assert second == pytest.approx(ratio * (9 / 5 - 1) - ratio**2, rel=1e-9)
    assert forward == pytest.approx(second, rel=1e-10)

    moments = jax.jit(
        lambda r: (jax.grad(lambda r: Few(rate=r).expectation())(r), jax.grad(lambda r: Few(rate=r).variance())(r))
    )
    assert [float(v) for v in runtime.call(moments, 5.0)[0]] == pytest.approx([1.0, 1.0], rel=1e-9)


def test_sampling_by_inversion_follows_the_density():
    for d, truth in ((Peak(loc=1.0, scale=2.0), stats.laplace(1, 2)), (Few(rate=4.0), None)):
        draw = jax.jit(lambda d, keys: jax.vmap(d.sample)(keys))
        with runtime.x64():
            keys = jax.random.split(jax.random.key(3), 5_000)
        y = np.asarray(runtime.call(draw, d, keys)[0])
        if truth is not None:
            assert stats.kstest(y, truth.cdf).pvalue > 1e-4
        else:
            counts = np.bincount(y.astype(int), minlength=12)[:12]
            expected = 5_000 * stats.poisson(4).pmf(np.arange(12))
            assert stats.chisquare(counts, expected * counts.sum() / expected.sum()).pvalue > 1e-4


def test_rows_are_independent():
    shapes = np.array([0.4, 3.0, 200.0])
    f = jax.jit(jax.vmap(lambda s: (Wait(shape=s, scale=2.0).expectation(), Wait(shape=s, scale=2.0).quantile(0.3))))
    mean, low = runtime.call(f, shapes)[0]
    np.testing.assert_allclose(mean, 2 * shapes, rtol=1e-10)
    np.testing.assert_allclose(low, stats.gamma(shapes, scale=2).ppf(0.3), rtol=1e-9)


def test_several_numbers_are_refused():
    class Pair(Distribution):
        mean: Real(shape=2)

        def log_prob(self, y):
            return -0.5 * jnp.sum((y - self.mean) ** 2) - jnp.log(2 * jnp.pi) * y[0] ** 0

    with pytest.raises(jm.ModelError, match="Pair is not a distribution of one number"):
        Pair(mean=np.zeros(2)).expectation()
    with pytest.raises(jm.ModelError, match="Write the methods"):
        Pair(mean=np.zeros(2)).quantile(0.5)


def test_a_density_that_is_not_one_says_nothing():
    class Loud(Few):
        def log_prob(self, y):
            return super().log_prob(y) + 0.1

    got = ask(Loud(rate=3.0), [2.0], [0.5])
    assert all(np.isnan(got[what]).all() for what in got)

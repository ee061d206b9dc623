"""Inflated, truncated and mixed distributions: each as a family of its own parameters, with its density in mpmath."""

from typing import Any

import jax.numpy as jnp

from jaxmle.declare.distributions.base import Distribution
from jaxmle.declare.distributions.beta import Beta
from jaxmle.declare.distributions.inflated import Hurdle, ZeroInflated, ZeroOneInflated
from jaxmle.declare.distributions.mixed import Mixed
from jaxmle.declare.distributions.normal import Normal
from jaxmle.declare.distributions.poisson import Poisson
from jaxmle.declare.distributions.supports import CLOSED_UNIT, COUNT, REAL, Support
from jaxmle.declare.distributions.truncated import Constant, Truncated
from jaxmle.declare.domains import Positive, Real, UnitInterval
from jaxmle.numerics import log_sigmoid

from .example import Example


class Composed(Distribution):
    """A distribution that is what `inside` makes of its parameters."""

    def inside(self) -> Distribution:
        raise NotImplementedError

    def on_scale(self, name: str) -> Any:
        """A parameter by its predictor where it has one."""
        return getattr(self, f"_{name}", getattr(self, name))

    def log_prob(self, y):
        return self.inside().log_prob(y)

    def expectation(self):
        return self.inside().expectation()

    def variance(self):
        return self.inside().variance()

    def log_cdf(self, y):
        return self.inside().log_cdf(y)

    def log_survival(self, y):
        return self.inside().log_survival(y)

    def quantile(self, q):
        return self.inside().quantile(q)

    def sample(self, key):
        return self.inside().sample(key)


class ZeroInflatedPoisson(Composed):
    rate: Positive
    zero: UnitInterval
    support = COUNT

    def inside(self):
        return ZeroInflated(inner=Poisson(rate=self.on_scale("rate")), zero=self.on_scale("zero"))


class HurdlePoisson(Composed):
    rate: Positive
    zero: UnitInterval
    support = COUNT

    def inside(self):
        return Hurdle(inner=Poisson(rate=self.on_scale("rate")), zero=self.on_scale("zero"))


class ZeroTruncatedPoisson(Composed):
    rate: Positive
    support = Support(1.0, closed=(True, False), whole=True, words="a count of at least one")

    def inside(self):
        return Truncated(inner=Poisson(rate=self.on_scale("rate")), low=Constant(0.0), high=None)


class TruncatedNormal(Composed):
    mean: Real
    sd: Positive
    support = Support(-1.0, 2.0, words="a number between -1 and 2")

    def inside(self):
        inner = Normal(mean=self.on_scale("mean"), sd=self.on_scale("sd"))
        return Truncated(inner=inner, low=Constant(-1.0), high=Constant(2.0))


class ZeroOneBeta(Composed):
    mean: UnitInterval
    precision: Positive
    zero: UnitInterval
    one: UnitInterval
    support = CLOSED_UNIT

    def inside(self):
        inner = Beta(mean=self.on_scale("mean"), precision=self.on_scale("precision"))
        return ZeroOneInflated(inner=inner, zero=self.on_scale("zero"), one=self.on_scale("one"))


class TwoNormals(Composed):
    low: Real
    high: Real
    logit: Real
    support = REAL

    def inside(self):
        components = (Normal(mean=self.low, sd=1.0), Normal(mean=self.high, sd=1.0))
        weights = jnp.stack([log_sigmoid(-self.logit), log_sigmoid(self.logit)])
        return Mixed(components=components, log_weights=weights)


def poisson(mp, y, rate):
    return mp.exp(y * mp.log(rate) - rate - mp.loggamma(y + 1))


def zero_inflated_poisson(mp, y, rate, zero):
    return mp.log((zero if y == 0 else 0) + (1 - zero) * poisson(mp, y, rate))


def hurdle_poisson(mp, y, rate, zero):
    if y == 0:
        return mp.log(zero)
    return mp.log((1 - zero) * poisson(mp, y, rate) / -mp.expm1(-rate))


def zero_truncated_poisson(mp, y, rate):
    return mp.log(poisson(mp, y, rate) / -mp.expm1(-rate))


def truncated_normal(mp, y, mean, sd):
    tail = lambda x: mp.erfc(abs(x - mean) / (sd * mp.sqrt(2))) / 2
    left, right = mp.mpf(-1), mp.mpf(2)
    between = abs(tail(left) - tail(right)) if not left < mean < right else 1 - tail(left) - tail(right)
    return mp.log(mp.npdf(y, mean, sd) / between)


def zero_one_beta(mp, y, mean, precision, zero, one):
    if y in (0, 1):
        return mp.log(one if y == 1 else zero)
    a, b = mean * precision, (1 - mean) * precision
    return mp.log((1 - zero - one) * y ** (a - 1) * (1 - y) ** (b - 1) / mp.beta(a, b))


def two_normals(mp, y, low, high, logit):
    share = 1 / (1 + mp.exp(-logit))
    return mp.log((1 - share) * mp.npdf(y, low, 1) + share * mp.npdf(y, high, 1))


EXAMPLES = [
    Example(
        ZeroInflatedPoisson,
        {"rate": 2.5, "zero": 0.3},
        (0.0, 1.0, 4.0, 20.0),
        zero_inflated_poisson,
        "Lambert (1992), Technometrics 34, 1-14",
        others=({"rate": 1e-8, "zero": 1e-10}, {"rate": 40.0, "zero": 0.999}),
    ),
    Example(
        HurdlePoisson,
        {"rate": 1.5, "zero": 0.4},
        (0.0, 1.0, 5.0, 20.0),
        hurdle_poisson,
        "Mullahy (1986), Journal of Econometrics 33, 341-365",
        others=({"rate": 1e-10, "zero": 0.5}, {"rate": 60.0, "zero": 1e-12}),
    ),
    Example(
        ZeroTruncatedPoisson,
        {"rate": 1.5},
        (1.0, 2.0, 8.0, 30.0),
        zero_truncated_poisson,
        "Johnson, Kemp and Kotz (2005), section 4.10",
        others=({"rate": 1e-12}, {"rate": 200.0}),
    ),
    Example(
        TruncatedNormal,
        {"mean": 0.5, "sd": 1.2},
        (-0.999, 0.0, 1.5),
        truncated_normal,
        "Johnson, Kotz and Balakrishnan (1994), section 13.10.1",
        others=({"mean": -30.0, "sd": 1.0}, {"mean": 40.0, "sd": 2.0}),
    ),
    Example(
        ZeroOneBeta,
        {"mean": 0.3, "precision": 5.0, "zero": 0.2, "one": 0.1},
        (0.0, 0.01, 0.5, 1.0),
        zero_one_beta,
        "Ospina and Ferrari (2010), Statistical Papers 51, 111-126",
        others=({"mean": 0.9, "precision": 80.0, "zero": 1e-9, "one": 0.5},),
    ),
    Example(
        TwoNormals,
        {"low": -1.0, "high": 3.0, "logit": 0.5},
        (-4.0, 0.5, 3.0, 9.0),
        two_normals,
        "McLachlan and Peel (2000), Finite Mixture Models",
        others=({"low": 0.0, "high": 30.0, "logit": -40.0},),
    ),
]

"""Count families at their limits, at sizes where digits are lost, and on responses that they cannot explain."""

import jax
import mpmath
import numpy as np
import pytest
from scipy import stats

import jaxmle as jm
from jaxmle import runtime
from jaxmle.declare.distributions.beta_binomial import BetaBinomial
from jaxmle.declare.distributions.binomial import Binomial
from jaxmle.declare.distributions.conway_maxwell_poisson import ConwayMaxwellPoisson
from jaxmle.declare.distributions.generalized_poisson import GeneralizedPoisson
from jaxmle.declare.distributions.geometric import Geometric
from jaxmle.declare.distributions.negative_binomial import NegativeBinomial, NegativeBinomial1
from jaxmle.declare.distributions.poisson import Poisson
from jaxmle.declare.families import family

from . import examples_discrete as references

LOG_PROB = jax.jit(jax.vmap(lambda d, y: d.log_prob(y)))


def log_prob(kind, y, **parameters) -> np.ndarray:
    """Elementwise over the arrays of responses and parameters."""
    y, *values = np.broadcast_arrays(y, *parameters.values())
    d = kind(**dict(zip(parameters, (v.astype(np.float64) for v in values))))
    return np.asarray(runtime.call(LOG_PROB, d, y.astype(np.float64))[0])


def test_a_mean_of_1e8_costs_no_digits():
    y = 1e8 + np.array([-3e5, -1e4, 0.0, 7.0, 2e4, 1e6])
    cases = [
        (Poisson, references.poisson, {"rate": 1e8}),
        (NegativeBinomial, references.negative_binomial, {"mean": 1e8, "dispersion": 1e-12}),
        (NegativeBinomial, references.negative_binomial, {"mean": 1e8, "dispersion": 1e-5}),
        (NegativeBinomial, references.negative_binomial, {"mean": 1e8, "dispersion": 3.0}),
        (NegativeBinomial1, references.negative_binomial_1, {"mean": 1e8, "dispersion": 0.2}),
        (GeneralizedPoisson, references.generalized_poisson, {"mean": 1e8, "dispersion": 0.2}),
        (Binomial, references.binomial, {"trials": 3e8, "prob": 1 / 3}),
        (Binomial, references.binomial, {"trials": 1.01e8 + 1e6, "prob": 0.98}),
    ]
    for kind, reference, parameters in cases:
        values = log_prob(kind, y, **parameters)
        with mpmath.workdps(60):
            truth = [
                reference(mpmath.mp, mpmath.mpf(v), **{k: mpmath.mpf(p) for k, p in parameters.items()}) for v in y
            ]
            errors = [abs(mpmath.mpf(float(v)) - t) / max(1, abs(t)) for v, t in zip(values, truth)]
        # y times the rounding of the parameter's logarithm moves no deviance by more
        assert max(errors) < 1e-11, (kind, parameters, [float(e) for e in errors])


@pytest.mark.parametrize("dispersion", [0.0, 1e-300, 1e-40, 1e-18, 1e-12])
def test_negative_binomial_goes_to_the_poisson(dispersion):
    y, mean = np.array([0.0, 1.0, 5.0, 40.0, 1e3]), np.array([0.3, 1.0, 4.0, 50.0, 900.0])
    poisson = log_prob(Poisson, y, rate=mean)
    for kind in (NegativeBinomial, NegativeBinomial1):
        values = log_prob(kind, y, mean=mean, dispersion=dispersion)
        first_order = 0.5 * dispersion * ((y - mean) ** 2 - y) / (mean if kind is NegativeBinomial1 else 1.0)
        np.testing.assert_allclose(values - poisson, first_order, atol=3e-13)


def test_negative_binomial_derivatives_go_to_those_of_the_poisson_limit():
    def f(theta, y):
        return NegativeBinomial(mean=theta[0], dispersion=theta[1]).log_prob(y)

    both = jax.jit(jax.vmap(lambda t, y: (jax.grad(f)(t, y), jax.hessian(f)(t, y)), (0, None)))
    y, m = 7.0, 4.0
    slope, curvature = runtime.call(both, np.array([[m, 1e-12], [m, 1e-200]]), y)[0]
    np.testing.assert_allclose(slope, [[y / m - 1, 0.5 * ((y - m) ** 2 - y)]] * 2, rtol=1e-9)
    third = -(sum(j**2 for j in range(7)) + y * -(m**2) + 2 / 3 * m**3)  # of sum log(1 + aj) - (y + 1/a) log(1 + am)
    np.testing.assert_allclose(curvature, [[[-y / m**2, m - y], [m - y, third]]] * 2, rtol=1e-8)


def test_negative_binomial_tails_against_scipy_and_at_the_poisson_limit():
    d = jax.jit(jax.vmap(lambda d, y: (d.log_cdf(y), d.log_survival(y))))
    y = np.array([0.0, 3.0, 8.0, 40.0])
    one = np.ones(4)
    below, above = runtime.call(d, NegativeBinomial(mean=4.0 * one, dispersion=0.7 * one), y)[0]
    truth = stats.nbinom(1 / 0.7, 1 / (1 + 0.7 * 4))
    np.testing.assert_allclose(below, truth.logcdf(y), rtol=1e-11)
    np.testing.assert_allclose(above, truth.logsf(y), rtol=1e-11)
    for dispersion in (1e-13, 1e-17):
        below, above = runtime.call(d, NegativeBinomial(mean=4.0 * one, dispersion=dispersion * one), y)[0]
        np.testing.assert_allclose(below, stats.poisson(4).logcdf(y), rtol=1e-10, atol=1e-20)
        np.testing.assert_allclose(above, stats.poisson(4).logsf(y), rtol=1e-10)


def test_conway_maxwell_poisson_at_its_special_cases():
    y = np.array([0.0, 1.0, 9.0, 100.0])
    for rate in (1e-3, 1.0, 149.9, 150.1, 1e4, 1e8):  # dispersion 1: the Poisson, by terms and by strides
        at = np.round(y * max(rate, 1.0) / 9.0)
        np.testing.assert_allclose(
            log_prob(ConwayMaxwellPoisson, at, rate=rate, dispersion=1.0), log_prob(Poisson, at, rate=rate), rtol=1e-12
        )
    geometric = log_prob(ConwayMaxwellPoisson, y, rate=0.99, dispersion=1e-13)
    np.testing.assert_allclose(geometric, np.log1p(-0.99) + y * np.log(0.99), rtol=1e-10)
    bernoulli = log_prob(ConwayMaxwellPoisson, y[:2], rate=3.0, dispersion=200.0)
    np.testing.assert_allclose(bernoulli, np.log([0.25, 0.75]), rtol=1e-12)


def test_beta_binomial_goes_to_the_binomial_and_is_uniform_at_two_ones():
    y = np.arange(11.0)
    uniform = log_prob(BetaBinomial, y, trials=10.0, mean=0.5, precision=2.0)
    np.testing.assert_allclose(uniform, -np.log(11), rtol=1e-13)
    limit = log_prob(BetaBinomial, y, trials=10.0, mean=0.3, precision=1e15)
    np.testing.assert_allclose(limit, stats.binom(10, 0.3).logpmf(y), rtol=1e-12)


def test_more_successes_than_trials_have_no_probability():
    for kind, parameters in ((Binomial, {"prob": 0.3}), (BetaBinomial, {"mean": 0.3, "precision": 2.0})):
        assert (log_prob(kind, [-1.0, 11.0], trials=10.0, **parameters) == -np.inf).all()


@pytest.mark.parametrize(
    ("kind", "known", "others"),
    [
        (Poisson, {}, {}),
        (NegativeBinomial, {}, {"dispersion": 0.7}),
        (Geometric, {}, {}),
        (Binomial, {"trials": 9.0}, {}),
    ],
)
def test_the_saturated_value_is_the_greatest(kind, known, others):
    first = next(iter(kind.parameters))
    y = np.array([0.0, 1.0, 4.0, 9.0])
    saturated = jax.jit(jax.vmap(lambda d, y: d.saturated_log_prob(y)))
    d = kind(**{k: np.full(4, v) for k, v in (known | others | {first: 0.5}).items()})
    top = np.asarray(runtime.call(saturated, d, y)[0])
    values = np.linspace(1e-9, 1 - 1e-9, 4001) if kind in (Geometric, Binomial) else np.geomspace(1e-9, 100, 4001)
    best = log_prob(kind, y[:, None].repeat(4001, 1).ravel(), **known, **{first: np.tile(values, 4)}, **others)
    best = best.reshape(4, -1).max(axis=1)
    assert (top >= best - 1e-12).all()
    np.testing.assert_allclose(top, best, atol=1e-3)


# --- bad input --------------------------------------------------------------------------------------------------------

COUNTS = (Poisson, NegativeBinomial, NegativeBinomial1, Geometric, GeneralizedPoisson, ConwayMaxwellPoisson)


@pytest.mark.parametrize("kind", COUNTS)
def test_what_is_no_count_is_refused_by_row(kind):
    with pytest.raises(jm.DataError, match=r"rows? 1 .*-2.*a count: 0, 1, 2"):
        jm.fit(family(kind)("y"), {"y": [0, -2, 3, 1]})
    with pytest.raises(jm.DataError, match=r"rows? 2 .*1\.5.*a count"):
        jm.fit(family(kind)("y"), {"y": [0, 2, 1.5, 1]})
    with pytest.raises(jm.DataError):
        jm.fit(family(kind)("y"), {"y": [0, 2, np.inf, 1]})


@pytest.mark.parametrize("kind", COUNTS)
def test_no_events_at_all_have_no_estimate(kind):
    with pytest.raises(jm.DataError, match="all 4 counts are 0"):
        jm.fit(family(kind)("y"), {"y": [0, 0, 0, 0]})


@pytest.mark.parametrize("kind", [Binomial, BetaBinomial])
def test_trials(kind):
    data = {"y": [1, 2, 9, 0], "n": [3, 3, 4, 5], "half": [3, 3.5, 10, 5], "minus": [3, 3, 10, -5]}
    make = family(kind)
    with pytest.raises(jm.DataError, match=r"rows? 2 .*9.*from 0 to its trials"):
        jm.fit(make("y", trials="n"), data)
    with pytest.raises(jm.DataError, match=r"rows? 1 .*trials, a whole number"):
        jm.fit(make("y", trials="half"), data)
    with pytest.raises(jm.DataError, match=r"rows? 3 "):
        jm.fit(make("y", trials="minus"), data)
    with pytest.raises(jm.ModelError, match="trials"):
        make("y")
    with pytest.raises(jm.DataError, match="m"):
        jm.fit(make("y", trials="m"), data)
    with pytest.raises(jm.DataError, match="none of the 15 trials succeeded"):
        jm.fit(make("y", trials="n"), data | {"y": [0, 0, 0, 0]})
    with pytest.raises(jm.DataError, match="all 15 trials succeeded"):
        jm.fit(make("y", trials="n"), data | {"y": [3, 3, 4, 5]})


def test_single_trials_say_nothing_of_a_precision():
    with pytest.raises(jm.DataError, match="more than one trial"):
        jm.fit(family(BetaBinomial)("y", trials="n"), {"y": [1, 0, 1, 1], "n": [1, 1, 1, 1]})


def test_equal_counts_have_no_conway_maxwell_poisson():
    with pytest.raises(jm.DataError, match="all 4 counts are 3"):
        jm.fit(family(ConwayMaxwellPoisson)("y"), {"y": [3, 3, 3, 3]})

"""Counts and binary responses: each family with its log-probability from the literature, in mpmath."""

from jaxmle.declare.distributions.bernoulli import Bernoulli
from jaxmle.declare.distributions.beta_binomial import BetaBinomial
from jaxmle.declare.distributions.binomial import Binomial
from jaxmle.declare.distributions.conway_maxwell_poisson import ConwayMaxwellPoisson
from jaxmle.declare.distributions.generalized_poisson import GeneralizedPoisson
from jaxmle.declare.distributions.geometric import Geometric
from jaxmle.declare.distributions.negative_binomial import NegativeBinomial, NegativeBinomial1
from jaxmle.declare.distributions.poisson import Poisson

from .example import Example


def bernoulli(mp, y, prob):
    return mp.log(prob) if y == 1 else mp.log(1 - prob)


def binomial(mp, y, trials, prob):
    log_choose = mp.loggamma(trials + 1) - mp.loggamma(y + 1) - mp.loggamma(trials - y + 1)
    return log_choose + y * mp.log(prob) + (trials - y) * mp.log(1 - prob)


def poisson(mp, y, rate):
    return y * mp.log(rate) - rate - mp.loggamma(y + 1)


def negative_binomial(mp, y, mean, dispersion):
    r = 1 / dispersion
    log_choose = mp.loggamma(y + r) - mp.loggamma(r) - mp.loggamma(y + 1)
    return log_choose + r * mp.log(r / (r + mean)) + y * mp.log(mean / (r + mean))


def negative_binomial_1(mp, y, mean, dispersion):
    return negative_binomial(mp, y, mean, dispersion / mean)


def geometric(mp, y, prob):
    return mp.log(prob) + y * mp.log(1 - prob)


def generalized_poisson(mp, y, mean, dispersion):
    theta, lam = mean / (1 + dispersion), dispersion / (1 + dispersion)
    return mp.log(theta) + (y - 1) * mp.log(theta + lam * y) - theta - lam * y - mp.loggamma(y + 1)


def conway_maxwell_poisson(mp, y, rate, dispersion):
    log_rate = mp.log(rate)
    term = lambda k: mp.exp(k * log_rate - dispersion * mp.loggamma(k + 1) - shift)
    location = rate ** (1 / dispersion)
    shift = dispersion * location
    middle, spread = int(location), int(25 * mp.sqrt(location / dispersion) + 100 / dispersion + 100)
    total = mp.fsum(term(mp.mpf(k)) for k in range(max(0, middle - spread), middle + spread))
    return y * log_rate - dispersion * mp.loggamma(y + 1) - shift - mp.log(total)


def beta_binomial(mp, y, trials, mean, precision):
    a, b = mean * precision, (1 - mean) * precision
    log_beta = lambda a, b: mp.loggamma(a) + mp.loggamma(b) - mp.loggamma(a + b)
    log_choose = mp.loggamma(trials + 1) - mp.loggamma(y + 1) - mp.loggamma(trials - y + 1)
    return log_choose + log_beta(y + a, trials - y + b) - log_beta(a, b)


TEXTBOOK = "Johnson, Kemp and Kotz (2005), Univariate Discrete Distributions, 3rd ed."

EXAMPLES = [
    Example(
        Bernoulli,
        {"prob": 0.3},
        (0.0, 1.0),
        bernoulli,
        TEXTBOOK,
        others=({"prob": 1e-12}, {"prob": 0.5}, {"prob": 0.999}),
    ),
    Example(
        Binomial,
        {"prob": 0.3},
        (0.0, 1.0, 4.0, 12.0),
        binomial,
        TEXTBOOK,
        known={"trials": 12.0},
        others=({"prob": 1e-10}, {"prob": 0.97}),
    ),
    Example(
        Poisson,
        {"rate": 3.5},
        (0.0, 1.0, 9.0, 10.0, 200.0, 1e6),
        poisson,
        TEXTBOOK,
        others=({"rate": 1e-8}, {"rate": 200.5}, {"rate": 1.001e6}),
    ),
    Example(
        NegativeBinomial,
        {"mean": 4.0, "dispersion": 0.6},
        (0.0, 1.0, 7.0, 60.0, 1e6),
        negative_binomial,
        TEXTBOOK + " (5.1), as Hilbe (2011), Negative Binomial Regression, calls NB2",
        others=(
            {"mean": 4.0, "dispersion": 1e-12},
            {"mean": 1e6, "dispersion": 1e-8},
            {"mean": 1.001e6, "dispersion": 2.0},
            {"mean": 1e-3, "dispersion": 50.0},
        ),
        n=800,
    ),
    Example(
        NegativeBinomial1,
        {"mean": 4.0, "dispersion": 1.5},
        (0.0, 1.0, 7.0, 60.0, 1e6),
        negative_binomial_1,
        "Hilbe (2011), Negative Binomial Regression, 10.2 (NB1)",
        others=({"mean": 4.0, "dispersion": 1e-12}, {"mean": 1e6, "dispersion": 30.0}),
        n=800,
    ),
    Example(
        Geometric,
        {"prob": 0.3},
        (0.0, 1.0, 5.0, 300.0),
        geometric,
        TEXTBOOK,
        others=({"prob": 1e-9}, {"prob": 0.99}),
    ),
    Example(
        GeneralizedPoisson,
        {"mean": 4.0, "dispersion": 0.7},
        (0.0, 1.0, 7.0, 60.0, 1e6),
        generalized_poisson,
        "Consul and Jain (1973), A generalization of the Poisson distribution, Technometrics 15, 791-799",
        others=(
            {"mean": 4.0, "dispersion": 1e-12},
            {"mean": 1e6, "dispersion": 0.5},
            {"mean": 0.01, "dispersion": 4.0},
        ),
        n=800,
    ),
    Example(
        ConwayMaxwellPoisson,
        {"rate": 5.0, "dispersion": 1.4},
        (0.0, 1.0, 3.0, 12.0, 40.0),
        conway_maxwell_poisson,
        "Shmueli, Minka, Kadane, Borle and Boatwright (2005), Applied Statistics 54, 127-142",
        others=(
            {"rate": 0.9, "dispersion": 0.1},
            {"rate": 160.0, "dispersion": 1.0},
            {"rate": 140.0, "dispersion": 1.0},
            {"rate": 1000.0, "dispersion": 1.5},
            {"rate": 30.0, "dispersion": 5.0},
            {"rate": 3.0, "dispersion": 200.0},
            {"rate": 15.3**10, "dispersion": 10.0},
            {"rate": 50.3**10, "dispersion": 10.0},
        ),
        n=800,
    ),
    Example(
        BetaBinomial,
        {"mean": 0.3, "precision": 4.0},
        (0.0, 1.0, 4.0, 12.0),
        beta_binomial,
        TEXTBOOK + " (6.3)",
        known={"trials": 12.0},
        others=({"mean": 0.3, "precision": 1e9}, {"mean": 0.02, "precision": 0.1}, {"mean": 0.5, "precision": 2.0}),
        n=800,
    ),
]

"""Continuous families for the registry of tests: each log-density written again, from the literature, in mpmath."""

from jaxmle.declare.distributions.beta import Beta
from jaxmle.declare.distributions.exponential import Exponential
from jaxmle.declare.distributions.gamma import Gamma
from jaxmle.declare.distributions.generalized_gamma import GeneralizedGamma
from jaxmle.declare.distributions.gev import GEV
from jaxmle.declare.distributions.gompertz import Gompertz
from jaxmle.declare.distributions.inverse_gaussian import InverseGaussian
from jaxmle.declare.distributions.location_scale import Cauchy, Gumbel, Laplace, Logistic
from jaxmle.declare.distributions.lognormal import LogNormal
from jaxmle.declare.distributions.pareto import GeneralizedPareto, Pareto
from jaxmle.declare.distributions.skew_normal import SkewNormal
from jaxmle.declare.distributions.student_t import StudentT
from jaxmle.declare.distributions.tweedie import Tweedie
from jaxmle.declare.distributions.von_mises import VonMises
from jaxmle.declare.distributions.weibull import LogLogistic, Weibull

from .example import Example


def student_t(mp, y, loc, scale, df):
    z = (y - loc) / scale
    norm = mp.loggamma((df + 1) / 2) - mp.loggamma(df / 2) - mp.log(df * mp.pi) / 2 - mp.log(scale)
    return norm - (df + 1) / 2 * mp.log1p(z**2 / df)


def laplace(mp, y, loc, scale):
    return -abs(y - loc) / scale - mp.log(2 * scale)


def cauchy(mp, y, loc, scale):
    return -mp.log(mp.pi * scale * (1 + ((y - loc) / scale) ** 2))


def logistic(mp, y, loc, scale):
    z = (y - loc) / scale
    return -z - mp.log(scale) - 2 * mp.log1p(mp.exp(-z))


def gumbel(mp, y, loc, scale):
    z = (y - loc) / scale
    return -z - mp.exp(-z) - mp.log(scale)


def skew_normal(mp, y, loc, scale, shape):
    z = (y - loc) / scale
    return mp.log(2 / scale) - z**2 / 2 - mp.log(2 * mp.pi) / 2 + mp.log(mp.erfc(-shape * z / mp.sqrt(2)) / 2)


def lognormal(mp, y, mu, sigma):
    return -(((mp.log(y) - mu) / sigma) ** 2) / 2 - mp.log(y * sigma * mp.sqrt(2 * mp.pi))


def exponential(mp, y, rate):
    return mp.log(rate) - rate * y


def gamma(mp, y, mean, dispersion):
    k = 1 / dispersion
    return k * mp.log(k / mean) + (k - 1) * mp.log(y) - k * y / mean - mp.loggamma(k)


def inverse_gaussian(mp, y, mean, dispersion):
    return -mp.log(2 * mp.pi * dispersion * y**3) / 2 - (y - mean) ** 2 / (2 * dispersion * mean**2 * y)


def tweedie(mp, y, mean, dispersion, power):
    rate = mean ** (2 - power) / (dispersion * (2 - power))
    if y == 0:
        return -rate
    alpha, scale = (2 - power) / (power - 1), dispersion * (power - 1) * mean ** (power - 1)

    def log_term(n):
        poisson = n * mp.log(rate) - rate - mp.loggamma(n + 1)
        return poisson + (n * alpha - 1) * mp.log(y) - y / scale - n * alpha * mp.log(scale) - mp.loggamma(n * alpha)

    peak = max(1, int(y ** (2 - power) / (dispersion * (2 - power))))
    top = log_term(mp.mpf(peak))
    total, n = mp.mpf(0), peak
    while n >= 1:  # down from the peak, then up
        part = mp.exp(log_term(mp.mpf(n)) - top)
        total += part
        if part < mp.mpf(10) ** -25:
            break
        n -= 1
    n = peak + 1
    while True:
        part = mp.exp(log_term(mp.mpf(n)) - top)
        total += part
        if part < mp.mpf(10) ** -25:
            break
        n += 1
    return top + mp.log(total)


def weibull(mp, y, scale, shape):
    return mp.log(shape / scale) + (shape - 1) * mp.log(y / scale) - (y / scale) ** shape


def loglogistic(mp, y, scale, shape):
    return mp.log(shape / scale) + (shape - 1) * mp.log(y / scale) - 2 * mp.log1p((y / scale) ** shape)


def gompertz(mp, y, rate, shape):
    hazard = rate * y if shape == 0 else rate * mp.expm1(shape * y) / shape
    return mp.log(rate) + shape * y - hazard


def generalized_gamma(mp, y, mu, sigma, shape):
    w = (mp.log(y) - mu) / sigma
    if shape == 0:
        return -(w**2) / 2 - mp.log(y * sigma * mp.sqrt(2 * mp.pi))
    k = 1 / shape**2
    return mp.log(abs(shape) / (sigma * y)) + k * mp.log(k) + k * (shape * w - mp.exp(shape * w)) - mp.loggamma(k)


def pareto(mp, y, scale, shape):
    return mp.log(shape / scale) - (shape + 1) * mp.log1p(y / scale)


def generalized_pareto(mp, y, scale, shape):
    if shape == 0:
        return -mp.log(scale) - y / scale
    return -mp.log(scale) - (1 + 1 / shape) * mp.log1p(shape * y / scale)


def gev(mp, y, loc, scale, shape):
    z = (y - loc) / scale
    if shape == 0:
        return -mp.log(scale) - z - mp.exp(-z)
    log_t = -mp.log1p(shape * z) / shape
    return -mp.log(scale) + (shape + 1) * log_t - mp.exp(log_t)


def beta(mp, y, mean, precision):
    a, b = mean * precision, (1 - mean) * precision
    norm = mp.loggamma(a + b) - mp.loggamma(a) - mp.loggamma(b)
    return norm + (a - 1) * mp.log(y) + (b - 1) * mp.log1p(-y)


def von_mises(mp, y, direction, concentration):
    return concentration * mp.cos(y - direction) - mp.log(2 * mp.pi * mp.besseli(0, concentration))


LINE = (-1e8, -300.0, -7.3, -1.0, 0.2, 0.35, 1.7, 11.0, 400.0, 1e8)
HALF_LINE = (1e-8, 1e-3, 0.2, 0.9, 1.0, 1.7, 4.4, 23.0, 300.0)

EXAMPLES = [
    Example(
        *(StudentT, {"loc": 0.4, "scale": 1.3, "df": 4.2}, LINE, student_t),
        "Johnson, Kotz and Balakrishnan (1995), ch. 28",
        others=(
            {"loc": 0.4, "scale": 1e-3, "df": 0.1},
            {"loc": -2.0, "scale": 30.0, "df": 39.9},
            {"loc": -2.0, "scale": 30.0, "df": 40.1},
            {"loc": 0.0, "scale": 2.0, "df": 1e4},
            {"loc": 0.0, "scale": 2.0, "df": 1e8},
        ),
    ),
    Example(
        *(Laplace, {"loc": 0.4, "scale": 1.3}, LINE, laplace),
        "Johnson, Kotz and Balakrishnan (1995), ch. 24",
        others=({"loc": -3.0, "scale": 1e-4}, {"loc": 0.0, "scale": 1e6}),
    ),
    Example(
        *(Cauchy, {"loc": 0.4, "scale": 1.3}, LINE, cauchy),
        "Johnson, Kotz and Balakrishnan (1994), ch. 16",
        others=({"loc": -3.0, "scale": 1e-4}, {"loc": 0.0, "scale": 1e6}),
    ),
    Example(
        *(Logistic, {"loc": 0.4, "scale": 1.3}, LINE, logistic),
        "Johnson, Kotz and Balakrishnan (1995), ch. 23",
        others=({"loc": -3.0, "scale": 1e-2}, {"loc": 0.0, "scale": 1e6}),
    ),
    Example(
        *(Gumbel, {"loc": 0.4, "scale": 1.3}, LINE[2:], gumbel),
        "Coles (2001), ch. 3",
        others=({"loc": -8.0, "scale": 0.2}, {"loc": 0.0, "scale": 1e6}),
    ),
    Example(
        *(SkewNormal, {"loc": 0.4, "scale": 1.3, "shape": 2.1}, LINE[1:-1], skew_normal),
        "Azzalini (1985)",
        others=(
            {"loc": 0.4, "scale": 1.3, "shape": 0.0},
            {"loc": -1.0, "scale": 20.0, "shape": -3.3},
            {"loc": 0.0, "scale": 3.0, "shape": 40.0},
        ),
    ),
    Example(
        *(LogNormal, {"mu": 0.4, "sigma": 0.8}, HALF_LINE, lognormal),
        "Johnson, Kotz and Balakrishnan (1994), ch. 14",
        others=({"mu": -3.0, "sigma": 1e-2}, {"mu": 5.0, "sigma": 8.0}),
    ),
    Example(
        *(Exponential, {"rate": 0.8}, (0.0, *HALF_LINE), exponential),
        "Johnson, Kotz and Balakrishnan (1994), ch. 19",
        others=({"rate": 1e-8}, {"rate": 1e6}),
    ),
    Example(
        *(Gamma, {"mean": 1.6, "dispersion": 0.4}, HALF_LINE, gamma),
        "McCullagh and Nelder (1989), ch. 8",
        others=(
            {"mean": 1.0, "dispersion": 1e-8},
            {"mean": 2.0, "dispersion": 1e6},
            {"mean": 3e5, "dispersion": 0.097},
            {"mean": 1e-6, "dispersion": 3.0},
        ),
    ),
    Example(
        *(InverseGaussian, {"mean": 1.6, "dispersion": 0.4}, HALF_LINE, inverse_gaussian),
        "Johnson, Kotz and Balakrishnan (1994), ch. 15",
        others=(
            {"mean": 1.0, "dispersion": 1e-8},
            {"mean": 2.0, "dispersion": 1e6},
            {"mean": 3e5, "dispersion": 0.1},
            {"mean": 1e-6, "dispersion": 3.0},
        ),
    ),
    Example(
        *(Tweedie, {"mean": 1.6, "dispersion": 0.7, "power": 1.5}, (0.0, *HALF_LINE[1:]), tweedie),
        "Jørgensen (1997), ch. 4: a Poisson sum of gamma variables",
        others=(
            {"mean": 1.6, "dispersion": 0.7, "power": 1.05},
            {"mean": 1.6, "dispersion": 0.7, "power": 1.95},
            {"mean": 3.0, "dispersion": 0.01, "power": 1.3},
            {"mean": 1.0, "dispersion": 20.0, "power": 1.7},
        ),
    ),
    Example(
        *(Weibull, {"scale": 1.6, "shape": 1.4}, HALF_LINE, weibull),
        "Kalbfleisch and Prentice (2002), ch. 2",
        others=({"scale": 300.0, "shape": 0.05}, {"scale": 1.0, "shape": 8.0}),
    ),
    Example(
        *(LogLogistic, {"scale": 1.6, "shape": 1.4}, HALF_LINE, loglogistic),
        "Kalbfleisch and Prentice (2002), ch. 2",
        others=({"scale": 300.0, "shape": 0.05}, {"scale": 1.0, "shape": 80.0}),
    ),
    Example(
        *(Gompertz, {"rate": 0.3, "shape": 0.2}, (0.0, *HALF_LINE[:-1]), gompertz),
        "Gompertz (1825); Kalbfleisch and Prentice (2002), ch. 2",
        others=(
            {"rate": 0.3, "shape": 0.0},
            {"rate": 0.3, "shape": 1e-9},
            {"rate": 0.3, "shape": -1e-9},
            {"rate": 0.3, "shape": -0.4},
            {"rate": 1e-5, "shape": 1.5},
        ),
    ),
    Example(
        *(GeneralizedGamma, {"mu": 0.4, "sigma": 0.8, "shape": 0.6}, HALF_LINE, generalized_gamma),
        "Prentice (1974)",
        others=(
            {"mu": 0.4, "sigma": 0.8, "shape": 0.0},
            {"mu": 0.4, "sigma": 0.8, "shape": 1e-9},
            {"mu": 0.4, "sigma": 0.8, "shape": -1e-9},
            {"mu": 0.4, "sigma": 0.8, "shape": 0.01},
            {"mu": 0.4, "sigma": 0.8, "shape": -0.4},
            {"mu": 1.0, "sigma": 2.0, "shape": 1.5},
            {"mu": 1.0, "sigma": 2.0, "shape": -6.0},
        ),
    ),
    Example(
        *(Pareto, {"scale": 1.6, "shape": 2.4}, (0.0, *HALF_LINE, 1e12), pareto),
        "Lomax (1954)",
        others=({"scale": 1e3, "shape": 0.05}, {"scale": 1e-3, "shape": 80.0}),
    ),
    Example(
        *(GeneralizedPareto, {"scale": 1.6, "shape": 0.3}, (0.0, *HALF_LINE), generalized_pareto),
        "Coles (2001), ch. 4",
        others=(
            {"scale": 1.6, "shape": 0.0},
            {"scale": 1.6, "shape": 1e-9},
            {"scale": 1.6, "shape": -1e-9},
            {"scale": 200.0, "shape": -0.4},
            {"scale": 20.0, "shape": 1.5},
        ),
    ),
    Example(
        *(GEV, {"loc": 0.4, "scale": 1.3, "shape": 0.2}, (-5.5, -3.1, -1.0, 0.4, 0.9, 2.0, 3.5, 12.0, 300.0), gev),
        "Coles (2001), ch. 3",
        others=(
            {"loc": 0.4, "scale": 1.3, "shape": 0.0},
            {"loc": 0.4, "scale": 1.3, "shape": 1e-9},
            {"loc": 0.4, "scale": 1.3, "shape": -1e-9},
            {"loc": 0.4, "scale": 150.0, "shape": -0.4},
            {"loc": 0.4, "scale": 10.0, "shape": 1.5},
        ),
    ),
    Example(
        *(Beta, {"mean": 0.3, "precision": 5.0}, (1e-12, 1e-3, 0.2, 0.3, 0.5, 0.9, 1 - 1e-9), beta),
        "Ferrari and Cribari-Neto (2004)",
        others=(
            {"mean": 0.5, "precision": 2.0},
            {"mean": 0.5, "precision": 1e8},
            {"mean": 0.3, "precision": 1e-6},
            {"mean": 1e-5, "precision": 40.0},
        ),
    ),
    Example(
        *(VonMises, {"direction": 0.7, "concentration": 1.4}, (-3.1, -1.0, 0.0, 0.69, 0.8, 2.0, 3.1, 7.0), von_mises),
        "Mardia and Jupp (2000), ch. 3",
        others=(
            {"direction": 3.0, "concentration": 1e-8},
            {"direction": -3.0, "concentration": 12.0},
            {"direction": 0.7, "concentration": 1e6},
        ),
    ),
]

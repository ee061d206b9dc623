"""Links: inverse of each other, smooth, and right in both tails."""

import functools
import pickle

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxmle.declare.links import LINKS, Link, Log, Logit, interval, resolve_link
from jaxmle.errors import ModelError

ALL = {**LINKS, "interval": interval(-2.0, 3.0), "interval_to_zero": interval(-1.0, 0.0)}

# eta at which each link is tried: all of the line unless its range is smaller
HALF_LINE = ("inverse", "inverse_squared", "sqrt", "square")
UNIT = ("logit", "probit", "cloglog", "loglog", "cauchit")

# theta -> eta in the arithmetic of mpmath, written from the textbook definitions
EXACT = {
    "identity": lambda t: t,
    "log": mpmath.log,
    "logit": lambda t: mpmath.log(t / (1 - t)),
    "probit": lambda t: -mpmath.sqrt(2) * mpmath.erfinv(1 - 2 * t),
    "cloglog": lambda t: mpmath.log(-mpmath.log(1 - t)),
    "loglog": lambda t: -mpmath.log(-mpmath.log(t)),
    "cauchit": lambda t: mpmath.tan(mpmath.pi * (t - 0.5)),
    "inverse": lambda t: 1 / t,
    "inverse_squared": lambda t: 1 / t**2,
    "sqrt": mpmath.sqrt,
    "square": lambda t: t**2,
    "atanh": mpmath.atanh,
    "circular": lambda t: mpmath.tan(t / 2),
    "interval": lambda t: mpmath.log((t + 2) / (3 - t)),
    "interval_to_zero": lambda t: mpmath.log((t + 1) / (0 - t)),
}


@functools.cache
def compiled(name: str, direction: str):
    """A link's function and its first two derivatives, elementwise."""
    function = getattr(ALL[name], direction)
    first = jax.grad(function)
    return tuple(jax.jit(jax.vmap(f)) for f in (function, first, jax.grad(first)))


def grid(name: str) -> np.ndarray:
    return np.array([0.2, 0.7, 1.0, 1.9, 4.3]) if name in HALF_LINE else np.array([-3.1, -1.3, -0.4, 0.0, 0.3, 1.6])


@pytest.mark.parametrize("name", ALL)
def test_inverse_undoes_forward_and_forward_undoes_inverse(name):
    link, eta = ALL[name], grid(name)
    theta = np.asarray(link.inverse(eta))
    assert theta.dtype == np.float64
    np.testing.assert_allclose(link.forward(theta), eta, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(link.inverse(link.forward(theta)), theta, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("name", ALL)
@settings(deadline=None, max_examples=25)
@given(x=st.floats(-6, 2.5))
def test_round_trip_anywhere(name, x):
    eta = np.array([np.exp(x) if name in HALF_LINE else x])
    forward, inverse = compiled(name, "forward")[0], compiled(name, "inverse")[0]
    np.testing.assert_allclose(forward(inverse(eta)), eta, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("name", ALL)
def test_forward_is_the_textbook_formula(name):
    link = ALL[name]
    theta = np.asarray(link.inverse(grid(name)))
    with mpmath.workdps(40):
        exact = [float(EXACT[name](mpmath.mpf(float(t)))) for t in theta]
    np.testing.assert_allclose(link.forward(theta), exact, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("direction", ["forward", "inverse"])
@pytest.mark.parametrize("name", ALL)
def test_derivatives_against_differences(name, direction):
    eta = grid(name)
    function, first, second = compiled(name, direction)
    at = eta if direction == "inverse" else np.asarray(ALL[name].inverse(eta))
    unit = 1.0 if direction == "inverse" else np.abs(np.asarray(compiled(name, "inverse")[1](eta)))
    h = 1e-5 * np.minimum(1.0, unit)
    difference = (np.asarray(function(at + h)) - np.asarray(function(at - h))) / (2 * h)
    np.testing.assert_allclose(first(at), difference, rtol=1e-6, atol=1e-9)
    difference = (np.asarray(first(at + h)) - np.asarray(first(at - h))) / (2 * h)
    np.testing.assert_allclose(second(at), difference, rtol=1e-6, atol=1e-8)


UNIT = ("logit", "probit", "cloglog", "loglog", "cauchit")


@pytest.mark.parametrize("name", [*UNIT, "log"])
def test_logarithms_keep_the_digits_that_the_value_has_lost(name):
    eta = np.array([-30.0, -5.0, -0.5, 0.0, 0.5, 3.0]) if name != "log" else np.array([-700.0, -30.0, -0.5, -1e-10])
    if name in ("cloglog", "loglog"):
        eta = np.array([-6.0, -2.0, 0.0, 2.0, 6.0])
    inverse = {
        "log": mpmath.exp,
        "logit": lambda e: 1 / (1 + mpmath.exp(-e)),
        "probit": mpmath.ncdf,
        "cloglog": lambda e: -mpmath.expm1(-mpmath.exp(e)),
        "loglog": lambda e: mpmath.exp(-mpmath.exp(-e)),
        "cauchit": lambda e: mpmath.atan(e) / mpmath.pi + mpmath.mpf(1) / 2,
    }[name]
    with mpmath.workdps(400):
        values = [inverse(mpmath.mpf(float(e))) for e in eta]
        log, complement = [float(mpmath.log(v)) for v in values], [float(mpmath.log(1 - v)) for v in values]
    np.testing.assert_allclose(ALL[name].log_inverse(eta), log, rtol=1e-12)
    np.testing.assert_allclose(ALL[name].log_complement(eta), complement, rtol=1e-12)
    for success, expected in ((True, log), (False, complement)):
        np.testing.assert_allclose(ALL[name].log_of_outcome(eta, np.full(len(eta), success)), expected, rtol=1e-12)


@pytest.mark.parametrize("theta", [1e-300, 1e-100, 1e-17, 1e-5])
@pytest.mark.parametrize("name", UNIT)
def test_forward_in_the_lower_tail(name, theta):
    with mpmath.workdps(700):
        t = mpmath.mpf(theta)
        if name == "probit":
            exact = float(scipy.special.ndtri(theta))
        else:
            exact = float(-1 / mpmath.tan(mpmath.pi * t) if name == "cauchit" else EXACT[name](t))
    np.testing.assert_allclose(compiled(name, "forward")[0](np.array([theta])), exact, rtol=1e-13)
    assert not np.isnan(compiled(name, "forward")[1](np.array([theta])))  # the slope of cauchit overflows


@pytest.mark.parametrize("name", UNIT)
def test_inverse_keeps_its_precision_in_the_lower_tail(name):
    eta = {"probit": -20.0, "loglog": -4.0, "cauchit": -1e30}.get(name, -300.0)
    exact = {
        "logit": lambda e: 1 / (1 + mpmath.exp(-e)),
        "probit": lambda e: mpmath.erfc(-e / mpmath.sqrt(2)) / 2,
        "cloglog": lambda e: -mpmath.expm1(-mpmath.exp(e)),
        "loglog": lambda e: mpmath.exp(-mpmath.exp(-e)),
        "cauchit": lambda e: mpmath.acot(-e) / mpmath.pi,
    }[name]
    with mpmath.workdps(400):
        np.testing.assert_allclose(ALL[name].inverse(eta), float(exact(mpmath.mpf(eta))), rtol=1e-12)


LIMITS = {
    "identity": (-800.0, 800.0),
    "log": (0.0, np.inf),
    "logit": (0.0, 1.0),
    "probit": (0.0, 1.0),
    "cloglog": (0.0, 1.0),
    "loglog": (0.0, 1.0),
    "cauchit": (0.25 - np.arctan(799 / 801) / np.pi, 0.75 + np.arctan(799 / 801) / np.pi),
    "atanh": (-1.0, 1.0),
    "interval": (-2.0, 3.0),
    "interval_to_zero": (-1.0, 0.0),
}


@pytest.mark.parametrize("name", LIMITS)
def test_inverse_at_800(name):
    ends = np.array([-800.0, 800.0])
    inverse, first, second = compiled(name, "inverse")
    np.testing.assert_allclose(inverse(ends), LIMITS[name], rtol=1e-12, atol=1e-300)
    if name != "log":
        assert np.isfinite(first(ends)).all()
        assert np.isfinite(second(ends)).all()


def test_the_slope_of_the_logistic_is_right_in_its_upper_tail():
    np.testing.assert_allclose(jax.grad(Logit().inverse)(50.0), np.exp(-50.0), rtol=1e-13)
    np.testing.assert_allclose(jax.grad(jax.grad(Logit().inverse))(50.0), -np.exp(-50.0), rtol=1e-13)


def test_an_interval_keeps_its_precision_near_both_bounds():
    np.testing.assert_allclose(interval(0.0, 2.0).inverse(-300.0), 2 * np.exp(-300.0), rtol=1e-13)
    np.testing.assert_allclose(interval(-2.0, 0.0).inverse(300.0), -2 * np.exp(-300.0), rtol=1e-13)
    np.testing.assert_allclose(interval(-2.0, 0.0).forward(-2 * np.exp(-300.0)), 300.0, rtol=1e-13)


@pytest.mark.parametrize("name", ALL)
def test_links_are_hashable_values_that_pickle_and_take_single_precision(name):
    link = ALL[name]
    again = pickle.loads(pickle.dumps(link))
    assert again == link
    assert hash(again) == hash(link)
    assert jnp.asarray(link.inverse(jnp.float32(0.5))).dtype == jnp.float32
    assert jax.jit(link.inverse)(0.5) == link.inverse(0.5)


def test_equality_is_by_class_and_bounds():
    assert interval(0, 1) == interval(0.0, 1.0)
    assert len({Log(), Log(), Logit(), interval(0, 1), interval(0, 2), interval(0, 1)}) == 4
    assert all(name == link.name for name, link in LINKS.items())


def test_resolve_link():
    assert resolve_link(None) == LINKS["identity"]
    assert resolve_link("cloglog") is LINKS["cloglog"]
    own = interval(0, 5)
    assert resolve_link(own) is own


@pytest.mark.parametrize("wrong", ["probbit", 3, Log, ["log"]])
def test_an_unknown_link_lists_the_choices(wrong):
    with pytest.raises(ModelError) as error:
        resolve_link(wrong)
    assert all(repr(name) in str(error.value) for name in LINKS)
    assert repr(wrong) in str(error.value)
    if wrong == "probbit":
        assert "Did you mean 'probit'?" in str(error.value)


def test_a_bad_interval_is_refused():
    with pytest.raises(ModelError, match="interval needs low < high, got low=2, high=1"):
        interval(2, 1)


def test_a_link_of_ones_own():
    class Tripled(Link):
        def forward(self, theta):
            return 3 * theta

        def inverse(self, eta):
            return eta / 3

    assert resolve_link(Tripled("tripled")).inverse(6.0) == 2.0

"""Where JAX's special functions give wrong numbers without saying so: ours are right; whether theirs still fail is recorded.

Each test asserts only about jaxmle. What JAX's own function does on the installed release goes into the report
(`record_property`), so that a release which mends it breaks nothing here.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import jax.scipy.special as jsp
import mpmath as mp
import numpy as np
import pytest

from jaxmle import numerics as nm
from jaxmle import runtime


@pytest.fixture(autouse=True)
def float64():
    with runtime.x64(), mp.workdps(60):
        yield


@pytest.fixture
def jax_fails(record_property):
    """`jax_fails(got, truth)` writes down whether JAX's own number is wrong by more than 1e-12, or missing."""

    def record(got, truth, rtol=1e-12):
        record_property("jax", jax.__version__)
        record_property("still fails", not np.allclose(got, truth, rtol=rtol, atol=0.0))

    return record


@functools.lru_cache
def compiled(f, k):
    packed = lambda v: f(*(v[i] for i in range(k)))
    return jax.jit(lambda v: (packed(v), jax.grad(packed)(v), jax.hessian(packed)(v)))


def derivatives(f, *x):
    """Value, gradient and Hessian of f at the scalars x."""
    return compiled(f, len(x))(jnp.array(x))


def beta_derivatives(a, b):
    a, b = mp.mpf(a), mp.mpf(b)
    psi, both = mp.psi, a + b
    gradient = [psi(0, a) - psi(0, both), psi(0, b) - psi(0, both)]
    cross = -psi(1, both)
    hessian = [[psi(1, a) + cross, cross], [cross, psi(1, b) + cross]]
    value = mp.loggamma(a) + mp.loggamma(b) - mp.loggamma(both)
    return float(value), np.array(gradient, dtype=float), np.array(hessian, dtype=float)


@pytest.mark.parametrize("a", [0.5, 1.0, 2.0, 8.0, 30.0, 1e6])
def test_betaln_where_its_arguments_are_equal(a, jax_fails):
    value, gradient, hessian = derivatives(nm.betaln, a, a)
    true_value, true_gradient, true_hessian = beta_derivatives(a, a)
    np.testing.assert_allclose(value, true_value, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(gradient, true_gradient, rtol=1e-12)
    np.testing.assert_allclose(hessian, true_hessian, rtol=1e-12)
    assert np.all(np.linalg.eigvalsh(np.asarray(hessian)) > 0)
    jax_fails(derivatives(jsp.betaln, a, a)[2], true_hessian)


def test_beta_log_density_has_the_hessian_of_the_textbook():
    # The issue's own numbers at (2, 2): minus the Hessian is [[.3611, -.2838], [-.2838, .3611]].
    log_density = lambda a, b: (a - 1) * jnp.log(0.3) + (b - 1) * jnp.log1p(-0.3) - nm.betaln(a, b)
    minus_hessian = -derivatives(log_density, 2.0, 2.0)[2]
    np.testing.assert_allclose(minus_hessian, [[0.3611, -0.2838], [-0.2838, 0.3611]], atol=5e-5)


@pytest.mark.parametrize(("a", "b"), [(8.0, 3.0), (12.5, 0.7), (300.0, 41.0), (1e6, 2.5), (1e12, 1e9)])
def test_betaln_of_large_arguments(a, b, jax_fails):
    truth = beta_derivatives(a, b)[0]
    assert float(nm.betaln(a, b)) == pytest.approx(truth, rel=1e-13)
    jax_fails(jsp.betaln(a, b), truth)


def test_where_hides_a_value_but_not_its_gradient(jax_fails):
    ours = lambda x: nm.safe_log(x, otherwise=0.0)
    theirs = lambda x: jnp.where(x > 0, jnp.log(x), 0.0)
    points = jnp.array([0.0, -1.0, 2.0])
    assert jax.vmap(ours)(points).tolist() == [0.0, 0.0, float(np.log(2.0))]
    assert jax.vmap(jax.grad(ours))(points).tolist() == [0.0, 0.0, 0.5]
    assert jax.vmap(jax.grad(jax.grad(ours)))(points).tolist() == [0.0, 0.0, -0.25]
    jax_fails(jax.grad(theirs)(0.0), 0.0)


def test_xlogy_of_nothing(jax_fails):
    zero = lambda f: lambda x: f(x, x)
    for f in (nm.xlogy, lambda x, y: nm.xlog1py(x, y - 1.0)):
        assert f(0.0, 0.0) == 0.0
        assert jax.grad(zero(f))(0.0) == 0.0
        assert jax.hessian(zero(f))(0.0) == 0.0
        # A class with no observations, whose probability is estimated as zero.
        assert jax.grad(lambda p: f(0.0, p))(0.0) == 0.0  # noqa: B023
        assert jax.jacfwd(jax.jacfwd(lambda p: f(0.0, p)))(0.0) == 0.0  # noqa: B023
    jax_fails(jax.grad(zero(jsp.xlogy))(0.0), 0.0)


def test_logaddexp_and_logsumexp_of_minus_infinity(jax_fails):
    value, gradient, hessian = derivatives(nm.logaddexp, -jnp.inf, 1.5)
    assert (float(value), gradient.tolist()) == (1.5, [0.0, 1.0])
    assert np.all(np.asarray(hessian) == 0.0)
    for f in (nm.logaddexp, lambda a, b: nm.logsumexp(jnp.stack([a, b]))):
        value, gradient, hessian = derivatives(f, -jnp.inf, -jnp.inf)
        assert (float(value), gradient.tolist()) == (-np.inf, [0.0, 0.0])
        assert np.all(np.asarray(hessian) == 0.0)
    theirs = derivatives(lambda a, b: jsp.logsumexp(jnp.stack([a, b])), -jnp.inf, -jnp.inf)
    jax_fails(theirs[1], [0.0, 0.0])


def test_logaddexp_of_two_large_numbers(jax_fails):
    a, b = 1e10 + 1.0, 1e10
    share = float(1 / (1 + mp.exp(-1)))
    np.testing.assert_allclose(derivatives(nm.logaddexp, a, b)[1], [share, 1 - share], rtol=1e-13)
    jax_fails(derivatives(jnp.logaddexp, a, b)[1], [share, 1 - share])


@pytest.mark.parametrize("x", [-5.0, -15.0, -19.9, -20.1, -30.0, -1e3, -1e10])
def test_log_ndtr_in_its_far_tail(x, jax_fails):
    z = mp.mpf(-x)
    mills = mp.mpf(0)
    for k in range(3000, 0, -1):
        mills = k / (z + mills)
    hazard = z + mills  # phi / Phi, by Laplace's continued fraction
    value = -z * z / 2 - mp.log(2 * mp.pi) / 2 - mp.log(hazard)
    truth = [float(value), float(hazard), float(-hazard * mills)]
    np.testing.assert_allclose([float(np.squeeze(v)) for v in derivatives(nm.log_ndtr, x)], truth, rtol=1e-12)
    jax_fails([float(np.squeeze(v)) for v in derivatives(jsp.log_ndtr, x)], truth)


def naive_log1mexp(x):
    return jnp.log1p(-jnp.exp(-x))


@pytest.mark.parametrize("x", [1e-300, 1e-20, 1e-9, 0.5, 40.0, 700.0])
def test_log_of_one_minus_exp_near_zero(x, jax_fails):
    e = mp.expm1(mp.mpf(x))
    truth = [float(mp.log1p(-mp.exp(-mp.mpf(x))) if x > 1 else mp.log(-mp.expm1(-mp.mpf(x)))), float(1 / e)]
    got = derivatives(nm.log1mexp, x)
    np.testing.assert_allclose([float(got[0]), float(got[1][0])], truth, rtol=1e-12)
    second = -(1 / e) * (1 + 1 / e)
    if abs(second) < 1e300:
        np.testing.assert_allclose(float(got[2][0, 0]), float(second), rtol=1e-12)
    naive = derivatives(naive_log1mexp, x)
    jax_fails([float(naive[0]), float(naive[1][0])], truth)


def naive_log_gamma_ratio(a, b):
    return jsp.gammaln(a + b) - jsp.gammaln(a)


@pytest.mark.parametrize(("a", "b"), [(1e8, 0.5), (1e10, 2.0), (1e15, 0.25), (1e16, 1e3), (0.5, 1e12)])
def test_lgamma_differences_of_large_arguments(a, b, jax_fails):
    value, gradient, hessian = derivatives(nm.log_gamma_ratio, a, b)
    x, y = mp.mpf(a), mp.mpf(b)
    truth = mp.loggamma(x + y) - mp.loggamma(x)
    slope, curve = mp.psi(0, x + y) - mp.psi(0, x), mp.psi(1, x + y) - mp.psi(1, x)
    np.testing.assert_allclose(value, float(truth), rtol=1e-12)
    np.testing.assert_allclose(gradient, [float(slope), float(mp.psi(0, x + y))], rtol=1e-12)
    end = float(mp.psi(1, x + y))
    np.testing.assert_allclose(hessian, [[float(curve), end], [end, end]], rtol=1e-12)
    naive = derivatives(naive_log_gamma_ratio, a, b)
    jax_fails([float(naive[0]), float(naive[1][0])], [float(truth), float(slope)])


def test_trigamma_of_a_huge_argument(jax_fails):
    x = 1e280
    np.testing.assert_allclose(jax.grad(jax.grad(nm.gammaln))(x), 1 / x, rtol=1e-12)
    jax_fails(jsp.polygamma(1, x), 1 / x)


def test_log_probability_of_a_narrow_interval(jax_fails):
    # A rounded observation, nine standard deviations out.
    a, b = -9.0, -9.0 + 2.0**-30
    truth = mp.log(mp.ncdf(mp.mpf(b)) - mp.ncdf(mp.mpf(a)))
    assert float(nm.log_ndtr_interval(a, b)) == pytest.approx(float(truth), rel=1e-13)
    jax_fails(jnp.log(jsp.ndtr(b) - jsp.ndtr(a)), float(truth))

"""The rows of docs/hazards.md about functions: what JAX gives, and that jaxmle's is right."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

import jaxmle as jm
from jaxmle import numerics, runtime

mpmath.mp.dps = 40


@pytest.fixture(autouse=True, scope="module")
def _x64():
    with runtime.x64():
        yield


def trigamma(x):
    return float(mpmath.polygamma(1, x))


@pytest.mark.parametrize(("a", "b"), [(1.0, 1.0), (2.0, 2.0), (2.0, 2.0001), (8.0, 8.0), (150.0, 40.0)])
def test_betaln_and_its_hessian(a, b):
    """jax.scipy's Hessian is wrong at a = b, and its value by up to 9e-7 beyond 8; ψ′ from mpmath."""
    f = lambda t: numerics.betaln(t[0], t[1])
    t = jnp.array([a, b])
    assert float(f(t)) == pytest.approx(float(mpmath.log(mpmath.beta(a, b))), rel=1e-12)
    both = trigamma(a + b)
    truth = np.array([[trigamma(a) - both, -both], [-both, trigamma(b) - both]])
    assert np.allclose(jax.hessian(f)(t), truth, rtol=1e-11, atol=0)


def test_a_branch_not_taken_has_no_say():
    """where(x > 0, log x, 0) has a NaN derivative at 0; safe_log and xlogy do not."""
    assert np.isnan(jax.grad(lambda x: jnp.where(x > 0, jnp.log(x) * x, 0.0))(0.0))
    assert float(jax.grad(lambda x: numerics.xlogy(0.0, x))(0.0)) == 0.0
    safe = lambda x: jnp.where(x > 0, numerics.safe_log(x), 0.0)
    assert np.isfinite(jax.grad(safe)(0.0))
    assert float(jax.grad(safe)(2.0)) == 0.5


def test_logaddexp_of_minus_infinity():
    f = lambda a, b: numerics.logaddexp(a, b)
    for a, b, value, slope in [(-np.inf, -np.inf, -np.inf, None), (-np.inf, 1.0, 1.0, 0.0), (1.0, -np.inf, 1.0, 1.0)]:
        assert float(f(a, b)) == value
        g, h = jax.grad(f)(a, b), jax.grad(jax.grad(f))(a, b)
        assert np.isfinite(g)
        assert np.isfinite(h)
        assert slope is None or float(g) == slope


@pytest.mark.parametrize("x", [-1e10, -1e3, -40.0, -5.0, 0.0, 5.0, 40.0])
def test_log_ndtr_far_out(x):
    value = (
        mpmath.log(mpmath.ncdf(x))
        if x > -1e4
        else -(mpmath.mpf(x) ** 2) / 2 - mpmath.log(-x * mpmath.sqrt(2 * mpmath.pi))
    )
    assert float(numerics.log_ndtr(x)) == pytest.approx(float(value), rel=1e-12)
    slope, bend = jax.grad(numerics.log_ndtr)(x), jax.grad(jax.grad(numerics.log_ndtr))(x)
    assert np.isfinite(bend)
    if x <= -1e3:  # the tail is −x²/2 − log(−x) + …
        assert float(slope) == pytest.approx(-x, rel=1e-5)
        assert float(bend) == pytest.approx(-1.0, rel=1e-5)


@pytest.mark.parametrize("x", [1e-300, 1e-17, 1e-8, 0.5, 30.0, 700.0])
def test_log1mexp_near_zero_and_far(x):
    assert float(numerics.log1mexp(x)) == pytest.approx(float(mpmath.log(-mpmath.expm1(-mpmath.mpf(x)))), rel=1e-12)
    assert float(jax.grad(numerics.log1mexp)(x)) == pytest.approx(float(1 / mpmath.expm1(mpmath.mpf(x))), rel=1e-12)


@pytest.mark.parametrize("n", [1e2, 1e8, 1e12, 1e100])
def test_differences_of_lgamma_of_large_numbers(n):
    """lgamma(n + k) − lgamma(n) has no digits left by subtraction when n is large."""
    truth = mpmath.loggamma(mpmath.mpf(n) + 3.5) - mpmath.loggamma(mpmath.mpf(n)) if n < 1e50 else 3.5 * mpmath.log(n)
    assert float(numerics.log_gamma_ratio(n, 3.5)) == pytest.approx(float(truth), rel=1e-12)


def test_incomplete_gamma_in_its_shape_is_refused_in_words():
    """The second derivative does not exist in JAX yet: the message is one line, not a traceback from inside."""
    density = lambda p, row: jnp.log(jax.scipy.special.gammaincc(p["k"], row["y"]))
    with pytest.raises(jm.ModelError, match="cannot be differentiated twice"):
        jm.fit(jm.Model(density, {"k": jm.Positive()}), {"y": np.linspace(0.5, 3, 20)}, progress=False)


def test_a_float32_product_is_at_full_precision_inside():
    """On GPUs float32 products default to TF32; inside fits the precision is set, whatever the machine."""
    assert jax.config.jax_default_matmul_precision == "highest"

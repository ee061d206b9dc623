"""The series of the Tweedie density against mpmath, with its first and second derivatives."""

import functools

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest

from jaxmle import runtime
from jaxmle.numerics.compound import TERMS, compound_series, corrections, spaced


def exact(log_m, alpha):
    """log of the sum of z^n / (n! gamma(n alpha)) exp(-m - m alpha), z = m (m alpha)^alpha: every term that matters."""
    m, a = mp.exp(log_m), mp.mpf(alpha)
    reach = 12 * mp.sqrt(m / (1 + a))
    first, last = int(max(1, mp.floor(m - reach - 6))), int(mp.ceil(m + reach + 60))
    log_z = log_m + a * mp.log(m * a)
    terms = [n * log_z - mp.loggamma(n + 1) - mp.loggamma(n * a) - m - m * a for n in range(first, last)]
    top = max(terms)
    return top + mp.log(mp.fsum(mp.exp(t - top) for t in terms))


CASES = [(x, a) for x in (-25.0, -6.0, -0.7, 0.4, 2.0, 3.6, 4.5, 7.0) for a in (0.0102, 0.3, 1.0, 4.0, 99.0)]


@pytest.mark.parametrize(("log_m", "alpha"), CASES)
def test_value_and_two_derivatives(log_m, alpha):
    with mp.workdps(40), runtime.x64():
        value = exact(mp.mpf(log_m), mp.mpf(alpha))
        diff = functools.partial(mp.diff, exact, (mp.mpf(log_m), mp.mpf(alpha)), h=mp.mpf(10) ** -12)
        first = [float(diff((1, 0))), float(diff((0, 1)))]
        second = [float(diff((2, 0))), float(diff((1, 1))), float(diff((0, 2)))]
        at = jnp.float64(log_m), jnp.float64(alpha)
        slopes = jax.grad(compound_series, (0, 1))(*at)
        (ll, la), (_, aa) = jax.jacfwd(jax.grad(compound_series, (0, 1)), (0, 1))(*at)
        np.testing.assert_allclose(float(compound_series(*at)), float(value), rtol=2e-13, atol=2e-13)
        np.testing.assert_allclose(np.array(slopes), first, rtol=1e-11, atol=1e-11)
        np.testing.assert_allclose(np.array([ll, la, aa]), second, rtol=1e-9, atol=1e-9)


def test_corrections_and_their_derivatives():
    with mp.workdps(40), runtime.x64():
        correction = lambda x: mp.loggamma(x) - ((x - mp.mpf(1) / 2) * mp.log(x) - x + mp.log(2 * mp.pi) / 2)
        for x in (0.003, 0.4, 1.0, 5.5, 9.99, 10.0, 42.0, 1e4):
            found = corrections(jnp.float64(x), jnp.log(jnp.float64(x)))
            for order, value in enumerate(found):
                known = float(mp.diff(correction, mp.mpf(x), order) if order else correction(mp.mpf(x)))
                np.testing.assert_allclose(float(value), known, rtol=2e-13, atol=3e-14, err_msg=f"{x}, {order}")


@pytest.mark.parametrize("log_m", [-30.0, 0.0, 3.7, 3.8, 6.0, 20.0, 40.0])
def test_many_terms_are_not_added_up_one_by_one(log_m):
    """Where the peak is far out the terms are a smooth bell: the sum is that of about a hundred, evenly spaced."""
    with runtime.x64():
        low, step, count = spaced(jnp.exp(jnp.float64(log_m)), jnp.exp(jnp.float64(log_m / 2)))
        assert 1 <= count <= TERMS
        assert low >= 1
        assert float(low + (count - 1) * step) >= np.exp(log_m) + 9.4 * np.exp(log_m / 2)


def test_rows_of_any_shape_and_both_modes_of_differentiation():
    with runtime.x64():
        log_m = jnp.linspace(-3.0, 6.0, 7)
        by_row = jnp.stack([compound_series(x, jnp.float64(0.8)) for x in log_m])
        np.testing.assert_allclose(jax.jit(compound_series)(log_m, 0.8), by_row, rtol=1e-14)
        np.testing.assert_allclose(jax.vmap(compound_series, (0, None))(log_m, 0.8), by_row, rtol=1e-14)
        forward = jax.jvp(lambda a: compound_series(log_m, a), (jnp.float64(0.8),), (jnp.float64(1.0),))[1]
        backward = jax.vmap(jax.grad(compound_series, 1), (0, None))(log_m, jnp.float64(0.8))
        np.testing.assert_allclose(forward, backward, rtol=1e-13)

"""Incomplete gamma and beta functions against mpmath: value 1e-12, gradient and Hessian 1e-9, tails included.

The reference is the positive power series (or continued fraction) of the smaller tail, whose logarithm is differenced
in seventy digits or more; the other tail follows from it by the chain rule, also in those digits.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest
from differences import beta_lower, complement, differenced, disagreements, power
from jax.scipy import special as jsp

from jaxmle import numerics as nm


def gamma_lower(a, x):
    total = term = mp.mpf(1)
    n = 0
    while term > total * mp.eps:
        n += 1
        term *= x / (a + n)
        total += term
    return a * mp.log(x) - x - mp.loggamma(a + 1) + mp.log(total)


def gamma_upper(a, x, small):
    if small:
        return mp.log(mp.gammainc(a, x, mp.inf, regularized=True))
    tail = mp.mpf(0)
    for n in range(int(40 + 12 * float(mp.sqrt(a)) + 25000 / float(abs(x - a) + mp.sqrt(a))), 0, -1):
        tail = n * (a - n) / (x - a + 2 * n + 1 + tail)
    return a * mp.log(x) - x - mp.loggamma(a) - mp.log(x - a + 1 + tail)


@functools.lru_cache
def gamma_tails(a, x):
    """Log P and log Q with their derivatives."""
    with mp.workdps(90):
        if x < max(a, 1):
            small = differenced(gamma_lower, (a, x))
            return small, complement(*small)
        small = differenced(lambda b, y: gamma_upper(b, y, a < 30), (a, x))
        return complement(*small), small


SHAPES = [1e-3, 0.03, 0.5, 0.99, 1.0, 1.5, 3.0, 12.0, 100.0, 1e4]
GAMMA = sorted(
    {(a, a * r) for a in SHAPES for r in (1e-3, 0.3, 0.99, 1.0, 1.1, 3.0, 100.0) if a * r < 5e4}
    | {(a, a + z * np.sqrt(a)) for a in SHAPES for z in (-8, -1, 2, 9) if a + z * np.sqrt(a) > 0}
    | {(a, x) for a in SHAPES for x in (1e-10, 0.5, 0.999, 1.0, 2.0, 30.0)}
    | {(1e6, 1e6 - 3e3), (1e6, 1.0), (1e6, 9.9e5)}
)


@pytest.mark.parametrize(
    ("f", "side", "transform"),
    [
        (nm.log_gammainc, 0, lambda *t: t),
        (nm.log_gammaincc, 1, lambda *t: t),
        (nm.gammainc, 0, power),
        (nm.gammaincc, 1, power),
    ],
    ids=["log_gammainc", "log_gammaincc", "gammainc", "gammaincc"],
)
def test_incomplete_gamma(f, side, transform):
    # P and Q themselves: the second derivative in a is a difference of two terms near the median of a large shape.
    points = [p for p in GAMMA if transform is not power or p[0] < 1e3]

    def truth(a, x):
        with mp.workdps(90):
            return transform(*gamma_tails(a, x)[side])

    wrong = disagreements(f, points, truth)
    assert not wrong, f"{len(wrong)} wrong:\n" + "\n".join(wrong[:12])


def test_incomplete_gamma_hessian_of_a_sum():
    a, x = [0.3, 2.0, 50.0], [0.1, 5.0, 49.0]
    f = lambda a, x: jnp.sum(nm.log_gammaincc(a, x))
    h = jax.jit(jax.hessian(f, argnums=(0, 1)))(jnp.array(a), jnp.array(x))
    for i in range(3):
        truth = gamma_tails(a[i], x[i])[1][2]
        got = [[h[r][c][i, i] for c in range(2)] for r in range(2)]
        np.testing.assert_allclose(got, np.array(truth, dtype=float), rtol=1e-11)
    with pytest.raises(NotImplementedError):  # the reason why these functions are here
        jax.hessian(lambda a: jnp.sum(jsp.gammaincc(a, jnp.array(x))))(jnp.array(a))


def test_incomplete_gamma_third_derivative():
    third = jax.jit(jax.grad(jax.grad(jax.grad(lambda a: nm.log_gammainc(a, 2.0)))))(1.3)
    with mp.workdps(60):
        truth = mp.diff(lambda a: mp.log(mp.gammainc(a, 0, 2, regularized=True)), mp.mpf("1.3"), 3)
    assert float(third) == pytest.approx(float(truth), rel=1e-9)


@functools.lru_cache
def beta_tails(a, b, x):
    with mp.workdps(65):
        if x * max(b, 1) < (1 - x) * max(a, 1):
            small = differenced(lambda a, b, x: beta_lower(a, b, x, 1 - x), (a, b, x), "1e-16")
            return small, complement(*small)
        small = differenced(lambda a, b, x: beta_lower(b, a, 1 - x, x), (a, b, x), "1e-16")
        return complement(*small), small


BETA = [(a, b, x) for a in (1e-2, 0.5, 1.0, 7.5) for b in (1e-2, 1.0, 2.0) for x in (1e-5, 0.3, 0.5, 0.51, 0.9)]
BETA += [(60.0, 0.5, 0.9), (60.0, 0.5, 0.2), (7.5, 60.0, 0.1), (7.5, 60.0, 0.6), (1e3, 1e3, 0.5), (1e3, 1e3, 0.3)]
BETA += [(1e5, 1e5, 0.4), (1e5, 2.0, 0.9), (0.01, 1e5, 1e-6), (1e3, 60.0, 0.93), (0.5, 1e5, 1e-8)]


@pytest.mark.parametrize(("f", "side"), [(nm.log_betainc, 0), (nm.log_betaincc, 1)])
def test_incomplete_beta(f, side):
    def truth(a, b, x):
        with mp.workdps(65):
            return beta_tails(a, b, x)[side]

    with mp.workdps(65):
        wrong = disagreements(f, BETA, truth)
    assert not wrong, f"{len(wrong)} wrong:\n" + "\n".join(wrong[:12])


def test_incomplete_beta_itself():
    a, b, x = map(jnp.array, zip(*BETA))
    np.testing.assert_allclose(jax.jit(nm.betainc)(a, b, x), [float(mp.exp(beta_tails(*p)[0][0])) for p in BETA], 1e-12)


def test_ends_and_outside():
    f = lambda f, *x: f(*map(jnp.array, x)).tolist()
    np.testing.assert_equal(f(nm.gammainc, [2.0, 2.0, -1.0, 2.0], [0.0, np.inf, 1.0, -1.0]), [0, 1, np.nan, np.nan])
    np.testing.assert_equal(f(nm.log_gammaincc, [2.0, 2.0], [0.0, np.inf]), [0.0, -np.inf])
    np.testing.assert_equal(f(nm.betainc, [2.0, 2.0, 0.0], [1.0, 1.0, 1.0], [0.0, 1.0, 0.5]), [0, 1, np.nan])
    np.testing.assert_equal(f(nm.log_betaincc, [2.0, 2.0], [1.0, 1.0], [0.0, 1.0]), [0.0, -np.inf])
    assert jax.jit(jax.grad(nm.gammainc))(2.0, 0.0) == 0.0
    hessian = jax.jit(jax.hessian(lambda v: nm.log_gammaincc(v[0], v[1])))
    assert np.all(np.isfinite(hessian(jnp.array([3.0, 1e100]))))

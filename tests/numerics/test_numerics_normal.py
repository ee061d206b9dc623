"""The normal distribution function against mpmath: relative error 1e-12 of value, gradient and Hessian."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest

from jaxmle import numerics as nm

CENTRE = [0.0, 1e-300, -1e-300, 1e-8, -1e-3, 0.3, -0.5, 1.0, -1.0, -1.5, 1.7, -1.99, -2.0, -2.01, 2.5, -2.5, 3.0, -3.0]
LINE = [*CENTRE, 5.0, -4.0, -5.0, -8.0, 8.0, -12.0, -14.0, 20.0, -19.9, -20.1, 30.0, -37.0]
FAR = [-38.5, -50.0, -100.0, -1e3, -1e5, -1e10, -1e20, -1e100, 40.0, 1e3, 1e10, 1e300]


def mills(z):
    """(1 - Phi(z)) / phi(z); by its continued fraction in the far tail, where mpmath's erfc has no range left."""
    if z < 100:
        return mp.sqrt(mp.pi / 2) * mp.exp(z * z / 2) * mp.erfc(z / mp.sqrt(2))
    tail = mp.mpf(0)
    for k in range(400, 0, -1):
        tail = k / (z + tail)
    return 1 / (z + tail)


def density(x):
    return mp.npdf(x) if abs(x) < 1000 else mp.mpf(0)


def hazard(x):
    """phi(x) / Phi(x)."""
    return 1 / mills(-x) if x < 0 else density(x) / mp.ncdf(x)


def log_cdf(x):
    if x < 0:
        return -x * x / 2 - mp.log(2 * mp.pi) / 2 + mp.log(mills(-x))
    return mp.log1p(-mp.erfc(x / mp.sqrt(2)) / 2) if x < 1000 else mp.mpf(0)


def wide(point):
    """Digits enough for the second derivative of the hazard, three orders smaller than its terms."""
    return 80 + 8 * int(np.log10(1 + abs(point[0])))


def test_ndtr(agree):
    agree(
        nm.ndtr,
        LINE,
        mp.ncdf,
        lambda x: [density(x)],
        lambda x: [-x * density(x)],
        edges={-np.inf: 0.0, np.inf: 1.0},
    )


def test_log_ndtr(agree):
    agree(
        nm.log_ndtr,
        LINE + FAR,
        log_cdf,
        lambda x: [hazard(x)],
        lambda x: [-hazard(x) * (x + hazard(x))],
        digits=wide,
    )


def test_inverse_mills(agree):
    def second(x):
        m = hazard(x)
        return [m * (2 * m * m + 3 * m * x + x * x - 1)]

    # To -1e20 only: at -1e100 the reference would need a thousand digits.
    points = [x for x in LINE + FAR if x > -1e50]
    agree(nm.inverse_mills, points, hazard, lambda x: [-hazard(x) * (x + hazard(x))], second, digits=wide)


def test_third_derivative_of_log_ndtr():
    x = [-12.0, -2.5, -1.0, 0.7, 4.0]
    truth = [float(m * (2 * m * m + 3 * m * v + v * v - 1)) for v in map(mp.mpf, x) for m in [hazard(v)]]
    third = jax.jit(jax.vmap(jax.grad(jax.grad(jax.grad(nm.log_ndtr)))))(jnp.array(x))
    np.testing.assert_allclose(third, truth, rtol=1e-12)


@pytest.mark.parametrize(
    ("f", "truth"),
    [
        (nm.ndtr, [(0.0, 0.0, 0.0), (1.0, 0.0, 0.0)]),
        (nm.log_ndtr, [(-np.inf, np.inf, -1.0), (0.0, 0.0, 0.0)]),
        (nm.inverse_mills, [(np.inf, -1.0, 0.0), (0.0, 0.0, 0.0)]),
    ],
)
def test_at_infinity(f, truth):
    three = jax.jit(jax.vmap(lambda x: jnp.stack([f(x), jax.grad(f)(x), jax.grad(jax.grad(f))(x)])))
    assert three(jnp.array([-jnp.inf, jnp.inf])).tolist() == [list(t) for t in truth]


def test_log_ndtr_interval(agree):
    def log_between(a, b):
        # In the left half always: there the two probabilities are small together.
        if a + b > 0:
            a, b = -b, -a
        return log_cdf(b) + mp.log(-mp.expm1(log_cdf(a) - log_cdf(b)))

    def parts(a, b):
        value = log_between(a, b)
        log_density = lambda x: -x * x / 2 - mp.log(2 * mp.pi) / 2
        return mp.exp(log_density(a) - value), mp.exp(log_density(b) - value)

    def first(a, b):
        at_a, at_b = parts(a, b)
        return [-at_a, at_b]

    def second(a, b):
        at_a, at_b = parts(a, b)
        return [at_a * (a - at_a), at_a * at_b, -at_b * (b + at_b)]

    def scale(a, b):
        # The value, and the derivative at an end, may be zero where they change sign: relative to their terms there.
        at_a, at_b = parts(a, b)
        central = abs(a) < 20 and abs(b) < 20
        moved = abs(a) * at_a + abs(b) * at_b if central else 0
        return moved, [0, 0], [abs(a) * at_a + at_a**2, 0, at_b**2 + abs(b) * at_b if central else 0]

    starts = [-1e10, -1e5, -300.0, -38.0, -8.0, -2.5, -1.0, 0.0, 0.5, 1.7, 6.0, 50.0, 1e6]
    widths = [1e-5, 1e-2, 0.3, 0.9, 1.1, 2.5, 12.0, 400.0]
    points = [(a, a + w) for a, w in itertools.product(starts, widths) if a + w != a]
    points += [(-w, w) for w in (1e-300, 1e-9, 0.4, 0.6, 3.0, 8.5)] + [(1.0, 1.0 + 2**-50), (-1e10, -1e10 + 2**-18)]
    agree(
        nm.log_ndtr_interval,
        points,
        log_between,
        first,
        second,
        scale,
        digits=lambda point: 150 if max(map(abs, point)) > 1e4 else 400 if min(map(abs, point)) < 1e-200 else 80,
    )


def test_log_ndtr_interval_open_at_an_end():
    x = [-30.0, -1.0, 2.0, 9.0]
    ends = jnp.array(
        [(-np.inf, v) for v in x] + [(-v, np.inf) for v in x] + [(-np.inf, np.inf), (1.0, 1.0), (2.0, 1.0)]
    )
    f = lambda e: nm.log_ndtr_interval(e[0], e[1])
    value, gradient, hessian = jax.jit(jax.vmap(lambda e: (f(e), jax.grad(f)(e), jax.hessian(f)(e))))(ends)
    truth = np.array(
        [[float(v) for v in (log_cdf(v), hazard(v), -hazard(v) * (v + hazard(v)))] for v in map(mp.mpf, x)]
    )
    zero = np.zeros(4)
    np.testing.assert_allclose(value[:8], [*truth[:, 0], *truth[:, 0]], rtol=1e-12)
    np.testing.assert_allclose(gradient[:4].T, [zero, truth[:, 1]], rtol=1e-12)
    np.testing.assert_allclose(gradient[4:8].T, [-truth[:, 1], zero], rtol=1e-12)
    np.testing.assert_allclose(hessian[:4].reshape(4, 4).T, [zero, zero, zero, truth[:, 2]], rtol=1e-12)
    np.testing.assert_allclose(hessian[4:8].reshape(4, 4).T, [truth[:, 2], zero, zero, zero], rtol=1e-12)
    np.testing.assert_array_equal(value[8:], [0.0, -np.inf, np.nan])

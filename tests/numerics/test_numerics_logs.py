"""Logs of one and two arguments against mpmath: pure relative error 1e-12, unless a test says otherwise."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest

from jaxmle import numerics as nm

TAIL = [1e-300, 1e-100, 1e-16, 1e-8, 1e-3, 0.1, 0.5, 0.6931, 0.6932, 1.0, 3.0, 20.0, 36.0, 40.0, 300.0, 700.0, 800.0]
LINE = [0.0, *TAIL, *(-x for x in TAIL), 1e5, -1e5, 1e10, -1e10, 1e300, -1e300]


def capped(x):
    """exp(x) without building a number of 1e300 digits."""
    return mp.exp(x) if x > -2000 else mp.mpf(0)


def shallow(point):
    return 700


def s(x):
    """The logistic function."""
    return 1 / (1 + capped(-x)) if x > 0 else capped(x) / (1 + capped(x))


def test_log1mexp(agree):
    agree(
        nm.log1mexp,
        [*TAIL, 1e300],
        lambda x: mp.log(-mp.expm1(-x)) if x < 2000 else mp.mpf(0),
        lambda x: [1 / mp.expm1(x) if x < 2000 else 0 * x],
        lambda x: [-mp.exp(x) / mp.expm1(x) ** 2 if x < 2000 else 0 * x],
        digits=shallow,
        edges={0.0: -np.inf, np.inf: 0.0, -1.0: np.nan},
    )


def softplus(x):
    return x + mp.log1p(capped(-x)) if x > 0 else mp.log1p(capped(x))


def test_log1pexp(agree):
    agree(
        nm.log1pexp,
        LINE,
        softplus,
        lambda x: [s(x)],
        lambda x: [s(x) * s(-x)],
        digits=shallow,
        edges={-np.inf: 0.0, np.inf: np.inf},
    )


def test_log_sigmoid(agree):
    agree(
        nm.log_sigmoid,
        LINE,
        lambda x: -softplus(-x),
        lambda x: [s(-x)],
        lambda x: [-s(x) * s(-x)],
        digits=shallow,
    )


def test_sigmoid(agree):
    agree(
        nm.sigmoid,
        LINE,
        s,
        lambda x: [s(x) * s(-x)],
        lambda x: [s(x) * s(-x) * mp.tanh(-x / 2) if abs(x) < 2000 else 0 * x],
        digits=shallow,
        edges={-np.inf: 0.0, np.inf: 1.0},
    )


def test_logit(agree):
    p = [1e-300, 1e-100, 1e-16, 1e-3, 0.1, 0.2499, 0.25, 0.4, 0.5 - 1e-10, 0.5, 0.5 + 1e-15, 0.5 + 1e-6, 0.7, 0.75]
    p += [0.9, 1 - 1e-6, 1 - 1e-15]
    agree(
        nm.logit,
        p,
        lambda x: mp.log(x) - mp.log1p(-x),
        lambda x: [1 / (x * (1 - x))],
        lambda x: [(2 * x - 1) / (x * (1 - x)) ** 2],
        edges={0.0: -np.inf, 1.0: np.inf, 1.5: np.nan},
    )


PAIRS = [
    *((0.0, b) for b in (0.0, 1e-300, -1e-8, -0.5, 0.5, 3.0, -40.0, 40.0, -800.0, 1e300, -1e300)),
    *((a, a) for a in (1e-300, 1.0, -745.0, 1e10, -1e10, 1e300, -1e300)),
    *((1e10, 1e10 + 1.0), (1e10 + 3.5, 1e10), (-1e10, -1e10 - 2.0), (1e5, 1e5 + 40.0), (1e300, -1e300)),
    *((1e-300, -1e-300), (-700.0, -745.0), (12.0, 11.0), (-3.0, 4.0)),
]


def test_logaddexp(agree):
    # The value is zero on a curve, log(2) of it being the difference of two terms: there, 1e-12 of the arguments.
    agree(
        nm.logaddexp,
        PAIRS,
        lambda a, b: max(a, b) + mp.log1p(capped(-abs(a - b))),
        lambda a, b: [s(a - b), s(b - a)],
        lambda a, b: [s(a - b) * s(b - a), -s(a - b) * s(b - a), s(a - b) * s(b - a)],
        scale=lambda a, b: (abs(a) * s(a - b) + abs(b) * s(b - a), [0, 0], [0, 0, 0]),
        digits=shallow,
    )


def test_logaddexp_far_below_keeps_its_digits():
    assert float(nm.logaddexp(0.0, -200.0)) == pytest.approx(float(mp.exp(-200)), rel=1e-13)


def test_logsubexp(agree):
    def g(x):
        return 1 / mp.expm1(x) if x < 2000 else 0 * x

    pairs = [(b + d, b) for b in (0.0, -3.0, 12.5, -745.0) for d in (1e-3, 0.5, 1.0, 36.5, 800.0)]
    pairs += [(1e10 + 1, 1e10), (1e300, 0.0), (0.0, -1e300), (1e-300, 0.0), (1e300, -1e300)]
    agree(
        nm.logsubexp,
        pairs,
        lambda a, b: a + (mp.log(-mp.expm1(b - a)) if a - b < 2000 else 0),
        lambda a, b: [1 + g(a - b), -g(a - b)],
        lambda a, b: [-g(a - b) * (1 + g(a - b)), g(a - b) * (1 + g(a - b)), -g(a - b) * (1 + g(a - b))],
        scale=lambda a, b: (abs(a) * (1 + g(a - b)) + abs(b) * g(a - b), [0, 0], [0, 0, 0]),
        digits=shallow,
        edges={(2.0, 2.0): -np.inf, (2.0, -np.inf): 2.0, (1.0, 2.0): np.nan, (-np.inf, -np.inf): -np.inf},
    )


FACTORS = [1e-300, 1e-8, 0.5, 1.0, 3.0, 1e10, 1e300]


def test_xlogy(agree):
    points = [(x, y) for x in (0.0, *FACTORS) for y in FACTORS if x / y < 1e308] + [(-2.0, 3.0)]
    agree(
        nm.xlogy,
        points,
        lambda x, y: x * mp.log(y),
        lambda x, y: [mp.log(y), x / y],
        lambda x, y: [mp.mpf(0), 1 / y, -x / y**2],
    )


def test_xlog1py(agree):
    points = [(x, y) for x in (0.0, *FACTORS) for y in (0.0, -0.75, -1e-8, *FACTORS)]
    agree(
        nm.xlog1py,
        points,
        lambda x, y: x * mp.log1p(y),
        lambda x, y: [mp.log1p(y), x / (1 + y)],
        lambda x, y: [mp.mpf(0), 1 / (1 + y), -x / (1 + y) ** 2],
    )


@pytest.mark.parametrize(("f", "end"), [(nm.xlogy, 0.0), (nm.xlog1py, -1.0)])
def test_a_zero_factor_wins_with_all_its_derivatives(f, end):
    g = lambda v: f(v[0], v[1])
    all_three = jax.jit(jax.vmap(lambda v: (g(v), jax.grad(g)(v), jax.hessian(g)(v), jax.jacrev(jax.jacrev(g))(v))))
    for result in all_three(jnp.array([[0.0, end], [0.0, jnp.inf]])):
        assert np.all(np.asarray(result) == 0.0)

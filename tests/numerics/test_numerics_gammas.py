"""Gamma functions against mpmath: relative error 1e-12 of value, gradient and Hessian, unless a test says otherwise."""

from __future__ import annotations

import functools
import itertools

import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest

from jaxmle import numerics as nm
from jaxmle.numerics.deviances import less_expm1

ARGUMENTS = [
    *(
        1e-300,
        1e-100,
        1e-10,
        1e-3,
        0.1,
        0.4999,
        0.5,
        0.9,
        1 - 1e-9,
        1.0,
        1 + 1e-9,
        1.2,
        1.4999,
        1.5,
        1.7,
        2 - 1e-12,
        2.0,
    ),
    *(2 + 1e-7, 2.4, 3.0, 5.5, 8.0, 9.5, 9.9999, 10.0, 10.5, 25.0, 1e3, 1e8, 1e16, 1e100, 1e300),
]
SIZES = [1e-300, 1e-10, 0.3, 1.0, 7.5, 9.99, 10.0, 60.0, 1e5, 1e16, 1e300]
SOME = [0.5, 1.0, 2.0, 8.0, 12.0, 1e4, 1e12]
# Every pair of these sizes, and pairs that are equal or nearly so.
PAIRS = [
    *itertools.product(SIZES, SIZES),
    *((a, a) for a in SOME),
    *((a, a * (1 + 1e-9)) for a in SOME),
    *((2.0, 2.0001), (8.0, 8.0), (7.9999, 300.0), (1e10, 0.1), (1e8, 2.5), (0.1, 1e8), (12.0, 1e13)),
]


def zeros(k):
    return [0] * k


@functools.cache
def _psi(n, x, precision):
    return mp.loggamma(x) if n < 0 else mp.psi(n, x)


def psi(n, x):
    """The polygamma function, and log gamma for n = -1; each is computed once."""
    return _psi(n, x, mp.mp.prec)


def sixty(point):
    return 60


def test_gammaln(agree):
    # Relative, also next to the zeros of the value at 1 and 2; the first derivative has a zero at 1.4616.
    agree(
        nm.gammaln,
        ARGUMENTS,
        lambda x: psi(-1, x),
        lambda x: [psi(0, x)],
        lambda x: [psi(1, x)],
        scale=lambda x: (0, [x * psi(1, x)], [0]),
        digits=sixty,
        edges={0.0: np.inf, np.inf: np.inf, 1.0: 0.0, 2.0: 0.0, -0.5: np.nan},
    )


def test_digamma(agree):
    agree(
        nm.digamma,
        [*ARGUMENTS, 1.4616321449683622, 1.46],
        lambda x: psi(0, x),
        lambda x: [psi(1, x)],
        lambda x: [psi(2, x)],
        scale=lambda x: (x * psi(1, x), [0], [0]),
        digits=sixty,
        edges={0.0: -np.inf, np.inf: np.inf, -0.5: np.nan},
    )


@pytest.mark.parametrize("n", [1, 2, 4])
def test_polygamma(agree, n):
    agree(
        lambda x: nm.polygamma(n, x),
        ARGUMENTS,
        lambda x: psi(n, x),
        lambda x: [psi(n + 1, x)],
        lambda x: [psi(n + 2, x)],
        digits=sixty,
    )


def test_log_factorial(agree):
    numbers = [0.0, 1e-300, 1e-12, 0.3, 0.4999, 0.5, 1.0, 1 + 1e-10, 2.0, 5.0, 8.5, 9.0, 20.0, 170.0, 1e6, 1e15, 1e300]
    agree(
        nm.log_factorial,
        numbers,
        lambda n: psi(-1, n + 1),
        lambda n: [psi(0, n + 1)],
        lambda n: [psi(1, n + 1)],
        scale=lambda n: (0, [(n + 1) * psi(1, n + 1)], [0]),
        edges={0.0: 0.0, 1.0: 0.0, np.inf: np.inf},
    )


def test_stirling_correction(agree):
    def value(x):
        return psi(-1, x) - ((x - 0.5) * mp.log(x) - x + mp.log(2 * mp.pi) / 2)

    agree(
        nm.stirling_correction,
        ARGUMENTS,
        value,
        lambda x: [psi(0, x) - mp.log(x) + 1 / (2 * x)],
        lambda x: [psi(1, x) - 1 / x - 1 / (2 * x * x)],
        digits=lambda point: 60 + 3 * int(abs(np.log10(point[0]))),
        edges={np.inf: 0.0, 0.0: np.inf, -1.0: np.nan},
    )


def ratio(a, b):
    return psi(-1, a + b) - psi(-1, a)


def test_log_gamma_ratio(agree):
    # Relative throughout, but for the value where it changes sign (a below 1.46) and its derivative in b (a + b there).
    agree(
        nm.log_gamma_ratio,
        PAIRS,
        ratio,
        lambda a, b: [psi(0, a + b) - psi(0, a), psi(0, a + b)],
        lambda a, b: [psi(1, a + b) - psi(1, a), psi(1, a + b), psi(1, a + b)],
        scale=lambda a, b: (
            abs(a * (psi(0, a + b) - psi(0, a))) + abs(b * psi(0, a + b)) if a < 1.5 else 0,
            [0, (a + b) * psi(1, a + b)],
            zeros(3),
        ),
        edges={(3.7, 0.0): 0.0, (np.inf, 2.0): np.inf, (0.0, 1.0): -np.inf},
    )


def test_log_gamma_ratio_over_no_step_and_downwards(agree):
    # The step is exact in binary, so that a + b is the true argument.
    agree(
        nm.log_gamma_ratio,
        [(20.0, -4.5), (1e6, -1.0), (1e10, -64.0), (3.5, -0.25), (12.0, 0.0), (0.75, 0.0)],
        ratio,
        lambda a, b: [psi(0, a + b) - psi(0, a), psi(0, a + b)],
        lambda a, b: [psi(1, a + b) - psi(1, a), psi(1, a + b), psi(1, a + b)],
    )


def test_betaln(agree):
    # The value is zero at (1, 1): there, relative to how it moves with a and b.
    agree(
        nm.betaln,
        PAIRS,
        lambda a, b: psi(-1, a) + psi(-1, b) - psi(-1, a + b),
        lambda a, b: [psi(0, a) - psi(0, a + b), psi(0, b) - psi(0, a + b)],
        lambda a, b: [psi(1, a) - psi(1, a + b), -psi(1, a + b), psi(1, b) - psi(1, a + b)],
        scale=lambda a, b: (
            abs(a * (psi(0, a) - psi(0, a + b))) + abs(b * (psi(0, b) - psi(0, a + b))) if max(a, b) < 10 else 0,
            zeros(2),
            zeros(3),
        ),
        edges={(np.inf, 2.0): -np.inf, (0.0, 2.0): np.inf},
    )


def test_betaln_to_thirteen_digits_where_nothing_cancels():
    a, b = (np.array(x) for x in zip(*[p for p in PAIRS if max(p) >= 8], strict=True))
    truth = [psi(-1, x) + psi(-1, y) - psi(-1, mp.mpf(x) + mp.mpf(y)) for x, y in zip(a, b, strict=True)]
    with mp.workdps(700):
        truth = [psi(-1, x) + psi(-1, y) - psi(-1, mp.mpf(x) + mp.mpf(y)) for x, y in zip(a, b, strict=True)]
        error = [abs(mp.mpf(float(g)) / t - 1) for g, t in zip(np.asarray(nm.betaln(a, b)), truth, strict=True)]
    assert max(error) < 1e-13


def choose(n, k):
    return psi(-1, n + 1) - psi(-1, k + 1) - psi(-1, n - k + 1)


def test_log_binomial(agree):
    points = [
        (n, k)
        for n in (1.0, 2.0, 7.0, 30.0, 1e3, 1e9, 1e15, 1e300)
        for k in (0.0, 1.0, 2.0, 6.5, 9.0, 10.0, 25.0)
        if k <= n
    ]
    points += [(n, n) for n in (3.0, 40.0, 1e10)] + [(n, n / 2) for n in (6.0, 20.0, 64.0, 1e9, 1e300)]
    points += [(1e10, 3e9), (1e8, 5e7 + 1), (50.0, 49.0), (2.5, 1e-300)]
    # Where k = n / 2 the derivative in k is zero: relative to how it moves with k. The value is exact at k = 0 and n.
    agree(
        nm.log_binomial,
        points,
        choose,
        lambda n, k: [psi(0, n + 1) - psi(0, n - k + 1), psi(0, n - k + 1) - psi(0, k + 1)],
        lambda n, k: [
            psi(1, n + 1) - psi(1, n - k + 1),
            psi(1, n - k + 1),
            -psi(1, n - k + 1) - psi(1, k + 1),
        ],
        scale=lambda n, k: (
            n * (psi(0, n + 1) - psi(0, n - k + 1)) if n == k else 0,
            [0, k * (psi(1, n - k + 1) + psi(1, k + 1))],
            zeros(3),
        ),
        edges={(5, 0): 0.0, (0, 0): 0.0, (5, 5): 0.0, (3, 4): -np.inf, (3, -1): -np.inf, (np.nan, 1): np.nan},
    )


@pytest.mark.parametrize(
    "points",
    [
        [(0.0, 0.0), (1.0, 0.0), (3.0, 4.0), (1e10, 2.0), (1e300, 1e5)],
        [
            *(
                (0.0, 0.0, 0.0),
                (1.0, 2.0, 3.0),
                (5.5, 1e-10, 12.0),
                (1e10, 1.0, 1.0),
                (1.0, 1e10, 3.0),
                (1e4, 1e4, 1e4),
            ),
            *((1e300, 1.0, 1e-9), (0.0, 7.0, 0.0), (20.0, 300.0, 1e8)),
        ],
    ],
)
def test_log_multinomial(agree, points):
    k = len(points[0])

    def f(*counts):
        return nm.log_multinomial(jnp.stack(counts))

    def value(*x):
        return psi(-1, sum(x) + 1) - sum(psi(-1, c + 1) for c in x)

    def second(*x):
        total = psi(1, sum(x) + 1)
        return [total - psi(1, x[i] + 1) if i == j else total for i in range(k) for j in range(i, k)]

    agree(
        f,
        points,
        value,
        lambda *x: [psi(0, sum(x) + 1) - psi(0, c + 1) for c in x],
        second,
        edges={(2.0, -1.0, 1.0)[:k]: -np.inf},
    )


TINY = [1e-300, 1e-100, 1e-30, 1e-16, 1e-8, 1e-3, 0.1, 0.3, 0.3999999, 0.4]
SOME_MORE = [0.4999999, 0.5, 0.5000001, 0.7, 1.0, 1.6, 3.0, 30.0, 700.0]


def test_less_expm1(agree):
    """t - expm1(t), to a relative 1e-12 where it is t²/2 as well."""
    agree(
        less_expm1,
        [sign * t for t in TINY + SOME_MORE for sign in (1, -1)],
        lambda t: t - mp.expm1(t),
        lambda t: [-mp.expm1(t)],
        lambda t: [-mp.exp(t)],
        edges={0.0: 0.0},
    )

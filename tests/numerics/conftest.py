"""The comparison that every test of `jaxmle.numerics` makes: value, gradient and Hessian against mpmath."""

from __future__ import annotations

import sys
from collections.abc import Callable

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest

from jaxmle import runtime

TINY = 2.3e-308  # below the smallest normal number XLA flushes to zero
TOLERANCE = 1e-12


@pytest.fixture(autouse=True)
def float64():
    """All tests of this folder run in JAX's local float64 scope, and put mpmath's precision back."""
    with runtime.x64(), mp.workdps(50):
        yield


def digits(point) -> int:
    """Decimal digits of working precision in which mpmath's own subtractions at this point keep fifty."""
    exponents = [abs(float(mp.log10(abs(x)))) for x in map(mp.mpf, point) if x != 0 and mp.isfinite(x)]
    return 50 + int(sum(exponents)) + int(max(exponents, default=0.0))


def agrees(got: float, ref, scale) -> bool:
    """|got - ref| <= 1e-12 max(|ref|, scale), and infinities of the right sign where ref is or overflows to one."""
    if mp.isnan(ref):
        return True  # no limit: nothing is claimed
    if abs(ref) > sys.float_info.max:
        return bool(np.isinf(got) or abs(got) > 1e308) and (got > 0) == (ref > 0)
    if not np.isfinite(got):
        return False
    return abs(mp.mpf(float(got)) - ref) <= TOLERANCE * max(abs(ref), scale) + TINY


@pytest.fixture
def agree() -> Callable[..., None]:
    """`agree(f, points, value, first, second)`: f of k scalars at points (numbers, or tuples of k),
    and mpmath functions of the same scalars.

    `first` returns k numbers, `second` the k(k+1)/2 numbers of the upper triangle, row by row. The criterion is the
    relative error, 1e-12 of the true number, unless `scale` is given: then 1e-12 of max(|true|, scale), where scale
    returns (for the value, for each first, for each second derivative) how much the true number changes when the
    inputs change by a relative one: the error that rounding the inputs would make. Gradients are taken in reverse
    mode, Hessians forward over reverse and reverse over reverse, all jitted and vmapped. `edges` maps further points to
    the value that is expected there, exactly.
    """

    def check(f, points, value, first, second, scale=None, digits=digits, edges=None):
        edges = edges or {}
        points = np.array([np.atleast_1d(p) for p in (*points, *edges)], dtype=float)
        k = points.shape[1]

        def packed(x):
            return f(*(x[i] for i in range(k)))

        def everything(x):
            gradient = jax.jacrev(packed)
            return packed(x), gradient(x), jax.jacfwd(gradient)(x), jax.jacrev(gradient)(x)

        values, gradients, forward, reverse = (
            np.asarray(a) for a in jax.jit(jax.vmap(everything))(jnp.asarray(points))
        )
        upper = [(i, j) for i in range(k) for j in range(i, k)]
        failures = []
        inner = len(points) - len(edges)
        for row, point in enumerate(points[:inner]):
            with mp.workdps(digits(point)):
                x = [mp.mpf(float(p)) for p in point]
                v, d1, d2 = value(*x), first(*x), second(*x)
                scales = scale(*x) if scale else (0, [0] * k, [0] * len(upper))
                compared = [("value", values[row], v, scales[0])]
                compared += [(f"d{i}", gradients[row, i], d1[i], scales[1][i]) for i in range(k)]
                for (i, j), ref, s in zip(upper, d2, scales[2], strict=True):
                    for name, h in (("forward", forward[row]), ("reverse", reverse[row])):
                        compared += [(f"d{i}{j} {name}", h[i, j], ref, s), (f"d{j}{i} {name}", h[j, i], ref, s)]
                failures += [
                    f"{name} at {tuple(point)}: got {got!r}, true {mp.nstr(ref, 20)}"
                    for name, got, ref, s in compared
                    if not agrees(got, ref, s)
                ]
        np.testing.assert_array_equal(values[inner:], list(edges.values()))
        assert not failures, f"{len(failures)} wrong:\n" + "\n".join(failures[:12])

    return check

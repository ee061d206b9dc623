"""The logarithms of one argument against mpmath, to the last digit or two, and where they stand in place of JAX's."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest

import jaxmle as jm
from jaxmle import runtime
from jaxmle.numerics.logarithms import MANY, log, log1p

EVERYWHERE = np.exp(np.random.default_rng(0).uniform(-708, 709, 2000))
AROUND_ONE = np.random.default_rng(1).normal(scale=0.2, size=2000)
NEAR_ONE = np.random.default_rng(2).normal(scale=1e-9, size=500)
ROOTS = np.sqrt(0.5) * (1 + np.arange(-20, 21) * 2.0**-53), np.sqrt(2.0) * (1 + np.arange(-20, 21) * 2.0**-52)
LARGEST = np.finfo(float).max * np.array([1.0, 0.9, 0.71, 0.7, 0.5])
POINTS = {
    log: [*EVERYWHERE, *(1 + AROUND_ONE), *(1 + NEAR_ONE), *ROOTS[0], *ROOTS[1], *2.0 ** np.arange(-1022.0, 1024), *LARGEST],
    log1p: [
        *LARGEST, *EVERYWHERE, *AROUND_ONE, *NEAR_ONE, *(ROOTS[0] - 1), *(ROOTS[1] - 1), *(EVERYWHERE[EVERYWHERE < 1] - 1),
        *(-EVERYWHERE[EVERYWHERE < 1]),
    ],
}  # fmt: skip
REFERENCE = {log: mp.log, log1p: mp.log1p}


@pytest.mark.parametrize("f", [log, log1p], ids=["log", "log1p"])
def test_the_value_is_right_to_two_units_of_the_last_digit(f):
    points = np.array([x for x in POINTS[f] if f is log or x > -1])
    values = np.asarray(jax.jit(f)(jnp.asarray(points)))
    for x, value in zip(points, values):
        true = REFERENCE[f](mp.mpf(float(x)))
        assert abs(mp.mpf(float(value)) - true) <= 1.5 * np.spacing(abs(float(true))), x


@pytest.mark.parametrize("transform", [lambda f: f, jax.jit, jax.vmap, lambda f: jax.jit(jax.vmap(f))])
def test_the_ends_of_the_range(transform):
    ends = np.array([0.0, -0.0, -1.0, np.inf, np.nan, -np.inf])
    for copies in (1, MANY):  # a few are left to XLA
        x = jnp.asarray(np.tile(ends, copies))
        of_x, of_more = transform(log)(x), transform(log1p)(x)
        np.testing.assert_array_equal(of_x, np.tile([-np.inf, -np.inf, np.nan, np.inf, np.nan, np.nan], copies))
        np.testing.assert_array_equal(of_more, np.tile([0.0, 0.0, -np.inf, np.inf, np.nan, np.nan], copies))


@pytest.mark.parametrize("f", [log, log1p], ids=["log", "log1p"])
def test_derivatives(f, agree):
    shift = 1 if f is log1p else 0
    agree(
        f,
        [1e-300, 1e-9, 0.3, 1.0, 2.5, 1e9, 1e100],
        REFERENCE[f],
        lambda x: [1 / (x + shift)],
        lambda x: [-1 / (x + shift) ** 2],
    )


def test_other_kinds_of_numbers_are_left_to_jax():
    single = jnp.array([0.5, 2.0], jnp.float32)
    assert log(single).dtype == log1p(single).dtype == jnp.float32
    np.testing.assert_allclose(log(3), np.log(3.0), rtol=1e-15)
    with jax.enable_x64(False):
        assert log(2.0).dtype == jnp.float32


def test_in_what_a_loop_carries_the_second_derivative_is_right():
    """Where a function with a rule of its own is differentiated by its definition (docs/hazards.md): by its bits."""

    def chain(x):
        return jax.lax.scan(lambda a, _: (log(2.0 + log1p(a)), None), x, None, length=3)[0]

    def same(x):
        return jax.lax.scan(lambda a, _: (jnp.log(2.0 + jnp.log1p(a)), None), x, None, length=3)[0]

    for order in (jax.grad, jax.hessian, lambda f: jax.jacfwd(jax.grad(f)), lambda f: jax.grad(jax.grad(f))):
        np.testing.assert_allclose(order(chain)(0.7), order(same)(0.7), rtol=1e-14)


def test_a_density_is_compiled_with_them():
    """XLA's own are in no program of a fit on a CPU; what JAX's functions compute is the same to rounding."""

    def density(p, row):
        scale = jnp.exp(p["log_scale"])
        return jnp.log(row["y"] / scale) - row["y"] / scale * jnp.log1p(scale) + jnp.log(jnp.log1p(scale) ** 2 / scale)

    model = jm.Model(density, {"log_scale": jm.Linear([1, "logs"])})
    rng = np.random.default_rng(3)
    table = {"y": rng.gamma(2.0, size=MANY), "logs": rng.normal(size=MANY)}
    text = _compiled(model, table)
    assert "_logarithm" in text
    assert " log(" not in text
    assert " log-plus-one(" not in text
    few = _compiled(model, {name: x[: MANY // 2] for name, x in table.items()})
    assert " log(" in few
    assert " log-plus-one(" in few


def _compiled(model: jm.Model, table: dict[str, np.ndarray]) -> str:
    from jaxmle.data.tables import Table
    from jaxmle.objective import passes
    from jaxmle.objective.build import build

    with runtime.x64():
        o = build(model, Table.read(table), weights=np.ones(len(table["y"]))).objective
        (first, *_) = o.stretches
        args = (o.program, "hessian", o.to_u(np.zeros(2)), o.constants, first.data, first.span)
        return passes.evaluate.lower(*args).compile().as_text()

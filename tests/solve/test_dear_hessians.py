"""Where a Hessian costs many gradients: Newton's steps with one that is known about, and at the end of L-BFGS."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxmle.solve.finish import ThenNewton
from jaxmle.solve.lbfgs import LBFGS
from jaxmle.solve.newton import Newton
from jaxmle.solve.solver import DONE, MAX_STEPS

from .functions import Smooth

A = np.random.default_rng(0).normal(size=(40, 5))


def softplus_sum(z):
    """Convex, with a minimum where the gradient, Aᵀ tanh(Az) + z - 1, is zero."""
    return jnp.sum(jnp.log(jnp.cosh(A @ z))) + 0.5 * jnp.sum((z - 1.0) ** 2)


class Dear(Smooth):
    hessian_cost = 10.0


def hessian(z):
    return A.T @ (A / np.cosh(A @ z)[:, None] ** 2) + np.eye(5)


def test_a_known_curvature_saves_hessians():
    start = np.full(5, 0.03)
    with_it, without = Dear(softplus_sum, 5), Dear(softplus_sum, 5)
    found = Newton(curvature=1.05 * hessian(np.full(5, 0.02))).minimise(with_it, start)
    plain = Newton().minimise(without, start)
    assert found.stop == plain.stop == DONE
    assert with_it.counts["hessian"] == 1 < without.counts["hessian"]
    np.testing.assert_allclose(A.T @ np.tanh(A @ found.z) + found.z, 1.0, atol=1e-8)
    np.testing.assert_allclose(found.hessian, hessian(found.z), rtol=1e-5)


@pytest.mark.parametrize("wrong", [-np.eye(5), 1e-3 * np.eye(5), 1e6 * np.eye(5), np.full((5, 5), np.nan)])
def test_a_wrong_curvature_does_no_harm(wrong):
    found = Newton(curvature=wrong).minimise(Dear(softplus_sum, 5), np.full(5, 0.3))
    assert found.stop == DONE
    np.testing.assert_allclose(A.T @ np.tanh(A @ found.z) + found.z, 1.0, atol=1e-7)
    np.testing.assert_allclose(found.hessian, hessian(found.z), rtol=1e-3)


def test_a_gradient_method_that_ends_with_newton():
    f = Dear(softplus_sum, 5)
    found = ThenNewton(tol=1e-9).minimise(f, np.full(5, 3.0))
    assert found.stop == DONE
    assert found.solver == "LBFGS"
    assert f.counts["hessian"] <= 2
    np.testing.assert_allclose(A.T @ np.tanh(A @ found.z) + found.z, 1.0, atol=1e-5)
    np.testing.assert_allclose(found.hessian, hessian(found.z), rtol=1e-4)


def test_all_steps_are_counted_in_one():
    seen = []
    found = ThenNewton().minimise(Dear(softplus_sum, 5), np.full(5, 3.0), lambda p: seen.append(p.step))
    assert seen == list(range(1, found.n_steps + 1))


def test_a_search_that_is_cut_short_is_not_finished():
    f = Dear(softplus_sum, 5)
    found = ThenNewton(max_steps=2).minimise(f, np.full(5, 3.0))
    assert found.stop == MAX_STEPS
    assert f.counts["hessian"] == 0


def test_where_newton_does_not_end_the_gradient_method_goes_on():
    """|z|³: the Hessian vanishes at the minimum, Newton halves the distance, ten steps are not enough."""
    f = Dear(lambda z: jnp.sum(jnp.abs(z) ** 3), 2)
    found = ThenNewton(tol=1e-14).minimise(f, np.array([2.0, 1.0]))
    alone = LBFGS(tol=1e-14).minimise(Dear(lambda z: jnp.sum(jnp.abs(z) ** 3), 2), np.array([2.0, 1.0]))
    assert found.stop == alone.stop
    assert np.abs(found.z).max() < 1e-3

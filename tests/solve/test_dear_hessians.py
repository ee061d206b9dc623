"""Where a Hessian costs many gradients: Newton's steps with one that is known about, and at the end of L-BFGS."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxmle.solve.finish import ThenNewton
from jaxmle.solve.lbfgs import LBFGS
from jaxmle.solve.newton import Newton
from jaxmle.solve.solver import DONE, INTERRUPTED, MAX_STEPS

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
    assert found.solver == "LBFGS, then Newton"
    assert f.counts["hessian"] <= 2
    np.testing.assert_allclose(A.T @ np.tanh(A @ found.z) + found.z, 1.0, atol=1e-5)
    np.testing.assert_allclose(found.hessian, hessian(found.z), rtol=1e-4)


def test_all_steps_are_counted_in_one():
    seen = []
    found = ThenNewton().minimise(Dear(softplus_sum, 5), np.full(5, 3.0), lambda p: seen.append(p.step))
    assert seen == list(range(1, found.n_steps + 1))


def test_an_interrupt_of_the_last_steps_ends_the_search():
    start = np.full(5, 3.0)
    by_gradients = LBFGS(tol=1e-2, polish=False).minimise(Dear(softplus_sum, 5), start).n_steps

    def stop(progress):
        if progress.step > by_gradients:
            raise KeyboardInterrupt

    found = ThenNewton().minimise(Dear(softplus_sum, 5), start, stop)
    assert (found.stop, found.n_steps) == (INTERRUPTED, by_gradients + 1)
    assert ThenNewton().minimise(Dear(softplus_sum, 5), start).n_steps > by_gradients + 1


def test_a_search_that_is_cut_short_is_not_finished():
    f = Dear(softplus_sum, 5)
    found = ThenNewton(max_steps=2).minimise(f, np.full(5, 3.0))
    assert found.stop == MAX_STEPS
    assert f.counts["hessian"] == 0


def test_a_gradient_method_may_cost_as_much_as_one_hessian():
    """A quadratic whose condition is 1e8: hundreds of steps by gradients, one by a Hessian."""
    curvature = 10.0 ** np.linspace(0, 8, 40)
    f = Dear(lambda z: 0.5 * jnp.sum(curvature * (z - 1.0) ** 2), 40)
    f.hessian_cost = 30.0
    found = ThenNewton().minimise(f, np.zeros(40))
    alone = LBFGS().minimise(f.fresh(), np.zeros(40))
    assert found.stop == DONE
    assert 30 < found.n_steps < 36 < alone.n_steps / 3
    np.testing.assert_allclose(found.z, 1.0, rtol=1e-9)


class Sampled(Dear):
    """A quadratic with a Hessian of a sample: here that of all data, each entry of whose diagonal is off by up to a half."""

    hessian_cost = 1000.0

    def __init__(self, curvature, about):
        super().__init__(lambda z: 0.5 * jnp.sum(curvature * (z - 1.0) ** 2), len(curvature))
        self.about = about

    def about_hessian(self, z, units):
        self.counts["about"] += 1
        assert units == 8 * len(z)
        return self.about


CURVATURE = 10.0 ** np.linspace(0, 8, 40)
OFF = np.random.default_rng(0).uniform(0.5, 1.5, size=40)


def test_flat_directions_are_measured_by_a_sample():
    f = Sampled(CURVATURE, np.diag(CURVATURE * OFF))
    found = ThenNewton().minimise(f, np.zeros(40))
    assert (found.stop, f.counts["about"]) == (DONE, 1)
    assert found.n_steps < 30
    np.testing.assert_allclose(found.z, 1.0, rtol=1e-9)


def test_what_a_sample_has_not_seen_is_as_curved_as_the_rest():
    seen = np.arange(40) % 4 > 0
    f = Sampled(np.where(seen, CURVATURE, CURVATURE[seen].mean()), np.diag(CURVATURE * OFF * seen))
    found = ThenNewton().minimise(f, np.zeros(40))
    assert found.stop == DONE
    assert found.n_steps < 30
    np.testing.assert_allclose(found.z, 1.0, rtol=1e-9)


@pytest.mark.parametrize(
    "about", [None, -np.diag(CURVATURE), np.ones((40, 40)), np.full((40, 40), np.nan), np.zeros((40, 40))]
)
def test_a_sample_that_says_nothing_changes_nothing(about):
    f, without = Sampled(CURVATURE, about), Dear(lambda z: 0.5 * jnp.sum(CURVATURE * (z - 1.0) ** 2), 40)
    without.hessian_cost = f.hessian_cost
    found, plain = (ThenNewton().minimise(g, np.zeros(40)) for g in (f, without))
    np.testing.assert_array_equal(found.z, plain.z)
    assert found.n_steps == plain.n_steps > 100


def test_where_newton_does_not_end_the_gradient_method_goes_on():
    """|z|³: the Hessian vanishes at the minimum, Newton halves the distance, ten steps are not enough."""
    f = Dear(lambda z: jnp.sum(jnp.abs(z) ** 3), 2)
    found = ThenNewton(tol=1e-14).minimise(f, np.array([2.0, 1.0]))
    alone = LBFGS(tol=1e-14).minimise(Dear(lambda z: jnp.sum(jnp.abs(z) ** 3), 2), np.array([2.0, 1.0]))
    assert found.stop == alone.stop
    assert np.abs(found.z).max() < 1e-3

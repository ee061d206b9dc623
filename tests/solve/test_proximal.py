"""Proximal Newton: conditions of optimality, closed forms, functions that are not convex, exact zeros."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxmle.solve.proximal import ProximalNewton, minimum, proposed
from jaxmle.solve.solver import DONE, FAILED

from .functions import Lined, Smooth


class Cornered(Lined):
    """A smooth function with weights of absolute values."""

    def __init__(self, f, weights):
        super().__init__(f, len(weights))
        self.l1 = np.asarray(weights, float)


class WithoutLines(Smooth):
    def __init__(self, f, weights):
        super().__init__(f, len(weights))
        self.l1 = np.asarray(weights, float)


def soft(x, by):
    return np.sign(x) * np.maximum(np.abs(x) - by, 0)


def subgradient(x, slope, weights):
    """The length of the smallest subgradient, entry by entry."""
    return np.where(x != 0, np.abs(slope + weights * np.sign(x)), np.maximum(np.abs(slope) - weights, 0))


@given(st.integers(1, 12), st.integers(0, 10**6), st.floats(0, 3), st.booleans())
@settings(max_examples=60, deadline=None)
def test_the_minimum_of_a_model_meets_the_conditions_of_optimality(size, seed, strength, some_free):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(size + 2, size)) * rng.uniform(0.1, 10, size)
    hessian, gradient, z = (
        root.T @ root,
        rng.normal(size=size) * 5,
        rng.normal(size=size) * (rng.uniform(size=size) > 0.5),
    )
    weights = np.full(size, strength)
    if some_free:
        weights[::3] = 0.0
    x = minimum(z, gradient, hessian, weights)
    slope = gradient + hessian @ (x - z)
    tolerance = 1e-8 * weights + 1e-9 * np.sqrt(np.diag(hessian)) * (1 + np.linalg.norm(root @ (x - z)))
    assert (subgradient(x, slope, weights) <= tolerance).all()


def test_an_orthonormal_design_is_soft_thresholding():
    rng = np.random.default_rng(0)
    q = np.linalg.qr(rng.normal(size=(50, 8)))[0]
    y = q @ np.array([3.0, -2, 1, 0.5, 0.2, 0, 0, 0]) + 0.3 * rng.normal(size=50)
    f = Cornered(lambda b: 0.5 * jnp.sum((y - q @ b) ** 2), np.full(8, 0.6))
    end = ProximalNewton().minimise(f, np.ones(8))
    expected = soft(q.T @ y, 0.6)
    assert end.stop == DONE
    np.testing.assert_allclose(end.z, expected, atol=1e-13)
    assert ((end.z == 0) == (expected == 0)).all()
    assert end.value == pytest.approx(0.5 * np.sum((y - q @ expected) ** 2) + 0.6 * np.abs(expected).sum())


def test_without_weights_it_is_newtons_method():
    f = Lined(lambda z: jnp.sum(jnp.cosh(z - jnp.array([1.0, -2.0]))), 2)
    end = ProximalNewton().minimise(f, np.zeros(2))
    assert end.stop == DONE
    np.testing.assert_allclose(end.z, [1, -2], atol=1e-9)


@pytest.mark.parametrize("kind", [Cornered, WithoutLines])
def test_a_valley_that_is_not_convex(kind):
    """Rosenbrock's function with a weight on the second coordinate: at y > 0, x solves 4·a·x(x² − y) = 2(1 − x)."""
    weight = 5.0
    f = kind(lambda z: (1 - z[0]) ** 2 + 100 * (z[1] - z[0] ** 2) ** 2, [0.0, weight])
    end = ProximalNewton().minimise(f, np.array([-1.2, 1.0]))
    x, y = end.z
    assert end.stop == DONE
    assert y == pytest.approx(x**2 - weight / 200)  # d/dy: 200(y − x²) + weight = 0
    assert -2 * (1 - x) + 400 * x * weight / 200 == pytest.approx(0, abs=1e-6)


def test_a_saddle_at_the_start_is_left():
    f = Cornered(lambda z: z[0] ** 4 - z[0] ** 2 + z[1] ** 2, [0.01, 0.01])
    end = ProximalNewton().minimise(f, np.array([0.05, 1.0]))
    assert end.stop == DONE
    assert end.z[1] == 0.0
    assert 4 * end.z[0] ** 3 - 2 * end.z[0] + 0.01 == pytest.approx(0, abs=1e-7)
    assert end.z[0] > 0.5


def test_a_wall_is_not_run_into():
    """z − log z has its minimum at 1/(1 + weight), and Newton's step from 3 leads below zero."""
    f = Cornered(lambda z: z[0] - jnp.log(z[0]), [2.0])
    end = ProximalNewton().minimise(f, np.array([3.0]))
    assert end.stop == DONE
    assert end.z[0] == pytest.approx(1 / 3)


def test_all_zero_from_a_weight_on_and_never_before():
    a = np.array([1.0, -2.0, 0.5])
    for weight, zeros in ((2.0, 3), (1.999, 2)):
        f = Cornered(lambda z: 0.5 * jnp.sum((z - a) ** 2), np.full(3, weight))
        assert (ProximalNewton().minimise(f, np.zeros(3)).z == 0).sum() == zeros


def test_columns_that_are_equal_do_no_harm():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(30, 3))
    x = np.column_stack([x, x[:, 0]])
    y = x @ np.array([1.0, 1, 0, 1])
    f = Cornered(lambda b: 0.5 * jnp.sum((y - x @ b) ** 2), np.full(4, 2.0))
    end = ProximalNewton().minimise(f, np.zeros(4))
    assert end.stop == DONE
    slope = x.T @ (x @ end.z - y)
    assert subgradient(end.z, slope, f.l1).max() < 1e-7


def test_a_start_that_is_not_finite_is_told():
    assert ProximalNewton().minimise(Cornered(lambda z: jnp.log(z[0]), [1.0]), np.array([-1.0])).stop == FAILED


def test_a_model_without_a_minimum_gets_a_multiple_of_its_diagonal():
    hessian = np.array([[1.0, 2.0], [2.0, 1.0]])
    z, gradient, weights = np.array([1.0, 1.0]), np.array([1.0, -1.0]), np.array([0.1, 0.1])
    assert minimum(z, gradient, hessian, weights) is None
    target, gain, slope = proposed(z, gradient, hessian, weights)
    assert np.isfinite(target).all()
    assert gain == np.inf
    assert slope < 0

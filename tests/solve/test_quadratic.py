"""The quadratic model and its minimum inside a ball, by eigenvalues and by Cholesky's factor, against NumPy's own."""

import numpy as np
import pytest

from jaxmle.solve import quadratic
from jaxmle.solve.quadratic import Curvature, Quadratic

FEW, MANY = 12, quadratic.FACTORED + 90


def model(n, values, seed=0):
    """A model in units of all sizes with a Hessian D A D, A of these eigenvalues; its gradient."""
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(rng.normal(size=(n, n)))[0]
    units = np.exp(rng.normal(size=n))
    hessian = (axes * values) @ axes.T * np.outer(units, units)
    return Quadratic.of(gradient := rng.normal(size=n) * units, hessian), gradient, hessian


@pytest.mark.parametrize("n", [1, FEW, MANY])
def test_the_minimum_of_a_convex_model(n):
    q, gradient, hessian = model(n, np.linspace(0.1, 5, n))
    step = np.linalg.solve(hessian, -gradient)
    assert q.positive
    np.testing.assert_allclose(q.to_z(q.newton()), step, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(q.within(1e6), q.newton(), rtol=1e-12)
    assert q.decrement == pytest.approx(np.sqrt(-gradient @ step), rel=1e-10)
    assert q.change(q.newton()) == pytest.approx(0.5 * gradient @ step, rel=1e-10)
    other = q.at(2 * gradient)
    np.testing.assert_allclose(other.to_z(other.newton()), 2 * step, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("n", [FEW, MANY])
@pytest.mark.parametrize("least", [-1.0, 0.5])
def test_the_minimum_inside_a_ball_is_that_of_lagrange(n, least):
    """(S + μ) y = -slope with |y| the radius, μ ≥ 0 and S + μ positive definite (Moré and Sorensen, 1983)."""
    q, *_ = model(n, np.linspace(least, 5, n))
    s = q.curvature.scaled
    radius = 0.1
    y = q.within(radius)
    assert np.linalg.norm(y) == pytest.approx(radius, rel=2e-3)
    mu = -(y @ (s @ y + q.slope)) / (y @ y)
    np.testing.assert_allclose(s @ y + mu * y, -q.slope, atol=1e-8 * np.linalg.norm(q.slope))
    assert mu > max(0.0, -np.linalg.eigvalsh(s)[0])


@pytest.mark.parametrize("n", [FEW, MANY])
def test_what_is_known_of_a_curvature(n):
    q, *_ = model(n, np.geomspace(1e-3, 3, n))
    curvature, values = q.curvature, np.linalg.eigvalsh(q.curvature.scaled)
    assert values[0] / 8 <= curvature.least <= values[0] * (1 + 1e-12)
    assert curvature.exceeds(0.99 * values[0])
    assert not curvature.exceeds(1.01 * values[0])
    np.testing.assert_allclose(curvature.whiten.T @ curvature.scaled @ curvature.whiten, np.eye(n), atol=1e-9)
    np.testing.assert_allclose(curvature.whiten @ curvature.whiten.T, np.linalg.inv(curvature.scaled), rtol=1e-6)
    assert curvature.is_conditioned(1.01 * values[-1] / values[0])
    assert not curvature.is_conditioned(0.99 * values[-1] / values[0])
    np.testing.assert_allclose(curvature.extremes, values[[0, -1]], rtol=1e-10)


@pytest.mark.parametrize("n", [FEW, MANY])
def test_rounding_is_no_curvature(n):
    """Of a singular matrix the smallest eigenvalue is some rounding error, of either sign."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(3 * n, n))
    x[:, -1] = x[:, 0] + x[:, 1]
    q = Quadratic.of(np.zeros(n), x.T @ x)
    assert not q.positive
    assert not q.curvature.is_conditioned(1e12)
    assert abs(q.curvature.values[0]) <= q.curvature.floor
    assert q.decrement == 0.0
    beside = Quadratic.of(x.T @ rng.normal(size=3 * n), x.T @ x)  # a gradient that no direction without curvature has
    assert np.isfinite(beside.decrement)
    assert Quadratic.of(rng.normal(size=n), x.T @ x).decrement == np.inf


def test_no_parameters_are_at_their_minimum():
    q = Quadratic.of(np.zeros(0), np.zeros((0, 0)))
    assert q.positive
    assert q.decrement == 0.0


@pytest.mark.parametrize("n", [1, 5, 64, 65, 200])
def test_the_inverse_of_a_triangle(n):
    lower = np.linalg.cholesky(Curvature(np.eye(n) + 0.5 / n).scaled)
    np.testing.assert_allclose(quadratic.inverse_of_lower(lower) @ lower, np.eye(n), atol=1e-13)

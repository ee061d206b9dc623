"""Many small problems at once: factorisations against NumPy, searches against known minima, failures that stay alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmle import runtime
from jaxmle.solve.batched import DONE, FAILED, MAX_STEPS, Searches, minimise, sweep


def test_sweeping_inverts_and_finds_what_depends_on_what():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(7, 20, 4))
    a = np.einsum("bni,bnj->bij", x, x)
    x[0, :, 2] = x[0, :, 0] - x[0, :, 1]
    a[0] = x[0].T @ x[0]
    a[1] = -a[1]
    with runtime.x64():
        inverse, pivots = jax.device_get(jax.jit(sweep)(np.moveaxis(a, 0, -1), 1e-10))
    for b in range(1, 7):
        np.testing.assert_allclose(inverse[:, :, b], np.linalg.inv(a[b]), rtol=1e-9, atol=1e-12)
    assert abs(pivots[2, 0]) < 1e-10
    assert (np.delete(pivots[:, 0], 2) > 0).all()
    kept = [0, 1, 3]
    np.testing.assert_allclose(inverse[np.ix_(kept, kept)][..., 0], np.linalg.inv(a[0][np.ix_(kept, kept)]), rtol=1e-9)
    assert (pivots[:, 1] < 0).all()
    assert (pivots[:, 2:] > 0).all()


def rosenbrock(z, bend):
    """Its minimum is 0 at (1, 1); not convex in between (Rosenbrock, 1960)."""
    return bend * (z[1] - z[0] ** 2) ** 2 + (1 - z[0]) ** 2


def broken(z, bend):
    return rosenbrock(z, bend) + jnp.where(bend < 0, jnp.nan, 0.0)


@jax.jit
def search(searches, bend, tol, max_steps):
    def evaluate(z):
        value, gradient = jax.vmap(jax.value_and_grad(broken))(z, bend)
        return value, gradient, jax.vmap(jax.hessian(broken))(z, bend), value

    return minimise(evaluate, searches, tol, max_steps, 1000)


@pytest.fixture(scope="module")
def ended():
    starts = np.array([[-1.2, 1.0], [3.0, -4.0], [1.0, 1.0], [0.0, 5.0], [-1.2, 1.0]])
    bend = np.array([100.0, 10.0, 1.0, -1.0, 1000.0])
    with runtime.x64():
        return [Searches(*jax.device_get(search(Searches.at(starts), bend, 1e-9, n))) for n in (200, 3)]


def test_every_problem_reaches_its_own_minimum(ended):
    s, _ = ended
    good = [0, 1, 2, 4]
    assert (s.status[good] == DONE).all()
    np.testing.assert_allclose(s.z[good], 1.0, atol=1e-9)
    assert (s.decrement[good] < 1e-5).all()
    assert s.steps[2] == 0


def test_a_problem_without_a_value_fails_alone(ended):
    s, few = ended
    assert s.status[3] == FAILED
    np.testing.assert_array_equal(s.z[3], [0.0, 5.0])
    assert few.status.tolist() == [MAX_STEPS, MAX_STEPS, DONE, FAILED, MAX_STEPS]


def test_the_inverse_is_that_of_the_hessian_at_the_minimum(ended):
    s, _ = ended
    for b in (0, 1, 2, 4):
        m = np.sqrt(np.diag(s.hessian[b]))
        np.testing.assert_allclose(s.inverse[b] / np.outer(m, m), np.linalg.inv(s.hessian[b]), rtol=1e-8)

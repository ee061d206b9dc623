"""Linear recurrences, and the two filters whose derivatives are such: closed forms, linear equations, the plain loops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmle import runtime
from jaxmle.declare.series.arma import StateSpace, filtered
from jaxmle.declare.series.forward import forward, scaled, stationary
from jaxmle.declare.series.recurrence import recurrence

N = 23


@pytest.fixture(autouse=True)
def in_double():
    with runtime.x64():
        yield


def orders(f, u):
    """The value, the gradient, and the Hessian times a vector."""
    v = np.cos(np.arange(len(u)))
    both = jax.value_and_grad(f)
    value, slope, bend = jax.jit(lambda u: (*both(u), jax.jvp(jax.grad(f), (u,), (v,))[1]))(u)
    return np.concatenate([np.atleast_1d(x) for x in (value, slope, bend)])


def test_a_number_follows_the_geometric_series_and_its_derivatives():
    """x_n = (1 - aⁿ)/(1 - a), from x_t = a x_{t-1} + 1."""
    last = lambda a: recurrence(jnp.full((N, 1, 1), a), jnp.ones((N, 1)))[-1, 0]
    polynomial = np.polynomial.Polynomial(np.ones(N))
    slopes = [last, jax.grad(last), jax.grad(jax.grad(last)), jax.jacfwd(jax.jacfwd(jax.grad(last)))]
    for times, f in enumerate(slopes):
        assert float(f(0.83)) == pytest.approx(polynomial.deriv(times)(0.83) if times else polynomial(0.83), rel=1e-13)


def test_vectors_solve_the_linear_equations():
    rng = np.random.default_rng(0)
    a, c = rng.normal(size=(N, 3, 3)) / 2, rng.normal(size=(N, 3))
    whole = np.eye(3 * N)
    for t in range(1, N):
        whole[3 * t : 3 * t + 3, 3 * t - 3 : 3 * t] = -a[t].T
    assert np.allclose(recurrence(a, c), np.linalg.solve(whole, c.ravel()).reshape(N, 3), rtol=1e-11)
    weights = rng.normal(size=(N, 3))
    back = jax.grad(lambda c: jnp.sum(weights * recurrence(a, c)))(c)
    assert np.allclose(back, np.linalg.solve(whole.T, weights.ravel()).reshape(N, 3), rtol=1e-11)


def test_matrices_are_the_vectors_of_the_kronecker_product():
    rng = np.random.default_rng(1)
    a, c = rng.normal(size=(N, 2, 2)) / 2, rng.normal(size=(N, 2, 2))
    both = np.stack([np.kron(m, m) for m in a])
    found = recurrence(a, c)
    assert np.allclose(found, np.asarray(recurrence(both, c.reshape(N, 4))).reshape(N, 2, 2), rtol=1e-12)
    x = np.zeros((2, 2))
    for t in range(N):
        x = a[t].T @ x @ a[t] + c[t]
    assert np.allclose(found[-1], x, rtol=1e-12)


def plain_forward(log_b, start, transition, first):
    b, top = scaled(log_b)

    def step(chances, row):
        chances = jnp.where(row[1], start, chances)
        total = (chances * row[0]).sum()
        return (chances * row[0]) @ transition / total, total

    return jnp.log(jax.lax.scan(step, start, (b, first))[1]) + top


@pytest.mark.parametrize("states", [2, 3])
def test_hidden_states_have_the_derivatives_of_the_plain_loop(states):
    rng = np.random.default_rng(2)
    y, first = rng.normal(size=N) + 2 * (np.arange(N) % 7 > 3), np.isin(np.arange(N), [0, 9])

    def of(log_densities):
        def total(u):
            means, logits = u[:states], u[states:].reshape(states, states - 1)
            transition = jax.nn.softmax(jnp.pad(logits, ((0, 0), (1, 0))), axis=1)
            log_b = -0.5 * (y[:, None] - means) ** 2
            return jnp.sum(log_densities(log_b, stationary(transition), transition, first))

        return total

    u = jnp.asarray(rng.normal(size=states * states) / 2)
    assert orders(of(lambda *a: forward(*a)[0]), u) == pytest.approx(orders(of(plain_forward), u), rel=1e-10)


@pytest.mark.parametrize(("p", "q"), [(1, 1), (2, 0), (1, 2)])
def test_the_kalman_filter_has_the_density_of_the_normal_vector_and_its_derivatives(p, q):
    """Against the density of the values seen by their autocovariances: by ψ weights, no filter at all."""
    rng = np.random.default_rng(3)
    x, seen = rng.normal(size=N), rng.uniform(size=N) < 0.85
    first = np.arange(N) == 0
    lag = np.abs(np.arange(N)[:, None] - np.arange(N))[np.ix_(seen, seen)]

    def by_filter(u):
        ahead, variance = filtered(StateSpace.of(u[:p], u[p:] if q else None), x, seen, first)
        return jnp.sum(jnp.where(seen, -0.5 * jnp.log(variance) - 0.5 * (x - ahead) ** 2 / variance, 0.0))

    def by_autocovariances(u):
        load = jnp.zeros(3).at[0].set(1.0).at[1 : q + 1].set(u[p:])
        move = jnp.eye(3, k=1).at[:p, 0].set(u[:p])
        weights = jax.lax.scan(lambda state, _: (move @ state, state[0]), load, None, 80)[1]  # the last are below 1e-20
        covariance = jnp.stack([jnp.sum(weights[: 80 - h] * weights[h:]) for h in range(N)])[lag]
        y = x[seen]
        return -0.5 * jnp.linalg.slogdet(covariance)[1] - 0.5 * y @ jnp.linalg.solve(covariance, y)

    u = jnp.asarray([0.5, -0.2, 0.3][: p + q])
    assert orders(by_filter, u) == pytest.approx(orders(by_autocovariances, u), rel=1e-9)

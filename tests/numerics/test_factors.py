"""Factors and systems of many small matrices, against NumPy and SciPy, and what a density makes of them."""

from __future__ import annotations

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import linalg, stats

import jaxmle as jm
from jaxmle import runtime
from jaxmle.data.tables import Table
from jaxmle.numerics import factors
from jaxmle.objective import passes, steps
from jaxmle.objective.build import build

RNG = np.random.default_rng(0)
cholesky = steps.quickly(jnp.linalg.cholesky)
SIZES = (1, 2, 6, 7, 16, factors.LARGE, factors.LARGE + 1)


def definite(many: int, n: int) -> np.ndarray:
    a = RNG.normal(size=(many, n, n))
    return a @ np.swapaxes(a, 1, 2) + n * np.eye(n)


@pytest.mark.parametrize("n", SIZES)
def test_factors_are_those_of_numpy(n):
    a = definite(9, n)
    np.testing.assert_allclose(jax.jit(jax.vmap(cholesky))(a), np.linalg.cholesky(a), rtol=1e-12, atol=1e-13)


def test_what_is_not_positive_definite_is_nan_and_its_neighbours_are_not():
    a = definite(3, 5)
    a[1, 4, 4] = -1.0
    lower = np.asarray(jax.vmap(cholesky)(a))
    assert np.isnan(np.tril(lower[1])[np.tril_indices(5)]).all()
    np.testing.assert_allclose(lower[[0, 2]], np.linalg.cholesky(a[[0, 2]]), rtol=1e-12)


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize("trans", [0, 1])
@pytest.mark.parametrize("unit_diagonal", [True, False])
def test_triangular_systems_are_solved_as_by_scipy(n, lower, trans, unit_diagonal):
    a, b = definite(4, n) / n, RNG.normal(size=(4, n, 3))  # the other triangle is not to be read
    settings = {"lower": lower, "trans": trans, "unit_diagonal": unit_diagonal}
    solve = steps.quickly(lambda a, b: jax.scipy.linalg.solve_triangular(a, b, **settings))
    true = np.stack([linalg.solve_triangular(x, y, **settings) for x, y in zip(a, b)])
    scale = np.abs(true).max()
    np.testing.assert_allclose(jax.jit(jax.vmap(solve))(a, b), true, rtol=1e-9, atol=1e-13 * scale)
    one = np.stack([linalg.solve_triangular(a[0], y, **settings) for y in b])
    np.testing.assert_allclose(jax.vmap(solve, (None, 0))(a[0], b), one, rtol=1e-9, atol=1e-13 * np.abs(one).max())
    other = np.stack([linalg.solve_triangular(x, b[0], **settings) for x in a])
    np.testing.assert_allclose(jax.vmap(solve, (0, None))(a, b[0]), other, rtol=1e-9, atol=1e-13 * np.abs(other).max())


@pytest.mark.parametrize("n", SIZES)
def test_systems_inverses_and_determinants_are_those_of_numpy(n):
    a, b = RNG.normal(size=(9, n, n)), RNG.normal(size=(9, n, 2))  # the first pivot is rarely the largest

    @steps.quickly
    def all_of_it(a, b):
        return (
            jnp.linalg.solve(a, b),
            jnp.linalg.solve(a.T, b),
            jnp.linalg.inv(a),
            *jnp.linalg.slogdet(a),
            jnp.linalg.det(a),
        )

    program = jax.jit(jax.vmap(all_of_it)).lower(a, b)
    true = (
        np.linalg.solve(a, b),
        np.linalg.solve(np.swapaxes(a, 1, 2), b),
        np.linalg.inv(a),
        *np.linalg.slogdet(a),
        np.linalg.det(a),
    )
    for ours, theirs in zip(program.compile()(a, b), true):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-10 * np.abs(theirs).max())
    assert n > factors.LARGE or "lapack" not in program.as_text()


def test_what_is_singular_has_no_determinant_and_its_neighbours_have():
    a = RNG.normal(size=(3, 5, 5))
    a[1, :, 4] = 0.0
    sign, size = jax.vmap(steps.quickly(jnp.linalg.slogdet))(a)
    assert (sign[1], size[1]) == (0.0, -np.inf)
    np.testing.assert_allclose(size[np.array([0, 2])], np.linalg.slogdet(a[[0, 2]])[1], rtol=1e-12)


@pytest.mark.parametrize("n", [4, 9])
def test_derivatives_of_determinants_and_systems_are_those_of_the_formulas(n):
    """With m = (A + tB)⁻¹B: of log |A + tB| tr m and -tr m², of b'(A + tB)⁻¹b -b'm A⁻¹b and 2 b'm²A⁻¹b."""
    a, b, y = RNG.normal(size=(3, n, n)), RNG.normal(size=(3, n, n)), RNG.normal(size=(3, n))
    f = steps.quickly(lambda t, a, b, y: jnp.linalg.slogdet(a + t * b)[1] + y @ jnp.linalg.solve(a + t * b, y))
    total = lambda t: jax.vmap(f, (None, 0, 0, 0))(t, a, b, y).sum()
    first, second = 0.0, 0.0
    for one, other, response in zip(a, b, y):
        m, z = np.linalg.solve(one, other), np.linalg.solve(one, response)
        first += np.trace(m) - response @ m @ z
        second += -np.trace(m @ m) + 2 * response @ m @ m @ z
    np.testing.assert_allclose(jax.jit(jax.grad(total))(0.0), first, rtol=1e-9)
    for order in (jax.jacfwd(jax.grad(total)), jax.grad(jax.grad(total)), jax.jacfwd(jax.jacfwd(total))):
        np.testing.assert_allclose(jax.jit(order)(0.0), second, rtol=1e-9)


def test_a_filter_in_a_loop_asks_lapack_for_nothing():
    """A Kalman filter of each unit; its likelihood is that of the normal distribution of all times together."""
    y, root = RNG.normal(size=(4, 6, 2)), definite(4, 2) / 4

    @steps.quickly
    def filtered(y, root):
        def step(state, y):
            mean, spread = state
            total = spread + jnp.eye(2)
            gain, away = jnp.linalg.solve(total, spread).T, y - mean
            value = -0.5 * (away @ jnp.linalg.solve(total, away) + jnp.linalg.slogdet(2 * jnp.pi * total)[1])
            lower = jnp.linalg.cholesky(spread - gain @ spread + root)
            return (mean + gain @ away, lower @ lower.T), value

        return jax.lax.scan(step, (jnp.zeros(2), jnp.eye(2)), y)[1].sum()

    program = jax.jit(jax.vmap(filtered)).lower(y, root)
    times = np.minimum(np.arange(6)[:, None], np.arange(6))
    for value, response, own in zip(program.compile()(y, root), y, root):
        whole = np.kron(np.ones((6, 6)), np.eye(2)) + np.kron(times, own) + np.eye(12)
        assert value == pytest.approx(
            stats.multivariate_normal(np.zeros(12), whole).logpdf(response.ravel()), rel=1e-12
        )
    assert "lapack" not in program.as_text()


@pytest.mark.parametrize("n", [2, 7, factors.LARGE + 1])
def test_derivatives_of_the_normal_density_are_those_of_the_formula(n):
    """d/dt of log N(y; 0, A + t B) is tr(S Q)/2 with Q = z z' - A⁻¹, z = A⁻¹ y, and its second derivative as well known."""
    a, b, y = definite(3, n), definite(3, n), RNG.normal(size=(3, n))

    @steps.quickly
    def density(t, a, b, y):
        lower = jnp.linalg.cholesky(a + t * b)
        half = jax.scipy.linalg.solve_triangular(lower, y, lower=True)
        return -0.5 * half @ half - jnp.log(jnp.diag(lower)).sum()

    total = lambda t: jax.vmap(density, (None, 0, 0, 0))(t, a, b, y).sum()
    first, second = 0.0, 0.0
    for one, other, response in zip(a, b, y):
        m, z = np.linalg.solve(one, other), np.linalg.solve(one, response)
        first += 0.5 * (z @ other @ z - np.trace(m))
        second += 0.5 * np.trace(m @ m) - z @ other @ m @ z
    np.testing.assert_allclose(jax.jit(jax.grad(total))(0.0), first, rtol=1e-11)
    for order in (jax.jacfwd(jax.grad(total)), jax.grad(jax.grad(total)), jax.jacfwd(jax.jacfwd(total))):
        np.testing.assert_allclose(jax.jit(order)(0.0), second, rtol=1e-11)


# --- a mixed model ----------------------------------------------------------------------------------------------------------


def mixed(p, rows, mask):
    """One subject's responses: a random intercept and a random slope."""
    n, t = mask.shape[0], rows["t"]
    v = p["sd"] ** 2 + p["slope"] ** 2 * t[:, None] * t + p["noise"] ** 2 * jnp.eye(n)
    lower = jnp.linalg.cholesky(jnp.where(mask[:, None] & mask, v, jnp.eye(n)))
    half = jax.scipy.linalg.solve_triangular(lower, jnp.where(mask, rows["y"] - p["mean"], 0.0), lower=True)
    return -0.5 * half @ half - jnp.log(jnp.diag(lower)).sum() - 0.5 * jnp.log(2 * jnp.pi) * mask.sum()


SUBJECTS, VISITS = 1500, 10
MIXED = jm.Model(
    mixed,
    {"mean": jm.Linear([1, "t"]), "sd": jm.Positive(), "slope": jm.Positive(), "noise": jm.Positive()},
    unit="subject",
)


@pytest.fixture(scope="module")
def visits() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(5)
    subject, t = np.repeat(np.arange(SUBJECTS), VISITS), np.tile(np.arange(VISITS) / 4, SUBJECTS)
    y = 2 + t + rng.normal(size=SUBJECTS)[subject] + 0.7 * rng.normal(size=SUBJECTS)[subject] * t
    return {"y": y + 0.5 * rng.normal(size=len(y)), "t": t, "subject": subject}


def test_a_mixed_model_of_many_subjects_is_fitted(visits):
    """It never came back: calls of LAPACK for several matrices waited for each other."""
    fit = jm.fit(MIXED, visits, progress=False)
    assert fit.converged
    p, t = fit.params, np.arange(VISITS) / 4
    covariance = p["sd"] ** 2 + p["slope"] ** 2 * np.outer(t, t) + p["noise"] ** 2 * np.eye(VISITS)
    away = visits["y"].reshape(SUBJECTS, VISITS) - (p["mean"][0] + p["mean"][1] * t)
    assert fit.log_likelihood == pytest.approx(
        stats.multivariate_normal(np.zeros(VISITS), covariance).logpdf(away).sum(), rel=1e-11
    )
    # with all subjects alike, the means' estimates are those of least squares
    x = np.stack([np.ones_like(t), t], 1)
    means = np.linalg.solve(x.T @ x, x.T @ visits["y"].reshape(SUBJECTS, VISITS).mean(0))
    np.testing.assert_allclose(p["mean"], means, rtol=1e-5)
    np.testing.assert_allclose([p["sd"], p["slope"], p["noise"]], [1.0, 0.7, 0.5], rtol=0.1)


def test_its_program_asks_lapack_for_nothing(visits):
    objective = build(MIXED, Table.read(visits), weights=np.ones(len(visits["y"]))).objective
    (first, *_) = objective.stretches
    args = (objective.program, "hessian", objective.to_u(np.zeros(5)), objective.constants, first.data, first.span)
    assert "lapack" not in passes.evaluate.lower(*args).as_text()


# --- what is left to LAPACK -------------------------------------------------------------------------------------------------


def twice(a, b):
    return jax.lax.fori_loop(0, 2, lambda _, x: jnp.linalg.eigvalsh(a + jnp.outer(x, x)), b)


LEFT = {
    "eigh": lambda a, b: jnp.linalg.eigvalsh(a) * b,
    "svd": lambda a, b: jnp.linalg.svd(a + jnp.diag(b))[1],
    "own derivatives": lambda a, b: jnp.linalg.pinv(a) @ b,
    "a loop": twice,
    "several of a unit": lambda a, b: jnp.linalg.eigvalsh(jnp.stack([a, 2 * a])).sum(0) * b,
    "large": lambda a, b: jnp.linalg.solve(jnp.kron(jnp.eye(12), a), jnp.tile(b, 12)),
}


@pytest.mark.parametrize("name", LEFT)
def test_lapack_is_asked_for_one_matrix_after_another_where_many_may_wait_for_each_other(name, monkeypatch):
    monkeypatch.setattr(runtime, "LAPACK_WAITS", True)
    f, a, b = LEFT[name], definite(5, 4), RNG.normal(size=(5, 4))

    def total(f):
        return lambda t: jnp.sin(jax.vmap(f)(a + t * np.eye(4), b)).sum()

    for order in (lambda f: f, jax.grad, lambda f: jax.jacfwd(jax.grad(f))):
        program = jax.jit(order(total(steps.quickly(f)))).lower(0.1)
        one_by_one = sum(
            float(order(lambda t, x=x, y=y: jnp.sin(f(x + t * np.eye(4), y)).sum())(0.1)) for x, y in zip(a, b)
        )
        assert float(program.compile()(0.1)) == pytest.approx(one_by_one, rel=1e-8)
        calls = [line for line in program.as_text().splitlines() if "custom_call" in line and "lapack" in line]
        assert calls
        assert not any(re.search(r"tensor<\d+x\d+x\d+xf64", line) for line in calls)

"""Cholesky's factors and triangular systems of many small matrices, against NumPy and SciPy, and what a density makes of them."""

from __future__ import annotations

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


def test_what_may_wait_for_ever_is_said_before(monkeypatch):
    monkeypatch.setattr(runtime, "LAPACK_WAITS", True)
    a, b, shared = jnp.asarray(definite(1, 3)[0]), jnp.ones(3), jnp.eye(3)
    in_a_loop = lambda a, b: jax.lax.scan(lambda c, _: (jnp.linalg.cholesky(c), None), a, None, length=2)[0]
    for f, named in (
        (lambda a, b: b @ jnp.linalg.solve(a, b), "lu"),
        (lambda a, b: jnp.linalg.eigvalsh(a), "eigh"),
        (in_a_loop, "cholesky"),
    ):
        with pytest.warns(jm.FitWarning, match=rf"a matrix of each unit \({named}\)"):
            steps.quickly(f)(a, b)
    steps.quickly(lambda a, b: b @ jnp.linalg.solve(shared, b) + jnp.linalg.cholesky(a).sum())(a, b)

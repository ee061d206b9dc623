"""A step of Newton's method corrected by a sample: off by a small share of what the step alone is off by."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxmle.solve.newton import CLOSE, NEAR, Newton
from jaxmle.solve.quadratic import Quadratic
from jaxmle.solve.sample import Sample
from jaxmle.solve.solver import DONE

from .functions import Smooth

N, K, SHARE = 20_000, 4, 20
RNG = np.random.default_rng(3)
X = np.column_stack([np.ones(N), RNG.normal(size=(N, K - 1))])
Y = RNG.poisson(np.exp(X @ np.array([0.5, 0.4, -0.3, 0.2])))


def poisson(rows: slice) -> Smooth:
    x, y = X[rows], Y[rows]
    return Smooth(lambda z: jnp.sum(jnp.exp(x @ z)) - y @ (x @ z), K)


ALL, SOME = poisson(slice(None)), poisson(slice(None, None, SHARE))


def optimum() -> np.ndarray:
    """By Newton's method in NumPy, to rounding errors."""
    z = np.array([0.5, 0.4, -0.3, 0.2])
    for _ in range(20):
        mean = np.exp(X @ z)
        z = z + np.linalg.solve(X.T @ (mean[:, None] * X), X.T @ (Y - mean))
    return z


@pytest.mark.parametrize("away", [0.3, 3.0, 10.0])
def test_a_corrected_step_ends_nearer_to_the_optimum(away):
    best = optimum()
    hessian = X.T @ (np.exp(X @ best)[:, None] * X)
    root = np.linalg.cholesky(hessian)
    z = best + np.linalg.solve(root.T, RNG.normal(size=K) * away / 2)
    distance = lambda z: np.linalg.norm(root.T @ (z - best))
    here = ALL.evaluate(z)
    model = Quadratic.of(here.gradient, here.matrix)
    trial = z + model.to_z(model.newton())
    corrected = Sample(SOME, SHARE, N // SHARE).corrected(z, trial, model, "gradient")
    assert distance(corrected) < 0.25 * distance(trial)
    exact = Sample(ALL, 1.0, N).corrected(z, trial, model, "gradient")
    assert distance(exact) < 0.1 * distance(trial)


@pytest.mark.parametrize(("tol", "away", "share", "within"), [(10.0, 0.03, SHARE, NEAR), (1e-9, 0.0535, 2, CLOSE)])
def test_a_search_ends_a_step_earlier(tol, away, share, within):
    start = optimum() + away
    plain, corrected = poisson(slice(None)), poisson(slice(None))
    alone = Newton(tol=tol).minimise(plain, start)
    helped = Newton(tol=tol, sample=Sample(poisson(slice(None, None, share)), share, N // share)).minimise(
        corrected, start
    )
    assert alone.stop == helped.stop == DONE
    assert corrected.counts["hessian"] == plain.counts["hessian"] - 1
    for end in (alone, helped):
        model = Quadratic.of(*(getattr(ALL.evaluate(end.z), what) for what in ("gradient", "matrix")))
        assert model.decrement <= within


def test_a_search_whose_last_step_goes_there_anyway_asks_no_sample():
    class Never(Smooth):
        def evaluate(self, z, needs="hessian"):
            raise AssertionError("a pass over the sample")

    sample = Sample(Never(lambda z: jnp.sum(z), K), SHARE, N // SHARE)
    for tol, away in ((1e-9, 0.03), (10.0, 1e-3)):
        assert Newton(tol=tol, sample=sample).minimise(ALL, optimum() + away).stop == DONE


@pytest.mark.parametrize("nonsense", [lambda z: jnp.sum(jnp.sqrt(z - 10.0)), lambda z: 1e6 * jnp.sum(z**4)])
def test_a_sample_unlike_the_rest_changes_nothing(nonsense):
    z = optimum() + 0.02
    here = ALL.evaluate(z)
    model = Quadratic.of(here.gradient, here.matrix)
    trial = z + model.to_z(model.newton())
    assert np.array_equal(Sample(Smooth(nonsense, K), SHARE, N // SHARE).corrected(z, trial, model, "gradient"), trial)


def test_a_search_without_its_last_step_ends_where_the_tolerance_is_met():
    plain, rough = poisson(slice(None)), poisson(slice(None))
    start = optimum() + 0.02
    Newton(tol=1.0).minimise(plain, start)
    end = Newton(tol=1.0, polish=False).minimise(rough, start)
    assert end.stop == DONE
    assert rough.counts["hessian"] == plain.counts["hessian"] - 1
    assert ALL.evaluate(end.z).value - ALL.evaluate(optimum()).value <= 1.0

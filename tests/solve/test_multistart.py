"""Several starts find all optima there are, say so in words, and cost one batch a round."""

from functools import cache

import jax.numpy as jnp
import numpy as np
import pytest

from jaxmle.errors import ModelError
from jaxmle.runtime import Compilation
from jaxmle.solve.lbfgs import LBFGS
from jaxmle.solve.multistart import MultiStart, distinct, scattered
from jaxmle.solve.newton import BHHH, Newton
from jaxmle.solve.newton_cg import NewtonCG
from jaxmle.solve.solver import DONE, FAILED, INTERRUPTED, MAX_STEPS, State

from .functions import Evaluation, Smooth

# Himmelblau (1972), Applied Nonlinear Programming
HIMMELBLAU = np.array([[3, 2], [-2.805118, 3.131312], [-3.779310, -3.283186], [3.584428, -1.848127]])


def residuals(z):
    return jnp.array([z[0] ** 2 + z[1] - 11, z[0] + z[1] ** 2 - 7])


def himmelblau(z):
    return jnp.sum(residuals(z) ** 2)


def tilted(z):
    """The same four basins with four different values."""
    return himmelblau(z) + 0.3 * z[0] + 0.1 * z[1] + 100


def half_plane(z):
    """Two of the four minima, and a third at the edge, which the logarithm keeps inside."""
    return himmelblau(z) - 0.001 * jnp.log(z[0])


def valley(z):
    return z[0] ** 2


def falling(z):
    """A proper minimum of 0 near the origin, and a ridge that falls for ever beyond z[0] = 4."""
    return jnp.where(z[0] < 4, z @ z, 16 + z[1] ** 2 - 3 * (z[0] - 4) - 0.5 * (z[0] - 4) ** 2)


class Scores(Smooth):
    """With Jᵀ J of the residuals for "opg"."""

    def evaluate(self, z, needs="hessian"):
        e = super().evaluate(z, needs)
        if needs != "opg":
            return e
        jacobian = np.array([[2 * z[0], 1.0], [1.0, 2 * z[1]]])
        return Evaluation(e.value, e.gradient, 2 * jacobian.T @ jacobian)


@cache
def function(f, kind=Smooth):
    return kind(f, 2)


def fresh(f, kind=Smooth):
    return function(f, kind).fresh()


@pytest.mark.parametrize("solver", [Newton(), BHHH(), LBFGS(), NewtonCG()], ids=lambda s: s.name)
def test_finds_all_four_minima_of_himmelblau(solver):
    solution = MultiStart(starts=16, solver=solver, spread=4.0).minimise(fresh(himmelblau, Scores), np.zeros(2))
    assert solution.stop == DONE
    ends = np.array([z for _, z in solution.optima])
    order = lambda points: points[np.lexsort(np.round(points, 2).T)]
    np.testing.assert_allclose(order(ends), order(HIMMELBLAU), atol=2e-6)
    assert solution.notes == ("16 starts, 4 distinct optima, 16 reached the best value",)
    assert solution.solver == f"{solver.name} from 16 starts"
    np.testing.assert_allclose(solution.hessian, fresh(himmelblau).evaluate(solution.z).matrix, rtol=1e-6)


def test_optima_are_sorted_and_the_best_is_returned():
    f = fresh(tilted)
    solution = MultiStart(starts=24, spread=4.0, key=1).minimise(f, np.zeros(2))
    values = np.array([v for v, _ in solution.optima])
    assert len(values) == 4
    assert (np.diff(values) > 0.1).all()
    assert solution.value == values[0]
    np.testing.assert_array_equal(solution.z, solution.optima[0][1])
    np.testing.assert_allclose(solution.z, [-3.7793, -3.2832], atol=0.02)
    for value, z in solution.optima:
        e = f.evaluate(z)
        assert e.value == value
        assert np.linalg.eigvalsh(e.matrix)[0] > 0
    ends = [Newton().minimise(f, start).value for start in scattered(np.zeros(2), 24, 4.0, 1)]
    reached = sum(abs(v - values[0]) < 1e-6 for v in ends)
    assert 1 < reached < 24
    assert solution.notes == (f"24 starts, 4 distinct optima, {reached} reached the best value",)


def test_each_search_is_the_search_from_its_start_alone():
    f, starts = fresh(tilted), scattered(np.ones(2), 5, 4.0, 3)
    alone = [Newton().minimise(f, start) for start in starts]
    together = MultiStart(starts=5, spread=4.0, key=3).minimise(f, np.ones(2))
    assert together.n_steps == max(s.n_steps for s in alone)
    assert together.value == min(s.value for s in alone)


def test_all_steps_are_batches_of_one_size():
    f = fresh(himmelblau)
    solution = MultiStart(starts=7, spread=4.0).minimise(f, np.zeros(2))
    assert f.counts["batch"] == solution.n_steps + 1
    assert f.counts["batch size", 7] == f.counts["batch"]
    with Compilation() as compilation:
        MultiStart(starts=7, spread=4.0, key=5).minimise(f, np.ones(2))
    assert compilation.count == 0


def test_starts_that_are_not_finite_are_dropped_and_counted():
    solution = MultiStart(starts=16, spread=3.0).minimise(fresh(half_plane), np.array([1.0, 1.0]))
    starts = scattered(np.array([1.0, 1.0]), 16, 3.0, 0)
    dropped = int((starts[:, 0] <= 0).sum())
    assert 0 < dropped < 16
    assert solution.stop == DONE
    assert solution.notes[0].endswith(f", {dropped} dropped because the objective is not finite there")
    assert solution.notes[0].startswith("16 starts, 3 distinct optima, ")
    assert min(z[0] for _, z in solution.optima) == pytest.approx(0.001 / 2.81, rel=0.02)  # over the slope at the edge


def test_no_finite_start():
    solution = MultiStart(starts=3, spread=0.1).minimise(fresh(half_plane), np.array([-5.0, 1.0]))
    assert solution.stop == FAILED
    np.testing.assert_array_equal(solution.z, [-5.0, 1.0])
    assert "3 dropped" in solution.notes[0]


def test_a_proper_optimum_is_preferred_to_a_lower_value_without_one():
    solver = MultiStart(starts=12, spread=5.0, solver=Newton(max_steps=60))
    solution = solver.minimise(fresh(falling), np.array([3.0, 0.0]))
    assert solution.stop == DONE
    np.testing.assert_allclose(solution.z, 0, atol=1e-8)
    assert len(solution.optima) == 1
    assert any(note.startswith("a search reached a lower value, -") for note in solution.notes)


def test_a_flat_valley_is_no_optimum():
    solution = MultiStart(starts=4).minimise(fresh(valley), np.ones(2))
    assert solution.optima == ()
    assert solution.value < 1e-8
    assert solution.notes == ("4 starts, no optimum with a positive definite Hessian",)


def test_what_is_one_optimum():
    end = lambda value, z: State(np.array(z), value, np.zeros(2), np.diag([1e6, 1.0]))
    first, near, far, other_value = end(1.0, [0, 0]), end(1.0, [5e-7, 0]), end(1.0, [5e-6, 0]), end(1.1, [1e-7, 0])
    assert distinct([first, near]) == [first]
    assert distinct([far, first]) == [far, first]
    assert distinct([other_value, first]) == [first, other_value]


def test_an_interrupt_keeps_the_optima_found_so_far():
    def stop(progress):
        if progress.step == 8:
            raise KeyboardInterrupt

    solution = MultiStart(starts=16, spread=4.0).minimise(fresh(himmelblau), np.zeros(2), stop)
    assert solution.stop == INTERRUPTED
    assert 1 <= len(solution.optima) <= 4
    assert any(note.endswith("had not ended") for note in solution.notes)


def test_settings_of_each_search():
    f = fresh(himmelblau)
    solution = MultiStart(starts=4, max_steps=2, spread=4.0).minimise(f, np.zeros(2))
    assert (solution.stop, solution.n_steps) == (MAX_STEPS, 2)
    assert solution.notes[-1] == "4 searches had not ended"
    loose = MultiStart(starts=4, tol=1e-1, solver=LBFGS(), spread=4.0).minimise(f, np.zeros(2))
    assert loose.n_steps < MultiStart(starts=4, solver=LBFGS(), spread=4.0).minimise(f, np.zeros(2)).n_steps


def test_starts_are_spread_evenly_and_decided_by_the_key():
    z = np.array([5.0, -1.0, 0.0])
    starts = scattered(z, 101, 2.0, 7)
    np.testing.assert_array_equal(starts[0], z)
    np.testing.assert_array_equal(starts, scattered(z, 101, 2.0, 7))
    assert not np.array_equal(starts, scattered(z, 101, 2.0, 8))
    np.testing.assert_allclose(starts[1:].mean(axis=0), z, atol=0.1)
    np.testing.assert_allclose(starts[1:].std(axis=0), 2.0, rtol=0.1)
    assert abs(np.corrcoef(starts[1:].T)[0, 1]) < 0.3
    assert scattered(z, 1, 2.0, 0).shape == (1, 3)


@pytest.mark.parametrize(
    ("settings", "named"),
    [({"starts": 0}, "starts"), ({"starts": 2.5}, "starts"), ({"spread": 0.0}, "spread"), ({"solver": "x"}, "solver"),
     ({"solver": MultiStart()}, "solver")],
)  # fmt: skip
def test_settings_out_of_range(settings, named):
    with pytest.raises(ModelError, match=f"^{named} must be"):
        MultiStart(**settings)

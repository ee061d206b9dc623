"""What every solver must do: begin anywhere, step back, stop when told, and hand over the best point it has."""

from dataclasses import replace
from functools import cache

import jax.numpy as jnp
import numpy as np
import pytest

from jaxmle.solve.lbfgs import LBFGS, Memory
from jaxmle.solve.multistart import MultiStart
from jaxmle.solve.newton import Newton
from jaxmle.solve.newton_cg import NewtonCG
from jaxmle.solve.solver import DONE, FAILED, INTERRUPTED, MAX_STEPS, RUNNING, STALLED

from .functions import Evaluation, Lined, Smooth
from .problems import PROBLEMS, wood

SOLVERS = {
    "Newton": Newton(),
    "LBFGS": LBFGS(),
    "NewtonCG": NewtonCG(),
    "MultiStart": MultiStart(starts=3, spread=0.1),
    "MultiStart of LBFGS": MultiStart(starts=3, spread=0.1, solver=LBFGS()),
}
each_solver = pytest.mark.parametrize("solver", SOLVERS.values(), ids=SOLVERS.keys())
each_single = pytest.mark.parametrize("solver", [Newton(), LBFGS(), NewtonCG()], ids=lambda s: s.name)

MATRIX = np.array([[4.0, 1.0, 0.5], [1.0, 3.0, -0.2], [0.5, -0.2, 0.01]]) + 0.3 * np.eye(3)
TARGET = np.array([1.0, -2.0, 5.0])


def quadratic(z):
    return 0.5 * (z - TARGET) @ MATRIX @ (z - TARGET) + 7.0


def logarithms(z):
    """Finite for z > 0 only; the minimum is (1, 0.05), close to the edge."""
    return jnp.sum(jnp.array([1.0, 1000.0]) * z - jnp.array([1.0, 50.0]) * jnp.log(z))


def hills(z):
    """A maximum at 0, minima at ±π in each coordinate."""
    return jnp.cos(z[0]) + 2 * jnp.cos(z[1]) + 0.01 * z[0] * z[1]


def pass_between(z):
    """A saddle at 0, minima at (±1, 0)."""
    return 0.25 * z[0] ** 4 - 0.5 * z[0] ** 2 + 0.5 * z[1] ** 2


def wood_squares(z):
    return jnp.sum(wood(z) ** 2)


@cache
def function(f, size, kind=Smooth):
    return kind(f, size)


def fresh(f, size, kind=Smooth):
    return function(f, size, kind).fresh()


@each_solver
def test_a_quadratic(solver):
    solution = solver.minimise(fresh(quadratic, 3), np.array([10.0, 10.0, 10.0]))
    np.testing.assert_allclose(solution.z, TARGET, atol=1e-6)
    assert solution.stop == DONE
    assert solution.value == pytest.approx(7.0, abs=1e-12)


def test_newton_takes_one_step_on_a_quadratic():
    assert Newton().minimise(fresh(quadratic, 3), np.array([10.0, 10.0, 10.0])).n_steps == 1


@each_solver
@pytest.mark.parametrize("start", [(30.0, 5.0), (1e-3, 1e-3), (300.0, 0.06)], ids=str)
def test_steps_back_from_where_the_objective_is_not_finite(solver, start):
    f = fresh(logarithms, 2)
    solution = replace(solver, spread=1e-4).minimise(f, np.array(start)) if isinstance(solver, MultiStart) else (
        solver.minimise(f, np.array(start))
    )  # fmt: skip
    assert solution.stop == DONE
    np.testing.assert_allclose(solution.z, [1.0, 0.05], rtol=1e-5)
    if isinstance(solver, (LBFGS, NewtonCG)) and start[0] == 30.0:
        assert any((z <= 0).any() for z in f.points)  # the wall was met


@each_solver
def test_a_start_that_is_not_finite_fails_at_once(solver):
    f = fresh(logarithms, 2)
    start = np.array([-1.0, -1.0])
    solution = solver.minimise(f, start)
    assert solution.stop == FAILED
    np.testing.assert_array_equal(solution.z, start)


@each_single
@pytest.mark.parametrize("start", [(0.2, -0.1), (1e-5, 1e-5)], ids=str)
def test_leaves_the_neighbourhood_of_a_maximum(solver, start):
    solution = solver.minimise(fresh(hills, 2), np.array(start))
    hessian = fresh(hills, 2).evaluate(solution.z).matrix
    assert solution.stop == DONE
    assert np.linalg.eigvalsh(hessian)[0] > 0


@pytest.mark.parametrize("solver", [Newton(), NewtonCG()], ids=lambda s: s.name)
@pytest.mark.parametrize("f", [hills, pass_between])
def test_second_derivatives_leave_a_stationary_point_that_is_no_minimum(solver, f):
    solution = solver.minimise(fresh(f, 2), np.zeros(2))
    hessian = fresh(f, 2).evaluate(solution.z).matrix
    assert solution.stop == DONE
    assert np.linalg.eigvalsh(hessian)[0] > 0


@pytest.mark.parametrize("solver", [Newton(), NewtonCG()], ids=lambda s: s.name)
def test_second_derivatives_do_not_end_at_a_saddle(solver):
    # from (0, 1) every gradient points along the second axis, straight to the saddle
    solution = solver.minimise(fresh(pass_between, 2), np.array([0.0, 1.0]))
    np.testing.assert_allclose(np.abs(solution.z), [1.0, 0.0], atol=1e-5)


def test_a_point_whose_whole_gradient_is_not_finite_is_not_accepted():
    class Hole:
        """½z²; lines know nothing of a hole in the gradient around 0.5, where the first step lands."""

        size, met = 1, 0

        def evaluate(self, z, needs="hessian"):
            hole = abs(z[0] - 0.5) < 0.1
            self.met += hole
            return Evaluation(0.5 * float(z @ z), np.full(1, np.nan) if hole else z)

        def along(self, z, p):
            return lambda step: (0.5 * float((z + step * p) @ (z + step * p)), float((z + step * p) @ p))

    f = Hole()
    solution = LBFGS().minimise(f, np.array([1.5]))
    assert f.met > 0
    assert solution.stop == DONE
    np.testing.assert_allclose(solution.z, 0, atol=1e-6)


def test_a_memory_that_misleads_is_dropped():
    f = fresh(quadratic, 3)
    state = LBFGS().init(f, np.zeros(3))
    uphill = Memory((state.gradient,), (-1e-3 * state.gradient,), 1e-3)
    assert state.gradient @ uphill.times(state.gradient) < 0
    after = LBFGS().step(f, replace(state, memory=uphill))
    assert after.stop == RUNNING
    assert after.value < state.value
    assert len(after.memory.steps) == 1


@each_solver
def test_max_steps(solver):
    f, start = fresh(wood_squares, 4), np.array([-3.0, -1.0, -3.0, -1.0])
    for most in (1, 3):
        solution = replace(solver, max_steps=most).minimise(f, start)
        assert solution.n_steps == most
        assert solution.stop == MAX_STEPS
        assert solution.value < f.evaluate(start).value


@each_solver
def test_watch_sees_every_step_and_values_never_rise(solver):
    seen = []
    solution = solver.minimise(fresh(wood_squares, 4), np.array([-3.0, -1.0, -3.0, -1.0]), seen.append)
    values = np.array([p.value for p in seen])
    assert [p.step for p in seen] == list(range(1, solution.n_steps + 1))
    assert (np.diff(values) <= 1e-12 * (1 + np.abs(values[1:]))).all()
    assert values[-1] == solution.value
    np.testing.assert_array_equal(seen[-1].z, solution.z)
    assert len(solution.trace) <= 20


class Interrupting(Smooth):
    """Raises KeyboardInterrupt at the call of number `after`, as a user would."""

    after = 1_000

    def _all(self, z):
        self.calls = getattr(self, "calls", 0) + 1
        if self.calls == self.after:
            raise KeyboardInterrupt
        return super()._all(z)


@each_solver
def test_an_interrupt_returns_the_best_point_so_far(solver):
    f = fresh(wood_squares, 4, Interrupting)
    f.calls, f.after = 0, 30
    best = []
    solution = solver.minimise(f, np.array([-3.0, -1.0, -3.0, -1.0]), lambda p: best.append((p.value, p.z)))
    assert solution.stop == INTERRUPTED
    assert solution.value == min(v for v, _ in best) < 19192
    np.testing.assert_array_equal(solution.z, best[-1][1])


@each_solver
def test_an_interrupt_from_the_callback(solver):
    def stop(progress):
        if progress.step == 2:
            raise KeyboardInterrupt

    solution = solver.minimise(fresh(wood_squares, 4), np.array([-3.0, -1.0, -3.0, -1.0]), stop)
    assert (solution.stop, solution.n_steps) == (INTERRUPTED, 2)


@pytest.mark.parametrize("name", ["Wood", "Kowalik and Osborne", "Brown and Dennis", "helical valley"])
def test_newton_ignores_the_units_of_the_parameters(name):
    problem = next(p for p in PROBLEMS if p.name == name)
    f = problem.function()
    units = np.array([1e6, 1e-6, 1e3, 1e-2])[: f.size]

    class Rescaled:
        size = f.size

        def evaluate(self, z, needs="hessian"):
            e = f.evaluate(z / units, needs)
            return e._replace(gradient=e.gradient / units, matrix=e.matrix / np.outer(units, units))

    plain, rescaled = Newton().minimise(f, problem.x0), Newton().minimise(Rescaled(), problem.x0 * units)
    assert rescaled.n_steps == plain.n_steps
    np.testing.assert_allclose(rescaled.z / units, plain.z, rtol=1e-6)


@pytest.mark.parametrize("solver", [LBFGS(), NewtonCG()], ids=lambda s: s.name)
def test_lines_of_the_objective_are_used_where_there_are_any(solver):
    start = np.array([-3.0, -1.0, -3.0, -1.0])
    f, lined = fresh(wood_squares, 4), fresh(wood_squares, 4, Lined)
    by_evaluation, by_lines = solver.minimise(f, start), solver.minimise(lined, start)
    np.testing.assert_array_equal(by_lines.z, by_evaluation.z)
    assert by_lines.n_steps == by_evaluation.n_steps
    assert lined.counts["line"] > 0
    if isinstance(solver, LBFGS):  # the whole step by one gradient; if it is not right, and at first, trials on a line
        n, refused = by_lines.n_steps, lined.counts["gradient"] - 1 - by_lines.n_steps
        assert 0 < refused < n / 2
        assert f.counts["gradient"] == n - refused + lined.counts["line"]


@each_single
def test_nothing_but_what_it_needs_is_asked_for(solver):
    f = fresh(quadratic, 3)
    solver.minimise(f, np.ones(3))
    assert set(f.counts) <= {solver.needs} | ({"hvp"} if isinstance(solver, NewtonCG) else set())


@each_solver
def test_an_objective_without_parameters(solver):
    class Empty:
        size = 0

        def evaluate(self, z, needs="hessian"):
            return Evaluation(3.0, np.zeros(0), np.zeros((0, 0)))

        def evaluate_batch(self, z, needs="hessian"):
            return [self.evaluate(row) for row in z]

    solution = solver.minimise(Empty(), np.zeros(0))
    assert (solution.stop, solution.n_steps, solution.value) == (DONE, 0, 3.0)


def test_a_large_constant_does_not_disturb_the_end():
    # values near 1e8: the last steps lower them by less than rounding
    shifted = lambda z: quadratic(z) + 0.1 * (z[0] - 1.0) ** 4 + 1e8
    f = Smooth(shifted, 3)
    for solver in (Newton(), LBFGS(), NewtonCG()):
        solution = solver.minimise(f, np.array([3.0, 3.0, 3.0]))
        assert solution.stop == DONE, solver.name
        np.testing.assert_allclose(solution.z, TARGET, atol=1e-5)


class Jittering:
    """½·40 (z₀ − 1)² and, along z₁, nothing but rounding errors: of the value, and a curvature that they made up."""

    size = 2

    def evaluate(self, z, needs="hessian"):
        jitter = 0.02 * np.sin(1e13 * z[1])
        gradient = np.array([40 * (z[0] - 1), -0.02])
        return Evaluation(20 * (z[0] - 1) ** 2 + jitter, gradient, np.array([[40.0, 1e-9], [1e-9, -0.02]]))


class Walled(Jittering):
    """The same, but for z₀ ≥ 1 it is not finite."""

    def evaluate(self, z, needs="hessian"):
        found = super().evaluate(z, needs)
        return found._replace(value=np.inf) if z[0] > 1 - 1e-6 else found


def test_newton_does_not_try_a_last_step_for_ever():
    solution = Newton().minimise(Walled(), np.array([0.9, 26.5]))
    assert solution.stop == STALLED
    assert solution.n_steps < 200


@pytest.mark.parametrize("start", [0.9, 0.98, 1.003])
def test_newton_finishes_what_rounding_errors_beside_it_do_not_concern(start):
    solution = Newton().minimise(Jittering(), np.array([start, 26.5]))
    assert solution.stop == STALLED
    assert solution.z[0] == pytest.approx(1.0, abs=1e-8)

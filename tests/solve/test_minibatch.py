"""Minibatches reach the optimum of a least-squares problem, the same for the same key, and keep the best point."""

from dataclasses import replace

import numpy as np
import optax
import pytest

from jaxmle.errors import ModelError
from jaxmle.runtime import Compilation
from jaxmle.solve.minibatch import Minibatch, batches
from jaxmle.solve.solver import DONE, FAILED, INTERRUPTED, MAX_STEPS, STALLED

from .functions import Evaluation

rng = np.random.default_rng(42)
X = rng.standard_normal((203, 3))
Y = X @ np.array([1.0, -2.0, 0.5]) + 0.1 * rng.standard_normal(203)
OPTIMUM = np.linalg.lstsq(X, Y)[0]


class LeastSquares:
    """½ Σ (y - x·z)², by sample and in all."""

    size, n_units = 3, 203
    can_sample = None

    def __init__(self):
        self.chosen, self.values = [], []

    def evaluate(self, z, needs="hessian"):
        assert needs == "value"
        self.values.append(0.5 * float(np.sum((Y - X @ z) ** 2)))
        return Evaluation(self.values[-1])

    def sample(self, z, chosen):
        self.chosen.append(chosen)
        residual = Y[chosen] - X[chosen] @ z
        scale = self.n_units / len(chosen)
        return 0.5 * scale * float(residual @ residual), -scale * X[chosen].T @ residual


ADAM = optax.adam(optax.exponential_decay(0.3, 20, 0.85))
SGD = optax.sgd(1e-3)
SETTINGS = Minibatch(ADAM, batch=20, epochs=40)
START = np.array([5.0, 5.0, 5.0])


def test_reaches_the_optimum_and_claims_nothing():
    f = LeastSquares()
    solution = SETTINGS.minimise(f, START)
    least = f.evaluate(OPTIMUM, "value").value
    assert solution.value - least < 0.05  # 0.3 standard errors
    assert (solution.stop, solution.n_steps) == (DONE, 40)
    assert solution.trace[-1].gain == np.inf


def test_the_key_decides():
    first, again = SETTINGS.minimise(LeastSquares(), START), SETTINGS.minimise(LeastSquares(), START)
    np.testing.assert_array_equal(first.z, again.z)
    assert not np.array_equal(first.z, replace(SETTINGS, key=1).minimise(LeastSquares(), START).z)


def test_every_unit_is_used_each_epoch_in_batches_of_one_size():
    f = LeastSquares()
    replace(SETTINGS, epochs=2).minimise(f, START)
    assert {len(chosen) for chosen in f.chosen} == {20}
    assert len(f.chosen) == 2 * 11
    for epoch in (f.chosen[:11], f.chosen[11:]):
        counts = np.bincount(np.concatenate(epoch), minlength=203)
        assert counts.min() == 1
        assert counts.sum() == 220
    assert not np.array_equal(f.chosen[0], f.chosen[11])


def test_a_batch_of_more_units_than_there_are():
    np.testing.assert_array_equal(np.sort(batches(5, 256, 0, 1)), [np.arange(5)])


def test_keeps_the_best_point_of_all_epochs():
    wild = optax.sgd(optax.piecewise_constant_schedule(1e-3, {30: 12.0}))  # far too long steps after the third epoch
    f = LeastSquares()
    solution = Minibatch(wild, batch=20, epochs=8).minimise(f, START)
    assert len(f.values) == 9  # once before, and once after each epoch
    assert solution.value == min(f.values) < 0.1 * f.values[-1]
    assert f.evaluate(solution.z, "value").value == solution.value


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
def test_a_gradient_that_is_not_finite_ends_the_search_at_the_best_point():
    f = LeastSquares()
    solution = Minibatch(optax.sgd(1e60), batch=20, epochs=30).minimise(f, START)
    assert solution.stop == STALLED
    assert np.isfinite(solution.value)
    np.testing.assert_array_equal(solution.z, START)
    assert "not finite: take smaller steps" in solution.notes[0]


def test_ends_early_with_a_tolerance():
    solution = replace(SETTINGS, tol=1.0, epochs=200).minimise(LeastSquares(), START)
    assert solution.stop == DONE
    assert solution.n_steps < 40


def test_max_steps_cuts_off():
    solution = replace(SETTINGS, max_steps=3).minimise(LeastSquares(), START)
    assert (solution.stop, solution.n_steps) == (MAX_STEPS, 3)


def test_an_interrupt_returns_the_best_point_so_far():
    class Interrupted(LeastSquares):
        def sample(self, z, chosen):
            if len(self.chosen) == 25:
                raise KeyboardInterrupt
            return super().sample(z, chosen)

    f = Interrupted()
    solution = SETTINGS.minimise(f, START)
    assert (solution.stop, solution.n_steps) == (INTERRUPTED, 2)
    assert solution.value == min(f.values)


def test_the_optimiser_is_compiled_once():
    with Compilation() as first:
        Minibatch(SGD, batch=20, epochs=3).minimise(LeastSquares(), START)
    with Compilation() as second:
        Minibatch(SGD, batch=50, epochs=5, key=3).minimise(LeastSquares(), START)
    assert first.count > 0
    assert second.count == 0


def test_an_optimiser_that_asks_for_the_value():
    solution = Minibatch(optax.polyak_sgd(max_learning_rate=1e-3), batch=100).minimise(LeastSquares(), START)
    assert solution.value < 0.1 * LeastSquares().evaluate(START, "value").value


def test_what_cannot_be_sampled_is_refused_with_the_reason():
    f = LeastSquares()
    f.can_sample = "groups of several sizes are computed apart"
    with pytest.raises(ModelError, match="sampled, but groups of several sizes are computed apart"):
        SETTINGS.minimise(f, START)


def test_a_start_that_is_not_finite():
    assert SETTINGS.minimise(LeastSquares(), np.full(3, np.nan)).stop == FAILED


@pytest.mark.parametrize(
    ("settings", "named"),
    [({"optimiser": "adam"}, "optimiser"), ({"batch": 0}, "batch"), ({"epochs": 1.5}, "epochs")],
)
def test_settings_out_of_range(settings, named):
    with pytest.raises(ModelError, match=f"^{named} must be"):
        Minibatch(**({"optimiser": SGD} | settings))

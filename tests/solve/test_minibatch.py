"""Minibatches reach the optimum of a least-squares problem, the same for the same key, and keep the best point."""

from dataclasses import dataclass, replace

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxmle import runtime
from jaxmle.errors import ModelError
from jaxmle.runtime import Compilation
from jaxmle.solve.minibatch import Minibatch, batches, held_out
from jaxmle.solve.solver import DONE, FAILED, INTERRUPTED, MAX_STEPS, STALLED

from .functions import Evaluation

rng = np.random.default_rng(42)
X = rng.standard_normal((203, 3))
Y = X @ np.array([1.0, -2.0, 0.5]) + 0.1 * rng.standard_normal(203)
OPTIMUM = np.linalg.lstsq(X, Y)[0]


@dataclass(frozen=True)
class Squares:
    """½ Σ (y - x·z)² of some units, each counted `share` times."""

    dtype: type = np.float64

    def value(self, z, data, units, share):
        x, y = data
        return 0.5 * jnp.sum(share * (y[units] - x[units] @ z) ** 2)

    def gradient(self, z, data, units, share):
        x, y = data
        return self.value(z, data, units, share), -x[units].T @ (share * (y[units] - x[units] @ z))

    def penalty(self, z, data):
        return 0.0


class LeastSquares:
    """The same as an objective; `interrupt` says at which epoch it is interrupted."""

    size, n_units = 3, 203
    can_sample = None

    def __init__(self, interrupt=None, x=X):
        self.epochs, self.interrupt, self.x = [], interrupt, x

    def evaluate(self, z, needs="hessian"):
        residual = Y - self.x @ z
        return Evaluation(0.5 * float(residual @ residual), -self.x.T @ residual)

    def batches(self, precision=None):
        return Squares(np.float32 if precision == "float32" else np.float64), (self.x, Y)

    def weights(self):
        return np.ones(203)

    def run(self, f, *args):
        self.epochs.append(args[6])  # the units of every batch
        if len(self.epochs) == self.interrupt:
            raise KeyboardInterrupt
        return runtime.call(f, *args)[0]


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
    assert [epoch.shape for epoch in f.epochs] == [(11, 20)] * 2
    for epoch in f.epochs:
        counts = np.bincount(epoch.reshape(-1), minlength=203)
        assert counts.min() == 1
        assert counts.sum() == 220
    assert not np.array_equal(*f.epochs)


def test_a_batch_of_more_units_than_there_are():
    np.testing.assert_array_equal(np.sort(batches(5, 256, 0, 1)), [np.arange(5)])


def test_keeps_the_best_point_of_all_epochs():
    wild = optax.sgd(optax.piecewise_constant_schedule(1e-3, {30: 12.0}))  # far too long steps after the third epoch
    seen = []
    solution = Minibatch(wild, batch=20, epochs=8).minimise(LeastSquares(), START, lambda p: seen.append(p.value))
    assert len(seen) == 8
    assert seen[3:] == [seen[2]] * 5  # worse ones are not told
    np.testing.assert_allclose(solution.value, seen[2], rtol=1e-12)
    np.testing.assert_allclose(LeastSquares().evaluate(solution.z).value, seen[2], rtol=1e-12)
    assert f"ended after epoch 8, the best is epoch {seen.index(min(seen)) + 1}" in solution.notes


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
    whole, seen = [], []
    SETTINGS.minimise(LeastSquares(), START, lambda p: whole.append(p.value))
    solution = SETTINGS.minimise(LeastSquares(interrupt=3), START, lambda p: seen.append(p.value))
    assert (solution.stop, solution.n_steps) == (INTERRUPTED, 2)
    assert seen == whole[:2]
    np.testing.assert_allclose(solution.value, min(seen), rtol=1e-12)


def test_an_epoch_is_one_program_compiled_once():
    with Compilation() as first:
        Minibatch(SGD, batch=20, epochs=3).minimise(LeastSquares(), START)
    with Compilation() as second:
        Minibatch(SGD, batch=20, epochs=5, key=3).minimise(LeastSquares(), START)
    assert first.count > 0
    assert second.count == 0


def test_one_step_of_gradient_descent_by_hand():
    """The whole data as one batch: z - rate · gradient; momentum adds 0.9 of the step before (Polyak, 1964)."""
    gradient = lambda z: -X.T @ (Y - X @ z)
    one = START - 1e-3 * gradient(START)
    settings = Minibatch(optax.sgd(1e-3, momentum=0.9), batch=203, epochs=1)
    np.testing.assert_allclose(settings.minimise(LeastSquares(), START).z, one, rtol=1e-12)
    two = one - 1e-3 * (gradient(one) + 0.9 * gradient(START))
    np.testing.assert_allclose(replace(settings, epochs=2).minimise(LeastSquares(), START).z, two, rtol=1e-12)


def test_schedules_and_clipping_are_optaxs():
    """The length of a clipped step is the rate that the schedule has for it."""
    rates = optax.piecewise_constant_schedule(0.5, {1: 0.1})
    clipped = Minibatch(optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(rates)), batch=203, epochs=2)
    at = [START]
    clipped.minimise(LeastSquares(), START, lambda p: at.append(p.z))
    np.testing.assert_allclose(np.linalg.norm(np.diff(at, axis=0), axis=1), [0.5, 0.05], rtol=1e-12)


def test_gradients_of_batches_average_to_the_whole():
    f = LeastSquares()
    (squares, data), chosen = f.batches(), batches(203, 29, 0, 1)  # seven batches of 29: every unit once
    each = [squares.gradient(START, data, units, 7.0)[1] for units in chosen]
    np.testing.assert_allclose(np.mean(each, axis=0), f.evaluate(START).gradient, rtol=1e-12)


def test_single_precision_of_its_own():
    single, double = (replace(SETTINGS, precision=p).minimise(LeastSquares(), START) for p in ("float32", None))
    assert np.array_equal(single.z, single.z.astype(np.float32))
    assert not np.array_equal(double.z, double.z.astype(np.float32))
    np.testing.assert_allclose(single.z, double.z, atol=1e-4)
    assert single.value == LeastSquares().evaluate(single.z).value  # in float64


def test_stops_early_on_what_is_held_out_and_never_trains_on_it():
    f, told = LeastSquares(), []
    settings = Minibatch(optax.adam(0.3), batch=20, epochs=500, validation=0.2, patience=5)
    solution = settings.minimise(f, START, lambda p: told.append(dict(p.losses)))
    held = held_out(0.2, 203, 0)
    assert len(held) == 41
    assert not np.isin(np.concatenate([e.reshape(-1) for e in f.epochs]), held).any()
    assert solution.stop == DONE
    losses = [t["validation"] for t in told]
    best = int(np.argmin(losses))
    assert len(losses) == solution.n_steps == best + 1 + 5 < 500
    np.testing.assert_allclose(losses[best], 0.5 * np.mean((Y[held] - X[held] @ solution.z) ** 2), rtol=1e-10)
    assert f"held out 41 of 203 units: {-losses[best]:.6g} per observation at the best" in solution.notes
    assert solution.value == f.evaluate(solution.z).value  # of all units


def test_a_mask_says_what_is_held_out():
    mask = np.arange(203) % 3 == 0
    np.testing.assert_array_equal(held_out(mask, 203, 0), np.flatnonzero(mask))
    with pytest.raises(ModelError, match="some must be left on either side"):
        held_out(np.ones(203, bool), 203, 0)
    with pytest.raises(ModelError, match="203 truth values"):
        held_out(np.ones(203), 203, 0)


@pytest.mark.parametrize("validation", [None, 0.2])
def test_an_interrupted_search_goes_on_from_its_checkpoint_as_if_nothing_had_been(tmp_path, validation):
    path = tmp_path / "search.npz"
    settings = replace(SETTINGS, epochs=8, validation=validation)
    in_one_go = settings.minimise(LeastSquares(), START)
    kept = replace(settings, checkpoint=path)
    assert kept.minimise(LeastSquares(interrupt=4), START).stop == INTERRUPTED
    f = LeastSquares()
    resumed = kept.minimise(f, START)
    assert len(f.epochs) == 5
    np.testing.assert_array_equal(resumed.z, in_one_go.z)
    assert (resumed.value, resumed.n_steps) == (in_one_go.value, 8)
    assert f"went on after epoch 3 from {path}" in resumed.notes
    again = kept.minimise(LeastSquares(), START)  # it is done
    np.testing.assert_array_equal(again.z, in_one_go.z)
    more = replace(kept, epochs=10).minimise(LeastSquares(), START)
    np.testing.assert_array_equal(more.z, replace(settings, epochs=10).minimise(LeastSquares(), START).z)
    assert [p.name for p in tmp_path.iterdir()] == ["search.npz"]


def test_a_checkpoint_of_another_search_is_refused(tmp_path):
    path = tmp_path / "search.npz"
    kept = replace(SETTINGS, epochs=1, checkpoint=path)
    kept.minimise(LeastSquares(), START)
    with pytest.raises(ModelError, match=r"of another search \(batch 20, not 30\)"):
        replace(kept, batch=30).minimise(LeastSquares(), START)
    with pytest.raises(ModelError, match="value at the start"):
        kept.minimise(LeastSquares(x=2 * X), START)
    with pytest.raises(ModelError, match="another optimiser"):
        replace(kept, optimiser=SGD).minimise(LeastSquares(), START)
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(ModelError, match="is not a checkpoint"):
        kept.minimise(LeastSquares(), START)
    with pytest.raises(ModelError, match="cannot be written"):
        replace(kept, checkpoint=tmp_path / "nowhere" / "search.npz").minimise(LeastSquares(), START)


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
    [
        ({"optimiser": "adam"}, "optimiser"),
        ({"batch": 0}, "batch"),
        ({"epochs": 1.5}, "epochs"),
        ({"patience": 0}, "patience"),
        ({"precision": "half"}, "precision"),
        ({"validation": 1.0}, "validation"),
        ({"validation": True}, "validation"),
    ],
)
def test_settings_out_of_range(settings, named):
    with pytest.raises(ModelError, match=f"^{named} must be"):
        Minibatch(**({"optimiser": SGD} | settings))

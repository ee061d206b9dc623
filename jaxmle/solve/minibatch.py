"""Stochastic gradients: any optax optimiser on random batches of units, for models too large for whole passes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from .. import runtime
from ..errors import ModelError
from .solver import DONE, FAILED, RUNNING, STALLED, Solver, State

if TYPE_CHECKING:
    import optax


@dataclass(frozen=True)
class MinibatchState(State):
    """`z` is the best point of all epochs, `current` where the optimiser is."""

    current: np.ndarray = field(default_factory=lambda: np.zeros(0))
    memory: Any = None
    epoch: int = 0


@dataclass(frozen=True)
class Minibatch(Solver):
    """Stochastic gradient descent by any optax optimiser (Robbins and Monro, 1951).

    Arguments:
        optimiser: an `optax.GradientTransformation`, such as `optax.adam(0.01)`; build it once and keep it, since what
            is compiled belongs to it.
        batch: units per gradient; every unit is used once an epoch, in an order that `key` decides, and the last batch
            is filled up with units from the epoch's beginning.
        epochs: passes over the data. The whole objective is evaluated after each, and the best point is kept.
        key: the seed; the same key gives the same search.
        tol: it ends early after an epoch that lowers the best value by no more than this; None for all epochs.
        max_steps: where to cut off the epochs, which then counts as not finished.

    It claims no optimum: `gain` stays infinite. Polish with `LBFGS` or `Newton` from where it ends.

    Raises:
        ModelError: for settings out of range, and for an objective that cannot be sampled.
    """

    optimiser: optax.GradientTransformation
    batch: int = 256
    epochs: int = 10
    key: int = 0
    tol: float | None = None  # type: ignore[assignment]
    max_steps: int = 10_000

    def __post_init__(self) -> None:
        if not (callable(getattr(self.optimiser, "init", None)) and callable(getattr(self.optimiser, "update", None))):
            raise ModelError(f"optimiser must be an optax optimiser such as optax.adam(0.01); got {self.optimiser!r}.")
        for name in ("batch", "epochs"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ModelError(f"{name} must be a whole number from 1 up; got {value!r}.")

    def init(self, objective: Any, z: np.ndarray) -> MinibatchState:
        why = getattr(objective, "can_sample", None)
        if why is not None:
            raise ModelError(f"Minibatch needs units that can be sampled, but {why}. Use LBFGS() or Newton().")
        value = objective.evaluate(z, "value").value
        with runtime.x64():
            memory = jax.device_get(self.optimiser.init(z))
        return MinibatchState(z, value, current=z, memory=memory, stop=RUNNING if np.isfinite(value) else FAILED)

    def step(self, objective: Any, state: MinibatchState) -> MinibatchState:
        """One epoch."""
        epoch = state.epoch + 1
        z, memory = state.current, state.memory
        for chosen in batches(objective.n_units, self.batch, self.key, epoch):
            value, gradient = objective.sample(z, chosen)
            if not (np.isfinite(value) and np.isfinite(gradient).all()):
                note = f"a batch of epoch {epoch} gave a value or gradient that is not finite: take smaller steps"
                return replace(state, stop=STALLED, notes=(*state.notes, note))
            z, memory = jax.device_get(runtime.call(_update, self.optimiser, z, memory, value, gradient)[0])
        value = objective.evaluate(z, "value").value
        improved = state.value - value
        state = replace(state, current=z, memory=memory, epoch=epoch)
        if improved > 0:
            state = replace(state, z=z, value=value)
        ended = epoch >= self.epochs or (self.tol is not None and not improved > self.tol)
        return replace(state, stop=DONE) if ended else state


@partial(jax.jit, static_argnums=0)
def _update(optimiser: optax.GradientTransformation, z: Any, memory: Any, value: Any, gradient: Any) -> tuple:
    import optax  # here, so that only those who use it wait for it

    optimiser = optax.with_extra_args_support(optimiser)
    change, memory = optimiser.update(gradient, memory, z, value=value)
    return optax.apply_updates(z, change), memory


def batches(n_units: int, batch: int, key: int, epoch: int) -> np.ndarray:
    """The units of every batch of one epoch, shape (batches, batch): all of equal size, every unit in one at least."""
    size = min(batch, n_units)
    order = np.random.default_rng((key, epoch)).permutation(n_units)
    return np.resize(order, (-(-n_units // size), size))

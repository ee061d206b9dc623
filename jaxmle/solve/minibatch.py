"""Stochastic gradients: any optax optimiser on random batches of units, for models too large for whole passes."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from .. import runtime
from ..errors import ModelError
from . import checkpoint as checkpoints
from .solver import DONE, FAILED, RUNNING, STALLED, Progress, Solution, Solver, State

if TYPE_CHECKING:
    import optax

CHECKED_AT_ONCE = 2048
"""Units whose log-likelihood is taken at once after an epoch."""


@dataclass(frozen=True)
class Sampling:
    """What a search draws from: pure functions of batches and their data, the units trained on and those checked.

    `checked` and `share` (blocks, units of a block) are the units whose log-likelihood is taken after each epoch, and
    how often each counts; `weight` is the sum of the weights of those trained on, and of those checked.
    """

    batches: Any
    data: Any
    trained: np.ndarray
    checked: np.ndarray
    share: np.ndarray
    weight: tuple[float, float]
    about: dict[str, Any]


@dataclass(frozen=True)
class MinibatchState(State):
    """`z` is the best point of all epochs, `current` where the optimiser is; `idle` epochs did not improve on the best."""

    current: Any = None
    memory: Any = None
    epoch: int = 0
    best: int = 0
    idle: int = 0
    sampling: Sampling | None = None


@dataclass(frozen=True)
class Minibatch(Solver):
    """Stochastic gradient descent by any optax optimiser (Robbins and Monro, 1951): an epoch is one compiled program.

    Arguments:
        optimiser: an `optax.GradientTransformation`, such as `optax.adam(0.01)`, with schedules and
            `optax.chain(optax.clip_by_global_norm(1.0), ...)` as optax has them; build it once and keep it, since what is
            compiled belongs to it.
        batch: units per gradient; every unit is used once an epoch, in an order that `key` decides, and the last batch
            is filled up with units from the epoch's beginning.
        epochs: passes over the data. After each the value is computed of all units, or of those held out, and the best
            point is kept.
        key: the seed; the same key gives the same search.
        validation: what is held out: a share of the units between 0 and 1, drawn by `key`, or the name of a column that
            is true in rows held out.
        patience: it ends early after so many epochs that do not lower the best value by more than `tol`.
        tol: the gain that counts as one; given alone, the first epoch without it ends the search. None for all epochs.
        precision: "float32" or "float64" for the epochs; None for that of the fit. The value that is reported is in
            float64 where the fit is.
        checkpoint: a file (.npz) that is written after each epoch, and from which an interrupted search goes on as if it
            had not been.
        max_steps: where to cut off the epochs, which then counts as not finished.

    It claims no optimum: `gain` stays infinite. Polish with `LBFGS` or `Newton` from where it ends.

    Raises:
        ModelError: for settings out of range, and for an objective that cannot be sampled.
    """

    polishes = False

    optimiser: optax.GradientTransformation
    batch: int = 256
    epochs: int = 10
    key: int = 0
    tol: float | None = None  # type: ignore[assignment]
    max_steps: int = 10_000
    validation: Any = field(default=None, compare=False)
    patience: int | None = None
    precision: str | None = None
    checkpoint: str | os.PathLike[str] | None = None

    def __post_init__(self) -> None:
        if not (callable(getattr(self.optimiser, "init", None)) and callable(getattr(self.optimiser, "update", None))):
            raise ModelError(f"optimiser must be an optax optimiser such as optax.adam(0.01); got {self.optimiser!r}.")
        for name in ("batch", "epochs", "patience"):
            value = getattr(self, name)
            if value is None and name == "patience":
                continue
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
                raise ModelError(f"{name} must be a whole number from 1 up; got {value!r}.")
        if self.precision not in (None, "float32", "float64"):
            raise ModelError(f"precision must be 'float32', 'float64' or None; got {self.precision!r}.")
        if isinstance(self.validation, bool | int) or (isinstance(self.validation, float) and not self._is_share):
            raise ModelError(
                "validation must be a share of the rows between 0 and 1, or the name of a column that is true in rows "
                f"held out; got {self.validation!r}."
            )

    @property
    def _is_share(self) -> bool:
        return isinstance(self.validation, float) and 0 < self.validation < 1

    def minimise(self, objective: Any, z: np.ndarray, watch: Callable[[Progress], None] | None = None) -> Solution:
        """Search from `z`; value and gradient at the end are those of all units, in the objective's own precision."""
        solution = super().minimise(objective, z, watch)
        if solution.stop == FAILED:
            return solution
        at = objective.evaluate(solution.z, "gradient")
        return replace(solution, value=at.value, gradient=at.gradient)

    def init(self, objective: Any, z: np.ndarray) -> MinibatchState:
        why = getattr(objective, "can_sample", None)
        if why is not None:
            raise ModelError(f"Minibatch needs units that can be sampled, but {why}. Use LBFGS() or Newton().")
        value = objective.evaluate(z, "gradient").value
        if not np.isfinite(value):
            return MinibatchState(z, value, stop=FAILED)
        sampling = self._sampling(objective, value)
        with runtime.x64():
            current = jnp.asarray(z, sampling.batches.dtype)
            memory = self.optimiser.init(current)
        # a point that was only trained on is no worse than the start by what is held out
        state = MinibatchState(z, np.inf if sampling.about["held out"] else value, current=current, memory=memory)
        return self._resumed(replace(state, sampling=sampling, stop=RUNNING))

    def _sampling(self, objective: Any, value: float) -> Sampling:
        n, weights = objective.n_units, objective.weights()
        held = held_out(self.validation, n, self.key)
        trained = np.setdiff1d(np.arange(n), held)
        checked = held if len(held) else np.arange(n)
        blocks = -(-len(checked) // CHECKED_AT_ONCE)
        size = -(-len(checked) // blocks)
        weight = float(weights[trained].sum()), float(weights[checked].sum())
        if not (weight[0] > 0 and weight[1] > 0):
            raise ModelError("validation leaves no weight on one side: hold out fewer rows, or other ones.")
        share = np.zeros(blocks * size)
        share[: len(checked)] = weights.sum() / weight[1] if len(held) else 1.0
        batches, data = objective.batches(self.precision)
        checked = np.resize(checked, (blocks, size)).astype(np.int32)
        about = {"size": objective.size, "units": n, "held out": len(held), "batch": self.batch, "key": self.key}
        about |= {"precision": np.dtype(batches.dtype).name, "value at the start": float(value)}
        return Sampling(batches, data, trained, checked, share.reshape(blocks, size), weight, about)

    def step(self, objective: Any, state: MinibatchState) -> MinibatchState:
        """One epoch."""
        epoch, sampling = state.epoch + 1, state.sampling
        assert sampling is not None
        chosen = sampling.trained[batches(len(sampling.trained), self.batch, self.key, epoch)].astype(np.int32)
        share = len(sampling.trained) / chosen.shape[1]
        args = (state.current, state.memory, sampling.data, chosen, np.float64(share), sampling.checked, sampling.share)
        held = bool(sampling.about["held out"])
        out = objective.run(_epoch, self.optimiser, sampling.batches, held, *args)
        current, memory = out[:2]
        losses, fine, value = jax.device_get(out[2:])
        if not (fine.all() and np.isfinite(value)):
            note = f"a batch of epoch {epoch} gave a value or gradient that is not finite: take smaller steps"
            return replace(state, stop=STALLED, notes=(*state.notes, note))
        improved = state.value - value
        state = replace(state, current=current, memory=memory, epoch=epoch, units=epoch * chosen.size)
        told = {"training": float(losses.mean()) / sampling.weight[0]}
        if held:
            told["validation"] = float(value) / float(objective.weights().sum())
        state = replace(state, losses=told, idle=0 if improved > (self.tol or 0.0) else state.idle + 1)
        if improved > 0:
            z = np.asarray(jax.device_get(current), np.float64)
            state = replace(state, z=z, value=float(value), best=epoch)
        if self.checkpoint is not None:
            self._save(state)
        return self._ended(state)

    def _ended(self, state: MinibatchState) -> MinibatchState:
        patience = self.patience or (None if self.tol is None else 1)
        early = patience is not None and state.idle >= patience
        if state.epoch < self.epochs and not early:
            return state
        assert state.sampling is not None
        n, notes = state.sampling.about["held out"], state.notes
        if n:
            loss = state.value / (state.sampling.share.flat[0] * state.sampling.weight[1])
            notes += (
                f"held out {n:,} of {state.sampling.about['units']:,} units: {-loss:.6g} per observation at the best",
            )
        if early or state.best < state.epoch:
            notes += (f"ended after epoch {state.epoch}, the best is epoch {state.best}",)
        return replace(state, stop=DONE, notes=notes)

    # --- checkpoints --------------------------------------------------------------------------------------------------

    def _save(self, state: MinibatchState) -> None:
        assert self.checkpoint is not None
        assert state.sampling is not None
        numbers = np.array([state.value, state.epoch, state.best, state.idle])
        leaves = jax.device_get(jax.tree.leaves(state.memory))
        arrays = (state.z, numbers, jax.device_get(state.current), *leaves)
        checkpoints.save(self.checkpoint, state.sampling.about, arrays)

    def _resumed(self, state: MinibatchState) -> MinibatchState:
        if self.checkpoint is None:
            return state
        assert state.sampling is not None
        leaves, tree = jax.tree.flatten(state.memory)
        found = checkpoints.load(self.checkpoint, state.sampling.about, 3 + len(leaves))
        if found is None:
            return state
        z, (value, epoch, best, idle), current, *old = found
        with runtime.x64():
            memory = jax.tree.unflatten(tree, [jnp.asarray(x, leaf.dtype) for x, leaf in zip(old, leaves)])
            state = replace(state, z=z, value=float(value), current=jnp.asarray(current), memory=memory)
        state = replace(state, epoch=int(epoch), best=int(best), idle=int(idle), before=int(epoch))
        note = f"went on after epoch {state.epoch} from {os.fspath(self.checkpoint)}"
        return self._ended(replace(state, notes=(*state.notes, note)))


@partial(jax.jit, static_argnums=(0, 1, 2), donate_argnums=(3, 4))
def _epoch(
    optimiser: optax.GradientTransformation,
    batches: Any,
    held: bool,
    z: jax.Array,
    memory: Any,
    data: Any,
    units: jax.Array,
    share: jax.Array,
    checked: jax.Array,
    counted: jax.Array,
) -> tuple:
    """One epoch: a step for each batch, (batches, units), and then the value of what is checked."""
    import optax  # here, so that only those who use it wait for it

    optimiser = optax.with_extra_args_support(optimiser)

    def step(at: tuple, chosen: jax.Array) -> tuple:
        z, memory = at
        value, gradient = batches.gradient(z, data, chosen, share)
        gradient = gradient.astype(z.dtype)
        of_batch = lambda z: batches.gradient(z, data, chosen, share)[0].astype(z.dtype)
        told = {"value": value.astype(z.dtype), "grad": gradient, "value_fn": of_batch}
        change, then = optimiser.update(gradient, memory, z, **told)
        memory = jax.tree.map(lambda new, old: jnp.asarray(new, old.dtype), then, memory)  # schedules may widen it
        return (optax.apply_updates(z, change), memory), (value, jnp.isfinite(value) & jnp.isfinite(gradient).all())

    (z, memory), (values, fine) = jax.lax.scan(step, (z, memory), units)
    total = jax.lax.map(lambda block: batches.value(z, data, *block), (checked, counted)).sum()
    return z, memory, values, fine, total if held else total + batches.penalty(z, data)


def held_out(validation: Any, n_units: int, key: int) -> np.ndarray:
    """The numbers of the units held out, in order: a share of them drawn by `key`, or those that a mask (units,) names.

    Raises:
        ModelError: for what is neither, and where all units or none would be held out.
    """
    if validation is None:
        return np.zeros(0, int)
    if isinstance(validation, float):
        count = max(1, round(validation * n_units))
        held = np.sort(np.random.default_rng((key, 0)).permutation(n_units)[:count])
    else:
        mask = np.asarray(validation)
        if mask.dtype != bool or mask.shape != (n_units,):
            raise ModelError(
                f"validation must be a share, the name of a column, or {n_units:,} truth values; got {validation!r}."
            )
        held = np.flatnonzero(mask)
    if not 0 < len(held) < n_units:
        raise ModelError(f"validation holds out {len(held):,} of {n_units:,} units: some must be left on either side.")
    return held


def batches(n_units: int, batch: int, key: int, epoch: int) -> np.ndarray:
    """The units of every batch of one epoch, shape (batches, batch): all of equal size, every unit in one at least."""
    size = min(batch, n_units)
    order = np.random.default_rng((key, epoch)).permutation(n_units)
    return np.resize(order, (-(-n_units // size), size))

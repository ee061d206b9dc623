"""Newton's method with exact Hessians, in a trust region whose metric ignores the units of the parameters."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from .quadratic import Quadratic
from .sample import Sample
from .solver import DONE, FAILED, RUNNING, STALLED, Function, Solver, State, finite

PATIENCE = 60
"""Steps without gain after which a search has stalled."""

WORTHWHILE = 1e-6
"""A gain in log-likelihood below which a step is no progress."""

CLOSE = 1e-7
"""A distance to the optimum, in standard errors, at which no further step is worth taking."""


DEAR = 2.0
"""A Hessian that costs so many times a gradient is kept for more steps than one."""

CONTRACTING = 0.3
"""The share of the distance that a step with an older Hessian may leave, to be followed by another."""

GUESS = 0.1
"""What that share is expected to be, before any such step was taken."""

POLISHED = 1e-3
"""The share of the distance that `tol` allows, at which the step after it is not taken either."""

NEAR = 5e-4
"""But no farther from the optimum, in standard errors: near enough to be proved."""


UNSURE = 2.0
"""Times farther than the steps before foretell it, a step may end from the optimum."""


TRIES = 40
"""Steps refused one after the other at which a search has stalled, but for last ones.

They go to the minimum in the directions in which the curvature is positive: where it is not, rounding errors may have made
it up, as they do along a parameter that has gone to its limit. Gradients judge them, for the values' `jitter` is larger: how
much they changed over steps that should have gained nothing to speak of.
"""


@dataclass(frozen=True)
class NewtonState(State):
    model: Quadratic = None  # type: ignore[assignment]
    radius: float = np.inf
    decrement: float = np.inf
    tries: int = 0
    jitter: float = 0.0
    trial: np.ndarray = None  # type: ignore[assignment]
    polished: int = 0
    milestone: float = np.inf
    since: int = 0
    rate: float = 0.0
    stale: bool = False
    bend: float = 0.0


@dataclass(frozen=True)
class Newton(Solver):
    """Newton's method in a trust region scaled by the Hessian's diagonal (Moré and Sorensen, 1983).

    Arguments:
        tol: the log-likelihood still to be gained (half the squared Newton decrement) at which it stops; one more step
            is then taken, which leaves the estimates far closer than that.
        max_steps: the most steps; a step that is refused counts.
        polish: whether that one more step is taken.
        curvature: the Hessian in `z` near the start, shape (size, size), where it is known about.
        sample: the objective of a sample, which corrects a step where that saves another.

    Where a Hessian costs much more than a gradient (`objective.hessian_cost`), steps are taken with the last one, or at
    first with `curvature`, as long as they contract, and the search ends at a point of which the Hessian is known.

    It asks for points one at a time (`ask`, `tell`), so that many searches can be run as one batch.
    """

    tol: float = 1e-9
    max_steps: int = 5000
    polish: bool = True
    curvature: np.ndarray | None = field(default=None, compare=False, repr=False)
    sample: Sample | None = field(default=None, compare=False, repr=False)

    needs = "hessian"

    def init(self, objective: Function, z: np.ndarray) -> NewtonState:
        if self.curvature is not None and np.isfinite(self.curvature).all() and self._dear(objective):
            known = Quadratic.of(np.zeros(len(z)), self.curvature)
            if known.positive:
                return self.begin(z, objective.evaluate(z, "gradient"), known)
        return self.begin(z, objective.evaluate(z, self.needs))

    def step(self, objective: Function, state: NewtonState) -> NewtonState:
        state = self.ask(state)
        if state.stop != RUNNING:
            return state
        dear = self._dear(objective)
        if self.sample is not None and self._falls_short(state, self.sample.left):
            slopes = "gradient" if dear else self.needs
            state = replace(state, trial=self.sample.corrected(state.z, state.trial, state.model, slopes))
        needs = "gradient" if dear and self._keeps(state) else self.needs
        return self.tell(state, objective.evaluate(state.trial, needs))

    def _falls_short(self, state: NewtonState, left: float) -> bool:
        """Whether this step may well not be the last, and would be if of what it is off by this share were left."""
        off = state.bend * state.decrement**2
        return left * off < self._enough(state) < UNSURE * off and state.decrement <= state.radius

    def _enough(self, state: NewtonState) -> float:
        """The distance to the optimum, in standard errors, at which no step is taken after those that contracted."""
        return NEAR if state.polished else max(CLOSE, min(POLISHED * np.sqrt(2 * self.tol), NEAR))

    def _dear(self, objective: Function) -> bool:
        return getattr(objective, "hessian_cost", 0.0) > DEAR and self.needs == "hessian"

    def _keeps(self, state: NewtonState) -> bool:
        """Whether the next step can do with a gradient: it will contract, and not be the last.

        Or it is the last, and so short that the Hessian at its end is the one before.
        """
        if state.polished:
            return not state.tries
        if state.gain == np.inf or state.tries or not state.rate <= CONTRACTING:
            return False
        rate = state.rate if state.rate > 0 else GUESS
        return 0.5 * (rate * state.decrement) ** 2 > self.tol

    def begin(self, z: np.ndarray, evaluation, known: Quadratic | None = None) -> NewtonState:
        """The state after the first evaluation; of one without a matrix, if about that is `known`."""
        if not finite(evaluation):
            return NewtonState(z, evaluation.value, evaluation.gradient, evaluation.matrix, stop=FAILED)
        state = self._at(NewtonState(z, np.inf, model=known), z, evaluation)  # type: ignore[arg-type]
        model = state.model
        radius = np.linalg.norm(model.newton()) if model.positive else np.linalg.norm(model.slope)
        return self._judge(replace(state, radius=max(float(radius), 1e-3)), state)

    def ask(self, state: NewtonState) -> NewtonState:
        """The state with the next point to evaluate in `trial`, or stopped if there is none."""
        trial = state.z + state.model.to_z(state.model.within(state.radius))
        if np.array_equal(trial, state.z) and not state.model.positive:
            state = replace(state, tries=TRIES)
        if state.tries >= TRIES:
            trial = state.z + state.model.to_z(state.model.newton())
        if not np.isfinite(trial).all() or np.array_equal(trial, state.z):
            return replace(state, stop=STALLED)
        return replace(state, trial=trial)

    def tell(self, state: NewtonState, evaluation) -> NewtonState:
        """The state after the evaluation of its trial point: moved there, or with a smaller radius."""
        step = (state.trial - state.z) * state.model.metric
        length = float(np.linalg.norm(step))
        predicted = -state.model.change(step)
        if not finite(evaluation):
            return self._refuse(state, 0.1 * length)
        noise = 1e-14 * (abs(state.value) + len(state.z))
        gained = state.value - evaluation.value
        if predicted <= WORTHWHILE:
            state = replace(state, jitter=max(state.jitter, abs(gained)))
        if state.tries >= TRIES:
            moved = self._at(state, state.trial, evaluation)
            better = gained >= -2 * state.jitter and moved.model.distance < 0.1 * state.model.distance
            return moved if better else replace(state, stop=STALLED)
        if predicted <= 10 * noise:  # the values can no longer tell: the decrement decides
            moved = self._at(state, state.trial, evaluation)
            if gained >= -100 * noise and moved.decrement < state.decrement:
                return self._judge(replace(moved, radius=max(state.radius, length), tries=0), state)
            if not state.model.positive:
                return replace(state, tries=TRIES)
            return replace(state, stop=DONE if 0.5 * state.decrement**2 <= self.tol else STALLED)
        ratio = gained / predicted
        if ratio < 1e-4:
            return self._refuse(state, 0.25 * length)
        radius = state.radius
        if ratio < 0.25:
            radius = 0.5 * length
        elif ratio > 0.75 and length > 0.8 * radius:
            radius = 3.0 * radius
        return self._judge(replace(self._at(state, state.trial, evaluation), radius=radius, tries=0), state)

    def _at(self, state: NewtonState, z: np.ndarray, evaluation) -> NewtonState:
        stale = evaluation.matrix is None
        model = state.model.at(evaluation.gradient) if stale else Quadratic.of(evaluation.gradient, evaluation.matrix)
        decrement = model.decrement
        return replace(
            state,
            z=z,
            value=evaluation.value,
            gradient=evaluation.gradient,
            matrix=state.matrix if stale else evaluation.matrix,
            model=model,
            decrement=decrement,
            stale=stale and not state.polished,
            rate=decrement / state.decrement if stale else state.rate,
            bend=decrement / state.decrement**2,
            gain=0.5 * decrement**2,
            trial=None,
        )

    def _judge(self, state: NewtonState, before: NewtonState) -> NewtonState:
        """Stop when the decrement is small: after one more step, and never on the strength of one that did not contract.

        A search that makes no progress in `PATIENCE` steps has stalled.
        """
        if state.gain > self.tol or state.stale:
            if state.value < state.milestone - max(self.tol, WORTHWHILE):
                return replace(state, polished=0, milestone=state.value, since=0)
            return replace(
                state, polished=0, since=state.since + 1, stop=RUNNING if state.since < PATIENCE else STALLED
            )
        contracted = state.decrement < 0.1 * before.decrement
        near = state.decrement <= CLOSE or (contracted and state.decrement <= self._enough(state))
        if near or not self.polish or state.polished >= 4:
            return replace(state, stop=DONE)
        return replace(state, polished=state.polished + 1)

    def _refuse(self, state: NewtonState, radius: float) -> NewtonState:
        if state.tries >= TRIES:
            return replace(state, stop=STALLED)
        return replace(state, radius=radius, tries=state.tries + 1, trial=None)


@dataclass(frozen=True)
class BHHH(Newton):
    """Newton's method with Σ s sᵀ, the outer product of the scores, in place of the Hessian (Berndt et al., 1974).

    It needs first derivatives only; it converges linearly, and best where the model is right and n is large.
    """

    needs = "opg"


@dataclass(frozen=True)
class FisherScoring(Newton):
    """Newton's method with the expected information of a family in place of the Hessian (Fisher, 1935).

    It is positive definite everywhere, which helps far from the optimum; for canonical links the two are the same.
    """

    needs = "expected"

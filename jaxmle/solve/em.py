"""EM: expectation and maximisation in turn, accelerated, and Newton's method at the end.

The objective gives, at a point, where the expected log-likelihood of the complete data has its maximum, or its gradient
and Hessian where that is not known in closed form; see `Objective.evaluate(z, "expectation")`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..errors import ModelError
from .finish import FEW, ROUGH, going_on, joined
from .newton import Newton
from .quadratic import Quadratic
from .solver import DONE, FAILED, IMPROPER, RUNNING, STALLED, Function, Progress, Solution, Solver, State, drive, finite

CLOSER = 1e-2
"""The share of the log-likelihood still to be gained that EM goes on to, where Newton's method did not end."""

WIDER = 4.0
"""The factor by which the longest extrapolation grows, once it was right, and shrinks, once it was too long."""

MOST_TRIED = 5
"""Starts that are taken further, one after the other, as long as they end at no proper maximum."""

AT_LIMIT = "a component has closed in on equal responses: the next step would take a parameter of it to its limit"

HALVINGS = 40
"""Steps that are halved one after the other, after which a search has stalled."""


@dataclass(frozen=True)
class EMState(State):
    """`path` are the last points at which the likelihood is known, one M-step apart, `values` theirs there; `after` is
    the M-step from the last of them.

    `trial` is the next point to look at, `leap` whether it is an extrapolation, `exact` whether it is a maximum in closed
    form; `longest` bounds the next extrapolation.
    """

    trial: np.ndarray = None  # type: ignore[assignment]
    path: tuple[np.ndarray, ...] = ()
    values: tuple[float, ...] = ()
    after: np.ndarray = None  # type: ignore[assignment]
    exact: bool = True
    leap: bool = False
    longest: float = 1.0
    tries: int = 0


@dataclass(frozen=True)
class EM(Solver):
    """Expectation-maximisation (Dempster, Laird and Rubin, 1977), which no step lowers the likelihood of.

    Arguments:
        tol: the log-likelihood still to be gained at which the search ends, estimated from the rate of the last steps.
        max_steps: the most steps, one read of the data each.
        accelerate: "squarem" extrapolates two steps (Varadhan and Roland, 2008, Scandinavian Journal of Statistics 35,
            335-353: scheme S3), and goes back to plain ones where that would lower the likelihood; None does not.
        finish: whether Newton's method takes the last steps, from where the optimum is near or EM is slow.
        starts: how many starts: the model's own, and others that it draws at random. All take `short` steps as one batch
            (on a random sample of the rows where these are many), and the best is taken further; one that comes to a
            component without a proper maximum is dropped.
        short: steps of each start.
        key: the seed of the starts.
        points: the other starts themselves, shape (starts - 1, size); `fit` asks the model for them.

    Where the maximum of a step has no closed form, the step is Newton's for the expected log-likelihood of the complete
    data (Lange, 1995, Journal of the Royal Statistical Society B 57, 425-437), halved until the likelihood is no lower.

    Raises:
        ModelError: for settings out of range, and for models other than mixtures.
    """

    tol: float = 1e-9
    max_steps: int = 5000
    accelerate: str | None = "squarem"
    finish: bool = True
    starts: int = 1
    short: int = 20
    key: int = 0
    points: np.ndarray | None = field(default=None, compare=False, repr=False)

    needs = "expectation"

    def __post_init__(self) -> None:
        if self.accelerate not in ("squarem", None):
            raise ModelError(f"accelerate must be 'squarem' or None; got {self.accelerate!r}.")
        for name in ("starts", "short"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ModelError(f"{name} must be a whole number from 1 up; got {value!r}.")

    @property
    def name(self) -> str:
        return "EM" if self.accelerate is None else "EM (SQUAREM)"

    def minimise(self, objective: Function, z: np.ndarray, watch: Callable[[Progress], None] | None = None) -> Solution:
        """Search from `z`; see `Solver.minimise`."""
        if self.points is None:
            return self._to_the_end(objective, z, watch)
        ends, steps, seconds = self._short(objective, np.vstack([z[None], self.points]))
        proper = sorted((s for s in ends if s.stop not in (FAILED, IMPROPER)), key=lambda s: s.value)
        wrong = [s for s in ends if s.stop == IMPROPER]
        notes = [told(len(ends), len(wrong), sum(s.stop == FAILED for s in ends), self.short)]
        end = None
        for best in proper[:MOST_TRIED]:
            end = joined(end, self._to_the_end(objective, best.z, watch), self.name, keep_notes=False)
            if end.stop != IMPROPER:
                break
        if end is None:
            worst = wrong[0] if wrong else ends[0]
            end = Solution(worst.z, worst.value, None, None, worst.stop, 0, 0.0, self.name, notes=worst.notes)
        notes = (*notes, *end.notes)
        return replace(end, n_steps=end.n_steps + steps, seconds=end.seconds + seconds, notes=notes)

    def _short(self, objective: Function, points: np.ndarray) -> tuple[list[EMState], int, float]:
        """Where each start is after the short run; how many steps it took, and seconds."""
        begun = time.perf_counter()
        sampled = getattr(objective, "sampled", lambda: None)
        some = sampled() or objective
        states = [self.begin(*pair) for pair in zip(points, some.evaluate_batch(points, self.needs))]
        steps = 1
        while steps <= self.short:
            running = [i for i, s in enumerate(states) if s.stop == RUNNING]
            if not running:
                break
            trials = np.stack([states[i].trial for i in np.resize(running, len(states))])  # one shape: compiled once
            for i, evaluation in zip(running, some.evaluate_batch(trials, self.needs)):
                states[i] = self.tell(states[i], evaluation)
            steps += 1
        return states, steps, time.perf_counter() - begun

    def _to_the_end(self, objective: Function, z: np.ndarray, watch: Callable[[Progress], None] | None) -> Solution:
        if not self.finish:
            return drive(self, objective, z, watch)
        rough, total = max(self.tol, ROUGH), None
        while True:
            seen = going_on(watch, total) if total is not None else watch
            first = drive(replace(self, tol=rough), objective, z if total is None else total.z, seen)
            total = joined(total, first, self.name)
            if first.stop != DONE or rough <= self.tol:
                return total
            last = Newton(self.tol, FEW).minimise(objective, total.z, going_on(watch, total))
            if last.stop == DONE and objective.evaluate(last.z, self.needs).improper is None:
                return joined(total, last, f"{self.name}, then Newton")
            rough = max(self.tol, CLOSER * rough)

    # --- one point at a time, so that many searches can share one evaluation ----------------------------------------

    def init(self, objective: Function, z: np.ndarray) -> EMState:
        return self.begin(z, objective.evaluate(z, self.needs))

    def step(self, objective: Function, state: EMState) -> EMState:
        return self.tell(state, objective.evaluate(state.trial, self.needs))

    def begin(self, z: np.ndarray, evaluation: Any) -> EMState:
        """The state after the first evaluation."""
        if not finite(evaluation):
            return EMState(z, evaluation.value, stop=FAILED)
        return self._arrived(EMState(z, np.inf, trial=z), evaluation)

    def ask(self, state: EMState) -> EMState:
        """The state with the next point to evaluate in `trial`, where it is already."""
        return state

    def tell(self, state: EMState, evaluation: Any) -> EMState:
        """The state after the evaluation of its trial point: moved there, or with another one."""
        noise = 1e-12 * (abs(state.value) + len(state.z))
        if np.isfinite(evaluation.value) and evaluation.value <= state.value + noise:
            return self._arrived(state, evaluation)
        if state.leap:
            return replace(state, trial=state.after, leap=False, longest=max(1.0, state.longest / WIDER))
        if state.exact and np.isfinite(evaluation.value):
            by = evaluation.value - state.value
            note = f"a step of EM lowered the log-likelihood by {by:.2g}: its M-step is no maximum"
            return replace(state, stop=STALLED, notes=(*state.notes, note))
        if state.tries >= HALVINGS:
            return replace(state, stop=STALLED)
        return replace(state, trial=0.5 * (state.z + state.trial), tries=state.tries + 1)

    def _arrived(self, state: EMState, evaluation: Any) -> EMState:
        """The state at its trial point."""
        z, value = state.trial, evaluation.value
        if evaluation.improper is not None:
            return replace(state, z=z, value=value, stop=IMPROPER, notes=(*state.notes, evaluation.improper))
        after, exact = m_step(z, evaluation)
        if not np.isfinite(after).all():
            return replace(state, z=z, value=value, stop=IMPROPER, notes=(*state.notes, AT_LIMIT))
        plain = not state.leap and not state.tries
        path = (*state.path, z) if plain else (z,)
        values = (*state.values, value) if plain else (value,)
        state = replace(state, z=z, value=value, path=path[-2:], values=values[-2:], after=after, exact=exact, tries=0)
        return self._onward(state)

    def _onward(self, state: EMState) -> EMState:
        """The state with its next point to look at, or at its end."""
        if np.array_equal(state.after, state.z):
            return replace(state, gain=0.0, stop=DONE)
        if len(state.path) < 2:
            return replace(state, trial=state.after, leap=False)
        start, middle = state.path
        r, v = middle - start, state.after - 2 * middle + start
        reach = np.inf if not v.any() else float(np.linalg.norm(r) / np.linalg.norm(v))
        rate = 1 - 1 / max(reach, 1.0)
        gained = max(state.values[0] - state.value, 0.0)
        gain = gained * rate**2 / (1 - rate**2) if rate < 1 else np.inf
        noise = 1e-14 * (abs(state.value) + len(state.z))
        if max(gain, gained) <= max(self.tol, noise):
            return replace(state, gain=gain, stop=DONE)
        if self.accelerate is None or reach <= 1:
            return replace(state, gain=gain, trial=state.after, leap=False)
        longest = WIDER * state.longest if reach >= state.longest else state.longest
        reach = min(reach, longest)
        trial = start + 2 * reach * r + reach**2 * v
        return replace(state, gain=gain, trial=trial, leap=True, longest=longest)


def m_step(z: np.ndarray, evaluation: Any) -> tuple[np.ndarray, bool]:
    """The point of the M-step from `z`, and whether it is the maximum in closed form in all entries."""
    after = np.array(evaluation.maximum)
    if evaluation.gradient is None:
        return after, True
    rest = np.flatnonzero(np.isnan(after))
    model = Quadratic.of(evaluation.gradient[rest], evaluation.matrix[np.ix_(rest, rest)])
    after[rest] = z[rest] + model.to_z(model.descent())
    return after, False


def told(starts: int, wrong: int, failed: int, short: int) -> str:
    """What is said of several starts."""
    dropped = f", {wrong} dropped where a component closed in on few responses" if wrong else ""
    dropped += f", {failed} dropped because the log-likelihood is not finite there" if failed else ""
    further = f"; the best of them after {short} steps was taken further" if wrong + failed < starts else ""
    return f"{starts} starts{dropped}{further}"

"""EM: expectation and maximisation in turn, accelerated, and Newton's method at the end.

The objective gives, at a point, where the expected log-likelihood of the complete data has its maximum, or its gradient
and Hessian where that is not known in closed form; see `Objective.evaluate(z, "expectation")`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..errors import ModelError
from .finish import FEW, ROUGH, going_on
from .newton import Newton
from .quadratic import Quadratic
from .solver import DONE, FAILED, IMPROPER, STALLED, Function, Progress, Solution, Solver, State, drive, finite

CLOSER = 1e-2
"""The share of the log-likelihood still to be gained that EM goes on to, where Newton's method did not end."""

WIDER = 4.0
"""The factor by which the longest extrapolation grows, once it was right, and shrinks, once it was too long."""

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

    Where the maximum of a step has no closed form, the step is Newton's for the expected log-likelihood of the complete
    data (Lange, 1995, Journal of the Royal Statistical Society B 57, 425-437), halved until the likelihood is no lower.

    Raises:
        ModelError: for settings out of range, and for models other than mixtures.
    """

    tol: float = 1e-9
    max_steps: int = 5000
    accelerate: str | None = "squarem"
    finish: bool = True

    needs = "expectation"

    def __post_init__(self) -> None:
        if self.accelerate not in ("squarem", None):
            raise ModelError(f"accelerate must be 'squarem' or None; got {self.accelerate!r}.")

    @property
    def name(self) -> str:
        return "EM" if self.accelerate is None else "EM (SQUAREM)"

    def minimise(self, objective: Function, z: np.ndarray, watch: Callable[[Progress], None] | None = None) -> Solution:
        """Search from `z`; see `Solver.minimise`."""
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
            return replace(state, z=z, value=value, stop=STALLED)
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
    step = -model.slope / np.maximum(np.abs(model.curvature), model.floor)
    after[rest] = z[rest] + model.to_z(step)
    return after, False


def joined(first: Solution | None, then: Solution, name: str) -> Solution:
    """Two searches one after the other as one."""
    if first is None:
        return replace(then, solver=name)
    return replace(
        then,
        n_steps=first.n_steps + then.n_steps,
        seconds=first.seconds + then.seconds,
        notes=(*first.notes, *then.notes),
        solver=name,
    )

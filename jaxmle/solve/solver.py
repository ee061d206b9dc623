"""What all solvers share: the protocol, the one driver loop, and the solution it returns.

A solver sees an objective with `size`, `evaluate(z, needs)`, `hvp(z, v)`, `along(z, p)`, and nothing else; it is a
frozen dataclass of settings, and its state is separate. To write one, subclass `Solver` and define `init` and `step`.
"""

from __future__ import annotations

import abc
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from .quadratic import Quadratic


class Function(Protocol):
    """What a solver may ask of an objective."""

    @property
    def size(self) -> int: ...
    def evaluate(self, z: np.ndarray, needs: str = "hessian") -> Any: ...
    def evaluate_batch(self, z: np.ndarray, needs: str = "hessian") -> list[Any]: ...
    def hvp(self, z: np.ndarray, v: np.ndarray) -> np.ndarray: ...
    def along(self, z: np.ndarray, p: np.ndarray) -> Callable[[float], tuple[float, float]]: ...


RUNNING = "running"
DONE = "done"
"""The solver's own test is met."""
STALLED = "stalled"
"""No step improves the objective any more, as far as its rounding errors tell."""
MAX_STEPS = "max_steps"
INTERRUPTED = "interrupted"
FAILED = "failed"
"""The objective or its derivatives are not finite where the search began."""
IMPROPER = "improper"
"""A part of the model has gone where the objective has no lower bound."""


@dataclass(frozen=True)
class State:
    """Where a search stands. `gain` is the log-likelihood still to be gained, by the solver's own estimate.

    `matrix` is the one at `z` that the solver asks for. `stop` is `running` until the search ends. `optima` and `notes`
    are handed on to the solution. A search by samples says how many `units` it has used and its `losses`; one that goes on
    with an earlier one says how many steps that had taken `before`. Solvers subclass it for what they carry along.
    """

    z: np.ndarray
    value: float
    gradient: np.ndarray | None = None
    matrix: np.ndarray | None = None
    gain: float = np.inf
    stop: str = RUNNING
    optima: tuple[tuple[float, np.ndarray], ...] = ()
    notes: tuple[str, ...] = ()
    units: int = 0
    losses: Mapping[str, float] = field(default_factory=dict)
    before: int = 0


@dataclass(frozen=True)
class Record:
    """One step of the search, for the trace: value, gain still expected, and length of the step in each coordinate."""

    value: float
    gain: float
    step: np.ndarray | None


@dataclass(frozen=True)
class Solution:
    """The end of a search: the best point found, why it ended, and the last steps on the way."""

    z: np.ndarray
    value: float
    gradient: np.ndarray | None
    hessian: np.ndarray | None
    stop: str
    n_steps: int
    seconds: float
    solver: str
    why: str = ""
    trace: tuple[Record, ...] = ()
    optima: tuple[tuple[float, np.ndarray], ...] = ()
    notes: tuple[str, ...] = field(default=())
    claims: bool = True
    """Whether the solver looks for an optimum that can be proved."""
    model: Quadratic | None = None
    """What the solver made of `gradient` and `hessian`, where it knows both."""


class Solver(abc.ABC):
    """A search for the minimum of an objective: settings in fields, `init` and `step` on a state.

    `tol` is the log-likelihood still to be gained at which the search ends; `max_steps` bounds it. `needs` is what it
    asks of `evaluate`. One that `polishes` looks for an optimum that can be proved: a search of its in float32 is
    finished in float64.
    """

    tol: float
    max_steps: int
    needs = "gradient"
    polishes = True

    @property
    def name(self) -> str:
        return type(self).__name__

    @abc.abstractmethod
    def init(self, objective: Function, z: np.ndarray) -> State:
        """The state at the start."""

    @abc.abstractmethod
    def step(self, objective: Function, state: Any) -> State:
        """One step; the new state's `z` is never worse than the old one's."""

    def minimise(self, objective: Function, z: np.ndarray, watch: Callable[[Progress], None] | None = None) -> Solution:
        """Search from `z`; an interrupt from the keyboard ends the search and returns the best point so far."""
        return drive(self, objective, z, watch)


@dataclass(frozen=True)
class Progress:
    """What a callback is told after each step: the negative log-likelihood `value`, the `gain` still expected, the point.

    A search by samples also says how many `units` it has used so far, and its `losses` by name ("training", "validation"):
    the negative log-likelihood per observation.
    """

    step: int
    value: float
    gain: float
    z: np.ndarray
    seconds: float
    units: int = 0
    losses: Mapping[str, float] = field(default_factory=dict)


TRACE = 12


def drive(
    solver: Solver, objective: Function, z: np.ndarray, watch: Callable[[Progress], None] | None = None
) -> Solution:
    """The driver loop of every solver."""
    start = time.perf_counter()
    trace: list[Record] = []
    n_steps = 0
    state = State(np.asarray(z, dtype=np.float64), np.inf)
    try:
        state = solver.init(objective, state.z)
        n_steps = state.before
        trace.append(Record(state.value, state.gain, None))
        while state.stop == RUNNING:
            if n_steps >= solver.max_steps:
                state = replace(state, stop=MAX_STEPS)
                break
            before = state
            state = solver.step(objective, state)
            n_steps += 1
            if not np.array_equal(state.z, before.z):
                trace = [*trace[-TRACE:], Record(state.value, state.gain, state.z - before.z)]
            if watch is not None:
                seconds = time.perf_counter() - start
                watch(Progress(n_steps, state.value, state.gain, state.z, seconds, state.units, state.losses))
    except KeyboardInterrupt:
        state = replace(state, stop=INTERRUPTED)
    known = solver.needs == "hessian" and not getattr(state, "stale", False)
    return Solution(
        z=state.z,
        value=state.value,
        gradient=state.gradient,
        hessian=state.matrix if known else None,
        stop=state.stop,
        n_steps=n_steps,
        seconds=time.perf_counter() - start,
        solver=solver.name,
        trace=tuple(trace),
        optima=state.optima,
        notes=state.notes,
        claims=solver.polishes,
        model=getattr(state, "model", None) if known else None,
    )


def finite(evaluation: Any) -> bool:
    """Whether a value and all derivatives that came with it are finite."""
    parts = (evaluation.value, evaluation.gradient, evaluation.matrix)
    return all(part is None or bool(np.isfinite(part).all()) for part in parts)

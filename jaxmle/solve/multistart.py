"""Many searches from scattered starts, run as one batch: which optima there are, and which is the best."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np

from ..errors import ModelError
from ..special import ndtri
from .newton import Newton
from .quadratic import Quadratic
from .solver import FAILED, MAX_STEPS, RUNNING, Function, Progress, Solution, Solver, State, drive

SAME = 1e-3
"""Ends within so many standard errors are one optimum; an end so near the minimum of its quadratic model is at one."""
EQUAL = 1e-6
"""Values v within EQUAL·(1 + |v|) of each other are equal."""


@runtime_checkable
class Asking(Protocol):
    """A solver that asks for one point at a time, so that many searches can share one evaluation."""

    needs: str

    def begin(self, z: np.ndarray, evaluation: Any) -> Any: ...
    def ask(self, state: Any) -> Any: ...
    def tell(self, state: Any, evaluation: Any) -> Any: ...


@dataclass(frozen=True)
class Race(State):
    """All searches; `z` is the lowest point of any until they have ended, and then the best optimum."""

    searches: tuple[Any, ...] = ()
    rounds: int = 0


@dataclass(frozen=True)
class MultiStart(Solver):
    """The same search from many starts, all steps evaluated as one batch.

    Arguments:
        starts: how many; the first is the start given, the others a Latin hypercube of normal deviates around it
            (McKay, Beckman and Conover, 1979).
        solver: the search. `Newton` and `BHHH` are evaluated in batches, others one after the other.
        spread: the standard deviation of the starts, in units of `z`.
        key: the seed of the starts.
        tol, max_steps: of each search, where they are not to be the solver's own.

    The solution holds every distinct optimum in `optima`, as (value, z), best first: ends at which the Hessian is
    positive definite, more than 1e-3 standard errors apart. A start where the objective is not finite is dropped.

    Raises:
        ModelError: for settings out of range.
    """

    starts: int = 16
    solver: Solver = field(default_factory=Newton)
    spread: float = 1.0
    key: int = 0
    tol: float | None = None  # type: ignore[assignment]
    max_steps: int | None = None  # type: ignore[assignment]

    needs = "hessian"

    def __post_init__(self) -> None:
        if isinstance(self.starts, bool) or not isinstance(self.starts, int) or self.starts < 1:
            raise ModelError(f"starts must be a whole number from 1 up; got {self.starts!r}.")
        if not (np.isfinite(self.spread) and self.spread > 0):
            raise ModelError(f"spread must be positive; got {self.spread!r}.")
        if not isinstance(self.solver, Solver) or isinstance(self.solver, MultiStart):
            raise ModelError(f"solver must be a solver for one start, such as Newton(); got {self.solver!r}.")

    @property
    def name(self) -> str:
        return f"{self.solver.name} from {self.starts} starts"

    def minimise(self, objective: Function, z: np.ndarray, watch: Callable[[Progress], None] | None = None) -> Solution:
        given = {k: v for k, v in (("tol", self.tol), ("max_steps", self.max_steps)) if v is not None}
        settings: Any = self.solver
        search = replace(settings, **given)
        return drive(replace(self, solver=search, tol=search.tol, max_steps=search.max_steps), objective, z, watch)

    def init(self, objective: Function, z: np.ndarray) -> Race:
        points, solver = scattered(z, self.starts, self.spread, self.key), self.solver
        if isinstance(solver, Asking):
            evaluations = objective.evaluate_batch(points, solver.needs)
            searches = [solver.begin(point, evaluation) for point, evaluation in zip(points, evaluations)]
        else:
            searches = [solver.init(objective, point) for point in points]
        return self._ranked(objective, Race(z, np.inf), searches)

    def step(self, objective: Function, state: Race) -> Race:
        """One step of every search that still runs; all end with the last that `max_steps` allows."""
        state = replace(state, rounds=state.rounds + 1)
        if isinstance(self.solver, Asking):
            searches = self._batch(objective, state.searches)
        else:
            searches = [self.solver.step(objective, s) if s.stop == RUNNING else s for s in state.searches]
        if state.rounds >= self.solver.max_steps:
            searches = [replace(s, stop=MAX_STEPS) if s.stop == RUNNING else s for s in searches]
        return self._ranked(objective, state, searches)

    def _batch(self, objective: Function, searches: Sequence[Any]) -> list[Any]:
        solver: Any = self.solver
        asked = [solver.ask(s) if s.stop == RUNNING else s for s in searches]
        running = [i for i, s in enumerate(asked) if s.stop == RUNNING]
        if running:  # filled up to the size of the first batch, so that nothing is compiled again
            places = np.resize(running, self.starts)
            trials = np.stack([asked[i].trial for i in places])
            evaluations = objective.evaluate_batch(trials, solver.needs)
            for i, evaluation in zip(running, evaluations):
                asked[i] = solver.tell(asked[i], evaluation)
        return asked

    def _ranked(self, objective: Function, race: Race, searches: list[Any]) -> Race:
        """The race after a round, with the optima among the searches that have ended."""
        if self.solver.needs != "hessian":
            before = [s.stop for s in race.searches] or [RUNNING] * len(searches)
            for i, s in enumerate(searches):
                if before[i] == RUNNING and s.stop not in (RUNNING, FAILED):
                    searches[i] = self._with_hessian(objective, s)
        optima = distinct([s for s in searches if s.stop not in (RUNNING, FAILED)])
        lowest = min([s for s in searches if s.stop != FAILED] or searches[:1], key=lambda s: s.value)
        over = all(s.stop != RUNNING for s in searches)
        best = optima[0] if over and optima else lowest
        return replace(
            race,
            z=best.z,
            value=best.value,
            gradient=best.gradient,
            matrix=best.matrix if best.stop != RUNNING or self.solver.needs == "hessian" else None,
            gain=best.gain,
            stop=best.stop if over else RUNNING,
            optima=tuple((s.value, s.z) for s in optima),
            notes=tuple(_notes(searches, optima, lowest)),
            searches=tuple(searches),
        )

    def _with_hessian(self, objective: Function, search: Any) -> Any:
        e = objective.evaluate(search.z, "hessian")
        return replace(search, value=e.value, gradient=e.gradient, matrix=e.matrix)


def scattered(z: np.ndarray, starts: int, spread: float, key: int) -> np.ndarray:
    """The starts, shape (starts, size): `z`, and a Latin hypercube of normal deviates around it."""
    rng = np.random.default_rng(key)
    shape = (starts - 1, len(z))
    layers = rng.permuted(np.tile(np.arange(starts - 1.0)[:, None], (1, len(z))), axis=0)
    deviates = ndtri((layers + rng.uniform(0.01, 0.99, shape)) / max(starts - 1, 1))
    return np.vstack([z[None], z + spread * deviates])


def distinct(ends: Sequence[Any]) -> list[Any]:
    """One search for each proper optimum among `ends`, lowest value first."""
    optima: list[Any] = []
    for end in sorted(ends, key=lambda s: s.value):
        if any(_same(end, optimum) for optimum in optima):
            continue
        if np.isfinite(end.gradient).all() and np.isfinite(end.matrix).all():
            model = Quadratic.of(end.gradient, end.matrix)
            if model.positive and model.decrement <= SAME:
                optima.append(end)
    return optima


def _same(a: Any, b: Any) -> bool:
    apart = a.z - b.z
    return _equal(a.value, b.value) and apart @ b.matrix @ apart <= SAME**2


def _equal(a: float, b: float) -> bool:
    return abs(a - b) <= EQUAL * (1 + min(abs(a), abs(b)))


def _notes(searches: Sequence[Any], optima: Sequence[Any], lowest: Any) -> list[str]:
    unfinished = sum(s.stop in (RUNNING, MAX_STEPS) for s in searches)
    failed = sum(s.stop == FAILED for s in searches)
    text = _counted(len(searches), "start", "starts")
    if optima:
        best = sum(_equal(s.value, optima[0].value) for s in searches if s.stop != FAILED)
        text += f", {_counted(len(optima), 'distinct optimum', 'distinct optima')}, {best} reached the best value"
    else:
        text += ", no optimum with a positive definite Hessian"
    if failed:
        text += f", {failed} dropped because the objective is not finite there"
    notes = [text]
    if unfinished:
        notes.append(f"{_counted(unfinished, 'search', 'searches')} had not ended")
    if optima and lowest.value < optima[0].value and not _equal(lowest.value, optima[0].value):
        notes.append(f"a search reached a lower value, {lowest.value:.6g}, but no optimum there")
    return notes


def _counted(n: int, one: str, many: str) -> str:
    return f"{n} {one if n == 1 else many}"

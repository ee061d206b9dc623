"""Hawkes' self-exciting point process: each event makes others likelier for a while."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real as Number
from typing import Any

import jax.numpy as jnp
import numpy as np

from ...errors import DataError, ModelError, rows_in_words
from ...numerics.recurrences import linear_recurrence
from ..conditional import Bound, Data
from ..domains import Domain, Positive
from ..families import split_response
from ..model import Model, Parameter
from .whole import Whole

GAP, REST, RANK = " gap", " rest", " rank"
"""Columns that binding adds: in the order of time, the time since the event before (or the window's beginning) and, of
the last event, the time that is left; of each row, its place in that order."""

KERNELS = ("exponential",)

MOST_EVENTS = 10_000_000
"""Events beyond which a simulation is taken to run away."""


def hawkes(
    response: str,
    *,
    window: Sequence[float],
    kernel: str = "exponential",
    mu: Any = None,
    branching: Any = None,
    decay: Any = None,
) -> Model:
    """A Hawkes process (1971, Biometrika 58, 83-90): λ(t) = mu + Σ branching·decay·exp(−decay·(t − t_i)) over earlier events.

    `mu` events per unit of time come by themselves; each event has `branching` others as its own on average, after
    times of mean 1/`decay`. Below a branching ratio of one the process is stationary, with mu/(1 − branching) events per
    unit of time. The likelihood takes O(n) operations (Ozaki, 1979, Annals of the Institute of Statistical Mathematics
    31, 145-155); before the window nothing is taken to have happened.

    Arguments:
        response: the column of the times of the events, in any order.
        window: (begin, end) of observation.
        kernel: "exponential".
        mu, branching, decay: domains, such as `jm.Positive(start=2.0)`, or numbers at which they are held.

    Raises:
        ModelError: for arguments that make no sense.
    """
    names, terms = split_response(response)
    if len(names) != 1 or terms is not None:
        raise ModelError(f"hawkes takes the name of the column of times; got {response!r}.")
    if kernel not in KERNELS:
        raise ModelError(f"hawkes: kernel is 'exponential'; got {kernel!r}.")
    ends = tuple(window) if isinstance(window, Sequence | np.ndarray) and not isinstance(window, str) else ()
    if len(ends) != 2 or not all(_finite(e) for e in ends) or not ends[0] < ends[1]:
        raise ModelError(f"hawkes: window is (begin, end) of observation, two numbers that rise; got {window!r}.")
    given = {"mu": mu, "branching": branching, "decay": decay}
    params = {name: _positive(value, name) for name, value in given.items()}
    begin, end = float(ends[0]), float(ends[1])
    about = f"{names[0]} in ({begin:g}, {end:g}], {kernel} kernel"
    return Model(SelfExciting(names[0], begin, end), params, unit="all", name="Hawkes process", about=about)


def _finite(value: Any) -> bool:
    return isinstance(value, Number) and not isinstance(value, bool | np.bool_) and bool(np.isfinite(float(value)))


def _positive(value: Any, name: str) -> Parameter:
    if value is None:
        return Positive()
    if isinstance(value, Domain):
        return value
    if _finite(value) and value > 0:
        return Positive(fixed=float(value))
    raise ModelError(f"{name} of hawkes takes a domain or a positive number that it is held at; got {value!r}.")


@dataclass(frozen=True)
class SelfExciting(Whole):
    """The times of all events; called with all rows. Of an event, its term has the stretch since the event before."""

    begin: float = field(default=0.0, compare=False)
    end: float = field(default=1.0, compare=False)

    @property
    def instead(self) -> str:
        return "residuals(kind='compensator') are exponential if the model is right; simulate(key) draws event times."

    @property
    def residual_kinds(self) -> tuple[str, ...]:
        return ("compensator",)

    def _parts(self, p: Any, data: Mapping[str, Any]) -> tuple[Any, Any, Any]:
        """In the order of time: the intensity at each event, the integral since the one before, and that of the rest."""
        gap, decay = data[GAP], p["decay"]
        first = jnp.arange(gap.shape[0]) == 0
        fades = jnp.where(first, 0.0, jnp.exp(-decay * gap))
        before = linear_recurrence(fades, fades)  # Σ exp(−decay·(t_i − t_j)) over earlier events j
        after = before + 1.0
        last = jnp.concatenate([jnp.zeros(1), after[:-1]])
        intensity = p["mu"] + p["branching"] * decay * before
        passed = p["mu"] * gap - p["branching"] * last * jnp.expm1(-decay * gap)
        rest = p["mu"] * data[REST] - p["branching"] * after * jnp.expm1(-decay * data[REST])
        return intensity, passed, jnp.where(data[REST] > 0, rest, 0.0)

    def __call__(self, p: Any, row: Mapping[str, Any]) -> Any:
        intensity, passed, rest = self._parts(p, row)
        return (jnp.log(intensity) - passed - rest)[row[RANK]]

    def residual(self, kind: str, p: Any, data: Mapping[str, Any]) -> Any:
        """Integrals of the intensity between events: exponential of mean one (Ogata, 1988, JASA 83, 9-27)."""
        return self._parts(p, data)[1][data[RANK]]

    def drawn(self, params: Mapping[str, Any], rng: np.random.Generator) -> np.ndarray:
        return simulate_hawkes(
            float(params["mu"]), float(params["branching"]), float(params["decay"]), (self.begin, self.end), rng
        )

    def bind(self, params: Mapping[str, Parameter], data: Data, weights: np.ndarray) -> Bound:
        if not (weights == 1).all():
            raise DataError("A Hawkes process has events that happen once each: leave out weights.")
        time = data.numeric(self.name, "the response").astype(np.float64)
        outside = (time <= self.begin) | (time > self.end)
        if outside.any():
            rows = np.flatnonzero(outside)
            raise DataError(
                f"Times in {self.name!r} are outside the window ({self.begin:g}, {self.end:g}] in "
                f"{rows_in_words(data.numbered(rows))} ({', '.join(f'{t:g}' for t in time[rows[:5]])})."
            )
        order = np.argsort(time, kind="stable")
        gap = np.diff(time[order], prepend=self.begin)
        if (gap[1:] == 0).any():
            rows = np.sort(order[np.flatnonzero(gap[1:] == 0) + 1])
            raise DataError(
                f"Events in {self.name!r} happen at one time in {rows_in_words(data.numbered(rows))}: in a point process "
                "none do. Spread times that were rounded evenly over the unit that they were rounded to."
            )
        if len(time) < 3:
            raise DataError(f"A Hawkes process needs more events than the {len(time)} in {self.name!r}.")
        rank, rest = np.empty(len(time), np.int64), np.zeros(len(time))
        rank[order] = np.arange(len(time))
        rest[-1] = self.end - time[order[-1]]
        rate = len(time) / (self.end - self.begin)
        starts = {"mu": 0.5 * rate, "branching": 0.5, "decay": 1.0 / max(float(np.median(gap)), 1e-300)}
        return Bound(self, params, {GAP: gap, REST: rest, RANK: rank}, starts)


def simulate_hawkes(
    mu: float, branching: float, decay: float, window: Sequence[float], key: int | np.random.Generator = 0
) -> np.ndarray:
    """Times of the events of a Hawkes process in a window before which nothing happened, rising, (n,).

    By generations (Hawkes and Oakes, 1974, Journal of Applied Probability 11, 493-503): events that come by themselves,
    those that they excite, and so on.

    Arguments:
        mu, branching, decay: as in `hawkes`.
        window: (begin, end).
        key: a seed.

    Raises:
        ModelError: for parameters that are not positive, and where events multiply beyond ten million.
    """
    if not (mu > 0 and branching >= 0 and decay > 0):
        raise ModelError(f"A Hawkes process has positive parameters; got {mu=}, {branching=}, {decay=}.")
    rng = key if isinstance(key, np.random.Generator) else np.random.default_rng(key)
    begin, end = map(float, window)
    parents = rng.uniform(begin, end, rng.poisson(mu * (end - begin)))
    times = [parents]
    while len(parents):
        children = np.repeat(parents, rng.poisson(branching, len(parents)))
        parents = children + rng.exponential(1 / decay, len(children))
        parents = parents[parents <= end]
        times.append(parents)
        if sum(map(len, times)) > MOST_EVENTS:
            raise ModelError(f"With {branching=} events multiply without end: more than {MOST_EVENTS:,} in the window.")
    return np.sort(np.concatenate(times))

"""Censored models: of some responses only an interval is known that they lie in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp
import numpy as np

from ...errors import DataError, ModelError, rows_in_words
from ..conditional import Bound, Data
from ..distributions.base import Distribution
from ..distributions.supports import Support
from ..distributions.truncated import FAR, Truncated, below, log_between
from ..model import Model, Parameter
from .around import Around, bound_on, number_or_column, wrapped

EXACT, RIGHT, LEFT, INTERVAL, UNKNOWN = range(5)
KIND, VALUE, LOW, HIGH, ENTRY, ENTERED = " kind", " seen", " low", " high", " entry", " entered"
"""Columns that binding adds: how the response is seen; its value; between which values it lies; when the row was first
under observation, and whether that matters. Where a column says nothing it holds some value that does no harm."""


def censored(
    model: Model,
    event: str | None = None,
    low: float | str | None = None,
    high: float | str | None = None,
    entry: str | None = None,
) -> Model:
    """A response of which in some rows only bounds are known.

    - `event="column"`: right-censored where the column is 0 or False: survival data.
    - `low=`, `high=`, at least one of them a number or missing: responses at or beyond a limit are known to lie there
      (Tobin, 1958, Econometrica 26, 24-36); the other limit may be a column.
    - `low=` and `high=` both columns: interval-censored between the two, exact where they are equal, open where one of
      them is missing or infinite; the response's own column is not read.
    - `entry="column"`: rows are in the data only because the response is above this value (delayed entry): the density
      is divided by P(Y > entry).

    For counts the bounds themselves belong to the interval: a count that is right-censored at 10 is at least 10.

    Arguments:
        model: a model of one number; it may be inflated, truncated or mixed itself.
        event, low, high, entry: as above, names of columns or numbers.

    Returns:
        The model with the same parameters. Predictions, residuals and simulations are of the uncensored response.

    Raises:
        ModelError: for arguments that do not go together.
    """
    conditional, support = wrapped(model, "censored")
    ends = [number_or_column(v, "censored", n) for v, n in ((low, "low"), (high, "high"))]
    for value, name in ((event, "event"), (entry, "entry")):
        if value is not None and not isinstance(value, str):
            raise ModelError(f"censored: {name} takes the name of a column; got {value!r}.")
    between = all(isinstance(v, str) for v in ends)
    if event is None and entry is None and all(v is None for v in ends):
        raise ModelError("censored needs event=, low=, high= or entry=: how it is known that a response is censored.")
    if event is not None and between:
        raise ModelError("censored: low= and high= columns say all about an interval; leave out event=.")
    numbers = [v for v in ends if isinstance(v, float)]
    if len(numbers) == 2 and not numbers[0] < numbers[1]:
        raise ModelError(f"censored needs low < high; got low={low!r}, high={high!r}.")
    if isinstance(ends[0], float) and below(support, ends[0]):
        raise ModelError(f"censored: low={low!r} is below {support.words}: no response can be censored there.")
    seen = Censoring(conditional, event, ends[0], ends[1], entry)
    return Model(seen, model.params, name=f"{model.title}, censored", about=model.about)


@dataclass(frozen=True)
class Censoring(Around):
    """A censored response; `kinds` are the ways in which responses are seen in the data that it is bound to."""

    event: str | None = None
    low: float | str | None = None
    high: float | str | None = None
    entry: str | None = None
    kinds: tuple[int, ...] = ()

    @property
    def outermost(self) -> bool:
        return True

    @property
    def concave(self) -> Mapping[str, tuple[str, ...]]:
        return self.inner.concave if self.one_optimum else {}

    @property
    def one_optimum(self) -> bool:
        kind = self.inner.kind
        return kind is not None and kind.one_optimum_censored and self.entry is None

    @property
    def between(self) -> bool:
        """Whether two columns say between which values each response lies."""
        return isinstance(self.low, str) and isinstance(self.high, str)

    @property
    def columns(self) -> tuple[str, ...]:
        own = (v for v in (self.event, self.low, self.high, self.entry) if isinstance(v, str))
        inner = [c for c in self.inner.columns if not (self.between and c == self.response[0])]
        return tuple(dict.fromkeys((*inner, *own)))

    @property
    def optional(self) -> tuple[str, ...]:
        own = [v for v in (self.low, self.high, self.entry) if isinstance(v, str)]
        return (*self.inner.optional, *(v for v in own if self.between or v not in self.inner.columns))

    @property
    def support(self) -> Support | None:
        return self.inner.support

    def distribution(self, p: Any, row: Mapping[str, Any]) -> Distribution:
        return self.inner.distribution(p, row)

    def among_seen(self, p: Any, row: Mapping[str, Any]) -> Distribution:
        d = self.distribution(p, row)
        if self.entry is None:
            return d
        return Truncated(inner=d, low=jnp.where(row[ENTERED] > 0, row[ENTRY], -FAR), high=None)

    def observed(self, row: Mapping[str, Any]) -> Any:
        return row[VALUE]

    def seen(self, row: Mapping[str, Any]) -> tuple[Any, Any]:
        kind, step = row[KIND], 1.0 if self._whole() else 0.0
        low = jnp.where((kind == LEFT) | (kind == UNKNOWN), -jnp.inf, row[LOW] + step)
        high = jnp.where((kind == RIGHT) | (kind == UNKNOWN), jnp.inf, row[HIGH])
        return jnp.where(kind == EXACT, row[VALUE], low), jnp.where(kind == EXACT, row[VALUE], high)

    def _whole(self) -> bool:
        support = self.inner.support
        return support is not None and support.whole

    def __call__(self, p: Any, row: Mapping[str, Any]) -> Any:
        d, kind = self.distribution(p, row), row[KIND]
        ways = {
            EXACT: lambda: d.log_prob(row[VALUE]),
            RIGHT: lambda: d.log_survival(row[LOW]),
            LEFT: lambda: d.log_cdf(row[HIGH]),
            INTERVAL: lambda: log_between(d, row[LOW], row[HIGH]),
        }
        value = jnp.zeros(())
        for way in self.kinds:
            if way in ways:
                value = jnp.where(kind == way, ways[way](), value)
        if self.entry is not None:
            value = value - jnp.where(row[ENTERED] > 0, d.log_survival(row[ENTRY]), 0.0)
        return value

    def expected(self, p: Any, row: Mapping[str, Any]) -> Any:
        raise ModelError(
            "A censored model has no expected information: when others would have been censored is unknown."
        )

    def bind(self, params: Mapping[str, Parameter], data: Data, weights: np.ndarray) -> Bound:
        support, name = self.inner.support, self.response[0]
        assert support is not None
        low, high = self._interval(data, support)
        kind = _kinds(low, high, support)
        self._refuse_impossible(kind, low, high, data)
        some = np.where(kind == INTERVAL, 0.5 * (low + high), np.where(np.isfinite(low), low, high))
        known = np.isfinite(some)
        some = np.floor(np.where(known, some, 0.0)) if support.whole else np.where(known, some, 0.0)
        usable = (kind == EXACT) | (known & support.holds(some))
        if not usable.any():
            raise DataError(f"Response {name!r}: no row says anything about its value.")
        bound = bound_on(self.inner, params, data, weights, usable, {name: some})
        harmless = float(np.sort(some[usable])[usable.sum() // 2])
        encoded = {k: v for k, v in bound.encoded.items() if not (self.between and k == name)}
        encoded[KIND] = kind
        encoded[VALUE] = np.where(usable, some, harmless)
        encoded[LOW] = np.where((kind == RIGHT) | (kind == INTERVAL), low - float(support.whole), harmless)
        encoded[HIGH] = np.where((kind == LEFT) | (kind == INTERVAL), high, harmless)
        if self.entry is not None:
            encoded |= self._entries(data, support, low, harmless)
        kinds = tuple(int(k) for k in np.unique(kind))
        reason = bound.degenerate if (kind == EXACT).all() else None
        if set(kinds) <= {RIGHT, UNKNOWN}:
            reason = (
                f"all {len(kind):,} responses are right-censored: the likelihood grows as they are taken to be larger"
            )
        elif set(kinds) <= {LEFT, UNKNOWN}:
            reason = (
                f"all {len(kind):,} responses are left-censored: the likelihood grows as they are taken to be smaller"
            )
        conditional = replace(self, inner=bound.conditional, kinds=kinds)
        return replace(bound, conditional=conditional, encoded=encoded, degenerate=reason)

    def _interval(self, data: Data, support: Support) -> tuple[np.ndarray, np.ndarray]:
        """Between which values each response lies, both included where they are finite."""
        read = lambda name, role: data.numeric(name, f"the censoring ({role})").astype(np.float64)
        if self.between:
            low, high = read(str(self.low), "low"), read(str(self.high), "high")
            low, high = np.where(np.isnan(low), -np.inf, low), np.where(np.isnan(high), np.inf, high)
            wrong = low > high
            if wrong.any():
                raise DataError(
                    f"Column {self.low!r} (low) is above {self.high!r} (high) in "
                    f"{rows_in_words(data.numbered(np.flatnonzero(wrong)))}; an interval goes from low to high."
                )
            return (np.ceil(low), np.floor(high)) if support.whole else (low, high)
        y = data.numeric(self.response[0], "the response").astype(np.float64)
        low, high = y.copy(), y.copy()
        if self.low is not None:
            limit = read(self.low, "low") if isinstance(self.low, str) else self.low
            at = y <= np.where(np.isnan(limit), -np.inf, limit)
            high = np.where(at, limit, high)
            low = np.where(at, -np.inf, low)
        if self.high is not None:
            limit = read(self.high, "high") if isinstance(self.high, str) else self.high
            at = y >= np.where(np.isnan(limit), np.inf, limit)
            low = np.where(at, limit, low)
            high = np.where(at, np.inf, high)
        if self.event is not None:
            ended = _events(data, self.event)
            low, high = np.where(ended, low, y), np.where(ended, high, np.inf)
        return low, high

    def _refuse_impossible(self, kind: np.ndarray, low: np.ndarray, high: np.ndarray, data: Data) -> None:
        support = self.inner.support
        assert support is not None
        under = below(support, high)
        over = low > support.high if support.closed[1] else low >= support.high
        no_room = (kind != EXACT) & (under | over | (low > high))
        if no_room.any():
            rows = np.flatnonzero(no_room)
            raise DataError(
                f"Response {self.response[0]!r} is censored to where it cannot be in "
                f"{rows_in_words(data.numbered(rows))} (from {low[rows[0]]:g} to {high[rows[0]]:g}); it is "
                f"{support.words}. Mend or leave out these rows."
            )

    def _entries(self, data: Data, support: Support, low: np.ndarray, harmless: float) -> dict[str, np.ndarray]:
        entry = data.numeric(str(self.entry), "the entry into observation").astype(np.float64)
        entry = np.where(np.isnan(entry), -np.inf, entry)
        late = (entry >= low) & np.isfinite(entry)
        if late.any() or np.isposinf(entry).any():
            rows = np.flatnonzero(late | np.isposinf(entry))
            raise DataError(
                f"Column {self.entry!r} (entry) is not below the response in {rows_in_words(data.numbered(rows))}: a row "
                "is under observation from its entry on. Mend or leave out these rows."
            )
        matters = ~below(support, entry) & (entry > -np.inf)
        return {ENTRY: np.where(matters, entry, harmless), ENTERED: matters.astype(np.float64)}


def _kinds(low: np.ndarray, high: np.ndarray, support: Support) -> np.ndarray:
    """How each response is seen, from the interval that it lies in."""
    from_below, to_above = low <= support.low, high >= support.high
    ways = [(low == high), from_below & to_above, from_below, to_above]
    return np.select(ways, [EXACT, UNKNOWN, LEFT, RIGHT], INTERVAL).astype(np.int64)


def _events(data: Data, name: str) -> np.ndarray:
    """Where the response is an event and not the end of observation."""
    values = np.asarray(data.column(name, "the censoring (event)"))
    if values.dtype == bool:
        return values
    numbers = values if values.dtype.kind in "iuf" else None
    if values.dtype == object and all(isinstance(v, bool | np.bool_) for v in values.tolist()):
        return values.astype(bool)
    if numbers is None or not np.isin(numbers, (0, 1)).all():
        some = ", ".join(map(repr, list(dict.fromkeys(values.tolist()))[:5]))
        raise DataError(
            f"Column {name!r} (event) has the values {some}; expected 1 or True where the response is an event, 0 or "
            f"False where it is censored. Add such a column, as in data[{name!r}] == {values.tolist()[0]!r}."
        )
    return numbers == 1

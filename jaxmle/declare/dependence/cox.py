"""Cox's proportional hazards: the partial likelihood as a density of all rows at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax.numpy as jnp
import numpy as np

from ...errors import DataError, ModelError, rows_in_words
from ..choices.slopes import slopes
from ..conditional import Bound, Data
from ..cones import Cone, Contrast, Term
from ..distributions.levels import encode_binary
from ..families import split_response
from ..model import Model, Parameter
from .risk_sets import (
    BEGINS,
    ENDS,
    ENTERS,
    EVENT,
    FRACTION,
    NODES,
    WEIGHT,
    Times,
    martingale,
    partial_terms,
    tie_fractions,
    tree_nodes,
)
from .whole import Whole

TIES = ("efron", "breslow")

MOST_PAIRS = 2_000_000
"""Comparisons of a death with someone at risk beyond which separation is not looked for where entries are late."""


def cox(
    response: str,
    *,
    event: str | None = None,
    ties: str = "efron",
    strata: str | Sequence[str] | None = None,
    entry: str | None = None,
    log_hazard: Any = None,
) -> Model:
    """Cox regression: hazards that are proportional, h(t | x) = h₀(t)·exp(x·β), whatever the baseline h₀.

    The likelihood is the partial one (Cox, 1972, Journal of the Royal Statistical Society B 34, 187-220; 1975,
    Biometrika 62, 269-276): at each time of an event, whose it was, given who was at risk. There is no constant term.
    Scores are those of rows (Lin and Wei, 1989), so that "sandwich" and `cluster=` give robust standard errors.

    Arguments:
        response: `"time ~ terms"`: when observation ended.
        event: the column that says whether by an event: 0/1, a boolean, or two labels of which the second is the event
            (a status of 1 and 2); None if all were.
        ties: "efron" (1977, Journal of the American Statistical Association 72, 557-565) or "breslow" (1974, Biometrics
            30, 89-99) for events at one time.
        strata: a column, or several: every stratum, or combination, has a baseline of its own.
        entry: the column that says when observation began (left truncation); a row is at risk after it. Missing values
            are rows that were there from the beginning.
        log_hazard: a formula `"~ terms"` or a `Linear`, in place of the terms above.

    Raises:
        ModelError: for names and formulas that make no sense.
    """
    names, terms = split_response(response)
    if len(names) != 1:
        raise ModelError(f"cox has one response, the column of times; got {list(names)!r}.")
    if ties not in TIES:
        raise ModelError(f"cox: ties is 'efron' or 'breslow'; got {ties!r}.")
    for value, name in ((event, "event"), (entry, "entry")):
        if value is not None and not isinstance(value, str):
            raise ModelError(f"cox: {name} takes the name of a column; got {value!r}.")
    by = () if strata is None else (strata,) if isinstance(strata, str) else tuple(strata)
    if not all(isinstance(s, str) for s in by):
        raise ModelError(f"cox: strata takes the name of a column or several; got {strata!r}.")
    if terms is not None and log_hazard is not None:
        raise ModelError("'log_hazard' is predicted by the formula and given as an argument too: give one of them.")
    predictor = slopes(terms if log_hazard is None else log_hazard, "log_hazard", "cox")
    if predictor is None:
        raise ModelError(
            "cox needs terms, as in 'time ~ age': its baseline takes the place of a constant. For a survival curve "
            "without terms see fit.plot(what='survival')."
        )
    risk = PartialLikelihood(names[0], event, ties, by, entry)
    given = [response.strip()] + ([f"strata {', '.join(by)}"] if by else []) + [f"ties by {ties.capitalize()}"]
    return Model(risk, {"log_hazard": predictor}, unit="all", name="Cox regression", about=", ".join(given))


@dataclass(frozen=True)
class PartialLikelihood(Whole):
    """Who has the event, given who is at risk; called with all rows.

    What decides numbers alone, and no compiled program, is not compared: ties, strata and events are in the columns that
    binding adds.
    """

    event: str | None = field(default=None, compare=False)
    ties: str = field(default="efron", compare=False)
    strata: tuple[str, ...] = field(default=(), compare=False)
    entry: str | None = None
    levels: tuple[Any, ...] | None = field(default=None, compare=False)

    @property
    def columns(self) -> tuple[str, ...]:
        named = (self.name, self.event, *self.strata, self.entry)
        return tuple(dict.fromkeys(c for c in named if c is not None))

    @property
    def optional(self) -> tuple[str, ...]:
        return () if self.entry is None else (self.entry,)

    @property
    def concave(self) -> Mapping[str, tuple[str, ...]]:
        return {"log_hazard": ("identity",)}

    @property
    def coding(self) -> str:
        return "" if self.levels is None else f"the event is {self.levels[-1]}"

    @property
    def instead(self) -> str:
        return "Predict 'linear' (the log relative hazard), or 'survival' with times=."

    @property
    def residual_kinds(self) -> tuple[str, ...]:
        return ("martingale", "deviance")

    def residual(self, kind: str, p: Any, data: Mapping[str, Any]) -> Any:
        """Events less those expected, and the roots of what each adds to the deviance.

        Therneau, Grambsch and Fleming (1990, Biometrika 77, 147-160).
        """
        event, residual = data[EVENT], martingale(p["log_hazard"], data, self.entry is not None)
        if kind == "martingale":
            return residual
        seen = (event > 0) & (event - residual > 0)
        logs = jnp.where(seen, jnp.log(jnp.where(seen, event - residual, 1.0)), 0.0)
        return jnp.sign(residual) * jnp.sqrt(jnp.maximum(-2.0 * (residual + event * logs), 0.0))

    def __call__(self, p: Any, row: Mapping[str, Any]) -> Any:
        return partial_terms(p["log_hazard"], row, self.entry is not None)

    def stratum(self, data: Data) -> tuple[np.ndarray, list[tuple[Any, ...]]]:
        """The number of each row's stratum (n,), and the labels of all strata."""
        if not self.strata:
            return np.zeros(data.n_rows, np.int64), [()]
        each = [np.unique(np.asarray(data.column(s, "the strata")), return_inverse=True) for s in self.strata]
        codes = np.stack([inverse.reshape(-1) for _, inverse in each], axis=1)
        found, number = np.unique(codes, axis=0, return_inverse=True)
        labels = [tuple(keys[i] for (keys, _), i in zip(each, row)) for row in found]
        return number.reshape(-1), labels

    def observed_times(self, data: Data) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, tuple[Any, ...] | None]:
        """When observation of each row ended, whether by an event, when it began (None: always), and the event's levels.

        Raises:
            DataError: where the entry is not before the time.
        """
        time = data.numeric(self.name, "the response").astype(np.float64)
        event, levels = np.ones(data.n_rows, bool), self.levels
        if self.event is not None:
            codes, levels = encode_binary(data, self.event, self.levels)
            event = np.asarray(codes, np.float64) > 0.5
        if self.entry is None:
            return time, event, None, levels
        entry = data.numeric(self.entry, "the entry").astype(np.float64)
        entry = np.where(np.isnan(entry), -np.inf, entry)
        late = entry >= time
        if late.any():
            rows = np.flatnonzero(late)
            raise DataError(
                f"Column {self.entry!r} (entry) is not before {self.name!r} in {rows_in_words(data.numbered(rows))}: a "
                "row is at risk after its entry and until its time. Mend or leave out these rows."
            )
        return time, event, entry, levels

    def bind(self, params: Mapping[str, Parameter], data: Data, weights: np.ndarray) -> Bound:
        time, event, entry, levels = self.observed_times(data)
        died = event & (weights > 0)
        if not died.any():
            raise DataError(f"No row has an event ({self.event!r}): a Cox regression learns from events alone.")
        if self.ties == "efron" and not np.isin(weights, (0, 1)).all():
            raise DataError(
                "Efron's ties are of rows that count once each, and here rows have weights: repeat the rows, or take "
                "cox(..., ties='breslow')."
            )
        stratum, _ = self.stratum(data)
        times = Times.of(time, died, stratum, entry)
        n, m = len(time), len(times.time)
        begins = np.ones(n)
        begins[:m] = times.begins
        present = times.enters < times.ends
        encoded = {
            ENTERS: np.where(present, times.enters, n).astype(np.int64),
            BEGINS: begins,
            FRACTION: tie_fractions(times.enters, died) if self.ties == "efron" else np.zeros(n),
            EVENT: died.astype(np.float64),
            WEIGHT: weights.astype(np.float64),
        }
        if entry is not None:
            whom = np.minimum(times.enters + died, times.ends)  # deaths are summed by themselves
            encoded |= {ENDS: times.ends, NODES: tree_nodes(whom, times.ends, m)}
        conditional = PartialLikelihood(self.name, self.event, self.ties, self.strata, self.entry, levels)
        return Bound(conditional, params, encoded, {})

    def recession(
        self, columns: Mapping[str, np.ndarray], groups: Sequence[np.ndarray] | None
    ) -> tuple[Cone, ...] | None:
        """Whoever dies must not lose against anyone at risk.

        Against those who died next, or with them, and those who left observation in between is enough: the next one does
        not lose against the others.
        """
        number, died = columns[ENTERS], columns[EVENT] > 0
        n = len(number)
        rows = np.flatnonzero((number < n) & (columns[WEIGHT] > 0))
        first = np.full(n, -1)  # a death at each event time
        first[number[died]] = np.flatnonzero(died)
        if ENDS in columns:
            return self._against_all(rows, number, columns[ENDS], first, died)
        same = rows[first[number[rows]] != rows]
        a, b = first[number[same]], same
        tied = same[died[same]]  # who die together must not lose against each other
        numbers = np.arange(1, np.max(number[rows]) + 1)
        chain = numbers[columns[BEGINS][numbers] == 0]
        mine = np.concatenate([a, tied, first[chain]])
        other = np.concatenate([b, first[number[tied]], first[chain - 1]])
        return (Contrast((Term("log_hazard", mine, 1.0), Term("log_hazard", other, -1.0))),) if len(mine) else ()

    def _against_all(
        self, rows: np.ndarray, number: np.ndarray, ends: np.ndarray, first: np.ndarray, died: np.ndarray
    ) -> tuple[Cone, ...] | None:
        """With late entry sets at risk are not nested, and each death is compared with everyone."""
        length = (ends - number)[rows]
        if length.sum() > MOST_PAIRS:
            return None
        other = np.repeat(rows, length)
        when = np.arange(len(other)) - np.repeat(np.cumsum(length) - length, length) + number[other]
        mine = first[when]
        tied = died[other] & (number[other] == when) & (mine != other)
        a, b = np.concatenate([mine, other[tied]]), np.concatenate([other, mine[tied]])
        return (Contrast((Term("log_hazard", a[a != b], 1.0), Term("log_hazard", b[a != b], -1.0))),)

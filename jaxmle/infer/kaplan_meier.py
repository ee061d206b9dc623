"""The product-limit estimate of a survival function (Kaplan and Meier, 1958), which assumes no distribution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..declare.combinators.censored import ENTERED, ENTRY, EXACT, KIND, LOW, RIGHT, UNKNOWN, VALUE, Censoring
from ..declare.conditional import conditional_of
from ..errors import DataError, ModelError
from .intervals import half_width


@dataclass(frozen=True)
class KaplanMeier:
    """P(T > t) just after each time of an event: arrays (m,), times rising.

    `at_risk` are under observation just before, `events` happen then; `std_error` is Greenwood's. `censored` are the
    times at which observation ended without an event.
    """

    time: np.ndarray
    at_risk: np.ndarray
    events: np.ndarray
    survival: np.ndarray
    std_error: np.ndarray
    censored: np.ndarray

    def confint(self, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
        """Pointwise intervals (low, high), formed for log(−log S) so that they stay between 0 and 1.

        Kalbfleisch and Prentice (2002, The Statistical Analysis of Failure Time Data, equation 1.13). NaN where the
        estimate is 0.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            half = half_width(level) * self.std_error / (self.survival * np.abs(np.log(self.survival)))
            return self.survival ** np.exp(half), self.survival ** np.exp(-half)


def kaplan_meier(
    time: np.ndarray, event: np.ndarray, entry: np.ndarray | None = None, weights: np.ndarray | None = None
) -> KaplanMeier:
    """The product-limit estimate; censored times tied with an event count as later.

    Arguments:
        time: when observation ended, shape (n,); `event` whether by an event.
        entry: when it began, shape (n,); None if it did at the origin. A row is at risk after its entry.
        weights: frequencies, shape (n,).

    Raises:
        DataError: where no event was seen.
    """
    time, event = np.asarray(time, np.float64), np.asarray(event, bool)
    weights = np.ones(len(time)) if weights is None else np.asarray(weights, np.float64)
    at = np.unique(time[event & (weights > 0)])
    if not len(at):
        raise DataError("No event was seen: there is no survival curve to estimate.")
    leaving = _at_least(time, weights, at)
    events = leaving - _at_least(time[~event], weights[~event], at) - _above(time[event], weights[event], at)
    at_risk = leaving if entry is None else leaving - _at_least(np.asarray(entry, np.float64), weights, at)
    left = at_risk - events
    with np.errstate(divide="ignore", invalid="ignore"):
        survival = np.cumprod(left / at_risk)
        std_error = survival * np.sqrt(np.cumsum(events / (at_risk * left)))
    std_error[survival == 0] = np.nan
    return KaplanMeier(at, at_risk, events, survival, std_error, np.unique(time[~event & (weights > 0)]))


def _at_least(values: np.ndarray, weights: np.ndarray, at: np.ndarray) -> np.ndarray:
    """The sum of the weights of values that are not below each of `at`."""
    order = np.argsort(values, kind="stable")
    below = np.concatenate([[0.0], np.cumsum(weights[order])])
    return below[-1] - below[np.searchsorted(values[order], at, side="left")]


def _above(values: np.ndarray, weights: np.ndarray, at: np.ndarray) -> np.ndarray:
    order = np.argsort(values, kind="stable")
    below = np.concatenate([[0.0], np.cumsum(weights[order])])
    return below[-1] - below[np.searchsorted(values[order], at, side="right")]


def observed_times(fit: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Times, whether they are of events, and entries or None, of the rows of a fit; rows that say nothing have time NaN.

    Raises:
        ModelError: for a response that is no number, or censored otherwise than from the right.
    """
    conditional = conditional_of(fit.model, "A survival curve")
    support, table = conditional.support, fit.session.used
    if support is None or hasattr(conditional.kind, "probabilities"):
        raise ModelError(f"A survival curve is of a response that is one number; {fit.model.title!r} has none.")
    if not isinstance(conditional, Censoring):
        time = table.numeric(conditional.response[0]).astype(np.float64)
        return time, np.ones(len(time), bool), None
    if not set(conditional.kinds) <= {EXACT, RIGHT, UNKNOWN}:
        raise ModelError(
            "The product-limit estimate is for right-censored times with or without late entry; here some are "
            "censored from the left or in intervals."
        )
    kind = table.numeric(KIND)
    time = np.where(kind == EXACT, table.numeric(VALUE), table.numeric(LOW) + float(support.whole))
    entry = None
    if conditional.entry is not None:
        entry = np.where(table.numeric(ENTERED) > 0, table.numeric(ENTRY), -np.inf)
    return np.where(kind == UNKNOWN, np.nan, time), kind == EXACT, entry

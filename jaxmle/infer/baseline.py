"""What a Cox model says of time: the baseline hazard that the partial likelihood leaves open, and survival given a row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..declare.dependence.cox import PartialLikelihood
from ..declare.dependence.risk_sets import Times, tie_fractions
from ..declare.model import Model
from ..errors import DataError, ModelError, rows_in_words
from ..objective.rebuild import derivatives_of_rows
from .estimates import Estimates
from .predict import Prediction, unconstrained_covariance
from .statements import Predictor


@dataclass(frozen=True, eq=False)
class Baseline:
    """The hazard of a row whose predictor is zero, stratum by stratum at the times of events, rising; arrays (m,).

    `hazard` is its jump then (Breslow, 1972; where ties are Efron's, his), `cumulative` the sum of the jumps so far.
    `stratum` is the number of each, `strata` the values of the columns in `by` for each number. `ends` is the last time
    under observation in each stratum, and `variance` that of `cumulative`, the coefficients known.
    """

    by: tuple[str, ...]
    strata: tuple[tuple[Any, ...], ...]
    stratum: np.ndarray
    time: np.ndarray
    hazard: np.ndarray
    cumulative: np.ndarray
    ends: np.ndarray
    variance: np.ndarray
    slope: np.ndarray

    @property
    def survival(self) -> np.ndarray:
        """exp(−cumulative hazard), of a row whose predictor is zero."""
        return np.exp(-self.cumulative)

    def columns(self) -> dict[str, np.ndarray]:
        """The table of these numbers by column, the strata under the names of their own columns."""
        labels = {name: np.array([self.strata[s][i] for s in self.stratum]) for i, name in enumerate(self.by)}
        return labels | {n: getattr(self, n) for n in ("time", "hazard", "cumulative", "survival")}

    def __str__(self) -> str:
        columns = self.columns()
        shown = [list(columns)] + [[_text(v) for v in row] for row in zip(*columns.values())]
        if len(shown) > 13:
            shown = [*shown[:7], ["…"] * len(columns), *shown[-5:]]
        widths = [max(map(len, c)) for c in zip(*shown)]
        return "\n".join("  ".join(x.rjust(w) for x, w in zip(row, widths)).rstrip() for row in shown)

    __repr__ = __str__


def _text(value: Any) -> str:
    return f"{value:.5g}" if isinstance(value, float | np.floating) else str(value)


def cox_of(model: Model, what: str) -> PartialLikelihood:
    """The partial likelihood of a Cox model; `ModelError` for any other."""
    if not isinstance(model.log_density, PartialLikelihood):
        raise ModelError(f"{what} is of a Cox model; {model.title!r} is none: jm.cox('time ~ x', event='died').")
    return model.log_density


def predictor_of(model: Model, params: Mapping[str, Any], table: Any) -> tuple[np.ndarray, np.ndarray, Any, np.ndarray]:
    """The log relative hazard of rows, its derivatives in the flat vector (rows, size), and where these were taken."""
    parts = list(derivatives_of_rows(model, params, table, Predictor("log_hazard")))
    _, _, objective, z = parts[0]
    eta, slope = np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])
    return eta, slope, objective, z


def baseline_of(model: Model, params: Mapping[str, Any], table: Any, weights: np.ndarray) -> Baseline:
    """The baseline of a fitted Cox model from the rows that were fitted and their weights."""
    partial = cox_of(model, "A baseline hazard")
    eta, x, *_ = predictor_of(model, params, table)
    time, event, entry, _ = partial.observed_times(table)
    stratum, strata = partial.stratum(table)
    event = event & (weights > 0)
    times = Times.of(time, event, stratum, entry)
    m = len(times.time)
    fraction = tie_fractions(times.enters, event) if partial.ties == "efron" else np.zeros(len(time))
    number, died = times.enters, np.flatnonzero(event)
    hazard, variance, slope = np.zeros(m), np.zeros(m), np.zeros((m, x.shape[1]))
    for code in range(len(strata)):
        rows = np.flatnonzero(stratum == code)
        mine = np.flatnonzero(times.stratum == code)
        if not len(mine):
            continue
        shift, first, deaths = eta[rows].max(), mine[0], died[stratum[died] == code]
        risk = weights * np.exp(eta - shift)
        sums = [_summed(risk[rows], x[rows], number[rows] - first, len(mine))]
        sums.append(_summed(risk[rows], x[rows], np.maximum(times.ends, number)[rows] - first, len(mine)))
        whole, xs = (np.cumsum(a - b, axis=0) for a, b in zip(*sums))
        tied, tied_x = _summed(risk[deaths], x[deaths], number[deaths] - first, len(mine))
        k, gone = number[deaths] - first, fraction[deaths]
        total = whole[k] - gone * tied[k]
        jump = weights[deaths] / total * np.exp(-shift)
        np.add.at(hazard, number[deaths], jump)
        np.add.at(variance, number[deaths], jump / total * np.exp(-shift))
        np.add.at(slope, number[deaths], -(jump / total)[:, None] * (xs[k] - gone[:, None] * tied_x[k]))
    order = np.lexsort((times.time, times.stratum))
    along = lambda values: _cumulated(values[order], times.stratum[order])
    ends = np.array([time[stratum == code].max() for code in range(len(strata))])
    labels = tuple(tuple(x.item() if isinstance(x, np.generic) else x for x in one) for one in strata)
    return Baseline(
        partial.strata,
        labels,
        times.stratum[order],
        times.time[order],
        hazard[order],
        along(hazard),
        ends,
        along(variance),
        along(slope),
    )


def _summed(risk: np.ndarray, x: np.ndarray, number: np.ndarray, m: int) -> tuple[np.ndarray, np.ndarray]:
    """Σ risk and Σ risk·x by number (those from m on are left out)."""
    inside = number < m
    total = np.bincount(number[inside], risk[inside], minlength=m)
    columns = [np.bincount(number[inside], (risk * column)[inside], minlength=m) for column in x.T]
    return total, np.stack(columns, axis=1) if columns else np.zeros((m, 0))


def _cumulated(values: np.ndarray, stratum: np.ndarray) -> np.ndarray:
    out = np.empty_like(values)
    for code in np.unique(stratum):
        out[stratum == code] = np.cumsum(values[stratum == code], axis=0)
    return out


def survival_of(
    model: Model, estimates: Estimates, baseline: Baseline, table: Any, what: str, at: np.ndarray, se: bool
) -> Any:
    """P(T > t | row), or its cumulative hazard, at the times `at`: (rows, times), or (rows,) for one time.

    After the last time under observation in a row's stratum nothing is known: NaN. The standard error is of Tsiatis'
    variance (1981, Annals of Statistics 9, 93-108), in the coefficients and in the baseline.

    Raises:
        DataError: for rows of a stratum that was not fitted.
    """
    stratum = _known_strata(cox_of(model, f"predict(what={what!r})"), baseline, table)
    eta, x, objective, z = predictor_of(model, estimates.params, table)
    risk = np.exp(eta)
    known = np.zeros((2, len(eta), at.size))
    gradient = np.zeros((len(eta), at.size, x.shape[1] if se else 0))
    for code in np.unique(stratum):
        rows, mine = np.flatnonzero(stratum == code), np.flatnonzero(baseline.stratum == code)
        step = np.searchsorted(baseline.time[mine], at.ravel(), side="right")
        held = (baseline.cumulative, baseline.variance, baseline.slope)
        cumulative, variance, bend = (np.concatenate([0 * v[:1], v[mine]])[step] for v in held)
        known[0][rows] = risk[rows, None] * np.where(at.ravel() > baseline.ends[code], np.nan, cumulative)
        known[1][rows] = risk[rows, None] ** 2 * variance
        if se:
            through = x[rows][:, None, :] * cumulative[None, :, None] + bend[None]
            gradient[rows] = risk[rows, None, None] * through
    survives = what == "survival"
    shape = (len(eta), *at.shape)
    value = np.exp(-known[0]) if survives else known[0]
    if not se:
        return value.reshape(shape)
    covariance, unknown = unconstrained_covariance(estimates, objective, z)
    variance = known[1] + np.einsum("rti,ij,rtj->rt", gradient, covariance, gradient)
    error = np.sqrt(np.maximum(variance, 0.0)) * (value if survives else 1.0)
    error[np.isnan(value) | (np.abs(gradient[:, :, unknown]) > 0).any(axis=2)] = np.nan
    return Prediction(value.reshape(shape), error.reshape(shape))


def times_asked(times: Any, what: str) -> np.ndarray:
    """The times of a prediction, () or (m,)."""
    try:
        at = np.asarray(times, np.float64)
    except (TypeError, ValueError):
        at = np.array(np.nan)
    if times is None or at.ndim > 1 or np.isnan(at).any():
        raise ModelError(f"predict(what={what!r}) needs times=, a number or several: times=[1, 5]; got {times!r}.")
    return at


def _known_strata(partial: PartialLikelihood, baseline: Baseline, table: Any) -> np.ndarray:
    number = {label: i for i, label in enumerate(baseline.strata)}
    columns: Sequence[list] = [np.asarray(table.column(s, "the strata")).tolist() for s in partial.strata]
    found = np.array([number.get(label, -1) for label in zip(*columns)] if columns else [0] * table.n_rows, int)
    if (found < 0).any():
        rows = np.flatnonzero(found < 0)
        raise DataError(
            f"The strata ({', '.join(partial.strata)}) of {rows_in_words(table.numbered(rows))} were not fitted: they "
            "have no baseline."
        )
    return found

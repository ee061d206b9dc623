"""Marginal effects and contrasts: averages of predictions, how they move with a column of the data, and how surely.

Every effect is a function of averages over the rows. Their derivatives by the parameters are exact, from one pass each,
and standard errors follow by the delta method from the covariance of the fit, the rows taken as given (as in Stata's
`margins` and R's `marginaleffects`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, product
from types import MappingProxyType
from typing import Any

import numpy as np

from ..errors import ModelError
from ..special import ndtr
from .averages import Averages, Case
from .intervals import chosen, half_width
from .settings import Change, checked, levels_of, settings

SCALES = ("dydx", "eyex", "dyex", "eydx")
SCHEMES = ("reference", "pairwise", "sequential")
KINDS = ("difference", "ratio")


@dataclass(frozen=True)
class Effect:
    """What one number is about: a `column`, what is done to it (`change`), and of which outcome, group and values.

    `change` is "dy/dx" and the like, or the levels that are compared, such as "b - a".
    """

    column: str
    change: str
    outcome: tuple[str, str] = ("", "")
    group: tuple[str, Any] | None = None
    at: tuple[tuple[str, Any], ...] = ()

    @property
    def name(self) -> str:
        """`age`, `site[b - a]`, `age | grade = A, clinic = 3`."""
        own = self.column if self.change == "dy/dx" else f"{self.column}[{self.change}]"
        return f"{own} | {self.where}" if self.where else own

    @property
    def where(self) -> str:
        """Outcome, group and values in words."""
        pairs = [self.outcome, *([self.group] if self.group else []), *self.at]
        return ", ".join(f"{name} = {shown(value)}" if name else value for name, value in pairs if value != "")


def shown(value: Any) -> str:
    """A value in a name."""
    return f"{value:.6g}" if isinstance(value, float | np.floating) else str(value)


@dataclass(frozen=True, eq=False, repr=False)
class Effects:
    """Effects with their covariance; what `Fit.marginal_effects` and `Fit.contrasts` return.

    Arguments:
        title: what they are, in words.
        effects: what each of the m numbers is about.
        values: shape (m,); `covariance` (m, m), NaN where an estimate has no standard error.
        null: the value of no effect, 0, or 1 for ratios, whose tests and intervals are formed on their logarithm.
        covariance_kind: which covariance of the estimates was used.
    """

    title: str
    effects: tuple[Effect, ...]
    values: np.ndarray
    covariance: np.ndarray
    null: float
    covariance_kind: str

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(e.name for e in self.effects)

    @property
    def estimates(self) -> Mapping[str, float]:
        """The effects by name."""
        return self._named(self.values)

    @property
    def std_errors(self) -> Mapping[str, float]:
        """Standard errors by name, by the delta method."""
        return self._named(self.errors)

    @property
    def z_values(self) -> Mapping[str, float]:
        """How many standard errors each effect is from no effect."""
        return self._named(self.z)

    @property
    def p_values(self) -> Mapping[str, float]:
        """Two-sided p-values of no effect, from the normal distribution."""
        return self._named(self.p)

    @cached_property
    def errors(self) -> np.ndarray:
        return np.sqrt(np.diag(self.covariance))

    @cached_property
    def z(self) -> np.ndarray:
        with np.errstate(invalid="ignore", divide="ignore"):
            if self.null == 1.0:
                return np.log(self.values) * self.values / self.errors
            return np.where(self.errors > 0, self.values / self.errors, np.nan)

    @cached_property
    def p(self) -> np.ndarray:
        return 2 * ndtr(-np.abs(self.z))

    def ends(self, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper ends of Wald intervals, shape (m,) each."""
        half = half_width(level) * self.errors
        if self.null == 1.0:
            with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
                factor = np.exp(half / self.values)
                return self.values / factor, self.values * factor
        return self.values - half, self.values + half

    def confint(self, level: float = 0.95, names: Sequence[str] | None = None) -> dict[str, tuple[float, float]]:
        """Wald intervals by name: (low, high).

        Raises:
            ModelError: for a level that is not between 0 and 1, and for names that are not known.
        """
        ends = {name: (float(a), float(b)) for name, a, b in zip(self.names, *self.ends(level))}
        return {name: ends[name] for name in chosen(names, self.names)}

    def _named(self, values: np.ndarray) -> Mapping[str, float]:
        return MappingProxyType(dict(zip(self.names, map(float, values))))


def marginal_effects(case: Case, columns: Any, at: Any, by: Any, scale: str, discrete: bool) -> Effects:
    """`Fit.marginal_effects`."""
    if scale not in SCALES:
        raise ModelError(f"scale must be one of {', '.join(map(repr, SCALES))}; got {scale!r}.")
    asked_by = "marginal_effects(columns=...)"
    if columns is None:
        chosen_columns = [c for c in case.columns.values() if c.main]
        if not chosen_columns:
            raise ModelError("The predictions depend on no column, so there is no effect to measure.")
    else:
        names = [columns] if isinstance(columns, str) else columns
        if not isinstance(names, list | tuple) or not names:
            raise ModelError(f"marginal_effects: columns is a column's name or several; got {columns!r}.")
        chosen_columns = [case.column(name, asked_by) for name in names]
    plan: list[Step] = []
    for column in chosen_columns:
        levels = levels_of(column, case.table, discrete)
        if levels:
            plan += [Step(column.name, Change(levels[0]), Change(level)) for level in levels[1:]]
        else:
            case.table.numeric(column.name, "marginal_effects")
            plan.append(Step(column.name))
    kind = (
        ""
        if scale == "dydx"
        else {"eyex": "elasticities", "eydx": "semi-elasticities", "dyex": "effects by log"}[scale]
    )
    effects = f"marginal effects on {case.words}"
    title = f"M{effects[1:]}, at the means" if _at_means(at) else f"Average {effects}"
    title += f", {kind} ({scale})" if kind else ""
    return _effects(case, plan, at, by, scale, 0.0, title)


def contrasts(case: Case, contrast: Any, at: Any, by: Any, kind: str) -> Effects:
    """`Fit.contrasts`."""
    if kind not in KINDS:
        raise ModelError(f"kind must be 'difference' or 'ratio'; got {kind!r}.")
    if isinstance(contrast, str):
        contrast = {contrast: "reference"}
    if not isinstance(contrast, Mapping) or not contrast:
        raise ModelError(f"contrast maps columns to what is compared, {{'treated': (0, 1)}}; got {contrast!r}.")
    plan = [step for name, how in contrast.items() for step in _compared(case, name, how)]
    what = f"Differences of {case.words}" if kind == "difference" else f"Ratios of {case.words}"
    title = f"{what}, at the means" if _at_means(at) else f"{what}, averaged over the rows"
    return _effects(case, plan, at, by, kind, float(kind == "ratio"), title)


@dataclass(frozen=True)
class Step:
    """One effect of a column: from one value to another, or its derivative where there are none."""

    column: str
    low: Change | None = None
    high: Change | None = None


def _compared(case: Case, name: Any, how: Any) -> list[Step]:
    """The comparisons that are meant by one entry of `contrast`."""
    asked_by = "contrasts"
    column = case.column(name, asked_by)
    if isinstance(how, str):
        levels = levels_of(column, case.table, True)
        if how not in SCHEMES or not levels:
            raise ModelError(
                f"contrasts: {name!r} is compared between two values, (a, b), or by a step to add, 1.0; factors also by "
                f"{', '.join(map(repr, SCHEMES))}. Got {how!r}."
            )
        pairs = {
            "reference": [(levels[0], b) for b in levels[1:]],
            "pairwise": list(combinations(levels, 2)),
            "sequential": list(zip(levels, levels[1:])),
        }[how]
        return [Step(column.name, Change(a), Change(b)) for a, b in pairs]
    if isinstance(how, tuple | list):
        if len(how) != 2:
            raise ModelError(f"contrasts: {name!r} is compared between two values, (a, b); got {how!r}.")
        a, b = (checked(column, case.table, value, asked_by) for value in how)
        return [Step(column.name, Change(a), Change(b))]
    if isinstance(how, bool) or not isinstance(how, int | float | np.number) or column.levels:
        raise ModelError(f"contrasts: {name!r} is compared between two values, (a, b); got {how!r}.")
    step = checked(column, case.table, how, asked_by)
    return [Step(column.name, Change(0.0, added=True), Change(step, added=True))]


def _at_means(at: Any) -> bool:
    return isinstance(at, str) and at == "mean"


def _effects(case: Case, plan: Sequence[Step], at: Any, by: Any, kind: str, null: float, title: str) -> Effects:
    """The effects of a plan, for every setting, group and outcome, with their covariance."""
    answers = [question.answer for question in case.questions(1)]
    about, values, slopes = [], [], []
    for setting in settings(case.columns, case.table, case.weights, at, by):
        averages = Averages(case, setting)
        found = [(step, *_of_step(averages, step, kind)) for step in plan]
        for (g, (group, _)), (k, answer) in product(enumerate(setting.groups), enumerate(answers)):
            for step, value, slope in found:
                about.append(Effect(step.column, _change(step, kind), answer, group, setting.at))
                values.append(value[g, k])
                slopes.append(slope[g, k])
    known, unknown = case.covariance()
    moves = np.stack(slopes)
    covariance = moves @ known @ moves.T
    lost = (np.abs(moves[:, unknown]) > 0).any(axis=1)
    covariance[lost], covariance[:, lost] = np.nan, np.nan
    return Effects(title, tuple(about), np.array(values), covariance, null, case.estimates.covariance_kind)


def _of_step(averages: Averages, step: Step, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Values (groups, outcomes) and derivatives by the parameters."""
    if step.low is None or step.high is None:
        return averages.slope(step.column, kind)
    (low, d_low), (high, d_high) = (averages.prediction(step.column, c, kind) for c in (step.low, step.high))
    if kind == "ratio":
        return high / low, d_high / low[..., None] - (high / low**2)[..., None] * d_low
    return high - low, d_high - d_low


def _change(step: Step, kind: str) -> str:
    if step.low is None or step.high is None:
        return {"dydx": "dy/dx", "eyex": "ey/ex", "eydx": "ey/dx", "dyex": "dy/ex"}[kind]
    if step.high.added:
        return f"+{shown(step.high.value)}"
    return f"{shown(step.high.value)} {'/' if kind == 'ratio' else '-'} {shown(step.low.value)}"

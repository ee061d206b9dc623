"""Marginal effects and contrasts as a table for people."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..infer.effects import Effect, Effects
from . import html, text
from .digits import MINUS
from .forest import axis_of
from .table import SHOWN, Section, Table, rows_of


@dataclass(frozen=True, eq=False, repr=False)
class MarginalEffects(Effects):
    """Effects of columns on predictions, with standard errors; what `Fit.marginal_effects` and `Fit.contrasts` return.

    `estimates`, `std_errors`, `z_values`, `p_values` and `confint(level)` are by name; `values` and `covariance` are
    arrays in the order of `names`. It prints as a table.
    """

    frame: Callable[[dict[str, list]], Any] = field(default=dict)

    def tidy(self, level: float = 0.95) -> Any:
        """One row per effect, in the user's own frame type.

        Columns: term, contrast, then outcome, the column of `by=` and those of `at=` where there are any, then estimate,
        std_error, statistic, p_value, conf_low, conf_high.

        Raises:
            ModelError: if `level` is not between 0 and 1.
        """
        low, high = self.ends(level)
        columns: dict[str, list] = {
            "term": [e.column for e in self.effects],
            "contrast": [e.change for e in self.effects],
        }
        if any(e.outcome[1] for e in self.effects):
            columns["outcome"] = [e.outcome[1] for e in self.effects]
        pairs = [dict([*([e.group] if e.group else []), *e.at]) for e in self.effects]
        columns |= {name: [pair[name] for pair in pairs] for name in pairs[0]}
        numbers = {
            "estimate": self.values,
            "std_error": self.errors,
            "statistic": self.z,
            "p_value": self.p,
            "conf_low": low,
            "conf_high": high,
        }
        return self.frame(columns | {name: np.asarray(v, float).tolist() for name, v in numbers.items()})

    def text(self, level: float = 0.95, width: int | None = None, encoding: str | None = None) -> str:
        """The table as text of `width` columns (the terminal's), in symbols of an encoding (that of stdout)."""
        return text.render(self._table(level), width, encoding).rstrip()

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        return html.render(self._table(0.95))

    def _section(self, among: slice, said: list[tuple[str, str]], level: float) -> Section:
        """The effects under one heading; `said` are pairs of heading and label."""
        low, high, z, p = (x[among] for x in (*self.ends(level), self.z, self.p))
        nothing = np.isnan(self.errors[among]).astype(int).tolist()
        rows = rows_of([label for _, label in said], nothing, self.values[among], self.errors[among], low, high, z, p)
        axis = axis_of(low, high, np.full(len(rows), self.null == 0.0), np.zeros(len(rows), bool))
        return Section(said[0][0], rows, axis)

    def _table(self, level: float) -> Table:
        shown = min(len(self.effects), SHOWN)
        said = [(e.where, _label(e)) for e in self.effects[:shown]]
        if len({label for _, label in said}) == 1:  # one column in several groups: they are the rows
            said = [(label, where) if where else (where, label) for where, label in said]
        ends = [i for i in range(1, shown) if said[i][0] != said[i - 1][0]]
        sections = [self._section(slice(a, b), said[a:b], level) for a, b in zip([0, *ends], [*ends, shown])]
        lost = bool(np.isnan(self.errors).any())
        kind = self.covariance_kind
        return Table(
            title=self.title,
            head=(),
            alarm="",
            sections=tuple(sections),
            n_hidden=len(self.effects) - shown,
            tested=bool(np.isfinite(self.z).any()),
            level=f"{100 * level:.6g} % interval",
            footnotes=("a coefficient that it depends on has no standard error: see fit.withheld",) if lost else (),
            remarks=(f"standard errors: {kind} covariance",) if kind != "observed" else (),
            verdict=(),
            effort="",
        )


def _label(effect: Effect) -> str:
    change = effect.change.replace(" - ", f" {MINUS} ")
    return effect.column if change == "dy/dx" else f"{effect.column}: {change}"

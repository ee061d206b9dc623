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

    def _table(self, level: float) -> Table:
        low, high = self.ends(level)
        shown = min(len(self.effects), SHOWN)
        sections: list[Section] = []
        start = 0
        while start < shown:
            stop = start
            while stop < shown and self.effects[stop].where == self.effects[start].where:
                stop += 1
            among = slice(start, stop)
            labels = [_label(e) for e in self.effects[among]]
            nothing = np.isnan(self.errors[among]).astype(int).tolist()
            numbers = (x[among] for x in (self.values, self.errors, low, high, self.z, self.p))
            rows = rows_of(labels, nothing, *numbers)
            axis = axis_of(low[among], high[among], np.full(len(rows), self.null == 0.0), np.zeros(len(rows), bool))
            sections.append(Section(self.effects[start].where, rows, axis))
            start = stop
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

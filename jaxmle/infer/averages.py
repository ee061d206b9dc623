"""Averages of predictions over rows, as they are or changed, and of their slopes, with exact derivatives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..declare.conditional import Conditional
from ..declare.model import Model
from ..errors import ModelError, did_you_mean
from ..objective.covariates import TANGENT, Covariate, covariates, with_tangents
from ..objective.rebuild import averages_of_rows, rebuilt
from .estimates import Estimates
from .predict import Question, binary, questions, unconstrained_covariance
from .settings import Change, Setting
from .statements import Logarithm, Natural, Predictor, Slope


@dataclass(frozen=True)
class Case:
    """What is asked of which rows: `what` in words, `questions` on rows with `weights`, the columns that matter."""

    model: Model
    estimates: Estimates
    table: Any
    weights: np.ndarray
    questions: Callable[[int], list[Question]]
    columns: Mapping[str, Covariate]
    words: str

    @staticmethod
    def of(model: Model, estimates: Estimates, table: Any, weights: np.ndarray, what: Any, q: Any, value: Any) -> Case:
        conditional = model.log_density if isinstance(model.log_density, Conditional) else None
        if what is None:
            if conditional is None:
                raise ModelError(
                    f"The effect on what? {model.title!r} is a log-density alone, so what= is a parameter "
                    f"({', '.join(model.params)}) or a function of (p, row)."
                )
            labelled = getattr(conditional, "levels", None) is not None and not binary(conditional)
            what = "prob" if labelled else "mean"
        if isinstance(what, str) and what in ("label", "interval") and what not in model.params:
            instead = "what='prob'" if what == "label" else "what='quantile' with q="
            raise ModelError(f"A change of {what!r} is no number; ask for {instead}.")
        steps = conditional is not None and conditional.support is not None and conditional.support.whole
        if isinstance(what, str) and what == "quantile" and steps:
            raise ModelError("A quantile of counts moves in steps, so it has no derivative; ask for a probability.")
        asked = lambda n: questions(model, conditional, n, what, q, value)[0]
        functions = [question.function for question in asked(1)]
        own = [f.name for f in functions if isinstance(f, Natural | Predictor)]
        of = replace(model, params={name: model.params[name] for name in own}) if own else model
        columns = covariates(of, table.with_columns(asked(table.n_rows)[0].columns), functions[0])
        columns = {name: c for name, c in columns.items() if not name.startswith(" ")}
        name = getattr(what, "__name__", "<lambda>")
        words = ("a function" if name == "<lambda>" else name) if callable(what) else _in_words(str(what), conditional)
        return Case(model, estimates, table, weights, asked, columns, words)

    def covariance(self) -> tuple[np.ndarray, np.ndarray]:
        """The covariance of the flat unconstrained vector, and a mask of the entries that have none."""
        (question, *_), few = self.questions(1), self.table.take(np.zeros(1, int)).with_columns
        model = replace(self.model, log_density=question.function, unit="row")
        return unconstrained_covariance(self.estimates, *rebuilt(model, self.estimates.params, few(question.columns)))

    def column(self, name: Any, asked_by: str) -> Covariate:
        """A column that predictions depend on; raises `ModelError` for any other."""
        if isinstance(name, str) and name in self.columns:
            return self.columns[name]
        hint = did_you_mean(str(name), self.columns)
        if isinstance(name, str) and name in self.table.names:
            raise ModelError(f"{asked_by}: the predictions do not depend on column {name!r}.{hint}")
        raise ModelError(f"{asked_by}: the data have no column {name!r}.{hint}")


def _in_words(what: str, conditional: Conditional | None) -> str:
    if what == "mean" and conditional is not None and binary(conditional):
        return "the probability"
    words = {"mean": "the mean", "prob": "the probability", "variance": "the variance", "quantile": "the quantile"}
    return words.get(what, "the linear predictor" if what == "linear" else what)


@dataclass
class Averages:
    """Averages over the rows of one setting, in its groups, with derivatives by the parameters; none is taken twice."""

    case: Case
    setting: Setting
    known: dict[Any, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)

    def prediction(self, column: str, change: Change, scale: str = "dydx") -> tuple[np.ndarray, np.ndarray]:
        """Average predictions (groups, outcomes) with a column changed, their logarithms for "eyex" and "eydx"."""
        key = (column, repr(change), scale in ("eyex", "eydx"))
        if key not in self.known:
            table = change.of(column, self.setting.table)
            wrap = Logarithm if key[-1] else lambda f: f
            self.known[key] = self._averaged(self.case.model, self.case.estimates.params, table, wrap, {})
        return self.known[key]

    def slope(self, column: str, scale: str = "dydx") -> tuple[np.ndarray, np.ndarray]:
        """Average derivatives (groups, outcomes) by a column."""
        case, table = self.case, self.setting.table
        model, params, table, which = with_tangents(case.model, case.estimates.params, table, column)
        pairs = tuple((tangent.removeprefix(TANGENT), tangent) for tangent in which)
        wrap = lambda f: Slope(f, column, pairs, case.columns[column].direct, scale)
        return self._averaged(model, params, table, wrap, which)

    def _averaged(
        self, model: Model, params: Mapping[str, Any], table: Any, wrap: Callable[[Any], Any], which: Mapping[str, Any]
    ) -> tuple[np.ndarray, np.ndarray]:
        values, slopes = [], []
        weights = [w for _, w in self.setting.groups]
        for question in self.case.questions(table.n_rows):
            value, slope, objective = averages_of_rows(
                model, params, table, wrap(question.function), question.columns, weights
            )
            values.append(value)
            slopes.append(_folded(slope, objective.layout, which))
        return np.stack(values, axis=1), np.stack(slopes, axis=1)


def _folded(slope: np.ndarray, layout: Any, which: Mapping[str, np.ndarray]) -> np.ndarray:
    """Derivatives by the parameters of the fit: those by a tangent's coefficients belong to the predictor's own."""
    blocks = {b.name: b for b in layout.blocks}
    size = sum(b.stop - b.start for b in layout.blocks if b.name not in which)
    out = slope[:, :size].copy()
    for tangent, positions in which.items():
        own, new = blocks[tangent.removeprefix(TANGENT)], blocks[tangent]
        at = own.start + (positions[:, None] * own.n_outputs + np.arange(own.n_outputs)).ravel()
        out[:, at] += slope[:, new.start : new.stop]
    return out

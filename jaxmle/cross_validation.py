"""`jm.cross_validate`: the strength of a penalty by how well rows are predicted that were not fitted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from .declare.model import Model
from .declare.penalties import ElasticNet
from .errors import DataError, ModelError
from .infer.scores import score_of
from .path import Path, Setting, fit_path
from .report.plots.paths import plot_scores
from .result import Fit
from .solve.solver import INTERRUPTED


@dataclass(frozen=True, eq=False, repr=False)
class CrossValidation:
    """How well penalised fits predict rows that they have not seen; what `jm.cross_validate` returns.

    Arguments:
        path: the fits to all data.
        folds: for each unit (row or group) that is used, the number of its fold.
        scores: mean score of the units of each fold, predicted by the fit to the others, shape (folds, k).
        weights: the sum of the weights of each fold.
        score: its name; `larger` whether a larger one is better.
    """

    path: Path
    folds: np.ndarray
    scores: np.ndarray
    weights: np.ndarray
    score: str
    larger: bool

    @property
    def strengths(self) -> np.ndarray:
        """The k strengths, decreasing."""
        return self.path.strengths

    @cached_property
    def mean(self) -> np.ndarray:
        """The mean score over the folds, by weight, shape (k,)."""
        return self.weights @ self.scores / self.weights.sum()

    @cached_property
    def std_error(self) -> np.ndarray:
        """Its standard error, from the differences between folds, shape (k,)."""
        spread = self.weights @ (self.scores - self.mean) ** 2 / self.weights.sum()
        return np.sqrt(spread / (len(self.weights) - 1))

    @property
    def best_index(self) -> int:
        """The number of the strength with the best mean score."""
        worth = self.mean if self.larger else -self.mean
        return int(np.nanargmax(worth))

    @property
    def one_se_index(self) -> int:
        """The number of the largest strength whose mean score is within a standard error of the best."""
        worth = self.mean if self.larger else -self.mean
        return int(np.flatnonzero(worth >= worth[self.best_index] - self.std_error[self.best_index])[0])

    @property
    def best(self) -> float:
        return float(self.strengths[self.best_index])

    @property
    def best_one_se(self) -> float:
        return float(self.strengths[self.one_se_index])

    def fit(self, rule: str = "best") -> Fit:
        """The fit to all data at the strength that was chosen: "best", or "one_se" for the sparser one."""
        if rule not in ("best", "one_se"):
            raise ModelError(f"rule is 'best' or 'one_se'; got {rule!r}.")
        return self.path.fit(self.best_index if rule == "best" else self.one_se_index)

    def tidy(self) -> Any:
        """One row per strength, in the user's own frame type: strength, mean, std_error, df."""
        columns = {"strength": self.strengths, "mean": self.mean, "std_error": self.std_error, "df": self.path.df}
        return self.path.setting.table.frame_like({name: values.tolist() for name, values in columns.items()})

    def plot(self, ax: Any = None) -> Any:
        """The scores against the strength; returns the matplotlib Axes."""
        return plot_scores(self, ax)

    def __repr__(self) -> str:
        at = lambda i: f"{self.strengths[i]:.4g} ({self.score} {self.mean[i]:.5g} ± {self.std_error[i]:.2g})"
        return (
            f"Cross-validation in {len(self.weights)} folds of {len(self)} strengths: best {at(self.best_index)}, "
            f"within one standard error {at(self.one_se_index)}"
        )

    def __len__(self) -> int:
        return len(self.path)


def cross_validate(
    model: Model,
    data: Any,
    penalty: ElasticNet | None = None,
    *,
    folds: Any = 10,
    key: int = 0,
    score: Any = "log_likelihood",
    strengths: Any = None,
    n_strengths: int = 100,
    min_ratio: float = 1e-3,
    **arguments: Any,
) -> CrossValidation:
    """How well each strength of a penalty predicts rows that were not fitted.

    Levels, knots and strengths come from all data. A fold left out is a fit with its weights set to zero: nothing is
    rebuilt or compiled anew. Strengths are per data: on a share of the data they are that share of what they are on
    all, so that the penalty keeps its size relative to the mean log-likelihood.

    Arguments:
        penalty: as in `fit_path`.
        folds: how many, or a column name or array with the label of each row's fold.
        key: seed of the folds.
        score: "log_likelihood" (mean log-density), "squared_error", "accuracy" (binary responses), or a function
            `f(p, row)` of the columns that the model reads, larger for better.
        strengths, n_strengths, min_ratio, arguments: as in `fit_path`.

    Returns:
        A `CrossValidation`.

    Raises:
        ModelError: for a model or an argument that cannot be used.
        DataError: for data or folds that cannot be used.
    """
    if isinstance(model, Model) and model.unit_kind == "all":
        raise ModelError(
            "cross_validate leaves rows out, but with unit='all' the terms of the rows depend on each other."
        )
    path = fit_path(
        model, data, penalty, strengths=strengths, n_strengths=n_strengths, min_ratio=min_ratio, **arguments
    )
    setting = path.setting
    function, larger = score_of(setting.built.model, score)
    objective = setting.objective
    codes = _folds(folds, key, setting)
    weights = objective.weights()
    n_folds = int(codes.max()) + 1
    sizes = np.bincount(codes, weights=weights, minlength=n_folds)
    if not ((sizes > 0) & (sizes < weights.sum())).all():
        raise DataError("Every fold needs rows with a weight that is not zero, and others outside of it.")
    scored = replace(objective, shrinkage=None)
    if function is not None:
        program = replace(objective.program, log_density=function, penalties=())
        scored = replace(scored, program=program)
    scores = np.empty((n_folds, len(path)))
    for fold in range(n_folds):
        out = codes == fold
        share = 1 - sizes[fold] / weights.sum()
        without = objective.weighted(np.where(out, 0.0, weights))
        left = np.zeros_like(path.z[0])  # how far the fit without the fold ends from that to all data
        for k, strength in enumerate(path.strengths):
            z = np.where(path.z[k] == 0, 0.0, path.z[k] + left)
            solution = setting.solve(setting.at(share * strength, without), share * strength, z)
            if solution.stop == INTERRUPTED:
                raise KeyboardInterrupt
            left = solution.z - path.z[k]
            scores[fold, k] = weights[out] @ scored.terms(solution.z)[out] / sizes[fold]
    name = score if isinstance(score, str) else getattr(score, "__name__", "score")
    return CrossValidation(path, codes, scores, sizes, name, larger)


def _folds(folds: Any, key: Any, setting: Setting) -> np.ndarray:
    """The number of each unit's fold."""
    n = setting.objective.n_units
    if isinstance(folds, int | np.integer) and not isinstance(folds, bool):
        if not 2 <= folds <= n:
            raise ModelError(f"folds must be from 2 to the number of units, {n:,}; got {folds}.")
        if isinstance(key, bool) or not isinstance(key, int | np.integer) or key < 0:
            raise ModelError(f"key must be a whole number from 0 up; got {key!r}.")
        return np.random.default_rng(key).permutation(n) % int(folds)
    try:
        codes = setting.built.source.unit_labels(folds, setting.table)
    except DataError as error:
        raise DataError(str(error).replace("cluster", "folds")) from None
    if codes.max() == 0:
        raise DataError("folds has one label alone: at least two folds are needed.")
    return codes

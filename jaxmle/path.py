"""`jm.fit_path`: penalised fits for a range of strengths, from none of the coefficients to most of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from . import blas
from .data.tables import Table
from .declare.model import Model
from .declare.penalties import ElasticNet, Lasso
from .errors import DataError, ModelError
from .fit import all_weights_of, begin, conclude, configured, fit, method_for, penalty_words
from .infer.reported import reported_index
from .objective.build import Built, build
from .objective.duality import duality_gap
from .objective.objective import Objective
from .objective.passes import Evaluation
from .objective.shrinkage import shrinkage_of
from .report.plots.paths import plot_path
from .result import Fit
from .solve.newton import Newton
from .solve.proximal import weights_of
from .solve.solver import DONE, FAILED, INTERRUPTED, Solution

LEAST_RATIO = 1e-3
"""A ridge has no strength at which all coefficients are zero: its path starts as if so much of it were a lasso."""


@dataclass(frozen=True, eq=False)
class Setting:
    """What the fits of a path share: the data, compiled once, the objective at strength 1, where it starts."""

    table: Table
    built: Built
    objective: Objective
    penalty: ElasticNet
    at_start: Any
    tol: float | None
    max_steps: int | None
    refit: Callable[[Model], Fit]

    def at(self, strength: float, objective: Objective | None = None) -> Objective:
        """The objective at a strength: it differs by data alone, and so does one of other weights."""
        objective = objective or self.objective
        assert self.objective.shrinkage is not None
        return replace(objective, shrinkage=self.objective.shrinkage.times(strength))

    def weaker(self, strength: float, before: Objective, z: np.ndarray, known: Evaluation) -> Objective:
        """The objective at another strength, which knows what it is where the search at the one before ended."""
        there = self.at(strength)
        if known.gradient is None or known.matrix is None:
            return there
        assert there.shrinkage is not None
        return before.shrunk(there.shrinkage, z, known)

    def solve(self, there: Objective, strength: float, z: np.ndarray) -> Solution:
        """The minimum at a strength, from `z`."""
        method = configured(method_for(there, None)[0], self.tol, self.max_steps, 0)
        with blas.one_thread:
            solution = method.minimise(there, z)
        if solution.stop == FAILED:
            raise ModelError(f"The log-likelihood is not finite where the search of strength {strength:.4g} starts.")
        return solution


@dataclass(frozen=True, eq=False, repr=False)
class Path:
    """Penalised fits from strong to weak; what `jm.fit_path` returns.

    Arguments:
        names: flat names of the p estimated quantities, as in `Fit.coef`.
        strengths: the k strengths of the penalty, decreasing.
        coef: the estimates, shape (k, p).
        penalised: for each of the p whether it is penalised.
        log_likelihood: without the penalty, shape (k,).
        df: how many estimates are not zero, shape (k,).
        gaps: duality gaps, shape (k,); NaN where the log-density is not known to be concave in the predictor.
        converged: whether each search met its test, shape (k,).
        penalty: what was added, without its strength.
    """

    names: tuple[str, ...]
    strengths: np.ndarray
    coef: np.ndarray
    penalised: np.ndarray
    log_likelihood: np.ndarray
    df: np.ndarray
    gaps: np.ndarray
    converged: np.ndarray
    penalty: ElasticNet
    setting: Setting
    z: np.ndarray

    def __len__(self) -> int:
        return len(self.strengths)

    def fit(self, index: int | None = None, *, strength: float | None = None) -> Fit:
        """The fit at one of the strengths, or at any other, with its certificate.

        Arguments:
            index: its number in `strengths`; from the end if negative.
            strength: in place of the index, any strength from 0 up.
        """
        if (index is None) == (strength is None):
            raise ModelError("path.fit takes the index of a strength or strength=, one of the two.")
        if strength is None:
            if (
                isinstance(index, bool)
                or not isinstance(index, int | np.integer)
                or not -len(self) <= index < len(self)
            ):
                raise ModelError(f"The path has {len(self)} strengths, numbered from 0; got {index!r}.")
            nearest, strength = int(index), float(self.strengths[index])
        else:
            strength = float(self.penalty.at(strength).strength or 0.0)
            nearest = int(np.argmin(np.abs(self.strengths - strength)))
        s = self.setting
        objective = s.at(strength)
        solution = s.solve(objective, strength, self.z[nearest])
        why = method_for(objective, None)[1]
        words = penalty_words(self.penalty.at(strength))
        return conclude(s.table, s.built, objective, solution, s.at_start, why, False, words, s.refit)

    def tidy(self) -> Any:
        """One row per strength and estimate, in the user's own frame type: strength, term, estimate."""
        k, p = self.coef.shape
        columns = {
            "strength": np.repeat(self.strengths, p).tolist(),
            "term": list(self.names) * k,
            "estimate": self.coef.ravel().tolist(),
        }
        return self.setting.table.frame_like(columns)

    def plot(self, ax: Any = None) -> Any:
        """The coefficients against the strength; returns the matplotlib Axes."""
        return plot_path(self, ax)

    def __repr__(self) -> str:
        chosen = (self.coef[:, self.penalised] != 0).sum(axis=1)
        return (
            f"Path of {len(self)} strengths from {self.strengths[0]:.4g} to {self.strengths[-1]:.4g}: "
            f"{chosen.min()} to {chosen.max()} of {int(self.penalised.sum())} penalised coefficients"
        )


def fit_path(
    model: Model,
    data: Any,
    penalty: ElasticNet | None = None,
    *,
    strengths: Any = None,
    n_strengths: int = 100,
    min_ratio: float = 1e-3,
    start: Mapping[str, Any] | None = None,
    weights: Any = None,
    fixed: Mapping[str, Any] | None = None,
    missing: str = "raise",
    chunk_rows: int | None = None,
    tol: float | None = None,
    max_steps: int | None = None,
) -> Path:
    """Penalised fits from the strength at which all coefficients are zero down, each starting where the last ended.

    The data are read and the passes compiled once (Friedman, Hastie and Tibshirani, 2010, Journal of Statistical
    Software 33(1), section 2.5).

    Arguments:
        penalty: `jm.Lasso()`, `jm.ElasticNet(l1_ratio=...)` or `jm.Ridge()`, without a strength; default a lasso.
        strengths: the strengths, positive numbers; default `n_strengths` of them, equally far apart on a log scale, from
            the smallest at which all penalised coefficients are zero down to `min_ratio` of it.
        start, weights, fixed, missing, chunk_rows, tol, max_steps: as in `jm.fit`.

    Returns:
        A `Path`.

    Raises:
        ModelError: for a model or an argument that cannot be used.
        DataError: for data that cannot be used.
    """
    penalty = Lasso() if penalty is None else penalty
    arguments = dict(weights=weights, fixed=fixed, missing=missing, chunk_rows=chunk_rows)
    grid = _checked(penalty, strengths, n_strengths, min_ratio)
    with blas.one_thread:
        setting, z, size = _set_up(model, data, penalty, start, arguments, tol, max_steps)
        largest, z = _null(setting, z, size)
        if grid is None:
            grid = largest * np.geomspace(1.0, min_ratio, n_strengths)
        return _along(setting, grid, z)


def _checked(penalty: Any, strengths: Any, n_strengths: Any, min_ratio: Any) -> np.ndarray | None:
    """The strengths that were given, decreasing, or None; raises `ModelError` for what makes no sense."""
    if not isinstance(penalty, ElasticNet):
        raise ModelError(f"penalty must be jm.Lasso(), jm.ElasticNet(...) or jm.Ridge(); got {penalty!r}.")
    if penalty.strength is not None:
        raise ModelError(
            f"A path has many strengths: write jm.{type(penalty).__name__}() without one, or strengths=[...]; got "
            f"strength={penalty.strength:g}."
        )
    if isinstance(n_strengths, bool) or not isinstance(n_strengths, int | np.integer) or n_strengths < 1:
        raise ModelError(f"n_strengths must be a whole number from 1 up; got {n_strengths!r}.")
    if not isinstance(min_ratio, int | float | np.number) or not 0 < min_ratio <= 1:
        raise ModelError(f"min_ratio must be a number between 0 and 1; got {min_ratio!r}.")
    if strengths is None:
        return None
    try:
        grid = np.unique(np.asarray(strengths, dtype=np.float64).ravel())[::-1]
    except (TypeError, ValueError):
        grid = np.zeros(0)
    if not len(grid) or not np.isfinite(grid).all() or not grid[-1] > 0:
        raise ModelError(f"strengths must be positive numbers; got {strengths!r}.")
    return grid


def _set_up(
    model: Model,
    data: Any,
    penalty: ElasticNet,
    start: Mapping[str, Any] | None,
    arguments: dict[str, Any],
    tol: float | None,
    max_steps: int | None,
) -> tuple[Setting, np.ndarray, np.ndarray]:
    """What the fits share, where they start, and the weight of each |z| at strength 1, were it all a lasso."""
    if not isinstance(model, Model):
        raise ModelError(f"model must be a jm.Model; got {type(model).__name__}.")
    table = Table.read(data)
    rows = all_weights_of(arguments["weights"], None, table)
    given: dict[str, Any] = arguments | {"weights": rows}
    built = build(model, table, penalty=penalty.at(1.0), **given)
    method = configured(method_for(built.objective, None)[0], tol, max_steps, 0)
    z, at_start = begin(built, start, method)
    kept = {name: arguments[name] for name in ("weights", "missing", "chunk_rows")}
    again = lambda other: fit(other, data, progress=False, **kept)
    objective, source = built.objective, built.source
    lasso = ElasticNet(1.0, 1.0, penalty.parameters, penalty.standardize, penalty.factors)
    size = shrinkage_of(lasso, objective.layout, source.designs, source.kept(rows)).l1[objective.free] * objective.scale
    return Setting(table, built, objective, penalty, at_start, tol, max_steps, again), z, size


def _null(setting: Setting, z: np.ndarray, size: np.ndarray) -> tuple[float, np.ndarray]:
    """The smallest strength at which all penalised coefficients are zero, and the fit there."""
    objective = replace(setting.objective, shrinkage=None)
    shrunk = size > 0
    z = np.where(shrunk, 0.0, z)
    rest = objective.with_fixed(objective.free[shrunk], np.zeros_like(objective.base))
    if rest.size:
        solution = Newton().minimise(rest, z[~shrunk])
        if solution.stop == INTERRUPTED:
            raise KeyboardInterrupt
        if solution.stop == FAILED:
            raise ModelError("The log-likelihood is not finite where all penalised coefficients are zero.")
        z[~shrunk] = solution.z
    _, gradient = objective.value_and_grad(z)
    steep = np.abs(gradient[shrunk]) / size[shrunk] / max(setting.penalty.l1_ratio, LEAST_RATIO)
    largest = float(steep.max(initial=0.0))
    if not (np.isfinite(largest) and largest > 0):
        raise DataError("No coefficient can be told from zero at any strength: look at the columns of the predictors.")
    return largest, z


def _along(setting: Setting, strengths: np.ndarray, z: np.ndarray) -> Path:
    """The fits at decreasing strengths, each from the one before; an interrupt from the keyboard ends the path there."""
    points, estimates, values, gaps, converged = [], [], [], [], []
    index, before = reported_index(setting.objective), None
    for strength in strengths:
        objective = setting.at(strength) if before is None else setting.weaker(strength, *before)
        solution = setting.solve(objective, strength, z)
        if solution.stop == INTERRUPTED:
            break
        z = solution.z
        smooth = solution.value - float(weights_of(objective) @ np.abs(z))  # without the corners
        before = objective, z, Evaluation(smooth, solution.gradient, solution.hessian)
        gaps.append(np.nan)
        if solution.hessian is not None and objective.l1 is not None:
            gaps[-1] = duality_gap(objective, z, Evaluation(solution.value, solution.gradient, solution.hessian))
        points.append(z)
        estimates.append(np.asarray(objective.natural(z)[1])[index])
        values.append(sum(objective.penalty("value", objective.to_u(z))) - smooth)
        converged.append(solution.stop == DONE)
    if not points:
        raise KeyboardInterrupt
    layout, stacked = setting.objective.layout, np.stack(points)
    return Path(
        names=tuple(layout.labels()[i] for i in index),
        strengths=strengths[: len(points)].copy(),
        coef=np.stack(estimates),
        penalised=_penalised(setting.objective)[index],
        log_likelihood=np.array(values),
        df=(stacked != 0).sum(axis=1),
        gaps=np.array(gaps),
        converged=np.array(converged),
        penalty=setting.penalty,
        setting=setting,
        z=stacked,
    )


def _penalised(objective: Objective) -> np.ndarray:
    """For each reported quantity, held or not, whether it is penalised."""
    assert objective.shrinkage is not None
    weight = np.maximum(objective.shrinkage.l1, objective.shrinkage.l2)
    none = lambda block: np.zeros(len(block.labels()), bool)
    blocks = objective.layout.blocks
    return np.concatenate([weight[b.start : b.stop] > 0 if b.is_linear else none(b) for b in blocks])

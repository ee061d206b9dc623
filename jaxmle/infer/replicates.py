"""A fitted model on many other data sets of the same shape: the same units with other weights, or other responses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from ..objective.objective import Objective
from ..objective.source import Source
from ..objective.stacking import replicated
from ..solve.batched import Searches
from ..solve.newton import Newton
from ..solve.proximal import ProximalNewton
from ..solve.solver import DONE
from .covariance import observed
from .many import certify_many, reported_many
from .reported import entry_limits, entry_names, reported_index
from .rounds import Batch

TOL = 1e-9
"""The log-likelihood still to be gained at which a search ends."""

NUMBERS = 20_000_000
"""So many weights, or responses, of data sets are in memory at once."""

LONGEST = 50_000
"""Data sets of more rows than this are fitted one after another, each on all cores."""


@dataclass(frozen=True, eq=False)
class Replicates:
    """Estimates on R data sets, natural scale: `coef` (R, k), their `covariance` (R, k, k), and why not, "" where proved.

    `u` are the whole vectors that they come from, (R, size).
    """

    u: np.ndarray
    coef: np.ndarray
    covariance: np.ndarray
    reasons: np.ndarray


def in_batches(objective: Objective) -> bool:
    """Whether data sets can be fitted side by side by one program: rows, smooth penalties, not too many."""
    smooth = objective.l1 is None and type(objective) is Objective
    rows = objective.program.unit == "row" and objective.program.precision == "float64"
    return smooth and rows and objective.n_units <= LONGEST


Draw = Callable[[int, int], tuple[np.ndarray, Mapping[str, np.ndarray]]]
"""(first, how many) → weights of data sets, (many, units), and columns of theirs, name → (many, units)."""


def pages(n: int, rows: int, multiple: int = 1) -> Iterator[tuple[int, int]]:
    """`n` data sets as (first, how many), so many as memory allows at once, a multiple of `multiple` but for the last."""
    at_once = max(1, NUMBERS // rows // multiple) * multiple
    return ((first, min(at_once, n - first)) for first in range(0, n, at_once))


def fit_replicates(
    objective: Objective, source: Source, z: np.ndarray, draw: Draw, drawn: Iterable[tuple[int, int]]
) -> Replicates:
    """Fit from `z` to the data sets that `draw` gives, page by page."""
    parts = [fit_page(objective, source, z, *draw(first, many)) for first, many in drawn]
    return Replicates(
        *(np.concatenate([getattr(p, name) for p in parts]) for name in ("u", "coef", "covariance", "reasons"))
    )


def fit_page(
    objective: Objective, source: Source, z: np.ndarray, weights: np.ndarray, own: Mapping[str, np.ndarray]
) -> Replicates:
    """Fit from `z` to the units with other weights (R, units), and with the columns `own`, name → (R, units)."""
    fit = _side_by_side if in_batches(objective) else _one_by_one
    return fit(objective, source, z, weights, own)


def _side_by_side(
    objective: Objective, source: Source, z: np.ndarray, weights: np.ndarray, own: Mapping[str, np.ndarray]
) -> Replicates:
    batch = Batch(replicated(objective, source, weights, own), TOL, 200)
    start = np.tile(z * objective.scale, (len(weights), 1))
    total = Searches.at(start)
    for sets, length in batch.buckets():
        ended = batch.search(sets, start[sets], length, lambda n: None)
        for old, new in zip(total, ended):
            old[sets] = new
    counts = (weights > 0).sum(axis=1)
    _, reasons, covariance = certify_many(
        total, entry_names(objective), entry_limits(objective), batch.scale, batch.scale_of, counts, {}
    )
    return _reported(objective, total.z, covariance, reasons)


def _one_by_one(
    objective: Objective, source: Source, z: np.ndarray, weights: np.ndarray, own: Mapping[str, np.ndarray]
) -> Replicates:
    points, covariances, reasons = [], [], []
    method = Newton(tol=TOL, max_steps=200) if objective.l1 is None else ProximalNewton(tol=TOL)
    for i, w in enumerate(weights):
        here = objective.with_columns({k: v[i] for k, v in own.items()}).weighted(w)
        solution = method.minimise(here, z)
        points.append(solution.z * objective.scale)
        covariance = np.full((len(z), len(z)), np.nan)
        if solution.hessian is not None:
            covariance = observed(solution.hessian) * np.outer(objective.scale, objective.scale)
        covariances.append(covariance)
        proved = solution.stop == DONE and (objective.l1 is not None or np.isfinite(covariance).all())
        reasons.append("" if proved else f"The search ended without an optimum ({solution.stop}).")
    return _reported(objective, np.stack(points), np.stack(covariances), np.array(reasons, dtype=object))


def _reported(objective: Objective, free: np.ndarray, covariance: np.ndarray, reasons: np.ndarray) -> Replicates:
    u = np.tile(objective.base, (len(free), 1))
    u[:, objective.free] = free
    index = reported_index(objective)
    coef, covariance = reported_many(objective.layout, objective.free, index, u, covariance)
    return Replicates(u, np.asarray(coef), covariance, reasons)

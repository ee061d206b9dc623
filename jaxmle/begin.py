"""Where a search begins: what the user chose, what the family suggests, a search for a start, a sample of the rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from .data.tables import Table
from .declare.linear import Linear
from .declare.tree import Tree
from .errors import DataError, ModelError
from .infer.derivatives import check_derivatives
from .objective.build import Built
from .objective.cluster_starts import STARTS, best_start
from .objective.clusters import ClusterObjective
from .objective.em import EXPECTATION
from .objective.fixing import start_vector
from .objective.objective import Objective
from .solve.em import EM
from .solve.finish import ThenNewton
from .solve.lbfgs import LBFGS
from .solve.newton import Newton
from .solve.newton_cg import NewtonCG
from .solve.sample import Sample
from .solve.solver import DONE, finite
from .solve.start import search_start

SAMPLE_PER_PARAMETER = 20
"""The fewest rows of a sample for each parameter, for its optimum to be worth a start."""

MASKED = 1e-7
"""Of a log-likelihood: so much it may change with the rows of groups that are to be ignored, by rounding."""

WEAK = 10.0
"""Information in a sample, about that of forty rows of even odds, below which a coefficient's estimate is no start."""


def begin(built: Built, start: Mapping[str, Any] | None, method: Any) -> tuple[np.ndarray, Any]:
    """The point where the search begins, and the check of the derivatives there.

    What the user chose comes first, then what the family suggests, then a search.
    """
    objective = built.objective
    needs = getattr(method, "needs", "gradient")
    z, chosen = _point(built, start)
    if built.starts:
        suggested, settled = _point(built, {**built.starts, **(start or {})})
        if finite(objective.glimpse().evaluate(suggested, needs)):
            z, chosen = suggested, settled
    free = movable(objective, chosen)
    if free:
        z = search_start(objective.glimpse(), z, free, needs)
    _refuse_padding(objective.glimpse(), z, needs)
    checked = objective.size <= 500 and not isinstance(objective, ClusterObjective)  # of our own: at the optimum alone
    at_start = check_derivatives(objective.in_double(), z) if checked else None
    return z, at_start


def _refuse_padding(objective: Objective, z: np.ndarray, needs: str) -> None:
    """Raises `ModelError` for a log-density of groups that reads the rows where `mask` is false."""
    other = objective.padded_otherwise()
    if other is None:
        return
    here, there = objective.evaluate(z, needs).value, other.evaluate(z, needs).value
    if np.isfinite(here) and not abs(there - here) <= MASKED * max(abs(here), 1.0):
        raise ModelError(
            "The log-density of a group depends on rows where its mask is false: groups are filled up to one length with "
            "copies of a row, which must not count. Sum jnp.where(mask, term, 0.0) over the rows, or multiply by mask."
        )


def _point(built: Built, start: Mapping[str, Any] | None) -> tuple[np.ndarray, np.ndarray]:
    """The point at start values, and for each entry of the flat vector whether it was chosen."""
    objective = built.objective
    u, chosen = start_vector(built.model, objective.layout, start)
    return objective.to_z(np.where(np.isin(np.arange(len(u)), objective.free), u, objective.base)), chosen


def scattered(built: Built, start: Mapping[str, Any] | None, method: Any) -> Any:
    """The solver with the points of its other starts, where it is one of several starts and the model knows such.

    Where the user chose a start, there is no other.
    """
    if not isinstance(method, EM) or method.starts < 2 or built.scattered is None or start:
        return method
    points = [_point(built, s)[0] for s in built.scattered(method.starts - 1, method.key)]
    return replace(method, points=np.stack(points))


WARM_TOL = 0.05
"""The log-likelihood for each parameter that a search on a sample leaves: a tenth of what its optimum has, by chance, over
that of all rows."""

FEWER = 8
"""Where a glimpse has so many times fewer rows than the sample, its own optimum is worth a start of the sample's search."""


def warm_start(objective: Objective, z: np.ndarray, method: Any) -> tuple[np.ndarray, Any, tuple[str, ...]]:
    """A start nearer to the optimum, the solver that knows the Hessian there about, and a note of it, where there are
    many rows: the optimum of a random sample of them."""
    search = method.search if isinstance(method, ThenNewton) else method
    sample = objective.sampled() if isinstance(search, Newton | LBFGS | NewtonCG) else None
    enough = SAMPLE_PER_PARAMETER * objective.size
    if sample is None or sample.n_units < enough:
        return z, method, ()
    search = replace(search, tol=WARM_TOL * objective.size, max_steps=50)
    begun, newton = z, type(method) is Newton
    if newton:
        search, few = replace(search, polish=False), objective.glimpse()
        n_few = sum(len(part.units) for part in few.parts)
        if n_few < enough or sample.n_units < FEWER * n_few:
            few, n_few = sample, sample.n_units
        share = sample.n_units / n_few
        if not (share * _information(few, z) >= WEAK).all():
            return z, method, ()  # rare levels: a sample knows nothing of them
        if few is not sample:
            end = search.minimise(few, z)
            if end.stop == DONE and sample.evaluate(end.z).value < share * few.evaluate(z).value:
                begun = end.z  # else it fits the few alone, as where they are separated
    end = search.minimise(sample, begun)
    if end.stop != DONE:
        return z, method, ()
    share = objective.n_units / sample.n_units
    if newton and end.hessian is not None:
        method = replace(method, curvature=share * end.hessian, sample=Sample(sample, share, sample.n_units))
    return end.z, method, (f"started from the optimum of {sample.n_units:,} rows drawn at random (1 in {share:.0f})",)


def among_starts(
    objective: Objective, z: np.ndarray, method: Any, start: Mapping[str, Any] | None, key: int
) -> tuple[np.ndarray, tuple[str, ...]]:
    """The start of a search for clusters, where the user gave none: the end of the best of many short runs."""
    if start or not isinstance(objective, ClusterObjective) or method.needs != EXPECTATION or objective.density.k == 1:
        return z, ()
    starts = getattr(method, "starts", 1)
    best, note = best_start(objective, key, starts if starts > 1 else STARTS)
    return z if best is None else objective.free_values(best), (note,)


def _information(sample: Objective, z: np.ndarray) -> np.ndarray:
    """What a sample tells of each coefficient, of columns of at most about one; levels as they are."""
    return np.diag(sample.evaluate(z).matrix) / np.maximum(sample.scale, 1.0) ** 2


def with_held_out(method: Any, built: Built, table: Table) -> Any:
    """The solver, with one truth value per unit in place of a column that says what it holds out for validation.

    Raises:
        DataError: for a column that is not there, holds other than truth values, or differs within a unit.
    """
    column = getattr(method, "validation", None)
    if not isinstance(column, str):
        return method
    values = built.source.kept(table.column(column, "the argument validation"))
    if values.shape != (len(built.source.rows),) or not all(v in (0, 1) for v in values.tolist()):
        raise DataError(f"validation={column!r} names a column that must be true or false in each row (or 1 and 0).")
    mask = values.astype(bool)
    if built.source.groups is not None:
        members = built.source.groups.members
        if any(np.ptp(mask[m].astype(int)) for m in members):
            raise DataError(f"validation={column!r} must be the same in all rows of one unit of observation.")
        mask = mask[[m[0] for m in members]]
    return replace(method, validation=mask)


def movable(objective: Objective, chosen: np.ndarray) -> list[tuple[int, str]]:
    """Which entries of `z` a search for a start may move: constant terms and parameters that are the same in all rows."""
    out = []
    position = {int(p): i for i, p in enumerate(objective.free)}
    for block in objective.layout.blocks:
        if isinstance(block.parameter, Linear):
            size = block.parameter.n_outputs
            places = [
                (block.start + j * size + k, "real" if block.parameter.link.name == "identity" else "log")
                for j, term in enumerate(block.terms)
                if term == "Intercept"
                for k in range(size)
            ]
        elif isinstance(block.parameter, Tree) or block.stop - block.start > (20 if block.found is None else 1):
            continue  # a tree is where it starts
        else:
            bounded = np.isfinite(block.bounds()).all()
            real = all(link.name == "identity" for link in block.links())
            ladder = "unit" if bounded else "real" if real else "log"
            places = [(i, ladder) for i in range(block.start, block.stop)]
        out.extend((position[p], ladder) for p, ladder in places if p in position and not chosen[p])
    return sorted(out, key=lambda p: p[1])  # scales, then locations, then bounded ones

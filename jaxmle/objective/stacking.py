"""From a model and many data sets to what the passes of a batch take: what is shared, what is held, the rows of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..data.beside import pieces_of
from ..data.design import Design
from ..data.expressions import names_in
from ..data.formula import variables
from ..data.grouping import Grouping
from ..declare.formula import Formula
from ..declare.model import Model
from ..declare.penalties import ElasticNet
from ..errors import ModelError, did_you_mean
from .batch import Sharing, Stack
from .build import layout_of, priors_of
from .fixing import Fixing, on_predictor_scale
from .layout import Layout
from .objective import Objective
from .rows import Program, hashable
from .scaling import column_scale
from .shrinkage import shrinkage_of
from .source import Reading, Source
from .structure import discover

SOME_ROWS = 5_000
"""Rows from which it is learnt where to begin, and what size the columns have."""


@dataclass(frozen=True, eq=False)
class Problems:
    """Many data sets under one model, ready for the passes.

    `held` is what `evaluate` takes and all data sets have; `bases` (G, size) are the values of all entries of `u` where
    some are held at another one in each data set. `free` are the positions in `u` of the entries `z`, `scale` about one
    over the size of what each is multiplied by. `found` says in words which predictors the
    log-density was found to contain.
    """

    stack: Stack
    held: dict[str, Any]
    bases: np.ndarray | None
    free: np.ndarray
    scale: np.ndarray
    found: tuple[str, ...] = ()


def problems_of(
    reading: Reading, grouping: Grouping, fixed: Mapping[str, Any], penalty: Any, finite: bool = True
) -> Problems:
    """The data of all data sets in the form of the passes, and what is held in them.

    Arguments:
        fixed: as in `fit`; an array (G,) holds a coefficient, or a parameter of one number, at another value in each.
        finite: whether all columns are known to be finite.

    Raises:
        ModelError: for names and values that make no sense.
    """
    model, source = reading.model, reading.source
    terms = {n: source.designs[i].names for n, i in reading.design_number.items()}
    each = {n: np.asarray(v, np.float64) for n, v in fixed.items() if by_set(model, n, v, len(grouping.labels))}
    fixing = Fixing.of(model, terms, {n: v for n, v in fixed.items() if n not in each})
    layout = layout_of(model, source, reading.design_number, fixing)
    log_density, seen, found = hashable(model.log_density), source, ()
    shrinking = penalty if isinstance(penalty, ElasticNet) else None
    added: Any = None if shrinking else penalty
    if shrinking is None:
        discovery = discover(log_density, layout, source, finite)
        log_density, layout, found = discovery.log_density, discovery.layout, discovery.notes
        seen = replace(source, designs=discovery.designs, columns=dict(discovery.columns))
    program = Program(
        log_density=log_density,
        unit="row",
        layout=layout,
        structured=bool(layout.predicted),
        penalties=priors_of(model) + (() if added is None else (hashable(added),)),
    )
    base, free = fixing.apply(layout)
    l2 = np.zeros(layout.size)
    if shrinking is not None:
        l2 = shrinkage_of(shrinking, layout, seen.designs, source.kept(grouping.weights)).l2
    bases, free = _held_by_set(layout, base, free, each)
    sharing = _sharing(program, free, reading, seen, grouping)
    return Problems(
        stack=_stack(sharing, seen, grouping),
        held={"base": base, "constants": fixing.constants, "l2": l2},
        bases=bases,
        free=free,
        scale=column_scale(layout, some_of(seen).designs)[free],
        found=found,
    )


def replicated(
    objective: Objective, source: Source, weights: np.ndarray, own: Mapping[str, np.ndarray] | None = None
) -> Problems:
    """Data sets that differ by their weights (G, n), and by the columns `own` (G, n), from one that has been fitted."""
    own = own or {}
    sets, n = weights.shape
    columns = {k: own[k].reshape(-1) if k in own else v for k, v in source.columns.items()}
    sharing = Sharing(
        program=objective.program,
        free=tuple(int(i) for i in objective.free),
        designs=(True,) * len(source.designs),
        columns=tuple(k for k in columns if k not in own),
        offsets=tuple(source.offsets),
    )
    stack = Stack(
        sharing=sharing,
        columns=columns,
        designs=[_columns(d, np.arange(n)) for d in source.designs],
        offsets=source.offsets,
        weights=weights.reshape(-1),
        order=None,
        ends=np.arange(1, sets + 1) * n,
    )
    l2 = np.zeros(len(objective.base)) if objective.shrinkage is None else objective.shrinkage.l2
    held = {"base": objective.base, "constants": objective.constants, "l2": l2}
    return Problems(stack, held, None, objective.free, objective.scale)


def by_set(model: Model, name: str, values: Any, sets: int) -> bool:
    """Whether a value to hold is one number for each data set: not the entries of one parameter."""
    if np.ndim(values) != 1 or np.shape(values) != (sets,):
        return False
    return name not in model.params or getattr(model.params[name], "size", 0) == 1


def _held_by_set(
    layout: Layout, base: np.ndarray, free: np.ndarray, each: Mapping[str, np.ndarray]
) -> tuple[np.ndarray | None, np.ndarray]:
    """The whole vectors `u` of all data sets (None where they hold the same), and what is left free."""
    if not each:
        return None, free
    where = {}
    for block in layout.blocks:
        if block.elementwise:
            links, bounds = block.links(), block.bounds()
            where |= {
                name: (block.start + i, links[i], bounds[i]) for i, name in enumerate(block.labels()) if name in each
            }
    bases = np.tile(base, (len(next(iter(each.values()))), 1))
    for name, values in each.items():
        if name not in where:
            known = [label for block in layout.blocks if block.elementwise for label in block.labels()]
            raise ModelError(f"fixed: no coefficient is called {name!r}.{did_you_mean(name, known)}")
        position, link, (low, high) = where[name]
        if not ((values > low) & (values < high)).all():
            raise ModelError(f"fixed: {name!r} must be between {low:g} and {high:g} in every data set.")
        bases[:, position] = on_predictor_scale(link, values)
    held = [position for position, _, _ in where.values()]
    free = free[~np.isin(free, held)]
    if not len(free):
        raise ModelError("Every parameter is fixed: there is nothing to estimate.")
    return bases, free


def _sharing(program: Program, free: np.ndarray, reading: Reading, seen: Source, grouping: Grouping) -> Sharing:
    """Which arrays all data sets share: those made of shared columns alone, where no rows have been left out."""
    whole = grouping.own is not None
    shared = grouping.shared if whole or len(seen.rows) == grouping.table.n_rows else frozenset()
    params, number = reading.model.params, reading.design_number
    made_of = {i: _columns_of(params[name].terms) for name, i in number.items()}  # type: ignore[union-attr]
    entries = {name: params[name].offset for name in seen.offsets}  # type: ignore[union-attr]
    known = lambda entry: entry in shared or shared.issuperset(names_in(entry))
    return Sharing(
        program=program,
        free=tuple(int(i) for i in free),
        designs=tuple(
            whole or bool(shared and i in made_of and shared.issuperset(made_of[i])) for i in range(len(seen.designs))
        ),
        columns=tuple(name for name in seen.columns if name in shared),
        offsets=tuple(name for name, offset in entries.items() if whole or (shared and all(map(known, offset)))),
    )


def _columns_of(terms: Any) -> tuple[str, ...]:
    if isinstance(terms, Formula):
        return tuple(variables(terms.text))
    return (terms,) if isinstance(terms, str) else tuple(t for t in terms if isinstance(t, str))


def _stack(sharing: Sharing, source: Source, grouping: Grouping) -> Stack:
    ends, order = grouping.ends(source.rows)
    first = slice(0, ends[0] if grouping.own is not None else grouping.each)
    cut = lambda arrays, names: {k: v[first] if k in names else v for k, v in arrays.items()}
    designs = [_columns(d, np.arange(len(source.rows))) for d in source.designs]
    return Stack(
        sharing=sharing,
        columns=cut(source.columns, sharing.columns),
        designs=[[column[first] for column in d] if s else d for d, s in zip(designs, sharing.designs)],
        offsets=cut(source.offsets, sharing.offsets),
        weights=grouping.weights_of(source.rows),
        order=order,
        ends=ends,
    )


def _columns(design: Design, rows: np.ndarray) -> list[np.ndarray]:
    """The columns of a design, levels of factors written out."""
    pieces = (design.written_out(rows),) if design.factors else pieces_of(design.matrix)
    return [column for piece in pieces for column in piece.T]


def some_of(source: Source) -> Source:
    """Few rows, spread evenly over all of them."""
    rows = np.linspace(0, len(source.rows) - 1, min(len(source.rows), SOME_ROWS)).astype(int)
    taken = lambda factors: tuple(replace(f, codes=f.codes[rows]) for f in factors)
    return Source(
        {k: v[rows] for k, v in source.columns.items()},
        tuple(replace(d, matrix=d.matrix[rows], factors=taken(d.factors)) for d in source.designs),
        {k: v[rows] for k, v in source.offsets.items()},
        None,
        source.rows[rows],
        0,
    )

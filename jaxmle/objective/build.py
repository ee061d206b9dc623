"""From a model and a table to an objective: designs, the columns that the density uses, what is fixed, the chunks."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .. import runtime
from ..data.chunks import Chunks, design_arrays, group_chunks, row_chunks, whole
from ..data.tables import Table
from ..declare.clusters import Clusters
from ..declare.linear import Linear
from ..declare.model import Model
from ..declare.penalties import ElasticNet
from ..errors import DataError, FitWarning, ModelError
from .clusters import ClusterObjective
from .designs import columns_of
from .explained import explained
from .fixing import Fixing
from .jeffreys import FIRTH, FirthObjective
from .layout import Block, Layout
from .objective import Objective
from .once import once_for_all
from .placement import Placement
from .rows import Program, hashable, penalty_value
from .scaling import column_scale
from .shrinkage import shrinkage_of
from .source import Source, read_source, unit_weights
from .starts import scattered_starts, suggested_starts
from .structure import discover

COLLINEAR = ("raise", "drop", "keep")

DEGENERATE = "Look at the response and its coding; a prior or a penalty would make the estimate finite."


def chunks_of(source: Source, weights: np.ndarray, unit: str, rows: int | None, n_devices: int = 1) -> list[Chunks]:
    """The data of `source` cut for the passes."""
    designs = tuple(design_arrays(d, source.in_place) for d in source.designs)
    if unit == "all":
        return [whole(source.columns, designs, source.offsets, weights)]
    if source.groups is not None:
        return group_chunks(source.groups, source.columns, designs, source.offsets, weights, rows, n_devices)
    return [row_chunks(source.columns, designs, source.offsets, weights, rows, n_devices)]


def layout_of(model: Model, source: Source, design_number: Mapping[str, int], fixing: Fixing) -> Layout:
    """The layout of the flat vector: every parameter in the order of declaration, but for wholly fixed constants."""
    blocks, constants, at = [], [], 0
    columns = columns_of(source.designs, source.in_place)
    for name, parameter in model.params.items():
        if isinstance(parameter, Linear):
            number = design_number[name]
            terms = source.designs[number].names
            size = len(terms) * parameter.n_outputs
            blocks.append(Block(name, parameter, at, at + size, terms, number, columns[number]))
        elif name in fixing.constants:
            constants.append((name, parameter))
            continue
        else:
            size = parameter.size
            blocks.append(Block(name, parameter, at, at + size))
        at += size
    return Layout(tuple(blocks), tuple(constants))


def priors_of(model: Model) -> tuple[Callable[[Mapping[str, Any]], Any], ...]:
    """The declared priors as penalties: minus the log-density of the parameter on its natural scale."""
    return tuple(
        _Prior(name, hashable(getattr(p.prior, "log_prob", p.prior)))
        for name, p in model.params.items()
        if p.prior is not None
    )


@dataclass(frozen=True)
class _Prior:
    """Minus the log-density of one parameter's prior; no Jacobian, so that the mode is the natural scale's."""

    name: str
    log_prob: Callable[[Any], Any]

    def __call__(self, theta: Mapping[str, Any]) -> jax.Array:
        return -jnp.sum(self.log_prob(theta[self.name]))


@dataclass(frozen=True)
class Built:
    """An objective with what it was made of: the model as the data have bound it, the rows used, its family's starts.

    `found` says in words which linear predictors the log-density was found to contain; `scattered` is as in `declare`'s
    `Bound`, in the form that `start=` takes.
    """

    objective: Objective
    source: Source
    weights: np.ndarray
    model: Model
    table: Table
    starts: Mapping[str, Any]
    dropped: tuple[str, ...]
    found: tuple[str, ...] = ()
    scattered: Callable[[int, int], list[Mapping[str, Any]]] | None = None


def build(
    model: Model,
    table: Table,
    *,
    weights: np.ndarray,
    fixed: Mapping[str, Any] | None = None,
    penalty: ElasticNet | str | Callable[[Mapping[str, Any]], Any] | None = None,
    missing: str = "raise",
    chunk_rows: int | None = None,
    precision: str = "float64",
    placement: Placement | None = None,
    structured: bool | None = None,
    collinear: str = "raise",
    to_fit: bool = True,
) -> Built:
    """The objective of `model` on `table`; raises `ModelError` or `DataError` before anything is compiled.

    `structured=False` differentiates the coefficients of `Linear`s like any other parameter: slower, the same numbers.
    Without `to_fit` nothing is asked that only an estimate needs: a response may be constant, columns may depend on each
    other.
    """
    if precision not in ("float64", "float32"):
        raise ModelError(f"precision must be 'float64' or 'float32'; got {precision!r}.")
    if chunk_rows is not None and (
        isinstance(chunk_rows, bool) or not isinstance(chunk_rows, int | np.integer) or chunk_rows < 1
    ):
        raise ModelError(f"chunk_rows must be a whole number of at least 1, or None; got {chunk_rows!r}.")
    shrinking = penalty if isinstance(penalty, ElasticNet) else None
    added = penalty if callable(penalty) and shrinking is None else None
    firth = isinstance(penalty, str) and penalty == FIRTH
    if penalty is not None and not (firth or shrinking or added):
        raise ModelError(
            "penalty must be jm.Ridge(...), jm.Lasso(...), jm.ElasticNet(...), 'firth', or a function of the parameters "
            f"that returns a number; got {penalty!r}."
        )
    if collinear not in COLLINEAR:
        raise ModelError(f"collinear must be 'raise' or 'drop'; got {collinear!r}.")
    settled = penalty is not None and not firth
    held = settled or fixed or any(p.prior is not None for p in model.params.values())
    if collinear == "raise" and (held or not to_fit):  # what the data leave open may be settled otherwise
        collinear = "keep"
    reading = read_source(model, table, weights, missing, collinear)
    model, source, design_number = reading.model, reading.source, reading.design_number
    unit = model.unit_kind
    if unit != "row":
        longest = [len(m) for m in source.groups.members] if source.groups is not None else [len(source.rows)]
        runtime.check_compiler(max(longest), precision)
    placement = placement or Placement.of()
    if unit == "all" or firth:
        placement = placement.first()
    source = replace(source, in_place=unit == "row" and placement.is_cpu)
    terms = {n: source.designs[i].names for n, i in design_number.items()}
    fixing = Fixing.of(model, terms, fixed or {})
    layout = layout_of(model, source, design_number, fixing)
    log_density, seen, found = hashable(model.log_density), source, ()
    clusters = isinstance(model.log_density, Clusters)
    if to_fit and unit == "row" and source.n_units > 1 and not (source.columns or layout.linears):
        warnings.warn(
            f"The log-density reads no column: each of the {source.n_units:,} rows adds the same. It is to be that of one row, "
            "row['y']; one of the whole data set is declared by unit='all'.",
            FitWarning,
            stacklevel=3,
        )
    if unit == "row" and structured is not False and shrinking is None and to_fit and not clusters:
        discovery = discover(log_density, layout, source, missing != "allow", precision)
        log_density, layout, found = discovery.log_density, discovery.layout, discovery.notes
        source = replace(source, designs=discovery.designs)
        seen = replace(source, columns=dict(discovery.columns))
    program = Program(
        log_density=log_density,
        unit=unit,
        layout=layout,
        structured=bool(layout.predicted) and unit == "row" if structured is None else structured and unit == "row",
        penalties=priors_of(model) + (() if added is None else (hashable(added),)),
        precision=precision,
    )
    if to_fit:
        program, computed = once_for_all(program, seen.columns)
        seen = replace(seen, columns=computed)
    base, free = fixing.apply(layout)
    if to_fit and reading.degenerate and not program.penalties and not firth:
        raise DataError(f"There is no maximum of the likelihood: {reading.degenerate}. {DEGENERATE}")
    if program.penalties:
        with runtime.x64(), explained("The penalty or a prior"):
            jax.eval_shape(partial(penalty_value, program), base, fixing.constants)
    per_unit = unit_weights(source, weights, model.unit)
    with runtime.x64():
        cut = chunks_of(seen, per_unit, unit, chunk_rows, placement.n_devices)
        parts = tuple(part for chunks in cut for part in placement.place(chunks))
    kind = FirthObjective if firth else ClusterObjective if clusters else Objective
    objective = kind(
        program=program,
        placement=placement,
        parts=parts,
        constants=fixing.constants,
        base=base,
        free=free,
        scale=column_scale(layout, seen.designs)[free],
        n_units=source.n_units,
        shrinkage=shrinking and shrinkage_of(shrinking, layout, seen.designs, source.kept(weights)),
    )
    starts = suggested_starts(model, source, design_number, reading.starts, source.kept(weights)) if to_fit else {}
    scattered = None if reading.scattered is None else partial(scattered_starts, reading, source.kept(weights))
    return Built(objective, source, per_unit, model, reading.table, starts, reading.dropped, found, scattered)

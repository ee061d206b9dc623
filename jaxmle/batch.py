"""`jm.fit_many`: one model, thousands of data sets, one compiled program."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import jax
import numpy as np

from . import runtime
from .begin import movable
from .data.beside import pieces_of
from .data.design import Design
from .data.expressions import names_in
from .data.formula import variables
from .data.grouping import Grouping, grouped, stacked
from .declare.conditional import Conditional
from .declare.formula import Formula
from .declare.model import Model
from .declare.penalties import ElasticNet
from .errors import DataError, FitWarning, ModelError
from .fit import about, configured, entry_names, fit, penalty_words
from .fits import FitMany
from .infer.many import certify_many, reported_many
from .infer.reported import reported_index
from .objective.batch import Sharing, Stack
from .objective.build import layout_of, priors_of
from .objective.fixing import Fixing, start_vector
from .objective.layout import naturalise
from .objective.rows import Program, hashable
from .objective.scaling import column_scale
from .objective.shrinkage import shrinkage_of
from .objective.source import Reading, Source, read_source
from .objective.starts import suggested_starts
from .report.progress import Reporter
from .result import Fit
from .rounds import Batch
from .solve.batched import DONE, Searches
from .solve.newton import Newton
from .solve.solver import Progress

SOME_ROWS = 5_000
"""Rows from which it is learnt where to begin, and what size the columns have."""


def fit_many(
    model: Model,
    data: Any,
    by: Any = None,
    *,
    weights: Any = None,
    start: Mapping[str, Any] | None = None,
    fixed: Mapping[str, Any] | None = None,
    penalty: ElasticNet | Callable[[Mapping[str, Any]], Any] | None = None,
    tol: float | None = None,
    max_steps: int | None = None,
    missing: str = "raise",
    progress: bool | None = None,
) -> FitMany:
    """Fit one model to each of many data sets by maximum likelihood, all of them as one compiled program.

    Arguments:
        model: a `Model` of rows. What its formulas and its family learn (levels, knots, the coding of labels) is learnt
            from all data sets at once, so that coefficients are of the same things.
        data: a table in any form that `fit` takes, with a column that says which data set a row belongs to; or, without
            `by`, a mapping of arrays: those of shape (G, n, ...) differ by data set, those of shape (n, ...) are shared
            by all. The response of a family has shape (G, n), or (n,) where data sets differ by their weights alone.
        by: a column name, or one label per row: equal labels are one data set, in the order of appearance.
        weights: frequencies, a column name or an array (rows,), or (G, n) for stacked arrays: bootstrap samples are one
            set of rows with G sets of weights.
        start: name → where each search begins, as in `fit`. What is not given begins at the estimates from samples of
            all rows, so far as these can be found.
        fixed: name → value at which a parameter or a coefficient is held in all data sets.
        penalty: `jm.Ridge(strength)`, the same for all data sets, or a function as in `fit`.
        tol: the log-likelihood still to be gained at which a search ends, as in `fit`; default 1e-9.
        max_steps: the most steps of each search; default 200.
        missing: "raise", "drop" or "allow", as in `fit`.
        progress: show progress if it takes over a second; default: in a terminal only.

    Returns:
        A `FitMany`. A data set without a proven optimum has `converged` False, NaN standard errors and its reason; it
        does not touch the others, and one `FitWarning` counts them.

    Raises:
        ModelError: for a model or an argument that cannot be used.
        DataError: for data that cannot be used.
    """
    began = time.perf_counter()
    with runtime.Compilation() as compilation:
        _check(model, penalty)
        own = model.log_density.response if isinstance(model.log_density, Conditional) else ()
        grouping = stacked(data, own, weights) if by is None else grouped(data, by, weights, missing)
        method = configured(Newton(max_steps=200), tol, max_steps, 0)
        reading = read_source(model, grouping.table, grouping.weights, missing, "keep")
        priors = any(p.prior is not None for p in model.params.values())
        if reading.degenerate and penalty is None and not priors:
            raise DataError(f"No data set has a maximum of the likelihood: {reading.degenerate}.")
        batch = _batch(reading, grouping, fixed or {}, penalty, method)
        z, chosen = _begin(reading, batch, start)
        with _Counter(progress, method, batch) as report:
            searches, n_steps = _search(batch, z, chosen, report)
        fits = _conclude(reading, grouping, batch, searches, n_steps, fixed, penalty, missing)
    wall = time.perf_counter() - began
    compiling = min(compilation.seconds, wall)
    fits = replace(fits, seconds={"compile": compiling, "run": wall - compiling})
    if not fits.converged.all():
        lost = f"{int((~fits.converged).sum()):,} of {len(fits):,} fits are not proved to be optima"
        warnings.warn(f"{lost}: {fits.failures}", FitWarning, stacklevel=2)
    return fits


def _check(model: Any, penalty: Any) -> None:
    if not isinstance(model, Model):
        raise ModelError(f"fit_many takes a jm.Model; got {type(model).__name__}, as in jm.bernoulli('y ~ x').")
    if model.unit_kind != "row":
        raise ModelError(
            f"fit_many takes models of rows, not yet of unit={model.unit!r}: call jm.fit for each data set in a loop."
        )
    if isinstance(penalty, ElasticNet):
        if penalty.l1_ratio != 0.0:
            raise ModelError(
                f"fit_many takes jm.Ridge, not yet penalties with corners ({type(penalty).__name__}): call jm.fit for each."
            )
        if penalty.strength is None:
            raise ModelError("Ridge needs a strength: jm.Ridge(0.1).")
    elif penalty is not None and not callable(penalty):
        raise ModelError(f"penalty must be jm.Ridge(...) or a function of the parameters; got {penalty!r}.")


def _batch(reading: Reading, grouping: Grouping, fixed: Mapping[str, Any], penalty: Any, method: Any) -> Batch:
    """The data of all data sets in the form of the passes, and what is held in them."""
    model, source = reading.model, reading.source
    terms = {n: source.designs[i].names for n, i in reading.design_number.items()}
    fixing = Fixing.of(model, terms, fixed)
    layout = layout_of(model, source, reading.design_number, fixing)
    shrinking = penalty if isinstance(penalty, ElasticNet) else None
    added: Any = None if shrinking else penalty
    program = Program(
        log_density=hashable(model.log_density),
        unit="row",
        layout=layout,
        structured=bool(layout.linears),
        penalties=priors_of(model) + (() if added is None else (hashable(added),)),
    )
    base, free = fixing.apply(layout)
    l2 = np.zeros(layout.size)
    if shrinking is not None:
        l2 = shrinkage_of(shrinking, layout, source.designs, grouping.weights[source.rows]).l2
    ends, order = grouping.ends(source.rows)
    stands = len(source.rows) == grouping.table.n_rows or grouping.own is not None
    shares = _Shares(grouping.shared if stands else frozenset(), model)
    designs = tuple(
        any(reading.design_number[name] == i for name in model.params if shares.design(name))
        for i in range(len(source.designs))
    )
    sharing = Sharing(
        program=program,
        free=tuple(int(i) for i in free),
        designs=designs,
        columns=tuple(name for name in source.columns if name in shares.columns),
        offsets=tuple(name for name in source.offsets if shares.offset(name)),
    )
    first = slice(0, ends[0] if grouping.own is not None else grouping.each)
    cut = lambda arrays, names: {k: v[first] if k in names else v for k, v in arrays.items()}
    dense = [_columns(d, np.arange(len(source.rows))) for d in source.designs]
    stack = Stack(
        sharing=sharing,
        columns=cut(source.columns, sharing.columns),
        designs=[[column[first] for column in d] if s else d for d, s in zip(dense, designs)],
        offsets=cut(source.offsets, sharing.offsets),
        weights=grouping.weights_of(source.rows),
        order=order,
        ends=ends,
    )
    held = {"base": base, "constants": fixing.constants, "l2": l2}
    some = some_of(source)
    return Batch(stack, held, free, column_scale(layout, some.designs)[free], method.tol, method.max_steps)


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


def _columns(design: Design, rows: np.ndarray) -> list[np.ndarray]:
    """The columns of a design, levels of factors written out."""
    pieces = (design.written_out(rows),) if design.factors else pieces_of(design.matrix)
    return [column for piece in pieces for column in piece.T]


class _Shares:
    """Which of a model's designs and offsets are made of shared columns alone."""

    def __init__(self, columns: frozenset[str], model: Model) -> None:
        self.columns, self._params = columns, model.params

    def design(self, name: str) -> bool:
        terms: Any = getattr(self._params[name], "terms", None)
        if not self.columns or terms is None:
            return False
        return self._all(_columns_of(terms))

    def offset(self, name: str) -> bool:
        return bool(self.columns) and all(
            self._all((entry,) if entry in self.columns else names_in(entry))
            for entry in self._params[name].offset  # type: ignore[union-attr]
        )

    def _all(self, names: Any) -> bool:
        return all(name in self.columns for name in names)


def _columns_of(terms: Any) -> tuple[str, ...]:
    if isinstance(terms, Formula):
        return tuple(variables(terms.text))
    return (terms,) if isinstance(terms, str) else tuple(t for t in terms if isinstance(t, str))


def _begin(reading: Reading, batch: Batch, start: Mapping[str, Any] | None) -> tuple[np.ndarray, np.ndarray]:
    """Where the search for a common start begins, and which entries the user chose."""
    some = some_of(reading.source)
    suggested = suggested_starts(reading.model, some, reading.design_number, reading.starts, np.ones(len(some.rows)))
    z, chosen = [], np.zeros(0, bool)
    for given in (start, {**suggested, **(start or {})}):
        u, mine = start_vector(reading.model, batch.layout, given)
        z.append(u[batch.free])
        chosen = mine[batch.free] if given is start else chosen
    return z[1], chosen


def _search(batch: Batch, z: np.ndarray, chosen: np.ndarray, report: _Counter) -> tuple[Searches, np.ndarray]:
    """The ends of all searches, and the steps that each took; those that fail begin once more elsewhere."""
    total = Searches.at(np.full((len(batch.stack.ends), len(z)), np.nan))
    total = total._replace(status=np.full(len(total.z), DONE, np.int32))
    free = np.zeros(batch.layout.size, bool)
    free[batch.free[chosen]] = True
    places = movable(batch, free)  # type: ignore[arg-type]
    begin, other = z, z
    for number, (sets, length) in enumerate(batch.buckets()):
        if number == 0 and not chosen.all():
            middle, other = batch.common_start(z, places, len(sets), length)
            begin, other = np.where(chosen, z, middle), np.where(chosen, z, other)
        ended = batch.search(sets, np.tile(begin, (len(sets), 1)), length, report.add)
        failed = np.flatnonzero((ended.status != DONE) | ~np.isfinite(ended.decrement))
        if len(failed) and not np.array_equal(begin, other):
            again = batch.search(sets[failed], np.tile(other, (len(failed), 1)), length, lambda n: None)
            better = (again.status == DONE) & np.isfinite(again.decrement) | (again.value < ended.value[failed])
            for old, new in zip(ended, again):
                old[failed[better]] = new[better]
        for old, new in zip(total, ended):
            old[sets] = new
    return total, np.maximum(total.steps, 0)


def _conclude(
    reading: Reading,
    grouping: Grouping,
    batch: Batch,
    searches: Searches,
    n_steps: np.ndarray,
    fixed: Mapping[str, Any] | None,
    penalty: Any,
    missing: str,
) -> FitMany:
    """From the ends of all searches to the result."""
    model, layout = reading.model, batch.layout
    counts = batch.stack.lengths
    certificate, reasons, covariance = certify_many(
        searches,
        entry_names(batch),  # type: ignore[arg-type]
        _limits(batch),
        batch.scale,
        batch.scale_of,
        counts,
        _degenerate(reading, batch),
    )
    u = np.tile(batch.held["base"], (len(counts), 1))
    u[:, batch.free] = searches.z
    index = reported_index(batch)  # type: ignore[arg-type]
    coef, covariance = reported_many(layout, batch.free, index, u, batch.held["constants"], covariance)
    labels, links = layout.labels(), layout.links()
    bounds = np.array(layout.bounds()).reshape(-1, 2)[index]
    penalised = penalty is not None or batch.sharing.program.penalties

    def refit(g: int) -> Fit:
        params = {}
        if np.isfinite(u[g]).all():
            params, _ = jax.device_get(runtime.call(naturalise, layout, u[g], batch.held["constants"])[0])
        table, weights = grouping.of(g)
        return fit(
            model,
            table,
            start={name: params[name] for name in params if name in {b.name for b in layout.blocks}},
            weights=weights,
            fixed=fixed,
            penalty=penalty,
            tol=batch.tol,
            missing=missing,
            collinear="keep",
            progress=False,
        )

    return FitMany(
        title=model.title,
        subtitle=penalty_words(penalty) or ("posterior mode" if penalised else ""),
        names=tuple(labels[i] for i in index),
        groups=grouping.labels,
        coef=coef,
        covariance=covariance,
        log_likelihood=-searches.plain,
        n_obs=batch.stack.totals,
        n_rows=counts,
        converged=np.array(reasons == ""),
        reasons=reasons,
        certificate=certificate,
        n_steps=n_steps,
        seconds={},
        links=tuple(links[i] for i in index),
        is_location=np.asarray(np.isinf(bounds).all(axis=1)),
        about=about(model),
        table=grouping.table,
        refit=refit,
    )


def _limits(batch: Batch) -> np.ndarray:
    """The ends of the range of each entry of `z`; NaN for entries of a parameter that depend on each other."""
    out = np.full((batch.layout.size, 2), np.nan)
    for block in batch.layout.blocks:
        if block.elementwise:
            out[block.start : block.stop] = block.bounds()
    return out[batch.free]


def _degenerate(reading: Reading, batch: Batch) -> dict[int, str]:
    """The data sets whose responses have no maximum of the likelihood, by what their family knows: those are asked that
    have one and the same response in all rows."""
    density = reading.model.log_density
    kind = density.kind if isinstance(density, Conditional) and not batch.sharing.columns else None
    if kind is None or not kind.has("degenerate") or batch.sharing.program.penalties or len(density.response) != 1:
        return {}
    y = np.asarray(reading.source.columns[density.response[0]])
    stack = batch.stack
    sorted_y = y if stack.order is None else y[stack.order]
    some = np.flatnonzero(stack.lengths > 0)
    first = (stack.ends - stack.lengths)[some]
    same = np.maximum.reduceat(sorted_y, first) == np.minimum.reduceat(sorted_y, first)
    out = {}
    for g in some[same].tolist():
        rows = stack.members(g)
        known = {field: np.asarray(reading.source.columns[c])[rows] for field, c in getattr(density, "known", ())}
        if why := kind.degenerate(y[rows], known):
            out[g] = why
    return out


class _Counter(Reporter):
    """Tells how many data sets are done."""

    def __init__(self, progress: bool | None, method: Any, batch: Batch) -> None:
        super().__init__(progress, method, None)
        self._total, self._ended = len(batch.stack.ends), 0

    def add(self, n: int) -> None:
        self._ended += n
        if self.watch is not None:
            self.watch(Progress(self._ended, 0.0, np.inf, np.zeros(0), time.perf_counter() - self._start))

    def __enter__(self) -> _Counter:
        super().__enter__()
        return self

    def line(self) -> str:
        clock = super().line().split("  ")[1]
        return f"{self._name}  {clock}  {self._ended:,} of {self._total:,} data sets"

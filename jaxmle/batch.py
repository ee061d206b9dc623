"""`jm.fit_many`: one model, thousands of data sets, one compiled program."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from . import blas, runtime
from .begin import movable
from .data.grouping import Grouping, grouped, stacked
from .declare.conditional import Conditional
from .declare.model import Model
from .declare.penalties import ElasticNet
from .declare.tree import opened
from .errors import DataError, FitWarning, ModelError
from .fit import about, configured, fit, penalty_words
from .fits import FitMany
from .infer.many import certify_many, reported_many
from .infer.reported import entry_limits, entry_names, reported_index
from .infer.rounds import Batch
from .objective.fixing import start_vector
from .objective.source import Reading, read_source
from .objective.stacking import by_set, problems_of, some_of
from .objective.starts import suggested_starts
from .report.progress import Reporter
from .result import Fit
from .solve.batched import DONE, Searches
from .solve.newton import Newton
from .solve.solver import Progress


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
        fixed: name → value at which a parameter or a coefficient is held in all data sets; an array (G,) holds a
            coefficient, or a parameter of one number, at another value in each.
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
    with runtime.Compilation() as compilation, blas.one_thread:
        _check(model, penalty)
        own = model.log_density.response if isinstance(model.log_density, Conditional) else ()
        grouping = stacked(data, own, weights) if by is None else grouped(data, by, weights, missing)
        method = configured(Newton(max_steps=200), tol, max_steps, 0)
        reading = read_source(model, grouping.table, grouping.weights, missing, "keep")
        priors = any(p.prior is not None for p in model.params.values())
        if reading.degenerate and penalty is None and not priors:
            raise DataError(f"No data set has a maximum of the likelihood: {reading.degenerate}.")
        problems = problems_of(reading, grouping, fixed or {}, penalty, missing != "allow")
        batch = Batch(problems, method.tol, method.max_steps)
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
    settled = np.zeros(batch.layout.size, bool)
    settled[batch.free[chosen]] = True
    places = movable(batch, settled)  # type: ignore[arg-type]
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
        entry_limits(batch),  # type: ignore[arg-type]
        batch.scale,
        batch.scale_of,
        counts,
        _degenerate(reading, batch),
    )
    bases = batch.problems.bases
    u = np.tile(batch.held["base"], (len(counts), 1)) if bases is None else bases.copy()
    u[:, batch.free] = searches.z
    index = reported_index(batch)  # type: ignore[arg-type]
    coef, covariance = reported_many(layout, batch.free, index, u, covariance)
    labels, links = layout.labels(), layout.links()
    bounds = np.array(layout.bounds()).reshape(-1, 2)[index]
    penalised = penalty is not None or batch.sharing.program.penalties

    def refit(g: int) -> Fit:
        params = {}
        if np.isfinite(u[g]).all():
            params = opened(layout.named(layout.entries(u[g]), batch.held["constants"]))
        table, weights = grouping.of(g)
        return fit(
            model,
            table,
            start={name: params[name] for name in params if name in {b.name for b in layout.blocks}},
            weights=weights,
            fixed={
                name: float(v[g]) if by_set(model, name, v, len(counts)) else v for name, v in (fixed or {}).items()
            },
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

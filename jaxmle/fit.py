"""`jm.fit`: a model and data in, a `Fit` out."""

from __future__ import annotations

import numbers
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from . import blas
from .begin import among_starts, begin, scattered, warm_start, with_held_out
from .data.tables import Table, read_weights
from .declare.conditional import Conditional
from .declare.linear import Linear
from .declare.model import Model
from .declare.penalties import ElasticNet
from .declare.series.dependent import Dependent
from .errors import FitWarning, ModelError
from .infer.blame import Context, find_blame
from .infer.certificate import Certificate, certify
from .infer.estimates import Estimates, nothing_known
from .infer.order import in_order
from .infer.reported import entry_names, reported_index
from .infer.sparse import certify_sparse
from .inference import Session
from .objective import em
from .objective.build import Built, build
from .objective.clusters import ClusterObjective
from .objective.explained import differentiated
from .objective.jeffreys import FIRTH
from .objective.objective import Objective
from .objective.placement import Placement
from .report.progress import Reporter
from .result import Fit
from .solve.choose import NEWTON_SIZE, resolve
from .solve.corners import past_corners
from .solve.edges import along_edges
from .solve.em import EM
from .solve.newton import Newton
from .solve.proximal import ProximalNewton
from .solve.solver import FAILED, INTERRUPTED, Progress, Solution

BAD_START = (
    "A fit needs a start at which every row has a positive density and finite derivatives: give one with "
    "start={...} or in the declarations, or mend the density or those rows."
)

STARTS = 10
"""Starts of a mixture, unless the user says where to start."""

NEWTON_CLUSTERS = 1000
"""Parameters of clusters up to which Newton's method ends EM: their Hessian costs as much as some tens of its steps."""

ROUGH_TOL = 1e-4
"""The log-likelihood that EM leaves where it goes to the end by itself."""

SINGLE_TOL = 1e-3
"""The log-likelihood that a search in float32 leaves to the steps in float64 that finish it: its values hold no more."""


def fit(
    model: Model,
    data: Any,
    *,
    start: Mapping[str, Any] | None = None,
    weights: Any = None,
    probability_weights: Any = None,
    fixed: Mapping[str, Any] | None = None,
    penalty: ElasticNet | str | Callable[[Mapping[str, Any]], Any] | None = None,
    solver: Any = None,
    tol: float | None = None,
    max_steps: int | None = None,
    missing: str = "raise",
    collinear: str = "raise",
    chunk_rows: int | None = None,
    precision: str = "float64",
    devices: Any = None,
    progress: bool | None = None,
    callback: Callable[[Progress], None] | None = None,
    key: int = 0,
) -> Fit:
    """Fit a model by maximum likelihood.

    Arguments:
        model: a `Model`.
        data: a mapping of arrays (rows first), a structured array, or a pandas, polars or pyarrow table. A large matrix
            in NumPy's own order is read where it is: leave it as it is for as long as the fit is asked about its data.
        start: name → starting value on the natural scale, for parameters (`"scale"`) or single coefficients
            (`"loc[x]"`); `fit.params` of another fit will do. What is not given is searched for.
        weights: frequencies, as a column name or an array (rows,): a row of weight 3 is three equal rows.
        probability_weights: sampling weights, likewise; the covariance is then a sandwich by default.
        fixed: name → value at which a parameter or a single coefficient is held.
        penalty: what is added to the negative log-likelihood: `jm.Ridge(strength)`, `jm.Lasso(strength)`,
            `jm.ElasticNet(strength, l1_ratio)`, "firth" (Jeffreys' prior: minus ½ log det of the information, which keeps
            estimates finite where data are separated), or a function of the parameters (natural scale, a `Linear` by its
            coefficients) that returns a number.
        solver: None (jaxmle chooses and says why), "newton", "lbfgs", "newton_cg", "bhhh", or a solver with settings.
        tol: the log-likelihood still to be gained at which the search ends; default 1e-9.
        max_steps: the most steps of the solver.
        collinear: what becomes of columns of a formula that depend on each other: "raise" (an error that says how they
            do), or "drop" (the later ones are left out).
        missing: "raise", "drop" (rows with missing values, and say how many) or "allow" (the density handles NaN).
        chunk_rows: rows (or groups) in one compiled kernel, at most 8,192; default chosen.
        precision: "float64", or "float32": the search computes chunks of rows in float32 and adds them up in float64, and
            its last steps and the certificate are in float64.
        devices: where it is computed: "cpu" or "gpu", a `jax.Device`, several, or a `jax.sharding.Mesh`. By default JAX's
            default device, or all GPUs of the process if that is one; of a CPU all cores are used.
        progress: show progress of fits that take over a second; default: in a terminal only. False is silent.
        callback: called after each step with a `Progress`; raise KeyboardInterrupt in it to stop there.
        key: seed of whatever is random (several starts, minibatches).

    Returns:
        A `Fit`. If its optimum is not proved, `converged` is False and a `FitWarning` names the cause.

    Raises:
        ModelError: for a model or an argument that cannot be used.
        DataError: for data that cannot be used.
    """
    if not isinstance(model, Model):
        how = "Call it with a formula" if callable(model) else "Name a family, or wrap a density"
        raise ModelError(
            f"fit takes a jm.Model; got {type(model).__name__}. {how}: jm.poisson('y ~ x'), or jm.Model(f, params)."
        )
    if callback is not None and not callable(callback):
        raise ModelError(f"callback must be a function of one Progress; got {callback!r}.")
    if isinstance(penalty, ElasticNet) and penalty.strength is None:
        name = type(penalty).__name__
        raise ModelError(f"{name} needs a strength: jm.{name}(0.1); jm.cross_validate chooses one by the data.")
    with blas.one_thread:
        placement = Placement.of(devices)
        table = Table.read(data)
        all_weights = all_weights_of(weights, probability_weights, table)
        kept: dict[str, Any] = dict(missing=missing, collinear=collinear, chunk_rows=chunk_rows)
        built = build(
            model,
            table,
            weights=all_weights,
            fixed=fixed,
            penalty=penalty,
            precision=precision,
            placement=placement,
            **kept,
        )
        objective, model = built.objective, built.model
        method, why = method_for(objective, solver)
        single = precision == "float32" and getattr(method, "polishes", True)
        method = configured(method, max(tol or 0.0, SINGLE_TOL) if single else tol, max_steps, key)
        method = with_held_out(method, built, table)
        with differentiated(f"The log-density {model.title!r}"):
            z, at_start = begin(built, start, method)
            z, noted = among_starts(objective, z, method, start, key)
            method = scattered(built, start, method)
            with Reporter(progress, method, objective) as reporter:
                watch = _both(reporter.watch, callback)
                begun, informed, note = warm_start(objective, z, method)
                solution = informed.minimise(objective, begun, watch)
                if note and solution.stop == FAILED:  # where a sample's optimum is, other rows may have no density
                    note, solution = (), method.minimise(objective, z, watch)
                solution = along_edges(objective, past_corners(objective, solution, watch), watch)
                solution = in_order(objective, model, replace(solution, notes=(*solution.notes, *note, *noted)))
                if precision == "float32" and solution.stop not in (FAILED, INTERRUPTED):
                    objective, solution = finish_in_double(objective, solution, method, tol, watch)
        if solution.stop == FAILED:
            context = context_of(built, objective)
            blame = find_blame(objective, solution.z, context.names, context.rows, context.unit)
            raise ModelError(
                f"At the start values, {blame.words if blame else 'the log-likelihood is not finite.'} {BAD_START}"
            )
        sampling = probability_weights is not None

        def again(other: Model) -> Fit:
            """Another model of the rows that were fitted: a smaller one may need fewer columns, and so lose fewer rows."""
            given = probability_weights if sampling else weights
            if len(built.source.rows) < table.n_rows:
                given = np.where(np.isin(np.arange(table.n_rows), built.source.rows), all_weights, 0.0)
            counted = {"probability_weights" if sampling else "weights": given}
            held = {k: v for k, v in (fixed or {}).items() if not isinstance(model.params.get(k.split("[")[0]), Linear)}
            return fit(other, data, **counted, fixed=held, devices=devices, progress=False, **kept)

        return conclude(table, built, objective, solution, at_start, why, sampling, penalty_words(penalty), again)


def conclude(
    table: Table,
    built: Built,
    objective: Objective,
    solution: Solution,
    at_start: Any,
    why: str,
    sampling: bool,
    penalised: str,
    refit: Callable[[Model], Fit],
) -> Fit:
    """From the end of a search to a `Fit`, with a warning where its optimum is not proved."""
    context = context_of(built, objective)
    prove = certify if objective.l1 is None else certify_sparse
    certificate, hessian = prove(objective, solution, context, at_start)
    estimates = _estimates(built, objective, solution, certificate, why, sampling, penalised)
    information = None if hessian is None else objective.information(solution.z, hessian)
    session = Session(table, built.table, objective, built.source, solution.z, information, sampling, refit)
    if not certificate.proved:
        warnings.warn(f"{certificate.reason} {certificate.remedy}", FitWarning, stacklevel=3)
    for caution in certificate.cautions:
        warnings.warn(caution, FitWarning, stacklevel=3)
    return Fit(estimates, session, built.model)


def context_of(built: Built, objective: Objective) -> Context:
    """The names of coefficients and of units of observation, for messages."""
    unit = "row" if built.model.unit == "all" else built.model.unit
    return Context(entry_names(objective), row_labels(built), unit, built.source)


def penalty_words(penalty: Any) -> str:
    """What a summary calls the estimate, by its penalty."""
    if isinstance(penalty, str) and penalty == FIRTH:
        return "Firth's penalised likelihood (Jeffreys' prior)"
    return f"penalised ({penalty.words})" if isinstance(penalty, ElasticNet) else ""


def method_for(objective: Objective, solver: Any) -> tuple[Any, str]:
    """The solver, and why: one that knows corners where the penalty has some."""
    if objective.l1 is None and solver is None and isinstance(objective, ClusterObjective) and not objective.penalised:
        if objective.size > NEWTON_CLUSTERS:
            return EM(tol=ROUGH_TOL, finish=False), f"a mixture of {objective.size:,} parameters: EM alone"
        return EM(), "a mixture: EM, Newton's method at the end"
    if solver is None and em.is_mixture(objective) and objective.size <= NEWTON_SIZE:
        return EM(starts=STARTS), "a mixture has several optima: EM climbs from many starts"
    if objective.l1 is None:
        return resolve(solver, objective.size)
    if solver is None:
        return ProximalNewton(), "the penalty has corners, where coefficients are zero"
    if isinstance(solver, ProximalNewton):
        return solver, "as asked"
    raise ModelError(f"A lasso or elastic net is fitted by jm.ProximalNewton(), or solver=None; got {solver!r}.")


def finish_in_double(
    objective: Objective, solution: Solution, method: Any, tol: float | None, watch: Callable | None
) -> tuple[Objective, Solution]:
    """Go on in float64 from where a search in float32 ended: one or two steps, and an optimum that can be proved."""
    double = objective.in_double()
    if not getattr(method, "polishes", True):
        at = double.evaluate(solution.z, "gradient")
        return double, replace(solution, value=at.value, gradient=at.gradient)
    last = Newton() if objective.size <= NEWTON_SIZE else method
    last = last if objective.l1 is None else ProximalNewton()
    last = last if tol is None else replace(last, tol=tol)
    end = last.minimise(double, solution.z, watch)
    n_steps, seconds = solution.n_steps + end.n_steps, solution.seconds + end.seconds
    notes = (*solution.notes, "searched in float32, finished in float64")
    kept = {"solver": solution.solver, "optima": solution.optima, "notes": notes}
    return double, replace(end, n_steps=n_steps, seconds=seconds, **kept)


def configured(method: Any, tol: float | None, max_steps: int | None, key: int) -> Any:
    """The solver with the settings that `fit` was given."""
    if tol is not None and not (_is(numbers.Real, tol) and 0 < tol < np.inf):
        raise ModelError(f"tol must be a positive number; got {tol!r}.")
    if max_steps is not None and not (_is(numbers.Integral, max_steps) and max_steps > 0):
        raise ModelError(f"max_steps must be a positive whole number; got {max_steps!r}.")
    if not (_is(numbers.Integral, key) and key >= 0):
        raise ModelError(f"key must be a whole number from 0 up; got {key!r}.")
    settings = {"tol": tol, "max_steps": max_steps, "key": key}
    known = {k: v for k, v in settings.items() if v is not None and hasattr(method, k)}
    if "key" in known and method.key != type(method).__dataclass_fields__["key"].default:
        known.pop("key")
    return replace(method, **known) if known else method


def _is(kind: type, value: Any) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool | np.bool_)


def all_weights_of(weights: Any, probability_weights: Any, table: Table) -> np.ndarray:
    total = np.broadcast_to(1.0, table.n_rows)
    if weights is not None and probability_weights is not None:
        raise ModelError(
            "Give weights= (frequencies) or probability_weights= (sampling weights), not both: repeat each row as often as "
            "its frequency says, and keep the sampling weights."
        )
    if weights is not None:
        total = total * read_weights(weights, table, "weights")
    if probability_weights is not None:
        total = total * read_weights(probability_weights, table, "probability_weights")
    return total


def _both(first: Callable | None, second: Callable | None) -> Callable | None:
    if first is None or second is None:
        return first or second

    def watch(progress: Progress) -> None:
        first(progress)
        second(progress)

    return watch


def about(model: Model) -> str:
    """What a summary says beside the model's name: the formula, and how labels were made numbers."""
    coding = model.log_density.coding if isinstance(model.log_density, Conditional) else ""
    return f"{model.about} ({coding})" if coding else model.about


def _observations(built: Built, sampling: bool) -> float:
    """How many observations there are: units, or the sum of their weights; of a series, those that are not missing."""
    weights = np.ones(built.source.n_units) if sampling else built.weights
    density = built.model.log_density
    return float(weights @ density.present(built.source.columns) if isinstance(density, Dependent) else weights.sum())


def row_labels(built: Built) -> np.ndarray:
    """For each unit, the row of the user's data, or the value of the grouping column."""
    return built.source.rows if built.source.groups is None else built.source.groups.keys


def _estimates(
    built: Built,
    objective: Objective,
    solution: Solution,
    certificate: Certificate,
    why: str,
    sampling: bool,
    words: str,
) -> Estimates:
    """All numbers and names of the fit; `words` are the summary's for what was penalised."""
    model, layout = built.model, objective.layout
    params, reported = objective.natural(solution.z)
    index = reported_index(objective)
    labels, links, owners = layout.labels(), layout.links(), layout.owners()
    bounds = np.array(layout.bounds()).reshape(-1, 2)
    names = tuple(labels[i] for i in index)
    free = set(names)
    penalised = objective.penalised
    n_zero = certificate.zeros or 0
    likelihood = lambda z, value: -(objective.evaluate(z, "value", penalised=False).value if penalised else value)
    tally = objective.tally
    return Estimates(
        title=model.title,
        subtitle=words or ("posterior mode" if penalised else ""),
        about=about(model),
        names=names,
        values=np.asarray(reported)[index],
        covariance=nothing_known(len(names)),
        covariance_kind="observed",
        withheld={},
        links=tuple(links[i] for i in index),
        is_location=np.asarray(np.isinf(bounds[index]).all(axis=1)),
        groups=tuple(layout.blocks[owners[i]].name for i in index),
        group_links={b.name: b.parameter.link.name for b in layout.linears if isinstance(b.parameter, Linear)},
        params=params,
        fixed=tuple(n for n, _ in layout.constants) + tuple(lab for lab in labels if lab not in free),
        log_likelihood=float(likelihood(solution.z, solution.value)),
        n_obs=_observations(built, sampling),
        n_rows=len(built.source.rows),
        df=objective.size - n_zero,
        certificate=certificate,
        solver=solution.solver,
        why=why,
        n_steps=solution.n_steps,
        compile_seconds=tally.compile_seconds,
        run_seconds=tally.pass_seconds,
        optima=tuple(
            (likelihood(z, v), dict(zip(names, np.asarray(objective.natural(z)[1])[index].tolist())))
            for v, z in solution.optima
        ),
        notes=solution.notes
        + built.found
        + ((f"{built.source.n_dropped:,} rows with missing values were dropped",) if built.source.n_dropped else ())
        + tuple(f"dropped as depending on others: {words}" for words in built.dropped),
        objective_value=-solution.value,
    )

"""The certificate: is this the maximum, how close is it, and what may be said? One status, with reason and remedy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..objective.objective import Objective
from ..solve.quadratic import Quadratic
from ..solve.solver import FAILED, INTERRUPTED, MAX_STEPS, Solution
from .blame import find_blame
from .derivatives import DerivativeCheck, check_derivatives
from .directions import Direction, combination, escape, flat_directions, runaway_directions

PROVED = "optimum"
DISTANCE = 1e-3
"""The distance to the optimum, in standard errors, up to which a fit counts as converged."""

ILL_CONDITIONED = 1e11

REMEDIES = {
    "optimum": "",
    "not_identified": "Drop or fix one of the parameters named, or add data or a prior that tells them apart.",
    "boundary": "Fix the parameter at its limit or drop it from the model; its Wald standard error does not exist there.",
    "no_finite_maximum": "Drop or merge what separates the data, or give the coefficients a prior or a penalty.",
    "unbounded": "Bound the parameter away from its limit (Interval), add a prior, or check for an exact fit.",
    "wrong_derivatives": "Write the density with smooth functions (jaxmle.numerics has safe ones), or use profile intervals.",
    "rounding": "Rescale the data or the parameters; the fit is exact to the last digits of the data.",
    "saddle": "Start elsewhere (start=...), or try several starts: solver=MultiStart().",
    "not_finite": "Give start values at which every row has a positive density: start={...}.",
    "max_steps": "Raise max_steps, or start closer: start={...}.",
    "interrupted": "Continue from here: start=fit.params.",
    "not_converged": "Try other start values or several, solver=MultiStart(), and look at the rows of the worst log-density.",
    "not_proved": "Accept the estimates without standard errors, or take fewer parameters.",
}


@dataclass(frozen=True)
class Certificate:
    """What is known about the end of a search.

    `status` is "optimum" when the optimum is proved, else one of the keys of `REMEDIES`; `reason` and `remedy` are in
    words. `gradient` is the largest element of the score in units of its own standard deviation, `gain` the
    log-likelihood still to be gained, `distance` the distance to the optimum in standard errors. `eigenvalues` are the
    smallest and largest of the Hessian scaled to a unit diagonal, `condition` their ratio. `directions` are those in
    which no standard error exists. `cautions` do not forbid belief.
    """

    status: str
    reason: str
    gradient: float = np.nan
    gain: float = np.nan
    distance: float = np.nan
    eigenvalues: tuple[float, float] = (np.nan, np.nan)
    directions: tuple[Direction, ...] = ()
    at_start: DerivativeCheck | None = None
    at_optimum: DerivativeCheck | None = None
    cautions: tuple[str, ...] = ()

    @property
    def proved(self) -> bool:
        return self.status == PROVED

    @property
    def remedy(self) -> str:
        return REMEDIES[self.status]

    @property
    def condition(self) -> float:
        low, high = self.eigenvalues
        return high / low if low > 0 else np.inf

    def __str__(self) -> str:
        if not self.proved:
            return f"✗ {self.status.replace('_', ' ')}: {self.reason} {self.remedy}".rstrip()
        checked = [
            w for w, c in (("start", self.at_start), ("optimum", self.at_optimum)) if c is not None and c.compared
        ]
        derivatives = f", derivatives checked at {' and '.join(checked)}" if checked else ""
        text = (
            f"✓ optimum proved: {self.distance:.0e} standard errors away, Hessian positive definite "
            f"(condition {self.condition:.2g}){derivatives}"
        )
        return "\n".join([text, *(f"! {c}" for c in self.cautions)])


@dataclass(frozen=True)
class Context:
    """What words need: the names of the entries of `z`, and for each unit the user's row or group, and the unit."""

    names: Sequence[str]
    rows: np.ndarray
    unit: str


def certify(
    objective: Objective, solution: Solution, context: Context, at_start: DerivativeCheck | None, check: bool = True
) -> tuple[Certificate, np.ndarray | None]:
    """The certificate of a solution, and the Hessian at it (None where it is too large or not finite)."""
    z = solution.z
    if solution.stop == FAILED or not np.isfinite(solution.value):
        blame = find_blame(objective, z, context.names, context.rows, context.unit)
        reason = blame.words if blame else "the log-likelihood is not finite at the start values."
        return Certificate("not_finite", reason[0].upper() + reason[1:], at_start=at_start), None
    if objective.size > MAX_HESSIAN:
        return _without_hessian(objective, solution, at_start), None
    value, gradient, hessian = solution.value, solution.gradient, solution.hessian
    if hessian is None or gradient is None:
        value, gradient, hessian = objective.evaluate(z)
    if not (np.isfinite(gradient).all() and np.isfinite(hessian).all()):
        blame = find_blame(objective, z, context.names, context.rows, context.unit)
        return Certificate(
            "not_finite", blame.words if blame else "Derivatives are not finite.", at_start=at_start
        ), None
    model = Quadratic.of(gradient, hessian)
    at_optimum = check_derivatives(objective, z) if check else None
    numbers = dict(
        gradient=float(np.abs(gradient / model.metric).max(initial=0.0)),
        gain=0.5 * model.decrement**2,
        distance=model.decrement,
        eigenvalues=(float(model.curvature[0]), float(model.curvature[-1])),
        at_start=at_start,
        at_optimum=at_optimum,
    )
    status, reason, directions = _judge(objective, solution, model, context, at_optimum)
    cautions = _cautions(model, at_start, context) if status == PROVED else ()
    return Certificate(status, reason, directions=tuple(directions), cautions=cautions, **numbers), hessian


MAX_HESSIAN = 3000
"""More parameters than this, and no Hessian is formed: 3,000² numbers are 72 MB."""


def _judge(
    objective: Objective, solution: Solution, model: Quadratic, context: Context, check: DerivativeCheck | None
) -> tuple[str, str, list[Direction]]:
    """Status, reason and withheld directions, the gravest finding first."""
    names = context.names
    z = solution.z
    small = model.decrement <= DISTANCE
    if solution.stop == INTERRUPTED:
        return "interrupted", f"Interrupted after {solution.n_steps} steps; this is the best point so far.", []
    if check is not None and check.compared and not check.ok:
        return _mismatch(objective, solution, model, check, names)
    stuck = solution.stop == MAX_STEPS or not small
    if stuck and (found := _unbounded(objective, solution, names)):
        return "unbounded", f"The log-likelihood grows without limit as {_words(found)}.", found
    step = escape(objective, z, model) if (model.decrement > 1e-7 and np.isfinite(model.decrement)) else None
    if step is not None:
        found = runaway_directions(objective, step, names)
        words = _words(found)
        if any(d.kind == "runaway" for d in found):
            return "no_finite_maximum", f"The log-likelihood keeps rising towards a limit as {words}.", found
        return "boundary", f"The maximum is at the end of a parameter's range: {words}.", found
    flat = flat_directions(objective, model, names)
    if stuck:
        return *_not_converged(objective, solution, model, names), flat
    if model.curvature[0] < -model.floor:
        return "saddle", "The score is zero, but the log-likelihood rises in a direction: this is no maximum.", flat
    if flat:
        words = "; ".join(d.words for d in flat)
        return "not_identified", f"The data do not determine {words}: moving along it changes no log-density.", flat
    return PROVED, "", []


def _unbounded(objective: Objective, solution: Solution, names: Sequence[str]) -> list[Direction]:
    """The directions of the last steps, if the log-likelihood was still growing by whole units at extreme values."""
    trace = solution.trace
    if len(trace) < 4 or not trace[0].value - trace[-1].value > 1.0:
        return []
    owner = objective.layout.of_unconstrained()[objective.free]
    bounded = np.array([np.isfinite(b.bounds()).any() if (b := objective.layout.blocks[o]) else False for o in owner])
    extreme = np.abs(solution.z) > np.where(bounded, 20.0, 1e6)
    moved = np.where(extreme, sum(r.step for r in trace if r.step is not None), 0.0)
    return runaway_directions(objective, moved, names) if moved.any() else []


def _mismatch(objective, solution, model, check, names) -> tuple[str, str, list[Direction]]:
    directions = flat_directions(objective, model, names)
    noise = _value_noise(objective, solution.z, model)
    if noise > 1e-11:
        return (
            "rounding",
            f"Values of the log-likelihood differ by {noise:.0e} of themselves between neighbouring numbers: rounding "
            "errors decide where the maximum seems to be.",
            directions,
        )
    who = ", ".join(repr(names[i]) for i in check.suspects[:5])
    where = f" by {who}" if who else ""
    reason = (
        f"The derivatives{where} are not those of the log-density (mismatch with finite differences: score "
        f"{check.score_error:.1e}, Hessian {check.hessian_error:.1e}). The density may have a kink (abs, max, round, "
        "an integer cast) at a data point, or use a function whose derivative is wrong."
    )
    vectors = [np.eye(len(solution.z))[i] for i in check.suspects] or list(np.eye(len(solution.z)))
    return "wrong_derivatives", reason, [Direction("flat", v, names[int(v.argmax())]) for v in vectors]


def _value_noise(objective: Objective, z: np.ndarray, model: Quadratic) -> float:
    """The jitter of the value between points a hundred-millionth of a standard error apart, relative to the value."""
    glimpse = objective.glimpse()
    p = model.to_z(np.ones(len(z)) / np.sqrt(len(z))) * 1e-8
    values = np.array([glimpse.evaluate(z + k * p).value for k in range(6)])
    return float(np.abs(np.diff(values, 2)).max() / max(abs(values[0]), 1.0))


def _not_converged(objective: Objective, solution: Solution, model: Quadratic, names: Sequence[str]) -> tuple[str, str]:
    information = np.diag(objective.evaluate(solution.z, "opg").matrix)
    curvature = np.abs(np.diag(objective.evaluate(solution.z).matrix))
    kinked = np.flatnonzero(curvature <= 1e-6 * information)
    if len(kinked):
        who = ", ".join(repr(names[i]) for i in kinked[:5])
        return "wrong_derivatives", (
            f"Second derivatives by {who} are zero though the scores are not: the density has a kink (abs, max, round) "
            "or steps, and a maximum at a kink has no Hessian."
        )
    how_far = (
        f"{model.decrement:.2g} standard errors from where the maximum should be"
        if np.isfinite(model.decrement)
        else "where the log-likelihood still rises"
    )
    if solution.stop == MAX_STEPS:
        return "max_steps", f"The search ended after {solution.n_steps} steps, {how_far}."
    return "not_converged", f"No step improves the log-likelihood any more, yet the search ended {how_far}."


def _words(directions: Sequence[Direction]) -> str:
    return ", ".join(d.words for d in directions)


def _cautions(model: Quadratic, at_start: DerivativeCheck | None, context: Context) -> tuple[str, ...]:
    out = []
    if at_start is not None and at_start.compared and not at_start.ok:
        who = ", ".join(repr(context.names[i]) for i in at_start.suspects[:5])
        out.append(
            f"At the start values the derivatives{' by ' + who if who else ''} were not those of the log-density "
            f"(mismatch {max(at_start.score_error, at_start.hessian_error):.0e}); at the optimum they are."
        )
    if model.curvature[0] > 0 and model.curvature[-1] / model.curvature[0] > ILL_CONDITIONED:
        axis = model.axes[:, 0] / model.metric
        out.append(f"Nearly not identified: {combination(axis, context.names)} is known only by rounding errors.")
    return tuple(out)


def _without_hessian(objective: Objective, solution: Solution, at_start: DerivativeCheck | None) -> Certificate:
    """What can be said without the Hessian."""
    _, gradient, _ = objective.evaluate(solution.z, "gradient")
    return Certificate(
        "not_proved",
        f"{objective.size:,} parameters are too many for a Hessian ({objective.size:,}² numbers), so no standard errors "
        f"and no proof; the largest element of the score is {np.abs(gradient).max():.2g}.",
        gradient=float(np.abs(gradient).max()),
        at_start=at_start,
    )

"""The certificate: is this the maximum, how close is it, and what may be said? One status, with reason and remedy."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from ..objective.concavity import one_optimum
from ..objective.objective import Objective
from ..objective.passes import Evaluation
from ..solve.choose import MAX_HESSIAN, NEWTON_SIZE
from ..solve.quadratic import Curvature, Quadratic
from ..solve.solver import FAILED, IMPROPER, INTERRUPTED, Solution, finite
from .blame import Context, find_blame
from .derivatives import DerivativeCheck, check_derivatives
from .diagnosis import DISTANCE, HALF_LOST, Case, Finding, beyond_resolution, diagnose
from .directions import Direction, in_words, who
from .neighbourhood import look_around, lost_in_rounding
from .recession import escape
from .reported import Reported
from .separation import find_separation

PROVED = "optimum"

CLOSE = 1e-7
"""A distance, in standard errors, beyond which it is asked whether Newton's steps contract at all."""

ILL_CONDITIONED = 1e11
"""Condition of the scaled Hessian above which its inverse has no digits that can be trusted."""

LOST = 0.01
"""Share of the smallest curvature that may be rounding errors without a word."""

THIN = 1e-3
"""Information about a coefficient below which it is asked whether it goes to infinity."""

REMEDIES = {
    "optimum": "",
    "not_identified": "Drop or fix one of the parameters named, or add data or a prior that tells them apart.",
    "singular_information": "For the parameters named use profile likelihood, a bootstrap, or another parametrisation.",
    "boundary": "Fix the parameter at its limit or drop it: it has no Wald standard error there, and tests of it need "
    "their own theory.",
    "no_finite_maximum": "Drop or merge what separates the data, or give the coefficients a prior or a penalty.",
    "unbounded": "Bound the parameter away from its limit (Interval), add a prior, or check for an exact fit.",
    "support_edge": "An estimated limit of the support has no standard error of this kind: fix the parameter named there, "
    "or take a density whose support does not depend on it.",
    "wrong_derivatives": "Write the density with smooth functions (jaxmle.numerics has safe ones); for a kink that belongs "
    "to the model, profile over the parameter (fixed=...) or use a bootstrap.",
    "rounding": "Rescale or centre the data, write the density without differences of large numbers, and check for an "
    "exact fit.",
    "saddle": "Start elsewhere (start=...), or try several starts: solver=MultiStart().",
    "not_finite": "Make the density finite for every value of its parameters (jaxmle.numerics has safe functions), keep "
    "the parameters where it is by their domains, or start elsewhere: start={...}.",
    "improper": "Try more starts (solver=jm.EM(starts=50)), fewer components, or scales that are bounded away from zero.",
    "max_steps": "Raise max_steps, or start closer: start={...}.",
    "interrupted": "Continue from here: start=fit.params.",
    "unfinished": "Go on from here with a solver that does: solver='newton' or 'lbfgs', start=fit.params.",
    "not_converged": "Try other start values or several, solver=MultiStart(), and look at the rows of the worst "
    "log-density.",
    "not_proved": "Judge the estimates by rows held out, and part of their errors by jm.laplace_covariance, or take fewer "
    "parameters.",
}


@dataclass(frozen=True)
class Certificate:
    """What is known about the end of a search.

    `status` is "optimum" when the optimum is proved, else one of the keys of `REMEDIES`; `reason` and `remedy` are in
    words. `gradient` is the largest element of the score in units of its own standard deviation, `gain` the
    log-likelihood still to be gained, `distance` the distance to the optimum in standard errors. `eigenvalues` are the
    smallest and largest of the Hessian scaled to a unit diagonal, `condition` their ratio. `directions` are those in
    which no standard error exists; `usable` says whether others have one. `cautions` do not forbid belief. `only` says
    that there is no other optimum, so that this one is global: the log-likelihood is concave, if need be after a change
    of variables.

    Where coefficients have a penalty with corners, `zeros` of the `penalised` ones are zero, the other numbers are about
    the rest, and `gap` is the duality gap: no coefficients have a penalised log-likelihood higher by more (NaN where the
    log-density is not known to be concave in the predictor).
    """

    status: str
    reason: str
    gradient: float = np.nan
    gain: float = np.nan
    distance: float = np.nan
    curvature: Curvature | tuple[float, float] = field(default=(np.nan, np.nan), compare=False, repr=False)
    directions: tuple[Direction, ...] = ()
    at_start: DerivativeCheck | None = None
    at_optimum: DerivativeCheck | None = None
    cautions: tuple[str, ...] = ()
    usable: bool = False
    only: bool = False
    gap: float = np.nan
    zeros: int | None = None
    penalised: int = 0

    @property
    def proved(self) -> bool:
        return self.status == PROVED

    @property
    def remedy(self) -> str:
        return REMEDIES[self.status]

    @property
    def eigenvalues(self) -> tuple[float, float]:
        return self.curvature.extremes if isinstance(self.curvature, Curvature) else self.curvature

    @property
    def condition(self) -> float:
        low, high = self.eigenvalues
        return high / low if low > 0 else np.inf

    @property
    def _gap(self) -> str:
        if np.isfinite(self.gap):
            return f"duality gap {self.gap:.0e}; "
        return f"{self.distance:.0e} standard errors away; "

    def __str__(self) -> str:
        if not self.proved:
            return f"✗ {self.status.replace('_', ' ')}: {self.reason} {self.remedy}".rstrip()
        checks = {"start": self.at_start, "optimum": self.at_optimum}
        checked = [where for where, c in checks.items() if c is not None and c.compared]
        derivatives = f", derivatives checked at {' and '.join(checked)}" if checked else ""
        if self.zeros is not None:
            text = f"✓ penalised optimum proved: {self._gap}{self.zeros} of {self.penalised} coefficients are zero"
            return "\n".join([text + derivatives, *(f"! {c}" for c in self.cautions)])
        which = "global optimum" if self.only else "optimum"
        text = (
            f"✓ {which} proved: {self.distance:.0e} standard errors away, Hessian positive definite "
            f"(condition {self.condition:.2g}){derivatives}"
        )
        return "\n".join([text, *(f"! {c}" for c in self.cautions)])


def certify(
    objective: Objective, solution: Solution, context: Context, at_start: DerivativeCheck | None
) -> tuple[Certificate, np.ndarray | None]:
    """The certificate of a solution, and the Hessian at it (None where it is too large or not finite)."""
    z = solution.z
    if solution.stop == FAILED or not np.isfinite(solution.value):
        return _not_finite(objective, z, context, at_start), None
    if solution.stop == IMPROPER:
        why = f"The search ended at no proper maximum: {'; '.join(solution.notes)}."
        return Certificate("improper", why, at_start=at_start), None
    if objective.size > (MAX_HESSIAN if solution.claims else NEWTON_SIZE):
        return _without_hessian(objective, solution, at_start), None
    at, model = Evaluation(solution.value, solution.gradient, solution.hessian), solution.model
    if at.gradient is None or at.matrix is None:
        at, model = objective.evaluate(z), None
    if not finite(at):
        return _not_finite(objective, z, context, at_start), None
    model = model or Quadratic.of(at.gradient, at.matrix)
    at_optimum = check_derivatives(objective, z)
    nearby, lost = look_around(objective, z, model), lost_in_rounding(objective, z, model)
    case = Case(objective, solution, at, model, at_optimum, nearby, lost, context)
    is_optimum = _is_optimum(case)
    source = context.source if solution.stop != INTERRUPTED else None
    if source is not None and (not is_optimum or _thin(objective, model, at.matrix)):
        case = replace(case, verdict=find_separation(objective, source, z))
    separated = case.verdict is not None and case.verdict.separation is not None
    finding = Finding(PROVED, "", usable=True) if is_optimum and not separated else diagnose(case)
    certificate = Certificate(
        finding.status,
        finding.reason,
        gradient=float(np.abs(at.gradient / model.metric).max(initial=0.0)),
        gain=0.5 * model.decrement**2,
        distance=model.decrement,
        curvature=model.curvature.kept(),
        directions=finding.directions,
        at_start=at_start,
        at_optimum=at_optimum,
        cautions=_cautions(case, at_start) if finding.status == PROVED else (),
        usable=finding.usable,
        only=finding.status == PROVED and one_optimum(objective, z),
    )
    return certificate, at.matrix


def _is_optimum(case: Case) -> bool:
    """Whether everything that can be asked of a maximum holds; how the search ended is not asked."""
    model = case.model
    return (
        model.positive
        and model.decrement <= DISTANCE
        and not len(beyond_resolution(case.z, model))
        and case.check.ok
        and case.lost <= HALF_LOST
        and case.nearby is not None
        and case.nearby.quadratic
        and (model.decrement <= CLOSE or escape(case.objective, case.z, model) is None)
    )


def _thin(objective: Objective, model: Quadratic, hessian: np.ndarray) -> bool:
    """Whether coefficients may be known by hardly any information, as those are that go to infinity."""
    if not len(hessian):
        return False
    large = np.maximum(objective.scale, 1.0)  # of columns of at most about one, rare levels as they are
    at_least = model.curvature.least * (model.metric / large).min() ** 2
    return at_least < THIN and not Curvature(hessian / np.outer(large, large)).exceeds(THIN)


def _not_finite(objective: Objective, z: np.ndarray, context: Context, at_start: DerivativeCheck | None) -> Certificate:
    blame = find_blame(objective, z, context.names, context.rows, context.unit)
    reason = blame.words if blame else "the log-likelihood or a derivative of it is not finite."
    return Certificate("not_finite", reason[0].upper() + reason[1:], at_start=at_start)


def _cautions(case: Case, at_start: DerivativeCheck | None) -> tuple[str, ...]:
    out, z, model = [], case.z, case.model
    wrong_at_start = at_start is not None and not at_start.ok
    ill = not model.curvature.is_conditioned(ILL_CONDITIONED) or case.lost > LOST
    if not wrong_at_start and not ill:
        return ()
    reported = Reported.at(case.objective, z)
    if at_start is not None and wrong_at_start:
        names = who(reported, [np.eye(len(z))[i] for i in at_start.suspects])
        out.append(
            f"At the start values the derivatives{' by ' + names if names else ''} were not those of the log-density "
            f"(mismatch {max(at_start.score_error, at_start.hessian_error):.0e}); at the optimum they are."
        )
    if ill:
        axis = in_words(reported, model.curvature.axes[:, 0] / model.metric)
        out.append(
            f"Nearly not identified: {axis} is known only by rounding errors, and so are the standard errors of what "
            "takes part in it."
        )
    return tuple(out)


def _without_hessian(objective: Objective, solution: Solution, at_start: DerivativeCheck | None) -> Certificate:
    """What can be said without the Hessian."""
    gradient = solution.gradient
    if gradient is None:
        gradient = objective.evaluate(solution.z, "gradient").gradient
    size, largest = objective.size, float(np.abs(gradient).max())
    why = (
        f"{size:,} parameters are too many for a Hessian ({size:,}² numbers): no standard errors, no proof"
        if solution.claims
        else f"no optimum is claimed: {solution.solver} takes so many steps, and a Hessian of {size:,} parameters is not "
        "formed to look"
    )
    length = float(np.linalg.norm(gradient))
    return Certificate(
        "not_proved",
        f"{why}; the largest element of the score is {largest:.2g}, its length {length:.2g}.",
        gradient=largest,
        at_start=at_start,
    )

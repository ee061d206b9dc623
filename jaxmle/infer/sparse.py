"""The certificate of an estimate with zeros: of the face on which these hold, and of the zeros themselves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..objective.duality import duality_gap
from ..objective.objective import Objective
from ..objective.passes import Evaluation
from ..solve.solver import Solution, finite
from .blame import Context
from .certificate import PROVED, Certificate, certify
from .derivatives import DerivativeCheck
from .diagnosis import DISTANCE

NO_STANDARD_ERRORS = (
    "a penalty with corners pulls estimates towards zero and sets some to it: their distribution is not near normal, and "
    "the inverse Hessian says nothing of it; use a bootstrap, or refit the chosen terms to other data."
)

GAP = 1e-5
"""The penalised log-likelihood that may at most be missing."""


def certify_sparse(
    objective: Objective, solution: Solution, context: Context, at_start: DerivativeCheck | None
) -> tuple[Certificate, np.ndarray | None]:
    """The certificate of a solution that may have zeros by a penalty on absolute values, and the smooth part's Hessian.

    Where the signs of the coefficients are held, those that are zero left out, the objective is smooth, and certified
    like any other. The zeros are right if no slope there is steeper than the penalty; where the log-density is concave
    in the predictor, the duality gap bounds what could be gained anywhere.
    """
    z, weights = solution.z, objective.l1
    assert weights is not None
    at = Evaluation(solution.value, solution.gradient, solution.hessian)
    if at.gradient is None or at.matrix is None:
        at = objective.evaluate(z)
    zero = (z == 0) & (weights > 0)
    n_zero, n_penalised = int(zero.sum()), int((weights > 0).sum())
    if not finite(at):
        return certify(objective, replace(solution, hessian=None, model=None), context, at_start)
    certificate = (
        _on_face(objective, solution, at, zero, context, at_start)
        if not zero.all()
        else Certificate(PROVED, "", gradient=0.0, gain=0.0, distance=0.0, at_start=at_start)
    )
    gap = duality_gap(objective.in_double(), z, at)
    if certificate.proved:
        size = np.sqrt(np.maximum(np.diag(at.matrix), 1e-300))
        steeper = np.where(zero, (np.abs(at.gradient) - weights) / size, 0.0)
        worst = int(np.argmax(steeper))
        if steeper[worst] > DISTANCE:
            reason = f"{context.names[worst]} is zero, but moving it would raise the penalised log-likelihood."
            certificate = replace(certificate, status="not_converged", reason=reason)
        elif gap > GAP * max(1.0, abs(solution.value) * 1e-6):
            reason = f"The duality gap is {gap:.1g}: so much higher the penalised log-likelihood may still be."
            certificate = replace(certificate, status="not_converged", reason=reason)
        else:
            certificate = replace(certificate, reason=NO_STANDARD_ERRORS)
    return replace(certificate, usable=False, gap=gap, zeros=n_zero, penalised=n_penalised), at.matrix


def _on_face(
    objective: Objective,
    solution: Solution,
    at: Evaluation,
    zero: np.ndarray,
    context: Context,
    at_start: DerivativeCheck | None,
) -> Certificate:
    """The certificate of all that is not zero, its signs held."""
    u = objective.to_u(solution.z)
    face = objective.with_fixed(objective.free[zero], u)
    assert objective.shrinkage is not None
    assert objective.l1 is not None
    face = replace(face, shrinkage=objective.shrinkage.on_face(np.sign(u)))
    rest = ~zero
    tilted = at.gradient + objective.l1 * np.sign(solution.z)
    small = replace(
        solution,
        z=solution.z[rest],
        value=face.value(solution.z[rest]),
        gradient=tilted[rest],
        hessian=at.matrix[np.ix_(rest, rest)],
        model=None,
        trace=tuple(replace(r, step=None if r.step is None else r.step[rest]) for r in solution.trace),
        optima=(),
    )
    names = [name for name, keep in zip(context.names, rest) if keep]
    certificate = certify(face, small, Context(names, context.rows, context.unit), None)[0]
    if at_start is not None and not at_start.ok:  # positions of another vector: told without names
        told = "At the start values the derivatives were not those of the log-density."
        certificate = replace(certificate, cautions=(told, *certificate.cautions))
    return replace(certificate, at_start=at_start)

"""Why there is no optimum: explanations in the order of their gravity, each verified by values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..objective.objective import Objective
from ..objective.passes import Evaluation
from ..solve.quadratic import Quadratic
from ..solve.solver import DONE, INTERRUPTED, MAX_STEPS, Solution
from .blame import Context, find_blame
from .centring import not_centred
from .covariance import complement, outer_product
from .derivatives import DerivativeCheck, jitter
from .directions import Direction, flat_vectors, in_words, towards, who
from .identification import along, end_of_plateau, entangled, kinks
from .neighbourhood import Neighbourhood, fading, faults
from .recession import behind_noise, recession
from .reported import Reported
from .separation import Separation, Verdict

DISTANCE = 1e-3
"""The distance to the optimum, in standard errors, up to which a fit counts as converged."""

IN_SIGHT = 0.1
"""A distance, in standard errors, from which an optimum is seen if all about it is as it should be."""

NEGATIVE = 1e-9
"""Eigenvalues of the scaled Hessian below minus this are no rounding errors of zero."""


NOT_NEGATIVE = 1e-6
"""And above minus this, they are if the log-likelihood does not change in that direction."""

RESOLUTION = 1e-3
"""Units in the last place of an estimate, in standard errors, above which numbers are too coarse for the model.

A regular estimate would have to be known to twelve digits to come near; a scale that goes to zero as the model fits the
data exactly comes there soon.
"""

HALF_LOST = 0.3
"""Share of a curvature that may be rounding errors."""

NOISE = 0.1
"""Jumps of the log-likelihood between neighbouring numbers above which no statement by its values is of use."""


@dataclass(frozen=True)
class Finding:
    """What was found: status and reason, the directions without standard errors, and whether others have one."""

    status: str
    reason: str
    directions: tuple[Direction, ...] = ()
    usable: bool = False


@dataclass(frozen=True)
class Case:
    """All that is known of the end of a search before it is explained.

    `check` compares derivatives with differences, `nearby` is what was found around, `lost` the share of the smallest
    curvature that is rounding errors, `verdict` what a linear program says about separated responses.
    """

    objective: Objective
    solution: Solution
    at: Evaluation
    model: Quadratic
    check: DerivativeCheck
    nearby: Neighbourhood | None
    lost: float
    context: Context
    verdict: Verdict | None = None

    @property
    def z(self) -> np.ndarray:
        return self.solution.z


def diagnose(case: Case) -> Finding:
    """The gravest explanation of why `case` is no proved optimum."""
    if case.solution.stop == INTERRUPTED:
        steps = f"{case.solution.n_steps} step{'s' * (case.solution.n_steps != 1)}"
        return Finding("interrupted", f"Interrupted after {steps}; this is the best point so far.")
    if case.verdict is not None and case.verdict.separation is not None:
        return _separated(case, case.verdict.separation)
    if reason := not_centred(case.context.source):
        return Finding("rounding", reason)
    if len(exact := beyond_resolution(case.z, case.model)):
        return _exact_fit(case, exact)
    if _sound_but_early(case):
        return _early(case)
    noise, wobble = jitter(case.objective, case.z, case.model)
    if noise * max(abs(case.solution.value), 1.0) > NOISE:
        found = behind_noise(case.objective, case.z, case.model)
        return _at_infinity(case, found) if found else _rounding(case, noise, wobble)
    reported = Reported.at(case.objective, case.z)
    stuck = not case.model.decrement <= DISTANCE
    if (stuck or case.nearby is None or not case.nearby.finite) and (edge := _edge(case, reported)) is not None:
        return edge
    faded = []
    if case.nearby is not None and not case.nearby.steady:
        faded = fading(case.objective, case.z, case.model)
    found, unlimited = recession(case.objective, case.solution, case.model, faded, noise)
    found = _possible(case, found)
    if unlimited and found:
        return Finding("unbounded", f"The log-likelihood grows without limit as {_words(found)}.", tuple(found))
    if found:
        return _at_infinity(case, found)
    if case.lost > HALF_LOST:
        return _hardly_identified(case, reported)
    if not case.check.ok or (case.nearby is not None and not case.nearby.smooth):
        return _mismatch(case, reported, noise, wobble)
    if stuck and wobble > 0.1 * max(np.abs(case.model.along).max(), DISTANCE):
        return _rounding(case, noise, wobble)
    return _curvature(case, reported, faded, noise)


def _curvature(case: Case, reported: Reported, faded: list[np.ndarray], noise: float) -> Finding:
    """What the Hessian says: a saddle, corners, directions without curvature; or that the search was not at its end."""
    model = case.model
    lowest, highest = model.curvature.extremes
    flat = flat_vectors(model) if lowest >= -NEGATIVE * highest else []
    opg = outer_product(case.objective, case.z)
    corners = kinks(opg, case.at.matrix)
    if corners:
        return _kink(case, reported, corners, opg)
    if flat == [] and lowest < -model.curvature.floor:
        if np.abs(model.along).max() <= DISTANCE:
            axis = _cleaned(model.curvature.axes[:, 0] / model.metric, model)
            if (
                lowest > -NOT_NEGATIVE
                and along(case.objective, case.z, case.solution.value, model, axis, noise) == "flat"
            ):
                return _not_identified(case, reported, [axis], [axis])
            names = who(reported, [axis])
            return Finding(
                "saddle", f"The score is zero, but the log-likelihood rises as {names} move: a saddle point."
            )
        return _early(case)
    if not _distance_apart_from(case, flat) <= DISTANCE:
        return _early(case)
    steps, plateaus, singular, free = [], [], [], []
    kinds = {"steps": steps, "plateau": plateaus, "singular": singular, "flat": free}
    for v in flat[:10]:
        kinds[along(case.objective, case.z, case.solution.value, model, v, noise)].append(v)
    free += flat[10:]
    if steps:
        return _steps(case, reported, steps, flat)
    ends = [end_of_plateau(case.objective, case.z, v) for v in plateaus]
    if any(end is not None and end.higher for end in ends):
        names = who(reported, plateaus)
        reason = (
            f"The search ended on a plateau: the log-likelihood is constant near here in {names}, and higher beyond."
        )
        return Finding("not_converged", reason)
    if not free and ends and all(end is not None and end.saturated for end in ends):
        out = [d for end in ends if end is not None for d in towards(case.objective, case.z, end.way)]
        if out := _possible(case, out):
            return _at_infinity(case, out)
    if free or plateaus:
        return _not_identified(case, reported, free + plateaus, flat, plateau=bool(plateaus))
    if not singular:
        singular = [_cleaned(v, model) for v in faded]
        loose = [v for v in singular if along(case.objective, case.z, case.solution.value, model, v, noise) == "flat"]
        if loose:
            return _not_identified(case, reported, loose, singular)
    if not singular:
        return _early(case)
    reason = (
        f"The information about {who(reported, singular)} is zero at the maximum: the log-likelihood has no curvature "
        f"along {'; '.join(in_words(reported, v) for v in singular)}, and falls only at a higher order."
    )
    return _partial(case, "singular_information", reason, "flat", singular, reported)


def _not_identified(
    case: Case, reported: Reported, free: list[np.ndarray], flat: list[np.ndarray], plateau: bool = False
) -> Finding:
    """The log-likelihood is constant along `free`; there is no curvature along `flat`."""
    combinations = [in_words(reported, v) for v in free]
    what = "along this direction" if len(combinations) == 1 else "along these directions"
    if all(words in reported.names for words in combinations):
        what = "in it" if len(combinations) == 1 else "in them"
    reason = f"The data do not determine {'; '.join(combinations)}: {what} the log-likelihood is constant"
    reason += " near here, and changes only further away (a plateau: clip, min, max)." if plateau else "."
    return _partial(case, "not_identified", reason, "flat", flat, reported)


def _hardly_identified(case: Case, reported: Reported) -> Finding:
    axis = _cleaned(case.model.curvature.axes[:, 0] / case.model.metric, case.model)
    lowest, highest = case.model.curvature.extremes
    reason = (
        f"The data hardly determine {in_words(reported, axis)}: what curvature the log-likelihood has along this "
        f"direction (1/{highest / lowest:.0e} of the largest) is lost in rounding errors."
    )
    return _partial(case, "not_identified", reason, "flat", [axis], reported)


def _at_infinity(case: Case, found: list[Direction]) -> Finding:
    """The maximum is approached along `found` and never attained."""
    also = [v for v in flat_vectors(case.model) if _apart(v, found)] + _swept_along(case, found)
    directions = [*found, *(Direction("flat", v, "") for v in also)]
    usable = _distance_apart_from(case, [d.vector for d in directions]) <= DISTANCE
    if any(d.kind == "runaway" for d in found):
        reason = f"The log-likelihood keeps rising towards a limit as {_words(found)}"
        reason += f"{' (separated data: some outcomes are predicted perfectly)' if _all_linear(case, found) else ''}."
        return Finding("no_finite_maximum", reason, tuple(directions), usable)
    reason = f"The maximum is at the end of a parameter's range: {_words(found)}."
    return Finding("boundary", reason, tuple(directions), usable)


def _separated(case: Case, separation: Separation) -> Finding:
    """Coefficients without finite estimates, proved; those that the other rows determine keep theirs."""
    vectors = [d.vector for d in separation.directions]
    also = [v for v in flat_vectors(case.model) if _apart(v, separation.directions)]
    directions = (*separation.directions, *(Direction("flat", v, "") for v in also))
    usable = _distance_apart_from(case, [*vectors, *also]) <= DISTANCE
    return Finding("no_finite_maximum", separation.reason, directions, usable)


def _possible(case: Case, found: list[Direction]) -> list[Direction]:
    """The directions to infinity that a linear program has not excluded."""
    if case.verdict is None:
        return found
    covered = case.verdict.covered
    return [d for d in found if d.kind != "runaway" or not {int(i) for i in d.involved} <= covered]


def _all_linear(case: Case, found: Sequence[Direction]) -> bool:
    """Whether only coefficients of linear predictors go to infinity."""
    layout = case.objective.layout
    owner = case.objective.owners
    return all(layout.blocks[owner[i]].is_linear for d in found for i in d.involved)


def _swept_along(case: Case, found: Sequence[Direction]) -> list[np.ndarray]:
    """The other coordinates whose own information changes on the way to infinity, so that they have no limit there.

    Complete separation drives every fitted probability to 0 or 1, and all coefficients lose their standard errors,
    whichever of them grow; in quasi-complete separation the others keep theirs.
    """
    step = sum(2.0 * d.vector / np.abs(d.vector).max() for d in found)
    there = case.objective.evaluate(case.z + step).matrix
    if not np.isfinite(there).all():
        return []
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.diag(there) / np.diag(case.at.matrix)
    involved = set().union(*(d.involved for d in found))
    return [e for i, e in enumerate(np.eye(len(case.z))) if i not in involved and not 0.5 < ratio[i] < 2.0]


def _apart(v: np.ndarray, found: Sequence[Direction]) -> bool:
    """Whether a flat direction is more than what is flat because it leads to infinity."""
    involved = np.abs(v) > 1e-5 * np.abs(v).max()
    return not any(set(np.flatnonzero(involved)) <= set(d.involved) for d in found)


def beyond_resolution(z: np.ndarray, model: Quadratic) -> np.ndarray:
    """Positions in `z` whose standard errors would be smaller than numbers can tell apart."""
    return np.flatnonzero(model.metric * np.spacing(np.abs(z)) > RESOLUTION)


def _exact_fit(case: Case, exact: np.ndarray) -> Finding:
    reported = Reported.at(case.objective, case.z)
    names = who(reported, [np.eye(len(case.z))[i] for i in exact])
    low, value = reported.bounds[:, 0], reported.values
    tiny = np.isfinite(low) & (np.abs(value - low) < 1e-6)
    scales = ", ".join(f"{n} → {b:g}" for n, b, t in zip(reported.names, low, tiny) if t)
    reason = f"The log-likelihood grows without limit{' as ' + scales if scales else ''}: observations are fitted "
    reason += f"exactly, and standard errors of {names} would be smaller than the rounding errors of the numbers."
    return Finding("unbounded", reason)


def _edge(case: Case, reported: Reported) -> Finding | None:
    """The score is not zero, and a tiny step further the log-density, or a derivative of it, is not finite."""
    z, slope = case.z, case.at.gradient
    width = np.abs(reported.values[:, None] - reported.bounds).min(axis=1)
    at_limit = np.abs(reported.jacobian)[width < 1e-9].max(axis=0, initial=0.0) > 0  # another finding
    vectors, trial = [], None
    for i in np.flatnonzero((np.abs(slope) > 0) & ~at_limit)[:30]:
        there = np.array(z)
        there[i] -= np.sign(slope[i]) * 1e-6 * max(1.0, abs(z[i]))
        if not _finite(case.objective.evaluate(there)):
            vectors.append(np.eye(len(z))[i])
            trial = there
    if trial is None:
        return None
    blame = find_blame(case.objective, trial, case.context.names, case.context.rows, case.context.unit, hint=False)
    what = (
        f"a little further in {who(reported, vectors)} {blame.words if blame else 'the log-likelihood is not finite.'}"
    )
    status, where = "not_finite", "The search ended where the score is not zero"
    if blame is not None and blame.kind == "value":
        status, where = "support_edge", "The maximum is at the edge of the support, where the score is not zero"
    reason = f"{where}: {what}"
    return _partial(case, status, reason, "kink", vectors, reported)


def _finite(evaluation: Evaluation) -> bool:
    return bool(np.isfinite(evaluation.value) and np.isfinite(evaluation.gradient).all())


def _mismatch(case: Case, reported: Reported, noise: float, wobble: float) -> Finding:
    """Autodiff's derivatives are not those of the values: rounding errors, or a density with a fault."""
    check = case.check
    if (check is not None and check.rounding) or noise > 1e-9:
        return _rounding(case, noise, wobble, check)
    suspects = [np.eye(len(case.z))[i] for i in check.suspects] if check is not None else []
    suspects = suspects or faults(case.objective, case.z, case.model) or list(np.eye(len(case.z)))
    seen = []
    if check is not None and not check.ok:
        seen += [f"score {check.score_error:.1e}", f"Hessian {check.hessian_error:.1e}"]
    if case.nearby is not None and not case.nearby.smooth:
        seen += [f"curvature {max(case.nearby.corner, case.nearby.bend):.1e}"]
    whose = "log-density or of the penalty" if case.objective.program.penalties else "log-density"
    reason = (
        f"The derivatives by {who(reported, suspects)} are not those of the {whose} (relative difference to finite "
        f"differences: {', '.join(seen)}). It may have a kink (abs, max) at a data point, move in steps (round, "
        "an integer cast), or use a function whose derivative is wrong."
    )
    opg = outer_product(case.objective, case.z)
    vectors = suspects + entangled(opg, suspects)
    return _partial(case, "wrong_derivatives", reason, "kink", vectors, reported)


def _kink(case: Case, reported: Reported, vectors: list[np.ndarray], opg: np.ndarray) -> Finding:
    reason = (
        f"Second derivatives by {who(reported, vectors)} are zero though the scores are not: the log-density has a "
        "kink (abs, max) or steps, and a maximum at a kink has no Hessian."
    )
    return _partial(case, "wrong_derivatives", reason, "kink", vectors + entangled(opg, vectors), reported)


def _steps(case: Case, reported: Reported, vectors: list[np.ndarray], flat: list[np.ndarray]) -> Finding:
    reason = (
        f"The log-density moves in steps as {who(reported, vectors)} changes (round, an integer cast, a comparison): "
        "its derivative is zero, though its value changes."
    )
    return _partial(case, "wrong_derivatives", reason, "kink", flat, reported)


def _rounding(case: Case, noise: float, wobble: float, check: DerivativeCheck | None = None) -> Finding:
    reported = Reported.at(case.objective, case.z)
    bounded = np.isfinite(reported.bounds).any(axis=1)
    far = bounded & ~((np.abs(reported.values) > 1e-9) & (np.abs(reported.values) < 1e9))
    extreme = ", ".join(f"{n} = {v:.3g}" for n, v, f in zip(reported.names, reported.values, far) if f)
    seen = (
        f"between neighbouring numbers the log-likelihood jumps by {noise:.0e} of itself, and its derivatives by "
        f"{wobble:.0e} of their standard deviation"
    )
    if check is not None and check.rounding:
        seen = (
            "over less than a tenth of a standard error the log-likelihood and its derivatives change by jumps "
            f"(relative difference to what they should change: {max(check.score_error, check.hessian_error):.0e})"
        )
    extreme = f"; {extreme} is extreme" if extreme else ""
    return Finding("rounding", f"Rounding errors decide where the maximum seems to be: {seen}{extreme}.")


def _sound_but_early(case: Case) -> bool:
    """Whether the search ended, by its own test, in sight of an optimum about which all else is as it should be."""
    near = case.solution.stop == DONE and case.model.positive and DISTANCE < case.model.decrement <= IN_SIGHT
    sound = case.check.ok and case.lost <= HALF_LOST and case.nearby is not None and case.nearby.quadratic
    return near and sound and case.model.curvature.is_conditioned(1e8)


def _early(case: Case) -> Finding:
    """The search was not at its end."""
    solution, decrement = case.solution, case.model.decrement
    where = "where the log-likelihood still rises"
    if np.isfinite(decrement):
        where = f"about {decrement:.2g} standard errors from where the maximum should be"
    if solution.stop == MAX_STEPS:
        steps = f"{solution.n_steps} step{'s' * (solution.n_steps != 1)}"
        return Finding("max_steps", f"The search ended after {steps}, {where}.")
    if solution.stop == DONE:
        return Finding("unfinished", f"The search ended as its settings say, {where}: it makes no claim of an optimum.")
    return Finding("not_converged", f"No step improves the log-likelihood any more, yet the search ended {where}.")


def _partial(case: Case, status: str, reason: str, kind: str, vectors: list[np.ndarray], reported: Reported) -> Finding:
    """A finding that concerns some directions; others have standard errors if the search is at its end."""
    directions = tuple(Direction(kind, v, in_words(reported, v)) for v in vectors)
    return Finding(status, reason, directions, _distance_apart_from(case, vectors) <= DISTANCE)


def _distance_apart_from(case: Case, vectors: Sequence[np.ndarray]) -> float:
    """The distance to the optimum in standard errors, the directions `vectors` held where they are."""
    rest = complement(vectors, case.model.metric)
    if not rest.size:
        return 0.0
    scaled = case.at.matrix / np.outer(case.model.metric, case.model.metric)
    return Quadratic.of(rest.T @ (case.at.gradient / case.model.metric), rest.T @ scaled @ rest).decrement


def _cleaned(axis: np.ndarray, model: Quadratic) -> np.ndarray:
    """A direction without the coordinates that hardly take part, measured in standard errors."""
    size = np.abs(axis * model.metric)
    return np.where(size > 0.02 * size.max(), axis, 0.0)


def _words(directions: Sequence[Direction]) -> str:
    return ", ".join(d.words for d in directions)

"""Is the maximum at infinity? Directions along which the log-likelihood never falls, however far one goes.

A direction of recession of a convex function is one along which it does not increase; if there is one, no minimum is
attained (Rockafellar, 1970, Convex Analysis, section 8; Geyer, 2009, Electronic Journal of Statistics 3, 259-289).
Here they are looked for among few candidates, and verified by values alone: derivatives die out on the way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ..objective.objective import Objective
from ..solve.quadratic import Quadratic
from ..solve.solver import Solution
from .derivatives import cheapest
from .directions import Direction, towards

LENGTHS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
"""How far a ray is followed; on a log-like scale 32 is e³² ≈ 10¹⁴."""

SLACK = 1e-4
"""Changes of the log-likelihood that do not count."""

CLEAR = 1e-4
"""Of the log-likelihood: a rise by more, on the first stretch of a way, is asked for no noise: that takes nine evaluations."""

NEAR = 1e-3
"""A distance to the optimum, in standard errors, at which Newton's steps should have long begun to contract."""

MOST_COORDINATES = 60


def recession(
    objective: Objective, solution: Solution, model: Quadratic, fading: Sequence[np.ndarray], noise: float
) -> tuple[list[Direction], bool]:
    """The directions of recession at the end of a search, and whether the log-likelihood grows along one without limit.

    Arguments:
        fading: directions in which the curvature fades.
        noise: rounding errors of the value, relative to it.
    """
    z, value = solution.z, solution.value
    gradient = model.slope * model.metric
    slack = max(SLACK, 30 * noise * abs(value))
    found: list[Direction] = []
    unlimited = False
    escaping = escape(objective, z, model, value + slack)
    for step in _candidates(objective, solution, model, fading, escaping):
        if found and _covered(step, found):
            continue
        kind = follow(objective, z, value, float(gradient @ step), step, slack)
        if kind is None and step is escaping and model.decrement <= NEAR:  # the way to infinity may be bent
            kind = "limit"
        if kind is None:
            continue
        found += towards(objective, z, step)
        unlimited |= kind == "unlimited"
    return found, unlimited


def _covered(step: np.ndarray, found: list[Direction]) -> bool:
    main = np.abs(step) > 0.02 * np.abs(step).max()
    return bool((np.abs(sum(np.abs(d.vector) for d in found))[main] > 0).all())


def behind_noise(objective: Objective, z: np.ndarray, model: Quadratic) -> list[Direction]:
    """Bounds that were reached so closely that the log-likelihood drowns in its rounding errors there.

    Further back, where it does not, it is flat all the way to the bound.
    """
    layout, found = objective.layout, []
    owner = objective.owners
    for i, number in enumerate(owner[:MOST_COORDINATES]):
        block = layout.blocks[number]
        if not block.elementwise or not np.isfinite(block.bounds()[objective.free[i] - block.start]).any():
            continue
        step = np.sign(z[i]) * np.eye(len(z))[i]
        for back in LENGTHS[2:]:
            at = z - back * step
            here = objective.evaluate(at)
            if not np.isfinite(here.value) or _noise(objective, at, step) > 0.1 * SLACK:
                continue
            change = [abs(objective.evaluate(at + t * step).value - here.value) for t in LENGTHS[:3]]
            if max(change) < 100 * SLACK and follow(objective, at, here.value, 0.0, step, 100 * SLACK) == "limit":
                found += towards(objective, z, step)
            break
    return found


def follow(
    objective: Objective, z: np.ndarray, value: float, slope: float, step: np.ndarray, slack: float
) -> str | None:
    """What the negative log-likelihood does along a ray: falls "unlimited", to a "limit", or neither (None).

    `value` is that at `z`, `slope` its derivative along `step` there.

    It must not rise on the way out, and must rise on the way back: where neither happens it is flat, which is another
    finding. On the way out it may cease to be finite or drown in rounding errors; then the way back must tell.
    """
    lengths, needs = LENGTHS, cheapest(objective)
    if slack > SLACK:  # rounding errors already: they grow towards the limit, and only the first stretch can be judged
        outer, inner = (_noise(objective, z + t * step, step) for t in (LENGTHS[2], -LENGTHS[2]))
        if outer > 3 * inner:
            lengths, slack = LENGTHS[:3], max(slack, 30 * outer)
    out, back = [value], [value]
    for t in lengths:
        v = objective.evaluate(z + t * step, needs).value
        if not np.isfinite(v):
            break
        if v > min(out) + slack:
            if t == lengths[0] and v - min(out) > CLEAR * max(abs(value), 1.0):
                return None
            if v - min(out) <= 30 * _noise(objective, z + t * step, step):
                break
            return None
        out.append(v)
    rises = soon = False
    for i, t in enumerate((*LENGTHS, 64.0)):  # a search may have gone far
        v = objective.evaluate(z - t * step, needs).value
        back.append(v)
        above = np.isposinf(v) or v > value + 3 * slack
        if above and not rises:  # one is enough, and its noise takes nine evaluations
            rises = bool(np.isposinf(v) or v - value > 30 * _noise(objective, z - t * step, step))
            soon = rises and i < 3
    if not rises:
        return None
    if len(out) >= 4:
        gains = -np.diff(out)
        return "unlimited" if gains[-1] > max(0.5, slack) and gains[-1] > 0.9 * gains[0] else "limit"
    steepness = (back[4] - back[3]) / (LENGTHS[3] - LENGTHS[2])
    if steepness > 0.5 and -slope > 0.5 * steepness:  # no less steep here than far back
        return "unlimited"
    return None if soon else "limit"


def _noise(objective: Objective, z: np.ndarray, step: np.ndarray) -> float:
    """Rounding errors of the value at `z`, from its fourth differences over a thousandth of `step`; 0 if there are none.

    Wider apart than neighbouring numbers, so that errors are seen that many neighbours share.
    """
    needs = cheapest(objective)
    values = np.array([objective.evaluate(z + k * 1e-3 * step, needs).value for k in range(-4, 5)])
    if not np.isfinite(values).all():
        return 0.0
    return float(np.abs(np.diff(values, 4)).max() / np.sqrt(70))  # 70 = 1² + 4² + 6² + 4² + 1²


def _candidates(
    objective: Objective,
    solution: Solution,
    model: Quadratic,
    fading: Sequence[np.ndarray],
    escaping: np.ndarray | None,
) -> Iterator[np.ndarray]:
    """Steps worth following, the likeliest first; of length about one on log-like scales."""
    z = solution.z
    layout = objective.layout
    owner = objective.owners
    if escaping is not None:
        yield escaping
    moved = sum((r.step for r in solution.trace if r.step is not None), np.zeros_like(z))
    if np.abs(moved).max(initial=0.0) >= LONG:
        yield moved
    bounded, others, dependent = [], [], np.zeros(len(z), bool)
    for i, number in enumerate(owner):
        block = layout.blocks[number]
        if not block.elementwise:
            dependent[i] = True
        elif np.isfinite(block.bounds()[objective.free[i] - block.start]).any():
            bounded.append(i)
        else:
            others.append(i)
    for i in bounded[:MOST_COORDINATES]:
        for sign in (1.0, -1.0):
            yield sign * np.eye(len(z))[i]
    for i in np.flatnonzero(dependent)[:MOST_COORDINATES]:
        for sign in (1.0, -1.0):
            yield sign * np.eye(len(z))[i]
    for candidate in (*fading, moved, model.to_z(model.newton())):
        for number in np.unique(owner[dependent]):
            mine = np.where(owner == number, candidate, 0.0)
            if mine.any():
                yield mine / np.abs(mine).max()
                yield -mine / np.abs(mine).max()
    level = model.slope == 0.0  # a plateau, which is another finding
    for i in (i for i in others[:MOST_COORDINATES] if not level[i]):
        for sign in (1.0, -1.0):
            yield sign * np.eye(len(z))[i]


LONG = 1e-3
"""Steps in `z` that lead anywhere at all; of `SHORT` ones nothing need be asked."""

SHORT = 1e-4


def escape(objective: Objective, z: np.ndarray, model: Quadratic, most: float = np.inf) -> np.ndarray | None:
    """The Newton step at `z`, if following it again and again leads nowhere: steps that do not shrink.

    At an optimum Newton's method contracts quadratically. Where the maximum lies at infinity (exponential tails:
    separated data, a variance going to zero), each step has about the length of the one before. No value on the way may
    exceed `most`.
    """
    if not np.isfinite(model.decrement):
        return None
    lengths, at = [model.to_z(model.newton())], z
    if np.abs(lengths[0]).max(initial=0.0) < SHORT:
        return None
    for _ in range(3):
        at = at + lengths[-1]
        e = objective.evaluate(at)
        if not (np.isfinite(e.value) and np.isfinite(e.matrix).all() and e.value <= most):
            return None
        lengths.append((m := Quadratic.of(e.gradient, e.matrix)).to_z(m.newton()))
        before, after = (np.abs(s).max() for s in lengths[-2:])
        if after < 0.8 * before:
            return None
    return lengths[-1] if after >= LONG else None

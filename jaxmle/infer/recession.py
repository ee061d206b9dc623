"""Is the maximum at infinity? Directions along which the log-likelihood never falls, however far one goes.

A direction of recession of a convex function is one along which it does not increase; if there is one, no minimum is
attained (Rockafellar, 1970, Convex Analysis, section 8; Geyer, 2009, Electronic Journal of Statistics 3, 259-289).
Here they are looked for among few candidates, and verified by values alone: derivatives die out on the way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from ..objective.objective import Objective
from ..solve.quadratic import Quadratic
from ..solve.solver import Solution
from .derivatives import jitter
from .directions import Direction, towards

LENGTHS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
"""How far a ray is followed; on a log-like scale 32 is e³² ≈ 10¹⁴."""

SLACK = 1e-4
"""Changes of the log-likelihood that do not count."""

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
    gradient = model.axes @ model.slope * model.metric
    slack = max(SLACK, 30 * noise * abs(value))
    found: list[Direction] = []
    unlimited = False
    for step in _candidates(objective, solution, model, fading):
        if any(_covered(step, d) for d in found):
            continue
        kind = follow(objective, z, value, float(gradient @ step), step, slack)
        if kind is None:
            continue
        found += towards(objective, z, step)
        unlimited |= kind == "unlimited"
    return found, unlimited


def _covered(step: np.ndarray, direction: Direction) -> bool:
    main = np.abs(step) > 0.02 * np.abs(step).max()
    return bool((np.abs(direction.vector)[main] > 0).all())


def follow(
    objective: Objective, z: np.ndarray, value: float, slope: float, step: np.ndarray, slack: float
) -> str | None:
    """What the negative log-likelihood does along a ray: falls "unlimited", to a "limit", or neither (None).

    `value` is that at `z`, `slope` its derivative along `step` there.

    It must not rise on the way out, and must rise on the way back: where neither happens it is flat, which is another
    finding. On the way out it may cease to be finite or drown in rounding errors; then the way back must tell.
    """
    lengths = LENGTHS
    if slack > SLACK:  # rounding errors already: they grow towards the limit, and only the first stretch can be judged
        outer, inner = (_noise(objective, z + t * step) for t in (LENGTHS[2], -LENGTHS[2]))
        if outer > 3 * inner:
            lengths, slack = LENGTHS[:3], max(slack, 30 * outer)
    out, back = [value], [value]
    for t in lengths:
        v = objective.evaluate(z + t * step).value
        if not np.isfinite(v):
            break
        if v > min(out) + slack:
            if v - min(out) <= 30 * _noise(objective, z + t * step):
                break
            return None
        out.append(v)
    rises = []
    for t in (*LENGTHS, 64.0):  # a search may have gone far
        v = objective.evaluate(z - t * step).value
        rises.append(np.isposinf(v) or (v > value + 3 * slack and v - value > 30 * _noise(objective, z - t * step)))
        back.append(v)
    if not any(rises):
        return None
    if len(out) >= 4:
        gains = -np.diff(out)
        return "unlimited" if gains[-1] > max(0.5, slack) and gains[-1] > 0.9 * gains[0] else "limit"
    steepness = (back[4] - back[3]) / (LENGTHS[3] - LENGTHS[2])
    if steepness > 0.5 and -slope > 0.5 * steepness:  # no less steep here than far back
        return "unlimited"
    return "limit" if not any(rises[:3]) else None


def _noise(objective: Objective, z: np.ndarray) -> float:
    """Rounding errors of the value at `z`; none where they cannot be told."""
    here = objective.evaluate(z)
    if not (np.isfinite(here.value) and np.isfinite(here.matrix).all()):
        return 0.0
    return jitter(objective, z, Quadratic.of(here.gradient, here.matrix))[0] * max(abs(here.value), 1.0)


def _candidates(
    objective: Objective, solution: Solution, model: Quadratic, fading: Sequence[np.ndarray]
) -> Iterator[np.ndarray]:
    """Steps worth following, the likeliest first; of length about one on log-like scales."""
    z = solution.z
    layout = objective.layout
    owner = layout.of_unconstrained()[objective.free]
    step = escape(objective, z, model)
    if step is not None:
        yield step
    moved = sum((r.step for r in solution.trace if r.step is not None), np.zeros_like(z))
    if moved.any():
        yield moved
    bounded, dependent = [], np.zeros(len(z), bool)
    for i, number in enumerate(owner):
        block = layout.blocks[number]
        if not block.elementwise:
            dependent[i] = True
        elif np.isfinite(block.bounds()[objective.free[i] - block.start]).any():
            bounded.append(i)
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


def escape(objective: Objective, z: np.ndarray, model: Quadratic) -> np.ndarray | None:
    """The Newton step at `z`, if following it again and again leads nowhere: steps that do not shrink.

    At an optimum Newton's method contracts quadratically. Where the maximum lies at infinity (exponential tails:
    separated data, a variance going to zero), each step has about the length of the one before.
    """
    if not np.isfinite(model.decrement):
        return None
    lengths, at = [model.to_z(model.newton())], z
    for _ in range(3):
        at = at + lengths[-1]
        e = objective.evaluate(at)
        if not (np.isfinite(e.value) and np.isfinite(e.matrix).all()):
            return None
        lengths.append((m := Quadratic.of(e.gradient, e.matrix)).to_z(m.newton()))
    size = [np.abs(s).max() for s in lengths]
    if size[0] == 0 or any(b < 0.8 * a for a, b in pairwise(size)) or size[-1] < 1e-3:
        return None
    return lengths[-1]

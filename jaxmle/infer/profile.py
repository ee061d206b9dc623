"""Profile likelihood: how far a quantity can move, all else following, before the data object to it.

An end of the interval is where the quantity is largest (or smallest) among all points whose log-likelihood is no more
than χ²/2 below the maximum. Newton's method on the conditions for that (Venzon and Moolgavkar, 1988, Applied Statistics
37, 87-94, for one coefficient; here for any function) takes one Hessian a step and no fit within a fit. Where it does not
arrive, the profile is followed outwards, each point a fit of the other parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import ModelError
from ..objective.objective import Objective
from ..solve.newton import Newton
from ..solve.quadratic import factor
from ..solve.solver import DONE, finite
from .covariance import observed
from .functions import derivatives_in_z
from .intervals import chosen, half_width

ARRIVED = 1e-4
"""A step, in standard errors, after which an end is known to far more digits than a step has."""

LONGEST = 2.0
"""The longest step, in standard errors."""

STEPS = 30

STAGES = 8
"""Of the way to an end that is not found at once."""

FARTHEST = 12
"""Doublings of the Wald interval's half length up to which an end is looked for."""


@dataclass(frozen=True)
class Quantity:
    """A function of `z`: `at(z)` is (value, gradient, Hessian or None where it is zero).

    `entry` is the number of the entry of `z` that it is a rising or falling function of, if it is one of one alone: its
    derivatives are then that entry's. `bounds` are the ends of its range.
    """

    at: Callable[[np.ndarray], tuple[float, np.ndarray, np.ndarray | None]]
    entry: int | None = None
    bounds: tuple[float, float] = (-np.inf, np.inf)

    @staticmethod
    def named(objective: Objective, name: str) -> Quantity:
        """A reported quantity by its flat name."""
        layout = objective.layout
        labels = layout.labels()
        number = labels.index(name)
        low, high = (float(end) for end in np.reshape(layout.bounds(), (-1, 2))[number])
        block = next(b for b in layout.blocks if name in b.labels())
        position = block.start + block.labels().index(name)
        if block.elementwise and position in objective.free:
            entry = int(np.flatnonzero(objective.free == position)[0])
            falls = _value(objective, entry, number, 1e-3) < _value(objective, entry, number, -1e-3)
            unit = np.eye(objective.size)[entry] * (-1.0 if falls else 1.0)
            of = lambda z: float(np.asarray(objective.natural(z)[1])[number])
            return Quantity(lambda z: (of(z), unit, None), entry, (low, high))
        return Quantity(_derived(objective, lambda params, reported: reported[number]), None, (low, high))

    @staticmethod
    def of(objective: Objective, f: Callable[[Any], Any]) -> Quantity:
        """A function of the parameters on their natural scale that returns one number."""
        return Quantity(_derived(objective, lambda params, reported: f(params)))


def _value(objective: Objective, entry: int, number: int, z: float) -> float:
    return float(np.asarray(objective.natural(z * np.eye(objective.size)[entry])[1])[number])


def _derived(objective: Objective, f: Callable[[Any, Any], Any]) -> Callable[[np.ndarray], tuple]:
    """Value, gradient and Hessian in `z` of a function of the natural scale."""

    alone = np.ones(1)

    def at(z: np.ndarray) -> tuple:
        values, gradients, hessian = derivatives_in_z(objective, f, z, alone)
        return float(values[0]), gradients[0], hessian

    return at


@dataclass(frozen=True)
class Optimum:
    """Where the objective is least: the point, the value, and the inverse of its Hessian there."""

    objective: Objective
    z: np.ndarray
    value: float
    inverse: np.ndarray


def end(optimum: Optimum, quantity: Quantity, width: float, side: float) -> np.ndarray | None:
    """The point where the profile of a quantity is `width`²/2 below the maximum, None if nowhere.

    `side` is 1 for the end where the quantity is larger, -1 for the other.
    """
    found = _by_newton(optimum, quantity, width, side, optimum.z)
    if found is not None:
        return found
    if quantity.entry is None:
        return _by_stages(optimum, quantity, width, side)
    rising = float(quantity.at(optimum.z)[1][quantity.entry])
    return _by_following(optimum, quantity.entry, width, side * rising)


def _by_newton(o: Optimum, quantity: Quantity, width: float, side: float, near: np.ndarray) -> np.ndarray | None:
    """Newton's method from `near`, or where it is the optimum from the end of the Wald interval."""
    target = o.value + 0.5 * width**2
    slope = quantity.at(near)[1]
    along = o.inverse @ slope
    error = np.sqrt(slope @ along)
    if not (np.isfinite(error) and error > 0):
        return None
    good, multiplier = o.z, side * width / error
    point = near + side * width * along / error if near is o.z else near
    for _ in range(STEPS):
        e = o.objective.evaluate(point)
        if not finite(e):
            point = 0.5 * (point + good)
            continue
        _, slope, bend = quantity.at(point)
        lower = _factor(e.matrix, None if bend is None else multiplier * bend)
        if lower is None:
            return None
        solve = lambda v, lower=lower: np.linalg.solve(lower.T, np.linalg.solve(lower, v))
        out, back = solve(slope), solve(e.gradient)
        height = 2 * (target - e.value) + e.gradient @ back
        if height <= 0 or slope @ out <= 0:
            return None
        multiplier = side * np.sqrt(height / (slope @ out))
        step = multiplier * out - back
        length = float(np.linalg.norm(lower.T @ step))
        good, point = point, point + step * min(1.0, LONGEST / max(length, 1e-300))
        if length <= ARRIVED:
            return point
    return None


def _factor(hessian: np.ndarray, bend: np.ndarray | None) -> np.ndarray | None:
    """The Cholesky factor of the Hessian less the quantity's own, or where there is none of the Hessian alone."""
    known = None if bend is None else factor(hessian - bend)
    return factor(hessian) if known is None else known


def _by_stages(o: Optimum, quantity: Quantity, width: float, side: float) -> np.ndarray | None:
    """To the ends of ever wider intervals, each from the one before."""
    point, before = o.z, 0.0
    for share in np.linspace(0, 1, STAGES + 1)[1:]:
        near = o.z + (point - o.z) * share / before if before else o.z
        found = _by_newton(o, quantity, share * width, side, near)
        if found is None:
            return None
        point, before = found, share
    return point


def held_at(o: Optimum, i: int, value: float, start: np.ndarray) -> tuple[np.ndarray, float]:
    """The best point with entry `i` of `z` held at a value, and the objective there; infinite if there is none."""
    z = np.array(start)
    z[i] = value
    if len(z) == 1:
        return z, o.objective.value(z)
    held = o.objective.with_fixed(o.objective.free[[i]], o.objective.to_u(z))
    solution = Newton(tol=1e-8, max_steps=100).minimise(held, np.delete(z, i))
    if not np.isfinite(solution.value):
        return z, np.inf
    z[np.arange(len(z)) != i] = solution.z
    return z, solution.value if solution.stop == DONE else min(solution.value, o.objective.value(z))


def _by_following(o: Optimum, i: int, width: float, side: float) -> np.ndarray | None:
    """Outwards by doubling until the profile is below the level, then back to where it crosses."""
    from scipy.optimize import brentq

    along = o.inverse[:, i] / np.sqrt(o.inverse[i, i])
    best, inside = {0.0: (o.z, o.value)}, 0.0

    def below(distance: float) -> float:
        """The signed root of the deviance less the level's, nearly linear in the distance."""
        near = min(best, key=lambda d: abs(d - distance))
        guess = best[near][0] + (distance - near) * side * along
        z, value = held_at(o, i, float(o.z[i] + distance * side * along[i]), guess)
        if np.isfinite(value):
            best[distance] = z, value
        return min(np.sqrt(max(2 * (value - o.value), 0.0)), 1e3) - width

    for doubling in range(FARTHEST):
        outside = width * 2.0**doubling
        if below(outside) >= 0:
            root: Any = brentq(below, inside, outside, xtol=1e-7 * outside)
            below(root)
            return best[min(best, key=lambda d: abs(d - root))][0]
        inside = outside
    return None


def ends_of(o: Optimum, quantity: Quantity, width: float) -> tuple[float, float]:
    """Where the profile of a quantity crosses the level to either side.

    Where that of an entry of `z` does not, it is the end of its range. Of other quantities it is not known whether there
    is no such point or whether it was not found: NaN. Where the way to it leads through infinity, as that of a ratio may
    whose denominator may be zero, the end is infinite.
    """
    out, estimate = [], quantity.at(o.z)[0]
    for side, limit in zip((-1.0, 1.0), quantity.bounds):
        at = end(o, quantity, width, side)
        nowhere = np.nan if quantity.entry is None else limit
        value = nowhere if at is None else quantity.at(at)[0]
        out.append(side * np.inf if side * (value - estimate) < 0 else value)
    return out[0], out[1]


@dataclass(frozen=True, eq=False)
class Profile:
    """The profile log-likelihood of one quantity: the highest that there is at each value of it.

    Arguments:
        name: of the quantity.
        estimate: of it, natural scale.
        values: rising, shape (m,); `log_likelihood` the highest at each of them, shape (m,).
        interval: where it is χ²/2 below the maximum; an end of the range, or infinite, where it never is; NaN where an
            end of a function of several parameters was not found.
        level: of the interval.
    """

    name: str
    estimate: float
    values: np.ndarray
    log_likelihood: np.ndarray
    interval: tuple[float, float]
    level: float

    @property
    def signed_root(self) -> np.ndarray:
        """± √deviance at each value: a straight line where Wald intervals are right."""
        top = self.log_likelihood.max()
        return np.sign(self.values - self.estimate) * np.sqrt(2 * (top - self.log_likelihood))


WIDTHS = np.arange(1, 13) * 0.25
"""Square roots of the deviance at which a profile is drawn."""


def profile_of(o: Optimum, quantity: Quantity, name: str, level: float) -> Profile:
    """The profile of a quantity, and its interval."""
    interval = ends_of(o, quantity, half_width(level))
    estimate = quantity.at(o.z)[0]
    points = {estimate: -o.value}
    for side in (-1.0, 1.0):
        for width in WIDTHS:
            at = end(o, quantity, float(width), side)
            if at is None:
                break
            value = quantity.at(at)[0]
            if side * (value - estimate) < 0:  # the way to it leads through infinity
                break
            points[value] = -o.value - 0.5 * width**2
    values = np.array(sorted(points))
    heights = np.array([points[v] for v in values.tolist()])
    return Profile(name, estimate, values, heights, interval, level)


def optimum_of(fit: Any, what: str) -> Optimum:
    """The objective and its least point, for inference that goes back to it; `what` asks, for messages.

    Raises:
        ModelError: for a fit without data, without a likelihood, or without a proved optimum.
    """
    s = fit.session
    if s is None:
        raise ModelError(f"{what} needs the data, which a loaded fit does not have; fit again.")
    if s.sampling_weights:
        raise ModelError(f"{what} needs a likelihood, which sampling weights do not make; use method='wald'.")
    if not fit.converged or s.hessian is None:
        raise ModelError(f"{what} needs a proved optimum. {fit.certificate.reason}")
    return Optimum(s.objective, s.z, s.objective.value(s.z), observed(s.hessian))


def profile_ends(fit: Any, names: Sequence[str], level: float) -> dict[str, tuple[float, float]]:
    """Profile intervals of coefficients; NaN for those that have no standard error."""
    width, optimum = half_width(level), optimum_of(fit, "A profile interval")
    of = lambda name: ends_of(optimum, Quantity.named(optimum.objective, name), width)
    return {name: of(name) if name not in fit.withheld else (np.nan, np.nan) for name in names}


def profile_of_fit(fit: Any, what: str | Callable[[Mapping[str, Any]], Any], level: float) -> Profile:
    """`Fit.profile`."""
    optimum = optimum_of(fit, "A profile")
    if callable(what):
        name = getattr(what, "__name__", type(what).__name__)
        return profile_of(optimum, Quantity.of(optimum.objective, what), name, level)
    (name,) = chosen([what], fit.estimates.names)
    return profile_of(optimum, Quantity.named(optimum.objective, name), name, level)

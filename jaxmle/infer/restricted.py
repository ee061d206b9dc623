"""The highest likelihood at which equations in the parameters hold.

By the method of multipliers (Hestenes, 1969; Powell, 1969): minima of the objective with the equations' squares and
multiples added, in the metric of the estimates' own covariance, which come ever closer. Then Newton's method on the
conditions of Lagrange, which ends it. Linear equations take one round.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import ModelError
from ..objective.explained import explained
from ..objective.objective import Objective
from ..objective.passes import Evaluation
from ..objective.rows import hashable
from ..solve.newton import Newton
from ..solve.solver import FAILED, finite
from .functions import derivatives_in_z
from .hypotheses import Expressions, equations
from .profile import Optimum
from .reported import reported_index

ROUNDS = 30

WEIGHT, HEAVIER, HEAVIEST = 10.0, 4.0, 1e6
"""Of the squares, in units of the estimates' own information; so much heavier where a round does little; at most."""

ARRIVED = 1e-8
"""A step, in standard errors, that ends the search."""

STEPS = 15

LONGEST = 1.0
"""The longest step, in standard errors, from where Newton's method is near."""

LEAST = 1e-9
"""The least curvature, of the scaled Hessian, of what is left free."""


@dataclass(frozen=True)
class Estimated:
    """Expressions in the estimated coefficients as a function of the parameters and of all reported entries."""

    expressions: Expressions
    index: tuple[int, ...]

    def __call__(self, params: Any, reported: Any) -> Any:
        return self.expressions(reported[np.array(self.index)])


@dataclass(frozen=True)
class OfParameters:
    """A function of the parameters alone."""

    f: Callable[[Any], Any]

    def __call__(self, params: Any, reported: Any) -> Any:
        return self.f(params)


def equation_of(fit: Any, hypothesis: Any) -> tuple[Estimated | OfParameters, str]:
    """What is zero under a hypothesis, equations as text or a function of the parameters, and its words.

    Raises:
        ModelError: for a text that cannot be read, and for a coefficient that it holds at or beyond an end of its range.
    """
    if callable(hypothesis):
        return OfParameters(hashable(hypothesis)), getattr(hypothesis, "__name__", "a function") + " = 0"
    read = equations(hypothesis, fit.estimates.names)
    objective = fit.session.objective
    index = reported_index(objective)
    if read.linear:
        bounds = np.reshape(objective.layout.bounds(), (-1, 2))[index]
        for words, weights, constant in zip(read.words, *read.rows(len(index))):
            (place, *more) = np.flatnonzero(weights)
            value, (low, high) = -constant / weights[place], bounds[place]
            if not more and not low < value < high:
                raise ModelError(
                    f"{words!r} is not inside the range of {fit.estimates.names[place]}, from {low:g} to {high:g}: fit the "
                    "smaller model by itself, and compare the two by likelihood_ratio_test(small, large, boundary=1)."
                )
    return Estimated(read, tuple(int(i) for i in index)), str(read)


@dataclass(frozen=True)
class Restricted:
    """The best point where the equations hold: `z`, the objective there, and how many equations there are."""

    z: np.ndarray
    value: float
    count: int


def restricted(o: Optimum, f: Callable[[Any, Any], Any], words: str) -> Restricted:
    """The least value of the objective among all points where the m numbers that `f` returns are zero.

    Raises:
        ModelError: for equations that are not independent, or hold nowhere that a search can find.
    """
    with explained(f"The hypothesis {words!r}"):
        values, slopes, _ = derivatives_in_z(o.objective, f, o.z)
    z, multipliers, weight, before = o.z, np.zeros(len(values)), WEIGHT, np.inf
    if _information(slopes, o.inverse) is None:
        raise ModelError(f"The {len(slopes)} parts of the hypothesis {words!r} do not each say something of their own.")
    for _ in range(ROUNDS):
        metric = _information(slopes, o.inverse)
        if metric is None:
            break
        penalised: Any = _Penalised(o.objective, f, multipliers, weight * metric)
        solution = Newton(tol=1e-8, max_steps=200).minimise(penalised, z)
        if solution.stop == FAILED:
            break
        z = solution.z
        values, slopes, _ = derivatives_in_z(o.objective, f, z)
        multipliers = multipliers + weight * metric @ values
        found = _by_newton(o, f, z, multipliers)
        if found is not None:
            return Restricted(found, o.objective.value(found), len(values))
        away = float(np.sqrt(max(values @ metric @ values, 0.0)))
        weight = min(weight * HEAVIER, HEAVIEST) if away > 0.25 * before else weight
        before = away
    raise ModelError(
        f"No best point was found at which {words} holds: it may hold nowhere, or only at an end of a parameter's range."
    )


def _information(slopes: np.ndarray, inverse: np.ndarray) -> np.ndarray | None:
    """The inverse of the covariance of the equations' left sides, None where they depend on each other."""
    size = np.sqrt(np.einsum("ij,jk,ik->i", slopes, inverse, slopes))
    if not (np.isfinite(size).all() and (size > 1e-150).all()):
        return None
    correlation = slopes @ inverse @ slopes.T / np.outer(size, size)
    if np.linalg.matrix_rank(correlation, hermitian=True, tol=1e-12) < len(slopes):
        return None
    return np.linalg.inv(correlation) / np.outer(size, size)


def _by_newton(o: Optimum, f: Callable[[Any, Any], Any], z: np.ndarray, multipliers: np.ndarray) -> np.ndarray | None:
    """Newton's method on the conditions of Lagrange, from nearby; None where it does not contract to a minimum."""
    k, last = len(z), np.inf
    for _ in range(STEPS):
        e = o.objective.evaluate(z)
        values, slopes, bend = derivatives_in_z(o.objective, f, z, multipliers)
        if not (finite(e) and np.isfinite(values).all() and np.isfinite(bend).all()):
            return None
        curvature = e.matrix + bend
        corner = np.zeros((len(values), len(values)))
        system = np.block([[curvature, slopes.T], [slopes, corner]])
        right = -np.concatenate([e.gradient + slopes.T @ multipliers, values])
        own = np.sqrt(np.maximum(np.diag(e.matrix), 1e-100))
        length = np.linalg.norm(slopes / own, axis=1)
        if not (length > 1e-100).all():
            return None
        size = np.concatenate([own, 1.0 / length])
        try:
            step = np.linalg.solve(system / np.outer(size, size), right / size) / size
        except np.linalg.LinAlgError:
            return None
        length = float(np.linalg.norm(step[:k] * own))
        if not length < max(0.5 * last, ARRIVED) or length > LONGEST:
            return None
        z, multipliers, last = z + step[:k], multipliers + step[k:], length
        if length <= ARRIVED:
            return z if _is_minimum(curvature / np.outer(own, own), slopes / own) else None
    return None


def _is_minimum(curvature: np.ndarray, slopes: np.ndarray) -> bool:
    """Whether the curvature is positive along all that the equations leave free, by more than rounding."""
    _, _, axes = np.linalg.svd(slopes, full_matrices=True)
    along = axes[len(slopes) :]
    return not len(along) or float(np.linalg.eigvalsh(along @ curvature @ along.T)[0]) > LEAST


@dataclass(frozen=True)
class _Penalised:
    """The objective with multiples of the equations added, and their squares in a metric."""

    objective: Objective
    f: Callable[[Any, Any], Any]
    multipliers: np.ndarray
    metric: np.ndarray

    @property
    def size(self) -> int:
        return self.objective.size

    def evaluate(self, z: np.ndarray, needs: str = "hessian") -> Evaluation:
        e = self.objective.evaluate(z, needs)
        values, _, _ = derivatives_in_z(self.objective, self.f, z)
        weights = self.multipliers + self.metric @ values
        _, slopes, bend = derivatives_in_z(self.objective, self.f, z, weights)
        value = e.value + self.multipliers @ values + 0.5 * values @ self.metric @ values
        return Evaluation(value, e.gradient + slopes.T @ weights, e.matrix + bend + slopes.T @ self.metric @ slopes)

"""A better place to begin: coordinate by coordinate along a ladder of lengths, before any derivative is believed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .solver import Function

LADDERS = {
    "real": tuple(10.0**k for k in range(-2, 9)),
    "log": (1.0, 2.0, 4.0, 8.0, 16.0),
    "unit": (1.0, 2.0),
}
"""Distances tried from the default: powers of ten where the scale is anybody's guess, a few units on a log-like scale,
and never far towards either end of a bounded range, where a search would be caught.
"""

MAX_EVALUATIONS = 400

WORTHWHILE = 1e-3
"""A longer move is taken only for a gain of this share of what the shorter ones gained.

Where the data push a parameter to infinity, each longer move gains a little, and its end is a place where every
derivative is zero: no search can begin there.
"""

LEAST = 0.01
"""And for so much log-likelihood at least: a seventh of a standard error is worth as much."""


def search_start(
    objective: Function, z: np.ndarray, coordinates: Sequence[tuple[int, str]], needs: str = "hessian"
) -> np.ndarray:
    """The best of the points reached from `z` by moving one coordinate at a time; `z` itself if none is better.

    Arguments:
        objective: cheap to evaluate (a first chunk of the data is enough).
        z: the start so far; the objective need not be finite there.
        coordinates: (position, ladder) of what may be moved, ladders being keys of `LADDERS`.
        needs: which compiled pass to use, so that none is compiled for this alone.
    """
    used = 0

    def value(point: np.ndarray) -> float:
        nonlocal used
        used += 1
        v = objective.evaluate(point, needs).value
        return v if np.isfinite(v) else np.inf

    best, best_value = np.array(z), value(z)
    for sweep in range(3):
        before = best_value
        for i, ladder in coordinates:
            here, here_value = best[i], best_value
            for sign in (1.0, -1.0):
                previous = best_value
                for length in LADDERS[ladder]:
                    if used >= MAX_EVALUATIONS:
                        return best
                    trial = best.copy()
                    trial[i] = here + sign * length
                    v = value(trial)
                    gained = here_value - best_value if np.isfinite(here_value) else 0.0
                    if best_value - v > max(WORTHWHILE * gained, LEAST):
                        best, best_value = trial, v
                    elif v > previous:
                        break
                    previous = v
        if not best_value < before - 1e-3 * abs(before) or (sweep == 0 and len(coordinates) == 1):
            break
    return best

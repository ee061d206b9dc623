"""The last evaluations of an objective, so that none is done twice: searches, checks and proofs ask at the same points."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .passes import Evaluation

REMEMBERED, MOST_PARAMETERS = 8, 64
"""Evaluations that are kept, and the most parameters of which a Hessian is."""


class Recent:
    """Evaluations with a gradient and a matrix, by their points; nobody can change the arrays."""

    def __init__(self) -> None:
        self._known: dict[bytes, Evaluation] = {}

    def at(self, z: np.ndarray, evaluate: Callable[[], Evaluation]) -> Evaluation:
        """What is known at `z`, or what `evaluate` finds."""
        key = np.asarray(z, np.float64).tobytes()
        found = self._known.pop(key, None)
        if found is None:
            found = evaluate()
            for x in (found.gradient, found.matrix):
                x.flags.writeable = False
        self._known[key] = found  # the last one asked for
        while len(self._known) > REMEMBERED:
            del self._known[next(iter(self._known))]
        return found

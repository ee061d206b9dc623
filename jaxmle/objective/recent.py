"""The last evaluations of an objective, so that none is done twice: searches, checks and proofs ask at the same points."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .passes import Evaluation

REMEMBERED, MOST_BYTES = 8, 1 << 23
"""Evaluations that are kept at most, and the memory that they may take."""


class Recent:
    """Evaluations with a gradient and a matrix of `size` parameters, by their points; nobody can change the arrays."""

    def __init__(self, size: int) -> None:
        self._known: dict[bytes, Evaluation] = {}
        self._most = min(REMEMBERED, MOST_BYTES // (8 * max(size, 1) ** 2))

    def at(self, z: np.ndarray, evaluate: Callable[[], Evaluation]) -> Evaluation:
        """What is known at `z`, or what `evaluate` finds."""
        key = np.asarray(z, np.float64).tobytes()
        found = self._known.pop(key, None)
        if found is None:
            found = evaluate()
            for x in (found.gradient, found.matrix):
                x.flags.writeable = False
        self._known[key] = found  # the last one asked for
        while len(self._known) > self._most:
            del self._known[next(iter(self._known))]
        return found

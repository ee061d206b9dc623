"""Distributions of a count whose first parameter grows with it: what all of them say of zeros."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..cones import Cone, zeros
from .base import Distribution
from .supports import COUNT


class CountResponse(Distribution):
    """A count: 0, 1, 2, ...; where all are 0, the likelihood grows as the first parameter goes to 0."""

    support = COUNT

    @classmethod
    def recession(
        cls, y: np.ndarray, known: Mapping[str, np.ndarray], levels: tuple[Any, ...] | None
    ) -> tuple[Cone, ...]:
        return zeros(next(iter(cls.parameters)), y)

    @classmethod
    def degenerate(cls, y: np.ndarray, known: Mapping[str, np.ndarray]) -> str | None:
        if not y.any():
            first = next(iter(cls.parameters))
            return f"all {len(y):,} counts are 0: the likelihood grows as every {first} goes to 0"
        return None

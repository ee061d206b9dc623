"""Supports: the values that a response may take, told to people before anything is computed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Support:
    """An interval of numbers or of whole numbers.

    Arguments:
        low, high: its ends.
        closed: whether each end belongs to it.
        whole: whether it holds whole numbers only.
        words: what a message calls its members.
    """

    low: float = -np.inf
    high: float = np.inf
    closed: tuple[bool, bool] = (False, False)
    whole: bool = False
    words: str = "a number"

    def holds(self, y: Any) -> Any:
        """For each value, of an array of NumPy's or of JAX's, whether it belongs here."""
        inside = (y >= self.low) if self.closed[0] else (y > self.low)
        inside &= (y <= self.high) if self.closed[1] else (y < self.high)
        return inside & (y == y // 1) if self.whole else inside

    @property
    def member(self) -> float:
        """A value that belongs here."""
        if np.isfinite(self.low):
            above = self.low + (1.0 if np.isinf(self.high) else 0.5 * (self.high - self.low))
            return float(np.floor(above)) if self.whole else above
        return self.high - 1.0 if np.isfinite(self.high) else 0.0


REAL = Support()
POSITIVE = Support(0.0, words="a positive number")
NONNEGATIVE = Support(0.0, closed=(True, False), words="a number of at least zero")
UNIT = Support(0.0, 1.0, words="a number between 0 and 1, both excluded")
CLOSED_UNIT = Support(0.0, 1.0, (True, True), words="a number from 0 to 1")
COUNT = Support(0.0, closed=(True, False), whole=True, words="a count: 0, 1, 2, ...")
POSITIVE_COUNT = Support(1.0, closed=(True, False), whole=True, words="a count of at least one")
BINARY = Support(0.0, 1.0, (True, True), True, "0 or 1")

"""Supports: the values that a response may take, told to people before anything is computed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike


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

    def holds(self, y: ArrayLike) -> np.ndarray:
        """For each value whether it belongs here."""
        y = np.asarray(y, dtype=np.float64)
        inside = (y >= self.low) if self.closed[0] else (y > self.low)
        inside &= (y <= self.high) if self.closed[1] else (y < self.high)
        return inside & (y == np.floor(y)) if self.whole else inside


REAL = Support()
POSITIVE = Support(0.0, words="a positive number")
NONNEGATIVE = Support(0.0, closed=(True, False), words="a number of at least zero")
UNIT = Support(0.0, 1.0, words="a number between 0 and 1, both excluded")
CLOSED_UNIT = Support(0.0, 1.0, (True, True), words="a number from 0 to 1")
COUNT = Support(0.0, closed=(True, False), whole=True, words="a count: 0, 1, 2, ...")
POSITIVE_COUNT = Support(1.0, closed=(True, False), whole=True, words="a count of at least one")
BINARY = Support(0.0, 1.0, (True, True), True, "0 or 1")

"""The small drawing of intervals beside a table: which rows share an axis, and where on it they lie."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

WIDEST = 28
"""Characters of a drawing at most."""

NARROWEST = 12

RESOLVED = 1.5
"""An interval of fewer characters than this shows only that it is short."""


@dataclass(frozen=True)
class Axis:
    """The range that the intervals of one group share; `zero` says whether zero lies in it."""

    low: float
    high: float

    @property
    def zero(self) -> bool:
        return self.low <= 0 <= self.high

    def at(self, x: float) -> float:
        """The place of `x`, 0 at the left end and 1 at the right."""
        return (x - self.low) / (self.high - self.low)


def axis_of(
    low: np.ndarray, high: np.ndarray, is_location: np.ndarray, is_constant: np.ndarray, width: int = WIDEST
) -> Axis | None:
    """The axis on which a group's intervals are worth drawing, or None.

    Zero is on it if zero is a hypothesis. If the constant term would squeeze the others it is left out of the range.
    A group of which most intervals would be mere dots, because its rows have different units, is not drawn.
    """
    known = np.isfinite(low) & np.isfinite(high)
    if known.sum() < 2:
        return None
    for chosen in (known, known & ~is_constant):
        if not chosen.any():
            continue
        ends = np.concatenate([low[chosen], high[chosen], [0.0] if is_location[chosen].all() else []])
        axis = Axis(float(ends.min()), float(ends.max()))
        span = axis.high - axis.low
        if not 0 < span < np.inf:
            continue
        cells = (high[chosen] - low[chosen]) / span * (width - 1)
        if (cells >= RESOLVED).sum() * 2 > len(cells):
            return axis
    return None


def draw(axis: Axis, low: float, value: float, high: float, width: int) -> str:
    """One interval in `width` characters: ├─●─┤, with ┊ at zero, and ‹ or › where it lies beyond the axis."""
    cells = [" "] * width
    if axis.zero:
        cells[_cell(axis.at(0.0), width)] = "┊"
    if not np.isfinite([low, value, high]).all():
        return "".join(cells).rstrip()
    if high < axis.low or low > axis.high:
        cells[0 if high < axis.low else -1] = "‹" if high < axis.low else "›"
        return "".join(cells).rstrip()
    a, b = _cell(axis.at(low), width), _cell(axis.at(high), width)
    cells[a : b + 1] = "─" * (b - a + 1)
    cells[a] = "├" if low >= axis.low else "‹"
    cells[b] = "┤" if high <= axis.high else "›"
    if axis.low <= value <= axis.high:
        cells[_cell(axis.at(value), width)] = "●"
    return "".join(cells).rstrip()


def _cell(place: float, width: int) -> int:
    return round(min(max(place, 0.0), 1.0) * (width - 1))

"""Products with designs that keep their categorical columns as codes; a table of zeros and ones is never made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data.design import Design


@dataclass(frozen=True)
class Levels:
    """A factor of a design: `size` columns from position `first`; equal `key`s in a model mean equal codes."""

    first: int
    size: int
    key: int


@dataclass(frozen=True)
class Columns:
    """Which columns of a design are numbers (positions among all columns) and which are the levels of factors."""

    dense: tuple[int, ...] = ()
    factors: tuple[Levels, ...] = ()


def columns_of(designs: Sequence[Design]) -> tuple[Columns, ...]:
    """The columns of a model's designs; factors with the same codes, in whatever design, get the same key."""
    seen: list[np.ndarray] = []

    def key(codes: np.ndarray) -> int:
        for i, known in enumerate(seen):
            if known is codes or np.array_equal(known, codes):
                return i
        seen.append(codes)
        return len(seen) - 1

    out = []
    for design in designs:
        factors: tuple[Any, ...] = getattr(design, "factors", ())
        levels = tuple(Levels(int(f.first), int(f.n_levels), key(f.codes)) for f in factors)
        dense = tuple(int(i) for i in design.dense) if factors else tuple(range(len(design.names)))
        out.append(Columns(dense, levels))
    return tuple(out)

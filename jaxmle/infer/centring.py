"""Columns so far from zero that products of their numbers cannot tell them from a constant."""

from __future__ import annotations

import numpy as np

from ..objective.source import Source

ROWS = 10_000
"""So many rows of a design are looked at, spread evenly."""

FAR = 1e5
"""A mean that is so many times the standard deviation: of sixteen digits, squares leave the spread five."""


def far_from_zero(source: Source | None) -> dict[str, float]:
    """Columns beside a constant term whose mean is many times their standard deviation, and how many times."""
    if source is None:
        return {}
    found, n = {}, len(source.rows)
    for design in source.designs:
        if "Intercept" not in design.names:
            continue
        x = design.written_out(np.unique(np.linspace(0, n - 1, min(n, ROWS)).astype(int)))
        mean, spread = np.abs(x.mean(axis=0)), x.std(axis=0)
        for i in np.flatnonzero((spread > 0) & (mean > FAR * spread)):
            found[design.names[i]] = float(mean[i] / spread[i])
    return found


def not_centred(source: Source | None) -> str:
    """Which columns are so, in words; nothing where none is."""
    far = far_from_zero(source)
    if not far:
        return ""
    columns = ", ".join(f"{name!r} ({ratio:.0e} times)" for name, ratio in list(far.items())[:5])
    return (
        f"Columns hardly differ from a constant: the mean of {columns} is that many times its standard deviation, and "
        "rounding errors are all that tells it from the constant term: subtract the mean."
    )

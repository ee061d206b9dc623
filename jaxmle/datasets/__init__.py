"""Real data with certified results: the Statistical Reference Datasets of NIST."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import numpy as np

from ..errors import DataError, did_you_mean

NAMES = ("longley", "misra1a", "norris", "thurber")
"""The data sets; the folder's README says what they are, where they come from and under which licence."""


def load(name: str) -> dict[str, np.ndarray]:
    """A data set by name: column → values, shape (rows,).

    Raises:
        DataError: for an unknown name.
    """
    header, *rows = _read(name, f"{name}.csv").split()
    values = np.array([[float(cell) for cell in row.split(",")] for row in rows])
    return dict(zip(header.split(","), np.ascontiguousarray(values.T)))


def certified(name: str) -> dict[str, Any]:
    """NIST's certified results of a data set.

    Returns:
        `estimates` and `std_errors` (name → value), `residual_sum_of_squares`, `n`, to how many `digits` they are
        given, and for nonlinear problems `starts`, two sets of starting values. The standard errors divide the
        residual sum of squares by n − p, not by n.

    Raises:
        DataError: for an unknown name.
    """
    return json.loads(_read(name, "certified.json"))[name]


def _read(name: str, file: str) -> str:
    if name not in NAMES:
        raise DataError(f"There is no data set {name!r}.{did_you_mean(name, NAMES)}")
    return (files(__name__) / file).read_text(encoding="utf-8")

"""Real data: the Statistical Reference Datasets of NIST with certified results, and others that the demos read."""

from __future__ import annotations

import csv
import gzip
import json
from importlib.resources import files
from typing import Any

import numpy as np

from ..errors import DataError, did_you_mean

NAMES = ("longley", "misra1a", "norris", "thurber")
"""The data sets with certified results; the folder's README says what all are, where they come from and under which licence."""

LARGER = {
    "digits": "digits.csv.gz",
    "earthquakes": "earthquakes.csv",
    "iris": "iris.csv",
    "lakehuron": "lakehuron.csv",
    "names": "names.csv",
    "remission": "remission.csv",
}
"""Data sets without certified results, and their files."""


def load(name: str) -> dict[str, np.ndarray]:
    """A data set by name: column → values, shape (rows,), numbers or, where a column holds words, those.

    Raises:
        DataError: for an unknown name.
    """
    header, *rows = csv.reader(_read(name, LARGER.get(name, f"{name}.csv")).splitlines())
    return {column: _numbers(values) for column, values in zip(header, zip(*rows))}


def _numbers(values: tuple[str, ...]) -> np.ndarray:
    try:
        return np.array(values, dtype=float)
    except ValueError:
        return np.array(values)


def certified(name: str) -> dict[str, Any]:
    """NIST's certified results of a data set.

    Returns:
        `estimates` and `std_errors` (name → value), `residual_sum_of_squares`, `n`, to how many `digits` they are
        given, and for nonlinear problems `starts`, two sets of starting values. The standard errors divide the
        residual sum of squares by n − p, not by n.

    Raises:
        DataError: for an unknown name.
    """
    if name in LARGER:
        raise DataError(f"The data set {name!r} has no certified results; those that have: {', '.join(NAMES)}.")
    return json.loads(_read(name, "certified.json"))[name]


def _read(name: str, file: str) -> str:
    if name not in (*NAMES, *LARGER):
        raise DataError(f"There is no data set {name!r}.{did_you_mean(name, (*NAMES, *LARGER))}")
    raw = (files(__name__) / file).read_bytes()
    return (gzip.decompress(raw) if file.endswith(".gz") else raw).decode()

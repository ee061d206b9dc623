"""One file per tool; each has an `Adapter` with the same four members."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

PEERS = ("jaxmle", "statsmodels", "scipy", "tmb")


@dataclass
class Answer:
    """What one fit says: the case's parameter vector, the tool's own negative log-likelihood, standard errors if any."""

    theta: np.ndarray
    own_nll: float
    std_errors: np.ndarray | None = None
    """Of the coefficients of the design."""
    proved: bool | None = None
    """Whether the tool says that it converged."""
    notes: dict[str, Any] = field(default_factory=dict)


class Adapter(Protocol):
    """A tool on one case, made once in a process and then fitted again and again: `fit` is what is timed.

    A tool that runs in a process of its own has `fits(budget, repeats)` in place of `fit`, and `compile()` if it must.
    """

    description: str

    def fit(self) -> Answer: ...


def installed(tool: str) -> bool:
    """Whether the tool is there, without importing it."""
    if tool == "tmb":
        from .tmb_ import tmb_version

        return tmb_version() is not None
    return importlib.util.find_spec(tool) is not None

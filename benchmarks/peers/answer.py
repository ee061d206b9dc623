"""What an adapter is, and what one fit of it says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np


@dataclass
class Answer:
    """What one fit says: the case's parameter vector, the tool's own −log L and standard errors where it gives them."""

    theta: np.ndarray
    own_nll: float | None = None
    std_errors: np.ndarray | None = None
    """Of the coefficients of the design."""
    proved: bool | None = None
    """Whether the tool says that it converged."""
    notes: dict[str, Any] = field(default_factory=dict)


class Adapter(Protocol):
    """A tool on one case, made once in a process and then fitted again and again: `fit` is what is timed.

    `tolerances`, loosest first, are what `tolerance` may be set to before a fit; without them a tool has its default.
    A tool that runs in a process of its own has `fits(budget, repeats)` in place of `fit`, and `compile()` if it must.
    """

    description: str

    def fit(self) -> Answer: ...

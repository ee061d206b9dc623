"""What a case is: simulated data, and one neutral NumPy objective by which every tool's answer is judged.

The parameters of a case are one vector: the p coefficients (the first is the constant term), then the extra parameters
on their natural scale, in the order of `extras`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np

Data = dict[str, np.ndarray]


class Case(ABC):
    """A density with a linear predictor: how to simulate from it, and its negative log-likelihood."""

    name: ClassVar[str]
    row: ClassVar[str]
    extras: ClassVar[dict[str, float]]
    """The names of the extra parameters, with the values that the data are simulated at."""
    peers: ClassVar[tuple[str, ...]] = ("jaxmle", "statsmodels", "scipy", "tmb")
    size: ClassVar[tuple[int, int]] = (100_000, 20)
    quick_size: ClassVar[tuple[int, int]] = (5_000, 5)
    fresh_only: ClassVar[bool] = False
    """Whether only the first fit in a fresh process is of interest."""

    def simulate(self, n: int, p: int, seed: int = 0) -> Data:
        """The data: `X` (n, p), whose first column is 1, `y` (n,) and what else the case needs."""
        rng = np.random.default_rng([seed, n, p])
        X = np.column_stack([np.ones(n), rng.normal(size=(n, p - 1))])
        beta = np.concatenate([[0.5], rng.normal(size=p - 1) / (2 * np.sqrt(p))])
        return {"X": X} | self.respond(rng, X @ beta)

    def shape(self, data: Data) -> tuple[int, int]:
        """Rows, and coefficients with the constant term."""
        n, p = data["X"].shape
        return n, p

    def optimum(self, data: Data) -> float | None:
        """The lowest negative log-likelihood, by which tolerances are chosen; None: every tool keeps its default."""
        return None

    @abstractmethod
    def respond(self, rng: np.random.Generator, eta: np.ndarray) -> Data:
        """The response, given the linear predictor."""

    @abstractmethod
    def start(self, data: Data) -> np.ndarray:
        """A cheap, sound start, for tools that have none of their own."""

    @abstractmethod
    def terms(self, theta: np.ndarray, data: Data) -> np.ndarray:
        """The log-density of each row."""

    def nll(self, theta: np.ndarray, data: Data) -> float:
        """The negative log-likelihood, every constant included; infinite outside the support."""
        with np.errstate(all="ignore"):
            total = -float(np.sum(self.terms(theta, data)))
        return total if np.isfinite(total) else float("inf")

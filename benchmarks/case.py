"""What a case is: data, and one neutral NumPy objective by which every tool's answer is judged.

The parameters of a case are one vector: the p coefficients (the first is the constant term), then the extra parameters
on their natural scale, in the order of `extras`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np

Data = dict[str, np.ndarray]

SCALES = {"alpha": "log", "scale": "log", "df": "log", "sigma": "log", "phi": "log", "pi": "logit", "xi": ""}
"""Extra parameter → the scale without bounds on which tools search that need one; none: it has no bounds."""


class Case(ABC):
    """A density with a linear predictor: how to simulate from it, and its negative log-likelihood."""

    name: ClassVar[str]
    row: ClassVar[str]
    extras: ClassVar[dict[str, float]] = {}
    """The names of the extra parameters, with the values that the data are simulated at."""
    peers: ClassVar[tuple[str, ...]] = ("jaxmle", "statsmodels", "scipy", "tmb")
    quick_peers: ClassVar[tuple[str, ...] | None] = None
    """The tools of a run with --quick, where not all; with none the case is left out, unless it is named."""
    sizes: ClassVar[tuple[tuple[int, int], ...]] = ((100_000, 20),)
    """Rows, and coefficients with the constant term: one, or several in rising order."""
    quick_sizes: ClassVar[tuple[tuple[int, int], ...]] = ((5_000, 5),)

    def lacks(self) -> str | None:
        """What the data of the case need that is not there, and how to install it."""
        return None

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

    def optimum(self, data: Data) -> np.ndarray | None:
        """The lowest `parts`, by which tolerances are chosen; None: every tool keeps its default."""
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

    def parts(self, theta: np.ndarray, data: Data) -> np.ndarray:
        """The negative log-likelihood of each separate fit, every constant included; infinite outside the support."""
        with np.errstate(all="ignore"):
            total = -float(np.sum(self.terms(theta, data)))
        return np.array([total if np.isfinite(total) else np.inf])

    def nll(self, theta: np.ndarray, data: Data) -> float:
        """The negative log-likelihood, summed over the separate fits where there are several."""
        return float(np.sum(self.parts(theta, data)))

    # --- extra parameters on scales without bounds --------------------------------------------------------------------

    def search_names(self) -> list[str]:
        """What the extra parameters are called on those scales: `log_alpha`, `logit_pi`, `xi`."""
        return [f"{SCALES[name]}_{name}".lstrip("_") for name in self.extras]

    def searched(self, theta: np.ndarray) -> np.ndarray:
        """The vector with its extra parameters on scales without bounds."""
        return self._rescaled(theta, {"log": np.log, "logit": lambda v: np.log(v / (1 - v))})

    def natural(self, z: np.ndarray) -> np.ndarray:
        """The inverse of `searched`."""
        return self._rescaled(z, {"log": np.exp, "logit": lambda v: 1 / (1 + np.exp(-v))})

    def _rescaled(self, vector: np.ndarray, functions: dict) -> np.ndarray:
        out = np.array(vector, dtype=float)
        first = len(out) - len(self.extras)
        for i, name in enumerate(self.extras, first):
            if SCALES[name]:
                out[i] = functions[SCALES[name]](out[i])
        return out

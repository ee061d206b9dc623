"""One file per package; each has an `Adapter`. A tool is a package, or one of its ways to fit: `package-way`."""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

PEERS = (
    "jaxmle", "sklearn-lbfgs", "sklearn-newton", "statsmodels", "statsmodels-glm", "glum", "glum-errors", "scipy", "tmb",
)  # fmt: skip


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


def package(tool: str) -> str:
    """The package of a tool."""
    return tool.partition("-")[0]


def adapt(tool: str, case: Any, data: dict[str, np.ndarray], threads: int, folder: str) -> Any:
    """The adapter of a tool."""
    module = importlib.import_module(f".{package(tool)}_", __package__)
    way = tool.partition("-")[2]
    return module.Adapter(case, data, threads, folder, *([way] if way else []))


def missing(tool: str) -> str | None:
    """How to install a tool that is not there, or None; without importing it."""
    if tool == "tmb":
        from .tmb_ import tmb_version

        return None if tmb_version() is not None else "R with the package TMB"
    name = package(tool)
    if importlib.util.find_spec(name) is not None:
        return None
    return f"pip install {'scikit-learn' if name == 'sklearn' else name}"

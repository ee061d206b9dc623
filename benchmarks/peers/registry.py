"""The tools by name. A tool is a package, or one of its ways to fit: `package-way`."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

import numpy as np

from .rscript import PACKAGES, version

PEERS = (
    "jaxmle", "sklearn-lbfgs", "sklearn-newton", "sklearn-em", "statsmodels", "statsmodels-glm", "glum", "glum-errors",
    "scipy", "r", "tmb", "arch", "hmmlearn",
)  # fmt: skip


def package(tool: str) -> str:
    """The package of a tool."""
    return tool.partition("-")[0]


def adapt(tool: str, case: Any, data: dict[str, np.ndarray], threads: int, folder: str) -> Any:
    """The adapter of a tool."""
    module = importlib.import_module(f".{package(tool)}_", __package__)
    way = tool.partition("-")[2]
    return module.Adapter(case, data, threads, folder, *([way] if way else []))


def missing(tool: str, case: str = "") -> str | None:
    """What a tool lacks for a case, and how to install it, or None; without importing it."""
    if tool in ("tmb", "r"):
        name = "TMB" if tool == "tmb" else PACKAGES.get(case, "stats")
        return None if version(name) is not None else f"R with the package {name}"
    name = package(tool)
    if importlib.util.find_spec(name) is None:
        return f"pip install {'scikit-learn' if name == 'sklearn' else name}"
    if (tool, case) == ("jaxmle", "many") and importlib.util.find_spec("jaxmle.batch") is None:
        return "a jaxmle that has jm.fit_many"
    return None

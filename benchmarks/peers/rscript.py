"""R as a process of its own: the data as raw float64 files, one line per fit back."""

from __future__ import annotations

import functools
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from .answer import Answer

PACKAGES = {"negbin": "MASS", "weibull": "survival", "zero_inflated": "pscl", "beta": "betareg"}
"""Case → the R package that is made for it."""


@functools.cache
def version(package: str) -> str | None:
    """The version of an R package, or None where R or the package is missing."""
    if shutil.which("Rscript") is None:
        return None
    ask = subprocess.run(
        ["Rscript", "-e", f'cat(as.character(packageVersion("{package}")))'],
        capture_output=True,
        text=True,
        check=False,
    )
    return ask.stdout.strip() if ask.returncode == 0 else None


def write(folder: Path, arrays: dict[str, np.ndarray]) -> None:
    """Each array as `NAME.bin`, columns first."""
    for name, values in arrays.items():
        np.asarray(values, np.float64).ravel(order="F").tofile(folder / f"{name}.bin")


class RProcess:
    """A script in R that prints `fit SECONDS CLOCK CODE NLL values… standard errors…` for each fit, and `peak_kb`."""

    peak_mb: float | None = None

    def __init__(self, command: list[str], folder: Path, p: int):
        self.command, self.folder, self.p = command, folder, p

    def lines(self) -> Iterator[tuple[float, float, Answer]]:
        """Seconds of each fit, seconds from the start of R to its end, and the answer as R gives it."""
        began = time.time()
        with subprocess.Popen(
            self.command, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as r:
            assert r.stdout is not None
            assert r.stderr is not None
            for line in r.stdout:
                if line.startswith("peak_kb "):
                    self.peak_mb = float(line.split()[1]) / 2**10
                if not line.startswith("fit "):
                    continue
                seconds, clock, code, nll, *values = map(float, line.split()[1:])
                k = len(values) // 2
                theta, std_errors = np.array(values[:k]), np.array(values[k : k + self.p])
                yield seconds, clock - began, Answer(theta, nll, std_errors, code == 0)
            errors = r.stderr.read()
        if r.returncode:
            raise RuntimeError(f"R failed: {errors[-400:]}")

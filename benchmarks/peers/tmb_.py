"""TMB (R): a C++ template compiled with OpenMP, then `nlminb` with its exact gradient and `sdreport`.

The compile is timed apart. Positive parameters are searched on the log scale.
"""

from __future__ import annotations

import functools
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from . import Answer

HERE = Path(__file__).parent / "tmb"


@functools.cache
def tmb_version() -> str | None:
    """The version of TMB, or None where R or TMB is missing."""
    if shutil.which("Rscript") is None:
        return None
    ask = subprocess.run(
        ["Rscript", "-e", 'cat(as.character(packageVersion("TMB")))'], capture_output=True, text=True, check=False
    )
    return ask.stdout.strip() if ask.returncode == 0 else None


class Adapter:
    description = "C++ template with OpenMP (compile timed apart), nlminb with AD gradient, sdreport"

    def __init__(self, case, data, threads, folder):
        self.case, self.threads, self.folder = case, threads, Path(folder) / "tmb"
        self.folder.mkdir(exist_ok=True)
        for name in (f"{case.name}.cpp", "fit.R"):
            shutil.copy(HERE / name, self.folder)
        self.logs = np.array([name in ("alpha", "scale", "df", "sigma") for name in case.extras])
        self.p, self.peak_mb = data["X"].shape[1], None
        start = case.start(data)
        start[self.p :] = np.where(self.logs, np.log(start[self.p :]), start[self.p :])
        for name, values in (data | {"start": start}).items():
            np.asarray(values, np.float64).ravel(order="F").tofile(self.folder / f"{name}.bin")

    def _r(self, *args: object) -> list[str]:
        return ["Rscript", "fit.R", ".", self.case.name, str(self.threads), *map(str, args)]

    def compile(self) -> float:
        """Seconds of the C++ compile."""
        out = subprocess.run(self._r("compile"), cwd=self.folder, capture_output=True, text=True, check=False)
        for line in out.stdout.splitlines():
            if line.startswith("compile ") and (self.folder / f"{self.case.name}.so").exists():
                return float(line.split()[1])
        raise RuntimeError(f"TMB did not compile: {(out.stderr or out.stdout)[-400:]}")

    def fits(self, budget: float, repeats: int) -> Iterator[tuple[float, float, Answer]]:
        """Seconds of each fit, seconds from the start of R to its end, and the answer."""
        began = time.time()
        with subprocess.Popen(
            self._r("fit", budget, repeats),
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
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
                theta[self.p :] = np.where(self.logs, np.exp(theta[self.p :]), theta[self.p :])
                yield seconds, clock - began, Answer(theta, nll, std_errors, code == 0)
            errors = r.stderr.read()
        if r.returncode:
            raise RuntimeError(f"TMB failed: {errors[-400:]}")

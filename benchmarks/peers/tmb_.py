"""TMB (R): a C++ template compiled with OpenMP, then `nlminb` with its exact gradient and `sdreport`.

The compile is timed apart. Extra parameters are searched on scales without bounds, as `Case.searched` has them.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from .answer import Answer
from .rscript import RProcess, write

HERE = Path(__file__).parent / "tmb"


class Adapter:
    description = "C++ template with OpenMP (compile timed apart), nlminb with AD gradient, sdreport"
    peak_mb: float | None = None

    def __init__(self, case, data, threads, folder):
        self.case, self.threads, self.folder = case, threads, Path(folder) / "tmb"
        self.folder.mkdir(exist_ok=True)
        for name in (f"{case.name}.cpp", "fit.R"):
            shutil.copy(HERE / name, self.folder)
        self.p = data["X"].shape[1]
        write(self.folder, data | {"start": case.searched(case.start(data))})

    def _r(self, *args: object) -> list[str]:
        extras = ",".join(self.case.search_names())
        return ["Rscript", "fit.R", self.case.name, str(self.threads), extras, *map(str, args)]

    def compile(self) -> float:
        """Seconds of the C++ compile."""
        out = subprocess.run(self._r("compile"), cwd=self.folder, capture_output=True, text=True, check=False)
        for line in out.stdout.splitlines():
            if line.startswith("compile ") and (self.folder / f"{self.case.name}.so").exists():
                return float(line.split()[1])
        raise RuntimeError(f"TMB did not compile: {(out.stderr or out.stdout)[-400:]}")

    def fits(self, budget: float, repeats: int) -> Iterator[tuple[float, float, Answer]]:
        """Seconds of each fit, seconds from the start of R to its end, and the answer."""
        r = RProcess(self._r("fit", budget, repeats), self.folder, self.p)
        for seconds, fresh, answer in r.lines():
            yield seconds, fresh, replace(answer, theta=self.case.natural(answer.theta))
        self.peak_mb = r.peak_mb

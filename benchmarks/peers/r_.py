"""R: the package made for the case (MASS, survival, pscl, betareg), its defaults, its standard errors."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from .answer import Answer
from .rscript import PACKAGES, RProcess, version, write

SCRIPT = Path(__file__).parent / "r" / "fit.R"
CALLS = {
    "negbin": "glm.nb",
    "weibull": "survreg",
    "zero_inflated": "zeroinfl",
    "beta": "betareg",
}


class Adapter:
    peak_mb: float | None = None

    def __init__(self, case, data, threads, folder):
        self.case, self.folder, self.p = case, Path(folder) / "r", data["X"].shape[1]
        self.folder.mkdir(exist_ok=True)
        shutil.copy(SCRIPT, self.folder)
        write(self.folder, data)

    @property
    def description(self) -> str:
        package = PACKAGES[self.case.name]
        return f"R, {package}::{CALLS[self.case.name]} ({version(package)}), standard errors"

    def fits(self, budget: float, repeats: int) -> Iterator[tuple[float, float, Answer]]:
        """Seconds of each fit, seconds from the start of R to its end, and the answer."""
        r = RProcess(["Rscript", "fit.R", self.case.name, str(budget), str(repeats)], self.folder, self.p)
        yield from r.lines()
        self.peak_mb = r.peak_mb

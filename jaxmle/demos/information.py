"""Two forms of Fisher's information: the curvature of the log-likelihood, and the spread of its slope."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import jaxmle as jm

from .stage import Numbers, draw, label, say

ROWS, MEAN, DISPERSION = 20_000, 3.0, 0.5


def run(picture: Path) -> bool:
    """Fit Poisson's model to counts that are Poisson's and to others: there the two forms say different things."""
    say(f"{ROWS:,} counts of mean {MEAN:g}, once Poisson's and once of variance {1 + DISPERSION * MEAN:g} times that\n")
    rng = np.random.default_rng(5)
    size = 1 / DISPERSION
    counts = {
        "right": rng.poisson(MEAN, ROWS),
        "wrong": rng.negative_binomial(size, size / (size + MEAN), ROWS),
    }
    numbers, spread = Numbers(), {}
    for name, y in counts.items():
        fit = jm.fit(jm.poisson("y"), {"y": y})
        error = {kind: float(np.sqrt(fit.covariance(kind)[0, 0])) for kind in ("observed", "expected", "opg", "HC0")}
        ratio = 1.0 if name == "right" else np.sqrt(1 + DISPERSION * MEAN)
        say(f"model {name}")
        numbers.compare(
            "  standard error by the expected over by the observed form",
            error["expected"] / error["observed"],
            1.0,
            1e-6,
        )
        numbers.compare(
            "  by the curvature over by the spread of the slope", error["observed"] / error["opg"], ratio, 0.06
        )
        numbers.compare(
            "  by the sandwich of both over by the curvature", error["HC0"] / error["observed"], ratio, 0.06
        )
        spread[name] = (y - MEAN) / MEAN

    def paint(*axes: Any) -> None:
        for ax, (name, slope) in zip(axes, spread.items()):
            ends = np.arange(-3.5, 16.5) / MEAN
            ax.hist(slope, bins=ends, density=True, color="0.8")
            for width, what, style in (
                (slope.std(), "spread of the slope", "-"),
                (MEAN**-0.5, "root of the curvature", ":"),
            ):
                ax.plot([-width, width], [0.05, 0.05] if style == "-" else [0.1, 0.1], style, linewidth=3, label=what)
            label(ax, f"Model {name}", "slope of one row's log-density at the true mean", "density")

    say()
    draw(picture, 2, paint)
    return numbers.hold

"""Consistency: estimates of a Weibull shape close in on the truth, and their spread falls as one over the root of n."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import jaxmle as jm

from .stage import Numbers, draw, label, say

SHAPE, SAMPLES = 1.5, 400
ROWS = (25, 100, 400, 1600)


def run(picture: Path) -> bool:
    """Fit samples of growing size; the standard deviation of a shape's estimate is shape·√(6/n)/π for large n."""
    say(f"{SAMPLES} samples each of {', '.join(map(str, ROWS))} Weibull times of shape {SHAPE:g}\n")
    rng = np.random.default_rng(2)
    model = jm.weibull("time")
    found = []
    for n in ROWS:
        fits = jm.fit_many(model, {"time": rng.weibull(SHAPE, (SAMPLES, n))})
        found.append(fits.coef[:, list(fits.names).index("shape")])
    spread = np.array([x.std() for x in found])
    numbers = Numbers()
    for n, s in zip(ROWS, spread):
        limit = SHAPE * np.sqrt(6) / np.pi
        numbers.compare(
            f"√n · standard deviation, n = {n}", np.sqrt(n) * s, limit, limit * (4 / np.sqrt(2 * SAMPLES) + 3 / n)
        )
    slope = np.polyfit(np.log(ROWS), np.log(spread), 1)[0]
    numbers.compare("slope of log(standard deviation) in log(n)", slope, -0.5, 0.06)
    numbers.compare(f"average estimate, n = {ROWS[-1]}", found[-1].mean(), SHAPE, 5 * spread[-1] / np.sqrt(SAMPLES))

    def paint(ax: Any) -> None:
        jitter = np.exp(np.random.default_rng(0).normal(0, 0.08, SAMPLES))
        for n, x in zip(ROWS, found):
            ax.plot(n * jitter, x, ".", color="C0", markersize=3, alpha=0.3)
        grid = np.geomspace(ROWS[0] / 1.6, ROWS[-1] * 1.6)
        half = 2 * SHAPE * np.sqrt(6 / grid) / np.pi
        ax.fill_between(
            grid, SHAPE - half, SHAPE + half, color="0.5", alpha=0.2, linewidth=0, label="± 2 standard errors"
        )
        ax.axhline(SHAPE, color="C1", label="true shape")
        ax.set_xscale("log")
        label(ax, "Each dot is one sample's estimate", "rows in the sample", "shape")

    say()
    draw(picture, 1, paint)
    return numbers.hold

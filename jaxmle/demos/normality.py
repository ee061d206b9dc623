"""Asymptotic normality: distances to the truth in standard errors become standard normal, and intervals cover."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import gammainc, ndtr

import jaxmle as jm

from .stage import Numbers, draw, label, say

RATE, SAMPLES = 0.5, 5000
ROWS = (5, 30, 200)

WIDE = 1.959964
"""Half a 95 % interval, in standard errors."""


def run(picture: Path) -> bool:
    """Fit samples of exponential times, whose sum has a gamma distribution: so how often intervals cover is known exactly."""
    say(f"{SAMPLES:,} samples each of {', '.join(map(str, ROWS))} exponential times\n")
    rng = np.random.default_rng(3)
    numbers, found = Numbers(), []
    for n in ROWS:
        fits = jm.fit_many(jm.exponential("time"), {"time": rng.exponential(1 / RATE, (SAMPLES, n))})
        z = np.sort((fits.coef[:, 0] - RATE) / fits.std_errors[:, 0])
        found.append(z)
        covered = gammainc(n, n + WIDE * np.sqrt(n)) - gammainc(n, max(n - WIDE * np.sqrt(n), 0.0))
        inside = float(np.mean(np.abs(z) < WIDE))
        numbers.compare(f"share of 95 % intervals that hold the truth, n = {n}", inside, covered, 0.013)
        distance = np.abs((np.arange(SAMPLES) + 0.5) / SAMPLES - ndtr(z)).max()
        numbers.compare("  largest distance to the normal distribution", distance, 0.0, 0.35 / np.sqrt(n) + 0.02)

    def paint(*axes: Any) -> None:
        grid = np.linspace(-4, 4, 200)
        for ax, n, z in zip(axes, ROWS, found):
            ax.hist(z, 60, range=(-4, 4), density=True, color="0.8")
            ax.plot(grid, np.exp(-0.5 * grid**2) / np.sqrt(2 * np.pi), linewidth=2, label="standard normal")
            label(ax, f"{n} rows", "(estimate − truth) / standard error", "density")

    say()
    draw(picture, len(ROWS), paint)
    return numbers.hold

"""Efficiency: the Cramér–Rao bound, which maximum likelihood reaches and the sample mean does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import jaxmle as jm

from .stage import Numbers, draw, label, say

ROWS, SAMPLES = 400, 5000


def run(picture: Path) -> bool:
    """Locate the logistic distribution by maximum likelihood and by the mean, whose variances are 3/n and π²/3n."""
    say(f"{SAMPLES:,} samples of {ROWS} from the logistic distribution\n")
    model = jm.logistic("y")
    y = np.random.default_rng(4).logistic(size=(SAMPLES, ROWS))
    likelihood, mean = jm.fit_many(model, {"y": y}).coef[:, 0], y.mean(axis=1)
    bound = jm.cramer_rao(model, {"loc": 0.0, "scale": 1.0}, {"y": y[0]})
    numbers, error = Numbers(), np.sqrt(2 / SAMPLES)
    least = ROWS * next(iter(bound.std_errors.values())) ** 2
    numbers.compare("n · the Cramér–Rao bound", least, 3.0, 1e-6)
    numbers.compare("n · variance of the maximum likelihood estimate", ROWS * likelihood.var(), 3.0, 4 * 3 * error)
    numbers.compare("n · variance of the mean", ROWS * mean.var(), np.pi**2 / 3, 4 * np.pi**2 / 3 * error)
    numbers.compare("efficiency of the mean", likelihood.var() / mean.var(), 9 / np.pi**2, 0.04)

    def paint(ax: Any) -> None:
        for values, name in ((mean, "mean"), (likelihood, "maximum likelihood")):
            ax.hist(np.sqrt(ROWS) * values, 70, range=(-7, 7), density=True, histtype="step", linewidth=1.6, label=name)
        grid = np.linspace(-7, 7, 200)
        ax.plot(grid, np.exp(-(grid**2) / 6) / np.sqrt(6 * np.pi), color="0.2", linestyle=":", label="at the bound")
        label(ax, "Two estimates of a centre", "√n · estimate", "density")

    say()
    draw(picture, 1, paint)
    return numbers.hold

"""The bias of the variance: its maximum likelihood estimate is too small by 1/n of it, on average."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

import jaxmle as jm

from .stage import Numbers, draw, label, say

ROWS, SAMPLES, VARIANCE = 10, 5000, 4.0


def normal(p: Any, row: Any) -> Any:
    """The log-density of one observation, by mean and variance."""
    return -0.5 * (row["y"] - p["mean"]) ** 2 / p["variance"] - 0.5 * jnp.log(2 * jnp.pi * p["variance"])


def run(picture: Path) -> bool:
    """Fit many small samples as one batch, and look at the average of their estimates."""
    say(f"{SAMPLES:,} samples of {ROWS} normal observations of variance {VARIANCE:g}, all fitted as one program\n")
    model = jm.Model(normal, {"mean": jm.Real(), "variance": jm.Positive()})
    y = np.random.default_rng(1).normal(3.0, np.sqrt(VARIANCE), (SAMPLES, ROWS))
    estimates = jm.fit_many(model, {"y": y}).coef[:, 1]
    one = jm.fit(model, {"y": y[0]})
    error = VARIANCE * np.sqrt(2 * (ROWS - 1)) / ROWS / np.sqrt(SAMPLES)
    numbers = Numbers()
    numbers.compare("average of the estimates", estimates.mean(), VARIANCE * (1 - 1 / ROWS), 4 * error)
    corrected = estimates * ROWS / (ROWS - 1)
    numbers.compare("average of the estimates times n/(n - 1)", corrected.mean(), VARIANCE, 5 * error)
    ratio = one.bias_corrected().coef["variance"] / one.coef["variance"]
    numbers.compare("first sample: bias-corrected / estimate, 1 + 1/n", ratio, 1 + 1 / ROWS, 1e-6)

    def paint(ax: Any) -> None:
        ax.hist(estimates, 80, density=True, color="0.8")
        ax.axvline(VARIANCE, color="C1", linewidth=2, label="true variance")
        ax.axvline(estimates.mean(), color="C0", linewidth=2, label="average estimate")
        ax.axvline(corrected.mean(), color="C2", linewidth=2, linestyle=":", label="average, times n/(n − 1)")
        label(ax, f"Samples of {ROWS} rows", "estimated variance", "density")

    say()
    draw(picture, 1, paint)
    return numbers.hold

"""Invariance: the estimate of a function is the function of the estimate, and profile intervals go with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

import jaxmle as jm

from ..report.plots.likelihood import plot_log_likelihood
from .stage import Numbers, draw, label, say

HOURS = (3, 5, 7, 18, 43, 85, 91, 98, 100, 130, 230, 487)
"""Between failures of the air conditioning of an aircraft (Proschan, 1963, Technometrics 5, 375-383)."""


def run(picture: Path) -> bool:
    """Write the exponential distribution in three ways: by its rate, its mean, and the probability to last 100 hours."""
    say(f"{len(HOURS)} times between failures, exponential by rate, by mean, and by the chance to last 100 hours\n")
    of_rate = {"rate": lambda t: t, "mean": lambda t: 1 / t, "lasts": lambda t: -jnp.log(t) / 100}
    domains = {"rate": jm.Positive(), "mean": jm.Positive(), "lasts": jm.UnitInterval()}
    fits = {}
    for name, rate in of_rate.items():
        density = lambda p, row, name=name, rate=rate: jnp.log(rate(p[name])) - rate(p[name]) * row["hours"]
        fits[name] = jm.fit(jm.Model(density, {name: domains[name]}, name=name), {"hours": HOURS})
    rate, mean, lasts = (fits[name].coef[name] for name in fits)
    ends = {name: np.array(fit.confint(method="profile")[name]) for name, fit in fits.items()}
    wald = {name: np.array(fit.confint()[name]) for name, fit in fits.items()}
    numbers = Numbers()
    numbers.compare("mean", mean, float(np.mean(HOURS)), 1e-4)
    numbers.compare("1 / rate", 1 / rate, mean, 1e-4)
    numbers.compare("chance to last 100 hours", lasts, float(np.exp(-100 / np.mean(HOURS))), 1e-6)
    for side, name in enumerate(("lower", "upper")):
        numbers.compare(
            f"1 / {name} end of the rate's profile interval", 1 / ends["rate"][side], ends["mean"][1 - side], 1e-4
        )
        mapped = float(np.exp(-100 * ends["rate"][side]))
        numbers.compare("  and of the chance to last, mapped", mapped, ends["lasts"][1 - side], 1e-6)
    gap = float(np.abs(np.exp(-100 * wald["rate"]) - wald["lasts"][::-1]).max())
    say(f"\nWald intervals of the chance to last differ by {gap:.3f} between the two ways of writing the model.")

    def paint(*axes: Any) -> None:
        for ax, (name, fit) in zip(axes, fits.items()):
            plot_log_likelihood(fit, name, ax)
            for end in ends[name]:
                ax.axvline(end, color="C2", linewidth=1)
            label(ax, f"By {name}: profile interval in green", name, ax.get_ylabel())

    draw(picture, len(fits), paint)
    return numbers.hold and gap > 0.01

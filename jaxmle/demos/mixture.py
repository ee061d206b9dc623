"""Two kinds of days: the deaths in the London Times as a mixture of two Poisson distributions, and three roads to it."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

import jaxmle as jm

from .stage import Numbers, draw, label, say

DEATHS = np.arange(10)
DAYS = np.array([162, 267, 271, 185, 111, 61, 27, 8, 3, 1])
"""Days from 1910 to 1912 on which the Times told of so many deaths of women of 80 and more (Hasselblad, 1969)."""

PUBLISHED = {"rate.0": 1.256, "rate.1": 2.663, "weight.0": 0.3599}
LOG_LIKELIHOOD = -1989.946
"""Hasselblad (1969), Journal of the American Statistical Association 64, 1459-1471; Titterington, Smith and Makov (1985),
Statistical Analysis of Finite Mixture Distributions, table 4.3.1."""

SHOWN = 300
"""Passes over the data that the picture shows."""


def run(picture: Path) -> bool:
    """Fit one Poisson distribution and two, the two by EM, by EM accelerated, and with Newton's method at the end."""
    data = {"deaths": DEATHS, "days": DAYS}
    say(f"Deaths of women of 80 and more in the London Times, on {DAYS.sum():,} days from 1910 to 1912\n")
    found = jm.choose_components(jm.poisson("deaths"), data, components=[1, 2, 3], weights="days")
    say(f"{found}\n")
    fit = found.fits[2]
    numbers = Numbers()
    numbers.compare("log-likelihood of two, published", fit.log_likelihood, LOG_LIKELIHOOD, 5e-4)
    for name, value in PUBLISHED.items():
        numbers.compare(f"{name}, published", fit.coef[name], value, 6e-4)
    days = fit.predict({"deaths": DEATHS}, what="posterior")[:, 0] @ DAYS
    numbers.compare("days of the first kind, by their chances", days / DAYS.sum(), fit.coef["weight.0"], 1e-6)

    model = jm.mixture(jm.poisson("deaths"), components=2)
    roads = {
        "EM": jm.EM(accelerate=None, finish=False, max_steps=SHOWN),
        "EM, accelerated (SQUAREM)": jm.EM(finish=False, tol=1e-8),
        "and with Newton's method at the end": jm.EM(),
    }
    left: dict[str, list[float]] = {name: [] for name in roads}
    say("\nPasses over the data, and the log-likelihood still to be gained after them:")
    for name, solver in roads.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", jm.FitWarning)  # plain EM does not end in so few steps
            watch = lambda p, name=name: left[name].append(p.value + fit.log_likelihood)
            end = jm.fit(model, data, weights="days", solver=solver, callback=watch, progress=False)
        say(f"  {name:36}{end.n_steps:5}{max(fit.log_likelihood - end.log_likelihood, 0.0):12.1e}")

    def paint(ax: Any, beside: Any) -> None:
        ax.bar(DEATHS, DAYS, color="0.85", label="days")
        for i in (0, 1):
            part = np.array([fit.predict({"deaths": DEATHS}, what="posterior")[:, i] * DAYS]).ravel()
            ax.plot(DEATHS, part, "o-", color=f"C{i}", label=f"kind {i}: {fit.coef[f'rate.{i}']:.3g} deaths a day")
        label(ax, "Two kinds of days", "deaths", "days")
        for name, values in left.items():
            beside.semilogy(1 + np.arange(len(values)), np.maximum(values, 1e-11), label=name)
        label(beside, "Three roads to the maximum", "passes over the data", "log-likelihood still to be gained")

    say()
    draw(picture, 2, paint)
    return numbers.hold

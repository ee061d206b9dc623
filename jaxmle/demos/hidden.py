"""Hidden states: a century of earthquakes, quiet years and busy years, told apart by a Markov chain that nobody saw."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

import jaxmle as jm
from jaxmle.datasets import load

from .stage import Numbers, draw, label, say

PUBLISHED = {1: 391.9189, 2: 342.3183, 3: 329.4603}
"""States → minus the log-likelihood, by Zucchini, MacDonald and Langrock (2016), Hidden Markov Models for Time Series."""


def run(picture: Path) -> bool:
    """Fit one, two and three states; compare the likelihoods and rates with the published ones, and draw the states."""
    data = load("earthquakes")
    say(
        f"Earthquakes of magnitude 7 and more, {data['year'][0]:.0f} to {data['year'][-1]:.0f}: how many kinds of year?\n"
    )
    fits = {1: jm.fit(jm.poisson("count"), data)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", jm.FitWarning)  # of three states, one never follows another: a chance of zero
        for k in (2, 3):
            fits[k] = jm.fit(jm.hidden_markov(jm.poisson("count"), states=k, time="year"), data)
    numbers = Numbers()
    for k, fit in fits.items():
        what = f"-log-likelihood, {k} state{'s' * (k > 1)}"
        numbers.compare(what, -fit.log_likelihood, PUBLISHED[k], 1e-4)
    two = fits[2]
    for i, rate in enumerate((15.472, 26.125)):
        numbers.compare(f"earthquakes a year in state {i}", two.coef[f"rate.{i}"], rate, 5e-4)
    chances, path = two.predict(what="states"), two.predict(what="path").astype(int)
    memory = 1 - two.coef["transition[0,1]"] - two.coef["transition[1,0]"]
    say(
        f"\nBusy years: {int(path.sum())} of {len(path)}. What is known of a state fades by a factor of {memory:.2f} a year."
    )

    def paint(left: Any, right: Any) -> None:
        left.plot(data["year"], data["count"], ".", color="0.4", label="earthquakes")
        rates = np.array([two.coef["rate.0"], two.coef["rate.1"]])
        left.step(data["year"], rates[path], where="mid", color="C1", label="rate on the likeliest path")
        label(left, "Two hidden states", "year", "earthquakes of magnitude 7 and more")
        right.fill_between(data["year"], chances[:, 1], step="mid", color="C1", alpha=0.5, linewidth=0)
        right.set_ylim(0, 1)
        label(right, "Chance of a busy year, given all years", "year", "probability")

    say()
    draw(picture, 2, paint)
    return numbers.hold

"""Likelihoods that are hard to maximise: each is solved, to the answer known without a search, or it is said why not."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import jaxmle as jm

from .hardness.hard import REFUSED, Hard
from .hardness.optima import HOLES, SCATTERED, several_optima
from .hardness.table import all_of_them
from .stage import draw, label, say


@dataclass(frozen=True)
class Outcome:
    """What became of a hard likelihood: the `fit`, or the `words` of the error that refused it."""

    hard: Hard
    fit: jm.Fit | None
    words: str

    @property
    def status(self) -> str:
        return REFUSED if self.fit is None else self.fit.certificate.status

    @property
    def error(self) -> float:
        """The largest relative error of what is known otherwise; NaN where nothing is."""
        known = self.hard.known()
        if self.fit is None or not known:
            return np.nan
        found = {"log_likelihood": self.fit.log_likelihood, **self.fit.coef}
        return max(abs(found[name] - value) / abs(value) for name, value in known.items())

    @property
    def holds(self) -> bool:
        """Whether it is what it should be, in status, numbers and words."""
        optima = None if self.fit is None or self.hard.optima is None else len(self.fit.optima)
        return (
            self.status == self.hard.status
            and not self.error > self.hard.within
            and optima == self.hard.optima
            and all(words in self.words for words in self.hard.says)
        )

    @property
    def line(self) -> str:
        """The row of the table."""
        solved = self.status == "optimum"
        what = "solved" if solved else self.status.replace("_", " ")
        if self.hard.optima is not None and self.fit is not None:
            what += f", {len(self.fit.optima)} optima found"
        steps = "" if self.fit is None else str(self.fit.n_steps)
        error = "" if np.isnan(self.error) else "exact" if self.error < 1e-15 else f"{self.error:.0e}"
        return f"{self.hard.name:48}{what:24}{steps:>6}{error:>9}  {'✓' if self.holds else '✗'}"


def attempt(hard: Hard) -> Outcome:
    """Fit it, as a user would."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", jm.FitWarning)  # what it warns of is in the certificate
        try:
            fit = jm.fit(hard.model, hard.data, progress=False, **hard.options)
        except jm.ModelError as error:
            return Outcome(hard, None, str(error))
    return Outcome(hard, fit, str(fit.certificate))


def show(outcomes: Sequence[Outcome]) -> None:
    """Print the table, and what was said of those that were not solved."""
    say(f"{'':48}{'outcome':24}{'steps':>6}{'error':>9}")
    for outcome in outcomes:
        say(outcome.line)
    say("\nWhat was said of those that have no proper maximum, or no start:")
    for outcome in outcomes:
        if outcome.status != "optimum":
            words = outcome.words if outcome.fit is None else outcome.fit.certificate.reason
            say(f"- {outcome.hard.name}: {words}")


def run(picture: Path) -> bool:
    """Fit them all, print, draw; whether each came out as it should."""
    outcomes = [attempt(hard) for hard in all_of_them()]
    show(outcomes)
    solved = sum(o.status == "optimum" for o in outcomes)
    say(f"\n{len(outcomes)} likelihoods: {solved} solved, {len(outcomes) - solved} reported for what they are.")
    draw(picture, 2, partial(_paint, several_optima()[0]))
    return all(outcome.holds for outcome in outcomes)


def _paint(cauchy: Hard, left: Any, right: Any) -> None:
    mu = np.linspace(SCATTERED.min() - 4, SCATTERED.max() + 4, 800)
    value = lambda m: -np.log(np.pi * (1 + (SCATTERED - np.asarray(m)[..., None]) ** 2)).sum(axis=-1)
    found = attempt(cauchy).fit
    assert found is not None
    left.plot(mu, value(mu), linewidth=2)
    at = [optimum["mu"] for _, optimum in found.optima]
    left.plot(at, value(at), "o", color="C3", label="optima found")
    left.plot(SCATTERED, np.full(len(SCATTERED), value(mu).min()), "|", color="0.2", markersize=12, label="data")
    label(left, "A Cauchy location", "location", "log-likelihood")
    r = np.linspace(-0.95, 0.95, 400)
    square, product = 2.0 / (8 / 3), np.nansum(HOLES[:4, 0] * HOLES[:4, 1])
    joint = -0.5 * (4 * square * 0.75 - 2 * r * product / (8 / 3)) / (1 - r**2) - 2 * np.log1p(-(r**2))
    right.plot(r, joint - joint.max(), linewidth=2)
    label(right, "Murray's holes: a saddle between two maxima", "correlation", "log-likelihood, variances held")

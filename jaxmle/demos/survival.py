"""Survival: the trial of Cox's own paper, its hazard ratio by both rules for ties, and curves from a hazard left open."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import jaxmle as jm

from .stage import Numbers, draw, label, say

WEEKS = (5.0, 10.0, 20.0)


def run(picture: Path) -> bool:
    """Weeks until relapse of 42 children with leukaemia, half of them treated with 6-mercaptopurine (Freireich, 1963).

    The expected numbers are those of R's survival 3.5.3: coxph, survfit and concordance; of pairs as strata, what only
    counts in how many of them the treated child was the first to relapse, 3 of 21, has a closed form.
    """
    data = jm.datasets.load("remission")
    say("Weeks in remission of 21 pairs of children with leukaemia, one of each pair treated\n")
    fit = jm.fit(jm.cox("weeks ~ treated", event="relapse"), data)
    breslow = jm.fit(jm.cox("weeks ~ treated", event="relapse", ties="breslow"), data)
    paired = jm.fit(jm.cox("weeks ~ treated", event="relapse", strata="pair"), data)
    name = "log_hazard[treated]"
    numbers = Numbers()
    numbers.compare("log-likelihood, ties by Efron", fit.log_likelihood, -85.00842458, 1e-6)
    numbers.compare("log hazard ratio, ties by Efron", fit.coef[name], -1.572125149, 1e-6)
    numbers.compare("  its standard error", fit.std_errors[name], 0.4123967177, 1e-6)
    robust = float(np.sqrt(fit.covariance("sandwich", cluster="pair")[0, 0]))
    numbers.compare("  robust, with pairs as clusters", robust, 0.3911361673, 1e-6)
    numbers.compare("log hazard ratio, ties by Breslow", breslow.coef[name], -1.509191413, 1e-6)
    numbers.compare("log hazard ratio, each pair a stratum: log(3/18)", paired.coef[name], np.log(3 / 18), 1e-6)
    numbers.compare("concordance", fit.concordance().index, 0.6900420757, 1e-6)
    chances = fit.predict({"treated": [0.0, 1.0]}, "survival", times=WEEKS)
    known = ([0.6520226710, 0.3467618886, 0.1100949123], [0.9150404254, 0.8026179883, 0.6325101563])
    for who, found, expected in zip(("untreated", "treated"), chances, known):
        for week, x, y in zip(WEEKS, found, expected):
            numbers.compare(f"chance to be in remission after {week:.0f} weeks, {who}", x, y, 1e-6)

    def paint(curves: Any, ratios: Any) -> None:
        grid = np.linspace(0, 35, 351)
        found = fit.predict({"treated": [0.0, 1.0]}, "survival", times=grid, se=True)
        for i, (who, colour) in enumerate((("untreated", "tab:red"), ("treated", "tab:blue"))):
            curves.step(grid, found.estimate[i], where="post", color=colour, label=who)
            low, high = (np.clip(x[i], 0, 1) for x in found.confint())
            curves.fill_between(grid, low, high, step="post", color=colour, alpha=0.15, linewidth=0)
        label(curves, "Cox regression, with 95 % intervals", "weeks", "chance to be in remission")
        fits = (("each pair a stratum", paired), ("ties by Breslow", breslow), ("ties by Efron", fit))
        for height, (_, one) in enumerate(fits):
            low, high = np.exp(one.confint()[name])
            ratios.plot([low, high], [height, height], color="0.4")
            ratios.plot(np.exp(one.coef[name]), height, "o", color="tab:blue")
        ratios.axvline(1.0, color="0.8", zorder=0)
        ratios.set_xscale("log")
        ratios.set_yticks(range(len(fits)), [words for words, _ in fits])
        label(ratios, "Hazard of the treated over that of the untreated", "hazard ratio, 95 % interval")

    say()
    draw(picture, 2, paint)
    return numbers.hold

"""Two fits of real data whose right answers are certified: what `jaxmle demo` runs, and an example to copy from."""

from __future__ import annotations

import math
import time
from functools import partial
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

import jaxmle as jm

from ..datasets import certified, load
from ..report.digits import count, number, seconds
from ..report.plots.likelihood import plot_log_likelihood
from .stage import draw, label, say

COLUMNS = ("deflator", "gnp", "unemployed", "armed_forces", "population", "year")


# --- any log-density: a curve with normal errors ----------------------------------------------------------------------


def normal(y: Any, mean: Any, sd: Any) -> Any:
    """The log-density of the normal distribution."""
    return -0.5 * ((y - mean) / sd) ** 2 - jnp.log(sd) - 0.5 * jnp.log(2 * jnp.pi)


def mobility_at(p: Any, x: Any) -> Any:
    """Electron mobility in a semiconductor, given the logarithm of the density: a ratio of cubic polynomials."""
    return (p["b1"] + x * (p["b2"] + x * (p["b3"] + x * p["b4"]))) / (1 + x * (p["b5"] + x * (p["b6"] + x * p["b7"])))


def electron_mobility(p: Any, row: Any) -> Any:
    """The log-density of ONE measurement."""
    return normal(row["mobility"], mobility_at(p, row["log_density"]), p["sigma"])


def fit_mobility() -> jm.Fit:
    """Thurber's data, from the first of NIST's starting values."""
    start = certified("thurber")["starts"][0]
    params = {name: jm.Real() for name in start} | {"sigma": jm.Positive()}
    return jm.fit(jm.Model(electron_mobility, params), load("thurber"), start=start)


# --- a regression: the mean is linear in columns of the data ----------------------------------------------------------


def linear_regression(p: Any, row: Any) -> Any:
    """The log-density of one year's employment."""
    return normal(row["employed"], p["mean"], p["sigma"])


def fit_employment() -> jm.Fit:
    """Longley's data, nearly collinear, on which programs have failed since 1967."""
    params = {"mean": jm.Linear((1, *COLUMNS)), "sigma": jm.Positive()}
    return jm.fit(jm.Model(linear_regression, params), load("longley"))


# --- the show ---------------------------------------------------------------------------------------------------------


def run(picture: Path) -> bool:
    """Fit, print, compare, draw; whether both fits converged."""
    begin = time.perf_counter()
    say("1  A log-density of your own: electron mobility in a semiconductor (NIST StRD, Thurber)\n")
    mobility = fit_mobility()
    say(f"{mobility}\n")
    answer = certified("thurber")
    say(
        _comparison(
            "estimate", answer["estimates"], {n: mobility.coef[n] for n in answer["estimates"]}, answer["digits"]
        )
    )
    say("\n\n2  A regression: employment in the United States, 1947-1962 (NIST StRD, Longley)\n")
    employment = fit_employment()
    say(f"{employment}\n")
    answer = certified("longley")
    found = {n: employment.coef[f"mean[{n}]"] for n in answer["estimates"]}
    say(_comparison("estimate", answer["estimates"], found, answer["digits"]))
    n, p = answer["n"], len(answer["estimates"])
    unbiased = {name: employment.std_errors[f"mean[{name}]"] * math.sqrt(n / (n - p)) for name in answer["std_errors"]}
    say("\n" + _comparison("std error, by n - p", answer["std_errors"], unbiased, answer["digits"]))
    say("\n")
    draw(picture, 2, partial(_paint, mobility))
    fits = (mobility, employment)
    compiling, running = (sum(fit.seconds[what] for fit in fits) for what in ("compile", "run"))
    everything = seconds(time.perf_counter() - begin)
    say(f"Two fits: {seconds(compiling)} of compiling, {seconds(running)} of running; {everything} in all.")
    return all(fit.converged for fit in fits)


def _comparison(what: str, right: dict[str, float], found: dict[str, float], digits: int) -> str:
    """A table of certified values, ours, and how many digits of ours are right."""
    names = max(map(len, right))
    lines = [f"{'':{names}}  {'certified by NIST':>22}  {what:>22}  correct digits"]
    for name, value in right.items():
        correct = correct_digits(found[name], value, digits)
        shown = [number(x, digits - 1 - math.floor(math.log10(abs(value)))) for x in (value, found[name])]
        lines.append(f"{name:{names}}  {shown[0]:>22}  {shown[1]:>22}  {correct:>6.1f} of {digits}")
    return "\n".join(lines)


def correct_digits(found: float, right: float, digits: int) -> float:
    """Significant digits to which two numbers agree: minus the logarithm of the relative error, at most `digits`."""
    error = abs(found - right) / abs(right)
    return min(-math.log10(error), digits) if error > 0 else digits


def _paint(fit: jm.Fit, left: Any, right: Any) -> None:
    _plot_curve(fit, left)
    plot_log_likelihood(fit, "b7", right)
    right.set_title("How well is b7 known?", fontsize="medium", loc="left")


def _plot_curve(fit: jm.Fit, ax: Any) -> None:
    data = load("thurber")
    x = np.linspace(data["log_density"].min(), data["log_density"].max(), 200)
    curve = mobility_at(fit.params, x)
    sigma = float(fit.params["sigma"])
    (line,) = ax.plot(x, curve, linewidth=2, label="fitted curve")
    ax.fill_between(
        x, curve - 2 * sigma, curve + 2 * sigma, color=line.get_color(), alpha=0.2, linewidth=0, label="± 2σ"
    )
    ax.plot(data["log_density"], data["mobility"], "o", color="0.2", markersize=4, label="measured")
    label(
        ax, f"{count(len(data['mobility']), 'measurement')}, {fit.df} parameters", "log(density)", "electron mobility"
    )

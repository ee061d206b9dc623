"""Corners, edges, and regions where there is no density."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from scipy.optimize import brentq, linprog

import jaxmle as jm

from .hard import REFUSED, Hard, normal

# --- corners -----------------------------------------------------------------------------------------------------------


def double_exponential(p: Any, row: Any) -> Any:
    return -jnp.abs(row["y"] - p["mu"]) / p["b"] - jnp.log(2 * p["b"])


def median_line(p: Any, row: Any) -> Any:
    return -jnp.abs(row["y"] - p["mean"])


def bent(p: Any, row: Any) -> Any:
    """Two straight lines that meet at a bend."""
    return normal(row["y"], p["a"] + p["b"] * jnp.maximum(row["x"] - p["bend"], 0.0), p["sigma"])


def jump(p: Any, row: Any) -> Any:
    """A mean that jumps: the likelihood is a staircase in the place of the jump."""
    return normal(row["y"], jnp.where(row["x"] < p["place"], p["before"], p["after"]))


def broken() -> dict[str, np.ndarray]:
    x = np.arange(30.0)
    return {"x": x, "y": 1.0 + 0.5 * np.maximum(x - 12.4, 0) + 0.3 * np.cos(11.0 * x)}


def best_bend() -> dict[str, float]:
    """Least squares between every two neighbours, where the likelihood is smooth, and at every observation."""
    x, y = broken().values()
    found = []
    for k in range(1, len(x) - 2):  # with the bend in (x[k], x[k + 1]) both lines are free, and meet there
        ones, after = np.ones_like(x), np.where(x > x[k], 1.0, 0.0)
        columns = np.stack([ones, after * x, after], axis=1)
        a, b, c = np.linalg.lstsq(columns, y, rcond=None)[0]
        bend = np.clip(-c / b, x[k], x[k + 1])
        columns = np.stack([ones, np.maximum(x - bend, 0)], axis=1)
        a, b = np.linalg.lstsq(columns, y, rcond=None)[0]
        found.append((((y - columns @ (a, b)) ** 2).sum(), bend, a, b))
    rest, bend, a, b = min(found)
    return {"bend": bend, "a": a, "b": b, "sigma": np.sqrt(rest / len(x))}


def least_absolute(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Intercept and slope with the least sum of absolute residuals, by linear programming."""
    n = len(x)
    equal = np.column_stack([np.ones(n), x, np.eye(n), -np.eye(n)])
    bounds = [(None, None)] * 2 + [(0, None)] * (2 * n)
    return linprog(np.r_[0, 0, np.ones(2 * n)], A_eq=equal, b_eq=y, bounds=bounds).x[:2]


def corners() -> list[Hard]:
    y = np.array([28, 26, 33, 24, 34, -44, 27, 16, 40, -2, 29, 22, 24, 21, 25.0])  # Newcomb's first fifteen
    x = np.arange(15.0)
    middle = float(np.median(y))
    line = least_absolute(x, y)
    kinks = {"a": jm.Real(), "b": jm.Real(), "bend": jm.Interval(0.0, 29.0), "sigma": jm.Positive()}
    staircase = {"before": jm.Real(), "after": jm.Real(), "place": jm.Interval(0.0, 15.0)}
    return [
        Hard(
            "a median (Laplace), at a corner",
            jm.Model(double_exponential, {"mu": jm.Real(), "b": jm.Positive()}), {"y": y}, "wrong_derivatives",
            known=lambda: {"mu": middle, "b": np.abs(y - middle).mean()}, within=1e-4, says=("'mu'", "kink"),
        ),
        Hard(
            "least absolute deviations", jm.Model(median_line, {"mean": jm.Linear([1, "x"])}), {"x": x, "y": y},
            "wrong_derivatives", known=lambda: {"mean[Intercept]": line[0], "mean[x]": line[1]}, within=1e-3,
            says=("kink",),
        ),
        Hard("a line with a bend", jm.Model(bent, kinks), broken(), known=best_bend),
        Hard(
            "a mean that jumps", jm.Model(jump, staircase), {"x": x, "y": y}, "wrong_derivatives", says=("'place'",),
        ),
    ]  # fmt: skip


# --- edges, and regions where there is no density ----------------------------------------------------------------------


def uniform(p: Any, row: Any) -> Any:
    """Uniform on (0, top)."""
    return jnp.where(row["y"] <= p["top"], -jnp.log(p["top"]), -jnp.inf)


def shifted_lognormal(p: Any, row: Any) -> Any:
    """Infinitely likely as the threshold closes in on the smallest observation (Hill, 1963)."""
    gap = row["y"] - p["threshold"]
    inside = gap > 0
    log = jnp.log(jnp.where(inside, gap, 1.0))
    return jnp.where(inside, normal(log, p["mu"], p["sigma"]) - log, -jnp.inf)


def identity_poisson(p: Any, row: Any) -> Any:
    """A Poisson regression on the scale of the mean, which must not be negative in any row."""
    inside = p["rate"] > 0
    return jnp.where(inside, row["y"] * jnp.log(jnp.where(inside, p["rate"], 1.0)) - p["rate"], -jnp.inf)


def extreme(p: Any, row: Any) -> Any:
    """The generalised extreme-value distribution, of which a bounded sample has likelihoods without limit."""
    t = 1 + p["shape"] * (row["y"] - p["place"]) / p["sigma"]
    inside = t > 0
    log = jnp.log(jnp.where(inside, t, 1.0))
    return jnp.where(inside, -jnp.log(p["sigma"]) - (1 + 1 / p["shape"]) * log - jnp.exp(-log / p["shape"]), -jnp.inf)


def two_normals(p: Any, row: Any) -> Any:
    first, second = (normal(row["y"], p["m"][i], p["s"][i]) for i in (0, 1))
    return jnp.logaddexp(jnp.log(p["w"]) + first, jnp.log1p(-p["w"]) + second)


COUNTS = {"x": np.array([0.0, 0, 0, 1, 1, 1, 2, 2, 2]), "y": np.array([0, 1, 0, 2, 1, 3, 4, 3, 5.0])}


def on_the_identity() -> dict[str, float]:
    """The score of a Poisson mean a + b·x, solved in the slope: the fitted means add up to the counts."""
    x, y = COUNTS.values()
    rate = lambda b: y.mean() + b * (x - x.mean())
    slope: Any = brentq(lambda b: (y * (x - x.mean()) / rate(b)).sum(), 0.1, 0.999 * y.mean() / x.mean(), xtol=1e-14)
    return {"rate[Intercept]": y.mean() - slope * x.mean(), "rate[x]": slope}


def edges() -> list[Hard]:
    y = np.array([1.2, 2.5, 0.7, 3.1, 2.2, 1.9, 2.8, 0.4])
    skewed = np.array([1.02, 1.05, 1.11, 1.2, 1.33, 1.5, 1.8, 2.4, 3.5, 6.0])
    three = {"threshold": jm.Real(), "mu": jm.Real(), "sigma": jm.Positive()}
    gev = {"place": jm.Real(), "sigma": jm.Positive(), "shape": jm.Real(start=-1.5)}
    pair = {"w": jm.UnitInterval(), "m": jm.Real(shape=2), "s": jm.Positive(shape=2)}
    return [
        Hard(
            "uniform on (0, top)", jm.Model(uniform, {"top": jm.Positive()}), {"y": y}, "support_edge",
            known=lambda: {"top": 3.1}, within=1e-4, says=("'top'",),
        ),
        Hard(
            "a start outside the support", jm.Model(shifted_lognormal, three), {"y": skewed}, REFUSED,
            says=("row", "threshold"), options={"start": {"threshold": 2.0, "mu": 0.0, "sigma": 1.0}},
        ),
        Hard(
            "a threshold that makes likelihoods infinite", jm.Model(shifted_lognormal, three), {"y": skewed}, "unbounded",
            says=("threshold",), options={"start": {"threshold": 1.0199999, "mu": -2.0, "sigma": 2.0}},
        ),
        Hard(
            "a Poisson mean that must stay positive", jm.Model(identity_poisson, {"rate": jm.Linear([1, "x"])}), COUNTS,
            known=on_the_identity, options={"start": {"rate": [0.001, 0.001]}},
        ),
        Hard(
            "extreme values of a bounded sample", jm.Model(extreme, gev), {"y": np.sqrt(np.linspace(0.3, 0.9999, 25))},
            "unbounded", says=("shape",),
        ),
        Hard(
            "a mixture that closes in on one point", jm.Model(two_normals, pair), {"y": y}, "unbounded",
            says=("s[0] → 0",), options={"start": {"w": 0.3, "m": [0.4, 2.0], "s": [0.001, 1.0]}},
        ),
    ]  # fmt: skip

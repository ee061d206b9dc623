"""Several optima, and points that are stationary without being one."""

from __future__ import annotations

from functools import reduce
from typing import Any

import jax.numpy as jnp
import numpy as np
from scipy.optimize import brentq, minimize_scalar
from scipy.special import i0e, i1e

import jaxmle as jm

from .hard import HALF_LOG_2PI, REFUSED, Hard, normal

SCATTERED = np.array([-12.0, -5.5, -4.5, 1.0, 9.0, 10.5])


def cauchy(p: Any, row: Any) -> Any:
    """Cauchy's distribution of scale 1: every far observation has a summit of its own."""
    return -jnp.log(jnp.pi) - jnp.log1p((row["y"] - p["mu"]) ** 2)


def summits_of_cauchy() -> np.ndarray:
    """The maxima of the likelihood, highest first: real roots of the score, a rational function of the location."""
    square = [np.poly1d([1.0, -2 * y, 1 + y * y]) for y in SCATTERED]
    others = [reduce(np.polymul, [s for j, s in enumerate(square) if j != i]) for i in range(len(SCATTERED))]
    score: Any = sum(np.poly1d([-1.0, y]) * rest for y, rest in zip(SCATTERED, others))
    real = np.sort([r.real for r in score.roots if abs(r.imag) < 1e-9])
    value = lambda mu: -np.log(np.pi * (1 + (SCATTERED - mu) ** 2)).sum()
    return np.array(sorted(real[::2], key=value, reverse=True))  # between two maxima there is a minimum


HOLES = np.array(
    [(1, 1), (1, -1), (-1, 1), (-1, -1)]
    + [(2, np.nan)] * 2
    + [(-2, np.nan)] * 2
    + [(np.nan, 2)] * 2
    + [(np.nan, -2)] * 2
)
"""Murray (1977), in the discussion of Dempster, Laird and Rubin, Journal of the Royal Statistical Society B 39, 27-28."""


def pair_with_holes(p: Any, row: Any) -> Any:
    """Two normal numbers of mean 0, one of which may be missing (NaN)."""
    a, b, s, r = row["a"], row["b"], p["s"], p["r"]
    there = [jnp.isfinite(a), jnp.isfinite(b)]
    a, b = jnp.where(there[0], a, 0.0) / s[0], jnp.where(there[1], b, 0.0) / s[1]
    alone = [jnp.where(t, -0.5 * x**2 - jnp.log(c) - HALF_LOG_2PI, 0.0) for t, x, c in zip(there, (a, b), s)]
    joint = -0.5 * (r**2 * (a**2 + b**2) - 2 * r * a * b) / (1 - r**2) - 0.5 * jnp.log1p(-(r**2))
    return alone[0] + alone[1] + jnp.where(there[0] & there[1], joint, 0.0)


def wave(p: Any, row: Any) -> Any:
    """A wave of unknown frequency in noise: as many optima as there are periods."""
    angle = p["frequency"] * row["t"]
    return normal(row["y"], p["a"] * jnp.cos(angle) + p["b"] * jnp.sin(angle), p["sigma"])


def waves() -> dict[str, np.ndarray]:
    t = np.arange(60.0)
    return {"t": t, "y": 1.5 * np.cos(1.1 * t + 0.4) + np.random.default_rng(5).normal(size=60)}


def best_wave() -> dict[str, float]:
    """Least squares at every frequency of a fine grid, refined by golden sections."""
    t, y = waves().values()

    def left(frequency: float) -> float:
        columns = np.stack([np.cos(frequency * t), np.sin(frequency * t)], axis=1)
        return float(np.square(y - columns @ np.linalg.lstsq(columns, y, rcond=None)[0]).sum())

    grid = np.linspace(0.05, np.pi - 0.05, 6001)
    at = grid[np.argmin([left(f) for f in grid])]
    best = minimize_scalar(left, bounds=(at - 1e-3, at + 1e-3), method="bounded", options={"xatol": 1e-10})
    variance = best.fun / len(y)
    top = -0.5 * len(y) * (np.log(2 * np.pi * variance) + 1)
    return {"frequency": best.x, "sigma": np.sqrt(variance), "log_likelihood": top}


def several_optima() -> list[Hard]:
    murray = jm.Model(pair_with_holes, {"s": jm.Positive(shape=2), "r": jm.Interval(-1.0, 1.0)})
    pair = {"a": HOLES[:, 0], "b": HOLES[:, 1]}
    sine = {"frequency": jm.Interval(0.0, np.pi), "a": jm.Real(), "b": jm.Real(), "sigma": jm.Positive()}
    top = summits_of_cauchy()
    both = {"s[0]": np.sqrt(8 / 3), "s[1]": np.sqrt(8 / 3)}
    return [
        Hard(
            "Cauchy, six scattered numbers", jm.Model(cauchy, {"mu": jm.Real()}), {"y": SCATTERED},
            known=lambda: {"mu": top[0]}, optima=len(top), options={"solver": jm.MultiStart(starts=64, spread=8.0)},
        ),
        Hard(
            "Murray's holes, begun at the saddle", murray, pair, known=lambda: both, options={"missing": "allow"},
        ),
        Hard(
            "Murray's holes: both optima", murray, pair, known=lambda: both, optima=2,
            options={"missing": "allow", "solver": jm.MultiStart(starts=16, spread=3.0)},
        ),
        Hard(
            "a wave of unknown frequency", jm.Model(wave, sine), waves(), known=best_wave,
            options={"solver": jm.MultiStart(starts=128, spread=1.5)},
        ),
    ]  # fmt: skip


# --- saddles and overflow -----------------------------------------------------------------------------------------------

ANGLES = np.radians([10, 25, 350, 40, 5, 60, 330, 15.0])


def circle(p: Any, row: Any) -> Any:
    """Von Mises' distribution; the opposite direction is a stationary point too, the worst one."""
    k = p["k"]
    bessel = jnp.log(jnp.sum(jnp.exp(k * (jnp.cos(jnp.linspace(0, 2 * jnp.pi, 64, endpoint=False)) - 1))) / 64)
    return k * (jnp.cos(row["y"] - p["direction"]) - 1) - bessel - jnp.log(2 * jnp.pi)


def mean_direction() -> dict[str, float]:
    s, c = np.sin(ANGLES).mean(), np.cos(ANGLES).mean()
    k: Any = brentq(lambda k: i1e(k) / i0e(k) - np.hypot(s, c), 1e-3, 100.0, xtol=1e-13)
    return {"direction": np.arctan2(s, c), "k": k}


def exploding(p: Any, row: Any) -> Any:
    return row["y"] * p["log_rate"] - jnp.exp(p["log_rate"])


def saddles() -> list[Hard]:
    opposite = {"direction": mean_direction()["direction"] + np.pi, "k": 0.5}
    counts = {"y": np.array([2.0, 0, 3, 1, 4, 2])}
    return [
        Hard(
            "directions, begun at the opposite one", jm.Model(circle, {"direction": jm.Real(), "k": jm.Positive()}),
            {"y": ANGLES}, known=mean_direction, within=1e-6, options={"start": opposite},
        ),
        Hard(
            "a start whose rate overflows", jm.Model(exploding, {"log_rate": jm.Real()}), counts, REFUSED,
            says=("log_rate",), options={"start": {"log_rate": 800.0}},
        ),
        Hard(
            "a start nine hundred steps of Newton away", jm.Model(exploding, {"log_rate": jm.Real()}), counts,
            known=lambda: {"log_rate": np.log(2.0)}, options={"start": {"log_rate": 600.0}},
        ),
    ]  # fmt: skip

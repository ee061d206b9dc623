"""Ridges and valleys, plateaus, and scales far apart."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import jax.numpy as jnp
import numpy as np

import jaxmle as jm

from .hard import Hard, normal

# --- ridges and narrow valleys -----------------------------------------------------------------------------------------


def product(p: Any, row: Any) -> Any:
    """The data know a·b only: a ridge, which priors bend to two summits."""
    return normal(row["y"], p["a"] * p["b"])


def standard(x: Any) -> Any:
    """The log-density of the standard normal distribution, but for its constant."""
    return -0.5 * x**2


def banana(p: Any, row: Any) -> Any:
    """Rosenbrock's valley as a log-density: y = 0 and 1 measured as 10(b − a²) and a."""
    return normal(row["y"], 10 * (p["b"] - p["a"] ** 2)) + normal(row["z"], p["a"])


def funnel(p: Any, row: Any) -> Any:
    """Neal's funnel: x is known to e^(v/2), v to 3: its summit is at v = −9/2 for every x, where all x are 0."""
    x, v = p["x"], p["v"]
    return -0.5 * (row["zero"] - v / 3) ** 2 - 0.5 * jnp.sum(x**2 * jnp.exp(-v)) - 0.5 * v * x.shape[0]


def ridges() -> list[Hard]:
    flat = {"a": jm.Real(start=2.0, prior=standard), "b": jm.Real(start=0.1, prior=standard)}
    y = np.array([1.0, 1.4, 0.8, 1.6, 1.2, 1.1, 1.3, 0.9])
    summit = np.sqrt(y.mean() - 1 / len(y))
    far = {"a": -1.2, "b": 1.0}
    return [
        Hard(
            "a ridge a·b with priors", jm.Model(product, flat), {"y": y},
            known=lambda: {"a": summit, "b": summit},
        ),
        Hard(
            "Rosenbrock's valley", jm.Model(banana, {"a": jm.Real(), "b": jm.Real()}),
            {"y": np.zeros(1), "z": np.ones(1)}, known=lambda: {"a": 1.0, "b": 1.0}, options={"start": far},
        ),
        Hard(
            "Neal's funnel in ten dimensions", jm.Model(funnel, {"v": jm.Real(), "x": jm.Real(shape=9)}),
            {"zero": np.zeros(1)}, known=lambda: {"v": -9 * 9 / 2}, options={"start": {"v": 3.0, "x": np.ones(9)}},
        ),
    ]  # fmt: skip


# --- nearly singular, singular, flat -----------------------------------------------------------------------------------

HILBERT = 7


def hilbert() -> dict[str, np.ndarray]:
    """A regression on powers of numbers in (0, 1), of condition about 1e9: its information is that of Hilbert's matrix."""
    x = (np.arange(24) + 0.5) / 24
    y = np.round(np.exp(x) + 0.1 * np.cos(25 * x), 3)
    return {"y": y, **{f"x{j}": x**j for j in range(1, HILBERT)}}


def exact_powers() -> dict[str, float]:
    """Least squares in rational numbers: exact for the columns as they are stored."""
    data = hilbert()
    columns = [[Fraction(1)] * 24, *([Fraction(v) for v in data[f"x{j}"]] for j in range(1, HILBERT))]
    y = [Fraction(v) for v in data["y"]]
    dot = lambda a, b: sum(s * t for s, t in zip(a, b))
    rows: list[Any] = [[dot(a, b) for b in columns] + [dot(a, y)] for a in columns]
    for i in range(HILBERT):
        rows[i] = [v / rows[i][i] for v in rows[i]]
        for j in range(HILBERT):
            if j != i:
                rows[j] = [v - rows[j][i] * w for v, w in zip(rows[j], rows[i])]
    names = ["mean[Intercept]", *(f"mean[x{j}]" for j in range(1, HILBERT))]
    return {name: float(row[-1]) for name, row in zip(names, rows)}


def straight(p: Any, row: Any) -> Any:
    return normal(row["y"], p["mean"], p["sigma"])


def fourth_power(p: Any, row: Any) -> Any:
    """The likelihood is as flat as a fourth power at its maximum: no information there (Powell's singular function)."""
    return normal(row["y"], (p["a"] - p["b"]) ** 2) + normal(row["y"], p["a"] + p["b"])


def decay(p: Any, row: Any) -> Any:
    return normal(row["y"], jnp.exp(-p["k"] * row["x"]), 0.1)


def saturation(p: Any, row: Any) -> Any:
    """A dose's effect, all of it seen where it is complete: the half-dose is anything small."""
    return normal(row["y"], p["top"] / (1 + jnp.exp(-(row["x"] - p["middle"]))), 0.1)


def flat() -> list[Hard]:
    x = np.array([1.0, 2.0, 3.0, 4.0])
    powers = {"mean": jm.Linear([1, *(f"x{j}" for j in range(1, HILBERT))]), "sigma": jm.Positive()}
    return [
        Hard(
            "powers of x up to the sixth", jm.Model(straight, powers), hilbert(), known=exact_powers, within=1e-5,
        ),
        Hard(
            "a maximum as flat as a fourth power", jm.Model(fourth_power, {"a": jm.Real(), "b": jm.Real()}),
            {"y": np.zeros(3)}, "singular_information", options={"start": {"a": 1.0, "b": 0.3}},
        ),
        Hard(
            "a start on a plateau, by the user's choice", jm.Model(decay, {"k": jm.Real()}),
            {"x": x, "y": np.exp(-0.7 * x)}, "not_converged", says=("'k'", "plateau"), options={"start": {"k": 1000.0}},
        ),
        Hard(
            "the same, left to jaxmle", jm.Model(decay, {"k": jm.Real()}), {"x": x, "y": np.exp(-0.7 * x)},
            known=lambda: {"k": 0.7},
        ),
        Hard(
            "an effect seen only where it is complete", jm.Model(saturation, {"top": jm.Real(), "middle": jm.Real()}),
            {"x": 60 + x, "y": np.array([1.0, 1.1, 0.9, 1.0])}, "no_finite_maximum", says=("middle → −∞",),
        ),
    ]  # fmt: skip


# --- scales ------------------------------------------------------------------------------------------------------------

MGH10 = np.array(
    [34780, 28610, 23650, 19630, 16370, 13720, 11540, 9744, 8261, 7030, 6005, 5147, 4427, 3820, 3307, 2872.0]
)
"""Resistance of a thermistor at 50, 55, ..., 125 degrees: NIST's MGH10, of higher difficulty, with its certified fit."""


def thermistor(p: Any, row: Any) -> Any:
    return normal(row["y"], p["b1"] * jnp.exp(p["b2"] / (row["x"] + p["b3"])), p["sigma"])


def brown(p: Any, row: Any) -> Any:
    """Brown's badly scaled function: a near a million, b near two millionths, and their product near 2."""
    return normal(row["y"], p["a"] - 1e6) + normal(row["y"], p["b"] - 2e-6) + normal(row["y"], p["a"] * p["b"] - 2)


def scales() -> list[Hard]:
    x = np.linspace(-1, 1, 40)
    e = np.cos(37.0 * np.arange(40))
    slope = float((x * e).sum() / (x * x).sum())
    line = {"mean": jm.Linear([1, "x"]), "sigma": jm.Positive()}
    left = e - e.mean() - slope * x
    nist = {"b1": 0.005609636471, "b2": 6181.3463463, "b3": 345.22363462, "sigma": np.sqrt(87.945855171 / 16)}
    free = {name: jm.Real() for name in ("b1", "b2", "b3")} | {"sigma": jm.Positive()}
    return [
        Hard(
            "y in units of 1e12, x of 1e−12", jm.Model(straight, line), {"x": 1e-12 * x, "y": 1e12 * (3 + 2 * x + e)},
            known=lambda: {
                "mean[Intercept]": 1e12 * (3 + e.mean()),
                "mean[x]": 1e24 * (2 + slope),
                "sigma": 1e12 * np.sqrt((left**2).mean()),
            },
        ),
        Hard(
            "Brown's badly scaled function", jm.Model(brown, {"a": jm.Real(), "b": jm.Real()}), {"y": np.zeros(1)},
            known=lambda: {"a": 1e6, "b": 2e-6}, options={"start": {"a": 1.0, "b": 1.0}},
        ),
        Hard(
            "NIST's MGH10 from its far start", jm.Model(thermistor, free), {"x": np.arange(50.0, 126.0, 5.0), "y": MGH10},
            known=lambda: nist, options={"start": {"b1": 2.0, "b2": 400000.0, "b3": 25000.0}},
        ),
    ]  # fmt: skip

"""Draws the pictures of docs/inference.md: python docs/pictures.py writes docs/images."""

from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot

import jaxmle as jm

IMAGES = Path(__file__).parent / "images"

REMISSION = {
    "weeks": [6, 6, 6, 7, 10, 13, 16, 22, 23, 6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]
    + [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23],
    "relapse": [1] * 9 + [0] * 12 + [1] * 21,
    "arm": ["6-MP"] * 21 + ["placebo"] * 21,
}
"""Weeks of remission in leukaemia (Freireich et al., 1963, Blood 21, 699-716)."""


def visits() -> dict[str, np.ndarray]:
    """Counts that spread more than Poisson's."""
    rng = np.random.default_rng(4)
    n = 400
    age, sex = rng.uniform(20, 80, n), rng.choice(["f", "m"], n)
    mean = np.exp(-0.6 + 0.03 * age + 0.5 * (sex == "m"))
    return {"visits": rng.poisson(mean * rng.gamma(2.0, 0.5, n)), "age": age, "sex": sex}


def save(name: str) -> None:
    pyplot.savefig(IMAGES / f"{name}.png", dpi=72, pil_kwargs={"optimize": True})
    pyplot.close("all")


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    data = visits()
    poisson, better = (jm.fit(f("visits ~ age + sex"), data) for f in (jm.poisson, jm.negative_binomial))
    poisson.plot()
    save("panel")

    _, (left, right) = pyplot.subplots(1, 2, figsize=(9.6, 4.0), layout="constrained")
    sample = jm.fit(jm.gamma("y"), {"y": np.random.default_rng(1).gamma(2.0, 1.5, 25)})
    sample.plot(["mean", "dispersion"], left, truth=(3.0, 0.5))
    sample.plot("mean", right, what="profile", truth=3.0)
    save("likelihood")

    _, (left, middle, right) = pyplot.subplots(1, 3, figsize=(12.6, 3.8), layout="constrained")
    survival = jm.fit(jm.censored(jm.weibull("weeks ~ arm"), event="relapse"), REMISSION)
    survival.plot("survival", left, by="arm")
    better.plot("age", middle, by="sex")
    better.plot("residuals", right, parts="qq")
    save("others")


if __name__ == "__main__":
    main()

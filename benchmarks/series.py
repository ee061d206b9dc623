"""Row S: series, whose rows depend on those before them. Parameters are on their natural scale, in the order of `NAMES`."""

from __future__ import annotations

import numpy as np

from .case import Case, Data


class Series(Case):
    """A series of numbers `y` (n,)."""

    row = "S"
    NAMES: tuple[str, ...] = ()

    def shape(self, data: Data) -> tuple[int, int]:
        return len(data["y"]), len(self.NAMES)

    def respond(self, rng: np.random.Generator, eta: np.ndarray) -> Data:
        raise NotImplementedError("a series is drawn as a whole")


class Garch(Series):
    """GARCH(1, 1) with normal errors; before the first row there is the mean square about the mean."""

    name, NAMES = "garch", ("mean", "omega", "alpha", "beta")
    peers = ("jaxmle", "arch")
    sizes = ((2_000, 4), (20_000, 4))
    quick_sizes = ((1_000, 4),)

    def simulate(self, n: int, p: int, seed: int = 0) -> Data:
        rng, y = np.random.default_rng([seed, n]), np.empty(n)
        h, e = 1.0, 1.0
        for t in range(n):
            h = 0.05 + 0.1 * e * e + 0.85 * h
            e = y[t] = np.sqrt(h) * rng.normal()
        return {"y": y}

    def start(self, data: Data) -> np.ndarray:
        return np.array([data["y"].mean(), 0.1 * data["y"].var(), 0.1, 0.8])

    def terms(self, theta: np.ndarray, data: Data) -> np.ndarray:
        mean, omega, alpha, beta = theta
        square = (data["y"] - mean) ** 2
        h, last, out = square.mean(), square.mean(), np.empty(len(square))
        for t, now in enumerate(square):
            h, last = omega + alpha * last + beta * h, now
            out[t] = h
        return -0.5 * (np.log(2 * np.pi * out) + square / out)


class HiddenPoisson(Series):
    """Counts with one of two rates, by a Markov chain that begins in either state with a chance of one half."""

    name, NAMES = "hidden_poisson", ("rate 0", "rate 1", "stay in 0", "stay in 1")
    peers = ("jaxmle", "hmmlearn")
    sizes = ((2_000, 4), (20_000, 4))
    quick_sizes = ((500, 4),)

    def simulate(self, n: int, p: int, seed: int = 0) -> Data:
        rng = np.random.default_rng([seed, n])
        state, y = 0, np.empty(n)
        for t in range(n):
            state = state if rng.uniform() < (0.95, 0.9)[state] else 1 - state
            y[t] = rng.poisson((15.0, 25.0)[state])
        return {"y": y}

    def start(self, data: Data) -> np.ndarray:
        return np.array([*np.quantile(data["y"], [0.25, 0.75]), 0.8, 0.8])

    def terms(self, theta: np.ndarray, data: Data) -> np.ndarray:
        from scipy.stats import poisson

        transition = np.array([[theta[2], 1 - theta[2]], [1 - theta[3], theta[3]]])
        b = poisson.pmf(data["y"][:, None], theta[:2])
        chances, out = np.array([0.5, 0.5]), np.empty(len(b))
        for t, here in enumerate(b):
            joint = chances * here
            out[t] = joint.sum()
            chances = joint / out[t] @ transition
        return np.log(out)


SERIES: tuple[Case, ...] = (Garch(), HiddenPoisson())

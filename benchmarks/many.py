"""Rows E and M: thousands of small logistic regressions, each with its own columns, or bootstrap samples of one."""

from __future__ import annotations

import numpy as np

from .case import Case, Data

ROWS = 200
"""Of one data set."""


class Many(Case):
    """`G` data sets of 200 rows: `X` (G, 200, p−1) without the constant column, `y` (G, 200); coefficients (G·p,)."""

    name, row = "many", "E"
    peers = ("jaxmle", "sklearn-lbfgs", "sklearn-newton", "statsmodels")
    sizes = ((10_000 * ROWS, 5),)
    quick_sizes = ((500 * ROWS, 5),)

    def simulate(self, n: int, p: int, seed: int = 0) -> Data:
        rng = np.random.default_rng([seed, n, p])
        G = max(1, n // ROWS)
        X = rng.normal(size=(G, ROWS, p - 1))
        beta = rng.normal(size=(G, p - 1)) / (2 * np.sqrt(p))
        return {"X": X} | self.respond(rng, 0.3 + np.einsum("gnp,gp->gn", X, beta))

    def shape(self, data: Data) -> tuple[int, int]:
        G, n, columns = data["X"].shape
        return G * n, columns + 1

    def respond(self, rng, eta):
        return {"y": (rng.uniform(size=eta.shape) < 1 / (1 + np.exp(-eta))).astype(float)}

    def start(self, data: Data) -> np.ndarray:
        G, _, columns = data["X"].shape
        return np.zeros(G * (columns + 1))

    def predictor(self, theta: np.ndarray, data: Data) -> np.ndarray:
        """The linear predictor of each row of each data set."""
        theta = theta.reshape(len(data["X"]), -1)
        return theta[:, :1] + np.einsum("gnp,gp->gn", data["X"], theta[:, 1:])

    def terms(self, theta: np.ndarray, data: Data) -> np.ndarray:
        eta = self.predictor(theta, data)
        return data["y"] * eta - np.logaddexp(0, eta)

    def parts(self, theta: np.ndarray, data: Data) -> np.ndarray:
        with np.errstate(all="ignore"):
            total = -self.terms(theta, data).sum(1)
        return np.where(np.isfinite(total), total, np.inf)

    def optimum(self, data: Data) -> np.ndarray | None:
        """Newton's method on all data sets at once, until 1e-10 per row is all that is left to gain."""
        theta = self.start(data).reshape(len(data["X"]), -1)
        X = np.concatenate([np.ones((*data["X"].shape[:2], 1)), data["X"]], axis=2)
        for _ in range(50):
            prob = 1 / (1 + np.exp(-self.predictor(theta, data)))
            gradient = np.einsum("gnp,gn->gp", X, prob - data["y"])
            hessian = np.swapaxes(X * (prob * (1 - prob))[:, :, None], 1, 2) @ X
            step = np.linalg.solve(hessian, gradient[:, :, None])[:, :, 0]
            theta = theta - step
            if np.max(np.sum(step * gradient, axis=1)) < 1e-10 * ROWS:
                break
        return self.parts(theta, data)


SAMPLES = 1000
"""Of a bootstrap."""


class Resampled(Many):
    """A logistic regression on `X` (n, p−1), `y` (n,) and on bootstrap samples of its rows, `counts` (G, n)."""

    name, row = "bootstrap", "M"
    peers = ("jaxmle", "statsmodels")
    sizes = ((SAMPLES * 1_000, 10),)
    quick_sizes = ((SAMPLES * 100, 3),)

    def simulate(self, n: int, p: int, seed: int = 0) -> Data:
        rng, rows = np.random.default_rng([seed, n, p]), max(1, n // SAMPLES)
        X = rng.normal(size=(rows, p - 1))
        beta = rng.normal(size=p - 1) / (2 * np.sqrt(p))
        drawn = np.random.default_rng(seed).integers(0, rows, (SAMPLES, rows))
        counts = np.stack([np.bincount(sample, minlength=rows) for sample in drawn])
        return {"X": X, "counts": counts} | self.respond(rng, 0.3 + X @ beta)

    def shape(self, data: Data) -> tuple[int, int]:
        return data["counts"].size, data["X"].shape[1] + 1

    def start(self, data: Data) -> np.ndarray:
        return np.zeros(len(data["counts"]) * (data["X"].shape[1] + 1))

    def predictor(self, theta: np.ndarray, data: Data) -> np.ndarray:
        theta = theta.reshape(len(data["counts"]), -1)
        return theta[:, :1] + theta[:, 1:] @ data["X"].T

    def terms(self, theta: np.ndarray, data: Data) -> np.ndarray:
        return data["counts"] * super().terms(theta, data)

    def optimum(self, data: Data) -> None:
        """Every tool keeps its default tolerance."""

"""Rows A, B and C: logistic, Poisson and gamma regressions (logit and log links) on dense columns; memory (J), growth (K).

`X` is stored without the constant column, so that no tool copies it to drop it; the first coefficient is the constant
term all the same. The gamma's dispersion is no parameter of the case: the neutral objective profiles it out, so that
tools that estimate it by maximum likelihood, by Pearson's statistic, or not at all are judged by their coefficients.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np

from .case import Case, Data

DISPERSION = 0.5
ROWS = 50_000
"""Rows at once in the products of the neutral optimum."""


class GLM(Case):
    """A generalised linear model with n×(p−1) columns and a constant term."""

    kind: ClassVar[str]
    peers = ("jaxmle", "sklearn-lbfgs", "sklearn-newton", "statsmodels", "statsmodels-glm", "glum", "glum-errors")

    def simulate(self, n: int, p: int, seed: int = 0) -> Data:
        rng = np.random.default_rng([seed, n, p])
        X = self.columns(rng.normal(size=(n, p - 1)))
        beta = rng.normal(size=p - 1) / (2 * np.sqrt(p))
        return {"X": X} | self.respond(rng, 0.5 + X @ beta)

    def columns(self, noise: np.ndarray) -> np.ndarray:
        """The columns, from independent standard normal numbers: those themselves."""
        return noise

    def shape(self, data: Data) -> tuple[int, int]:
        n, columns = data["X"].shape
        return n, columns + 1

    def start(self, data: Data) -> np.ndarray:
        return np.append(self.constant(data["y"].mean()), np.zeros(data["X"].shape[1]))

    def terms(self, theta: np.ndarray, data: Data) -> np.ndarray:
        return self.log_density(data["y"], self.predictor(theta, data))

    def predictor(self, theta: np.ndarray, data: Data) -> np.ndarray:
        """The linear predictor of each row."""
        return theta[0] + data["X"] @ theta[1:]

    def design(self, data: Data, form: str = "dense") -> Any:
        """The columns without the constant, as a tool takes them: `dense`, `sparse` or `frame` where they are not numbers."""
        return data["X"]

    def offset(self, data: Data) -> np.ndarray | None:
        """What is added to the predictor, if anything."""
        return None

    def optimum(self, data: Data) -> np.ndarray:
        """Newton's method with step halving, in NumPy, until 1e-10 per row is all that is left to gain."""
        theta, n = self.start(data), len(data["y"])
        value = self.nll(theta, data)
        for _ in range(100):
            gradient, hessian = self.derivatives(theta, data)
            step, size = np.linalg.solve(hessian, gradient), 1.0
            while (reached := self.nll(theta - size * step, data)) > value and size > 1e-6:
                size /= 2
            if reached > value:
                break
            theta, value = theta - size * step, reached
            if gradient @ step < 1e-10 * n:
                break
        return np.array([value])

    def derivatives(self, theta: np.ndarray, data: Data) -> tuple[np.ndarray, np.ndarray]:
        """Gradient and Hessian of the negative log-likelihood, but a constant factor (the gamma's shape)."""
        p = len(theta)
        gradient, hessian = np.zeros(p), np.zeros((p, p))
        for k in range(0, len(data["y"]), ROWS):
            X = data["X"][k : k + ROWS]
            slope, curvature = self.by_predictor(data["y"][k : k + ROWS], theta[0] + X @ theta[1:])
            weighted = X * curvature[:, None]
            gradient += np.append(slope.sum(), slope @ X)
            hessian[0, 0] += curvature.sum()
            hessian[0, 1:] += weighted.sum(0)
            hessian[1:, 1:] += weighted.T @ X
        hessian[1:, 0] = hessian[0, 1:]
        return gradient, hessian

    @abstractmethod
    def constant(self, mean: float) -> float:
        """The predictor of a mean."""

    @abstractmethod
    def log_density(self, y: np.ndarray, eta: np.ndarray) -> np.ndarray:
        """The log-density of each row."""

    @abstractmethod
    def by_predictor(self, y: np.ndarray, eta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The first two derivatives of each row's negative log-density by its predictor, but a constant factor."""


class Logistic(GLM):
    """P(Y = 1) = 1 / (1 + exp(−x·β))."""

    kind = "logistic"

    def respond(self, rng, eta):
        return {"y": (rng.uniform(size=len(eta)) < 1 / (1 + np.exp(-eta))).astype(float)}

    def constant(self, mean):
        return np.log(mean / (1 - mean))

    def log_density(self, y, eta):
        return y * eta - np.logaddexp(0, eta)

    def by_predictor(self, y, eta):
        prob = np.exp(-np.logaddexp(0, -eta))
        return prob - y, prob * (1 - prob)


class Poisson(GLM):
    """A count with mean exp(x·β)."""

    kind = "poisson"

    def respond(self, rng, eta):
        return {"y": rng.poisson(np.exp(eta)).astype(float)}

    def constant(self, mean):
        return np.log(mean)

    def log_density(self, y, eta):
        from scipy.special import gammaln

        return y * eta - np.exp(eta) - gammaln(y + 1)

    def by_predictor(self, y, eta):
        mean = np.exp(eta)
        return mean - y, mean


class Gamma(GLM):
    """Mean μ = exp(x·β), variance φμ²; φ is the maximum likelihood one at each β."""

    kind = "gamma"
    peers = ("jaxmle", "sklearn-lbfgs", "sklearn-newton", "statsmodels-glm", "glum", "glum-errors")

    def respond(self, rng, eta):
        return {"y": np.exp(eta) * rng.gamma(1 / DISPERSION, DISPERSION, len(eta))}

    def constant(self, mean):
        return np.log(mean)

    def log_density(self, y, eta):
        from scipy.special import gammaln

        log_ratio = np.log(y) - eta
        ratio = np.exp(log_ratio)
        shape = best_shape(float(np.mean(ratio - 1 - log_ratio)))
        return shape * (np.log(shape) + log_ratio - ratio) - gammaln(shape) - np.log(y)

    def by_predictor(self, y, eta):
        ratio = y * np.exp(-eta)
        return 1 - ratio, ratio


def best_shape(half_deviance: float) -> float:
    """The shape k of a gamma at which its likelihood is highest: log k − ψ(k) = half the mean unit deviance."""
    from scipy.special import digamma, polygamma

    d = half_deviance
    k = (3 - d + np.sqrt((d - 3) ** 2 + 24 * d)) / (12 * d)  # Minka (2002)
    for _ in range(20):  # Newton on 1/k, as he does
        k = 1 / (1 / k + (np.log(k) - digamma(k) - d) / (k**2 * (1 / k - polygamma(1, k))))
    return float(k)


SIZES = {
    "A": ((1_000_000, 50), (20_000, 10)),
    "B": ((100_000, 20), (5_000, 8)),
    "C": ((20_000, 500), (2_000, 50)),
}
"""Row → size, and size with --quick."""

FEW = ("jaxmle", "sklearn-newton", "glum")


def _in_row(kind: type[GLM], row: str) -> GLM:
    sizes, quick_sizes = ((size,) for size in SIZES[row])
    quick_peers = () if row == "B" or (row, kind) == ("C", Poisson) else None if kind is Logistic else FEW
    settled = dict(row=row, sizes=sizes, quick_sizes=quick_sizes, quick_peers=quick_peers)
    return type(f"{kind.__name__}{row}", (kind,), {"name": f"{kind.kind}_{row.lower()}"} | settled)()


class Alike(Logistic):
    """Row C's regression on columns of which neighbours are correlated by 0.9, as real ones may be."""

    name, row = "alike", "C"
    sizes = SIZES["C"][:1]
    quick_peers = ()

    def columns(self, noise):
        for before, column in zip(noise.T[:-1], noise.T[1:]):
            column[:] = 0.9 * before + np.sqrt(1 - 0.9**2) * column
        return noise


class Memory(Logistic):
    """The same regression as row A's, each tool fitted once: what matters is the memory."""

    name, row = "memory", "J"
    peers = ("jaxmle", "sklearn-lbfgs", "statsmodels", "glum")
    quick_peers = ("jaxmle", "sklearn-lbfgs")
    sizes = ((1_000_000, 50),)
    quick_sizes = ((50_000, 20),)

    def optimum(self, data: Data) -> None:
        """Every tool at its default: what is asked is not how fast it is."""
        return None


class Growth(Logistic):
    """A logistic regression of ten coefficients, for ever more rows."""

    name, row = "growth", "K"
    quick_peers = ("jaxmle", "sklearn-lbfgs", "glum")
    sizes = tuple((10**k, 10) for k in (4, 5, 6, 7))
    quick_sizes = tuple((10**k, 10) for k in (3, 4, 5))


GLMS: dict[str, GLM] = {
    case.name: case
    for case in [
        *(_in_row(kind, row) for row in SIZES for kind in (Logistic, Poisson, Gamma) if (kind, row) != (Gamma, "C")),
        Alike(),
        Memory(),
        Growth(),
    ]
}

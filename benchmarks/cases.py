"""The cases by name, and those with a density written by the user: row D, and the first fit of a session (F)."""

from __future__ import annotations

import numpy as np

from .case import Case
from .clusters import Clusters
from .glms import GLMS
from .many import Many, Resampled
from .series import SERIES
from .tables import TABLES

DENSITY_PEERS = ("jaxmle", "statsmodels", "scipy", "r", "tmb")
"""Of densities for which R has a package."""


def least_squares(X: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients and residuals."""
    beta = np.linalg.solve(X.T @ X, X.T @ y)
    return beta, y - X @ beta


class NegativeBinomial(Case):
    """NB2: mean μ = exp(x·β), variance μ + αμ²."""

    name, row, extras = "negbin", "D", {"alpha": 0.7}
    peers = DENSITY_PEERS
    quick_peers = ("jaxmle", "statsmodels", "scipy", "r")

    def respond(self, rng, eta):
        mu = np.exp(eta)
        return {"y": rng.poisson(mu * rng.gamma(1 / 0.7, 0.7, len(mu))).astype(float)}

    def start(self, data):
        beta, _ = least_squares(data["X"], np.log(data["y"] + 0.5))
        return np.append(beta, 1.0)

    def terms(self, theta, data):
        from scipy.special import gammaln

        y, mu, r = data["y"], np.exp(data["X"] @ theta[:-1]), 1 / theta[-1]
        return (
            gammaln(y + r)
            - gammaln(r)
            - gammaln(y + 1)
            - r * np.log1p(mu / r)
            + y * (np.log(mu / r) - np.log1p(mu / r))
        )


class Weibull(Case):
    """Weibull times, log T = x·β + scale·W with W of the smallest-extreme-value law, right-censored."""

    name, row, extras = "weibull", "D", {"scale": 0.6}
    peers = DENSITY_PEERS
    quick_peers = ("jaxmle", "scipy", "r")

    def respond(self, rng, eta):
        time = np.exp(eta + 0.6 * np.log(rng.exponential(size=len(eta))))
        limit = rng.exponential(4 * np.exp(0.5), size=len(eta))
        return {"y": np.minimum(time, limit), "event": (time <= limit).astype(float)}

    def start(self, data):
        beta, _ = least_squares(data["X"], np.log(data["y"]))
        return np.append(beta, 1.0)

    def terms(self, theta, data):
        log_time, scale = np.log(data["y"]), theta[-1]
        w = (log_time - data["X"] @ theta[:-1]) / scale
        return data["event"] * (w - np.log(scale) - log_time) - np.exp(w)


class StudentT(Case):
    """A linear regression with Student-t errors, degrees of freedom estimated."""

    name, row, extras = "student_t", "D", {"scale": 1.3, "df": 5.0}
    quick_peers = ("jaxmle", "statsmodels", "scipy")

    def respond(self, rng, eta):
        return {"y": eta + 1.3 * rng.standard_t(5.0, size=len(eta))}

    def start(self, data):
        beta, residual = least_squares(data["X"], data["y"])
        return np.concatenate([beta, [residual.std(), 8.0]])

    def terms(self, theta, data):
        from scipy.special import gammaln

        scale, df = theta[-2:]
        z = (data["y"] - data["X"] @ theta[:-2]) / scale
        constant = gammaln((df + 1) / 2) - gammaln(df / 2) - 0.5 * np.log(df * np.pi) - np.log(scale)
        return constant - (df + 1) / 2 * np.log1p(z**2 / df)


class GEV(Case):
    """Generalised extreme values: location x·β, scale σ, shape ξ (heavy-tailed where positive)."""

    name, row, extras = "gev", "D", {"sigma": 1.5, "xi": 0.15}
    quick_peers = ("jaxmle", "scipy")

    def respond(self, rng, eta):
        return {"y": eta + 1.5 * (rng.exponential(size=len(eta)) ** -0.15 - 1) / 0.15}

    def start(self, data):
        beta, residual = least_squares(data["X"], data["y"])
        sigma = residual.std() * np.sqrt(6) / np.pi
        beta[0] -= 0.5772 * sigma
        xi = min(0.1, 0.5 * sigma / max(1e-9, -(residual.min() + 0.5772 * sigma)))
        return np.concatenate([beta, [sigma, xi]])

    def terms(self, theta, data):
        sigma, xi = theta[-2:]
        z = (data["y"] - data["X"] @ theta[:-2]) / sigma
        t = 1 + xi * z
        return np.where(t > 0, -np.log(sigma) - (1 + 1 / xi) * np.log(t) - t ** (-1 / xi), -np.inf)


class ZeroInflated(Case):
    """A Poisson count with mean exp(x·β), or with probability π a zero whatever x."""

    name, row, extras = "zero_inflated", "D", {"pi": 0.3}
    peers = DENSITY_PEERS
    quick_peers = ("jaxmle", "statsmodels", "scipy", "r")

    def respond(self, rng, eta):
        return {"y": np.where(rng.uniform(size=len(eta)) < 0.3, 0, rng.poisson(np.exp(eta))).astype(float)}

    def start(self, data):
        beta, _ = least_squares(data["X"], np.log(data["y"] + 0.5))
        return np.append(beta, 0.2)

    def terms(self, theta, data):
        from scipy.special import gammaln

        y, eta, pi = data["y"], data["X"] @ theta[:-1], theta[-1]
        mu = np.exp(eta)
        zero = np.logaddexp(np.log(pi), np.log1p(-pi) - mu)
        return np.where(y == 0, zero, np.log1p(-pi) - mu + y * eta - gammaln(y + 1))


class Beta(Case):
    """A share between 0 and 1: mean μ = logistic(x·β), precision φ, so variance μ(1 − μ) / (1 + φ)."""

    name, row, extras = "beta", "D", {"phi": 8.0}
    peers = DENSITY_PEERS
    quick_peers = ("jaxmle", "statsmodels", "scipy", "r")

    def respond(self, rng, eta):
        mu = 1 / (1 + np.exp(-eta))
        return {"y": np.clip(rng.beta(8 * mu, 8 * (1 - mu)), 1e-12, 1 - 1e-12)}

    def start(self, data):
        beta, _ = least_squares(data["X"], np.log(data["y"]) - np.log1p(-data["y"]))
        return np.append(beta, 5.0)

    def terms(self, theta, data):
        from scipy.special import gammaln

        y, phi = data["y"], theta[-1]
        a = phi / (1 + np.exp(-(data["X"] @ theta[:-1])))
        b = phi - a
        return gammaln(phi) - gammaln(a) - gammaln(b) + (a - 1) * np.log(y) + (b - 1) * np.log1p(-y)


class Logistic(Case):
    """A logistic regression, written as a custom density: the first fit of a session, imports and all."""

    name, row = "logistic", "F"
    peers = ("jaxmle", "statsmodels", "scipy")
    sizes = quick_sizes = ((200, 5),)

    def respond(self, rng, eta):
        return {"y": (rng.uniform(size=len(eta)) < 1 / (1 + np.exp(-eta))).astype(float)}

    def start(self, data):
        return np.zeros(data["X"].shape[1])

    def terms(self, theta, data):
        eta = data["X"] @ theta
        return data["y"] * eta - np.logaddexp(0, eta)


DENSITIES: tuple[Case, ...] = (NegativeBinomial(), ZeroInflated(), Beta(), Weibull(), GEV(), StudentT())

_ALL: tuple[Case, ...] = (
    *GLMS.values(),
    *DENSITIES,
    Many(),
    Resampled(),
    Clusters(),
    Logistic(),
    *TABLES.values(),
    *SERIES,
)
CASES: dict[str, Case] = {case.name: case for case in sorted(_ALL, key=lambda case: case.row)}

"""The cases: densities written by the user (row D), the first fit of a session (F), and dense GLMs (A, B, C)."""

from __future__ import annotations

import numpy as np

from .case import Case
from .glms import GLMS


def least_squares(X: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients and residuals."""
    beta = np.linalg.solve(X.T @ X, X.T @ y)
    return beta, y - X @ beta


class NegativeBinomial(Case):
    """NB2: mean μ = exp(x·β), variance μ + αμ²."""

    name, row, extras = "negbin", "D", {"alpha": 0.7}

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


class Logistic(Case):
    """A logistic regression, written as a custom density: the first fit of a session, imports and all."""

    name, row, extras = "logistic", "F", {}
    peers, size, quick_size, fresh_only = ("jaxmle", "statsmodels", "scipy"), (200, 5), (200, 5), True

    def respond(self, rng, eta):
        return {"y": (rng.uniform(size=len(eta)) < 1 / (1 + np.exp(-eta))).astype(float)}

    def start(self, data):
        return np.zeros(data["X"].shape[1])

    def terms(self, theta, data):
        eta = data["X"] @ theta
        return data["y"] * eta - np.logaddexp(0, eta)


CASES: dict[str, Case] = GLMS | {c.name: c() for c in (NegativeBinomial, Weibull, StudentT, GEV, Logistic)}

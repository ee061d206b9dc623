"""SciPy: L-BFGS-B on a vectorised NumPy objective with an analytic gradient; it gives no standard errors.

Extra parameters are searched on scales without bounds, as `Case.searched` has them.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize
from scipy.special import digamma, gammaln

from .answer import Answer


def negbin(eta, log_alpha, d):
    """Σ log-density, its derivative by each row's predictor, and by each extra parameter."""
    y, r, mu = d["y"], np.exp(-log_alpha), np.exp(eta)
    log_ratio = np.log1p(mu / r)
    terms = gammaln(y + r) - gammaln(r) - gammaln(y + 1) - r * log_ratio + y * (eta + log_alpha - log_ratio)
    by_r = digamma(y + r) - digamma(r) - log_ratio + (mu - y) / (r + mu)
    return terms.sum(), (y - mu) * r / (r + mu), -r * by_r.sum()


def zero_inflated(eta, logit_pi, d):
    y, mu, log_none = d["y"], np.exp(eta), -np.logaddexp(0, logit_pi)
    pi, zero = np.exp(logit_pi + log_none), y == 0
    by_chance = zero / (1 + np.exp(logit_pi + mu))  # that a zero is a count of the Poisson's
    terms = log_none + np.where(zero, np.logaddexp(logit_pi, -mu), y * eta - mu - gammaln(y + 1))
    return terms.sum(), np.where(zero, -mu * by_chance, y - mu), (zero - by_chance - pi).sum()


def beta(eta, log_phi, d):
    y, phi, mu = d["y"], np.exp(log_phi), 1 / (1 + np.exp(-eta))
    a, b, log_y, log_rest = mu * phi, (1 - mu) * phi, np.log(d["y"]), np.log1p(-y)
    terms = gammaln(phi) - gammaln(a) - gammaln(b) + (a - 1) * log_y + (b - 1) * log_rest
    by_a, by_b = log_y - digamma(a), log_rest - digamma(b)
    return terms.sum(), (by_a - by_b) * a * (1 - mu), (phi * digamma(phi) + a * by_a + b * by_b).sum()


def weibull(eta, log_scale, d):
    log_time, scale = np.log(d["y"]), np.exp(log_scale)
    w = (log_time - eta) / scale
    e = np.exp(w)
    terms = d["event"] * (w - log_scale - log_time) - e
    return terms.sum(), (e - d["event"]) / scale, (w * (e - d["event"]) - d["event"]).sum()


def student_t(eta, log_scale, log_df, d):
    scale, df = np.exp(log_scale), np.exp(log_df)
    z = (d["y"] - eta) / scale
    tail, pull = np.log1p(z**2 / df), (df + 1) * z / (df + z**2)
    constant = gammaln((df + 1) / 2) - gammaln(df / 2) - 0.5 * np.log(df * np.pi) - log_scale
    by_df = 0.5 * (digamma((df + 1) / 2) - digamma(df / 2) - 1 / df - tail + pull * z / df)
    return (constant - (df + 1) / 2 * tail).sum(), pull / scale, (pull * z - 1).sum(), df * by_df.sum()


def gev(eta, log_sigma, xi, d):
    sigma = np.exp(log_sigma)
    z = (d["y"] - eta) / sigma
    t = 1 + xi * z
    log_t = np.log(t)
    power = np.exp(-log_t / xi)
    by_z = (power - 1 - xi) / t
    by_xi = log_t / xi**2 - (1 + 1 / xi) * z / t - power * (log_t / xi**2 - z / (xi * t))
    return (-log_sigma - (1 + 1 / xi) * log_t - power).sum(), -by_z / sigma, (-1 - z * by_z).sum(), by_xi.sum()


def logistic(eta, d):
    p = np.exp(-np.logaddexp(0, -eta))
    return (d["y"] * eta - np.logaddexp(0, eta)).sum(), d["y"] - p


class Adapter:
    description = "scipy.optimize.minimize, L-BFGS-B, NumPy objective with an analytic gradient; no standard errors"

    def __init__(self, case, data, threads, folder):
        self.case, self.data, self.f = case, data, globals()[case.name]

    def objective(self, z):
        """The mean negative log-likelihood and its gradient."""
        X, n, p = self.data["X"], len(self.data["y"]), self.data["X"].shape[1]
        with np.errstate(all="ignore"):
            total, by_eta, *by_extras = self.f(X @ z[:p], *z[p:], self.data)
        if not np.isfinite(total):
            return np.inf, np.zeros_like(z)
        return -total / n, -np.concatenate([X.T @ by_eta, by_extras]) / n

    def fit(self) -> Answer:
        z = self.case.searched(self.case.start(self.data))
        found = minimize(self.objective, z, jac=True, method="L-BFGS-B", options={"maxiter": 1000})
        nll, notes = found.fun * len(self.data["y"]), {"evaluations": int(found.nfev)}
        return Answer(self.case.natural(found.x), nll, None, bool(found.success), notes)

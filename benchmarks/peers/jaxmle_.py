"""jaxmle: families where the case is a GLM; else the density as a user would write it, without derivatives or starts."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

import jaxmle as jm
from jaxmle.numerics import gammaln, log_factorial, log_gamma_ratio, log_sigmoid

from ..glms import GLM
from . import Answer


def negbin(p, r):
    y, mu, alpha = r["y"], p["mu"], p["alpha"]
    ratio = log_gamma_ratio(1 / alpha, y) - log_factorial(y)
    return ratio - jnp.log1p(alpha * mu) / alpha + y * (jnp.log(alpha * mu) - jnp.log1p(alpha * mu))


def weibull(p, r):
    log_time = jnp.log(r["y"])
    w = (log_time - p["eta"]) / p["scale"]
    return r["event"] * (w - jnp.log(p["scale"]) - log_time) - jnp.exp(w)


def student_t(p, r):
    df, z = p["df"], (r["y"] - p["eta"]) / p["scale"]
    constant = gammaln((df + 1) / 2) - gammaln(df / 2) - 0.5 * jnp.log(df * jnp.pi) - jnp.log(p["scale"])
    return constant - (df + 1) / 2 * jnp.log1p(z**2 / df)


def gev(p, r):
    t = 1 + p["xi"] * (r["y"] - p["mu"]) / p["sigma"]
    return -jnp.log(p["sigma"]) - (1 + 1 / p["xi"]) * jnp.log(t) - t ** (-1 / p["xi"])


def logistic(p, r):
    return r["y"] * p["eta"] + log_sigmoid(-p["eta"])


MODELS = {
    "negbin": (negbin, {"mu": jm.Linear("X", link="log"), "alpha": jm.Positive()}),
    "weibull": (weibull, {"eta": jm.Linear("X"), "scale": jm.Positive()}),
    "student_t": (student_t, {"eta": jm.Linear("X"), "scale": jm.Positive(), "df": jm.Positive()}),
    "gev": (gev, {"mu": jm.Linear("X"), "sigma": jm.Positive(), "xi": jm.Real()}),
    "logistic": (logistic, {"eta": jm.Linear("X")}),
}


def glm(kind: str) -> jm.Model:
    predictor = jm.Linear([1, "X"])
    if kind == "logistic":
        return jm.bernoulli("y", prob=predictor)
    return jm.poisson("y", rate=predictor) if kind == "poisson" else jm.gamma("y", mean=predictor)


class Adapter:
    def __init__(self, case, data, threads, folder):
        self.case, self.data, self.p = case, data, case.shape(data)[1]
        self.model = glm(case.kind) if isinstance(case, GLM) else jm.Model(*MODELS[case.name])
        if isinstance(case, GLM):
            self.tolerances = (0.1, 1e-2, 1e-3, 1e-5, 1e-9)
        self.tolerance: float | None = None

    @property
    def description(self) -> str:
        model = "family" if isinstance(self.case, GLM) else "custom density"
        return f"jm.fit, {model}, default solver and start, observed-information standard errors"

    def fit(self) -> Answer:
        fit = jm.fit(self.model, self.data, tol=self.tolerance, progress=False)
        std_errors = np.array(list(fit.std_errors.values())[: self.p])
        theta = np.concatenate([np.atleast_1d(value) for value in fit.params.values()])
        if isinstance(self.case, GLM):
            theta = theta[: self.p]  # the dispersion is profiled out of the neutral objective
        return Answer(theta, -fit.log_likelihood, std_errors, fit.converged, dict(fit.seconds) | {"solver": fit.solver})

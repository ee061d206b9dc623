"""jaxmle: families where the case is a GLM; else the density as a user would write it, without derivatives or starts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np

import jaxmle as jm
from jaxmle.numerics import gammaln, log_factorial, log_gamma_ratio, log_sigmoid

from ..clusters import COMPONENTS, Clusters
from ..glms import GLM
from ..many import Many, Resampled
from ..series import Series
from ..tables import Motor, Table
from .answer import Answer


def negbin(p, r):
    y, mu, alpha = r["y"], p["mu"], p["alpha"]
    ratio = log_gamma_ratio(1 / alpha, y) - log_factorial(y)
    return ratio - jnp.log1p(alpha * mu) / alpha + y * (jnp.log(alpha * mu) - jnp.log1p(alpha * mu))


def zero_inflated(p, r):
    y, mu, pi = r["y"], p["mu"], p["pi"]
    zero = jnp.log(pi + (1 - pi) * jnp.exp(-mu))
    return jnp.where(y == 0, zero, jnp.log1p(-pi) - mu + y * jnp.log(mu) - log_factorial(y))


def beta(p, r):
    y, phi = r["y"], p["phi"]
    a, b = p["mu"] * phi, (1 - p["mu"]) * phi
    return gammaln(phi) - gammaln(a) - gammaln(b) + (a - 1) * jnp.log(y) + (b - 1) * jnp.log1p(-y)


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


TOLERANCES = (10.0, 1.0, 0.1, 1e-2, 1e-3, 1e-5, 1e-9)
"""Of the log-likelihood still to be gained."""

MODELS = {
    "negbin": (negbin, {"mu": jm.Linear("X", link="log"), "alpha": jm.Positive()}),
    "zero_inflated": (zero_inflated, {"mu": jm.Linear("X", link="log"), "pi": jm.UnitInterval()}),
    "beta": (beta, {"mu": jm.Linear("X", link="logit"), "phi": jm.Positive()}),
    "weibull": (weibull, {"eta": jm.Linear("X"), "scale": jm.Positive()}),
    "student_t": (student_t, {"eta": jm.Linear("X"), "scale": jm.Positive(), "df": jm.Positive()}),
    "gev": (gev, {"mu": jm.Linear("X"), "sigma": jm.Positive(), "xi": jm.Real()}),
    "logistic": (logistic, {"eta": jm.Linear("X")}),
}


def glm(case: GLM) -> jm.Model:
    """The family of a GLM; a table's columns by a formula."""
    predictor: Any = jm.Linear([1, "X"])
    if isinstance(case, Table):
        predictor = jm.Linear("~ " + " + ".join([*case.numbers, *(f"C({name})" for name in case.factors)]))
    if case.kind == "logistic":
        return jm.bernoulli("y", prob=predictor)
    if case.kind == "gamma":
        return jm.gamma("y", mean=predictor)
    if isinstance(case, Motor):
        predictor = replace(predictor, offset="log(exposure)")
    return jm.poisson("y", rate=predictor)


class Adapter:
    def __init__(self, case, data, threads, folder):
        self.case, self.data, self.p = case, data, case.shape(data)[1]
        self.model = glm(case) if isinstance(case, GLM) else jm.Model(*MODELS[case.name])
        if isinstance(case, Table):  # integer codes, one column each
            columns = dict(zip(case.numbers, data["X"].T)) | dict(zip(case.factors, data["codes"].T))
            self.data = columns | {name: data[name] for name in ("y", "exposure") if name in data}
        if isinstance(case, GLM):
            self.tolerances = TOLERANCES
        self.tolerance: float | None = None

    def __new__(cls, case, data, threads, folder):
        if isinstance(case, Resampled):
            return BootstrapAdapter(data)
        if isinstance(case, Clusters):
            return ClustersAdapter(data)
        if isinstance(case, Series):
            return SeriesAdapter(case, data)
        return ManyAdapter(data) if isinstance(case, Many) else super().__new__(cls)

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


class ManyAdapter:
    description = "jm.fit_many on stacked arrays, observed-information standard errors"

    tolerances = TOLERANCES

    def __init__(self, data):
        self.data, self.model = data, jm.bernoulli("y", prob=jm.Linear([1, "X"]))
        self.tolerance: float | None = None

    def fit(self) -> Answer:
        fits = jm.fit_many(self.model, self.data, tol=self.tolerance, progress=False)
        theta, std_errors = np.asarray(fits.coef).ravel(), np.asarray(fits.std_errors).ravel()
        return Answer(theta, -float(np.sum(fits.log_likelihood)), std_errors, bool(np.all(fits.converged)))


class BootstrapAdapter:
    description = "jm.fit and its bootstrap, which draws the counts that the others are given"

    def __init__(self, data):
        self.columns = {name: data[name] for name in ("X", "y")}
        self.samples, self.model = len(data["counts"]), jm.bernoulli("y", prob=jm.Linear([1, "X"]))

    def fit(self) -> Answer:
        boot = jm.fit(self.model, self.columns, progress=False).bootstrap(self.samples, key=0)
        std_errors = np.sqrt(np.diagonal(boot.covariance, axis1=1, axis2=2)).ravel()
        return Answer(boot.coef.ravel(), None, std_errors, boot.n_failed == 0)


class ClustersAdapter:
    description = "jm.fit of jm.gaussian_mixture, EM and Newton, observed-information standard errors"

    def __init__(self, data):
        columns = [f"x{i}" for i in range(data["X"].shape[1])]
        self.columns = dict(zip(columns, np.ascontiguousarray(data["X"].T)))
        self.start = {name: data[name] for name in ("weight", "mean", "covariance")}
        self.model = jm.gaussian_mixture(columns, COMPONENTS)

    def fit(self) -> Answer:
        fit = jm.fit(self.model, self.columns, start=self.start, progress=False)
        theta = np.concatenate([np.ravel(fit.params[name]) for name in self.start])
        std_errors = np.array(list(fit.std_errors.values()))
        return Answer(theta, -fit.log_likelihood, std_errors, fit.converged, dict(fit.seconds) | {"solver": fit.solver})


class SeriesAdapter:
    description = "jm.fit, jm.garch or jm.hidden_markov, default solver and start, observed-information standard errors"

    def __init__(self, case, data):
        self.data, self.garch = data, case.name == "garch"
        hidden = jm.hidden_markov(jm.poisson("y"), states=2, initial="free")
        self.model = jm.garch("y") if self.garch else hidden
        self.fixed = {} if self.garch else {"initial": np.array([0.5, 0.5])}

    def fit(self) -> Answer:
        fit = jm.fit(self.model, self.data, fixed=self.fixed, progress=False)
        names = list(fit.coef) if self.garch else ["rate.0", "rate.1", "transition[0,0]", "transition[1,1]"]
        theta, errors = (np.array([values[name] for name in names]) for values in (fit.coef, fit.std_errors))
        return Answer(theta, -fit.log_likelihood, errors, fit.converged, dict(fit.seconds) | {"solver": fit.solver})

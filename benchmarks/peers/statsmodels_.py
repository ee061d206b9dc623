"""statsmodels: its own model where it has one, otherwise a `GenericLikelihoodModel`, whose derivatives are numerical.

For GLMs there are two ways: the discrete models (`Logit`, `Poisson`, by Newton), and `GLM` (iterated least squares).
"""

from __future__ import annotations

import contextlib
import importlib
import io
import warnings

import numpy as np

from ..glms import GLM
from . import Answer

MODELS = {
    "negbin": ("discrete.discrete_model", "NegativeBinomial"),
    "logistic": ("discrete.discrete_model", "Logit"),
    "student_t": ("miscmodels.tmodel", "TLinearModel"),
}


def likelihood_model(GenericLikelihoodModel, case, data):
    """A `GenericLikelihoodModel` of the case, with positive parameters on the log scale."""
    logs = [name in ("alpha", "scale", "df", "sigma") for name in case.extras]
    p = data["X"].shape[1]

    def natural(z):
        extras = [np.exp(v) if log else v for v, log in zip(z[p:], logs)]
        return np.concatenate([z[:p], extras])

    class Custom(GenericLikelihoodModel):
        def loglikeobs(self, params):
            with np.errstate(all="ignore"):
                return case.terms(natural(params), data)

    model = Custom(data["y"], data["X"], extra_params_names=list(case.extras))
    start = case.start(data)
    start[p:] = [np.log(v) if log else v for v, log in zip(start[p:], logs)]
    return model, start, natural


class GLMAdapter:
    """`GLM` with the log or logit link, or `Logit` and `Poisson`; the constant is put beside X before any clock runs."""

    def __init__(self, case, data, way):
        self.kind, self.way, self.tolerance = case.kind, way, 1e-8
        # change of the deviance from one step to the next; change of the coefficients
        self.tolerances = (1e4, 1e3, 100.0, 10.0, 1.0, 1e-2, 1e-8) if way else (1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-6, 1e-8)
        self.y, self.X = data["y"], np.column_stack([np.ones(len(data["y"])), data["X"]])
        if way:
            self.model = importlib.import_module("statsmodels.genmod.generalized_linear_model").GLM
            self.families = importlib.import_module("statsmodels.genmod.families")
        else:
            name = {"logistic": "Logit", "poisson": "Poisson"}[self.kind]
            self.model = getattr(importlib.import_module("statsmodels.discrete.discrete_model"), name)

    @property
    def description(self):
        if self.way:
            return "GLM, iterated least squares; standard errors from the expected information"
        return f"discrete {self.model.__name__}, Newton; standard errors"

    def fit(self) -> Answer:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            if self.way:
                families = self.families
                made = {"logistic": families.Binomial, "poisson": families.Poisson}.get(self.kind)
                family = families.Gamma(families.links.Log()) if made is None else made()
                result = self.model(self.y, self.X, family=family).fit(tol=self.tolerance)
                converged = bool(result.converged)
            else:
                result = self.model(self.y, self.X).fit(disp=False, tol=self.tolerance)
                converged = bool(result.mle_retvals["converged"])
            std_errors = np.asarray(result.bse)
            # its log-likelihood of the gamma has Pearson's dispersion, not the maximum likelihood one
            own = None if self.kind == "gamma" else -float(result.llf)
        return Answer(np.asarray(result.params), own, std_errors, converged)


class Adapter:
    def __new__(cls, case, data, threads, folder, way=""):
        return GLMAdapter(case, data, way) if isinstance(case, GLM) else super().__new__(cls)

    def __init__(self, case, data, threads, folder):
        self.case, self.data, self.p = case, data, data["X"].shape[1]
        module, name = MODELS.get(case.name, ("base.model", "GenericLikelihoodModel"))
        self.model = getattr(importlib.import_module(f"statsmodels.{module}"), name)  # only what the case needs

    @property
    def description(self):
        return {
            "negbin": "discrete NegativeBinomial (NB2), analytic derivatives, BFGS",
            "logistic": "discrete Logit, Newton",
            "student_t": "miscmodels.TLinearModel, numerical derivatives, BFGS",
        }.get(self.case.name, "GenericLikelihoodModel subclass, numerical derivatives, BFGS")

    def fit(self) -> Answer:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            result, theta = getattr(self, self.case.name, self.generic)()
        return Answer(
            np.asarray(theta),
            -float(result.llf),
            np.asarray(result.bse)[: self.p],
            bool(result.mle_retvals.get("converged")),
        )

    def negbin(self):
        result = self.model(self.data["y"], self.data["X"]).fit(disp=False, maxiter=1000)
        return result, result.params

    def logistic(self):
        result = self.model(self.data["y"], self.data["X"]).fit(disp=False)
        return result, result.params

    def student_t(self):
        result = self.model(self.data["y"], self.data["X"]).fit(method="bfgs", disp=False, maxiter=1000)
        *beta, df, scale = result.params
        return result, [*beta, abs(scale), df]

    def generic(self):
        model, start, natural = likelihood_model(self.model, self.case, self.data)
        result = model.fit(start_params=start, method="bfgs", disp=False, maxiter=1000)
        return result, natural(result.params)

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
from ..many import Many
from .answer import Answer

MODELS = {
    "negbin": ("discrete.discrete_model", "NegativeBinomial"),
    "logistic": ("discrete.discrete_model", "Logit"),
    "student_t": ("miscmodels.tmodel", "TLinearModel"),
    "zero_inflated": ("discrete.count_model", "ZeroInflatedPoisson"),
    "beta": ("othermod.betareg", "BetaModel"),
    "many": ("discrete.discrete_model", "Logit"),
    "bootstrap": ("discrete.discrete_model", "Logit"),
}


def likelihood_model(GenericLikelihoodModel, case, data):
    """A `GenericLikelihoodModel` of the case, with its extra parameters on scales without bounds, and a start."""

    class Custom(GenericLikelihoodModel):
        def loglikeobs(self, params):
            with np.errstate(all="ignore"):
                return case.terms(case.natural(params), data)

    return Custom(data["y"], data["X"], extra_params_names=list(case.extras)), case.searched(case.start(data))


class GLMAdapter:
    """`GLM` with the log or logit link, or `Logit` and `Poisson`; the constant is put beside X before any clock runs."""

    def __init__(self, case, data, way):
        self.kind, self.way, self.tolerance = case.kind, way, 1e-8
        # change of the deviance from one step to the next; change of the coefficients
        self.tolerances = (1e4, 1e3, 100.0, 10.0, 1.0, 1e-2, 1e-8) if way else (1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-6, 1e-8)
        self.y, self.offset = data["y"], case.offset(data)
        self.X = np.column_stack([np.ones(len(data["y"])), case.design(data)])
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
                result = self.model(self.y, self.X, family=family, offset=self.offset).fit(tol=self.tolerance)
                converged = bool(result.converged)
            else:
                more = {} if self.offset is None else {"offset": self.offset}
                result = self.model(self.y, self.X, **more).fit(disp=False, tol=self.tolerance)
                converged = bool(result.mle_retvals["converged"])
            std_errors = np.asarray(result.bse)
            # its log-likelihood of the gamma has Pearson's dispersion, not the maximum likelihood one
            own = None if self.kind == "gamma" else -float(result.llf)
        return Answer(np.asarray(result.params), own, std_errors, converged)


class ManyAdapter:
    """`Logit` in a loop over the data sets; rows are repeated and constants put beside X before any clock runs."""

    description = "discrete Logit, Newton, a loop over the data sets; standard errors"
    tolerances = (1e-1, 1e-2, 1e-4, 1e-8)

    def __init__(self, data):
        if "counts" in data:
            rows = [np.repeat(np.arange(len(count)), count) for count in data["counts"]]
            data = {"X": data["X"][rows], "y": data["y"][rows]}
        self.y, self.tolerance = data["y"], 1e-8
        self.X = np.concatenate([np.ones((*data["X"].shape[:2], 1)), data["X"]], axis=2)
        self.model = importlib.import_module("statsmodels.discrete.discrete_model").Logit

    def fit(self) -> Answer:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            results = [self.model(y, X).fit(disp=False, tol=self.tolerance) for X, y in zip(self.X, self.y)]
            theta, std_errors = (np.concatenate([getattr(r, name) for r in results]) for name in ("params", "bse"))
            own, converged = -sum(r.llf for r in results), all(r.mle_retvals["converged"] for r in results)
        return Answer(theta, float(own), std_errors, bool(converged))


class Adapter:
    def __new__(cls, case, data, threads, folder, way=""):
        if isinstance(case, Many):
            return ManyAdapter(data)
        return GLMAdapter(case, data, way) if isinstance(case, GLM) else super().__new__(cls)

    def __init__(self, case, data, threads, folder):
        self.case, self.data, self.p = case, data, data["X"].shape[1]
        module, name = MODELS.get(case.name, ("base.model", "GenericLikelihoodModel"))
        self.model = getattr(importlib.import_module(f"statsmodels.{module}"), name)  # only what the case needs

    @property
    def description(self):
        return {
            "negbin": "discrete NegativeBinomial (NB2), analytic derivatives, BFGS",
            "zero_inflated": "discrete ZeroInflatedPoisson, analytic gradient, BFGS",
            "beta": "othermod.BetaModel, analytic derivatives, BFGS",
            "logistic": "discrete Logit, Newton",
            "student_t": "miscmodels.TLinearModel, numerical derivatives, BFGS",
        }.get(self.case.name, "GenericLikelihoodModel subclass, numerical derivatives, BFGS")

    def fit(self) -> Answer:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            if self.case.name in MODELS:
                model, start = self.model(self.data["y"], self.data["X"]), None
            else:
                model, start = likelihood_model(self.model, self.case, self.data)
            settings = {} if self.case.name == "logistic" else {"method": "bfgs", "maxiter": 1000}
            result = model.fit(start_params=start, disp=False, **settings)
            theta, std_errors = self.ordered(np.asarray(result.params), np.asarray(result.bse))
        return Answer(theta, -float(result.llf), std_errors, bool(result.mle_retvals.get("converged")))

    def ordered(self, params, std_errors):
        """The parameters in the order and on the scales of the case, and the coefficients' standard errors."""
        name = self.case.name
        if name == "zero_inflated":
            return self.case.natural(np.append(params[1:], params[0])), std_errors[1:]
        if name == "student_t":
            *beta, df, scale = params
            return np.array([*beta, abs(scale), df]), std_errors[: self.p]
        if name in ("negbin", "logistic"):
            return params, std_errors[: self.p]
        return self.case.natural(params), std_errors[: self.p]

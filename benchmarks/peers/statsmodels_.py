"""statsmodels: its own model where it has one, otherwise a `GenericLikelihoodModel`, whose derivatives are numerical."""

from __future__ import annotations

import contextlib
import importlib
import io
import warnings

import numpy as np

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


class Adapter:
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

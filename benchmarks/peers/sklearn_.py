"""scikit-learn: `LogisticRegression`, `PoissonRegressor`, `GammaRegressor` without penalty, `GaussianMixture`; no standard
errors."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import numpy as np
from sklearn.linear_model import GammaRegressor, LogisticRegression, PoissonRegressor
from sklearn.mixture import GaussianMixture

from ..clusters import COMPONENTS, Clusters
from ..many import Many
from .answer import Answer

SOLVERS = {"lbfgs": "lbfgs", "newton": "newton-cholesky"}
MAX_STEPS = 10_000


class Adapter:
    tolerances = (1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5, 1e-6, 1e-8)
    """The largest element of the gradient of the mean loss."""

    def __new__(cls, case, data, threads, folder, way):
        return ClustersAdapter(data) if isinstance(case, Clusters) else super().__new__(cls)

    def __init__(self, case, data, threads, folder, way):
        self.many, self.solver, self.tolerance = isinstance(case, Many), SOLVERS[way], 1e-4
        self.kind = "logistic" if self.many else case.kind
        self.X, self.y, self.weights = data["X"], data["y"], None
        if self.many:
            self.tolerances = (1e-2, 1e-4, 1e-6)
            return
        self.X = case.design(data, "sparse")
        if (
            offset := case.offset(data)
        ) is not None:  # a Poisson regression of rates, weighted by exposure, is the same
            self.weights = np.exp(offset)
            self.y = self.y / self.weights

    @property
    def description(self) -> str:
        loop = ", a loop over the data sets" if self.many else ""
        return f"{type(self.model()).__name__}, {self.solver}, no penalty; no standard errors{loop}"

    def model(self) -> Any:
        """The unfitted estimator."""
        settings = {"solver": self.solver, "tol": self.tolerance, "max_iter": MAX_STEPS}
        if self.kind == "poisson":
            return PoissonRegressor(alpha=0.0, **settings)
        if self.kind == "gamma":
            return GammaRegressor(alpha=0.0, **settings)
        # from version 1.8 on no penalty is an infinite C, before it was a penalty of None
        old = inspect.signature(LogisticRegression).parameters["penalty"].default == "l2"
        return LogisticRegression(**({"penalty": None} if old else {"C": np.inf}), **settings)

    def fit(self) -> Answer:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if self.many:
                models = [self.model().fit(X, y) for X, y in zip(self.X, self.y)]
            else:
                models = [self.model().fit(self.X, self.y, sample_weight=self.weights)]
        theta = np.concatenate([np.append(np.ravel(m.intercept_), np.ravel(m.coef_)) for m in models])
        steps = max(int(np.max(m.n_iter_)) for m in models)
        return Answer(theta, proved=steps < MAX_STEPS, notes={"steps": steps})


class ClustersAdapter:
    """The tolerance is of the mean log-likelihood's gain in a step: loose enough to end, near enough to be equal."""

    description = "GaussianMixture, free covariance matrices, nothing added to them; no standard errors"

    def __init__(self, data):
        self.data = data

    def fit(self) -> Answer:
        d = self.data
        model = GaussianMixture(
            COMPONENTS,
            tol=1e-8,
            reg_covar=0.0,
            max_iter=MAX_STEPS,
            weights_init=d["weight"],
            means_init=d["mean"],
            precisions_init=np.linalg.inv(d["covariance"]),
        ).fit(d["X"])
        theta = np.concatenate([model.weights_, model.means_.ravel(), model.covariances_.ravel()])
        return Answer(theta, -len(d["X"]) * model.score(d["X"]), None, model.converged_, {"steps": model.n_iter_})

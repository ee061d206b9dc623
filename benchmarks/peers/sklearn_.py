"""scikit-learn: `LogisticRegression`, `PoissonRegressor`, `GammaRegressor` without penalty; no standard errors."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import numpy as np
from sklearn.linear_model import GammaRegressor, LogisticRegression, PoissonRegressor

from . import Answer

SOLVERS = {"lbfgs": "lbfgs", "newton": "newton-cholesky"}
MAX_STEPS = 10_000


class Adapter:
    tolerances = (1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5, 1e-6, 1e-8)
    """The largest element of the gradient of the mean loss."""

    def __init__(self, case, data, threads, folder, way):
        self.kind, self.solver, self.tolerance = case.kind, SOLVERS[way], 1e-4
        self.X, self.y = data["X"], data["y"]

    @property
    def description(self) -> str:
        return f"{type(self.model()).__name__}, {self.solver}, no penalty; no standard errors"

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
            model = self.model().fit(self.X, self.y)
        theta = np.concatenate([np.ravel(model.intercept_), np.ravel(model.coef_)])
        steps = int(np.max(model.n_iter_))
        return Answer(theta, proved=steps < MAX_STEPS, notes={"steps": steps})

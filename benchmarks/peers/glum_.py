"""glum: `GeneralizedLinearRegressor(alpha=0)`; `glum-errors` also has it store the covariance while it fits."""

from __future__ import annotations

import warnings

import numpy as np
from glum import GeneralizedLinearRegressor

from .answer import Answer

FAMILIES = {"logistic": "binomial", "poisson": "poisson", "gamma": "gamma"}
MAX_STEPS = 1_000


class Adapter:
    tolerances = (1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5, 1e-6, 1e-8)
    """Of the gradient of the mean deviance."""

    def __init__(self, case, data, threads, folder, way=""):
        self.family, self.errors, self.tolerance = FAMILIES[case.kind], bool(way), 1e-4
        self.X, self.y, self.offset = case.design(data, "frame"), data["y"], case.offset(data)
        self.table = not isinstance(self.X, np.ndarray)

    @property
    def description(self) -> str:
        errors = "standard errors (not robust)" if self.errors else "no standard errors"
        table = ", categorical columns of pandas" if self.table else ""
        return f"GeneralizedLinearRegressor, alpha=0, its default solver{table}; {errors}"

    def fit(self) -> Answer:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = GeneralizedLinearRegressor(
                alpha=0, family=self.family, link="logit" if self.family == "binomial" else "log",
                gradient_tol=self.tolerance, max_iter=MAX_STEPS, robust=False, drop_first=self.table,
            )  # fmt: skip
            model.fit(self.X, self.y, offset=self.offset, store_covariance_matrix=self.errors)
            std_errors = np.sqrt(np.diag(model.covariance_matrix_)) if self.errors else None
        theta = np.concatenate([[model.intercept_], model.coef_])
        steps = int(np.max(model.n_iter_))
        return Answer(theta, None, std_errors, steps < MAX_STEPS, {"steps": steps})

"""scikit-learn estimators: any family behind `fit` and `predict`, for pipelines, grid searches and cross-validation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .declare.catalogue import FAMILIES
from .declare.distributions.negative_binomial import NegativeBinomial
from .declare.distributions.poisson import Poisson
from .declare.distributions.supports import NONNEGATIVE
from .declare.families import Family
from .declare.linear import CONSTANT, Linear
from .declare.penalties import Ridge
from .errors import ModelError, did_you_mean
from .fit import fit as fit_model
from .result import Fit

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data
except ImportError as error:
    raise ImportError("jaxmle.sklearn needs scikit-learn: pip install 'jaxmle[sklearn]'.") from error

__all__ = [
    "Classifier",
    "DistributionRegressor",
    "GammaRegressor",
    "NegativeBinomialRegressor",
    "PoissonRegressor",
]

Y, X = "response", "X"


class _Estimator(BaseEstimator):
    """What the estimators share: a ridge penalty, a fit that keeps no data, and predictions by it."""

    alpha: float
    fit_intercept: bool

    def _linear(self) -> Linear:
        return Linear([CONSTANT, X] if self.fit_intercept else X)

    def _fit(self, model: Any, features: Any, y: np.ndarray, sample_weight: Any) -> Fit:
        is_number = np.isscalar(self.alpha)
        if not (is_number and self.alpha >= 0):
            raise ValueError(f"alpha must be a number of at least zero; got {self.alpha!r}.")
        weights = None if sample_weight is None else _check_sample_weight(sample_weight, features, dtype=np.float64)
        penalty = Ridge(float(self.alpha)) if self.alpha else None
        fitted = fit_model(
            model,
            {Y: y, X: features},
            weights=weights,
            penalty=penalty,
            solver=self.solver,  # type: ignore[attr-defined]
            progress=False,
        )
        self.n_steps_ = fitted.n_steps
        self.log_likelihood_ = fitted.log_likelihood
        self.converged_ = fitted.converged
        return fitted.without_data()

    def _features(self, features: Any) -> np.ndarray:
        check_is_fitted(self)
        return validate_data(self, features, reset=False, dtype=np.float64)  # type: ignore[return-value]

    def _predict(self, features: Any, what: Any, **settings: Any) -> Any:
        checked = self._features(features)
        return self.result_.predict({X: checked}, what, **settings)  # type: ignore[attr-defined]

    def _coefficients(self, name: str) -> tuple[np.ndarray, Any]:
        """(coef, intercept) of one predictor."""
        values = np.asarray(self.result_.params[name])  # type: ignore[attr-defined]
        return (values[1:], values[0]) if self.fit_intercept else (values, 0.0)


class DistributionRegressor(RegressorMixin, _Estimator):
    """Regression by maximum likelihood of any family: its first parameter, and others if wanted, depend on X.

    Parameters:
        family: name of a family (`"poisson"`, `"gamma"`, ...), or a family of your own (`jm.family(...)`).
        link: link of the first parameter; None is the family's own.
        varying: names of further parameters that depend on X, such as `["sd"]`; the others are constants.
        alpha: strength of a ridge penalty alpha/2·Σβ² on the coefficients but the intercepts, added to the summed
            negative log-likelihood; 0 is maximum likelihood.
        fit_intercept: whether predictors have a constant term.
        solver: as in `jm.fit`.

    Attributes:
        coef_ (n_features,), intercept_: of the first parameter's predictor.
        result_: the `jm.Fit`, without its data: standard errors, intervals, certificate.
        converged_, log_likelihood_, n_steps_.
    """

    def __init__(
        self,
        family: Any = "normal",
        *,
        link: Any = None,
        varying: Sequence[str] | None = None,
        alpha: float = 0.0,
        fit_intercept: bool = True,
        solver: Any = None,
    ) -> None:
        self.family = family
        self.link = link
        self.varying = varying
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.solver = solver

    def _family(self) -> Family:
        made = FAMILIES.get(self.family) if isinstance(self.family, str) else self.family
        if not isinstance(made, Family) or made.distribution.known:
            known = [
                name for name, made in FAMILIES.items() if isinstance(made, Family) and not made.distribution.known
            ]
            hint = did_you_mean(self.family, known) if isinstance(self.family, str) else ""
            raise ModelError(
                f"family must be a family of one response, by name or jm.family(...); got {self.family!r}.{hint}"
            )
        return made

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        made = FAMILIES.get(self.family) if isinstance(self.family, str) else self.family
        if isinstance(made, Family):
            tags.target_tags.positive_only = made.distribution.support.low >= 0
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> DistributionRegressor:
        """Fit to X (n, p) and y (n,); `sample_weight` (n,) are frequencies."""
        made = self._family()
        features, y = validate_data(self, X, y, dtype=np.float64, y_numeric=True, ensure_min_samples=2)
        names = tuple(made.distribution.parameters)
        first = Linear(self._linear().terms, link=self.link)
        given: dict[str, Any] = {names[0]: first} | {name: self._linear() for name in self.varying or ()}
        self.result_ = self._fit(made(Y, **given), features, np.asarray(y, np.float64), sample_weight)
        self.coef_, intercept = self._coefficients(names[0])
        self.intercept_ = float(intercept)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """The expectation of the response, shape (n,)."""
        return self._predict(X, "mean")

    def predict_quantile(self, X: Any, q: Any) -> np.ndarray:
        """Quantiles of the response, shape (n,) or (n, k) for k probabilities."""
        return self._predict(X, "quantile", q=q)

    def predict_interval(self, X: Any, level: float = 0.95) -> np.ndarray:
        """The interval between quantiles that holds a new response with probability `level`, shape (n, 2)."""
        return self._predict(X, "interval", level=level)


class _QuasiPoisson(Poisson):
    """The Poisson likelihood of any response from 0 up: a quasi-likelihood where it is no count."""

    support = NONNEGATIVE


class _QuasiNegativeBinomial(NegativeBinomial):
    """The negative binomial likelihood of any response from 0 up."""

    support = NONNEGATIVE


class _Fixed(DistributionRegressor):
    """A regressor of one family."""

    family: Any = ""

    def __init__(self, *, link: Any = None, alpha: float = 0.0, fit_intercept: bool = True, solver: Any = None) -> None:
        self.link = link
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.solver = solver

    varying: Any = None


class PoissonRegressor(_Fixed):
    """Poisson regression of counts, or of any response from 0 up (a quasi-likelihood); see `DistributionRegressor`."""

    family = Family(_QuasiPoisson)


class NegativeBinomialRegressor(_Fixed):
    """Negative binomial regression of overdispersed counts, or of any response from 0 up; see `DistributionRegressor`."""

    family = Family(_QuasiNegativeBinomial)


class GammaRegressor(_Fixed):
    """Gamma regression of positive responses; see `DistributionRegressor`."""

    family = "gamma"


class Classifier(ClassifierMixin, _Estimator):
    """Logistic regression of two classes, multinomial logistic regression of more.

    Parameters:
        alpha: strength of a ridge penalty alpha/2·Σβ² on the coefficients but the intercepts; scikit-learn's C is
            1/alpha. 0 is maximum likelihood, which has no finite estimate where classes are separated.
        link: of two classes: "logit", "probit", "cloglog", ...
        fit_intercept: whether there are constant terms.
        solver: as in `jm.fit`.

    Attributes:
        classes_, coef_ (1, n_features) or (n_classes, n_features), intercept_.
        result_: the `jm.Fit`, without its data.
        converged_, log_likelihood_, n_steps_.
    """

    def __init__(self, *, alpha: float = 1.0, link: Any = None, fit_intercept: bool = True, solver: Any = None) -> None:
        self.alpha = alpha
        self.link = link
        self.fit_intercept = fit_intercept
        self.solver = solver

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Classifier:
        """Fit to X (n, p) and labels y (n,); `sample_weight` (n,) are frequencies."""
        features, y = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        used = codes if sample_weight is None else codes[_check_sample_weight(sample_weight, features) > 0]
        if (seen := len(np.unique(used))) < max(2, len(self.classes_)):
            where = "y" if sample_weight is None else "y, where sample_weight is positive,"
            raise ValueError(f"Classifier needs two classes, and rows of each; {where} holds {seen} class(es).")
        if len(self.classes_) == 2:
            model = FAMILIES["bernoulli"](Y, prob=Linear(self._linear().terms, link=self.link))
            self.result_ = self._fit(model, features, codes.astype(np.float64), sample_weight)
            coef, intercept = self._coefficients("prob")
            self.coef_, self.intercept_ = coef[None], np.atleast_1d(intercept)
            return self
        model = FAMILIES["categorical"](Y, logits=self._linear())
        self.result_ = self._fit(model, features, codes, sample_weight)
        parts = [self._coefficients(f"logits.{k}") for k in range(1, len(self.classes_))]
        zero = np.zeros_like(parts[0][0])
        self.coef_ = np.stack([zero, *(coef for coef, _ in parts)])
        self.intercept_ = np.array([0.0, *(float(intercept) for _, intercept in parts)])
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """The probability of every class, shape (n, n_classes)."""
        chance = self._predict(X, "prob")
        return np.stack([1 - chance, chance], axis=1) if chance.ndim == 1 else chance

    def decision_function(self, X: Any) -> np.ndarray:
        """The predictors, shape (n,) for two classes, else (n, n_classes)."""
        features = self._features(X)
        scores = features @ self.coef_.T + self.intercept_
        return scores[:, 0] if len(self.classes_) == 2 else scores

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """The logarithm of `predict_proba`."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def predict(self, X: Any) -> np.ndarray:
        """The likeliest class of each row."""
        chances = self.predict_proba(X)
        return self.classes_[chances.argmax(axis=1)]

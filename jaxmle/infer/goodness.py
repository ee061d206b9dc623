"""How well a family describes its data: residuals, deviance, Pearson statistic, and what they are compared with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ..declare.choices.slopes import Slopes
from ..declare.combinators.censored import EXACT, Censoring
from ..declare.conditional import Conditional, conditional_of
from ..declare.linear import CONSTANT, Linear
from ..declare.model import Model
from ..declare.series.dependent import Dependent
from ..errors import ModelError, did_you_mean
from ..objective.rebuild import function_of_rows
from ..special import ndtri_exp
from .ahead import RESIDUALS as OF_SERIES
from .ahead import Ahead
from .statements import Deviance, Residual, Tail, Working

RESIDUALS = ("response", "pearson", "deviance", "working", "quantile")

PSEUDO = ("mcfadden", "mcfadden_adjusted", "cox_snell", "nagelkerke")


def residuals(model: Model, params: Mapping[str, Any], table: Any, kind: str, key: int) -> np.ndarray:
    """Residuals (rows,) of one kind; see `Fit.residuals`."""
    if kind not in RESIDUALS:
        raise ModelError(f"residuals: kind={kind!r} is unknown.{did_you_mean(str(kind), RESIDUALS)}")
    conditional = conditional_of(model, "residuals")
    if len(conditional.response) > 1 or hasattr(conditional.kind, "probabilities"):
        raise ModelError(f"residuals are for a response that is one number; {model.title!r} has none.")
    if isinstance(conditional, Dependent) and kind not in OF_SERIES:
        raise ModelError(
            f"residuals of a series are {', '.join(OF_SERIES)}: of each row given those before; got {kind!r}."
        )
    if kind in ("deviance", "pearson", "working"):
        _refuse_censored(conditional, f"residuals(kind={kind!r})", model)
    if kind == "quantile":
        return _quantile_residuals(conditional, model, params, table, key)
    if kind == "working":
        first = next(name for name in model.params)
        return function_of_rows(model, params, table, Working(conditional, first))
    asked = Ahead(conditional, kind) if isinstance(conditional, Dependent) else Residual(conditional, kind)
    return function_of_rows(model, params, table, asked)


def _quantile_residuals(
    conditional: Conditional, model: Model, params: Mapping[str, Any], table: Any, key: int
) -> np.ndarray:
    """Φ⁻¹ of the cdf at the response; between its limits at a jump, at random (Dunn and Smyth, 1996).

    From whichever tail is smaller, so that a response far out keeps its distance.
    """

    def tail(upper: bool, before: bool) -> np.ndarray:
        of_series = ("above" if upper else "below") + " before" * before
        one = Ahead(conditional, of_series) if isinstance(conditional, Dependent) else Tail(conditional, upper, before)
        return function_of_rows(model, params, table, one)

    below, above = tail(False, False), tail(True, False)
    below_before, above_before = tail(False, True), tail(True, True)
    below, above = between_limits(below, above, below_before, above_before, np.random.default_rng(key))
    return np.where(below < above, ndtri_exp(np.minimum(below, 0.0)), -ndtri_exp(np.minimum(above, 0.0)))


def between_limits(
    below: np.ndarray, above: np.ndarray, below_before: np.ndarray, above_before: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """log P(Y ≤ y) and log P(Y > y), of one shape; at a jump a point at random between what they are on either side."""
    jump = below != below_before
    if not jump.any():
        return below, above
    u = rng.uniform(size=below.shape)
    with np.errstate(divide="ignore"):
        return (
            np.where(jump, np.logaddexp(below + np.log(u), below_before + np.log1p(-u)), below),
            np.where(jump, np.logaddexp(above + np.log(u), above_before + np.log1p(-u)), above),
        )


def _refuse_censored(conditional: Conditional, what: str, model: Model) -> None:
    if isinstance(conditional, Censoring) and set(conditional.kinds) != {EXACT}:
        raise ModelError(
            f"{what} compares responses with their expectations, and of censored ones only bounds are known: for "
            f"{model.title!r} take residuals(kind='quantile'), and compare models by likelihood."
        )


def deviance(model: Model, params: Mapping[str, Any], table: Any, weights: np.ndarray) -> float:
    """Σ w d(y, μ): of a generalised linear model its deviance, unscaled."""
    conditional = conditional_of(model, "deviance")
    _refuse_censored(conditional, "deviance", model)
    return float(weights @ function_of_rows(model, params, table, Deviance(conditional)))


def pearson(model: Model, params: Mapping[str, Any], table: Any, weights: np.ndarray) -> float:
    """Pearson's statistic Σ w (y − μ)²/V(μ)."""
    return float(weights @ residuals(model, params, table, "pearson", 0) ** 2)


def null_model(model: Model) -> Model:
    """The model in which every predictor is constant, but for its offset; zero where something else takes the place of
    a constant.

    Raises:
        ModelError: where nothing is left to be estimated.
    """
    conditional_of(model, "The null model")
    params = {name: _constant(p) if isinstance(p, Linear) else p for name, p in model.params.items()}
    if has_empty_null(model):
        raise ModelError(f"The null model of {model.title!r} has no parameters: there is nothing to estimate.")
    return replace(model, params=params, about="null model")


def has_empty_null(model: Model) -> bool:
    """Whether nothing is left to estimate where predictors are constant: the constant has no place of its own."""
    return all(isinstance(p, Slopes) for p in model.params.values())


def _constant(predictor: Linear) -> Linear:
    kept = {k: getattr(predictor, k) for k in ("link", "shape", "offset", "functions")}
    return Linear((CONSTANT,), **kept, fixed=0.0 if isinstance(predictor, Slopes) else None)


def pseudo_r_squared(kind: str, log_likelihood: float, null: float, df: int, null_df: int, n: float) -> float:
    """A pseudo-R² by its name, from the log-likelihoods of the model and of the null model.

    Raises:
        ModelError: for an unknown kind.
    """
    if kind == "mcfadden":
        return 1 - log_likelihood / null
    if kind == "mcfadden_adjusted":
        return 1 - (log_likelihood - (df - null_df)) / null
    cox_snell = -np.expm1(2 * (null - log_likelihood) / n)
    if kind == "cox_snell":
        return float(cox_snell)
    if kind == "nagelkerke":
        return float(cox_snell / -np.expm1(2 * null / n))
    raise ModelError(f"pseudo_r2: kind={kind!r} is unknown.{did_you_mean(str(kind), PSEUDO)}")

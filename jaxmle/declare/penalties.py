"""Penalties that shrink coefficients: ridge, lasso and elastic net, as declarations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..errors import ModelError


@dataclass(frozen=True)
class ElasticNet:
    """strength · Σ (l1_ratio·|b| + ½(1 − l1_ratio)·b²), added to the negative log-likelihood (Zou and Hastie, 2005).

    The sum is over coefficients of `Linear`s but for constant terms (`Intercept`). The negative log-likelihood is the
    sum over all observations: the strength is 1/C of scikit-learn's LogisticRegression, n·alpha of its Lasso,
    ElasticNet (for a normal response with sd = 1) and PoissonRegressor, and n·lambda of R's glmnet.

    Arguments:
        strength: a number from 0 up; `fit_path` and `cross_validate` choose it themselves.
        l1_ratio: the share of |b|, from 0 (ridge) to 1 (lasso).
        parameters: names of the parameters whose predictors are penalised; default all that have one.
        standardize: whether each coefficient is multiplied by the standard deviation of its column in the penalty, as
            if columns had been standardised; what is reported stays in the units of the data.
        factors: flat name of a coefficient, such as `"rate[age]"` → what its strength is multiplied by; 0 leaves it free.

    Raises:
        ModelError: for numbers that make no sense.
    """

    strength: float | None = None
    l1_ratio: float = 0.5
    parameters: tuple[str, ...] | None = None
    standardize: bool = False
    factors: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        name = type(self).__name__
        if self.strength is not None:
            object.__setattr__(self, "strength", _number(self.strength, f"{name}: strength", 0.0, np.inf))
        object.__setattr__(self, "l1_ratio", _number(self.l1_ratio, f"{name}: l1_ratio", 0.0, 1.0))
        chosen: Any = self.parameters
        if chosen is not None:
            chosen = (chosen,) if isinstance(chosen, str) else tuple(chosen) if isinstance(chosen, Sequence) else ()
            if not chosen or not all(isinstance(p, str) for p in chosen):
                raise ModelError(f"{name}: parameters takes names of parameters, or None; got {self.parameters!r}.")
            object.__setattr__(self, "parameters", chosen)
        if not isinstance(self.standardize, bool | np.bool_):
            raise ModelError(f"{name}: standardize is True or False; got {self.standardize!r}.")
        given = self.factors
        if not isinstance(given, Mapping | tuple):
            raise ModelError(f"{name}: factors maps names of coefficients to numbers; got {given!r}.")
        pairs = given.items() if isinstance(given, Mapping) else given
        factors = tuple((k, _number(v, f"{name}: factors[{k!r}]", 0.0, np.inf)) for k, v in pairs)
        object.__setattr__(self, "factors", factors)

    def at(self, strength: float) -> ElasticNet:
        """The same penalty with another strength."""
        return replace(self, strength=float(strength))

    @property
    def words(self) -> str:
        """What a summary calls an estimate with this penalty."""
        name = {0.0: "ridge", 1.0: "lasso"}.get(self.l1_ratio, f"elastic net, {self.l1_ratio:g} of it l1")
        return f"{name}, strength {self.strength:.4g}"


@dataclass(frozen=True)
class Ridge(ElasticNet):
    """½ strength · Σ b², added to the negative log-likelihood: an `ElasticNet` without |b| (Hoerl and Kennard, 1970).

    It is minus the log-density of a normal prior with variance 1/strength; the estimate is a posterior mode. The other
    arguments are those of `ElasticNet`.
    """

    def __init__(
        self,
        strength: float | None = None,
        parameters: Any = None,
        standardize: bool = False,
        factors: Any = (),
        l1_ratio: float = 0.0,
    ) -> None:
        super().__init__(strength, l1_ratio, parameters, standardize, factors)
        if l1_ratio != 0.0:
            raise ModelError("Ridge has no l1_ratio: use ElasticNet(strength, l1_ratio).")


@dataclass(frozen=True)
class Lasso(ElasticNet):
    """strength · Σ |b|, added to the negative log-likelihood: estimates that are exactly zero (Tibshirani, 1996).

    The arguments are those of `ElasticNet`, but for its `l1_ratio`.
    """

    def __init__(
        self,
        strength: float | None = None,
        parameters: Any = None,
        standardize: bool = False,
        factors: Any = (),
        l1_ratio: float = 1.0,
    ) -> None:
        super().__init__(strength, l1_ratio, parameters, standardize, factors)
        if l1_ratio != 1.0:
            raise ModelError("Lasso has no l1_ratio: use ElasticNet(strength, l1_ratio).")


def _number(value: Any, what: str, low: float, high: float) -> float:
    ok = isinstance(value, int | float | np.number) and not isinstance(value, bool) and low <= value <= high
    if not ok or not np.isfinite(value):
        words = f"from {low:g} up" if high == np.inf else f"from {low:g} to {high:g}"
        raise ModelError(f"{what} must be a number {words}; got {value!r}.")
    return float(value)

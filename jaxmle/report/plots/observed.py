"""The response that a fit has seen, for pictures of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...declare.combinators.censored import Censoring
from ...declare.conditional import Conditional
from ...declare.distributions.labelled import Labelled
from ...declare.distributions.supports import Support
from ...errors import ModelError, did_you_mean
from ...objective.covariates import distribution_columns

FAR = 10.0
"""Responses farther out than the middle half of them by so many times its width are left out of a histogram."""


@dataclass(frozen=True)
class Observed:
    """The response: its column, numbers (n,), weights (n,), support, and labels where the numbers stand for such."""

    name: str
    values: np.ndarray
    weights: np.ndarray
    support: Support
    labels: tuple[Any, ...] | None = None


def data_of(fit: Any, what: str) -> Any:
    """The rows of a fit; raises `ModelError` for one that has none."""
    if fit.session is None:
        raise ModelError(f"A picture of {what} needs the data, which a loaded fit does not have: fit the model again.")
    if fit.model.unit != "row":
        raise ModelError(f"A picture of {what} needs observations that are rows, not unit={fit.model.unit!r}.")
    return fit.session.used


def observed(fit: Any, what: str, response: str | None = None) -> Observed:
    """The one response of a fit; `response` names it where the model is a log-density alone.

    Raises:
        ModelError: where there is no such response.
    """
    table, conditional = data_of(fit, what), fit.model.log_density
    weights = fit.session.objective.weights()
    if not isinstance(conditional, Conditional):
        name = _only_column(fit, what) if response is None else response
        if name not in fit.session.source.columns:
            known = [c for c in fit.session.source.columns if not c.startswith(" ")]
            raise ModelError(f"response={name!r} is no column that the log-density reads.{did_you_mean(name, known)}")
        values = table.numeric(name)
        if values.ndim > 1:
            raise ModelError(f"A picture of {what} needs a response that is one number; {name!r} is not.")
        whole = values.dtype.kind in "iub"
        return Observed(name, values.astype(np.float64), weights, Support(whole=whole))
    if response is not None and response not in conditional.response:
        raise ModelError(f"The response of {fit.model.title!r} is {', '.join(conditional.response)}; got {response!r}.")
    if len(conditional.response) != 1:
        raise ModelError(
            f"A picture of {what} needs a response that is one number; that of {fit.model.title!r} is not."
        )
    levels, name = getattr(conditional, "levels", None), conditional.response[0]
    if isinstance(conditional, Censoring) and set(conditional.kinds) != {0}:
        raise ModelError(
            f"A picture of {what} would show when responses were censored, not how they are distributed: "
            "what='survival' takes account of that, what='residuals' too."
        )
    support = Support(0.0, whole=True) if levels is not None or conditional.support is None else conditional.support
    return Observed(name, table.numeric(name).astype(np.float64), weights, support, levels)


def is_labelled(fit: Any) -> bool:
    """Whether the response is one of several labels."""
    kind = getattr(fit.model.log_density, "kind", None)
    return kind is not None and (
        issubclass(kind, Labelled) or getattr(fit.model.log_density, "levels", None) is not None
    )


def candidates(fit: Any) -> list[str]:
    """The columns that a log-density alone reads, and no predictor does."""
    others = distribution_columns(fit.model, fit.session.used)
    return [c for c in fit.session.source.columns if c not in others and not c.startswith(" ")]


def _only_column(fit: Any, what: str) -> str:
    found = candidates(fit)
    if len(found) != 1:
        which = f"it reads {', '.join(map(repr, found))}" if found else "it reads no column that a predictor does not"
        raise ModelError(f"A picture of {what} needs response=, the column that the log-density is of: {which}.")
    return found[0]


def middle(values: np.ndarray) -> tuple[float, float]:
    """The range of values without those that lie so far out that the others could not be seen."""
    low, high = np.quantile(values, [0.25, 0.75])
    room = FAR * (high - low) if high > low else np.inf
    return float(max(values.min(), low - room)), float(min(values.max(), high + room))

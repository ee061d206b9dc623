"""How well a row is predicted: functions of the parameters and a row that cross-validation averages over rows not fitted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp

from ..declare.conditional import Conditional, conditional_of
from ..declare.model import Model
from ..errors import ModelError, did_you_mean
from ..objective.rows import hashable


@dataclass(frozen=True)
class SquaredError:
    """(y − mean)²."""

    conditional: Conditional

    def __call__(self, p: Any, row: Any) -> Any:
        return (self.conditional.observed(row) - self.conditional.distribution(p, row).expectation()) ** 2


@dataclass(frozen=True)
class Accuracy:
    """1 where a binary response is the likelier of the two, else 0."""

    conditional: Conditional

    def __call__(self, p: Any, row: Any) -> Any:
        likely = self.conditional.distribution(p, row).expectation() > 0.5
        return jnp.where(likely == (self.conditional.observed(row) > 0.5), 1.0, 0.0)


SCORES = ("log_likelihood", "squared_error", "accuracy")


def score_of(model: Model, score: Any) -> tuple[Callable[[Any, Any], Any] | None, bool]:
    """The function of a row that a score averages (None: the log-density), and whether larger is better.

    Raises:
        ModelError: for a score that does not exist, or not for this model.
    """
    if callable(score):
        return hashable(score), True
    if score not in SCORES:
        raise ModelError(
            f"score is one of {', '.join(map(repr, SCORES))}, or a function of (p, row), larger for better; got "
            f"{score!r}.{did_you_mean(str(score), SCORES)}"
        )
    if score == "log_likelihood":
        return None, True
    conditional = conditional_of(model, f"score={score!r}")
    binary = conditional.kind is not None and conditional.kind.__name__ == "Bernoulli"
    if score == "accuracy" and not binary:
        raise ModelError(f"score='accuracy' is for binary responses, not {model.title!r}.")
    if score == "squared_error" and (len(conditional.response) > 1 or hasattr(conditional.kind, "probabilities")):
        raise ModelError(f"score='squared_error' is for a response that is one number; {model.title!r} has none.")
    return (Accuracy(conditional), True) if score == "accuracy" else (SquaredError(conditional), False)

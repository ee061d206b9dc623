"""Conditional logistic regression: one row of each group is chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ...errors import DataError, ModelError, rows_in_words
from ...numerics import log_softmax
from ..conditional import Bound, Data, OneColumn
from ..cones import Cone, chosen_among
from ..distributions.base import Distribution
from ..distributions.levels import encode_binary
from ..families import split_response
from ..linear import Linear
from ..model import Model, Parameter
from .slopes import plain_terms, slopes


def conditional_logit(response: str, *, group: str, utility: Any = None) -> Model:
    """Conditional logistic regression: of the rows of a group, one is chosen with probability ∝ exp(utility).

    McFadden's model of choice among alternatives, one row for each; and of matched sets of one case and its controls. A
    group is one observation. There is no constant term, and no effect of what is the same in all rows of a group.

    Arguments:
        response: `"chosen ~ terms"`, where chosen is 0/1, a boolean or one of two labels (the second is chosen).
        group: the column that says which group a row is in.
        utility: a formula `"~ terms"` or a `Linear`, in place of the terms above.

    Raises:
        ModelError: for names and formulas that make no sense.
    """
    names, terms = split_response(response)
    if len(names) != 1:
        raise ModelError(f"conditional_logit has one response, the column of what is chosen; got {list(names)!r}.")
    if not isinstance(group, str) or group in ("row", "all", ""):
        raise ModelError(f"conditional_logit: group takes the name of a column other than 'row', 'all'; got {group!r}.")
    if terms is not None and utility is not None:
        raise ModelError("'utility' is predicted by the formula and given as an argument too: give one of them.")
    predictor = slopes(terms if utility is None else utility, "utility", "conditional_logit")
    if predictor is None:
        raise ModelError("conditional_logit needs terms that differ within a group, as in 'chosen ~ cost + wait'.")
    chosen = Chosen(names[0], group)
    about = f"{response.strip()} | {group}"
    return Model(chosen, {"utility": predictor}, unit=group, name="Conditional logistic regression", about=about)


@dataclass(frozen=True)
class Chosen(OneColumn):
    """The choice of one row of a group; called with the rows of a group and their mask."""

    group: str
    levels: tuple[Any, ...] | None = None

    @property
    def outermost(self) -> bool:
        return True

    @property
    def concave(self) -> Mapping[str, tuple[str, ...]]:
        return {"utility": ("identity",)}

    def distribution(self, p: Any, row: Mapping[str, Any]) -> Distribution:
        raise ModelError(
            "A row of a conditional logit model has no distribution of its own: it is chosen among the rows of its group. "
            "Predict its 'utility'; the probabilities in a group are the softmax of the utilities."
        )

    def log_probabilities(self, p: Any, mask: Any) -> Any:
        """The log-probability of each row of a group, -inf where there is none."""
        return log_softmax(jnp.where(mask, p["utility"], jnp.where(mask.any(), -jnp.inf, 0.0)))

    def __call__(self, p: Any, rows: Mapping[str, Any], mask: Any) -> Any:  # type: ignore[override]
        return jnp.sum(jnp.where(mask & (rows[self.name] > 0.5), self.log_probabilities(p, mask), 0.0))

    def expected(self, p: Any, rows: Mapping[str, Any], mask: Any) -> Any:  # type: ignore[override]
        each = self.log_probabilities(p, mask)
        chances = jax.lax.stop_gradient(jnp.exp(each))
        return jnp.sum(jnp.where(mask, chances * jnp.where(mask, each, 0.0), 0.0))

    def recession(
        self, columns: Mapping[str, np.ndarray], groups: Sequence[np.ndarray] | None
    ) -> tuple[Cone, ...] | None:
        return None if groups is None else chosen_among("utility", columns[self.name] > 0.5, groups)

    def bind(self, params: Mapping[str, Parameter], data: Data, weights: np.ndarray) -> Bound:
        y, levels = encode_binary(data, self.name, self.levels)
        y = np.asarray(y, np.float64)
        wrong = ~np.isin(y, (0, 1))
        if wrong.any():
            rows = np.flatnonzero(wrong)
            raise DataError(
                f"Response {self.name!r} is neither 0 nor 1 in {rows_in_words(data.numbered(rows))} "
                f"({', '.join(f'{v:g}' for v in y[rows[:5]])}); 1 marks the row that is chosen."
            )
        keys, first, member = np.unique(
            np.asarray(data.column(self.group, "the groups")), return_index=True, return_inverse=True
        )
        member = member.reshape(-1)
        chosen = np.bincount(member, y, minlength=len(keys))
        if (chosen != 1).any():
            bad = np.flatnonzero(chosen != 1)
            shown = ", ".join(f"{keys[i]} ({chosen[i]:g} chosen)" for i in bad[:5])
            more = f" and {len(bad) - 5} more" if len(bad) > 5 else ""
            raise DataError(
                f"In each group of {self.group!r} exactly one row is chosen ({self.name!r} is 1); it is not so in "
                f"{shown}{more}. Leave out these groups."
            )
        if len(keys) == len(y):
            raise DataError(f"Every row is a group of its own: {self.group!r} tells nothing about choices.")
        utility = params["utility"]
        assert isinstance(utility, Linear)
        for text, names in plain_terms(utility):
            columns = [np.asarray(data.column(n, "the linear predictor of 'utility'")) for n in names]
            if all(bool((c == c[first][member]).all()) for c in columns):
                raise DataError(
                    f"Term {text!r} of 'utility' is the same in all rows of every group of {self.group!r}: it has no "
                    "effect on what is chosen. Leave it out, or let it interact with what differs within groups."
                )
        conditional = Chosen(self.name, self.group, levels)
        return Bound(conditional, params, {self.name: y}, {})

"""Conditional logistic regression: one row of each group is chosen, or a given number of them."""

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


def conditional_logit(response: str, *, group: str, utility: Any = None, several: bool = False) -> Model:
    """Conditional logistic regression: of the rows of a group, one is chosen with probability ∝ exp(utility).

    McFadden's model of choice among alternatives, one row for each; and of matched sets of one case and its controls. A
    group is one observation. There is no constant term, and no effect of what is the same in all rows of a group.

    Arguments:
        response: `"chosen ~ terms"`, where chosen is 0/1, a boolean or one of two labels (the second is chosen).
        group: the column that says which group a row is in.
        utility: a formula `"~ terms"` or a `Linear`, in place of the terms above.
        several: whether several rows of a group may be chosen, as in matched sets of m cases and n controls: their number
            is given, and every set of so many is compared (Gail, Lubin and Rubinstein, 1981, Biometrika 68, 703-707).

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
    chosen = Chosen(names[0], group, most=0 if several else 1)
    about = f"{response.strip()} | {group}"
    return Model(chosen, {"utility": predictor}, unit=group, name="Conditional logistic regression", about=about)


NOTHING = -1e30
"""The logarithm of no sets at all, finite so that derivatives are."""


def _logaddexp(a: Any, b: Any) -> Any:
    """log(exp(a) + exp(b)) of finite numbers, by differentiable steps alone.

    Inside a loop JAX (0.10.1) differentiates functions with a rule of their own a second time by their definition, and
    where a == b that of `numerics.logaddexp`, like JAX's, has a corner.
    """
    top = jax.lax.stop_gradient(jnp.maximum(a, b))
    return top + jnp.log(jnp.exp(a - top) + jnp.exp(b - top))


@dataclass(frozen=True)
class Chosen(OneColumn):
    """The choice of one row of a group, or of at most `most`; called with the rows of a group and their mask."""

    group: str
    levels: tuple[Any, ...] | None = None
    most: int = 1

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

    def log_sets(self, utility: Any, mask: Any, number: Any) -> Any:
        """log Σ exp(sum of the utilities) over all sets of `number` rows: an elementary symmetric function, by recursion."""

        def add(sums: Any, row: tuple[Any, Any]) -> tuple[Any, None]:
            mine, there = row
            more = _logaddexp(sums[1:], sums[:-1] + mine)
            return jnp.where(there, jnp.concatenate([sums[:1], more]), sums), None

        none = jnp.where(jnp.arange(self.most + 1) == 0, 0.0, NOTHING)
        sums, _ = jax.lax.scan(add, none, (jnp.where(mask, utility, 0.0), mask))
        return sums[number]

    def __call__(self, p: Any, rows: Mapping[str, Any], mask: Any) -> Any:  # type: ignore[override]
        chosen = mask & (rows[self.name] > 0.5)
        if self.most == 1:
            return jnp.sum(jnp.where(chosen, self.log_probabilities(p, mask), 0.0))
        return jnp.sum(jnp.where(chosen, p["utility"], 0.0)) - self.log_sets(p["utility"], mask, jnp.sum(chosen))

    def expected(self, p: Any, rows: Mapping[str, Any], mask: Any) -> Any:  # type: ignore[override]
        if self.most == 1:
            each = self.log_probabilities(p, mask)
            chances = jax.lax.stop_gradient(jnp.exp(each))
            return jnp.sum(jnp.where(mask, chances * jnp.where(mask, each, 0.0), 0.0))
        number = jnp.sum(mask & (rows[self.name] > 0.5))
        of = lambda utility: self.log_sets(utility, mask, number)
        chances = jax.grad(of)(jax.lax.stop_gradient(p["utility"]))
        return jnp.sum(jnp.where(mask, chances * p["utility"], 0.0)) - of(p["utility"])

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
        if self.most != 1 and not (chosen > 0).all():
            bad = np.flatnonzero(chosen == 0)
            shown = ", ".join(map(str, keys[bad[:5]])) + (f" and {len(bad) - 5} more" if len(bad) > 5 else "")
            raise DataError(f"In no row of {shown} ({self.group!r}) is {self.name!r} 1. Leave out these groups.")
        if self.most == 1 and (chosen != 1).any():
            bad = np.flatnonzero(chosen != 1)
            shown = ", ".join(f"{keys[i]} ({chosen[i]:g} chosen)" for i in bad[:5])
            more = f" and {len(bad) - 5} more" if len(bad) > 5 else ""
            raise DataError(
                f"In each group of {self.group!r} exactly one row is chosen ({self.name!r} is 1); it is not so in "
                f"{shown}{more}. Leave out these groups, or take conditional_logit(..., several=True)."
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
        most = 1 if self.most == 1 else max(2, int(chosen.max()))
        conditional = Chosen(self.name, self.group, levels, most)
        return Bound(conditional, params, {self.name: y}, {})

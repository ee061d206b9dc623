"""Multinomial logistic regression: a label among several, in no order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp
import numpy as np

from ...errors import DataError, ModelError, did_you_mean
from ..conditional import Bound, Data, OneColumn
from ..cones import Cone, largest_of
from ..distributions.base import Distribution
from ..distributions.labelled import Categorical
from ..distributions.levels import encode_levels
from ..domains import Real
from ..families import split_response
from ..linear import Linear
from ..model import Model, Parameter


def categorical(response: str, *, logits: Any = None, reference: Any = None) -> Model:
    """Multinomial logistic regression: log P(label) - log P(reference) is linear, for each label but the reference.

    The labels are the categories of the column in their order, or its sorted values. Coefficients of label B are
    `logits.B[term]`; without a formula `logits.B` is a number.

    Arguments:
        response: `"response ~ terms"`, or the name of the response alone.
        logits: a formula `"~ terms"` or a `Linear`, in place of the terms above.
        reference: the label that others are compared with; the first one by default.

    Raises:
        ModelError: for names and formulas that make no sense.
    """
    names, terms = split_response(response)
    if len(names) != 1:
        raise ModelError(f"categorical has one response, a column of labels; got {list(names)!r}.")
    if terms is not None and logits is not None:
        raise ModelError("'logits' is predicted by the formula and given as an argument too: give one of them.")
    given = terms if logits is None else logits
    if isinstance(given, str) and given.lstrip().startswith("~"):
        given = Linear(given)
    if given is None:
        given = Real()
    if not isinstance(given, Real | Linear) or given.shape:
        raise ModelError(f"logits of categorical takes a formula '~ terms' or a Linear for one label; got {given!r}.")
    if isinstance(given, Linear) and given.link.name != "identity":
        raise ModelError("categorical has logits on the scale of their predictors: leave out the link.")
    return Model(Labels(names[0], reference), {"logits": given}, name=Categorical.title, about=response.strip())


@dataclass(frozen=True)
class Labels(OneColumn):
    """A response that is a label; `levels`, the reference first, have been learnt from data or are None."""

    reference: Any = None
    levels: tuple[Any, ...] | None = None

    @property
    def coding(self) -> str:
        return "" if self.levels is None else f"reference {self.levels[0]}"

    @property
    def kind(self) -> type[Distribution]:
        return Categorical

    def parameters(self) -> tuple[str, ...]:
        """The names of the logits, one for each label but the reference."""
        assert self.levels is not None
        return tuple(f"logits.{label}" for label in labels_of(self.levels)[1:])

    def distribution(self, p: Any, row: Mapping[str, Any]) -> Distribution:
        return Categorical(logits=jnp.stack([p[name] for name in self.parameters()]))

    def recession(
        self, columns: Mapping[str, np.ndarray], groups: Sequence[np.ndarray] | None
    ) -> tuple[Cone, ...] | None:
        return largest_of(self.parameters(), np.asarray(columns[self.name]))

    def bind(self, params: Mapping[str, Parameter], data: Data, weights: np.ndarray) -> Bound:
        codes, levels = encode_levels(data, self.name, self.levels)
        if self.levels is not None:
            return Bound(self, params, {self.name: codes}, {})
        if not levels[1:]:
            raise DataError(
                f"Response {self.name!r} has one label, {levels[0]!r}, in all {len(codes):,} rows: there is nothing to "
                "compare it with."
            )
        if self.reference is not None:
            if self.reference not in levels:
                raise DataError(
                    f"reference={self.reference!r} is not a label of {self.name!r}."
                    f"{did_you_mean(str(self.reference), map(str, levels))}"
                )
            levels = (self.reference, *(level for level in levels if level != self.reference))
            codes, _ = encode_levels(data, self.name, levels)
        bound = replace(self, levels=levels)
        counts = np.bincount(codes, weights, minlength=len(levels)) + 0.5
        starts = dict(zip(bound.parameters(), np.log(counts[1:] / counts[0]).tolist()))
        mine = dict.fromkeys(bound.parameters(), params["logits"])
        return Bound(bound, mine, {self.name: codes}, starts)  # type: ignore[arg-type]


def labels_of(levels: tuple[Any, ...]) -> tuple[str, ...]:
    """Levels as parts of parameters' names, all different: 1.0 as `1`, brackets and commas as underscores."""
    labels: list[str] = []
    for level in levels:
        text = f"{level:.15g}" if isinstance(level, float) else str(level)
        text = "".join("_" if c in "[],~" else c for c in text).strip() or "_"
        while text in labels:
            text += "'"
        labels.append(text)
    return tuple(labels)

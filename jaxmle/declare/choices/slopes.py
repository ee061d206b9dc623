"""Linear predictors without a constant term: where something else in the model takes its place."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from ...errors import ModelError
from ..formula import Formula, Token, right_side, tokens
from ..linear import CONSTANT, Linear


@dataclass(frozen=True)
class Slopes(Linear):
    """A `Linear` that leaves out its constant term once categorical terms have been coded against it.

    Leaving it out by `- 1` in the formula would give such terms a column for every level.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.terms, Formula):
            state = json.loads(self.terms.state)
            scoped = [s for term in state["terms"] for s in term]
            if scoped and not scoped[0][1] and 0 not in state["dropped"]:
                state["dropped"] = sorted({0, *state["dropped"]})
                object.__setattr__(self, "terms", replace(self.terms, state=json.dumps(state)))
        elif isinstance(self.terms, tuple):
            kept = tuple(t for t in self.terms if t != CONSTANT)
            if not kept:
                raise ModelError("This predictor has no constant term, and nothing else was given for it.")
            object.__setattr__(self, "terms", kept)


def slopes(given: Any, name: str, owner: str) -> Slopes | None:
    """A formula or `Linear` as one without a constant term; None for None and for a constant alone.

    Raises:
        ModelError: for anything else, and for other links than the identity.
    """
    if given is None:
        return None
    if isinstance(given, str) and given.lstrip().startswith("~"):
        given = Linear(given)
    if not isinstance(given, Linear):
        raise ModelError(f"{name} of {owner} takes a formula '~ terms' or a Linear; got {given!r}.")
    if given.link.name != "identity":
        raise ModelError(f"{name} of {owner} is on the scale of its predictor: leave out link={given.link.name!r}.")
    if given.shape:
        raise ModelError(f"{name} of {owner} is one number in each row; got a Linear of shape {given.shape}.")
    if is_constant(given):
        return None
    kept = {k: getattr(given, k) for k in ("link", "offset", "functions", "start", "fixed", "prior")}
    return Slopes(given.terms, **kept)


def is_constant(linear: Linear) -> bool:
    """Whether a predictor has no terms but the constant one."""
    if isinstance(linear.terms, str) and linear.is_formula:
        return all(t.kind in ("number", "operator", "(", ")") for t in tokens(right_side(linear.terms)))
    return linear.terms == (CONSTANT,)


def plain_terms(linear: Linear) -> list[tuple[str, tuple[str, ...]]]:
    """The terms that are columns or products of columns: their text and the columns. Others are left out."""
    if isinstance(linear.terms, Formula):
        return []
    if not isinstance(linear.terms, str):
        return [(n, (n,)) for n in linear.terms if isinstance(n, str)]
    if not linear.is_formula:
        return [(linear.terms, (linear.terms,))]
    terms: list[list[Token]] = [[]]
    for token in tokens(right_side(linear.terms)):
        if token.kind == "operator" and token.text in "+-" and token.depth == 0:
            terms.append([])
        else:
            terms[-1].append(token)
    plain = []
    for term in terms:
        names = tuple(t.text for t in term if t.kind == "name" and t.text != ".")
        signs = all(t.kind == "name" or t.text in (":", "*") for t in term)
        if names and signs:
            plain.append(("".join(t.text for t in term), names))
    return plain

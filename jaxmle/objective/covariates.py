"""Which columns of the data a distribution depends on, and rows that are alike in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..data.expressions import names_in
from ..data.formula import split_offset, variables
from ..data.tables import Table
from ..declare.combinators.censored import Censoring
from ..declare.conditional import Conditional
from ..declare.formula import Formula, tokens
from ..declare.linear import Linear
from ..declare.model import Model

ALIKE = 200_000
"""In more rows than this it is not looked for rows that are alike."""


def covariates(model: Model) -> tuple[str, ...]:
    """The columns that predictors and offsets read, and those that a family knows beside its response, in order."""
    found: list[str] = []
    for parameter in model.params.values():
        if isinstance(parameter, Linear):
            found += _of_terms(parameter)
            found += [c for entry in parameter.offset for c in _of_offset(entry)]
    conditional = model.log_density
    if isinstance(conditional, Censoring):  # how a response is seen says nothing of its distribution
        conditional = conditional.inner
    if isinstance(conditional, Conditional):
        found += [c for c in conditional.columns if c not in conditional.response]
    return tuple(dict.fromkeys(found))


def levelled(model: Model) -> frozenset[str]:
    """Columns that a formula takes for labels, by `C(...)`, whatever their type."""
    found: set[str] = set()
    for parameter in model.params.values():
        if isinstance(parameter, Linear) and isinstance(parameter.terms, Formula):
            for token in tokens(parameter.terms.text):
                if token.kind == "call" and token.text.startswith("C("):
                    found |= set(names_in(token.text))
    return frozenset(found)


def _of_terms(parameter: Linear) -> list[str]:
    terms: Any = parameter.terms
    if isinstance(terms, Formula):
        return list(variables(terms.text))
    if isinstance(terms, str):
        if not parameter.is_formula:
            return [terms]
        text, offsets = split_offset(terms)
        return [*variables(text), *(c for entry in offsets for c in _of_offset(entry))]
    return [t for t in terms if isinstance(t, str)]


def _of_offset(entry: str) -> Sequence[str]:
    return (entry,) if entry.isidentifier() else names_in(entry)


def unlike(table: Table, columns: Sequence[str], weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows that differ in some of the columns, one of each kind, and the sums of the weights of their kinds.

    In very many rows it is not looked for rows that are alike: all are returned.
    """
    if not columns:
        return np.zeros(1, dtype=int), np.array([weights.sum()])
    if table.n_rows > ALIKE:
        return np.arange(table.n_rows), weights
    code = np.zeros(table.n_rows, dtype=np.int64)
    for name in columns:
        values = table.column(name)
        own = _codes(values)
        code = np.unique(code * (own.max() + 1) + own, return_inverse=True)[1].reshape(-1)
    first = np.unique(code, return_index=True)[1]
    return first, np.bincount(code, weights)


def _codes(values: np.ndarray) -> np.ndarray:
    if values.dtype.kind in "OTUS":
        number: dict[Any, int] = {}
        return np.array([number.setdefault(v, len(number)) for v in values.tolist()])
    if values.ndim > 1:
        return np.unique(values.reshape(len(values), -1), axis=0, return_inverse=True)[1].reshape(-1)
    return np.unique(values, return_inverse=True)[1].reshape(-1)

"""A parameter that differs from row to row: link⁻¹(offset + x·β)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field
from math import prod
from reprlib import repr as brief
from typing import Any

import jax
import numpy as np

from ..errors import ModelError
from .formula import Formula
from .links import resolve_link

CONSTANT = 1
"""Among the columns of a `Linear`, the number 1 is the constant term; its coefficient is named `Intercept`."""


@dataclass(frozen=True)
class Linear:
    """A linear predictor on columns of the data, mapped to the parameter's natural scale by the inverse link.

    Arguments:
        terms: a column name (a vector or an n×p matrix, taken as it stands), a sequence of column names in which the
            number 1 is the constant term, or a formula (a string that starts with `~`).
        link: name or `Link`: link(parameter) = offset + x·β; `None` is the identity.
        shape: shape of the parameter in one row; `()` for a number. Each entry has its own p coefficients.
        offset: column name or expression such as `"log(hours)"` (or a sequence of them, added up): known terms of the
            predictor.
        functions: name → function that a formula may call, beside those that it knows.
        start: starting values of the coefficients, shape (p, *shape), or one number for all; default 0.
        fixed: values at which all coefficients are held; same shape.
        prior: an object with `log_prob`, or a callable, of the coefficients; their posterior mode is then reported.

    Raises:
        ModelError: for terms, link or shape that make no sense.
    """

    terms: str | Sequence[str | int] | Formula
    _: KW_ONLY
    link: Any = None
    shape: Any = ()
    offset: Any = ()
    functions: Any = ()
    start: Any = field(default=None, compare=False)
    fixed: Any = field(default=None, compare=False)
    prior: Any = field(default=None, compare=False)

    def __post_init__(self) -> None:
        terms = self.terms
        if isinstance(terms, Formula):
            pass
        elif isinstance(terms, Sequence) and not isinstance(terms, str):
            terms = tuple(terms)
            wrong = [t for t in terms if not (isinstance(t, str) or (isinstance(t, int) and t == CONSTANT))]
            if wrong or not terms:
                got = brief(wrong) if wrong else "no terms"
                raise ModelError(f"Linear takes column names, and the number 1 for the constant term; got {got}.")
            if len(set(terms)) < len(terms):
                raise ModelError(f"Linear({list(terms)!r}) names a column twice: its coefficients are not identified.")
        elif not isinstance(terms, str) or not terms.strip():
            raise ModelError(
                f"Linear takes a formula, a column name or a sequence of column names; got {brief(terms)}."
            )
        offset = self.offset
        if offset is None:
            offset = ()
        offset = (offset,) if isinstance(offset, str) or np.ndim(offset) == 0 else tuple(offset)
        if not all(isinstance(o, str) for o in offset):
            raise ModelError(f"offset takes a column name or several; got {self.offset!r}. Add the values as a column.")
        shape = (self.shape,) if isinstance(self.shape, int) else tuple(self.shape)
        if not all(isinstance(s, int) and s > 0 for s in shape):
            raise ModelError(f"shape takes positive whole numbers; got {self.shape!r}.")
        if self.start is not None and self.fixed is not None:
            raise ModelError("Linear: give start (where the search begins) or fixed (held there), not both.")
        functions = tuple(dict(self.functions).items())
        if not all(isinstance(n, str) and n.isidentifier() and callable(f) for n, f in functions):
            raise ModelError(f"functions maps names to functions; got {self.functions!r}.")
        settled = dict(terms=terms, offset=offset, shape=shape, functions=functions, link=resolve_link(self.link))
        for name, value in settled.items():
            object.__setattr__(self, name, value)

    @property
    def is_formula(self) -> bool:
        """Whether the terms are a formula and not the names of columns."""
        return isinstance(self.terms, Formula) or (isinstance(self.terms, str) and self.terms.lstrip().startswith("~"))

    @property
    def n_outputs(self) -> int:
        """How many numbers the predictor has in one row."""
        return prod(self.shape)

    def inverse(self, eta: jax.Array) -> jax.Array:
        """The parameter on its natural scale, elementwise."""
        return self.link.inverse(eta)

    def coefficients(self, values: Any, n_terms: int, name: str, role: str) -> np.ndarray:
        """`values` for the coefficients as a float64 array of shape (p, *shape); raises `ModelError` otherwise."""
        try:
            array = np.asarray(values, dtype=np.float64)
            array = np.array(np.broadcast_to(array, (n_terms, *self.shape)))
        except (TypeError, ValueError):
            raise ModelError(
                f"{role} of {name!r} must be numbers of shape {(n_terms, *self.shape)}, one per term; got {brief(values)}."
            ) from None
        if not np.isfinite(array).all():
            raise ModelError(f"{role} of {name!r} must be finite; got {values!r}.")
        return array

"""Models of several response columns at once: shares that add up to one, and correlated numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp
import numpy as np

from ..errors import DataError, ModelError, rows_in_words
from ..numerics import softmax
from .conditional import Bound, Data, Response, on_scale
from .distributions.base import Distribution
from .distributions.dirichlet import Dirichlet
from .distributions.multivariate_normal import MultivariateNormal
from .domains import Domain, Real
from .families import declared, split_response
from .linear import Linear
from .matrices import Covariance, Simplex
from .model import Model, Parameter

ROUNDING = 0.02
"""How far the shares of a row may be from adding up to one: shares are published with two digits."""


def dirichlet(response: Sequence[str], *, mean: Any = None, precision: Any = None) -> Model:
    """Dirichlet regression of shares that add up to one; the shares of a row that do so but for rounding are rescaled.

    Arguments:
        response: the columns of the shares.
        mean: None for constant expectations, `mean[0]`, `mean[1]`, ...; or a formula `"~ terms"` or a `Linear` for the
            logarithms of their ratios to the first one's (softmax regression): `mean.1[term]`, `mean.2[term]`, ...
        precision: a formula `"~ terms"` (log link), a `Linear`, a domain, or a number that it is held at; a constant that
            is estimated by default. alpha = mean · precision.

    Raises:
        ModelError: for fewer than two columns, and formulas that make no sense.
    """
    names = several(response, "dirichlet")
    formula = _linear(mean, "mean", "dirichlet")
    params: dict[str, Parameter] = {}
    if formula is not None:
        if formula.link.name != "identity":
            raise ModelError("dirichlet has the means by softmax of their predictors: leave out the link.")
        params = {f"mean.{i}": replace(formula, shape=()) for i in range(1, len(names))}
    else:
        params["mean"] = _constant(mean, Simplex(len(names)), "mean", "dirichlet")
    params |= {"precision": declared(Dirichlet, None, {"precision": precision})["precision"]}
    conditional = Composition(Dirichlet, names, predicted=formula is not None)
    return Model(conditional, params, name=Dirichlet.title, about=", ".join(names))


def multivariate_normal(response: Sequence[str], *, mean: Any = None, covariance: Any = None) -> Model:
    """Several numbers with a multivariate normal distribution.

    Arguments:
        response: the columns of the numbers.
        mean: None for constants `mean[0]`, `mean[1]`, ...; or a formula `"~ terms"` or a `Linear`, the same terms for
            each column: `mean[term,0]`, `mean[term,1]`, ...
        covariance: a `jm.Covariance(k)` with a start, prior or fixed value; the upper triangle is reported,
            `covariance[0,1]`.

    Raises:
        ModelError: for fewer than two columns, and formulas that make no sense.
    """
    names = several(response, "multivariate_normal")
    k = len(names)
    formula = _linear(mean, "mean", "multivariate_normal")
    params: dict[str, Parameter] = {}
    if formula is not None:
        params["mean"] = replace(formula, shape=(k,))
    else:
        params["mean"] = _constant(mean, Real(shape=k), "mean", "multivariate_normal")
    params["covariance"] = _constant(covariance, Covariance(k), "covariance", "multivariate_normal")
    conditional = Response(MultivariateNormal, names)
    return Model(conditional, params, name=MultivariateNormal.title, about=", ".join(names))


def several(response: Any, owner: str) -> tuple[str, ...]:
    """The names of two or more different columns; `ModelError` for anything else."""
    names, _ = split_response(response)
    if isinstance(response, str) or len(names) < 2 or len(set(names)) < len(names):
        raise ModelError(f"{owner} takes a list of two or more response columns, such as ['a', 'b']; got {response!r}.")
    return names


def _linear(given: Any, name: str, owner: str) -> Linear | None:
    if isinstance(given, str):
        if not given.lstrip().startswith("~"):
            raise ModelError(f"{name} of {owner} got the string {given!r}: a formula starts with '~'.")
        return Linear(given)
    return given if isinstance(given, Linear) else None


def _constant(given: Any, default: Domain, name: str, owner: str) -> Domain:
    if given is None:
        return default
    if isinstance(given, Domain):
        if type(given) is not type(default) or given != default:
            raise ModelError(f"{name} of {owner} is {default.describe()}: declare {default!r}; got {given!r}.")
        return given
    return replace(default, fixed=given)


@dataclass(frozen=True)
class Composition(Response):
    """Shares that add up to one; `predicted` expectations have a predictor for each but the first."""

    predicted: bool = False

    def distribution(self, p: Any, row: Mapping[str, Any]) -> Distribution:
        if not self.predicted:
            return super().distribution(p, row)
        logits = [jnp.zeros(())] + [p[f"mean.{i}"] for i in range(1, len(self.names))]
        return Dirichlet(mean=softmax(jnp.stack(logits)), precision=on_scale(p, "precision"))

    def bind(self, params: Mapping[str, Parameter], data: Data, weights: np.ndarray) -> Bound:
        y = np.stack([data.numeric(name, "the response").astype(np.float64) for name in self.names], axis=1)
        total = y.sum(axis=1)
        wrong = ~(np.abs(total - 1) <= ROUNDING) | (y <= 0).any(axis=1)
        if wrong.any():
            rows = np.flatnonzero(wrong)
            shown = "; ".join(", ".join(f"{v:g}" for v in y[i]) for i in rows[:3])
            raise DataError(
                f"Responses {', '.join(map(repr, self.names))} are not positive shares that add up to one in "
                f"{rows_in_words(data.numbered(rows))} ({shown}). Divide by their sum, and give zeros a small share."
            )
        y = y / total[:, None]
        starts = Dirichlet.starts(y, weights, {})
        if self.predicted:
            mean = starts.pop("mean")
            starts |= {f"mean.{i}": float(np.log(mean[i] / mean[0])) for i in range(1, len(self.names))}
        encoded = dict(zip(self.names, y.T))
        return Bound(self, params, encoded, starts, Dirichlet.degenerate(y, {}))

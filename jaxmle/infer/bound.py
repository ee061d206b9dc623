"""The Cramér–Rao bound: how well the parameters of a model can be known from given covariates, at best."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np

from ..declare.conditional import conditional_of
from ..declare.model import Model
from ..errors import ModelError
from ..objective.rebuild import bound, read, rebuilt, whole_truth
from .covariance import carried, observed
from .predict import data_sets, simulated_columns
from .reported import Reported
from .robust import information_at


@dataclass(frozen=True, eq=False, repr=False)
class CramerRao:
    """The smallest covariance that unbiased estimates can have; what `jm.cramer_rao` returns.

    Arguments:
        title: of the model; `about` says how the information was found, where not in closed form.
        names: flat names of the k quantities, in order; `values` (k,) their true values.
        covariance: the bound, shape (k, k): inverse expected information, on the natural scale by the delta method.
        n_obs: rows.
    """

    title: str
    about: str
    names: tuple[str, ...]
    values: np.ndarray
    covariance: np.ndarray
    n_obs: int

    @property
    def coef(self) -> Mapping[str, float]:
        """The true values by name."""
        return MappingProxyType(dict(zip(self.names, map(float, self.values))))

    @cached_property
    def std_errors(self) -> Mapping[str, float]:
        """The smallest standard errors, with the keys of `coef`."""
        with np.errstate(invalid="ignore"):
            errors = np.sqrt(np.diag(self.covariance))
        return MappingProxyType(dict(zip(self.names, map(float, errors))))

    def tidy(self) -> dict[str, np.ndarray]:
        """One entry per quantity. Columns: term, value, std_error."""
        errors = np.array(list(self.std_errors.values()))
        return {"term": np.array(self.names), "value": self.values.copy(), "std_error": errors}

    def __repr__(self) -> str:
        how = f" ({self.about})" if self.about else ""
        lines = [f"Cramér–Rao bound   {self.title}   {self.n_obs:,} rows{how}"]
        width = max(map(len, self.names))
        lines.append(f"  {'':{width}}  {'value':>10}  {'std error':>10}")
        for name, value in self.coef.items():
            lines.append(f"  {name:{width}}  {value:10.4g}  {self.std_errors[name]:10.4g}")
        return "\n".join(lines)


def cramer_rao(
    model: Model, params: Mapping[str, Any], data: Any, *, draws: int | None = None, key: int = 0
) -> CramerRao:
    """The Cramér–Rao bound at true parameters: no unbiased estimate from such covariates has a smaller covariance.

    It is the inverse of Fisher's expected information, and what maximum likelihood attains in large samples. What a study
    could find can so be asked before there are responses.

    Arguments:
        model: of a family, or of a `jm.Distribution` of your own.
        params: name → true value on the natural scale, a `Linear` by its coefficients or each by its flat name, such as
            `{"rate": [0.5, 0.2]}` or `{"rate[Intercept]": 0.5, "rate[x]": 0.2}`.
        data: the rows' covariates, in any form that `fit` takes; the response is not needed, and its values change nothing.
        draws: simulate so many data sets, even where the information can be had exactly.
        key: seed of these.

    Returns:
        A `CramerRao`, with `std_errors` and `covariance` in the order of `coef`.

    Raises:
        ModelError: for a model without a distribution, parameters that are missing or unknown, and where the information
            is singular: these covariates cannot tell the parameters apart.
        DataError: for rows that the model cannot use.

    Source: Cramér (1946), Mathematical Methods of Statistics, section 32.3; Rao (1945), Bulletin of the Calcutta
    Mathematical Society 37, 81-91.
    """
    if not isinstance(model, Model):
        raise ModelError(f"cramer_rao takes a jm.Model; got {type(model).__name__}.")
    conditional = conditional_of(model, "cramer_rao")
    table = read(data)
    if model.unit_kind != "row":
        raise ModelError("cramer_rao takes models whose observations are rows.")
    known = all(name in table.names for name in conditional.response)
    model = bound(model, table) if known else model  # labels are learnt
    truth = whole_truth(model, params, table)
    table = table if known else table.with_columns(simulated_columns(model, truth, table, key))
    objective, z = rebuilt(model, truth, table)
    draw = lambda n, key: data_sets(model, truth, table, n, key)
    information, about = information_at(objective, z, (), draw, draws, key)
    reported = Reported.at(objective, z)
    covariance = carried(reported.jacobian, observed(information))
    if not np.isfinite(covariance).all():
        raise ModelError(
            "The expected information is singular: from these rows the parameters cannot be told apart, whatever the "
            "responses."
        )
    return CramerRao(model.title, about, reported.names, reported.values, covariance, table.n_rows)

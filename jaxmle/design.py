"""`jm.design`: what standard errors, sample size and power to expect of a model before there are data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np

from .check import DrawBy, built_on, response_of, rows_of, simulated
from .declare.conditional import Conditional
from .declare.model import Model
from .errors import ModelError
from .infer.covariance import carried, observed
from .infer.hypotheses import equations
from .infer.reported import Reported
from .infer.statements import Draw
from .objective.build import Built
from .objective.fixing import start_vector
from .objective.rows import hashable
from .objective.rowwise import best_kind
from .special import chdtri, chndtr

MOST = 1e12
"""More rows than this are said to be never enough."""


@dataclass(frozen=True, eq=False, repr=False)
class Design:
    """What to expect of n rows; what `jm.design` returns.

    Arguments:
        names: flat names of the k quantities to be estimated, `values` (k,) those assumed, natural scale.
        per_row: their covariance if one row were all, the inverse of the mean information of a row, shape (k, k).
        n: rows asked about, or as many as were found to be needed; `needed` says for what, in words → rows.
        effect: the hypothesis whose Wald test has the `power`, at the level `alpha`.
        how: "expected information", or how it was simulated.
    """

    title: str
    names: tuple[str, ...]
    values: np.ndarray
    per_row: np.ndarray
    n: int
    how: str
    effect: str = ""
    alpha: float = 0.05
    needed: Mapping[str, int] = field(default_factory=dict)

    @cached_property
    def std_errors(self) -> Mapping[str, float]:
        """The standard errors to expect of n rows, by name."""
        return MappingProxyType(dict(zip(self.names, map(float, np.sqrt(np.diag(self.per_row) / self.n)))))

    @property
    def power(self) -> float:
        """The probability that the Wald test of `effect` rejects it, with n rows; NaN if there is no effect."""
        return self.power_with(self.n) if self.effect else float("nan")

    def power_with(self, n: float) -> float:
        """The power with another number of rows."""
        distance, df = self._distance
        return float(1 - chndtr(chdtri(df, self.alpha), df, n * distance))

    @cached_property
    def _distance(self) -> tuple[float, int]:
        """Wald's statistic to expect of one row, and its degrees of freedom."""
        if not self.effect:
            raise ModelError("Power is that of a test: name its hypothesis, effect='x = 0'.")
        gap, covariance = self._gap
        return float(gap @ np.linalg.solve(covariance, gap)), len(gap)

    @property
    def _gap(self) -> tuple[np.ndarray, np.ndarray]:
        gap, slopes = equations(self.effect, self.names).at(self.values)
        return gap, slopes @ self.per_row @ slopes.T

    def __repr__(self) -> str:
        width = max(map(len, self.names))
        lines = [f"Design   {self.title}   {self.n:,} rows", f"  {'':{width}}  {'assumed':>10}  {'std error':>10}"]
        for name, value in zip(self.names, self.values):
            lines.append(f"  {name:{width}}  {f'{value:10.4g}'.replace('-', '−')}  {self.std_errors[name]:10.4g}")
        lines += [f"  {words}: {n:,} rows" for words, n in self.needed.items()]
        if self.effect:
            lines.append(f"  Wald test of {self.effect} at level {self.alpha:g}: power {self.power:.3f}")
        return "\n".join([*lines, f"  from {self.how}"])


def design(
    model: Model,
    params: Mapping[str, Any],
    data: Any = None,
    *,
    n: int | None = None,
    effect: str | None = None,
    power: float | None = None,
    target_se: float | Mapping[str, float] | None = None,
    alpha: float = 0.05,
    simulate: Callable[..., Any] | None = None,
    response: str | None = None,
    support: Any = "real",
    draws: int = 200,
    key: int = 0,
) -> Design:
    """Standard errors, sample size and power to expect, from the information of a row at assumed parameters.

    Arguments:
        model: a `Model` of rows.
        params: name → assumed value on the natural scale, for every parameter or coefficient.
        data: rows of covariates, in the proportions in which they will occur; no response is needed. None will do where
            there are no covariates.
        n: how many rows; by default those of `data`, or as many as `power` and `target_se` need.
        effect: a hypothesis as in `wald_test`, `"treated = 0"`, or the name of a coefficient that may be zero.
        power: the probability, under `params`, with which the test of `effect` should reject it.
        target_se: the standard error that is wanted: of `effect`, or name → that of a coefficient.
        alpha: level of the test.
        simulate, response, support: for a density of your own: `f(p, row, key)` → a response, its column and its values,
            as in `check_model`.
        draws: responses for each row, where the expected information is not known in closed form; the same `key` gives the
            same.
        key: seed.

    Returns:
        A `Design`.

    Raises:
        ModelError: for a model or an argument that cannot be used, and where no number of rows is enough.
        DataError: for data that cannot be used.
    """
    _check(model, n, power, alpha, draws)
    built, z, how = _ready(model, params, data, simulate, response, support, draws, key)
    information = information_per_row(built, z, simulate, response, draws, key)
    in_z = observed(information)
    if not np.isfinite(in_z).all():
        raise ModelError("The parameters are not identified by such rows: the information of a row is singular.")
    reported = Reported.at(built.objective, z)
    per_row = carried(reported.jacobian, in_z)
    first = n or built.objective.n_units
    found = Design(model.title, reported.names, reported.values, per_row, first, how, effect or "", alpha)
    needed = _needed(found, power, target_se)
    n = n or (max(needed.values()) if needed else first)
    return Design(model.title, reported.names, reported.values, per_row, n, how, effect or "", alpha, needed)


def information_per_row(
    built: Built, z: np.ndarray, simulate: Callable[..., Any] | None, response: str | None, draws: int, key: int
) -> np.ndarray:
    """The mean information of a row at `z`: expected where the family knows it, else that of simulated responses."""
    objective = built.objective
    if best_kind(objective.likelihood) == "expected":
        return objective.evaluate(z, "expected", penalised=False).matrix / objective.n_units
    model, table = built.model, built.table
    conditional = model.log_density if isinstance(model.log_density, Conditional) else None
    draw = Draw(conditional) if conditional is not None else DrawBy(hashable(simulate))  # type: ignore[arg-type]
    column = conditional.response[0] if conditional is not None else str(response)
    params, _ = objective.natural(z)
    y = simulated(model, params, table, draw, draws, key).ravel()
    tall = table.take(np.tile(np.arange(table.n_rows), draws))
    old = table.numeric(column, "the response").dtype
    there = built_on(model, tall.with_columns({column: y.astype(old) if old.kind in "iu" else y})).objective
    at = there.to_z(objective.to_u(z))
    matrix = there.evaluate(at, "hessian", penalised=False).matrix / there.n_units
    scale = objective.scale / there.scale
    return matrix * np.outer(scale, scale)


def _ready(
    model: Model,
    params: Mapping[str, Any],
    data: Any,
    simulate: Callable[..., Any] | None,
    response: str | None,
    support: Any,
    draws: int,
    key: int,
) -> tuple[Built, np.ndarray, str]:
    """The model on rows with made-up responses, and the assumed parameters."""
    conditional = model.log_density if isinstance(model.log_density, Conditional) else None
    if conditional is None and (simulate is None or response is None):
        raise ModelError(
            "A density of your own does not say what responses to expect: give response='y' and simulate=f(p, row, key)."
        )
    if conditional is not None and len(conditional.response) != 1:
        raise ModelError("design is for models of one response.")
    column, values, _ = response_of(model, conditional, response, None if conditional is not None else support)
    built = built_on(model, rows_of(model, data, column, values))
    if not isinstance(params, Mapping):
        raise ModelError(f"params must map names of parameters to assumed values; got {params!r}.")
    layout = built.objective.layout
    u, chosen = start_vector(built.model, layout, params)
    missing = [name for name, known in zip(_entries(built), chosen[built.objective.free]) if not known]
    if missing:
        raise ModelError(f"params lacks an assumed value of {', '.join(map(repr, missing[:5]))}.")
    exact = best_kind(built.objective.likelihood) == "expected"
    how = "the expected information" if exact else f"simulated responses, {draws} for each row (key={key})"
    return built, built.objective.to_z(u), how


def _entries(built: Built) -> list[str]:
    layout, free = built.objective.layout, built.objective.free
    names = [name for b in layout.blocks for name in (b.labels() if b.elementwise else [b.name] * (b.stop - b.start))]
    return [names[i] for i in free]


def _needed(found: Design, power: float | None, target_se: Any) -> dict[str, int]:
    out: dict[str, int] = {}
    if power is not None:
        distance, df = found._distance
        limit = chdtri(df, found.alpha)
        from scipy.optimize import brentq  # not needed by those who design nothing

        short = lambda log_n: 1 - chndtr(limit, df, np.exp(log_n) * distance) - power
        if distance <= 0 or short(np.log(MOST)) < 0:
            raise ModelError(f"No sample is large enough: under params the hypothesis {found.effect!r} is true.")
        rows = float(np.exp(brentq(short, -30.0, np.log(MOST), xtol=1e-12))) if short(-30.0) < 0 else 1.0  # type: ignore[arg-type]
        out[f"power {power:g}"] = max(1, int(np.ceil(rows - 1e-9)))
    if target_se is None:
        return out
    variances = dict(zip(found.names, np.diag(found.per_row)))
    if not isinstance(target_se, Mapping):
        if not found.effect:
            raise ModelError("target_se is a number for effect=..., or a mapping: target_se={'rate[x]': 0.1}.")
        _, covariance = found._gap
        if covariance.shape != (1, 1):
            raise ModelError("target_se is the standard error of one number, but effect= has several equations.")
        variances, target_se = {found.effect: covariance[0, 0]}, {found.effect: target_se}
    for name, wanted in target_se.items():
        if name not in variances:
            raise ModelError(f"target_se: there is no coefficient {name!r}; known are {', '.join(variances)}.")
        if isinstance(wanted, bool) or not isinstance(wanted, int | float | np.number) or not 0 < wanted < np.inf:
            raise ModelError(f"target_se of {name!r} must be a positive number; got {wanted!r}.")
        out[f"standard error {wanted:g} of {name}"] = max(1, int(np.ceil(variances[name] / wanted**2 - 1e-9)))
    return out


def _check(model: Any, n: Any, power: Any, alpha: Any, draws: Any) -> None:
    if not isinstance(model, Model):
        raise ModelError(f"design takes a jm.Model; got {type(model).__name__}.")
    if model.unit_kind != "row":
        raise ModelError(f"design is for models of rows, not of unit={model.unit!r}: simulate data sets and fit them.")
    for name, value in (("n", n), ("draws", draws)):
        whole = isinstance(value, int | np.integer) and not isinstance(value, bool) and value >= 1
        if value is not None and not whole:
            raise ModelError(f"{name} must be a whole number of at least 1; got {value!r}.")
    for name, value in (("power", power), ("alpha", alpha)):
        if value is not None and not (isinstance(value, float | np.floating) and 0 < value < 1):
            raise ModelError(f"{name} must be between 0 and 1; got {value!r}.")

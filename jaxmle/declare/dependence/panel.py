"""Repeated measurements of one subject: errors whose covariance is known but for a few numbers, in closed form."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np

from ...errors import DataError, ModelError, rows_in_words
from ..conditional import Bound, Data, OneColumn
from ..distributions.base import Distribution
from ..distributions.count_kernels import negative_binomial, poisson
from ..distributions.negative_binomial import NegativeBinomial
from ..distributions.normal import Normal
from ..distributions.poisson import Poisson
from ..domains import Domain, Interval, Positive
from ..families import declared, split_response
from ..model import Model, Parameter

LOG_2PI = float(np.log(2 * np.pi))

GAP, RANK = " gap", " rank"
"""Columns that binding adds: the time since the row before of the same group, and a row's place in its group."""


def panel(
    response: str, *, group: str, structure: str = "random_intercept", time: str | None = None, **parameters: Any
) -> Model:
    """A regression of repeated measurements: normal, or counts, with a dependence within groups that has a closed form.

    - "random_intercept": y = mean + a + e, with a group's own a of standard deviation `intercept_sd` and errors of `sd`.
    - "exchangeable": standard deviation `sd` and the same `correlation`, which may be negative, of all rows of a group.
    - "ar1": a correlation of `correlation`^(time between two rows).
    - "gamma_poisson": counts of a `rate` that is multiplied by a group's own gamma variable of mean 1 and variance
      `dispersion` (Hausman, Hall and Griliches, 1984, Econometrica 52, 909-938).

    A group is one observation: its likelihood takes as many operations as it has rows, and scores are those of groups, so
    that "sandwich" is robust to any other dependence within them.

    Arguments:
        response: `"y ~ terms"`.
        group: the column that says which group a row is in.
        structure: as above.
        time: for "ar1", the column of times; by default rows follow each other in steps of one, in the order of the data.
        parameters: for each parameter by name a formula (`mean`, or `rate`, alone), a domain, or a number.

    Raises:
        ModelError: for names and formulas that make no sense.
    """
    if structure not in STRUCTURES:
        raise ModelError(f"panel: structure is one of {', '.join(map(repr, STRUCTURES))}; got {structure!r}.")
    names, terms = split_response(response)
    if len(names) != 1:
        raise ModelError(f"panel has one response; got {list(names)!r}.")
    if not isinstance(group, str) or group in ("row", "all", ""):
        raise ModelError(f"panel: group takes the name of a column other than 'row', 'all'; got {group!r}.")
    if time is not None and (not isinstance(time, str) or structure != "ar1"):
        raise ModelError(f"panel: time is the name of a column, and for structure='ar1'; got {time!r}.")
    kind = STRUCTURES[structure]
    own = {name: parameters.pop(name, None) for name in kind.own}
    params: dict[str, Parameter] = dict(declared(kind.family, terms, parameters))
    for name, domain in kind.own.items():
        params[name] = _constant(own[name], domain, name)
    about = f"{response.strip()} | {group}, {structure.replace('_', ' ')}"
    conditional = Autoregressive(names[0], group, time) if kind is Autoregressive else kind(names[0], group)
    return Model(conditional, params, unit=group, name=kind.title, about=about)


def _constant(given: Any, domain: Domain, name: str) -> Domain:
    if given is None:
        return domain
    if isinstance(given, Domain):
        return given
    if isinstance(given, int | float) and not isinstance(given, bool):
        return replace(domain, fixed=float(given))
    raise ModelError(f"{name} of panel takes a domain or a number that it is held at; got {given!r}.")


@dataclass(frozen=True)
class Repeated(OneColumn):
    """The responses of one group; called with its rows and their mask."""

    group: str

    title: ClassVar[str] = "Panel regression"
    family: ClassVar[type[Distribution]] = Normal
    own: ClassVar[Mapping[str, Domain]] = {}

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.name, self.group)

    @property
    def outermost(self) -> bool:
        return True

    @abc.abstractmethod
    def of_group(self, p: Any, y: Any, rows: Mapping[str, Any], mask: Any) -> Any:
        """The log-density of the responses of a group, `y` where `mask` is true."""

    def __call__(self, p: Any, rows: Mapping[str, Any], mask: Any) -> Any:  # type: ignore[override]
        return self.of_group(p, rows[self.name], rows, mask)

    def expected(self, p: Any, rows: Mapping[str, Any], mask: Any) -> Any:  # type: ignore[override]
        raise ModelError("This model has no expected information; take 'observed', 'opg' or 'sandwich'.")

    def distribution(self, p: Any, row: Mapping[str, Any]) -> Distribution:
        """The distribution of one response, whatever the others of its group are."""
        return Normal(mean=p["mean"], sd=self.spread(p))

    def spread(self, p: Any) -> Any:
        """The standard deviation of one response."""
        return p["sd"]

    def starts(self, y: np.ndarray, weights: np.ndarray) -> dict[str, Any]:
        """Values of the parameters from which a search may begin."""
        return {"mean": float(np.average(y, weights=weights)), "sd": float(np.std(y)) or 1.0}

    def members(self, data: Data) -> np.ndarray:
        """The number of each row's group (n,)."""
        return np.unique(np.asarray(data.column(self.group, "the groups")), return_inverse=True)[1].reshape(-1)

    def bind(self, params: Mapping[str, Parameter], data: Data, weights: np.ndarray) -> Bound:
        y = data.numeric(self.name, "the response").astype(np.float64)
        member = self.members(data)
        if len(np.unique(member)) == len(member):
            raise DataError(f"Every row is a group of its own: {self.group!r} tells nothing about dependence.")
        if (np.ptp(y) == 0) and len(y):
            raise DataError(f"Response {self.name!r} is the same in all rows: there is nothing to explain.")
        return Bound(self, params, {self.name: y}, self.starts(y, weights))


def between_and_within(e: Any, mask: Any) -> tuple[Any, Any, Any]:
    """The number of rows, their mean, and the sum of squares around it: no difference of large sums."""
    n = jnp.sum(mask)
    mean = jnp.sum(jnp.where(mask, e, 0.0)) / n
    return n, mean, jnp.sum(jnp.where(mask, (e - mean) ** 2, 0.0))


def equicorrelated(e: Any, mask: Any, own: Any, shared: Any) -> Any:
    """The normal log-density of errors of variance own + shared and covariance shared, by its two eigenvalues.

    own along all contrasts, own + n·shared along the mean (Sherman and Morrison, 1950).
    """
    n, mean, within = between_and_within(e, mask)
    total = own + n * shared
    return -0.5 * (n * LOG_2PI + (n - 1) * jnp.log(own) + jnp.log(total) + within / own + n * mean**2 / total)


@dataclass(frozen=True)
class RandomIntercept(Repeated):
    """A normal with a group's own intercept."""

    title: ClassVar[str] = "Random-intercept regression"
    own: ClassVar[Mapping[str, Domain]] = {"intercept_sd": Positive()}

    def of_group(self, p: Any, y: Any, rows: Mapping[str, Any], mask: Any) -> Any:
        return equicorrelated(y - p["mean"], mask, p["sd"] ** 2, p["intercept_sd"] ** 2)

    def spread(self, p: Any) -> Any:
        return jnp.sqrt(p["sd"] ** 2 + p["intercept_sd"] ** 2)

    def starts(self, y: np.ndarray, weights: np.ndarray) -> dict[str, Any]:
        found = super().starts(y, weights)
        half = found["sd"] / np.sqrt(2)
        return found | {"sd": half, "intercept_sd": half}


@dataclass(frozen=True)
class Exchangeable(Repeated):
    """A normal whose rows have the same correlation within a group."""

    title: ClassVar[str] = "Regression with exchangeable errors"
    own: ClassVar[Mapping[str, Domain]] = {"correlation": Interval(-1.0, 1.0)}

    def of_group(self, p: Any, y: Any, rows: Mapping[str, Any], mask: Any) -> Any:
        variance = p["sd"] ** 2
        shared = variance * p["correlation"]
        return equicorrelated(y - p["mean"], mask, variance - shared, shared)

    def bind(self, params: Mapping[str, Parameter], data: Data, weights: np.ndarray) -> Bound:
        bound = super().bind(params, data, weights)
        domain = params["correlation"]
        most = int(np.bincount(self.members(data)).max())
        if isinstance(domain, Interval) and domain.low == -1.0:  # below −1/(n − 1) no n rows can be
            bound = replace(bound, params={**params, "correlation": replace(domain, low=-1.0 / (most - 1))})
        return replace(bound, starts={**bound.starts, "correlation": 0.3})


@dataclass(frozen=True)
class Autoregressive(Repeated):
    """A normal whose correlation within a group falls with the time between rows, with gaps."""

    time: str | None = None

    title: ClassVar[str] = "Regression with AR(1) errors"
    own: ClassVar[Mapping[str, Domain]] = {"correlation": Interval(-1.0, 1.0)}

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.name, self.group) if self.time is None else (self.name, self.group, self.time)

    def of_group(self, p: Any, y: Any, rows: Mapping[str, Any], mask: Any) -> Any:
        order = jnp.argsort(jnp.where(mask, rows[RANK], y.shape[0]))
        e, gap, mask = (y - p["mean"])[order], rows[GAP][order], mask[order]
        linked = mask & (jnp.arange(y.shape[0]) > 0)
        carried = jnp.where(linked, power(p["correlation"], jnp.where(linked, gap, 1.0)), 0.0)
        before = jnp.concatenate([jnp.zeros(1), e[:-1]])
        variance = p["sd"] ** 2 * (1.0 - carried**2)
        terms = LOG_2PI + jnp.log(variance) + (e - carried * before) ** 2 / variance
        return -0.5 * jnp.sum(jnp.where(mask, terms, 0.0))

    def bind(self, params: Mapping[str, Parameter], data: Data, weights: np.ndarray) -> Bound:
        bound = super().bind(params, data, weights)
        n, member = data.n_rows, self.members(data)
        order = np.argsort(member, kind="stable")
        time = np.arange(n, dtype=np.float64)
        if self.time is not None:
            time = data.numeric(self.time, "the times").astype(np.float64)
            order = np.lexsort((time, member))
        same = np.concatenate([[False], member[order][1:] == member[order][:-1]])
        step = np.diff(time[order], prepend=0.0) if self.time is not None else np.ones(n)
        if (same & (step == 0)).any():
            rows = np.sort(order[same & (step == 0)])
            raise DataError(
                f"Two rows of one {self.group!r} have the same {self.time!r}: {rows_in_words(data.numbered(rows))}."
            )
        gap, rank = np.ones(n), np.empty(n, np.int64)
        gap[order] = np.where(same, step, 1.0)
        starts = np.flatnonzero(~same)
        rank[order] = np.arange(n) - np.repeat(starts, np.diff(starts, append=n))
        domain = params["correlation"]
        if isinstance(domain, Interval) and domain.low == -1.0 and not (gap == np.round(gap)).all():
            bound = replace(bound, params={**params, "correlation": replace(domain, low=0.0)})  # ρ^½ has to be a number
        encoded = {**bound.encoded, GAP: gap, RANK: rank}
        return replace(bound, encoded=encoded, starts={**bound.starts, "correlation": 0.3})


def power(base: Any, exponent: Any) -> Any:
    """base^exponent for |base| < 1 and exponents > 0, whole ones where the base is negative."""
    one = exponent == 1.0
    size = jnp.abs(jnp.where(base == 0.0, 1e-300, base))
    odd = exponent % 2 == 1
    return jnp.where(one, base, jnp.where((base < 0) & odd, -1.0, 1.0) * size ** jnp.where(one, 2.0, exponent))


@dataclass(frozen=True)
class GammaPoisson(Repeated):
    """Counts with a group's own gamma-distributed factor of the rate."""

    title: ClassVar[str] = "Poisson regression with gamma effects"
    family: ClassVar[type[Distribution]] = Poisson
    own: ClassVar[Mapping[str, Domain]] = {"dispersion": Positive()}

    def of_group(self, p: Any, y: Any, rows: Mapping[str, Any], mask: Any) -> Any:
        rate = jnp.where(mask, p["rate"], 0.0)
        total, expected = jnp.sum(jnp.where(mask, y, 0.0)), jnp.sum(rate)
        log_rate = jnp.log(jnp.where(mask, p["rate"], 1.0))
        each = poisson(jnp.where(mask, y, 0.0), log_rate, jnp.where(mask, rate, 1.0))
        log_total = jnp.log(expected)
        # the total is negative binomial, and how it is divided among the rows does not depend on the group's factor
        mixed = negative_binomial(total, log_total, expected, p["dispersion"]) - poisson(total, log_total, expected)
        return jnp.sum(jnp.where(mask, each, 0.0)) + mixed

    def distribution(self, p: Any, row: Mapping[str, Any]) -> Distribution:
        return NegativeBinomial(mean=p["rate"], dispersion=p["dispersion"])

    def starts(self, y: np.ndarray, weights: np.ndarray) -> dict[str, Any]:
        return {"rate": float(np.average(y, weights=weights)), "dispersion": 0.5}

    def bind(self, params: Mapping[str, Parameter], data: Data, weights: np.ndarray) -> Bound:
        bound = super().bind(params, data, weights)
        y = bound.encoded[self.name]
        wrong = (y < 0) | (y != np.floor(y))
        if wrong.any():
            rows = np.flatnonzero(wrong)
            raise DataError(
                f"Response {self.name!r} is no count in {rows_in_words(data.numbered(rows))} "
                f"({', '.join(f'{v:g}' for v in y[rows[:5]])}); expected whole numbers from 0 up."
            )
        return bound


STRUCTURES: Mapping[str, type[Repeated]] = {
    "random_intercept": RandomIntercept,
    "exchangeable": Exchangeable,
    "ar1": Autoregressive,
    "gamma_poisson": GammaPoisson,
}
"""Structures by name."""

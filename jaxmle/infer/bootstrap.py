"""The bootstrap: what the estimates would be on other data sets like this one (Efron and Tibshirani, 1993)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np

from ..errors import ModelError, did_you_mean
from ..special import ndtr, ndtri
from .intervals import chosen, half_width
from .predict import responses, together
from .profile import Optimum
from .replicates import fit_replicates, pages
from .reported import Reported
from .transform import Flat

METHODS = ("percentile", "basic", "bca", "studentised", "normal")

FEWEST = 20
"""Replicates with which an interval can be said at all."""


@dataclass(frozen=True, eq=False, repr=False)
class Bootstrap:
    """Estimates on R resampled data sets; what `Fit.bootstrap` returns.

    Arguments:
        kind: "pairs" (observations drawn with replacement), "cluster" (whole clusters), "parametric" (responses drawn
            from the fitted distribution).
        names: flat names of the k estimated quantities, in order; `estimate` (k,) those of the fit, `std_error` (k,) its
            standard errors.
        coef: the estimates of the replicates that have a proved optimum, natural scale, shape (R', k).
        covariance: their own covariances, shape (R', k, k).
        reasons: why the others have none, one text each.
        acceleration: of the BCa intervals, shape (k,), from the units' influence on the estimates.
        origin: where the replicates come from: the optimum, their vectors `u`, and clusters.
    """

    kind: str
    names: tuple[str, ...]
    estimate: np.ndarray
    std_error: np.ndarray
    coef: np.ndarray
    covariance: np.ndarray
    reasons: tuple[str, ...]
    acceleration: np.ndarray
    origin: tuple[Optimum, np.ndarray, np.ndarray | None]

    @property
    def n_failed(self) -> int:
        """Replicates without a proved optimum, which are left out."""
        return len(self.reasons)

    @cached_property
    def std_errors(self) -> Mapping[str, float]:
        """The standard deviation of the replicates, by name."""
        return self._named(self.coef.std(axis=0, ddof=1))

    @cached_property
    def bias(self) -> Mapping[str, float]:
        """The mean of the replicates less the estimate, by name."""
        return self._named(self.coef.mean(axis=0) - self.estimate)

    def confint(
        self, level: float = 0.95, method: str = "percentile", names: Sequence[str] | None = None
    ) -> dict[str, tuple[float, float]]:
        """Confidence intervals by name: (low, high).

        Arguments:
            level: between 0 and 1.
            method: "percentile", "basic" (reflected at the estimate), "bca" (bias-corrected and accelerated; Efron, 1987),
                "studentised" (by each replicate's own standard error), or "normal" (the estimate less its bias, by
                the bootstrap's standard error).
            names: of which coefficients; all by default.

        Raises:
            ModelError: for a level, a method or names that make no sense, and with too few replicates.
        """
        if method not in METHODS:
            raise ModelError(f"There is no bootstrap interval {method!r}.{did_you_mean(method, METHODS)}")
        if len(self.coef) < FEWEST:
            raise ModelError(f"An interval needs at least {FEWEST} replicates; there are {len(self.coef)}.")
        asked = chosen(names, self.names)
        low, high = self._intervals(level, method)
        ends = {name: (float(a), float(b)) for name, a, b in zip(self.names, low, high)}
        return {name: ends[name] for name in asked}

    def transform(self, f: Callable[[Mapping[str, Any]], Any]) -> Resampled:
        """A function of the parameters on every replicate.

        Arguments:
            f: a differentiable function of the parameters on their natural scale (a `Linear` by its coefficients), written
                with `jax.numpy`; it may return any structure of numbers and arrays.

        Returns:
            A `Resampled`: `estimate`, `std_error` and `replicates` of that structure, and `confint(level, method)`.

        Raises:
            ModelError: for a function that cannot be computed.
        """
        optimum, u, clusters = self.origin
        objective = optimum.objective
        flat = Flat(objective.layout, f)
        values, slopes = flat.at(objective.to_u(optimum.z), objective.constants)
        drawn = flat.of_each(u, objective.constants)
        errors, m = drawn.std(axis=0, ddof=1), len(values)
        numbers = replace(
            self,
            names=tuple(map(str, range(m))),
            estimate=values,
            std_error=errors,
            coef=drawn,
            covariance=np.full((len(drawn), m, m), np.nan),
            acceleration=_acceleration(
                optimum, slopes[:, objective.free] * objective.scale, objective.weights(), clusters
            ),
        )
        return Resampled(numbers, flat)

    def _intervals(self, level: float, method: str) -> tuple[np.ndarray, np.ndarray]:
        width, tails = half_width(level), np.array([(1 - level) / 2, (1 + level) / 2])
        if method == "normal":
            centre, half = 2 * self.estimate - self.coef.mean(axis=0), width * self.coef.std(axis=0, ddof=1)
            return centre - half, centre + half
        if method == "studentised":
            errors = np.sqrt(np.diagonal(self.covariance, axis1=1, axis2=2))
            high, low = np.quantile((self.coef - self.estimate) / errors, tails, axis=0)
            return self.estimate - low * self.std_error, self.estimate - high * self.std_error
        if method == "bca":
            return self._accelerated(np.array([-width, width]))
        low, high = np.quantile(self.coef, tails, axis=0)
        return (low, high) if method == "percentile" else (2 * self.estimate - high, 2 * self.estimate - low)

    def _accelerated(self, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        shift = ndtri(np.mean(self.coef < self.estimate, axis=0) + 0.5 * np.mean(self.coef == self.estimate, axis=0))
        out = np.full((2, len(self.names)), np.nan)
        for side, end in enumerate(ends):
            at = ndtr(shift + (shift + end) / (1 - self.acceleration * (shift + end)))
            for j in np.flatnonzero(np.isfinite(at)):
                out[side, j] = np.quantile(self.coef[:, j], at[j])
        return out[0], out[1]

    def _named(self, values: np.ndarray) -> Mapping[str, float]:
        return MappingProxyType(dict(zip(self.names, map(float, values))))

    def __repr__(self) -> str:
        failed = f"; {self.n_failed:,} more have no proved optimum" if self.n_failed else ""
        lines = [f"Bootstrap ({self.kind}): {len(self.coef):,} replicates{failed}"]
        if len(self.coef) >= FEWEST:
            low, high = self._intervals(0.95, "percentile")
            width = max(map(len, self.names))
            lines.append(f"  {'':{width}}  {'estimate':>10}  {'bias':>10}  {'std error':>10}  95 % percentile interval")
            for j, name in enumerate(self.names):
                numbers = (self.estimate[j], self.bias[name], self.std_errors[name])
                cells = "  ".join(f"{x:10.4g}" for x in numbers)
                lines.append(f"  {name:{width}}  {cells}  [{low[j]:.4g}, {high[j]:.4g}]")
        return "\n".join(lines)


@dataclass(frozen=True, eq=False, repr=False)
class Resampled:
    """A function of the parameters on resampled data sets; what `Bootstrap.transform` returns."""

    numbers: Bootstrap
    flat: Flat

    @property
    def estimate(self) -> Any:
        """Its value at the estimates."""
        return self.flat.back(self.numbers.estimate)

    @property
    def std_error(self) -> Any:
        """The standard deviation of its replicates."""
        return self.flat.back(self.numbers.std_error)

    @property
    def replicates(self) -> Any:
        """Its values on the resampled data sets, which are the first axis of each array."""
        return self.flat.back(self.numbers.coef)

    def confint(self, level: float = 0.95, method: str = "percentile") -> tuple[Any, Any]:
        """Confidence intervals: (low, high), each of the structure of the value.

        Arguments:
            level: between 0 and 1.
            method: "percentile", "basic", "bca" or "normal", as of `Bootstrap`.

        Raises:
            ModelError: for a level or a method that makes no sense, and with too few replicates.
        """
        if method == "studentised":
            raise ModelError(
                "A function has no studentised interval: its replicates have no standard errors. Take 'bca'."
            )
        low, high = np.array(list(self.numbers.confint(level, method).values())).T
        return self.flat.back(low), self.flat.back(high)


def resampled(
    fit: Any, optimum: Optimum, std_errors: np.ndarray, n: int, kind: str, clusters: np.ndarray | None, key: int
) -> Bootstrap:
    """`Fit.bootstrap`."""
    if kind not in ("pairs", "parametric"):
        raise ModelError(f"kind must be 'pairs' or 'parametric'; got {kind!r}.")
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
        raise ModelError(f"n must be a whole number of at least 1; got {n!r}.")
    if kind == "parametric" and clusters is not None:
        raise ModelError("cluster= goes with kind='pairs': a parametric bootstrap draws each response by itself.")
    if optimum.objective.program.unit == "all" and kind != "parametric":
        raise ModelError(
            "Rows that depend on each other (unit='all') cannot be drawn one by one; for a series take kind='parametric'."
        )
    session, model = fit.session, fit.model
    if clusters is not None and len(np.unique(clusters)) < 2:
        raise ModelError(
            "cluster= has one cluster alone: drawing it again gives the same data. A bootstrap needs several."
        )
    if kind == "parametric" and not session.sampling_weights and (optimum.objective.weights() != 1).any():
        raise ModelError(
            "A parametric bootstrap draws one response for each row, and rows with a frequency weight stand for several: "
            "repeat each row as often as its weight says, or take kind='pairs'."
        )
    draw = None
    if kind == "parametric":
        draw = lambda first, many: responses(model, fit.estimates, session.used, many, key, first)
    return bootstrap(optimum, session.source, n, key, std_errors, clusters, draw)


def bootstrap(
    optimum: Optimum,
    source: Any,
    n: int,
    key: int,
    std_errors: np.ndarray,
    clusters: np.ndarray | None = None,
    draw: Callable[[int, int], Mapping[str, np.ndarray]] | None = None,
) -> Bootstrap:
    """Estimates on `n` resampled data sets.

    Arguments:
        optimum: of the fit; `source` its data, `std_errors` those of the reported estimates.
        clusters: codes from zero, one for each unit: whole clusters are drawn.
        draw: for a parametric bootstrap, (first, how many) → name of a column → drawn responses, (how many, units).
    """
    objective, z, rows = optimum.objective, optimum.z, len(source.rows)
    weights, rng = objective.weights(), np.random.default_rng(key)
    if draw is not None:
        kind = "parametric"
        sample = lambda first, many: (np.tile(weights, (many, 1)), draw(first, many))
    else:
        kind = "pairs" if clusters is None else "cluster"
        sample = lambda _, many: (_counts(weights, clusters, many, rng), {})
    found = fit_replicates(objective, source, z, sample, pages(n, rows, together(rows)))
    reported = Reported.at(objective, z)
    good = np.array(found.reasons == "")
    return Bootstrap(
        kind=kind,
        names=reported.names,
        estimate=reported.values,
        std_error=std_errors,
        coef=found.coef[good],
        covariance=found.covariance[good],
        reasons=tuple(found.reasons[~good].tolist()),
        acceleration=_acceleration(optimum, reported.jacobian, weights, clusters),
        origin=(optimum, found.u[good], clusters),
    )


def _counts(weights: np.ndarray, clusters: np.ndarray | None, n: int, rng: np.random.Generator) -> np.ndarray:
    """How often each unit is drawn, (n, units): frequencies are observations, each drawn by itself."""
    if clusters is not None:
        return weights * _drawn(int(clusters.max()) + 1, n, rng)[:, clusters]
    if (weights == 1).all():
        return _drawn(len(weights), n, rng)
    return rng.multinomial(round(weights.sum()), weights / weights.sum(), n).astype(np.float64)


def _drawn(units: int, n: int, rng: np.random.Generator) -> np.ndarray:
    """How often each of some units is among so many draws of one, (n, units): a multinomial, in a quarter of its time."""
    out = np.empty((n, units))
    for counts in out:
        counts[:] = np.bincount(rng.integers(0, units, units), minlength=units)
    return out


def _acceleration(
    optimum: Optimum, jacobian: np.ndarray, weights: np.ndarray, clusters: np.ndarray | None
) -> np.ndarray:
    """A sixth of the skewness of the units' influence on each estimate (Efron, 1987, equation 6.6)."""
    influence = optimum.objective.scores(optimum.z) @ optimum.inverse @ jacobian.T
    if clusters is not None:
        sums = np.zeros((clusters.max() + 1, influence.shape[1]))
        np.add.at(sums, clusters, influence * weights[:, None])
        influence, weights = sums, np.ones(len(sums))
    with np.errstate(invalid="ignore", divide="ignore"):
        return (weights @ influence**3) / (6 * (weights @ influence**2) ** 1.5)

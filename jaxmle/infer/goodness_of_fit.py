"""Tests of whether responses come from the fitted distribution at all, with p-values that know that it was fitted.

Under the model P(Y ≤ y) at the responses is uniform, but for the parameters being estimated from the same responses:
that makes the distances between the two smaller than tables for known parameters say. So responses are drawn from the
fitted distribution, the model is fitted to each such data set, and its distances are what those of the data are
compared with (Stute, González Manteiga and Presedo Quindimil, 1993, Metrika 40, 243-256).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from ..declare.conditional import Conditional, conditional_of
from ..declare.distributions.supports import BINARY
from ..errors import ModelError
from ..objective.objective import Objective
from ..objective.replicas import terms_of_replicas
from .goodness import between_limits
from .intervals import check_level
from .marginal import cells, expected_counts
from .predict import responses, together
from .profile import optimum_of
from .replicates import fit_page, pages
from .statements import Tail

FEWEST = 20
"""Data sets with which a p-value can be said at all."""

SMALLEST = 5.0
"""Responses expected in each cell of a χ² statistic, at least."""

PROBABILITIES = 8
"""So many probabilities of single responses take no longer than one of P(Y ≤ y), and are added up instead."""

TITLES = {
    "ks": "Kolmogorov–Smirnov D",
    "ad": "Anderson–Darling A²",
    "chi2": "Pearson χ²",
}


@dataclass(frozen=True, eq=False, repr=False)
class GoodnessOfFit:
    """Distances between responses and fitted distribution; what `Fit.goodness_of_fit` returns.

    Arguments:
        statistic: name → distance: "ks" (Kolmogorov–Smirnov), "ad" (Anderson–Darling), and for counts "chi2".
        simulated: name → the same of R data sets drawn from the fitted distribution, each with its own fit, shape (R,).
        n_failed: data sets whose fit has no proved optimum; they are left out.
        n_cells: of the χ² statistic, 0 where there is none.
        title: of the model; `n_obs` how many responses.
    """

    statistic: Mapping[str, float]
    simulated: Mapping[str, np.ndarray]
    n_failed: int
    n_cells: int
    title: str
    n_obs: int

    @property
    def n(self) -> int:
        """Data sets that the responses are compared with."""
        return len(next(iter(self.simulated.values())))

    @property
    def p_value(self) -> Mapping[str, float]:
        """Name → (1 + how many simulated distances are as large) / (1 + R) (Davison and Hinkley, 1997, section 4.2)."""
        return MappingProxyType(
            {k: float((1 + np.sum(v >= self.statistic[k])) / (1 + len(v))) for k, v in self.simulated.items()}
        )

    @property
    def p_value_error(self) -> Mapping[str, float]:
        """Name → the standard deviation of the p-value over other draws of as many data sets."""
        return MappingProxyType({k: float(np.sqrt(p * (1 - p) / self.n)) for k, p in self.p_value.items()})

    def critical_value(self, name: str, level: float = 0.05) -> float:
        """The distance that is exceeded with probability `level` if the model is right.

        Raises:
            ModelError: for an unknown name, or a level that is not between 0 and 1.
        """
        if name not in self.simulated:
            raise ModelError(f"There is no statistic {name!r}; there are {', '.join(map(repr, self.simulated))}.")
        check_level(level)
        return float(np.quantile(self.simulated[name], 1 - level))

    def tidy(self) -> dict[str, np.ndarray]:
        """Columns: statistic, value, p_value, p_value_error, critical_5_percent."""
        names = list(self.statistic)
        columns = {
            "value": self.statistic,
            "p_value": self.p_value,
            "p_value_error": self.p_value_error,
            "critical_5_percent": {k: self.critical_value(k) for k in names},
        }
        return {"statistic": np.array(names)} | {c: np.array([v[k] for k in names]) for c, v in columns.items()}

    def __repr__(self) -> str:
        lines = [f"Goodness of fit: {self.title}, {self.n_obs:,} responses"]
        titles = [TITLES[k] + (f" ({self.n_cells} cells)" if k == "chi2" else "") for k in self.statistic]
        width = max(map(len, titles))
        lines.append(f"  {'':{width}}  {'statistic':>10}  {'5 % point':>10}  p-value")
        for name, title in zip(self.statistic, titles):
            p, error = self.p_value[name], self.p_value_error[name]
            said = f"{p:.3f} ± {error:.3f}"
            lines.append(f"  {title:{width}}  {self.statistic[name]:10.4g}  {self.critical_value(name):10.4g}  {said}")
        failed = f"; {self.n_failed:,} more have no proved optimum" if self.n_failed else ""
        lines.append(
            f"  p-values by {self.n:,} simulated data sets, each fitted anew{failed}; ± is their Monte Carlo error"
        )
        return "\n".join(lines)


def goodness_of_fit(fit: Any, n: int, key: int) -> GoodnessOfFit:
    """`Fit.goodness_of_fit`."""
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < FEWEST:
        raise ModelError(f"n must be a whole number of at least {FEWEST}; got {n!r}.")
    if isinstance(key, bool) or not isinstance(key, int | np.integer) or key < 0:
        raise ModelError(f"key must be a whole number from 0 up; got {key!r}.")
    optimum = optimum_of(fit, "A test of goodness of fit")
    objective, conditional = optimum.objective, _usable(fit)
    whole = conditional.support is not None and conditional.support.whole
    name, used = conditional.response[0], fit.session.used
    seen = used.numeric(name).astype(np.float64)
    edges = _edges(fit, seen) if whole else np.zeros(0)
    n_cells = len(edges) + 1 if len(edges) > 1 else 0
    rng = np.random.default_rng(key)

    def distances(u: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
        below, above = _tails(objective, conditional, u, name, y, rng)
        found = {"ks": kolmogorov_smirnov(below), "ad": anderson_darling(below, above)}
        if n_cells:
            found["chi2"] = _chi_squared(objective, conditional, u, name, y, edges)
        return found

    u, y, parts, reasons = objective.to_u(optimum.z)[None], seen[None], [], []
    for first, many in pages(n, len(seen), together(len(seen))):
        drawn = responses(fit.model, fit.estimates, used, many, key, first)
        found = fit_page(objective, fit.session.source, optimum.z, np.ones((many, len(seen))), drawn)
        good = found.reasons == ""
        reasons.append(found.reasons[~good])
        if good.any() or not first:
            parts.append(distances(np.concatenate([u, found.u[good]]), np.concatenate([y, drawn[name][good]])))
        u, y = u[:0], y[:0]  # the data themselves are in the first page
    each = {k: np.concatenate([part[k] for part in parts]) for k in parts[0]}
    failed = np.concatenate(reasons)
    if n - len(failed) < FEWEST:
        why = next(iter(failed), "")
        raise ModelError(f"Only {n - len(failed)} of {n} simulated data sets could be fitted: no p-value. {why}")
    return GoodnessOfFit(
        statistic=MappingProxyType({k: float(v[0]) for k, v in each.items()}),
        simulated=MappingProxyType({k: v[1:] for k, v in each.items()}),
        n_failed=len(failed),
        n_cells=n_cells,
        title=fit.estimates.title,
        n_obs=len(seen),
    )


def _usable(fit: Any) -> Conditional:
    """The distribution of the response; raises `ModelError` where it has no such test."""
    conditional = conditional_of(fit.model, "goodness_of_fit")
    support = conditional.support
    if (
        support is None
        or fit.model.unit != "row"
        or len(conditional.response) != 1
        or hasattr(conditional.kind, "probabilities")
    ):
        raise ModelError(f"goodness_of_fit is for a response that is one number; {fit.model.title!r} has none.")
    if support == BINARY:
        raise ModelError(
            "goodness_of_fit says nothing of a binary response, which has no distribution but its mean: look at "
            "fit.plot('calibration')."
        )
    if conditional.outermost:
        raise ModelError(
            "goodness_of_fit draws new responses, and when these would have been censored is unknown: look at "
            "fit.plot('residuals') and fit.plot('survival')."
        )
    if (fit.session.objective.weights() != 1).any():
        raise ModelError("goodness_of_fit needs rows of weight one: repeat each row as often as its weight says.")
    return conditional


def _tails(
    objective: Objective,
    conditional: Conditional,
    u: np.ndarray,
    name: str,
    y: np.ndarray,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """log P(Y ≤ y) and log P(Y > y) in each data set at its own parameters, (R, n); of counts at random within jumps."""
    tail = lambda upper, y: terms_of_replicas(_asking(objective, conditional, upper), u, {name: y})
    below, above = tail(False, y), tail(True, y)
    if conditional.support is None or not conditional.support.whole:
        return below, above
    return between_limits(below, above, tail(False, y - 1), tail(True, y - 1), rng)


def _asking(objective: Objective, conditional: Conditional, upper: bool) -> Objective:
    """The objective with a tail of the distribution in place of its log-density."""
    return replace(objective, program=replace(objective.program, log_density=Tail(conditional, upper, False)))


def kolmogorov_smirnov(below: np.ndarray) -> np.ndarray:
    """The largest distance of each sample's distribution function from the uniform, from log F of its n values (R, n)."""
    f = np.exp(np.sort(below, axis=1))
    n = f.shape[1]
    i = np.arange(1, n + 1)
    return np.maximum(i / n - f, f - (i - 1) / n).max(axis=1)


def anderson_darling(below: np.ndarray, above: np.ndarray) -> np.ndarray:
    """A² of each sample, from log F and log(1 − F) of its n values, (R, n) (Anderson and Darling, 1954)."""
    n = below.shape[1]
    low, high = np.sort(below, axis=1), np.sort(above, axis=1)
    return -n - ((2 * np.arange(1, n + 1) - 1) * (low + high)).sum(axis=1) / n


def _edges(fit: Any, y: np.ndarray) -> np.ndarray:
    """The least whole numbers of all cells of the χ² statistic but the first; in each enough responses are expected."""
    every = cells(y, fit.model.log_density.support.low)
    expected = expected_counts(fit, every)
    edges, so_far, left = [], expected[0], len(y) - expected[0]
    for edge, here in zip(every[1:-1], expected[1:]):
        if so_far >= SMALLEST and left >= SMALLEST:
            edges.append(edge)
            so_far = 0.0
        so_far, left = so_far + here, left - here
    return np.array(edges)


def _chi_squared(
    objective: Objective, conditional: Conditional, u: np.ndarray, name: str, y: np.ndarray, edges: np.ndarray
) -> np.ndarray:
    """Σ (observed − expected)²/expected over the cells in each data set, expected at its own parameters."""
    many, n = y.shape
    each = lambda asked, value: np.exp(terms_of_replicas(asked, u, {name: np.full(y.shape, value)})).sum(axis=1)
    low = conditional.support.low if conditional.support else -np.inf
    if edges[-1] - low <= PROBABILITIES * len(edges):
        values = np.arange(low, edges[-1])
        so_far = np.cumsum([each(objective, value) for value in values], axis=0)
        up_to = so_far[np.searchsorted(values, edges) - 1]
    else:
        asking = _asking(objective, conditional, False)
        up_to = [each(asking, edge - 1) for edge in edges]
    expected = np.diff(np.stack([np.zeros(many), *up_to, np.full(many, float(n))], axis=1), axis=1)
    inner = np.stack([(y < e).sum(axis=1) for e in edges], axis=1)
    observed = np.diff(np.column_stack([np.zeros(many), inner, np.full(many, n)]), axis=1)
    return ((observed - expected) ** 2 / expected).sum(axis=1)

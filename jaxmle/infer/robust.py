"""From the objective at the optimum to the covariance of the reported quantities, of any kind."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..errors import FitWarning, ModelError, did_you_mean
from ..objective.expectation import expected_information, simulated_information
from ..objective.leverage import MOST_NUMBERS, adjusted_scores, shares
from ..objective.objective import Objective
from ..solve.choose import NEWTON_SIZE
from ..solve.quadratic import metric_of
from .covariance import bartlett, carried, clustered, contributions, crossed, meat, observed, outer_product
from .directions import Direction
from .estimates import Estimates, nothing_known
from .reported import Reported

KINDS = ("observed", "expected", "opg", "sandwich", "HC0", "HC1", "HC2", "HC3", "HAC")

CLUSTERED = ("sandwich", "HC0", "HC1")

DRAWS = 200
"""Data sets from which an expected information is simulated, unless it is said how many."""

ALONE = 1e-9
"""One minus the leverage of a unit that alone decides its own fit."""

Draw = Callable[[int, int], Sequence[Mapping[str, np.ndarray]]]
"""So many data sets drawn from the fitted distribution, from a seed: the columns of the response, (units,)."""


@dataclass(frozen=True, eq=False)
class Choice:
    """Which covariance; `clusters` has a name and codes from zero, one per unit, for each way of clustering."""

    kind: str = "default"
    clusters: tuple[tuple[str, np.ndarray], ...] = ()
    lags: int | None = None
    draws: int | None = None
    key: int = 0

    def settled(self, sampling_weights: bool) -> Choice:
        """With the default kind named.

        Raises:
            ModelError: for what makes no sense, or not together.
        """
        kind = self.kind
        if kind == "default":
            kind = "sandwich" if sampling_weights or self.clusters else "HAC" if self.lags is not None else "observed"
        check_kind(kind)
        if self.clusters and kind not in CLUSTERED:
            raise ModelError(
                f"cluster= goes with a sandwich covariance ({', '.join(CLUSTERED)}), not with kind={kind!r}."
            )
        if self.lags is not None and kind != "HAC":
            raise ModelError(f"lags= goes with kind='HAC', not with kind={kind!r}.")
        if self.draws is not None and kind != "expected":
            raise ModelError(f"draws= goes with kind='expected', not with kind={kind!r}.")
        for name, value, least in (("lags", self.lags, 0), ("draws", self.draws, 2), ("key", self.key, 0)):
            whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
            if value is not None and not (whole and value >= least):
                raise ModelError(f"{name} must be a whole number of at least {least}; got {value!r}.")
        return replace(self, kind=kind)


DEFAULT = Choice()


def covariance_of(
    estimates: Estimates,
    objective: Objective,
    z: np.ndarray,
    hessian: np.ndarray | None,
    choice: Choice,
    sampling_weights: bool,
    draw: Draw,
) -> Estimates:
    """`estimates` with the covariance of the given kind, by the delta method through the exact Jacobian.

    Raises:
        ModelError: for a choice that makes no sense, and for data that are too few for it.
    """
    choice = choice.settled(sampling_weights)
    kind = choice.kind
    for name, codes in choice.clusters:
        if codes.max() == 0:
            which = f"cluster={name!r}" if len(choice.clusters) > 1 else "cluster="
            raise ModelError(f"{which} has one cluster alone, whose scores sum to zero: a sandwich needs at least two.")
    if kind == "HC1" and estimates.n_obs <= estimates.df:
        raise ModelError(f"HC1 needs more observations ({estimates.n_obs:g}) than parameters ({estimates.df}).")
    if kind == "HAC":
        choice = replace(choice, lags=_lags(choice.lags, objective, sampling_weights))
    k = len(estimates.names)
    if hessian is None or not estimates.certificate.usable:
        reason = estimates.certificate.reason or "no Hessian"
        withheld = dict.fromkeys(estimates.names, reason)
        return replace(estimates, covariance=nothing_known(k), covariance_kind=kind, withheld=withheld)
    directions = estimates.certificate.directions
    about = _in_words(choice)
    if kind == "opg":
        in_z = observed(outer_product(objective, z), directions)
    elif kind == "expected":
        information, about = information_at(objective, z, directions, draw, choice.draws, choice.key)
        in_z = observed(information, directions)
    else:
        in_z = observed(hessian, directions)
    if kind not in ("observed", "opg", "expected"):
        in_z = in_z @ _middle(estimates, objective, z, hessian, choice, sampling_weights) @ in_z
    reported = Reported.at(objective, z)
    covariance = carried(reported.jacobian, in_z)
    reason = "the information matrix is not positive definite"
    if len(choice.clusters) > 1 and _indefinite(covariance):
        reason = "two-way clustering gives it a negative variance"
        about += "; not positive semidefinite"
        warnings.warn(
            "The covariance by two-way clusters is not positive semidefinite: some combination of the coefficients has a "
            "negative variance. It is given as it is; take one of the two, or more clusters.",
            FitWarning,
            stacklevel=4,
        )
    withheld: dict[str, str] = {}
    lost = np.zeros(k, bool)
    metric = metric_of(np.ones(len(hessian)), hessian)
    for direction in directions:
        lost |= reported.moved_by(direction.vector, metric)
    for i in np.flatnonzero(lost):
        withheld[estimates.names[i]] = estimates.certificate.reason
        covariance[i, :] = covariance[:, i] = np.nan
    for i in np.flatnonzero(~(np.diag(covariance) > 0)):
        withheld.setdefault(estimates.names[i], reason)
        covariance[i, :] = covariance[:, i] = np.nan
    return replace(estimates, covariance=covariance, covariance_kind=kind, covariance_about=about, withheld=withheld)


def refuse_unformed(estimates: Estimates) -> None:
    """Raises `ModelError`, with its size, for a covariance whose Hessian was too large to be formed."""
    k = len(estimates.names)
    if estimates.certificate.status == "not_proved" and k > NEWTON_SIZE:
        raise ModelError(
            f"A covariance of {k:,} parameters is a matrix of {k:,}² numbers ({8e-9 * k**2:.2g} GB) and needs a Hessian "
            "as large, which is not formed. jm.laplace_covariance(fit, kind=...) approximates part of it: chosen parameters, "
            "the diagonal, or the largest axes."
        )


def check_kind(kind: str) -> None:
    """Raises `ModelError` for a kind of covariance that does not exist."""
    if kind not in KINDS:
        raise ModelError(f"There is no covariance of kind {kind!r}.{did_you_mean(kind, KINDS)}")


def is_list_of_ways(cluster: Any, n_rows: int | None) -> bool:
    """Whether `cluster` is a list of two ways of clustering, and not labels of the rows.

    Raises:
        ModelError: for a list of other than two columns.
    """
    if not isinstance(cluster, list | tuple) or len(cluster) == n_rows:
        return False
    if not all(isinstance(c, str) or np.shape(c) == (n_rows,) for c in cluster):
        return False
    if len(cluster) != 2:
        raise ModelError(f"cluster= takes one way of clustering or a list of two; got {len(cluster)}.")
    return True


def information_at(
    objective: Objective, z: np.ndarray, directions: Sequence[Direction], draw: Draw, draws: int | None, key: int
) -> tuple[np.ndarray, str]:
    """The expected information at `z`, exact where it can be had and no `draws` are asked for, and how it was found."""
    exact, how = expected_information(objective, z)
    if exact is not None and draws is None:
        return exact, how
    draws = DRAWS if draws is None else draws
    information, each = simulated_information(objective, z, draw(draws, key))
    covariance = observed(information, directions)
    moved = np.einsum("ia,raj,ij->ri", covariance, each @ covariance, np.eye(len(z)))
    with np.errstate(invalid="ignore", divide="ignore"):  # a variance is to first order −V H V away
        errors = 0.5 * moved.std(axis=0, ddof=1) / np.diag(covariance) / np.sqrt(draws)
    worst = float(np.nanmax(errors)) if np.isfinite(errors).any() else np.nan
    return information, f"{draws:,} simulated data sets, standard errors to ± {100 * worst:.2g} % (Monte Carlo)"


def _lags(lags: int | None, objective: Objective, sampling_weights: bool) -> int:
    n = objective.n_units
    if not sampling_weights and (objective.weights() != 1).any():
        raise ModelError("HAC takes observations one after the other in time: it has no frequency weights.")
    lags = min(int(4 * (n / 100) ** (2 / 9)), n - 1) if lags is None else int(lags)
    if lags >= n:
        raise ModelError(f"lags must be less than the number of observations, {n}; got {lags}.")
    return lags


def _in_words(choice: Choice) -> str:
    if choice.kind == "HAC":
        return f"Bartlett kernel of {choice.lags} lag{'s' * (choice.lags != 1)}"
    names = [f"{name} ({codes.max() + 1:,} clusters)" for name, codes in choice.clusters]
    return f"by {' and '.join(names)}" if names else ""


def _middle(
    estimates: Estimates,
    objective: Objective,
    z: np.ndarray,
    hessian: np.ndarray,
    choice: Choice,
    sampling_weights: bool,
) -> np.ndarray:
    """Between the two slices of a sandwich."""
    n, k, kind = estimates.n_obs, estimates.df, choice.kind
    if kind in ("HC2", "HC3"):
        power = 0.5 if kind == "HC2" else 1.0
        directions = estimates.certificate.directions
        scores, most = adjusted_scores(
            objective, z, _by_parameter(objective, hessian, directions), power, sampling_weights
        )
        alone = np.flatnonzero(~(most < 1 - ALONE))
        if len(alone):
            raise ModelError(
                f"{kind} divides by one minus the leverage, and observation {alone[0]} has {most[alone[0]]:.6g}: it alone "
                "decides some coefficient. Leave out that coefficient, or take HC1."
            )
        w = objective.weights()
        return (scores * (w**2 if sampling_weights else w)[:, None]).T @ scores
    if kind == "HAC":
        return bartlett(contributions(objective, z), choice.lags or 0)
    if not choice.clusters:
        factor = n / (n - k) if kind == "HC1" else 1.0
        return factor * meat(objective, z, sampling_weights)
    each = contributions(objective, z)
    codes = [c for _, c in choice.clusters]
    terms = [(1.0, c) for c in codes] + ([(-1.0, crossed(*codes))] if len(codes) == 2 else [])
    factor = lambda c: _cluster_factor(c, n, k) if kind == "HC1" else 1.0
    return sum(sign * factor(c) * clustered(each, c) for sign, c in terms)  # type: ignore[return-value]


def _cluster_factor(clusters: np.ndarray, n: float, k: int) -> float:
    g = int(clusters.max()) + 1
    return g / (g - 1) * (n - 1) / (n - k)


def _by_parameter(objective: Objective, hessian: np.ndarray, directions: Sequence[Direction]) -> list[np.ndarray]:
    """The inverse of each parameter's own block of the Hessian in `u`, the others held; zero for what is held."""
    out = []
    where = np.full(objective.layout.size, -1)
    where[objective.free] = np.arange(objective.size)
    for share in shares(objective.likelihood):
        if len(share.of) > MOST_NUMBERS:
            raise ModelError(
                f"HC2 and HC3 take parameters of at most {MOST_NUMBERS} numbers that are the same for all rows; one has "
                f"{len(share.of)}. Take HC1."
            )
        free = np.flatnonzero(where[share.entries] >= 0)
        at = where[share.entries[free]]
        kept = [replace(d, vector=d.vector[at]) for d in directions if np.linalg.norm(d.vector[at]) > 1e-6]
        v = np.zeros([len(share.entries)] * 2)
        v[np.ix_(free, free)] = observed(hessian[np.ix_(at, at)], kept) * np.outer(*[objective.scale[at]] * 2)
        out.append(v)
    return out


def _indefinite(covariance: np.ndarray) -> bool:
    """Whether some combination of coefficients has a negative variance, beyond rounding."""
    size = np.sqrt(np.abs(np.diag(covariance)))
    size = np.where(size > 0, size, 1.0)
    return bool(np.linalg.eigvalsh(covariance / np.outer(size, size))[0] < -1e-9)

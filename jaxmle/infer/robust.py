"""From the objective at the optimum to the covariance of the reported quantities, of any kind."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..errors import ModelError, did_you_mean
from ..objective.objective import Objective
from .covariance import meat, observed, outer_product
from .estimates import Estimates
from .reported import Reported

KINDS = ("observed", "opg", "sandwich", "HC0", "HC1")


def covariance_of(
    estimates: Estimates,
    objective: Objective,
    z: np.ndarray,
    hessian: np.ndarray | None,
    kind: str,
    clusters: np.ndarray | None,
    sampling_weights: bool,
) -> Estimates:
    """`estimates` with the covariance of the given kind, by the delta method through the exact Jacobian.

    Raises:
        ModelError: for an unknown kind, and for data that are too few for it.
    """
    if kind == "default":
        kind = "sandwich" if sampling_weights or clusters is not None else "observed"
    check_kind(kind)
    if clusters is not None and kind in ("observed", "opg"):
        raise ModelError(f"cluster= goes with a sandwich covariance, not with kind={kind!r}.")
    if clusters is not None and clusters.max() == 0:
        raise ModelError("cluster= has one cluster alone, whose scores sum to zero: a sandwich needs at least two.")
    if kind == "HC1" and estimates.n_obs <= estimates.df:
        raise ModelError(f"HC1 needs more observations ({estimates.n_obs:g}) than parameters ({estimates.df}).")
    k = len(estimates.names)
    if hessian is None or not estimates.certificate.usable:
        reason = estimates.certificate.reason or "no Hessian"
        nothing = np.full((k, k), np.nan)
        return replace(
            estimates, covariance=nothing, covariance_kind=kind, withheld=dict.fromkeys(estimates.names, reason)
        )
    directions = estimates.certificate.directions
    if kind == "opg":
        in_z = observed(outer_product(objective, z), directions)
    else:
        in_z = observed(hessian, directions)
    if kind in ("sandwich", "HC0", "HC1"):
        middle = meat(objective, z, sampling_weights, clusters)
        factor = 1.0
        if kind == "HC1":
            n = estimates.n_obs
            factor = n / (n - estimates.df) if clusters is None else _cluster_factor(clusters, n, estimates.df)
        in_z = factor * in_z @ middle @ in_z
    reported = Reported.at(objective, z)
    jacobian = reported.jacobian
    covariance = jacobian @ in_z @ jacobian.T
    withheld: dict[str, str] = {}
    lost = np.zeros(k, bool)
    for direction in directions:
        lost |= reported.moved_by(direction.vector)
    for i in np.flatnonzero(lost):
        withheld[estimates.names[i]] = estimates.certificate.reason
        covariance[i, :] = covariance[:, i] = np.nan
    for i in np.flatnonzero(~(np.diag(covariance) > 0)):
        withheld.setdefault(estimates.names[i], "the information matrix is not positive definite")
        covariance[i, :] = covariance[:, i] = np.nan
    return replace(estimates, covariance=covariance, covariance_kind=kind, withheld=withheld)


def check_kind(kind: str) -> None:
    """Raises `ModelError` for a kind of covariance that does not exist."""
    if kind not in KINDS:
        raise ModelError(f"There is no covariance of kind {kind!r}.{did_you_mean(kind, KINDS)}")


def _cluster_factor(clusters: np.ndarray, n: float, k: int) -> float:
    g = int(clusters.max()) + 1
    return g / (g - 1) * (n - 1) / (n - k)

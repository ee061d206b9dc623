"""Mixtures of multivariate normals whose covariance matrices have a shape in common: model-based clustering."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp
import numpy as np

from ..errors import ModelError
from .combinators.mixture import Mixing, Shares, split
from .conditional import Bound, Data, Response
from .distributions.base import Distribution
from .distributions.mixed import Mixed
from .distributions.multivariate_normal import MultivariateNormal
from .domains import Real, bracket
from .joint import several
from .model import Model, Parameter
from .shapes.catalogue import SHAPES, shape_of
from .shapes.covariances import Covariances

SAMPLE = 5_000
"""Observations of which a first division is made."""

POOLED = 0.2
"""The share of what all groups have in common in the covariance matrix that a component starts from."""


def gaussian_mixture(response: Sequence[str], components: int, shape: str = "VVV") -> Model:
    """Clusters with multivariate normal distributions, fitted by EM from many starts and finished by Newton.

    The components are ordered by the first coordinate of their means. A component whose variance in some direction falls
    below 1e-10 of that of the data (1e-6 where it has fewer than ten observations for each dimension) has closed in on a
    few observations, where the likelihood has no maximum: such a search is dropped.

    Arguments:
        response: two or more columns of numbers.
        components: how many clusters, at least 1.
        shape: what their covariance matrices have in common, by mclust's letters: volume, shape and orientation, each
            Equal, Varying or Identity. "EII", "VII" (spheres), "EEI", "VEI", "EVI", "VVI" (along the axes), "EEE",
            "VEE", "EVE", "VVE", "EEV", "VEV", "EVV", "VVV" (free).

    Returns:
        The model, with the parameters `weight` (k,), `mean` (k, d) and `covariance` (k, d, d): `weight.0`, `mean.0[0]`,
        `covariance.0[0,1]`, ...

    Raises:
        ModelError: for fewer than two columns, and numbers and shapes that make no sense.

    Source: Banfield and Raftery (1993), Biometrics 49, 803-821; Celeux and Govaert (1995), Pattern Recognition 28,
    781-793; Scrucca, Fop, Murphy and Raftery (2016), The R Journal 8, 289-317.
    """
    names = several(response, "gaussian_mixture")
    whole = isinstance(components, int | np.integer) and not isinstance(components, bool)
    if not whole or components < 1:
        raise ModelError(f"gaussian_mixture needs components= to be a whole number of at least 1; got {components!r}.")
    k, d, kind = int(components), len(names), shape_of(shape)
    params: dict[str, Parameter] = {
        "weight": Shares(k) if k > 1 else Whole(fixed=np.ones(1), shape=(1,)),
        "mean": Means(shape=(k, d)),
        "covariance": Covariances(k, d, kind.name),
    }
    conditional = Clusters((Response(MultivariateNormal, names),) * k, shape=kind.name)
    name = f"Gaussian mixture of {k}, {kind.name} ({kind.words})"
    return Model(conditional, params, name=name, about=", ".join(names))


@dataclass(frozen=True)
class Whole(Real):
    """The share of a single component, which is one."""

    def labels(self) -> tuple[str, ...]:
        return (".0",)


@dataclass(frozen=True)
class Means(Real):
    """The means of the components, `mean.0[0]`, `mean.0[1]`, ..."""

    def labels(self) -> tuple[str, ...]:
        k, d = self.batch
        return tuple(f".{c}{bracket((j,))}" for c in range(k) for j in range(d))


@dataclass(frozen=True)
class Clusters(Mixing):
    """Responses from one of several multivariate normals; `shape` says what their covariance matrices have in common."""

    shape: str = "VVV"

    @property
    def k(self) -> int:
        """How many components there are."""
        return len(self.components)

    def distribution(self, p: Any, row: Mapping[str, Any]) -> Distribution:
        each = zip(p["mean"], p["covariance"])
        components = tuple(MultivariateNormal(mean=mean, covariance=covariance) for mean, covariance in each)
        return Mixed(components=components, log_weights=jnp.log(p["weight"]))

    def closed(self, free: frozenset[str]) -> tuple[str, ...]:
        """None: where M-steps have closed forms, they are taken from moments."""
        return ()

    def bind(self, params: Mapping[str, Parameter], data: Data, weights: np.ndarray) -> Bound:
        y = np.stack([data.numeric(name, "the response").astype(np.float64) for name in self.response], axis=1)
        degenerate = MultivariateNormal.degenerate(y[weights > 0], {})
        k = len(self.components)
        starts: dict[str, Any] = {}
        if degenerate is None and len(y) <= SAMPLE and len(np.unique(y[weights > 0], axis=0)) < k:
            degenerate = f"there are fewer distinct observations than the {k} components"
        if degenerate is None:
            some = np.flatnonzero(weights > 0)
            some = np.random.default_rng(0).choice(some, SAMPLE, replace=False) if len(some) > SAMPLE else some
            part = split(y[some], weights[some], k) if k > 1 else np.zeros(len(some), int)
            starts = of_groups(y[some], weights[some], part, k, self.shape)
            starts = {name: value for name, value in starts.items() if name != "weight" or k > 1}
        return Bound(replace(self), params, {}, starts, degenerate)


def of_groups(y: np.ndarray, weights: np.ndarray, part: np.ndarray, k: int, shape: str) -> dict[str, np.ndarray]:
    """Values of the parameters for a division into groups: of responses (n, d) with the numbers `part` (n,) of theirs.

    Their covariance matrices are drawn towards a common one, so that a group of few has a proper one too.
    """
    d = y.shape[1]
    n, mean, scatter = np.empty(k), np.empty((k, d)), np.empty((k, d, d))
    for i in range(k):
        own = part == i
        n[i] = weights[own].sum()
        mean[i] = (
            np.average(y[own], axis=0, weights=weights[own]) if n[i] > 0 else np.average(y, axis=0, weights=weights)
        )
        away = (y[own] - mean[i]) * np.sqrt(weights[own])[:, None]
        scatter[i] = away.T @ away
    overall = y - np.average(y, axis=0, weights=weights)
    floor = 1e-4 * np.diag((overall**2 * weights[:, None]).sum(axis=0) / weights.sum())
    common = scatter.sum(axis=0) / n.sum() + floor
    n = np.maximum(n, 1e-3 * n.sum())
    blended = (1 - POOLED) * scatter + POOLED * n[:, None, None] * common
    return {"weight": n / n.sum(), "mean": mean, "covariance": SHAPES[shape].maximise(n, blended)}

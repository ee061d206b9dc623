"""Which clusters: every covariance shape with every number of components, compared by an information criterion."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from .data.tables import Table
from .declare.clusters import gaussian_mixture
from .declare.shapes.catalogue import SHAPES, shape_of
from .errors import ModelError
from .fit import all_weights_of, fit
from .objective.build import build
from .objective.cluster_path import Path, n_parameters, with_shape
from .objective.cluster_starts import STARTS, best_start
from .objective.clusters import ClusterObjective, Natural
from .objective.placement import Placement
from .result import Fit
from .solve.em import EM
from .solve.solver import IMPROPER

TOL = 1e-5
"""The log-likelihood still to be gained at which the search for an entry of the table ends."""

CRITERIA = ("bic", "aic")


@dataclass(frozen=True)
class Entry:
    """The end of one search: log-likelihood, free parameters, and the values there; `note` says why there is none."""

    log_likelihood: float
    df: int
    natural: Natural | None
    note: str = ""

    def criterion(self, kind: str, n: float) -> float:
        """The criterion, smaller for a better model; NaN where there is no maximum."""
        return -2 * self.log_likelihood + self.df * (float(np.log(n)) if kind == "bic" else 2.0)


@dataclass(frozen=True)
class Clusterings:
    """Mixtures of every shape and number of components, and the `fit` of the best by the `criterion` (smallest).

    `entries` are by (shape, components). mclust's BIC has the opposite sign.
    """

    criterion: str
    n_obs: float
    entries: Mapping[tuple[str, int], Entry]
    fit: Fit

    @property
    def values(self) -> dict[tuple[str, int], float]:
        """The criterion by (shape, components); NaN where every start ended in a component on a few observations."""
        return {at: entry.criterion(self.criterion, self.n_obs) for at, entry in self.entries.items()}

    @property
    def best(self) -> tuple[str, int]:
        """The shape and the number of components of the smallest value."""
        values = self.values
        return min(values, key=lambda at: np.inf if np.isnan(values[at]) else values[at])

    def tidy(self) -> dict[str, np.ndarray]:
        """The table as columns: shape, components, log_likelihood, df and the criterion."""
        entries, at = list(self.entries.values()), list(self.entries)
        return {
            "shape": np.array([shape for shape, _ in at]),
            "components": np.array([k for _, k in at]),
            "log_likelihood": np.array([e.log_likelihood for e in entries]),
            "df": np.array([e.df for e in entries]),
            self.criterion: np.array(list(self.values.values())),
        }

    def __str__(self) -> str:
        shapes = list(dict.fromkeys(shape for shape, _ in self.entries))
        counts = list(dict.fromkeys(k for _, k in self.entries))
        values, best = self.values, self.best
        text = lambda at: ("—" if np.isnan(values[at]) else f"{values[at]:,.2f}") + ("*" if at == best else " ")
        head = f"{self.criterion.upper():>5}" + "".join(f"{k:>13} " for k in counts)
        lines = [f"{shape:>5}" + "".join(f"{text((shape, k)):>14}" for k in counts) for shape in shapes]
        dropped = sum(bool(np.isnan(v)) for v in values.values())
        note = ["— every start ended in a component on a few observations"] if dropped else []
        words = f"* the best: {best[0]} with {best[1]} ({SHAPES[best[0]].words})"
        return "\n".join([head.rstrip(), *(line.rstrip() for line in lines), *note, words])


def choose_clusters(
    data: Any,
    response: Any,
    *,
    components: Iterable[int] = range(1, 10),
    shapes: Iterable[str] | None = None,
    criterion: str = "bic",
    weights: Any = None,
    starts: int = STARTS,
    key: int = 0,
) -> Clusterings:
    """Choose the number of clusters and the shape of their covariance matrices, as mclust does.

    Every mixture is fitted by EM from the best of many short runs; the best by the criterion is then fitted by `jm.fit`.

    Arguments:
        data: as for `jm.fit`.
        response: two or more columns of numbers.
        components: the numbers of components to try.
        shapes: the covariance shapes to try, see `jm.gaussian_mixture`; None are all fourteen.
        criterion: "bic" or "aic"; the smallest is best.
        weights: frequencies, as for `jm.fit`.
        starts: how many short runs there are for each.
        key: the seed of the starts.

    Returns:
        A `Clusterings`: the table, and the `fit` of the best.

    Raises:
        ModelError: for arguments that make no sense, and where no mixture has a proper maximum.
        DataError: for data that cannot be used.

    Source: Fraley and Raftery (2002), Model-based clustering, discriminant analysis, and density estimation, Journal of
    the American Statistical Association 97, 611-631.
    """
    kinds = list(SHAPES) if shapes is None else [shape_of(s).name for s in _several(shapes, "shapes")]
    counts = _counts(components)
    if criterion not in CRITERIA:
        raise ModelError(f"criterion is one of {', '.join(map(repr, CRITERIA))}; got {criterion!r}.")
    if isinstance(starts, bool) or not isinstance(starts, int) or starts < 1:
        raise ModelError(f"starts must be a whole number from 1 up; got {starts!r}.")
    first = gaussian_mixture(response, counts[0], "VVV")
    table = Table.read(data)
    total = all_weights_of(weights, None, table)
    objective = build(first, table, weights=total, placement=Placement.of()).objective
    assert isinstance(objective, ClusterObjective)
    entries: dict[tuple[str, int], Entry] = {}
    for k in counts:
        for shape in kinds:
            if k == 1 and shape in SAME_FOR_ONE:  # of one component the first letters say nothing
                twin = (SAME_FOR_ONE[shape], 1)
                if twin in entries:
                    entries[shape, k] = entries[twin]
                    continue
            entries[shape, k] = searched(with_shape(objective, k, shape), k, shape, starts, key)
    found = Clusterings(criterion, float(total.sum()), MappingProxyType(entries), None)  # type: ignore[arg-type]
    shape, k = found.best
    at = entries[shape, k].natural
    if at is None:
        raise ModelError(
            "No mixture has a proper maximum: every start ended in a component on a few observations. Take fewer "
            "components or a shape with fewer parameters."
        )
    begin = {name: value for name, value in at._asdict().items() if name != "weight" or k > 1}
    last = fit(gaussian_mixture(response, k, shape), data, weights=weights, start=begin, key=key)
    return Clusterings(criterion, float(total.sum()), found.entries, last)


SAME_FOR_ONE = {"VII": "EII", "VEI": "EEI", "EVI": "EEI", "VVI": "EEI"} | dict.fromkeys(
    ("VEE", "EVE", "VVE", "EEV", "VEV", "EVV", "VVV"), "EEE"
)
"""Shapes that are another one where there is one component."""


def searched(objective: ClusterObjective, k: int, shape: str, starts: int, key: int) -> Entry:
    """The best end of EM under one shape, the components in order."""
    df = n_parameters(k, len(objective.density.response), shape)
    begin, note = best_start(objective, key, starts if k > 1 else 1)
    if begin is None:
        return Entry(np.nan, df, None, note)
    end, at = Path(objective).minimise(begin, EM(tol=TOL, finish=False))
    if end.stop == IMPROPER:
        return Entry(np.nan, df, None, "; ".join(end.notes))
    return Entry(-end.value, df, at.ordered(), note)


def _several(given: Any, name: str) -> list[Any]:
    listed = [given] if isinstance(given, str) else list(given) if isinstance(given, Iterable) else []
    if not listed:
        raise ModelError(f"{name} takes a list with at least one entry; got {given!r}.")
    return listed


def _counts(components: Any) -> list[int]:
    if isinstance(components, int | np.integer):
        components = [components]
    listed = _several(components, "components")
    if not all(isinstance(k, int | np.integer) and not isinstance(k, bool) and k >= 1 for k in listed):
        raise ModelError(f"components takes whole numbers of at least 1; got {listed!r}.")
    return sorted({int(k) for k in listed})

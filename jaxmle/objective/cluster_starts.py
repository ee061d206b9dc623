"""Where the search for clusters begins: many short runs of EM from divisions by k-means++, the best of them taken on.

Arthur and Vassilvitskii (2007), k-means++: the advantages of careful seeding, Proceedings of the 18th ACM-SIAM Symposium
on Discrete Algorithms, 1027-1035; Biernacki, Celeux and Govaert (2003), Choosing starting values for the EM algorithm,
Computational Statistics & Data Analysis 41, 561-575.
"""

from __future__ import annotations

import numpy as np

from ..declare.clusters import of_groups
from .clusters import ClusterObjective, Natural

BATCH = 8
"""Runs whose steps are evaluated by one read of the data."""

STARTS = 16

ROUNDS = ((1.0, 15), (0.25, 40))
"""Which share of the runs go on, the best of them, and for how many steps."""

SAMPLE = 20_000
"""Observations of which divisions are made."""

LLOYD = 6
"""Rounds of k-means after the choice of centres."""


def division(y: np.ndarray, w: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    """Which of k groups each observation (n, d) is in: nearest to one of k centres, each drawn far from those before."""
    n = len(y)
    centres = y[[rng.choice(n, p=w / w.sum())]]
    distance = ((y - centres[0]) ** 2).sum(axis=1)
    for _ in range(k - 1):
        chance = w * distance
        total = chance.sum()
        new = y[rng.choice(n, p=chance / total if total > 0 else w / w.sum())]
        centres = np.vstack([centres, new])
        distance = np.minimum(distance, ((y - new) ** 2).sum(axis=1))
    squares = (y**2).sum(axis=1)[:, None]
    part = np.zeros(n, int)
    for _ in range(LLOYD):
        part = (squares - 2 * y @ centres.T + (centres**2).sum(axis=1)).argmin(axis=1)
        for i in range(k):
            own = part == i
            if w[own].sum() > 0:
                centres[i] = np.average(y[own], axis=0, weights=w[own])
    return part


def divided(objective: ClusterObjective, count: int, key: int) -> list[Natural]:
    """Points from `count` divisions of the data, alternately of scaled and of whitened observations."""
    rng = np.random.default_rng(key)
    y, w = objective.responses()
    keep = np.flatnonzero(w > 0)
    keep = rng.choice(keep, SAMPLE, replace=False) if len(keep) > SAMPLE else keep
    y, w = y[keep], w[keep]
    centre, covariance = objective.spread
    scaled = (y - centre) / np.sqrt(np.diag(covariance))
    whitened = (y - centre) @ np.linalg.inv(np.linalg.cholesky(covariance)).T
    k = objective.density.k
    out = []
    for i in range(count):
        part = division((scaled, whitened)[i % 2], w, k, rng)
        out.append(objective.with_held(Natural(**of_groups(y, w, part, k, objective.shape.name)).ordered()))
    return out


def best_start(objective: ClusterObjective, key: int, starts: int = STARTS) -> tuple[Natural | None, str]:
    """The point that the best of many short runs reaches, and a note of how many there were.

    A run in which a component closes in on a few observations is dropped; None where that happens to all.
    """
    some = objective.sampled()
    looked_at = some if isinstance(some, ClusterObjective) else objective
    runs = [(np.inf, point) for point in divided(objective, starts, key)]
    dropped = 0
    for share, steps in ROUNDS:
        runs = runs[: max(1, int(share * starts))]
        went = [run for i in range(0, len(runs), BATCH) for run in _run(looked_at, runs[i : i + BATCH], steps)]
        dropped += len(runs) - len(went)
        runs = sorted(went, key=lambda run: run[0])
        if not went:
            return None, f"all of {starts} starts ended in a component on a few observations"
    words = f", {dropped} dropped for a component on a few observations" if dropped else ""
    return runs[0][1], f"the best of {starts} short runs from divisions by k-means++{words}"


def _run(objective: ClusterObjective, runs: list[tuple[float, Natural]], steps: int) -> list[tuple[float, Natural]]:
    """Values and points after some steps of EM from each; what becomes improper is left out."""
    for _ in range(steps):
        if not runs:
            break
        found = objective.steps([runs[i % len(runs)][1] for i in range(BATCH)])[: len(runs)]
        runs = [(e.value, e.maximum) for e in found if e.maximum is not None]
    return runs

"""Ways to split responses into groups, from which the components of a mixture start."""

from __future__ import annotations

import numpy as np

ROUNDS = 50

FEW_ROUNDS = 3
"""Rounds of k-means from random centres: the groups are to differ from start to start."""


def scaled_responses(y: np.ndarray) -> np.ndarray:
    """Responses (n, columns) with mean zero and a standard deviation of one in every column that has one."""
    spread = y.std(axis=0)
    return (y - y.mean(axis=0)) / np.where(spread > 0, spread, 1.0)


def split(y: np.ndarray, weights: np.ndarray, k: int) -> np.ndarray:
    """Which of k groups each response (n, columns) is in, by k-means from the quantiles of their mean (Lloyd, 1982).

    Groups are numbered upwards; one may be empty.
    """
    scaled = scaled_responses(y)
    order = np.argsort(scaled.mean(axis=1), kind="stable")
    share = np.cumsum(weights[order]) / weights.sum()
    part = np.empty(len(y), np.int64)
    part[order] = np.minimum((share * k * (1 - 1e-12)).astype(np.int64), k - 1)
    return upwards(scaled, lloyd(scaled, weights, part, k, ROUNDS), k)


def random_split(y: np.ndarray, weights: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    """Which of k groups each response (n, columns) is in: those nearest to centres drawn by the square of their distance
    from the centres before (k-means++: Arthur and Vassilvitskii, 2007), and a few rounds of k-means."""
    scaled = scaled_responses(y)
    chance, nearest = weights / weights.sum(), np.full(len(y), np.inf)
    part = np.zeros(len(y), np.int64)
    for i in range(k):
        centre = scaled[rng.choice(len(y), p=chance)]
        distance = ((scaled - centre) ** 2).sum(axis=1)
        part = np.where(distance < nearest, i, part)
        nearest = np.minimum(nearest, distance)
        if not (total := (weights * nearest).sum()) > 0:
            break
        chance = weights * nearest / total
    return upwards(scaled, lloyd(scaled, weights, part, k, FEW_ROUNDS), k)


def lloyd(scaled: np.ndarray, weights: np.ndarray, part: np.ndarray, k: int, rounds: int) -> np.ndarray:
    """The groups after some rounds of k-means, or before the first that leaves one empty."""
    for _ in range(rounds):
        held = [part == i for i in range(k)]
        if not all(weights[h].sum() > 0 for h in held):
            break
        centres = np.stack([np.average(scaled[h], axis=0, weights=weights[h]) for h in held])
        nearest = ((scaled[:, None, :] - centres) ** 2).sum(axis=2).argmin(axis=1)
        if (nearest == part).all():
            break
        part = nearest
    return part


def upwards(scaled: np.ndarray, part: np.ndarray, k: int) -> np.ndarray:
    """The same groups, numbered by their means."""
    means = [scaled[part == i].mean() if (part == i).any() else np.inf for i in range(k)]
    return np.argsort(np.argsort(means, kind="stable"), kind="stable")[part]


def random_groups(weights: np.ndarray, k: int, size: int, rng: np.random.Generator) -> np.ndarray:
    """`size` rows for each of k groups, drawn at random, -1 for the others: so groups differ in scale as in place."""
    out = np.full(len(weights), -1)
    there = np.flatnonzero(weights > 0)
    drawn = rng.permutation(there)[: k * size]
    out[drawn] = np.arange(len(drawn)) % k
    return out

"""Harrell's index of concordance: how often, of two rows, the one with the higher risk has its event first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..declare.model import Model
from .baseline import cox_of, predictor_of


@dataclass(frozen=True)
class Concordance:
    """Pairs of which it is known who had the event first: `concordant` if it was who has the higher risk.

    `index` is their share, pairs of `tied` risk by half (Harrell and others, 1982, JAMA 247, 2543-2546).
    """

    concordant: int
    discordant: int
    tied: int

    @property
    def index(self) -> float:
        pairs = self.concordant + self.discordant + self.tied
        return (self.concordant + 0.5 * self.tied) / pairs if pairs else float("nan")


def concordance(
    time: np.ndarray,
    event: np.ndarray,
    risk: np.ndarray,
    stratum: np.ndarray | None = None,
    entry: np.ndarray | None = None,
) -> Concordance:
    """The pairs of rows of one stratum (all arrays (n,)), counted in O(n log² n).

    Two events at one time are no pair; an observation that ends without an event is taken to end just after those that
    happen then. With late entry, a pair is of an event and someone at risk.
    """
    counts = np.zeros(3, np.int64)
    codes = np.zeros(len(time), int) if stratum is None else stratum
    for code in np.unique(codes):
        mine = np.flatnonzero(codes == code)
        t, d, rank = time[mine], event[mine], np.unique(risk[mine], return_inverse=True)[1].reshape(-1)
        latest = np.lexsort((d, -t))  # at one time those without an event come first
        later = np.searchsorted(-t[latest], -t[d], side="left") + _censored_then(t, d)
        counts += _compared(rank[latest], later, rank[d])
        if entry is not None:
            e = entry[mine]
            by_entry = np.argsort(-e, kind="stable")
            counts -= _compared(rank[by_entry], np.searchsorted(-e[by_entry], -t[d], side="right"), rank[d])
    return Concordance(*counts.tolist())


def _censored_then(time: np.ndarray, event: np.ndarray) -> np.ndarray:
    """For each event how many rows are censored at its time."""
    censored = np.sort(time[~event])
    return np.searchsorted(censored, time[event], "right") - np.searchsorted(censored, time[event], "left")


def _compared(rank: np.ndarray, first: np.ndarray, mine: np.ndarray) -> np.ndarray:
    """Σ over the rows of `mine` (m,): of the `first` (m,) of `rank` (n,), how many are lower, higher and equal.

    A stretch from the start is put together of sorted blocks whose sizes are powers of two.
    """
    below, up_to, n = 0, 0, len(rank)
    for level in range(max(n, 1).bit_length()):
        size = 1 << level
        block = np.arange(n) // size
        keys = np.sort(block * (n + 1) + rank)
        has = (first & size) > 0
        start = (first[has] >> (level + 1)) << (level + 1)
        low = (start // size) * (n + 1) + mine[has]
        below += int((np.searchsorted(keys, low, "left") - start).sum())
        up_to += int((np.searchsorted(keys, low, "right") - start).sum())
    return np.array([below, int(first.sum()) - up_to, up_to - below])


def concordance_of(model: Model, params: Mapping[str, Any], table: Any) -> Concordance:
    """The concordance of a fitted Cox model with the rows of a table; weights are not looked at."""
    partial = cox_of(model, "A concordance")
    time, event, entry, _ = partial.observed_times(table)
    return concordance(time, event, predictor_of(model, params, table)[0], partial.stratum(table)[0], entry)

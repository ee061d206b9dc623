"""Calibration: whether what is predicted with probability p happens in a share p of the cases."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import ModelError
from ..special import betaincinv
from .intervals import check_level


@dataclass(frozen=True)
class Calibration:
    """Cases in bins of like prediction, arrays (bins,): the mean prediction, the share observed, an interval for it.

    `n` are the cases of each bin; [low, high] is the exact binomial interval (Clopper and Pearson, 1934).
    """

    predicted: np.ndarray
    observed: np.ndarray
    low: np.ndarray
    high: np.ndarray
    n: np.ndarray


def calibration(
    predicted: np.ndarray, successes: np.ndarray, trials: np.ndarray, bins: int = 10, level: float = 0.95
) -> Calibration:
    """Predictions against what happened, in bins that hold about as many cases each.

    Arguments:
        predicted: probabilities, shape (n,); `successes` among so many `trials`, shape (n,).

    Raises:
        ModelError: for a number of bins that is no whole number of at least 1.
    """
    if isinstance(bins, bool) or not isinstance(bins, int | np.integer) or bins < 1:
        raise ModelError(f"bins must be a whole number of at least 1; got {bins!r}.")
    check_level(level)
    order = np.argsort(predicted, kind="stable")
    before = np.cumsum(trials[order]) - 0.5 * trials[order]
    number = np.empty(len(order), dtype=int)
    number[order] = np.minimum(bins * before / trials.sum(), bins - 1).astype(int)
    values, tied = np.unique(predicted, return_inverse=True)  # equal predictions share the bin of their middle
    middle = np.bincount(tied.reshape(-1), number) / np.bincount(tied.reshape(-1))
    number = np.unique(np.round(middle).astype(int)[tied.reshape(-1)], return_inverse=True)[1].reshape(-1)
    n, k = np.bincount(number, trials), np.bincount(number, successes)
    mean = np.bincount(number, trials * predicted) / n
    tail = 0.5 * (1 - level)
    low = np.where(k > 0, betaincinv(np.maximum(k, 1e-300), n - k + 1, tail), 0.0)
    high = np.where(k < n, betaincinv(k + 1, np.maximum(n - k, 1e-300), 1 - tail), 1.0)
    return Calibration(mean, k / n, low, high, n)

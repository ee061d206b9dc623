"""What a trap is: a model on data where a number can be had but must not be believed, and what has to be said instead."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import jaxmle as jm


@dataclass(frozen=True)
class Trap:
    """One trap.

    `status` is the certificate's; `mentions` what its words must contain; `withheld` the names whose standard errors
    are NaN, all others being finite; `estimates` and `std_errors` are independent numbers for what stays right.
    `no_std_errors` says that nothing has one. `by_luck` says that rounding errors decide where the search ends, in a
    direction without curvature or with a score that has no zero: what else is then withheld differs by machine.
    `options` are those of `jm.fit`.
    """

    name: str
    model: jm.Model
    data: Mapping[str, Any]
    status: str
    mentions: tuple[str, ...] = ()
    withheld: tuple[str, ...] = ()
    no_std_errors: bool = False
    by_luck: bool = False
    estimates: Mapping[str, float] = field(default_factory=dict)
    std_errors: Mapping[str, float] = field(default_factory=dict)
    caution: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    tolerance: float = 1e-5


def numbers(seed: int, n: int, kind: str = "normal") -> np.ndarray:
    """`n` random numbers, the same at every call."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=n) if kind == "normal" else rng.uniform(size=n)


def quantiles(n: int, inverse: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """The ideal sample of a distribution: its quantiles at (i + ½)/n."""
    return inverse((np.arange(n) + 0.5) / n)

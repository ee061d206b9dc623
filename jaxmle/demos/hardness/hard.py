"""What a hard likelihood is: a model, data, and what a fit must make of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax.numpy as jnp

import jaxmle as jm

HALF_LOG_2PI = 0.9189385332046727

REFUSED = "refused"
"""What becomes of a fit that cannot begin: an error that names the row and the parameter."""


@dataclass(frozen=True)
class Hard:
    """A likelihood, and what a fit must make of it.

    `status` is that of the certificate ("optimum": solved), or "refused"; `known` gives values of `coef` and, as
    "log_likelihood", of the maximum, found without jaxmle, and `within` is how far off a value may be, relatively.
    `optima` is how many there are, where all of them are looked for. `says` are words that a report must contain.
    """

    name: str
    model: jm.Model
    data: Mapping[str, Any]
    status: str = "optimum"
    known: Callable[[], Mapping[str, float]] = dict
    within: float = 1e-6
    optima: int | None = None
    says: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)


def normal(y: Any, mean: Any, sd: Any = 1.0) -> Any:
    """The log-density of the normal distribution."""
    return -0.5 * ((y - mean) / sd) ** 2 - jnp.log(sd) - HALF_LOG_2PI

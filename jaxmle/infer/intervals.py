"""Wald intervals that respect the range of what they are about."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from .. import runtime
from ..declare.links import Link
from ..errors import ModelError, did_you_mean
from ..special import ndtri
from .estimates import Estimates


def check_level(level: float) -> None:
    """Raises `ModelError` if `level` is not between 0 and 1."""
    if not (isinstance(level, (int, float, np.number)) and 0 < level < 1):
        raise ModelError(f"level must be between 0 and 1, such as 0.95; got {level!r}.")


def half_width(level: float) -> float:
    """How many standard errors a Wald interval of this level reaches to either side: √χ².

    Raises:
        ModelError: if `level` is not between 0 and 1.
    """
    check_level(level)
    return float(ndtri(0.5 + level / 2))


def chosen(names: str | Sequence[str] | None, known: Sequence[str]) -> list[str]:
    """The coefficients that are asked for by name, all that are known by default.

    Raises:
        ModelError: for a name that is not known.
    """
    asked = list(known) if names is None else [names] if isinstance(names, str) else list(names)
    for name in asked:
        if name not in known:
            raise ModelError(f"The fit has no coefficient {name!r}.{did_you_mean(str(name), known)}")
    return asked


def wald_intervals(estimates: Estimates, level: float, width: float | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper ends, shape (k,) each: formed on each entry's own scale, by the delta method, and mapped back.

    `width` are standard errors to either side, where it is not the level that says how many.

    Raises:
        ModelError: if `level` is not between 0 and 1.
    """
    half = (half_width(level) if width is None else width) * estimates.std_errors
    low, high = estimates.values - half, estimates.values + half
    by_link: dict[Link, list[int]] = {}
    for i, link in enumerate(estimates.links):
        if link.name != "identity":
            by_link.setdefault(link, []).append(i)
    if by_link:
        which = [np.array(w) for w in by_link.values()]
        values = [estimates.values[w] for w in which]
        halves = [half[w] for w in which]
        ends, _, _ = runtime.call(_mapped, tuple(by_link), values, halves)
        for w, (a, b) in zip(which, jax.device_get(ends)):
            low[w], high[w] = np.minimum(a, b), np.maximum(a, b)
    return low, high


@partial(runtime.jit, static_argnums=0)
def _mapped(links: tuple[Link, ...], values: list[jax.Array], halves: list[jax.Array]) -> list:
    out = []
    for link, value, half in zip(links, values, halves):
        at, slope = jax.jvp(link.forward, (value,), (jnp.ones_like(value),))
        width = half * jnp.abs(slope)
        out.append((link.inverse(at - width), link.inverse(at + width)))
    return out

"""What many searches have found: for each data set whether it is an optimum, or why not, and the covariances."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .. import runtime
from ..objective.layout import Block, Layout, entries_of, jacobian_of
from ..solve.batched import DONE, FAILED, MAX_STEPS, Searches, floor
from .certificate import PROVED, REMEDIES
from .diagnosis import DISTANCE, NEGATIVE, RESOLUTION

GROWING = 1e-3
"""A Newton step of a predictor, though hardly any log-likelihood is left to gain, that says that it goes to infinity."""


@dataclass(frozen=True, eq=False)
class Certificates:
    """What is known about the ends of many searches, data sets first; the words of one fit's `Certificate`.

    `gradient` is the largest element of the score in units of its own standard deviation, `gain` the log-likelihood
    still to be gained, `distance` that to the optimum in standard errors. `condition` is that of the Hessian scaled to a
    unit diagonal, by Frobenius norms: at most k times the ratio of its eigenvalues; inf where it is not
    `positive_definite`.
    """

    status: np.ndarray
    gradient: np.ndarray
    gain: np.ndarray
    distance: np.ndarray
    condition: np.ndarray
    positive_definite: np.ndarray
    finite: np.ndarray
    hessian: np.ndarray

    @property
    def eigenvalues(self) -> np.ndarray:
        """The smallest and the largest eigenvalue of each scaled Hessian, shape (G, 2); NaN where it is not finite."""
        out = np.full((len(self.status), 2), np.nan)
        scaled = self.hessian[self.finite]
        m = np.sqrt(np.abs(np.diagonal(scaled, axis1=1, axis2=2)))
        m = np.where(m > 0, m, 1.0)
        found = np.linalg.eigvalsh(scaled / (m[:, :, None] * m[:, None, :]))
        out[self.finite] = found[:, [0, -1]]
        return out

    @property
    def remedies(self) -> tuple[str, ...]:
        return tuple(REMEDIES.get(s, "") for s in self.status)


def certify_many(
    s: Searches,
    names: Sequence[str],
    limits: np.ndarray,
    scale: np.ndarray,
    scale_of: Callable[[int], np.ndarray],
    counts: np.ndarray,
    degenerate: Mapping[int, str],
) -> tuple[Certificates, np.ndarray, np.ndarray]:
    """The certificates of all searches, the reasons why fits are not optima in words, and the covariances in `z`.

    Arguments:
        names: of the k entries of `z`; `limits` the ends of their ranges, shape (k, 2), NaN where an entry has none.
        scale: about one over the size of what each entry is multiplied by in a row, shape (k,); `scale_of` the same of
            one data set.
        counts: rows of each data set.
        degenerate: number of a data set → why its responses have no maximum of the likelihood.
    """
    finite = np.isfinite(s.value) & np.isfinite(s.hessian).all((1, 2))
    m = _metric(s)
    positive = finite & (s.pivots > floor(s.z.shape[1]))
    with np.errstate(all="ignore"):
        slope = s.gradient / m
        newton = -np.einsum("gij,gj->gi", s.inverse, slope) / m
        scaled = s.hessian / (m[:, :, None] * m[:, None, :])
        norm = lambda a: np.sqrt(np.einsum("gij,gij->g", a, a))
        condition = np.where(positive, norm(scaled) * norm(s.inverse), np.inf)
        covariance = s.inverse / (m[:, :, None] * m[:, None, :])
        moves = newton / scale
        growing = finite & (np.abs(moves).max(1, initial=0.0) > GROWING) & (s.status != FAILED)
        for g in np.flatnonzero(growing):
            moves[g] = newton[g] / scale_of(int(g))
            growing[g] = np.abs(moves[g]).max() > GROWING
        std_error = np.sqrt(np.maximum(np.diagonal(covariance, axis1=1, axis2=2), 0.0))
        resolution = np.spacing(np.abs(s.z)) / RESOLUTION
        coarse = (resolution > np.where(positive[:, None], std_error, 1 / m)).any(1) & finite
    optimum = positive & (s.decrement <= DISTANCE) & ~growing & ~coarse & (s.status != FAILED)
    status = np.full(len(s.z), PROVED, dtype=object)
    reasons = np.full(len(s.z), "", dtype=object)
    for g in np.flatnonzero(~optimum | np.isin(np.arange(len(optimum)), list(degenerate))):
        status[g], reasons[g] = _why(s, int(g), names, limits, moves[g], growing[g], coarse[g], counts, degenerate)
    covariance[status != PROVED] = np.nan
    certificates = Certificates(
        status=status,
        gradient=np.abs(slope).max(1, initial=0.0),
        gain=0.5 * s.decrement**2,
        distance=s.decrement,
        condition=condition,
        positive_definite=positive,
        finite=finite,
        hessian=s.hessian,
    )
    return certificates, reasons, covariance


def _metric(s: Searches) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        diagonal = np.sqrt(np.abs(np.diagonal(s.hessian, axis1=1, axis2=2)))
        fallback = np.sqrt(np.abs(s.gradient))
        return np.where(diagonal > 0, diagonal, np.where(fallback > 0, fallback, 1.0))


def _why(
    s: Searches,
    g: int,
    names: Sequence[str],
    limits: np.ndarray,
    moves: np.ndarray,
    growing: np.bool_,
    coarse: np.bool_,
    counts: np.ndarray,
    degenerate: Mapping[int, str],
) -> tuple[str, str]:
    """Status and reason of a data set whose optimum is not proved."""
    if counts[g] == 0:
        return "no_data", "It has no rows of positive weight without missing values."
    if g in degenerate:
        return "no_finite_maximum", f"There is no maximum of the likelihood: {degenerate[g]}."
    if s.status[g] == FAILED:
        return "not_finite", "At the start values the log-likelihood or a derivative of it is not finite."
    few = f" ({counts[g]} rows, {len(names)} parameters)" if counts[g] <= len(names) else ""
    if coarse:
        return "unbounded", "A parameter is known to as many digits as there are: the model fits the data exactly."
    if s.dependent[g] >= 0 and s.pivots[g] > -NEGATIVE:
        return "not_identified", f"{names[s.dependent[g]]} cannot be told apart from the coefficients before it{few}."
    if growing and (s.decrement[g] <= 0.1 or s.status[g] == MAX_STEPS):
        return _growth(names, limits, moves, few)
    if s.pivots[g] <= -NEGATIVE:
        return "saddle", "The search ended where the log-likelihood is not concave."
    if s.status[g] == MAX_STEPS:
        return "max_steps", f"After {s.steps[g]} steps there is {0.5 * s.decrement[g] ** 2:.2g} left to gain."
    if s.status[g] == DONE or not np.isfinite(s.decrement[g]):
        return "not_converged", f"The search ended where it is not sure that there is a maximum{few}."
    return (
        "not_converged",
        f"No step improves the log-likelihood, {s.decrement[g]:.2g} standard errors from the optimum.",
    )


def _growth(names: Sequence[str], limits: np.ndarray, moves: np.ndarray, few: str) -> tuple[str, str]:
    """Status and reason where the entries that move most go on without end."""
    large = np.flatnonzero(np.abs(moves) > 0.1 * np.abs(moves).max())
    gone = ", ".join(f"{names[i]} → {_limit(limits[i], float(moves[i]))}" for i in large[:4]) + (
        ", …" if len(large) > 4 else ""
    )
    if not np.isinf(limits[large]).all(1).any():
        return "boundary", f"The maximum is at the end of a parameter's range: {gone}{few}."
    return "no_finite_maximum", f"The likelihood has no finite maximum: {gone}, as where data are separated{few}."


def _limit(limits: np.ndarray, move: float) -> str:
    """Where an entry goes that grows without bound, in words."""
    end = limits[1] if move > 0 else limits[0]
    if np.isnan(end):
        return "a limit of its range"
    return f"{'+' if end > 0 else '−'}∞" if np.isinf(end) else f"{end:g}"


def reported_many(
    layout: Layout, free: np.ndarray, index: np.ndarray, u: np.ndarray, cov: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The reported estimates of many fits on their natural scale (G, r), and their covariances (G, r, r).

    Arguments:
        index: positions of what is reported among all entries, see `reported.reported_index`.
        u: the whole unconstrained vectors, shape (G, size); `cov` the covariances of its `free` entries.
    """
    if not layout.denses:
        return u[:, index], cov
    size = 1 << max(len(u) - 1, 0).bit_length()
    padded = np.concatenate([u, np.repeat(u[-1:], size - len(u), axis=0)])
    values, parts = zip(*runtime.on_host(runtime.call(_reported, layout.blocks, padded)[0]))
    values = np.concatenate(values, axis=1)
    jacobian = np.zeros((len(u), values.shape[1], layout.size))
    row = 0
    for block, part in zip(layout.blocks, parts):
        part = part[: len(u)]
        n = part.shape[1]
        if part.ndim == 2:
            jacobian[:, row + np.arange(n), block.start + np.arange(n)] = part
        else:
            jacobian[:, row : row + n, block.start : block.stop] = part
        row += n
    jacobian = jacobian[:, index][:, :, free]
    return values[: len(u), index], jacobian @ cov @ np.swapaxes(jacobian, 1, 2)


@partial(runtime.jit, static_argnums=0)
def _reported(blocks: tuple[Block, ...], u: jax.Array) -> list[tuple[jax.Array, jax.Array]]:
    """Of each block, its reported entries, and their derivatives by its stretch of `u` or the diagonal of those."""

    def one(v: jax.Array) -> list[tuple[Any, Any]]:
        each = [(block, entries_of(block, v)) for block in blocks]
        return [
            (jnp.asarray(e.reported), jnp.asarray(e.slopes) if b.elementwise else jacobian_of(b, v)) for b, e in each
        ]

    return jax.vmap(one)(u)

"""Scores without the pull that each unit has on its own fit: what HC2 and HC3 are made of.

A unit's leverage on a parameter is its own negative Hessian D times the inverse V of that of all units, the other
parameters held: one step of Newton's method says that without the unit the estimate would move by (I − V D)⁻¹ V s, s its
score. For a parameter with a predictor it is the hat matrix's diagonal, wᵢ xᵢᵀ(XᵀWX)⁻¹xᵢ. Its score becomes
(I − D V)⁻¹ s for HC3, the jackknife, and (I − D V)^(−1/2) s for HC2, which is unbiased in a linear model of equal
variances.

MacKinnon and White (1985), Some heteroskedasticity-consistent covariance matrix estimators with improved finite sample
properties, Journal of Econometrics 29, 305-325; Pregibon (1981), Annals of Statistics 9, 705-724.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from .. import runtime
from .chain import columns_of, order_of
from .objective import Objective
from .passes import _per_chunk, _scores
from .rows import Program, log_densities, split, stacked_predictors
from .rowwise import down, spread
from .steps import quickly
from .tangents import seconds

MOST_NUMBERS = 100
"""Numbers of one parameter that are the same for all rows, at most: every unit has a matrix of them."""


class Share(NamedTuple):
    """One parameter among the variables of a row: `of` them, first the predictors and then the other numbers, and its
    entries in `u`."""

    of: tuple[int, ...]
    entries: np.ndarray


def shares(program: Program) -> list[Share]:
    """The parameters of a program, each by itself."""
    out, at = [], 0
    for block in program.predictors:
        out.append(Share(tuple(range(at, at + block.n_outputs)), block.positions.reshape(-1)))
        at += block.n_outputs
    for block in program.layout.denses if program.structured else program.layout.blocks:
        size = block.stop - block.start
        out.append(Share(tuple(range(at, at + size)), np.arange(block.start, block.stop)))
        at += size
    return [share for share in out if share.of]


def _without_pull(power: float, d: jax.Array, v: jax.Array, g: jax.Array) -> tuple[jax.Array, jax.Array]:
    """(I − d v)^(−power) g, for symmetric d and v, v without negative eigenvalues; and the largest leverage."""
    if d.shape[0] == 1:
        pull = (d * v)[0, 0]
        return g * (1 - pull) ** -power, pull
    values, vectors = jnp.linalg.eigh(v)
    root = (vectors * jnp.sqrt(jnp.maximum(values, 0.0))) @ vectors.T
    pulls, axes = jnp.linalg.eigh(root @ d @ root)
    rest = jnp.sqrt(1 - pulls)
    gain = 1 / rest**2 if power == 1 else 1 / (rest * (1 + rest))  # ((1 − pull)^(−power) − 1) / pull
    return g + d @ root @ (axes @ (gain * (axes.T @ (root @ g)))), pulls[-1]


@partial(runtime.jit, static_argnums=(0, 1, 2, 3))
def adjusted(
    program: Program,
    length: int,
    power: float,
    squared: bool,
    u: Any,
    inverse: Any,
    constants: Any,
    data: Any,
    span: Any,
) -> jax.Array:
    """For every unit its adjusted score and its largest leverage, shape (chunks, size + 1, rows).

    `inverse` holds V of each parameter in the order of the derivatives that chunks add up.
    """
    parts = shares(program)
    pairs = [(i, j) for share in parts for a, i in enumerate(share.of) for j in share.of[a:]]
    number = {pair: n for n, pair in enumerate(pairs)} | {(j, i): n for n, (i, j) in enumerate(pairs)}
    first, second = np.array(pairs, int).reshape(-1, 2).T

    def body(at: Any, constants: Any, chunk: dict) -> jax.Array:
        u, inverse = at
        x = stacked_predictors(program, u, chunk), split(program, u)
        g = jnp.concatenate(_scores(program, u, constants, chunk))
        terms = lambda eta, dense: -log_densities(program, eta, dense, constants, chunk)
        d = seconds(terms, x, (first, second)).astype(jnp.float64)
        d = d * chunk["weights"] if squared else d
        v = spread(program, inverse, chunk)
        new, most = g, jnp.full(g.shape[-1:], -jnp.inf)
        for share in parts:
            of = np.array(share.of)
            pulled = jax.vmap(quickly(partial(_without_pull, power)), in_axes=-1, out_axes=-1)
            own, pull = pulled(d[np.array([[number[i, j] for j in of] for i in of])], v[np.ix_(of, of)], g[of])
            new, most = new.at[of].set(own), jnp.maximum(most, pull)
        return jnp.concatenate([down(program, new, chunk)[order_of(program)], most[None]])

    return _per_chunk(program, length, body, (u, inverse), constants, data, span)


def adjusted_scores(
    objective: Objective, z: np.ndarray, inverses: list[np.ndarray], power: float, squared: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Every unit's score in `z` without its own pull, shape (units, size), and its largest leverage, (units,).

    Arguments:
        inverses: of each of `shares`, V in `u`, zero where an entry is held.
        power: 1 for HC3, 1/2 for HC2.
        squared: whether a weight multiplies a unit's contribution and does not count copies of it.
    """
    program = objective.likelihood
    order = order_of(program)
    n_dense = len(program.layout.dense_index) if program.structured else program.layout.size
    whole = np.zeros([n_dense + sum(c.places for c in columns_of(program))] * 2)
    for share, v in zip(shares(program), inverses):
        at = order[share.entries]
        whole[np.ix_(at, at)] = v
    scores, most = np.empty((objective.n_units, objective.size)), np.empty(objective.n_units)
    for units, values in objective.each_unit(adjusted, (power, squared), objective.to_u(z), whole):
        scores[units], most[units] = values[:, objective.free] * objective.scale, values[:, -1]
    return scores, most

"""The log-densities of many data sets that differ in some columns, each at parameters of its own."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import numpy as np

from .. import runtime
from .objective import Objective
from .passes import each_unit
from .placement import Placed
from .rows import Program, with_columns

AT_ONCE = 1_000_000
"""Units of observation of all data sets in one go."""


def terms_of_replicas(objective: Objective, u: np.ndarray, columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """The log-density of every unit in each of R data sets, shape (R, units).

    Arguments:
        u: the whole unconstrained vectors, shape (R, size).
        columns: name → what stands in that column in each data set, shape (R, units).
    """
    total = len(u)
    many = min(total, max(1, AT_ONCE // objective.n_units))
    out = np.empty((total, objective.n_units))
    for first in range(0, total, many):
        # the last ones are done again rather than compiled anew for fewer
        start = min(first, total - many)
        here = slice(start, start + many)
        calls = []
        for stretch in objective.stretches:
            with runtime.x64():
                own = {name: _spread(stretch.of, name, values[here]) for name, values in columns.items()}
            length, data, span = stretch.length, stretch.data, stretch.span
            calls.append((objective.likelihood, length, u[here], own, objective.constants, data, span))
        found = runtime.on_host(objective.run_each(_terms, calls))
        for stretch, terms in zip(objective.stretches, found):
            out[here, stretch.units] = terms.reshape(many, -1)[:, : len(stretch.units)]
    return out


def _spread(part: Placed, name: str, values: np.ndarray) -> jax.Array:
    """A column of each data set in the chunks of one: shape (R, chunks, rows)."""
    old = part.data["columns"][name]
    new = np.repeat(np.array(jax.device_get(old))[None], len(values), axis=0).astype(np.result_type(old.dtype, values))
    new[(slice(None), *part.places)] = values[:, part.units]
    (device,) = old.devices()
    return jax.device_put(new, device)


@partial(runtime.jit, static_argnums=(0, 1))
def _terms(
    program: Program, length: int, u: jax.Array, own: dict[str, jax.Array], constants: Any, data: dict, span: Any
) -> jax.Array:
    def one(replica: tuple[jax.Array, dict[str, jax.Array]]) -> jax.Array:
        u, own = replica
        return each_unit(
            program, length, "terms", u, constants, data | {"columns": with_columns(data["columns"], own)}, span
        )

    return jax.lax.map(one, (u, own))  # one after another: kernels stay as small as those of one data set

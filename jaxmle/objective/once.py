"""What of a row's log-density depends on the data alone, computed once for a data set: log y!, log y, and their kin.

The density is traced to steps. A value that is made of columns only, by a step that takes time (a logarithm, a gamma
function), and is used by what also depends on parameters, becomes a column of its own. No step of a pass repeats it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .. import runtime
from ..runtime import MAX_KERNEL_ROWS
from .row_density import RowDensity, Traced, as_declared
from .rows import ONCE, Program
from .steps import Step

MANY_ROWS = 200_000
"""Fewer rows are not worth one more program to compile: up to 0.1 s, for a few nanoseconds a row and pass."""

KERNELS = 8
"""Kernels that one call runs: each call costs something by itself."""

HEAD = 1000
"""Rows that tell most columns of other numbers at a glance."""

COMBINATIONS = 4096
"""Where columns of whole numbers have no more combinations than this, each is computed once, and not row by row."""

MOST_COLUMNS = 4
"""The most columns that are added: each takes memory, and is read in every pass."""

DEAR = frozenset({
    "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "bessel_i0e", "bessel_i1e", "cbrt", "cond",
    "cos", "cosh", "custom_jvp_call", "custom_vjp_call", "digamma", "erf", "erf_inv", "erfc", "exp", "exp2",
    "expm1", "igamma", "igammac", "lgamma", "log", "log1p", "logistic", "polygamma", "pow",
    "regularized_incomplete_beta", "scan", "sin", "sinh", "tan", "tanh", "while", "zeta",
})  # fmt: skip
"""Primitives that take many times longer than reading a number."""


@dataclass(frozen=True)
class Once:
    """A log-density that finds the values of its dear steps in columns of the row, made by `once_for_all`."""

    density: RowDensity

    def __call__(self, p: Any, row: Mapping[str, Any]) -> Any:
        scales = {n: s.eta for n, s in p.scales.items()}
        columns = {n: x for n, x in row.items() if not n.startswith(ONCE)}
        traced = self.density.trace(dict(p), scales, columns)
        given = {i: columns[n] for n, i in traced.columns.items()}
        given |= {i: scales[n] for n, i in traced.scales.items()}
        for name, value in p.items():
            given |= dict(zip(traced.params[name], jax.tree.leaves(value)))
        given |= {i: row[f"{ONCE}{k}"] for k, i in enumerate(dear_values(traced))}
        return traced.steps.run(traced.steps.outputs, given)[0]


def dear_values(traced: Traced) -> list[int]:
    """The values of a density that are numbers, made of columns alone by dear steps, and used together with parameters."""
    steps = traced.steps
    known, of_data = set(steps.known), set(traced.columns.values())
    for step in steps.steps:
        if _is_of_data(step, known, of_data):
            of_data |= set(step.outputs)
        elif not step.equation.effects and known.issuperset(step.inputs):
            known |= set(step.outputs)
    outside = (step for step in steps.steps if not of_data.issuperset(step.outputs))
    frontier = {i for step in outside for i in step.inputs} | set(steps.outputs)
    dear: set[int] = set()
    chosen: list[int] = []
    for step in steps.steps:
        if not of_data.issuperset(step.outputs) or not (step.name in DEAR or dear.intersection(step.inputs)):
            continue
        for i in step.outputs:
            aval = steps.avals[i]
            if i in frontier and aval.shape == () and aval.dtype == np.float64 and len(chosen) < MOST_COLUMNS:
                chosen.append(i)
            else:
                dear.add(i)
    return chosen


def _is_of_data(step: Step, known: set[int], of_data: set[int]) -> bool:
    inputs = set(step.inputs)
    return not step.equation.effects and inputs <= known | of_data and not of_data.isdisjoint(inputs)


def once_for_all(program: Program, columns: Mapping[str, np.ndarray]) -> tuple[Program, dict[str, Any]]:
    """The program that reads what depends on the data alone from columns, and these columns beside those given.

    Arguments:
        program: of a density of rows.
        columns: all that the density reads, (rows, ...) each.
    """
    n = min((len(x) for x in columns.values()), default=0)
    discovered = any(b.has_predictor and not b.is_linear for b in program.layout.blocks)
    if program.unit != "row" or program.precision != "float64" or n < MANY_ROWS or discovered:
        return program, dict(columns)
    density = RowDensity.of(program.log_density, program.layout, columns)
    with runtime.x64():
        chosen = dear_values(as_declared(density))
    if not chosen:
        return program, dict(columns)
    return replace(program, once=Once(density)), dict(columns) | _computed(density, columns, n)


def _computed(density: RowDensity, columns: Mapping[str, np.ndarray], n: int) -> dict[str, np.ndarray]:
    read = {name: columns[name] for name, _, _ in density.columns}
    distinct, of_row = _combinations(read) or (read, slice(n))
    rows = n if distinct is read else COMBINATIONS
    pieces = density.chunks(distinct, rows, KERNELS * MAX_KERNEL_ROWS)
    found, _, _ = runtime.call_each(_values, [(density, piece) for piece in pieces])
    values = np.concatenate(jax.device_get(found), axis=1)
    return {f"{ONCE}{k}": x[of_row] for k, x in enumerate(values)}


def _combinations(columns: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], np.ndarray] | None:
    """Columns with one row for each combination of the numbers in between the least and the greatest, repeated to
    `COMBINATIONS`, and the row there of every row; None where numbers are not whole steps apart or there are too many."""
    lows, widths, of_row = [], [], np.zeros((), np.int32)
    for x in columns.values():
        x = x.view(np.int8) if x.dtype == bool else x
        if x.ndim != 1 or x.dtype.kind not in "iuf" or not (x[:HEAD] == np.floor(x[:HEAD])).all():
            return None
        low, high = x.min(), x.max()
        width = float(high) - float(low) + 1
        if not width * math.prod(widths) <= COMBINATIONS:
            return None
        steps = (x - low).astype(np.int32)
        if not np.array_equal(low + steps, x):
            return None
        lows, widths, of_row = [*lows, low], [*widths, int(width)], of_row * np.int32(width) + steps
    numbers = np.unravel_index(np.resize(np.arange(math.prod(widths)), COMBINATIONS), widths)
    return {name: low + k for name, low, k in zip(columns, lows, numbers)}, of_row


@partial(runtime.jit, static_argnums=0)
def _values(density: RowDensity, piece: Mapping[str, jax.Array]) -> jax.Array:
    """The values of the dear steps in every row, (values, rows)."""
    traced = as_declared(density)
    chosen = dear_values(traced)

    def of_row(row: Mapping[str, jax.Array]) -> list[jax.Array]:
        return traced.steps.run(chosen, {i: row[n] for n, i in traced.columns.items()})

    kernels = jax.tree.map(lambda x: x.reshape(KERNELS, -1, *x.shape[1:]), piece)
    return jnp.stack([x.reshape(-1) for x in jax.lax.map(jax.vmap(of_row), kernels)])

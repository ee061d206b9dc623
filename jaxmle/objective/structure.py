"""Linear predictors that a log-density contains without having been declared: `row["x"] @ p["beta"]` and its kin.

The density of one row is traced to steps. Where parameters left as they are (`Real`) enter by nothing but one sum
Σ_t x_t β_t, with x made of the row alone and every entry of the parameters in it once, the sum is a predictor like that of
a `Linear`: x is computed once and becomes a design, and what is left of the density takes the predictor in place of the
parameters. Sums are followed through the ways to write them (see `sums`): products of matrices, vectors and numbers, sums
and differences of those, slices, reshaped and transposed parameters, and entries picked by a column of codes, which
become the levels of a factor.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .. import runtime
from ..data.beside import Beside, pieces_of
from ..data.design import Design, Factor
from ..declare.domains import Elementwise
from ..declare.links import Identity
from .designs import columns_of
from .layout import Block, Contraction, Layout
from .row_density import RowDensity, as_declared
from .source import Source
from .sums import Analysis, Part, Sum, analyse


@dataclass(frozen=True)
class Rewritten:
    """A log-density whose parameters `found` are given by their predictors, each under the name of its first one."""

    density: RowDensity
    found: tuple[str, ...]

    def __call__(self, p: Any, row: Mapping[str, Any]) -> Any:
        etas = {n: p[n] for n in self.found if n in p}
        real = next(iter(etas.values())).dtype
        natural = {n: x for n, x in p.items() if n not in self.found}
        scales = {n: s.eta for n, s in p.scales.items()}
        traced = self.density.trace(natural, scales, row, real)  # columns that the row lacks are read by no step left
        analysis = analyse(traced, self.found)
        given = {i: row[n] for n, i in traced.columns.items() if n in row}
        given |= {i: scales[n] for n, i in traced.scales.items() if n in scales}
        for name, value in natural.items():
            given |= dict(zip(traced.params[name], jax.tree.leaves(value)))
        predicted = {}
        for i, found in analysis.sums.items():
            aval = traced.steps.avals[i]
            value = found.sign * etas[analysis.names_of(found)[0]].reshape(aval.shape).astype(aval.dtype)
            for (_, sign), other in zip(found.others, traced.steps.run([j for j, _ in found.others], given)):
                value = value + sign * other
            predicted[i] = value
        return traced.steps.run(traced.steps.outputs, given | predicted)[0]


@dataclass(frozen=True, eq=False)
class Discovery:
    """What was found: the density and the layout that use it, the designs, the columns still read, and it in words."""

    log_density: Callable[..., Any]
    layout: Layout
    designs: tuple[Design, ...]
    columns: Mapping[str, np.ndarray]
    notes: tuple[str, ...] = ()


def discover(
    log_density: Callable[..., Any],
    layout: Layout,
    source: Source,
    finite: bool = True,
    precision: str = "float64",
) -> Discovery:
    """Find the linear predictors that a log-density of one row contains.

    Arguments:
        log_density: hashable; it has been called on a row before without an error.
        layout: of the model as it was declared.
        source: the data that it reads.
        finite: whether all columns are known to be.
        precision: of the program; what is found must be the same in float64.

    Returns:
        A `Discovery`; of what was given, if there is nothing to be found.
    """
    nothing = Discovery(log_density, layout, source.designs, source.columns)
    blocks = {b.name: b for b in layout.denses if _as_it_is(b)}
    if not blocks or hasattr(getattr(log_density, "function", log_density), "expected"):  # it is more than its value
        return nothing
    density = RowDensity.of(log_density, layout, source.columns)
    with runtime.x64():
        traced = as_declared(density)
        analysis = analyse(traced, tuple(blocks))
        designs = _designs(density, analysis, source, finite)
        while None in designs.values():
            lost = {n for i, d in designs.items() if d is None for n in analysis.names_of(analysis.sums[i])}
            analysis = analyse(traced, tuple(n for n in analysis.names if n not in lost))
            designs = _designs(density, analysis, source, finite)
        if precision == "float32" and analyse(as_declared(density, np.float32), analysis.names).key != analysis.key:
            return nothing
    if not analysis.sums:
        return nothing
    used = list(source.designs)
    number = {i: _numbered(used, design) for i, design in designs.items() if design is not None}
    changed = {
        n: b for i, found in analysis.sums.items() for n, b in _blocks(analysis, found, number[i], blocks).items()
    }
    columns = columns_of(used, source.in_place)
    arranged = (changed.get(b.name, b) for b in layout.blocks)
    arranged = (
        replace(b, terms=used[b.design].names, columns=columns[b.design]) if b.has_predictor else b for b in arranged
    )
    given = set(analysis.sums) | {i for n in analysis.names for i in traced.params[n]}
    wanted = {*traced.steps.outputs, *(i for found in analysis.sums.values() for i, _ in found.others)}
    read = wanted.union(*(step.inputs for step in traced.steps.needed(wanted, given)))
    return Discovery(
        Rewritten(density, analysis.names),
        replace(layout, blocks=tuple(arranged)),
        tuple(used),
        {n: x for n, x in source.columns.items() if traced.columns[n] in read},
        tuple(_in_words(analysis, found) for found in analysis.sums.values()),
    )


def _as_it_is(block: Block) -> bool:
    """Whether the log-density gets the parameter's unconstrained values themselves."""
    return isinstance(block.parameter, Elementwise) and isinstance(block.parameter.link, Identity)


def _blocks(analysis: Analysis, found: Sum, design: int, blocks: Mapping[str, Block]) -> dict[str, Block]:
    """The blocks of the parameters in a sum: the first has the predictor, of which the others' entries are terms too."""
    where = np.concatenate([np.arange(blocks[n].start, blocks[n].stop) for n in analysis.names])
    by_term = where[np.moveaxis(found.index, -1, 0).reshape(-1)]
    in_order = (np.diff(by_term) == 1).all()
    entries = range(int(by_term[0]), int(by_term[-1]) + 1) if in_order else tuple(by_term.tolist())
    first, *others = analysis.names_of(found)
    predictor = {first: Contraction(entries, found.index.shape[:-1])} | {n: Contraction((), (0,)) for n in others}
    return {n: replace(blocks[n], design=design, found=c) for n, c in predictor.items()}


def _in_words(analysis: Analysis, found: Sum) -> str:
    columns = sorted(frozenset[str]().union(*map(analysis.columns_of, found.parts)))
    return (
        f"found in the log-density: a linear predictor of {', '.join(columns)} ({', '.join(analysis.names_of(found))})"
    )


def _numbered(designs: list[Design], design: Design) -> int:
    """The number of a design among those there are, where it is added unless it is one of them."""
    for i, other in enumerate(designs):
        a, b = pieces_of(design.matrix), pieces_of(other.matrix)
        if not design.factors and not other.factors and len(a) == len(b) and all(map(_same, a, b)):
            return i
    designs.append(design)
    return len(designs) - 1


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two arrays are the same numbers in memory."""
    x, y = a.__array_interface__, b.__array_interface__
    return a.shape == b.shape and a.strides == b.strides and x["data"] == y["data"] and x["typestr"] == y["typestr"]


def _designs(density: RowDensity, analysis: Analysis, source: Source, finite: bool) -> dict[int, Design | None]:
    """The design of every sum; None where one is not finite: then the density may have its reasons to look elsewhere."""
    ones = np.ones((len(source.rows), 1), np.float32)  # beside columns of float32 they stay so
    out: dict[int, Design | None] = {}
    for i, found in analysis.sums.items():
        out[i] = _design(density, analysis, i, found, source, ones, finite)
    return out


def _design(
    density: RowDensity, analysis: Analysis, i: int, found: Sum, source: Source, ones: np.ndarray, finite: bool
) -> Design | None:
    n, n_terms = len(source.rows), found.index.shape[-1]
    to_compute = [_to_compute(analysis, part) for part in found.parts]
    computed = iter(_computed(density, analysis, i, source) if any(to_compute) else ())
    dense: list[np.ndarray] = []
    factors: list[Factor] = []
    at = 0
    for part, computing in zip(found.parts, to_compute):
        size = part.index.shape[-1]
        if part.code is not None:
            factors.append(Factor(next(computed).astype(np.int32), at, size))
        elif computing:
            dense.append(next(computed))
        elif not part.factors:
            dense += [ones] * size
        else:
            ((j, pick),) = part.factors
            values = source.columns[str(analysis.column(j))].reshape(n, -1)
            dense.append(values if np.array_equal(pick, np.arange(values.shape[1])) else values[:, pick])
        if part.code is None and (computing or not finite) and not np.isfinite(dense[-1]).all():
            return None
        at += size
    names = tuple(f"{'+'.join(analysis.names_of(found))}[{j}]" for j in range(n_terms))
    matrix = dense[0] if len(dense) == 1 else Beside(tuple(dense)) if dense else np.zeros((n, 0))
    return Design(names, matrix, tuple(factors))


def _to_compute(analysis: Analysis, part: Part) -> bool:
    """Whether a part's numbers are neither ones nor those of a column."""
    plain = not part.factors or (len(part.factors) == 1 and analysis.column(part.factors[0][0]) is not None)
    return part.code is not None or part.sign != 1 or not plain


def _computed(density: RowDensity, analysis: Analysis, i: int, source: Source) -> list[np.ndarray]:
    """The numbers by row of the parts of one sum that are to be computed, (rows, terms), or codes (rows,)."""
    n = len(source.rows)
    out: list[list[np.ndarray]] = []
    for chunk in density.chunks(source.columns, n, runtime.MAX_KERNEL_ROWS):
        values, _, _ = runtime.call(_numbers, density, analysis.names, i, chunk)
        out.append([np.asarray(v) for v in jax.device_get(values)])
    return [np.concatenate(pieces)[:n] for pieces in zip(*out)]


@partial(runtime.jit, static_argnums=(0, 1, 2))
def _numbers(density: RowDensity, names: tuple[str, ...], i: int, chunk: Mapping[str, jax.Array]) -> list[jax.Array]:
    traced = as_declared(density)
    analysis = analyse(traced, names)
    parts = [p for p in analysis.sums[i].parts if _to_compute(analysis, p)]
    wanted = sorted({j for p in parts for j, _ in p.factors} | {p.code for p in parts if p.code is not None})

    def of_row(row: Mapping[str, jax.Array]) -> list[jax.Array]:
        value = dict(zip(wanted, traced.steps.run(wanted, {j: row[n] for n, j in traced.columns.items()})))
        out = []
        for p in parts:
            if p.code is not None:
                out.append(jnp.clip(value[p.code], 0, p.index.shape[-1] - 1))  # as dynamic_slice does
                continue
            factors = [jnp.asarray(value[j]).reshape(-1)[at].astype(jnp.float64) for j, at in p.factors]
            out.append(math.prod(factors, start=jnp.full(p.index.shape[-1], float(p.sign))))
        return out

    return jax.vmap(of_row)(chunk)

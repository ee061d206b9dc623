"""A model on columns that JAX may be tracing: its negative log-likelihood as one function of the free values and the data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from .. import runtime
from ..data.chunks import Groups, group_chunks, row_chunks, whole
from ..data.design import Design, offset_of
from ..data.expressions import names_in
from ..data.formula import split_offset, variables
from ..data.tables import Table, check_finite, read_weights
from ..declare.choices.slopes import Slopes
from ..declare.conditional import Conditional
from ..declare.formula import right_side, tokens
from ..declare.linear import CONSTANT, Linear
from ..declare.model import Model
from ..errors import DataError, ModelError, did_you_mean
from .build import layout_of, priors_of
from .explained import explained
from .fixing import Fixing, start_vector
from .layout import Block, Layout
from .rows import Params, Program, hashable, log_densities, penalty_value, scalar, widened
from .source import Source, used_columns, with_formula
from .starts import suggested_starts

ROW = "row number"
"""What chunks hold in place of columns: which row of the data is at each place."""

HOW = "Make it a column of the data before, and name it: jm.Linear([1, 'x', 'x squared'])."

Arrays = dict[str, Any]


@dataclass(frozen=True)
class Likelihood:
    """Minus the log-likelihood, plus penalties, of the free values of `u` and of `Arrays`.

    `held` are the entries of `u` that are data: for each a block, and where in it, -1 for the whole of it.
    """

    program: Program
    free: tuple[int, ...]
    held: tuple[tuple[int, int], ...]
    penalty: Callable[..., Any] | None

    def whole(self, free: jax.Array, data: Arrays) -> jax.Array:
        """All of `u`, in the type of `free`."""
        u = jnp.asarray(data["base"]).astype(free.dtype)
        for (number, entry), value in zip(self.held, data["held"]):
            block, value = self.program.layout.blocks[number], jnp.asarray(value).astype(free.dtype)
            if entry >= 0:
                u = u.at[block.start + entry].set(block.links()[entry].forward(value))
            else:
                value = value if block.is_linear else block.domain.unconstrain(value)
                u = u.at[block.start : block.stop].set(jnp.broadcast_to(value, block_shape(block)).reshape(-1))
        return u.at[np.array(self.free, int)].set(free)

    def __call__(self, free: jax.Array, data: Arrays) -> jax.Array:
        u, constants, total = self.whole(free, data), data["constants"], jnp.zeros(())
        for places in data["places"]:

            def add(total: jax.Array, place: dict[str, jax.Array]) -> tuple[jax.Array, None]:
                chunk = self._chunk(data, place)
                terms = log_densities(self.program, jnp.zeros(0), u, constants, chunk)
                return total - jnp.sum(jnp.where(place["live"], chunk["weights"] * terms, 0.0)), None

            total = jax.lax.scan(add, total, places)[0]
        if self.penalty is not None:
            theta = Params(self.program.layout.natural(u, constants))
            total = total + scalar(self.penalty(theta, *data["penalty"]), "The penalty")
        return total + penalty_value(self.program, u, constants)

    def _chunk(self, data: Arrays, place: dict[str, jax.Array]) -> Arrays:
        """The rows of one chunk in the shapes that passes have: rows last, but for the columns of a whole data set."""
        rows, wide = place[ROW], lambda x: widened(jnp.asarray(x))
        unit, axes = self.program.unit, range(rows.ndim)
        columns = {name: wide(x)[rows] for name, x in data["columns"].items()}
        if unit != "all":
            columns = {name: jnp.moveaxis(x, rows.ndim - 1, -1) for name, x in columns.items()}
        designs = [jnp.concatenate([wide(x).reshape(len(x), -1) for x in pieces], 1) for pieces in data["designs"]]
        return {
            "columns": columns,
            "designs": tuple({"dense": jnp.moveaxis(x[rows], -1, 0)} for x in designs),
            "offsets": {
                n: jnp.moveaxis(wide(x)[rows], axes, [i - rows.ndim for i in axes]) for n, x in data["offsets"].items()
            },
            "weights": wide(data["weights"])[rows if rows.ndim == 1 else rows[0]].astype(jnp.float64),
            "mask": place.get("mask"),
        }


def block_shape(block: Block) -> tuple[int, ...]:
    """The shape of what is held when a whole block is: a `Linear`'s coefficients, or the free values."""
    if isinstance(block.parameter, Linear):
        return (len(block.terms), *block.parameter.shape)
    return (block.stop - block.start,)


def trace(
    model: Model,
    data: Mapping[str, Any],
    weights: Any = None,
    fixed: Mapping[str, Any] | None = None,
    start: Mapping[str, Any] | None = None,
    penalty: Callable[..., Any] | None = None,
) -> tuple[Likelihood, Arrays, np.ndarray]:
    """The likelihood of `model` on these columns, its arrays, and the free values to start from.

    Raises:
        ModelError: for a model or an argument that cannot be used, and formulas that would compute with traced columns.
        DataError: for data that cannot be used.
    """
    traced = {name: x for name, x in data.items() if isinstance(x, Tracer)}
    table = Table.read({name: _stand_in(name, x) if name in traced else x for name, x in data.items()})
    model, table, suggested = _bound(model, table, traced)
    plain = lambda p, name: _plain(p, table, traced, name) if isinstance(p, Linear) else p
    model = replace(model, params={name: plain(p, name) for name, p in model.params.items()})
    used = used_columns(model, table)
    check_finite({name: x for name, x in used.items() if name not in traced}, "raise", "the data")
    columns: dict[str, Any] = {name: traced.get(name, x) for name, x in used.items()}
    designs: dict[Any, tuple[int, Design]] = {}
    pieces: list[tuple[Any, ...]] = []
    number, offsets = {}, {}
    for name, parameter in model.params.items():
        if not isinstance(parameter, Linear):
            continue
        if parameter.terms not in designs:
            design = Design.of(parameter, table, name)
            designs[parameter.terms] = (len(designs), design)
            pieces.append(_pieces(parameter, design, table, traced))
        number[name] = designs[parameter.terms][0]
        offset = _offset(parameter, table, traced, name)
        if offset is not None:
            offsets[name] = offset
    by_row = _weights(weights, table, traced)
    groups = _groups(model, table, traced)
    source = Source(columns, tuple(d for _, d in designs.values()), offsets, groups, np.arange(table.n_rows), 0)
    fixed = dict(fixed or {})
    held = {name: fixed.pop(name) for name in list(fixed) if isinstance(fixed[name], Tracer)}
    fixing = Fixing.of(model, {name: source.designs[i].names for name, i in number.items()}, fixed)
    layout = layout_of(model, source, number, fixing)
    base, free = fixing.apply(layout)
    where = tuple(_place_of(name, layout) for name in held)
    for n, entry in where:
        block = layout.blocks[n]
        gone = np.arange(block.start, block.stop) if entry < 0 else [block.start + entry]
        free = np.setdiff1d(free, gone)
    if not len(free):
        raise ModelError("Every parameter is fixed: there is nothing to estimate.")
    u, _ = start_vector(model, layout, _starts(model, source, number, suggested, pieces) | dict(start or {}))
    program = Program(hashable(model.log_density), model.unit_kind, layout, False, priors_of(model))
    penalty, contained = _converted(penalty, layout, u, fixing.constants)
    arrays = {
        "base": base,
        "held": [jnp.asarray(v) for v in held.values()],
        "constants": fixing.constants,
        "columns": columns,
        "designs": pieces,
        "offsets": offsets,
        "weights": by_row,
        "places": _places(source, model.unit_kind),
        "penalty": contained,
    }
    return Likelihood(program, tuple(free.tolist()), where, penalty), arrays, u[free]


def _stand_in(name: str, x: Any) -> np.ndarray:
    if x.ndim == 0:
        raise DataError(f"Column {name!r} is one number; expected an array with one entry for each row.")
    return np.zeros(x.shape, bool if x.dtype == bool else np.int64 if x.dtype.kind in "iu" else np.float64)


def _bound(model: Model, table: Table, traced: Mapping[str, Any]) -> tuple[Model, Table, Mapping[str, Any]]:
    """The model that has seen its responses, where they are known, and the family's suggestions for a start."""
    density = model.log_density
    if not isinstance(density, Conditional) or any(c in traced for c in density.columns):
        return model, table, {}
    bound = density.bind(model.params, table, np.ones(table.n_rows))
    return (
        replace(model, log_density=bound.conditional, params=bound.params),
        table.with_columns(bound.encoded),
        bound.starts,
    )


def _plain(parameter: Linear, table: Table, traced: Mapping[str, Any], name: str) -> Linear:
    """A `Linear` without offsets; by the names of its columns if it is a formula in which one is traced."""
    if not parameter.is_formula:
        return parameter
    text, own = split_offset(str(parameter.terms))
    mine = [c for c in variables(text) if c in traced]
    if not mine:
        return with_formula(parameter, table, name)
    constant, terms = not isinstance(parameter, Slopes), []
    for token in tokens(right_side(text)):
        if token.kind == "number" and token.text in ("0", "1"):
            constant = constant and token.text == "1"
        elif token.kind == "name" and table.column(token.text).dtype.kind in "biuf":
            terms += [token.text] if token.text not in terms else []
        elif token.text != "+":
            raise ModelError(
                f"The formula {text!r} of {name!r} does more than add columns up, and JAX is tracing {', '.join(mine)}. {HOW}"
            )
    return replace(parameter, terms=(*((CONSTANT,) if constant else ()), *terms), offset=parameter.offset + own)


def _pieces(parameter: Linear, design: Design, table: Table, traced: Mapping[str, Any]) -> tuple[Any, ...]:
    """The columns of a design side by side, those that are traced among them."""
    terms = (parameter.terms,) if isinstance(parameter.terms, str) else parameter.terms
    if parameter.is_formula or not any(t in traced for t in terms):  # type: ignore[union-attr]
        return (design.written_out(np.arange(table.n_rows)),)
    return tuple(np.ones(table.n_rows) if t == CONSTANT else traced.get(t, table.column(t)) for t in terms)  # type: ignore[union-attr]


def _offset(parameter: Linear, table: Table, traced: Mapping[str, Any], name: str) -> Any:
    """The known part of the predictor, of traced columns where they are named as they are."""
    entries = parameter.offset
    if not any(c in traced for entry in entries for c in ((entry,) if entry in table.names else names_in(entry))):
        return offset_of(parameter, table, name)
    if any(entry not in table.names for entry in entries):
        raise ModelError(f"An offset of {name!r} computes with a column that JAX is tracing. {HOW}")
    return sum(jnp.asarray(traced.get(entry, table.column(entry))) for entry in entries)


def _weights(weights: Any, table: Table, traced: Mapping[str, Any]) -> Any:
    """A weight for each row, as it is traced or as it is known."""
    if isinstance(weights, str) and weights in traced:
        weights = traced[weights]
    if not isinstance(weights, Tracer):
        return np.ones(table.n_rows) if weights is None else read_weights(weights, table, "weights")
    if weights.shape != (table.n_rows,):
        raise DataError(
            f"weights has shape {weights.shape}, but the data have {table.n_rows} rows: one number per row is needed."
        )
    return weights


def _groups(model: Model, table: Table, traced: Mapping[str, Any]) -> Groups | None:
    if model.unit_kind != "group":
        return None
    if model.unit in traced:
        raise ModelError(f"Column {model.unit!r} says which group a row is in, and cannot be traced by JAX.")
    return Groups.of(table.column(model.unit, "the unit of observation"))


def _place_of(name: str, layout: Layout) -> tuple[int, int]:
    """The number of the block that is called so, and -1; or that has an entry called so, and the entry's number."""
    for n, block in enumerate(layout.blocks):
        if name == block.name:
            return n, -1
        if name in block.labels() and block.elementwise:
            return n, block.labels().index(name)
    known = [b.name for b in layout.blocks] + [label for b in layout.blocks if b.elementwise for label in b.labels()]
    raise ModelError(f"fixed: no parameter or coefficient is called {name!r}.{did_you_mean(name, known)}")


def _starts(
    model: Model, source: Source, number: Mapping[str, int], suggested: Mapping[str, Any], pieces: list[tuple[Any, ...]]
) -> dict[str, Any]:
    """The family's suggestions, where nothing is traced that they look at."""
    seen = jax.tree.leaves((pieces, source.offsets, source.columns))
    if any(isinstance(x, Tracer) for x in seen):
        return {name: value for name, value in suggested.items() if name not in number}
    return suggested_starts(model, source, number, suggested, np.ones(len(source.rows)))


def _converted(penalty: Any, layout: Layout, u: np.ndarray, constants: Any) -> tuple[Any, list[Any]]:
    """A penalty as a function that contains nothing that is traced, and what it contained."""
    if penalty is None:
        return None, []
    if not callable(penalty):
        raise ModelError(f"penalty must be a function of the parameters that returns a number; got {penalty!r}.")
    with runtime.x64(), explained("The penalty"):
        theta = Params(layout.natural(jnp.asarray(u, jnp.float64), constants))
        converted, contained = jax.closure_convert(penalty, theta)
    return (converted, contained) if contained else (hashable(penalty), [])


def _places(source: Source, unit: str) -> list[dict[str, np.ndarray]]:
    """Which row is where, cut into chunks as the engine cuts columns: chunks first."""
    rows, one = {ROW: np.arange(len(source.rows))}, np.ones(source.n_units)
    if source.groups is not None:
        cut = group_chunks(source.groups, rows, (), {}, one)
    else:
        cut = [whole(rows, (), {}, one) if unit == "all" else row_chunks(rows, (), {}, one, drawn=False)]
    out = []
    for chunks in cut:
        before = len(chunks.sample) // chunks.weights.shape[-1]
        here = slice(before, before + chunks.count)
        mask = {} if chunks.mask is None else {"mask": chunks.mask[here]}
        out.append({ROW: chunks.columns[ROW][here], "live": chunks.weights[here] > 0} | mask)
    return out

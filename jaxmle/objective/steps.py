"""A log-density of one row as the steps that JAX traces it to: calls written out, equal steps joined, run in part."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any, TypeAlias

import jax
import numpy as np

from ..data.chunks import bucket
from ..declare.distributions.base import OnScale
from ..declare.domains import Domain, Elementwise
from ..declare.linear import Linear
from .layout import Layout
from .rows import Params, Row

Equation: TypeAlias = Any
"""One of JAX's own; the names of its types are in modules whose import adds to JAX's settings."""

CALLS = ("jit", "pjit", "closed_call")
"""Primitives that only call a function of traced steps; what else holds steps (loops, branches, own derivatives) is one."""


@dataclass(frozen=True, eq=False)
class Step:
    """One primitive applied to numbered values."""

    equation: Equation
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    @property
    def name(self) -> str:
        return self.equation.primitive.name

    @property
    def params(self) -> Mapping[str, Any]:
        return self.equation.params

    def apply(self, values: Sequence[Any]) -> Sequence[Any]:
        primitive, bound = self.equation.primitive, self.equation.primitive.get_bind_params(self.equation.params)
        functions, params = bound if isinstance(bound, tuple) else ((), bound)  # the first until jax 0.8
        with self.equation.ctx.manager:
            out = primitive.bind(*functions, *values, **params)
        return out if primitive.multiple_results else (out,)


@dataclass(frozen=True, eq=False)
class Steps:
    """A function as steps in order; values are numbered, `avals` are their shapes and types, `known` the constants."""

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    steps: tuple[Step, ...]
    known: Mapping[int, Any]
    avals: Sequence[Any]

    def needed(self, wanted: Collection[int], given: Collection[int]) -> list[Step]:
        """The steps that lead from given values to those wanted, and those that do more than compute."""
        missing, chosen = set(wanted) - set(given), []
        for step in reversed(self.steps):
            if step.equation.effects or not missing.isdisjoint(step.outputs):
                chosen.append(step)
                missing |= set(step.inputs) - set(given)
        return chosen[::-1]

    def run(self, wanted: Sequence[int], given: Mapping[int, Any]) -> list[Any]:
        """The values wanted, from given ones."""
        values = {**self.known, **given}
        for step in self.needed(wanted, given):
            values |= {
                i: v for i, v in zip(step.outputs, step.apply([values[i] for i in step.inputs])) if i not in given
            }
        return [values[i] for i in wanted]


class _Writer:
    """Writes steps down: calls in place, and one number for all values that equal steps make of equal values."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.known: dict[int, Any] = {}
        self.avals: list[Any] = []
        self._seen: dict[Any, tuple[int, ...]] = {}

    def new(self, aval: Any) -> int:
        self.avals.append(aval)
        return len(self.avals) - 1

    def constant(self, value: Any, aval: Any, key: Any) -> int:
        if key not in self._seen:
            self._seen[key] = (self.new(aval),)
            self.known[self._seen[key][0]] = value
        return self._seen[key][0]

    def write(self, closed: Any, inputs: Sequence[int]) -> list[int]:
        jaxpr = closed.jaxpr
        number = dict(zip(jaxpr.invars, inputs))
        for var, value in zip(jaxpr.constvars, closed.consts):
            number[var] = self.constant(value, var.aval, id(value))

        def of(atom: Any) -> int:
            if not hasattr(atom, "val"):  # a variable
                return number[atom]
            return self.constant(atom.val, atom.aval, (np.asarray(atom.val).tobytes(), str(atom.aval)))

        for equation in jaxpr.eqns:
            values = tuple(map(of, equation.invars))
            if equation.primitive.name in CALLS:
                inner = equation.params.get("jaxpr", equation.params.get("call_jaxpr"))
                outputs = self.write(inner, values)
            else:
                outputs = self._step(equation, values)
            number |= dict(zip(equation.outvars, outputs))
        return list(map(of, jaxpr.outvars))

    def _step(self, equation: Equation, inputs: tuple[int, ...]) -> tuple[int, ...]:
        key = (equation.primitive, inputs, tuple(sorted(equation.params.items(), key=lambda item: item[0])))
        try:
            known = None if equation.effects else self._seen.get(key)
        except TypeError:  # a setting that cannot be hashed
            key, known = object(), None
        if known is None:
            known = tuple(self.new(v.aval) for v in equation.outvars)
            self.steps.append(Step(equation, inputs, known))
            self._seen[key] = known
        return known


@dataclass(frozen=True, eq=False)
class Traced:
    """A log-density of one row as steps, and which of its inputs are what: leaves of parameters, predictors, columns."""

    steps: Steps
    params: Mapping[str, tuple[int, ...]]
    scales: Mapping[str, int]
    columns: Mapping[str, int]


@dataclass(frozen=True)
class RowDensity:
    """A log-density of rows with all that decides how it is traced; equal ones are traced to the same steps.

    `params` are in the order in which the density meets them, those named in `constant` have no predictor; `columns` are
    name, shape in one row and kind ("f", "i" or "b").
    """

    function: Callable[..., Any]
    params: tuple[tuple[str, Domain | Linear], ...]
    constant: frozenset[str]
    columns: tuple[tuple[str, tuple[int, ...], str], ...]

    @staticmethod
    def of(function: Callable[..., Any], layout: Layout, columns: Mapping[str, np.ndarray]) -> RowDensity:
        """As the passes call it: constants first, predictors last."""
        held = frozenset(name for name, _ in layout.constants)
        dense = tuple((b.name, b.parameter) for b in layout.blocks if not b.is_linear)
        linear = tuple((b.name, b.parameter) for b in layout.linears)
        kinds = {"b": "b", "i": "i", "u": "i"}
        described = ((k, columns[k].shape[1:], kinds.get(columns[k].dtype.kind, "f")) for k in sorted(columns))
        return RowDensity(function, (*layout.constants, *dense, *linear), held, tuple(described))

    def column_shapes(self, real: Any) -> dict[str, jax.ShapeDtypeStruct]:
        kinds = {"b": bool, "i": np.int64, "f": real}
        return {name: jax.ShapeDtypeStruct(shape, kinds[kind]) for name, shape, kind in self.columns}

    def chunks(self, columns: Mapping[str, np.ndarray], n: int, most: int) -> Iterator[dict[str, np.ndarray]]:
        """The n rows of columns in pieces of one size, at most so many, the last filled up with the last row."""
        rows = min(bucket(n), most)
        shapes = self.column_shapes(np.float64)
        for at in range(0, n, rows):
            some = slice(at, at + rows) if at + rows <= n else np.minimum(np.arange(at, at + rows), n - 1)
            yield {k: np.asarray(columns[k][some], shape.dtype) for k, shape in shapes.items()}

    def _has_scale(self, name: str, parameter: Domain | Linear) -> bool:
        return isinstance(parameter, Linear | Elementwise) and name not in self.constant

    def trace(
        self,
        params: Mapping[str, Any] = MappingProxyType({}),
        scales: Mapping[str, Any] = MappingProxyType({}),
        columns: Mapping[str, Any] = MappingProxyType({}),
        real: Any = np.float64,
    ) -> Traced:
        """The steps for arguments of the shapes and types of those given; where none are, as declared."""
        domains = dict(self.params)
        links = {n: p.link for n, p in domains.items() if self._has_scale(n, p)}
        natural = {n: _like(params[n]) if n in params else _declared(p, real) for n, p in domains.items()}
        etas = {n: _like(scales[n]) if n in scales else _declared(domains[n], real) for n in links}
        seen = self.column_shapes(real) | {n: _like(x) for n, x in columns.items()}
        seen = {n: seen[n] for n in sorted(seen)}

        def call(natural: dict, etas: dict, columns: dict) -> Any:
            p = {n: natural[n] for n, _ in self.params}
            return self.function(Params(p, {n: OnScale(links[n], etas[n]) for n in links}), Row(columns))

        arguments = (natural, etas, seen)
        closed = jax.make_jaxpr(call)(*arguments)
        writer = _Writer()
        inputs = [writer.new(v.aval) for v in closed.jaxpr.invars]
        outputs = writer.write(closed, inputs)
        of: tuple[dict[str, tuple[int, ...]], ...] = ({}, {}, {})
        for i, (path, _) in zip(inputs, jax.tree_util.tree_flatten_with_path(arguments)[0]):
            group, name = of[path[0].idx], path[1].key
            group[name] = (*group.get(name, ()), i)
        steps = Steps(tuple(inputs), tuple(outputs), tuple(writer.steps), writer.known, writer.avals)
        return Traced(steps, of[0], {n: i for n, (i,) in of[1].items()}, {n: i for n, (i,) in of[2].items()})


def _like(tree: Any) -> Any:
    """The shapes and types of arrays."""
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(np.shape(x), x.dtype), tree)


def _declared(parameter: Domain | Linear, real: Any) -> Any:
    """The shapes of a parameter's natural value in one row."""
    if isinstance(parameter, Linear):
        return jax.ShapeDtypeStruct(parameter.shape, real)
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(np.shape(x), real), parameter.default())


@lru_cache(maxsize=64)
def as_declared(density: RowDensity, real: Any = np.float64) -> Traced:
    """The steps of a log-density for arguments of the declared shapes; equal ones are traced once."""
    return density.trace(real=real)

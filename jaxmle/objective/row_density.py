"""A log-density of one row as steps, and which of its inputs are what."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import jax
import numpy as np

from ..data.chunks import bucket
from ..declare.distributions.base import OnScale
from ..declare.domains import Domain, Elementwise
from ..declare.linear import Linear
from .layout import Layout
from .rows import Params, Row
from .steps import Steps, like, written


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
        natural = {n: like(params[n]) if n in params else _declared(p, real) for n, p in domains.items()}
        etas = {n: like(scales[n]) if n in scales else _declared(domains[n], real) for n in links}
        seen = self.column_shapes(real) | {n: like(x) for n, x in columns.items()}
        seen = {n: seen[n] for n in sorted(seen)}

        def call(natural: dict, etas: dict, columns: dict) -> Any:
            p = {n: natural[n] for n, _ in self.params}
            return self.function(Params(p, {n: OnScale(links[n], etas[n]) for n in links}), Row(columns))

        arguments = (natural, etas, seen)
        steps, _ = written(call, *arguments)
        of: tuple[dict[str, tuple[int, ...]], ...] = ({}, {}, {})
        for i, (path, _) in zip(steps.inputs, jax.tree_util.tree_flatten_with_path(arguments)[0]):
            group, name = of[path[0].idx], path[1].key
            group[name] = (*group.get(name, ()), i)
        return Traced(steps, of[0], {n: i for n, (i,) in of[1].items()}, {n: i for n, (i,) in of[2].items()})


def _declared(parameter: Domain | Linear, real: Any) -> Any:
    """The shapes of a parameter's natural value in one row."""
    if isinstance(parameter, Linear):
        return jax.ShapeDtypeStruct(parameter.shape, real)
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(np.shape(x), real), parameter.default())


@lru_cache(maxsize=64)
def as_declared(density: RowDensity, real: Any = np.float64) -> Traced:
    """The steps of a log-density for arguments of the declared shapes; equal ones are traced once."""
    return density.trace(real=real)

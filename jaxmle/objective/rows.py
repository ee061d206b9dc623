"""From a chunk of data and the parameters to one log-density per unit: where the user's function is called."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import DictKey, register_pytree_with_keys

from ..declare.distributions.base import OnScale
from ..declare.domains import Elementwise
from ..declare.tree import Module
from ..errors import DataError, ModelError, did_you_mean
from .designs import times
from .layout import Block, Layout
from .steps import quickly


class Row(Mapping[str, Any]):
    """What a log-density sees of the data: columns by name; an unknown name is an error that lists the known ones.

    It passes through `jax.jit`, `jax.vmap` and the like as a dict would.
    """

    def __init__(self, columns: Mapping[str, Any]) -> None:
        self._columns = columns

    def __getitem__(self, name: str) -> Any:
        if name not in self:
            raise DataError(f"The log-density asks for column {name!r}, which the data lack.{did_you_mean(name, self)}")
        return self._read(name)

    def _read(self, name: str) -> Any:
        return self._columns[name]

    def __contains__(self, name: object) -> bool:
        return name in self._columns

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"a column is row[{name!r}], not row.{name}")

    def __setitem__(self, name: str, value: Any) -> None:
        raise TypeError(f"a row cannot be written to: give what would be row[{name!r}] a name of its own")

    def get(self, name: str, default: Any = None) -> Any:
        return self[name] if name in self else default  # noqa: SIM401 - Mapping's own expects a KeyError

    def __or__(self, other: Mapping[str, Any]) -> dict[str, Any]:
        return {**self, **other}

    def copy(self) -> dict[str, Any]:
        return dict(self)


class Params(dict):
    """The parameters as a log-density sees them, on the natural scale; an unknown name lists the known ones.

    `scales` gives those that have a predictor by it: logarithms keep digits there that the natural value has lost.
    """

    def __init__(self, values: Mapping[str, Any], scales: Mapping[str, OnScale] | None = None) -> None:
        super().__init__(values)
        self.scales = scales or {}

    def __getitem__(self, name: str) -> Any:
        value = super().__getitem__(name)
        return value.whole if isinstance(value, Module) else value

    def get(self, name: str, default: Any = None) -> Any:
        return self[name] if name in self else default  # noqa: SIM401 - a dict's own would give what is inside

    def __missing__(self, name: str) -> Any:
        raise ModelError(f"The model has no parameter {name!r}.{did_you_mean(name, self)}")


def _flatten(mapping: Mapping[str, Any]) -> tuple[list[tuple[Any, Any]], tuple[str, ...]]:
    items = sorted(mapping.items(), key=lambda item: item[0])
    return [(DictKey(name), value) for name, value in items], tuple(name for name, _ in items)


def through_jax(kind: type, becomes: type | None = None) -> None:
    """Let mappings of this kind through `jax.jit` and the like; on the other side they are of the kind `becomes`."""
    rebuild = becomes or kind
    register_pytree_with_keys(kind, _flatten, lambda names, values: rebuild(dict(zip(names, values))))


through_jax(Row)
through_jax(Params)


class Identity:
    """A function that cannot be hashed, as one that can: equal to itself alone. So any callable may be a density."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __call__(self, *args: Any) -> Any:
        return self.function(*args)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Identity) and other.function is self.function

    def __hash__(self) -> int:
        return id(self.function)


def hashable(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` itself where it can be a static argument of a jitted function; what was jitted is taken out of it."""
    if hasattr(function, "lower") and hasattr(function, "trace"):  # jax.jit's: it would be traced inside another
        function = getattr(function, "__wrapped__", function)
    try:
        hash(function)
    except TypeError:
        return Identity(function)
    return function


ONCE = " once "
"""The beginning of the names of columns that hold what `Program.once` would compute of the others."""


def with_columns(columns: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Columns with others in their place, or more; those that were computed from them are left out."""
    return {name: x for name, x in columns.items() if not name.startswith(ONCE)} | dict(other)


@dataclass(frozen=True)
class Program:
    """Everything that decides the compiled code; equal programs on data of equal shapes are compiled once.

    `structured` says that the coefficients of `Linear`s are differentiated through their predictors, one number per
    row; otherwise (`unit` of groups or all rows, or when asked) they are parameters like any other. `penalties` are
    added to the negative log-likelihood, functions of the parameters on the natural scale. `once` is the same density where
    the chunk has columns of what depends on the data alone.
    """

    log_density: Callable[..., Any]
    unit: str
    layout: Layout
    structured: bool
    penalties: tuple[Callable[[Mapping[str, Any]], Any], ...] = ()
    precision: str = "float64"
    once: Any = None

    @property
    def predictors(self) -> tuple[Block, ...]:
        """The blocks whose predictors are variables of their own."""
        return self.layout.predicted if self.structured else ()

    @property
    def n_predictors(self) -> int:
        return sum(b.n_outputs for b in self.predictors)

    def density_on(self, columns: Mapping[str, Any]) -> Callable[..., Any]:
        """The log-density that reads these columns."""
        once = self.once
        if once is None or not any(name.startswith(ONCE) for name in columns):
            return self.log_density
        return once if once.density.function == self.log_density else self.log_density

    @property
    def dtype(self) -> Any:
        return jnp.float32 if self.precision == "float32" else jnp.float64


def widened(x: jax.Array, dtype: Any = jnp.float64) -> jax.Array:
    """Numbers as they are computed with: floats in a precision, whole numbers in 64 bits, truth values as they are."""
    if jnp.issubdtype(x.dtype, jnp.floating):
        return x.astype(dtype)
    return x if x.dtype == bool else x.astype(jnp.int64)


def in_precision(program: Program, chunk: dict) -> dict:
    """The chunk's numbers as they are computed with, floats in the program's precision."""
    return jax.tree.map(lambda x: widened(x, program.dtype), chunk) | {"weights": chunk["weights"]}


def predictor(program: Program, block: Block, u: jax.Array, chunk: dict, offset: bool = True) -> jax.Array:
    """A linear predictor on every row of a chunk, shape (outputs, ..., rows)."""
    where = range(block.start, block.stop) if block.found is None else block.found.entries
    beta = u[where.start : where.stop] if isinstance(where, range) else u[np.array(where)]
    beta = beta.reshape(len(block.terms), block.n_outputs).astype(program.dtype)
    eta = times(block.columns, chunk["designs"][block.design], beta, differentiated=not program.structured)
    if offset and block.name in chunk["offsets"]:
        eta = eta + chunk["offsets"][block.name].reshape(eta.shape)
    return eta


def stacked_predictors(program: Program, u: jax.Array, chunk: dict, offset: bool = True) -> jax.Array:
    """All structured predictors of a chunk, shape (predictors, rows)."""
    if not program.predictors:
        return jnp.zeros((0, chunk["weights"].shape[-1]), program.dtype)
    return jnp.concatenate([predictor(program, b, u, chunk, offset) for b in program.predictors])


def split(program: Program, u: jax.Array) -> jax.Array:
    """The part of `u` that is differentiated directly: all of it, or what is not a structured predictor's."""
    return u[program.layout.dense_index] if program.structured else u


def log_densities(
    program: Program,
    eta: jax.Array,
    dense: jax.Array,
    constants: Any,
    chunk: dict,
    of: Callable[[Any], Any] | None = None,
) -> Any:
    """One log-density per unit of a chunk, shape (rows,), from the structured predictors and the other parameters.

    `of` is applied to what the density returns for one unit; by default it must be a number. Rows come last.
    """
    layout = program.layout
    natural: dict[str, Any] = dict(constants)
    scales: dict[str, OnScale] = {}
    etas: dict[str, jax.Array] = {}
    at = 0
    for block in layout.predicted:
        if not program.structured:
            value = predictor(program, block, dense, chunk)
        else:
            value = eta[at : at + block.n_outputs]
            at += block.n_outputs
        etas[block.name] = value.reshape(*block.outputs, *value.shape[1:])
    at = 0
    for block in layout.denses:
        size = block.stop - block.start
        at = at if program.structured else block.start
        u = dense[at : at + size]
        natural[block.name] = jax.tree.map(lambda x: x.astype(program.dtype), block.from_free(u))
        if isinstance(block.parameter, Elementwise):
            scales[block.name] = OnScale(block.parameter.link, u.astype(program.dtype).reshape(block.parameter.batch))
        at += size

    def params(etas: dict[str, jax.Array]) -> Params:
        on = {b.name: OnScale(b.parameter.link, etas[b.name]) for b in layout.linears}  # type: ignore[union-attr]
        found = {b.name: etas[b.name] for b in layout.predicted if not b.is_linear}  # as such a density asks for them
        return Params(natural | found | {name: x.value for name, x in on.items()}, scales | on)

    if program.unit == "all":
        last_to_first = {k: jnp.moveaxis(v, -1, 0) for k, v in etas.items()}
        n = chunk["weights"].shape[-1]
        whole = lambda columns: terms_of_all(program.log_density(params(last_to_first), Row(columns)), n)
        return quickly(whole)(chunk["columns"])
    if program.unit == "group":
        etas = {k: jnp.moveaxis(v, -2, 0) for k, v in etas.items()}  # (length, *shape, groups)

    density = program.density_on(chunk["columns"])

    def one(etas: dict, columns: dict, mask: Any, _: Any) -> jax.Array:
        args = (params(etas), Row(columns)) if program.unit == "row" else (params(etas), Row(columns), mask)
        return (of or scalar)(density(*args))

    # the weights say how many units there are, to a density that looks at no data as well
    return jax.vmap(quickly(one), in_axes=-1, out_axes=-1)(etas, chunk["columns"], chunk["mask"], chunk["weights"])


def terms_of_all(value: Any, n: int) -> jax.Array:
    """What a density of the whole data set returned, as one real term per row; `ModelError` for anything else."""
    what = None
    if value is None or isinstance(value, (str, dict, list, tuple)):
        what = type(value).__name__
    elif jnp.iscomplexobj(value):
        what = "complex numbers"
    elif jnp.shape(value) != (n,):
        what = f"shape {jnp.shape(value)}"
    if what is not None:
        raise ModelError(
            f"With unit='all' the log-density returns one term per row, shape ({n},); it returned {what}. A total for "
            "all rows can be split as the term of the first row and zeros."
        )
    return _floating(jnp.asarray(value))


def _floating(value: jax.Array) -> jax.Array:
    return value if jnp.issubdtype(value.dtype, jnp.floating) else value.astype(jnp.float64)


def scalar(value: Any, what_for: str = "The log-density of one observation") -> jax.Array:
    """What the user's function returned, as one real number; raises `ModelError` for anything else."""
    if value is None or isinstance(value, (str, dict, list, tuple)):
        raise ModelError(f"{what_for} must be a number; it returned {type(value).__name__}.")
    value = jnp.asarray(value)
    if value.shape != () or jnp.iscomplexobj(value):
        what = "a complex number" if jnp.iscomplexobj(value) else f"an array of shape {value.shape}"
        raise ModelError(
            f"{what_for} must be one real number; it returned {what}. Sum over what belongs to it, e.g. with jnp.sum(...)."
        )
    return _floating(value)


def penalty_value(program: Program, u: jax.Array, constants: Any) -> jax.Array:
    """The sum of the penalties at `u`: what is added to the negative log-likelihood."""
    theta = Params(program.layout.natural(u, constants))
    values = (scalar(f(theta), "The penalty") for f in program.penalties)
    return sum((value.astype(jnp.float64) for value in values), jnp.zeros((), jnp.float64))

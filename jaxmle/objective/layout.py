"""The layout of the flat vector: which stretch of `u` is which parameter, and the way back to the natural scale.

Two vectors occur. `u` holds every unconstrained value of the model, in the order of declaration; `z`, which a solver
sees, holds the free ones among them, each divided by a scale that makes columns of any unit comparable.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import prod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from .. import runtime
from ..declare.domains import Domain
from ..declare.linear import Linear
from ..declare.links import LINKS, Link
from .designs import Columns


@dataclass(frozen=True)
class Contraction:
    """A predictor that a log-density makes of parameters that are the same in all rows (see `structure`).

    `entries` says where in `u` its coefficients are, shape (terms, outputs), flat; `shape` is its own in one row. Where
    it is made of several parameters, those but the first have one without outputs.
    """

    entries: Sequence[int]
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Block:
    """One parameter's stretch `u[start:stop]`.

    `terms`, `design` (its number) and `columns` belong to a predictor: a `Linear`, or what was `found` in the density.
    """

    name: str
    parameter: Domain | Linear
    start: int
    stop: int
    terms: tuple[str, ...] = ()
    design: int = -1
    columns: Columns = field(default_factory=Columns)
    found: Contraction | None = None

    @property
    def is_linear(self) -> bool:
        return isinstance(self.parameter, Linear)

    @property
    def has_predictor(self) -> bool:
        """Whether it enters each row by a linear predictor, one declared or one found, of its own or another block's."""
        return self.is_linear or self.found is not None

    @property
    def outputs(self) -> tuple[int, ...]:
        """The shape of its predictor in one row."""
        return self.parameter.shape if isinstance(self.parameter, Linear) else self.found.shape  # type: ignore[union-attr]

    @property
    def n_outputs(self) -> int:
        return prod(self.outputs)

    @property
    def positions(self) -> np.ndarray:
        """Where in `u` the predictor's coefficients are, shape (terms, outputs)."""
        entries = np.asarray(range(self.start, self.stop) if self.found is None else self.found.entries, dtype=int)
        return entries.reshape(len(self.terms), self.n_outputs)

    @property
    def elementwise(self) -> bool:
        """Whether each unconstrained value is one reported coefficient."""
        return isinstance(self.parameter, Linear) or self.parameter.elementwise

    @property
    def domain(self) -> Domain:
        """The parameter, which is not a `Linear`."""
        assert isinstance(self.parameter, Domain)
        return self.parameter

    def labels(self) -> tuple[str, ...]:
        """The flat names of what is reported, such as `rate[age]`, `theta[0]` or `scale`."""
        if not isinstance(self.parameter, Linear):
            return tuple(self.name + label for label in self.parameter.labels())
        inner = (
            ["," + ",".join(map(str, i)) for i in np.ndindex(*self.parameter.shape)] if self.parameter.shape else [""]
        )
        return tuple(f"{self.name}[{term}{i}]" for term in self.terms for i in inner)

    def links(self) -> tuple[Link, ...]:
        """For each reported entry, the scale on which its interval is formed."""
        if isinstance(self.parameter, Linear):
            return (LINKS["identity"],) * (self.stop - self.start)
        return self.parameter.links()

    def bounds(self) -> tuple[tuple[float, float], ...]:
        """For each reported entry, the ends of its range."""
        if isinstance(self.parameter, Linear):
            return ((-np.inf, np.inf),) * (self.stop - self.start)
        return self.parameter.bounds()

    def natural(self, u: jax.Array) -> Any:
        """The parameter on its natural scale; for a `Linear`, its coefficients, shape (p, *shape)."""
        return self.from_free(u[self.start : self.stop])

    def from_free(self, part: jax.Array) -> Any:
        """`natural`, from the parameter's own stretch of `u`."""
        if isinstance(self.parameter, Linear):
            return part.reshape(len(self.terms), *self.parameter.shape)
        return self.parameter.constrain(part)

    def reported(self, u: jax.Array) -> jax.Array:
        """The reported entries, flat."""
        if isinstance(self.parameter, Linear):
            return u[self.start : self.stop]
        return self.parameter.reported(self.natural(u))


@dataclass(frozen=True)
class Layout:
    """All parameters of a model. `blocks` are estimated, `constants` are held at values that are passed as arrays."""

    blocks: tuple[Block, ...]
    constants: tuple[tuple[str, Domain], ...] = ()

    @property
    def size(self) -> int:
        return self.blocks[-1].stop if self.blocks else 0

    @property
    def linears(self) -> tuple[Block, ...]:
        return tuple(b for b in self.blocks if b.is_linear)

    @property
    def predicted(self) -> tuple[Block, ...]:
        """The blocks of the predictors."""
        return tuple(b for b in self.blocks if b.has_predictor and b.n_outputs)

    @property
    def denses(self) -> tuple[Block, ...]:
        """The blocks that the log-density gets as they are, the same for every row."""
        return tuple(b for b in self.blocks if not b.has_predictor)

    @property
    def dense_index(self) -> np.ndarray:
        """Positions in `u` of the values that are the same for every row."""
        return np.concatenate([np.arange(b.start, b.stop) for b in self.denses] or [np.zeros(0, int)]).astype(int)

    def natural(self, u: jax.Array, constants: Mapping[str, Any]) -> dict[str, Any]:
        """Every parameter by name on the natural scale (a `Linear` by its coefficients)."""
        return {b.name: b.natural(u) for b in self.blocks} | dict(constants)

    def names(self) -> tuple[str, ...]:
        """The names of all parameters, estimated ones first."""
        return tuple(b.name for b in self.blocks) + tuple(name for name, _ in self.constants)

    def labels(self) -> tuple[str, ...]:
        return tuple(label for b in self.blocks for label in b.labels())

    def links(self) -> tuple[Link, ...]:
        return tuple(link for b in self.blocks for link in b.links())

    def bounds(self) -> tuple[tuple[float, float], ...]:
        return tuple(bound for b in self.blocks for bound in b.bounds())

    def owners(self) -> np.ndarray:
        """For each reported entry, the number of its block."""
        return np.concatenate([np.full(len(b.labels()), i) for i, b in enumerate(self.blocks)]).astype(int)

    def of_unconstrained(self) -> np.ndarray:
        """For each entry of `u`, the number of its block."""
        return np.concatenate([np.full(b.stop - b.start, i) for i, b in enumerate(self.blocks)]).astype(int)

    def entries(self, u: np.ndarray, run: Callable[..., Any] | None = None) -> list[Entries]:
        """What each block is at `u`, on the host; `run` runs a program and returns what it does.

        A `Linear` is its coefficients: models that have nothing else need no program.
        """
        others = tuple(b for b in self.blocks if not b.is_linear)
        run = run or (lambda f, *args: runtime.call(f, *args)[0])
        computed = iter(runtime.on_host(run(naturalise_blocks, others, u)) if others else ())
        u = _kept(u)
        return [entries_of(b, u) if b.is_linear else next(computed) for b in self.blocks]

    def named(self, entries: list[Entries], constants: Mapping[str, Any]) -> dict[str, Any]:
        """Every parameter by name on its natural scale, on the host, read-only."""
        return {b.name: e.natural for b, e in zip(self.blocks, entries)} | jax.tree.map(_kept, dict(constants))

    def jacobian(self, u: np.ndarray, entries: list[Entries] | None = None) -> np.ndarray:
        """d(reported)/du, shape (reported, size), exact; `entries` are those at `u`, where they are at hand."""
        whole = tuple(b for b in self.blocks if not b.elementwise)
        parts = iter(runtime.on_host(runtime.call(_jacobians, whole, u)[0]) if whole else ())
        out = np.zeros((len(self.labels()), self.size))
        row = 0
        for block, (_, reported, slopes) in zip(self.blocks, entries or self.entries(u)):
            part = np.diag(slopes) if block.elementwise else next(parts)
            out[row : row + len(reported), block.start : block.stop] = part
            row += len(reported)
        return out


def _kept(values: Any) -> np.ndarray:
    """A copy that nobody can change."""
    values = np.array(values)
    values.flags.writeable = False
    return values


class Entries(NamedTuple):
    """Of one block: the parameter on its natural scale, its reported entries, and their slopes.

    The slope of each is that by its own value in `u`; there are none where an entry depends on several (`jacobian_of`).
    """

    natural: Any
    reported: Any
    slopes: Any


def entries_of(block: Block, u: Any) -> Entries:
    part = u[block.start : block.stop]
    if isinstance(block.parameter, Linear):
        return Entries(block.from_free(part), part, np.ones(len(part)))
    both = lambda v: (natural := block.from_free(v), block.domain.reported(natural))
    if not block.elementwise:
        natural, reported = both(part)
        return Entries(natural, reported, None)
    (natural, reported), (_, slopes) = jax.jvp(both, (part,), (jnp.ones_like(part),))
    return Entries(natural, reported, slopes)


def jacobian_of(block: Block, u: jax.Array) -> jax.Array:
    """The derivatives of a block's reported entries by its stretch of `u`."""
    return jax.jacfwd(lambda v: block.domain.reported(block.from_free(v)))(u[block.start : block.stop])


@partial(runtime.jit, static_argnums=0)
def naturalise_blocks(blocks: tuple[Block, ...], u: jax.Array) -> list[Entries]:
    return [entries_of(b, u) for b in blocks]


@partial(runtime.jit, static_argnums=0)
def _jacobians(blocks: tuple[Block, ...], u: jax.Array) -> list[jax.Array]:
    return [jacobian_of(b, u) for b in blocks]


def reported_of(entries: list[Entries]) -> np.ndarray:
    """The reported entries of all blocks, flat."""
    return np.concatenate([e.reported for e in entries] or [np.zeros(0)])


def naturalise(layout: Layout, u: jax.Array, constants: Mapping[str, Any]) -> tuple[dict[str, Any], jax.Array]:
    """Every parameter on the natural scale, and the reported entries, from the flat vector; for use in programs."""
    reported = [b.reported(u) for b in layout.blocks]
    return layout.natural(u, constants), jnp.concatenate(reported or [jnp.zeros(0)])

"""The layout of the flat vector: which stretch of `u` is which parameter, and the way back to the natural scale.

Two vectors occur. `u` holds every unconstrained value of the model, in the order of declaration; `z`, which a solver
sees, holds the free ones among them, each divided by a scale that makes columns of any unit comparable.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import prod
from typing import Any

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

    def jacobian(self, u: np.ndarray) -> np.ndarray:
        """d(reported)/du, shape (reported, size), exact."""
        parts = jax.device_get(runtime.call(_jacobians, self, u)[0])
        out = np.zeros((len(self.labels()), self.size))
        row = 0
        for block, part in zip(self.blocks, parts):
            part = np.diag(part) if part.ndim == 1 else part
            out[row : row + part.shape[0], block.start : block.stop] = part
            row += part.shape[0]
        return out


@partial(runtime.jit, static_argnums=0)
def _jacobians(layout: Layout, u: jax.Array) -> list[jax.Array]:
    """d(reported)/du by block: its diagonal where each entry is one of `u`, else the whole of it."""
    parts = []
    for block in layout.blocks:
        if block.is_linear:
            parts.append(jnp.ones(block.stop - block.start))
        elif block.elementwise:
            parts.append(jax.jvp(block.reported, (u,), (jnp.ones_like(u),))[1])
        else:
            parts.append(jax.jacfwd(block.reported)(u)[:, block.start : block.stop])
    return parts


@partial(runtime.jit, static_argnums=0)
def naturalise(layout: Layout, u: jax.Array, constants: Mapping[str, Any]) -> tuple[dict[str, Any], jax.Array]:
    """Every parameter on the natural scale, and the reported entries, from the flat vector."""
    reported = [b.reported(u) for b in layout.blocks]
    return layout.natural(u, constants), jnp.concatenate(reported or [jnp.zeros(0)])

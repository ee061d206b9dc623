"""Products X diag(w) Yᵀ of the numbers of designs; symmetric ones in strips of columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import jax
import jax.numpy as jnp


@dataclass(frozen=True)
class ByRow:
    """Numbers of a design whose rows come first."""


Numbers: TypeAlias = ByRow | None
"""A part that is numbers: row by row, or column by column."""

STRIP = 24
"""The fewest columns of a strip of a symmetric product: of narrower ones, what is not computed twice costs more."""

MOST_STRIPS = 4


def of_numbers(f: Numbers, left: jax.Array, w: jax.Array, g: Numbers, right: jax.Array) -> jax.Array:
    """X diag(w) Yᵀ for several w, shape (n, rows)."""
    return _product(by_column(f, left), w, by_row(g, right))


def symmetric(f: Numbers, x: jax.Array, w: jax.Array) -> list[jax.Array]:
    """X diag(w) Xᵀ for several w, in strips from the diagonal on; with four of them, five eighths of the work."""
    left, right = by_column(f, x), by_row(f, x)
    size = len(left)
    strips = max(1, min(MOST_STRIPS, size // STRIP))
    ends = [size * i // strips for i in range(strips + 1)]
    return [_product(left[start:stop], w, right[:, start:]) for start, stop in zip(ends[:-1], ends[1:])]


def joined(strips: list[jax.Array], i: int) -> jax.Array:
    """The `i`-th of the matrices that `symmetric` gave the strips of."""
    rows: list[jax.Array] = []
    for strip in strips:
        start, size = sum(len(row) for row in rows), strip.shape[1]
        below = [row[:, start : start + size].T for row in rows]
        rows.append(jnp.concatenate([*below, strip[i]], axis=1))
    return jnp.concatenate(rows)


def by_column(f: Numbers, x: jax.Array) -> jax.Array:
    """The numbers column by column."""
    return x.T if isinstance(f, ByRow) else x


def by_row(f: Numbers, x: jax.Array) -> jax.Array:
    """The numbers row by row."""
    return x if isinstance(f, ByRow) else x.T


def _product(left: jax.Array, w: jax.Array, right: jax.Array) -> jax.Array:
    """One product for all w: columns on the left, rows on the right.

    Columns are weighted, not rows that are then turned: XLA on CPUs leaves those as they are, and a product whose sum goes
    over the first axis on the left takes its library twice as long as a turned copy and a product of that.
    """
    scaled = (w[:, None, :] * left[None]).reshape(-1, left.shape[-1])
    return (scaled @ right).reshape(w.shape[0], left.shape[0], right.shape[1])

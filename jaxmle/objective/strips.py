"""Products X diag(w) Yᵀ of the numbers of designs; symmetric ones in strips of columns, and by row in blocks of rows."""

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

NARROW, BLOCK = 32, 128
"""Products by row of strips of so few columns with so few rows XLA compiles on CPUs, for all that the processor has; others are
left to a library that was compiled for any, and takes up to a half longer."""


def of_numbers(f: Numbers, left: jax.Array, w: jax.Array, g: Numbers, right: jax.Array) -> jax.Array:
    """X diag(w) Yᵀ for several w, shape (n, rows)."""
    right = right if isinstance(g, ByRow) else right.T
    if f is None and g is None:
        scaled = (w[:, None, :] * left[None]).reshape(-1, left.shape[-1])
        return (scaled @ right).reshape(w.shape[0], left.shape[0], right.shape[1])
    return jnp.stack([(left * v[:, None]).T @ right if isinstance(f, ByRow) else (left * v) @ right for v in w])


def symmetric(f: Numbers, x: jax.Array, w: jax.Array) -> jax.Array:
    """X diag(w) Xᵀ for several w, shape (n, rows), in strips from the diagonal on: with four, five eighths of the work."""
    size = x.shape[1] if isinstance(f, ByRow) else x.shape[0]
    narrow = -(-size // NARROW)
    if isinstance(f, ByRow) and 0 < narrow <= MOST_STRIPS and len(x) > BLOCK and len(x) % BLOCK == 0:
        cuts = _cuts(size, narrow)
        in_blocks = lambda x, w: _in_blocks(x, w, cuts)
        upper = jax.lax.platform_dependent(x, w, cpu=in_blocks, default=lambda x, w: _upper(f, x, w, cuts))
    else:
        cuts = _cuts(size, max(1, min(MOST_STRIPS, size // STRIP)))
        upper = _upper(f, x, w, cuts)
    rows = []
    for i, (start, stop) in enumerate(cuts):
        below = [jnp.swapaxes(strip[:, :, start - cut[0] : stop - cut[0]], 1, 2) for cut, strip in zip(cuts[:i], upper)]
        rows.append(jnp.concatenate([*below, upper[i]], axis=2))
    return jnp.concatenate(rows, axis=1)


Cuts: TypeAlias = list[tuple[int, int]]
"""Where each strip of columns begins and stops."""


def _cuts(size: int, strips: int) -> Cuts:
    """Strips of about one width; where they differ the first is the wider one, which is the faster way."""
    ends = [-(-size * i // strips) for i in range(strips + 1)]
    return list(zip(ends[:-1], ends[1:]))


def _upper(f: Numbers, x: jax.Array, w: jax.Array, cuts: Cuts) -> list[jax.Array]:
    """Each strip from the diagonal on, shape (n, its columns, those from its first on)."""
    some = lambda start, stop: x[:, start:stop] if isinstance(f, ByRow) else x[start:stop]
    return [of_numbers(f, some(start, stop), w, f, some(start, cuts[-1][1])) for start, stop in cuts]


def _in_blocks(x: jax.Array, w: jax.Array, cuts: Cuts) -> list[jax.Array]:
    """`_upper` of numbers by row, so many rows at a time, added up in float64."""
    n, size = len(w), x.shape[1]

    def add(total: list[jax.Array], block: tuple[jax.Array, jax.Array]) -> tuple[list[jax.Array], None]:
        some, v = block
        return [a + b for a, b in zip(total, _upper(ByRow(), some.reshape(BLOCK, size), v, cuts))], None

    zeros = [jnp.zeros((n, stop - start, size - start), jnp.float64) for start, stop in cuts]
    return jax.lax.scan(add, zeros, (x.reshape(-1, BLOCK * size), jnp.swapaxes(w.reshape(n, -1, BLOCK), 0, 1)))[0]

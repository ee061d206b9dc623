"""From derivatives by row, in (η, d), to sums over a chunk's rows in (d, coefficients): products with the designs.

    ∂/∂β_a = X_a ∂/∂η_a          ∂²/∂β_a∂β_b = X_a diag(∂²/∂η_a∂η_b) X_bᵀ          ∂²/∂β_a∂d = X_a ∂²/∂η_a∂d

What the chunks add up has d first and then the coefficients by predictor, numbers before levels; `order_of`
finds the entries of `u` there.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from . import designs
from .designs import Columns
from .rows import Program


def _pairs(program: Program) -> list[tuple[int, int]]:
    return [(k, j) for k in range(program.n_predictors) for j in range(k, program.n_predictors)]


def owners_of(program: Program) -> list[int]:
    """For each structured predictor, the number of its design."""
    return [b.design for b in program.predictors for _ in range(b.n_outputs)]


def columns_of(program: Program) -> list[Columns]:
    """For each structured predictor, the columns of its design."""
    return [b.columns for b in program.predictors for _ in range(b.n_outputs)]


def order_of(program: Program) -> np.ndarray:
    """Where, among the derivatives that the chunks add up (first in d, then by predictor), each entry of `u` is."""
    if not program.structured:
        return np.arange(program.layout.size)
    order, dense = np.zeros(program.layout.size, int), program.layout.dense_index
    order[dense] = np.arange(len(dense))
    at = len(dense)
    for b in program.predictors:
        for positions in b.positions.T:
            order[positions] = at + b.columns.order
            at += b.columns.places
    return order


def matrix_parts(program: Program, chunk: dict, h_eta: jax.Array, h_dense: jax.Array) -> dict[str, Any]:
    """A matrix in (η, d), by row (K + m, K, rows) and in d (m, m): its sums over the chunk, for `assemble`."""
    return _parts(program, chunk, None, (h_eta, h_dense))[1]


def gradient_and_matrix(program: Program, chunk: dict, slopes: tuple, curvatures: tuple) -> tuple[jax.Array, dict]:
    """`gradient_of` the slopes and `matrix_parts` of the curvatures, with one product where a design has both."""
    return _parts(program, chunk, slopes, curvatures)


def _parts(program: Program, chunk: dict, slopes: tuple | None, curvatures: tuple) -> tuple[Any, dict]:
    (h_eta, h_dense), k = curvatures, program.n_predictors
    columns, data = dict(zip(owners_of(program), columns_of(program))), chunk["designs"]
    products = []
    sums: dict[int, jax.Array] = {}  # of each predictor's slope, if there is one, and of its h_eta[k:]: by column
    for a, b in _design_pairs(program):
        w = jnp.stack([h_eta[i, j] for i, j in _pairs_of(program, a, b)])
        if a != b:
            products.append(designs.product(columns[a], data[a], w, columns[b], data[b]))
            continue
        own = [j for j, owner in enumerate(owners_of(program)) if owner == a]
        beside = jnp.concatenate(
            [h_eta[k:, j] if slopes is None else jnp.vstack([slopes[0][j], h_eta[k:, j]]) for j in own]
        )
        product, down = designs.product_beside(columns[a], data[a], w, beside)
        products.append(product)
        sums |= zip(own, jnp.split(down, len(own), axis=1))
    cross = [sums[j] if slopes is None else sums[j][:, 1:] for j in range(k)]
    parts = {"products": products, "cross": cross, "dense": h_dense.astype(jnp.float64)}
    if slopes is None:
        return None, parts
    return jnp.concatenate([slopes[1].astype(jnp.float64), *(sums[j][:, 0] for j in range(k))]), parts


def _design_pairs(program: Program) -> list[tuple[int, int]]:
    owners = owners_of(program)
    return sorted({(owners[i], owners[j]) for i, j in _pairs(program)})


def _pairs_of(program: Program, a: int, b: int) -> list[tuple[int, int]]:
    owners = owners_of(program)
    return [(i, j) for i, j in _pairs(program) if (owners[i], owners[j]) == (a, b)]


def assemble(program: Program, parts: dict[str, Any]) -> jax.Array:
    """The matrix in `u` from the sums over chunks."""
    if not program.structured:
        return parts["dense"]
    columns, k = columns_of(program), program.n_predictors
    blocks: list[list[Any]] = [[None] * k for _ in range(k)]
    for (a, b), sums in zip(_design_pairs(program), parts["products"]):
        for n, (i, j) in enumerate(_pairs_of(program, a, b)):
            blocks[i][j] = designs.matrix(columns[i], sums, columns[j], n)
            blocks[j][i] = blocks[i][j] if i == j else blocks[i][j].T
    cross = parts["cross"]
    by_predictor = [[cross[i], *blocks[i]] for i in range(k)]
    order = order_of(program)
    return jnp.block([[parts["dense"], *(x.T for x in cross)], *by_predictor])[order][:, order]


def gradient_of(program: Program, chunk: dict, g_eta: jax.Array, g_dense: jax.Array) -> jax.Array:
    """A derivative in (η, d), summed over the chunk's rows, as one in (d, coefficients by predictor)."""
    by_predictor = zip(columns_of(program), owners_of(program), g_eta)
    parts = [designs.transposed(columns, chunk["designs"][owner], g) for columns, owner, g in by_predictor]
    return jnp.concatenate([g_dense.astype(jnp.float64), *parts])

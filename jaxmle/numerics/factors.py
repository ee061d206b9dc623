"""Cholesky's factor of a matrix and the solution of triangular systems, for many small matrices at once.

JAX gives many matrices to LAPACK, and with jaxlib 0.10 on a CPU such calls may wait for each other for ever
(docs/hazards.md). Here small matrices are the last axis of loops over rows and columns, so that each instruction works on
several of them. Both are steps of JAX's kind, whose derivatives are made of the same two.

Source: Murray (2016), Differentiation of the Cholesky decomposition; Golub and Van Loan (2013), Matrix Computations, 3.1, 4.2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.interpreters import ad, batching, mlir

from .. import runtime

UNROLLED = 6
"""Up to so many rows the loop over them is written out."""

LARGE = 40
"""Matrices of more rows go to LAPACK: for them its blocks are worth more than instructions for several matrices."""


def _problems_last(x: Array) -> Array:
    """(..., n, m) as (n, m, problems)."""
    return jnp.moveaxis(x.reshape(-1, *x.shape[-2:]), 0, -1)


def _problems_first(x: Array, shape: tuple[int, ...]) -> Array:
    return jnp.moveaxis(x, -1, 0).reshape(shape)


def _each(step: Callable[[Any, Any], Any], n: int, backwards: bool, carry: Any) -> Any:
    """`step(j, carry)` for each row j, from the last one if `backwards`."""
    if n <= UNROLLED:
        for j in reversed(range(n)) if backwards else range(n):
            carry = step(j, carry)
        return carry
    return lax.fori_loop(0, n, lambda i, carry: step(n - 1 - i if backwards else i, carry), carry)


def _row(x: Array, j: Any) -> Array:
    return lax.dynamic_index_in_dim(x, j, 0, keepdims=False)


def _factors(a: Array) -> Array:
    """The lower factors of symmetric matrices (n, n, B), NaN where one is not positive definite."""
    n = len(a)
    number = np.arange(n)[:, None]

    def step(j: Any, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        left, lower = carry
        row = _row(left, j)  # of what is left, a symmetric matrix: its column as well
        column = jnp.where(number >= j, row / jnp.sqrt(_row(row, j)), 0.0)
        return left - column[:, None] * column[None], jnp.where((number == j)[None], column[:, None], lower)

    below = np.tril(np.ones((n, n), bool))[..., None]
    _, lower = _each(step, n, False, (jnp.where(below, a, jnp.swapaxes(a, 0, 1)), jnp.zeros_like(a)))
    return jnp.where(jnp.isnan(jnp.diagonal(lower).sum(-1)), jnp.nan, lower)


def _solutions(a: Array, b: Array, lower: bool) -> Array:
    """x where a x = b, of triangular matrices (n, n, B) and right sides (n, m, B)."""
    n = len(a)
    columns, number = jnp.swapaxes(a, 0, 1), np.arange(n)[:, None]

    def step(j: Any, x: Array) -> Array:
        column = _row(columns, j)
        here = _row(x, j) / _row(column, j)
        rest = jnp.where(number > j if lower else number < j, column, 0.0)
        return jnp.where((number == j)[:, None], here[None], x - rest[:, None] * here[None])

    return _each(step, n, not lower, b)


def _by_lapack(f: Callable[..., Array], *matrices: Array) -> Array:
    """LAPACK's answer for many matrices: all at once, or one after another where it must not be asked for more."""
    if not runtime.LAPACK_WAITS:
        return f(*matrices)
    lead = matrices[0].shape[:-2]
    flat = tuple(x.reshape(-1, *x.shape[-2:]) for x in matrices)
    out = lax.map(lambda one: f(*one), flat)
    return out.reshape(*lead, *out.shape[1:])


def _lowered(step: Any, original: Callable[..., Array], own: Callable[..., Array]) -> None:
    """On CPUs many matrices are worked on by `own`, where they are small; else JAX's `original` is."""

    def on_cpu(a: Array, *rest: Array, **params: Any) -> Array:
        with runtime.x64():
            if a.ndim == 2:
                return original(a, *rest, **params)
            if a.shape[-1] <= LARGE:
                return own(a, *rest, **params)
            return _by_lapack(lambda *x: original(*x, **params), a, *rest)

    step.def_impl(on_cpu)
    mlir.register_lowering(step, mlir.lower_fun(original, multiple_results=False))
    mlir.register_lowering(step, mlir.lower_fun(on_cpu, multiple_results=False), platform="cpu")


# --- triangular systems ---------------------------------------------------------------------------------------------------

SOLVE = type(lax.log_p)("triangular_solve")
"""x where a x = b, or aᵀ x = b: of a (..., n, n) and b (..., n, m)."""


def _solve(a: Array, b: Array, lower: bool, transposed: bool) -> Array:
    return SOLVE.bind(a, b, lower=lower, transposed=transposed)


def _solve_as_jax(a: Array, b: Array, lower: bool, transposed: bool) -> Array:
    return lax.linalg.triangular_solve(a, b, left_side=True, lower=lower, transpose_a=transposed)


def _solve_many(a: Array, b: Array, lower: bool, transposed: bool) -> Array:
    a = jnp.swapaxes(a, -1, -2) if transposed else a
    return _problems_first(_solutions(_problems_last(a), _problems_last(b), lower != transposed), b.shape)


def _solve_jvp(primals: tuple, tangents: tuple, lower: bool, transposed: bool) -> tuple:
    (a, b), (da, db) = primals, tangents
    x = _solve(a, b, lower, transposed)
    parts = []
    if not isinstance(da, ad.Zero):
        da = jnp.tril(da) if lower else jnp.triu(da)
        moved = jnp.matmul(jnp.swapaxes(da, -1, -2) if transposed else da, x, precision=lax.Precision.HIGHEST)
        parts.append(-moved)
    if not isinstance(db, ad.Zero):
        parts.append(db)
    return x, _solve(a, sum(parts[1:], parts[0]), lower, transposed)


def _solve_transposed(cotangent: Any, a: Any, b: Any, *, lower: bool, transposed: bool) -> list[Any]:
    if isinstance(cotangent, ad.Zero):
        return [None, cotangent]
    return [None, _solve(a, cotangent, lower, not transposed)]


def _solve_batched(values: tuple, axes: tuple, **params: Any) -> tuple[Array, int]:
    (a, b), (of_a, of_b) = values, axes
    if of_a is None:  # one matrix for all: they are columns of one right side
        b = jnp.moveaxis(b, of_b, -1)
        return _solve(a, b.reshape(*b.shape[:-2], -1), **params).reshape(b.shape), b.ndim - 1
    a = jnp.moveaxis(a, of_a, 0)
    b = jnp.broadcast_to(b, (len(a), *b.shape)) if of_b is None else jnp.moveaxis(b, of_b, 0)
    return _solve(a, b, **params), 0


SOLVE.def_abstract_eval(lambda a, b, **params: b)
_lowered(SOLVE, _solve_as_jax, _solve_many)
ad.primitive_jvps[SOLVE] = _solve_jvp
ad.primitive_transposes[SOLVE] = _solve_transposed
batching.primitive_batchers[SOLVE] = _solve_batched


# --- factors --------------------------------------------------------------------------------------------------------------

CHOLESKY = type(lax.log_p)("cholesky")
"""The lower factor of a (..., n, n), of which the lower half is read."""


def _factors_many(a: Array) -> Array:
    return _problems_first(_factors(_problems_last(a)), a.shape)


def _factors_as_jax(a: Array) -> Array:
    return jnp.tril(lax.linalg.cholesky(a, symmetrize_input=False))


def _cholesky_jvp(primals: tuple, tangents: tuple) -> tuple:
    (a,), (da,) = primals, tangents
    lower = CHOLESKY.bind(a)
    right = _solve(lower, jnp.swapaxes(da, -1, -2), True, False)  # (da L⁻ᵀ)ᵀ
    both = jnp.tril(_solve(lower, jnp.swapaxes(right, -1, -2), True, False))
    both = both / (1.0 + jnp.eye(a.shape[-1]))
    return lower, jnp.matmul(lower, both, precision=lax.Precision.HIGHEST)


def _cholesky_batched(values: tuple, axes: tuple) -> tuple[Array, int]:
    return CHOLESKY.bind(jnp.moveaxis(values[0], axes[0], 0)), 0


CHOLESKY.def_abstract_eval(lambda a: a)
_lowered(CHOLESKY, _factors_as_jax, _factors_many)
ad.primitive_jvps[CHOLESKY] = _cholesky_jvp
batching.primitive_batchers[CHOLESKY] = _cholesky_batched


def _instead_of_jaxs(
    a: Array,
    b: Array,
    *,
    left_side: bool,
    lower: bool,
    transpose_a: bool,
    conjugate_a: bool = False,
    unit_diagonal: bool = False,
) -> Array:
    """JAX's triangular solve, of real numbers."""
    if unit_diagonal:
        n = a.shape[-1]
        a = jnp.where(np.eye(n, dtype=bool), 1.0, a)
    if left_side:
        return _solve(a, b, lower, transpose_a)
    return jnp.swapaxes(_solve(a, jnp.swapaxes(b, -1, -2), lower, not transpose_a), -1, -2)


QUICK: Mapping[Any, Callable[..., Array]] = MappingProxyType(
    {
        lax.linalg.cholesky_p: lambda a, **_: CHOLESKY.bind(a),
        lax.linalg.triangular_solve_p: _instead_of_jaxs,
    }
)
"""Steps of JAX's own, and what may stand in their place for numbers of 64 bits."""

"""Factors of a matrix (Cholesky's and LU) and the solution of triangular systems, for many small matrices at once.

JAX gives many matrices to LAPACK, and with jaxlib 0.10 on a CPU such calls may wait for each other for ever
(docs/hazards.md). Here small matrices are the last axis of loops over rows and columns, so that each instruction works on
several of them. All are steps of JAX's kind, whose derivatives are made of the same three.

Source: Murray (2016), Differentiation of the Cholesky decomposition; de Hoog, Anderssen and Lukas (2011), Differentiation of
matrix functionals using triangular factorization; Golub and Van Loan (2013), Matrix Computations, 3.1, 3.4, 4.2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import jax
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


def _by_lapack(f: Callable[..., Any], *matrices: Array) -> Any:
    """LAPACK's answer for many matrices: all at once, or one after another where it must not be asked for more."""
    if not runtime.LAPACK_WAITS:
        return f(*matrices)
    lead = matrices[0].shape[:-2]
    flat = tuple(x.reshape(-1, *x.shape[-2:]) for x in matrices)
    out = lax.map(lambda one: f(*one), flat)
    return jax.tree.map(lambda x: x.reshape(*lead, *x.shape[1:]), out)


def _lowered(step: Any, original: Callable[..., Any], own: Callable[..., Any]) -> None:
    """On CPUs many matrices are worked on by `own`, where they are small; else JAX's `original` is."""
    several = step.multiple_results

    def on_cpu(a: Array, *rest: Array, **params: Any) -> Any:
        with runtime.x64():
            if a.ndim == 2:
                return original(a, *rest, **params)
            if a.shape[-1] <= LARGE:
                return own(a, *rest, **params)
            return _by_lapack(lambda *x: original(*x, **params), a, *rest)

    step.def_impl(on_cpu)
    mlir.register_lowering(step, mlir.lower_fun(original, multiple_results=several))
    mlir.register_lowering(step, mlir.lower_fun(on_cpu, multiple_results=several), platform="cpu")


# --- triangular systems ---------------------------------------------------------------------------------------------------

SOLVE = type(lax.log_p)("small_triangular_solve")
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


def instead_of_jaxs(
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
        a = jnp.where(jnp.eye(a.shape[-1], dtype=bool), 1.0, a)
    if left_side:
        return _solve(a, b, lower, transpose_a)
    return jnp.swapaxes(_solve(a, jnp.swapaxes(b, -1, -2), lower, not transpose_a), -1, -2)


# --- Cholesky -------------------------------------------------------------------------------------------------------------

CHOLESKY = type(lax.log_p)("small_cholesky")
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


# --- LU -------------------------------------------------------------------------------------------------------------------

LU = type(lax.log_p)("small_lu")
"""Of a (..., n, n): L below the diagonal and U from it on, the row that each row was exchanged with, and the rows in order."""
LU.multiple_results = True


def _eliminated(a: Array) -> tuple[Array, Array, Array]:
    """LU of matrices (n, n, B), the largest that is left of each column as its pivot; exchanges and orders (n, B)."""
    n = len(a)
    number = np.arange(n, dtype=np.int32)[:, None]

    def step(j: Any, carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        left, exchanges, order = carry
        column = lax.dynamic_index_in_dim(left, j, 1, keepdims=False)
        best = jnp.argmax(jnp.where(number >= j, jnp.abs(column), -1.0), axis=0).astype(np.int32)
        here, chosen = number == j, number == best

        def exchanged(x: Array) -> tuple[Array, Array]:
            in_rows = lambda mask: mask.reshape(*mask.shape[:1], *(1,) * (x.ndim - 2), mask.shape[-1])
            row = jnp.where(in_rows(chosen), x, 0).sum(0, dtype=x.dtype)
            return jnp.where(in_rows(here), row, jnp.where(in_rows(chosen), _row(x, j), x)), row

        left, row = exchanged(left)
        pivot, column = _row(row, j), lax.dynamic_index_in_dim(left, j, 1, keepdims=False)
        share = jnp.where(number > j, column / jnp.where(pivot == 0, 1.0, pivot), 0.0)
        rest = left - share[:, None] * jnp.where(number > j, row, 0.0)[None]
        left = jnp.where((number > j)[:, None] & here[None], share[:, None], rest)
        return left, jnp.where(here, best, exchanges), exchanged(order)[0]

    start = jnp.zeros((n, a.shape[-1]), np.int32)
    return _each(step, n, False, (a, start, start + number))


def _lu_many(a: Array) -> tuple[Array, Array, Array]:
    lu, exchanges, order = _eliminated(_problems_last(a))
    return _problems_first(lu, a.shape), _problems_first(exchanges, a.shape[:-1]), _problems_first(order, a.shape[:-1])


def _zero(x: Array) -> Any:
    """What whole numbers move by."""
    return ad.Zero(jax.typeof(x).to_tangent_aval())


def _lu_jvp(primals: tuple, tangents: tuple) -> tuple:
    (a,), (da,) = primals, tangents
    lu, exchanges, order = LU.bind(a)
    moved = jnp.take_along_axis(da, order[..., None].astype(np.int64), axis=-2)
    left = instead_of_jaxs(lu, moved, left_side=True, lower=True, transpose_a=False, unit_diagonal=True)
    both = instead_of_jaxs(lu, left, left_side=False, lower=False, transpose_a=False)
    exact = lax.Precision.HIGHEST
    of_lower = jnp.tril(both, -1) + jnp.matmul(jnp.tril(lu, -1), jnp.tril(both, -1), precision=exact)
    of_upper = jnp.matmul(jnp.triu(both), jnp.triu(lu), precision=exact)
    return (lu, exchanges, order), (of_lower + of_upper, *map(_zero, (exchanges, order)))


def _lu_batched(values: tuple, axes: tuple) -> tuple[list[Array], tuple[int, int, int]]:
    return LU.bind(jnp.moveaxis(values[0], axes[0], 0)), (0, 0, 0)


def _lu_shapes(a: Any) -> list[Any]:
    whole = a.update(shape=a.shape[:-1], dtype=np.dtype(np.int32), weak_type=False)
    return [a, whole, whole]


LU.def_abstract_eval(_lu_shapes)
_lowered(LU, lax.linalg.lu, _lu_many)
ad.primitive_jvps[LU] = _lu_jvp
batching.primitive_batchers[LU] = _lu_batched


def _lu_instead_of_jaxs(a: Array, **_: Any) -> Any:
    return LU.bind(a) if a.shape[-2] == a.shape[-1] else lax.linalg.lu(a)


QUICK: Mapping[Any, Callable[..., Any]] = MappingProxyType(
    {
        lax.linalg.cholesky_p: lambda a, **_: CHOLESKY.bind(a),
        lax.linalg.triangular_solve_p: instead_of_jaxs,
        lax.linalg.lu_p: _lu_instead_of_jaxs,
    }
)
"""Steps of JAX's own, and what may stand in their place for numbers of 64 bits."""

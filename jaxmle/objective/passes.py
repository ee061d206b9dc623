"""Passes over the data: value, gradient and Hessian in one chunked read; products, scores and lines likewise.

The log-density of a unit depends on the parameters through its structured predictors η (one number per row each) and
through the other parameters d. Derivatives are taken in (η, d): rows do not interact, so pushing one tangent through
all rows at once gives one column of every row's Hessian block (`tangents`). Matrix products with the designs do the rest
(`chain`), in one read of them. A program without structured predictors has d = u, and the same code.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from .. import runtime
from ..data.in_place import InPlace
from ..errors import ModelError
from ..runtime import MAX_KERNEL_ROWS
from . import designs, tangents
from .chain import assemble, columns_of, gradient_and_matrix, gradient_of, matrix_parts, order_of, owners_of
from .loops import stacked, summed, weighted_sum
from .rows import Program, hashable, in_precision, log_densities, penalty_value, split, stacked_predictors

FORWARD_AT_MOST = 8
"""With more numbers than this that are the same for all rows, each unit's score is taken backward."""


class Evaluation(NamedTuple):
    """The negative log-likelihood and, where asked for, its gradient and a matrix.

    The matrix is the Hessian ("hessian"), Σ s sᵀ over the units' scores ("opg") or the expected information ("expected").
    """

    value: Any
    gradient: Any = None
    matrix: Any = None


def _chunk(data: dict, i: jax.Array) -> dict:
    of = lambda x: x.chunk(i) if isinstance(x, InPlace) else jax.lax.dynamic_index_in_dim(x, i, keepdims=False)
    return jax.tree.map(of, data, is_leaf=_is_in_place)


def _is_in_place(x: Any) -> bool:
    return isinstance(x, InPlace)


def _scores(program: Program, u: jax.Array, constants: Any, chunk: dict) -> tuple[jax.Array, jax.Array]:
    """The gradient of each unit's log-density in η and in d, shapes (K, rows) and (m, rows)."""
    eta, dense = stacked_predictors(program, u, chunk), split(program, u)
    g_eta = jax.grad(lambda e: log_densities(program, e, dense, constants, chunk).sum())(eta)
    return g_eta.astype(jnp.float64), _dense_scores(program, eta, dense, constants, chunk).astype(jnp.float64)


def _outer_products(program: Program, u: jax.Array, constants: Any, chunk: dict) -> dict[str, Any]:
    """Σ weight · score scoreᵀ, by the products that a Hessian takes: its blocks by row are products of numbers."""
    g_eta, g_dense = _scores(program, u, constants, chunk)
    weighted = jnp.concatenate([g_eta, g_dense]) * chunk["weights"]
    return matrix_parts(program, chunk, weighted[:, None] * g_eta[None], weighted[len(g_eta) :] @ g_dense.T)


def _expected(program: Program) -> Program:
    """The program of the expected log-density: minus its Hessian, where parameters meet, is the information."""
    density = getattr(program.log_density, "function", program.log_density)  # what `hashable` wrapped
    expected = getattr(density, "expected", None)
    if expected is None:
        raise ModelError(
            "FisherScoring needs a family with an expected information; this log-density has none (no `.expected`). "
            "Use Newton, which takes the observed information of any log-density."
        )
    return replace(program, log_density=hashable(expected))


def _dense_scores(program: Program, eta: jax.Array, dense: jax.Array, constants: Any, chunk: dict) -> jax.Array:
    """The gradient of each unit's log-density in d, shape (m, rows): forward for few numbers, backward for many."""
    m = dense.shape[0]
    if m <= FORWARD_AT_MOST or program.unit == "all":
        terms = lambda d: log_densities(program, eta, d, constants, chunk)
        return tangents.each(lambda i: jax.jvp(terms, (dense,), ((jnp.arange(m) == i).astype(dense.dtype),))[1], m)

    def of_unit(unit: tuple) -> jax.Array:
        eta, chunk = jax.tree.map(lambda x: x[..., None], unit)
        return jax.grad(lambda d: log_densities(program, eta, d, constants, _turned(chunk))[0])(dense)

    return jax.vmap(of_unit, in_axes=-1, out_axes=-1)((eta, _turned(chunk)))


def _turned(chunk: dict) -> dict:
    """The chunk with rows first in matrices that have them last, and last where they are first."""
    turn = lambda d: d | ({"in_place": d["in_place"].T} if "in_place" in d else {})
    return chunk | {"designs": tuple(turn(d) for d in chunk["designs"])}


def _nll(program: Program, constants: Any, chunk: dict) -> Any:
    def nll(eta: jax.Array, dense: jax.Array) -> jax.Array:
        weights, terms = chunk["weights"], log_densities(program, eta, dense, constants, chunk)
        if program.unit == "all":  # rows of weight zero are there for their neighbours: their own terms may be anything
            terms = jnp.where(weights > 0, terms, 0.0)
        return -weighted_sum(weights, terms.astype(jnp.float64))

    return nll


def _evaluate_chunk(program: Program, needs: str, u: jax.Array, constants: Any, chunk: dict) -> tuple:
    at = stacked_predictors(program, u, chunk), split(program, u)
    nll = _nll(program, constants, chunk)
    if needs == "value":
        return (nll(*at),)
    if needs == "hessian":
        value, slopes, curvatures = tangents.expansion(nll, at, chunk["weights"][0])
        return value, *gradient_and_matrix(program, chunk, slopes, curvatures)
    value, slopes = jax.value_and_grad(nll, (0, 1))(*at)
    gradient = gradient_of(program, chunk, *slopes)
    if needs == "gradient":
        return value, gradient
    if needs == "opg":
        return value, gradient, _outer_products(program, u, constants, chunk)
    expected = _nll(_expected(program), constants, chunk)
    return value, gradient, matrix_parts(program, chunk, *tangents.expansion(expected, at, chunk["weights"][0])[2])


def _in_u(program: Program, needs: str, sums: tuple) -> tuple:
    """What the chunks added up, as value, gradient and matrix in `u`."""
    if needs == "value" or (needs == "gradient" and not program.structured):
        return sums
    order = order_of(program)
    if needs == "gradient":
        return sums[0], sums[1][order]
    return sums[0], sums[1][order], assemble(program, sums[2])


def sum_chunks(program: Program, body: Any, u: Any, constants: Any, data: dict, span: Any, own: Any = None) -> Any:
    """Σ over the chunks of `span` of `body(u, constants, chunk)`; `own` are arrays that begin with the span's first."""

    def run(i: jax.Array, first: jax.Array, u: Any, constants: Any, data: dict, own: Any) -> Any:
        chunk = _chunk(data, i)
        if own is not None:
            chunk |= _chunk(own, i - first)
        return body(u, constants, in_precision(program, chunk))

    return summed(run, span[0], span[1], span[0], u, constants, data, own)


def _per_chunk(program: Program, length: int, body: Any, u: Any, constants: Any, data: dict, span: Any) -> Any:
    """`body(u, constants, chunk)` for every chunk of `span`, stacked, `length` of them; zeros after its end."""
    run = lambda i, u, constants, data: body(u, constants, in_precision(program, _chunk(data, i)))
    return stacked(run, length, span[0], span[1], u, constants, data)


@partial(runtime.jit, static_argnums=(0, 1))
def evaluate(program: Program, needs: str, u: jax.Array, constants: Any, data: dict, span: Any) -> tuple:
    """The negative log-likelihood over a span of chunks; `needs` is "value", "gradient", "hessian", "opg" or "expected"."""
    return _in_u(
        program, needs, sum_chunks(program, partial(_evaluate_chunk, program, needs), u, constants, data, span)
    )


@partial(runtime.jit, static_argnums=(0, 1))
def evaluate_batch(program: Program, needs: str, u: jax.Array, constants: Any, data: dict, span: Any) -> tuple:
    """`evaluate` at many points at once: `u` is (points, size); every chunk is read once for all of them."""

    def body(u: jax.Array, constants: Any, chunk: dict) -> Any:
        return jax.vmap(lambda v: _evaluate_chunk(program, needs, v, constants, chunk))(u)

    return jax.vmap(partial(_in_u, program, needs))(sum_chunks(program, body, u, constants, data, span))


@partial(runtime.jit, static_argnums=0)
def hessian_product(program: Program, u: jax.Array, v: jax.Array, constants: Any, data: dict, span: Any) -> jax.Array:
    """The Hessian of the negative log-likelihood times a vector, without the Hessian."""

    def body(u: Any, constants: Any, chunk: dict) -> jax.Array:
        point, direction = u
        at = stacked_predictors(program, point, chunk), split(program, point)
        along = stacked_predictors(program, direction, chunk, offset=False), split(program, direction)
        return gradient_of(program, chunk, *jax.jvp(jax.grad(_nll(program, constants, chunk), (0, 1)), at, along)[1])

    return sum_chunks(program, body, (u, v), constants, data, span)[order_of(program)]


def each_unit(program: Program, length: int, what: str, u: Any, constants: Any, data: dict, span: Any) -> jax.Array:
    """For every unit, its log-density ("terms", shape (chunks, rows)) or its score ("scores", (chunks, size, rows)).

    Or the derivative of its score along a direction ("bends"), `u` then being the point and the direction.
    """

    def scores(u: jax.Array, constants: Any, chunk: dict) -> jax.Array:
        g_eta, g_dense = _scores(program, u, constants, chunk)
        by_predictor = zip(columns_of(program), owners_of(program), g_eta)
        parts = [designs.rows(columns, chunk["designs"][owner], g) for columns, owner, g in by_predictor]
        return jnp.concatenate([g_dense, *parts])[order_of(program)]

    def body(u: Any, constants: Any, chunk: dict) -> jax.Array:
        if what == "terms":
            eta, dense = stacked_predictors(program, u, chunk), split(program, u)
            return log_densities(program, eta, dense, constants, chunk).astype(jnp.float64)
        if what == "bends":
            return jax.jvp(lambda v: scores(v, constants, chunk), (u[0],), (u[1],))[1]
        return scores(u, constants, chunk)

    return _per_chunk(program, length, body, u, constants, data, span)


per_unit = runtime.jit(each_unit, static_argnums=(0, 1, 2))


@partial(runtime.jit, static_argnums=(0, 1))
def predictors(program: Program, length: int, u: Any, data: dict, span: Any) -> tuple[jax.Array, jax.Array]:
    """The structured predictors of every row, (chunks, predictors, rows), at a point and along a direction: `u`."""

    def body(u: Any, constants: Any, chunk: dict) -> tuple[jax.Array, jax.Array]:
        return stacked_predictors(program, u[0], chunk), stacked_predictors(program, u[1], chunk, offset=False)

    return _per_chunk(program, length, body, u, (), data, span)


def _on_line(program: Program, step: jax.Array, line: Any, chunk: dict) -> tuple[jax.Array, jax.Array]:
    """(η, d) at a step on a line, a pair (point, direction), of whose predictors the chunk has those of its rows."""
    (point, direction), dtype = line, program.dtype
    eta = chunk["eta"].astype(dtype) + step.astype(dtype) * chunk["along"].astype(dtype)
    return eta, split(program, point) + step * split(program, direction)


@partial(runtime.jit, static_argnums=0)
def along(
    program: Program, step: jax.Array, u: Any, etas: Any, constants: Any, data: dict, span: Any
) -> tuple[jax.Array, jax.Array]:
    """Value and slope of the negative log-likelihood at `u + step·v`, from the predictors of `u` and of `v`.

    `u` and `etas` are pairs (at the point, along the direction), `etas` of the span. The designs are not read.
    """

    def body(carry: Any, constants: Any, chunk: dict) -> tuple:
        step, line = carry
        at = lambda s: _nll(program, constants, chunk)(*_on_line(program, s, line, chunk))
        return jax.jvp(at, (step,), (jnp.ones_like(step),))

    return sum_chunks(program, body, (step, u), constants, data, span, {"eta": etas[0], "along": etas[1]})


@partial(runtime.jit, static_argnums=0)
def gradient_on(
    program: Program, step: jax.Array, u: Any, etas: Any, constants: Any, data: dict, span: Any
) -> tuple[jax.Array, jax.Array]:
    """Value and gradient at `u + step·v`, from the predictors of `u` and of `v`: one read of the designs, not two."""

    def body(carry: Any, constants: Any, chunk: dict) -> tuple:
        step, line = carry
        at = _on_line(program, step, line, chunk)
        value, slopes = jax.value_and_grad(_nll(program, constants, chunk), (0, 1))(*at)
        return value, gradient_of(program, chunk, *slopes)

    own = {"eta": etas[0], "along": etas[1]}
    return _in_u(program, "gradient", sum_chunks(program, body, (step, u), constants, data, span, own))


@partial(runtime.jit, static_argnums=0)
def evaluate_sample(
    program: Program, u: jax.Array, constants: Any, data: dict, chunk: Any, row: Any, share: Any
) -> tuple:
    """Value and gradient on the units at positions (`chunk`, `row`), each counted `share` times: a minibatch."""
    length = 1 if data["mask"] is None else data["mask"].shape[1]
    pieces = -(-len(chunk) * length // MAX_KERNEL_ROWS)
    width = -(-len(chunk) // pieces)
    pad = lambda x, mode="edge": jnp.pad(x, (0, pieces * width - len(chunk)), mode).reshape(pieces, width)

    def of_piece(piece: tuple) -> tuple:
        chunk, row, share = piece
        take = lambda x: x.rows(chunk, row) if isinstance(x, InPlace) else jnp.moveaxis(x[chunk, ..., row], 0, -1)
        sample = in_precision(program, jax.tree.map(take, data, is_leaf=_is_in_place))
        sample["weights"] = sample["weights"] * share
        return _evaluate_chunk(program, "gradient", u, constants, sample)

    sums = jax.lax.map(of_piece, (pad(chunk), pad(row), pad(share, "constant")))
    return _in_u(program, "gradient", jax.tree.map(lambda x: x.sum(axis=0), sums))


@partial(runtime.jit, static_argnums=(0, 1))
def penalty(program: Program, needs: str, u: jax.Array, constants: Any) -> tuple:
    """Value, gradient and Hessian of what is added to the negative log-likelihood."""
    f = lambda u: penalty_value(program, u, constants)
    if needs == "value":
        return (f(u),)
    value, gradient = jax.value_and_grad(f)(u)
    return (value, gradient) if needs == "gradient" else (value, gradient, jax.hessian(f)(u))


@partial(runtime.jit, static_argnums=0)
def penalty_product(program: Program, u: jax.Array, v: jax.Array, constants: Any) -> jax.Array:
    """The Hessian of the penalties times a vector."""
    return jax.jvp(jax.grad(lambda u: penalty_value(program, u, constants)), (u,), (v,))[1]

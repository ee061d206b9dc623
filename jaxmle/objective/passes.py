"""Passes over the data: value, gradient and Hessian in one chunked read; products, scores and lines likewise.

The log-density of a unit depends on the parameters through its structured predictors η (one number per row each) and
through the other parameters d. Derivatives are taken in (η, d): rows do not interact, so pushing one tangent through
all rows at once gives one column of every row's Hessian block. Matrix products with the designs do the rest:

    ∂/∂β_a = X_a ∂/∂η_a          ∂²/∂β_a∂β_b = X_a diag(∂²/∂η_a∂η_b) X_bᵀ       (designs feature-major)

which costs one read of the designs. A program without structured predictors has d = u, and the same code.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec

from .placement import AXIS, Placement
from .rows import Program, in_precision, log_densities, penalty_value, split, stacked_predictors

TANGENTS_AT_ONCE = 32


class Evaluation(NamedTuple):
    """The negative log-likelihood and, where asked for, its gradient and a matrix: the Hessian or Σ s sᵀ."""

    value: Any
    gradient: Any = None
    matrix: Any = None


def _chunk(data: dict, i: jax.Array) -> dict:
    chunk = {k: v for k, v in data.items() if k != "count"}
    return jax.tree.map(lambda x: jax.lax.dynamic_index_in_dim(x, i, keepdims=False), chunk)


def _weighted(program: Program, terms: jax.Array, chunk: dict) -> jax.Array:
    return -jnp.sum(chunk["weights"] * terms.astype(jnp.float64))


def _pairs(program: Program) -> list[tuple[int, int]]:
    return [(k, j) for k in range(program.n_predictors) for j in range(k, program.n_predictors)]


def _owners(program: Program) -> list[int]:
    """For each structured predictor, the number of its design."""
    return [b.design for b in program.predictors for _ in range(b.parameter.n_outputs)]  # type: ignore[union-attr]


def _coefficients(program: Program) -> list[np.ndarray]:
    """For each structured predictor, the positions of its coefficients in `u`."""
    out = []
    for b in program.predictors:
        index = np.arange(b.start, b.stop).reshape(len(b.terms), -1)
        out.extend(index.T)
    return out


def _push(program: Program, gradient: Any, eta: jax.Array, dense: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The columns of the Hessian in (η, d): arrays (K + m, K, rows) and (K + m, m)."""
    k, m = eta.shape[0], dense.shape[0]

    def column(i: jax.Array) -> tuple[jax.Array, jax.Array]:
        t_eta = jnp.broadcast_to((jnp.arange(k) == i).astype(eta.dtype)[:, None], eta.shape)
        t_dense = (jnp.arange(m) + k == i).astype(dense.dtype)
        return jax.jvp(gradient, (eta, dense), (t_eta, t_dense))[1]

    which = jnp.arange(k + m)
    if k + m <= TANGENTS_AT_ONCE:
        return jax.vmap(column)(which)
    return jax.lax.map(column, which, batch_size=TANGENTS_AT_ONCE)


def _hessian_parts(program: Program, chunk: dict, h_eta: jax.Array, h_dense: jax.Array) -> dict[str, Any]:
    k = program.n_predictors
    owners, designs = _owners(program), chunk["designs"]
    products = []
    for a, b in _design_pairs(program):
        x, y = designs[a], designs[b]
        w = jnp.stack([h_eta[i, j] for i, j in _pairs_of(program, a, b)])
        left = (w[:, None, :] * x[None]).reshape(-1, x.shape[-1])
        products.append((left @ y.T).astype(jnp.float64).reshape(w.shape[0], x.shape[0], y.shape[0]))
    cross = [(designs[owners[j]] @ h_eta[k:, j].T).astype(jnp.float64) for j in range(k)]
    return {"products": products, "cross": cross, "dense": h_dense[k:].astype(jnp.float64)}


def _design_pairs(program: Program) -> list[tuple[int, int]]:
    owners = _owners(program)
    return sorted({(owners[i], owners[j]) for i, j in _pairs(program)})


def _pairs_of(program: Program, a: int, b: int) -> list[tuple[int, int]]:
    owners = _owners(program)
    return [(i, j) for i, j in _pairs(program) if (owners[i], owners[j]) == (a, b)]


def _assemble(program: Program, parts: dict[str, Any]) -> jax.Array:
    """The Hessian in `u` from the sums over chunks."""
    layout = program.layout
    if not program.structured:
        return parts["dense"]
    out = jnp.zeros((layout.size, layout.size))
    where, dense = _coefficients(program), layout.dense_index
    for (a, b), product in zip(_design_pairs(program), parts["products"]):
        for (i, j), block in zip(_pairs_of(program, a, b), product):
            out = out.at[np.ix_(where[i], where[j])].set(block)
            if i != j:
                out = out.at[np.ix_(where[j], where[i])].set(block.T)
    for i, block in enumerate(parts["cross"]):
        out = out.at[np.ix_(where[i], dense)].set(block)
        out = out.at[np.ix_(dense, where[i])].set(block.T)
    return out.at[np.ix_(dense, dense)].set(parts["dense"])


def _to_u(program: Program, chunk: dict, g_eta: jax.Array, g_dense: jax.Array) -> jax.Array:
    """A derivative in (η, d), summed over the chunk's rows, as one in `u`."""
    if not program.structured:
        return g_dense.astype(jnp.float64)
    out = jnp.zeros(program.layout.size).at[program.layout.dense_index].set(g_dense.astype(jnp.float64))
    for where, owner, g in zip(_coefficients(program), _owners(program), g_eta):
        out = out.at[where].set((chunk["designs"][owner] @ g).astype(jnp.float64))
    return out


def _scores(program: Program, eta: jax.Array, dense: jax.Array, constants: Any, chunk: dict) -> jax.Array:
    """The gradient of each unit's log-density in `u`, shape (size, rows)."""
    g_eta = jax.grad(lambda e: log_densities(program, e, dense, constants, chunk).sum())(eta)
    g_dense = jax.jacfwd(lambda d: log_densities(program, eta, d, constants, chunk))(dense).T
    if not program.structured:
        return g_dense.astype(jnp.float64)
    rows = chunk["weights"].shape[-1]
    out = jnp.zeros((program.layout.size, rows)).at[program.layout.dense_index].set(g_dense.astype(jnp.float64))
    for where, owner, g in zip(_coefficients(program), _owners(program), g_eta):
        out = out.at[where].set((chunk["designs"][owner] * g).astype(jnp.float64))
    return out


def _evaluate_chunk(program: Program, needs: str, u: jax.Array, constants: Any, chunk: dict) -> tuple:
    eta, dense = stacked_predictors(program, u, chunk), split(program, u)
    nll = lambda e, d: _weighted(program, log_densities(program, e, d, constants, chunk), chunk)
    if needs == "value":
        return (nll(eta, dense),)
    value, (g_eta, g_dense) = jax.value_and_grad(nll, (0, 1))(eta, dense)
    gradient = _to_u(program, chunk, g_eta, g_dense)
    if needs == "gradient":
        return value, gradient
    if needs == "opg":
        scores = _scores(program, eta, dense, constants, chunk)
        return value, gradient, (scores * chunk["weights"]) @ scores.T
    h_eta, h_dense = _push(program, jax.grad(nll, (0, 1)), eta, dense)
    return value, gradient, _hessian_parts(program, chunk, h_eta, h_dense)


def _sum_chunks(program: Program, placement: Placement, body: Any, u: Any, constants: Any, data: dict) -> Any:
    """Σ over the chunks that hold data of `body(u, constants, chunk)`, on every device of the placement."""

    def local(u: Any, constants: Any, data: dict) -> Any:
        first = in_precision(program, _chunk(data, jnp.zeros((), jnp.int32)))
        zero = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), jax.eval_shape(body, u, constants, first))
        if placement.n_devices > 1:
            zero = jax.tree.map(lambda x: jax.lax.pcast(x, (AXIS,), to="varying"), zero)

        def step(i: jax.Array, total: Any) -> Any:
            return jax.tree.map(jnp.add, total, body(u, constants, in_precision(program, _chunk(data, i))))

        total = jax.lax.fori_loop(jnp.zeros((), jnp.int32), data["count"][0], step, zero)
        return jax.lax.psum(total, AXIS) if placement.n_devices > 1 else total

    if placement.n_devices == 1:
        return local(u, constants, data)
    sharded = jax.shard_map(
        local,
        mesh=placement.mesh,
        in_specs=(PartitionSpec(), PartitionSpec(), PartitionSpec(AXIS)),
        out_specs=PartitionSpec(),
    )
    return sharded(u, constants, data)


@partial(jax.jit, static_argnums=(0, 1, 2))
def evaluate(program: Program, placement: Placement, needs: str, u: jax.Array, constants: Any, data: dict) -> tuple:
    """The negative log-likelihood over all chunks; `needs` is "value", "gradient", "hessian" or "opg"."""
    body = partial(_evaluate_chunk, program, needs)
    sums = _sum_chunks(program, placement, body, u, constants, data)
    if needs == "hessian":
        return (*sums[:2], _assemble(program, sums[2]))
    return sums


@partial(jax.jit, static_argnums=(0, 1, 2))
def evaluate_batch(
    program: Program, placement: Placement, needs: str, u: jax.Array, constants: Any, data: dict
) -> tuple:
    """`evaluate` at many points at once: `u` is (points, size); every chunk is read once for all of them."""

    def body(u: jax.Array, constants: Any, chunk: dict) -> Any:
        return jax.vmap(lambda v: _evaluate_chunk(program, needs, v, constants, chunk))(u)

    sums = _sum_chunks(program, placement, body, u, constants, data)
    if needs == "hessian":
        return (*sums[:2], jax.vmap(partial(_assemble, program))(sums[2]))
    return sums


@partial(jax.jit, static_argnums=(0, 1))
def hessian_product(
    program: Program, placement: Placement, u: jax.Array, v: jax.Array, constants: Any, data: dict
) -> jax.Array:
    """The Hessian of the negative log-likelihood times a vector, without the Hessian."""

    def body(u: Any, constants: Any, chunk: dict) -> jax.Array:
        point, direction = u
        nll = lambda e, d: _weighted(program, log_densities(program, e, d, constants, chunk), chunk)
        at = stacked_predictors(program, point, chunk), split(program, point)
        along = stacked_predictors(program, direction, chunk, offset=False), split(program, direction)
        return _to_u(program, chunk, *jax.jvp(jax.grad(nll, (0, 1)), at, along)[1])

    return _sum_chunks(program, placement, body, (u, v), constants, data)


def _per_chunk(program: Program, body: Any, data: dict) -> Any:
    chunks = {k: v for k, v in data.items() if k != "count"}
    return jax.lax.map(lambda chunk: body(in_precision(program, chunk)), chunks)


@partial(jax.jit, static_argnums=(0, 1))
def per_unit(program: Program, what: str, u: jax.Array, constants: Any, data: dict) -> jax.Array:
    """For every unit, its log-density ("terms", shape (chunks, rows)) or its score ("scores", (chunks, size, rows))."""

    def body(chunk: dict) -> jax.Array:
        eta, dense = stacked_predictors(program, u, chunk), split(program, u)
        if what == "terms":
            return log_densities(program, eta, dense, constants, chunk).astype(jnp.float64)
        return _scores(program, eta, dense, constants, chunk)

    return _per_chunk(program, body, data)


@partial(jax.jit, static_argnums=(0, 1))
def predictors(program: Program, offset: bool, u: jax.Array, data: dict) -> jax.Array:
    """The structured predictors of every row, shape (chunks, predictors, rows)."""
    return _per_chunk(program, lambda chunk: stacked_predictors(program, u, chunk, offset), data)


@partial(jax.jit, static_argnums=(0, 1))
def along(
    program: Program, placement: Placement, step: jax.Array, u: Any, etas: Any, constants: Any, data: dict
) -> tuple[jax.Array, jax.Array]:
    """Value and slope of the negative log-likelihood at `u + step·v`, from the predictors of `u` and of `v`.

    `u` and `etas` are pairs (at the point, along the direction). The designs are not read.
    """
    data = dict(data, eta=etas[0], along=etas[1])

    def body(carry: Any, constants: Any, chunk: dict) -> tuple:
        step, (point, direction) = carry
        eta, d_eta = chunk["eta"].astype(program.dtype), chunk["along"].astype(program.dtype)
        nll = lambda s: _weighted(
            program,
            log_densities(
                program,
                eta + s.astype(program.dtype) * d_eta,
                split(program, point) + s * split(program, direction),
                constants,
                chunk,
            ),
            chunk,
        )
        return jax.jvp(nll, (step,), (jnp.ones_like(step),))

    return _sum_chunks(program, placement, body, (step, u), constants, data)


@partial(jax.jit, static_argnums=0)
def evaluate_sample(
    program: Program, u: jax.Array, constants: Any, data: dict, chunk: Any, row: Any, scale: Any
) -> tuple:
    """Value and gradient on the units at positions (`chunk`, `row`), each counted `scale` times: a minibatch."""
    take = lambda x: jnp.moveaxis(x[chunk, ..., row], 0, -1)
    sample = in_precision(program, jax.tree.map(take, {k: v for k, v in data.items() if k != "count"}))
    sample["weights"] = sample["weights"] * scale
    return _evaluate_chunk(program, "gradient", u, constants, sample)


@partial(jax.jit, static_argnums=(0, 1))
def penalty(program: Program, needs: str, u: jax.Array, constants: Any) -> tuple:
    """Value, gradient and Hessian of what is added to the negative log-likelihood."""
    f = lambda u: penalty_value(program, u, constants)
    if needs == "value":
        return (f(u),)
    value, gradient = jax.value_and_grad(f)(u)
    return (value, gradient) if needs == "gradient" else (value, gradient, jax.hessian(f)(u))

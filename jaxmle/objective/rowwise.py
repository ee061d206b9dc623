"""What one unit alone contributes: its step out of the sum, and third derivatives contracted with a covariance.

A unit's log-density depends on v = (η, d), its predictors and what all rows share, through J = dv/du. With C a matrix
about `u`, V = J C Jᵀ is small, one for each unit, and the unit's Hessian is Jᵀ D J with D as small:

    (C⁻¹ − JᵀDJ)⁻¹ Jᵀg = C Jᵀ (I − D V)⁻¹ g          tr(C JᵀDJ) = tr(D V)          |C⁻¹ − JᵀDJ| / |C⁻¹| = |I − D V|

so that nothing of the size of `u` is solved for any unit (Sherman and Morrison; Woodbury).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .. import runtime
from ..declare.conditional import Conditional
from . import designs
from .chain import columns_of, gradient_of, order_of, owners_of
from .passes import _per_chunk, _scores, sum_chunks
from .rows import Program, log_densities, split, stacked_predictors, with_columns
from .steps import quickly
from .tangents import each, pairs_of, seconds, slope

MOST_VARIABLES = 24
"""With more numbers than this in (η, d) no unit's own second derivatives are taken: there are too many."""

TRUTH = " truth"
"""A column of distributions: those of which an expectation is taken."""


def spread(program: Program, m: jax.Array, chunk: dict) -> jax.Array:
    """J M Jᵀ of every unit of a chunk, shape (K + m, K + m, rows); M in the order of the derivatives that add up."""
    k, n_dense = program.n_predictors, len(program.layout.dense_index) if program.structured else program.layout.size
    one = jnp.ones(chunk["weights"].shape[-1])
    rows = [designs.rows(c, chunk["designs"][o], one) for c, o in zip(columns_of(program), owners_of(program))]
    ends = np.cumsum([n_dense, *(r.shape[0] for r in rows)])
    parts = [slice(ends[j], ends[j + 1]) for j in range(k)]
    own = jnp.broadcast_to(m[:n_dense, :n_dense][..., None], (n_dense, n_dense, len(one)))
    if not k:
        return own
    within = [[jnp.sum(rows[i] * (m[parts[i], parts[j]] @ rows[j]), axis=0) for j in range(k)] for i in range(k)]
    leverage = jnp.stack([jnp.stack(w) for w in within])
    cross = jnp.stack([m[:n_dense, parts[j]] @ rows[j] for j in range(k)], axis=1)
    return jnp.concatenate(
        [
            jnp.concatenate([leverage, jnp.moveaxis(cross, 0, 1)], axis=1),
            jnp.concatenate([cross, own], axis=1),
        ]
    )


def scattered(program: Program, matrix: jax.Array, free: jax.Array) -> jax.Array:
    """A matrix about the entries `free` of `u` in the order of the derivatives that add up, zero elsewhere."""
    n = len(program.layout.dense_index) if program.structured else program.layout.size
    places = n + sum(c.places for c in columns_of(program))
    at = jnp.asarray(order_of(program))[free]
    return jnp.zeros((places, places)).at[at[:, None], at].set(matrix)


@dataclass(frozen=True)
class Truth:
    """The distribution of a row."""

    conditional: Conditional

    def __call__(self, p: Any, row: Any) -> Any:
        return self.conditional.distribution(p, row)


@dataclass(frozen=True)
class _Expected:
    """The expectation of the log-density under the distribution in `row[TRUTH]`."""

    conditional: Conditional

    def __call__(self, p: Any, row: Any) -> Any:
        return self.conditional.distribution(p, row).expected_log_prob(row[TRUTH])


def density_of(program: Program) -> Any:
    return getattr(program.log_density, "function", program.log_density)


def best_kind(program: Program) -> str:
    """ "expected" where the expectation of the log-density is known in closed form, "observed" elsewhere."""
    density = density_of(program)
    known = (
        program.unit == "row"
        and isinstance(density, Conditional)
        and density.kind is not None
        and density.kind.has("expected_log_prob")
    )
    return "expected" if known else "observed"


def per_row(program: Program, kind: str, constants: Any, chunk: dict) -> Callable[..., Any]:
    """What a unit's information is the Hessian of in (η, d): `f(at)(η, d)`, shape (rows,), `at` the true (η, d).

    It is minus the log-density ("observed"), or minus the expectation of it under the distribution at `at` ("expected").
    """
    if kind == "observed":
        return lambda at: lambda eta, dense: -log_densities(program, eta, dense, constants, chunk)
    conditional = density_of(program)
    expected = replace(program, log_density=_Expected(conditional))

    def under(at: tuple[jax.Array, jax.Array]) -> Any:
        truth = log_densities(replace(program, log_density=Truth(conditional)), *at, constants, chunk, of=lambda x: x)
        seen = chunk | {"columns": with_columns(chunk["columns"], {TRUTH: truth})}
        return lambda eta, dense: -log_densities(expected, eta, dense, constants, seen)

    return under


@partial(runtime.jit, static_argnums=(0, 1, 2))
def influence(program: Program, length: int, kind: str, u: Any, constants: Any, data: dict, span: Any) -> jax.Array:
    """For every unit, stacked: its step (size,), tr(C H_i) by entry of `u` (size,), and |C⁻¹ − H_i| / |C⁻¹|.

    `u` is (the point, C about the entries `free`, `free`); `kind` says which Hessian H_i of a unit is taken, that
    "observed", or "expected", or "none": zero. Weights multiply H_i and the score. Shape (chunks, 2·size + 1, rows).
    """

    def body(u: Any, constants: Any, chunk: dict) -> jax.Array:
        point, matrix, free = u
        m, w = scattered(program, matrix, free), chunk["weights"]
        eta, dense = stacked_predictors(program, point, chunk), split(program, point)
        g = w * jnp.concatenate(_scores(program, point, constants, chunk))
        size = g.shape[0]
        if kind == "none":
            h, own, ratio = g, jnp.full((m.shape[0], w.shape[0]), jnp.nan), jnp.ones_like(w)
        else:
            terms = per_row(program, kind, constants, chunk)((eta, dense))
            d = (w * seconds(terms, (eta, dense)))[pairs_of(size)[2]]
            v = spread(program, m, chunk)
            left = jnp.moveaxis(jnp.eye(size)[..., None] - jnp.einsum("abn,bcn->acn", d, v), -1, 0)
            both = quickly(lambda left, g: (jnp.linalg.det(left), jnp.linalg.solve(left, g[..., None])[..., 0]))
            ratio, h = both(left, g.T)
            h = h.T
            own = _diagonal(program, m, d, chunk)
        step = m @ down(program, h, chunk)
        order = order_of(program)
        return jnp.concatenate([step[order], own[order], ratio[None]])

    return _per_chunk(program, length, body, u, constants, data, span)


def down(program: Program, h: jax.Array, chunk: dict) -> jax.Array:
    """Jᵀh of every unit, in the order of the derivatives that add up, shape (places, rows)."""
    k = program.n_predictors
    by_predictor = zip(columns_of(program), owners_of(program), h[:k])
    return jnp.concatenate([h[k:], *(designs.rows(c, chunk["designs"][o], g) for c, o, g in by_predictor)])


def _diagonal(program: Program, m: jax.Array, d: jax.Array, chunk: dict) -> jax.Array:
    """The diagonal of C JᵀDJ for every unit, (places, rows): its sum is tr(D V)."""
    k, one = program.n_predictors, jnp.ones(chunk["weights"].shape[-1])
    rows = [designs.rows(c, chunk["designs"][o], one) for c, o in zip(columns_of(program), owners_of(program))]
    n_dense = d.shape[0] - k
    ends = np.cumsum([n_dense, *(r.shape[0] for r in rows)])
    parts = [slice(ends[j], ends[j + 1]) for j in range(k)]
    # C Jᵀ of every unit by column of v, (places, rows) each; then the product with D J on the diagonal alone
    columns = [m[:, p] @ r for p, r in zip(parts, rows)] + [
        jnp.broadcast_to(m[:, i][:, None], (m.shape[0], len(one))) for i in range(n_dense)
    ]
    into = jnp.einsum("apn,abn->bpn", jnp.stack(columns), d)  # C Jᵀ D
    out = [into[k + i][i][None] for i in range(n_dense)]
    out += [into[j][p] * r for j, (p, r) in enumerate(zip(parts, rows))]
    return jnp.concatenate(out)


@partial(runtime.jit, static_argnums=(0, 1))
def bias(program: Program, kind: str, u: Any, constants: Any, data: dict, span: Any) -> jax.Array:
    """What the first-order bias is C times of, in `u`; `u` is (the point, C and Ω about the entries `free`, `free`).

    "expected": Σ C_bc (κ_ab^(c) − ½ κ_abc) (Cox and Snell, 1968, in the form of Cordeiro and Klein, 1994).
    "observed", "squared": Σ ½ Ω_bc l_abc + l_ab C_bc s_c over the units (Rilstone, Srivastava and Ullah, 1996), the
    second with the square of each weight, for weights that multiply a unit's contribution.
    """

    def body(u: Any, constants: Any, chunk: dict) -> jax.Array:
        point, c, omega, free = u
        w = chunk["weights"]
        here = stacked_predictors(program, point, chunk), split(program, point)
        size = here[0].shape[0] + here[1].shape[0]
        number = pairs_of(size)[2]
        v = spread(program, scattered(program, c, free), chunk)
        held = per_row(program, kind if kind == "expected" else "observed", constants, chunk)
        fixed = held(here)
        third = lambda f: each(lambda i: slope(i, f, here), size)[:, number]  # (c, a, b, rows)
        total = third(lambda *x: seconds(fixed, x))
        if kind == "expected":
            moving = third(lambda *x: seconds(held(x), x))
            slopes = w * jnp.einsum("bcn,cabn->an", v, 0.5 * total - moving)
        else:
            scores = jnp.concatenate(_scores(program, point, constants, chunk))
            d = seconds(fixed, here)[number]
            spreading = spread(program, scattered(program, omega, free), chunk)
            times = w * w if kind == "squared" else w
            slopes = -0.5 * w * jnp.einsum("bcn,cabn->an", spreading, total)
            slopes = slopes - times * jnp.einsum("abn,bcn,cn->an", d, v, scores)
        k = program.n_predictors
        return gradient_of(program, chunk, slopes[:k], slopes[k:].sum(axis=-1))

    return sum_chunks(program, body, u, constants, data, span)[order_of(program)]

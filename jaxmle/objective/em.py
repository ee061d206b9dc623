"""The expected log-likelihood of the complete data, in which it is known which component each response is from.

At a point z₀ the probabilities r of the components given the responses are those that z₀ gives. The function

    Q(z) = Σ_i w_i Σ_k r_ik (log π_k + log f_k(y_i))

has the gradient of the log-likelihood at z₀ (Fisher's identity), a Hessian that is simpler than the log-likelihood's,
and a maximum that raises the log-likelihood (Dempster, Laird and Rubin, 1977). Where a parameter has it in closed form, it
comes from sums that one read of the data gives; of the others the gradient and the Hessian of -Q at z₀ are given.

A density takes part that has `parts`, `closed`, `sums` and `maxima`, as the mixture has.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from .. import runtime
from ..errors import ModelError
from ..numerics import logsumexp
from .chain import assemble, gradient_and_matrix, order_of
from .fixing import start_vector
from .passes import _nll, sum_chunks
from .rows import Program, hashable, log_densities, split, stacked_predictors
from .rowwise import density_of
from .tangents import expansion

EXPECTATION = "expectation"
"""What a solver asks for (`needs`) that alternates expectation and maximisation."""

SMALLEST = 1e-3
"""A component whose scale is below this share of the largest component's has closed in on few responses."""

ROOT_2PI_E = float(np.sqrt(2 * np.pi * np.e))


class Expectation(NamedTuple):
    """The negative log-likelihood at a point, and what the maximum of Q is found from.

    `maximum` is the maximum itself, NaN in the entries without a closed form; only where there are such entries are
    `gradient` and `matrix` of -Q given. `improper` says what is wrong with a component at the point, if anything is.
    """

    value: float
    gradient: np.ndarray | None
    matrix: np.ndarray | None
    maximum: np.ndarray
    improper: str | None = None


@dataclass(frozen=True)
class Parts:
    """The logarithms of the share and of the density of each component."""

    density: Any

    def __call__(self, p: Any, row: Any) -> Any:
        return self.density.parts(p, row)


@dataclass(frozen=True)
class Complete:
    """The expected log-density of the complete data, the probabilities of the components held."""

    density: Any

    def __call__(self, p: Any, row: Any) -> Any:
        share, density = self.density.parts(p, row)
        joint = share + density
        r = jax.lax.stop_gradient(jnp.exp(joint - logsumexp(joint)))
        return jnp.sum(jnp.where(r > 0, r * jnp.where(r > 0, joint, 0.0), 0.0))


def mixing_of(program: Program) -> Any:
    """The density of a mixture; `ModelError` for any other."""
    density = density_of(program)
    if program.unit != "row" or not hasattr(density, "parts"):
        raise ModelError(
            "EM fits mixtures, whose log-density knows its components (jm.mixture); take solver='newton' for this model."
        )
    return density


def is_mixture(objective: Any) -> bool:
    """Whether EM can maximise the likelihood, and nothing is added to it."""
    program = objective.program
    return program.unit == "row" and hasattr(density_of(program), "parts") and not objective.penalised


def _with(program: Program, density: Any) -> Program:
    return replace(program, log_density=hashable(density))


def _of_chunk(program: Program, names: tuple[str, ...], rest: bool, u: jax.Array, constants: Any, chunk: dict) -> dict:
    """What one chunk adds to the sums at the point `u`."""
    mixing, w = mixing_of(program), chunk["weights"]
    eta, dense = stacked_predictors(program, u, chunk), split(program, u)
    share, density = log_densities(_with(program, Parts(mixing)), eta, dense, constants, chunk, of=lambda x: x)
    joint = (share + density).astype(jnp.float64)
    terms = jax.vmap(logsumexp, in_axes=-1)(joint)
    r = jnp.where(w > 0, w * jnp.exp(joint - terms), 0.0)
    out = {
        "value": -jnp.sum(w * terms),
        "total": r.sum(axis=-1),
        "fit": jnp.where(r > 0, r * jnp.where(r > 0, density, 0.0), 0.0).sum(axis=-1),
        "sums": mixing.sums(program.layout.natural(u, constants), chunk["columns"], r, names),
    }
    if rest:
        minus_q = _nll(_with(program, Complete(mixing)), constants, chunk)
        _, slopes, curvatures = expansion(minus_q, (eta, dense), w[0])
        out["gradient"], out["matrix"] = gradient_and_matrix(program, chunk, slopes, curvatures)
    return out


@partial(runtime.jit, static_argnums=(0, 1, 2))
def expectation(
    program: Program, names: tuple[str, ...], rest: bool, u: jax.Array, constants: Any, data: dict, span: Any
) -> dict:
    """The sums over a span of chunks at several points `u` (points, size), by one read: of the parameters `names`, and,
    where there is a `rest`, the gradient and the Hessian of -Q."""

    def body(u: jax.Array, constants: Any, chunk: dict) -> dict:
        return jax.vmap(lambda v: _of_chunk(program, names, rest, v, constants, chunk))(u)

    sums = sum_chunks(program, body, u, constants, data, span)
    if not rest:
        return sums
    order = order_of(program)
    return sums | {
        "gradient": sums["gradient"][:, order],
        "matrix": jax.vmap(partial(assemble, program))(sums["matrix"]),
    }


@partial(runtime.jit, static_argnums=(0, 1))
def maxima(program: Program, names: tuple[str, ...], u: jax.Array, constants: Any, total: Any, sums: Any) -> jax.Array:
    """The points (points, size) at the maximum of Q in the parameters `names`; NaN in the entries of others."""
    layout, mixing = program.layout, mixing_of(program)

    def of_point(u: jax.Array, total: jax.Array, sums: Any) -> jax.Array:
        best = mixing.maxima(layout.natural(u, constants), total, sums)
        pieces = [
            b.domain.unconstrain(best[b.name]).reshape(-1) if b.name in names else jnp.full(b.stop - b.start, jnp.nan)
            for b in layout.blocks
        ]
        return jnp.concatenate(pieces)

    return jax.vmap(of_point)(u, total, sums)


def in_closed_form(objective: Any) -> tuple[str, ...]:
    """The parameters whose M-step has a closed form: none where a penalty has its say, or part of one is held."""
    mixing = mixing_of(objective.program)
    if objective.penalised:
        return ()
    held = np.ones(objective.layout.size, bool)
    held[objective.free] = False
    free = frozenset(b.name for b in objective.layout.denses if not held[b.start : b.stop].any())
    return mixing.closed(free)


def expectations(objective: Any, z: np.ndarray) -> list[Expectation]:
    """The expectation step at each row of `z`, as one compiled batch."""
    names = in_closed_form(objective)
    entries = [np.arange(b.start, b.stop) for b in objective.layout.blocks if b.name in names]
    known = np.isin(objective.free, np.concatenate([*entries, np.zeros(0, int)]))
    rest = not known.all()
    u = np.stack([objective.to_u(row) for row in z])
    sums = objective.over_parts(expectation, names, rest, u)
    best = jax.device_get(
        objective.run(maxima, objective.program, names, u, objective.constants, sums["total"], sums["sums"])
    )
    out = []
    for i, point in enumerate(u):
        found = sums["value"][i], *([sums["gradient"][i], sums["matrix"][i]] if rest else [])
        e = objective.completed(found, "hessian" if rest else "value", point)
        wrong = improper(mixing_of(objective.program), sums["total"][i], sums["fit"][i])
        out.append(Expectation(e.value, e.gradient, e.matrix, objective.to_z(best[i]), wrong))
    return out


def scales(mixing: Any, total: np.ndarray, fit: np.ndarray) -> np.ndarray:
    """The scale of each component (k,): that of the normal distribution with as high a mean log-density.

    For a normal component at the end of EM this is its standard deviation.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return np.exp(-fit / total / len(mixing.response)) / ROOT_2PI_E


def improper(mixing: Any, total: np.ndarray, fit: np.ndarray) -> str | None:
    """What is wrong with a component of responses that are no counts, if anything: the rule of Hathaway (1985).

    Arguments:
        total: the sum of the probabilities of each component, (k,).
        fit: the sum of its log-densities with these weights, (k,).
    """
    if not mixing.continuous:
        return None
    scale = scales(mixing, total, fit)
    small = int(np.argmin(scale))
    if not (np.isfinite(scale).all() and scale[small] < SMALLEST * scale.max()):
        return None
    return (
        f"component {small} has closed in on {total[small]:.3g} responses: its scale, {scale[small]:.2g}, is below "
        f"{SMALLEST:g} of the largest component's, {scale.max():.2g}, and the likelihood grows without limit there"
    )


def in_order(objective: Any, model: Any, z: np.ndarray) -> np.ndarray | None:
    """The same distribution with the components of a mixture in the order of their first parameters; None if it is `z`.

    Nothing is moved where a parameter is held or penalised: then components have names for a reason.
    """
    density = getattr(model.log_density, "function", model.log_density)
    if not hasattr(density, "in_order") or objective.penalised or len(objective.free) < objective.layout.size:
        return None
    if objective.layout.constants:
        return None
    theta = density.in_order(model.params, objective.natural(z)[0])
    return None if theta is None else objective.to_z(start_vector(model, objective.layout, theta)[0])

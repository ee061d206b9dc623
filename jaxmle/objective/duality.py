"""The duality gap: how far a penalised fit can be from the best there is, without knowing the best.

For convex functions φ of predictors η = Xβ and a penalty p, every dual point θ with all conjugates finite gives the
bound Σ w·φ(η) + p(β) − min ≤ Σ w·[φ(η) + φ*(θ) − θη] + Σ [p(β) + p*(−v) + vβ], v = Xᵀ(wθ), a sum of terms that are
not negative (Fenchel and Young; Rockafellar, 1970, Convex Analysis, section 31). Dual points are made as derivatives
θ = φ'(η̃) at predictors η̃ close to η, so that the conjugate is known exactly for any family: φ*(θ) = θη̃ − φ(η̃).
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .. import runtime
from . import chain, passes
from .concavity import concave
from .line import summed
from .objective import Objective
from .passes import Evaluation
from .rows import Program, log_densities, split

MOST_STEPS, NEAR = 30, 1e-9
"""Of Newton's method in each row, and how short a last one is: what it leaves is its square."""

INWARD = 1e-12
"""How far inside its bounds the dual point is kept, for rounding."""


def duality_gap(objective: Objective, z: np.ndarray, at: Evaluation) -> float:
    """By how much the penalised log-likelihood can be raised at most by other coefficients of the one predictor.

    Other parameters (a dispersion) are held as they are. NaN where minus the log-density is not known to be convex.

    Arguments:
        objective: with its shrinkage.
        z: where.
        at: value, gradient and Hessian of the smooth part there.
    """
    shrinkage, program = objective.shrinkage, objective.likelihood
    if shrinkage is None or not is_convex(objective):
        return np.nan
    block = program.layout.linears[0]
    u = objective.to_u(z)
    mine = (objective.free >= block.start) & (objective.free < block.stop)
    position, scale = objective.free[mine], objective.scale[mine]
    l1, l2, beta = shrinkage.l1[position], shrinkage.l2[position], u[position]
    gradient = at.gradient[mine] / scale - l2 * beta  # of the likelihood alone, in u
    size = np.sqrt(np.maximum(np.diag(at.matrix)[mine] / scale**2 - l2, 0.0))
    loose = (l1 == 0) & (l2 == 0)
    # one more Newton step of the predictors: it makes the dual point orthogonal to columns without a penalty, and the
    # bound differ from the minimum by the square of the distance to it, not by the distance
    active = np.flatnonzero(loose | (beta != 0))
    columns = at.matrix[np.ix_(np.flatnonzero(mine), np.flatnonzero(mine)[active])] / np.outer(scale, scale[active])
    step = np.zeros(0)
    if len(active):
        slope = gradient + l1 * np.sign(beta) + l2 * beta
        try:
            step = -np.linalg.solve(columns[active], slope[active])
        except np.linalg.LinAlgError:
            return np.nan
    columns[active, np.arange(len(active))] -= l2[active]  # of the likelihood alone
    pull = np.abs(gradient + columns @ step)
    bound = (l1 > 0) & (l2 == 0)
    share = float(np.min(l1[bound] * (1 - INWARD) / np.maximum(pull[bound], 1e-300), initial=1.0))
    direction = np.zeros_like(u)
    direction[position[active]] = step
    rows = _divergence(objective, u, direction, share)
    if rows is None:
        return np.nan
    divergence, v = rows[0], rows[1][position]
    beyond = np.maximum(np.abs(v) - l1, 0.0)
    if (beyond > 1e-9 * l1)[bound].any() or (np.abs(v) > 1e-6 * size)[loose].any():
        return np.nan  # the dual point is none: the start was too far from the optimum
    conjugate = np.where(l2 > 0, beyond**2 / (2 * np.where(l2 > 0, l2, 1.0)), np.abs(beyond * beta))
    own = np.where(loose, np.abs(v * beta), l1 * np.abs(beta) + 0.5 * l2 * beta**2 + conjugate + v * beta)
    return float(divergence + np.maximum(own, 0.0).sum())


def is_convex(objective: Objective) -> bool:
    """Whether minus the log-density is known to be convex in the only predictor, that of the first parameter."""
    program = objective.program
    density, linears = program.log_density, program.layout.linears
    kind = getattr(density, "kind", None)
    if kind is None or not program.structured or len(linears) != 1 or not concave(objective):
        return False
    (block,) = linears
    return block.name == next(iter(kind.parameters), None) and block.parameter.n_outputs == 1  # type: ignore[union-attr]


def _divergence(objective: Objective, u: np.ndarray, move: np.ndarray, share: float) -> tuple[float, np.ndarray] | None:
    """Σ w·[φ(η) − φ(η̃) − θ(η − η̃)] for θ = φ'(η̃) ≈ share·(φ'(η) + φ''(η)·Xmove), and Xᵀ(wθ) by entry of `u`."""
    program, constants = objective.likelihood, objective.constants
    stretches = objective.stretches
    etas = objective.run_each(passes.predictors, [(program, s.length, (u, move), s.data, s.span) for s in stretches])
    calls = [(program, u, e, np.float64(share), constants, s.data, s.span) for e, s in zip(etas, stretches)]
    total, pulled = summed(runtime.on_host(objective.run_each(dual_point, calls)))
    return (float(total), pulled) if np.isfinite(total) and np.isfinite(pulled).all() else None


@partial(runtime.jit, static_argnums=0)
def dual_point(
    program: Program, u: jax.Array, etas: Any, share: jax.Array, constants: Any, data: dict, span: Any
) -> tuple[jax.Array, jax.Array]:
    """`_divergence` of one stretch; η̃ by Newton's method in every row, kept from overshooting."""

    def body(carry: Any, constants: Any, chunk: dict) -> tuple[jax.Array, jax.Array]:
        point, share = carry
        eta, along, dense = chunk["eta"], chunk["along"], split(program, point)
        phi = lambda e: -log_densities(program, e, dense, constants, chunk)
        slope = lambda e: jax.jvp(phi, (e,), (jnp.ones_like(e),))
        curved = lambda e: jax.jvp(lambda x: slope(x)[1], (e,), (jnp.ones_like(e),))
        first, second = curved(eta)
        wanted = share * (first + second * along[0])

        def closer(state: tuple) -> tuple:
            i, _, e = state
            d, h = curved(e)
            step = jnp.clip(jnp.where(h > 0, (wanted - d) / jnp.where(h > 0, h, 1.0), 0.0), -1.0, 1.0)
            return i + 1, jnp.max(jnp.abs(step)), e + step

        far = lambda state: (state[0] < MOST_STEPS) & (state[1] > NEAR)
        there = jax.lax.while_loop(far, closer, (0, jnp.array(jnp.inf, eta.dtype), eta + along))[2]
        value, theta = slope(there)
        weights = chunk["weights"]
        # padding repeats a real row, of weight zero
        apart = jnp.sum(weights * jnp.maximum(phi(eta) - value - theta * (eta[0] - there[0]), 0.0))
        pulled = chain.gradient_of(program, chunk, (weights * theta)[None], jnp.zeros_like(dense))
        return apart, pulled

    own = {"eta": etas[0], "along": etas[1]}
    apart, pulled = passes.sum_chunks(program, body, (u, share), constants, data, span, own)
    return apart, pulled[chain.order_of(program)]

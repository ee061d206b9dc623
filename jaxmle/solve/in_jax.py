"""Newton's method as one JAX expression: for minima that are differentiated, mapped and compiled with what is around them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero

from .. import runtime

DAMPING = 1e-3
"""The first damping, in units of the scaled Hessian's eigenvalues."""

LEAST, MOST = 1e-12, 1e12
"""Between these the damping is adapted; above, no step is found any more. Eigenvalues below the first are zero."""

STEADY = 0.1
"""The share by which curvatures may change in the last step; where there is no finite minimum they vanish with each."""

Function = Callable[[jax.Array, Any], jax.Array]


class _State(NamedTuple):
    """The best point, what is known there, the point to be looked at, and whether the search has ended well."""

    u: jax.Array
    value: jax.Array
    gradient: jax.Array
    hessian: jax.Array
    trial: jax.Array
    damping: jax.Array
    gain: jax.Array
    steps: jax.Array
    settled: jax.Array


@partial(jax.custom_jvp, nondiff_argnums=(0, 1, 2, 3))
def minimum(f: Function, tol: float, max_steps: int, dtype: Any, start: jax.Array, data: Any) -> jax.Array:
    """Where `f(u, data)` has its minimum near `start`; NaN where no proper one is found. Differentiable in `data`.

    The search and its derivatives are in float64, and given in `dtype`, which is the type of what is differentiated; `f` is
    hashable, and compiled once for data of equal shapes. Derivatives are those of the implicit function theorem, of the
    root of the gradient g: du = -H^-1 (dg/d data) d data.
    """
    with runtime.x64():
        return _search(f, tol, max_steps, start, data).astype(dtype)


@partial(minimum.defjvp, symbolic_zeros=True)
def _implicit(f: Function, tol: float, max_steps: int, dtype: Any, primals: tuple, tangents: tuple) -> tuple:
    start, data = primals
    u = minimum(f, tol, max_steps, dtype, start, data)
    leaves, structure = jax.tree.flatten(data)
    moves = jax.tree.leaves(tangents[1], is_leaf=lambda t: isinstance(t, SymbolicZero))
    moving = tuple(i for i, t in enumerate(moves) if not isinstance(t, SymbolicZero))
    if not moving:
        return u, jnp.zeros_like(u)
    with runtime.x64():
        slopes = [s.astype(dtype) for s in _slopes(f, structure, moving, u.astype(jnp.float64), leaves)]
    shares = [slope @ moves[i].reshape(-1).astype(dtype) for i, slope in zip(moving, slopes)]
    return u, sum(shares[1:], shares[0])


@partial(jax.jit, static_argnums=(0, 1, 2))
def _slopes(f: Function, structure: Any, moving: tuple[int, ...], u: jax.Array, leaves: list[jax.Array]) -> list:
    """d(minimum)/d(leaf), shape (size, entries of the leaf), of the leaves that move."""

    def along(some: list[jax.Array], direction: jax.Array) -> jax.Array:
        whole = list(leaves)
        for i, leaf in zip(moving, some):
            whole[i] = leaf
        return jax.jvp(lambda u: f(u, jax.tree.unflatten(structure, whole)), (u,), (direction,))[1]

    some = [leaves[i] for i in moving]
    slopes = jax.vmap(jax.grad(along), in_axes=(None, 0))(some, jnp.eye(len(u)))
    hessian = jax.hessian(f)(u, jax.tree.unflatten(structure, leaves))
    return [-jnp.linalg.solve(hessian, x.reshape(len(u), -1).astype(jnp.float64)) for x in slopes]


@partial(jax.jit, static_argnums=(0, 1, 2))
def _search(f: Function, tol: float, max_steps: int, start: jax.Array, data: Any) -> jax.Array:
    """Newton's method, damped as Levenberg and Marquardt do, negative curvature taken by its absolute value.

    It ends with the step after the one whose decrement promises less than `tol`; NaN where there is none, or where the
    curvature vanishes with that step, as it does where there is no finite minimum.
    """

    def at(u: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        def gradient(u: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
            value, g = jax.value_and_grad(f)(u, data)
            return g, (value, g)

        hessian, (value, g) = jax.jacfwd(gradient, has_aux=True)(u)
        return value, g, hessian

    def direction(g: jax.Array, hessian: jax.Array, damping: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The damped step, and what an undamped one would gain."""
        size = jnp.sqrt(jnp.maximum(jnp.abs(jnp.diag(hessian)), jnp.finfo(g.dtype).tiny))
        values, vectors = jnp.linalg.eigh(hessian / jnp.outer(size, size))
        along = vectors.T @ (g / size)
        curvature = jnp.maximum(jnp.abs(values), LEAST)
        step = -(vectors @ (along / (curvature + damping))) / size
        return step, jnp.where(values[0] > LEAST, 0.5 * jnp.sum(along**2 / curvature), jnp.inf)

    def go_on(s: _State) -> jax.Array:
        return (s.steps < max_steps) & ~s.settled & (s.damping < MOST)

    def one(s: _State) -> _State:
        there = at(s.trial)
        finite = jnp.isfinite(there[1]).all() & jnp.isfinite(there[2]).all()
        last = s.gain <= tol
        better = finite & ((there[0] <= s.value) | last)
        u, value, g, hessian = (jnp.where(better, new, old) for new, old in zip((s.trial, *there), s))
        eased = jnp.where(s.damping <= LEAST, 0.0, s.damping / 10)
        damping = jnp.where(better, eased, 10 * jnp.maximum(s.damping, LEAST))
        step, gain = direction(g, hessian, damping)
        steady = jnp.abs(jnp.diag(hessian) / jnp.diag(s.hessian) - 1) <= STEADY
        return _State(u, value, g, hessian, u + step, damping, gain, s.steps + 1, last & better & steady.all())

    n, far = len(start), jnp.asarray(jnp.inf)
    begin = _State(
        start, far, jnp.zeros(n), jnp.eye(n), start, jnp.asarray(DAMPING), far, jnp.asarray(0), jnp.asarray(False)
    )
    end = jax.lax.while_loop(go_on, one, begin)
    return jnp.where(end.settled, end.u, jnp.nan)

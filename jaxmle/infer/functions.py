"""Functions of the parameters as functions of the solver's vector `z`, with exact first and second derivatives."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .. import runtime
from ..declare.tree import opened
from ..objective.layout import Layout, naturalise
from ..objective.objective import Objective


def derivatives_in_z(
    objective: Objective, f: Callable[[Any, Any], Any], z: np.ndarray, multipliers: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, Any]:
    """Values (m,) and gradients (m, k) of a function of the natural scale, and the Hessian (k, k) of Σ multiplier · value.

    Arguments:
        f: of the parameters by name and of the vector of all reported entries; it returns m numbers, of any shape.
        multipliers: shape (m,); without them there is no Hessian.
    """
    args = objective.to_u(z), objective.constants, multipliers
    values, slopes, bend = runtime.on_host(runtime.call(_derivatives, objective.layout, f, *args)[0])
    free, scale = objective.free, objective.scale
    in_z = None if bend is None else np.asarray(bend)[np.ix_(free, free)] * np.outer(scale, scale)
    return np.asarray(values), np.asarray(slopes)[:, free] * scale, in_z


@partial(runtime.jit, static_argnums=(0, 1))
def _derivatives(layout: Layout, f: Callable, u: jax.Array, constants: Any, multipliers: Any) -> tuple:

    def of(u: jax.Array) -> jax.Array:
        params, reported = naturalise(layout, u, constants)
        return jnp.ravel(jnp.asarray(f(opened(params), reported), jnp.float64))

    bend = None if multipliers is None else jax.hessian(lambda u: multipliers @ of(u))(u)
    return of(u), jax.jacfwd(of)(u), bend

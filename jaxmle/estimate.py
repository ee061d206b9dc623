"""`jm.estimate`: maximum likelihood as a JAX function, to be differentiated, mapped and compiled with what is around it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from . import runtime
from .declare.model import Model
from .declare.tree import opened
from .errors import ModelError
from .objective.traced import trace
from .solve.in_jax import minimum

TOL = 1e-12
"""The log-likelihood still to be gained at which the search ends, one more step after it."""


def estimate(
    model: Model,
    data: Mapping[str, Any],
    *,
    weights: Any = None,
    start: Mapping[str, Any] | None = None,
    fixed: Mapping[str, Any] | None = None,
    penalty: Callable[[Mapping[str, Any]], Any] | None = None,
    max_steps: int = 100,
) -> dict[str, Any]:
    """The maximum likelihood estimates alone, differentiable by everything that goes in.

    Works under `jax.grad`, `jax.jacobian`, `jax.vmap` and `jax.jit`; derivatives are exact, by the implicit function
    theorem, with no step of the search recorded. `jm.fit` says how good an estimate is; this function cannot, as its values
    are not there while JAX traces.

    Arguments:
        model: a `Model`.
        data: name → array (rows first). Those of numbers may be traced, responses and columns of a `Linear` among them; a
            formula may add such columns up, and compute with all others.
        weights: a column name or an array (rows,), which may be traced.
        start: name → starting value, as in `fit`, not traced. What is not given is the family's suggestion, where
            responses are not traced, or the parameter's default.
        fixed: name → value at which a parameter or a coefficient is held; it may be traced.
        penalty: a function of the parameters that is added to the negative log-likelihood; what it contains may be traced.
        max_steps: of Newton's method.

    Returns:
        name → value on the natural scale (a `Linear` by its coefficients), in JAX's own precision: float32, or float64
        where that is switched on; it is computed in float64. NaN where no proper maximum is found. (Reverse derivatives of
        derivatives need JAX's float64.)

    Raises:
        ModelError: for a model or an argument that cannot be used.
        DataError: for data that cannot be used.

    Source: Gould et al. (2016), On differentiating parameterized argmin and argmax problems.
    """
    if not isinstance(model, Model):
        raise ModelError(f"estimate takes a jm.Model; got {type(model).__name__}.")
    if not isinstance(data, Mapping):
        raise ModelError(f"estimate takes data as a mapping of names to arrays; got {type(data).__name__}.")
    if isinstance(max_steps, bool) or not isinstance(max_steps, int) or max_steps < 1:
        raise ModelError(f"max_steps must be a whole number from 1 up; got {max_steps!r}.")
    dtype = jnp.zeros(()).dtype
    with runtime.x64(), jax.ensure_compile_time_eval():
        function, arrays, begin = trace(model, data, weights, fixed, start, penalty)
    with runtime.x64():
        free = minimum(function, TOL, max_steps, dtype, jnp.asarray(begin), arrays)
    layout, constants = function.program.layout, jax.tree.map(jnp.asarray, arrays["constants"])
    theta = opened(layout.natural(function.whole(free, arrays), constants))
    return {name: theta[name] for name in model.params if name in theta}

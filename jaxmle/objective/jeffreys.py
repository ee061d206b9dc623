"""Firth's penalised likelihood: ½ log det I(u) is added to the log-likelihood, Jeffreys' prior as a penalty.

Its derivatives are exact: with M = I⁻¹ held, ∂_r log det I = tr(M ∂_r I) is the derivative of a sum over rows, in which
M becomes a leverage for each pair of predictors. I is the expected information where the family has one, and the
observed one elsewhere. The prior is that of the coefficients
and, for constant parameters, of the scale they are searched on (the logarithm of a positive one): a constant and a
formula "~ 1" are thus the same.

Firth (1993), Bias reduction of maximum likelihood estimates, Biometrika 80, 27-38; Heinze and Schemper (2002), A
solution to the problem of separation in logistic regression, Statistics in Medicine 21, 2409-2419.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .. import runtime
from ..errors import ModelError
from .chain import assemble, gradient_of, matrix_parts, order_of
from .em import EXPECTATION
from .objective import Objective
from .passes import Evaluation, sum_chunks
from .rows import Program, split, stacked_predictors
from .rowwise import best_kind, per_row, scattered, spread
from .tangents import each, expansion, pairs_of, seconds, slope

FIRTH = "firth"
"""What this penalty is called."""

STEP = 1e-4
"""Half the length of a central difference of the gradient, in `z`."""


def _information_chunk(program: Program, u: jax.Array, constants: Any, chunk: dict) -> dict:
    eta, dense = stacked_predictors(program, u, chunk), split(program, u)
    terms = per_row(program, best_kind(program), constants, chunk)((eta, dense))
    total = lambda *x: jnp.sum(chunk["weights"] * terms(*x))
    return matrix_parts(program, chunk, *expansion(total, (eta, dense), chunk["weights"][0])[2])


def _trace_chunk(program: Program, at: tuple[jax.Array, jax.Array], constants: Any, chunk: dict) -> jax.Array:
    """The gradient of tr(M I(u)), M held, over the rows of a chunk; M in the order of the derivatives that add up."""
    u, m = at
    eta, dense = stacked_predictors(program, u, chunk), split(program, u)
    k, size = program.n_predictors, program.n_predictors + dense.shape[0]
    first, second, _ = pairs_of(size)
    whole = spread(program, m, chunk)
    share = chunk["weights"] * whole[first, second] * np.where(first == second, 1.0, 2.0)[:, None]

    def trace(eta: jax.Array, dense: jax.Array) -> jax.Array:
        """tr(M I) row by row: forward derivatives alone, whose programs stay small as their order grows."""
        terms = per_row(program, best_kind(program), constants, chunk)((eta, dense))
        return jnp.sum(seconds(terms, (eta, dense)) * share, axis=0)

    slopes = each(lambda i: slope(i, trace, (eta, dense)), size)
    return gradient_of(program, chunk, slopes[:k], slopes[k:].sum(axis=-1))


@partial(runtime.jit, static_argnums=(0, 1))
def half_log_det(
    program: Program, needs: str, u: jax.Array, free: jax.Array, constants: Any, parts: tuple[tuple, ...]
) -> tuple:
    """½ log det of the information about the entries `free` of `u`, its gradient, and the information.

    `parts` are data with their spans. NaN where the information is not positive definite.
    """
    order = order_of(program)

    def information(u: jax.Array) -> jax.Array:
        body = partial(_information_chunk, program)
        sums = [assemble(program, sum_chunks(program, body, u, constants, *part)) for part in parts]
        return sum(sums[1:], sums[0])

    def with_inverse(u: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        matrix = information(u)[free][:, free]
        size = jnp.sqrt(jnp.diag(matrix))
        factor = jnp.linalg.cholesky(matrix / size / size[:, None])
        inverse = jax.scipy.linalg.cho_solve((factor, True), jnp.eye(len(free))) / size / size[:, None]
        return jnp.sum(jnp.log(jnp.diag(factor))) + jnp.sum(jnp.log(size)), inverse, matrix

    def gradient(u: jax.Array, inverse: jax.Array) -> jax.Array:
        m = scattered(program, inverse, free)
        body = partial(_trace_chunk, program)
        sums: list[jax.Array] = [sum_chunks(program, body, (u, m), constants, *part) for part in parts]
        return 0.5 * sum(sums[1:], sums[0])[order][free]

    value, inverse, matrix = with_inverse(u)
    if needs == "value":
        return (value,)
    slope = gradient(u, inverse)
    return value, slope, matrix


@dataclass(frozen=True, eq=False)
class FirthObjective(Objective):
    """The negative log-likelihood less ½ log det I."""

    @property
    def penalised(self) -> bool:
        return True

    @property
    def can_sample(self) -> str | None:
        return "Firth's penalty is one number of all rows"

    def glimpse(self) -> Objective:
        """Itself: the information of some rows is not a share of that of all."""
        return self

    def _evaluate(self, z: np.ndarray, needs: str, penalised: bool) -> Evaluation:
        if needs == EXPECTATION:
            raise ModelError("EM has no step for Firth's penalty: take solver='newton'.")
        base = super()._evaluate(z, needs, penalised)
        if not penalised:
            return base
        less = self._half_log_det(z, "value" if needs == "value" else "gradient")
        value = float(base.value - less[0])
        value = value if np.isfinite(value) else np.inf
        gradient = None if needs == "value" else base.gradient - less[1] * self.scale
        matrix = base.matrix
        if needs == "hessian":
            bend = self._bend(z)
            matrix = matrix - 0.5 * (bend + bend.T)
        return Evaluation(value, gradient, matrix)

    def evaluate_batch(self, z: np.ndarray, needs: str = "hessian") -> list[Evaluation]:
        return [self.evaluate(row, needs) for row in z]

    def hvp(self, z: np.ndarray, v: np.ndarray) -> np.ndarray:
        return self.evaluate(z).matrix @ v

    def along(self, z: np.ndarray, p: np.ndarray) -> Callable[[float], tuple[float, float]]:  # type: ignore[override]
        def line(step: float) -> tuple[float, float]:
            e = self.evaluate(z + step * p, "gradient")
            return e.value, float(e.gradient @ p)

        return line

    def information(self, z: np.ndarray, hessian: np.ndarray | None) -> np.ndarray | None:
        """I at `z`: its inverse is the covariance of the penalised estimates (Heinze and Schemper, 2002)."""
        return self._half_log_det(z, "gradient")[2] * np.outer(self.scale, self.scale)

    def _bend(self, z: np.ndarray) -> np.ndarray:
        """The Hessian of ½ log det I in `z`, by central differences of the exact gradient.

        Exact, it takes four derivatives of the log-density: a program that is compiled for minutes for some families.
        """
        out = np.empty((self.size, self.size))
        for i, e in enumerate(np.eye(self.size)):
            high, low = (z + sign * STEP * max(1.0, abs(z[i])) * e for sign in (1.0, -1.0))
            rise = self._half_log_det(high, "gradient")[1] - self._half_log_det(low, "gradient")[1]
            out[i] = rise * self.scale / (high[i] - low[i])
        return out

    def _half_log_det(self, z: np.ndarray, needs: str) -> tuple:
        parts = tuple((part.data, np.array(part.span, np.int32)) for part in self.parts)
        args = (self.likelihood, needs, self.to_u(z), self.free, self.constants, parts)
        return jax.device_get(self.run(half_log_det, *args))

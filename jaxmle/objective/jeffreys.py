"""Firth's penalised likelihood: ½ log det I(u) is added to the log-likelihood, Jeffreys' prior as a penalty.

Its derivatives are exact: with M = I⁻¹ held, ∂_r log det I = tr(M ∂_r I) is the derivative of a sum over rows, in which
M becomes a leverage for each pair of predictors; the Hessian is the forward derivative of that gradient. I is the
expected information where the family has one, and the observed one elsewhere. The prior is that of the coefficients
and, for constant parameters, of the scale they are searched on (the logarithm of a positive one): a constant and a
formula "~ 1" are thus the same.

Firth (1993), Bias reduction of maximum likelihood estimates, Biometrika 80, 27-38; Heinze and Schemper (2002), A
solution to the problem of separation in logistic regression, Statistics in Medicine 21, 2409-2419.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..declare.conditional import Conditional
from . import designs
from .objective import Objective
from .passes import (
    Evaluation,
    _assemble,
    _columns,
    _columns_of,
    _matrix_parts,
    _nll,
    _order,
    _owners,
    _push,
    _stacked,
    _sum_chunks,
)
from .placement import Placement
from .rows import Program, log_densities, split, stacked_predictors

FIRTH = "firth"
"""What this penalty is called."""

TRUTH = " truth"
"""A column of distributions: those of which an expectation is taken."""


@dataclass(frozen=True)
class _Truth:
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


def _density(program: Program) -> Any:
    return getattr(program.log_density, "function", program.log_density)


def _has_expected(program: Program) -> bool:
    density = _density(program)
    return (
        program.unit == "row"
        and isinstance(density, Conditional)
        and density.kind is not None
        and density.kind.has("expected_log_prob")
    )


def _per_row(program: Program, constants: Any, chunk: dict) -> Callable[..., Any]:
    """The negative log-density whose Hessian in (η, d) is a row's information: `f(at)(η, d)`, `at` the true (η, d)."""
    if not _has_expected(program):
        return lambda at: _nll(program, constants, chunk)
    conditional = _density(program)
    expected = replace(program, log_density=_Expected(conditional))

    def under(at: Any) -> Any:
        truth = log_densities(replace(program, log_density=_Truth(conditional)), *at, constants, chunk, of=lambda x: x)
        columns = {name: chunk["columns"][name] for name in chunk["columns"]} | {TRUTH: truth}
        return _nll(expected, constants, chunk | {"columns": columns})

    return under


def _blocks(program: Program, constants: Any, chunk: dict, eta: jax.Array, dense: jax.Array) -> tuple:
    """Each row's information in (η, d), as `_push` gives it; differentiable in both as the truth moves with them."""
    return _push(program, jax.grad(_per_row(program, constants, chunk)((eta, dense)), (0, 1)), eta, dense)


def _information_chunk(program: Program, u: jax.Array, constants: Any, chunk: dict) -> dict:
    eta, dense = stacked_predictors(program, u, chunk), split(program, u)
    return _matrix_parts(program, chunk, *_blocks(program, constants, chunk, eta, dense))


def _trace_chunk(program: Program, at: tuple[jax.Array, jax.Array], constants: Any, chunk: dict) -> jax.Array:
    """The gradient of tr(M I(u)), M held, over the rows of a chunk; M in the order of the derivatives that add up."""
    u, m = at
    eta, dense = stacked_predictors(program, u, chunk), split(program, u)
    k, n_dense = program.n_predictors, dense.shape[0]
    one = jnp.ones(chunk["weights"].shape[-1])
    rows = [designs.rows(c, chunk["designs"][o], one) for c, o in zip(_columns_of(program), _owners(program))]
    ends = np.cumsum([n_dense, *(r.shape[0] for r in rows)])
    parts = [slice(ends[j], ends[j + 1]) for j in range(k)]
    own = m[:n_dense, :n_dense]
    within = [[jnp.sum(rows[i] * (m[parts[i], parts[j]] @ rows[j]), axis=0) for j in range(k)] for i in range(k)]
    leverage = jnp.stack([jnp.stack(w) for w in within]) if k else jnp.zeros((0, 0, len(one)))
    across = [m[:n_dense, parts[j]] @ rows[j] for j in range(k)]
    cross = jnp.stack(across, axis=1) if k else jnp.zeros((n_dense, 0, len(one)))

    def trace(eta: jax.Array, dense: jax.Array) -> jax.Array:
        h_eta, h_dense = _blocks(program, constants, chunk, eta, dense)
        return jnp.sum(h_eta[:k] * leverage) + 2 * jnp.sum(h_eta[k:] * cross) + jnp.sum(h_dense[k:] * own)

    return _stacked(program, chunk, *jax.grad(trace, (0, 1))(eta, dense))


@partial(jax.jit, static_argnums=(0, 1, 2))
def half_log_det(
    program: Program, placement: Placement, needs: str, u: jax.Array, free: jax.Array, constants: Any, parts: tuple
) -> tuple:
    """½ log det of the information about the entries `free` of `u`, its gradient, its Hessian, and the information.

    NaN where the information is not positive definite.
    """
    order = _order(program)

    def information(u: jax.Array) -> jax.Array:
        body = partial(_information_chunk, program)
        sums = [_assemble(program, _sum_chunks(program, placement, body, u, constants, data)) for data in parts]
        return sum(sums[1:], sums[0])

    def with_inverse(u: jax.Array) -> tuple[jax.Array, jax.Array]:
        matrix = information(u)[free][:, free]
        size = jnp.sqrt(jnp.diag(matrix))
        factor = jnp.linalg.cholesky(matrix / size / size[:, None])
        inverse = jax.scipy.linalg.cho_solve((factor, True), jnp.eye(len(free))) / size / size[:, None]
        return jnp.sum(jnp.log(jnp.diag(factor))) + jnp.sum(jnp.log(size)), inverse

    def gradient(u: jax.Array, inverse: jax.Array) -> jax.Array:
        n = len(program.layout.dense_index) if program.structured else program.layout.size
        places = n + sum(c.places for c in _columns_of(program))
        at = jnp.asarray(order)[free]
        m = jnp.zeros((places, places)).at[at[:, None], at].set(inverse)
        body = partial(_trace_chunk, program)
        sums = [_sum_chunks(program, placement, body, (u, m), constants, data) for data in parts]
        return 0.5 * sum(sums[1:], sums[0])[order][free]

    value, inverse = with_inverse(u)
    if needs == "value":
        return (value,)
    slope = gradient(u, inverse)
    if needs == "gradient":
        return value, slope
    whole = lambda v: gradient(v, with_inverse(v)[1])
    basis = lambda i: (jnp.arange(u.shape[0]) == free[i]).astype(u.dtype)
    hessian = _columns(lambda i: jax.jvp(whole, (u,), (basis(i),))[1], free.shape[0])
    return value, slope, hessian, information(u)[free][:, free]


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

    def evaluate(self, z: np.ndarray, needs: str = "hessian", penalised: bool = True) -> Evaluation:
        base = super().evaluate(z, needs, penalised)
        if not penalised:
            return base
        less = self._half_log_det(z, needs if needs in ("value", "gradient", "hessian") else "gradient")
        value = float(base.value - less[0])
        value = value if np.isfinite(value) else np.inf
        gradient = None if needs == "value" else base.gradient - less[1] * self.scale
        matrix = base.matrix
        if needs == "hessian":
            bend = less[2] * np.outer(self.scale, self.scale)
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
        return self._half_log_det(z, "hessian")[3] * np.outer(self.scale, self.scale)

    def _half_log_det(self, z: np.ndarray, needs: str) -> tuple:
        data = tuple(part.data for part in self.parts)
        args = (self.likelihood, self.placement, needs, self.to_u(z), self.free, self.constants, data)
        return jax.device_get(self._run(half_log_det, *args))

"""The expected information: Σ w E[s sᵀ], of each row's score s under the distribution at the parameters.

Where a family says what its expected log-density is, autodiff does the rest. Elsewhere the response of a row is put at
every number that it may be, or at the nodes of a rule of integration, and the squares of its scores are averaged, row by
row; the designs are read once. This is right at densities with corners too (Laplace's), where no Hessian is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .. import runtime
from ..declare.conditional import Conditional
from ..declare.distributions import integrals, numeric
from ..errors import ModelError
from .chain import assemble, matrix_parts
from .objective import Objective
from .passes import _dense_scores, sum_chunks
from .rows import Program, log_densities, split, stacked_predictors, with_columns
from .rowwise import Truth, best_kind, density_of

MASS, CENTRE = 1e-7, 1e-5
"""How far from one the probabilities of a response may add up, and from zero its mean score, in its standard deviations."""


def _knows(program: Program) -> bool:
    """Whether the log-density says itself what it is expected to be, or why it cannot."""
    own = getattr(type(density_of(program)), "expected", None)
    return best_kind(program) == "expected" or (own is not None and own is not Conditional.expected)


def _one_number(program: Program) -> bool:
    density = density_of(program)
    return (
        program.unit == "row"
        and isinstance(density, Conditional)
        and len(density.response) == 1
        and density.support is not None
    )


def _of_rows(program: Program, u: jax.Array, constants: Any, chunk: dict) -> tuple:
    """The rows' information, weighted and summed, and how many rows' responses were not met in full, or not centred."""
    conditional = density_of(program)
    eta, dense = stacked_predictors(program, u, chunk), split(program, u)
    truth = log_densities(
        replace(program, log_density=Truth(conditional)),
        eta,
        dense,
        constants,
        chunk,
        of=lambda distribution: distribution,
    )
    size, n = eta.shape[0] + dense.shape[0], chunk["weights"].shape[-1]

    def add(y: jax.Array, p: jax.Array, total: tuple) -> tuple:
        seen = chunk | {"columns": with_columns(chunk["columns"], {conditional.response[0]: y.astype(program.dtype)})}
        g = jax.grad(lambda e: log_densities(program, e, dense, constants, seen).sum())(eta)
        s = jnp.concatenate([g, _dense_scores(program, eta, dense, constants, seen)]).astype(jnp.float64)
        s = jnp.where(p > 0, s, 0.0)
        return total[0] + p * s[:, None] * s, total[1] + p * s, total[2] + p

    none = jnp.zeros((size, size, n)), jnp.zeros((size, n)), jnp.zeros(n)
    each = lambda f: jax.vmap(f, in_axes=-1, out_axes=-1)
    if conditional.support.whole:
        first, last = each(numeric.range_of)(truth)

        def one(state: tuple) -> tuple:
            i, total = state
            y = jnp.minimum(first + i, last)
            p = jnp.where(first + i <= last, jnp.exp(each(lambda x: x[0].log_prob(x[1]))((truth, y))), 0.0)
            return i + 1.0, add(y, p, total)

        square, mean, mass = jax.lax.while_loop(lambda s: (first + s[0] <= last).any(), one, (0.0, none))[1]
    else:
        y, p = each(integrals.nodes)(truth)
        square, mean, mass = jax.lax.fori_loop(0, y.shape[0], lambda i, total: add(y[i], p[i], total), none)
    used = chunk["weights"] > 0
    deviation = jnp.sqrt(jnp.stack([square[i, i] for i in range(size)])) if size else jnp.zeros((0, n))
    lost = used & ~(jnp.abs(mass - 1.0) < MASS)
    off = used & ~lost & ~(jnp.abs(mean) <= CENTRE * deviation).all(axis=0)
    weighted = jnp.where(used, square, 0.0) * chunk["weights"]
    k = program.n_predictors
    parts = matrix_parts(program, chunk, weighted[:, :k], weighted[k:, k:].sum(axis=-1))
    return parts, lost.sum(), off.sum()


@partial(runtime.jit, static_argnums=0)
def information(program: Program, u: jax.Array, constants: Any, data: dict, span: Any) -> tuple:
    """The expected information in `u` over a span of chunks, and two counts of rows as `_of_rows` has them."""
    parts, lost, off = sum_chunks(program, partial(_of_rows, program), u, constants, data, span)
    return assemble(program, parts), lost, off


def expected_information(objective: Objective, z: np.ndarray) -> tuple[np.ndarray | None, str]:
    """The expected information at `z`, penalties added, with how it was found; None where it can only be simulated.

    Raises:
        ModelError: for a log-density that is no distribution, and one whose support moves with the parameters.
    """
    objective = objective.in_double()
    program = objective.likelihood
    if _knows(program):
        return objective.evaluate(z, "expected").matrix, ""
    if not isinstance(density_of(program), Conditional):
        raise ModelError(
            "The expected information needs the distribution of the response, and this model is a log-density alone: "
            "make a jm.Distribution of it, with jm.family(...), or take kind='observed'."
        )
    if not _one_number(program):
        return None, ""
    matrix, lost, off = objective.over_parts(information, objective.to_u(z))
    if lost:
        return None, ""
    if off:
        raise ModelError(
            "There is no expected information: the expectation of the score is not zero at these parameters, as where the "
            "support of the response moves with them."
        )
    whole = density_of(program).support.whole
    return _completed(objective, z, matrix), "summed over all counts" if whole else "by quadrature"


def simulated_information(
    objective: Objective, z: np.ndarray, drawn: Sequence[Mapping[str, np.ndarray]]
) -> tuple[np.ndarray, np.ndarray]:
    """The mean of the Hessians at `z` of data sets drawn there, penalties added, and those of each, (draws, size, size).

    Arguments:
        drawn: for each data set its response, name of a column → (units,).
    """
    objective = objective.in_double()
    each = [objective.with_columns(columns).evaluate(z, "hessian", penalised=False).matrix for columns in drawn]
    mean = np.mean(each, axis=0)
    return mean + _completed(objective, z, np.zeros([objective.layout.size] * 2)), np.stack(each)


def _completed(objective: Objective, z: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """A matrix in `u` as one in `z`, the Hessian of the penalties added."""
    nothing = 0.0, np.zeros(objective.layout.size), matrix
    return objective.completed(nothing, "hessian", objective.to_u(z)).matrix

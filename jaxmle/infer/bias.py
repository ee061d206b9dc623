"""The bias of the estimates to first order, O(1/n), by exact third derivatives of any log-density."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .. import runtime
from ..errors import ModelError, did_you_mean
from ..objective.layout import Layout, naturalise
from ..objective.objective import Objective
from ..objective.rowwise import best_kind, bias
from .covariance import meat, observed
from .reported import Reported, reported_index

KINDS = ("expected", "empirical")

MINUS = "−"

NUMBERS_AT_ONCE = 50_000_000
"""So many third derivatives of the units of one chunk are in memory at once."""

WORDS = {
    "expected": "expected third derivatives (Cox and Snell, 1968)",
    "empirical": "third derivatives and scores of the data (Rilstone, Srivastava and Ullah, 1996)",
}


@dataclass(frozen=True, eq=False, repr=False)
class BiasCorrected:
    """Estimates less their first-order bias; what `Fit.bias_corrected` returns. All on the natural scale.

    Arguments:
        names: flat names of the k estimated quantities, in order.
        estimate: those of the fit (k,); `bias` (k,) by how much they are too large on average, to order 1/n.
        std_error: of the fit, shape (k,): that of the corrected estimates differs from it by less than 1/n of it.
        kind: "expected", by expectations under the fitted model, or "empirical", by means over the data.
    """

    names: tuple[str, ...]
    estimate: np.ndarray
    bias: np.ndarray
    std_error: np.ndarray
    kind: str

    @cached_property
    def coef(self) -> Mapping[str, float]:
        """The corrected estimates by name."""
        return MappingProxyType(dict(zip(self.names, map(float, self.estimate - self.bias))))

    def tidy(self) -> dict[str, list]:
        """Columns: term, estimate, bias, corrected, std_error."""
        corrected = list(self.coef.values())
        columns = {"estimate": self.estimate.tolist(), "bias": self.bias.tolist(), "corrected": corrected}
        return {"term": list(self.names), **columns, "std_error": self.std_error.tolist()}

    def __repr__(self) -> str:
        width = max(map(len, self.names))
        heads = ("estimate", "bias", "corrected", "std error", "bias/error")
        lines = ["Estimates less their bias of order 1/n", f"  {'':{width}}  " + "  ".join(f"{h:>10}" for h in heads)]
        for i, name in enumerate(self.names):
            rounding = abs(self.bias[i]) < 1e-12 * max(abs(self.estimate[i]), self.std_error[i])
            by = 0.0 if rounding else self.bias[i]
            numbers = (self.estimate[i], by, self.coef[name], self.std_error[i])
            cells = "  ".join([*(f"{x:10.4g}" for x in numbers), f"{100 * by / self.std_error[i]:8.1f} %"])
            lines.append(f"  {name:{width}}  {cells.replace('-', MINUS)}")
        return "\n".join([*lines, f"  by {WORDS[self.kind]}"])


def bias_corrected(fit: Any, std_errors: np.ndarray, kind: str | None) -> BiasCorrected:
    """`Fit.bias_corrected`.

    In the unconstrained vector the bias is C times the sum of `rowwise.bias`; on the natural scale g it is, to the same
    order, g′b + ½ tr(g″ V), V the covariance: C, or for means over the data the sandwich Ω.
    """
    session, estimates = fit.session, fit.estimates
    if session is None:
        raise ModelError("bias_corrected needs the data, which a loaded fit does not have; fit again.")
    objective, z = session.objective, session.z
    kind = _kind(objective, kind, session.sampling_weights)
    _check(fit, objective)
    hessian = session.hessian if kind == "empirical" else objective.evaluate(z, "expected").matrix
    c = observed(hessian)
    if not np.isfinite(c).all():
        raise ModelError(f"The {kind} information is not positive definite, so the bias is not known.")
    v = c if kind == "expected" else c @ meat(objective, z, session.sampling_weights) @ c
    scale = np.outer(objective.scale, objective.scale)
    what = kind if kind == "expected" else "squared" if session.sampling_weights else "observed"
    u = objective.to_u(z), c * scale, v * scale, objective.free
    inner = objective.over_parts(bias, what, u)[objective.free] * objective.scale
    in_z = c @ inner
    bend = objective.run(_bend, objective.layout, objective.to_u(z), objective.constants, _root(objective, v))
    curved = np.asarray(jax.device_get(bend))[reported_index(objective)]
    total = Reported.at(objective, z).jacobian @ in_z + 0.5 * curved
    return BiasCorrected(estimates.names, estimates.values, total, std_errors, kind)


def _root(objective: Objective, v: np.ndarray) -> np.ndarray:
    """Directions in `u` whose outer products add up to the covariance, shape (directions, size)."""
    values, axes = np.linalg.eigh(v)
    columns = axes * np.sqrt(np.maximum(values, 0.0))
    return np.stack([objective.direction(column) for column in columns.T])


@partial(runtime.jit, static_argnums=0)
def _bend(layout: Layout, u: jax.Array, constants: Mapping[str, Any], directions: jax.Array) -> jax.Array:
    """Σ over the directions of the second derivative of what is reported, (reported,)."""
    values = lambda v: naturalise(layout, v, constants)[1]

    def along(d: jax.Array) -> jax.Array:
        return jax.jvp(lambda v: jax.jvp(values, (v,), (d,))[1], (u,), (d,))[1]

    return jnp.sum(jax.vmap(along)(directions), axis=0)


def _kind(objective: Objective, kind: str | None, sampling_weights: bool) -> str:
    if kind is not None and kind not in KINDS:
        raise ModelError(f"kind must be 'expected' or 'empirical'; got {kind!r}.{did_you_mean(str(kind), KINDS)}")
    known = best_kind(objective.likelihood) == "expected"
    if kind == "expected" and not known:
        raise ModelError("kind='expected' needs a family whose expected information is known; take 'empirical'.")
    if kind == "expected" and sampling_weights:
        raise ModelError("With sampling weights the expectations are not those of the fitted model; take 'empirical'.")
    return kind or ("expected" if known and not sampling_weights else "empirical")


def _check(fit: Any, objective: Objective) -> None:
    if objective.program.unit == "all":
        raise ModelError(
            "With unit='all' the terms are not independent; their bias is not known: simulate from the fit."
        )
    if objective.penalised:
        raise ModelError(
            "A penalty moves the estimates on purpose: the bias of order 1/n is that of maximum likelihood."
        )
    if not fit.converged or fit.session.hessian is None:
        raise ModelError("A bias is that of a proved optimum, and this fit has none; see fit.certificate.")
    program = objective.program
    size = program.n_predictors + len(program.layout.dense_index) if program.structured else program.layout.size
    rows = max(part.data["weights"].shape[-1] for part in objective.parts)
    if size**3 * rows > NUMBERS_AT_ONCE:
        fewer = max(1, NUMBERS_AT_ONCE // size**3)
        raise ModelError(
            f"{size}³ third derivatives for each of {rows:,} units at once are too many: fit with chunk_rows={fewer:,}, or "
            "see fit.bootstrap().bias."
        )

"""Which units the estimates hang on: leverage, Cook's distance, and each unit's step out of the data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

import jax
import numpy as np

from .. import runtime
from ..errors import ModelError, did_you_mean
from ..objective.layout import Layout, naturalise
from ..objective.objective import Objective
from ..objective.rowwise import MOST_VARIABLES, best_kind, influence
from .covariance import observed
from .reported import entry_names, reported_index

KINDS = ("observed", "expected")

SINGULAR = 1e-9
"""|H − H_i| / |H| at which a unit carries information that no other has: without it there is no estimate."""

SHOWN = 4
"""Coefficients in print, those that move the most."""

WORDS = {
    "observed": "with each unit's own Hessian",
    "expected": "with each unit's expected information",
    "none": "to first order: the information of all units",
}


@dataclass(frozen=True, eq=False, repr=False)
class Influence:
    """What each of n units does to the estimates; what `Fit.influence` returns.

    Arguments:
        labels: of the units (n,): the row of the user's data, or the value of the grouping column; `unit` says which.
        names: flat names of the k estimated quantities, `coef` (k,) and `std_error` (k,) their estimates.
        without: the estimates one step of Newton's method (of scoring, if `kind` is "expected") after leaving the unit
            out, natural scale, shape (n, k); NaN where nothing else says what it says.
        scores: the derivatives of each unit's log-density at the estimates, unweighted, by `entries` of the unconstrained
            vector (coefficients as they are, logarithms of positive parameters), shape (n, m).
        cooks_distance: ΔᵀHΔ/m, Δ the step in the unconstrained vector and H the information of all units (Cook, 1977;
            in this general form Pregibon, 1981), shape (n,).
        leverage: tr(H⁻¹H_i), the unit's share of the m parameters, shape (n,): the sum is m; NaN without an H_i. Of the
            coefficients of a generalised linear model, `influence.of("mean")`, it is the diagonal of the hat matrix.
        kind: the H_i of a unit: "observed" or "expected" information; "none" where there are too many variables for one.
    """

    unit: str
    labels: np.ndarray
    names: tuple[str, ...]
    coef: np.ndarray
    std_error: np.ndarray
    without: np.ndarray
    entries: tuple[str, ...]
    scores: np.ndarray
    cooks_distance: np.ndarray
    leverage: np.ndarray
    kind: str
    title: str = ""
    part: Callable[[str], Influence] | None = field(default=None)
    frame: Callable[[dict[str, list]], Any] = field(default=dict)

    @cached_property
    def dfbeta(self) -> np.ndarray:
        """How much of each estimate is due to each unit: with it less without it, shape (n, k)."""
        return self.coef - self.without

    @cached_property
    def dfbetas(self) -> np.ndarray:
        """`dfbeta` in standard errors of the fit (Belsley, Kuh and Welsch, 1980, take those without the unit)."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.dfbeta / self.std_error

    def of(self, parameter: str) -> Influence:
        """The influence on one parameter alone: its coefficients, and what the leverage and distance are by them.

        Raises:
            ModelError: for a parameter that was not estimated.
        """
        if self.part is None:
            raise ModelError("This is the influence on one parameter already.")
        return self.part(parameter)

    def most(self, n: int = 10) -> MostInfluential:
        """The `n` units of the largest Cook's distance, those first without which there is no estimate.

        Raises:
            ModelError: if `n` is not a whole number of at least 1.
        """
        if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
            raise ModelError(f"n must be a whole number of at least 1; got {n!r}.")
        lost = np.where(np.isnan(self.cooks_distance), np.inf, self.cooks_distance)
        return MostInfluential(self, np.argsort(-lost, kind="stable")[:n])

    def tidy(self) -> Any:
        """One row per unit, in the user's own frame type.

        Columns: the unit, cooks_distance, leverage, and a dfbetas for each estimate, `dfbetas[name]`.
        """
        columns = {self.unit: self.labels.tolist(), "cooks_distance": self.cooks_distance, "leverage": self.leverage}
        columns |= {f"dfbetas[{name}]": values for name, values in zip(self.names, self.dfbetas.T)}
        return self.frame(columns)

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        return str(self.most(5))


@dataclass(frozen=True, eq=False, repr=False)
class MostInfluential:
    """Some units of an `Influence`, to be printed; `units` are their numbers, `labels` the user's."""

    influence: Influence
    units: np.ndarray

    @property
    def labels(self) -> np.ndarray:
        return self.influence.labels[self.units]

    def __repr__(self) -> str:
        of, units = self.influence, self.units
        moved = np.nan_to_num(np.abs(of.dfbetas[units])).max(axis=0)
        shown = np.sort(np.argsort(-moved, kind="stable")[:SHOWN])
        heads = [of.unit, "Cook's D", "leverage", *(of.names[j] for j in shown)]
        cells = [
            [str(of.labels[i]), f"{of.cooks_distance[i]:.3g}", f"{of.leverage[i]:.3f}"]
            + [f"{of.dfbetas[i, j]:+.2f}" for j in shown]
            for i in units
        ]
        cells = [[("—" if "nan" in c else c).replace("-", "−") for c in row] for row in cells]
        widths = [max(map(len, column)) for column in zip(heads, *cells)]
        more = f"; {len(shown)} of {len(of.names)}, the most moved" if len(shown) < len(of.names) else ""
        head = f"{len(units)} most influential of {len(of):,} {of.unit}s" + (f" on {of.title}" if of.title else "")
        lines = [f"{head}   (coefficients: with it less without, in standard errors{more})"]
        lines += ["  " + "  ".join(c.rjust(w) for c, w in zip(row, widths)) for row in (heads, *cells)]
        if np.isnan(of.cooks_distance[units]).any():
            lines.append("  — without it the rest of the data do not identify the model")
        return "\n".join([*lines, f"  one step, {WORDS[of.kind]}"])


def influence_of(fit: Any, std_errors: np.ndarray, kind: str | None) -> Influence:
    """`Fit.influence`."""
    session, estimates = fit.session, fit.estimates
    if session is None:
        raise ModelError("influence needs the data, which a loaded fit does not have; fit again.")
    objective, z = session.objective, session.z
    kind = _kind(objective, kind)
    _check(fit, objective)
    hessian = session.hessian if kind != "expected" else objective.evaluate(z, "expected").matrix
    covariance = observed(hessian)
    if not np.isfinite(covariance).all():
        raise ModelError(f"influence needs a positive definite information; the {kind} one is not: try another kind=.")
    steps, leverages, ratio = _passes(objective, z, covariance, kind)
    lost = ~(ratio > SINGULAR)
    steps[lost] = np.nan
    without = _natural(objective, z - steps)
    labels = session.source.rows if session.source.groups is None else session.source.groups.keys
    unit = "row" if fit.model.unit == "row" else fit.model.unit

    def on(entries: np.ndarray, coefficients: np.ndarray, title: str) -> Influence:
        inverse = covariance if entries.all() else covariance[np.ix_(entries, entries)]
        own = steps[:, entries]
        distance = np.einsum("ij,ij->i", np.linalg.solve(inverse, own.T).T, own) / entries.sum()
        return Influence(
            unit=unit,
            labels=np.asarray(labels),
            names=tuple(n for n, c in zip(estimates.names, coefficients) if c),
            coef=estimates.values[coefficients],
            std_error=std_errors[coefficients],
            without=without[:, coefficients],
            entries=tuple(n for n, e in zip(names, entries) if e),
            scores=scores[:, entries],
            cooks_distance=distance,
            leverage=leverages[:, entries].sum(axis=1),
            kind=kind,
            title=title,
            frame=fit._frame,
        )

    def of(parameter: str) -> Influence:
        known = tuple(objective.layout.blocks[i].name for i in np.unique(objective.owners))
        if parameter not in known:
            raise ModelError(f"No parameter {parameter!r} was estimated.{did_you_mean(str(parameter), known)}")
        number = [b.name for b in objective.layout.blocks].index(parameter)
        return on(objective.owners == number, np.array([g == parameter for g in estimates.groups]), parameter)

    names, scores = entry_names(objective), objective.scores(z) / objective.scale
    whole = on(np.ones(objective.size, bool), np.ones(len(estimates.names), bool), "")
    return replace(whole, part=of)


def _kind(objective: Objective, kind: str | None) -> str:
    if kind is not None and kind not in KINDS:
        raise ModelError(f"kind must be 'observed' or 'expected'; got {kind!r}.{did_you_mean(str(kind), KINDS)}")
    best = best_kind(objective.likelihood)
    if kind == "expected" and best != "expected":
        raise ModelError("kind='expected' needs a family whose expected information is known; take 'observed'.")
    program = objective.program
    variables = program.n_predictors + len(program.layout.dense_index) if program.structured else program.layout.size
    return "none" if variables > MOST_VARIABLES and kind is None else kind or best


def _check(fit: Any, objective: Objective) -> None:
    if objective.program.unit == "all":
        raise ModelError("With unit='all' no row can be left out: the terms of the others would change.")
    if objective.l1 is not None:
        raise ModelError("A lasso has corners, over which no unit's step is known: refit without the rows in question.")
    if not fit.converged or fit.session.hessian is None:
        raise ModelError("influence is about a proved optimum, and this fit has none; see fit.certificate.")


def _passes(
    objective: Objective, z: np.ndarray, covariance: np.ndarray, kind: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For every unit: its step in `z` (what to add to leave it in), tr(C H_i) by entry of `z`, and |H − H_i| / |H|."""
    size = objective.layout.size
    u = objective.to_u(z), covariance * np.outer(objective.scale, objective.scale), objective.free
    steps, own = np.empty((2, objective.n_units, objective.size))
    ratio = np.empty(objective.n_units)
    for units, values in objective.each_unit(influence, (kind,), u):
        steps[units] = values[:, :size][:, objective.free] / objective.scale
        own[units] = values[:, size : 2 * size][:, objective.free]
        ratio[units] = values[:, -1]
    return steps, own, ratio


def _natural(objective: Objective, z: np.ndarray) -> np.ndarray:
    """The reported quantities at each of many points, natural scale, shape (points, k)."""
    u = np.tile(objective.base, (len(z), 1))
    u[:, objective.free] = z * objective.scale
    index = reported_index(objective)
    if not objective.layout.denses:
        return u[:, index]
    out = np.empty((len(z), len(index)))
    step = min(runtime.MAX_KERNEL_ROWS, 1 << max(len(z) - 1, 0).bit_length())
    for at in range(0, len(z), step):
        some = u[at : at + step]
        padded = np.concatenate([some, np.repeat(some[-1:], step - len(some), axis=0)])
        values = jax.device_get(runtime.call(_reported, objective.layout, padded, objective.constants)[0])
        out[at : at + step] = values[: len(some), index]
    return out


@partial(runtime.jit, static_argnums=0)
def _reported(layout: Layout, u: jax.Array, constants: Mapping[str, Any]) -> jax.Array:
    return jax.vmap(lambda v: naturalise(layout, v, constants)[1])(u)

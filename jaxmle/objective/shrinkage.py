"""Ridge, lasso and elastic net as numbers: a weight of |u| and one of u²/2 for each entry of the flat vector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..data.design import Design
from ..declare.penalties import ElasticNet
from ..errors import ModelError, did_you_mean
from .layout import Layout

COLUMNS_AT_ONCE = 64


@dataclass(frozen=True, eq=False)
class Shrinkage:
    """Σ l1·|u| + ½ l2·u² + tilt·u: data of an objective, not part of its program, so that no strength compiles anew.

    An objective adds all but the first sum, which has corners; solvers that can treat those ask for its weights. Where
    the signs of `u` are known, `tilt` stands for it.
    """

    l1: np.ndarray
    l2: np.ndarray
    tilt: np.ndarray

    def times(self, strength: float) -> Shrinkage:
        return Shrinkage(self.l1 * strength, self.l2 * strength, self.tilt * strength)

    def less(self, other: Shrinkage) -> Shrinkage:
        """What it adds that the other does not."""
        return Shrinkage(self.l1 - other.l1, self.l2 - other.l2, self.tilt - other.tilt)

    def on_face(self, signs: np.ndarray) -> Shrinkage:
        """The smooth function that it is where `u` has these signs."""
        return replace(self, l1=np.zeros_like(self.l1), tilt=self.tilt + self.l1 * signs)

    def smooth(self, needs: str, u: np.ndarray) -> tuple:
        """Value, gradient and Hessian of the part without corners."""
        value = float(0.5 * self.l2 @ u**2 + self.tilt @ u)
        if needs == "value":
            return (value,)
        gradient = self.l2 * u + self.tilt
        return (value, gradient) if needs == "gradient" else (value, gradient, np.diag(self.l2))

    def corners(self, u: np.ndarray) -> float:
        return float(self.l1 @ np.abs(u))


def shrinkage_of(penalty: ElasticNet, layout: Layout, designs: Sequence[Design], weights: np.ndarray) -> Shrinkage:
    """A declared penalty, of strength 1 where it has none, as numbers; `weights` are those of the rows of the designs.

    Raises:
        ModelError: for names that the model lacks, and where no coefficient is left to penalise.
    """
    kind, strength = type(penalty).__name__, 1.0 if penalty.strength is None else penalty.strength
    linears = {b.name: b for b in layout.linears}
    chosen = tuple(linears) if penalty.parameters is None else penalty.parameters
    for name in chosen:
        if name not in linears:
            raise ModelError(f"{kind}: no parameter {name!r} has a predictor.{did_you_mean(name, linears)}")
    factors = dict(penalty.factors)
    known = {label for name in chosen for label in linears[name].labels()}
    for label in factors:
        if label not in known:
            raise ModelError(f"{kind}: there is no penalised coefficient {label!r}.{did_you_mean(label, known)}")
    size = np.zeros(layout.size)
    spread = np.ones(layout.size)
    for name in chosen:
        block = linears[name]
        repeated = block.parameter.n_outputs  # type: ignore[union-attr]
        default = np.repeat([0.0 if term == "Intercept" else 1.0 for term in block.terms], repeated)
        own = [factors.get(label, d) for label, d in zip(block.labels(), default)]
        size[block.start : block.stop] = own
        if penalty.standardize:
            deviations = _deviations(designs[block.design], weights)
            spread[block.start : block.stop] = np.repeat(np.where(deviations > 0, deviations, 1.0), repeated)
    if not size.any():
        raise ModelError(f"{kind}: there is nothing to penalise, the model has no coefficient but constant terms.")
    l1 = strength * penalty.l1_ratio * size * spread
    return Shrinkage(l1, strength * (1 - penalty.l1_ratio) * size * spread**2, np.zeros(layout.size))


def _deviations(design: Design, weights: np.ndarray) -> np.ndarray:
    """The weighted standard deviation of every column (dividing by the sum of the weights)."""
    share = weights / weights.sum()
    out = np.zeros(len(design.names))
    matrix: Any = design.matrix
    dense = np.zeros(matrix.shape[1])
    for at in range(0, matrix.shape[1], COLUMNS_AT_ONCE):
        block = np.asarray(matrix[:, at : at + COLUMNS_AT_ONCE], np.float64)
        dense[at : at + COLUMNS_AT_ONCE] = np.sqrt(share @ (block - share @ block) ** 2)
    out[list(design.dense)] = dense
    for f in design.factors:
        level = f.codes >= 0
        p = np.bincount(f.codes[level], weights=share[level], minlength=f.n_levels)
        out[f.first : f.first + f.n_levels] = np.sqrt(p * (1 - p))
    return out

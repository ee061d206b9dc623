"""The objective of a mixture of multivariate normals: see `monomials` for how its passes are made of matrix products."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import jax
import numpy as np

from .. import runtime
from ..declare.shapes.catalogue import SHAPES
from ..declare.shapes.frames import Upright
from ..declare.shapes.shape import Shape
from .em import EXPECTATION, Expectation
from .fixing import unconstrained
from .monomials import Monomials, coefficients_at, coefficients_of, curvature, in_parameters, moments
from .objective import Objective
from .passes import Evaluation

SMALLEST = 1e-10
"""A component whose variance in some direction is below this share of the data's there is degenerate."""

SMALLEST_OF_FEW = 1e-6
"""The same of a component of few observations."""

FEW = 10
"""Observations for each dimension, below which they are few."""

EMPTY = 1e-6
"""The least share of the observations that a component may have of one observation."""

MOST_PRODUCTS = 60_000
"""Distinct products of two monomials up to which a Hessian is made of them."""


class Natural(NamedTuple):
    """Shares (k,), means (k, d) and covariance matrices (k, d, d) of the components."""

    weight: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray

    def ordered(self) -> Natural:
        """The components by the first coordinate of their means, then by the next."""
        order = self._order()
        return Natural(self.weight[order], self.mean[order], self.covariance[order])

    @property
    def is_ordered(self) -> bool:
        return bool((np.diff(self._order()) > 0).all())

    def _order(self) -> np.ndarray:
        return np.lexsort(self.mean.T[::-1])


class Step(NamedTuple):
    """−log-likelihood at a point, the maximum after it, and what is wrong with a component there, if anything."""

    value: float
    maximum: Natural | None
    improper: str | None


@dataclass(frozen=True, eq=False)
class ClusterObjective(Objective):
    """The negative log-likelihood of a mixture of multivariate normals."""

    @property
    def density(self) -> Any:
        return getattr(self.program.log_density, "function", self.program.log_density)

    @property
    def shape(self) -> Shape:
        """What the covariance matrices have in common."""
        return SHAPES[self.density.shape]

    @cached_property
    def monomials(self) -> Monomials:
        return Monomials(self.density.response, isinstance(self.shape.frame, Upright))

    @cached_property
    def spread(self) -> tuple[np.ndarray, np.ndarray]:
        """The mean (d,) and the covariance matrix (d, d) of the data."""
        y, w = self.responses()
        mean = w @ y / w.sum()
        away = (y - mean) * np.sqrt(w / w.sum())[:, None]
        return mean, away.T @ away

    @cached_property
    def basis(self) -> tuple[np.ndarray, np.ndarray]:
        """The centre of the data and what makes them of unit size: monomials are formed after that."""
        mean, covariance = self.spread
        if self.monomials.upright:
            return mean, 1 / np.sqrt(np.diag(covariance))
        return mean, np.linalg.inv(np.linalg.cholesky(covariance))

    def responses(self) -> tuple[np.ndarray, np.ndarray]:
        """The responses (n, d) with their weights (n,), in the order of the parts."""
        rows, weights = [], []
        for p in self.parts:
            columns = [jax.device_get(p.data["columns"][name])[p.places] for name in self.density.response]
            rows.append(np.stack(columns, axis=1).astype(np.float64))
            weights.append(jax.device_get(p.data["weights"])[p.places])
        return np.concatenate(rows), np.concatenate(weights)

    @property
    def free_labels(self) -> bool:
        """Whether components may change places: none of their parameters is held or has a prior."""
        return self._closed and not any(name in self.constants for name in ("mean", "covariance"))

    # --- evaluations --------------------------------------------------------------------------------------------------

    @property
    def _closed(self) -> bool:
        """Whether every M-step has a closed form: parameters are held as a whole or not at all, and nothing is added."""
        return not self.penalised and self.size == self.layout.size

    def _evaluate(self, z: np.ndarray, needs: str, penalised: bool) -> Evaluation:
        by_products = needs in ("value", "gradient") or (needs == EXPECTATION and self._closed)
        by_products |= needs == "hessian" and len(self.monomials.products[0]) <= MOST_PRODUCTS
        if not by_products:
            return super()._evaluate(z, needs, penalised)
        if needs == EXPECTATION:
            return self._expectations(np.asarray(z)[None])[0]  # type: ignore[return-value]
        self.count(needs)
        u = self.to_u(z)
        c = self._coefficients(u[None])
        second = None
        if needs == "hessian":
            value, sums, second = self._reads(curvature, c[0])
        else:
            (value,), (sums,) = self._reads(moments, c)
        found: tuple = (value,)
        if needs != "value":
            args = (self.monomials, self.layout, needs, u, self.constants, self.basis, sums, second)
            found += jax.device_get(self.run(in_parameters, *args))
        return self.completed(found, needs, u) if penalised else self.in_z(found)

    def evaluate_batch(self, z: np.ndarray, needs: str = "hessian") -> list[Evaluation]:
        if needs == EXPECTATION and self._closed:
            return self._expectations(np.asarray(z))  # type: ignore[return-value]
        return [self.evaluate(row, needs) for row in z]

    def _coefficients(self, u: np.ndarray) -> np.ndarray:
        at = (self.monomials, self.layout, u, self.constants, self.basis)
        return jax.device_get(self.run(coefficients_at, *at))

    def _reads(self, f: Any, c: np.ndarray) -> tuple:
        """The sums over all data of a pass at coefficients `c`."""
        calls = [(self.monomials, c, self.basis, s.data, s.span) for s in self.stretches]
        each = jax.device_get(self.run_each(f, calls))
        return tuple(np.sum(x, axis=0) for x in zip(*each))

    # --- expectation and maximisation ---------------------------------------------------------------------------------

    def _expectations(self, z: np.ndarray) -> list[Expectation]:
        """The expectation step and the maximum after it at each row of `z`, by one read."""
        out = []
        for value, best, wrong in self._steps(self._coefficients(np.stack([self.to_u(row) for row in z]))):
            after = np.full(self.size, np.nan) if best is None else self.free_values(best)
            out.append(Expectation(value, None, None, after, wrong))
        return out

    def steps(self, at: Sequence[Natural]) -> list[Step]:
        """A step of EM from each of several points, by one read; nothing that depends on the shape is compiled."""
        args = (self.monomials, tuple(np.stack(x) for x in zip(*at)), self.basis)
        return self._steps(jax.device_get(self.run(coefficients_of, *args)))

    def _steps(self, c: np.ndarray) -> list[Step]:
        self.count(EXPECTATION)
        finite = lambda sums: bool(np.isfinite(sums).all())
        each = zip(*self._reads(moments, c))
        return [Step(float(v), *(self.maximum(sums) if finite(sums) else (None, None))) for v, sums in each]

    def maximum(self, sums: np.ndarray) -> tuple[Natural | None, str | None]:
        """The M-step from moments (k, q), or what is wrong with a component."""
        total, first, second = self.monomials.unpacked(sums)
        empty = np.flatnonzero(~(total > EMPTY))
        if len(empty):
            return None, f"component {empty[0]} is empty: fewer components fit these data as well"
        held = self.constants
        centre, whiten = self.basis
        back = np.diag(1 / whiten) if self.monomials.upright else np.linalg.inv(whiten)
        away = first / total[:, None]
        mean = np.asarray(held["mean"]) if "mean" in held else centre + away @ back.T
        at = (mean - centre) @ (np.diag(whiten) if self.monomials.upright else whiten).T
        cross = first[:, :, None] * at[:, None, :]
        scatter = second - cross - np.swapaxes(cross, 1, 2) + total[:, None, None] * at[:, :, None] * at[:, None, :]
        scatter = back @ scatter @ back.T
        scatter = 0.5 * (scatter + np.swapaxes(scatter, 1, 2))
        with np.errstate(all="ignore"):
            covariance = self.shape.maximise(total, scatter)
        best = self.with_held(Natural(total / total.sum(), mean, covariance))
        return (None, wrong) if (wrong := self.degenerate(best.covariance, total)) else (best, None)

    def degenerate(self, covariance: np.ndarray, total: np.ndarray) -> str | None:
        """What is wrong with covariance matrices (k, d, d), if anything: the rule of `SMALLEST`."""
        if not np.isfinite(covariance).all():
            return "a component's covariance matrix is not finite"
        inverse = np.linalg.inv(np.linalg.cholesky(self.spread[1]))
        least = np.linalg.eigvalsh(inverse @ covariance @ inverse.T)[:, 0]
        bound = np.where(total < FEW * covariance.shape[1], SMALLEST_OF_FEW, SMALLEST)
        small = int(np.argmin(least / bound))
        if least[small] >= bound[small]:
            return None
        return (
            f"component {small} has closed in on {total[small]:.3g} observations: in some direction its variance is "
            f"{max(least[small], 0.0):.1g} of that of all data, below {bound[small]:g}, and the likelihood grows without "
            "limit there"
        )

    def with_held(self, natural: Natural) -> Natural:
        """The same with the values that parameters are held at."""
        held = {name: np.asarray(self.constants[name]) for name in Natural._fields if name in self.constants}
        return natural._replace(**held)

    def free_values(self, natural: Natural) -> np.ndarray:
        """The point `z` of natural values."""
        u = self.base.copy()
        values = natural._asdict()
        blocks = self.layout.blocks
        parts, _, _ = runtime.call(unconstrained, blocks, [values[b.name] for b in blocks])
        for block, part in zip(blocks, jax.device_get(parts)):
            u[block.start : block.stop] = part
        return self.to_z(u)

    def natural_values(self, z: np.ndarray) -> Natural:
        """The natural values at `z`."""
        params = self.natural(z)[0]
        return Natural(*(np.asarray(params[name]) for name in Natural._fields))

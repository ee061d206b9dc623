"""The objective: the negative log-likelihood as a function of `z`, and all that solvers and inference ask of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import jax
import numpy as np

from .. import runtime
from ..data.chunks import CHUNK_ROWS
from ..declare.tree import opened
from ..errors import ModelError
from . import em, passes
from .batches import Batches, batches_of, too_much_padding
from .layout import Layout, reported_of
from .line import Line, added, summed
from .passes import Evaluation
from .placement import Placed, Placement, Stretch
from .recent import Recent
from .rows import Program
from .shrinkage import Shrinkage

MANY_NUMBERS = 5_000_000
"""So many numbers in the designs take a while to read."""

FEW_NUMBERS = 1 << 18
"""So many numbers in the designs of a glimpse are enough, but for one chunk at least."""

COLUMNS_PER_READ = 24
"""Columns whose products with one column take as long as a gradient's reading of it."""

MOST_SHARE = 0.3
"""Of the data, for which a Hessian about right is no longer worth its time."""

NUMBERS_PER_TERM = 250
"""Numbers that are read in the time that a term takes of rows that depend on each other, computed one after another."""


@dataclass
class Tally:
    """What the passes have cost: seconds in compilation and in all, and how many reads of the data."""

    compile_seconds: float = 0.0
    pass_seconds: float = 0.0
    passes: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Objective:
    """The negative log-likelihood (plus penalties) of one data set, at any `z`.

    `base` is the whole vector `u` with the held values in place; `free` the positions that `z` fills, each multiplied
    by its `scale`. `shrinkage` is added, but for its absolute values, which only solvers see that ask for `l1`. Every
    method takes and returns NumPy float64 arrays.
    """

    program: Program
    placement: Placement
    parts: tuple[Placed, ...]
    constants: Mapping[str, Any]
    base: np.ndarray
    free: np.ndarray
    scale: np.ndarray
    n_units: int
    tally: Tally = field(default_factory=Tally)
    shrinkage: Shrinkage | None = None

    @property
    def size(self) -> int:
        return len(self.free)

    @cached_property
    def likelihood(self) -> Program:
        """The program of the passes over the data, which penalties do not enter: another penalty compiles none anew."""
        return replace(self.program, penalties=())

    @cached_property
    def large(self) -> bool:
        """Whether reading the designs takes time enough for one more program to be worth its compiling."""
        return self._numbers >= MANY_NUMBERS

    @property
    def _numbers(self) -> int:
        """Those in the designs, about."""
        return sum(part.n_chunks * part.rows for part in self.parts) * self.size

    @cached_property
    def hessian_cost(self) -> float:
        """What a Hessian costs, in gradients, where both take time: by their reads of the designs and their products.

        Where rows depend on each other, each parameter takes a pass of its own.
        """
        if self.penalised:
            return 1.0
        if self.program.unit == "all":
            return 1.0 + self.size if self._numbers * NUMBERS_PER_TERM >= MANY_NUMBERS else 1.0
        if not self.large:
            return 1.0
        linear = sum(b.stop - b.start for b in self.program.predictors)
        return 1.0 + linear * max(1, self.program.n_predictors) / COLUMNS_PER_READ

    @property
    def layout(self) -> Layout:
        return self.program.layout

    @property
    def penalised(self) -> bool:
        """Whether anything is added to the negative log-likelihood."""
        return bool(self.program.penalties) or self.shrinkage is not None

    @property
    def l1(self) -> np.ndarray | None:
        """The weights of |z| that belong to the function but not to its values and derivatives here; None if all are 0."""
        if self.shrinkage is None or not self.shrinkage.l1[self.free].any():
            return None
        return self.shrinkage.l1[self.free] * self.scale

    @property
    def owners(self) -> np.ndarray:
        """For each entry of `z`, the number of its block in the layout."""
        return self.layout.of_unconstrained()[self.free]

    # --- between z, u and the natural scale -------------------------------------------------------------------------

    def to_u(self, z: np.ndarray) -> np.ndarray:
        """The whole unconstrained vector."""
        u = self.base.copy()
        u[self.free] = np.asarray(z) * self.scale
        return u

    def to_z(self, u: np.ndarray) -> np.ndarray:
        """The solver's vector at `u`."""
        return np.asarray(u, dtype=np.float64)[self.free] / self.scale

    def direction(self, v: np.ndarray) -> np.ndarray:
        """A direction in `z` as one in `u`."""
        out = np.zeros_like(self.base)
        out[self.free] = np.asarray(v) * self.scale
        return out

    def natural(self, z: np.ndarray) -> tuple[dict[str, Any], np.ndarray]:
        """Every parameter on its natural scale, and the flat vector of reported entries."""
        entries = self.layout.entries(self.to_u(z), self.run)
        return opened(self.layout.named(entries, self.constants)), reported_of(entries)

    def with_fixed(self, position: np.ndarray, u: np.ndarray) -> Objective:
        """The same objective with the entries `position` of `u` held at their values in `u`; nothing is recompiled."""
        keep = ~np.isin(self.free, position)
        base = self.base.copy()
        base[position] = u[position]
        return replace(self, base=base, free=self.free[keep], scale=self.scale[keep])

    def weighted(self, weights: np.ndarray) -> Objective:
        """The same objective with other weights, shape (units,); nothing is recompiled, the other data are shared."""
        with runtime.x64():
            return replace(self, parts=tuple(part.weighted(weights) for part in self.parts))

    def with_columns(self, columns: Mapping[str, np.ndarray]) -> Objective:
        """The same objective with other numbers in some columns, shape (units,) each; nothing is recompiled."""
        with runtime.x64():
            return replace(self, parts=tuple(part.with_columns(columns) for part in self.parts)) if columns else self

    def padded_otherwise(self) -> Objective | None:
        """The same objective with other numbers in the places of groups that are to be ignored; None if there are none."""
        if self.program.unit != "group" or all(np.asarray(part.data["mask"]).all() for part in self.parts):
            return None
        with runtime.x64():
            return replace(self, parts=tuple(part.padded_otherwise() for part in self.parts))

    def glimpse(self) -> Objective:
        """The objective of the first chunk of each part alone: cheap, and run by the programs already compiled."""
        return self._glimpse

    @cached_property
    def _glimpse(self) -> Objective:
        rows = min(CHUNK_ROWS, FEW_NUMBERS // max(self.size, 1))
        parts = tuple(p.some().first(max(1, rows // p.rows)) for p in self.parts)
        return self if all(a.span == b.span for a, b in zip(parts, self.parts)) else replace(self, parts=parts)

    def sampled(self) -> Objective | None:
        """The objective of a random sample of the units, by the programs already compiled; None where none was drawn."""
        if len(self.parts) != 1 or self.parts[0].sample is None or self.penalised:
            return None
        part = self.parts[0].sample
        return replace(self, parts=(part,), n_units=len(part.units))

    def in_double(self) -> Objective:
        """The same objective with rows computed in float64: what a proof needs, whatever the search made do with."""
        if self.program.precision == "float64":
            return self
        return replace(self, program=replace(self.program, precision="float64"))

    @property
    def can_sample(self) -> str | None:
        """Why a sample of units cannot stand for all of them, or None if it can."""
        if self.program.unit == "all":
            return "with unit='all' the terms of the rows depend on each other"
        if self.program.unit == "group" and (length := too_much_padding(self.parts)):
            return f"a few long groups would pad all others to {length:,} rows"
        return None

    @cached_property
    def stretches(self) -> list[Stretch]:
        """What passes run over side by side."""
        return [stretch for part in self.parts for stretch in part.stretches()]

    # --- passes -------------------------------------------------------------------------------------------------------

    def run(self, f: Callable, *args: Any) -> Any:
        """What a jitted function returns, its time counted as one of the passes."""
        return self.run_each(f, [args])[0]

    def run_each(self, f: Callable, calls: Sequence[tuple]) -> list[Any]:
        """What a jitted function returns for each of several calls, side by side on the cores."""
        try:
            out, compile_seconds, run_seconds = runtime.call_each(f, calls)
        except NotImplementedError as error:
            what = str(error).strip().split("\n")[0].rstrip(".")
            raise ModelError(
                f"The log-density cannot be differentiated twice: {what}. JAX lacks a derivative of a function that it "
                "uses. jaxmle.numerics has incomplete gamma and beta functions with all of theirs (gammainc, betainc)."
            ) from error
        self.tally.compile_seconds += compile_seconds
        self.tally.pass_seconds += run_seconds
        return out

    def count(self, what: str) -> None:
        """One more pass of that kind."""
        self.tally.passes[what] = self.tally.passes.get(what, 0) + 1

    def over_parts(self, f: Callable, *args: Any) -> Any:
        """The sum over all spans of chunks of a pass `f(program, *args, constants, data, span)`, on the host."""
        calls = [(self.likelihood, *args, self.constants, s.data, s.span) for s in self.stretches]
        return summed(runtime.on_host(self.run_each(f, calls)))

    def penalty(self, needs: str, u: np.ndarray) -> tuple:
        """Value and derivatives of the penalties; empty where there are none."""
        simple = () if self.shrinkage is None else self.shrinkage.smooth(needs, u)
        if not self.program.penalties:
            return simple
        return added(runtime.on_host(self.run(passes.penalty, self.program, needs, u, self.constants)), simple)

    def completed(self, sums: tuple, needs: str, u: np.ndarray) -> Evaluation:
        """Value and derivatives in `z`: the likelihood's, and those of the penalties."""
        return self.in_z(added(sums, self.penalty(needs, u)))

    def in_z(self, sums: tuple) -> Evaluation:
        """Value and derivatives in `u` as those in `z`."""
        value = float(sums[0])
        gradient = matrix = None
        if len(sums) > 1:
            gradient = np.asarray(sums[1])[self.free] * self.scale
        if len(sums) > 2:
            matrix = np.asarray(sums[2])
            if not np.array_equal(self.free, np.arange(len(matrix))):
                matrix = matrix[np.ix_(self.free, self.free)]
            matrix = (matrix + matrix.T) * (0.5 * self.scale * self.scale[:, None])
        return Evaluation(value, gradient, matrix)

    def evaluate(self, z: np.ndarray, needs: str = "hessian", penalised: bool = True) -> Any:
        """Value, gradient and matrix at `z`; `needs` is as in `passes.evaluate`, or `em.EXPECTATION`."""
        if needs != "hessian" or not penalised:
            return self._evaluate(z, needs, penalised)
        return self._recent.at(z, lambda: self._evaluate(z, needs, penalised))

    @cached_property
    def _recent(self) -> Recent:
        return Recent(self.size)

    def shrunk(self, shrinkage: Shrinkage, z: np.ndarray, known: Evaluation) -> Objective:
        """The same objective with another shrinkage, which knows what it is at `z`: `known`, but for what they differ by."""
        other, u = replace(self, shrinkage=shrinkage), self.to_u(z)
        assert self.shrinkage is not None
        more = shrinkage.less(self.shrinkage).smooth("hessian", u)
        other._recent.at(z, lambda: Evaluation(*map(np.add, known, self.in_z(more))))
        return other

    def _evaluate(self, z: np.ndarray, needs: str, penalised: bool) -> Any:
        self.count(needs)
        if needs == em.EXPECTATION:
            return em.expectations(self, np.asarray(z)[None])[0]
        u = self.to_u(z)
        sums = self.over_parts(passes.evaluate, needs, u)
        return self.completed(sums, needs, u) if penalised else self.in_z(sums)

    def evaluate_batch(self, z: np.ndarray, needs: str = "hessian") -> list[Any]:
        """`evaluate` at each row of `z`, as one compiled batch."""
        self.count(needs)
        if needs == em.EXPECTATION:
            return em.expectations(self, z)
        u = np.stack([self.to_u(row) for row in z])
        sums = self.over_parts(passes.evaluate_batch, needs, u)
        return [self.completed(tuple(s[i] for s in sums), needs, v) for i, v in enumerate(u)]

    def about_hessian(self, z: np.ndarray, units: int) -> np.ndarray | None:
        """The Hessian at `z`, about, from chunks with so many units from everywhere; None where they are most of the data."""
        share = units / self.n_units
        if share > MOST_SHARE:
            return None
        parts = [some for part in self.parts for some in part.spread(math.ceil(share * part.n_chunks))]
        u, some = self.to_u(z), replace(self, parts=tuple(parts))
        scale = self.n_units / sum(len(part.units) for part in parts)
        sums = tuple(scale * x for x in some.over_parts(passes.evaluate, "hessian", u))
        return self.completed(sums, "hessian", u).matrix

    def value(self, z: np.ndarray) -> float:
        return self.evaluate(z, "value").value

    def value_and_grad(self, z: np.ndarray) -> tuple[float, np.ndarray]:
        e = self.evaluate(z, "gradient")
        return e.value, e.gradient

    def hvp(self, z: np.ndarray, v: np.ndarray) -> np.ndarray:
        """The Hessian at `z` times `v`."""
        self.count("hvp")
        u, direction = self.to_u(z), self.direction(v)
        total = self.over_parts(passes.hessian_product, u, direction)
        if self.program.penalties:
            args = (self.program, u, direction, self.constants)
            total = total + runtime.on_host(self.run(passes.penalty_product, *args))
        if self.shrinkage is not None:
            total = total + self.shrinkage.l2 * direction
        return total[self.free] * self.scale

    def along(self, z: np.ndarray, p: np.ndarray) -> Line:
        """The objective on the line `z + step·p`; each evaluation costs O(rows), the designs are read once here."""
        return Line(self, np.asarray(z), np.asarray(p))

    def sample(self, z: np.ndarray, chosen: np.ndarray) -> tuple[float, np.ndarray]:
        """An unbiased estimate of value and gradient from the units numbered `chosen`."""
        u, share = self.to_u(z), self.n_units / len(chosen)
        calls = []
        for part, place in zip(self.parts, self._places):
            at = place[chosen]  # -1 where a unit is on another device
            where = (x.astype(np.int32) for x in part.where(np.maximum(at, 0)))
            calls.append((self.likelihood, u, self.constants, part.data, *where, np.where(at < 0, 0.0, share)))
        sums = summed(runtime.on_host(self.run_each(passes.evaluate_sample, calls)))
        value, gradient = added(sums, self.penalty("gradient", u))
        return float(value), gradient[self.free] * self.scale

    def batches(self, precision: str | None = None) -> tuple[Batches, dict]:
        """Value and gradient of any units as pure functions, computed in `precision`, and the data that they take."""
        program = self.program if precision is None else replace(self.program, precision=precision)
        where = self.parts, self.constants, self.base, self.free, self.scale, self.n_units
        return batches_of(program, *where, self.shrinkage)

    @cached_property
    def _places(self) -> list[np.ndarray]:
        """For each part, the position there of every unit, -1 where it has none."""
        out = []
        for part in self.parts:
            place = np.full(self.n_units, -1)
            place[part.units] = np.arange(len(part.units))
            out.append(place)
        return out

    def information(self, z: np.ndarray, hessian: np.ndarray | None) -> np.ndarray | None:
        """The matrix at `z` whose inverse is the covariance of the estimates: the Hessian, where no penalty says other."""
        return hessian

    # --- per unit -----------------------------------------------------------------------------------------------------

    def terms(self, z: np.ndarray) -> np.ndarray:
        """The log-density of every unit, shape (units,), in the order of the data."""
        out = np.empty(self.n_units)
        for units, values in self.each_unit(passes.per_unit, ("terms",), self.to_u(z)):
            out[units] = values
        return out

    def scores(self, z: np.ndarray) -> np.ndarray:
        """The gradient of every unit's log-density in `z`, shape (units, size), without weights."""
        out = np.empty((self.n_units, self.size))
        for units, values in self.each_unit(passes.per_unit, ("scores",), self.to_u(z)):
            out[units] = values[:, self.free] * self.scale
        return out

    def bends(self, z: np.ndarray, v: np.ndarray) -> np.ndarray:
        """The Hessian of every unit's log-density at `z` times `v`, shape (units, size), without weights."""
        out = np.empty((self.n_units, self.size))
        at = self.to_u(z), self.direction(v)
        for units, values in self.each_unit(passes.per_unit, ("bends",), at):
            out[units] = values[:, self.free] * self.scale
        return out

    def weights(self) -> np.ndarray:
        """The weight of every unit."""
        out = np.empty(self.n_units)
        for part in self.parts:
            out[part.units] = jax.device_get(part.data["weights"])[part.places]
        return out

    def column(self, name: str) -> np.ndarray | None:
        """What the log-density reads as column `name`, one entry per unit; None where units have several rows each."""
        if self.program.unit != "row" or any(name not in part.data["columns"] for part in self.parts):
            return None
        found = [np.moveaxis(jax.device_get(p.data["columns"][name]), -1, 1)[p.places] for p in self.parts]
        out = np.empty((self.n_units, *found[0].shape[1:]), found[0].dtype)
        for part, values in zip(self.parts, found):
            out[part.units] = values
        return out

    def each_unit(self, f: Callable, static: tuple, *args: Any) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Units, and a number or a vector for each, of a pass `f(program, length, *static, *args, constants, data, span)`."""
        calls = [(self.likelihood, s.length, *static, *args, self.constants, s.data, s.span) for s in self.stretches]
        for stretch, values in zip(self.stretches, self.run_each(f, calls)):
            units, values = stretch.units, np.moveaxis(jax.device_get(values), -1, 1)
            yield units, values.reshape(-1, *values.shape[2:])[: len(units)]

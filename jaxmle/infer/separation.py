"""Separated data, found exactly: a linear program over the directions that no response resists.

Complete separation leaves no row that ties the coefficients down; quasi-complete separation leaves some, and those
coefficients that they tie down have finite estimates: those of the rows that remain (the limiting conditional model).
Albert and Anderson (1984, Biometrika 71, 1-10); Konis (2007); Geyer (2009, Electronic Journal of Statistics 3,
259-289); for counts Correia, Guimarães and Zylkin (2019, arXiv:1903.01633).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import numpy as np

from .. import runtime
from ..declare.conditional import Conditional
from ..declare.cones import Cone, Towards
from ..declare.links import Link
from ..objective.layout import Block
from ..objective.objective import Objective
from ..objective.source import Source
from .directions import Direction
from .polyhedron import Block as Inequalities
from .polyhedron import ray_of

BLOCK = 65_536
"""Inequalities that are written out at once."""

FAR = 1e30
"""A predictor that is infinite for every link."""

LARGEST = 30_000_000
"""Numbers in the system of inequalities beyond which only rows that are fitted nearly perfectly are asked."""

NEARLY = 0.01
"""A log-density this close to zero, the most that a probability allows: the row may be separated."""

MOST_NAMES = 25
"""Up to so many columns, a smallest set of those that separate completely is looked for."""


@dataclass(frozen=True)
class Separation:
    """What the linear program found.

    Arguments:
        complete: whether no row resists the direction to infinity at all.
        directions: a basis of what is not determined in the limit, in `z`.
        by: names of the columns that separate.
        n_touched, n_separated, n_rows: rows of which some other outcomes become impossible in the limit, those that are
            fitted perfectly in it, and all of them.
    """

    complete: bool
    directions: tuple[Direction, ...]
    by: tuple[str, ...]
    n_touched: int
    n_separated: int
    n_rows: int

    @property
    def reason(self) -> str:
        """In words."""
        names = listed(self.by)
        gone = ", ".join(d.words for d in self.directions[:6]) + (", …" if len(self.directions) > 6 else "")
        if self.complete:
            what = f"{'it predicts' if len(self.by) == 1 else 'they predict'} every response"
            return f"Complete separation by {names}: {what}, and no coefficient has a finite estimate ({gone})."
        if self.n_separated:
            some = f"{self.n_separated:,} of {self.n_rows:,} rows {'is' if self.n_separated == 1 else 'are'} predicted perfectly"
        else:
            some = f"outcomes that never occur become impossible in {self.n_touched:,} of {self.n_rows:,} rows"
        return f"Quasi-complete separation by {names}: {some} as {gone}; the other estimates are those of what remains."


@dataclass(frozen=True)
class Verdict:
    """The answer of the linear program: a separation, or none; `covered` are the positions in `z` that it is about."""

    separation: Separation | None
    covered: frozenset[int]


def listed(names: tuple[str, ...], most: int = 6) -> str:
    """`a, b and c`."""
    shown = [*names[:most], *([f"{len(names) - most} more"] if len(names) > most else [])]
    return shown[0] if len(shown) == 1 else ", ".join(shown[:-1]) + " and " + shown[-1]


def find_separation(objective: Objective, source: Source, z: np.ndarray) -> Verdict | None:
    """Whether the responses of `source` are separated; None where the family does not say, or the answer is not sure."""
    density = getattr(objective.program.log_density, "function", objective.program.log_density)
    if not isinstance(density, Conditional) or objective.penalised:
        return None
    groups = None if source.groups is None else source.groups.members
    cones = density.recession(source.columns, groups)
    if cones is None:
        return None
    system = System.of(objective, source, cones, z)
    if system is None:
        return None
    fitted = partial(_nearly_perfect, objective, source, z)
    ray = ray_of(system.blocks, system.scale, system.start(), LARGEST, fitted)
    if ray is None:
        return None
    covered = frozenset(int(i) for i in np.flatnonzero(system.asked))
    if not ray.n_touched:
        return Verdict(None, covered)
    complete = ray.n_left == 0
    columns = ray.smallest(MOST_NAMES, system.constant()) if complete else ray.involved()
    directions = tuple(Direction("runaway", system.to_z(v), system.words(v, ray.sign(v))) for v in ray.basis.T)
    by = system.names(columns)
    return Verdict(Separation(complete, directions, by, ray.n_touched, ray.n_gaining, ray.n_rows), covered)


def _nearly_perfect(objective: Objective, source: Source, z: np.ndarray) -> np.ndarray:
    """For each row whether its unit is fitted nearly perfectly at `z`."""
    perfect = objective.terms(z) > -NEARLY
    if source.groups is None:
        return perfect
    out = np.zeros(len(source.rows), bool)
    for good, members in zip(perfect, source.groups.members):
        out[members] = good
    return out


@dataclass(frozen=True, eq=False)
class System:
    """The inequalities on coefficients: one column for each free entry of `u`, in the order of `z`.

    An entry of a parameter whose entries hang together (cutpoints) counts on its natural scale.
    """

    objective: Objective
    source: Source
    cones: tuple[tuple[Cone, float], ...]
    scale: np.ndarray
    z: np.ndarray

    @staticmethod
    def of(objective: Objective, source: Source, cones: tuple[Cone, ...], z: np.ndarray) -> System | None:
        """The system of `cones`; None where a link makes its answer unsure."""
        blocks = {b.name: b for b in objective.layout.blocks}
        signed = []
        for cone in cones:
            if isinstance(cone, Towards):
                sign = _sign(cone, blocks.get(cone.parameter))
                if sign is None:
                    return None
                signed.append((cone, sign))
                continue
            for term in cone.terms:
                b = blocks.get(term.parameter)
                if b is not None and b.is_linear and b.parameter.link.name != "identity":  # type: ignore[union-attr]
                    return None
            signed.append((cone, 1.0))
        scale = np.ones(objective.layout.size)
        for b in objective.layout.linears:
            design = source.designs[b.design]
            size = np.ones(len(b.terms))
            if len(design.matrix):
                size[list(design.dense)] = np.abs(design.matrix).max(axis=0)
            scale[b.start : b.stop] = np.repeat(np.where(size > 0, size, 1.0), b.parameter.n_outputs)  # type: ignore[union-attr]
        return System(objective, source, tuple(signed), scale[objective.free], z)

    @property
    def asked(self) -> np.ndarray:
        """Which entries of `z` the inequalities are about."""
        names = {t.parameter for c, _ in self.cones for t in ((c,) if isinstance(c, Towards) else c.terms)}
        layout = self.objective.layout
        return np.array([layout.blocks[i].name in names for i in self.objective.owners], bool)

    def blocks(self) -> Iterator[Inequalities]:
        """Sparse matrices (m, size) of inequalities, `matrix @ d ≥ 0` or, where the third is true, `= 0`.

        The second says which row of the data each is about.
        """
        for cone, sign in self.cones:
            terms = ((cone.parameter, cone.rows, sign or 1.0, 0),) if isinstance(cone, Towards) else tuple(
                (t.parameter, t.rows, t.coefficient, t.entry) for t in cone.terms
            )  # fmt: skip
            n = len(terms[0][1])
            for start in range(0, n, BLOCK):
                part = slice(start, min(start + BLOCK, n))
                matrix = sum(self._term(name, rows[part], *_cut(part, c, e)) for name, rows, c, e in terms)
                yield matrix, terms[0][1][part], sign == 0

    def _term(self, name: str, rows: np.ndarray, coefficient: Any, entry: Any) -> Any:
        from scipy import sparse

        layout, m = self.objective.layout, len(rows)
        block = next((b for b in layout.blocks if b.name == name), None)
        shape = (m, layout.size)
        if block is None:  # held
            return sparse.csr_array((m, len(self.objective.free)))
        coefficient = np.broadcast_to(np.asarray(coefficient, np.float64), m)
        entry = np.broadcast_to(np.asarray(entry), m)
        if not block.is_linear:
            where = np.arange(m), block.start + entry
            out = sparse.csr_array((coefficient, where), shape=shape)
        else:
            design, k = self.source.designs[block.design], block.parameter.n_outputs  # type: ignore[union-attr]
            dense = np.asarray(design.dense, int)
            values = [(coefficient[:, None] * design.matrix[rows]).ravel()]
            at = [np.repeat(np.arange(m), len(dense))]
            columns = [(block.start + dense[None, :] * k + entry[:, None]).ravel()]
            for f in design.factors:
                codes = f.codes[rows]
                has = np.flatnonzero(codes >= 0)
                values.append(coefficient[has])
                at.append(has)
                columns.append(block.start + (f.first + codes[has]) * k + entry[has])
            where = np.concatenate(at), np.concatenate(columns)
            out = sparse.csr_array((np.concatenate(values), where), shape=shape)
            out.eliminate_zeros()
        return out[:, self.objective.free]

    def start(self) -> np.ndarray:
        """The estimates, as a direction to try first."""
        u = self.objective.to_u(self.z)
        natural = self.objective.natural(self.z)[0]
        for b in self._together():
            u[b.start : b.stop] = np.ravel(natural[b.name])
        return u[self.objective.free]

    def to_z(self, v: np.ndarray) -> np.ndarray:
        """A direction of coefficients as one in `z`."""
        layout, free = self.objective.layout, self.objective.free
        whole = np.zeros(layout.size)
        whole[free] = v
        if any(whole[b.start : b.stop].any() for b in self._together()):
            jacobian = layout.jacobian(self.objective.to_u(self.z))
            at = 0
            for b in layout.blocks:
                n = len(b.labels())
                if not b.elementwise and whole[b.start : b.stop].any():
                    mine = slice(b.start, b.stop)
                    whole[mine] = np.linalg.solve(jacobian[at : at + n, mine], whole[mine])
                at += n
        return whole[free] / self.objective.scale

    def _together(self) -> list[Block]:
        """The blocks of entries that hang together, one number each."""
        return [b for b in self.objective.layout.blocks if not b.elementwise and len(b.labels()) == b.stop - b.start]

    def constant(self) -> np.ndarray:
        """Which columns are constant terms, or cutpoints: they separate nothing alone."""
        labels, blocks = self._labels(), self.objective.layout.blocks
        linear = np.array([blocks[i].is_linear for i in self.objective.owners])
        return np.array([name == "Intercept" for name in labels]) | ~linear

    def _labels(self) -> list[str]:
        """What each column is called: the term, without the parameter."""
        out: list[str] = []
        for b in self.objective.layout.blocks:
            if b.is_linear:
                k = b.parameter.n_outputs  # type: ignore[union-attr]
                out += [term for term in b.terms for _ in range(k)]
            else:
                out += list(b.labels()) if b.elementwise else [b.name] * (b.stop - b.start)
        return [out[i] for i in self.objective.free]

    def names(self, columns: np.ndarray) -> tuple[str, ...]:
        """The terms of some columns, constant terms only if there is nothing else."""
        labels, constant = self._labels(), self.constant()
        chosen = [i for i in columns if not constant[i]] or list(columns)
        return tuple(dict.fromkeys(labels[i] for i in chosen))

    def words(self, v: np.ndarray, sign: int) -> str:
        """Where coefficients go along `v` (`sign` 1, -1), or that it is open (0)."""
        labels = [x for b in self.objective.layout.blocks for x in self._full(b)]
        labels = [labels[i] for i in self.objective.free]
        used = np.flatnonzero(v)
        if len(used) == 1 and sign:
            return f"{labels[used[0]]} → {'+' if sign * v[used[0]] > 0 else '−'}∞"
        arrows = (f"{labels[i]} → {'+' if sign * v[i] > 0 else '−'}∞" if sign else labels[i] for i in used[:6])
        return ", ".join(arrows) + (", …" if len(used) > 6 else "")

    @staticmethod
    def _full(block: Block) -> tuple[str, ...]:
        if block.elementwise:
            return block.labels()
        labels = block.labels()
        size = block.stop - block.start
        return labels if len(labels) == size else (block.name,) * size


def _cut(part: slice, *values: Any) -> tuple[Any, ...]:
    """A part of arrays; numbers as they are."""
    return tuple(x[part] if np.ndim(x) else x for x in values)


def _sign(cone: Towards, block: Block | None) -> float | None:
    """Which way the predictor goes as the parameter goes to its end: 1, -1, 0 for neither; None if that is not sure."""
    if block is None or cone.end is None:
        return 0.0
    if not block.elementwise:
        return None
    link = block.parameter.link if block.is_linear else block.links()[0]  # type: ignore[union-attr]
    low, high = _reach(link)
    if low == high:
        return None
    return 1.0 if high == cone.end else -1.0 if low == cone.end else 0.0


def _reach(link: Link) -> tuple[float, float]:
    """Where a link's parameter goes as its predictor goes to minus and to plus infinity."""
    reached = (float(runtime.call(_inverse, link, np.float64(x))[0]) for x in (-FAR, FAR))
    low, high = (np.sign(x) * np.inf if abs(x) >= FAR else x for x in reached)
    return low, high


@partial(runtime.jit, static_argnums=0)
def _inverse(link: Link, eta: jax.Array) -> jax.Array:
    return link.inverse(eta)

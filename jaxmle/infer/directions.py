"""Directions in which no standard error exists, and the words for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..declare.matrices import Correlation, Covariance, Ordered
from ..objective.objective import Objective
from ..solve.quadratic import Quadratic
from .reported import Reported

SLIGHT = 1e-5
"""Of the largest part of a direction, in units in which curvatures are alike: what is smaller is rounding."""


@dataclass(frozen=True)
class Direction:
    """A direction in `z` along which no standard error exists.

    `kind` is "flat" (the log-likelihood does not change or has no curvature), "kink" (it has a corner), "bound" (a
    parameter runs to the end of its range) or "runaway" (coefficients grow without limit, as with separated data).
    `words` say which parameters; the entries of `vector` that take no part are zero.
    """

    kind: str
    vector: np.ndarray
    words: str

    @property
    def involved(self) -> np.ndarray:
        """Positions in `z` that take part."""
        return np.flatnonzero(self.vector)


def flat_vectors(model: Quadratic) -> list[np.ndarray]:
    """The null space of the scaled Hessian, each null vector with as few parameters as possible."""
    curvature = model.curvature
    null = curvature.axes[:, curvature.values <= curvature.floor]
    return list((sparse_basis(null) / model.metric[:, None]).T) if null.size else []


def sparse_basis(basis: np.ndarray) -> np.ndarray:
    """The same space in reduced echelon form: each vector has a coordinate of its own, so that few are involved."""
    basis = np.array(basis)
    taken: list[int] = []
    for j in range(basis.shape[1]):
        rest = np.abs(basis[:, j]).copy()
        rest[taken] = 0
        pivot = int(rest.argmax())
        basis[:, j] /= basis[pivot, j]
        for k in range(basis.shape[1]):
            if k != j:
                basis[:, k] -= basis[pivot, k] * basis[:, j]
        taken.append(pivot)
    basis[np.abs(basis) < SLIGHT * np.abs(basis).max(axis=0)] = 0.0
    return basis


def combination(v: np.ndarray, names: Sequence[str]) -> str:
    """`0.5·a − b`: a direction in words, the largest entry as 1, at most six names."""
    v = v / np.abs(v).max()
    order = np.argsort(-np.abs(v), kind="stable")
    used = sorted(i for i in order[:6] if v[i])
    if v[used[0]] < 0:
        v = -v
    words = ""
    for i in used:
        size = "" if abs(abs(v[i]) - 1) < 1e-6 else f"{abs(v[i]):.4g}·"
        sign = (" − " if v[i] < 0 else " + ") if words else ("−" if v[i] < 0 else "")
        words += f"{sign}{size}{names[i]}"
    return words + (" + …" if np.count_nonzero(v) > 6 else "")


def in_words(reported: Reported, vector: np.ndarray) -> str:
    """A direction in `z` as the combination of reported quantities that changes along it, on their natural scales."""
    moved = reported.named_by(vector)
    change = np.where(moved, reported.jacobian @ vector, 0.0)
    if not moved.any():
        return "what is reported"
    if moved.sum() > 1 and (reported.bounds[moved] == (0.0, np.inf)).all():  # positive numbers: a·b, a/b
        powers = np.where(moved, change / np.where(moved, reported.values, 1.0), 0.0)
        return _product(powers / np.abs(powers).max(), reported.names)
    return combination(change, reported.names)


def _product(powers: np.ndarray, names: Sequence[str]) -> str:
    """`a·b`, `a/b`, `a·b^0.5`: a direction in the logarithms, as the product of powers that changes along it."""
    used = [int(i) for i in np.flatnonzero(powers)]
    if powers[used[0]] < 0:
        powers = -powers
    words = ""
    for i in used[:6]:
        size = abs(powers[i])
        sign = "" if not words else "·" if powers[i] > 0 else "/"
        words += sign + names[i] + ("" if abs(size - 1) < 1e-6 else f"^{size:.4g}")
    return words + ("·…" if len(used) > 6 else "")


def who(reported: Reported, vectors: Sequence[np.ndarray]) -> str:
    """The names of what the directions move: `'a', 'b' and 3 more`."""
    moved = np.zeros(len(reported.names), bool)
    for v in vectors:
        moved |= reported.named_by(v)
    names = [repr(n) for n, m in zip(reported.names, moved) if m]
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def towards(objective: Objective, z: np.ndarray, step: np.ndarray) -> list[Direction]:
    """A step that leads to infinity, told apart: bounded parameters one by one, coefficients and others together."""
    moving = np.abs(step) > 0.02 * np.abs(step).max()
    layout = objective.layout
    owner = objective.owners
    out, joint = [], np.zeros_like(step)
    for number in np.unique(owner[moving]):
        block = layout.blocks[number]
        mine = np.where(moving & (owner == number), step, 0.0)
        if not block.elementwise:
            out.append(Direction("bound", mine, _limits_of_several(objective, z, mine, block.name)))
            continue
        bounds = np.array(block.bounds())
        for i in np.flatnonzero(mine):
            low, high = bounds[objective.free[i] - block.start]
            if np.isinf(low) and np.isinf(high):
                joint[i] = step[i]
                continue
            end = high if step[i] > 0 else low
            label = block.labels()[objective.free[i] - block.start]
            words = f"{label} → {'∞' if np.isinf(end) else f'{end:g}'}"
            out.append(Direction("bound", np.eye(len(step))[i] * step[i], words))
    if joint.any():
        names = dict(zip(objective.free, np.arange(len(step))))
        labels = {names[b.start + k]: lab for b in layout.blocks if b.elementwise
                  for k, lab in enumerate(b.labels()) if b.start + k in names}  # fmt: skip
        words = ", ".join(f"{labels[i]} → {'+' if joint[i] > 0 else '−'}∞" for i in np.flatnonzero(joint)[:6])
        out.append(Direction("runaway", joint, words))
    return out


def _limits_of_several(objective: Objective, z: np.ndarray, step: np.ndarray, name: str) -> str:
    """Which entries of a parameter whose entries hang together approach an end of their range along a step."""
    here, there = Reported.at(objective, z), Reported.at(objective, z + 2.0 * step)
    out = []
    for label, old, new, ends in zip(here.names, here.values, there.values, here.bounds):
        for end in ends[np.isfinite(ends)]:
            if label.startswith(f"{name}[") and abs(new - end) <= 0.5 * abs(old - end) + 1e-12 * abs(end) < 0.1:
                out.append(f"{label} → {end:g}")
    block = next(b for b in objective.layout.blocks if b.name == name)
    if not out and isinstance(block.parameter, Ordered):
        mine = [i for i, label in enumerate(here.names) if label.startswith(f"{name}[")]
        shrinks = np.diff(there.values[mine]) < 0.5 * np.diff(here.values[mine])
        out = [f"{here.names[j]} → {here.names[i]}" for i, j, s in zip(mine, mine[1:], shrinks) if s]
        far = [i for i in mine if abs(there.values[i]) > 1.2 * abs(here.values[i]) > 12.0]
        out += [f"{here.names[i]} → {'+' if there.values[i] > 0 else '−'}∞" for i in far]
    singular = isinstance(block.parameter, Correlation | Covariance)
    return ", ".join(out[:6]) or f"{name} → {'a singular matrix' if singular else 'the edge of its range'}"

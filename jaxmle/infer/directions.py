"""Directions in which the data say nothing, or push without end; and the words for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..objective.objective import Objective
from ..solve.quadratic import Quadratic


@dataclass(frozen=True)
class Direction:
    """A direction in `z` along which no standard error exists.

    `kind` is "flat" (the log-likelihood does not change: not identified), "bound" (a parameter runs to the end of its
    range) or "runaway" (coefficients grow without limit, as with separated data). `words` say which parameters.
    """

    kind: str
    vector: np.ndarray
    words: str

    @property
    def involved(self) -> np.ndarray:
        """Positions in `z` that take part."""
        return np.flatnonzero(np.abs(self.vector) > 1e-5 * np.abs(self.vector).max())


def flat_directions(objective: Objective, model: Quadratic, names: Sequence[str]) -> list[Direction]:
    """The null space of the scaled Hessian, each null vector as few parameters as possible, named."""
    null = model.axes[:, model.curvature <= model.floor] / model.metric[:, None]
    if not null.size:
        return []
    return [Direction("flat", v, combination(v * objective.scale, names)) for v in _sparse_basis(null).T]


def _sparse_basis(basis: np.ndarray) -> np.ndarray:
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
    basis[np.abs(basis) < 1e-7 * np.abs(basis).max(axis=0)] = 0.0
    return basis


def combination(v: np.ndarray, names: Sequence[str]) -> str:
    """`0.5·a − b`: a direction in words, the largest entry as 1, at most six names."""
    v = v / np.abs(v).max()
    order = np.argsort(-np.abs(v), kind="stable")
    used = sorted(i for i in order[:6] if abs(v[i]) > 1e-5)
    if v[used[0]] < 0:
        v = -v
    words = ""
    for i in used:
        size = "" if abs(abs(v[i]) - 1) < 1e-6 else f"{abs(v[i]):.4g}·"
        sign = (" − " if v[i] < 0 else " + ") if words else ("−" if v[i] < 0 else "")
        words += f"{sign}{size}{names[i]}"
    return words + (" + …" if (np.abs(v) > 1e-5).sum() > 6 else "")


def escape(objective: Objective, z: np.ndarray, model: Quadratic) -> np.ndarray | None:
    """The Newton step at `z`, if following it again and again leads nowhere: steps that do not shrink.

    At an optimum Newton's method contracts quadratically. Where the maximum lies at infinity (exponential tails:
    separated data, a variance going to zero), each step has about the length of the one before.
    """
    step = model.to_z(model.newton())
    lengths, at = [step], z
    for _ in range(3):
        at = at + lengths[-1]
        e = objective.evaluate(at)
        if not (np.isfinite(e.value) and np.isfinite(e.matrix).all()):
            return None
        lengths.append((m := Quadratic.of(e.gradient, e.matrix)).to_z(m.newton()))
    size = [np.abs(s).max() for s in lengths]
    if size[0] == 0 or any(b < 0.8 * a for a, b in zip(size, size[1:])) or size[-1] < 1e-3:
        return None
    return lengths[-1]


def runaway_directions(objective: Objective, step: np.ndarray, names: Sequence[str]) -> list[Direction]:
    """A step that leads to infinity, told apart: bounded parameters one by one, coefficients and others together."""
    moving = np.abs(step) > 0.02 * np.abs(step).max()
    layout = objective.layout
    owner = layout.of_unconstrained()[objective.free]
    out, joint = [], np.zeros_like(step)
    for i in np.flatnonzero(moving):
        block = layout.blocks[owner[i]]
        limits = _limits(block, step[i] > 0) if not block.is_linear else None
        if limits is None:
            joint[i] = step[i]
            continue
        out.append(Direction("bound", np.eye(len(step))[i] * step[i], f"{names[i]} → {limits}"))
    if joint.any():
        towards = ", ".join(f"{names[i]} → {'+' if joint[i] > 0 else '−'}∞" for i in np.flatnonzero(joint)[:6])
        out.append(Direction("runaway", joint, towards))
    return out


def _limits(block, up: bool) -> str | None:
    """The end of an elementwise bounded parameter's range in this direction, or None where there is none."""
    if not block.elementwise:
        return "its limit"
    low, high = block.bounds()[0]
    end = high if up else low
    if np.isfinite(end):
        return f"{end:g}"
    return "∞" if np.isfinite(low) or np.isfinite(high) else None

"""What is held fixed, and where the search starts: values by name, on the natural scale, as positions of the flat vector."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from .. import runtime
from ..declare.linear import Linear
from ..declare.model import Model
from ..errors import ModelError, did_you_mean
from .layout import Block, Layout


@dataclass(frozen=True)
class Fixing:
    """Parameters held whole (`constants`, on the natural scale), `Linear`s held whole, and single entries by flat name."""

    constants: dict[str, Any]
    coefficients: dict[str, np.ndarray]
    entries: dict[str, float]

    @staticmethod
    def of(model: Model, terms: Mapping[str, tuple[str, ...]], fixed: Mapping[str, Any]) -> Fixing:
        """Join what the declarations and the argument `fixed` hold; raises `ModelError` for unknown names and bad values."""
        if not isinstance(fixed, Mapping):
            raise ModelError(f"fixed must map names of parameters or coefficients to values; got {fixed!r}.")
        constants, coefficients, entries = {}, {}, {}
        for name, parameter in model.params.items():
            value = fixed.get(name, parameter.fixed)
            if value is None:
                continue
            if isinstance(parameter, Linear):
                coefficients[name] = parameter.coefficients(value, len(terms[name]), name, "fixed")
            else:
                constants[name] = parameter.check(value, name)
        for name, value in fixed.items():
            if name not in model.params:
                entries[name] = value
        return Fixing(constants, coefficients, entries)

    def apply(self, layout: Layout) -> tuple[np.ndarray, np.ndarray]:
        """The flat vector with the held values in place (zero elsewhere), and the positions that are free."""
        u, held = np.zeros(layout.size), np.zeros(layout.size, bool)
        for block in layout.blocks:
            if block.name in self.coefficients:
                u[block.start : block.stop] = self.coefficients[block.name].reshape(-1)
                held[block.start : block.stop] = True
        _set_entries(layout, self.entries, u, "fixed")
        for position in _positions(layout, self.entries, "fixed").values():
            held[position] = True
        if held.all():
            raise ModelError("Every parameter is fixed: there is nothing to estimate.")
        return u, np.flatnonzero(~held)


def start_vector(model: Model, layout: Layout, start: Mapping[str, Any] | None) -> tuple[np.ndarray, np.ndarray]:
    """The flat vector to start from, and for each entry whether the user chose it.

    Given values come first, then the declarations' `start=`, then each domain's default; names are those of
    parameters (values on the natural scale, a `Linear` by its coefficients) or of single coefficients.
    """
    start = {} if start is None else start
    if not isinstance(start, Mapping):
        raise ModelError(f"start must map names of parameters or coefficients to values; got {start!r}.")
    u, chosen = np.zeros(layout.size), np.zeros(layout.size, bool)
    names = {b.name for b in layout.blocks}
    for block in layout.blocks:
        value = start.get(block.name, block_start(model, block.name))
        chosen[block.start : block.stop] = value is not None
        u[block.start : block.stop] = _unconstrained(block, value, "start")
    held = {name for name, _ in layout.constants}
    entries = {k: v for k, v in start.items() if k not in names and k not in held}
    _set_entries(layout, entries, u, "start")
    for position in _positions(layout, entries, "start").values():
        chosen[position] = True
    return u, chosen


def block_start(model: Model, name: str) -> Any:
    """The declared starting value of a parameter, or None."""
    start = model.params[name].start
    return start


def _unconstrained(block: Block, value: Any, role: str) -> np.ndarray:
    parameter = block.parameter
    if isinstance(parameter, Linear):
        values = parameter.coefficients(0.0 if value is None else value, len(block.terms), block.name, role)
        return values.reshape(-1)
    theta = parameter.default() if value is None else parameter.check(value, block.name)
    with runtime.x64():
        return np.asarray(jax.device_get(parameter.unconstrain(theta)), dtype=np.float64).reshape(-1)


def _positions(layout: Layout, entries: Mapping[str, Any], role: str) -> dict[str, int]:
    where: dict[str, int] = {}
    for block in layout.blocks:
        if block.elementwise:
            where |= {label: block.start + i for i, label in enumerate(block.labels())}
    for name in entries:
        if name not in where:
            blocked = next((b for b in layout.blocks if name in b.labels()), None)
            if blocked is not None:
                raise ModelError(
                    f"{role}: {name!r} is one entry of a {type(blocked.parameter).__name__}, whose entries depend on "
                    f"each other; give the whole of {blocked.name!r}."
                )
            known = [b.name for b in layout.blocks] + list(where)
            raise ModelError(f"{role}: no parameter or coefficient is called {name!r}.{did_you_mean(name, known)}")
    return {name: where[name] for name in entries}


def _set_entries(layout: Layout, entries: Mapping[str, Any], u: np.ndarray, role: str) -> None:
    """Put single coefficients, given on the natural scale, into the flat vector."""
    for name, position in _positions(layout, entries, role).items():
        block = next(b for b in layout.blocks if b.start <= position < b.stop)
        value = entries[name]
        if not isinstance(value, (int, float, np.number)) or isinstance(value, bool) or not np.isfinite(value):
            raise ModelError(f"{role}: {name!r} must be a finite number; got {value!r}.")
        if block.is_linear:
            u[position] = float(value)
            continue
        parameter = block.parameter
        with runtime.x64():
            theta = jax.device_get(parameter.constrain(u[block.start : block.stop]))
            flat, tree = jax.tree.flatten(theta)
            sizes = np.cumsum([0] + [np.size(x) for x in flat])
            leaf = int(np.searchsorted(sizes, position - block.start, side="right") - 1)
            flat = [np.array(x, dtype=np.float64) for x in flat]
            flat[leaf].reshape(-1)[position - block.start - sizes[leaf]] = float(value)
            theta = parameter.check(jax.tree.unflatten(tree, flat), name)
            u[block.start : block.stop] = np.asarray(parameter.unconstrain(theta)).reshape(-1)

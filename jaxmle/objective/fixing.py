"""What is held fixed, and where the search starts: values by name, natural scale, as positions of the flat vector."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import numpy as np

from .. import runtime
from ..declare.domains import Elementwise
from ..declare.linear import Linear
from ..declare.links import Identity, Link
from ..declare.model import Model
from ..errors import ModelError, did_you_mean
from .layout import Block, Layout


@dataclass(frozen=True)
class Fixing:
    """Parameters held whole (`constants`, natural scale), `Linear`s held whole, and single entries by flat name."""

    constants: dict[str, Any]
    coefficients: dict[str, np.ndarray]
    entries: dict[str, float]

    @staticmethod
    def of(model: Model, terms: Mapping[str, tuple[str, ...]], fixed: Mapping[str, Any]) -> Fixing:
        """Join what the declarations and the argument `fixed` hold; `ModelError` for unknown names and bad values."""
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
        _check_entries(layout, self.entries, "fixed")
        _set_entries(layout, self.entries, u, "fixed")
        for position in _positions(layout, self.entries, "fixed").values():
            held[position] = True
        if held.all():
            raise ModelError("Every parameter is fixed: there is nothing to estimate.")
        return u, np.flatnonzero(~held)


def start_vector(
    model: Model, layout: Layout, start: Mapping[str, Any] | None, role: str = "start"
) -> tuple[np.ndarray, np.ndarray]:
    """The flat vector to start from, and for each entry whether the user chose it.

    Given values come first, then the declarations' `start=`, then each domain's default; names are those of
    parameters (values on the natural scale, a `Linear` by its coefficients) or of single coefficients. `role` is what a
    message calls the given values.
    """
    start = {} if start is None else start
    if not isinstance(start, Mapping):
        raise ModelError(f"{role} must map names of parameters or coefficients to values; got {start!r}.")
    u, chosen = np.zeros(layout.size), np.zeros(layout.size, bool)
    names = {b.name for b in layout.blocks}
    dense: dict[str, Any] = {}
    for block in layout.blocks:
        parameter = block.parameter
        value = start.get(block.name, parameter.start)
        chosen[block.start : block.stop] = value is not None
        if isinstance(parameter, Linear):
            values = parameter.coefficients(0.0 if value is None else value, len(block.terms), block.name, role)
            u[block.start : block.stop] = values.reshape(-1)
        elif value is not None or not isinstance(parameter, Elementwise):  # whose defaults are where `u` is zero
            dense[block.name] = parameter.default() if value is None else parameter.check(value, block.name)
    held = {name for name, _ in layout.constants}
    entries = {k: v for k, v in start.items() if k not in names and k not in held}
    _check_entries(layout, entries, role)
    _put(layout, dense, u)
    _set_entries(layout, entries, u, role)
    for position in _positions(layout, entries, role).values():
        chosen[position] = True
    return u, chosen


def _put(layout: Layout, theta: Mapping[str, Any], u: np.ndarray) -> None:
    """Put whole parameters, given on the natural scale, into the flat vector."""
    blocks = tuple(b for b in layout.blocks if b.name in theta)
    if blocks:
        parts, _, _ = runtime.call(unconstrained, blocks, [theta[b.name] for b in blocks])
        for block, part in zip(blocks, jax.device_get(parts)):
            u[block.start : block.stop] = part


@partial(runtime.jit, static_argnums=0)
def unconstrained(blocks: tuple[Block, ...], theta: list[Any]) -> list[jax.Array]:
    return [b.domain.unconstrain(t).reshape(-1) for b, t in zip(blocks, theta)]


def on_predictor_scale(link: Link, theta: Any) -> np.ndarray:
    """The link of natural values, computed on the host's behalf by a program that is kept like all others."""
    values = np.asarray(theta, np.float64)
    return values if isinstance(link, Identity) else runtime.on_host(runtime.call(_forward, link, values)[0])


@partial(runtime.jit, static_argnums=0)
def _forward(link: Link, theta: jax.Array) -> jax.Array:
    return link.forward(theta)


@partial(runtime.jit, static_argnums=0)
def _constrained(block: Block, u: jax.Array) -> Any:
    return block.natural(u)


def _positions(layout: Layout, entries: Mapping[str, Any], role: str) -> dict[str, int]:
    if not entries:  # a network has a million labels
        return {}
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


def _check_entries(layout: Layout, entries: Mapping[str, Any], role: str) -> None:
    """Refuse, before anything is computed, single entries that do not exist or have no legal value."""
    for name, position in _positions(layout, entries, role).items():
        block = next(b for b in layout.blocks if b.start <= position < b.stop)
        value = entries[name]
        if not isinstance(value, (int, float, np.number)) or isinstance(value, bool) or not np.isfinite(value):
            raise ModelError(f"{role}: {name!r} must be a finite number; got {value!r}.")
        low, high = block.bounds()[position - block.start]
        if not low < value < high:
            raise ModelError(f"{role}: {name!r} is {float(value)!r}; expected a number between {low:g} and {high:g}.")


def _set_entries(layout: Layout, entries: Mapping[str, Any], u: np.ndarray, role: str) -> None:
    """Put single coefficients, given on the natural scale, into the flat vector."""
    for name, position in _positions(layout, entries, role).items():
        block = next(b for b in layout.blocks if b.start <= position < b.stop)
        value = entries[name]
        if block.is_linear:
            u[position] = float(value)
            continue
        theta = jax.device_get(runtime.call(_constrained, block, u)[0])
        leaves, tree = jax.tree.flatten(theta)
        flat = np.concatenate([np.ravel(x) for x in leaves])
        flat[position - block.start] = float(value)
        ends = np.cumsum([np.size(x) for x in leaves])[:-1]
        leaves = [part.reshape(np.shape(x)) for part, x in zip(np.split(flat, ends), leaves)]
        _put(layout, {block.name: block.domain.check(jax.tree.unflatten(tree, leaves), block.name)}, u)

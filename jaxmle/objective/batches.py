"""Minibatches: every unit by its number on one device, and value and gradient of any of them as pure functions.

Whoever compiles them (an epoch of a stochastic search is one program) hands over the data as an argument.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .. import runtime
from ..data.in_place import InPlace
from ..runtime import MAX_KERNEL_ROWS
from .passes import _evaluate_chunk, _in_u
from .placement import Placed
from .rows import Program, in_precision, penalty_value, widened
from .shrinkage import Shrinkage

MOST_PADDED, PADDING = 2_000_000, 8
"""Rows that groups of one length may take with their padding, and how many times those of groups of several lengths."""


@dataclass(frozen=True)
class Batches:
    """What is done with the units of a batch; the data, which `batches_of` gives with it, come as an argument.

    `whole` says that `z` is all of `u`, as it is.
    """

    program: Program
    whole: bool

    @property
    def dtype(self) -> Any:
        """Of `z`, of gradients, and of all that an optimiser remembers."""
        return self.program.dtype

    def _u(self, z: jax.Array, data: dict) -> jax.Array:
        return z if self.whole else data["base"].at[data["free"]].set(z * data["scale"])

    def _in_pieces(self, needs: str, z: jax.Array, data: dict, units: jax.Array, share: jax.Array) -> tuple:
        """The sums over units, each counted `share` times; no kernel sees more rows than is safe."""
        mask, n = data["units"]["mask"], len(units)
        pieces = -(-n * (1 if mask is None else mask.shape[1]) // MAX_KERNEL_ROWS)
        width = -(-n // pieces)
        u, likelihood = self._u(z, data), replace(self.program, penalties=())
        pad = lambda x, mode: jnp.pad(x, (0, pieces * width - n), mode).reshape(pieces, width)

        def of_piece(piece: tuple) -> tuple:
            units, share = piece
            where = data["where"]

            def take(x: Any) -> jax.Array:
                if isinstance(x, InPlace):
                    return x.rows(where[0][units], where[1][units])
                return jnp.moveaxis(x[units], 0, -1)

            chunk = jax.tree.map(take, data["units"], is_leaf=lambda x: isinstance(x, InPlace))
            chunk = in_precision(likelihood, chunk)
            chunk["weights"] = chunk["weights"] * share
            return _evaluate_chunk(likelihood, needs, u, data["constants"], chunk)

        share = jnp.broadcast_to(jnp.asarray(share, jnp.float64), units.shape)
        if pieces == 1:
            return _in_u(likelihood, needs, of_piece((units, share)))
        sums = jax.lax.map(of_piece, (pad(units, "edge"), pad(share, "constant")))
        return _in_u(likelihood, needs, jax.tree.map(lambda x: x.sum(axis=0), sums))

    def value(self, z: jax.Array, data: dict, units: jax.Array, share: Any) -> jax.Array:
        """The negative log-likelihood of `units`, shape (m,), each counted `share` times (a number, or one for each)."""
        return self._in_pieces("value", z, data, units, share)[0]

    def penalty(self, z: jax.Array, data: dict) -> jax.Array:
        """What is added to the negative log-likelihood."""
        u = self._u(z, data)
        total = penalty_value(self.program, u, data["constants"])
        if data["shrinkage"] is not None:
            l2, tilt = data["shrinkage"]
            total = total + 0.5 * l2 @ u**2 + tilt @ u
        return total

    def gradient(self, z: jax.Array, data: dict, units: jax.Array, share: Any) -> tuple[jax.Array, jax.Array]:
        """Value and gradient of the objective estimated by `units`, penalties included."""
        value, gradient = self._in_pieces("gradient", z, data, units, share)
        if not self.whole:
            gradient = gradient[data["free"]] * data["scale"]
        if self.program.penalties or data["shrinkage"] is not None:
            more, slope = jax.value_and_grad(self.penalty)(z, data)
            value, gradient = value + more, gradient + slope
        return value, gradient.astype(self.dtype)


def too_much_padding(parts: Sequence[Placed]) -> int | None:
    """The length of the longest groups, if all groups padded to it would be too much."""
    lengths = [part.data["mask"].shape[1] for part in parts]
    padded = max(lengths) * sum(len(part.units) for part in parts)
    apart = sum(length * len(part.units) for length, part in zip(lengths, parts))
    return max(lengths) if padded > max(MOST_PADDED, PADDING * apart) else None


def batches_of(
    program: Program,
    parts: Sequence[Placed],
    constants: Any,
    base: np.ndarray,
    free: np.ndarray,
    scale: np.ndarray,
    n_units: int,
    shrinkage: Shrinkage | None,
) -> tuple[Batches, dict]:
    """The batches of an objective, and their data: units first, in the order of the data set, floats in the program's
    precision, on the device of the first part."""
    whole = len(free) == len(base) and bool((free == np.arange(len(base))).all() and (scale == 1).all())
    (device,) = parts[0].data["weights"].devices()
    wide = lambda x: np.asarray(x, program.dtype)
    with runtime.x64():
        alone = len(parts) == 1 and len(parts[0].units) == n_units
        chunk, row = np.empty(n_units, np.int32), np.empty(n_units, np.int32)
        if alone:
            chunk[parts[0].units], row[parts[0].units] = parts[0].places
            units = runtime.call(_units_first, program, parts[0].data, chunk, row)[0]
        else:
            units = _gathered(program, parts, n_units, device)
        data = {
            "units": units,
            "where": jax.device_put((chunk, row), device),
            "constants": constants,
            "base": None if whole else jax.device_put(wide(base), device),
            "free": None if whole else jax.device_put(free.astype(np.int32), device),
            "scale": None if whole else jax.device_put(wide(scale), device),
            "shrinkage": None
            if shrinkage is None
            else jax.device_put((wide(shrinkage.l2), wide(shrinkage.tilt)), device),
        }
    return Batches(program, whole), data


@partial(runtime.jit, static_argnums=0)
def _units_first(program: Program, data: dict, chunk: Any, row: Any) -> dict:
    """The arrays of a part with the units first, floats in the program's precision but for the weights."""
    first = lambda x: x if isinstance(x, InPlace) else x[chunk, ..., row]
    narrow = lambda x: x if isinstance(x, InPlace) else widened(x, program.dtype)
    units = jax.tree.map(first, data, is_leaf=lambda x: isinstance(x, InPlace))
    return jax.tree.map(narrow, units, is_leaf=lambda x: isinstance(x, InPlace)) | {"weights": units["weights"]}


def _gathered(program: Program, parts: Sequence[Placed], n_units: int, device: Any) -> dict:
    """The units of several devices, or groups of several padded lengths, on one device and of one length."""
    order = np.empty(n_units, int)
    order[np.concatenate([part.units for part in parts])] = np.arange(n_units)
    each = [runtime.call(_units_first, program, part.data, *part.places)[0] for part in parts]
    if program.unit == "group":
        longest = max(part.data["mask"].shape[1] for part in parts)
        each = [_lengthened(jax.device_get(units), longest) for units in each]
    join = lambda *x: jax.device_put(np.concatenate([jax.device_get(a) for a in x])[order], device)
    return jax.tree.map(join, *each)


def _lengthened(units: dict, length: int) -> dict:
    """Groups padded to a length: their last place is repeated, and false in the mask."""
    more = length - units["mask"].shape[1]

    def along(axis: int) -> Any:
        return lambda x: np.pad(x, [(0, more * (i == axis % x.ndim)) for i in range(x.ndim)], "edge")

    return units | {
        "columns": jax.tree.map(along(1), units["columns"]),
        "designs": jax.tree.map(along(-1), units["designs"]),
        "offsets": jax.tree.map(along(-1), units["offsets"]),
        "mask": np.pad(units["mask"], [(0, 0), (0, more)]),
    }

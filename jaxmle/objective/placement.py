"""Where the chunks live: on one device, or spread over several. Chosen here and invisible elsewhere.

Every pass is a program for one device that runs over a span of the chunks there; spans run side by side in threads and
what they give is added up on the host. So one program serves a core, all cores of a CPU and any number of GPUs, and
nothing global is set for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from .. import runtime
from ..data.chunks import FEWEST_ROWS, Chunks
from ..data.in_place import InPlace
from ..errors import ModelError
from .rows import with_columns


@dataclass(frozen=True)
class Placement:
    """The devices that hold the chunks; the default is JAX's default device, or all of its kind if they are GPUs."""

    devices: tuple[Any, ...]

    @staticmethod
    def of(devices: Any = None) -> Placement:
        """The placement that a user asks for: None, "cpu" or "gpu", a device, several, or a mesh of them.

        Raises:
            ModelError: for anything else, and for a kind of device that is not there.
        """
        if isinstance(devices, Mesh):
            return Placement(tuple(devices.devices.flat))
        if isinstance(devices, jax.Device):
            return Placement((devices,))
        if isinstance(devices, Sequence) and not isinstance(devices, str) and len(devices):
            if all(isinstance(d, jax.Device) for d in devices):
                return Placement(tuple(devices))
        elif devices is None or isinstance(devices, str):
            return Placement._of_kind(devices)
        raise ModelError(
            "devices must be None, the name of a platform ('cpu', 'gpu'), a jax.Device, a sequence of them, or a "
            f"jax.sharding.Mesh; got {devices!r}."
        )

    @staticmethod
    def _of_kind(kind: str | None) -> Placement:
        chosen = runtime.setting("jax_default_device")
        if kind is None and isinstance(chosen, jax.Device):
            return Placement((chosen,))
        try:
            local = jax.local_devices(backend=kind or chosen)
        except RuntimeError as error:
            there = ", ".join(sorted({d.platform for d in jax.local_devices()}))
            raise ModelError(
                f"devices: there is no device of kind {kind!r} in this process; it has {there}."
            ) from error
        return Placement(tuple(local) if kind or local[0].platform != "cpu" else (local[0],))

    @property
    def n_devices(self) -> int:
        return len(self.devices)

    @property
    def is_cpu(self) -> bool:
        """Whether it is one device that works in the memory of the host."""
        return self.n_devices == 1 and self.devices[0].platform == "cpu"

    def first(self) -> Placement:
        """The first device alone, for what cannot be spread."""
        return Placement(self.devices[:1])

    def place(self, chunks: Chunks) -> list[Placed]:
        """Put the chunks on the devices, the ones that hold data spread evenly; devices that get none are left out."""
        total, rows = chunks.weights.shape[0], chunks.weights.shape[-1]
        per_device = total // self.n_devices
        before = len(chunks.sample) // rows
        out = []
        for device, own in zip(self.devices, np.array_split(np.arange(chunks.count), self.n_devices)):
            if not len(own):
                continue
            # counts are uneven by one: a device's last chunks may be another's first, and are padding to it
            start = min(own[0], total - per_device)
            here = slice(start, start + per_device)

            def put(array: Any, here: slice = here, device: Any = device) -> Any:
                return jax.device_put(array if isinstance(array, InPlace) else array[here], device)

            data = {
                "columns": {k: put(v) for k, v in chunks.columns.items()},
                "designs": tuple({k: put(v) for k, v in d.items()} for d in chunks.designs),
                "offsets": {k: put(v) for k, v in chunks.offsets.items()},
                "weights": put(chunks.weights),
                "mask": None if chunks.mask is None else put(chunks.mask),
            }
            mine = chunks.units[own[0] * rows : (own[-1] + 1) * rows]
            first = before + own[0] - start
            sample = Placed(data, chunks.sample, (0, before)) if before else None
            out.append(Placed(data, mine, (int(first), int(first + len(own))), sample))
        return out


@dataclass(frozen=True)
class Placed:
    """Chunks on a device; the rows of those of `span`, [first, stop), are the units `units` of the data set, in order.

    `sample` are other chunks of the same data that hold a sample of all units.
    """

    data: dict
    units: np.ndarray
    span: tuple[int, int]
    sample: Placed | None = None

    @property
    def width(self) -> int:
        """Units in one chunk."""
        return self.data["weights"].shape[-1]

    @property
    def places(self) -> tuple[np.ndarray, np.ndarray]:
        """For each of the units, the chunk that it is in, and its row there."""
        return self.where(np.arange(len(self.units)))

    def where(self, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Chunk and row of the units at these positions among `units`."""
        return self.span[0] + at // self.width, at % self.width

    @property
    def rows(self) -> int:
        """Rows of the data in one chunk."""
        mask = self.data["mask"]
        return self.width * (1 if mask is None else mask.shape[-2])

    @property
    def n_chunks(self) -> int:
        return self.span[1] - self.span[0]

    def between(self, start: int, stop: int) -> Placed:
        """Chunks of the span alone, [start, stop); their units only."""
        at = slice((start - self.span[0]) * self.width, (stop - self.span[0]) * self.width)
        return replace(self, span=(start, stop), sample=None, units=self.units[at])

    def first(self, chunks: int) -> Placed:
        """The first chunks alone."""
        first, stop = self.span
        return self.between(first, min(stop, first + chunks))

    def spread(self, chunks: int) -> list[Placed]:
        """So many chunks from everywhere, each by itself."""
        first, stop = self.span
        chosen = np.linspace(first, stop - 1, min(chunks, stop - first)).round().astype(int).tolist()
        return [self.between(i, i + 1) for i in chosen]

    def some(self) -> Placed:
        """Chunks that speak for all: the sample, unless it is too small."""
        large = self.sample is not None and self.sample.n_chunks * self.rows >= FEWEST_ROWS
        return self.sample if large and self.sample is not None else self

    def weighted(self, weights: np.ndarray) -> Placed:
        """The same chunks with other weights, one for each unit of the data set."""
        old = self.data["weights"]
        return self._with({"weights": self._spread(np.zeros(old.shape), weights, old)})

    def with_columns(self, columns: Mapping[str, np.ndarray]) -> Placed:
        """The same chunks with other numbers in some columns, one for each unit of the data set."""
        old = self.data["columns"]
        new = {k: self._spread(np.array(jax.device_get(old[k])), v, old[k]) for k, v in columns.items()}
        return self._with({"columns": with_columns(old, new)})

    def padded_otherwise(self) -> Placed:
        """The same groups with the first row of each, and not the last, in the places that `mask` says do not count."""
        mask = jax.device_get(self.data["mask"])

        def other(x: jax.Array) -> jax.Array:
            held = jax.device_get(x)
            real = mask.reshape(*mask.shape[:2], *(1,) * (held.ndim - 3), mask.shape[2])
            return jax.device_put(np.where(real, held, held[:, :1]), x.sharding)

        return self._with({"columns": jax.tree.map(other, self.data["columns"])})

    def _spread(self, new: np.ndarray, values: np.ndarray, old: jax.Array) -> jax.Array:
        for part in (self, self.sample):
            if part is not None:
                new[part.places] = values[part.units]
        return jax.device_put(new, old.sharding)

    def _with(self, changed: dict[str, Any]) -> Placed:
        data = self.data | changed
        return replace(self, data=data, sample=self.sample and replace(self.sample, data=data))

    def rearranged(self, chunk: np.ndarray, row: np.ndarray) -> Placed:
        """The same weights with, at every position, the unit that is now at position (`chunk`, `row`)."""

        def picked(x: Any) -> Any:
            if isinstance(x, InPlace):
                return x.rearranged(chunk, row)
            new = np.moveaxis(np.moveaxis(jax.device_get(x), -1, 1)[chunk, row], 1, -1)
            return jax.device_put(np.ascontiguousarray(new), x.sharding)

        def of(name: str, data: Any) -> Any:
            return data if name == "weights" else jax.tree.map(picked, data, is_leaf=lambda x: isinstance(x, InPlace))

        with runtime.x64():
            return replace(self, data={name: of(name, data) for name, data in self.data.items()}, sample=None)

    def stretches(self) -> list[Stretch]:
        """The span in pieces for the cores of the device."""
        first, stop = self.span
        (device,) = self.data["weights"].devices()
        size = sum(x.nbytes for x in jax.tree.leaves(self.data)) * self.n_chunks // self.data["weights"].shape[0]
        pieces = runtime.spans(stop - first, size) if device.platform == "cpu" else [slice(0, stop - first)]
        length = pieces[0].stop
        return [Stretch(self, np.array([first + s.start, first + s.stop], np.int32), length) for s in pieces]


@dataclass(frozen=True)
class Stretch:
    """Chunks [first, stop) = `span` of some on a device, a piece of work for one core; at most `length` of them."""

    of: Placed
    span: np.ndarray
    length: int

    @property
    def data(self) -> dict:
        return self.of.data

    @property
    def units(self) -> np.ndarray:
        """The units of these chunks, in order."""
        first, stop = (int(at) - self.of.span[0] for at in self.span)
        return self.of.units[first * self.of.width : stop * self.of.width]

"""Where the chunks live: on one device, or sharded over several. Chosen here and invisible elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from .. import runtime
from ..data.chunks import Chunks

AXIS = "rows"


@dataclass(frozen=True)
class Placement:
    """The devices that hold the chunks; the default is JAX's default device."""

    devices: tuple[Any, ...]

    @staticmethod
    def default() -> Placement:
        chosen = runtime.setting("jax_default_device")
        return Placement((chosen if isinstance(chosen, jax.Device) else jax.devices(chosen)[0],))

    @property
    def n_devices(self) -> int:
        return len(self.devices)

    @property
    def mesh(self) -> Mesh:
        return Mesh(np.array(self.devices), (AXIS,), axis_types=(AxisType.Auto,))

    def place(self, chunks: Chunks) -> Placed:
        """Put the chunks on the devices, the ones that hold data spread evenly."""
        total = chunks.weights.shape[0]
        per_device = total // self.n_devices
        counts = np.array([len(part) for part in np.array_split(np.arange(chunks.count), self.n_devices)], np.int32)
        real = iter(range(chunks.count))
        spare = iter(range(chunks.count, total))
        order = np.array(
            [next(real) if i < counts[d] else next(spare) for d in range(self.n_devices) for i in range(per_device)]
        )
        if self.n_devices == 1:
            put = lambda a: jax.device_put(a, self.devices[0])
        else:
            sharding = NamedSharding(self.mesh, PartitionSpec(AXIS))
            put = lambda a: jax.device_put(a[order], sharding)
        data = {
            "columns": {k: put(v) for k, v in chunks.columns.items()},
            "designs": tuple({k: put(v) for k, v in d.items()} for d in chunks.designs),
            "offsets": {k: put(v) for k, v in chunks.offsets.items()},
            "weights": put(chunks.weights),
            "mask": None if chunks.mask is None else put(chunks.mask),
        }
        if self.n_devices == 1:
            data["count"] = put(counts)
        else:
            data["count"] = jax.device_put(counts, NamedSharding(self.mesh, PartitionSpec(AXIS)))
        where = np.empty(total, int)
        where[order] = np.arange(total)
        rows = chunks.weights.shape[-1]
        flat = np.arange(len(chunks.units))
        return Placed(data, where[flat // rows], flat % rows, chunks.units)


@dataclass(frozen=True)
class Placed:
    """Chunks on their devices; unit `units[i]` of the data set is at row `row[i]` of chunk `chunk[i]`."""

    data: dict
    chunk: np.ndarray
    row: np.ndarray
    units: np.ndarray

"""Checkpoints: a search that can be interrupted is written to a file of plain arrays after each epoch, and read back."""

from __future__ import annotations

import json
import math
import os
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ModelError

ALIKE = 1e-6
"""Relative difference of two values at the start that may be another machine's rounding."""


def save(path: str | os.PathLike[str], about: Mapping[str, Any], arrays: Sequence[Any]) -> None:
    """Write arrays with what they are about; the file is whole at every moment, whatever interrupts.

    Raises:
        ModelError: where it cannot be written.
    """
    path = Path(path)
    unfinished = path.with_name(path.name + ".part")
    try:
        with open(unfinished, "wb") as file:
            named: dict[str, Any] = {f"array_{i}": np.asarray(a) for i, a in enumerate(arrays)}
            np.savez(file, about=np.array(json.dumps(dict(about))), **named)
        os.replace(unfinished, path)
    except OSError as error:
        raise ModelError(f"checkpoint: {path} cannot be written ({error.strerror}).") from error


def load(path: str | os.PathLike[str], about: Mapping[str, Any], count: int) -> list[np.ndarray] | None:
    """The arrays of a checkpoint of a search that is `about` the same; None where there is no file yet.

    Raises:
        ModelError: for a file that is no checkpoint, and for one of another search; it says what differs.
    """
    path = Path(path)
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            then = json.loads(str(file["about"]))
            arrays = [file[f"array_{i}"] for i in range(sum(name.startswith("array_") for name in file.files))]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ModelError(f"checkpoint: {path} is not a checkpoint of jaxmle's; name another file.") from error
    differs = [f"{k} {then.get(k)!r}, not {v!r}" for k, v in about.items() if not _same(then.get(k), v)]
    if differs or len(arrays) != count:
        what = "; ".join(differs) or "another optimiser"
        raise ModelError(
            f"checkpoint: {path} is of another search ({what}). Name another file, or delete it to start afresh."
        )
    return arrays


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=ALIKE)
    return a == b

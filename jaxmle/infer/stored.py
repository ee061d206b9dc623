"""Saved fits: one npz file, JSON and plain arrays inside, no pickle and no data; written whole or not at all."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import json
import os
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ..declare import links
from ..declare.links import Link
from ..declare.model import Model
from ..errors import DataError
from ..solve.quadratic import Curvature
from .certificate import Certificate
from .derivatives import DerivativeCheck
from .directions import Direction
from .estimates import Estimates

FORMAT = 1

OURS = "jaxmle.declare."
"""Where the classes are that a saved model may name."""

_LINKS = {c.__name__: c for c in vars(links).values() if isinstance(c, type) and issubclass(c, Link)}
_TYPES = {c.__name__: c for c in (Estimates, Certificate, DerivativeCheck, Direction)} | _LINKS


def write(estimates: Estimates, path: str | Path, model: Model | None = None) -> None:
    """Write to a temporary file beside `path`, flush it to the disk, and put it in place in one move.

    A model is written too if it is made of jaxmle's own parts: a family, its formulas with all that they have learnt. Of
    another, whose density is code, those of its parameters that are.
    """
    path = Path(path)
    if path.is_dir():
        raise DataError(f"{path} is a directory: name a file in it.")
    arrays: dict[str, np.ndarray] = {}
    tree = _encode(estimates, arrays)
    whole = _plain_model(model, arrays)
    learnt = _plain_params(model, arrays) if whole is None else None
    text = json.dumps({"format": FORMAT, "fit": tree, "model": whole, "params": learnt})
    text = np.frombuffer(text.encode(), dtype=np.uint8)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez_compressed(file, **{"json": text, **arrays})  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, _ordinary_mode())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def read(path: str | Path) -> tuple[Estimates, Model | None, Mapping[str, Any]]:
    """The estimates that `write` wrote, and the model if it could, or else those of its parameters that it could.

    Raises:
        DataError: if the file is none of ours, or of a later format.
    """
    if Path(path).is_dir():
        raise DataError(f"{path} is a directory: name a file in it.")
    try:
        # opened here: where the archive is damaged, NumPy leaves a file that it has opened to the garbage collector
        with open(path, "rb") as handle, np.load(handle, allow_pickle=False) as file:
            content = json.loads(bytes(file["json"]).decode())
            arrays = {name: file[name] for name in file.files if name != "json"}
        if content["format"] == FORMAT:
            model, learnt = (_decode(content.get(part), arrays) for part in ("model", "params"))
            return _decode(content["fit"], arrays), None if model is None else Model(**model), learnt or {}
    except (LookupError, ValueError, TypeError, AttributeError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise DataError(f"{path} is not a fit saved by jaxmle, or is damaged.") from error
    raise DataError(f"{path} has format {content['format']}, which this version cannot read; upgrade jaxmle.")


def _ordinary_mode() -> int:
    """The permissions of a new file of the user's: those of a temporary file let nobody else read."""
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def _plain_model(model: Model | None, arrays: dict[str, np.ndarray]) -> Any:
    """A model as JSON, None if code of the user's is part of it; starts and priors are not needed any more."""
    if model is None:
        return None
    fields = {f.name: getattr(model, f.name) for f in dataclasses.fields(model)} | {"params": _settled(model)}
    try:
        return {"dict": [[name, _plain(value, arrays)] for name, value in fields.items()]}
    except _NotPlain:
        return None


def _plain_params(model: Model | None, arrays: dict[str, np.ndarray]) -> Any:
    """The parameters of a model as JSON, but for those that code of the user's is part of."""
    out = []
    for name, parameter in _settled(model).items() if model is not None else ():
        with contextlib.suppress(_NotPlain):
            out.append([name, _plain(parameter, arrays)])
    return {"dict": out}


def _settled(model: Model) -> dict[str, Any]:
    return {k: dataclasses.replace(p, start=None, prior=None) for k, p in model.params.items()}


class _NotPlain(Exception):
    """Something that cannot be written as data."""


def _is_ours(kind: type) -> bool:
    return kind.__module__.startswith(OURS) and "<locals>" not in kind.__qualname__


def _plain(x: Any, arrays: dict[str, np.ndarray]) -> Any:
    """Parts of a model as JSON: dataclasses and distributions of jaxmle's own by their names."""
    if isinstance(x, type) and _is_ours(x):
        return {"class": f"{x.__module__}:{x.__qualname__}"}
    if dataclasses.is_dataclass(x) and _is_ours(type(x)):
        fields = {f.name: _plain(getattr(x, f.name), arrays) for f in dataclasses.fields(x) if f.init}
        return {"part": f"{type(x).__module__}:{type(x).__qualname__}", "fields": fields}
    if isinstance(x, dict):
        return {"dict": [[_plain(k, arrays), _plain(v, arrays)] for k, v in x.items()]}
    if isinstance(x, (list, tuple)):
        return {"tuple" if isinstance(x, tuple) else "list": [_plain(v, arrays) for v in x]}
    if x is None or isinstance(x, (str, bool, int, float, np.generic, np.ndarray)):
        return _encode(x, arrays)
    raise _NotPlain


def _part(name: str) -> type:
    """One of jaxmle's own classes by its name; nothing else is ever imported for a file."""
    module, _, kind = name.partition(":")
    if not module.startswith(OURS):
        raise ValueError(name)
    return getattr(importlib.import_module(module), kind)


def _encode(x: Any, arrays: dict[str, np.ndarray]) -> Any:
    if isinstance(x, (np.bool_, np.integer, np.floating)):
        return x.item()
    if x is None or isinstance(x, (str, bool, int, float)):
        return x
    if isinstance(x, np.ndarray) and x.size > 1 and not any(x.strides):
        return {"same": x.flat[0].item(), "shape": list(x.shape)}
    if isinstance(x, (np.ndarray, jax.Array)):
        name = f"a{len(arrays)}"
        arrays[name] = np.asarray(x, order="C")
        return {"array": name}
    if isinstance(x, Curvature):
        return _encode(x.extremes, arrays)
    if type(x).__name__ in _TYPES:
        fields = {f.name: _encode(getattr(x, f.name), arrays) for f in dataclasses.fields(x)}
        return {"type": type(x).__name__, "fields": fields}
    if isinstance(x, dict):
        return {"dict": [[_encode(k, arrays), _encode(v, arrays)] for k, v in x.items()]}
    if isinstance(x, (list, tuple)) and not hasattr(x, "_fields"):
        return {"tuple" if isinstance(x, tuple) else "list": [_encode(v, arrays) for v in x]}
    # any other pytree, such as a module of a neural network: its arrays by their paths
    leaves = jax.tree_util.tree_leaves_with_path(x)
    of_numbers = {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves if not callable(leaf)}
    return _encode({path: leaf for path, leaf in of_numbers.items() if leaf.dtype.kind in "fiub"}, arrays)


def _decode(x: Any, arrays: dict[str, np.ndarray]) -> Any:
    if not isinstance(x, dict):
        return x
    if "array" in x:
        return arrays[x["array"]]
    if "same" in x:
        return np.broadcast_to(np.float64(x["same"]), x["shape"])
    if "class" in x:
        return _part(x["class"])
    if "part" in x:
        return _part(x["part"])(**{k: _decode(v, arrays) for k, v in x["fields"].items()})
    if "type" in x:
        return _TYPES[x["type"]](**{k: _decode(v, arrays) for k, v in x["fields"].items()})
    if "dict" in x:
        return {_decode(k, arrays): _decode(v, arrays) for k, v in x["dict"]}
    kind = "tuple" if "tuple" in x else "list"
    items = [_decode(v, arrays) for v in x[kind]]
    return tuple(items) if kind == "tuple" else items

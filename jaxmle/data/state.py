"""What a formula learnt, as JSON and back: arrays, and mappings whose keys are not text, by a tag; floats exactly."""

from __future__ import annotations

import json
from typing import Any

import numpy as np


def to_json(state: Any) -> str:
    """`state` as text; raises `TypeError` for what is neither a number, text, a list, a mapping nor an array."""
    return json.dumps(_plain(state))


def from_json(text: str) -> Any:
    """What `to_json` was given; tuples have become lists."""
    return _restored(json.loads(text))


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return {"array": value.tolist(), "shape": list(value.shape), "dtype": value.dtype.str}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, dict):
        if all(isinstance(k, str) for k in value) and "array" not in value and "items" not in value:
            return {k: _plain(v) for k, v in value.items()}
        return {"items": [[_plain(k), _plain(v)] for k, v in value.items()]}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value


def _restored(value: Any) -> Any:
    if isinstance(value, list):
        return [_restored(v) for v in value]
    if not isinstance(value, dict):
        return value
    if "array" in value:
        return np.array(value["array"], np.dtype(value["dtype"])).reshape(value["shape"])
    if "items" in value:
        return {_restored(k): _restored(v) for k, v in value["items"]}
    return {k: _restored(v) for k, v in value.items()}

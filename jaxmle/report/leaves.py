"""Parameters of thousands of numbers in a summary: one line for each array, not one for each number."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from jax.tree_util import keystr, tree_leaves_with_path

from ..infer.estimates import Estimates
from .digits import MINUS, count


def summarised(e: Estimates, most: int) -> dict[str, tuple[str, ...]]:
    """For each parameter that is a tree of more than `most` numbers, the lines that say what it holds."""
    size: dict[str, int] = {}
    for group in e.groups:
        size[group] = size.get(group, 0) + 1
    return {
        group: _lines(group, e.params[group], n)
        for group, n in size.items()
        if n > most and group in e.params and not isinstance(e.params[group], np.ndarray | float)
    }


def _lines(name: str, tree: Any, n: int) -> tuple[str, ...]:
    leaves = [(keystr(path), np.asarray(leaf)) for path, leaf in tree_leaves_with_path(tree) if np.ndim(leaf) >= 0]
    leaves = [(path, x) for path, x in leaves if x.dtype.kind == "f"]
    width = max(len(path) for path, _ in leaves)
    shapes = [" × ".join(map(str, x.shape)) or "1" for _, x in leaves]
    most = max(map(len, shapes))
    out = [f"{name}: {count(n, 'number')} in {count(len(leaves), 'array')}"]
    for (path, x), shape in zip(leaves, shapes):
        text = f"  {path:{width}}  {shape:>{most}}  mean {x.mean():.3g}, standard deviation {x.std():.3g}"
        text += f", from {x.min():.3g} to {x.max():.3g}" if prod(x.shape) > 1 else ""
        out.append(text.replace("e-", "e\0").replace("-", MINUS).replace("e\0", "e-"))
    return tuple(out)

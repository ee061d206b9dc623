"""Tree: any pytree of float arrays as one parameter, so that a neural network is a parameter like any other."""

from __future__ import annotations

import math
import reprlib
from dataclasses import dataclass, field
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.tree_util import keystr, tree_flatten_with_path, tree_leaves, tree_structure, tree_unflatten
from jax.typing import ArrayLike

from ..errors import ModelError
from .domains import Bounds, Domain, bracket, free_values, numbers
from .links import LINKS, Link


@dataclass(frozen=True)
class Tree(Domain):
    """A pytree of arrays of real numbers, left as they are; `pytree` gives the structure, the shapes and the start.

    With `shape`, every leaf has that many leading axes more. Raises `ModelError` for a leaf that does not hold floats.
    """

    pytree: Any = field(compare=False)
    structure: Any = field(init=False, repr=False)
    """The tree definition and the path and shape of each leaf: what makes two trees alike."""

    elementwise: ClassVar[bool] = True

    def __post_init__(self) -> None:
        flat, treedef = tree_flatten_with_path(self.pytree)
        if not flat:
            raise ModelError(f"Tree needs a pytree with at least one array of floats, got {reprlib.repr(self.pytree)}.")
        leaves = [_floats(leaf, keystr(path)) for path, leaf in flat]
        self._set("structure", (treedef, tuple((keystr(path), leaf.shape) for (path, _), leaf in zip(flat, leaves))))
        self._set("pytree", self._freeze(tree_unflatten(treedef, leaves)))
        super().__post_init__()

    @staticmethod
    def _freeze(value: Any) -> Any:
        for leaf in tree_leaves(value):
            leaf.flags.writeable = False
        return value

    def _shapes(self) -> list[tuple[int, ...]]:
        return [(*self.batch, *shape) for _, shape in self.structure[1]]

    @property
    def size(self) -> int:
        return sum(math.prod(shape) for shape in self._shapes())

    def constrain(self, u: ArrayLike) -> Any:
        # not jax.flatten_util.ravel_pytree: it ties the leaves to the precision of the moment of declaration
        shapes = self._shapes()
        parts = jnp.split(free_values(u), np.cumsum([math.prod(shape) for shape in shapes])[:-1])
        return tree_unflatten(self.structure[0], [part.reshape(shape) for part, shape in zip(parts, shapes)])

    def unconstrain(self, theta: Any) -> Array:
        return jnp.concatenate([free_values(leaf).reshape(-1) for leaf in tree_leaves(theta)])

    def default(self) -> Any:
        return self.check(self.pytree, "Tree")

    def check(self, theta: Any, name: str) -> Any:
        """`theta` with fresh float64 NumPy leaves of the declared structure and shapes.

        Raises `ModelError` with the name, the leaf, the element and what was expected.
        """
        treedef, leaves = self.structure
        if tree_structure(theta) != treedef:
            known, given = [path for path, _ in leaves], [keystr(path) for path, _ in tree_flatten_with_path(theta)[0]]
            missing, extra = [p for p in known if p not in given], [p for p in given if p not in known]
            parts = [f"{word} {', '.join(paths)}" for word, paths in (("without", missing), ("with", extra)) if paths]
            detail = f" ({' and '.join(parts)})" if parts else ""
            raise ModelError(f"{name}: got the structure {tree_structure(theta)}{detail}; expected {treedef}.")
        checked = [
            self._check_leaf(leaf, f"{name}{path}", shape) for leaf, (path, shape) in zip(tree_leaves(theta), leaves)
        ]
        return tree_unflatten(treedef, checked)

    def _check_leaf(self, leaf: Any, name: str, core: tuple[int, ...]) -> np.ndarray:
        full = (*self.batch, *core)
        expected = f"finite numbers of shape {full}"
        array = numbers(leaf, name, expected)
        if array.shape not in (full, core):
            raise ModelError(f"{name}: got an array of shape {array.shape}; expected {expected}.")
        for at in np.argwhere(~np.isfinite(array)):
            where = f": element {bracket(tuple(at))}" if array.ndim else ""
            raise ModelError(f"{name}{where} is {float(array[tuple(at)])!r}; expected {expected}.")
        return np.array(np.broadcast_to(array, full))

    def reported(self, theta: Any) -> Array:
        return self.unconstrain(theta)

    def labels(self) -> tuple[str, ...]:
        paths = [path for path, _ in self.structure[1]]
        return tuple(f"{path}{bracket(at)}" for path, shape in zip(paths, self._shapes()) for at in np.ndindex(*shape))

    def links(self) -> tuple[Link, ...]:
        return (LINKS["identity"],) * self.size

    def bounds(self) -> Bounds:
        return ((-math.inf, math.inf),) * self.size

    def describe(self) -> str:
        return f"a pytree of finite numbers with the structure {self.structure[0]}"


def _floats(leaf: Any, path: str) -> np.ndarray:
    """A float64 copy of a leaf of floats; integers, which cannot be differentiated, and anything else are refused."""
    name = f"Tree leaf {path}" if path else "Tree"
    dtype = getattr(leaf, "dtype", None) or (np.dtype(float) if isinstance(leaf, float) else None)
    if dtype is not None and jnp.issubdtype(dtype, np.floating):
        array = numbers(leaf, name, "floats")
        if not np.all(np.isfinite(array)):
            raise ModelError(f"{name}: it holds values that are not finite; expected finite floats.")
        return array
    kind = f"type {dtype}" if dtype is not None else f"a {type(leaf).__name__}"
    remedy = "write it as floats, or " if dtype is not None or isinstance(leaf, int) else ""
    raise ModelError(f"{name}: got {kind}; expected an array of floats: {remedy}keep it outside the parameter.")

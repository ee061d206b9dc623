"""Tree: any pytree of float arrays as one parameter, so that a neural network is a parameter like any other."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.tree_util import (
    GetAttrKey,
    keystr,
    register_dataclass,
    tree_flatten,
    tree_flatten_with_path,
    tree_structure,
    tree_unflatten,
)
from jax.typing import ArrayLike

from ..errors import ModelError
from .domains import Bounds, Domain, bracket, free_values, numbers
from .links import LINKS, Link


class Itself:
    """A value that is equal to itself alone where it cannot be hashed: what decides how a program is compiled."""

    def __init__(self, value: Any) -> None:
        self.value = value
        try:
            self._hash, self._comparable = hash(value), True
        except TypeError:
            self._hash, self._comparable = id(value), False

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Itself):
            return False
        return self.value is other.value or (self._comparable and other._comparable and bool(self.value == other.value))


@partial(register_dataclass, data_fields=["arrays"], meta_fields=["treedef", "rest"])
@dataclass(frozen=True)
class Module:
    """A tree with leaves that are no numbers, such as a network's activation functions: its arrays, and the rest apart.

    So it goes through compiled programs, which take arrays alone; `whole` is what the user declared, with these arrays.
    """

    arrays: tuple[Any, ...]
    treedef: Any
    rest: tuple[tuple[int, Itself], ...]

    @property
    def whole(self) -> Any:
        return _merged(self.treedef, list(self.arrays), self.rest)


def opened(params: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters by name with each module as the user declared it."""
    return {name: x.whole if isinstance(x, Module) else x for name, x in params.items()}


def _merged(treedef: Any, arrays: list[Any], rest: tuple[tuple[int, Itself], ...]) -> Any:
    leaves = list(arrays)
    for position, kept in rest:  # in order
        leaves.insert(position, kept.value)
    return tree_unflatten(treedef, leaves)


@dataclass(frozen=True)
class Tree(Domain):
    """A pytree of arrays of real numbers, left as they are; `pytree` gives the structure, the shapes and the start.

    It may be a module of a neural-network library (equinox, flax): functions among its leaves, and whatever else its
    objects hold beside arrays, are no parameters and kept as they are; the log-density gets the module back with its
    arrays replaced. With `shape`, every array has that many leading axes more.

    Raises:
        ModelError: for an array that does not hold finite floats, and for other leaves of dicts and lists.
    """

    pytree: Any = field(compare=False)
    structure: Any = field(init=False, repr=False)
    """The tree definition, the path and shape of each array, and what is kept: what makes two trees alike."""

    elementwise: ClassVar[bool] = True

    def __post_init__(self) -> None:
        flat, treedef = tree_flatten_with_path(self.pytree)
        rest = tuple((i, Itself(leaf)) for i, (path, leaf) in enumerate(flat) if _is_kept(path, leaf))
        kept = {i for i, _ in rest}
        flat = [item for i, item in enumerate(flat) if i not in kept]
        if not flat:
            raise ModelError(f"Tree needs a pytree with at least one array of floats, got {reprlib.repr(self.pytree)}.")
        arrays = [_floats(leaf, keystr(path)) for path, leaf in flat]
        shapes = tuple((keystr(path), leaf.shape) for (path, _), leaf in zip(flat, arrays))
        self._set("structure", (treedef, shapes, rest))
        self._set("pytree", self._freeze(self._joined(arrays)))
        super().__post_init__()

    def _joined(self, arrays: Sequence[Any]) -> Any:
        """The arrays in their places; what is kept stands beside them."""
        treedef, _, rest = self.structure
        return Module(tuple(arrays), treedef, rest) if rest else tree_unflatten(treedef, arrays)

    def _freeze(self, value: Any) -> Any:  # type: ignore[override]
        for leaf in self._arrays(value):
            leaf.flags.writeable = False
        return value

    def _arrays(self, theta: Any) -> list[Any]:
        """The arrays of a value of this structure, whether what is kept is among its leaves or not."""
        if isinstance(theta, Module):
            return list(theta.arrays)
        kept = {i for i, _ in self.structure[2]}
        return [leaf for i, leaf in enumerate(tree_flatten(theta)[0]) if i not in kept]

    def _shapes(self) -> list[tuple[int, ...]]:
        return [(*self.batch, *shape) for _, shape in self.structure[1]]

    @property
    def size(self) -> int:
        return sum(math.prod(shape) for shape in self._shapes())

    def constrain(self, u: ArrayLike) -> Any:
        # not jax.flatten_util.ravel_pytree: it ties the leaves to the precision of the moment of declaration
        shapes = self._shapes()
        parts = jnp.split(free_values(u), np.cumsum([math.prod(shape) for shape in shapes])[:-1])
        return self._joined([part.reshape(shape) for part, shape in zip(parts, shapes)])

    def unconstrain(self, theta: Any) -> Array:
        return jnp.concatenate([free_values(leaf).reshape(-1) for leaf in self._arrays(theta)])

    def default(self) -> Any:
        return self.check(self.pytree, "Tree")

    def check(self, theta: Any, name: str) -> Any:
        """`theta` with fresh float64 NumPy leaves of the declared structure and shapes.

        Raises `ModelError` with the name, the leaf, the element and what was expected.
        """
        treedef, leaves, _ = self.structure
        if isinstance(theta, Module):
            theta = theta.whole
        if tree_structure(theta) != treedef:
            known, given = [path for path, _ in leaves], [keystr(path) for path, _ in tree_flatten_with_path(theta)[0]]
            missing, extra = [p for p in known if p not in given], [p for p in given if p not in known]
            parts = [f"{word} {', '.join(paths)}" for word, paths in (("without", missing), ("with", extra)) if paths]
            detail = f" ({' and '.join(parts)})" if parts else ""
            raise ModelError(f"{name}: got the structure {tree_structure(theta)}{detail}; expected {treedef}.")
        checked = [
            self._check_leaf(leaf, f"{name}{path}", shape) for leaf, (path, shape) in zip(self._arrays(theta), leaves)
        ]
        return self._joined(checked)

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


def _is_kept(path: tuple[Any, ...], leaf: Any) -> bool:
    """Whether a leaf is no parameter: a function, or what an object holds beside its arrays."""
    if hasattr(leaf, "dtype"):
        return False
    return callable(leaf) or any(isinstance(key, GetAttrKey) for key in path)


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

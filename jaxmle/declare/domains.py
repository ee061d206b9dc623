"""Parameter domains: what values a parameter may take, and the smooth map of free real numbers onto them.

No log-determinant belongs to the maps: a maximum does not move under reparametrisation.
"""

from __future__ import annotations

import abc
import math
import operator
import reprlib
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from ..errors import ModelError
from .links import LINKS, Link, finite_interval, interval

Bounds = tuple[tuple[float, float], ...]


def count(value: Any, least: int, owner: str, argument: str) -> int:
    """A whole number of at least `least`; anything else is a `ModelError` in the name of `owner`."""
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool | np.bool_) or number < least:
        raise ModelError(f"{owner} needs {argument} to be a whole number of at least {least}, got {value!r}.")
    return number


def numbers(value: Any, name: str, expected: str) -> np.ndarray:
    """A fresh float64 array of real numbers; `ModelError` for booleans, text, complex numbers and ragged lists."""
    try:
        array = np.asarray(value)
    except (TypeError, ValueError):
        raise ModelError(
            f"{name}: got {reprlib.repr(value)}, which is not an array of numbers; expected {expected}."
        ) from None
    real = jnp.issubdtype(array.dtype, np.floating) or jnp.issubdtype(array.dtype, np.integer)
    if not real:
        raise ModelError(f"{name}: got {reprlib.repr(value)} of type {array.dtype}; expected {expected}.")
    return np.array(array, dtype=np.float64)


def bracket(index: tuple[int, ...]) -> str:
    """`[0,1]` for (0, 1), nothing for ()."""
    return f"[{','.join(map(str, index))}]" if index else ""


def free_values(u: ArrayLike) -> Array:
    """Unconstrained values as floats: their own precision if they have one."""
    values = jnp.asarray(u)
    return values.astype(jnp.result_type(float, values))


if TYPE_CHECKING:
    _Base = Any  # a class of distributions annotates a parameter with its domain and computes with its value
else:
    _Base = abc.ABC


@dataclass(frozen=True)
class Domain(_Base):
    """The values that a parameter may take.

    Arguments:
        shape: the parameter is an array of this shape of such values; `()` for one.
        start: where the search begins, on the natural scale.
        fixed: the value, on the natural scale, at which the whole parameter is held.
        prior: a callable, or an object with `log_prob`, of the natural value.

    Two domains are equal when they have the same structure: start, fixed and prior are not compared.

    Raises:
        ModelError: when a setting makes no sense, or the start or the fixed value is not inside the domain.
    """

    _: KW_ONLY
    shape: tuple[int, ...] | int = ()
    start: Any = field(default=None, compare=False)
    fixed: Any = field(default=None, compare=False)
    prior: Any = field(default=None, compare=False)

    elementwise: ClassVar[bool] = False
    """Whether each unconstrained value gives one reported entry, in the same order."""

    def __post_init__(self) -> None:
        owner = type(self).__name__
        given = self.shape if isinstance(self.shape, tuple | list) else (self.shape,)
        self._set("shape", tuple(count(n, 1, owner, "every length in shape") for n in given))
        if self.start is not None and self.fixed is not None:
            raise ModelError(f"{owner} got both start= and fixed=; a fixed parameter is not searched for: give one.")
        for role in ("start", "fixed"):
            if (value := getattr(self, role)) is not None:
                self._set(role, self._freeze(self.check(value, f"{role} of {owner}")))
        if not (self.prior is None or callable(self.prior) or callable(getattr(self.prior, "log_prob", None))):
            raise ModelError(f"prior of {owner}: expected a callable or an object with log_prob, got {self.prior!r}.")

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    @staticmethod
    def _freeze(value: Any) -> Any:
        value.flags.writeable = False
        return value

    @property
    def batch(self) -> tuple[int, ...]:
        """The declared shape, as a tuple."""
        return self.shape if isinstance(self.shape, tuple) else (self.shape,)

    @property
    @abc.abstractmethod
    def size(self) -> int:
        """The number of unconstrained values, over the whole shape."""

    @abc.abstractmethod
    def constrain(self, u: ArrayLike) -> Any:
        """The natural value of unconstrained values `u` of shape (size,); smooth, for use under `jax.jit`."""

    @abc.abstractmethod
    def unconstrain(self, theta: Any) -> Array:
        """The unconstrained values (size,) of a natural value `theta` inside the domain: the inverse of `constrain`."""

    @abc.abstractmethod
    def default(self) -> Any:
        """A sound start on the natural scale where none is declared; NumPy, float64."""

    @abc.abstractmethod
    def check(self, theta: Any, name: str) -> Any:
        """`theta` as float64 NumPy of the declared shape; `ModelError` if it is not inside the open domain."""

    @abc.abstractmethod
    def reported(self, theta: Any) -> Array:
        """The entries of `theta` that are reported, flat, in the order of `labels`."""

    @abc.abstractmethod
    def labels(self) -> tuple[str, ...]:
        """The place of each reported entry: `""` for a scalar, else `"[0]"`, `"[0,1]"`, ..."""

    @abc.abstractmethod
    def links(self) -> tuple[Link, ...]:
        """The scale on which an interval for each reported entry is formed."""

    @abc.abstractmethod
    def bounds(self) -> Bounds:
        """The open bounds (low, high) of each reported entry, infinite where there are none."""

    @abc.abstractmethod
    def describe(self) -> str:
        """What is expected, in words, for messages."""


@dataclass(frozen=True)
class ArrayDomain(Domain):
    """A domain whose values are arrays: a batch of the given shape of one core value each.

    To add one, write the members below that are not implemented; each speaks of one core value or, where it says
    `(..., )`, of a batch of them.
    """

    place: ClassVar[str] = "element"
    """The word for one core value in messages."""

    @property
    @abc.abstractmethod
    def core_shape(self) -> tuple[int, ...]:
        """The shape of one core value."""

    @property
    @abc.abstractmethod
    def core_free(self) -> tuple[int, ...]:
        """The shape of the unconstrained values of one core value."""

    @abc.abstractmethod
    def to_natural(self, u: Array) -> Array:
        """The natural values (..., *core_shape) of unconstrained values (..., *core_free)."""

    @abc.abstractmethod
    def to_free(self, theta: Array) -> Array:
        """The unconstrained values (..., *core_free) of natural values (..., *core_shape)."""

    @abc.abstractmethod
    def core_default(self) -> np.ndarray:
        """The default of one core value."""

    @abc.abstractmethod
    def core_links(self) -> tuple[Link, ...]:
        """The links of the reported entries of one core value."""

    @abc.abstractmethod
    def core_bounds(self) -> Bounds:
        """The bounds of the reported entries of one core value."""

    @abc.abstractmethod
    def core_words(self) -> str:
        """What one core value is, in words."""

    @abc.abstractmethod
    def fault(self, theta: np.ndarray) -> tuple[tuple[int, ...], str] | None:
        """The first thing wrong with the values (..., *core_shape): where, and what is so; None if all are legal."""

    def tidy(self, theta: np.ndarray) -> np.ndarray:
        """Legal values with their rounding errors removed."""
        return theta

    def core_entries(self) -> list[tuple[int, ...]]:
        """The indices of the reported entries of one core value; all of them unless overridden."""
        return list(np.ndindex(*self.core_shape))

    @property
    def full_shape(self) -> tuple[int, ...]:
        """The shape of the natural value: the declared shape, then the shape of one core value."""
        return (*self.batch, *self.core_shape)

    @property
    def size(self) -> int:
        return math.prod((*self.batch, *self.core_free))

    def constrain(self, u: ArrayLike) -> Array:
        return self.to_natural(free_values(u).reshape(*self.batch, *self.core_free))

    def unconstrain(self, theta: ArrayLike) -> Array:
        return self.to_free(free_values(theta).reshape(self.full_shape)).reshape(self.size)

    def default(self) -> np.ndarray:
        return np.array(np.broadcast_to(self.core_default(), self.full_shape), dtype=np.float64)

    def check(self, theta: Any, name: str) -> np.ndarray:
        """`theta` as a fresh float64 array of the full shape; one core value is taken for every place of the shape.

        Raises `ModelError` with the name, the element, its value and what was expected.
        """
        array = numbers(theta, name, self.describe())
        if array.shape not in (self.full_shape, self.core_shape):
            got = f"an array of shape {array.shape}" if array.shape else f"the number {float(array)!r}"
            raise ModelError(f"{name}: got {got}; expected {self.describe()}.")
        array = np.array(np.broadcast_to(array, self.full_shape))
        bad = np.argwhere(~np.isfinite(array))
        found = (tuple(bad[0]), f"is {float(array[tuple(bad[0])])!r}") if len(bad) else self.fault(array)
        if found is not None:
            where, what = found
            subject = f": {self.place if len(where) < array.ndim else 'element'} {bracket(where)}" if where else ""
            raise ModelError(f"{name}{subject} {what}; expected {self.core_words()}.")
        return self.tidy(array)

    def reported(self, theta: ArrayLike) -> Array:
        picks = tuple(np.array(axis) for axis in zip(*self.core_entries()))
        return jnp.asarray(theta)[(..., *picks)].reshape(-1)

    def labels(self) -> tuple[str, ...]:
        return tuple(bracket((*at, *entry)) for at in np.ndindex(*self.batch) for entry in self.core_entries())

    def links(self) -> tuple[Link, ...]:
        return self.core_links() * math.prod(self.batch)

    def bounds(self) -> Bounds:
        return self.core_bounds() * math.prod(self.batch)

    def describe(self) -> str:
        if not self.shape:
            return self.core_words()
        return f"an array of shape {self.full_shape}, each {self.place} {self.core_words()}"


@dataclass(frozen=True)
class Elementwise(ArrayDomain):
    """Numbers between two bounds, each the inverse link of one unconstrained value, by default of zero."""

    elementwise: ClassVar[bool] = True
    core_shape: ClassVar[tuple[int, ...]] = ()
    core_free: ClassVar[tuple[int, ...]] = ()

    @property
    @abc.abstractmethod
    def link(self) -> Link:
        """The link from the natural to the unconstrained scale."""

    def to_natural(self, u: Array) -> Array:
        return self.link.inverse(u)

    def to_free(self, theta: Array) -> Array:
        return self.link.forward(theta)

    def core_links(self) -> tuple[Link, ...]:
        return (self.link,)

    def fault(self, theta: np.ndarray) -> tuple[tuple[int, ...], str] | None:
        ((low, high),) = self.core_bounds()
        outside = np.argwhere(~((low < theta) & (theta < high)))
        if not len(outside):
            return None
        return tuple(outside[0]), f"is {float(theta[tuple(outside[0])])!r}"


@dataclass(frozen=True)
class Real(Elementwise):
    """Any real number, left as it is."""

    @property
    def link(self) -> Link:
        return LINKS["identity"]

    def core_default(self) -> np.ndarray:
        return np.array(0.0)

    def core_bounds(self) -> Bounds:
        return ((-math.inf, math.inf),)

    def core_words(self) -> str:
        return "a finite number"


@dataclass(frozen=True)
class Positive(Elementwise):
    """A positive number, the exponential of a real one, so that the search does not depend on its unit."""

    @property
    def link(self) -> Link:
        return LINKS["log"]

    def core_default(self) -> np.ndarray:
        return np.array(1.0)

    def core_bounds(self) -> Bounds:
        return ((0.0, math.inf),)

    def core_words(self) -> str:
        return "a positive number"


@dataclass(frozen=True)
class UnitInterval(Elementwise):
    """A number between 0 and 1, the logistic function of a real one."""

    @property
    def link(self) -> Link:
        return LINKS["logit"]

    def core_default(self) -> np.ndarray:
        return np.array(0.5)

    def core_bounds(self) -> Bounds:
        return ((0.0, 1.0),)

    def core_words(self) -> str:
        return "a number strictly between 0 and 1"


@dataclass(frozen=True)
class Interval(Elementwise):
    """A number in the open interval (low, high), the scaled logistic function of a real one.

    Raises `ModelError` unless both bounds are finite and low < high.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        low, high = finite_interval(self.low, self.high, "Interval")
        self._set("low", low)
        self._set("high", high)
        super().__post_init__()

    @property
    def link(self) -> Link:
        return interval(self.low, self.high)

    def core_default(self) -> np.ndarray:
        return np.array(self.low + (self.high - self.low) / 2)

    def core_bounds(self) -> Bounds:
        return ((self.low, self.high),)

    def core_words(self) -> str:
        return f"a number strictly between {self.low:.12g} and {self.high:.12g}"

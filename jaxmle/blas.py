"""NumPy's matrix products on one thread while jaxmle works: its passes need the other cores.

A thread of OpenBLAS that has had work waits for more by asking again and again, for a tenth of a second, and so keeps a
core from whatever comes next; products of a few thousand numbers are enough to wake it. JAX has threads of its own.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import importlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

from .process import Shared

NAMES = ("scipy_openblas_{}_num_threads64_", "scipy_openblas_{}_num_threads", "openblas_{}_num_threads")
"""As in NumPy's own wheels, and where it was built with an OpenBLAS of the system; other libraries are let be."""


class Threads(NamedTuple):
    """How many threads the library uses, read and set."""

    get: Callable[[], int]
    set: Callable[[int], None]


@functools.cache
def threads() -> Threads | None:
    """The switch of NumPy's OpenBLAS; None where there is none."""
    with contextlib.suppress(OSError, ImportError, TypeError):
        library = ctypes.CDLL(importlib.import_module("numpy.linalg._umath_linalg").__file__)
        for name in NAMES:
            with contextlib.suppress(AttributeError):
                return Threads(getattr(library, name.format("get")), getattr(library, name.format("set")))
    return None


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    switch = threads()
    before = 1 if switch is None else switch.get()
    if switch is None or before == 1:
        yield
        return
    switch.set(1)
    try:
        yield
    finally:
        switch.set(before)


one_thread = Shared(_one_thread)
"""Inside, NumPy's BLAS uses one thread; afterwards as many as before."""

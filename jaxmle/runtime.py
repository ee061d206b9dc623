"""The only file that touches JAX's configuration: the local float64 scope, the compile cache, known-bad compilers."""

from __future__ import annotations

import contextlib
import functools
import gc
import os
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import IO, Any

import jax
import numpy as np
from jax.experimental.compilation_cache import compilation_cache
from jaxlib.version import __version__ as JAXLIB

from .errors import ModelError
from .process import Shared, uncollected

MAX_KERNEL_ROWS = 8192
"""No compiled kernel sees more rows than this: faster on CPUs, and safe from the known miscompilations."""

_CACHE_FLAGS = {
    "jax_compilation_cache_dir": None,  # filled in when a scope opens
    "jax_persistent_cache_min_compile_time_secs": 0.0,
    "jax_persistent_cache_min_entry_size_bytes": -1,
}


ONE_THREAD = {"xla_cpu_multi_thread_eigen": False}
"""The compiler's options for passes over the data: a CPU's cores each run a pass of their own (`call_each`)."""

QUICKLY = (
    {"xla_cpu_use_fusion_emitters": False} if JAXLIB.split(".")[:2] in (["0", "8"], ["0", "9"], ["0", "10"]) else {}
)
"""Options for programs on all but the largest data, where the compiler is known to have them: half of the compiling, and
40 MB less, for loops that are mostly as fast and at worst take a fifth longer."""

LAPACK_WAITS = JAXLIB.split(".")[:2] == ["0", "10"] or JAXLIB in ("0.11.0", "0.11.1")
"""Whether calls of LAPACK for many matrices may wait for each other for ever on a CPU: each keeps a thread of XLA's, and
waits for others to do a part of its work."""

LITTLE_BYTES = 1 << 29
"""Arguments of a program up to which a longer compiling is not worth it, but for many fits."""

LANE_BYTES = 1 << 19
"""The least data that are worth another thread."""

LARGE_BYTES = 1 << 27
"""On so much data a core may fall behind another: it is cut into four pieces a core, and who is done early takes more."""


def cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def spans(n: int, size: int) -> list[slice]:
    """range(n), on which there are `size` bytes of data, in pieces of one length (but for the last) for the cores."""
    most = cores() * (4 if size >= LARGE_BYTES else 1)
    pieces = min(n, most, size // LANE_BYTES) if cores() > 1 else 1
    length = -(-n // max(1, pieces)) or 1
    return [slice(i, min(i + length, n)) for i in range(0, n, length)]


@functools.cache
def _helpers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max(1, cores() - 1), thread_name_prefix="jaxmle")


def in_lanes(f: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
    """`f` of every item, on as many cores as there are, the caller's own among them; `f` must not call this itself."""
    out, numbers = [None] * len(items), iter(range(len(items)))

    def work() -> None:
        try:
            for i in numbers:
                out[i] = f(items[i])
        finally:
            deque(numbers, maxlen=0)  # whoever fails leaves nothing to the others

    helpers = [_helpers().submit(work) for _ in range(min(cores(), len(items)) - 1)]
    try:
        work()
    finally:
        begun = [helper for helper in helpers if not helper.cancel()]  # the others are busy with another thread's
        wait(begun)
    for helper in begun:
        helper.result()
    return out


def setting(name: str) -> Any:
    """One of JAX's global settings, read."""
    return getattr(jax.config, name)


def cache_dir() -> Path | None:
    """The folder of the persistent compile cache, or None when `JAXMLE_CACHE_DIR` is set to `off`.

    `JAXMLE_CACHE_DIR` names another folder; the default is `jaxmle` in the user's cache folder.
    """
    chosen = os.environ.get("JAXMLE_CACHE_DIR")
    if chosen is not None:
        return None if chosen.strip().lower() in ("", "0", "off", "none") else Path(chosen)
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "jaxmle"
    except RuntimeError:  # no home
        return None


def _usable(folder: Path) -> bool:
    """Whether the folder is there, or can be made, for writing; where not, nothing is kept and nothing is said."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)


@contextlib.contextmanager
def _compile_cache() -> Iterator[None]:
    """Keep what is compiled inside on disk, unless the user has set a cache of their own.

    JAX has one global setting for the folder: it is set on entering and put back on leaving, and JAX's handle on
    the folder is dropped, so that programs of the user's own are never written to it.
    """
    folder = cache_dir()
    if folder is None or setting("jax_compilation_cache_dir") is not None or not _usable(folder):
        yield
        return
    before = {name: setting(name) for name in _CACHE_FLAGS}
    compilation_cache.reset_cache()
    for name, value in (_CACHE_FLAGS | {"jax_compilation_cache_dir": str(folder)}).items():
        jax.config.update(name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            jax.config.update(name, value)
        compilation_cache.reset_cache()


compile_cache = Shared(_compile_cache)
"""What is compiled while a thread is inside is kept on disk; JAX's global settings are as before afterwards."""


@contextlib.contextmanager
def x64() -> Iterator[None]:
    """Run the body, in this thread, with 64-bit numbers and full-precision matrix products."""
    with (
        jax.enable_x64(True),
        jax.default_matmul_precision("highest"),
        jax.transfer_guard_host_to_device("allow"),  # `jax.transfer_guard` enters these three at four times their cost
        jax.transfer_guard_device_to_device("allow"),
        jax.transfer_guard_device_to_host("allow"),
    ):
        yield


def check_compiler(rows: int, precision: str, version: str = JAXLIB, platform: str | None = None) -> None:
    """Refuse a unit of more than `MAX_KERNEL_ROWS` rows where the installed compiler is known to get it wrong.

    jaxlib 0.10.2 on CPU returns wrong rows for small matrix-vector products in float64, 0.9.2 to 0.10.1 in float32
    only. Kernels of at most 8,192 rows were never wrong. Raises `ModelError`.
    """
    if rows <= MAX_KERNEL_ROWS or (platform or jax.default_backend()) != "cpu":
        return
    bad = version.startswith("0.10.2") or (precision == "float32" and version in ("0.9.2", "0.10.0", "0.10.1"))
    if bad:
        raise ModelError(
            f"jaxlib {version} is known to miscompile kernels of more than {MAX_KERNEL_ROWS} rows on CPU "
            f"({precision}), and this density needs one: its largest unit of observation has {rows} rows. Install "
            "another release (pip install 'jaxlib!=0.10.2'), use precision='float64', or write the density for "
            "smaller units."
        )


@contextlib.contextmanager
def _quiet_loader() -> Iterator[None]:
    """Keep one false alarm of XLA off stderr: reading a program back from the cache, its CPU loader takes tuning
    preferences of the compiler for missing features of the machine and prints a page about each
    (github.com/openxla/xla/issues/44565). Whatever else is written to stderr meanwhile comes through afterwards.
    """
    with contextlib.ExitStack() as stack:
        if jax.default_backend() == "cpu" and setting("jax_compilation_cache_dir") is not None:
            with contextlib.suppress(OSError):  # nowhere to hold it, or no stderr: a daemon, a window without console
                kept = os.dup(2)  # before another file takes the number of a closed stderr
                stack.callback(os.close, kept)
                held = stack.enter_context(tempfile.TemporaryFile())
                _flush_stderr()
                os.dup2(held.fileno(), 2)
                stack.callback(_let_go, held, kept)
        yield


def _let_go(held: IO[bytes], kept: int) -> None:
    """Put stderr, kept under another number, back in its place, and pass on what was held but for the false alarm."""
    _flush_stderr()
    os.dup2(kept, 2)
    held.seek(0)
    with contextlib.suppress(OSError):
        for line in held:
            if b"cpu_aot_loader.cc" not in line:
                os.write(2, line)


def _flush_stderr() -> None:
    if sys.stderr is not None:
        with contextlib.suppress(ValueError, OSError):  # closed
            sys.stderr.flush()


quiet_loader = Shared(_quiet_loader)


class Compilation:
    """What JAX compiles inside the block: `with Compilation() as c: ...; c.count, c.from_disk, c.seconds`.

    `count` programs were needed, of which `from_disk` were read from a compile cache; `seconds` were spent on
    tracing, lowering and compiling.
    """

    _threads = threading.local()
    _listening = False

    def __init__(self) -> None:
        self.count, self.from_disk, self.seconds = 0, 0, 0.0

    @classmethod
    def open_here(cls) -> list[Compilation]:
        """The counters that are open in this thread: JAX compiles, and tells of it, in the thread that calls."""
        return cls._threads.__dict__.setdefault("counters", [])

    def __enter__(self) -> Compilation:
        if not Compilation._listening:
            Compilation._listening = True
            jax.monitoring.register_event_duration_secs_listener(_on_duration)
            jax.monitoring.register_event_listener(_on_event)
        self.open_here().append(self)
        return self

    def __exit__(self, *_: object) -> None:
        self.open_here().remove(self)


def _on_duration(event: str, duration_secs: float, **_: object) -> None:
    for counter in Compilation.open_here():
        counter.count += event == "/jax/core/compile/backend_compile_duration"
        counter.seconds += duration_secs if event.startswith("/jax/core/compile/") else 0.0


def _on_event(event: str, **_: object) -> None:
    for counter in Compilation.open_here():
        counter.from_disk += event == "/jax/compilation_cache/cache_hits"


_called: set[int] = set()


MOST_MAPS = 40_000
"""Memory maps of this process (Linux allows 65,530) at which compiled programs are forgotten: each takes about six."""

PROGRAMS_BETWEEN = 100
"""Programs compiled from one look at the maps to the next."""

_since_look = 0


def _make_room(compiled: int) -> None:
    """Forget what is compiled before a process that fits thousands of models of different shapes has no map left."""
    global _since_look
    _since_look += compiled
    if _since_look < PROGRAMS_BETWEEN:
        return
    _since_look = 0
    with contextlib.suppress(OSError):  # no such file but on Linux
        with open("/proc/self/maps", "rb") as maps:
            used = sum(1 for _ in maps)
        if used > MOST_MAPS:
            forget_programs()


def forget_programs() -> None:
    """Drop every compiled program of the process; what is needed again comes from the compile cache."""
    gc.collect()
    jax.clear_caches()
    _called.clear()


_programs: dict[Callable[..., Any], Callable[[bool], Callable[..., Any]]] = {}
"""The same programs as they are compiled quickly or not."""


def jit(f: Callable[..., Any], static_argnums: int | tuple[int, ...] = ()) -> Any:
    """`jax.jit` of a program that `call` runs, compiled for one core, and on little data quickly."""
    program = jax.jit(f, static_argnums=static_argnums)  # inside others it has no options

    @functools.cache  # made when first asked for: importing jaxmle makes none
    def compiled(quickly: bool) -> Callable[..., Any]:
        options = ONE_THREAD | (QUICKLY if quickly else {})
        return jax.jit(f, static_argnums=static_argnums, compiler_options=options)

    _programs[program] = compiled
    return program


def _fitting(f: Callable[..., Any], args: Any) -> tuple[Callable[..., Any], int]:
    """The program that suits the size of its arguments, and the number of what is compiled for them."""
    leaves, tree = jax.tree.flatten(args)
    if f in _programs:
        little = sum(getattr(x, "nbytes", 0) for x in leaves) <= LITTLE_BYTES
        f = _programs[f](little and bool(QUICKLY))
    # a program is compiled for each device apart
    kinds = ((x.shape, x.dtype, getattr(x, "sharding", None)) if hasattr(x, "shape") else x for x in leaves)
    return f, hash((f, tree, tuple(kinds)))


def _ready(f: Callable[..., Any], args: Sequence[Any]) -> Any:
    with x64():
        out = f(*args)
    return jax.block_until_ready(out)  # a small program is done by now, and this thread need not fall asleep for it


def on_host(out: Any) -> Any:
    """The arrays that a program returned as NumPy's: on a CPU the same memory."""
    return jax.tree.map(np.asarray, out) if jax.default_backend() == "cpu" else jax.device_get(out)


def call(f: Callable[..., Any], *args: Any) -> tuple[Any, float, float]:
    """Run a jitted function in the float64 scope: its result when ready, seconds of compiling, seconds of running.

    What it compiles is kept on disk. A call like an earlier one compiles nothing, and leaves the cache alone.
    """
    start = time.perf_counter()
    f, key = _fitting(f, args)
    if key in _called:
        out = _ready(f, args)
        return out, 0.0, time.perf_counter() - start
    with compile_cache, quiet_loader, uncollected, Compilation() as compilation:
        out = _ready(f, args)
    _called.add(key)
    _make_room(compilation.count)
    wall = time.perf_counter() - start
    compiling = min(compilation.seconds, wall)
    return out, compiling, wall - compiling


def call_each(f: Callable[..., Any], calls: Sequence[tuple]) -> tuple[list[Any], float, float]:
    """`call` with each of several arguments, side by side on the cores; what must be compiled is, once, beforehand."""
    if len(calls) == 1:
        out, compiling, running = call(f, *calls[0])
        return [out], compiling, running
    start, compiling = time.perf_counter(), 0.0
    done: dict[int, Any] = {}
    programs = [_fitting(f, args) for args in calls]
    for i, (program, key) in enumerate(programs):
        if key not in _called:
            done[i], seconds, _ = call(program, *calls[i])
            compiling += seconds

    left = [i for i in range(len(calls)) if i not in done]
    done |= zip(left, in_lanes(lambda i: _ready(programs[i][0], calls[i]), left))
    return [done[i] for i in range(len(calls))], compiling, time.perf_counter() - start - compiling

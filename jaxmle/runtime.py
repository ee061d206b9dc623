"""The only file that touches JAX's configuration: a local float64 scope, the compile cache, the list of bad compilers."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jaxlib
from jax.experimental.compilation_cache import compilation_cache

from .errors import ModelError

MAX_KERNEL_ROWS = 8192
"""No compiled kernel sees more rows than this: faster on CPUs, and safe from the known miscompilations."""

_CACHE_FLAGS = {
    "jax_compilation_cache_dir": None,  # filled in when a scope opens
    "jax_persistent_cache_min_compile_time_secs": 0.0,
    "jax_persistent_cache_min_entry_size_bytes": -1,
}

_depth = 0


def cache_dir() -> Path | None:
    """The folder of the persistent compile cache, or None when `JAXMLE_CACHE_DIR` is set to `off`.

    `JAXMLE_CACHE_DIR` names another folder; the default is `jaxmle` in the user's cache folder.
    """
    chosen = os.environ.get("JAXMLE_CACHE_DIR")
    if chosen is not None:
        return None if chosen.strip().lower() in ("", "0", "off", "none") else Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "jaxmle"


@contextlib.contextmanager
def _compile_cache() -> Iterator[None]:
    """Keep what is compiled inside on disk, unless the user has set a cache of their own.

    JAX has one global setting for the folder: it is set on entering and put back on leaving, and JAX's handle on
    the folder is dropped, so that programs of the user's own are never written to it.
    """
    folder = cache_dir()
    if folder is None or jax.config.jax_compilation_cache_dir is not None:
        yield
        return
    before = {name: getattr(jax.config, name) for name in _CACHE_FLAGS}
    compilation_cache.reset_cache()
    for name, value in (_CACHE_FLAGS | {"jax_compilation_cache_dir": str(folder)}).items():
        jax.config.update(name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            jax.config.update(name, value)
        compilation_cache.reset_cache()


@contextlib.contextmanager
def x64() -> Iterator[None]:
    """Run the body with 64-bit numbers and full-precision matrix products; JAX's global flags are as before afterwards."""
    global _depth
    cache = _compile_cache() if _depth == 0 else contextlib.nullcontext()
    with jax.enable_x64(True), jax.default_matmul_precision("highest"), cache:
        _depth += 1
        try:
            yield
        finally:
            _depth -= 1


def check_compiler(rows: int, precision: str, version: str = jaxlib.__version__, platform: str | None = None) -> None:
    """Refuse a kernel of more than `MAX_KERNEL_ROWS` rows where the installed compiler is known to get it wrong.

    jaxlib 0.10.2 on CPU returns wrong rows for small matrix-vector products in float64, 0.9.2 to 0.10.1 in float32
    only. Kernels of at most 8,192 rows were never wrong. Raises `ModelError`.
    """
    if rows <= MAX_KERNEL_ROWS or (platform or jax.default_backend()) != "cpu":
        return
    bad = version.startswith("0.10.2") or (precision == "float32" and version in ("0.9.2", "0.10.0", "0.10.1"))
    if bad:
        raise ModelError(
            f"jaxlib {version} is known to miscompile kernels of more than {MAX_KERNEL_ROWS} rows on CPU "
            f"({precision}), and this density (unit='all', {rows} rows) needs one. Install another release "
            "(pip install 'jaxlib!=0.10.2'), use precision='float64', or write the density per row or per group."
        )


@contextlib.contextmanager
def quiet_loader() -> Iterator[None]:
    """Keep one false alarm of XLA off stderr: reading a program back from the cache, its CPU loader takes tuning
    preferences of the compiler for missing features of the machine and prints a page about each
    (github.com/openxla/xla/issues/44565). Whatever else is written to stderr meanwhile comes through afterwards.
    """
    if jax.default_backend() != "cpu" or jax.config.jax_compilation_cache_dir is None:
        yield
        return
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            held.seek(0)
            for line in held:
                if b"cpu_aot_loader.cc" not in line:
                    os.write(2, line)


class Compilation:
    """What JAX compiles inside the block: `with Compilation() as c: ...; c.count, c.from_disk, c.seconds`.

    `count` programs were needed, of which `from_disk` were read from a compile cache; `seconds` were spent on
    tracing, lowering and compiling.
    """

    _open: list[Compilation] = []
    _listening = False

    def __init__(self) -> None:
        self.count, self.from_disk, self.seconds = 0, 0, 0.0

    def __enter__(self) -> Compilation:
        if not Compilation._listening:
            jax.monitoring.register_event_duration_secs_listener(_on_duration)
            jax.monitoring.register_event_listener(_on_event)
            Compilation._listening = True
        Compilation._open.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        Compilation._open.remove(self)


def _on_duration(event: str, duration: float, **_: object) -> None:
    for counter in Compilation._open:
        counter.count += event == "/jax/core/compile/backend_compile_duration"
        counter.seconds += duration if event.startswith("/jax/core/compile/") else 0.0


def _on_event(event: str, **_: object) -> None:
    for counter in Compilation._open:
        counter.from_disk += event == "/jax/compilation_cache/cache_hits"


_called: set[int] = set()


def call(f: Callable[..., Any], *args: Any) -> tuple[Any, float, float]:
    """Run a jitted function in the float64 scope: its result when it is ready, seconds of compiling, seconds of running."""
    start = time.perf_counter()
    with x64():
        leaves, tree = jax.tree.flatten(args)
        shapes = tuple((x.shape, str(x.dtype)) if hasattr(x, "shape") else x for x in leaves)
        key = hash((f, tree, shapes))
        with Compilation() as compilation, contextlib.nullcontext() if key in _called else quiet_loader():
            out = jax.block_until_ready(f(*args))
        _called.add(key)
    wall = time.perf_counter() - start
    compiling = min(compilation.seconds, wall)
    return out, compiling, wall - compiling

"""The only file that touches JAX's configuration: a local float64 scope, the compile cache, the list of bad compilers."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

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


class CompileCounter:
    """Counts what XLA compiles while it is open: `with CompileCounter() as c: ...; c.count`.

    Programs read back from the persistent cache count too; `c.from_disk` of them were not compiled anew.
    """

    _EVENT = "/jax/core/compile/backend_compile_duration"
    _HIT = "/jax/compilation_cache/cache_hits"

    def __enter__(self) -> CompileCounter:
        self.count, self.from_disk, self.seconds = 0, 0, 0.0
        self._open = True
        jax.monitoring.register_event_duration_secs_listener(self._compiled)
        jax.monitoring.register_event_listener(self._hit)
        return self

    def _compiled(self, event: str, duration: float, **_: object) -> None:
        if self._open and event == self._EVENT:
            self.count += 1
        if self._open and event.startswith("/jax/core/compile/"):
            self.seconds += duration

    def _hit(self, event: str, **_: object) -> None:
        if self._open and event == self._HIT:
            self.from_disk += 1

    def __exit__(self, *_: object) -> None:
        self._open = False

"""Progress of fits that take over a second: one line on stderr that is gone when the fit is done."""

from __future__ import annotations

import contextlib
import math
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, TextIO

from ..solve.solver import Progress
from . import digits

QUIET = 1.0
"""Seconds after which a fit starts to show itself."""

FRAME = 0.125
"""Seconds between two pictures of a line in a terminal."""

SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


class Reporter:
    """Tells how a search goes, for as long as the `with` block lasts; `watch` takes each step's `Progress`.

    Arguments:
        progress: None shows one live line if stderr is a terminal; True also writes to a pipe, there one plain line a
            second at most; False is silent, and `watch` is then None.
        method: the solver, for its name.
        objective: the objective, to say how many rows a pass reads.
    """

    def __init__(self, progress: bool | None, method: Any, objective: Any) -> None:
        live = _is_terminal(sys.stderr)
        shown = progress is True or (progress is None and live)
        self.watch: Callable[[Progress], None] | None = self._watch if shown else None
        self._live = live
        self._name = str(getattr(method, "name", type(method).__name__))
        self._what = "penalised log-likelihood" if _has_penalties(objective) else "log-likelihood"
        self._rows = getattr(objective, "n_units", None)
        self._start = self._printed = time.perf_counter()
        self._first: Progress | None = None
        self._last: Progress | None = None
        self._done = threading.Event()
        self._painter: threading.Thread | None = None

    def __enter__(self) -> Reporter:
        self._start = self._printed = time.perf_counter()
        if self.watch is not None and self._live:
            self._painter = threading.Thread(target=self._paint, args=(_own(sys.stderr),), daemon=True)
            self._painter.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        if self._painter is not None:
            self._painter.join()

    def line(self) -> str:
        """What is known now, in one line."""
        elapsed = time.perf_counter() - self._start
        p = self._last
        if p is None:
            over = f" over {self._rows:,} units" if self._rows else ""
            return f"{self._name}  {_clock(elapsed)}  compiling, first pass{over}"
        parts = [
            self._name,
            _clock(elapsed),
            f"{'epoch' if p.losses else 'step'} {p.step:,}",
            f"{self._what} {digits.number(-p.value, 3)}",
        ]
        if math.isfinite(p.gain):
            parts.append(f"to gain {p.gain:.1g}")
        parts += [f"{name} {digits.number(loss, 4)}" for name, loss in p.losses.items()]
        first = self._first
        if first is not None and p.units > first.units and p.seconds > first.seconds:
            parts.append(f"{(p.units - first.units) / (p.seconds - first.seconds):,.0f} units/s")
        elif first is not None and p.step > first.step and p.seconds > first.seconds:
            rate = (p.step - first.step) / (p.seconds - first.seconds)
            parts.append(f"{rate:.1f} steps/s" if rate >= 1 else f"{1 / rate:.1f} s/step")
        return "  ".join(parts)

    def _watch(self, progress: Progress) -> None:
        self._first = self._first or progress
        self._last = progress
        if self._live:
            return
        now = time.perf_counter()
        if now - self._start >= QUIET and now - self._printed >= QUIET:
            self._printed = now
            _write(sys.stderr, self.line() + "\n")

    def _paint(self, stderr: contextlib.AbstractContextManager[TextIO]) -> None:
        with stderr as stream:
            if self._done.wait(QUIET):
                return
            with _canvas(stream) as show:
                while True:
                    show(self.line())
                    if self._done.wait(FRAME):
                        return


def _is_terminal(stream: Any) -> bool:
    try:
        return bool(stream.isatty()) and os.environ.get("TERM") != "dumb"
    except (AttributeError, ValueError):  # no stream at all, or a closed one
        return False


def _has_penalties(objective: Any) -> bool:
    return bool(getattr(getattr(objective, "program", None), "penalties", ()))


def _clock(t: float) -> str:
    minutes, s = divmod(int(t), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{s:02d}" if hours else f"{minutes}:{s:02d}"


def _write(stream: TextIO | None, text: str) -> None:
    if stream is None:  # as in a program without a console
        return
    encoding = getattr(stream, "encoding", None) or "utf-8"
    with contextlib.suppress(OSError, ValueError):  # a reader that has gone ends no fit
        stream.write(text.replace(digits.MINUS, "-").encode(encoding, "replace").decode(encoding))
        stream.flush()


def _own(stderr: TextIO) -> contextlib.AbstractContextManager[TextIO]:
    """The same terminal by a handle of our own: stderr itself may be held back while a compiled program is loaded."""
    try:
        return open(os.dup(stderr.fileno()), "w", encoding=stderr.encoding or "utf-8", errors="replace")
    except (OSError, ValueError, AttributeError):
        return contextlib.nullcontext(stderr)


@contextlib.contextmanager
def _canvas(stream: TextIO) -> Iterator[Callable[[str], None]]:
    """A function that replaces the line shown: by rich if it is installed, else by a carriage return."""
    try:
        from rich.console import Console
        from rich.live import Live
        from rich.text import Text
    except ImportError:
        try:
            yield lambda line: _write(stream, f"\r{line[: _columns(stream) - 1]}\x1b[K")
        finally:
            _write(stream, "\r\x1b[K")
        return
    console = Console(file=stream, force_terminal=True)
    with Live(
        console=console, transient=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False
    ) as live:
        frame = 0

        def show(line: str) -> None:
            nonlocal frame
            frame += 1
            name, _, rest = line.partition("  ")
            text = Text.assemble((SPINNER[frame % len(SPINNER)], "cyan"), " ", (name, "bold"), "  ", rest)
            text.truncate(max(console.width - 1, 1), overflow="ellipsis")
            live.update(text, refresh=True)

        yield show


def _columns(stream: TextIO) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError, AttributeError):
        return 80

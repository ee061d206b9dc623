"""Progress, in a terminal and in a pipe."""

import os
import re
import sys
import threading
import time

import numpy as np
import pytest

from jaxmle.report import progress
from jaxmle.report.progress import Reporter
from jaxmle.solve.solver import Progress


class Solver:
    name = "Newton"


class Objective:
    n_units = 1_000_000


def step(i, seconds=0.1):
    return Progress(i, 60613.534 + 1 / i, 10.0**-i, np.zeros(2), i * seconds)


@pytest.fixture
def stderr(monkeypatch):
    """A stderr of the kind asked for, and what was written to it."""
    opened = []

    def begin(terminal):
        out, into = os.openpty() if terminal else os.pipe()
        stream = open(into, "w", encoding="utf-8")  # noqa: SIM115
        chunks = []

        def drain():
            while True:
                try:
                    data = os.read(out, 65536)
                except OSError:  # how a terminal says that its other side is closed
                    data = b""
                if not data:
                    return
                chunks.append(data)

        reader = threading.Thread(target=drain)
        reader.start()
        opened.append((out, stream, reader))
        monkeypatch.setattr(sys, "stderr", stream)

        def written():
            stream.close()
            reader.join()
            return b"".join(chunks).decode()

        return written

    yield begin
    for out, stream, reader in opened:
        stream.close()
        reader.join()
        os.close(out)


def screen(written):
    """What a terminal of one line shows in the end: the text after the last time that the line was wiped."""
    last = re.split(r"\x1b\[2?K", written)[-1]
    return re.sub(r"\x1b\[[?0-9;]*[a-zA-Z]|[\r\n]", "", last)


@pytest.mark.parametrize("rich", [True, False])
def test_a_terminal_shows_one_line_and_is_left_clean(stderr, monkeypatch, rich):
    monkeypatch.setattr(progress, "QUIET", 0.05)
    monkeypatch.setenv("TERM", "xterm-256color")
    if not rich:
        monkeypatch.setitem(sys.modules, "rich", None)
        monkeypatch.setitem(sys.modules, "rich.console", None)
    written = stderr(terminal=True)
    with Reporter(None, Solver(), Objective()) as reporter:
        time.sleep(0.5 if rich else 0.2)  # rich takes its time to be imported
        for i in (1, 2, 3):
            reporter.watch(step(i))
        time.sleep(0.3)
    shown = written()
    assert "compiling, first pass over 1,000,000 units" in shown
    words = re.sub(r"\x1b\[[?0-9;]*[a-zA-Z]", "", shown)
    for item in ("Newton  0:00", "step 3", "log-likelihood", "60,613.867", "to gain 0.001", "10.0 steps/s"):
        assert item in words
    assert screen(shown) == ""
    if rich:
        assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h")  # the cursor is back


def test_a_quick_fit_shows_nothing(stderr):
    written = stderr(terminal=True)
    with Reporter(None, Solver(), Objective()) as reporter:
        reporter.watch(step(1))
    assert written() == ""


@pytest.mark.parametrize(("choice", "terminal"), [(None, False), (False, False), (False, True)])
def test_pipes_are_quiet_and_false_is_silent(stderr, monkeypatch, choice, terminal):
    monkeypatch.setattr(progress, "QUIET", 0.0)
    written = stderr(terminal)
    with Reporter(choice, Solver(), Objective()) as reporter:
        assert reporter.watch is None
        time.sleep(0.05)
    assert written() == ""


def test_true_writes_plain_lines_to_a_pipe_now_and_then(stderr, monkeypatch):
    monkeypatch.setattr(progress, "QUIET", 0.1)
    written = stderr(terminal=False)
    with Reporter(True, Solver(), Objective()) as reporter:
        for i in range(1, 26):
            time.sleep(0.01)
            reporter.watch(step(i))
    lines = written().splitlines()
    assert 1 <= len(lines) <= 4
    assert all("step" in line and "log-likelihood -60,613." in line for line in lines)
    assert "\x1b" not in "".join(lines)


def test_a_closed_stderr_ends_no_fit(monkeypatch):
    monkeypatch.setattr(progress, "QUIET", 0.0)
    monkeypatch.setattr(sys, "stderr", None)
    with Reporter(True, Solver(), Objective()) as reporter:
        time.sleep(0.01)
        reporter.watch(step(1))


def test_an_error_in_the_search_stops_the_painter(stderr, monkeypatch):
    monkeypatch.setattr(progress, "QUIET", 0.0)
    written = stderr(terminal=True)
    before = threading.active_count()
    reporter = Reporter(None, Solver(), Objective())

    def search():
        with reporter:
            time.sleep(0.1)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search()
    assert threading.active_count() == before
    assert screen(written()) == ""


def test_penalties_are_named():
    class Penalised:
        program = type("Program", (), {"penalties": (1,)})

    with Reporter(True, Solver(), Penalised()) as reporter:
        reporter.watch(step(1))
        assert "penalised log-likelihood" in reporter.line()


def test_searches_by_samples_show_epochs_losses_and_throughput():
    with Reporter(True, Solver(), Objective()) as reporter:
        for i in (1, 3):
            losses = {"training": 1 / i, "validation": 2 / i}
            reporter.watch(Progress(i, 60613.534, np.inf, np.zeros(2), 0.5 * i, i * 10_000, losses))
        line = reporter.line()
    for words in ("epoch 3", "training 0.3333", "validation 0.6667", "20,000 units/s"):
        assert words in line
    assert "step" not in line

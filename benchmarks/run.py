"""Each tool in a process of its own, on the same data and the same cores.

`python -m benchmarks.run SPEC.json` is one such process; it writes a line of JSON for each thing it knows, so that
what was measured before a time limit is not lost.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
ROOT = Path(__file__).parents[1]

TOLERANCE = 1e-6
"""Per row: two negative log-likelihoods nearer than this times the rows of a fit are equal."""
ROUGH = 1e-2
"""Per row likewise: what is near enough for a look at the estimates."""
REACHED = 0.9
"""Of the bound of equality, where tolerances are looked for: so that the best of all tools may be a little better."""


@dataclass
class Outcome:
    """What one tool did on one case. Seconds; None where there is nothing to say."""

    tool: str
    status: str = "ok"
    """`ok`, `timeout`, `not installed: …` or `failed: …`."""
    description: str = ""
    tolerance: float | None = None
    """The loosest of the tool's tolerances that reaches the optimum; None: its default."""
    compile: float | None = None
    """A C++ compile before everything."""
    fresh: float | None = None
    """From the start of the process to the first answer, imports included, C++ compile left out."""
    cold: float | None = None
    """The first fit in its process, what is compiled on the way included."""
    cached_fresh: float | None = None
    cached: float | None = None
    """The same two in another process that finds the compile cache filled."""
    warm: float | None = None
    """Median of the later fits in the first process."""
    to_rough: float | None = None
    """The fastest warm fit at any of the tolerances tried that comes within 1e-2 per row of the optimum."""
    repeats: int = 0
    peak_mb: float | None = None
    """Of the whole process, imports and data included."""
    first_peak_mb: float | None = None
    """The same when the first fit was done."""
    before_mb: float | None = None
    """What the process held before the first fit."""
    data_mb: float | None = None
    theta: list[float] = field(default_factory=list)
    own_nll: float | None = None
    std_errors: list[float] | None = None
    converged: bool | None = None
    notes: dict[str, Any] = field(default_factory=dict)


def measure(
    tool: str,
    case_name: str,
    data: Path,
    folder: Path,
    threads: int,
    limit: float,
    repeats: int,
    lowest: Path | None = None,
) -> Outcome:
    """Run one tool on one case within `limit` seconds, and as many before them to find its tolerance if `lowest` is given.

    Arguments:
        tool: a name of `PEERS`.
        case_name: a name of `CASES`.
        data: the file of the data.
        folder: for files of this run.
        threads: cores of the tool.
        limit: seconds.
        repeats: fits in the process, the first included.
        lowest: the file of the neutral optimum, which the tool is to reach at its loosest tolerance; None: defaults.
    """
    outcome = Outcome(tool)
    spec = dict(tool=tool, case=case_name, data=str(data), folder=str(folder), threads=threads, repeats=repeats)
    if lowest is not None:
        spec["tolerance"] = _loosest(spec | {"lowest": str(lowest)}, outcome, time.time() + limit)
        if outcome.status != "ok":
            outcome.status += " (while its tolerance was looked for)"
            return outcome
    deadline = time.time() + limit
    for line in _process(spec | {"budget": min(20.0, limit / 4)}, outcome, deadline):
        _record(outcome, line)
    if outcome.notes.get("seconds"):
        later = sorted(outcome.notes["seconds"][1:])
        outcome.repeats = len(later)
        if later:
            middle = len(later) // 2
            outcome.warm = (later[middle] + later[-middle - 1]) / 2
    if tool == "jaxmle" and outcome.status == "ok":
        again = Outcome(tool)
        for line in _process(spec | {"repeats": 1, "budget": 0}, again, deadline):
            _record(again, line)
        outcome.cached, outcome.cached_fresh = again.cold, again.fresh
        if again.status != "ok":
            outcome.status = f"with a filled cache: {again.status}"
    return outcome


def _loosest(spec: dict[str, Any], outcome: Outcome, deadline: float) -> float | None:
    """The loosest tolerance that reaches the target, or the tightest that there is; found in a process of its own."""
    lines = list(_process(spec, outcome, deadline))
    outcome.notes["tolerances_tried"] = lines
    outcome.to_rough = min((line["seconds"] for line in lines if line["gap"] <= ROUGH), default=None)
    return lines[-1]["tolerance"] if lines else None


def _record(outcome: Outcome, line: dict[str, Any]) -> None:
    seconds = line.pop("seconds", None)
    if seconds is not None:
        outcome.notes.setdefault("seconds", []).append(seconds)
        if outcome.cold is None:
            outcome.cold = seconds
    notes = line.pop("notes", {})
    outcome.notes.update(notes)
    for name, value in line.items():
        setattr(outcome, name, value)


def _process(spec: dict[str, Any], outcome: Outcome, deadline: float) -> Iterator[dict[str, Any]]:
    """Run a process for `spec` until the deadline, then yield what it wrote."""
    folder = Path(spec["folder"])
    out, spec_file = folder / f"{spec['tool']}.jsonl", folder / f"{spec['tool']}.json"
    out.unlink(missing_ok=True)
    env = os.environ | {name: str(spec["threads"]) for name in THREAD_VARIABLES}
    cache = "tolerance-cache" if "lowest" in spec else "jaxmle-cache"  # the timed process finds its cache empty
    env |= {"JAXMLE_CACHE_DIR": str(folder / cache), "JAX_PLATFORMS": "cpu", "PYTHONUNBUFFERED": "1"}
    env["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [env.get("PYTHONPATH")])])
    spec_file.write_text(json.dumps(spec | {"out": str(out), "spawned": time.time()}))
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.run", str(spec_file)],
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        _, errors = process.communicate(timeout=max(1.0, deadline - time.time()))
        if process.returncode:
            words = errors.strip().splitlines() or [f"exit status {process.returncode}"]
            outcome.status = f"failed: {words[-1][:300]}"
    except subprocess.TimeoutExpired:
        outcome.status = "timeout"
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    if out.exists():
        for line in out.read_text().splitlines():
            try:
                yield json.loads(line)
            except json.JSONDecodeError:  # cut off by the time limit
                return


def worker(spec: dict[str, Any]) -> None:
    """The body of the process of one tool."""
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))[: spec["threads"]]
        os.sched_setaffinity(0, cores)
    import numpy as np

    from .cases import CASES
    from .peers.registry import adapt

    with np.load(spec["data"]) as file:
        data = dict(file)
    case = CASES[spec["case"]]
    adapter = adapt(spec["tool"], case, data, spec["threads"], spec["folder"])
    with open(spec["out"], "a") as out:

        def say(**known: Any) -> None:
            print(json.dumps(known), file=out, flush=True)

        if "lowest" in spec:
            _search(case, data, adapter, np.load(spec["lowest"]), say)
            return
        if spec.get("tolerance") is not None:
            adapter.tolerance = spec["tolerance"]
        say(description=adapter.description, tolerance=spec.get("tolerance"))
        say(data_mb=sum(array.nbytes for array in data.values()) / 2**20, before_mb=memory_mb("VmRSS"))
        if hasattr(adapter, "compile"):
            say(compile=adapter.compile())
        fits = adapter.fits(spec["budget"], spec["repeats"]) if hasattr(adapter, "fits") else _fits(adapter, spec)
        for k, (seconds, fresh, answer) in enumerate(fits):
            if k == 0:
                say(fresh=fresh, first_peak_mb=memory_mb("VmHWM"))
            say(
                seconds=seconds,
                theta=np.asarray(answer.theta, float).tolist(),
                own_nll=None if answer.own_nll is None else float(answer.own_nll),
                std_errors=None if answer.std_errors is None else np.asarray(answer.std_errors, float).tolist(),
                converged=answer.proved,
                notes=answer.notes,
            )
        say(peak_mb=adapter.peak_mb if hasattr(adapter, "peak_mb") else memory_mb("VmHWM"))


def memory_mb(what: str) -> float | None:
    """What this process holds (`VmRSS`) or has held at most (`VmHWM`), where the system says so."""
    try:
        with open("/proc/self/status") as status:
            return next(float(line.split()[1]) / 2**10 for line in status if line.startswith(what))
    except (OSError, StopIteration):
        if what != "VmHWM":
            return None
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def _search(case: Any, data: Any, adapter: Any, lowest: Any, say: Any) -> None:
    """Ever tighter tolerances until the optimum is reached by an answer that the tool itself does not call unfinished.

    Seconds are those of a fit that compiles nothing.
    """
    rows = case.shape(data)[0] / len(lowest)
    rough = False
    for k, tolerance in enumerate(getattr(adapter, "tolerances", ())):
        adapter.tolerance = tolerance
        seconds, theta, finished = _timed(adapter)
        gap = float((case.parts(theta, data) - lowest).max() / rows)
        again = int(k == 0 and finished and seconds < 60)
        if gap <= ROUGH and finished and not rough:
            rough, again = True, again + 2 * (seconds < 2)
        if again:
            later = sorted(_timed(adapter)[0] for _ in range(again))
            seconds = later[len(later) // 2]
        say(tolerance=tolerance, gap=gap, seconds=seconds, finished=finished)
        if gap <= REACHED * TOLERANCE and finished:
            return


def _timed(adapter: Any) -> tuple[float, Any, bool]:
    import numpy as np

    start = time.perf_counter()
    answer = adapter.fit()
    return time.perf_counter() - start, np.asarray(answer.theta, float), answer.proved is not False


def _fits(adapter: Any, spec: dict[str, Any]) -> Iterator[tuple[float, float, Any]]:
    began = time.perf_counter()
    for k in itertools.count():
        start = time.perf_counter()
        answer = adapter.fit()
        seconds = time.perf_counter() - start
        yield seconds, time.time() - spec["spawned"], answer
        if k + 1 >= spec["repeats"] or (k > 0 and time.perf_counter() - began > spec["budget"]):
            return


def as_json(outcome: Outcome) -> dict[str, Any]:
    """The outcome as plain data."""
    return asdict(outcome)


if __name__ == "__main__":
    worker(json.loads(Path(sys.argv[1]).read_text()))

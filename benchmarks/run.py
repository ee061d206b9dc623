"""Each tool in a process of its own, on the same data and the same cores.

`python -m benchmarks.run SPEC.json` is one such process; it writes a line of JSON for each thing it knows, so that
what was measured before a time limit is not lost.
"""

from __future__ import annotations

import itertools
import json
import os
import resource
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
    repeats: int = 0
    peak_mb: float | None = None
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
    target: float | None = None,
) -> Outcome:
    """Run one tool on one case within `limit` seconds, and as many before them to find its tolerance if `target` is given.

    Arguments:
        tool: a name of `PEERS`.
        case_name: a name of `CASES`.
        data: the file of the data.
        folder: for files of this run.
        threads: cores of the tool.
        limit: seconds.
        repeats: fits in the process, the first included.
        target: the neutral negative log-likelihood that the tool is to reach at its loosest tolerance; None: defaults.
    """
    outcome = Outcome(tool)
    spec = dict(tool=tool, case=case_name, data=str(data), folder=str(folder), threads=threads, repeats=repeats)
    if target is not None:
        spec["tolerance"] = _loosest(spec | {"target": target}, outcome, time.time() + limit)
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
    cache = "tolerance-cache" if "target" in spec else "jaxmle-cache"  # the timed process finds its cache empty
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
    from .peers import adapt

    with np.load(spec["data"]) as file:
        data = dict(file)
    case = CASES[spec["case"]]
    adapter = adapt(spec["tool"], case, data, spec["threads"], spec["folder"])
    with open(spec["out"], "a") as out:

        def say(**known: Any) -> None:
            print(json.dumps(known), file=out, flush=True)

        if "target" in spec:
            for tolerance in getattr(adapter, "tolerances", ()):
                adapter.tolerance = tolerance
                gap = case.nll(np.asarray(adapter.fit().theta, float), data) - spec["target"]
                say(tolerance=tolerance, gap=gap)
                if gap <= 0:
                    break
            return
        if spec.get("tolerance") is not None:
            adapter.tolerance = spec["tolerance"]
        say(description=adapter.description, tolerance=spec.get("tolerance"))
        if hasattr(adapter, "compile"):
            say(compile=adapter.compile())
        fits = adapter.fits(spec["budget"], spec["repeats"]) if hasattr(adapter, "fits") else _fits(adapter, spec)
        for k, (seconds, fresh, answer) in enumerate(fits):
            if k == 0:
                say(fresh=fresh)
            say(
                seconds=seconds,
                theta=np.asarray(answer.theta, float).tolist(),
                own_nll=None if answer.own_nll is None else float(answer.own_nll),
                std_errors=None if answer.std_errors is None else np.asarray(answer.std_errors, float).tolist(),
                converged=answer.proved,
                notes=answer.notes,
            )
        if hasattr(adapter, "peak_mb"):
            say(peak_mb=adapter.peak_mb)
        else:
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            say(peak_mb=peak / (2**20 if sys.platform == "darwin" else 2**10))


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

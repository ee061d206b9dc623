"""`python -m benchmarks [case …] [--quick]`: one table and one JSON file."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from .cases import CASES
from .machine import in_words, machine
from .peers import PEERS, installed
from .report import TOLERANCE, Row, as_json, judge, table
from .run import Outcome, measure

RESULTS = Path(__file__).parent / "results"


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="jaxmle against its peers.")
    parser.add_argument("cases", nargs="*", metavar="case", help=f"{', '.join(CASES)}, or a row (D, F); default: all")
    parser.add_argument("--quick", action="store_true", help="small data, at most 120 s for a tool on a case")
    parser.add_argument("--tools", nargs="+", choices=PEERS, default=PEERS, metavar="TOOL", help=", ".join(PEERS))
    parser.add_argument(
        "--size", nargs=2, type=int, metavar=("N", "P"), help="rows and columns, in place of the case's"
    )
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="of every tool; default: all cores")
    parser.add_argument("--repeats", type=int, default=6, help="fits in a process, the first one included")
    parser.add_argument("--limit", type=float, help="seconds for a tool on a case; default 600, or 120 with --quick")
    parser.add_argument("--note", default="", help="a remark kept with the results")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of latest.md and latest.json")
    options = parser.parse_args(argv)
    unknown = [c for c in options.cases if c not in CASES and c not in {case.row for case in CASES.values()}]
    if unknown:
        parser.error(f"no case {', '.join(unknown)}; there are {', '.join(CASES)}, and the rows D and F")
    options.limit = options.limit or (120.0 if options.quick else 600.0)
    return options


def run_case(name: str, options: argparse.Namespace) -> list[Row]:
    """Every tool on one case, and the verdicts."""
    case = CASES[name]
    n, p = options.size or (case.quick_size if options.quick else case.size)
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="jaxmle-benchmark-") as folder:
        file = Path(folder) / "data.npz"
        np.savez(file, **case.simulate(n, p))
        with np.load(file) as stored:
            data = dict(stored)
        for tool in (t for t in case.peers if t in options.tools):
            if not installed(tool):
                outcomes.append(Outcome(tool, "not installed"))
                continue
            print(f"{name} {n:,}×{p}: {tool} …", file=sys.stderr, flush=True)
            outcomes.append(measure(tool, name, file, Path(folder), options.threads, options.limit, options.repeats))
    return judge(case, data, outcomes)


def main(argv: list[str] | None = None) -> int:
    """Run the benchmarks; 1 if a tool that answered was not equal to the best, or jaxmle has no answer."""
    options = arguments(argv)
    info = machine(options.threads)
    began = time.time()
    rows: list[Row] = []
    chosen = [c for c, case in CASES.items() if not options.cases or {c, case.row} & set(options.cases)]
    for name in chosen:
        rows += run_case(name, options)
    info["load_after"] = round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None
    info["total_seconds"] = round(time.time() - began, 1)
    title = f"Measured {time.strftime('%Y-%m-%d')}{', --quick' if options.quick else ''}. {options.note}".strip()
    text = f"{title}\n\n{in_words(info)}\n\n{table(rows)}\n"
    print(text)
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / "latest.md").write_text(text)
    kept = {
        "measured": time.strftime("%Y-%m-%dT%H:%M:%S"),
        "quick": options.quick,
        "note": options.note,
        "tolerance_per_row": TOLERANCE,
        "machine": info,
        "rows": as_json(rows),
    }
    (options.results / "latest.json").write_text(json.dumps(kept, indent=1) + "\n")
    wrong = [row for row in rows if row.wrong]
    for row in wrong:
        print(f"WRONG ANSWER: {row.outcome.tool} on {row.case}: {row.verdict}", file=sys.stderr)
    lost = [row for row in rows if row.outcome.tool == "jaxmle" and not row.equal]
    return 1 if wrong or lost else 0


if __name__ == "__main__":
    sys.exit(main())

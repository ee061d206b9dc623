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
from .peers import PEERS, missing, package
from .report import TOLERANCE, Row, as_json, judge, table
from .run import Outcome, measure

RESULTS = Path(__file__).parent / "results"
ROWS = sorted({case.row for case in CASES.values()})
REACHED = 0.9
"""Of the bound of equality, where tolerances are looked for: so that the best of all tools may be a little better."""


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="jaxmle against its peers.")
    parser.add_argument(
        "cases", nargs="*", metavar="case", help=f"{', '.join(CASES)}, or a row ({', '.join(ROWS)}); default: all"
    )
    parser.add_argument("--list", action="store_true", help="name the cases, their sizes and their tools, and stop")
    parser.add_argument("--quick", action="store_true", help="small data, at most 120 s for a tool on a case")
    parser.add_argument("--tools", nargs="+", default=PEERS, metavar="TOOL", help=f"{', '.join(PEERS)}, or a package")
    parser.add_argument(
        "--size", nargs=2, type=int, metavar=("N", "P"), help="rows and columns, in place of the case's"
    )
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="of every tool; default: all cores")
    parser.add_argument("--repeats", type=int, default=6, help="fits in a process, the first one included")
    parser.add_argument("--limit", type=float, help="seconds for a tool on a case; default 600, or 120 with --quick")
    parser.add_argument("--note", default="", help="a remark kept with the results")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of latest.md and latest.json")
    options = parser.parse_args(argv)
    unknown = [c for c in options.cases if c not in CASES and c not in ROWS]
    if unknown:
        parser.error(f"no case {', '.join(unknown)}; there are {', '.join(CASES)}, and the rows {', '.join(ROWS)}")
    unknown = [t for t in options.tools if t not in PEERS and t not in map(package, PEERS)]
    if unknown:
        parser.error(f"no tool {', '.join(unknown)}; there are {', '.join(PEERS)}")
    options.limit = options.limit or (120.0 if options.quick else 600.0)
    return options


def listing() -> str:
    """Every case with its row, sizes and tools."""
    lines = []
    for name, case in CASES.items():
        (n, p), (small_n, small_p) = case.size, case.quick_size
        tools = ", ".join(tool if missing(tool) is None else f"({tool})" for tool in case.peers)
        lines.append(f"{case.row}  {name:11}{f'{n:,}×{p}':>13}{f'{small_n:,}×{small_p}':>11}  {tools}")
    return "row, case, size, size with --quick, tools (in brackets: not installed)\n" + "\n".join(lines)


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
        lowest = case.optimum(data)
        target = None if lowest is None else lowest + REACHED * TOLERANCE * n
        for tool in (t for t in case.peers if {t, package(t)} & set(options.tools)):
            if (reason := missing(tool)) is not None:
                outcomes.append(Outcome(tool, f"not installed: {reason}"))
                continue
            print(f"{name} {n:,}×{p}: {tool} …", file=sys.stderr, flush=True)
            folder_, limits = Path(folder), (options.threads, options.limit, options.repeats)
            outcomes.append(measure(tool, name, file, folder_, *limits, target))
    return judge(case, data, outcomes)


def main(argv: list[str] | None = None) -> int:
    """Run the benchmarks; 1 if a tool that answered was not equal to the best, or jaxmle has no answer."""
    options = arguments(argv)
    if options.list:
        print(listing())
        return 0
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

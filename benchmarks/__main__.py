"""`python -m benchmarks [case …] [--quick]`: one table and one JSON file."""

from __future__ import annotations

import argparse
import compileall
import json
import os
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from . import growth
from .case import Case
from .cases import CASES
from .compare import compare
from .machine import floor, in_words, machine
from .peers.registry import PEERS, missing, package
from .report import Row, as_json, judge, table
from .run import TOLERANCE, Outcome, measure
from .targets import verdicts

RESULTS = Path(__file__).parent / "results"
ROWS = sorted({case.row for case in CASES.values()})


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="jaxmle against its peers.")
    parser.add_argument(
        "cases", nargs="*", metavar="case", help=f"{', '.join(CASES)}, or a row ({', '.join(ROWS)}); default: all"
    )
    parser.add_argument("--list", action="store_true", help="name the cases, their sizes and their tools, and stop")
    parser.add_argument("--quick", action="store_true", help="small data, at most 120 s for a tool on a case")
    parser.add_argument("--tools", nargs="+", metavar="TOOL", help=f"{', '.join(PEERS)}, or a package; default: all")
    parser.add_argument(
        "--size", nargs=2, type=int, metavar=("N", "P"), help="rows and columns, in place of the case's"
    )
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="of every tool; default: all cores")
    parser.add_argument("--repeats", type=int, default=6, help="fits in a process, the first one included")
    parser.add_argument("--limit", type=float, help="seconds for a tool on a case; default 600, or 120 with --quick")
    parser.add_argument("--note", default="", help="a remark kept with the results")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of latest.md and latest.json")
    parser.add_argument("--compare", type=Path, metavar="OLD.json", help="name what has become slower since that run")
    options = parser.parse_args(argv)
    if options.compare is not None and not options.compare.is_file():
        parser.error(f"--compare: there is no file {options.compare}")
    unknown = [c for c in options.cases if c not in CASES and c not in ROWS]
    if unknown:
        parser.error(f"no case {', '.join(unknown)}; there are {', '.join(CASES)}, and the rows {', '.join(ROWS)}")
    unknown = [t for t in options.tools or () if t not in PEERS and t not in map(package, PEERS)]
    if unknown:
        parser.error(f"no tool {', '.join(unknown)}; there are {', '.join(PEERS)}")
    options.limit = options.limit or (120.0 if options.quick else 600.0)
    return options


def listing() -> str:
    """Every case with its row, sizes and tools."""
    lines = []
    for name, case in CASES.items():
        full, quick = (_in_short(sizes) for sizes in (case.sizes, case.quick_sizes))
        quick = "—" if case.quick_peers == () else quick
        tools = ", ".join(tool if missing(tool, name) is None else f"({tool})" for tool in case.peers)
        lines.append(f"{case.row}  {name:14}{full:>20}{quick:>17}  {tools}")
    return "row, case, size, size with --quick, tools (in brackets: not installed)\n" + "\n".join(lines)


def _in_short(sizes: tuple[tuple[int, int], ...]) -> str:
    (least, p), (most, _) = sizes[0], sizes[-1]
    return f"{least:,}×{p}" if least == most else f"{least:.0e}…{most:.0e}×{p}".replace("e+0", "e")


def tools_of(case: Case, options: argparse.Namespace) -> list[str]:
    """The tools that run: those asked for, else with --quick those that are quick."""
    if options.tools:
        return [t for t in case.peers if {t, package(t)} & set(options.tools)]
    return list(case.quick_peers or case.peers) if options.quick else list(case.peers)


def run_case(case: Case, n: int, p: int, options: argparse.Namespace) -> list[Row]:
    """Every tool on one case of one size, and the verdicts."""
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="jaxmle-benchmark-") as name:
        folder = Path(name)
        file, lowest = folder / "data.npz", folder / "lowest.npy"
        data = case.simulate(n, p)
        np.savez(file, **data)
        optimum = case.optimum(data)
        if optimum is not None:
            np.save(lowest, optimum)
        for tool in tools_of(case, options):
            if (reason := missing(tool, case.name)) is not None:
                outcomes.append(Outcome(tool, f"not installed: {reason}"))
                continue
            print(f"{case.name} {n:,}×{p}: {tool} …", file=sys.stderr, flush=True)
            limits = (options.threads, options.limit, options.repeats)
            ours = options.quick and tool == "jaxmle"  # its default tolerance is tight enough and costs it little
            target = None if optimum is None or ours else lowest
            outcomes.append(measure(tool, case.name, file, folder, *limits, target))
    rows = judge(case, data, outcomes)
    if case.row == "A" and options.threads == os.cpu_count():
        least = floor(data["X"])
        for row in rows:
            row.floor = least
    return rows


def run_all(options: argparse.Namespace) -> list[Row]:
    """The cases that were asked for, in all their sizes."""
    rows: list[Row] = []
    for name, case in CASES.items():
        asked = {name, case.row} & set(options.cases)
        if (options.cases and not asked) or (options.quick and case.quick_peers == () and not (asked or options.tools)):
            continue
        if (reason := case.lacks()) is not None:
            rows += judge(case, None, [Outcome(tool, f"no data: {reason}") for tool in tools_of(case, options)])
            continue
        sizes = case.quick_sizes if options.quick else case.sizes
        for n, p in [options.size] if options.size else sizes:
            rows += run_case(case, n, p, options)
    return rows


def main(argv: list[str] | None = None) -> int:
    """Run the benchmarks; 1 if a tool that answered was not equal to the best, or jaxmle has no answer."""
    options = arguments(argv)
    if options.list:
        print(listing())
        return 0
    info = machine(options.threads)
    compile_sources()
    began = time.time()
    rows = run_all(options)
    info["load_after"] = round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None
    info["total_seconds"] = round(time.time() - began, 1)
    kept = {
        "measured": time.strftime("%Y-%m-%dT%H:%M:%S"),
        "quick": options.quick,
        "note": options.note,
        "tolerance_per_row": TOLERANCE,
        "machine": info,
        "rows": as_json(rows),
        "targets": verdicts(rows),
        "slopes": growth.slopes(rows),
    }
    options.results.mkdir(parents=True, exist_ok=True)
    old = None if options.compare is None else json.loads(options.compare.read_text())  # it may be latest.json
    picture = growth.draw(rows, options.results / "scaling.png")
    text = in_markdown(kept, rows, picture)
    print(text)
    (options.results / "latest.md").write_text(text)
    (options.results / "latest.json").write_text(json.dumps(kept, indent=1) + "\n")
    wrong = [row for row in rows if row.wrong]
    for row in wrong:
        print(f"WRONG ANSWER: {row.outcome.tool} on {row.case}: {row.verdict}", file=sys.stderr)
    lost = [row for row in rows if row.outcome.tool == "jaxmle" and not row.equal and not row.absent]
    slower = False
    if old is not None:
        changes = compare(old, kept)
        slower = bool(changes.regressions)
        print(changes)
    return 1 if wrong or lost or slower else 0


def compile_sources() -> None:
    """Write the byte code of jaxmle and of these benchmarks, which an installed package comes with, as all peers do."""
    for name in ("jaxmle", "benchmarks"):
        for folder in find_spec(name).submodule_search_locations:  # type: ignore[union-attr]
            compileall.compile_dir(folder, quiet=2)


def in_markdown(kept: dict[str, Any], rows: list[Row], picture: str) -> str:
    """The page of a run: when and where, the table, slopes, and what was aimed at."""
    title = f"Measured {kept['measured'][:10]}{', --quick' if kept['quick'] else ''}. {kept['note']}".strip()
    parts = [title, in_words(kept["machine"]), table(rows), growth.in_words(rows), picture]
    if kept["targets"] and not kept["quick"]:
        parts.append("What was aimed at:\n\n" + "\n".join(f"- {line}" for line in kept["targets"]))
    return "\n\n".join(filter(None, parts)) + "\n"


if __name__ == "__main__":
    sys.exit(main())

"""What has become slower or wrong since an earlier run: `python -m benchmarks.compare OLD.json NEW.json`."""

from __future__ import annotations

import json
import math
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SLOWER = 1.2
"""So many times the earlier seconds are a regression."""

TIMES = {
    "warm": "warm",
    "fresh": "in a fresh process",
    "cached_fresh": "in a fresh process with a filled compile cache",
}
SAME = ("processor", "cores", "threads", "system")
Key = tuple[str, int, int, str]


@dataclass(frozen=True)
class Comparison:
    """Regressions of jaxmle, what has become faster, and remarks on how far the two runs can be compared."""

    regressions: tuple[str, ...]
    improvements: tuple[str, ...]
    remarks: tuple[str, ...]

    def __str__(self) -> str:
        lines = [*self.remarks, *(f"SLOWER OR WORSE: {line}" for line in self.regressions)]
        lines += [f"faster: {line}" for line in self.improvements]
        return (
            "\n".join(lines) if self.regressions or self.improvements else "\n".join([*lines, "No change beyond 20 %."])
        )


def compare(old: dict[str, Any], new: dict[str, Any]) -> Comparison:
    """Compare two results, as kept in JSON: on one machine by seconds, else by how the peers have changed too.

    Arguments:
        old: the earlier results.
        new: the later ones.
    """
    before, after = _by_key(old), _by_key(new)
    ours = [key for key in after if key[3] == "jaxmle" and key in before]
    others = {name for name in SAME if old["machine"].get(name) != new["machine"].get(name)}
    remarks = [f"The two runs have {len(ours)} jaxmle rows in common."]
    if others:
        words = "; ".join(f"{n}: {old['machine'].get(n)}, now {new['machine'].get(n)}" for n in SAME if n in others)
        remarks.append(
            f"The machines differ ({words}): jaxmle's times are compared after dividing by the peers' change."
        )
    loads = [side["machine"].get("load_before") for side in (old, new)]
    if any(load and load > side["machine"]["cores"] / 4 for load, side in zip(loads, (old, new))):
        remarks.append(
            f"Other work ran on the machine (load average {loads[0]}, now {loads[1]}): repeat before believing it."
        )
    worse, better = [], []
    for key in ours:
        label = f"{key[0]} {key[1]:,}×{key[2]}"
        if before[key]["verdict"] == "equal" and after[key]["verdict"] != "equal":
            worse.append(f"{label}: was equal to the best, now: {after[key]['verdict']}")
            continue
        for name, words in TIMES.items():
            change = _change(before[key], after[key], name)
            if change is None:
                continue
            if others:
                peers = _change_of_peers(key, before, after)
                if peers is None:
                    remarks.append(f"{label}, {words}: no peer ran in both, so nothing is said.")
                    continue
                change /= peers
            seconds = (f"{side[key]['outcome'][name]:.3g} s" for side in (before, after))
            line = f"{label}, {words}: {', now '.join(seconds)} ({change:.2f} times)"
            if change > SLOWER:
                worse.append(line)
            elif change < 1 / SLOWER:
                better.append(line)
    return Comparison(tuple(worse), tuple(better), tuple(remarks))


def _by_key(results: dict[str, Any]) -> dict[Key, dict[str, Any]]:
    return {(row["case"], row["n"], row["p"], row["outcome"]["tool"]): row for row in results["rows"]}


def _change(before: dict[str, Any], after: dict[str, Any], name: str) -> float | None:
    was, now = before["outcome"].get(name), after["outcome"].get(name)
    return now / was if was and now else None


def _change_of_peers(key: Key, before: dict[Key, Any], after: dict[Key, Any]) -> float | None:
    """The middle change of the other tools' warm times on the same case."""
    changes = [
        _change(before[k], after[k], "warm") for k in after if k[:3] == key[:3] and k[3] != "jaxmle" and k in before
    ]
    logs = [math.log(c) for c in changes if c is not None]
    return math.exp(statistics.median(logs)) if logs else None


def main(argv: list[str] | None = None) -> int:
    """Compare two files; 1 if anything has become slower or wrong."""
    argv = sys.argv[1:] if argv is None else argv
    if len(argv) != 2:
        print("usage: python -m benchmarks.compare OLD.json NEW.json", file=sys.stderr)
        return 2
    found = compare(*(json.loads(Path(file).read_text()) for file in argv))
    print(found)
    return 1 if found.regressions else 0


if __name__ == "__main__":
    sys.exit(main())

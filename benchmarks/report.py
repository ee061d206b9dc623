"""Judging the answers by the neutral objective, and the table."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from .case import Case, Data
from .run import TOLERANCE, Outcome

HEADER = (
    "row", "case", "n×p", "tool", "s.e.", "−log L (neutral)", "verdict", "C++ compile", "fresh", "fresh, cached", "warm",
    "rough", "peak MB", "× fresh", "× warm",
)  # fmt: skip
"""Times in seconds; the last two are how many times faster jaxmle is."""

KEPT = 1_000
"""Numbers of an answer that go into the JSON file: of thousands of fits only the first have their coefficients there."""


@dataclass
class Row:
    """One line of the table: an outcome and its verdict."""

    row: str
    case: str
    n: int
    p: int
    outcome: Outcome
    nll: float | None = None
    gap: float | None = None
    """To the best of all tools; of many separate fits the widest."""
    verdict: str = ""
    se_difference: float | None = None
    """The largest relative difference of a standard error of a coefficient from jaxmle's."""
    faster_fresh: float | None = None
    faster_warm: float | None = None
    floor: float | None = None
    """Seconds of the reads and the product that a fit of row A cannot do without."""

    @property
    def equal(self) -> bool:
        return self.verdict == "equal"

    @property
    def absent(self) -> bool:
        """Whether the tool or the data are not installed."""
        return self.verdict.startswith(("not installed", "no data"))

    @property
    def wrong(self) -> bool:
        """Whether the tool gave an answer, and it is not that of the best."""
        return self.verdict.startswith(("NOT EQUAL", "OTHER OBJECTIVE"))


def judge(case: Case, data: Data | None, outcomes: list[Outcome]) -> list[Row]:
    """One row per outcome: equal or not by the neutral objective; speed is claimed only between equals.

    A tool is equal if the neutral negative log-likelihood at its answer is within 1e-6·n of the best, and the number
    that it reports itself, if it reports one, is within 1e-6·n of the neutral one (so that all maximise the same function).
    Of many separate fits each must be so near to the best of its own, by its own rows.
    """
    n, p = case.sizes[0] if data is None else case.shape(data)
    rows = [Row(case.row, case.name, n, p, outcome) for outcome in outcomes]
    parts = {
        id(row): case.parts(np.array(row.outcome.theta), data) for row in rows if data is not None and row.outcome.theta
    }
    lowest = np.min(list(parts.values()), axis=0) if parts else np.array([np.inf])
    within = TOLERANCE * n / len(lowest)
    for row in rows:
        own = row.outcome.own_nll
        if id(row) not in parts:
            row.verdict = row.outcome.status if row.outcome.status != "ok" else "failed: no answer"
            continue
        row.nll = float(parts[id(row)].sum())
        row.gap = float(np.max(parts[id(row)] - lowest)) if np.isfinite(row.nll) else float("inf")
        if not row.gap <= within:
            row.verdict = f"NOT EQUAL: {row.gap:.3g} worse than the best"
        elif own is not None and not abs(own - row.nll) <= TOLERANCE * n:
            row.verdict = f"OTHER OBJECTIVE: it reports {own!r}"
        else:
            row.verdict = "equal"
    ours = next((row for row in rows if row.outcome.tool == "jaxmle"), None)
    if ours is not None and ours.equal:
        for row in rows:
            if row is not ours and row.equal:
                _compare(ours, row)
    return rows


def _compare(ours: Row, theirs: Row) -> None:
    a, b = ours.outcome, theirs.outcome
    if a.std_errors is not None and b.std_errors is not None:
        theirs.se_difference = float(np.max(np.abs(np.array(b.std_errors) / np.array(a.std_errors) - 1)))
    if a.fresh and b.fresh:
        theirs.faster_fresh = (b.fresh + (b.compile or 0.0)) / a.fresh
    if a.warm and b.warm:
        theirs.faster_warm = b.warm / a.warm


def _seconds(value: float | None) -> str:
    return "—" if value is None else f"{value:.3g}" if value < 100 else f"{value:.0f}"


def _cells(row: Row) -> tuple[str, ...]:
    o = row.outcome
    if o.std_errors is not None:
        errors = "yes" if np.isfinite(o.std_errors).all() else "NOT FINITE"
    else:
        errors = "no" if o.theta else "—"
    verdict = row.verdict if row.equal or not row.wrong else f"**{row.verdict}**"
    if o.status != "ok" and o.status not in verdict:
        verdict += f"; {o.status}"
    return (
        row.row,
        row.case,
        f"{row.n:,}×{row.p}",
        o.tool,
        errors,
        "—" if row.nll is None else f"{row.nll:.2f}",
        verdict.replace("|", "/"),
        *map(_seconds, (o.compile, o.fresh, o.cached_fresh, o.warm, o.to_rough)),
        "—" if o.peak_mb is None else f"{o.peak_mb:.0f}",
        *("" if f is None else f"{f:.2g}" if f < 100 else f"{f:.0f}" for f in (row.faster_fresh, row.faster_warm)),
    )


def table(rows: list[Row]) -> str:
    """The rows as one Markdown table."""
    lines = [HEADER, tuple("---" for _ in HEADER), *map(_cells, rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def as_json(rows: list[Row]) -> list[dict[str, Any]]:
    """The rows as plain data."""
    kept = [asdict(row) for row in rows]
    for row in kept:
        outcome = row["outcome"]
        for name in ("theta", "std_errors"):
            outcome[name] = outcome[name] and outcome[name][:KEPT]
    return kept

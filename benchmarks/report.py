"""Judging the answers by the neutral objective, and the table."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from .case import Case, Data
from .run import Outcome

TOLERANCE = 1e-6
"""Per row: two negative log-likelihoods nearer than this times n are equal."""

HEADER = (
    "row", "case", "n×p", "tool", "standard errors", "tolerance", "−log L (neutral)", "gap to best", "verdict", "C++ compile s",
    "fresh process s", "first fit s", "fresh, cached s", "first fit, cached s", "warm s", "peak MB",
    "jaxmle × faster, fresh", "jaxmle × faster, warm",
)  # fmt: skip


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
    verdict: str = ""
    se_difference: float | None = None
    """The largest relative difference of a standard error of a coefficient from jaxmle's."""
    faster_fresh: float | None = None
    faster_warm: float | None = None

    @property
    def equal(self) -> bool:
        return self.verdict == "equal"

    @property
    def wrong(self) -> bool:
        """Whether the tool gave an answer, and it is not that of the best."""
        return self.verdict.startswith(("NOT EQUAL", "OTHER OBJECTIVE"))


def judge(case: Case, data: Data, outcomes: list[Outcome]) -> list[Row]:
    """One row per outcome: equal or not by the neutral objective; speed is claimed only between equals.

    A tool is equal if the neutral negative log-likelihood at its answer is within 1e-6·n of the best, and the number
    that it reports itself, if it reports one, is within 1e-6·n of the neutral one (so that all maximise the same function).
    """
    n, p = case.shape(data)
    rows = [Row(case.row, case.name, n, p, outcome) for outcome in outcomes]
    for row in rows:
        if row.outcome.theta:
            row.nll = case.nll(np.array(row.outcome.theta), data)
    best = min((row.nll for row in rows if row.nll is not None), default=np.inf)
    for row in rows:
        own = row.outcome.own_nll
        if row.nll is None:
            row.verdict = row.outcome.status if row.outcome.status != "ok" else "failed: no answer"
            continue
        row.gap = row.nll - best
        if not row.gap <= TOLERANCE * n:
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
        errors += "" if row.se_difference is None else f" (differ {row.se_difference:.0e})"
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
        "—" if not o.theta else "default" if o.tolerance is None else f"{o.tolerance:.0e}",
        "—" if row.nll is None else f"{row.nll:.4f}",
        "—" if row.gap is None else f"{row.gap:.1e}",
        verdict.replace("|", "/"),
        *map(_seconds, (o.compile, o.fresh, o.cold, o.cached_fresh, o.cached, o.warm)),
        "—" if o.peak_mb is None else f"{o.peak_mb:.0f}",
        *("" if f is None else f"{f:.2g}" if f < 100 else f"{f:.0f}" for f in (row.faster_fresh, row.faster_warm)),
    )


def table(rows: list[Row]) -> str:
    """The rows as one Markdown table."""
    lines = [HEADER, tuple("---" for _ in HEADER), *map(_cells, rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def as_json(rows: list[Row]) -> list[dict[str, Any]]:
    """The rows as plain data."""
    return [asdict(row) for row in rows]

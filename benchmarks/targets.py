"""What each row aims at, and whether this run reached it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import groupby

from .growth import slopes
from .report import Row

SPECIAL = ("r", "statsmodels")
"""Of row D: packages with a model of their own for the density (statsmodels where it has one)."""
GENERIC = ("weibull", "gev")
"""Where statsmodels has none."""


def verdicts(rows: list[Row]) -> list[str]:
    """One line for each target that this run says something about: measured, aimed at, reached or missed."""
    out = []
    for (name, _), group in groupby(rows, key=lambda row: (row.case, row.n)):
        case = list(group)
        ours = next((r for r in case if r.outcome.tool == "jaxmle"), None)
        if ours is None or not ours.equal:
            continue
        peers = {r.outcome.tool: r for r in case if r is not ours and r.equal}
        for words, measured, aim, less in RULES.get(ours.row, _none)(ours, peers):
            reached = measured <= aim if less else measured >= aim
            sign = "≤" if less else "≥"
            out.append(
                f"{ours.row} {name}: {words} {measured:.3g} (aim {sign} {aim:g}): {'reached' if reached else 'MISSED'}"
            )
    if (slope := slopes(rows).get("jaxmle")) is not None:
        reached = 0.95 <= slope[0] <= 1.05
        out.append(f"K growth: slope {slope[0]:.2f} (aim 0.95 to 1.05): {'reached' if reached else 'MISSED'}")
    return out


Found = Iterator[tuple[str, float, float, bool]]
"""In words, measured, aim, whether less is better."""


def _none(ours: Row, peers: dict[str, Row]) -> Found:
    return iter(())


def _warm(peers: dict[str, Row]) -> float | None:
    return min((r.faster_warm for r in peers.values() if r.faster_warm is not None), default=None)


def _fastest(aim: float) -> Callable[[Row, dict[str, Row]], Found]:
    def rule(ours: Row, peers: dict[str, Row]) -> Found:
        if (times := _warm(peers)) is not None:
            yield "times faster than the fastest peer, warm", times, aim, False

    return rule


def _large(ours: Row, peers: dict[str, Row]) -> Found:
    yield from _fastest(1.5)(ours, peers)
    if ours.floor and ours.outcome.warm:
        yield "times the seconds of six reads of X and one XᵀX, warm", ours.outcome.warm / ours.floor, 3, True


def _densities(ours: Row, peers: dict[str, Row]) -> Found:
    if "tmb" in peers and (times := peers["tmb"].faster_fresh) is not None:
        yield "times faster than TMB in a fresh process, both compiles included", times, 20, False
    special = {t: r for t, r in peers.items() if t in SPECIAL and not (t == "statsmodels" and ours.case in GENERIC)}
    if (times := _warm(special)) is not None:
        yield "times faster than the best special-purpose package, warm", times, 10, False
        fresh = min((r.faster_fresh for r in special.values() if r.faster_fresh is not None), default=None)
        if fresh is not None:
            yield "times faster than it in a fresh process", fresh, 1, False


def _many(ours: Row, peers: dict[str, Row]) -> Found:
    if "statsmodels" not in peers:
        return
    theirs, o = peers["statsmodels"], ours.outcome
    if theirs.faster_warm is not None:
        yield "times faster than statsmodels, warm", theirs.faster_warm, 100, False
    if theirs.outcome.fresh and o.cached_fresh:
        yield "times faster in a fresh process, compile cache filled", theirs.outcome.fresh / o.cached_fresh, 30, False


def _bootstrap(ours: Row, peers: dict[str, Row]) -> Found:
    if "statsmodels" in peers and (times := peers["statsmodels"].faster_warm) is not None:
        yield "times faster than a loop over statsmodels, warm", times, 50, False


def _first(ours: Row, peers: dict[str, Row]) -> Found:
    if ours.outcome.fresh:
        yield "seconds in a fresh process", ours.outcome.fresh, 2.5, True
    if ours.outcome.cached_fresh:
        yield "seconds in a fresh process, compile cache filled", ours.outcome.cached_fresh, 1.2, True


def _memory(ours: Row, peers: dict[str, Row]) -> Found:
    o = ours.outcome
    if o.first_peak_mb and o.data_mb and o.before_mb:
        aim = round(1.3 * o.data_mb + 200)
        yield "MB at the peak of a fit, of the whole process", o.first_peak_mb, aim, True
        added = o.data_mb + o.first_peak_mb - o.before_mb
        yield "MB at the peak of a fit, the data and what it added", added, aim, True


RULES: dict[str, Callable[[Row, dict[str, Row]], Found]] = {
    "A": _large, "B": _fastest(2), "C": _fastest(1), "D": _densities, "E": _many, "F": _first, "J": _memory,
    "L": _fastest(1), "M": _bootstrap, "N": _fastest(2),
}  # fmt: skip

"""The content of a summary, put into words and numbers once, for the terminal and for HTML alike."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..infer.estimates import Estimates
from ..infer.intervals import wald_intervals
from . import digits
from .digits import MINUS, count
from .forest import Axis, axis_of
from .leaves import summarised

SHOWN = 40
"""Rows of a summary at most; `fit.tidy()` has them all."""

INTERCEPT = "Intercept"


@dataclass(frozen=True)
class Row:
    """One estimate in print. `note` numbers its footnote (0: none); `place` is its low end, value and high end."""

    label: str
    estimate: str
    std_error: str
    low: str
    high: str
    z: str
    p: str
    note: int
    place: tuple[float, float, float]


@dataclass(frozen=True)
class Section:
    """The rows of one parameter, under a heading if it is a `Linear`, on one axis if they can be drawn on one."""

    heading: str
    rows: tuple[Row, ...]
    axis: Axis | None


@dataclass(frozen=True)
class Table:
    """All of a summary: `head` are the items of the title line, `alarm` what is said first when the fit has failed."""

    title: str
    head: tuple[str, ...]
    alarm: str
    sections: tuple[Section, ...]
    n_hidden: int
    tested: bool
    level: str
    footnotes: tuple[str, ...]
    remarks: tuple[str, ...]
    verdict: tuple[str, ...]
    effort: str


def table_of(e: Estimates, level: float) -> Table:
    """The table of estimates with intervals of the given level.

    Raises:
        ModelError: if `level` is not between 0 and 1.
    """
    low, high = wald_intervals(e, level)
    reasons = list(dict.fromkeys(e.withheld.get(n, "") for n in e.names if n in e.withheld))
    trees = summarised(e, SHOWN)
    sections = _sections(e, low, high, reasons, trees)
    listed = sum(group not in trees for group in e.groups)
    return Table(
        title=e.title[:1].upper()
        + e.title[1:]
        + (f", {e.subtitle}" if e.subtitle else "")
        + (f"   {e.about}" if e.about else ""),
        head=_head(e),
        alarm=_alarm(e),
        sections=sections,
        n_hidden=max(listed - SHOWN, 0),
        tested=any(row.z for section in sections for row in section.rows),
        level=f"{100 * level:.6g} % interval",
        footnotes=tuple(_footnote(e, reason) for reason in reasons) if listed else (),
        remarks=tuple(line for lines in trees.values() for line in lines) + _remarks(e),
        verdict=_verdict(e),
        effort=_effort(e),
    )


def _head(e: Estimates) -> tuple[str, ...]:
    items = [count(e.n_rows, "row")]
    if e.n_obs != e.n_rows:
        items.append(count(e.n_obs, "observation"))
    items.append(f"log-likelihood {digits.number(e.log_likelihood, 2)}")
    if e.subtitle:
        if np.isfinite(e.objective_value) and e.objective_value != e.log_likelihood:
            items.append(f"penalised {digits.number(e.objective_value, 2)}")
        return tuple(items)  # information criteria are about maximum likelihood
    items.append(f"AIC {digits.number(-2 * e.log_likelihood + 2 * e.df, 1)}")
    items.append(
        f"BIC {digits.number(-2 * e.log_likelihood + float(np.log(e.n_obs)) * e.df, 1)}" if e.n_obs > 0 else ""
    )
    return tuple(filter(None, items))


def _alarm(e: Estimates) -> str:
    if e.certificate.proved:
        return ""
    status = e.certificate.status.replace("_", " ")
    words = "" if status == "not converged" else f" ({status})"
    what = "posterior mode or penalised estimate" if e.subtitle else "maximum-likelihood estimate"
    return f"✗ NOT CONVERGED{words}: this is the best point found, not a proven {what}."


def _sections(
    e: Estimates, low: np.ndarray, high: np.ndarray, reasons: list[str], trees: Collection[str]
) -> tuple[Section, ...]:
    """The rows of all parameters but those told otherwise, `trees`; `SHOWN` of them at most."""
    z, p, std_errors = e.z(), e.p_values(), e.std_errors
    shown = min(len(e.names), SHOWN)
    sections: list[Section] = []
    start = 0
    while start < min(shown, len(e.names)):
        group = e.groups[start]
        stop = start
        while stop < len(e.names) and e.groups[stop] == group:
            stop += 1
        if group in trees:
            shown += stop - start
            start = stop
            continue
        among = slice(start, stop)
        labels = [_label(e.names[i], group, group in e.group_links) for i in range(start, stop)]
        is_constant = np.array([group in e.group_links and label.split(",")[0] == INTERCEPT for label in labels])
        axis = axis_of(low[among], high[among], np.asarray(e.is_location)[among], is_constant)
        among = slice(start, min(stop, shown))
        notes = [reasons.index(e.withheld[n]) + 1 if n in e.withheld else 0 for n in e.names[among]]
        numbers = (e.values, std_errors, low, high, z, p)
        rows = rows_of(labels, notes, *(x[among] for x in numbers))
        sections.append(Section(_heading(e, group), rows, axis))
        start = stop
    return tuple(sections)


def rows_of(
    labels: Sequence[str],
    notes: Sequence[int],
    values: np.ndarray,
    std_errors: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    z: np.ndarray,
    p: np.ndarray,
) -> tuple[Row, ...]:
    """The rows of a section in print, to decimal places that they share where they can."""
    places = digits.shared([digits.decimals_of(value, error) for value, error in zip(values, std_errors)])
    return tuple(
        Row(
            label=labels[i],
            note=notes[i],
            place=(float(low[i]), float(values[i]), float(high[i])),
            **_numbers(float(values[i]), float(std_errors[i]), float(low[i]), float(high[i]), place),
            z=digits.z_value(float(z[i])),
            p=digits.p_value(float(p[i])),
        )
        for i, place in enumerate(places)
    )


def _heading(e: Estimates, group: str) -> str:
    link = e.group_links.get(group)
    if link is None:
        return ""
    return group if link == "identity" else f"{group} ({link} link)"


def _label(name: str, group: str, is_linear: bool) -> str:
    """`age` for `rate[age]` under the heading of `rate`."""
    if is_linear and name.startswith(f"{group}[") and name.endswith("]"):
        return name[len(group) + 1 : -1]
    return name


def _numbers(value: float, std_error: float, low: float, high: float, place: int) -> dict[str, str]:
    """What one row prints, to one decimal place; no interval where there is no standard error."""
    powers = digits.in_powers((value, std_error), place)
    ends = {"low": low, "high": high} if np.isfinite(std_error) else {}
    return {
        "estimate": digits.number(value, place, powers),
        "std_error": digits.number(std_error, place, powers),
        "low": "",
        "high": "",
    } | {end: digits.end_of_interval(x, place, powers) for end, x in ends.items()}


def _footnote(e: Estimates, reason: str) -> str:
    if reason and reason == e.certificate.reason and not e.certificate.proved:
        return "no standard error exists, for the reason given at ✗ below"
    return f"no standard error: {reason or 'it could not be computed'}".rstrip(".")


def _remarks(e: Estimates) -> tuple[str, ...]:
    out = []
    if e.fixed:
        held = [_held(name, e.params) for name in e.fixed[:12]]
        more = f" and {len(e.fixed) - 12} more" if len(e.fixed) > 12 else ""
        out.append(f"held fixed: {', '.join(held)}{more}")
    if e.covariance_kind != "observed":
        about = f", {e.covariance_about}" if e.covariance_about else ""
        out.append(f"standard errors: {e.covariance_kind} covariance{about}")
    if len(e.optima) > 1:
        values = ", ".join(digits.number(float(v), 2) for v, _ in e.optima[:5]) + (", …" if len(e.optima) > 5 else "")
        out.append(
            f"{len(e.optima)} different optima found, {e.objective_name} {values}; the best is shown (fit.optima)"
        )
    out.extend(e.notes)
    return tuple(out)


def _held(name: str, params: dict[str, Any]) -> str:
    """`name = value` where it is one number that can be looked up."""
    value: Any = params.get(name)
    if value is None and name.endswith("]") and "[" in name:
        owner, _, index = name[:-1].partition("[")
        if owner in params and all(part.strip().isdigit() for part in index.split(",")):
            try:
                value = np.asarray(params[owner])[tuple(int(part) for part in index.split(","))]
            except (IndexError, ValueError, TypeError):
                value = None
    if value is None or np.ndim(value) > 0:
        return name
    return f"{name} = " + f"{float(value):.6g}".replace("-", MINUS)


def _verdict(e: Estimates) -> tuple[str, ...]:
    c = e.certificate
    if c.proved:
        return tuple(str(c).splitlines())
    return tuple(filter(None, [f"✗ {c.status.replace('_', ' ')}: {c.reason}", f"→ {c.remedy}" if c.remedy else ""]))


def _effort(e: Estimates) -> str:
    compiling = f" (compile {digits.seconds(e.compile_seconds)})" if np.isfinite(e.compile_seconds) else ""
    return f"{e.solver}, {count(e.n_steps, 'step')}, {digits.seconds(e.run_seconds)}{compiling}"

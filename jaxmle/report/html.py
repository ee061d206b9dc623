"""A summary as one small HTML table for notebooks: nothing is fetched, names are escaped, colours follow the theme."""

from __future__ import annotations

from html import escape

from .forest import Axis
from .table import Row, Table

WIDTH, HEIGHT = 160, 16
RULE = "border-bottom:1px solid rgba(128,128,128,.45)"
CELL = "padding:1px 10px;border:none;background:none;"
NUMBER = CELL + "text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap;"


def render(table: Table) -> str:
    """The table as an HTML fragment."""
    columns = ["estimate", "std error", table.level] + (["z", "p"] if table.tested else [])
    drawn = any(section.axis is not None for section in table.sections)
    n_columns = 1 + len(columns) + drawn
    head = "".join(f'<th style="{NUMBER}{RULE}">{escape(name)}</th>' for name in ["", *columns] + [""] * drawn)
    body = []
    for section in table.sections:
        if section.heading:
            body.append(
                f'<tr style="background:none"><th colspan="{n_columns}" scope="rowgroup" style="{CELL}text-align:left">'
                f"{escape(section.heading)}</th></tr>"
            )
        body.extend(_row(row, bool(section.heading), section.axis, table.tested, drawn) for row in section.rows)
    if table.n_hidden:
        body.append(
            f'<tr style="background:none"><td colspan="{n_columns}" style="{CELL}text-align:left;opacity:.75">'
            f"… and {table.n_hidden:,} more: <code>fit.tidy()</code> has all</td></tr>"
        )
    alarm = f'<div style="color:#e5484d;font-weight:bold">{escape(table.alarm)}</div>' if table.alarm else ""
    title = "&ensp;·&ensp;".join([f"<b>{escape(table.title)}</b>", *map(escape, table.head)])
    notes = [f"<sup>{i}</sup> {escape(note)}" for i, note in enumerate(table.footnotes, 1)]
    notes += [escape(line) for line in (*table.remarks, *table.verdict, table.effort)]
    return (
        f'<div style="line-height:1.35">{alarm}<table style="border-collapse:collapse;border:none">'
        f'<caption style="caption-side:top;text-align:left;color:inherit;padding:4px 10px">{title}</caption>'
        f'<thead><tr style="background:none">{head}</tr></thead><tbody>{"".join(body)}</tbody></table>'
        f'<div style="padding:4px 10px;font-size:90%;opacity:.85;max-width:60em">{"<br>".join(notes)}</div></div>'
    )


def _row(row: Row, indented: bool, axis: Axis | None, tested: bool, drawn: bool) -> str:
    mark = f"<sup>{row.note}</sup>" if row.note else ""
    interval = f"[{row.low}, {row.high}]" if row.low else ""
    cells = [escape(row.estimate), escape(row.std_error) + mark, escape(interval)]
    if tested:
        cells += [escape(row.z), escape(row.p)]
    indent = "padding-left:26px;" if indented else ""
    label = f'<th scope="row" style="{CELL}{indent}text-align:left;font-weight:normal">{escape(row.label)}</th>'
    numbers = "".join(f'<td style="{NUMBER}">{cell}</td>' for cell in cells)
    picture = f'<td style="{CELL}">{_drawing(row, axis) if axis else ""}</td>' if drawn else ""
    return f'<tr style="background:none">{label}{numbers}{picture}</tr>'


def _drawing(row: Row, axis: Axis) -> str:
    """The interval as inline SVG in the colour of the text."""
    low, value, high = (_x(axis, end) for end in row.place)
    middle = HEIGHT / 2
    parts = []
    if axis.zero:
        zero = _x(axis, 0.0)
        parts.append(f'<path d="M{zero} 0V{HEIGHT}" stroke-opacity=".35" stroke-dasharray="2 2"/>')
    if row.low:
        parts.append(f'<path d="M{low} {middle}H{high}M{low} {middle - 3}v6M{high} {middle - 3}v6"/>')
        parts.append(f'<circle cx="{value}" cy="{middle}" r="3" fill="currentColor" stroke="none"/>')
    return (
        f'<svg width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="interval" stroke="currentColor" fill="none">{"".join(parts)}</svg>'
    )


def _x(axis: Axis, value: float) -> str:
    """The place in the drawing; what lies beyond the axis is cut off by the drawing's frame."""
    place = axis.at(value)
    inside = min(max(place, -1.0), 2.0) if place == place else -1.0
    return f"{4 + (WIDTH - 8) * inside:.1f}"

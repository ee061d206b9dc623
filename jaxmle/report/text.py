"""A summary as text: columns aligned at the decimal point, intervals drawn beside them in what symbols there are."""

from __future__ import annotations

import shutil
import sys
import textwrap
import unicodedata
from collections.abc import Callable
from functools import cache

from .forest import NARROWEST, WIDEST, draw
from .table import Table

WIDTH = 110
"""Columns assumed where the terminal does not tell."""

NAME_WIDTH = 36
"""Longer names are shortened in the middle."""

PLAIN = {
    "−": "-", "—": "--", "…": "...", "●": "o", "├": "|", "┤": "|", "─": "-", "┊": ":", "‹": "<", "›": ">",
    "✓": "OK:", "✗": "!!", "→": "->", "←": "<-", "∞": "inf", "·": "*", "’": "'", "²": "^2",
    "⁻¹": "^-1", "√": "sqrt", "σ": "sigma", "±": "+-",
}  # fmt: skip
SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def render(table: Table, width: int | None = None, encoding: str | None = None) -> str:
    """The table as text of at most `width` columns, if names and numbers allow it.

    Arguments:
        width: columns; by default those of the terminal.
        encoding: of where the text will go; by default that of stdout. Where it lacks a symbol, ASCII ones are used.
    """
    width = width or _terminal_width()
    encoding = encoding or _stdout_encoding()
    fancy = _can_write(encoding)
    say = lambda text: writable(text, encoding)
    lines = [say(table.alarm), ""] if table.alarm else []
    lines += _title(table, width, say)
    if table.sections:
        lines += ["", *_body(table, width, say, fancy)]
    if table.n_hidden:
        lines.append(say(f"  … and {table.n_hidden:,} more: fit.tidy() has all"))
    lines.append("")
    for i, note in enumerate(table.footnotes, 1):
        lines += _wrap(say(f"{_mark(i, fancy)} {note}"), width)
    for remark in table.remarks:
        lines += _wrap(say(remark), width)
    for sentence in table.verdict:
        lines += _wrap(say(sentence), width)
    lines.append(say("  " + table.effort))
    return "\n".join(line.rstrip() for line in lines)


def writable(text: str, encoding: str | None = None) -> str:
    """The text in the characters of an encoding (that of stdout): our symbols in ASCII where it lacks one of them, and
    characters of others that it lacks as escapes.
    """
    encoding = encoding or _stdout_encoding()
    if _can_write(encoding):
        return text
    for symbol, replacement in PLAIN.items():
        text = text.replace(symbol, replacement)
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _stdout_encoding() -> str:
    return getattr(sys.stdout, "encoding", None) or "utf-8"


@cache
def _can_write(encoding: str) -> bool:
    try:
        "".join(PLAIN).encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _terminal_width() -> int:
    return max(shutil.get_terminal_size((WIDTH, 24)).columns, 60)


def _title(table: Table, width: int, say: Callable[[str], str]) -> list[str]:
    """The title and the items beside it, in as few lines as they fit in."""
    lines = [say(table.title)]
    for item in map(say, table.head):
        joined = f"{lines[-1]}   {item}"
        lines[-1:] = [joined] if len(joined) <= width else [lines[-1], f"  {item}"]
    return lines


def _body(table: Table, width: int, say: Callable[[str], str], fancy: bool) -> list[str]:
    rows = [row for section in table.sections for row in section.rows]
    marks = [_mark(row.note, fancy) for row in rows]
    columns = [
        _headed("estimate", _aligned([say(row.estimate) for row in rows])),
        _headed("std error", _aligned([say(row.std_error) + mark for row, mark in zip(rows, marks)])),
    ]
    if any(row.low for row in rows):
        columns.append(_headed(say(table.level), _intervals([say(r.low) for r in rows], [say(r.high) for r in rows])))
    if table.tested:
        columns.append(_headed("z", _aligned([say(row.z) for row in rows])))
        columns.append(_headed("p", _aligned([say(row.p) for row in rows])))
    named = _names(table, say)
    name_width = max(map(_width, named))
    used = name_width + sum(2 + len(column[0]) for column in columns)
    room = min(width - used - 3, WIDEST)
    lines = [" " * name_width + "  " + "  ".join(column[0] for column in columns)]
    at = 0
    name = iter(named)
    for section in table.sections:
        if section.heading:
            lines.append(next(name))
        for row in section.rows:
            at += 1
            line = _pad(next(name), name_width) + "  " + "  ".join(column[at] for column in columns)
            if section.axis is not None and room >= NARROWEST:
                line += "   " + say(draw(section.axis, *row.place, room))
            lines.append(line)
    return lines


def _names(table: Table, say: Callable[[str], str]) -> list[str]:
    """What stands in the first column: headings, and under them their terms, indented."""
    out = []
    for section in table.sections:
        if section.heading:
            out.append(say(_short(section.heading)))
        indent = "  " if section.heading else ""
        out.extend(indent + say(_short(row.label)) for row in section.rows)
    return out


def _short(name: str) -> str:
    if _width(name) <= NAME_WIDTH:
        return name
    keep = NAME_WIDTH - 1
    return name[: keep // 2] + "…" + name[-(keep - keep // 2) :]


def _aligned(cells: list[str]) -> list[str]:
    """Cells of one width, their decimal points below each other; flush right where that would take too much room."""
    parts = [_at_point(cell) for cell in cells]
    left, right = max(len(a) for a, _ in parts), max(len(b) for _, b in parts)
    natural = max(map(len, cells))
    if left + right > natural + 8:
        return [cell.rjust(natural) for cell in cells]
    return [a.rjust(left) + b.ljust(right) for a, b in parts]


def _at_point(cell: str) -> tuple[str, str]:
    for stop in (".", "e"):
        head, found, tail = cell.partition(stop)
        if found:
            return head, found + tail
    digits = len(cell.rstrip("⁰¹²³⁴⁵⁶⁷⁸⁹")) if not cell.endswith(")") else cell.find("(")
    return cell[:digits], cell[digits:]


def _intervals(low: list[str], high: list[str]) -> list[str]:
    """`[low, high]` with the commas below each other."""
    left, right = max(map(len, low)), max(map(len, high))
    return [
        f"[{a}".rjust(left + 1) + ", " + f"{b}]".ljust(right + 1) if a else " " * (left + right + 4)
        for a, b in zip(low, high)
    ]


def _headed(head: str, column: list[str]) -> list[str]:
    """The column under its head, both centred on the wider one."""
    width = max(len(head), len(column[0]))
    body = [cell.rjust((width + len(cell) + 1) // 2).ljust(width) for cell in column]
    return [head.rjust(width) if len(head) < 3 else head.center(width), *body]


def _mark(number: int, fancy: bool) -> str:
    if not number:
        return ""
    return str(number).translate(SUPERSCRIPTS) if fancy else f"({number})"


def _wrap(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, min(width, 100), subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def _width(text: str) -> int:
    """Columns that the text takes in a terminal."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _pad(text: str, width: int) -> str:
    return text + " " * (width - _width(text))

"""The text of formulas, read without data, and formulas that have seen data: their text and what they learnt.

Here a formula is only cut into names, calls, numbers and operators. What the operators mean is formulaic's to say, what
a call may do is for `jaxmle.data.expressions`; nothing in a formula is ever run as Python.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from ..errors import ModelError

NAME = re.compile(r"[^\W\d][\w.]*|\.(?![\w.])")
NUMBER = re.compile(r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
OPERATORS = ("**", "%in%", "+", "-", "*", "/", ":", "^", "|", "~")
CLOSING = {"(": ")", "[": "]", "{": "}"}
WILDCARD = "."


@dataclass(frozen=True)
class Formula:
    """The terms of a linear predictor with stored levels, knots and contrasts.

    Arguments:
        text: the formula, starting with `~`.
        state: what was learnt from the data, as JSON.
        functions: (name, function) of what the formula may call beside the known functions.
    """

    text: str
    state: str
    functions: tuple[tuple[str, Callable[..., Any]], ...] = ()

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Token:
    """A piece of a formula: a "name", a "call" (a function with its arguments), a "number", an "operator" or one of
    "(" and ")". `text` is what it says, without backticks; `start` and `end` are where it stands."""

    kind: str
    text: str
    start: int
    end: int
    depth: int = 0


def tokens(text: str) -> list[Token]:
    """The pieces of a formula; raises `ModelError` for characters that have no meaning in one."""
    found: list[Token] = []
    at = depth = 0
    while at < len(text):
        char, start = text[at], at
        if char.isspace():
            at += 1
            continue
        if char == "`":
            at = _closed(text, at)
            found.append(Token("name", text[start + 1 : at - 1], start, at, depth))
        elif match := NAME.match(text, at):
            at = match.end()
            kind = "name"
            while at < len(text) and text[at] in ("([" if kind == "name" else "([."):
                kind = "call"
                at = _closed(text, at) if text[at] in CLOSING else at + 1
                if match := re.compile(r"\w+").match(text, at):
                    at = match.end()
            found.append(Token(kind, text[start:at], start, at, depth))
        elif match := NUMBER.match(text, at):
            at = match.end()
            found.append(Token("number", match.group(), start, at, depth))
        elif char == "{":
            at = _closed(text, at)
            found.append(Token("call", text[start + 1 : at - 1].strip(), start, at, depth))
        elif char in "()":
            at += 1
            depth -= char == ")"
            found.append(Token(char, char, start, at, depth))
            depth += char == "("
            if depth < 0:
                raise ModelError(f"The formula {text!r} closes a bracket that it does not open (at {start + 1}).")
        elif operator := next((o for o in OPERATORS if text.startswith(o, at)), None):
            at += len(operator)
            found.append(Token("operator", operator, start, at, depth))
        else:
            hint = " Comparisons go inside I(...)." if char in "<>=!" else ""
            quoted = " Names that are not identifiers go in backticks; text has no meaning." if char in "'\"" else ""
            raise ModelError(f"The formula {text!r} has {char!r} where a term should be.{hint}{quoted}")
    if depth:
        raise ModelError(f"The formula {text!r} opens a bracket that it does not close.")
    return found


def _closed(text: str, at: int) -> int:
    """The end of what the bracket, quote or backtick at this place opens."""
    open_at = at
    waiting = [CLOSING.get(text[at], text[at])]
    while waiting:
        at += 1
        if at >= len(text):
            raise ModelError(f"The formula {text!r} does not close the {text[open_at]!r} at {open_at + 1}.")
        if waiting[-1] in "'\"`":
            if text[at] == "\\" and waiting[-1] != "`":
                at += 1
            elif text[at] == waiting[-1]:
                waiting.pop()
        elif text[at] == waiting[-1]:
            waiting.pop()
        elif text[at] in "([{'\"`":
            waiting.append(CLOSING.get(text[at], text[at]))
    return at + 1


def quoted(name: str) -> str:
    """A column's name as a formula writes it: in backticks unless it is an identifier."""
    return name if NAME.fullmatch(name) and name != WILDCARD else f"`{name}`"


def right_side(text: str) -> str:
    """What stands behind the `~`, or the whole text if there is none; raises `ModelError` for more than one."""
    tildes = [t for t in tokens(text) if t.text == "~" and t.kind == "operator"]
    if len(tildes) > 1:
        raise ModelError(f"The formula {text!r} has {len(tildes)} '~'; one separates the response from the terms.")
    return text[tildes[0].end :].strip() if tildes else text.strip()


def split_response(text: str) -> tuple[str, str | None]:
    """The response's column and the formula of the terms: `"y ~ x"` is `("y", "~ x")`, `"y"` is `("y", None)`.

    Raises:
        ModelError: where the left side is not the name of one column, or a side is empty.
    """
    rest = right_side(text)
    found = tokens(text)
    tilde = next((t for t in found if t.kind == "operator" and t.text == "~"), None)
    left = [t for t in found if tilde is None or t.end <= tilde.start]
    if not left:
        raise ModelError(f"The formula {text!r} has no response on its left side: 'y ~ x'.")
    if tilde is not None and not rest:
        raise ModelError(f"The formula {text!r} has no terms on its right side; a constant is '~ 1'.")
    if len(left) > 1 or left[0].kind != "name" or left[0].text in ("", WILDCARD):
        given = text[: tilde.start].strip() if tilde is not None else text.strip()
        raise ModelError(f"The left side of a formula is the name of a column; got {given!r}. {_instead(given)}")
    return left[0].text, None if tilde is None else f"~ {rest}"


def _instead(left: str) -> str:
    if left.startswith(("Surv(", "survival(")):
        return "For censored times: jm.censored(jm.weibull('time ~ x'), event='died')."
    if left.startswith("cbind("):
        return "For counts of successes: jm.binomial('successes ~ x', trials='column')."
    if re.match(r"(np\.)?log\w*\(", left):
        return "Add the logarithm to the data as a column, or use a family of the response itself, such as lognormal."
    if "(" in left or any(o in left for o in "+-*/"):
        return "Add the transformed response to the data as a column."
    return "A name that is not an identifier goes in backticks: `my column` ~ x."


def split_offset(text: str) -> tuple[str, tuple[str, ...]]:
    """The formula without its terms `offset(...)`, and their arguments: column names or expressions.

    Raises:
        ModelError: for an offset that is subtracted, in brackets or part of an interaction.
    """
    kept, offsets = text, []
    found = tokens(text)
    for i in reversed(range(len(found))):
        token = found[i]
        if token.kind != "call" or not token.text.startswith("offset("):
            continue
        before = found[i - 1] if i else None
        after = found[i + 1] if i + 1 < len(found) else None
        first = before is None or before.text in ("~", "|")
        apart = (first or before.text == "+") and (after is None or after.text in ("+", "-", "|"))  # type: ignore[union-attr]
        if token.depth or not apart:
            raise ModelError(
                f"The formula {text!r}: {token.text} is added to the predictor as it is, so it can only be a term of "
                "its own: '~ x + offset(z)'."
            )
        inner = token.text[len("offset(") : -1].strip()
        offsets.append(inner[1:-1] if re.fullmatch(r"`[^`]+`", inner) else inner)
        start, end = (before.start, token.end) if before is not None and not first else (token.start, token.end)
        if first and after is not None and after.text == "+":
            end = after.end
        kept = f"{kept[:start].rstrip()} {kept[end:].lstrip()}".rstrip()
    if offsets and not right_side(kept):
        kept = f"{kept.rstrip()} 1".lstrip()
    return (kept.strip() if offsets else text), tuple(reversed(offsets))


def expand(text: str, names: Iterable[str], exclude: Iterable[str] = ()) -> str:
    """The formula with `.` written out: the sum of all columns but those in `exclude` and the response."""
    found = [t for t in tokens(text) if t.kind == "name" and text[t.start : t.end] == WILDCARD]
    if not found:
        return text
    left = text[: len(text) - len(right_side(text))]
    excluded = {*exclude, *(t.text for t in tokens(left) if t.kind == "name")}
    columns = [quoted(n) for n in names if n not in excluded]
    if not columns:
        raise ModelError(f"The formula {text!r}: '.' stands for all other columns, and there are none.")
    for token in reversed(found):
        text = f"{text[: token.start]}({' + '.join(columns)}){text[token.end :]}"
    return text

"""Linear hypotheses as people write them: `"age = income, C(site)[B] = 0"`."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from ..errors import ModelError, did_you_mean

NUMBER = re.compile(r"\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?")


def linear_hypotheses(texts: str | Sequence[str], names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Equations in coefficients as a matrix R (m, k) and values r (m,) with Rθ = r; without `=`, what is written is zero.

    A coefficient goes by its whole name, `"rate[age]"`, or by what is within the brackets where that is enough, `"age"`.

    Raises:
        ModelError: for what cannot be read, names that are not known, and equations that contradict or repeat others.
    """
    words = _known(names)
    parts = [e for text in ([texts] if isinstance(texts, str) else texts) for e in _split(text, ",")]
    equations = [e for e in parts if e.strip()]
    if not equations:
        raise ModelError("A hypothesis is an equation in coefficients, such as 'age = 0'; got nothing.")
    rows, values = [], []
    for equation in equations:
        sides = _sides(equation)
        row, value = np.zeros(len(names)), 0.0
        for sign, side in zip((1.0, -1.0), sides):
            weights, constant = _sum(side, equation, words, len(names))
            row, value = row + sign * weights, value - sign * constant
        if not row.any():
            raise ModelError(f"The hypothesis {equation.strip()!r} says nothing of any coefficient.")
        rows.append(row)
        values.append(value)
    matrix = np.stack(rows)
    if np.linalg.matrix_rank(matrix) < len(matrix):
        raise ModelError(f"The hypotheses repeat or contradict each other: {'; '.join(e.strip() for e in equations)}.")
    return matrix, np.array(values)


def _known(names: Sequence[str]) -> dict[str, int]:
    """Whole names, and what is within their brackets where one coefficient alone is called so; longest first."""
    short: dict[str, list[int]] = {}
    for i, name in enumerate(names):
        if name.endswith("]") and "[" in name:
            short.setdefault(name[name.index("[") + 1 : -1], []).append(i)
    words = {name: i for i, name in enumerate(names)}
    words = {word: of[0] for word, of in short.items() if len(of) == 1 and word not in words} | words
    return dict(sorted(words.items(), key=lambda item: -len(item[0])))


def _split(text: str, mark: str) -> list[str]:
    """The parts between marks that are not within brackets."""
    parts, depth = [""], 0
    for c in text:
        depth += (c in "([{") - (c in ")]}")
        if c == mark and depth == 0:
            parts.append("")
        else:
            parts[-1] += c
    return parts


def _sides(equation: str) -> list[str]:
    sides = _split(equation, "=")
    if len(sides) > 2 or not all(side.strip() for side in sides):
        raise ModelError(f"The hypothesis {equation.strip()!r} is no equation: write one such as 'age = 2*income'.")
    return sides


def _sum(side: str, equation: str, words: dict[str, int], size: int) -> tuple[np.ndarray, float]:
    """Weights of the coefficients and the constant of one side: terms `2*age`, `age/2`, `age` and `3` with signs."""
    weights, constant, at, sign, begun = np.zeros(size), 0.0, 0, 1.0, False
    unreadable = lambda: ModelError(
        f"The hypothesis {equation.strip()!r} cannot be read at {side[at:].strip()!r}. It is a sum of coefficients and "
        f"numbers, such as '2*age - income = 1'.{did_you_mean(side[at:].strip(), words)}"
    )
    while side[at:].strip():
        at += len(side[at:]) - len(side[at:].lstrip())
        if side[at] in "+-":
            sign, begun, at = (sign if side[at] == "+" else -sign), False, at + 1
            continue
        if begun:
            raise unreadable()
        factor, place, at = _term(side, at, words)
        if factor is None:
            raise unreadable()
        if place is None:
            constant += sign * factor
        else:
            weights[place] += sign * factor
        sign, begun = 1.0, True
    if not begun:
        raise unreadable()
    return weights, constant


def _term(side: str, at: int, words: dict[str, int]) -> tuple[float | None, int | None, int]:
    """A product of numbers and at most one coefficient: its factor (None: it is none), the coefficient, where it ends."""
    factor, place, divide = 1.0, None, False
    while True:
        at += len(side[at:]) - len(side[at:].lstrip())
        word = next(
            (w for w in words if side.startswith(w, at) and not re.match(r"\w", side[at + len(w) : at + len(w) + 1])),
            None,
        )
        number = NUMBER.match(side, at)
        if word is not None and place is None and not divide:
            place, at = words[word], at + len(word)
        elif number is not None and not (divide and float(number[0]) == 0.0):
            factor, at = (factor / float(number[0]) if divide else factor * float(number[0])), number.end()
        else:
            return None, None, at
        rest = side[at:].lstrip()
        if not rest or rest[0] not in "*/":
            return factor, place, at
        divide = rest[0] == "/"
        at += len(side[at:]) - len(rest) + 1

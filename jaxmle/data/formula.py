"""Formulas on data: what they learn (levels, knots, contrasts), and their columns in the same rows or in new ones.

formulaic says what the operators of a formula mean and which categorical terms have a column for every level; it is
shown placeholders only, on a table of two rows. The columns are made here, so that numbers are taken as they stand, a
factor of many levels never becomes a table of zeros and ones, and no text of a formula is run as Python.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from ..declare.formula import Formula, expand, quoted, right_side, split_offset, split_response, tokens
from ..errors import DataError, ModelError
from .beside import Beside
from .expressions import formulaic, names_in
from .levels import Factor
from .state import from_json, to_json
from .syntax import Functions, check
from .tables import Table
from .terms import Values, learn, refuse_infinite

__all__ = ["bind", "columns", "expand", "split_offset", "split_response", "variables", "without"]

CODES_FROM = 8
"""From so many columns on, a categorical main effect that is in no interaction stays integer codes."""

LARGEST_POWER = 8

Columns = tuple[tuple[str, ...], np.ndarray | Beside, tuple[Factor, ...]]
"""Names of all columns, those that are numbers (n, k) in the order of the names, and the factors kept as codes.

A matrix of the user's that is a term by itself is among the numbers as it is, not a copy.
"""


def variables(text: str) -> tuple[str, ...]:
    """The columns that a formula uses, in order; `.` stands for none (`expand` writes it out).

    Raises:
        ModelError: for text that is no formula.
    """
    found: list[str] = []
    for token in tokens(right_side(text)):
        if token.kind == "call":
            found += names_in(token.text[len("offset") :] if token.text.startswith("offset(") else token.text)
        elif token.kind == "name" and token.text != ".":
            found.append(token.text)
    return tuple(dict.fromkeys(found))


def bind(
    text: str, table: Table, parameter: str, functions: Functions | None = None, exclude: Iterable[str] = ()
) -> Formula:
    """Learn levels, knots and contrasts of a formula on the rows of `table`.

    Arguments:
        text: the formula, `"~ terms"`, without `offset(...)`.
        table: the rows that the fit uses.
        parameter: whose linear predictor this is, for messages.
        functions: name → function that the formula may call beside the known ones, on arrays of all rows.
        exclude: columns that `.` does not stand for.

    Raises:
        ModelError: for a formula that cannot be read, has no terms, or calls unknown functions.
        DataError: for columns that are unknown or cannot be used, and terms that are not finite.
    """
    functions = dict(functions or {})
    right = right_side(expand(text, table.names, exclude))
    if not right:
        raise ModelError(f"The formula {text!r} of {parameter!r} has no terms; a constant is '~ 1'.")
    shown, factors, called = _placeholders(right, functions)
    kept = {name: functions[name] for name in called}
    stored = [learn(label, expression, table, parameter, kept) for label, expression in factors]
    terms = _structure(f"~ {right}", shown, stored)
    for i, reduced in {m for term in terms for _, members in term for m in members}:
        if Values(stored[i], table, parameter, kept).width(reduced) == 0:
            level, label = stored[i]["levels"][0], stored[i]["label"]
            raise DataError(
                f"Term {label!r} of {parameter!r} has one level, {level!r}, in these {table.n_rows:,} rows: it has no "
                "effect to estimate. Leave it out."
            )
    if not any(terms):
        raise ModelError(f"The formula '~ {right}' of {parameter!r} has no terms: there is nothing to estimate.")
    return Formula(f"~ {right}", to_json({"factors": stored, "terms": terms, "dropped": []}), tuple(kept.items()))


def columns(formula: Formula, table: Table, parameter: str) -> Columns:
    """The columns of a bound formula on the rows of `table`.

    Raises:
        DataError: naming column, rows and remedy for unseen levels, missing values, and terms that are not finite.
    """
    state = from_json(formula.state)
    values = [Values(stored, table, parameter, dict(formula.functions)) for stored in state["factors"]]
    scoped = [s for term in state["terms"] for s in term]
    count = Counter(i for _, members in scoped for i, _ in members)
    names: list[str] = []
    pieces: list[np.ndarray | list[Product]] = []  # matrices of the user's, and columns to be written between them
    factors: list[Factor] = []
    for scale, members in scoped:
        i, reduced = members[0] if len(members) == 1 else (-1, False)
        alone = i >= 0 and count[i] == 1 and scale == 1
        if alone and values[i].may_be_codes(reduced, CODES_FROM):
            labels, factor = values[i].factor(reduced, len(names))
            names += labels
            factors.append(factor)
            continue
        if alone and (own := values[i].matrix) is not None:
            names += [label for label, _ in values[i].fields]
            pieces.append(own)
            continue
        for chosen in product(*(values[i].columns(reduced) for i, reduced in reversed(members))):
            if not pieces or not isinstance(pieces[-1], list):
                pieces.append([])
            name = ":".join(label for label, _ in reversed(chosen)) or "Intercept"
            pieces[-1].append(Product(name, tuple(column for _, column in reversed(chosen)), scale))  # type: ignore[union-attr]
            names.append(name)
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        raise DataError(f"The formula {formula.text!r} of {parameter!r} has two columns of the name {twice[0]!r}.")
    types = [v.dtype for i, v in enumerate(values) if count[i] and v.dtype is not None]
    floats = any(t.kind == "f" for t in types)  # float32 where numbers are; zeros and ones take any type
    kind = np.result_type(np.float32, *types) if floats else np.dtype(np.float64)
    written = [p if isinstance(p, np.ndarray) else _written(p, kind, table, parameter) for p in pieces or [[]]]
    matrix = written[0] if len(written) == 1 else Beside(tuple(written))
    all_columns = (tuple(names), matrix, tuple(factors))
    return drop_columns(*all_columns, state["dropped"]) if state["dropped"] else all_columns


class Product(NamedTuple):
    """A column of a design: what is multiplied, nothing for a constant."""

    name: str
    made_of: tuple[np.ndarray, ...]
    scale: float


def _written(products: list[Product], kind: np.dtype, table: Table, parameter: str) -> np.ndarray:
    """The products as columns of one matrix (n, k); raises `DataError` where one is not finite."""
    matrix = np.empty((table.n_rows, len(products)), kind, order="F")
    for column, (name, made_of, scale) in zip(matrix.T, products):
        column[:] = made_of[0] if made_of else 1.0
        with np.errstate(over="ignore"):
            for other in made_of[1:]:
                column *= other
            if scale != 1:
                column *= scale
            if len(made_of) > 1 and not np.isfinite(column.sum()):
                refuse_infinite(column, name, table, parameter)
    return matrix


def without(formula: Formula, positions: Iterable[int], n_columns: int) -> Formula:
    """The formula that leaves out these of its `n_columns` columns, counted among those that it has now."""
    state = from_json(formula.state)
    gone = set(state["dropped"])
    left = [i for i in range(n_columns + len(gone)) if i not in gone]
    state["dropped"] = sorted(gone | {left[p] for p in positions})
    return replace(formula, state=to_json(state))


def drop_columns(names: tuple[str, ...], matrix: Any, factors: tuple[Factor, ...], positions: Iterable[int]) -> Columns:
    """The columns but those at these positions; a level without its column becomes one more reference level."""
    gone = np.zeros(len(names), bool)
    gone[list(positions)] = True
    is_level = np.zeros(len(names), bool)
    left = []
    for f in factors:
        own = slice(f.first, f.first + f.n_levels)
        is_level[own] = True
        keep = ~gone[own]
        place = np.append(np.where(keep, np.cumsum(keep) - 1, -1), -1).astype(np.int32)  # the last one for code -1
        if keep.any():
            left.append(Factor(place[f.codes], f.first - int(gone[: f.first].sum()), int(keep.sum())))
    return tuple(n for n, g in zip(names, gone) if not g), matrix[:, ~gone[~is_level]], tuple(left)


def _placeholders(right: str, functions: Functions) -> tuple[str, list[tuple[str, str]], tuple[str, ...]]:
    """The formula with `v0`, `v1`, ... for names and calls, and for each of them its label and its expression.

    Also returns the user's functions among the calls. A bare column's expression is its name in backticks.
    """
    number: dict[tuple[str, str], int] = {}
    called: list[str] = []
    pieces, before = [], ""
    for token in tokens(right):
        piece = token.text
        if token.kind == "name":
            if "__" in token.text or token.text in ("lambda", "await", "yield"):
                raise ModelError(f"The formula '~ {right}': {token.text!r} is no column, and formulas run no Python.")
            piece = f"v{number.setdefault((token.text, f'`{token.text}`'), len(number))}"
        elif token.kind == "call":
            checked = check(token.text, functions)
            called += checked.called
            piece = f"v{number.setdefault((checked.text, checked.text), len(number))}"
        elif before in ("**", "^") and token.kind == "number" and float(token.text) > LARGEST_POWER:
            raise ModelError(
                f"The formula '~ {right}': interactions of {token.text} factors are too many to write out."
            )
        elif piece == "|":
            raise ModelError(f"The formula '~ {right}' has '|'; give every parameter a formula of its own.")
        pieces.append(piece)
        before = token.text
    return " ".join(pieces), list(number), tuple(dict.fromkeys(called))


Structure = tuple[tuple[tuple[float, tuple[tuple[int, bool], ...]], ...], ...]
"""The terms: for each what its columns are products of, `(scale, ((factor, whether of reduced rank), ...))`."""


def _structure(text: str, shown: str, stored: list[dict[str, Any]]) -> Structure:
    """What the terms of a formula are; raises `ModelError` for one that formulaic cannot read."""
    spans = tuple(bool(factor["spans"]) for factor in stored)
    if SUM.fullmatch(shown):
        return _sum(shown, spans)
    try:
        return _read(shown, spans)
    except (formulaic("errors").FormulaicError, ValueError, TypeError, RecursionError) as error:
        why = re.sub(r"\x1b\[[0-9;]*m|⧛|⧚", "", str(error)).strip().split("\n")[0]
        why = re.sub(r"\bv(\d+)\b", lambda m: quoted(stored[int(m.group(1))]["label"]), why)
        raise ModelError(f"The formula {text!r} cannot be read: {why}") from None


SUM = re.compile(r"(1|v\d+)( \+ v\d+)*")


def _sum(shown: str, spans: tuple[bool, ...]) -> Structure:
    """What formulaic makes of a sum of placeholders: a constant, and each by itself, of levels all but one.

    It is not asked: most formulas are sums, and importing it takes longer than most fits.
    """
    numbers = dict.fromkeys(int(v) for v in re.findall(r"v(\d+)", shown))
    return (((1.0, ()),), *(((1.0, ((i, spans[i]),)),) for i in numbers))


@lru_cache(maxsize=256)
def _read(shown: str, spans: tuple[bool, ...]) -> Structure:
    """What formulaic makes of a formula of placeholders, of which some are levels."""
    pandas = formulaic("materializers.pandas").pandas
    stand_in = {"v": [0.0, 1.0]}
    for i, levels in enumerate(spans):
        stand_in[f"v{i}"] = pandas.Categorical(["a", "b"]) if levels else [0.0, 1.0]
    structure = formulaic().model_matrix(shown, pandas.DataFrame(stand_in), context={}).model_spec.structure
    factors = lambda s: tuple((int(f.factor.expr[1:]), bool(f.reduced)) for f in s.factors)
    return tuple(tuple((float(s.scale), factors(s)) for s in row.scoped_terms) for row in structure)

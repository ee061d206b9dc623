"""Which rows, which parameters, and what kind of number: the culprits behind a log-density that is not finite."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import rows_in_words
from ..objective.objective import Objective


@dataclass(frozen=True)
class Context:
    """What words need: the names of the entries of `z`, and for each unit the user's row or group, and the unit."""

    names: Sequence[str]
    rows: np.ndarray
    unit: str


@dataclass(frozen=True)
class Blame:
    """What is not finite at a point: `kind` (value, score or Hessian), units, parameters, and the sentence."""

    kind: str
    units: np.ndarray
    parameters: tuple[str, ...]
    words: str


def find_blame(objective: Objective, z: np.ndarray, names: Sequence[str], rows: np.ndarray, unit: str) -> Blame | None:
    """Trace a value, score or Hessian that is not finite at `z`; None if all are finite.

    `names` are those of the entries of `z`; `rows` tells for each unit which row (or group) of the user's data it is.
    """
    with np.errstate(all="ignore"):
        terms = objective.terms(z)
    bad = np.flatnonzero(~np.isfinite(terms))
    if len(bad):
        kinds = [
            (np.isnan(terms[bad]).sum(), "not a number (NaN)"),
            (np.isneginf(terms[bad]).sum(), "−inf, a density of zero"),
            (np.isposinf(terms[bad]).sum(), "+inf"),
        ]
        what = " and ".join(f"{label}" + (f" ({n:,} times)" if n > 1 else "") for n, label in kinds if n)
        culprits = _culprits(objective, z, names, bad)
        by = f" It becomes finite when {culprits[0]!r} alone is moved." if culprits else ""
        words = f"the log-density is {what} in {_where(unit, rows[bad])}.{by}"
        return Blame("value", bad, culprits, words)
    scores = objective.scores(z)
    wrong = ~np.isfinite(scores)
    if wrong.any():
        bad = np.flatnonzero(wrong.any(axis=1))
        who = tuple(names[int(i)] for i in np.flatnonzero(wrong.any(axis=0)))
        words = (
            f"the log-density is finite but its derivative by {_list(who)} is not, in {_where(unit, rows[bad])}. "
            "This is what a branch not taken does: where(c, f(x), g(x)) differentiates both, so make f safe first, "
            "f(where(c, x, 1.0)); see jaxmle.numerics for safe logarithms, roots and quotients."
        )
        return Blame("score", bad, who, words)
    matrix = objective.evaluate(z).matrix
    wrong = ~np.isfinite(matrix)
    if wrong.any():
        who = tuple(names[int(i)] for i in np.flatnonzero(wrong.any(axis=1)))
        words = f"value and score are finite but second derivatives by {_list(who)} are not."
        return Blame("Hessian", np.zeros(0, int), who, words)
    return None


def _culprits(objective: Objective, z: np.ndarray, names: Sequence[str], bad: np.ndarray) -> tuple[str, ...]:
    """Parameters of which a move of one unit, all others held, makes the bad terms finite (at most 30 are tried)."""
    out = []
    for i in range(min(len(z), 30)):
        for move in (1.0, -1.0):
            trial = np.array(z)
            trial[i] += move
            with np.errstate(all="ignore"):
                if np.isfinite(objective.terms(trial)[bad]).all():
                    out.append(names[i])
                    break
    return tuple(out)


def _where(unit: str, rows: np.ndarray) -> str:
    if unit in ("row", "all"):
        return rows_in_words(rows)
    shown = ", ".join(repr(r.item() if hasattr(r, "item") else r) for r in rows[:5])
    return f"{unit} {shown}" + (f" and {len(rows) - 5} more" if len(rows) > 5 else "")


def _list(names: Sequence[str]) -> str:
    return ", ".join(repr(n) for n in names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")

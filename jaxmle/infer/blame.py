"""Which rows, which parameters, and what kind of number: the culprits behind a log-density that is not finite."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..errors import rows_in_words
from ..objective.objective import Objective
from ..objective.passes import Evaluation
from ..objective.placement import Placed
from ..objective.source import Source
from ..solve.solver import finite

MOST_UNITS = 200_000
"""More units than this, and derivatives that are not finite are not traced to single ones."""


@dataclass(frozen=True)
class Context:
    """What words need: the names of the entries of `z`, and for each unit the user's row or group, and the unit.

    With the `source` of the data it is found exactly whether responses are separated.
    """

    names: Sequence[str]
    rows: np.ndarray
    unit: str
    source: Source | None = None


@dataclass(frozen=True)
class Blame:
    """What is not finite at a point: `kind` (value, score or Hessian), units, parameters, and the sentence."""

    kind: str
    units: np.ndarray
    parameters: tuple[str, ...]
    words: str


def find_blame(
    objective: Objective, z: np.ndarray, names: Sequence[str], rows: np.ndarray, unit: str, hint: bool = True
) -> Blame | None:
    """Trace a value, score or Hessian that is not finite at `z`; None if all are finite.

    `names` are those of the entries of `z`; `rows` tells for each unit which row (or group) of the user's data it is;
    `hint` asks for the parameters that, moved alone, would make a value finite.
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
        culprits = _culprits(objective, z, names, bad) if hint else ()
        by = f" It becomes finite when {_list(culprits, 'or')} alone is moved." if culprits else ""
        words = f"the log-density is {what} in {_where(unit, rows[bad])}.{by}"
        return Blame("value", bad, culprits, words)
    likelihood = objective.evaluate(z, penalised=False)
    value_of_all = objective.evaluate(z)
    if finite(likelihood):
        if finite(value_of_all):
            return None
        who = _not_finite(value_of_all, names)
        words = f"the log-density is finite, but the penalty, a prior or a derivative of it is not{_by(who)}."
        return Blame("penalty", np.zeros(0, int), who, words)
    kind = "score" if not np.isfinite(likelihood.gradient).all() else "Hessian"
    wrong = ~np.isfinite(objective.scores(z))
    bad, more = np.flatnonzero(wrong.any(axis=1)), ""
    if not len(bad):  # finite in forward mode, or only the second derivatives are not
        bad, complete = units_behind(objective, z)
        more = "" if complete else " and others"
    who = _not_finite(likelihood, names)
    what = "its derivative" if kind == "score" else "its score are finite but its second derivative"
    where = f", in {_where(unit, rows[bad])}{more}" if len(bad) else ""
    words = (
        f"the log-density {'is finite but' if kind == 'score' else 'and'} {what}{_by(who)} is not{where}. "
        "Often this is a branch not taken: where(c, f(x), g(x)) differentiates both, so make f safe first, "
        "f(where(c, x, 1.0)); see jaxmle.numerics for safe logarithms, roots and quotients."
    )
    return Blame(kind, bad, who, words)


def _not_finite(evaluation: Evaluation, names: Sequence[str]) -> tuple[str, ...]:
    """The parameters by which the first derivative is not finite or, if all of these are, a second derivative."""
    wrong = ~np.isfinite(evaluation.gradient)
    if not wrong.any():
        wrong = ~np.isfinite(np.diag(evaluation.matrix))
    if not wrong.any():
        wrong = (~np.isfinite(evaluation.matrix)).any(axis=1)
    return tuple(name for name, w in zip(names, wrong) if w)


def units_behind(objective: Objective, z: np.ndarray, most: int = 5) -> tuple[np.ndarray, bool]:
    """Units without which the derivatives at `z` would be finite, at most `most`; and whether these are all.

    A derivative that is not finite poisons the sum over units, and only the sum is at hand. So all units but some are
    replaced by a good one, and the guilty are found by halving. None are named where units depend on each other.
    """
    if objective.likelihood.unit == "all" or objective.n_units > MOST_UNITS:
        return np.zeros(0, int), False
    found: list[int] = []
    complete = True
    for part in objective.parts:
        suspects = np.arange(len(part.units))
        trial = np.random.default_rng(0).permutation(suspects)[:20]
        good = next((i for i in trial if _finite_with(objective, z, part, np.array([i]), i)), None)
        if good is None:
            found.extend(part.units[trial[:most]])
            complete = False
            continue
        stack = [suspects]
        while stack and len(found) <= most:
            some = stack.pop()
            if _finite_with(objective, z, part, some, good):
                continue
            if len(some) == 1:
                found.append(int(part.units[some[0]]))
            else:
                stack += [some[len(some) // 2 :], some[: len(some) // 2]]
    return np.sort(np.array(found[:most], dtype=int)), complete and len(found) <= most


def _finite_with(objective: Objective, z: np.ndarray, part: Placed, some: np.ndarray, instead: int) -> bool:
    """Whether value and derivatives are finite with the units at `some`, and the one at `instead` in place of others."""
    shape = part.data["weights"].shape
    chunk, row = (np.full(shape, x) for x in part.where(np.asarray(instead)))
    places = part.where(some)
    chunk[places], row[places] = places
    there = part.rearranged(chunk, row)
    return finite(replace(objective, parts=(there,)).evaluate(z, penalised=False))


def _culprits(objective: Objective, z: np.ndarray, names: Sequence[str], bad: np.ndarray) -> tuple[str, ...]:
    """Parameters of which a move by one or to zero, all others held, makes the bad terms finite; at most 30 are tried."""
    out = []
    for i in range(min(len(z), 30)):
        for moved in (z[i] + 1.0, z[i] - 1.0, 0.0):
            trial = np.array(z)
            trial[i] = moved
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


def _by(names: Sequence[str]) -> str:
    return f" by {_list(names)}" if names else ""


def _list(names: Sequence[str], last: str = "and") -> str:
    shown = [repr(n) for n in names[:5]] + ([f"{len(names) - 5} more"] if len(names) > 5 else [])
    return f" {last} ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else "".join(shown)

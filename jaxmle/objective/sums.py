"""Sums of parameters' entries times numbers of the row, found among the steps of a log-density.

Every value of the trace is one of four things: made of the row alone, single entries of parameters (perhaps times
numbers of the row), sums of such products, or anything else. Parameters are found where nothing else takes any of these
but at one place, and what it takes there is a sum in which every entry is once. Which entry stands where is known by
number: whatever only arranges an array is done to the array of its elements' numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import jax.numpy as jnp
import numpy as np

from .row_density import Traced
from .steps import Step

FEWEST = 2
"""Terms from which a predictor, one number a row, is less than the entries that it stands for."""

MOST_OUTPUTS = 100
"""More predictors than this in one sum are the first layer of a network: it has too many pairs of them."""

Place: TypeAlias = tuple[int, np.ndarray]
"""Elements of a value: its number, and positions in it, flat."""


@dataclass(frozen=True, eq=False)
class Entries:
    """An array of single entries of parameters, each times numbers of the row: places of the factors by element."""

    index: np.ndarray
    factors: tuple[Place, ...] = ()

    def each(self, change: Callable[[np.ndarray], np.ndarray]) -> Entries:
        return Entries(change(self.index), tuple((i, change(at)) for i, at in self.factors))


@dataclass(frozen=True, eq=False)
class Part:
    """Some terms of a sum: entries (..., terms), and for each term its factors, or the value that picks one of them."""

    index: np.ndarray
    factors: tuple[Place, ...] = ()
    code: int | None = None
    sign: int = 1


@dataclass(frozen=True, eq=False)
class Sum:
    """An array: `sign` times sums of entries times numbers of the row, the same for each, plus or minus other values."""

    parts: tuple[Part, ...]
    others: tuple[tuple[int, int], ...] = ()
    sign: int = 1

    @property
    def index(self) -> np.ndarray:
        """The entries, shape (..., terms)."""
        return np.concatenate([part.index for part in self.parts], axis=-1)

    def each(self, change: Callable[[np.ndarray], np.ndarray]) -> Sum | None:
        """With its outputs arranged otherwise; None where other values are in it."""
        shape = self.parts[0].index.shape[:-1]
        at = change(np.arange(int(np.prod(shape))).reshape(shape))
        rows = lambda x: x.reshape(-1, x.shape[-1])[at.reshape(-1)].reshape(*at.shape, -1)
        return None if self.others else Sum(tuple(replace(p, index=rows(p.index)) for p in self.parts))

    def negative(self) -> Sum:
        parts = tuple(replace(p, sign=-p.sign) for p in self.parts)
        return Sum(parts, tuple((i, -sign) for i, sign in self.others))

    def in_order(self) -> Sum | None:
        """With the common sign in front and parts in an order that does not depend on how the sum was written."""
        codes = {p.sign for p in self.parts if p.code is not None}
        if len(codes) > 1:
            return None
        sign = next(iter(codes)) if codes else self.parts[0].sign
        parts = (replace(p, sign=p.sign * sign) for p in self.parts)
        key = lambda p: (p.code is not None, p.code or 0, [i for i, _ in p.factors])
        return Sum(tuple(sorted(parts, key=key)), self.others, sign)


def summed(entries: Entries) -> Sum | None:
    """The sum over the last axis; None where the factors are not the same for all others."""
    picks = []
    for i, at in entries.factors:
        rows = at.reshape(-1, at.shape[-1])
        if not (rows == rows[:1]).all():
            return None
        picks.append((i, rows[0]))
    return Sum((Part(entries.index, tuple(picks)),))


def as_sum(value: Entries | Sum | None) -> Sum | None:
    return summed(value.each(lambda x: x[..., None])) if isinstance(value, Entries) else value


def _slice(x: np.ndarray, settings: Mapping[str, Any]) -> np.ndarray:
    steps = settings["strides"] or (1,) * x.ndim
    return x[tuple(map(slice, settings["start_indices"], settings["limit_indices"], steps))]


def _broadcast(x: np.ndarray, settings: Mapping[str, Any]) -> np.ndarray:
    kept = dict(zip(settings["broadcast_dimensions"], x.shape))
    return np.broadcast_to(x.reshape([kept.get(i, 1) for i in range(len(settings["shape"]))]), settings["shape"])


VIEWS: Mapping[str, Callable[[np.ndarray, Mapping[str, Any]], np.ndarray]] = {
    "reshape": lambda x, settings: x.reshape(settings["new_sizes"]),
    "transpose": lambda x, settings: x.transpose(settings["permutation"]),
    "squeeze": lambda x, settings: np.squeeze(x, tuple(settings["dimensions"])),
    "rev": lambda x, settings: np.flip(x, settings["dimensions"]),
    "slice": _slice,
    "broadcast_in_dim": _broadcast,
    "copy": lambda x, _: x,
    "convert_element_type": lambda x, _: x,
}
"""Steps that only arrange the elements of an array, on the array of their numbers."""


class Analysis:
    """What becomes of some parameters in a traced density.

    `sums` are those found, by the number of the value that each one is; `names_of` says which parameters are in one,
    `unfit` which are in none. Entries are numbered through all parameters in the order of `names`. At the values `stops`
    sums are not followed any further; `better` are some at which they should not have been.
    """

    def __init__(self, traced: Traced, names: Sequence[str], stops: Sequence[int] = ()) -> None:
        self.names, self.stops = tuple(names), tuple(stops)
        self.better: set[int] = set()
        self._steps = traced.steps
        self._of_row: dict[int, frozenset[str]] = {i: frozenset() for i in self._steps.known}
        self._of_row |= {i: frozenset([name]) for name, i in traced.columns.items()}
        self._column = {i: name for name, i in traced.columns.items()}
        self._places: dict[int, Place] = {}
        self._linear: dict[int, Entries | Sum] = {}
        self._before: dict[int, frozenset[int]] = {}
        self._ends: dict[str, set[int]] = {name: set() for name in names}
        sizes = [int(np.prod(self._steps.avals[traced.params[name][0]].shape)) for name in names]
        self._owner = np.repeat(np.arange(len(names)), sizes)
        self._scales = {traced.scales[name]: name for name in names}
        self._real: Any = None
        for k, name in enumerate(names):
            (i,) = traced.params[name]
            self._real = self._steps.avals[i].dtype
            self._linear[i] = Entries(np.flatnonzero(self._owner == k).reshape(self._steps.avals[i].shape))
            self._before[i] = frozenset([i])
        for step in self._steps.steps:
            self._follow(step)
        self._end(self._steps.outputs)
        self.sums: dict[int, Sum] = {}
        self.unfit: set[str] = {name for name in names if not self._ends[name]}
        for i in sorted(set[int]().union(*self._ends.values())):
            self._settle(i)

    @property
    def key(self) -> tuple[Any, ...]:
        """Equal for equal sums of equal parameters."""
        return self.names, tuple((s.index.shape, s.index.tobytes()) for s in self.sums.values())

    def names_of(self, value: Entries | Sum) -> tuple[str, ...]:
        """The parameters of which there are entries in a value, in order."""
        return tuple(self.names[k] for k in np.unique(self._owner[value.index]))

    def columns_of(self, part: Part) -> frozenset[str]:
        """The names of the columns that the numbers of a part are made of."""
        used = [i for i, _ in part.factors] + ([] if part.code is None else [part.code])
        return frozenset[str]().union(*(self._of_row[i] for i in used))

    def column(self, i: int) -> str | None:
        """The name of the column that the value is, as it stands."""
        return self._column.get(i)

    def _settle(self, i: int) -> None:
        """Take a value where a sum ends as found, or say which parameters keep it from that."""
        if i not in self._linear:
            self.unfit.add(self._scales[i])
            return
        names, found = self.names_of(self._linear[i]), self._worth(i)
        if found is None:
            self.unfit.update(names)
            return
        once = np.bincount(found.index.reshape(-1), minlength=len(self._owner)) == 1
        wrong = [n for n in names if len(self._ends[n]) > 1 or not once[self._owner == self.names.index(n)].all()]
        for name in wrong:
            common = frozenset[int].intersection(*(self._before.get(j, frozenset()) for j in self._ends[name]))
            common = [j for j in common - set(self.stops) if self._ends[name] != {j} and self._worth(j)]
            if common:
                self.better.add(max(common))
            else:
                self.unfit.add(name)
        if not wrong:
            self.sums[i] = found

    def _worth(self, i: int) -> Sum | None:
        """The sum that a value is; None if it is none of the row's numbers, or no less than the entries in it."""
        value = as_sum(self._linear[i])
        found = None if value is None else value.in_order()
        if found is None or not any(map(self.columns_of, found.parts)):
            return None
        *outputs, terms = found.index.shape
        return found if terms >= FEWEST and int(np.prod(outputs)) <= MOST_OUTPUTS else None

    def _end(self, values: Sequence[int]) -> None:
        """These values are used by something other than a sum."""
        for i in values:
            if i in self._linear:
                for name in self.names_of(self._linear[i]):
                    self._ends[name].add(i)
            elif i in self._scales:
                self._ends[self._scales[i]].add(i)

    def _place(self, i: int) -> Place:
        """A value of the row as elements of one that it only arranges."""
        if i not in self._places:
            shape = self._steps.avals[i].shape
            self._places[i] = i, np.arange(int(np.prod(shape))).reshape(shape)
        return self._places[i]

    def _follow(self, step: Step) -> None:
        if step.equation.effects:
            self._end(step.inputs)
        elif all(i in self._of_row for i in step.inputs):
            columns = frozenset[str]().union(*(self._of_row[i] for i in step.inputs))
            self._of_row |= dict.fromkeys(step.outputs, columns)
            if step.name in VIEWS and self._keeps(step):
                base, at = self._place(step.inputs[0])
                self._places[step.outputs[0]] = base, VIEWS[step.name](at, step.params)
        else:
            of = [i for i in step.inputs if i in self._linear]
            made = self._combined(step) if of and not set(of) & set(self.stops) else None
            if made is None:
                self._end(step.inputs)
            else:
                (i,) = step.outputs
                self._linear[i] = made
                self._before[i] = frozenset([i]).union(*(self._before[j] for j in of))

    def _keeps(self, step: Step) -> bool:
        """Whether the elements of the array keep their values."""
        if step.name == "reshape":
            return step.params.get("dimensions") is None
        if step.name != "convert_element_type":
            return len(step.inputs) == 1
        before, after = (self._steps.avals[i].dtype for i in (step.inputs[0], step.outputs[0]))
        whole = jnp.issubdtype(before, jnp.integer) and after == self._real  # as those of a design are converted
        return jnp.issubdtype(after, jnp.floating) and bool(whole or np.can_cast(before, after))

    def _combined(self, step: Step) -> Entries | Sum | None:
        """What a step makes of values that are linear in parameters; None if it is not linear, or not followed."""
        if not all(i in self._linear or i in self._of_row for i in step.inputs):
            return None
        values = [self._linear.get(i) for i in step.inputs]
        first = values[0]
        if step.name in ("concatenate", "stack"):
            return self._joined(values, step)
        if step.name == "dynamic_slice":
            return self._picked(first, step) if isinstance(first, Entries) else None
        if step.name == "neg":
            value = as_sum(first)
            return None if value is None else value.negative()
        if len(values) == 2 and step.name in ("add", "add_any", "sub"):
            return self._added(step, *values)
        if isinstance(first, Entries) and step.name == "reduce_sum":
            return self._reduced(first, step)
        if first is not None and step.name in VIEWS and self._keeps(step):
            return first.each(lambda x: VIEWS[step.name](x, step.params))
        if step.name in ("mul", "dot_general") and None in values:
            return self._product(step, values[0] or values[1], 0 if values[0] is not None else 1)
        return None

    def _product(self, step: Step, mine: Entries | Sum | None, side: int) -> Entries | Sum | None:
        aval = self._steps.avals[step.outputs[0]]
        if not isinstance(mine, Entries) or not jnp.issubdtype(aval.dtype, jnp.floating):
            return None
        base, at = self._place(step.inputs[1 - side])
        if step.name == "dot_general":
            return self._contracted(mine, (base, at), step, aval.shape, side)
        wide = mine.each(lambda x: np.broadcast_to(x, aval.shape))
        return replace(wide, factors=(*wide.factors, (base, np.broadcast_to(at, aval.shape))))

    def _contracted(self, mine: Entries, other: Place, step: Step, shape: tuple[int, ...], side: int) -> Sum | None:
        contract, batch = step.params["dimension_numbers"]
        base, at = other
        terms = int(np.prod([mine.index.shape[i] for i in contract[side]]))
        if terms * int(np.prod(shape)) > mine.index.size:  # entries that are in several sums
            return None
        n_axes = (mine.index.ndim, at.ndim) if side == 0 else (at.ndim, mine.index.ndim)
        n_free = [n - len(c) - len(b) for n, c, b in zip(n_axes, contract, batch)]

        def laid_out(x: np.ndarray, side: int) -> np.ndarray:
            """Axes: batch, free of the left, free of the right, terms."""
            free = [i for i in range(x.ndim) if i not in contract[side] and i not in batch[side]]
            x = x.transpose(*batch[side], *free, *contract[side])
            lead, rest = x.shape[: len(batch[side])], x.shape[len(batch[side]) : len(batch[side]) + len(free)]
            ones = (1,) * n_free[1 - side]
            x = x.reshape(*lead, *((*rest, *ones) if side == 0 else (*ones, *rest)), terms)
            return np.broadcast_to(x, (*shape, terms))

        wide = mine.each(lambda x: laid_out(x, side))
        return summed(replace(wide, factors=(*wide.factors, (base, laid_out(at, 1 - side)))))

    def _reduced(self, entries: Entries, step: Step) -> Sum | None:
        axes = tuple(step.params["axes"])
        rest = [i for i in range(entries.index.ndim) if i not in axes]
        shape = [entries.index.shape[i] for i in rest]
        return summed(entries.each(lambda x: x.transpose(*rest, *axes).reshape(*shape, -1)))

    def _picked(self, entries: Entries, step: Step) -> Sum | None:
        """Entries at a place along one axis that the row says."""
        sizes, starts = step.params["slice_sizes"], step.inputs[1:]
        moving = [k for k, (size, full) in enumerate(zip(sizes, entries.index.shape)) if size != full]
        if entries.factors or len(moving) != 1 or sizes[moving[0]] != 1:
            return None
        index = np.moveaxis(np.expand_dims(entries.index, moving[0]), moving[0] + 1, -1)
        return Sum((Part(index, code=starts[moving[0]]),))

    def _joined(self, values: Sequence[Entries | Sum | None], step: Step) -> Entries | None:
        index = [x.index for x in values if isinstance(x, Entries) and not x.factors]
        if len(index) < len(values):
            return None
        if step.name == "stack":
            return Entries(np.stack(index, axis=step.params["axis"]))
        return Entries(np.concatenate(index, axis=step.params["dimension"]))

    def _added(self, step: Step, first: Entries | Sum | None, second: Entries | Sum | None) -> Sum | None:
        """A sum or difference, of two values or of one and what is the row's alone."""
        shape = self._steps.avals[step.outputs[0]].shape
        parts: list[Part] = []
        others: list[tuple[int, int]] = []
        for i, value, sign in zip(step.inputs, (first, second), (1, -1 if step.name == "sub" else 1)):
            if value is None:
                others.append((i, sign))
                continue
            value = as_sum(value)
            if value is None or value.index.shape[:-1] != shape:
                return None
            value = value if sign == 1 else value.negative()
            parts, others = parts + list(value.parts), others + list(value.others)
        return Sum(tuple(parts), tuple(others))


def analyse(traced: Traced, names: Sequence[str]) -> Analysis:
    """The analysis of those of the parameters that are found."""
    stops: tuple[int, ...] = ()
    while True:
        analysis = Analysis(traced, names, stops)
        if not (analysis.unfit or analysis.better):
            return analysis
        stops = (*stops, *sorted(analysis.better))
        names = tuple(name for name in names if name not in analysis.unfit)

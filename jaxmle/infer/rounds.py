"""The searches of many data sets: in rounds of a few steps, after each of which those that are done leave the others alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import numpy as np

from .. import runtime
from ..objective.batch import Rows, Sharing, Stack, evaluate, padded_length
from ..objective.layout import Layout
from ..objective.stacking import Problems
from ..solve.batched import DONE, FAILED, RUNNING, Searches, minimise
from ..solve.start import search_start
from .many import GROWING

ROUNDS = (6, 3, 12, 40)
"""Steps of a round; the data sets that are not done go on together, the last number as often as it takes."""

BLOCKS = 16
"""Blocks of data sets in one call of the compiled program."""

SPLIT = 2_000_000
"""Rows of padding that are worth another compiled program."""

ENOUGH = 0.5
"""The share of samples whose fits must succeed for their middle to be a start."""


@dataclass(frozen=True, eq=False)
class Batch:
    """All data sets, and the settings of the search for their optima."""

    problems: Problems
    tol: float
    max_steps: int

    @property
    def stack(self) -> Stack:
        return self.problems.stack

    @property
    def held(self) -> dict[str, Any]:
        return self.problems.held

    @property
    def free(self) -> np.ndarray:
        return self.problems.free

    @property
    def scale(self) -> np.ndarray:
        return self.problems.scale

    @property
    def sharing(self) -> Sharing:
        return self.stack.sharing

    @property
    def layout(self) -> Layout:
        return self.sharing.layout

    def scale_of(self, g: int) -> np.ndarray:
        """`scale` from the rows of one data set."""
        rows = self.stack.members(g)
        out = np.ones(self.layout.size)
        for block in self.layout.predicted:
            within = np.arange(len(rows)) if self.sharing.designs[block.design] else rows
            columns = self.stack.designs[block.design]
            sizes = np.array([np.sqrt(np.mean(np.square(column[within], dtype=np.float64))) for column in columns])
            out[block.positions] = 1 / np.where(sizes > 0, sizes, 1.0)[:, None]
        return out[self.free]

    def buckets(self) -> list[tuple[np.ndarray, int]]:
        """The data sets that have rows, by the length that they are padded to: the most rows first.

        Lengths are kept apart only where that saves so much padding that another program is worth its compilation.
        """
        lengths = self.stack.lengths
        sizes, which = np.unique(lengths, return_inverse=True)
        padded = np.array([padded_length(int(n)) for n in sizes])[which]
        left = np.flatnonzero(lengths > 0)
        out = []
        while len(left):
            longest = padded[left].max()
            sizes = np.unique(padded[left])[::-1]
            saved = [int((longest - size) * (padded[left] <= size).sum()) for size in sizes]
            cut = sizes[int(np.argmax(saved))] if max(saved) > SPLIT else 0
            out.append((left[padded[left] > cut], int(longest)))
            left = left[padded[left] <= cut]
        return sorted(out, key=lambda bucket: -len(bucket[0]) * bucket[1])

    def shape(self, n: int, length: int) -> tuple[int, int, int]:
        """(blocks, data sets of a block, rows) of a call, for n data sets of at most so many rows."""
        sets = min(self.sharing.sets_at_once(length), 1 << max(n - 1, 0).bit_length())
        return (BLOCKS if n > 4 * sets else 1), sets, length

    def run(
        self,
        rows: Sequence[Rows],
        searches: Searches,
        shape: tuple[int, int, int],
        rounds: int,
        bases: np.ndarray | None = None,
    ) -> Searches:
        """Some steps of the searches of as many data sets as one call takes, `rows` by block.

        `bases` are the values that each holds, where these differ; by default the middle of them.
        """
        blocks, sets, length = shape
        at = np.concatenate([i * sets + np.arange(len(r.counts)) for i, r in enumerate(rows)])

        def spread(x: np.ndarray) -> np.ndarray:
            out = np.full((blocks * sets, *x.shape[1:]), DONE if x is searches.status else 0, x.dtype)
            out[at] = x
            return out.reshape(blocks, sets, *x.shape[1:])

        settings = np.int32(len(rows)), np.int32(rounds), np.int32(self.max_steps), np.float64(self.tol)
        data = self.stack.page(rows, shape)
        if (all_bases := self.problems.bases) is not None:
            middle = np.tile(np.median(all_bases, axis=0), (len(at), 1))
            data["base"] = spread(middle if bases is None else bases)
        arrays = self.held, self.stack.common(length), data, Searches(*map(spread, searches))
        out = runtime.call(_run, self.sharing, *settings, *arrays)[0]
        return Searches(*(np.asarray(x).reshape(blocks * sets, *x.shape[2:])[at] for x in out))

    def search(self, sets: np.ndarray, z: np.ndarray, length: int, told: Callable[[int], None]) -> Searches:
        """Search for the optimum of each of these data sets, of at most `length` rows, from the points `z`."""
        searches = Searches.at(z)
        blocks, at_once, _ = shape = self.shape(len(sets), length)
        number = 0
        while len(left := np.flatnonzero(searches.status == RUNNING)):
            rounds = ROUNDS[min(number, len(ROUNDS) - 1)]

            def one(some: np.ndarray, rounds: int = rounds) -> None:
                ids = sets[some]
                rows = [self.stack.rows_of(ids[i : i + at_once], length) for i in range(0, len(ids), at_once)]
                bases = None if self.problems.bases is None else self.problems.bases[ids]
                ended = self.run(rows, Searches(*(x[some] for x in searches)), shape, rounds, bases)
                for old, new in zip(searches, ended):
                    old[some] = new
                told(int((ended.status != RUNNING).sum()))

            page = blocks * at_once
            runtime.in_lanes(one, [left[i : i + page] for i in range(0, len(left), page)])
            number += 1
        return searches

    def common_start(
        self, z: np.ndarray, movable: list[tuple[int, str]], n: int, length: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Where all searches may begin: the middle of the estimates from samples of all rows, and what those began at.

        The samples have as many rows as a data set of `length`, and run by the program of those: `n` data sets. Where
        their searches from `z` fail, they begin anew at what a search over the coordinates `movable` finds; where they
        fail again, the start is that.
        """
        shape = self.shape(n, length)
        drawn = self.stack.drawn(shape[1], length)
        one = Rows(drawn.counts[:1], drawn.index[:1])  # type: ignore[index]
        middle = self._middle(drawn, z, shape)
        if middle is None and movable:
            value = _Value(lambda point: self.run([one], Searches.at(point[None]), shape, 1))
            z = search_start(value, z, movable)  # type: ignore[arg-type]
            middle = self._middle(drawn, z, shape)
        return (z if middle is None else middle), z

    def _middle(self, drawn: Rows, z: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray | None:
        ended = self.run([drawn], Searches.at(np.tile(z, (len(drawn.counts), 1))), shape, 40)
        with np.errstate(invalid="ignore"):
            good = (ended.status == DONE) & (ended.dependent < 0) & np.isfinite(ended.z).all(1) & ~self.growing(ended)
        return np.median(ended.z[good], axis=0) if good.mean() >= ENOUGH else None

    def growing(self, s: Searches) -> np.ndarray:
        """Whether Newton's next step would still move a predictor by much, though hardly anything is to gain."""
        with np.errstate(all="ignore"):
            m = np.sqrt(np.abs(np.diagonal(s.hessian, axis1=1, axis2=2)))
            step = np.einsum("gij,gj->gi", s.inverse, s.gradient / m) / m
        return ~(np.abs(step / self.scale).max(1, initial=0.0) < GROWING)


@dataclass(frozen=True)
class _Value:
    """What a search for a start asks for: the value at a point."""

    run: Callable[[np.ndarray], Searches]

    def evaluate(self, z: np.ndarray, needs: str = "value") -> _At:
        ended = self.run(z)
        return _At(float(ended.value[0]) if ended.status[0] != FAILED else np.inf)


@dataclass(frozen=True)
class _At:
    value: float


@partial(runtime.jit, static_argnums=0)
def _run(
    sharing: Sharing,
    count: jax.Array,
    rounds: jax.Array,
    max_steps: jax.Array,
    tol: jax.Array,
    held: Any,
    common: Any,
    data: Any,
    searches: Searches,
) -> Searches:
    """At most `rounds` steps of the searches in the first `count` blocks."""

    def one(i: jax.Array, all: Searches) -> Searches:
        block, own = jax.tree.map(lambda x: jax.lax.dynamic_index_in_dim(x, i, keepdims=False), (data, all))
        at = lambda z: evaluate(sharing, z, held, common, block)
        ended = minimise(at, own, tol, max_steps, rounds)
        return jax.tree.map(lambda x, new: jax.lax.dynamic_update_index_in_dim(x, new, i, 0), all, ended)

    return jax.lax.fori_loop(0, count, one, searches)

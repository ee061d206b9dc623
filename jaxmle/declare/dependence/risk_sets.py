"""Who is at risk when: rows, event times and the sums over them that a partial likelihood is made of.

Event times are numbered stratum by stratum, in each from the last to the first, so that the rows at risk at one of them
are those at risk at the one before and some more. A row is at risk from its first number, `enters`, on. With late entry
it is so up to a number only, and sums are taken over a tree of event times: no difference of sums is ever formed, and
no digit is lost.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ...numerics.recurrences import linear_recurrence, running_max

ENTERS, ENDS, NODES = " enters", " ends", " nodes"
FRACTION, EVENT, WEIGHT, BEGINS = " fraction", " event", " weight", " begins"
"""Columns that binding adds. Of a row: the number of the first event time at which it is at risk (n where there is none),
and of the first at which it is not any more; the nodes of the tree that it is in (0 for none); how many of the deaths tied
with it come before, as a share of them; whether it died; its weight. Of an event time: whether a stratum begins there."""


@dataclass(frozen=True)
class Times:
    """The event times of all strata in their order: `stratum` and `time` (m,), `begins` where a stratum's first is.

    Of each row `enters`, the first of them at which it is at risk, and `ends`, the first at which it is not any more
    (n,); the same two numbers where it never is. `own` is that of a row's own stratum at its time.
    """

    stratum: np.ndarray
    time: np.ndarray
    begins: np.ndarray
    enters: np.ndarray
    ends: np.ndarray

    @staticmethod
    def of(time: np.ndarray, event: np.ndarray, stratum: np.ndarray, entry: np.ndarray | None) -> Times:
        """From times, whether they are of events, codes of strata and entries (all (n,)); at risk after the entry."""
        order = np.lexsort((-time[event], stratum[event]))
        s, t = stratum[event][order], time[event][order]
        new = np.ones(len(t), bool)
        new[1:] = (s[1:] != s[:-1]) | (t[1:] != t[:-1])
        s, t = s[new], t[new]
        begins = np.ones(len(t), bool)
        begins[1:] = s[1:] != s[:-1]
        enters, ends = _place(s, t, stratum, time), _after(s, stratum)
        if entry is not None:
            ends = np.maximum(np.minimum(ends, _place(s, t, stratum, entry)), enters)
        return Times(s, t, begins, enters, ends)


def _place(s: np.ndarray, t: np.ndarray, stratum: np.ndarray, time: np.ndarray) -> np.ndarray:
    """How many of the event times come before the first of a stratum that is not later than `time`."""
    first = np.searchsorted(s, stratum, side="left")
    last = _after(s, stratum)
    out = np.empty(len(time), np.int64)
    for code in np.unique(stratum):
        mine = np.flatnonzero(stratum == code)
        a, b = first[mine[0]], last[mine[0]]
        rising = t[a:b][::-1]
        out[mine] = a + len(rising) - np.searchsorted(rising, time[mine], side="right")
    return out


def _after(s: np.ndarray, stratum: np.ndarray) -> np.ndarray:
    return np.searchsorted(s, stratum, side="right")


def tie_fractions(number: np.ndarray, event: np.ndarray) -> np.ndarray:
    """0, 1/d, ..., (d − 1)/d for the d deaths with one `number`; 0 for other rows."""
    out = np.zeros(len(number))
    rows = np.flatnonzero(event)
    rows = rows[np.argsort(number[rows], kind="stable")]
    _, first, count = np.unique(number[rows], return_index=True, return_counts=True)
    out[rows] = (np.arange(len(rows)) - np.repeat(first, count)) / np.repeat(count, count)
    return out


def tree_nodes(enters: np.ndarray, ends: np.ndarray, m: int) -> np.ndarray:
    """For each row the nodes of a binary tree over m leaves that cover [enters, ends), 0 for none.

    Of shape (n, 2 levels): nodes are numbered from the root, 1, level by level.
    """
    size = 1 << int(m - 1).bit_length()
    low, high, out = enters + size, ends + size, []
    while size >= 1:
        inside = low < high
        left, right = inside & (low % 2 == 1), inside & (high % 2 == 1)
        out += [np.where(left, low, 0), np.where(right, high - 1, 0)]
        low, high, size = (low + left) // 2, (high - right) // 2, size // 2
    return np.stack(out, axis=1)


@dataclass(frozen=True)
class Sums:
    """Sums of exp(η) over the rows at risk, each divided by exp(top), by the number of the event time (n,).

    `deaths` are those who die then and `rest` all others. `spread` takes hazards by event time, for `rest` and for
    `deaths`, in units of exp(-top), back to the rows: what each row is expected to have of them.
    """

    rest: jax.Array
    deaths: jax.Array
    top: jax.Array
    spread: Callable[[jax.Array, jax.Array], jax.Array]


def _at(x: jax.Array, number: jax.Array) -> jax.Array:
    return x.at[number].get(mode="clip")


def _power(x: jax.Array, top: jax.Array) -> jax.Array:
    """exp(x − top) of constants, zero where there is nothing."""
    known = jnp.isfinite(x) & jnp.isfinite(top)
    return jnp.where(known, jnp.exp(jnp.where(known, x - top, 0.0)), 0.0)


def nested(eta: jax.Array, rows: Any) -> Sums:
    """Without late entry, by one recurrence: everyone at risk stays so at earlier times of the stratum."""
    n, number, event = eta.shape[0], rows[ENTERS], rows[EVENT] > 0
    present = (number < n) & (rows[WEIGHT] > 0)
    into = lambda x: jnp.zeros(n).at[number].add(x, mode="drop")
    begins = rows[BEGINS] > 0
    held = jnp.where(present, jax.lax.stop_gradient(eta), -jnp.inf)
    top = running_max(jnp.full(n, -jnp.inf).at[number].max(held, mode="drop"), begins)
    top = jnp.where(jnp.isfinite(top), top, 0.0)
    share = jnp.where(present, jnp.exp(jnp.where(present, eta - _at(top, number), 0.0)), 0.0)
    mine = rows[WEIGHT] * share
    deaths, others = into(jnp.where(event, mine, 0.0)), into(jnp.where(event, 0.0, mine))
    decay = jnp.where(begins, 0.0, jnp.exp(jnp.concatenate([top[:1], top[:-1]]) - top))
    whole = linear_recurrence(decay, deaths + others)
    rest = decay * jnp.concatenate([jnp.zeros(1), whole[:-1]]) + others

    def spread(hazard: jax.Array, own: jax.Array) -> jax.Array:
        onward = jnp.concatenate([decay[1:], jnp.zeros(1)])  # from an event time to the next, an earlier one
        after = onward * jnp.concatenate([linear_recurrence(onward, hazard, reverse=True)[1:], jnp.zeros(1)])
        return share * (_at(after, number) + jnp.where(event, _at(own, number), _at(hazard, number)))

    return Sums(rest, deaths, top, spread)


def in_tree(eta: jax.Array, rows: Any) -> Sums:
    """With late entry, over the tree of event times: each sum is one of positive terms, never a difference."""
    n, number, event, nodes = eta.shape[0], rows[ENTERS], rows[EVENT] > 0, rows[NODES]
    size = 1 << (nodes.shape[1] // 2 - 1)
    present = (number < rows[ENDS]) & (rows[WEIGHT] > 0)
    held = jnp.where(present, jax.lax.stop_gradient(eta), -jnp.inf)
    some = (nodes > 0) & present[:, None]
    highest = jnp.full(2 * size, -jnp.inf).at[nodes].max(jnp.where(some, held[:, None], -jnp.inf))
    levels = [slice(1 << i, 2 << i) for i in range(size.bit_length())]
    tops = [highest[levels[0]]]
    for level in levels[1:]:
        tops.append(jnp.maximum(jnp.repeat(tops[-1], 2), highest[level]))
    died = present & event
    last = jnp.full(size, -jnp.inf).at[jnp.where(died, number, size)].max(held, mode="drop")
    top = jnp.maximum(tops[-1], last)
    of_nodes = jnp.concatenate([jnp.zeros(1), *tops])
    of_nodes = jnp.where(jnp.isfinite(of_nodes), of_nodes, 0.0)
    share = jnp.where(some, jnp.exp(jnp.where(some, eta[:, None] - of_nodes[nodes], 0.0)), 0.0)
    mass = jnp.zeros(2 * size).at[nodes].add(rows[WEIGHT][:, None] * share)
    rest = mass[levels[0]]
    for i, level in enumerate(levels[1:], 1):
        rest = jnp.repeat(rest, 2) * _power(jnp.repeat(tops[i - 1], 2), tops[i]) + mass[level]
    settled = jnp.where(jnp.isfinite(top), top, 0.0)
    own_share = jnp.where(died, jnp.exp(jnp.where(died, eta - _at(settled, number), 0.0)), 0.0)
    deaths = jnp.zeros(size).at[jnp.where(died, number, size)].add(rows[WEIGHT] * own_share, mode="drop")
    to_n = lambda x: jnp.zeros(n).at[: min(n, size)].set(x[:n])

    def spread(hazard: jax.Array, own: jax.Array) -> jax.Array:
        at_leaves = jnp.zeros(size).at[: min(n, size)].set(hazard[:size])
        sums = [at_leaves * _power(tops[-1], top)]
        for i in range(len(levels) - 1, 0, -1):
            below = sums[0] * _power(jnp.repeat(tops[i - 1], 2), tops[i])
            sums.insert(0, below.reshape(-1, 2).sum(axis=1))
        by_node = jnp.concatenate([jnp.zeros(1), *sums])
        return (share * by_node[nodes]).sum(axis=1) + own_share * _at(own, number)

    return Sums(to_n(rest * _power(tops[-1], top)), to_n(deaths), to_n(settled), spread)


def _terms(eta: jax.Array, rows: Any, late: bool) -> tuple[jax.Array, jax.Array]:
    """What each row adds to the log partial likelihood, and its martingale residual, (n,) each."""
    n, number, event = eta.shape[0], rows[ENTERS], rows[EVENT]
    died = event > 0
    into = lambda x: jnp.zeros(n).at[number].add(x, mode="drop")
    sums = (in_tree if late else nested)(eta, rows)
    left = 1.0 - rows[FRACTION]
    total = jnp.where(died, _at(sums.rest, number) + left * _at(sums.deaths, number), 1.0)
    counted = event * rows[WEIGHT]
    log_total = into(counted * jnp.log(total)) / jnp.where(into(counted) > 0, into(counted), 1.0)
    value = jnp.where(died, eta - _at(sums.top, number) - _at(log_total, number), 0.0)
    return value, event - sums.spread(into(counted / total), into(counted * left / total))


def partial_terms(eta: jax.Array, rows: Any, late: bool) -> jax.Array:
    """What each row adds to the log partial likelihood, plus its martingale residual, (n,); `late` if there are entries.

    The residuals δ − exp(η)·Λ(time) add up to zero whatever the coefficients are, so that the sum is the log partial
    likelihood; the derivative of a row's term is its score residual, whose squares make the robust covariance of Lin
    and Wei (1989, Journal of the American Statistical Association 84, 1074-1078).
    """
    value, residual = _terms(eta, rows, late)
    return value + residual


def martingale(eta: jax.Array, rows: Any, late: bool) -> jax.Array:
    """Events less those expected of each row at the estimated baseline hazard, (n,)."""
    return _terms(eta, rows, late)[1]

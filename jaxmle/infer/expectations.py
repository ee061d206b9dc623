"""Expectations over a response by sums and adaptive quadrature, from nothing but its log-density in one row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

NODES = 4096
"""Values of the response that are looked at in one pass."""

ROUNDS = 12
"""Halvings of the intervals on which two rules disagree."""

AGREE = 1e-11
"""Disagreement of the two rules on one interval, relative to the integral, that is none."""

BLOCKS = 64
"""Blocks of `NODES` whole numbers up to which a sum is followed."""

NEGLIGIBLE = 1e-16
"""Shares of the total that do not count."""


@dataclass(frozen=True)
class Responses:
    """Values of a response that stand for all of its distribution: `mass` of each, and what the masses add up to.

    `total` is 1 for a density; infinite where it grows without limit. At most `NODES` of them are kept.
    """

    y: np.ndarray
    mass: np.ndarray
    total: float


LogDensity = Callable[[np.ndarray], np.ndarray]
"""The log-density of one row at values of the response, (m,) → (m,), m at most `NODES`."""


def _kronrod() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nodes of the 15-point Kronrod rule on (−1, 1), its weights, and those of the 7-point Gauss rule among them."""
    x = [0.991455371120813, 0.949107912342759, 0.864864423359769, 0.741531185599394]
    x += [0.586087235467691, 0.405845151377397, 0.207784955007898]
    k = [0.022935322010529, 0.063092092629979, 0.104790010322250, 0.140653259715525]
    k += [0.169004726639267, 0.190350578064785, 0.204432940075298]
    g = [0.0, 0.129484966168870, 0.0, 0.279705391489277, 0.0, 0.381830050505119, 0.0]
    both = lambda half, middle: np.array([*half, middle, *half[::-1]])
    nodes = np.array([*(-v for v in x), 0.0, *x[::-1]])
    return nodes, both(k, 0.209482141084728), both(g, 0.417959183673469)


X, K15, G7 = _kronrod()


def summed(log_f: LogDensity, low: float, high: float) -> Responses:
    """The sum over whole numbers from `low` (finite) to `high`."""
    y, f, total = [], [], 0.0
    for block in range(BLOCKS):
        first = low + block * NODES
        here = np.arange(first, min(first + NODES, high + 1))
        if not len(here):
            break
        values = _density(log_f(here))
        with np.errstate(over="ignore"):
            here_in_all = values.sum()
        y, f, total = [*y, here], [*f, values], total + here_in_all
        if not np.isfinite(total) or here_in_all <= NEGLIGIBLE * total or (total > 0.5 and values[-1] < 1e-18 * total):
            break
    return _kept(np.concatenate(y), np.concatenate(f), total)


def integrated(log_f: LogDensity, low: float, high: float, hints: np.ndarray) -> Responses:
    """The integral from `low` to `high`; the mode is looked for everywhere, and near the values `hints`."""
    mode, width = _mode(log_f, low, high, hints)
    ends = _breakpoints(mode, width, low, high)
    a, b = ends[:-1], ends[1:]
    y, f = [], []
    total = 0.0
    for left in range(ROUNDS, -1, -1):
        at, mass, kronrod, error = _by_interval(log_f, a, b, low, high)
        whole = total + kronrod.sum()
        if not np.isfinite(whole):
            return Responses(at[:0].ravel(), mass[:0].ravel(), float("inf"))
        again = error > AGREE * max(whole, 1e-300)
        again &= np.argsort(np.argsort(-error)) < NODES // 40  # the worst
        again &= left > 0
        y.append(at[~again].ravel())
        f.append(mass[~again].ravel())
        total += kronrod[~again].sum()
        if not again.any():
            break
        middle = 0.5 * (a[again] + b[again])
        a, b = np.concatenate([a[again], middle]), np.concatenate([middle, b[again]])
    return _kept(np.concatenate(y), np.concatenate(f), total)


def with_ends(found: Responses, log_f: LogDensity, ends: tuple[float, ...]) -> Responses:
    """With point masses at ends of the support, told from densities by the jump to what is next to them."""
    y, mass = [found.y], [found.mass]
    for end in ends:
        step = 1e-9 * max(abs(end), 1.0)
        at, right, left = log_f(np.array([end, end + step, end - step]))
        inside = right if np.isfinite(right) else left
        if np.isfinite(at) and not abs(at - inside) < 1e-3:
            y, mass = [*y, np.array([end])], [*mass, np.exp([at])]
    masses = np.concatenate(mass)
    return _kept(np.concatenate(y), masses, found.total + masses[len(found.mass) :].sum())


def _density(values: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return np.exp(np.where(np.isnan(values), -np.inf, values))


def _kept(y: np.ndarray, mass: np.ndarray, total: float) -> Responses:
    keep = np.flatnonzero(mass > NEGLIGIBLE * np.sum(mass))
    if len(keep) > NODES:
        keep = np.sort(keep[np.argsort(-mass[keep])[:NODES]])
    return Responses(y[keep], mass[keep], float(total))


def _in_pieces(log_f: LogDensity, y: np.ndarray) -> np.ndarray:
    return np.concatenate([log_f(y[i : i + NODES]) for i in range(0, len(y), NODES)])


def _by_interval(log_f: LogDensity, a: np.ndarray, b: np.ndarray, low: float, high: float) -> tuple[np.ndarray, ...]:
    half = 0.5 * (b - a)[:, None]
    y = 0.5 * (a + b)[:, None] + half * X
    f = _density(_in_pieces(log_f, y.ravel())).reshape(y.shape)
    f = np.where((y <= low) | (y >= high), 0.0, f)  # what rounding has moved onto an end
    with np.errstate(invalid="ignore", over="ignore"):
        return y, f * half * K15, (f * half) @ K15, np.abs((f * half) @ (K15 - G7))


def _mode(log_f: LogDensity, low: float, high: float, hints: np.ndarray) -> tuple[float, float]:
    """Where the log-density is largest, and how far from there it has fallen by about one."""
    powers = np.concatenate([10.0 ** np.arange(-12, 13, 0.25)])
    if np.isfinite(low) and np.isfinite(high):
        shares = powers[powers < 0.5]
        grid = np.concatenate([low + (high - low) * shares, high - (high - low) * shares, [0.5 * (low + high)]])
    elif np.isfinite(low):
        grid = low + powers
    elif np.isfinite(high):
        grid = high - powers
    else:
        grid = np.concatenate([-powers, [0.0], powers])
    grid = np.unique(np.concatenate([grid, hints[(hints > low) & (hints < high)]]))
    for _ in range(16):
        values = log_f(grid)
        values = np.where(np.isnan(values), -np.inf, values)
        best = int(values.argmax())
        around = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
        mode, top = float(grid[best]), float(values[best])
        if around[1] - around[0] <= 1e-9 * max(abs(mode), 1e-3):
            break
        grid = np.unique(np.concatenate([np.linspace(*around, 33), [mode]]))
    size = 2.0 ** np.arange(-60, 61) * max(abs(mode), 1e-6)
    fallen = []
    for sign in (1.0, -1.0):
        at = mode + sign * size
        at = at[(at > low) & (at < high)]
        if len(at):
            drop = top - log_f(at)
            near = np.flatnonzero(drop < 1.0)
            fallen.append(size[near[-1]] if len(near) else size[0])
    return mode, float(max(fallen, default=1.0))


def _breakpoints(mode: float, width: float, low: float, high: float) -> np.ndarray:
    """Ends of intervals: geometric from the mode outwards, and towards ends of the support."""
    out = 2.0 ** np.arange(-6, 70, 0.5)
    points = [np.array([mode]), mode + width * out, mode - width * out]
    if np.isfinite(low):
        points.append(low + (mode - low) * 2.0 ** -np.arange(0, 60))
    if np.isfinite(high):
        points.append(high - (high - mode) * 2.0 ** -np.arange(0, 60))
    every = np.concatenate(points)
    inside = every[(every > low) & (every < high)]
    edges = [e for e in (low, high) if np.isfinite(e)]
    return np.unique(np.concatenate([inside, edges]))

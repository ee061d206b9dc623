"""Where the search for the parameters of a series begins: cheap estimates in NumPy, from the responses alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from .stationary import known_partials

INSIDE = 0.95
"""The largest partial autocorrelation of a start."""


def arma(y: np.ndarray, seen: np.ndarray, age: np.ndarray, p: int, q: int) -> dict[str, Any]:
    """Mean, coefficients and innovations' standard deviation: by Yule and Walker, and Hannan and Rissanen (1982)."""
    mean = float(y[seen].mean())
    x = np.where(seen, y - mean, 0.0)
    spread = max(float(np.sqrt((x[seen] ** 2).mean())), 1e-12 * max(1.0, abs(mean)))
    out: dict[str, Any] = {"mean": mean}
    long = min(max(p + q, 1) + (6 if q else 0), max(1, len(x) // 4))
    phi, share = yule_walker(x, seen, age, p if not q else long)
    out["sd"] = spread * np.sqrt(share)
    if not q:
        return out | {"ar": inside(phi, -1.0)}
    shock = x - sum((c * lagged(x, age, j + 1) for j, c in enumerate(phi)), np.zeros(len(x)))
    design = np.stack([lagged(x, age, j) for j in range(1, p + 1)] + [lagged(shock, age, j) for j in range(1, q + 1)])
    use = seen & (age >= max(p, q))
    both = np.linalg.lstsq(design[:, use].T, x[use], rcond=1e-8)[0]
    found = {"ar": inside(both[:p], -1.0)} if p else {}
    return out | found | {"ma": inside(both[p:], 1.0)}


def lagged(x: np.ndarray, age: np.ndarray, by: int) -> np.ndarray:
    """Values so many rows before, zero where the series had not begun."""
    moved = np.concatenate([np.zeros(min(by, len(x))), x[: max(len(x) - by, 0)]])
    return np.where(age >= by, moved, 0.0)


def yule_walker(x: np.ndarray, seen: np.ndarray, age: np.ndarray, k: int) -> tuple[np.ndarray, float]:
    """Autoregressive coefficients (k,) by autocorrelations, and the share of the variance that is left."""
    correlation = np.array([x @ lagged(x, age, j) for j in range(k + 1)]) / max(float(x @ x), 1e-300)
    phi, left = np.zeros(0), 1.0
    for j in range(k):
        last = (correlation[j + 1] - phi @ correlation[j:0:-1]) / left
        last = float(np.clip(last, -INSIDE, INSIDE))
        phi = np.append(phi - last * phi[::-1], last)
        left *= 1 - last * last
    return phi, left


def inside(theta: np.ndarray, sign: float) -> np.ndarray:
    """Coefficients whose process is well inside those that are stationary or invertible: shrunk until they are."""
    for _ in range(60):
        if np.abs(known_partials(theta, sign)).max(initial=0.0) <= INSIDE:
            return theta
        theta = theta * 0.9 ** np.arange(1, len(theta) + 1)
    return np.zeros_like(theta)

"""A function of a vector as solvers see an objective: one program for all derivatives, every call counted."""

from collections import Counter
from typing import Any, NamedTuple

import jax
import numpy as np


class Evaluation(NamedTuple):
    value: float
    gradient: Any = None
    matrix: Any = None


class Smooth:
    """A scalar JAX function as an objective without lines of its own; `counts` says what was asked for."""

    def __init__(self, f, size):
        self.size, self.counts, self.points = size, Counter(), []
        self._program = jax.jit(lambda z: (f(z), jax.grad(f)(z), jax.hessian(f)(z)))
        self._last = (None, None)

    def _all(self, z):
        z = np.asarray(z, dtype=np.float64)
        if self._last[0] != z.tobytes():
            value, gradient, hessian = jax.device_get(self._program(z))
            self._last = (z.tobytes(), Evaluation(float(value), gradient, hessian))
        return self._last[1]

    def evaluate(self, z, needs="hessian"):
        self.counts[needs] += 1
        self.points.append(np.array(z))
        e = self._all(z)
        if needs == "value":
            return Evaluation(e.value)
        return Evaluation(e.value, e.gradient) if needs == "gradient" else e

    def evaluate_batch(self, z, needs="hessian"):
        self.counts["batch"] += 1
        self.counts["batch size", len(z)] += 1
        return [self.evaluate(row, needs) for row in z]

    def hvp(self, z, v):
        self.counts["hvp"] += 1
        return self._all(z).matrix @ v

    def fresh(self):
        """The same function with all counts at zero; nothing is compiled again."""
        self.counts, self.points = Counter(), []
        return self


class Lined(Smooth):
    """The same, with lines."""

    def along(self, z, p):
        def line(step):
            self.counts["line"] += 1
            e = self._all(z + step * p)
            return e.value, float(e.gradient @ p)

        return line

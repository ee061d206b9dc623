"""Functions of the parameters with their covariance, by the delta method through exact derivatives."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .. import runtime
from ..declare.tree import opened
from ..errors import ModelError
from ..objective.explained import explained
from ..objective.layout import Layout, naturalise
from .hypotheses import Expressions, expressions
from .intervals import half_width
from .predict import unconstrained_covariance


@dataclass(frozen=True, eq=False)
class Transformed:
    """A function of the parameters: its value, of whatever structure, and standard errors of the same.

    `covariance` is that of all its numbers in the order in which `jax.tree.leaves` lists them.
    """

    estimate: Any
    std_error: Any
    covariance: np.ndarray

    def confint(self, level: float = 0.95) -> tuple[Any, Any]:
        """Wald intervals: (low, high), each of the structure of the value."""
        half = half_width(level)
        move = lambda sign: jax.tree.map(lambda v, s: v + sign * half * s, self.estimate, self.std_error)
        return move(-1.0), move(1.0)


def transform(
    fit: Any,
    f: str | Sequence[str] | Callable[[Mapping[str, Any]], Any],
    kind: str = "default",
    cluster: Any = None,
) -> Transformed:
    """`Fit.transform`."""
    if not callable(f):
        read = expressions(f, fit.estimates.names)
        values, covariance = of_coefficients(fit, read, kind, cluster)
        errors = np.sqrt(np.diag(covariance))
        named = lambda of: float(of[0]) if isinstance(f, str) and len(of) == 1 else dict(zip(read.words, of.tolist()))
        return Transformed(named(values), named(errors), covariance)
    values, covariance, flat = _of(fit, f, kind, cluster)
    errors = np.sqrt(np.diag(covariance))
    return Transformed(flat.back(values), flat.back(errors), covariance)


def transformed(fit: Any, f: Callable, kind: str, cluster: Any) -> tuple[np.ndarray, np.ndarray]:
    """All numbers of a function of the parameters, flat, and their covariance."""
    return _of(fit, f, kind, cluster)[:2]


def of_coefficients(fit: Any, read: Expressions, kind: str, cluster: Any) -> tuple[np.ndarray, np.ndarray]:
    """Values of expressions in the coefficients and their covariance, NaN where a coefficient has no standard error."""
    values, slopes = read.at(fit.estimates.values)
    full = fit.covariance(kind, cluster)
    lost = (slopes[:, np.isnan(np.diag(full))] != 0).any(axis=1)
    known = np.flatnonzero(~np.isnan(np.diag(full)))
    covariance = slopes[:, known] @ full[np.ix_(known, known)] @ slopes[:, known].T
    covariance[lost], covariance[:, lost] = np.nan, np.nan
    return values, covariance


class Flat:
    """A function of the parameters on their natural scale as one of the vector `u` that returns all its numbers, flat."""

    def __init__(self, layout: Layout, f: Callable[[Any], Any]) -> None:
        self.what = f"The function {getattr(f, '__name__', 'of the parameters')!r}"
        self._layout, self._f = layout, f
        self._shapes: list[tuple[int, ...]] = []
        self._structure: Any = None

    def __call__(self, u: jax.Array, constants: Any) -> jax.Array:
        leaves, self._structure = jax.tree.flatten(self._f(opened(naturalise(self._layout, u, constants)[0])))
        self._shapes = [jnp.shape(x) for x in leaves]
        if not leaves:
            raise ModelError(f"{self.what} returns no number.")
        return jnp.concatenate([jnp.ravel(jnp.asarray(x, jnp.float64)) for x in leaves])

    def at(self, u: np.ndarray, constants: Any) -> tuple[np.ndarray, np.ndarray]:
        """Values (m,) and exact derivatives (m, size) by `u`; raises `ModelError` for what cannot be differentiated."""
        both = jax.jit(lambda u, constants: (self(u, constants), jax.jacfwd(self)(u, constants)))
        with explained(self.what):
            out = runtime.call(both, u, constants)[0]
        values, slopes = jax.device_get(out)
        return np.asarray(values), np.asarray(slopes)

    def of_each(self, u: np.ndarray, constants: Any) -> np.ndarray:
        """Values (R, m) at each row of `u`."""
        each = jax.jit(jax.vmap(self, in_axes=(0, None)))
        with explained(self.what):
            return np.asarray(jax.device_get(runtime.call(each, u, constants)[0]))

    def back(self, numbers: np.ndarray) -> Any:
        """The structure that the function returned, of numbers whose last axis is flat."""
        ends = np.cumsum([0, *(int(np.prod(s)) for s in self._shapes)])
        lead = numbers.shape[:-1]
        leaves = [numbers[..., a:b].reshape((*lead, *s))[()] for a, b, s in zip(ends, ends[1:], self._shapes)]
        return jax.tree.unflatten(self._structure, leaves)


def _of(fit: Any, f: Callable, kind: str, cluster: Any) -> tuple[np.ndarray, np.ndarray, Flat]:
    session = fit.session
    if session is None:
        raise ModelError(
            "A function of the parameters needs the fit's data, which a loaded fit does not have; fit again."
        )
    objective = session.objective
    known, unknown = unconstrained_covariance(
        fit.with_covariance(kind, cluster).summary().estimates, objective, session.z
    )
    flat = Flat(objective.layout, f)
    values, slope = flat.at(objective.to_u(session.z), objective.constants)
    covariance = slope @ known @ slope.T
    lost = (np.abs(slope[:, unknown]) > 0).any(axis=1)
    covariance[lost], covariance[:, lost] = np.nan, np.nan
    return values, covariance, flat

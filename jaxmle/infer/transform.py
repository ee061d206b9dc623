"""Functions of the parameters with their covariance, by the delta method through exact derivatives."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .. import runtime
from ..errors import ModelError
from ..objective.layout import naturalise
from ..objective.source import explained
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
    values, covariance, structure, shapes = _of(fit, f, kind, cluster)
    errors = np.sqrt(np.diag(covariance))
    ends = np.cumsum([0, *(int(np.prod(s)) for s in shapes)])
    back = lambda flat: jax.tree.unflatten(
        structure, [flat[a:b].reshape(s)[()] for a, b, s in zip(ends, ends[1:], shapes)]
    )
    return Transformed(back(values), back(errors), covariance)


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


def _of(fit: Any, f: Callable, kind: str, cluster: Any) -> tuple[np.ndarray, np.ndarray, Any, list[tuple[int, ...]]]:
    session = fit.session
    if session is None:
        raise ModelError(
            "A function of the parameters needs the fit's data, which a loaded fit does not have; fit again."
        )
    objective, layout = session.objective, session.objective.layout
    known, unknown = unconstrained_covariance(
        fit.with_covariance(kind, cluster).summary().estimates, objective, session.z
    )
    what = f"The function {getattr(f, '__name__', 'of the parameters')!r}"
    shapes: list[tuple[int, ...]] = []
    structure: Any = None

    def flat(u: jax.Array, constants: Any) -> jax.Array:
        nonlocal structure
        leaves, structure = jax.tree.flatten(f(naturalise(layout, u, constants)[0]))
        shapes[:] = [jnp.shape(x) for x in leaves]
        if not leaves:
            raise ModelError(f"{what} returns no number.")
        return jnp.concatenate([jnp.ravel(jnp.asarray(x, jnp.float64)) for x in leaves])

    both = jax.jit(lambda u, constants: (flat(u, constants), jax.jacfwd(flat)(u, constants)))
    with explained(what):
        out = runtime.call(both, objective.to_u(session.z), objective.constants)[0]
    values, slope = (np.asarray(x) for x in jax.device_get(out))
    covariance = slope @ known @ slope.T
    lost = (np.abs(slope[:, unknown]) > 0).any(axis=1)
    covariance[lost], covariance[:, lost] = np.nan, np.nan
    return values, covariance, structure, shapes

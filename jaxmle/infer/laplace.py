"""Laplace's approximation where a full Hessian is too large: of chosen parameters, its diagonal, or its largest axes."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .. import runtime
from ..declare.tree import opened
from ..errors import ModelError, did_you_mean
from ..objective.layout import Layout, naturalise
from ..objective.objective import Objective
from ..solve.choose import MAX_HESSIAN
from .reported import entry_names

KINDS = ("diagonal", "parameters", "low_rank")

TOLERANCE = 1e-10
"""Of the eigenvalues that Lanczos' method finds, relative to the largest."""

UNITS_AT_ONCE = 32


@dataclass(frozen=True, eq=False, repr=False)
class Laplace:
    """A normal distribution around the estimates of m entries of the unconstrained vector, the others held.

    Arguments:
        kind, about: which approximation, and in words what it is made of.
        names: of the entries: coefficients by their names, `name~i` the numbers behind parameters whose entries depend on
            each other.
        precision: the diagonal that is added to `axes` · diag(`curvature`) · `axes`ᵀ, shape (m,); their sum is the inverse
            of the covariance. `axes` (m, r) are orthonormal; without them the precision is all there is.
    """

    kind: str
    about: str
    names: tuple[str, ...]
    precision: np.ndarray
    axes: np.ndarray | None
    curvature: np.ndarray | None
    objective: Objective
    u: np.ndarray
    positions: np.ndarray

    @property
    def variances(self) -> np.ndarray:
        """Of the entries of the unconstrained vector, (m,)."""
        if self.axes is None:
            return 1 / self.precision
        return self._outside + (self.axes**2) @ self._along

    @cached_property
    def _outside(self) -> np.ndarray:
        """The variance in directions that no axis spans; none is left where the axes span all."""
        assert self.axes is not None
        m, r = self.axes.shape
        return np.zeros(m) if r == m else 1 / self.precision

    @cached_property
    def _along(self) -> np.ndarray:
        """What an axis adds to that variance."""
        assert self.axes is not None
        assert self.curvature is not None
        m, r = self.axes.shape
        total = self.curvature + self.precision[0]
        return 1 / total if r == m else 1 / total - 1 / self.precision[0]

    @property
    def std_errors(self) -> Mapping[str, float]:
        """By name, on the natural scale."""
        slopes = np.abs(_slopes(self.objective.layout, self.u)[self.positions])
        return MappingProxyType(dict(zip(self.names, (slopes * np.sqrt(self.variances)).tolist())))

    def covariance(self) -> np.ndarray:
        """The covariance of the entries of the unconstrained vector, (m, m).

        Raises:
            ModelError: for more of them than a matrix should have rows.
        """
        m = len(self.names)
        if m > MAX_HESSIAN:
            raise ModelError(_too_large(m, "Ask for std_errors, transform or draws."))
        if self.axes is None:
            return np.diag(1 / self.precision)
        return np.diag(self._outside) + (self.axes * self._along) @ self.axes.T

    def transform(self, f: Callable[[Mapping[str, Any]], Any]) -> tuple[np.ndarray, np.ndarray]:
        """A function of the parameters and its standard errors by the delta method: the linearised Laplace approximation.

        Arguments:
            f: of the parameters on their natural scale; it returns an array, such as a network's outputs for some rows.

        Returns:
            Values and standard errors, both of the shape that `f` returns.
        """
        args = self.u, self.positions.astype(np.int32), self.objective.constants
        both = jax.jit(partial(_derivatives, self.objective.layout, f))
        value, slopes = jax.device_get(runtime.call(both, *args)[0])
        flat = slopes.reshape(value.size, -1)
        if self.axes is None:
            variance = flat**2 @ (1 / self.precision)
        else:
            variance = flat**2 @ self._outside + (flat @ self.axes) ** 2 @ self._along
        return value, np.sqrt(variance).reshape(value.shape)

    def draws(self, n: int, key: int = 0) -> list[dict[str, Any]]:
        """Parameters drawn from the approximation, each as `fit.params` has them; held ones are at their estimates."""
        noise = np.random.default_rng(key).standard_normal((n, len(self.names)))
        if self.axes is None:
            steps = noise / np.sqrt(self.precision)
        else:
            scores = noise @ self.axes
            most = np.sqrt(self._outside)
            along = np.sqrt(1 / (self.curvature + self.precision[0])) - (most[0] if len(most) else 0.0)
            steps = noise * most + (scores * along) @ self.axes.T
        out = []
        for step in steps:
            u = self.u.copy()
            u[self.positions] += step
            out.append(self.objective.natural(self.objective.to_z(u))[0])
        return out

    def __repr__(self) -> str:
        sd = np.sqrt(self.variances)
        return (
            f"Laplace approximation, {self.kind.replace('_', ' ')}: {self.about}\n"
            f"{len(self.names):,} entries, standard deviations from {sd.min():.3g} to {sd.max():.3g}"
        )


def laplace_covariance(
    fit: Any,
    kind: str = "diagonal",
    *,
    names: str | Sequence[str] | None = None,
    rank: int | None = None,
    prior_precision: float = 0.0,
    information: str | None = None,
    key: int = 0,
) -> Laplace:
    """Laplace's approximation of part of the covariance, for models whose Hessian is too large to be formed or inverted.

    Arguments:
        fit: of any model; what is not asked for is held at its estimate.
        kind: - "parameters": the inverse of the Hessian's block of `names`, exact, by as many products: of a network, the
                last layer's (Kristiadi, Hein and Hennig, 2020);
            - "diagonal": one over the diagonal of the information;
            - "low_rank": the `rank` largest eigenvalues of the Hessian by Lanczos' method, `prior_precision` in all other
                directions.
        names: parameters, arrays within them (`"net['out']"`) or coefficients; all by default.
        rank: of "low_rank".
        prior_precision: added to the diagonal: one over the variance of a normal prior of mean zero on the unconstrained
            scale; a penalty or prior that was fitted is in the Hessian already.
        information: of "diagonal": "observed", the Hessian's (a product for each entry; the default up to 3,000 of them),
            or "opg", Σ score² over the units (the empirical Fisher information), one pass.
        key: of the vector that Lanczos' method begins with.

    Returns:
        A `Laplace`: `std_errors`, `transform(f)` for functions of the parameters such as predictions, `draws(n)`, and
        `covariance()` where it is not too large.

    Raises:
        ModelError: for arguments that make no sense, and for an information that is not positive definite.
    """
    session = getattr(fit, "session", None)
    if session is None:
        raise ModelError("laplace_covariance needs the fit's data, which a loaded fit does not have; fit again.")
    if kind not in KINDS:
        raise ModelError(f"There is no approximation of kind {kind!r}.{did_you_mean(kind, KINDS)}")
    number = isinstance(prior_precision, numbers.Real) and not isinstance(prior_precision, bool)
    if not (number and 0 <= prior_precision < np.inf):
        raise ModelError(f"prior_precision must be a number from 0 up; got {prior_precision!r}.")
    if rank is not None and kind != "low_rank":
        raise ModelError(f"rank= goes with kind='low_rank', not with kind={kind!r}.")
    if information is not None and (kind != "diagonal" or information not in ("observed", "opg")):
        raise ModelError(f"information= is 'observed' or 'opg', and goes with kind='diagonal'; got {information!r}.")
    objective, z = session.objective, session.z
    if objective.l1 is not None:
        raise ModelError("A penalty with corners has no Hessian where coefficients are zero; use a bootstrap.")
    labels = entry_names(objective)
    at = _chosen(labels, names)
    tau, m = float(prior_precision), len(at)
    known = tuple(labels[i] for i in at)
    made = lambda about, precision, axes=None, curvature=None: Laplace(
        kind, about, known, precision, axes, curvature, objective, objective.to_u(z), objective.free[at]
    )
    prior = f", prior precision {tau:g}" if tau else ""
    if kind == "diagonal":
        information = information or ("observed" if m <= MAX_HESSIAN else "opg")
        if information == "observed":
            _at_most(m, "Take information='opg', or fewer names=.")
            diagonal = np.array([_product(objective, z, at, e)[i] for i, e in enumerate(np.eye(m))])
        else:
            diagonal = _squares(objective, z)[at]
        _positive(diagonal.min() + tau, "An entry of the diagonal")
        what = "the Hessian's diagonal" if information == "observed" else "Σ score² over the units"
        return made(f"{what}{prior}", diagonal + tau)
    if kind == "parameters" or rank is None or rank >= m:
        if kind == "low_rank" and rank is None:
            raise ModelError("kind='low_rank' needs rank=, the number of axes.")
        _at_most(m, "Name fewer parameters (names=), or take kind='diagonal' or 'low_rank'.")
        block = np.stack([_product(objective, z, at, e) for e in np.eye(m)])
        curvature, axes = np.linalg.eigh(0.5 * (block + block.T))
        held = f" of {m:,} of {objective.size:,} entries, the others held" if m < objective.size else ""
        about = f"the Hessian{held}{prior}"
    else:
        if isinstance(rank, bool) or not isinstance(rank, int | np.integer) or rank < 1:
            raise ModelError(f"rank must be a whole number from 1 up; got {rank!r}.")
        if tau == 0:
            raise ModelError(
                f"rank={rank} of {m:,} leaves directions of which nothing is known: give prior_precision=, the precision of "
                "a normal prior, or the whole rank."
            )
        curvature, axes = _largest(objective, z, at, int(rank), key)
        about = f"{rank} largest axes of the Hessian of {m:,} entries{prior}"
    _positive(float(curvature.min()) + tau, "The smallest eigenvalue")
    return made(about, np.full(m, tau), axes, curvature)


def _chosen(labels: list[str], names: str | Sequence[str] | None) -> np.ndarray:
    """Positions of the entries that `names` mean."""
    if names is None:
        return np.arange(len(labels))
    asked = (names,) if isinstance(names, str) else tuple(names)
    out: set[int] = set()
    for name in asked:
        begins = (f"{name}[", f"{name}.", f"{name}~")
        found = [i for i, label in enumerate(labels) if label == name or label.startswith(begins)]
        if not found:
            known = dict.fromkeys(
                part for label in labels for part in (label.split("[")[0], label.rpartition("[")[0], label)
            )
            raise ModelError(
                f"names: no parameter or coefficient is called {name!r}.{did_you_mean(name, filter(None, known))}"
            )
        out |= set(found)
    if not out:
        raise ModelError("names= names nothing.")
    return np.array(sorted(out))


def _product(objective: Objective, z: np.ndarray, at: np.ndarray, v: np.ndarray) -> np.ndarray:
    """The Hessian's block in the unconstrained vector times `v`."""
    direction = np.zeros(objective.size)
    direction[at] = v / objective.scale[at]
    return objective.hvp(z, direction)[at] / objective.scale[at]


def _largest(objective: Objective, z: np.ndarray, at: np.ndarray, rank: int, key: int) -> tuple[np.ndarray, np.ndarray]:
    """The largest eigenvalues and their vectors, by Lanczos' method (Lehoucq, Sorensen and Yang, 1998)."""
    from scipy.sparse.linalg import LinearOperator, eigsh

    m = len(at)
    operator = LinearOperator((m, m), matvec=lambda v: _product(objective, z, at, v.reshape(-1)), dtype=float)  # type: ignore
    start = np.random.default_rng(key).standard_normal(m)
    return eigsh(operator, k=rank, which="LA", v0=start, tol=TOLERANCE)  # type: ignore


def _squares(objective: Objective, z: np.ndarray) -> np.ndarray:
    """Σ weight · score² over the units, by entries of the unconstrained vector, (size,)."""
    if objective.can_sample is not None:
        raise ModelError(f"information='opg' needs the score of each unit, but {objective.can_sample}.")
    if objective.program.penalties:
        raise ModelError(
            "information='opg' knows nothing of a penalty or prior: give its precision as prior_precision=, or take "
            "information='observed'."
        )
    alone = replace(objective, shrinkage=None)
    batches, data = alone.batches("float64")
    n = objective.n_units
    blocks = -(-n // UNITS_AT_ONCE)
    share = np.zeros(blocks * UNITS_AT_ONCE)
    share[:n] = objective.weights() ** -0.5  # a unit counts with its weight, and the squares of both
    units = np.resize(np.arange(n), (blocks, UNITS_AT_ONCE)).astype(np.int32)
    total = objective.run(_sum_squares, batches, np.asarray(z, float), data, units, share.reshape(units.shape))
    ridge = 0.0 if objective.shrinkage is None else objective.shrinkage.l2[objective.free]
    return np.asarray(jax.device_get(total)) / objective.scale**2 + ridge


@partial(runtime.jit, static_argnums=0)
def _sum_squares(batches: Any, z: jax.Array, data: Any, units: jax.Array, share: jax.Array) -> jax.Array:
    def add(total: jax.Array, block: tuple) -> tuple:
        each = jax.vmap(lambda unit, share: batches.gradient(z, data, unit[None], share)[1])(*block)
        return total + (each**2).sum(axis=0), None

    return jax.lax.scan(add, jnp.zeros(z.shape), (units, share))[0]


def _slopes(layout: Layout, u: np.ndarray) -> np.ndarray:
    """What is reported, by the entry of `u` that it is made of; one where an entry is not reported by itself."""
    return np.asarray(jax.device_get(runtime.call(_own_slopes, layout, u)[0]))


@partial(runtime.jit, static_argnums=0)
def _own_slopes(layout: Layout, u: jax.Array) -> jax.Array:
    parts = []
    for block in layout.blocks:
        if block.elementwise and not block.is_linear:
            parts.append(jax.jvp(block.reported, (u,), (jnp.ones_like(u),))[1])
        else:
            parts.append(jnp.ones(block.stop - block.start))
    return jnp.concatenate(parts)


def _derivatives(layout: Layout, f: Callable, u: jax.Array, positions: jax.Array, constants: Any) -> tuple:
    """The value of a function of the parameters, and its derivatives by some entries of `u`."""

    def of(part: jax.Array) -> jax.Array:
        return jnp.asarray(f(opened(naturalise(layout, u.at[positions].set(part), constants)[0])), jnp.float64)

    part = u[positions]
    return of(part), jax.jacrev(of)(part)


def _at_most(m: int, remedy: str) -> None:
    if m > MAX_HESSIAN:
        raise ModelError(_too_large(m, remedy))


def _too_large(m: int, remedy: str) -> str:
    return f"A matrix of {m:,} entries has {m:,}² numbers ({8e-9 * m**2:.2g} GB), and is not formed. {remedy}"


def _positive(smallest: float, what: str) -> None:
    if not smallest > 0:
        raise ModelError(
            f"{what} of the information is {smallest:.3g} with the prior: there is no covariance. Give prior_precision= "
            f"{'larger by more than that' if np.isfinite(smallest) else 'and a model that is finite here'}, or go on to the "
            "optimum first."
        )

"""Model structures with random data for them, and what the objective must say of each: all rows at once, in plain JAX."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmle import Interval, Linear, Model, Positive, Real, UnitInterval
from jaxmle.data.tables import Table
from jaxmle.declare.domains import Domain
from jaxmle.declare.matrices import Correlation, Covariance, Ordered, Simplex
from jaxmle.objective.build import build
from jaxmle.objective.layout import Layout
from jaxmle.objective.objective import Objective
from jaxmle.objective.placement import Placement
from tests.registry import DOMAINS

INVERSE: dict[str | None, Callable[[Any], Any]] = {
    None: lambda eta: eta,
    "log": jnp.exp,
    "logit": lambda eta: 1 / (1 + jnp.exp(-eta)),
    "probit": jax.scipy.special.ndtr,
    "cloglog": lambda eta: 1 - jnp.exp(-jnp.exp(eta)),
    "atanh": jnp.tanh,
}
"""What a predictor becomes under each link, written out."""


@dataclass(frozen=True)
class Predictor:
    """A linear predictor of a structure, and its design by hand."""

    terms: Any
    link: str | None = None
    shape: tuple[int, ...] = ()
    offset: tuple[str, ...] = ()

    def declared(self) -> Linear:
        return Linear(self.terms, link=self.link, shape=self.shape, offset=self.offset)

    def on(self, data: Mapping[str, Any], beta: Any) -> Any:
        """The parameter on every row, shape (n, *shape), from its coefficients (p, *shape)."""
        n = len(data["y"])
        terms = [self.terms] if isinstance(self.terms, str) else self.terms
        columns = [jnp.ones((n, 1)) if t == 1 else data[t].astype(float).reshape(n, -1) for t in terms]
        eta = jnp.tensordot(jnp.concatenate(columns, axis=1), beta, 1)
        for name in self.offset:
            known = data[name].astype(float)
            eta = eta + (known if known.ndim == eta.ndim else known.reshape(n, *(1,) * len(self.shape)))
        return INVERSE[self.link](eta)


@dataclass(frozen=True, eq=False)
class Case:
    """A model structure: predictors and dense parameters by name, and columns that the density reads besides."""

    name: str
    predictors: Mapping[str, Predictor]
    dense: Mapping[str, Domain]
    columns: tuple[str, ...] = ("y",)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    real: type = np.float64

    def log_density(self, p: Mapping[str, Any], row: Mapping[str, Any]) -> Any:
        """Smooth, without meaning: it ties all parameters and columns to each other."""
        level, size = 0.0, 0.0
        for i, name in enumerate((*self.predictors, *self.dense)):
            for leaf in jax.tree.leaves(p[name]):
                tilt = (0.5 + 0.1 * i) * np.cos(np.arange(leaf.size)).reshape(leaf.shape)
                level, size = level + jnp.sum(tilt * leaf), size + jnp.sum(leaf**2)
        seen = sum((1 + 0.1 * k) * jnp.mean(row[name] * 1.0) for k, name in enumerate(self.columns))
        return -jnp.log1p((seen - level) ** 2) - 0.1 * size / (1.0 + 0.1 * seen**2)

    def model(self) -> Model:
        return Model(self.log_density, {k: v.declared() for k, v in self.predictors.items()} | dict(self.dense))

    def data(self, seed: int, n: int) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(seed)
        return {
            "y": rng.normal(size=n).astype(self.real),
            "x": rng.normal(size=n).astype(self.real),
            "far": (500 + 20 * rng.normal(size=n)).astype(self.real),
            "count": rng.integers(0, 9, n),
            "small": rng.integers(-3, 4, n).astype(np.int8),
            "yes": rng.integers(0, 2, n).astype(bool),
            "many": rng.normal(size=(n, 4)).astype(self.real),
            "table": rng.normal(size=(n, 2, 3)).astype(self.real),
            "known": rng.normal(size=n).astype(self.real),
            "known3": rng.normal(size=(n, 3)).astype(self.real),
        }

    def weights(self, seed: int, n: int) -> np.ndarray:
        """Frequencies 0 to 4 in a random order, so many of each whatever the seed."""
        return np.random.default_rng(seed).permutation(np.resize([0.0, 1.0, 2.0, 3.0, 4.0], n))

    def objective(
        self, data: Mapping[str, np.ndarray], weights: np.ndarray, devices: int = 1, **settings: Any
    ) -> Objective:
        placement = Placement(tuple(jax.devices()[:devices]))
        table = Table.read(data)
        return build(self.model(), table, weights=weights, fixed=self.fixed, placement=placement, **settings).objective

    def terms(self, layout: Layout, constants: Mapping[str, Any], data: Mapping[str, Any], u: Any) -> Any:
        """The log-density of every row, shape (n,)."""
        by_row, common = {}, dict(constants)
        for block in layout.blocks:
            part = u[block.start : block.stop]
            if block.name in self.dense:
                common[block.name] = self.dense[block.name].constrain(part)
            else:
                predictor = self.predictors[block.name]
                by_row[block.name] = predictor.on(data, part.reshape(-1, *predictor.shape))
        return jax.vmap(lambda p, row: self.log_density(common | p, row))(by_row, {k: data[k] for k in self.columns})


def close(got: Any, expected: Any, tolerance: float = 1e-9) -> None:
    """Equal but for `tolerance` of the largest entry."""
    expected = np.asarray(expected)
    assert np.shape(got) == expected.shape
    np.testing.assert_allclose(got, expected, rtol=0, atol=tolerance * max(np.abs(expected).max(initial=0.0), 1e-3))


def point(seed: int, objective: Objective) -> np.ndarray:
    return 0.3 * np.random.default_rng(seed).normal(size=objective.size)


def at(objective: Objective, z: np.ndarray) -> tuple[np.ndarray, ...]:
    """Value, gradient and Hessian."""
    e = objective.evaluate(z)
    return np.array(e.value), e.gradient, e.matrix


@dataclass(frozen=True)
class Truth:
    """What the passes must give in `z`: value, gradient and Hessian of the negative log-likelihood, terms and scores."""

    value: float
    gradient: np.ndarray
    hessian: np.ndarray
    terms: np.ndarray
    scores: np.ndarray
    opg: np.ndarray


def truth(case: Case, objective: Objective, data: Mapping[str, np.ndarray], weights: np.ndarray, z: Any) -> Truth:
    """All of them from the whole data set at once; rows of weight zero are left out."""
    kept = weights > 0
    data = {k: v[kept].astype(np.float64) if v.dtype.kind == "f" else v[kept] for k, v in data.items()}
    weights = weights[kept]
    args = (dict(objective.constants), data, weights, objective.to_u(z))
    value, gradient, hessian, terms, scores = jax.device_get(_whole(case, objective.layout)(*args))
    free, scale = objective.free, objective.scale
    scores = scores[:, free] * scale
    return Truth(
        float(value),
        gradient[free] * scale,
        hessian[np.ix_(free, free)] * np.outer(scale, scale),
        terms,
        scores,
        (scores * weights[:, None]).T @ scores,
    )


@cache
def _whole(case: Case, layout: Layout) -> Callable:
    def everything(constants: Any, data: Any, weights: Any, u: Any) -> tuple:
        f = lambda u: case.terms(layout, constants, data, u)
        nll = lambda u: -jnp.sum(weights * f(u))
        return nll(u), jax.grad(nll)(u), jax.hessian(nll)(u), f(u), jax.jacfwd(f)(u)

    return jax.jit(everything)


P = Predictor

CASES = (
    Case("one_predictor", {"a": P((1, "x"))}, {}),
    Case("no_predictor", {}, {"s": Positive(), "c": Covariance(2), "m": Real(shape=2)}, ("y", "many")),
    Case("shared_columns", {"a": P((1, "x", "far")), "b": P((1, "x", "far"), "log")}, {"s": Positive()}),
    Case(
        "shared_out_of_order",
        {"a": P((1, "x"), "logit"), "b": P("many", "atanh", offset=("known",)), "c": P((1, "x"))},
        {"k": Ordered(3)},
    ),
    Case("vector", {"v": P((1, "x"), None, (3,), ("known3", "known"))}, {"w": Simplex(4)}, ("y", "known")),
    Case("matrix_valued", {"m": P(("x", "far"), "atanh", (2, 1)), "a": P(("x", "far"))}, {"r": Correlation(2)}),
    Case(
        "four_predictors",
        {
            "a": P((1, "x"), "probit"),
            "b": P((1, "many")),
            "c": P("far", "atanh"),
            "d": P((1, "count", "yes"), "cloglog"),
        },
        {},
    ),
    Case("whole_numbers", {"a": P(("small", "yes"))}, {"u": UnitInterval(shape=(2, 2))}, ("count", "yes", "small")),
    Case(
        "float32_columns",
        {"a": P((1, "x", "far")), "b": P("many", "log")},
        {"i": Interval(-1.5, 4.0)},
        ("y", "table"),
        {},
        np.float32,
    ),
    Case("tree", {"a": P((1, "x"))}, {"net": DOMAINS["tree"], "one": DOMAINS["tree_of_one_array"]}, ("y", "table")),
    Case(
        "many_dense",
        {"a": P((1, "yes"), "log")},
        {"share": DOMAINS["simplex_3_batch"], "level": DOMAINS["ordered_4"], "many": Real(shape=30)},
    ),
    Case(
        "held",
        {"a": P((1, "x", "far")), "b": P((1, "yes"), "log"), "c": P((1, "x", "far"), "logit")},
        {"s": Positive(shape=4), "q": Covariance(2), "t": Real()},
        ("y",),
        {"a[x]": 0.3, "b": [0.2, -0.1], "s[1]": 0.7, "q": np.array([[2.0, 0.5], [0.5, 1.0]]), "c[Intercept]": -0.4},
    ),
)

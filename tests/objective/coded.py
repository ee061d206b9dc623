"""Models with categorical columns as codes, the same models with whole matrices, and what the passes must give."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmle import Linear, Model, Positive
from jaxmle.data.design import Design, Factor
from jaxmle.data.tables import Table
from jaxmle.objective.build import build, chunks_of
from jaxmle.objective.designs import columns_of
from jaxmle.objective.objective import Objective
from jaxmle.objective.placement import Placement
from jaxmle.objective.scaling import column_scale

N = 301
"""Rows; no chunk size divides their number."""

WITH_REFERENCE, ALL_LEVELS = -1, 0
"""The lowest code of a factor: -1 where the first level has no column."""


def codes(rng: np.random.Generator, n_levels: int, lowest: int = WITH_REFERENCE, n: int = N) -> np.ndarray:
    return rng.integers(lowest, n_levels, n).astype(np.int32)


def coded(*columns: np.ndarray) -> Design:
    """A design of columns in this order: floats as they are, integers as the codes of a factor."""
    factors, dense, at = [], [], 0
    for column in columns:
        if column.dtype == np.int32:
            size = int(column.max()) + 1
            factors.append(Factor(column, at, size))
            at += size
        else:
            dense.append(column)
            at += 1
    matrix = np.stack(dense, axis=1) if dense else np.zeros((len(columns[0]), 0))
    return Design(tuple(f"c{i}" for i in range(at)), matrix, tuple(factors))


def written_out(design: Design) -> np.ndarray:
    """The whole matrix, zeros and ones and all."""
    out = np.zeros((len(design.matrix), len(design.names)))
    out[:, list(design.dense)] = design.matrix
    for f in design.factors:
        rows = np.flatnonzero(f.codes >= 0)
        out[rows, f.first + f.codes[rows]] = 1
    return out


def density(p: Mapping[str, Any], row: Mapping[str, Any]) -> Any:
    """Smooth, without meaning; it ties the parameters to each other."""
    level = sum((0.5 + 0.2 * i) * jnp.sum(jnp.cos(1.0 + i) * p[name]) for i, name in enumerate(sorted(p)))
    size = sum(jnp.sum(p[name] ** 2) for name in sorted(p))
    return -jnp.log1p((row["y"] - level) ** 2) - 0.1 * size / (1.0 + row["y"] ** 2)


def of_group(p: Mapping[str, Any], rows: Mapping[str, Any], mask: Any) -> Any:
    """Rows of a group of which none stands alone."""
    one = lambda p, row: density(p, row)
    total = jnp.sum(jnp.where(mask, jax.vmap(one, in_axes=({"a": 0, "s": None}, 0))(dict(p), dict(rows)), 0.0))
    return total - 0.1 * jnp.log1p(jnp.sum(jnp.where(mask, p["a"], 0.0)) ** 2)


def of_all(p: Mapping[str, Any], data: Mapping[str, Any]) -> Any:
    """A term that looks at the row before."""
    before = jnp.concatenate([p["a"][:1], p["a"][:-1]])
    return -jnp.log1p((data["y"] - p["a"] - 0.3 * before) ** 2) / p["s"] - p["s"]


@dataclass(frozen=True, eq=False)
class Case:
    """A model by the designs of its predictors: the same design for the same number."""

    name: str
    designs: Callable[[np.random.Generator], tuple[Design, ...]]
    predictors: Mapping[str, tuple[int, str | None, tuple[int, ...]]]
    density: Callable[..., Any] = density
    unit: str = "row"

    @property
    def numbers(self) -> list[int]:
        """The designs in the order of their first use."""
        return list(dict.fromkeys(i for i, _, _ in self.predictors.values()))

    def objectives(
        self, seed: int = 0, devices: int = 1, rows: int | None = None, **settings: Any
    ) -> tuple[Objective, Objective, tuple[Design, ...], dict[str, np.ndarray]]:
        """The objective from codes and the one from the whole matrices; also the designs and the data."""
        rng = np.random.default_rng(seed)
        designs = self.designs(rng)
        designs = tuple(designs[i] for i in self.numbers)
        n = len(designs[0].matrix)
        data = {f"x{i}": written_out(d) for i, d in enumerate(designs)}
        data |= {"y": rng.normal(size=n), "who": np.arange(n) // 7}
        params = {
            k: Linear(f"x{self.numbers.index(i)}", link=link, shape=shape)
            for k, (i, link, shape) in self.predictors.items()
        }
        model = Model(self.density, params | {"s": Positive()}, unit=self.unit)
        placement = Placement(tuple(jax.devices()[:devices]))
        weights = np.ones(n) if self.unit == "who" else rng.integers(1, 4, n).astype(float)
        built = build(
            model,
            Table.read(data),
            weights=weights,
            placement=placement,
            chunk_rows=rows,
            structured=settings.get("structured"),
        )
        objective = built.objective
        if "precision" in settings:
            objective = replace(objective, program=replace(objective.program, precision=settings["precision"]))
        return from_codes(objective, built, designs, rows), objective, designs, data


def from_codes(objective: Objective, built: Any, designs: tuple[Design, ...], rows: int | None = None) -> Objective:
    """The same objective, from codes."""
    columns = columns_of(designs)
    layout = objective.layout
    blocks = tuple(replace(b, columns=columns[b.design]) if b.is_linear else b for b in layout.blocks)
    layout = replace(layout, blocks=blocks)
    source = replace(built.source, designs=designs)
    chunks = chunks_of(source, built.weights, objective.program.unit, rows, objective.placement.n_devices)
    return replace(
        objective,
        program=replace(objective.program, layout=layout),
        parts=tuple(p for c in chunks for p in objective.placement.place(c)),
        scale=column_scale(layout, designs)[objective.free],
    )


def two_factors(rng: np.random.Generator) -> tuple[Design, ...]:
    return (coded(codes(rng, 4), rng.normal(size=N), codes(rng, 7), np.ones(N)),)


def one_factor_twice(rng: np.random.Generator) -> tuple[Design, ...]:
    f = codes(rng, 5)
    return coded(np.ones(N), f, codes(rng, 3)), coded(f.copy(), np.ones(N), rng.normal(size=N))


def numbers_and_levels(rng: np.random.Generator) -> tuple[Design, ...]:
    f = codes(rng, 3)
    return coded(f, codes(rng, 2, ALL_LEVELS)), coded(np.ones(N), rng.normal(size=N)), coded(codes(rng, 9, ALL_LEVELS))


SHARED = Case("shared", two_factors, {"a": (0, None, ()), "b": (0, "log", ())})
SAME_FACTOR = Case("same_factor_in_two_designs", one_factor_twice, {"a": (1, None, ()), "b": (0, "log", ())})
OUT_OF_ORDER = Case(
    "vectors_and_designs_out_of_order",
    numbers_and_levels,
    {"a": (0, None, (2,)), "b": (1, None, ()), "c": (2, "logit", ()), "d": (0, "log", ())},
)
GROUPS = Case("groups", two_factors, {"a": (0, None, ())}, of_group, "who")
WHOLE = Case("whole", two_factors, {"a": (0, None, ())}, of_all, "all")


@dataclass(frozen=True)
class Truth:
    """What the passes must give in `z`, from the whole matrices and all rows at once."""

    value: float
    gradient: np.ndarray
    hessian: np.ndarray
    terms: np.ndarray
    scores: np.ndarray


INVERSE = {None: lambda x: x, "log": jnp.exp, "logit": lambda x: 1 / (1 + jnp.exp(-x))}


@cache
def whole_data(case: Case) -> Callable:
    """Derivatives of the negative log-likelihood in the coefficients by predictor, and then the logarithm of `s`."""

    def terms(u: jax.Array, X: list, y: jax.Array) -> jax.Array:
        by_row, at = {}, 0
        for name, (i, link, shape) in case.predictors.items():
            x = X[case.numbers.index(i)]
            size = x.shape[1] * int(np.prod(shape))
            by_row[name] = INVERSE[link](jnp.tensordot(x, u[at : at + size].reshape(x.shape[1], *shape), 1))
            at += size
        return jax.vmap(lambda p, y: density(p | {"s": jnp.exp(u[at])}, {"y": y}))(by_row, y)

    def everything(u: jax.Array, X: list, y: jax.Array, weights: jax.Array) -> tuple:
        nll = lambda u: -jnp.sum(weights * terms(u, X, y))
        of_terms = lambda u: terms(u, X, y)
        return nll(u), jax.grad(nll)(u), jax.hessian(nll)(u), of_terms(u), jax.jacfwd(of_terms)(u)

    return jax.jit(everything)


def truth(case: Case, o: Objective, designs: tuple[Design, ...], y: np.ndarray, z: np.ndarray) -> Truth:
    args = o.to_u(z), [written_out(d) for d in designs], y, o.weights()
    value, gradient, hessian, terms, scores = jax.device_get(whole_data(case)(*args))
    return Truth(float(value), gradient * o.scale, hessian * np.outer(o.scale, o.scale), terms, scores * o.scale)


def poisson(p: Mapping[str, Any], row: Mapping[str, Any]) -> Any:
    return row["y"] * jnp.log(p["rate"]) - p["rate"]


@dataclass(frozen=True)
class Poisson:
    """The density with what it is expected to be where rows have the parameter's own rate."""

    def __call__(self, p: Mapping[str, Any], row: Mapping[str, Any]) -> Any:
        return poisson(p, row)

    def expected(self, p: Mapping[str, Any], row: Mapping[str, Any]) -> Any:
        return jax.lax.stop_gradient(p["rate"]) * jnp.log(p["rate"]) - p["rate"]

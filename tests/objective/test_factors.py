"""Designs that keep categorical columns as codes: the numbers of the same table of zeros and ones, which is never made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxmle as jm
from jaxmle import Linear, Model, Positive
from jaxmle.data.chunks import CHUNK_ROWS, design_arrays, row_chunks
from jaxmle.data.design import Design, Factor
from jaxmle.data.tables import Table
from jaxmle.objective import passes
from jaxmle.objective.build import build, chunks_of
from jaxmle.objective.designs import columns_of
from jaxmle.objective.objective import Objective
from jaxmle.objective.placement import Placement
from jaxmle.objective.scaling import column_scale
from jaxmle.runtime import Compilation
from jaxmle.solve.lbfgs import LBFGS
from jaxmle.solve.newton import Newton

from .models import close

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
        parts=tuple(objective.placement.place(c) for c in chunks),
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


def agree(got: Any, expected: Any) -> None:
    close(got, expected, 1e-10)


@pytest.mark.parametrize(
    ("case", "rows", "devices", "every_pass"),
    [
        pytest.param(case, rows, devices, every_pass, id=f"{case.name}-{rows}-{devices}")
        for case, rows, devices, every_pass in (
            (SHARED, 1, 1, True),
            (SHARED, 1000, 2, False),
            (SHARED, None, 2, False),
            (SAME_FACTOR, 7, 2, True),
            (SAME_FACTOR, 1, 2, False),
            (OUT_OF_ORDER, 1000, 1, True),
            (OUT_OF_ORDER, 7, 1, False),
        )
    ],
)
def test_every_pass_gives_the_numbers_of_the_whole_matrix(case: Case, rows: int | None, devices: int, every_pass: bool):
    o, dense, designs, data = case.objectives(seed=3, devices=devices, rows=rows)
    assert o.program.structured
    assert np.array_equal(o.scale, dense.scale)
    rng = np.random.default_rng(4)
    z, v = 0.3 * rng.normal(size=(2, o.size))
    here, there = (truth(case, o, designs, data["y"], x) for x in (z, z + 0.3 * v))
    e = o.evaluate(z)
    agree(e.value, here.value)
    agree(e.gradient, here.gradient)
    agree(e.matrix, here.hessian)
    agree(o.terms(z), here.terms)
    if not every_pass:
        return
    agree(o.value(z), here.value)
    agree(o.value_and_grad(z)[1], here.gradient)
    agree(o.evaluate(z, "opg").matrix, (here.scores.T * o.weights()) @ here.scores)
    for batched, expected in zip(o.evaluate_batch(np.stack([z, z + 0.3 * v])), (here, there)):
        agree(batched.value, expected.value)
        agree(batched.gradient, expected.gradient)
        agree(batched.matrix, expected.hessian)
    agree(o.hvp(z, v), here.hessian @ v)
    agree(o.scores(z), here.scores)
    line = o.along(z, v)
    agree(line(0.0), (here.value, here.gradient @ v))
    agree(line(0.3), (there.value, there.gradient @ v))
    chosen = np.arange(N)[::3]
    share = o.weights()[chosen] * N / len(chosen)
    value, gradient = o.sample(z, chosen)
    agree(value, -share @ here.terms[chosen])
    agree(gradient, -share @ here.scores[chosen])


def same(compact: Objective, dense: Objective, tolerance: float) -> None:
    """Value, gradient, Hessian, scores, and a line, of one objective are those of another."""
    rng = np.random.default_rng(1)
    z, v = 0.3 * rng.normal(size=(2, compact.size))
    for got, expected in zip(compact.evaluate(z), dense.evaluate(z)):
        close(got, expected, tolerance)
    close(compact.scores(z), dense.scores(z), tolerance)
    close(compact.along(z, v)(0.3), dense.along(z, v)(0.3), tolerance)


@pytest.mark.parametrize(
    ("case", "settings"),
    [
        (SHARED, {"structured": False, "rows": 100, "devices": 2}),
        (GROUPS, {"rows": 3}),
        (GROUPS, {"devices": 2}),
        (WHOLE, {}),
    ],
)
def test_coefficients_that_are_differentiated_one_by_one(case: Case, settings: dict):
    compact, dense, *_ = case.objectives(**settings)
    assert not compact.program.structured
    same(compact, dense, 1e-10)


def test_single_precision():
    compact, dense, *_ = SAME_FACTOR.objectives(rows=50, precision="float32")
    same(compact, dense, 3e-5)
    assert compact.evaluate(np.zeros(compact.size)).matrix.dtype == np.float64


def test_a_level_that_no_row_has():
    """Its column is zero, and so is all that comes of it."""
    rng = np.random.default_rng(0)
    f = codes(rng, 4)
    f[f == 2] = 3
    o, dense, *_ = Case("empty", lambda _: (coded(f, np.ones(N)),), {"a": (0, None, ())}).objectives()
    assert o.scale[2] == dense.scale[2] == 1
    e = o.evaluate(np.zeros(o.size))
    assert not e.matrix[2].any()
    assert e.gradient[2] == 0


def test_codes_are_stored_once_for_each_row_in_32_bits():
    (design,) = two_factors(np.random.default_rng(0))
    (cut,) = row_chunks({}, (design_arrays(design),), {}, np.ones(N), 64).designs
    assert cut["codes"].shape == (5, 2, 64)
    assert cut["codes"].dtype == np.int32
    assert cut["dense"].shape == (5, 2, 64)


def test_other_codes_of_as_many_levels_compile_nothing():
    case = SHARED
    z = np.zeros(case.objectives()[0].size)
    case.objectives(seed=1)[0].evaluate(z)
    with Compilation() as compilation:
        case.objectives(seed=2)[0].evaluate(z)
    assert compilation.count == 0


# --- many levels --------------------------------------------------------------------------------------------------------

ROWS, LEVELS = 100_000, 2_000


def poisson(p: Mapping[str, Any], row: Mapping[str, Any]) -> Any:
    return row["y"] * jnp.log(p["rate"]) - p["rate"]


@dataclass(frozen=True)
class Poisson:
    """The density with what it is expected to be where rows have the parameter's own rate."""

    def __call__(self, p: Mapping[str, Any], row: Mapping[str, Any]) -> Any:
        return poisson(p, row)

    def expected(self, p: Mapping[str, Any], row: Mapping[str, Any]) -> Any:
        return jax.lax.stop_gradient(p["rate"]) * jnp.log(p["rate"]) - p["rate"]


@pytest.fixture(scope="module")
def many() -> tuple[Objective, Design, np.ndarray]:
    """Counts whose rate has a level for each of 2,000 groups: no intercept and no slope, so the estimates are means."""
    rng = np.random.default_rng(0)
    group = np.append(rng.integers(0, LEVELS, ROWS - LEVELS), np.arange(LEVELS)).astype(np.int32)
    y = 1.0 + rng.poisson(3.0, ROWS)
    built = build(Model(Poisson(), {"rate": Linear([1], link="log")}), Table.read({"y": y}), weights=np.ones(ROWS))
    design = coded(group)
    o = built.objective
    (block,) = o.layout.blocks
    layout = replace(o.layout, blocks=(replace(block, stop=LEVELS, terms=design.names),))
    zeros, free = np.zeros(LEVELS), np.arange(LEVELS)
    o = replace(o, program=replace(o.program, layout=layout), base=zeros, free=free)
    return from_codes(o, built, (design,)), design, y


def shapes(jaxpr: Any, inside: bool = False) -> Iterator[tuple[tuple[int, ...], bool]]:
    """The shape of every intermediate value of a program, and whether it is in the loop over chunks."""
    for equation in jaxpr.eqns:
        yield from ((v.aval.shape, inside) for v in equation.outvars)
        loop = inside or equation.primitive.name == "while"
        for inner in jax.tree.leaves(list(equation.params.values()), is_leaf=lambda x: hasattr(x, "eqns")):
            if hasattr(inner, "jaxpr"):
                inner = inner.jaxpr
            if hasattr(inner, "eqns"):
                yield from shapes(inner, loop)


@pytest.mark.parametrize("needs", ["value", "gradient", "hessian", "opg", "expected", "hvp", "terms", "line"])
def test_no_array_has_a_number_for_each_row_and_level(many, needs: str):
    o, *_ = many
    u = np.zeros(LEVELS)
    program, placement, constants, data = o.likelihood, o.placement, o.constants, o.parts[0].data
    match needs:
        case "hvp":
            traced = passes.hessian_product.trace(program, placement, u, u, constants, data)
        case "terms":
            traced = passes.per_unit.trace(program, placement, "terms", u, constants, data)
        case "line":
            traced = passes.predictors.trace(program, placement, (u, u), data)
        case _:
            traced = passes.evaluate.trace(program, placement, needs, u, constants, data)
    found = list(shapes(traced.jaxpr.jaxpr))
    assert any(CHUNK_ROWS in shape for shape, _ in found)
    for shape, inside in found:
        if inside:
            assert np.prod(shape, dtype=float) < CHUNK_ROWS * LEVELS / 4, shape
        else:
            assert np.prod(shape, dtype=float) <= 2 * LEVELS**2, shape
    if needs not in ("hessian", "opg", "expected"):
        assert max(np.prod(shape, dtype=float) for shape, _ in found) <= 2 * ROWS


@pytest.mark.parametrize(("solver", "n_free"), [(Newton(), 200), (LBFGS(), LEVELS)], ids=["Newton", "LBFGS"])
def test_a_fit_with_many_levels(many, solver: Any, n_free: int):
    """Some levels are held at their estimates, so that Newton's linear algebra takes less time than the passes."""
    o, design, y = many
    group = design.factors[0].codes
    means = np.log(np.bincount(group, y) / np.bincount(group))
    o = o.with_fixed(np.arange(n_free, LEVELS), means)
    solution = solver.minimise(o, np.log(y.mean()) / o.scale)
    close(o.to_u(solution.z), means, 1e-4)


def test_a_formula_with_many_levels_is_fitted_from_codes():
    """Grouped means by least squares: the slope is that of what is left when both columns lose their group means."""
    rng = np.random.default_rng(0)
    group, x = rng.integers(0, 150, 3_000), rng.normal(size=3_000)
    level = rng.normal(size=150)
    data = {"y": level[group] + 0.5 * x + rng.normal(size=3_000), "x": x, "group": np.char.add("g", group.astype(str))}
    normal = lambda p, row: -0.5 * (row["y"] - p["mean"]) ** 2
    model = Model(normal, {"mean": Linear("~ x + C(group)")})
    o = build(model, Table.read(data), weights=np.ones(3_000)).objective
    assert "codes" in o.parts[0].data["designs"][0]
    fit = jm.fit(model, data, progress=False)
    assert fit.converged
    count = np.bincount(group)
    within = lambda v: v - (np.bincount(group, v) / count)[group]
    slope = within(x) @ data["y"] / (within(x) @ x)
    assert fit.coef["mean[x]"] == pytest.approx(slope, rel=1e-9)
    assert fit.std_errors["mean[x]"] == pytest.approx((within(x) @ x) ** -0.5, rel=1e-9)
    assert len(fit.coef) == 151


def test_two_factors_meet_in_a_table_of_their_levels():
    """X diag(w) Xᵀ of two factors counts, with weights, the rows that have both levels."""
    rng = np.random.default_rng(0)
    f, g = codes(rng, 30, ALL_LEVELS), codes(rng, 20, ALL_LEVELS)
    o, *_ = Case(
        "two", lambda _: (coded(f, g),), {"rate": (0, "log", ())}, lambda p, r: poisson(p, {"y": 1.0})
    ).objectives(rows=64)
    held = o.with_fixed(np.array([50]), np.zeros(51))
    matrix = held.evaluate(np.zeros(50)).matrix / np.outer(held.scale, held.scale)
    table = np.zeros((30, 20))
    np.add.at(table, (f, g), o.weights())
    close(matrix[:30, 30:], table, 1e-13)
    close(matrix[:30, :30], np.diag(table.sum(axis=1)), 1e-13)


# --- expected information -----------------------------------------------------------------------------------------------


def test_expected_information_is_the_design_weighted_by_the_mean():
    rng = np.random.default_rng(5)
    X = np.column_stack([np.ones(N), rng.normal(size=N)])
    y, weights = rng.poisson(2.0, N).astype(float), rng.integers(1, 4, N).astype(float)
    # under this link, the observed information is not the expected one
    model = Model(Poisson(), {"rate": Linear([1, "x"], link="sqrt")})
    o = build(model, Table.read({"y": y, "x": X[:, 1]}), weights=weights, chunk_rows=50).objective
    z = np.array([1.4, -0.2])
    eta = X @ o.to_u(z)
    mu, slope = eta**2, 2 * eta
    e, observed = o.evaluate(z, "expected"), o.evaluate(z)
    expected = X.T @ ((weights * slope**2 / mu)[:, None] * X)
    close(e.matrix, expected * np.outer(o.scale, o.scale), 1e-12)
    assert e.value == pytest.approx(observed.value, rel=1e-14)
    close(e.gradient, observed.gradient, 1e-13)
    assert not np.allclose(e.matrix, observed.matrix)
    close(o.evaluate_batch(z[None], "expected")[0].matrix, e.matrix, 1e-14)


def test_expected_information_of_the_canonical_link_is_the_observed_one(many):
    o, *_ = many
    z = np.full(LEVELS, 0.5)
    mu = np.exp(o.to_u(z))
    e = o.evaluate(z, "expected")
    counts = np.bincount(many[1].factors[0].codes)
    close(e.matrix, np.diag(counts * mu * o.scale**2), 1e-12)
    close(e.matrix, o.evaluate(z).matrix, 1e-12)


def test_a_density_without_expected_information_is_refused():
    o, *_ = SHARED.objectives()
    with pytest.raises(jm.ModelError, match="FisherScoring needs a family with an expected information"):
        o.evaluate(np.zeros(o.size), "expected")

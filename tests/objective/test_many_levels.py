"""Thousands of levels: memory in proportion to the rows, and a fit that reaches the means of the groups."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import jax
import numpy as np
import pytest

from jaxmle import Linear, Model
from jaxmle.data.chunks import CHUNK_ROWS
from jaxmle.data.design import Design
from jaxmle.data.tables import Table
from jaxmle.objective import passes
from jaxmle.objective.build import build
from jaxmle.objective.objective import Objective
from jaxmle.solve.lbfgs import LBFGS
from jaxmle.solve.newton import Newton

from .coded import Poisson, coded, from_codes
from .models import close

ROWS, LEVELS = 100_000, 2_000


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
    program, constants, first = o.likelihood, o.constants, o.stretches[0]
    where = first.data, first.span
    match needs:
        case "hvp":
            traced = passes.hessian_product.trace(program, u, u, constants, *where)
        case "terms":
            traced = passes.per_unit.trace(program, first.length, "terms", u, constants, *where)
        case "line":
            traced = passes.predictors.trace(program, first.length, (u, u), *where)
        case _:
            traced = passes.evaluate.trace(program, needs, u, constants, *where)
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


def test_expected_information_of_the_canonical_link_is_the_observed_one(many):
    o, *_ = many
    z = np.full(LEVELS, 0.5)
    mu = np.exp(o.to_u(z))
    e = o.evaluate(z, "expected")
    counts = np.bincount(many[1].factors[0].codes)
    close(e.matrix, np.diag(counts * mu * o.scale**2), 1e-12)
    close(e.matrix, o.evaluate(z).matrix, 1e-12)

"""Symmetric products, put together from strips of columns: the numbers of the whole product."""

import jax
import numpy as np
import pytest

from jaxmle import runtime
from jaxmle.objective import designs
from jaxmle.objective.designs import Columns


@pytest.mark.parametrize(("by_row", "n"), [(False, 64), (True, 64), (True, 128), (True, 384), (True, 400)])
@pytest.mark.parametrize("p", [0, 1, 32, 33, 47, 48, 71, 80, 95, 96, 128, 131])
@pytest.mark.parametrize("dtype", [float, int])
def test_a_product_in_strips_is_the_product(p: int, by_row: bool, n: int, dtype: type):
    rng = np.random.default_rng(p)
    x, w = (3 * rng.normal(size=(p, n))).astype(dtype), rng.normal(size=(3, n))  # weights of any sign
    every = tuple(range(p))
    columns = Columns(in_place=every) if by_row else Columns(dense=every)
    with runtime.x64():
        design = {"in_place": jax.device_put(x.T)} if columns.in_place else {"dense": jax.device_put(x)}
        sums = designs.product(columns, design, jax.device_put(w), columns, design)
        got = [np.asarray(designs.matrix(columns, sums, columns, i)) for i in range(3)]
    for matrix, weights in zip(got, w):
        np.testing.assert_allclose(matrix, (x * weights) @ x.T, rtol=0, atol=1e-11)


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="XLA's products on CPUs")
@pytest.mark.parametrize("quickly", [True, False])
def test_of_a_matrix_by_row_a_turned_copy_is_multiplied(quickly: bool):
    """A product whose sum goes over the first axis on the left takes its library twice as long."""
    columns = Columns(in_place=tuple(range(60)))
    options = runtime.ONE_THREAD | (runtime.QUICKLY if quickly else {})
    with runtime.x64():
        x, w = np.zeros((400, 60)), np.zeros((1, 400))
        product = jax.jit(lambda x, w: designs.product(columns, {"in_place": x}, w, columns, {"in_place": x}))
        text = product.lower(x, w).compile(compiler_options=options).as_text()
    products = [line for line in text.splitlines() if " dot(" in line]
    assert len(products) == 2
    assert all("lhs_contracting_dims={1}, rhs_contracting_dims={0}" in line for line in products)

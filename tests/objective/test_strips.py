"""Symmetric products, put together from strips of columns and blocks of rows: the numbers of the whole product."""

import jax
import numpy as np
import pytest

from jaxmle import runtime
from jaxmle.objective import designs
from jaxmle.objective.designs import Columns


@pytest.mark.parametrize(("by_row", "n"), [(False, 64), (True, 64), (True, 128), (True, 384), (True, 400)])
@pytest.mark.parametrize("p", [1, 32, 33, 47, 48, 71, 80, 128, 131])
@pytest.mark.parametrize("dtype", [float, int])
def test_a_product_in_strips_is_the_product(p: int, by_row: bool, n: int, dtype: type):
    rng = np.random.default_rng(p)
    x, w = (3 * rng.normal(size=(p, n))).astype(dtype), rng.normal(size=(3, n))  # weights of any sign
    every = tuple(range(p))
    columns = Columns(in_place=every) if by_row else Columns(dense=every)
    with runtime.x64():
        design = {"in_place": jax.device_put(x.T)} if by_row else {"dense": jax.device_put(x)}
        sums = designs.product(columns, design, jax.device_put(w), columns, design)
        got = [np.asarray(designs.matrix(columns, sums, columns, i)) for i in range(3)]
    for matrix, weights in zip(got, w):
        np.testing.assert_allclose(matrix, (x * weights) @ x.T, rtol=0, atol=1e-11)

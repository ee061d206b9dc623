"""Symmetric products of wide designs, put together from strips: the numbers of the whole product."""

import jax
import numpy as np
import pytest

from jaxmle import runtime
from jaxmle.objective import designs
from jaxmle.objective.designs import Columns

ROWS = 64


@pytest.mark.parametrize("by_row", [False, True])
@pytest.mark.parametrize("p", [1, 47, 48, 71, 80, 131])
def test_a_product_in_strips_is_the_product(p: int, by_row: bool):
    rng = np.random.default_rng(p)
    x, w = rng.normal(size=(p, ROWS)), rng.normal(size=(3, ROWS))  # weights of any sign
    every = tuple(range(p))
    columns = Columns(in_place=every) if by_row else Columns(dense=every)
    with runtime.x64():
        design = {"in_place": jax.device_put(x.T)} if by_row else {"dense": jax.device_put(x)}
        sums = designs.product(columns, design, jax.device_put(w), columns, design)
        got = [np.asarray(designs.matrix(columns, sums, columns, i)) for i in range(3)]
    for matrix, weights in zip(got, w):
        np.testing.assert_allclose(matrix, (x * weights) @ x.T, rtol=0, atol=1e-12)

"""Derivatives of a formula's columns by a column of the data, against differences of the columns."""

import numpy as np
import pytest

from jaxmle.data.formula import bind, columns, without
from jaxmle.data.slopes import derivative_of_pieces, slopes
from jaxmle.data.tables import Table

N, H = 60, 1e-5
RNG = np.random.default_rng(0)
DATA = {
    "x": RNG.uniform(0.5, 3, N),
    "z": RNG.normal(size=N),
    "g": RNG.choice(list("abc"), N),
    "h": RNG.choice(list("uv"), N),
}
FUNCTIONS = {"own": lambda v, k=2: np.stack([v**k, np.sin(v)], 1), "two": lambda a, b: a * b**2}
INNER = np.all([np.abs(DATA[c] - DATA[c].mean()) < np.abs(DATA[c] - DATA[c].mean()).max() * 0.9 for c in "xz"], axis=0)

FORMULAS = [
    "~ x * z * g",
    "~ log(x) + I(x**2) + z",
    "~ bs(x, df=6) * z",
    "~ bs(x, df=5, degree=2)",
    "~ cr(x, df=5) + cc(z, df=4)",
    "~ poly(x, 4):g",
    "~ scale(x) + center(x) * h",
    "~ own(x, k=3) + two(x, z)",
    "~ I(scale(x)**2) + exp(-x / 2) * minimum(x, 1.5) + sqrt(x) * x",
    "~ C(x > 1) + x + I(x > 2)",
    "~ 0 + g:x",
    "~ poly(log(x), 3) + standardize(x)",
    "~ maximum(x, z) + np.arctan(x * z) + abs(z - x) + I(2**x)",
]


@pytest.mark.parametrize("by", ["x", "z"])
@pytest.mark.parametrize("formula", FORMULAS)
def test_every_column_moves_as_differences_say(formula, by):
    table = Table.read(DATA)
    bound = bind(formula, table, "m", FUNCTIONS)
    positions, found = slopes(bound, table, "m", by)
    at = lambda h: columns(bound, Table.read(DATA | {by: DATA[by] + h}).take(INNER), "m")[1]
    wanted = (at(H) - at(-H)) / (2 * H)
    whole = np.zeros_like(wanted)
    whole[:, positions] = found[INNER]
    np.testing.assert_allclose(whole, wanted, atol=1e-8 * max(1.0, np.abs(wanted).max()))


def test_columns_that_were_left_out_have_none():
    table = Table.read(DATA)
    bound = without(bind("~ x + z + x:z", table, "m"), [1], 4)
    positions, found = slopes(bound, table, "m", "x")
    assert positions.tolist() == [2]
    np.testing.assert_array_equal(found[:, 0], DATA["z"])


def test_pieces_are_exact_at_knots_and_ends():
    """A cubic on each side of one, with a jump in its third derivative there, as in a spline."""
    f = lambda x: np.stack([x**3, np.where(x < 1, 0.0, (x - 1) ** 3)], axis=1)
    x = np.array([0.0, 0.5, 1.0, 1.0 + 1e-9, 2.0])
    wanted = np.stack([3 * x**2, np.where(x < 1, 0.0, 3 * (x - 1) ** 2)], axis=1)
    np.testing.assert_allclose(derivative_of_pieces(f, np.array([0.0, 1.0, 2.0]), 3, x), wanted, atol=1e-13)
    alone = derivative_of_pieces(lambda x: x[:, None] ** 3, np.zeros(0), 3, np.array([0.7]))
    np.testing.assert_allclose(alone, [[3 * 0.49]], atol=1e-13)

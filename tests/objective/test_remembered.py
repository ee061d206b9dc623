"""Evaluations with a Hessian are not done twice, and never mistaken for those of other data."""

import numpy as np
import pytest

import jaxmle as jm
from jaxmle.check import built_on
from jaxmle.data.tables import Table
from jaxmle.objective.recent import REMEMBERED

RNG = np.random.default_rng(0)
DATA = {"y": RNG.poisson(3.0, 40).astype(float), "remembered_x": RNG.normal(size=40)}


@pytest.fixture
def objective():
    return built_on(jm.poisson("y ~ remembered_x"), Table.read(DATA)).objective


def passes(objective):
    return objective.tally.passes.get("hessian", 0)


def test_the_same_point_is_evaluated_once_and_cannot_be_changed(objective):
    z = np.array([0.3, 0.1])
    first = objective.evaluate(z)
    assert objective.evaluate(z.copy()) is first
    assert passes(objective) == 1
    with pytest.raises(ValueError, match="read-only"):
        first.matrix[0, 0] = 0.0
    for k in range(REMEMBERED):
        objective.evaluate(z + 0.01 * (k + 1))
    assert passes(objective) == 1 + REMEMBERED
    objective.evaluate(z)  # the oldest is forgotten
    assert passes(objective) == 2 + REMEMBERED


def test_other_weights_and_columns_are_other_evaluations(objective):
    """By the closed form of the Poisson's likelihood at each."""
    z, weights, y = np.array([0.3, 0.1]), RNG.uniform(0.5, 2.0, 40), RNG.poisson(2.0, 40).astype(float)
    u = objective.to_u(z)
    eta = u[0] + u[1] * DATA["remembered_x"]
    score = lambda w, y: -(w * (y - np.exp(eta))).sum() * objective.scale[0]
    assert objective.evaluate(z).gradient[0] == pytest.approx(score(np.ones(40), DATA["y"]), rel=1e-12)
    assert objective.weighted(weights).evaluate(z).gradient[0] == pytest.approx(score(weights, DATA["y"]), rel=1e-12)
    assert objective.with_columns({"y": y}).evaluate(z).gradient[0] == pytest.approx(score(np.ones(40), y), rel=1e-12)

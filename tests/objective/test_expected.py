"""The expected information, from a log-density that says what it is expected to be."""

from __future__ import annotations

import numpy as np
import pytest

import jaxmle as jm
from jaxmle import Linear, Model
from jaxmle.data.tables import Table
from jaxmle.objective.build import build

from .coded import SHARED, N, Poisson
from .models import close


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


def test_a_density_without_expected_information_is_refused():
    o, *_ = SHARED.objectives()
    with pytest.raises(jm.ModelError, match="FisherScoring needs a family with an expected information"):
        o.evaluate(np.zeros(o.size), "expected")

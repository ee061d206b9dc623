"""What rounding does, against sums of fractions and a closed form."""

from fractions import Fraction

import numpy as np
import pytest

import jaxmle as jm
from jaxmle.infer.rounding import rounding_of

N = 400
RNG = np.random.default_rng(3)


def test_the_exact_sum_is_the_sum_of_fractions():
    y = RNG.poisson(4.0, N)
    fit = jm.fit(jm.poisson("y"), {"y": y})
    terms = fit.session.objective.terms(fit.session.z)
    found = fit.rounding()
    assert found.exact == float(sum(map(Fraction, terms.tolist())))
    assert found.difference == fit.log_likelihood - found.exact
    assert abs(found.difference) < 1e-11
    assert found.move < 1e-6
    assert "by exact sums" in str(found)


def test_the_move_is_the_distance_to_the_maximum():
    """The logarithm of an exponential's rate has the maximum -log(mean) and the standard error 1/sqrt(n)."""
    y = RNG.exponential(2.0, N)
    fit = jm.fit(jm.exponential("y"), {"y": y})
    s = fit.session
    unit = s.objective.scale[0]
    best = -np.log(y.mean()) / unit
    assert rounding_of(s.objective, np.array([best]), s.hessian).move < 1e-13
    off = rounding_of(s.objective, np.array([best + 0.01 / np.sqrt(N) / unit]), s.hessian)
    np.testing.assert_allclose(off.move, 0.01, rtol=1e-3)


def test_terms_that_cancel_are_seen():
    y = RNG.normal(size=N)
    model = jm.Model(lambda p, row: -0.5 * (row["y"] - p["m"]) ** 2 + row["c"], {"m": jm.Real()})
    fit = jm.fit(model, {"y": y, "c": np.where(np.arange(N) < N // 2, 1e6 + 0.1, -1e6)})
    found = fit.rounding()
    assert found.exact == float(sum(map(Fraction, fit.session.objective.terms(fit.session.z).tolist())))
    assert abs(found.difference) > 1e-9
    assert found.move < 1e-6


def test_what_has_no_data_or_no_standard_errors_says_so(tmp_path):
    x = np.arange(10.0)
    fit = jm.fit(jm.poisson("y"), {"y": x})
    fit.save(tmp_path / "fit")
    with pytest.raises(jm.ModelError, match="loaded fit"):
        jm.load(tmp_path / "fit").rounding()
    flat = jm.Model(lambda p, row: -0.5 * (row["y"] - p["a"] - p["b"]) ** 2, {"a": jm.Real(), "b": jm.Real()})
    with pytest.warns(jm.FitWarning):
        fit = jm.fit(flat, {"y": x})
    with pytest.raises(jm.ModelError, match="standard errors"):
        fit.rounding()

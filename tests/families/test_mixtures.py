"""Mixtures: from many starts one optimum, in one order, with formulas in components and in shares, and posteriors."""

import warnings

import numpy as np
import pytest

import jaxmle as jm
from jaxmle.declare.combinators.splits import random_groups, random_split


def old_faithful(cases):
    from ..cases.test_cases import data_of

    case = cases["mixture2_faithful"]
    return case, data_of(case)


def test_old_faithful_is_the_published_fit_from_any_start(cases):
    case, data = old_faithful(cases)
    model = jm.mixture(jm.normal("eruptions"), components=2)
    turned = {"mean.0": 4.1, "mean.1": 2.2, "sd.0": 0.5, "sd.1": 0.3}
    fits = [
        jm.fit(model, data, solver=jm.EM(starts=8, key=1), progress=False),
        jm.fit(model, data, solver="em", start=turned, progress=False),
        jm.fit(model, data, solver="newton", start=turned, progress=False),
    ]
    names = {"mu1": "mean.0", "sigma1": "sd.0", "pi1": "weight.0", "mu2": "mean.1", "sigma2": "sd.1"}
    best = case["polished"]
    for fit in fits:
        assert fit.converged
        assert fit.log_likelihood == pytest.approx(best["loglik"], abs=3e-7)
        for theirs, ours in names.items():
            error = best["std_errors"]["observed"][theirs]
            assert fit.coef[ours] == pytest.approx(best["params"][theirs], abs=1e-5 * error)
            assert fit.std_errors[ours] == pytest.approx(error, rel=1e-4)
    assert "8 starts" in fits[0].estimates.notes[0]


def test_starts_find_a_component_inside_another():
    """A wide and a narrow component about one centre: groups by distance alone do not find them."""
    rng = np.random.default_rng(5)
    y = np.where(rng.uniform(size=400) < 0.6, rng.normal(0, 0.4, 400), rng.normal(0, 4, 400))
    fit = jm.fit(jm.mixture(jm.normal("mix_y"), components=2), {"mix_y": y}, solver=jm.EM(starts=8), progress=False)
    assert fit.converged
    assert sorted([fit.coef["sd.0"], fit.coef["sd.1"]]) == pytest.approx([0.4, 4], rel=0.25)


def crossing(n=300):
    rng = np.random.default_rng(11)
    x, w = rng.uniform(0, 10, n), rng.normal(size=n)
    first = rng.uniform(size=n) < 1 / (1 + np.exp(-1.2 * w))
    return {"mix_y": np.where(first, 1 + x, 12 - x) + 0.8 * rng.normal(size=n), "mix_x": x, "mix_w": w}, first


@pytest.fixture(scope="module")
def experts():
    data, first = crossing()
    model = jm.mixture(jm.normal("mix_y ~ mix_x"), components=2, weights="~ mix_w")
    return jm.fit(model, data, solver=jm.EM(starts=6), progress=False), data, first


def test_crossing_regressions_with_shares_by_a_column(experts):
    """Truth: lines 1 + x and 12 - x; the components are in the order of their intercepts."""
    fit, _, _ = experts
    assert fit.converged
    truth = {
        "mean.0[Intercept]": 1, "mean.0[mix_x]": 1, "sd.0": 0.8, "mean.1[Intercept]": 12, "mean.1[mix_x]": -1,
        "sd.1": 0.8, "weight.1[Intercept]": 0, "weight.1[mix_w]": -1.2,
    }  # fmt: skip
    for name, value in truth.items():
        assert abs(fit.coef[name] - value) < 3 * fit.std_errors[name], name


def test_the_other_order_is_turned_with_the_shares(experts):
    fit, data, _ = experts
    turned = {f"{n}.{i}": fit.params[f"{n}.{1 - i}"] for n in ("mean", "sd") for i in (0, 1)}
    turned |= {"weight.1": -fit.params["weight.1"]}
    again = jm.fit(fit.model, data, start=turned, solver="newton", progress=False)
    assert again.log_likelihood == pytest.approx(fit.log_likelihood, abs=1e-8)
    for name, value in fit.coef.items():
        assert again.coef[name] == pytest.approx(value, abs=1e-5)


def test_components_that_are_not_alike_keep_their_places():
    rng = np.random.default_rng(2)
    y = np.concatenate([rng.exponential(1.0, 150), rng.lognormal(2.2, 0.2, 150)])
    data = {"mix_y": y}
    fit = jm.fit(
        jm.mixture([jm.lognormal("mix_y"), jm.exponential("mix_y")]), data, solver=jm.EM(starts=6), progress=False
    )
    assert fit.converged
    assert fit.coef["mu.0"] == pytest.approx(2.2, rel=0.05)
    assert fit.coef["rate.1"] == pytest.approx(1.0, rel=0.3)


def test_without_a_proper_start_the_fit_says_why():
    """Three equal responses and three others: with three components one always closes in on the equal ones."""
    y = np.array([1.0, 1.0, 1.0, 4.0, 7.0, 7.0, 7.0, 10.0])
    with pytest.warns(jm.FitWarning, match="closed in on"):
        fit = jm.fit(jm.mixture(jm.normal("mix_y"), components=3), {"mix_y": y}, solver=jm.EM(starts=6), progress=False)
    assert not fit.converged
    assert fit.certificate.status == "improper"
    assert "6 starts" in fit.certificate.reason


def test_splits():
    rng = np.random.default_rng(0)
    y = np.concatenate([np.zeros(10), np.full(20, 5.0), np.full(5, 9.0)])[:, None]
    part = random_split(y, np.ones(35), 3, rng)
    assert (part == np.repeat([0, 1, 2], [10, 20, 5])).all()  # seeds are distinct values, so the groups are these
    weights = np.r_[np.zeros(10), np.ones(25)]
    groups = random_groups(weights, 3, 4, rng)
    assert (groups[:10] == -1).all()
    assert [(groups == i).sum() for i in range(3)] == [4, 4, 4]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert (random_split(np.ones((4, 1)), np.ones(4), 2, rng) == 0).all()


def test_fewer_responses_than_components():
    with pytest.raises(jm.DataError, match="3 responses cannot be of 4 components"):
        jm.fit(jm.mixture(jm.normal("y"), components=4), {"y": [1.0, 2.0, 3.0]})

"""Combinators: fits against closed forms, and against the parts that they fall apart into."""

import math

import numpy as np
import pytest

import jaxmle as jm
from jaxmle.declare.catalogue import bernoulli, normal, poisson
from jaxmle.declare.combinators.censored import censored
from jaxmle.declare.combinators.inflated import hurdle, zero_inflated, zero_one_inflated
from jaxmle.declare.combinators.mixture import mixture, split
from jaxmle.declare.combinators.truncated import truncated
from jaxmle.declare.distributions.beta import Beta
from jaxmle.declare.distributions.exponential import Exponential
from jaxmle.declare.distributions.gamma import Gamma
from jaxmle.declare.families import family

exponential, gamma, beta = family(Exponential), family(Gamma), family(Beta)


def fit(model, data, **arguments):
    found = jm.fit(model, data, progress=False, **arguments)
    assert found.converged
    return found


@pytest.fixture(scope="module")
def counts():
    rng = np.random.default_rng(3)
    x = rng.normal(size=600)
    y = rng.poisson(np.exp(0.4 + 0.5 * x)) * (rng.random(600) > 1 / (1 + np.exp(1.0 - 0.5 * x)))
    return {"y": y.astype(float), "x": x}


def test_a_hurdle_is_a_binary_and_a_truncated_model(counts):
    whole = fit(hurdle(poisson("y ~ x"), zero="~ x"), counts)
    positive = counts["y"] > 0
    some = fit(truncated(poisson("y ~ x"), low=0), {k: v[positive] for k, v in counts.items()})
    none = fit(bernoulli("none ~ x"), counts | {"none": (~positive).astype(float)})
    assert whole.log_likelihood == pytest.approx(some.log_likelihood + none.log_likelihood, rel=1e-10)
    assert whole.coef["rate[x]"] == pytest.approx(some.coef["rate[x]"], rel=1e-6)
    assert whole.coef["zero[x]"] == pytest.approx(none.coef["prob[x]"], rel=1e-6)
    assert whole.std_errors["zero[x]"] == pytest.approx(none.std_errors["prob[x]"], rel=1e-6)


def test_zero_inflation_with_constants_solves_its_equations(counts):
    y = counts["y"]
    found = fit(zero_inflated(poisson("y")), counts)
    rate, zero = found.coef["rate"], found.coef["zero"]
    assert y[y > 0].mean() == pytest.approx(rate / -math.expm1(-rate), rel=1e-6)  # the truncated mean
    assert (y == 0).mean() == pytest.approx(zero + (1 - zero) * math.exp(-rate), rel=1e-6)
    held = fit(zero_inflated(poisson("y"), zero=0.25), counts)
    assert list(held.coef) == ["rate"]
    assert float(held.params["zero"]) == 0.25


def test_positive_numbers_may_have_a_hurdle():
    rng = np.random.default_rng(5)
    y = rng.gamma(2.0, 1.5, 400) * (rng.random(400) > 0.3)
    found = fit(hurdle(gamma("y")), {"y": y})
    alone = fit(gamma("y"), {"y": y[y > 0]})
    assert found.coef["zero"] == pytest.approx((y == 0).mean(), rel=1e-6)
    assert found.coef["mean"] == pytest.approx(alone.coef["mean"], rel=1e-6)


def test_shares_with_zeros_and_ones():
    rng = np.random.default_rng(6)
    kind = rng.choice(3, 500, p=[0.2, 0.1, 0.7])
    y = np.where(kind == 0, 0.0, np.where(kind == 1, 1.0, rng.beta(2.0, 3.0, 500)))
    found = fit(zero_one_inflated(beta("y")), {"y": y})
    alone = fit(beta("y"), {"y": y[kind == 2]})
    assert found.coef["zero"] == pytest.approx((y == 0).mean(), rel=1e-6)
    assert found.coef["one"] == pytest.approx((y == 1).mean(), rel=1e-6)
    assert found.coef["precision"] == pytest.approx(alone.coef["precision"], rel=1e-6)


@pytest.fixture(scope="module")
def lives():
    rng = np.random.default_rng(7)
    time, entry, end = rng.exponential(4.0, 900), rng.uniform(0, 2, 900), rng.uniform(2, 9, 900)
    kept = time > entry
    time, entry, end = time[kept], entry[kept], end[kept]
    return {"time": np.minimum(time, end), "event": time <= end, "entry": entry, "exact": time}


def test_censored_and_late_lives_have_a_rate_of_events_over_time_at_risk(lives):
    found = fit(censored(exponential("time"), event="event", entry="entry"), lives)
    rate = lives["event"].sum() / (lives["time"] - lives["entry"]).sum()
    assert found.coef["rate"] == pytest.approx(rate, rel=1e-8)
    assert found.std_errors["rate"] == pytest.approx(rate / math.sqrt(lives["event"].sum()), rel=1e-6)


def test_intervals_say_what_events_and_limits_say(lives):
    y, end = lives["time"], lives["event"]
    by_event = fit(censored(exponential("time"), event="event"), lives)
    intervals = {"low": y, "high": np.where(end, y, np.nan)}
    by_interval = fit(censored(exponential("life"), low="low", high="high"), intervals)
    assert by_interval.log_likelihood == pytest.approx(by_event.log_likelihood, rel=1e-12)
    rounded = {"low": np.where(np.floor(y) == 0, np.nan, np.floor(y)), "high": np.floor(y) + 1.0}
    grouped = fit(censored(exponential("life"), low="low", high="high"), rounded)  # geometric, by whole years
    mean = np.floor(y).mean()
    assert grouped.coef["rate"] == pytest.approx(math.log1p(1 / mean), rel=1e-7)
    assert grouped.log_likelihood == pytest.approx(
        len(y) * (-math.log1p(mean) + mean * math.log(mean / (1 + mean))), rel=1e-9
    )


def test_a_limit_may_differ_from_row_to_row():
    rng = np.random.default_rng(8)
    y, limit = rng.normal(1.0, 1.0, 500), rng.uniform(-0.5, 1.0, 500)
    data = {"y": np.maximum(y, limit), "limit": limit}
    found = fit(censored(normal("y"), low="limit"), data)
    assert found.coef["mean"] == pytest.approx(1.0, abs=0.2)
    left = {"low": np.where(y <= limit, -np.inf, y), "high": data["y"]}
    same = fit(censored(normal("y"), low="low", high="high"), left)
    assert same.log_likelihood == pytest.approx(found.log_likelihood, rel=1e-12)


def test_counts_censored_at_a_number_are_at_least_that():
    rng = np.random.default_rng(9)
    y = rng.poisson(3.0, 400)
    found = fit(censored(poisson("y"), high=5), {"y": np.minimum(y, 5).astype(float)})
    rate = found.coef["rate"]
    log_f = [k * math.log(rate) - rate - math.lgamma(k + 1) for k in range(5)]
    tail = math.log1p(-sum(map(math.exp, log_f)))
    want = sum(log_f[k] if k < 5 else tail for k in np.minimum(y, 5))
    assert found.log_likelihood == pytest.approx(want, rel=1e-10)


def test_truncation_by_columns_is_truncation_by_numbers():
    rng = np.random.default_rng(10)
    y = rng.normal(0.0, 1.0, 2000)
    y = y[(y > -0.5) & (y < 1.5)]
    number = fit(truncated(normal("y"), low=-0.5, high=1.5), {"y": y})
    columns = {"y": y, "a": np.full(len(y), -0.5), "b": np.full(len(y), 1.5)}
    column = fit(truncated(normal("y"), low="a", high="b"), columns)
    assert column.log_likelihood == pytest.approx(number.log_likelihood, rel=1e-12)
    open_end = fit(truncated(normal("y"), low="a", high="b"), columns | {"b": np.full(len(y), np.nan)})
    one_sided = fit(truncated(normal("y"), low=-0.5), {"y": y})
    assert open_end.log_likelihood == pytest.approx(one_sided.log_likelihood, rel=1e-12)


def test_combinators_combine(counts):
    y = np.minimum(counts["y"], 4.0)
    model = censored(zero_inflated(poisson("y")), high=4)
    found = fit(model, {"y": y})
    assert list(found.coef) == ["rate", "zero"]
    below = {k: v[counts["y"] < 5] for k, v in counts.items()}
    inner = fit(zero_inflated(truncated(poisson("y"), high=5)), below)
    assert inner.coef["rate"] == pytest.approx(found.coef["rate"], rel=0.3)


def test_a_fitted_composition_predicts_and_simulates(counts):
    found = fit(zero_inflated(poisson("y ~ x"), zero="~ x"), counts)
    new = {"x": np.array([-1.0, 0.5])}
    rate = np.exp(found.coef["rate[Intercept]"] + found.coef["rate[x]"] * new["x"])
    zero = 1 / (1 + np.exp(-(found.coef["zero[Intercept]"] + found.coef["zero[x]"] * new["x"])))
    np.testing.assert_allclose(found.predict(new, what="mean"), (1 - zero) * rate, rtol=1e-9)
    np.testing.assert_allclose(found.predict(new, what="prob", value=0), zero + (1 - zero) * np.exp(-rate), rtol=1e-9)
    assert found.simulate(0).mean() == pytest.approx(counts["y"].mean(), rel=0.2)


def test_a_mixture_of_regressions_finds_its_lines():
    rng = np.random.default_rng(11)
    x, second = rng.uniform(-1, 1, 500), rng.random(500) < 0.4
    y = np.where(second, 5.0 - 2.0 * x, 1.0 + x) + 0.5 * rng.normal(size=500)
    found = fit(mixture(normal("y ~ x"), components=2, weights="~ x"), {"y": y, "x": x})
    assert list(found.coef)[:3] == ["mean.0[Intercept]", "mean.0[x]", "sd.0"]
    assert found.coef["mean.0[x]"] == pytest.approx(1.0, abs=0.3)
    assert found.coef["mean.1[x]"] == pytest.approx(-2.0, abs=0.3)
    assert found.coef["weight.1[x]"] == pytest.approx(0.0, abs=4 * found.std_errors["weight.1[x]"])


def test_components_may_be_different_families(counts):
    found = fit(mixture([poisson("y", rate=0.01), poisson("y")]), counts)
    assert list(found.coef) == ["rate.1", "weight.0", "weight.1"]
    assert found.coef["weight.0"] + found.coef["weight.1"] == pytest.approx(1.0)
    inflated = fit(zero_inflated(poisson("y")), counts)
    assert found.coef["weight.0"] == pytest.approx(inflated.coef["zero"], abs=0.05)


def test_groups_are_found_by_distance():
    y = np.r_[np.linspace(0, 1, 30), np.linspace(10, 11, 70)][:, None]
    assert (split(y, np.ones(100), 2) == (y[:, 0] > 5)).all()

"""Predictions, intervals and simulation of families, against closed forms."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy import stats

import jaxmle as jm


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(3)
    n = 400
    x, g = rng.normal(size=n), rng.choice(["a", "b", "c"], n)
    rate = np.exp(0.3 + 0.5 * x + (g == "b"))
    return pd.DataFrame(
        {"x": x, "g": g, "y": rng.poisson(rate), "hours": rng.uniform(1, 3, n), "z": 1 + 2 * x + rng.normal(size=n),
         "won": np.where(rng.uniform(size=n) < 1 / (1 + np.exp(-x)), "yes", "no")}
    )  # fmt: skip


@pytest.fixture(scope="module")
def poisson(data):
    return jm.fit(jm.poisson("y ~ x + g"), data)


NEW = pd.DataFrame({"x": [0.0, 1.5], "g": ["b", "a"]})
DESIGN = np.array([[1, 0.0, 1, 0], [1, 1.5, 0, 0]])


def test_a_mean_has_the_standard_error_of_the_delta_method(poisson):
    estimate, error = poisson.predict(NEW, se=True)
    rate = np.exp(DESIGN @ np.array(list(poisson.coef.values())))
    np.testing.assert_allclose(estimate, rate, rtol=1e-12)
    by_hand = rate * np.sqrt(np.einsum("ij,jk,ik->i", DESIGN, poisson.covariance(), DESIGN))
    np.testing.assert_allclose(error, by_hand, rtol=1e-9)
    low, high = poisson.predict(NEW, se=True).confint(0.9)
    np.testing.assert_allclose(high - low, 2 * stats.norm.ppf(0.95) * error)


def test_all_that_can_be_asked(poisson):
    rate = poisson.predict(NEW)
    np.testing.assert_allclose(poisson.predict(NEW, what="rate"), rate)
    np.testing.assert_allclose(poisson.predict(NEW, what="variance"), rate)
    np.testing.assert_allclose(poisson.predict(NEW, what="linear"), np.log(rate))
    np.testing.assert_allclose(poisson.predict(NEW, what="prob", value=2), stats.poisson.pmf(2, rate))
    np.testing.assert_allclose(
        poisson.predict(NEW, what="prob", value=[0, 1]), stats.poisson.pmf([[0, 1], [0, 1]], rate[:, None])
    )
    np.testing.assert_allclose(poisson.predict(NEW, what="quantile", q=0.9), stats.poisson.ppf(0.9, rate))
    np.testing.assert_allclose(
        poisson.predict(NEW, what="interval", level=0.8), stats.poisson.ppf([[0.1, 0.9]], rate[:, None])
    )
    squared = poisson.predict(NEW, what=lambda p, row: p["rate"] ** 2 + row["x"], se=True)
    np.testing.assert_allclose(squared.estimate, rate**2 + NEW["x"])
    np.testing.assert_allclose(squared.std_error, 2 * rate * poisson.predict(NEW, se=True).std_error)


@pytest.mark.parametrize("frame", [pl.from_pandas, pa.Table.from_pandas, lambda d: d.to_dict("list")])
def test_rows_come_in_any_frame(poisson, frame):
    np.testing.assert_allclose(poisson.predict(frame(NEW)), poisson.predict(NEW))


def test_a_normal_quantile_has_a_standard_error(data):
    fit = jm.fit(jm.normal("z ~ x"), data)
    estimate, error = fit.predict({"x": [0.5]}, what="quantile", q=0.975, se=True)
    z = stats.norm.ppf(0.975)
    np.testing.assert_allclose(estimate, fit.predict({"x": [0.5]}) + z * fit.coef["sd"], rtol=1e-12)
    slope = np.array([1, 0.5, z])  # by the constant, by x, and by sd
    np.testing.assert_allclose(error, np.sqrt(slope @ fit.covariance() @ slope), rtol=1e-8)


def test_labels_and_probabilities_of_classes(data):
    fit = jm.fit(jm.bernoulli("won ~ x"), data)
    chance = fit.predict({"x": [-2.0, 2.0]}, what="prob")
    eta = fit.coef["prob[Intercept]"] + fit.coef["prob[x]"] * np.array([-2.0, 2.0])
    np.testing.assert_allclose(chance, 1 / (1 + np.exp(-eta)), rtol=1e-12)
    assert fit.predict({"x": [-2.0, 2.0]}, what="label").tolist() == ["no", "yes"]
    assert set(fit.simulate(4)) == {"no", "yes"}


def test_the_probability_of_a_label_is_asked_for_by_the_label(data):
    """Not by its number: labels 1, 2, 3 are 0, 1, 2 to the log-density."""
    rng = np.random.default_rng(9)
    x, new = rng.normal(size=300), {"x": [0.0, 1.0]}
    labels = rng.choice([1, 2, 3], 300, p=[0.5, 0.3, 0.2])
    for family in (jm.ordinal, jm.categorical):
        fit = jm.fit(family("o ~ x"), {"o": labels, "x": x})
        each = fit.predict(new, "prob")
        np.testing.assert_allclose(fit.predict(new, "prob", value=[1, 2, 3]), each, rtol=1e-12)
        np.testing.assert_allclose(fit.predict(new, "prob", value=3), each[:, 2], rtol=1e-12)
        with pytest.raises(jm.ModelError, match=r"value=0 is none of the labels.*1, 2, 3"):
            fit.predict(new, "prob", value=0)
        first = fit.marginal_effects("x", what="prob", value=1).estimates["x"]
        assert first == pytest.approx(fit.marginal_effects("x").estimates["x | o = 1"], rel=1e-9)
        with pytest.raises(jm.ModelError, match="labels, which have no quantiles"):
            fit.predict(new, "quantile", q=0.5)
    won = jm.fit(jm.bernoulli("won ~ x"), data)
    np.testing.assert_allclose(won.predict(new, "prob", value="no"), 1 - won.predict(new, "prob"), rtol=1e-12)


def test_what_cannot_be_has_no_probability(poisson):
    """A mass function is not to be asked between or below its numbers: there it is a gamma function's."""
    rate, values = poisson.predict(NEW), [0, 1.5, -1, 2]
    estimate, error = poisson.predict(NEW, what="prob", value=values, se=True)
    np.testing.assert_allclose(estimate, stats.poisson.pmf([values, values], rate[:, None]), rtol=1e-10)
    assert (error[:, [1, 2]] == 0).all()
    y = np.random.default_rng(0).geometric(0.4, 200) - 1
    at = jm.fit(jm.geometric("y"), {"y": y}).predict({"x": [0.0]}, "prob", value=[-1, 0])
    assert at[0, 0] == 0.0 < at[0, 1]
    z = np.random.default_rng(1).gamma(2.0, size=200)
    assert jm.fit(jm.gamma("z"), {"z": z}).predict({"x": [0.0]}, "prob", value=-2.0)[0] == 0.0
    with pytest.raises(jm.ModelError, match="is a number"):
        poisson.predict(NEW, "prob", value="two")


def test_rows_that_were_fitted_are_the_default(data):
    lacking = data.assign(x=data["x"].where(data.index != 5))
    fit = jm.fit(jm.poisson("y ~ x", exposure="hours"), lacking, missing="drop")
    kept = lacking.drop(index=5)
    np.testing.assert_allclose(fit.predict(), fit.predict(kept))
    slope = fit.coef["rate[Intercept]"] + fit.coef["rate[x]"] * kept["x"] + np.log(kept["hours"])
    np.testing.assert_allclose(fit.predict(), np.exp(slope), rtol=1e-12)


def test_simulated_responses_have_the_fitted_distribution(poisson, data):
    many = pd.concat([NEW] * 4000)
    drawn = poisson.simulate(7, many).reshape(-1, 2)
    rate = poisson.predict(NEW)
    assert np.all(np.abs(drawn.mean(axis=0) - rate) < 5 * np.sqrt(rate / 4000))
    assert drawn.dtype.kind == "i"
    np.testing.assert_array_equal(poisson.simulate(7), poisson.simulate(7))
    assert (poisson.simulate(7) != poisson.simulate(8)).any()


def test_a_saved_fit_predicts_without_its_model(poisson, tmp_path):
    poisson.save(tmp_path / "fit.jaxmle")
    again = jm.load(tmp_path / "fit.jaxmle").predict(NEW, se=True)
    np.testing.assert_allclose(again, poisson.predict(NEW, se=True))


def test_what_cannot_be_answered_is_said(poisson, data, tmp_path):
    with pytest.raises(jm.ModelError, match="'rte' is neither"):
        poisson.predict(NEW, what="rte")
    with pytest.raises(jm.ModelError, match="needs q="):
        poisson.predict(NEW, what="quantile")
    with pytest.raises(jm.ModelError, match="value="):
        poisson.predict(NEW, what="prob")
    with pytest.raises(jm.DataError, match=r"'d'.*rows? 0"):
        poisson.predict(NEW.assign(g="d"))
    with pytest.raises(jm.DataError, match=r"missing.*row 1"):
        poisson.predict(NEW.assign(x=[0.0, np.nan]))
    plain = jm.fit(jm.Model(lambda p, row: -((row["x"] - p["m"]) ** 2), {"m": jm.Real()}), data[["x"]])
    with pytest.raises(jm.ModelError, match="family"):
        plain.predict(what="mean")
    np.testing.assert_allclose(plain.predict(what="m"), np.full(len(data), data["x"].mean()))
    plain.save(tmp_path / "plain")
    with pytest.raises(jm.ModelError, match="model"):
        jm.load(tmp_path / "plain").predict(NEW)


def test_the_mean_of_a_composition_is_the_expectation_and_not_the_parameter_of_that_name():
    rng = np.random.default_rng(5)
    x = rng.normal(size=500)
    y = np.where(rng.uniform(size=500) < 0.3, 0, rng.negative_binomial(2, 2 / (2 + np.exp(1 + 0.3 * x))))
    fit = jm.fit(jm.zero_inflated(jm.negative_binomial("y ~ x")), {"x": x, "y": y})
    at = {"x": [0.0, 1.0]}
    inner = np.exp(fit.coef["mean[Intercept]"] + fit.coef["mean[x]"] * np.array([0.0, 1.0]))
    np.testing.assert_allclose(fit.predict(at), (1 - fit.coef["zero"]) * inner)
    np.testing.assert_allclose(fit.predict(at, what=lambda p, row: p["mean"]), inner)
    chance = fit.predict(at, what="prob", value=0)
    r = 1 / fit.coef["dispersion"]
    np.testing.assert_allclose(chance, fit.coef["zero"] + (1 - fit.coef["zero"]) * (r / (r + inner)) ** r)
    assert fit.simulate(0).dtype.kind == "i"


def test_several_classes_and_several_responses():
    rng = np.random.default_rng(6)
    x = rng.normal(size=300)
    data = {"x": x, "k": rng.choice(["lo", "mid", "hi"], 300), "a": rng.normal(size=300), "b": x}
    fit = jm.fit(jm.categorical("k ~ x"), data)
    estimate, error = fit.predict({"x": [0.5]}, what="prob", se=True)
    eta = np.array(
        [0.0] + [fit.coef[f"logits.{k}[Intercept]"] + 0.5 * fit.coef[f"logits.{k}[x]"] for k in ("lo", "mid")]
    )
    np.testing.assert_allclose(estimate[0], np.exp(eta) / np.exp(eta).sum())
    assert (error > 0).all()
    assert fit.predict({"x": [0.5]}, what="label")[0] == ["hi", "lo", "mid"][estimate[0].argmax()]
    fit = jm.fit(jm.multivariate_normal(["a", "b"], mean="~ x"), {**data, "b": x + rng.normal(size=300)})
    mean = fit.predict({"x": [0.5, 1.0]})
    slope = fit.coef["mean[Intercept,1]"] + fit.coef["mean[x,1]"] * np.array([0.5, 1.0])
    np.testing.assert_allclose(mean[:, 1], slope)
    assert fit.simulate(0).shape == (300, 2)

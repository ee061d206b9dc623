"""Residual panels and effects, against scipy and against closed forms."""

import matplotlib
import numpy as np
import pytest
from scipy import stats

matplotlib.use("Agg")
from matplotlib import pyplot

import jaxmle as jm
from jaxmle.errors import ModelError
from jaxmle.report.plots.effects import plot_effect
from jaxmle.report.plots.residuals import plot_residuals

N = 200
RNG = np.random.default_rng(8)
DATA = {"x": RNG.normal(size=N), "g": RNG.choice(["a", "b"], N, p=[0.7, 0.3]), "z": RNG.normal(size=N)}
DATA["y"] = 1 + DATA["x"] + RNG.normal(size=N)
DATA["c"] = RNG.poisson(np.exp(0.3 + 0.5 * DATA["x"]))


@pytest.fixture(scope="module")
def line():
    return jm.fit(jm.normal("y ~ x + C(g)"), DATA)


@pytest.fixture(scope="module")
def counts():
    return jm.fit(jm.poisson("c ~ x + z"), DATA)


@pytest.fixture(autouse=True)
def _closed():
    yield
    pyplot.close("all")


def test_four_parts_of_a_regression(line):
    fitted, qq, histogram, scale = plot_residuals(line)
    residuals = (DATA["y"] - line.predict()) / line.params["sd"]
    np.testing.assert_allclose(
        fitted.get_lines()[0].get_xydata(), np.column_stack([line.predict(), residuals]), atol=1e-8
    )
    np.testing.assert_allclose(scale.get_lines()[0].get_ydata(), np.sqrt(np.abs(residuals)), atol=1e-8)
    theory, drawn = qq.get_lines()[-1].get_xydata().T
    np.testing.assert_allclose(drawn, np.sort(residuals), atol=1e-8)
    np.testing.assert_allclose(theory, stats.norm.ppf((np.arange(N) + 0.5) / N), atol=1e-12)
    x, curve = histogram.get_lines()[0].get_xydata().T
    np.testing.assert_allclose(curve, stats.norm.pdf(x), atol=1e-12)
    level = scale.get_lines()[1].get_ydata()[0]
    assert level == pytest.approx(np.mean(np.sqrt(np.abs(stats.norm.ppf((np.arange(10**5) + 0.5) / 10**5)))), abs=1e-4)


def test_limits_of_quantiles_are_those_of_order_statistics(line):
    """Of the smallest of n the limits are Φ⁻¹(1 − (1 − q)^(1/n))."""
    ax = plot_residuals(line, parts="qq")
    corners = ax.collections[0].get_paths()[0].vertices
    first = corners[np.isclose(corners[:, 0], stats.norm.ppf(0.5 / N)), 1]
    expected = stats.norm.ppf(1 - (1 - np.array([0.025, 0.975])) ** (1 / N))
    assert [first.min(), first.max()] == pytest.approx(expected)


def test_of_many_rows_the_limits_are_computed_at_some():
    rng = np.random.default_rng(0)
    many = jm.fit(jm.normal("y"), {"y": rng.normal(size=20_000)})
    corners = plot_residuals(many, parts="qq").collections[0].get_paths()[0].vertices
    assert len(corners) < 1000
    rank = stats.norm.cdf(corners[:, 0]) * 20_000 + 0.5  # of each corner, two of which have one rank
    upper = stats.norm.ppf(stats.beta.ppf(0.975, rank, 20_001 - rank))
    lower = stats.norm.ppf(stats.beta.ppf(0.025, rank, 20_001 - rank))
    assert np.minimum(np.abs(corners[:, 1] - upper), np.abs(corners[:, 1] - lower)).max() < 1e-6
    assert corners[:, 0].min() == pytest.approx(stats.norm.ppf(0.5 / 20_000))
    assert corners[:, 0].max() == pytest.approx(-stats.norm.ppf(0.5 / 20_000))


def test_the_trend_is_the_mean_in_stretches():
    data = {"y": np.tile([1.0, 3.0, 6.0], 40), "g": np.tile([0, 0, 1], 40)}
    ax = plot_residuals(jm.fit(jm.normal("y ~ g"), data), parts="fitted")
    np.testing.assert_allclose(ax.get_lines()[-1].get_xydata(), [[2, 0], [6, 0]], atol=1e-6)


def test_parts_are_those_that_say_something():
    alone = jm.fit(jm.normal("y"), DATA)
    axes = plot_residuals(alone)
    assert [ax.get_xlabel() for ax in axes] == ["normal quantile", "quantile residual"]
    _, given = pyplot.subplots()
    assert plot_residuals(alone, given, "histogram") is given
    with pytest.raises(ModelError, match="Did you mean 'qq'"):
        plot_residuals(alone, parts="q")
    with pytest.raises(ModelError, match="need 2 axes"):
        plot_residuals(alone, given)


def test_an_effect_of_a_line_has_the_textbook_interval(line):
    ax = plot_effect(line, "x", level=0.9)
    x, drawn = ax.get_lines()[0].get_xydata().T
    design = np.column_stack([np.ones(N), DATA["x"], DATA["g"] == "b"])
    beta = np.linalg.lstsq(design, DATA["y"], rcond=None)[0]
    np.testing.assert_allclose(drawn, beta[0] + beta[1] * x, atol=1e-7)
    grid = np.column_stack([np.ones(len(x)), x, np.zeros(len(x))])
    variance = np.sum((DATA["y"] - design @ beta) ** 2) / N * np.linalg.inv(design.T @ design)
    half = 1.644854 * np.sqrt(np.einsum("ij,jk,ik->i", grid, variance, grid))
    corners = ax.collections[0].get_paths()[0].vertices
    for bound in (drawn - half, drawn + half):
        away = np.abs(corners[:, None] - np.column_stack([x, bound])[None]).sum(axis=2).min(axis=0)
        assert away.max() < 1e-6
    assert "g = a" in ax.get_title(loc="left")


def test_an_effect_on_the_log_scale_by_another_column(counts):
    ax = plot_effect(counts, "x", by="z")
    drawn = [line for line in ax.get_lines() if not line.get_label().startswith("_")]
    assert len(drawn) == 3
    b = counts.coef
    z = np.quantile(DATA["z"], 0.9, method="inverted_cdf")
    x, mean = drawn[2].get_xydata().T
    eta = b["rate[Intercept]"] + b["rate[x]"] * x + b["rate[z]"] * z
    np.testing.assert_allclose(mean, np.exp(eta), rtol=1e-9)
    grid = np.column_stack([np.ones(len(x)), x, np.full(len(x), z)])
    half = 1.959964 * np.sqrt(np.einsum("ij,jk,ik->i", grid, counts.covariance(), grid))
    top = ax.collections[2].get_paths()[0].vertices
    for end, bound in ((0, eta - half), (-1, eta + half)):
        assert np.abs(top - [x[end], np.exp(bound[end])]).sum(axis=1).min() < 1e-6


def test_labels_are_points_and_values_can_be_given(line):
    ax = plot_effect(line, "g", at={"x": 2.0})
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["a", "b"]
    expected = line.predict({"x": [2.0, 2.0], "g": ["a", "b"]})
    np.testing.assert_allclose(ax.get_lines()[0].get_ydata(), expected)
    assert ax.get_title(loc="left") == "at x = 2"


def test_an_effect_on_the_probability_of_each_label():
    fit = jm.fit(jm.categorical("g ~ x"), DATA)
    a, b = (line.get_ydata() for line in plot_effect(fit).get_lines()[:2])
    np.testing.assert_allclose(a + b, 1.0)


def test_what_has_no_effect_is_refused(line):
    with pytest.raises(ModelError, match="No predictor reads the column 'z'"):
        plot_effect(line, "z")
    with pytest.raises(ModelError, match="name another"):
        plot_effect(line, "x", by="x")
    with pytest.raises(ModelError, match="no column in a predictor"):
        plot_effect(jm.fit(jm.normal("y"), DATA))


def test_an_effect_of_another_parameter():
    fit = jm.fit(jm.normal("y", sd="~ x"), DATA)
    ax = plot_effect(fit, "x", of="sd")
    x, drawn = ax.get_lines()[0].get_xydata().T
    np.testing.assert_allclose(drawn, np.exp(fit.coef["sd[Intercept]"] + fit.coef["sd[x]"] * x))
    assert fit.plot("x", what="effect", of="sd").get_ylabel() == "sd"

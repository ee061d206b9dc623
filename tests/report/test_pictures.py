"""Pictures of the response and its distribution; what is in the axes is compared with scipy and with counting."""

import jax.numpy as jnp
import matplotlib
import numpy as np
import pytest
from scipy import stats

matplotlib.use("Agg")
from matplotlib import pyplot

import jaxmle as jm
from jaxmle.errors import ModelError
from jaxmle.report.plots.calibration import plot_calibration
from jaxmle.report.plots.density import plot_density, plot_rootogram
from jaxmle.report.plots.survival import plot_survival
from tests.infer.test_kaplan_meier import RELAPSED, TIMES

N = 300
RNG = np.random.default_rng(5)
DATA = {
    "x": RNG.normal(size=N),
    "g": RNG.choice(["a", "b", "c"], N),
    "y": RNG.normal(1.0, 2.0, N),
    "t": np.where(RNG.uniform(size=N) < 0.3, 0.0, RNG.gamma(2.0, 1.0, N)),
    "w": RNG.integers(1, 4, N),
    "trials": RNG.integers(1, 9, N),
}
DATA["c"] = RNG.poisson(np.exp(0.5 + 0.4 * DATA["x"]))
DATA["b"] = RNG.uniform(size=N) < 1 / (1 + np.exp(-DATA["x"]))
DATA["s"] = RNG.binomial(DATA["trials"], 0.3)


@pytest.fixture(scope="module")
def counts():
    return jm.fit(jm.poisson("c ~ x"), DATA)


@pytest.fixture(scope="module")
def normal():
    return jm.fit(jm.normal("y"), DATA)


@pytest.fixture(autouse=True)
def _closed():
    yield
    pyplot.close("all")


def lines(ax):
    return {line.get_label(): line.get_xydata().T for line in ax.get_lines()}


def test_the_curve_is_the_density_and_the_histogram_has_area_one(normal):
    ax = plot_density(normal, bins=12)
    x, drawn = lines(ax)["fitted"]
    assert drawn == pytest.approx(stats.norm(DATA["y"].mean(), DATA["y"].std()).pdf(x), abs=1e-7)
    (bars,) = ax.patches
    heights, edges, _ = bars.get_data()
    assert len(heights) == 12
    assert heights @ np.diff(edges) == pytest.approx(1.0)


def test_in_a_regression_it_is_the_mean_over_rows_with_weights():
    fit = jm.fit(jm.normal("y ~ x"), DATA, weights="w")
    x, drawn = lines(plot_density(fit))["fitted"]
    each = stats.norm(fit.predict()[:, None], fit.params["sd"]).pdf(x)
    assert drawn == pytest.approx(DATA["w"] @ each / DATA["w"].sum(), abs=1e-9)


def test_a_density_of_ones_own(normal):
    log_density = lambda p, row: -0.5 * ((row["y"] - p["m"]) / p["s"]) ** 2 - jnp.log(p["s"] * jnp.sqrt(2 * jnp.pi))
    own = jm.fit(jm.Model(log_density, {"m": jm.Real(), "s": jm.Positive()}), DATA)
    drawn = [lines(plot_density(fit))["fitted"] for fit in (own, normal)]
    np.testing.assert_allclose(*drawn, atol=1e-8)
    two = jm.Model(lambda p, row: -((row["y"] - p["m"] * row["x"]) ** 2), {"m": jm.Real()})
    with pytest.raises(ModelError, match="needs response="):
        plot_density(jm.fit(two, DATA))


def test_a_point_of_positive_probability_is_no_part_of_the_density():
    fit = jm.fit(jm.tweedie("t"), DATA)
    ax = plot_density(fit)
    zeros = f"0: {100 * np.mean(DATA['t'] == 0):.1f} %"
    assert any(label.startswith(zeros) for label in lines(ax))
    heights, edges, _ = ax.patches[0].get_data()
    assert heights @ np.diff(edges) == pytest.approx(np.mean(DATA["t"] > 0))


def test_bars_of_counts_and_of_labels(counts):
    ax = plot_density(counts)
    k, drawn = lines(ax)["fitted"]
    expected = stats.poisson(counts.predict()).pmf(k[:, None]).mean(axis=1)
    assert drawn == pytest.approx(expected, abs=1e-12)
    assert [bar.get_height() for bar in ax.patches] == pytest.approx([np.mean(DATA["c"] == j) for j in k])
    ax = plot_density(jm.fit(jm.categorical("g"), DATA))
    assert [t.get_text() for t in ax.get_xticklabels()] == ["a", "b", "c"]
    assert lines(ax)["fitted"][1] == pytest.approx([np.mean(DATA["g"] == v) for v in "abc"], abs=1e-7)


def test_bars_hang_from_the_expected_counts(counts):
    ax = plot_rootogram(counts)
    k, tops = lines(ax)["expected"]
    expected = stats.poisson(counts.predict()).pmf(k[:, None]).sum(axis=1)
    assert tops**2 == pytest.approx(expected, abs=1e-9)
    bars = [bar for bar in ax.patches if bar.get_width() < 1]
    assert [bar.get_y() + bar.get_height() for bar in bars] == pytest.approx(tops)
    assert [bar.get_height() ** 2 for bar in bars] == pytest.approx([np.sum(DATA["c"] == j) for j in k])


def test_many_counts_are_taken_together():
    large = np.random.default_rng(1).poisson(4_000, 200)
    k, tops = lines(plot_rootogram(jm.fit(jm.poisson("n"), {"n": large})))["expected"]
    width = k[1] - k[0]
    low = k - (width - 1) / 2
    mean = stats.poisson(large.mean())
    assert len(k) <= 50
    assert tops**2 == pytest.approx(200 * (mean.cdf(low + width - 1) - mean.cdf(low - 1)), rel=1e-6)


def test_calibration_counts_successes_and_its_intervals_are_exact():
    """The interval of 7 in 10 by R's binom.test: 0.34754715 to 0.93326049, of 0 in 4 from 0 to 0.60236464."""
    data = {"b": np.repeat([1, 0, 0], [7, 3, 4]), "g": np.repeat(["u", "v"], [10, 4])}
    fit = jm.fit(jm.bernoulli("b ~ C(g)"), data, penalty=jm.Ridge(0.05))
    ax = plot_calibration(fit)
    bars = ax.collections[0].get_segments()
    ends = sorted((bar[0, 1], bar[1, 1]) for bar in bars)
    np.testing.assert_allclose(ends, [(0.0, 0.60236464), (0.34754715, 0.93326049)], atol=1e-7)
    dots = ax.get_lines()[1].get_xydata()
    np.testing.assert_allclose(sorted(dots[:, 1]), [0.0, 0.7])
    np.testing.assert_allclose(sorted(dots[:, 0]), np.unique(fit.predict()), atol=1e-12)


def test_calibration_of_trials_and_of_labels():
    fit = jm.fit(jm.binomial("s ~ x", trials="trials"), DATA)
    dots = plot_calibration(fit, bins=1).get_lines()[1].get_xydata()
    np.testing.assert_allclose(dots, [[DATA["s"].sum() / DATA["trials"].sum()] * 2], atol=1e-7)
    labels = jm.fit(jm.categorical("g ~ x"), DATA)
    dots = plot_calibration(labels, bins=1, label="b").get_lines()[1].get_xydata()
    np.testing.assert_allclose(dots, [[np.mean(DATA["g"] == "b")] * 2], atol=1e-7)
    with pytest.raises(ModelError, match="'d' is none"):
        plot_calibration(labels, label="d")


def test_survival_is_the_product_limit_estimate_under_the_fitted_curve():
    fit = jm.fit(jm.censored(jm.weibull("weeks"), event="relapse"), {"weeks": TIMES, "relapse": RELAPSED})
    ax = plot_survival(fit)
    drawn = lines(ax)
    at, survival = drawn["Kaplan–Meier"]
    assert at.tolist() == [0, 6, 7, 10, 13, 16, 22, 23, 35]
    assert survival.round(3).tolist() == [1, 0.857, 0.807, 0.753, 0.690, 0.627, 0.538, 0.448, 0.448]
    at, fitted = drawn["fitted, mean of the rows"]
    p = fit.params
    np.testing.assert_allclose(fitted, stats.weibull_min(p["shape"], scale=p["scale"]).sf(at), atol=1e-9)


def test_one_pair_of_curves_for_each_value():
    data = {"t": [1.0, 2, 3, 4, 5, 6], "d": [1, 1, 0, 1, 0, 1], "g": list("aababb")}
    fit = jm.fit(jm.censored(jm.exponential("t ~ C(g)"), event="d"), data)
    at, fitted = lines(plot_survival(fit, by="g"))["a"]
    np.testing.assert_allclose(fitted, np.exp(-at * 3 / 7), atol=1e-7)  # events of 7 units of time
    with pytest.raises(ModelError, match="room for 8"):
        plot_survival(jm.fit(jm.exponential("y"), {"y": np.arange(1.0, 20)}), by="y")


def test_what_cannot_be_drawn_is_refused(counts, normal, tmp_path):
    with pytest.raises(ModelError, match="rootogram is of counts"):
        plot_rootogram(normal)
    with pytest.raises(ModelError, match="Calibration is of binary"):
        plot_calibration(normal)
    with pytest.raises(ModelError, match="bins must be"):
        plot_calibration(jm.fit(jm.bernoulli("b"), DATA), bins=0)
    with pytest.raises(ModelError, match="survival"):
        plot_density(jm.fit(jm.censored(jm.exponential("t"), event="d"), {"t": [1.0, 2, 3], "d": [1, 0, 1]}))
    counts.save(tmp_path / "fit.npz")
    with pytest.raises(ModelError, match="loaded fit"):
        plot_density(jm.load(tmp_path / "fit.npz"))

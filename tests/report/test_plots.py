"""Pictures of fits; what is drawn is compared with formulas."""

import sys
import warnings
from dataclasses import replace

import jax.numpy as jnp
import matplotlib
import numpy as np
import pytest

matplotlib.use("Agg")
from matplotlib import pyplot

import jaxmle as jm
from jaxmle.errors import FitWarning, ModelError
from jaxmle.report.plots.coefficients import plot_coefficients
from jaxmle.report.plots.likelihood import plot_contour, plot_log_likelihood, plot_profile


@pytest.fixture(scope="module")
def waiting():
    """Exponential waiting times, where the log-likelihood n log(rate) − rate Σy is known."""
    y = np.random.default_rng(1).exponential(0.5, size=40)
    model = jm.Model(lambda p, row: jnp.log(p["rate"]) - p["rate"] * row["y"], {"rate": jm.Positive()})
    return jm.fit(model, {"y": y}), y


@pytest.fixture(scope="module")
def line():
    """A regression on two correlated columns, with a spread that is held."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=60)
    data = {"x": x, "w": x + 0.3 * rng.normal(size=60), "y": 1 + x + rng.normal(size=60)}
    log_density = lambda p, row: -0.5 * (row["y"] - p["mean"]) ** 2 / p["sd"] ** 2 - jnp.log(p["sd"])
    model = jm.Model(log_density, {"mean": jm.Linear([1, "x", "w"]), "sd": jm.Positive(fixed=1.0)})
    return jm.fit(model, data), data


@pytest.fixture(autouse=True)
def _closed():
    before = dict(matplotlib.rcParams)
    yield
    pyplot.close("all")
    assert dict(matplotlib.rcParams) == before


def curves(ax):
    return {curve.get_label(): curve.get_xydata().T for curve in ax.get_lines()}


def test_the_curve_is_the_log_likelihood_and_the_parabola_is_one_on_the_log_scale(waiting):
    fit, y = waiting
    ax = plot_log_likelihood(fit, "rate")
    best = 1 / y.mean()
    rate, drawn = curves(ax)["log-likelihood"]
    exact = len(y) * np.log(rate) - rate * y.sum()
    assert drawn == pytest.approx(exact - (len(y) * np.log(best) - len(y)), abs=1e-9)
    rate, drawn = curves(ax)["quadratic"]
    assert drawn == pytest.approx(-0.5 * len(y) * np.log(rate / best) ** 2, abs=1e-6)
    (shade,) = ax.patches
    low, high = fit.confint()["rate"]
    assert low == pytest.approx(best * np.exp(-1.959964 / np.sqrt(len(y))), rel=1e-6)
    assert [shade.get_x(), shade.get_x() + shade.get_width()] == pytest.approx([low, high])
    assert np.interp(low, rate, drawn) == pytest.approx(-0.5 * 1.959964**2, abs=0.02)


def test_others_follow_or_hold(line):
    fit, data = line
    design = np.column_stack([np.ones(60), data["x"], data["w"]])
    information = design.T @ design
    for others, precision in (("hold", information[1, 1]), ("follow", 1 / np.linalg.inv(information)[1, 1])):
        ax = plot_log_likelihood(fit, "mean[x]", others=others)
        for kind in ("log-likelihood", "quadratic"):
            x, drawn = curves(ax)[kind]
            assert drawn == pytest.approx(-0.5 * precision * (x - fit.coef["mean[x]"]) ** 2, abs=1e-6)


def test_coefficients_without_the_constant_term(line):
    fit, _ = line
    ax = plot_coefficients(fit)
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["mean[x]", "mean[w]"]
    (bars,) = ax.collections
    ends = np.array(bars.get_segments())[:, :, 0]
    assert ends == pytest.approx(np.array([fit.confint()[name] for name in ("mean[x]", "mean[w]")]))
    chosen = plot_coefficients(fit, names=["mean[Intercept]"], level=0.5)
    assert [tick.get_text() for tick in chosen.get_yticklabels()] == ["mean[Intercept]"]
    assert "50 %" in chosen.get_xlabel()


def test_a_fit_of_positive_numbers_has_no_line_at_zero(waiting):
    ax = plot_coefficients(waiting[0])
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["rate"]
    assert len(ax.get_lines()) == 1


def test_axes_given_are_used_and_returned(waiting):
    _, (left, right) = pyplot.subplots(1, 2)
    assert plot_log_likelihood(waiting[0], "rate", left) is left
    assert plot_coefficients(waiting[0], right) is right


def test_what_cannot_be_drawn_is_refused(waiting, line):
    fit, _ = waiting
    with pytest.raises(ModelError, match="Did you mean 'rate'"):
        plot_log_likelihood(fit, "rat")
    with pytest.raises(ModelError, match="no coefficient 'x'"):
        plot_coefficients(fit, names=["x"])
    with pytest.raises(ModelError, match="held fixed"):
        plot_log_likelihood(line[0], "sd")
    with pytest.raises(ModelError, match="'follow' or 'hold'"):
        plot_log_likelihood(fit, "rate", others="drift")
    with pytest.raises(ModelError, match="loaded fit"):
        plot_log_likelihood(replace(fit, session=None), "rate")
    shares = jm.Model(lambda p, row: jnp.log(p["share"][row["y"].astype(int)]), {"share": jm.Simplex(3)})
    with pytest.raises(ModelError, match="depend on each other"):
        plot_log_likelihood(jm.fit(shares, {"y": np.array([0, 1, 2, 2])}), "share[0]")
    twice = jm.Model(lambda p, row: -0.5 * (row["y"] - p["a"] - p["b"]) ** 2, {"a": jm.Real(), "b": jm.Real()})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FitWarning)
        unknown = jm.fit(twice, {"y": np.array([0.0, 1.0, 2.0])})
    with pytest.raises(ModelError, match="no standard error"):
        plot_log_likelihood(unknown, "a")


def test_without_matplotlib_the_error_says_what_to_install(waiting, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"pip install 'jaxmle\[plots\]'"):
        plot_coefficients(waiting[0])


def test_a_contour_is_where_the_log_likelihood_has_fallen_by_half_a_chi_squared(line):
    """For a normal mean with known spread the contour is the ellipse bᵀ S b = χ²₂, and the ellipse is exact."""
    fit, data = line
    names = ["mean[x]", "mean[w]"]
    design = np.column_stack([np.ones(60), data["x"], data["w"]])
    for others in ("follow", "hold"):
        information = design.T @ design
        if others == "follow":
            information = np.linalg.inv(np.linalg.inv(information)[1:, 1:])
        else:
            information = information[1:, 1:]
        ax = plot_contour(fit, others=others, levels=[0.95], truth={"mean[x]": 1.0, "mean[w]": 0.0})
        assert [ax.get_xlabel(), ax.get_ylabel()] == names
        away = curves(ax)["quadratic"] - np.array([[fit.coef[n]] for n in names])
        assert np.einsum("in,ij,jn->n", away, information, away) == pytest.approx(5.991465, rel=1e-6)
        drawn = np.concatenate([path.vertices for path in ax.collections[1].get_paths()])
        away = drawn.T - np.array([[fit.coef[n]] for n in names])
        assert np.einsum("in,ij,jn->n", away, information, away) == pytest.approx(5.991465, rel=0.02)
        assert curves(ax)["true value"].tolist() == [[1.0], [0.0]]


def test_a_contour_on_the_natural_scale():
    """Of a normal sample: n/2 (log v + (s² + (x̄ − m)²)/v), by hand at points of the outermost contour."""
    y = np.random.default_rng(4).normal(3.0, 2.0, 25)
    fit = jm.fit(jm.normal("y"), {"y": y})
    ax = plot_contour(fit, levels=[0.5, 0.9])
    at = lambda m, s: -len(y) * np.log(s) - 0.5 * np.sum((y[:, None] - m) ** 2, axis=0) / s**2
    m, s = np.concatenate([path.vertices for path in ax.collections[1].get_paths()[:1]]).T
    assert at(m, s) == pytest.approx(at(y.mean(), y.std())[0] - 0.5 * 4.605170, abs=0.03)


def test_a_profile_with_the_quadratic_of_the_wald_interval(waiting):
    fit, y = waiting
    best = 1 / y.mean()
    ax = plot_profile(fit, "rate", truth=2.0)
    rate, drawn = curves(ax)["profile log-likelihood"]
    assert drawn == pytest.approx(len(y) * (np.log(rate / best) - rate / best + 1), abs=2e-3)
    rate, drawn = curves(ax)["quadratic"]
    assert drawn == pytest.approx(-0.5 * len(y) * np.log(rate / best) ** 2, abs=1e-6)
    low, high = fit.confint(method="profile")["rate"]
    (shade,) = ax.patches
    assert [shade.get_x(), shade.get_x() + shade.get_width()] == pytest.approx([low, high])
    mean, drawn = curves(plot_profile(fit, lambda p: 1 / p["rate"]))["quadratic"]
    assert drawn == pytest.approx(-0.5 * len(y) * (mean / y.mean() - 1) ** 2, abs=1e-6)


def test_a_true_value_is_marked(waiting):
    for truth in (2.0, {"rate": 2.0, "other": 1.0}):
        assert curves(plot_log_likelihood(waiting[0], "rate", truth=truth))["true value"][0].tolist() == [2.0, 2.0]
    with pytest.raises(ModelError, match="truth has no 'rate'"):
        plot_log_likelihood(waiting[0], "rate", truth={"rat": 1.0})
    with pytest.raises(ModelError, match="truth must be 1 number"):
        plot_log_likelihood(waiting[0], "rate", truth=[1.0, 2.0])


def test_a_contour_takes_two_coefficients(waiting, line):
    with pytest.raises(ModelError, match="two different coefficients"):
        plot_contour(waiting[0])
    with pytest.raises(ModelError, match="two different coefficients"):
        plot_contour(line[0], "mean[x]")
    with pytest.raises(ModelError, match="levels"):
        plot_contour(line[0], levels=[95])

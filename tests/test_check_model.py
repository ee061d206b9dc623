"""What is asked of a model before it is fitted: right ones pass, and each kind of wrong one is caught by its own line."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import jaxmle as jm
from jaxmle.infer.expectations import integrated, summed, with_ends

HALF_LOG_2PI = 0.9189385332046727
NOTHING = np.zeros(0)
MEAN_SD = {"mu": jm.Real(), "sd": jm.Positive()}
LINES = (
    "integrates to one",
    "mean score is zero",
    "both informations agree",
    "derivatives are right",
    "parameters are identified",
    "simulated data are recovered",
)


def normal(p, row):
    return -0.5 * ((row["y"] - p["mu"]) / p["sd"]) ** 2 - jnp.log(p["sd"]) - HALF_LOG_2PI


def of_reals(density, params=MEAN_SD, **settings):
    return jm.check_model(jm.Model(density, params), response="y", support="real", **settings)


def statuses(check):
    return "".join(line.status for line in check.lines)


@pytest.mark.parametrize(
    "d",
    [
        stats.norm(1e4, 1),
        stats.norm(3, 1e-5),
        stats.cauchy(2, 5),
        stats.laplace(3.3, 2),
        stats.t(1.5, -7, 0.1),
        stats.genextreme(-0.9),
        stats.gamma(0.2),
        stats.beta(0.5, 3.0),
        stats.lognorm(3),
        stats.uniform(0, 3),
    ],
    ids=lambda d: d.dist.name,
)
def test_a_density_is_found_and_integrated_wherever_it_is(d):
    found = integrated(d.logpdf, *d.support(), NOTHING)
    assert found.total == pytest.approx(1.0, abs=1e-6)
    if d.dist.name in ("norm", "laplace"):
        assert found.mass @ found.y == pytest.approx(d.mean(), rel=1e-9)


@pytest.mark.parametrize("d", [stats.poisson(1000), stats.poisson(0.1), stats.nbinom(0.2, 0.001), stats.binom(7, 0.3)])
def test_probabilities_of_counts_are_summed(d):
    assert summed(d.logpmf, 0.0, np.inf).total == pytest.approx(1.0, abs=1e-9)


def test_a_point_mass_at_an_end_is_told_from_a_density():
    mixed = lambda y: np.where(y == 0, np.log(0.3), np.log(0.7) + stats.gamma(2.0).logpdf(np.where(y > 0, y, 1.0)))
    for log_f, mass in ((mixed, 0.7), (stats.expon().logpdf, 1.0)):
        found = integrated(log_f, 0.0, np.inf, NOTHING)
        assert found.total == pytest.approx(mass, abs=1e-9)
        assert with_ends(found, log_f, (0.0,)).total == pytest.approx(1.0, abs=1e-9)


def test_a_family_passes():
    x = np.random.default_rng(0).normal(size=150)
    check = jm.check_model(jm.poisson("y ~ x"), {"x": x})
    assert check.ok
    assert statuses(check) == "✓✓✓✓✓✓"
    assert check.lines[0].name == "sums to one"


def test_a_density_of_ones_own_passes_and_simulates():
    check = of_reals(normal, simulate=lambda p, row, key: p["mu"] + p["sd"] * jax.random.normal(key), replicates=30)
    assert tuple(line.name for line in check.lines) == LINES
    assert statuses(check) == "✓✓✓✓✓✓"
    assert check["simulated data are recovered"].found.startswith("30 of 30 fits proved")


def test_a_constant_that_is_missing():
    check = of_reals(lambda p, row: normal(p, row) + HALF_LOG_2PI)
    assert statuses(check) == "✗✓✓✓✓–"
    assert "2.507 at all parameters" in check["integrates to one"].found
    assert "-0.9189" in check["integrates to one"].remedy
    assert not check.ok


def test_a_normaliser_that_is_missing():
    check = of_reals(lambda p, row: normal(p, row) + jnp.log(p["sd"]))
    assert statuses(check) == "✗✗✗✓✓–"
    assert "depending on the parameters" in check["integrates to one"].found
    assert "'sd'" in check["mean score is zero"].found


def test_the_wrong_sign():
    check = of_reals(lambda p, row: -normal(p, row))
    assert check["integrates to one"].status == "✗"
    assert "Look at the sign" in check["integrates to one"].remedy


def test_a_factorial_that_is_missing():
    """rate^y e^-rate adds up to e^-rate / (1 - rate) below one, and to nothing above; no warning of NumPy's comes out."""
    check = jm.check_model(
        jm.Model(lambda p, row: row["y"] * jnp.log(p["rate"]) - p["rate"], {"rate": jm.Positive()}),
        {"y": np.arange(5.0)},
        response="y",
        support="counts",
    )
    assert check["sums to one"].status == "✗"
    assert "terms that are missing" in check["sums to one"].remedy


def test_a_derivative_that_is_not_finite():
    def poisson(p, row):
        y = row["y"]
        log_mean = jnp.where(y > 0, y * jnp.log(p["mean"] * y) - y * jnp.log(jnp.maximum(y, 1)), 0.0)
        return log_mean - p["mean"] - jm.numerics.log_factorial(y)

    check = jm.check_model(jm.Model(poisson, {"mean": jm.Positive()}), response="y", support="counts")
    assert check["sums to one"].status == "✓"
    assert check["derivatives are right"].status == "✗"
    assert check["derivatives are right"].found == "the score by 'mean' is not finite at y = 0"
    assert "branch not taken" in check["derivatives are right"].remedy
    assert check["mean score is zero"].status == "–"


def test_a_sum_of_which_the_parts_are_not_identified():
    params = {"a": jm.Real(), "b": jm.Real(), "sd": jm.Positive()}
    check = of_reals(lambda p, row: normal({"mu": p["a"] + p["b"], "sd": p["sd"]}, row), params)
    assert statuses(check) == "✓✓✓✓✗–"
    assert "a − b" in check["parameters are identified"].found


def test_corners_and_a_simulation_from_another_distribution():
    laplace = lambda p, row: -jnp.abs(row["y"] - p["mu"]) / p["sd"] - jnp.log(2 * p["sd"])
    check = of_reals(laplace)
    assert [check[name].status for name in LINES[:4]] == ["✓", "✓", "✗", "✗"]
    wrong = of_reals(normal, simulate=lambda p, row, key: p["mu"] + p["sd"] * (1 + jax.random.normal(key)))
    assert wrong["simulated data are recovered"].status == "✗"
    assert "'mu'" in wrong["simulated data are recovered"].found


def test_what_cannot_be_asked_is_said():
    y = np.array([1.0, 2.0, 4.0, 3.0])
    check = jm.check_model(jm.Model(normal, MEAN_SD), {"y": y})
    assert statuses(check) == "–––✓✓–"
    assert "response='y'" in check["integrates to one"].found
    grouped = jm.Model(
        lambda p, rows, mask: jnp.sum(jnp.where(mask, normal(p, rows), 0.0)), MEAN_SD, unit="g", name="grouped"
    )
    check = jm.check_model(grouped, {"y": y, "g": [0, 0, 1, 1]})
    assert "unit='g'" in check["integrates to one"].found
    assert str(check).splitlines()[0] == "Check of the model 'grouped'"
    assert max(map(len, str(check).splitlines())) <= 110


def test_arguments_that_make_no_sense():
    model = jm.Model(normal, MEAN_SD)
    with pytest.raises(jm.ModelError, match=r"takes a jm\.Model"):
        jm.check_model(normal)
    with pytest.raises(jm.DataError, match="needs data="):
        jm.check_model(model)
    with pytest.raises(jm.ModelError, match="support must be"):
        jm.check_model(model, response="y", support="count")
    with pytest.raises(jm.ModelError, match="a family knows them"):
        jm.check_model(jm.normal("y"), response="y", support="real")
    with pytest.raises(jm.ModelError, match="replicates"):
        jm.check_model(jm.normal("y"), replicates="40")
    with pytest.raises(jm.ModelError, match="Did you mean 'integrates to one'"):
        of_reals(normal)["integrate to one"]

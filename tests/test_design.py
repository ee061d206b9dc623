"""Standard errors, sample sizes and power before there are data, against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

import jaxmle as jm

TWO_GROUPS = {"treated": [0, 1]}
ASSUMED = {"prob[Intercept]": -1.0, "prob[treated]": 0.7}
HALF_LOG_2PI = 0.9189385332046727


@pytest.fixture(scope="module")
def trial():
    return jm.design(jm.bernoulli("cured ~ treated"), ASSUMED, TWO_GROUPS, effect="treated = 0", power=0.8)


def test_the_mean_of_a_normal():
    """σ/√n, and σ/√(2n) of σ."""
    found = jm.design(jm.normal("y"), {"mean": 3.0, "sd": 2.0}, n=50)
    assert found.std_errors["mean"] == pytest.approx(2 / np.sqrt(50), rel=1e-9)
    assert found.std_errors["sd"] == pytest.approx(2 / np.sqrt(100), rel=1e-9)
    wanted = jm.design(jm.normal("y"), {"mean": 3.0, "sd": 2.0}, target_se={"mean": 0.3})
    assert wanted.n == 45  # (2/0.3)² = 44.4


def test_the_rate_of_a_poisson():
    """1/√(nλ) on the scale of the logarithm; two rates in the rows of their proportions."""
    model, data = jm.poisson("y ~ g"), {"g": [0, 1, 1]}
    found = jm.design(model, {"rate[Intercept]": np.log(2.0), "rate[g]": np.log(1.5)}, data, n=300)
    assert found.std_errors["rate[Intercept]"] == pytest.approx(np.sqrt(1 / 200), rel=1e-9)
    assert found.std_errors["rate[g]"] == pytest.approx(np.sqrt(1 / 200 + 1 / 600), rel=1e-9)


def test_two_groups_and_a_binary_response(trial):
    """m = (z_α/2 + z_β)² (1/(p₀q₀) + 1/(p₁q₁)) / δ² rows a group, but for rejections on the wrong side."""
    p = 1 / (1 + np.exp([1.0, 0.3]))
    variance = (1 / (p * (1 - p))).sum()
    per_group = (norm.ppf(0.975) + norm.ppf(0.8)) ** 2 * variance / 0.7**2
    assert trial.needed == {"power 0.8": int(np.ceil(2 * per_group))}
    se = np.sqrt(2 * variance / trial.n)
    assert trial.std_errors["prob[treated]"] == pytest.approx(se, rel=1e-9)
    two_sided = norm.sf(1.959963984540054 - 0.7 / se) + norm.cdf(-1.959963984540054 - 0.7 / se)
    assert trial.power == pytest.approx(two_sided, rel=1e-9)
    assert trial.power_with(trial.n - 1) < 0.8 <= trial.power


def test_power_that_is_only_size_and_a_standard_error_of_an_effect():
    found = jm.design(
        jm.bernoulli("cured ~ treated"), ASSUMED, TWO_GROUPS, effect="treated = 0.7", target_se=0.2, alpha=0.1
    )
    assert found.power == pytest.approx(0.1)
    assert found.n == max(found.needed.values())
    assert found.std_errors["prob[treated]"] <= 0.2 < np.sqrt(found.per_row[1, 1] / (found.n - 1))


def test_the_power_is_that_of_simulated_fits(trial):
    """400 data sets of the size that was found: standard error of the proportion 0.02."""
    n = trial.n // 2
    treated = np.repeat([0, 1], n)
    chance = 1 / (1 + np.exp(1.0 - 0.7 * treated))
    y = (np.random.default_rng(0).uniform(size=(400, 2 * n)) < chance).astype(int)
    fits = jm.fit_many(jm.bernoulli("cured ~ treated"), {"cured": y, "treated": treated})
    rejected = np.abs(fits.coef[:, 1] / fits.std_errors[:, 1]) > 1.96
    assert rejected.mean() == pytest.approx(0.8, abs=0.06)


def test_a_density_of_ones_own_is_simulated():
    """Of a normal with many draws: 1/√n times σ and σ/√2, to the error of the simulation."""

    def normal(p, row):
        return -0.5 * ((row["y"] - p["mu"]) / p["sd"]) ** 2 - jnp.log(p["sd"]) - HALF_LOG_2PI

    model = jm.Model(normal, {"mu": jm.Real(), "sd": jm.Positive()})
    draw = lambda p, row, key: p["mu"] + p["sd"] * jax.random.normal(key)
    settings = dict(response="y", simulate=draw, n=100)
    found = jm.design(model, {"mu": 1.0, "sd": 2.0}, **settings)
    np.testing.assert_allclose(list(found.std_errors.values()), [0.2, 0.2 / np.sqrt(2)], rtol=0.02)
    again = jm.design(model, {"mu": 1.0, "sd": 2.0}, **settings)
    np.testing.assert_array_equal(found.per_row, again.per_row)
    assert "simulated responses, 200 for each row (key=0)" in str(found)


def test_what_is_printed(trial):
    lines = str(trial).splitlines()
    assert lines[0] == f"Design   Logistic regression   {trial.n} rows"
    assert lines[2].split()[:2] == ["prob[Intercept]", "−1"]
    assert lines[4] == f"  power 0.8: {trial.n} rows"
    assert lines[5].startswith("  Wald test of treated = 0 at level 0.05: power 0.80")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(power=80), "power must be between 0 and 1"),
        (dict(power=0.8), "name its hypothesis"),
        (dict(power=0.8, effect="treated = 0.7"), "is true"),
        (dict(power=0.8, effect="treatd = 0"), "treatd"),
        (dict(n="50"), "n must be a whole number"),
        (dict(target_se=0.1), "a number for effect"),
        (dict(target_se={"prob[x]": 0.1}), "no coefficient 'prob\\[x\\]'"),
        (dict(target_se={"prob[treated]": -1}), "a positive number"),
    ],
)
def test_arguments_that_make_no_sense(settings, message):
    with pytest.raises(jm.ModelError, match=message):
        jm.design(jm.bernoulli("cured ~ treated"), ASSUMED, TWO_GROUPS, **settings)


def test_models_that_say_too_little():
    with pytest.raises(jm.ModelError, match=r"lacks an assumed value of 'prob\[treated\]'"):
        jm.design(jm.bernoulli("cured ~ treated"), {"prob[Intercept]": 0.0}, TWO_GROUPS)
    with pytest.raises(jm.ModelError, match="simulate="):
        jm.design(jm.Model(lambda p, row: -row["y"] * p["a"], {"a": jm.Positive()}), {"a": 1.0})
    with pytest.raises(jm.ModelError, match="not identified"):
        jm.design(jm.bernoulli("cured ~ treated"), ASSUMED, {"treated": [1, 1]})
    with pytest.raises(jm.DataError, match="treated"):
        jm.design(jm.bernoulli("cured ~ treated"), ASSUMED)

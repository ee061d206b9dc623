"""Profile intervals: closed forms, R's numbers, one-sided ends, functions of the parameters."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize, stats
from scipy.optimize import brentq
from scipy.special import chdtri

import jaxmle as jm
from jaxmle import runtime
from jaxmle.infer import profile
from jaxmle.objective.objective import Objective

Q = float(chdtri(1, 0.05))


@pytest.fixture(scope="module")
def normal():
    y = np.random.default_rng(1).normal(3.0, 2.0, 12)
    return y, jm.fit(jm.normal("y"), {"y": y})


def test_the_mean_of_a_normal_sample(normal):
    """n log(1 + (μ − ȳ)²/σ̂²) = χ²."""
    y, fit = normal
    half = y.std() * np.sqrt(np.expm1(Q / len(y)))
    name = next(iter(fit.coef))
    np.testing.assert_allclose(fit.confint(method="profile")[name], (y.mean() - half, y.mean() + half), rtol=1e-8)


def test_the_scale_of_a_normal_sample(normal):
    """n (2 log(σ/σ̂) + σ̂²/σ² − 1) = χ²."""
    y, fit = normal
    gap = lambda r: len(y) * (2 * np.log(r) + r**-2 - 1) - Q
    ends = y.std() * np.array([brentq(gap, 0.2, 1.0), brentq(gap, 1.0, 5.0)])
    *_, name = fit.coef
    np.testing.assert_allclose(fit.confint(method="profile", names=name)[name], ends, rtol=1e-7)


def budworm():
    """Collett's tobacco budworms, as Venables and Ripley (2002, section 7.2) give them, one row for each moth."""
    dead = [1, 4, 9, 13, 18, 20, 0, 2, 6, 10, 12, 16]
    dose, sex = np.tile(np.arange(6.0), 2), np.repeat(["M", "F"], 6)
    rows = [(d, s, y, k) for d, s, n in zip(dose, sex, dead) for y, k in ((1, n), (0, 20 - n)) if k]
    return {name: np.array(c) for name, c in zip(("ldose", "sex", "y", "w"), zip(*rows))}


def test_the_numbers_of_r():
    """R 4: confint(glm(SF ~ sex + ldose, family = binomial)), which interpolates the profile."""
    fit = jm.fit(jm.bernoulli("y ~ sex + ldose"), budworm(), weights="w")
    ours = np.array(list(fit.confint(method="profile").values()))
    r = [[-4.458143759, -2.613609771], [0.419226504, 1.820471331], [0.822870820, 1.339058119]]
    np.testing.assert_allclose(ours, r, atol=2e-4)
    r90 = [[-4.290340500, -2.744313219], [0.527007227, 1.701364783], [0.859703371, 1.292315191]]
    np.testing.assert_allclose(np.array(list(fit.confint(0.9, "profile").values())), r90, atol=2e-4)


def test_a_profile_compiles_nothing():
    fit = jm.fit(jm.bernoulli("y ~ sex + ldose"), budworm(), weights="w")
    assert fit.std_errors  # which have a program of their own
    with runtime.Compilation() as compilation:
        fit.confint(method="profile")
        fit.profile("prob[ldose]")
    assert compilation.count == 0


def test_it_costs_few_hessians(monkeypatch):
    """Twenty parameters, forty ends, at most forty fits."""
    rng = np.random.default_rng(4)
    x = rng.normal(size=(400, 19))
    data = {"x": x, "y": rng.poisson(np.exp(0.3 + x @ np.linspace(-0.3, 0.3, 19))).astype(float)}
    fit = jm.fit(jm.poisson("y", rate=jm.Linear([1, "x"])), data)
    asked = []
    evaluate = Objective.evaluate
    count = lambda self, z, needs="hessian", penalised=True: asked.append(needs) or evaluate(self, z, needs, penalised)
    monkeypatch.setattr(Objective, "evaluate", count)
    jm.fit(jm.poisson("y", rate=jm.Linear([1, "x"])), data)
    of_fit = len(asked)
    asked.clear()
    assert len(fit.confint(method="profile")) == 20
    assert len(asked) <= 40 * of_fit


def test_one_sided_where_the_data_allow_no_dispersion():
    """A little more variance than Poisson's: zero dispersion is within the interval."""
    y = np.repeat([0.0, 1, 2, 3, 4, 5, 6, 8], [4, 9, 10, 8, 5, 3, 2, 1])
    fit = jm.fit(jm.negative_binomial("y"), {"y": y})
    *_, name = fit.coef
    low, high = fit.confint(method="profile")[name]
    assert low == 0.0
    held = jm.fit(jm.negative_binomial("y"), {"y": y}, fixed={name: high})
    assert held.log_likelihood == pytest.approx(fit.log_likelihood - Q / 2, abs=1e-5)
    poisson = jm.fit(jm.poisson("y"), {"y": y})
    assert fit.log_likelihood - poisson.log_likelihood < Q / 2


def test_shares_that_depend_on_each_other():
    """The others move in proportion: x log(p/p̂) + (n − x) log((1 − p)/(1 − p̂)) = −χ²/2."""
    counts = np.array([7.0, 11.0, 4.0])
    model = jm.Model(lambda p, row: jnp.log(p["share"][row["k"]]), {"share": jm.Simplex(3)})
    fit = jm.fit(model, {"k": np.arange(3)}, weights=counts)
    n, x = counts.sum(), counts[0]
    gap = lambda p: x * np.log(p * n / x) + (n - x) * np.log((1 - p) / (1 - x / n)) + Q / 2
    ends = brentq(gap, 0.01, x / n), brentq(gap, x / n, 0.99)
    np.testing.assert_allclose(fit.confint(method="profile", names=["share[0]"])["share[0]"], ends, rtol=1e-7)


@pytest.fixture(scope="module")
def two_slopes():
    rng = np.random.default_rng(9)
    x, z = rng.normal(size=(2, 80))
    y = (rng.uniform(size=80) < 1 / (1 + np.exp(-0.2 - 0.9 * x + 1.3 * z))).astype(float)
    data = {"x": x, "z": z, "y": y}
    return data, jm.fit(jm.bernoulli("y ~ x + z"), data)


def test_a_ratio_of_coefficients(two_slopes):
    """With b2 = r·b1 the predictor is b1·(x + r z): a fit of that column has χ²/2 less."""
    data, fit = two_slopes

    def ratio(p):
        return p["prob"][2] / p["prob"][1]

    found = fit.profile(ratio, level=0.9)
    assert found.name == "ratio"
    assert found.interval[0] < found.estimate < found.interval[1]
    for r in found.interval:
        held = jm.fit(jm.bernoulli("y ~ both"), data | {"both": data["x"] + r * data["z"]})
        assert held.log_likelihood == pytest.approx(fit.log_likelihood - chdtri(1, 0.1) / 2, abs=1e-6)


def test_a_function_of_one_coefficient_has_its_interval(two_slopes):
    _, fit = two_slopes
    odds = fit.profile(lambda p: jnp.exp(p["prob"][1]))
    np.testing.assert_allclose(np.log(odds.interval), fit.confint(method="profile")["prob[x]"], rtol=1e-6)


def test_a_profile_is_the_best_there_is(two_slopes):
    data, fit = two_slopes
    drawn = fit.profile("prob[z]")
    assert (np.diff(drawn.values) > 0).all()
    assert drawn.values[drawn.log_likelihood.argmax()] == drawn.estimate
    for at in (2, -3):
        held = jm.fit(jm.bernoulli("y ~ x + z"), data, fixed={"prob[z]": float(drawn.values[at])})
        assert held.log_likelihood == pytest.approx(drawn.log_likelihood[at], abs=1e-7)
    np.testing.assert_allclose(np.abs(np.diff(drawn.signed_root)), 0.25, rtol=1e-6)


def test_following_and_newton_agree(two_slopes, monkeypatch):
    _, fit = two_slopes
    quick = fit.confint(method="profile")
    monkeypatch.setattr(profile, "_by_newton", lambda *args: None)
    slow = fit.confint(method="profile")
    np.testing.assert_allclose(list(slow.values()), list(quick.values()), rtol=1e-5)


def test_units_of_groups():
    rng = np.random.default_rng(2)
    person = np.repeat(np.arange(30), 3)
    y = rng.normal(size=90) + np.repeat(rng.normal(size=30), 3)

    def panel(p, rows, mask):
        r = jnp.where(mask, rows["y"] - p["mean"], 0.0)
        n, a, s = mask.sum(), p["between"], p["within"]
        quad = (r @ r - a * r.sum() ** 2 / (s + n * a)) / s
        return -0.5 * (quad + (n - 1) * jnp.log(s) + jnp.log(s + n * a) + n * jnp.log(2 * jnp.pi))

    model = jm.Model(panel, {"mean": jm.Real(), "between": jm.Positive(), "within": jm.Positive()}, unit="person")
    data = {"y": y, "person": person}
    fit = jm.fit(model, data)
    for end in fit.confint(method="profile")["between"]:
        held = jm.fit(model, data, fixed={"between": end})
        assert held.log_likelihood == pytest.approx(fit.log_likelihood - Q / 2, abs=1e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda fit: fit.confint(method="profil"), "method='profile'"),
        (lambda fit: fit.confint(names=["prob[w]"]), r"no coefficient 'prob\[w\]'"),
        (lambda fit: fit.profile("x"), "no coefficient 'x'"),
        (lambda fit: fit.confint(level=95, method="profile"), "level must be between"),
        (lambda fit: fit.without_data().confint(method="profile"), "needs the data"),
    ],
)
def test_mistakes(call, message, two_slopes):
    with pytest.raises(jm.ModelError, match=message):
        call(two_slopes[1])


def test_the_interval_of_a_ratio_may_have_no_end():
    """Where the denominator may be zero, the deviance is below its quantile for all ratios beyond the other end."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=60)
    y = rng.poisson(np.exp(0.2 + 0.5 * x))
    fit = jm.fit(jm.poisson("y ~ x"), {"x": x, "y": y})
    profile = fit.profile(lambda p: p["rate"][1] / p["rate"][0])
    low, high = profile.interval
    loss = lambda b: -stats.poisson.logpmf(y, np.exp(b[0] + b[1] * x)).sum()
    held = lambda r: optimize.minimize_scalar(lambda s: loss([s / r, s]), bracket=(0.3, 0.6)).fun
    assert 2 * (held(low) + fit.log_likelihood) == pytest.approx(stats.chi2.ppf(0.95, 1), rel=1e-5)
    assert 2 * (held(1e9) + fit.log_likelihood) < stats.chi2.ppf(0.95, 1)
    assert low < profile.estimate < high == np.inf
    assert (np.diff(profile.values) > 0).all()
    assert 1 <= np.argmax(profile.log_likelihood) == np.searchsorted(profile.values, profile.estimate)


def test_no_profile_without_a_likelihood_or_an_optimum(two_slopes):
    data, _ = two_slopes
    sampled = jm.fit(jm.bernoulli("y ~ x + z"), data, probability_weights=np.ones(80))
    with pytest.raises(jm.ModelError, match="sampling weights"):
        sampled.confint(method="profile")
    with pytest.warns(jm.FitWarning):
        separated = jm.fit(jm.bernoulli("y ~ x"), {"x": data["x"], "y": (data["x"] > 0).astype(float)})
    with pytest.raises(jm.ModelError, match="proved optimum"):
        separated.confint(method="profile")

"""Distributions of other packages and of the user's own become families."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import jaxmle as jm


class Maxwell(jm.Distribution):
    scale: jm.Positive

    def log_prob(self, y):
        return 0.5 * jnp.log(2 / jnp.pi) + 2 * jnp.log(y) - 3 * jnp.log(self.scale) - y**2 / (2 * self.scale**2)


def test_a_class_of_your_own_is_a_family():
    y = stats.maxwell.rvs(scale=2.0, size=500, random_state=0)
    x = np.linspace(-1, 1, 500)
    maxwell = jm.family(Maxwell)
    fit = jm.fit(maxwell("y"), {"y": y})
    assert fit.coef["scale"] == pytest.approx(np.sqrt(np.mean(y**2) / 3))  # closed form
    assert fit.std_errors["scale"] == pytest.approx(fit.coef["scale"] / np.sqrt(6 * 500), rel=1e-6)
    fit = jm.fit(maxwell("y ~ x"), {"y": y, "x": x})
    assert fit.converged
    assert set(fit.coef) == {"scale[Intercept]", "scale[x]"}
    scale = fit.predict({"x": [0.5]}, what="scale")
    np.testing.assert_allclose(fit.predict({"x": [0.5]}), scale * 2 * np.sqrt(2 / np.pi), rtol=1e-7)
    np.testing.assert_allclose(fit.predict({"x": [0.5]}, what="quantile", q=0.3), stats.maxwell.ppf(0.3, scale=scale))
    assert fit.simulate(1).shape == (500,)


def test_what_is_wrong_with_a_class_is_said():
    class Nothing(jm.Distribution):
        scale: jm.Positive

    class Empty(jm.Distribution):
        def log_prob(self, y):
            return -(y**2)

    with pytest.raises(jm.ModelError, match="log_prob"):
        jm.family(Nothing)
    with pytest.raises(jm.ModelError, match="no parameters"):
        jm.family(Empty)
    with pytest.raises(jm.ModelError, match=r"Interval needs its settings"):

        class Wrong(jm.Distribution):
            share: jm.Interval

    with pytest.raises(jm.ModelError, match="subclass"):
        jm.family(3)


class Moyal:
    """Speaks as TensorFlow Probability does: methods, `seed=`, no constraints."""

    def __init__(self, loc, scale):
        self.loc, self.scale = loc, scale

    def log_prob(self, y):
        z = (y - self.loc) / self.scale
        return -0.5 * (z + jnp.exp(-z)) - jnp.log(self.scale) - 0.5 * jnp.log(2 * jnp.pi)

    def mean(self):
        return self.loc + self.scale * (jnp.log(2) + jnp.euler_gamma)

    def sample(self, seed):
        return self.loc - self.scale * jnp.log(jax.random.normal(seed, dtype=jnp.float64) ** 2)


def test_a_class_in_the_manner_of_tensorflow_probability():
    y = stats.moyal.rvs(loc=1.0, scale=0.5, size=800, random_state=1)
    moyal = jm.family(jm.wrap(Moyal, loc=jm.Real(), scale=jm.Positive()))
    fit = jm.fit(moyal("y"), {"y": y})
    loc, scale = stats.moyal.fit(y)
    assert fit.coef["loc"] == pytest.approx(loc, abs=1e-3)
    assert fit.coef["scale"] == pytest.approx(scale, abs=1e-3)
    best = stats.moyal.logpdf(y, fit.coef["loc"], fit.coef["scale"]).sum()
    assert fit.log_likelihood == pytest.approx(best, rel=1e-10)
    np.testing.assert_allclose(fit.predict({"y": [0.0]}), stats.moyal.mean(fit.coef["loc"], fit.coef["scale"]))
    drawn = fit.simulate(0)
    assert abs(drawn.mean() - y.mean()) < 5 * y.std() / np.sqrt(400)
    assert fit.predict({"y": [0.0]}, what="quantile", q=0.5)[0] == pytest.approx(
        stats.moyal.ppf(0.5, fit.coef["loc"], fit.coef["scale"]), rel=1e-6
    )
    with pytest.raises(jm.ModelError, match="give the domains"):
        jm.wrap(Moyal)


def test_a_distribution_of_numpyro_is_a_family_in_one_line():
    distributions = pytest.importorskip("numpyro.distributions", reason="numpyro is not installed")
    y = stats.gumbel_r.rvs(loc=1.0, scale=0.5, size=300, random_state=2)
    x = np.linspace(0, 1, 300)
    fit = jm.fit(jm.family(distributions.Gumbel)("y ~ x"), {"y": y, "x": x})
    assert fit.converged
    assert set(fit.coef) == {"loc[Intercept]", "loc[x]", "scale"}
    t = jm.family(jm.wrap(distributions.StudentT, predicts="loc"))
    assert next(iter(t.distribution.parameters)) == "loc"


class Kumaraswamy(jm.Distribution):
    """On (0, 1), which it does not say: its density is not a number elsewhere."""

    a: jm.Positive
    b: jm.Positive

    def log_prob(self, y):
        log_power = self.a * jnp.log(y)
        return jnp.log(self.a * self.b) - jnp.log(y) + log_power + (self.b - 1) * jnp.log1p(-jnp.exp(log_power))


def test_quantiles_where_the_support_is_narrower_than_declared():
    y = np.random.default_rng(0).beta(2, 5, 100)
    fit = jm.fit(jm.family(Kumaraswamy)("y"), {"y": y})
    a, b = fit.coef["a"], fit.coef["b"]
    q = np.array([0.025, 0.5, 0.975])
    truth = (1 - (1 - q) ** (1 / b)) ** (1 / a)
    np.testing.assert_allclose(fit.predict({"y": [0.5]}, "quantile", q=q)[0], truth, rtol=1e-6)
    drawn = fit.simulate(0)
    assert ((drawn > 0) & (drawn < 1)).all()

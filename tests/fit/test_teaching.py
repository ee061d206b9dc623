"""The examples of a first course in maximum likelihood, each against its closed form."""

import math

import jax.numpy as jnp
import numpy as np
import pytest

import jaxmle as jm

from .models import NORMAL, REGRESSION, array, bernoulli, fit

BERNOULLI = jm.Model(bernoulli, {"p": jm.UnitInterval()})


def tosses(k, n):
    return {"y": np.arange(n) < k}


@pytest.mark.parametrize(("k", "n"), [(1, 10), (3, 10), (5, 10), (9, 10), (700, 1000), (1, 5000)])
def test_a_proportion_is_k_of_n_with_the_textbook_information(k, n):
    """p̂ = k/n, and the observed information at p̂ is n/(p̂(1 − p̂)) (Casella and Berger, 2002, examples 7.2.7, 10.1.14)."""
    result = fit(BERNOULLI, tosses(k, n))
    p = k / n
    assert result.converged
    np.testing.assert_allclose(result.coef["p"], p, rtol=1e-7)
    np.testing.assert_allclose(1 / result.covariance()[0, 0], n / (p * (1 - p)), rtol=1e-6)
    np.testing.assert_allclose(result.log_likelihood, k * math.log(p) + (n - k) * math.log(1 - p), rtol=1e-12)


@pytest.mark.parametrize(("k", "limit"), [(0, 0.0), (10, 1.0)])
def test_all_tosses_alike_are_a_boundary_without_a_standard_error(k, limit):
    """The supremum k/n lies on the edge of (0, 1), where the log-likelihood is 0: no Wald interval exists there."""
    with pytest.warns(jm.FitWarning, match="p →"):
        result = fit(BERNOULLI, tosses(k, 10))
    assert not result.converged
    assert result.certificate.status == "boundary"
    assert abs(result.coef["p"] - limit) < 1e-6
    assert np.isnan(result.std_errors["p"])
    assert np.isnan(result.confint()["p"]).all()
    assert result.withheld["p"]
    assert abs(result.log_likelihood) < 1e-4


def test_a_normal_sample_has_the_variance_of_divisor_n():
    y = np.random.default_rng(1).normal(10, 3, 50)
    n, s2 = len(y), float(np.var(y))
    result = fit(NORMAL, {"y": y})
    np.testing.assert_allclose(array(result.coef), [y.mean(), np.sqrt(s2)], rtol=1e-8)
    # information diag(n/σ², 2n/σ²) (Casella and Berger, 2002, example 10.1.14)
    np.testing.assert_allclose(result.covariance(), np.diag([s2 / n, s2 / (2 * n)]), rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(result.log_likelihood, -0.5 * n * (np.log(2 * np.pi * s2) + 1), rtol=1e-13)
    unbiased = result.coef["sigma"] ** 2 * n / (n - 1)
    np.testing.assert_allclose(unbiased, np.var(y, ddof=1), rtol=1e-8)


def many_normals(p, row):
    """The density of the r-th observations of all samples: one row of data, one term for all samples."""
    return jnp.sum(-0.5 * (row["y"] - p["mu"]) ** 2 / p["variance"] - 0.5 * jnp.log(p["variance"]))


def test_the_maximum_likelihood_variance_is_too_small_by_one_part_in_n():
    """E[σ̂²] = σ²(n − 1)/n, shown over 10,000 samples of n = 5 in one batch of searches.

    A fit of 20,000 parameters has no use for a dense Hessian, though it is diagonal: L-BFGS maximises the sum of the
    10,000 separate log-likelihoods at once. That each σ̂² is its sample's own is compared with NumPy, and the bias with
    theory: the mean of σ̂² over m samples has standard error √(2(n − 1)/m)/n ≈ 0.0057, and the unbiased variance ends
    four such errors from 1 at most.
    """
    m, n = 10_000, 5
    y = np.random.default_rng(2).normal(size=(n, m))
    model = jm.Model(many_normals, {"mu": jm.Real(shape=m), "variance": jm.Positive(shape=m)})
    with pytest.warns(jm.FitWarning, match="too many for a Hessian"):  # no standard errors are asked for
        result = fit(model, {"y": y}, solver=jm.LBFGS(tol=1e-6))
    variance = result.params["variance"]
    np.testing.assert_allclose(variance, y.var(axis=0), rtol=2e-2)
    np.testing.assert_allclose(np.mean(variance), np.mean(y.var(axis=0)), rtol=1e-5)
    error = np.sqrt(2 * (n - 1) / m) / n
    assert abs(np.mean(variance) - (n - 1) / n) < 4 * error
    assert abs(np.mean(variance) - 1) > 30 * error
    assert abs(np.mean(variance) * n / (n - 1) - 1) < 4 * error * n / (n - 1)


def exponential(p, row):
    return jnp.log(p["rate"]) - p["rate"] * row["t"]


def exponential_by_mean(p, row):
    return -jnp.log(p["mean"]) - row["t"] / p["mean"]


def test_an_exponential_rate_is_one_over_the_mean_and_the_parametrisation_does_not_matter():
    """λ̂ = 1/t̄ with information n/λ², and by invariance the mean's estimate is 1/λ̂ (Casella and Berger, 2002, 7.2.10)."""
    t = np.random.default_rng(3).exponential(4.0, 80)
    by_rate = fit(jm.Model(exponential, {"rate": jm.Positive()}), {"t": t})
    by_mean = fit(jm.Model(exponential_by_mean, {"mean": jm.Positive()}), {"t": t})
    np.testing.assert_allclose(by_rate.coef["rate"], 1 / t.mean(), rtol=1e-9)
    np.testing.assert_allclose(by_rate.std_errors["rate"], 1 / t.mean() / np.sqrt(80), rtol=1e-6)
    np.testing.assert_allclose(by_mean.coef["mean"], t.mean(), rtol=1e-9)
    np.testing.assert_allclose(by_mean.std_errors["mean"], t.mean() / np.sqrt(80), rtol=1e-6)
    np.testing.assert_allclose(by_mean.log_likelihood, by_rate.log_likelihood, rtol=1e-13)
    np.testing.assert_allclose(by_mean.log_likelihood, -80 * (np.log(t.mean()) + 1), rtol=1e-13)
    # intervals formed on the log scale are the same statement in both
    low, high = by_rate.confint()["rate"]
    np.testing.assert_allclose(by_mean.confint()["mean"], (1 / high, 1 / low), rtol=1e-6)


def test_least_squares_is_maximum_likelihood_under_normal_errors():
    rng = np.random.default_rng(4)
    x = rng.normal(size=60)
    y = 2 - 3 * x + rng.normal(size=60)
    matrix = np.stack([np.ones(60), x], axis=1)
    beta, (rss,), *_ = np.linalg.lstsq(matrix, y, rcond=None)
    result = fit(REGRESSION, {"y": y, "x": x})
    np.testing.assert_allclose(array(result.coef), [*beta, np.sqrt(rss / 60)], rtol=1e-8)
    expected = rss / 60 * np.linalg.inv(matrix.T @ matrix)
    np.testing.assert_allclose(result.covariance()[:2, :2], expected, rtol=1e-6)
    np.testing.assert_allclose(result.std_errors["sigma"], np.sqrt(rss / 60 / 120), rtol=1e-6)


def test_the_sum_of_logarithms_survives_where_the_product_of_densities_underflows():
    """The product of 2,000 densities is 0.0 in float64; the log-likelihood agrees with an exact sum (`math.fsum`)."""
    y = np.random.default_rng(5).normal(3, 2, 2000)
    result = fit(NORMAL, {"y": y})
    mu, sigma = result.params["mu"], result.params["sigma"]
    density = np.exp(-0.5 * ((y - mu) / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))
    assert np.prod(density) == 0.0
    np.testing.assert_allclose(result.log_likelihood, math.fsum(map(math.log, density)), rtol=1e-14)


def test_the_uniform_maximum_is_the_largest_observation_and_no_standard_error_is_claimed():
    """θ̂ = max y of U(0, θ): the score is not zero there, so that a Wald standard error would mean nothing."""
    y = np.random.default_rng(6).uniform(0, 2, 40)
    density = lambda p, row: jnp.where(row["y"] <= p["theta"], -jnp.log(p["theta"]), -jnp.inf)
    with pytest.warns(jm.FitWarning):
        result = fit(jm.Model(density, {"theta": jm.Positive(start=5.0)}), {"y": y})
    assert not result.converged
    assert np.isnan(result.std_errors["theta"])
    np.testing.assert_allclose(result.coef["theta"], y.max(), rtol=1e-3)


# --- the same sentences for ready-made families, on real data where it is small ---------------------------------------


def softmax(eta):
    e = np.exp(eta - eta.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def test_linear_regression_is_least_squares():
    """The coefficients are least squares', the deviance is the residual sum of squares, the variance is RSS/n.

    Longley's data, of which NIST has certified the least squares to 15 digits.
    """
    data = jm.datasets.load("longley")
    result = fit(jm.normal("employed ~ ."), data)
    certified = [-3482258.63459582, 15.0618722713733, -0.0358191792925910, -2.02022980381683, -1.03322686717359,
                 -0.0511041056535807, 1829.15146461355]  # fmt: skip
    n, rss = len(data["employed"]), 836424.055505915
    np.testing.assert_allclose(array(result.coef)[:-1], certified, rtol=1e-6)
    np.testing.assert_allclose(result.deviance, rss, rtol=1e-9)
    np.testing.assert_allclose(np.sum(result.residuals() ** 2), rss, rtol=1e-9)
    np.testing.assert_allclose(result.coef["sd"] ** 2, rss / n, rtol=1e-7)
    np.testing.assert_allclose(result.log_likelihood, -0.5 * n * (np.log(2 * np.pi * rss / n) + 1), rtol=1e-12)


def labelled(classes, n=300, seed=7):
    """Two covariates, and labels that depend on them by the softmax."""
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=(2, n))
    eta = np.stack([np.zeros(n), 0.5 + x, 0.3 - z + 0.5 * x], axis=1)[:, : len(classes)]
    drawn = (rng.uniform(size=(n, 1)) > np.cumsum(softmax(eta), axis=1)).sum(axis=1)
    return {"label": np.array(classes)[drawn], "x": x, "z": z}


def test_logistic_regression_is_binary_cross_entropy():
    """The mean negative log-likelihood is the mean cross-entropy of the labels and the predicted probabilities.

    The cross-entropy is that of scikit-learn's `log_loss` in one line of NumPy; at the optimum no step in any
    coefficient lowers it.
    """
    data = labelled(["no", "yes"])
    result = fit(jm.bernoulli("label ~ x + z"), data)
    y = data["label"] == "yes"
    x = np.stack([np.ones(len(y)), data["x"], data["z"]], axis=1)

    def cross_entropy(beta):
        p = 1 / (1 + np.exp(-x @ beta))
        return -np.mean(np.where(y, np.log(p), np.log(1 - p)))

    beta = array(result.coef)
    p = result.predict(what="prob")
    np.testing.assert_allclose(p, 1 / (1 + np.exp(-x @ beta)), rtol=1e-10)
    np.testing.assert_allclose(-result.log_likelihood / len(y), cross_entropy(beta), rtol=1e-12)
    np.testing.assert_allclose(result.deviance, 2 * len(y) * cross_entropy(beta), rtol=1e-12)
    for step in 1e-3 * np.eye(3):
        assert cross_entropy(beta + step) > cross_entropy(beta) < cross_entropy(beta - step)


def test_multinomial_regression_is_categorical_cross_entropy_of_a_softmax():
    """The same for three labels: the logit of the reference is zero, and the others go through a softmax."""
    data = labelled(["a", "b", "c"])
    result = fit(jm.categorical("label ~ x + z"), data)
    x = np.stack([np.ones(len(data["x"])), data["x"], data["z"]], axis=1)
    one_hot = data["label"][:, None] == np.array(["a", "b", "c"])

    def cross_entropy(flat):
        b, c = flat.reshape(2, 3)
        return -np.mean(np.log(softmax(np.stack([np.zeros(len(x)), x @ b, x @ c], axis=1))[one_hot]))

    beta = array(result.coef)
    assert list(result.coef)[3] == "logits.c[Intercept]"
    chances = result.predict(what="prob")
    np.testing.assert_allclose(-np.mean(np.log(chances[one_hot])), cross_entropy(beta), rtol=1e-12)
    np.testing.assert_allclose(-result.log_likelihood / len(x), cross_entropy(beta), rtol=1e-12)
    for step in 1e-3 * np.eye(6):
        assert cross_entropy(beta + step) > cross_entropy(beta) < cross_entropy(beta - step)


def test_multinomial_regression_of_two_labels_is_logistic_regression():
    data = labelled(["no", "yes"])
    two, many = fit(jm.bernoulli("label ~ x + z"), data), fit(jm.categorical("label ~ x + z"), data)
    np.testing.assert_allclose(array(many.coef), array(two.coef), rtol=1e-7)
    np.testing.assert_allclose(array(many.std_errors), array(two.std_errors), rtol=1e-6)
    np.testing.assert_allclose(many.log_likelihood, two.log_likelihood, rtol=1e-13)


def test_poisson_regression_is_half_the_deviance_up_to_the_saturated_model():
    """log-likelihood = saturated − deviance/2, where the saturated rates are the counts themselves.

    Dobson's (1990, page 93) randomised trial, the example of R's `?glm`: deviance 5.1291, and with an outcome and a
    treatment of three levels each all fitted margins are the observed ones.
    """
    counts = np.array([18, 17, 15, 20, 10, 20, 25, 13, 12])
    data = {"counts": counts, "outcome": [1, 2, 3] * 3, "treatment": np.repeat([1, 2, 3], 3)}
    result = fit(jm.poisson("counts ~ C(outcome) + C(treatment)"), data)
    saturated = sum(k * math.log(k) - k - math.lgamma(k + 1) for k in counts.tolist())
    np.testing.assert_allclose(result.log_likelihood, saturated - result.deviance / 2, rtol=1e-13)
    table = counts.reshape(3, 3)
    expected = table.sum(axis=1)[:, None] * table.sum(axis=0) / counts.sum()
    np.testing.assert_allclose(result.predict().reshape(3, 3), expected, rtol=1e-8)
    np.testing.assert_allclose(result.deviance, 2 * np.sum(table * np.log(table / expected)), rtol=1e-8)
    np.testing.assert_allclose(result.deviance, 5.1291, atol=1e-4)
    np.testing.assert_allclose(result.pearson_statistic, np.sum((table - expected) ** 2 / expected), rtol=1e-8)


@pytest.mark.parametrize(
    ("model", "y", "deviance"),
    [
        (jm.exponential("y"), [0.5, 1.5, 4.0], None),
        (jm.gamma("y", dispersion=1.0), [0.5, 1.5, 4.0], 2 * (math.log(2.0) * 3 - math.log(0.5 * 1.5 * 4.0))),
        (jm.poisson("y"), [0, 1, 5], 2 * (1 * math.log(1 / 2) + 5 * math.log(5 / 2))),
    ],
    ids=["exponential", "gamma", "poisson"],
)
def test_without_predictors_the_expectation_is_the_mean(model, y, deviance):
    """The maximum of a one-parameter exponential family sets the expectation to the sample mean."""
    result = fit(model, {"y": np.array(y)})
    np.testing.assert_allclose(result.predict(), np.mean(y), rtol=1e-8)
    if deviance is not None:
        np.testing.assert_allclose(result.deviance, deviance, rtol=1e-10)


def test_a_family_and_the_density_written_by_hand_are_one_model():
    y = np.random.default_rng(8).exponential(4.0, 80)
    ready, own = fit(jm.exponential("t"), {"t": y}), fit(jm.Model(exponential, {"rate": jm.Positive()}), {"t": y})
    np.testing.assert_allclose(ready.coef["rate"], own.coef["rate"], rtol=1e-9)
    np.testing.assert_allclose(ready.log_likelihood, own.log_likelihood, rtol=1e-14)

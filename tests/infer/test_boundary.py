"""Mixtures of χ² at a boundary, against closed forms, SciPy and simulated projections."""

import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.stats import multivariate_normal
from scipy.optimize import nnls
from scipy.stats import chi2

import jaxmle as jm
from jaxmle.infer.chi_squares import chi_bar_weights, mixture_tail, orthant, weighted_sum_tail
from jaxmle.objective.objective import Objective

A, B = np.kron(np.eye(2), np.ones((3, 3))), np.kron(np.ones((2, 2)), np.eye(3))


def random_covariance(k, seed=0):
    a = np.random.default_rng(seed).normal(size=(k, k + 2))
    return a @ a.T


@pytest.mark.parametrize("n", range(1, 8))
def test_the_orthant_of_equal_correlations(n):
    """1/(n + 1) where all correlations are a half: n + 1 independent numbers, one of them the least."""
    assert orthant(3.0 * (0.5 * np.eye(n) + 0.5)) == pytest.approx(1 / (n + 1), abs=1e-14)


@pytest.mark.parametrize("rho", [-0.95, -0.3, 0.0, 0.6, 0.99])
def test_two_at_the_boundary_in_closed_form(rho):
    """Weights q, 1/2, 1/2 − q with q = arccos(ρ)/2π (Self and Liang, 1987, case 7; Silvapulle and Sen, 2005, 3.24)."""
    q = np.arccos(rho) / (2 * np.pi)
    found = chi_bar_weights(np.array([[4.0, 6 * rho], [6 * rho, 9.0]]))
    np.testing.assert_allclose(found, [q, 0.5, 0.5 - q], atol=1e-14)


def test_three_at_the_boundary_in_closed_form():
    """Shapiro, 1985, section 3: by the correlations, and by the partial ones."""
    v = random_covariance(3)
    r = v / np.sqrt(np.outer(np.diag(v), np.diag(v)))
    partial = lambda i, j, k: (r[i, j] - r[i, k] * r[j, k]) / np.sqrt((1 - r[i, k] ** 2) * (1 - r[j, k] ** 2))
    three = (2 * np.pi - np.arccos([r[0, 1], r[0, 2], r[1, 2]]).sum()) / (4 * np.pi)
    two = (3 * np.pi - np.arccos([partial(0, 1, 2), partial(0, 2, 1), partial(1, 2, 0)]).sum()) / (4 * np.pi)
    np.testing.assert_allclose(chi_bar_weights(v), [0.5 - two, 0.5 - three, two, three], atol=1e-14)


@pytest.mark.parametrize("k", [2, 4, 5, 6])
def test_weights_of_any_number(k):
    """Independent ones are binomial; of others the sum and the alternating sum are 1 and 0 (Silvapulle and Sen, 3.6.1)."""
    binomial = [float(np.prod([(k - i) / (i + 1) for i in range(j)])) / 2**k for j in range(k + 1)]
    np.testing.assert_allclose(chi_bar_weights(np.diag(np.arange(1.0, k + 1))), binomial, atol=1e-14)
    found = chi_bar_weights(random_covariance(k, k))
    assert found.sum() == pytest.approx(1, abs=1e-8)
    assert found @ (-1.0) ** np.arange(k + 1) == pytest.approx(0, abs=1e-8)
    assert (found > 0).all()


def test_weights_are_those_of_simulated_projections():
    """How many numbers are positive in the projection of N(0, V) onto what is not negative, in the metric of V."""
    v = random_covariance(4, 3)
    root = np.linalg.cholesky(np.linalg.inv(v)).T
    draws = np.random.default_rng(1).multivariate_normal(np.zeros(4), v, 20_000)
    counts = np.bincount([int((nnls(root, root @ x)[0] > 0).sum()) for x in draws], minlength=5) / len(draws)
    np.testing.assert_allclose(chi_bar_weights(v), counts, atol=4 * np.sqrt(0.25 / len(draws)))


def test_the_tail_of_a_mixture():
    assert mixture_tail(2.7, (0, 1, 2), (0.25, 0.5, 0.25)) == pytest.approx(
        0.5 * chi2.sf(2.7, 1) + 0.25 * chi2.sf(2.7, 2)
    )
    assert mixture_tail(0.0, (0, 1), (0.5, 0.5)) == 1.0


def test_the_tail_of_a_weighted_sum():
    """χ² where weights are equal; sums of exponentials where they come in pairs; a zero weight says nothing."""
    for x in (1e-3, 1.0, 7.0, 40.0):
        assert weighted_sum_tail(x, np.array([2.0, 2.0, 2.0, 0.0])) == pytest.approx(chi2.sf(x / 2, 3), abs=1e-12)
        a, b = 3.0, 0.01
        pairs = (a * np.exp(-x / 2 / a) - b * np.exp(-x / 2 / b)) / (a - b)
        assert weighted_sum_tail(x, np.array([a, b, a, b])) == pytest.approx(pairs, abs=1e-12)
    assert weighted_sum_tail(0.0, np.ones(2)) == 1.0


def crossed(p, row):
    """Six numbers that share two effects each: of their block of three, and of their place in it."""
    covariance = p["error"] * jnp.eye(6) + p.get("a", 0.0) * A + p.get("b", 0.0) * B
    return multivariate_normal.logpdf(row["y"] - p["mean"], jnp.zeros(6), covariance)


def crossed_data(a, b, n, seed):
    root = np.linalg.cholesky(np.eye(6) + a * A + b * B)
    return {"y": np.random.default_rng(seed).normal(size=(n, 6)) @ root.T}


@pytest.fixture(scope="module")
def variances():
    data = crossed_data(0.06, 0.06, 80, 5)
    none = {"mean": jm.Real(), "error": jm.Positive()}
    both = none | {"a": jm.Positive(), "b": jm.Positive()}
    return tuple(jm.fit(jm.Model(crossed, params), data) for params in (none, both))


def test_two_variances_at_zero(variances):
    """Weights from the correlation of the two estimates, and what follows from them by hand."""
    small, large = variances
    found = jm.likelihood_ratio_test(small, large, boundary=2)
    cov = large.covariance()[2:, 2:]
    q = np.arccos(cov[0, 1] / np.sqrt(cov[0, 0] * cov[1, 1])) / (2 * np.pi)
    np.testing.assert_allclose(found.weights, [q, 0.5, 0.5 - q], rtol=1e-6)
    assert found.p_value == pytest.approx(
        0.5 * chi2.sf(found.statistic, 1) + (0.5 - q) * chi2.sf(found.statistic, 2), rel=1e-6
    )
    assert jm.likelihood_ratio_test(small, large, boundary=["b", "a"]).p_value == pytest.approx(found.p_value)
    one = jm.likelihood_ratio_test(small, large, boundary="a")
    assert one.p_value == pytest.approx(0.5 * chi2.sf(one.statistic, 1) + 0.5 * chi2.sf(one.statistic, 2))
    assert "0 to 2 df (a mixture, 0.2" in str(found)


@pytest.mark.parametrize(
    ("boundary", "message"),
    [
        (3, "how many of the 2 restrictions"),
        (-1, "how many of the 2 restrictions"),
        (True, "a number of restrictions"),
        (1.5, "a number of restrictions"),
        (["mean", "a"], "mean can be any number"),
        ("c", "no coefficient 'c'"),
        (["a", "a"], "each named once"),
    ],
)
def test_boundaries_that_make_no_sense(variances, boundary, message):
    with pytest.raises(jm.ModelError, match=message):
        jm.likelihood_ratio_test(*variances, boundary=boundary)


@pytest.mark.filterwarnings("ignore::jaxmle.FitWarning")
def test_an_estimate_at_the_end_of_its_range():
    y = np.repeat([0.0, 1, 2, 3, 4], [2, 10, 20, 10, 2])  # less spread than Poisson: the dispersion is zero
    small, large = (jm.fit(m, {"y": y}) for m in (jm.poisson("y"), jm.negative_binomial("y")))
    assert not large.converged
    found = jm.likelihood_ratio_test(small, large, boundary=1)
    assert (found.statistic, found.p_value) == (0.0, 1.0)
    with pytest.raises(jm.ModelError, match="no proved optimum"):
        jm.likelihood_ratio_test(small, large)


@pytest.mark.filterwarnings("ignore::jaxmle.FitWarning")
def test_one_of_two_estimates_at_the_end_of_its_range():
    """Weights near those of this balanced design where both are zero and the error is one, by the Fisher information."""
    data = crossed_data(0.0, 0.0, 60, 1)
    none = {"mean": jm.Real(), "error": jm.Positive()}
    large = jm.fit(jm.Model(crossed, none | {"a": jm.Positive(), "b": jm.Positive()}), data)
    assert large.certificate.status == "boundary"
    found = jm.likelihood_ratio_test(jm.fit(jm.Model(crossed, none), data), large, boundary=2)
    information = np.array([[np.trace(u @ v) for v in (np.eye(6), A, B)] for u in (np.eye(6), A, B)]) / 2
    v = np.linalg.inv(information)[1:, 1:]  # of normal variances: tr(U V)/2 for each pair, where the error is one
    q = np.arccos(v[0, 1] / np.sqrt(v[0, 0] * v[1, 1])) / (2 * np.pi)
    np.testing.assert_allclose(found.weights, [q, 0.5, 0.5 - q], atol=0.04)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::jaxmle.FitWarning")
def test_p_values_are_uniform_where_the_hypothesis_is_true():
    """100 samples with both variances zero: rejected as often as the level says."""
    none = {"mean": jm.Real(), "error": jm.Positive()}
    small, large = jm.Model(crossed, none), jm.Model(crossed, none | {"a": jm.Positive(), "b": jm.Positive()})
    p_values = []
    for seed in range(100):
        data = crossed_data(0.0, 0.0, 60, seed)
        p_values.append(jm.likelihood_ratio_test(jm.fit(small, data), jm.fit(large, data), boundary=2).p_value)
    for level in (0.05, 0.2, 0.5):
        error = np.sqrt(level * (1 - level) / len(p_values))
        assert np.mean(np.array(p_values) <= level) == pytest.approx(level, abs=3.5 * error)


def test_a_boundary_is_told_in_few_reads_of_the_data(monkeypatch):
    """Counts that are Poisson's to a negative binomial: forty columns are asked whether they lead to infinity as well."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(6000, 40))
    y = rng.poisson(np.exp(0.1 * x[:, 0])).astype(float)
    passes, evaluate = [], Objective._evaluate

    def counted(self, *arguments):
        passes.append(len(self.parts[0].units))
        return evaluate(self, *arguments)

    monkeypatch.setattr(Objective, "_evaluate", counted)
    with pytest.warns(jm.FitWarning, match="dispersion → 0"):
        fit = jm.fit(jm.negative_binomial("y", mean=jm.Linear([1, "x"], link="log")), {"x": x, "y": y})
    assert fit.certificate.status == "boundary"
    poisson = jm.fit(jm.poisson("y", rate=jm.Linear([1, "x"], link="log")), {"x": x, "y": y})
    assert fit.log_likelihood == pytest.approx(poisson.log_likelihood, rel=1e-6)
    assert passes.count(6000) < 250

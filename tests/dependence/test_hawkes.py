"""Hawkes processes: against the double sum, the Poisson process, and their own simulations."""

import numpy as np
import pytest
import scipy.stats

import jaxmle as jm
from jaxmle.objective.rebuild import log_density_of

close = np.testing.assert_allclose

TRUTH = {"mu": 1.0, "branching": 0.6, "decay": 2.0}
WINDOW = (0.0, 300.0)


def double_sum(times: np.ndarray, mu: float, branching: float, decay: float, begin: float, end: float) -> float:
    """The log-likelihood by its definition, each event against all before it."""
    t = np.sort(times)
    since = np.subtract.outer(t, t)
    kernel = branching * decay * np.exp(-decay * np.abs(since))
    intensity = mu + np.where(since > 0, kernel, 0.0).sum(axis=1)
    passed = mu * (end - begin) + branching * (1 - np.exp(-decay * (end - t))).sum()
    return float(np.log(intensity).sum() - passed)


def at(times: np.ndarray, window: tuple, **params: float) -> float:
    model = jm.hawkes("t", window=window)
    return float(log_density_of(model, params, {"t": times}).sum())


@pytest.mark.parametrize("params", [TRUTH, {"mu": 0.2, "branching": 1.4, "decay": 30.0}])
def test_the_recursion_is_the_double_sum(params):
    rng = np.random.default_rng(0)
    times = 10 + rng.permutation(np.cumsum(rng.exponential(size=80) ** 3 + 1e-3))
    window = (9.0, float(times.max()) + 2.0)
    close(at(times, window, **params), double_sum(times, **params, begin=window[0], end=window[1]), rtol=1e-12)


def test_without_excitation_it_is_a_poisson_process():
    times = np.sort(np.random.default_rng(1).uniform(0, 50, 80))
    close(at(times, (0, 50), mu=1.7, branching=1e-300, decay=2.0), 80 * np.log(1.7) - 1.7 * 50, rtol=1e-13)


@pytest.fixture(scope="module")
def events():
    return jm.simulate_hawkes(**TRUTH, window=WINDOW, key=1)


@pytest.fixture(scope="module")
def fit(events):
    return jm.fit(jm.hawkes("t", window=WINDOW), {"t": np.random.default_rng(0).permutation(events)})


def test_estimates_are_near_the_truth_and_residual_times_exponential(fit, events):
    assert fit.converged
    for name, value in TRUTH.items():
        assert abs(np.log(fit.coef[name] / value)) < 3 * fit.std_errors[name] / fit.coef[name]
    close(fit.log_likelihood, double_sum(events, *(fit.coef[k] for k in TRUTH), *WINDOW), rtol=1e-9)
    residuals = fit.residuals("compensator")
    assert scipy.stats.kstest(residuals, "expon").pvalue > 0.01
    wrong = np.diff(np.sort(events)) * len(events) / WINDOW[1]  # of a Poisson process they are not
    assert scipy.stats.kstest(wrong, "expon").pvalue < 1e-6


def test_the_expected_number_of_events_is_explained(fit):
    """At the optimum the integral of the intensity is the number of events: the score of a common factor is zero."""
    mu, branching, decay = (fit.coef[k] for k in TRUTH)
    times = fit.session.used.numeric("t")
    passed = mu * WINDOW[1] + branching * (1 - np.exp(-decay * (WINDOW[1] - times))).sum()
    close(passed, len(times), rtol=1e-6)


def test_simulations_have_the_mean_of_the_process(fit):
    mu, n, decay, end = 0.8, 0.5, 1.5, 40.0
    expected = mu * (end / (1 - n) - n / (decay * (1 - n) ** 2) * -np.expm1(-decay * (1 - n) * end))
    counts = [len(jm.simulate_hawkes(mu, n, decay, (5.0, 5.0 + end), key)) for key in range(300)]
    assert abs(np.mean(counts) - expected) < 4 * np.std(counts) / np.sqrt(300)
    drawn = fit.simulate(3)
    assert (np.diff(drawn) > 0).all()
    assert drawn[0] > 0
    assert drawn[-1] <= 300


@pytest.mark.parametrize(
    ("make", "data", "error", "message"),
    [
        (lambda: jm.hawkes("t ~ x", window=(0, 1)), None, jm.ModelError, "name of the column"),
        (lambda: jm.hawkes("t", window=(1, 0)), None, jm.ModelError, "two numbers that rise"),
        (lambda: jm.hawkes("t", window=5), None, jm.ModelError, "two numbers that rise"),
        (lambda: jm.hawkes("t", window=(0, 1), kernel="power"), None, jm.ModelError, "kernel is"),
        (lambda: jm.hawkes("t", window=(0, 1), mu=-1.0), None, jm.ModelError, "mu of hawkes"),
        (lambda: jm.hawkes("t", window=(0, 4)), [1.0, 2.0, 5.0, 3.0], jm.DataError, r"outside the window.*row 2 \(5\)"),
        (lambda: jm.hawkes("t", window=(0, 4)), [1.0, 2.0, 1.0, 3.0], jm.DataError, "at one time in row 2"),
        (lambda: jm.hawkes("t", window=(0, 4)), [1.0, 2.0], jm.DataError, "more events"),
    ],
)
def test_what_is_refused(make, data, error, message: str):
    with pytest.raises(error, match=message):
        jm.fit(make(), {"t": np.array(data)})


def test_what_a_point_process_lacks(fit):
    with pytest.raises(jm.ModelError, match="compensator"):
        fit.residuals()
    with pytest.raises(jm.ModelError, match="none has a distribution"):
        fit.predict(what="mean")
    with pytest.raises(jm.DataError, match="leave out weights"):
        jm.fit(jm.hawkes("t", window=(0, 4)), {"t": np.arange(1.0, 4)}, weights=np.array([1, 2, 1]))

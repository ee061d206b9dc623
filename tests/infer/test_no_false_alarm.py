"""One hundred sound models: every fit is proved from the default start, and nothing is said against it."""

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import approx_fprime

import jaxmle as jm

from .sound import SOUND

SIZES = {0: 240, 1: 240, 2: 240, 3: 60, 4: 6000}
"""Rows by seed: sizes are shared, so that most fits compile nothing."""


@pytest.mark.parametrize("seed", SIZES)
@pytest.mark.parametrize("sound", SOUND, ids=lambda s: s.name)
def test_a_sound_model_is_proved(sound, seed):
    data = sound.simulate(np.random.default_rng(seed + 100), SIZES[seed])
    fit = jm.fit(sound.model, data, progress=False, **sound.options)  # a FitWarning would be an error
    assert fit.converged
    assert fit.certificate.cautions == ()
    assert all(np.isfinite(list(fit.std_errors.values())))
    assert fit.certificate.distance < 1e-6


@pytest.mark.parametrize("sound", SOUND, ids=lambda s: s.name)
def test_its_hessian_is_that_of_differences_of_the_log_density(sound):
    data = sound.simulate(np.random.default_rng(100), 240)
    fit = jm.fit(sound.model, data, progress=False)
    objective, z = fit.session.objective, fit.session.z
    metric = np.sqrt(np.diag(fit.session.hessian))
    score = lambda y: approx_fprime(y, lambda s: -objective.terms(z + s / metric).sum(), 1e-4)
    central = lambda i: (score(1e-3 * np.eye(len(z))[i]) - score(-1e-3 * np.eye(len(z))[i])) / 2e-3
    differences = np.stack([central(i) for i in range(len(z))])
    assert np.allclose(differences, fit.session.hessian / np.outer(metric, metric), atol=3e-3)


def test_a_few_rows_that_say_the_contrary_of_all_raise_no_alarm():
    """Counts that are nearly Poisson: in the rows looked at first, the curvature in the dispersion is negative."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60_000, 3))[:, 0]
    y = rng.poisson(np.exp(0.3 + 0.2 * x)).astype(float)
    fit = jm.fit(jm.negative_binomial("y ~ x"), {"x": x, "y": y}, progress=False)
    assert fit.converged
    a, mean = fit.coef["dispersion"], np.exp(fit.coef["mean[Intercept]"] + fit.coef["mean[x]"] * x)
    minus = lambda log_a: -stats.nbinom.logpmf(y, np.exp(-log_a), 1 / (1 + np.exp(log_a) * mean)).sum()
    at, step = np.log(a), 0.05
    curvature = (minus(at + step) - 2 * minus(at) + minus(at - step)) / step**2
    assert fit.log_likelihood == pytest.approx(-minus(at), rel=1e-9)
    assert (minus(at + step) - minus(at - step)) / (2 * step) == pytest.approx(0.0, abs=step**2 * curvature)
    assert fit.std_errors["dispersion"] == pytest.approx(a / np.sqrt(curvature), rel=0.02)

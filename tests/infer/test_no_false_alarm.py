"""One hundred sound models: every fit is proved from the default start, and nothing is said against it."""

import numpy as np
import pytest
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

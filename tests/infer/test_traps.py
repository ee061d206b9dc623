"""Every trap is caught: one status, words that name the culprits, and no standard error that means nothing."""

import warnings

import numpy as np
import pytest

import jaxmle as jm

from . import traps_derivatives, traps_identification, traps_limits, traps_mistakes
from .traps import Trap

TRAPS = traps_derivatives.TRAPS + traps_identification.TRAPS + traps_limits.TRAPS + traps_mistakes.TRAPS


@pytest.mark.parametrize("trap", TRAPS, ids=lambda t: t.name)
def test_trap_is_caught(trap: Trap):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("error")
        warnings.simplefilter("always", jm.FitWarning)
        fit = jm.fit(trap.model, trap.data, progress=False, **trap.options)
    certificate, said = fit.certificate, " ".join(str(w.message) for w in caught)
    assert certificate.status == trap.status, certificate
    assert fit.converged == (trap.status == "optimum")
    assert bool(caught) == (trap.status != "optimum" or bool(trap.caution))
    for words in trap.mentions + trap.caution:
        assert words in said
    assert bool(certificate.cautions) == bool(trap.caution)
    if trap.status != "optimum":
        assert certificate.reason in said
        assert certificate.remedy
        assert certificate.remedy in said
    errors = fit.std_errors
    nan = {name for name, error in errors.items() if np.isnan(error)}
    expected = set(errors) if trap.no_std_errors else set(trap.withheld)
    assert expected <= nan if trap.by_luck else expected == nan
    assert set(fit.withheld) == nan
    assert all(error > 0 for name, error in errors.items() if name not in nan)
    for name, value in trap.estimates.items():
        assert fit.coef[name] == pytest.approx(value, rel=trap.tolerance, abs=trap.tolerance)
    for name, value in trap.std_errors.items():
        if trap.by_luck and name in nan:
            continue
        assert errors[name] == pytest.approx(value, rel=trap.tolerance)


def test_there_are_enough():
    assert len(TRAPS) >= 70
    assert len({t.name for t in TRAPS}) == len(TRAPS)

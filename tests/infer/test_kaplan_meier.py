"""The product-limit estimate against published numbers and against R's survival package."""

import numpy as np
import pytest

import jaxmle as jm
from jaxmle.infer.kaplan_meier import kaplan_meier, observed_times

TIMES = np.array([6, 6, 6, 7, 10, 13, 16, 22, 23, 6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35])
"""Weeks of remission under 6-MP, the first nine ended by relapse (Freireich et al., 1963; Cox and Oakes, 1984, table 1.1)."""

RELAPSED = np.arange(21) < 9


def test_remission_under_6_mp():
    """Survival as in Cox and Oakes (1984, table 4.1); the rest by R's survfit(Surv(t, d) ~ 1, conf.type = "log-log")."""
    found = kaplan_meier(TIMES, RELAPSED)
    assert found.time.tolist() == [6, 7, 10, 13, 16, 22, 23]
    assert found.at_risk.tolist() == [21, 17, 15, 12, 11, 7, 6]
    assert found.events.tolist() == [3, 1, 1, 1, 1, 1, 1]
    assert found.survival.round(3).tolist() == [0.857, 0.807, 0.753, 0.690, 0.627, 0.538, 0.448]
    errors = [0.07636035, 0.08693529, 0.09634965, 0.10681471, 0.11405387, 0.12823375, 0.13459146]
    np.testing.assert_allclose(found.std_error, errors, atol=1e-8)
    low, high = found.confint()
    np.testing.assert_allclose(low[[0, -1]], [0.6197180, 0.1880520], atol=1e-7)
    np.testing.assert_allclose(high[[0, -1]], [0.9515517, 0.6801426], atol=1e-7)


ENTRY, END = np.array([0, 2, 1, 5, 3, 0, 4.0]), np.array([3, 5, 5, 9, 7, 2, 8.0])
EVENT, WEIGHTS = np.array([1, 1, 0, 1, 1, 1, 0], bool), np.array([1, 2, 1, 3, 1, 1, 2.0])


def test_late_entry_and_weights():
    """R: survfit(Surv(entry, end, event) ~ 1, weights = w)."""
    found = kaplan_meier(END, EVENT, ENTRY, WEIGHTS)
    np.testing.assert_allclose(found.survival, [2 / 3, 1 / 2, 1 / 3, 5 / 18, 0], atol=1e-12)
    np.testing.assert_allclose(found.std_error, [0.27216553, 0.25, 0.19245009, 0.16820280, np.nan], atol=1e-8)
    repeated = [np.repeat(v, WEIGHTS.astype(int)) for v in (END, EVENT, ENTRY)]
    np.testing.assert_allclose(kaplan_meier(*repeated).std_error, found.std_error)
    np.testing.assert_allclose(kaplan_meier(END, EVENT, ENTRY).survival, [2 / 3, 4 / 9, 1 / 3, 2 / 9, 0], atol=1e-12)


def test_the_times_of_a_fit_are_those_that_it_was_given():
    data = {"t": END, "died": EVENT, "from": ENTRY, "x": np.arange(7.0)}
    model = jm.censored(jm.exponential("t"), event="died", entry="from")
    time, event, entry = observed_times(jm.fit(model, data))
    assert time.tolist() == END.tolist()
    assert event.tolist() == EVENT.tolist()
    assert np.where(np.isinf(entry), 0, entry).tolist() == ENTRY.tolist()


def test_what_has_no_such_estimate_is_refused():
    with pytest.raises(jm.DataError, match="No event"):
        kaplan_meier(END, np.zeros(7, bool))
    tobit = jm.fit(jm.censored(jm.normal("y"), low=0.0), {"y": np.array([0.0, 0.0, 1.0, 2.0, 1.5])})
    with pytest.raises(jm.ModelError, match="from the left"):
        observed_times(tobit)

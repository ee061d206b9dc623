"""NumPy's matrix products use one thread in a fit, and as many as before afterwards."""

import os
import time

import numpy as np
import pytest

import jaxmle as jm
from jaxmle import blas, inference

found = blas.threads()
if found is None:
    pytest.skip("NumPy's matrix products here are not OpenBLAS's", allow_module_level=True)
switch: blas.Threads = found


@pytest.fixture
def three():
    """Three threads, as a user may have chosen."""
    before = switch.get()
    switch.set(3)
    yield
    switch.set(before)


def test_a_fit_uses_one_thread_and_leaves_what_it_found(three):
    data = {"y": np.random.default_rng(0).gamma(3.0, size=50)}
    seen = []
    jm.fit(jm.gamma("y"), data, start={"dispersion": 5.0}, callback=lambda _: seen.append(switch.get()))
    assert seen
    assert set(seen) == {1}
    assert switch.get() == 3


@pytest.mark.parametrize("kind", ["observed", "opg"])
def test_a_covariance_uses_one_thread_too(three, monkeypatch, kind):
    fit, seen = jm.fit(jm.gamma("y"), {"y": np.random.default_rng(0).gamma(3.0, size=50)}), []
    found = inference.covariance_of
    monkeypatch.setattr(inference, "covariance_of", lambda *args: (seen.append(switch.get()), found(*args))[1])
    assert np.isfinite(fit.covariance(kind)).all()
    assert set(seen) == {1}
    assert switch.get() == 3


def test_a_fit_that_fails_leaves_what_it_found(three):
    with pytest.raises(jm.DataError):
        jm.fit(jm.normal("y"), {"y": np.array([1.0, np.nan])})
    assert switch.get() == 3


def test_scopes_in_scopes_end_with_the_outermost(three):
    with blas.one_thread:
        with blas.one_thread:
            assert switch.get() == 1
        assert switch.get() == 1
    assert switch.get() == 3


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="the seconds of single threads are Linux' to tell")
def test_no_thread_waits_for_more_after_a_product(three):
    """The seconds that all other threads work in the pause after a product: outside about as many as it lasts."""
    x = np.random.default_rng(0).normal(size=(4000, 50))

    def waited() -> float:
        time.sleep(0.3)  # whoever waits has given up
        np.dot(x.T, x)
        before = time.process_time() - time.thread_time()
        time.sleep(0.1)
        return time.process_time() - time.thread_time() - before

    with blas.one_thread:
        assert min(waited() for _ in range(3)) < 0.02

"""The search that bears corners reaches published minima of functions that have some, and claims nothing there."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxmle.solve.corners import Corners, past_corners, weak_wolfe
from jaxmle.solve.newton import Newton
from jaxmle.solve.solver import DONE, FAILED, STALLED

from .functions import Smooth


def rosenbrock(z):
    """Lewis and Overton (2013), section 5.5: the minimum is 0 at (1, 1)."""
    return 8 * jnp.abs(z[0] ** 2 - z[1]) + (1 - z[0]) ** 2


def charalambous_bandler(z):
    """CB2 of Charalambous and Bandler (1976): 1.9522245 at (1.139, 0.8996)."""
    first = z[0] ** 2 + z[1] ** 4
    second = (2 - z[0]) ** 2 + (2 - z[1]) ** 2
    third = 2 * jnp.exp(-z[0] + z[1])
    return jnp.maximum(jnp.maximum(first, second), third)


def mifflin(z):
    """Mifflin's second function (Lukšan and Vlček, 2000): −1 at (1, 0)."""
    circle = z[0] ** 2 + z[1] ** 2 - 1
    return -z[0] + 2 * circle + 1.75 * jnp.abs(circle)


@pytest.mark.parametrize(
    ("function", "start", "value", "at"),
    [
        (rosenbrock, (-1.2, 1.0), 0.0, (1.0, 1.0)),
        (charalambous_bandler, (1.0, -0.1), 1.9522245, (1.139038, 0.899560)),
        (mifflin, (-1.0, -1.0), -1.0, (1.0, 0.0)),
    ],
)
def test_published_minima(function, start, value, at):
    end = Corners().minimise(Smooth(function, 2), np.array(start))
    assert end.value == pytest.approx(value, abs=1e-6)
    assert end.z == pytest.approx(at, abs=1e-3)


def test_smooth_ground_ends_by_the_gain():
    """A quadratic of condition 1e4 with its minimum at (3, −1)."""
    end = Corners().minimise(Smooth(lambda z: 5e3 * (z[0] - 3) ** 2 + 0.5 * (z[1] + 1) ** 2, 2), np.zeros(2))
    assert end.stop == DONE
    assert end.z == pytest.approx([3.0, -1.0], abs=1e-4)


def test_a_stalled_search_goes_on():
    """Newton's method stalls in the valley, whose curvature across is none; the minimum is at its end."""
    function = Smooth(rosenbrock, 2)
    stalled = Newton().minimise(function, np.array([-1.2, 1.0]))
    assert stalled.stop == STALLED
    assert stalled.value > 1e-3
    end = past_corners(function, stalled)
    assert end.value < 1e-6
    assert end.stop == STALLED
    assert end.n_steps > stalled.n_steps
    assert end.solver == stalled.solver
    assert "corners" in " ".join(end.notes)


def test_a_search_that_has_ended_is_left_alone():
    function = Smooth(lambda z: (z**2).sum(), 2)
    ended = Newton().minimise(function, np.ones(2))
    assert past_corners(function, ended) is ended


def test_no_gradient_to_begin_with():
    assert Corners().minimise(Smooth(lambda z: jnp.log(z[0]), 1), np.array([-1.0])).stop == FAILED


def test_the_line_search_crosses_a_corner():
    """|1 − t| from 0: the slope is −1 until the corner, so the step must pass it, but not by more than it fell."""
    line = lambda t: (abs(1 - t), -1.0 if t < 1 else 1.0)
    step = weak_wolfe(lambda t: line(1.7 * t), 1.0, -1.7)
    assert step is not None
    assert 1.0 <= 1.7 * step < 2.0
    assert weak_wolfe(lambda t: (1.0 + t, 1.0), 1.0, -1.0) is None

"""The drawing of intervals."""

import numpy as np
import pytest

from jaxmle.report.forest import Axis, axis_of, draw


def choose(low, high, location=True, constant=()):
    low, high = np.array(low, float), np.array(high, float)
    is_constant = np.isin(np.arange(len(low)), constant)
    return axis_of(low, high, np.full(len(low), location), is_constant)


def test_zero_is_on_the_axis_of_locations_only():
    assert choose([1, 2], [3, 4]) == Axis(0.0, 4.0)
    assert choose([1, 2], [3, 4], location=False) == Axis(1.0, 4.0)


def test_a_far_constant_term_is_left_out():
    assert choose([100, -1, 1], [101, 1, 3], constant=[0]) == Axis(-1.0, 3.0)
    assert choose([2, -1, 1], [4, 1, 3], constant=[0]) == Axis(-1.0, 4.0)


@pytest.mark.parametrize(
    ("low", "high"),
    [
        ([0], [1]),
        ([0, np.nan], [1, np.nan]),
        ([1e6, 0, 1e-6], [2e6, 1, 2e-6]),
        ([1, 1], [1, 1]),
        ([-np.inf, 0], [1, 1]),
    ],
)
def test_what_cannot_be_compared_is_not_drawn(low, high):
    assert choose(low, high, location=False) is None


def test_places_are_to_scale():
    assert draw(Axis(-10, 10), -5, 0, 5, 21) == "     ├────●────┤"
    assert draw(Axis(-10, 10), 1, 2, 3, 21) == " " * 10 + "┊├●┤"
    assert draw(Axis(-10, 10), 3.0, 3.1, 3.2, 21) == " " * 10 + "┊  ●"
    assert draw(Axis(0, 20), 15, 25, 35, 21) == "┊" + " " * 14 + "├────›"
    assert draw(Axis(0, 20), 25, 26, 27, 21) == "┊" + " " * 19 + "›"
    assert draw(Axis(1, 20), -9, -8, -7, 20) == "‹"
    assert draw(Axis(1, 20), np.nan, np.nan, np.nan, 20) == ""

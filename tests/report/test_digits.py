"""Numbers in print."""

import math

import pytest

from jaxmle.report import digits
from jaxmle.report.digits import decimals_of, end_of_interval, number, p_value, seconds, shared, z_value


@pytest.mark.parametrize(
    ("value", "std_error", "place"),
    [
        (1.02138, 0.0123, 4),
        (1.0, 0.0999999, 3),  # rounds to 0.100
        (1288.13968, 4.6648, 2),
        (-3482258.63, 890420.38, -3),
        (0.0, 2.5, 2),
        (1e15, 1e-5, -1),  # no more digits than a float has
        (2.0, math.nan, 5),
        (0.0, math.nan, 0),
        (math.nan, math.nan, 0),
        (1.0, 5e-324, 14),
    ],
)
def test_an_estimate_is_rounded_where_its_standard_error_has_three_digits(value, std_error, place):
    assert decimals_of(value, std_error) == place


def test_nearly_equal_places_become_one_and_far_ones_stay():
    assert shared([4, 5, 4]) == [4, 4, 4]
    assert shared([0, 4, 3]) == [0, 4, 3]
    assert shared([]) == []


@pytest.mark.parametrize(
    ("value", "place", "powers", "text"),
    [
        (-60613.534, 2, False, "−60,613.53"),
        (1.5, 4, False, "1.5000"),
        (-0.0001, 2, False, "0.00"),
        (1234.5, -2, False, "1,234"),
        (0.00055015643, 8, True, "5.5016e-4"),
        (6.727e-6, 8, True, "6.73e-6"),
        (-1.5e12, -9, True, "−1.500e12"),
        (0.0, 9, True, "0"),
        (math.nan, 3, False, digits.NONE),
        (-math.inf, 3, False, "−∞"),
    ],
)
def test_numbers(value, place, powers, text):
    assert number(value, place, powers) == text


def test_an_end_of_an_interval_is_zero_only_if_it_is():
    assert end_of_interval(0.00021, 2, False) == "0.00021"
    assert end_of_interval(3.2e-9, 2, False) == "3.2e-9"
    assert end_of_interval(0.0, 2, False) == "0.00"
    assert end_of_interval(0.21, 2, False) == "0.21"


@pytest.mark.parametrize(
    ("p", "text"),
    [
        (0.0, "<1e-16"),
        (9e-17, "<1e-16"),
        (2.4e-10, "2e-10"),
        (0.00096, "1e-3"),
        (0.0321, "0.032"),
        (1.0, "1.000"),
        (math.nan, ""),
    ],
)
def test_p_values(p, text):
    assert p_value(p) == text


def test_statistics():
    assert [z_value(z) for z in (1.959, -83.04, 12345.6, 2e9, math.nan)] == ["1.96", "−83.04", "12,346", "2.0e9", ""]


def test_durations():
    assert [seconds(t) for t in (0.00001, 0.003, 0.114, 4.24, 59.6, 245, math.nan)] == [
        "<0.1 ms", "3 ms", "0.11 s", "4.2 s", "60 s", "4 min 05 s", "—"
    ]  # fmt: skip


def test_counts():
    assert digits.count(1, "row") == "1 row"
    assert digits.count(20190.0, "row") == "20,190 rows"
    assert digits.count(1234.5, "observation") == "1,234.50 observations"

"""The line search meets the Wolfe conditions on functions made hard for it, and steps back from walls."""

import numpy as np
import pytest

from jaxmle.solve.linesearch import WolfeSearch


def counted(f):
    def line(step):
        line.steps.append(step)
        with np.errstate(all="ignore"):
            return f(step)

    line.steps = []
    return line


def rational(a, beta=2.0):  # Moré and Thuente (1994), equation 5.1
    return -a / (a**2 + beta), (a**2 - beta) / (a**2 + beta) ** 2


def quintic(a, beta=0.004):  # equation 5.2
    return (a + beta) ** 5 - 2 * (a + beta) ** 4, 5 * (a + beta) ** 4 - 8 * (a + beta) ** 3


def kinked(a, beta=0.01, waves=39):  # equation 5.3
    inside = abs(1 - a) < beta
    base = (a - 1) ** 2 / (2 * beta) + beta / 2 if inside else abs(1 - a)
    slope = (a - 1) / beta if inside else np.sign(a - 1)
    turn = waves * np.pi / 2
    return base + 2 * (1 - beta) / (waves * np.pi) * np.sin(turn * a), slope + (1 - beta) * np.cos(turn * a)


def yanai(a, b1=0.001, b2=0.01):  # equation 5.4, with the parameters of its fifth function
    g = lambda b: np.sqrt(1 + b**2) - b
    r1, r2 = np.sqrt((1 - a) ** 2 + b2**2), np.sqrt(a**2 + b1**2)
    return g(b1) * r1 + g(b2) * r2, g(b1) * (a - 1) / r1 + g(b2) * a / r2


@pytest.mark.parametrize("first", [1e-3, 1e-1, 1e1, 1e3])
@pytest.mark.parametrize("curvature", [0.9, 0.1])
@pytest.mark.parametrize("f", [rational, quintic, kinked, yanai], ids=lambda f: f.__name__)
def test_wolfe_conditions(f, first, curvature):
    value, slope = f(0.0)
    line = counted(f)
    found = WolfeSearch(curvature=curvature)(line, value, slope, first)
    assert found.value <= value + 1e-4 * found.step * slope
    assert abs(found.slope) <= curvature * abs(slope)
    assert (found.value, found.slope) == f(found.step)
    assert len(line.steps) <= 15


def test_a_good_first_step_is_taken_as_it_is():
    line = counted(lambda a: ((a - 1) ** 2, 2 * (a - 1)))
    assert WolfeSearch()(line, 1.0, -2.0).step == 1.0
    assert line.steps == [1.0]


@pytest.mark.parametrize("wall", [1e-8, 1e-3, 0.9])
@pytest.mark.parametrize("beyond", [np.nan, np.inf, -np.inf])
def test_steps_back_from_where_the_line_is_not_finite(wall, beyond):
    # a - log(wall - a): the minimum is close to the wall
    f = lambda a: (-5 * a - wall * np.log(wall - a), -5 + wall / (wall - a)) if a < wall else (beyond, beyond)
    value, slope = f(0.0)
    line = counted(f)
    found = WolfeSearch()(line, value, slope, 1.0)
    assert 0 < found.step < wall
    assert found.value < value
    assert abs(found.slope) <= 0.9 * abs(slope)


def test_a_finite_value_with_an_infinite_slope_is_a_wall_too():
    f = lambda a: ((a - 1) ** 2, 2 * (a - 1) if a < 0.8 else np.nan)
    assert WolfeSearch()(f, 1.0, -2.0, 1.0).step < 0.8


def test_longest_is_not_reached():
    line = counted(lambda a: (-a, -1.0))
    found = WolfeSearch()(line, 0.0, -1.0, 0.5, longest=2.0)
    assert max(line.steps) < 2.0
    assert found.step > 1.9  # no Wolfe point: the lowest there is


def test_no_descent_gives_none():
    assert WolfeSearch()(lambda a: (a, 1.0), 0.0, -1.0) is None
    assert WolfeSearch()(lambda a: (np.nan, np.nan), 0.0, -1.0) is None


@pytest.mark.parametrize("first", [0.3, 7.0, 30.0])
def test_slopes_decide_where_values_are_rounding_errors(first):
    # values of 1e6 with errors in the last places hide a fall of 1e-12; the minimum is at 2
    errors = lambda a: 1.2e-10 * (1 + int(a * 1e4) % 4)
    line = counted(lambda a: (1e6 + errors(a), 1e-12 * (a - 2)))
    found = WolfeSearch(curvature=0.1)(line, 1e6, -2e-12, first)
    assert found.step == pytest.approx(2.0, abs=0.2)
    assert len(line.steps) <= 8

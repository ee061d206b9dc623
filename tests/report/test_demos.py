"""The demos: their numbers hold, against what is known in closed form, and they draw."""

import re

import numpy as np
import pytest

from jaxmle.cli import main
from jaxmle.demos import DEMOS
from jaxmle.demos.stage import Numbers

TEACHING = [name for name in DEMOS if name not in ("certified", "hard")]

KNOWN = {
    "bias": {"average of the estimates": 4 * 9 / 10, "first sample": 1.1},  # (n - 1)/n of 4; 1 + 1/n
    "consistency": {"n = 25": 1.5 * 0.7797, "slope": -0.5},  # √6/π: the asymptotic variance of a Weibull's shape
    "normality": {"n = 5": 0.9562, "n = 200": 0.9503},  # P(|√n(1 - G/n)| < 1.96), G gamma of shape n
    "efficiency": {"n · variance of the mean": np.pi**2 / 3, "n · the Cramér": 3.0},
    "information": {"by the curvature": 1.0, "by the expected": 1.0},
    "clusters": {"log-likelihood": -215.726, "BIC of VVV": 574.0178, "adjusted Rand": 0.9039},  # mclust 6
    "digits": {"images read right": 0.98},  # of those not seen before
    "hidden": {"2 states": 342.3183, "3 states": 329.4603, "in state 0": 15.472, "in state 1": 26.125},  # published
    "images": {"pixels independent": 2.1707, "the network": 2.03, "add up to": 1.0},
    "names": {"perplexity of trigrams": 8.0148, "the same over": 0.93},  # of 27 signs
    "mixture": {"log-likelihood of two": -1989.946, "rate.0": 1.256, "rate.1": 2.663, "weight.0": 0.3599},
    "invariance": {"mean": 108.0833, "chance to last": np.exp(-100 / 108.0833)},  # Proschan's twelve hours
    "survival": {"by Efron": -85.00842, "each pair": np.log(3 / 18), "10 weeks, treated": 0.80262},  # R's survival
}


@pytest.mark.parametrize("name", TEACHING)
def test_a_teaching_demo_shows_what_it_says(name, tmp_path, capsys):
    path = tmp_path / "picture.png"
    assert main(["demo", name, "--save", str(path)]) == 0
    shown = capsys.readouterr().out
    assert path.read_bytes().startswith(b"\x89PNG")
    lines = re.findall(r"^(.*?)\s+(-?[\d.e+-]+)\s+(-?[\d.e+-]+)\s+([\d.e+-]+)  \S+$", shown, re.M)
    assert len(lines) >= 3
    for _, found, expected, within in lines:
        assert abs(float(found) - float(expected)) <= 1.5 * float(within) + 1e-4 * abs(float(expected))  # as printed
    for words, value in KNOWN[name].items():
        found, expected = next((f, e) for what, f, e, _ in lines if words in what)
        assert float(expected) == pytest.approx(value, rel=1e-3), words
        assert float(found) == pytest.approx(value, rel=0.16), words


def test_a_number_that_does_not_hold_is_seen(capsys):
    numbers = Numbers()
    numbers.compare("near", 1.0, 1.05, 0.1)
    assert numbers.hold
    numbers.compare("far", 1.0, 1.2, 0.1)
    assert not numbers.hold
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_the_list_and_a_wrong_name(capsys):
    assert main(["demo", "--list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(DEMOS)
    assert main(["demo", "biass"]) == 2
    assert "jaxmle demo --list" in capsys.readouterr().err

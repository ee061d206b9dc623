"""Hard likelihoods are solved or reported for what they are, each against an answer found without a search by jaxmle."""

import re
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import jaxmle as jm
from jaxmle.demos.hard import Outcome, attempt, show
from jaxmle.demos.hardness.ground import exact_powers
from jaxmle.demos.hardness.hard import REFUSED
from jaxmle.demos.hardness.optima import best_wave, mean_direction, summits_of_cauchy
from jaxmle.demos.hardness.table import all_of_them

HARD = {h.name: h for h in all_of_them()}


@pytest.mark.parametrize("name", HARD)
def test_it_is_solved_or_reported(name, capsys):
    outcome = attempt(HARD[name])
    assert outcome.status == HARD[name].status, outcome.words
    for words in HARD[name].says:
        assert words in outcome.words
    known = HARD[name].known()
    found = {} if outcome.fit is None else {"log_likelihood": outcome.fit.log_likelihood, **outcome.fit.coef}
    for what, value in known.items():
        assert found[what] == pytest.approx(value, rel=HARD[name].within), what
    if HARD[name].optima is not None:
        assert outcome.fit is not None
        assert len(outcome.fit.optima) == HARD[name].optima
    assert outcome.holds


def test_a_corner_is_no_way_to_infinity_whatever_the_last_digits():
    """The last steps of a search at a corner are short, and lead anywhere."""
    hard = HARD["least absolute deviations"]
    for k in range(20):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", jm.FitWarning)
            fit = jm.fit(hard.model, {**hard.data, "y": hard.data["y"] * (1 + 1e-9 * k)})
        assert fit.certificate.status == hard.status


def test_all_optima_of_the_cauchy_likelihood():
    """The score's numerator, expanded and solved as a polynomial: at its roots the derivative changes sign."""
    fit = attempt(HARD["Cauchy, six scattered numbers"]).fit
    assert fit is not None
    assert sorted(at["mu"] for _, at in fit.optima) == pytest.approx(np.sort(summits_of_cauchy()), rel=1e-6)


def test_what_is_known_is_known_elsewhere_too():
    """The answers that the table is compared with, against numbers that were worked out apart."""
    assert best_wave()["frequency"] == pytest.approx(1.1, abs=0.02)  # what the data were drawn with
    assert mean_direction()["direction"] == pytest.approx(np.angle(np.exp(1j * np.radians(
        [10, 25, 350, 40, 5, 60, 330, 15.0])).sum()))  # fmt: skip
    x = (np.arange(24) + 0.5) / 24
    y = np.round(np.exp(x) + 0.1 * np.cos(25 * x), 3)
    by_qr = np.linalg.lstsq(np.vander(x, 7, increasing=True), y, rcond=None)[0]
    assert list(exact_powers().values()) == pytest.approx(by_qr, rel=1e-7)


def test_a_wrong_answer_does_not_hold(capsys):
    hard = HARD["Rosenbrock's valley"]
    right = attempt(hard)
    off = Outcome(replace(hard, known=lambda: {"a": 1.1}), right.fit, right.words)
    assert right.holds
    assert not off.holds
    assert not Outcome(replace(hard, status=REFUSED), right.fit, right.words).holds
    show([right, off])
    shown = capsys.readouterr().out.splitlines()
    assert shown[1].endswith("✓")
    assert shown[2].endswith("✗")


def test_the_page_of_the_docs_has_this_table():
    text = (Path(__file__).parents[2] / "docs" / "hard.md").read_text()
    rows = re.findall(r"^\| ([^|]+) \| [^|]* \| ([^|:,]+)[^|]* \|$", text, re.M)[1:]
    said = {"optimum": "solved"}
    assert [(name, status.strip()) for name, status in rows if set(name) != {"-"}] == [
        (name, said.get(hard.status, hard.status.replace("_", " "))) for name, hard in HARD.items()
    ]

"""The benchmarks run, say what they measured, and never pass a wrong answer off as an equal one."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.cases import CASES
from benchmarks.peers import scipy_
from benchmarks.report import judge, table
from benchmarks.run import Outcome

ROOT = Path(__file__).parents[1]


def test_one_case_end_to_end(tmp_path):
    command = [sys.executable, "-m", "benchmarks", "weibull", "--quick", "--size", "300", "2", "--repeats", "2"]
    command += ["--tools", "jaxmle", "scipy", "--threads", "1", "--results", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    kept = json.loads((tmp_path / "latest.json").read_text())
    ours, theirs = kept["rows"]
    assert [ours["outcome"]["tool"], theirs["outcome"]["tool"]] == ["jaxmle", "scipy"]
    assert ours["verdict"] == theirs["verdict"] == "equal"
    assert max(ours["gap"], theirs["gap"]) < 1e-6 * 300
    for name in ("fresh", "cold", "warm", "cached", "cached_fresh", "peak_mb"):
        assert ours["outcome"][name] > 0, name
    assert ours["outcome"]["fresh"] > ours["outcome"]["cold"] > ours["outcome"]["warm"]
    assert len(ours["outcome"]["std_errors"]) == 2
    assert theirs["faster_warm"] == theirs["outcome"]["warm"] / ours["outcome"]["warm"]
    written = (tmp_path / "latest.md").read_text()
    assert written.strip() == done.stdout.strip()
    assert [line.split(" | ")[3] for line in written.splitlines() if line.startswith("| D")] == ["jaxmle", "scipy"]


@pytest.fixture(scope="module")
def answered():
    """A case, its data, and an outcome at the optimum that another tool would give too."""
    case = CASES["weibull"]
    data = case.simulate(300, 2)
    answer = scipy_.Adapter(case, data, 1, "").fit()
    good = Outcome("jaxmle", theta=answer.theta.tolist(), own_nll=answer.own_nll, fresh=2.0, warm=1.0)
    return case, data, good


def test_a_wrong_answer_is_said_loudly_and_no_speed_is_claimed(answered):
    case, data, good = answered
    off = [good.theta[0] + 0.01, *good.theta[1:]]
    wrong = replace(good, tool="scipy", theta=off, own_nll=case.nll(np.array(off), data), warm=50.0)
    ours, theirs = judge(case, data, [good, wrong])
    assert ours.equal
    assert theirs.wrong
    assert theirs.faster_warm is theirs.faster_fresh is None
    assert "**NOT EQUAL" in table([ours, theirs])
    ours, theirs = judge(case, data, [replace(wrong, tool="jaxmle"), replace(good, tool="scipy")])
    assert ours.wrong
    assert theirs.equal
    assert theirs.faster_warm is None


def test_another_objective_is_found_out(answered):
    case, data, good = answered
    rows = judge(case, data, [good, replace(good, tool="tmb", own_nll=good.own_nll - 1)])
    assert rows[1].wrong
    assert "**OTHER OBJECTIVE" in table(rows)


def test_what_is_missing_or_late_has_its_row(answered):
    case, data, good = answered
    late = replace(good, tool="statsmodels", status="timeout")
    text = table(judge(case, data, [good, Outcome("tmb", "not installed"), Outcome("scipy", "timeout"), late]))
    assert "| not installed |" in text
    assert "| timeout |" in text
    assert "equal; timeout" in text


@pytest.mark.parametrize("name", CASES)
def test_the_analytic_gradients_are_those_of_the_neutral_objective(name):
    case = CASES[name]
    data = case.simulate(200, 3)
    peer = scipy_.Adapter(case, data, 1, "")
    z = np.concatenate([[0.4, 0.1, -0.2], [0.3] * len(case.extras)])
    if name == "gev":
        z[-2:] = 0.6, 0.1
    theta = np.where(peer.logs, np.exp(z), z)
    value, gradient = peer.objective(z)
    assert value * 200 == pytest.approx(case.nll(theta, data), rel=1e-12)
    step = 1e-5 * np.eye(len(z))
    slopes = [(peer.objective(z + h)[0] - peer.objective(z - h)[0]) / 2e-5 for h in step]
    np.testing.assert_allclose(gradient, slopes, rtol=1e-6, atol=1e-8)


def test_an_unknown_case_is_refused():
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "wiebull"], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "no case wiebull" in done.stderr

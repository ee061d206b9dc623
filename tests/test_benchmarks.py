"""The benchmarks run, say what they measured, and never pass a wrong answer off as an equal one."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import optimize, stats

from benchmarks.__main__ import listing
from benchmarks.cases import CASES
from benchmarks.glms import GLMS
from benchmarks.peers import PEERS, adapt, missing, package, scipy_
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


def test_a_tool_without_a_likelihood_of_its_own_is_judged_by_the_neutral_one(answered):
    case, data, good = answered
    theirs = judge(case, data, [good, replace(good, tool="glum", own_nll=None, tolerance=3e-4)])[1]
    assert theirs.equal
    assert "| 3e-04 |" in table([theirs])


def test_what_is_missing_or_late_has_its_row(answered):
    case, data, good = answered
    late = replace(good, tool="statsmodels", status="timeout")
    absent = Outcome("tmb", "not installed: R with the package TMB")
    text = table(judge(case, data, [good, absent, Outcome("scipy", "timeout"), late]))
    assert "| not installed: R with the package TMB |" in text
    assert "| timeout |" in text
    assert "equal; timeout" in text


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if "scipy" in case.peers])
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


def by_scipy(name, theta, data):
    """The same objectives by SciPy's densities."""
    y, kind = data["y"], name.split("_")[0]
    eta = theta[0] + data["X"] @ theta[1:] if name in GLMS else data["X"] @ theta[: data["X"].shape[1]]
    extras = theta[data["X"].shape[1] :]
    if kind == "logistic":
        return stats.bernoulli.logpmf(y.astype(int), 1 / (1 + np.exp(-eta))).sum()
    if kind == "poisson":
        return stats.poisson.logpmf(y, np.exp(eta)).sum()
    if kind == "gamma":

        def loss(log_k):
            return -stats.gamma.logpdf(y, np.exp(log_k), scale=np.exp(eta - log_k)).sum()

        return -optimize.minimize_scalar(loss, bounds=(-5, 5), method="bounded", options={"xatol": 1e-9}).fun
    if kind == "negbin":
        return stats.nbinom.logpmf(y, 1 / extras[0], 1 / (1 + extras[0] * np.exp(eta))).sum()
    if kind == "weibull":
        law = stats.weibull_min(1 / extras[0], scale=np.exp(eta))
        return np.where(data["event"] == 1, law.logpdf(y), law.logsf(y)).sum()
    if name == "student_t":
        return stats.t.logpdf(y, extras[1], eta, extras[0]).sum()
    return stats.genextreme.logpdf(y, -extras[1], eta, extras[0]).sum()


@pytest.mark.parametrize("name", CASES)
def test_the_neutral_objective_is_that_of_scipys_densities(name):
    case = CASES[name]
    data = case.simulate(300, 3)
    theta = np.concatenate([[0.4, 0.1, -0.2], list(case.extras.values())])
    assert case.shape(data) == (300, 3)
    assert case.nll(theta, data) == pytest.approx(-by_scipy(name, theta, data), rel=1e-11)


@pytest.mark.parametrize("name", [name for name in GLMS if name.endswith("_b")])
def test_every_installed_tool_reaches_the_neutral_optimum(name):
    case = CASES[name]
    data = case.simulate(400, 4)
    lowest = case.optimum(data)
    answers = {}
    for tool in (t for t in case.peers if missing(t) is None):
        adapter = adapt(tool, case, data, 1, "")
        assert list(adapter.tolerances) == sorted(adapter.tolerances, reverse=True)
        adapter.tolerance = adapter.tolerances[-1]
        answers[tool] = adapter.fit()
        assert case.nll(answers[tool].theta, data) == pytest.approx(lowest, abs=1e-7), tool
        assert len(answers[tool].theta) == 4
        if answers[tool].own_nll is not None:
            assert answers[tool].own_nll == pytest.approx(lowest, abs=1e-6), tool
    told = {tool for tool, answer in answers.items() if answer.std_errors is not None}
    assert told == {"jaxmle", "statsmodels", "statsmodels-glm", "glum-errors"} & set(answers)
    for tool in told:  # Pearson's dispersion and the expected information differ a little
        np.testing.assert_allclose(answers[tool].std_errors, answers["jaxmle"].std_errors, rtol=0.2)


@pytest.mark.parametrize("kind", ["logistic", "poisson", "gamma"])
def test_the_neutral_optimum_is_a_minimum(kind):
    case = CASES[f"{kind}_b"]
    data = case.simulate(300, 3)
    found = optimize.minimize(case.nll, case.start(data), args=(data,), method="BFGS", options={"gtol": 1e-5})
    assert case.optimum(data) == pytest.approx(found.fun, abs=1e-6)


def test_the_tolerance_is_the_loosest_that_reaches_the_optimum(tmp_path):
    pytest.importorskip("sklearn", reason="scikit-learn is an extra")
    command = [sys.executable, "-m", "benchmarks", "poisson_b", "--size", "300", "3", "--repeats", "1"]
    command += ["--tools", "sklearn-newton", "--threads", "1", "--results", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, capture_output=True, check=False, timeout=120)
    outcome = json.loads((tmp_path / "latest.json").read_text())["rows"][0]["outcome"]
    tried = outcome["notes"]["tolerances_tried"]
    assert outcome["tolerance"] == tried[-1]["tolerance"]
    assert tried[-1]["gap"] <= 0 < tried[0]["gap"]
    assert all(earlier["gap"] > 0 for earlier in tried[:-1])


def test_the_list_names_every_case_and_tool():
    text = listing()
    assert all(name in text for name in CASES)
    assert {package(tool) for tool in PEERS} >= {package(t) for case in CASES.values() for t in case.peers}

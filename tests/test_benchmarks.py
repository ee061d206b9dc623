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

import jaxmle as jm
from benchmarks import gpu, growth
from benchmarks.__main__ import listing
from benchmarks.cases import CASES
from benchmarks.compare import compare
from benchmarks.glms import GLM
from benchmarks.peers import scipy_
from benchmarks.peers.registry import PEERS, adapt, missing, package
from benchmarks.report import Row, judge, table
from benchmarks.run import Outcome
from benchmarks.targets import verdicts
from jaxmle.objective.rebuild import log_density_of

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
    for name in ("fresh", "cold", "warm", "cached", "cached_fresh", "peak_mb", "first_peak_mb", "data_mb", "before_mb"):
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
    theta = case.natural(z)
    np.testing.assert_allclose(case.searched(theta), z, rtol=1e-12)
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


def by_scipy(case, theta, data):
    """The same objectives by SciPy's densities."""
    y, kind = data["y"], getattr(case, "kind", case.name)
    p = data["X"].shape[1]
    eta = theta[0] + data["X"] @ theta[1:] if isinstance(case, GLM) else data["X"] @ theta[:p]
    extras = theta[p:]
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
    if kind == "zero_inflated":
        return np.log(extras[0] * (y == 0) + (1 - extras[0]) * stats.poisson.pmf(y, np.exp(eta))).sum()
    if kind == "beta":
        mean = 1 / (1 + np.exp(-eta))
        return stats.beta.logpdf(y, mean * extras[0], (1 - mean) * extras[0]).sum()
    if kind == "weibull":
        law = stats.weibull_min(1 / extras[0], scale=np.exp(eta))
        return np.where(data["event"] == 1, law.logpdf(y), law.logsf(y)).sum()
    if kind == "student_t":
        return stats.t.logpdf(y, extras[1], eta, extras[0]).sum()
    return stats.genextreme.logpdf(y, -extras[1], eta, extras[0]).sum()


SIMPLE = [name for name, case in CASES.items() if case.row not in "ELMNS"]


@pytest.mark.parametrize("name", SIMPLE)
def test_the_neutral_objective_is_that_of_scipys_densities(name):
    case = CASES[name]
    data = case.simulate(300, 3)
    theta = np.concatenate([[0.4, 0.1, -0.2], list(case.extras.values())])
    assert case.shape(data) == (300, 3)
    assert case.nll(theta, data) == pytest.approx(-by_scipy(case, theta, data), rel=1e-11)


def test_the_neutral_objective_of_series_is_their_own():
    """Of jaxmle's models at the same parameters, which tests/series holds to arch and hmmlearn."""
    for name, theta in (("garch", [0.1, 0.2, 0.15, 0.7]), ("hidden_poisson", [14.0, 24.0, 0.9, 0.8])):
        case = CASES[name]
        data = case.simulate(200, 4)
        if name == "garch":
            model, params = jm.garch("y"), dict(zip(case.NAMES, theta))
        else:
            model = jm.hidden_markov(jm.poisson("y"), states=2, initial="free")
            params = {"rate.0": 14.0, "rate.1": 24.0, "transition": [[0.9, 0.1], [0.2, 0.8]], "initial": [0.5, 0.5]}
        expected = -log_density_of(model, params, data).sum()
        assert case.shape(data) == (200, 4)
        assert case.nll(np.array(theta), data) == pytest.approx(expected, rel=1e-11)


def test_the_neutral_objective_of_bootstrap_samples_is_that_of_their_rows():
    case = CASES["bootstrap"]
    data = case.simulate(20_000, 3)
    theta = np.random.default_rng(0).normal(size=(1000, 3))
    rows = np.repeat(np.arange(20), data["counts"][7])
    eta = theta[7, 0] + data["X"][rows] @ theta[7, 1:]
    expected = -stats.bernoulli.logpmf(data["y"][rows], 1 / (1 + np.exp(-eta))).sum()
    assert case.parts(theta.ravel(), data)[7] == pytest.approx(expected, rel=1e-11)


def test_clusters_of_two_tools_are_equal():
    case = CASES["clusters"]
    data = case.simulate(3_000, 2)
    start = case.start(data)
    weight, mean, covariance = data["weight"], data["mean"], data["covariance"]
    density = sum(w * stats.multivariate_normal(m, s).pdf(data["X"]) for w, m, s in zip(weight, mean, covariance))
    assert case.nll(start, data) == pytest.approx(-np.log(density).sum(), rel=1e-12)
    ours = adapt("jaxmle", case, data, 1, "").fit()
    assert ours.own_nll == pytest.approx(case.nll(ours.theta, data), rel=1e-11)
    assert ours.own_nll < case.nll(start, data)
    assert ours.proved
    if missing("sklearn-em") is None:
        peer = adapt("sklearn-em", case, data, 1, "").fit()
        assert case.nll(peer.theta, data) == pytest.approx(ours.own_nll, abs=1e-6 * 3_000)


def test_many_fits_are_judged_one_by_one():
    case = CASES["many"]
    data = case.simulate(3 * 200, 3)
    assert case.shape(data) == (600, 3)
    theta = np.random.default_rng(1).normal(size=9) / 4
    one = CASES["logistic_b"]
    parts = [one.nll(theta[3 * g : 3 * g + 3], {"X": data["X"][g], "y": data["y"][g]}) for g in range(3)]
    np.testing.assert_allclose(case.parts(theta, data), parts, rtol=1e-13)
    lowest = [one.optimum({"X": data["X"][g], "y": data["y"][g]})[0] for g in range(3)]
    np.testing.assert_allclose(case.optimum(data), lowest, atol=1e-8)

    best = adapt("statsmodels", case, data, 1, "").fit() if missing("statsmodels") is None else None
    if best is None:
        pytest.skip("statsmodels is an extra")
    assert best.own_nll == pytest.approx(sum(lowest), abs=1e-6)
    off = (
        best.theta + np.eye(9)[8] * 0.01
    )  # only the last data set is off, and by less than 1e-6 of all rows of ten thousand
    rows = judge(case, data, [Outcome("jaxmle", theta=off.tolist()), Outcome("glum", theta=best.theta.tolist())])
    assert [row.verdict[:5] for row in rows] == ["NOT E", "equal"]


@pytest.fixture(scope="module", params=["flights", "motor"])
def tabular(request):
    case = CASES[request.param]
    if (reason := case.lacks()) is not None:
        pytest.skip(reason)
    pytest.importorskip("pandas", reason="pandas is an extra")
    data = case.simulate(1_000, 0)
    return case, data, case.optimum(data)


def test_tables_have_one_design_in_three_forms(tabular):
    case, data, _ = tabular
    n, p = case.shape(data)
    theta = np.random.default_rng(2).normal(size=p) / 5
    dense = case.design(data)
    assert dense.shape == (n, p - 1)
    np.testing.assert_array_equal(case.design(data, "sparse").toarray(), dense)
    eta = theta[0] + dense @ theta[1:] + (0 if case.offset(data) is None else np.log(data["exposure"]))
    np.testing.assert_allclose(case.predictor(theta, data), eta, atol=1e-12)
    law = stats.bernoulli(1 / (1 + np.exp(-eta))) if case.kind == "logistic" else stats.poisson(np.exp(eta))
    assert case.nll(theta, data) == pytest.approx(-law.logpmf(data["y"].astype(int)).sum(), rel=1e-11)
    frame = case.design(data, "frame")
    assert [len(frame[name].cat.categories) for name in case.factors] == case.levels(data).tolist()


def test_the_optimum_of_a_table_is_a_minimum_that_its_tools_reach(tabular):
    case, data, lowest = tabular
    for tool in (t for t in ("sklearn-newton", "glum", "statsmodels") if t in case.peers and missing(t) is None):
        adapter = adapt(tool, case, data, 1, "")
        adapter.tolerance = 1e-8
        assert case.nll(adapter.fit().theta, data) == pytest.approx(lowest[0], abs=1e-5), tool


@pytest.mark.parametrize("name", [name for name in CASES if name.endswith("_b")])
def test_every_installed_tool_reaches_the_neutral_optimum(name):
    case = CASES[name]
    data = case.simulate(400, 4)
    lowest = case.optimum(data)[0]
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
    assert case.optimum(data)[0] == pytest.approx(found.fun, abs=1e-6)


def test_the_tolerance_is_the_loosest_that_reaches_the_optimum(tmp_path):
    pytest.importorskip("sklearn", reason="scikit-learn is an extra")
    command = [sys.executable, "-m", "benchmarks", "poisson_b", "--size", "300", "3", "--repeats", "1"]
    command += ["--tools", "sklearn-newton", "--threads", "1", "--results", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, capture_output=True, check=False, timeout=120)
    outcome = json.loads((tmp_path / "latest.json").read_text())["rows"][0]["outcome"]
    tried = outcome["notes"]["tolerances_tried"]
    assert outcome["tolerance"] == tried[-1]["tolerance"]
    assert tried[-1]["gap"] <= 0.9e-6 < tried[0]["gap"]
    assert all(earlier["gap"] > 0.9e-6 for earlier in tried[:-1])
    assert outcome["to_rough"] == min(t["seconds"] for t in tried if t["gap"] <= 1e-2)


def test_the_list_names_every_case_and_tool():
    text = listing()
    assert all(name in text for name in CASES)
    assert {package(tool) for tool in PEERS} >= {package(t) for case in CASES.values() for t in case.peers}


def results(machine, **seconds):
    """Results of two tools on one case, as kept in JSON."""
    rows = [
        {"case": "negbin", "n": 100, "p": 5, "verdict": "equal", "outcome": {"tool": tool} | times}
        for tool, times in seconds.items()
    ]
    return {"machine": dict(processor="A", cores=2, threads=2, system="Linux") | machine, "rows": rows}


def test_regressions_are_found_by_seconds_on_one_machine():
    old = results({}, jaxmle={"warm": 1.0, "fresh": 2.0, "cached_fresh": None}, scipy={"warm": 1.0})
    new = results({}, jaxmle={"warm": 1.1, "fresh": 2.5, "cached_fresh": 1.0}, scipy={"warm": 9.0})
    found = compare(old, new)
    assert [line.split(":")[0] for line in found.regressions] == ["negbin 100×5, in a fresh process"]
    assert "SLOWER" in str(found)
    assert compare(new, old).improvements
    assert "Other work" not in str(found)
    assert "Other work" in str(compare(old | {"machine": old["machine"] | {"load_before": 3.0}}, new))
    assert not compare(old, old).regressions
    new["rows"][0]["verdict"] = "timeout"
    assert "was equal" in compare(old, new).regressions[0]


def test_regressions_on_another_machine_are_relative_to_the_peers():
    old = results({}, jaxmle={"warm": 1.0}, scipy={"warm": 1.0})
    slower = {"processor": "B"}
    found = compare(old, results(slower, jaxmle={"warm": 2.0}, scipy={"warm": 2.0}))
    assert not found.regressions
    assert "machines differ" in str(found)
    assert compare(old, results(slower, jaxmle={"warm": 2.0}, scipy={"warm": 1.0})).regressions
    assert "no peer" in str(compare(old, results(slower, jaxmle={"warm": 9.0})))


def row_of(row, n, tool, **outcome):
    return Row(row, "growth", n, 10, Outcome(tool, **outcome), verdict="equal")


def test_growth_has_a_slope_and_a_picture(tmp_path):
    rows = [row_of("K", n, tool, warm=s * n) for n in (10**3, 10**4, 10**5) for tool, s in (("jaxmle", 1), ("glum", 2))]
    found = growth.slopes(rows)
    assert found["jaxmle"] == pytest.approx((1.0, 1.0))
    assert "glum 1.00" in growth.in_words(rows)
    assert verdicts(rows) == ["K growth: slope 1.00 (aim 0.95 to 1.05): reached"]
    assert growth.draw([], tmp_path / "none.png") == growth.in_words([]) == ""
    pytest.importorskip("matplotlib", reason="matplotlib is an extra")
    assert growth.draw(rows, tmp_path / "scaling.png") == "Picture: scaling.png"
    assert (tmp_path / "scaling.png").read_bytes().startswith(b"\x89PNG")


def test_targets_say_what_was_reached_and_missed():
    first = row_of("F", 200, "jaxmle", fresh=2.0, cached_fresh=1.5)
    memory = row_of("J", 10**6, "jaxmle", data_mb=400.0, before_mb=550.0, first_peak_mb=700.0)
    large = row_of("A", 10**6, "jaxmle", warm=1.0)
    large.floor = 0.25
    assert "4 (aim ≤ 3): MISSED" in verdicts([large])[0]
    lines = verdicts([first, memory])
    assert [line.rsplit(" ", 1)[1] for line in lines] == ["reached", "MISSED", "reached", "reached"]
    assert "550 (aim ≤ 720)" in lines[3]


def test_without_a_gpu_nothing_is_measured(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(gpu, "at_hand", lambda: None)
    assert gpu.main(["--results", str(tmp_path)]) == 0
    assert capsys.readouterr().out.startswith("No GPU is at hand")
    assert not list(tmp_path.iterdir())
    assert gpu.peak_of("NVIDIA H100 80GB HBM3") == 3.35e12
    assert gpu.peak_of("a card of next year") is None


def test_the_gpu_is_held_against_the_cpu():
    one = {"value": np.array(2.0), "gradient": np.array([1.0, -4.0]), "hessian": np.eye(2)}
    one |= {"estimates": np.array([0.0, 3.0]), "errors": np.array([0.1, 0.2])}
    other = one | {"gradient": np.array([1.0 + 4e-9, -4.0]), "estimates": np.array([1e-10, 3.0])}
    found = gpu.differences(other, one)
    assert found == pytest.approx(
        {"value": 0, "gradient": 1e-9, "hessian": 0, "estimates": 1e-9, "errors": 0}, rel=1e-6
    )
    side = {"warm": 1.0, "gradient_pass": 0.01, "bytes": 8e9}
    row = {"row": "I", "case": "logistic_i", "n": 10, "p": 2, "device": side, "cpu": side, "differences": found}
    text = gpu.table([row | {"status": "DIFFERS", "faster": 20.0, "bandwidth": 8e11, "of_peak": 0.6}])
    assert "| **DIFFERS (1e-09)** |" in text
    assert "| 800 | 60 % |" in text

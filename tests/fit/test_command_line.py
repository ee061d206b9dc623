"""`jaxmle fit`, `predict` and `families`, as typed in a shell."""

import io
import json
import sys

import numpy as np
import pandas as pd
import pyarrow.feather
import pytest

import jaxmle as jm
from jaxmle import cli


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    rng = np.random.default_rng(0)
    n = 200
    data = pd.DataFrame(
        {"age": rng.integers(20, 70, n), "site": rng.choice(["A", "B", "C"], n), "w": rng.integers(1, 3, n)}
    )
    data["visits"] = rng.poisson(np.exp(0.2 + 0.01 * data["age"]))
    data["died"] = rng.integers(0, 2, n)
    data["time"] = rng.weibull(1.5, n) * 10 + 0.1
    folder = tmp_path_factory.mktemp("cli")
    data.to_csv(folder / "data.csv", index=False)
    data.to_parquet(folder / "data.parquet")
    pyarrow.feather.write_feather(data, folder / "data.arrow")
    return folder


def run(*arguments):
    return cli.main([str(a) for a in arguments])


@pytest.fixture(scope="module")
def data(folder):
    return pd.read_csv(folder / "data.csv")


def test_fit_prints_what_python_prints(folder, data, capsys):
    out, saved = folder / "out.json", folder / "fit.jaxmle"
    command = ("fit", "poisson", "visits ~ age + C(site)", folder / "data.csv", "--weights", "w", "--json", out)
    assert run(*command, "--save", saved) == 0
    fit = jm.fit(jm.poisson("visits ~ age + C(site)"), data, weights="w")
    shown = capsys.readouterr()
    assert shown.out.splitlines()[:9] == str(fit).splitlines()[:9]
    assert shown.err == ""
    answer = json.loads(out.read_text())
    assert answer["converged"] is True
    assert answer["covariance"] == "observed"
    assert answer["log_likelihood"] == pytest.approx(fit.log_likelihood)
    assert {c["term"]: c["estimate"] for c in answer["coefficients"]} == pytest.approx(dict(fit.coef))
    low, high = fit.confint()["rate[age]"]
    age = next(c for c in answer["coefficients"] if c["term"] == "rate[age]")
    assert (age["std_error"], age["conf_low"], age["conf_high"]) == pytest.approx(
        (fit.std_errors["rate[age]"], low, high)
    )
    assert run("predict", saved, folder / "data.parquet", "--se") == 0
    table = pd.read_csv(io.StringIO(capsys.readouterr().out))
    np.testing.assert_allclose(table.to_numpy(), np.transpose(fit.predict(data, se=True)))


@pytest.mark.parametrize("name", ["data.parquet", "data.arrow"])
def test_other_formats_are_read(folder, data, name, capsys):
    assert run("fit", "poisson", "visits ~ age", folder / name, "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    fit = jm.fit(jm.poisson("visits ~ age"), data)
    assert answer["log_likelihood"] == pytest.approx(fit.log_likelihood)


def test_the_standard_input_is_csv(folder, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO((folder / "data.csv").read_bytes())))
    assert run("fit", "poisson", "visits ~ 1", "-") == 0
    assert "optimum proved" in capsys.readouterr().out


def test_other_parameters_censoring_and_zeros(folder, data, capsys):
    path = folder / "data.csv"
    assert run("fit", "weibull", "time ~ age", path, "--event", "died", "--param", "shape=~ site", "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    fit = jm.fit(jm.censored(jm.weibull("time ~ age", shape="~ site"), event="died"), data)
    assert answer["log_likelihood"] == pytest.approx(fit.log_likelihood)
    assert run("fit", "normal", "time", path, "--param", "sd=3.0", "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert [c["term"] for c in answer["coefficients"]] == ["mean"]
    assert run("fit", "poisson", "visits ~ age", path, "--covariance", "HC0", "--cluster", "site", "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    fit = jm.fit(jm.poisson("visits ~ age"), data)
    se = np.sqrt(np.diag(fit.covariance("HC0", cluster="site")))
    assert [c["std_error"] for c in answer["coefficients"]] == pytest.approx(list(se))


def test_what_did_not_converge_is_status_one(folder, capsys):
    separated = pd.DataFrame({"y": [0] * 10 + [1] * 10, "x": range(20)})
    separated.to_csv(folder / "separated.csv", index=False)
    assert run("fit", "bernoulli", "y ~ x", folder / "separated.csv", "--json") == 1
    shown = capsys.readouterr()
    answer = json.loads(shown.out)
    assert answer["status"] == "no_finite_maximum"
    assert answer["coefficients"][0]["std_error"] is None
    assert "separation" in shown.err
    assert run("fit", "bernoulli", "y ~ x", folder / "separated.csv", "--penalty", "firth") == 0


WRONG = [
    (("fit", "poison", "visits ~ age", "data.csv"), "Did you mean 'poisson'"),
    (("fit", "poisson", "visits ~ agee", "data.csv"), "Did you mean 'age'"),
    (("fit", "poisson", "visits ~ age", "nothing.csv"), "no file"),
    (("fit", "poisson", "visits ~ age", "data.txt.gz"), "ends in one of"),
    (("fit", "poisson", "visits ~ __import__('os').system('touch pwned')", "data.csv"), "no Python"),
    (("fit", "poisson", "visits ~ age", "data.csv", "--param", "rate"), "NAME=FORMULA"),
    (("fit", "poisson", "site ~ age", "data.csv"), "site"),
    (("predict", "data.csv", "data.csv"), "not a fit saved"),
    (("predict", "nothing.jaxmle", "data.csv"), "nothing.jaxmle"),
    (("families", "gama"), "Did you mean 'gamma'"),
]


@pytest.mark.parametrize(("command", "words"), WRONG, ids=lambda x: x if isinstance(x, str) else None)
def test_bad_input_is_one_line_and_status_two(folder, command, words, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    assert run(*command) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert words in shown.err
    assert shown.err.startswith("jaxmle: ")
    assert shown.err.count("\n") == 1
    assert not (folder / "pwned").exists()


def test_a_damaged_table_is_said_to_be_one(folder, capsys):
    (folder / "bad.parquet").write_bytes(b"no parquet")
    assert run("fit", "poisson", "visits ~ age", folder / "bad.parquet") == 2
    assert "cannot be read as parquet" in capsys.readouterr().err


def test_every_family_is_listed_with_its_parameters(capsys):
    assert run("families") == 0
    text = capsys.readouterr().out
    assert "negative_binomial        mean (log), dispersion (log)" in text
    assert len(text.splitlines()) >= 30
    assert run("families", "gamma") == 0
    assert "dispersion" in capsys.readouterr().out

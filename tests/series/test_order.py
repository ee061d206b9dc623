"""What is wrong with a series, said in one message before anything is compiled."""

import numpy as np
import pytest

import jaxmle as jm

from .numbers import EARTHQUAKES, HURON

YEARS = np.arange(1875, 1973)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: jm.ar("y", order=0), "order to be a whole number of at least 1"),
        (lambda: jm.ar("y", order=True), "whole number"),
        (lambda: jm.ar(["y", "z"]), "one response"),
        (lambda: jm.ar("y", time=3), "name of a column"),
        (lambda: jm.ar("y", sd="~ x"), "same in all rows"),
        (lambda: jm.ar("y", ar=[1.2]), "stationary autoregression"),
        (lambda: jm.arma("y", order=2), r"order=\(p, q\)"),
        (lambda: jm.arma("y", order=(0, 0)), "no dependence"),
        (lambda: jm.arma("y", order=(1, 0), ma=[0.2]), "no coefficients 'ma'"),
        (lambda: jm.garch("y", order=(0, 1)), "at least 1"),
        (lambda: jm.garch("y", errors="cauchy"), "'student_t'"),
        (lambda: jm.garch("y", df=4), "df with errors"),
        (lambda: jm.garch("y", omega="~ x"), "same in all rows"),
        (lambda: jm.garch("y", alpha=-1), "positive number"),
        (lambda: jm.hidden_markov("y"), "takes a model"),
        (lambda: jm.hidden_markov(jm.poisson("y"), states=1), "at least 2"),
        (lambda: jm.hidden_markov(jm.poisson("y"), initial="any"), "'stationary'"),
        (lambda: jm.hidden_markov(jm.ar("y")), "seen as it is"),
        (lambda: jm.hidden_markov(jm.poisson("y"), transition=[[0.5, 0.6], [0.5, 0.5]]), "sum to one"),
        (lambda: jm.mixture(jm.ar("y"), components=2), "goes inside"),
    ],
)
def test_models_that_make_no_sense(make, words):
    with pytest.raises(jm.ModelError, match=words):
        make()


def moved(values, at, by):
    out = np.array(values, float)
    out[at] += by
    return out


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"year": YEARS[::-1]}, "does not go forward in row"),
        ({"year": moved(YEARS, 40, 0.5)}, "equal steps of 1, but not in row"),
        ({"year": np.delete(np.arange(1875, 1974), 50)}, r"row 50 \(1924 to 1926\)"),
        ({"year": np.array(["a"] * 98)}, "number or date"),
        ({"y": moved(HURON, 3, np.inf)}, "infinite in row 3"),
        ({"y": np.full(98, np.nan)}, "no value that is not missing"),
        ({"y": np.full(98, 4.0)}, "no maximum of the likelihood"),
        ({"lake": np.resize([1, 2], 98)}, "not together"),
        ({"lake": np.repeat([1, 2], 49)}, None),
        ({"month": np.arange("1875-01", "1883-03", dtype="datetime64[M]")}, None),
        ({"month": np.resize(np.arange("1875-01", "1883-03", dtype="datetime64[M]")[::2], 98)}, "go forward"),
    ],
)
def test_data_that_make_no_sense(data, words):
    time = next((n for n in ("year", "month") if n in data), None)
    model = jm.ar("y", time=time, series="lake" if "lake" in data else None)
    if words is None:
        assert jm.fit(model, {"y": HURON} | data).converged
        return
    with pytest.raises(jm.DataError, match=words):
        jm.fit(model, {"y": HURON} | data)


def test_weights_within_a_series():
    with pytest.raises(jm.DataError, match="Weights differ within a series, in row 5"):
        jm.fit(jm.ar("y"), {"y": HURON}, weights=moved(np.ones(98), 5, 1.0))


@pytest.mark.parametrize("model", [jm.garch("y"), jm.hidden_markov(jm.normal("y"))], ids=["garch", "hidden"])
def test_the_other_models_look_at_the_order_too(model):
    from dataclasses import replace

    model = replace(model, log_density=replace(model.log_density, time="year"))
    with pytest.raises(jm.DataError, match="equal steps"):
        jm.fit(model, {"y": HURON, "year": moved(YEARS, 40, 0.5)})


def test_more_coefficients_than_rows():
    with pytest.raises(jm.DataError, match="12 rows, too few for 12 coefficients"):
        jm.fit(jm.ar("y", order=12), {"y": HURON[:12]})


def test_counts_are_counts_in_every_state():
    with pytest.raises(jm.DataError, match="outside the support"):
        jm.fit(jm.hidden_markov(jm.poisson("y")), {"y": moved(EARTHQUAKES, 3, 0.5)})


def test_questions_that_a_series_does_not_answer():
    fit = jm.fit(jm.ar("y"), {"y": HURON})
    with pytest.raises(jm.ModelError, match="states"):
        fit.predict(what="states")
    with pytest.raises(jm.ModelError, match="does not see the rows before it"):
        fit.predict(what=lambda p, row: 0.0)
    with pytest.raises(jm.ModelError, match="response, pearson, quantile"):
        fit.residuals("deviance")
    with pytest.raises(jm.ModelError, match="kind='parametric'"):
        fit.bootstrap(20)
    with pytest.raises(jm.ModelError, match="given the rows before"):
        fit.deviance  # noqa: B018
    with pytest.raises(jm.ModelError, match="depend on those before them"):
        fit.marginal_effects()

"""Bad input gets one clear error, which names the culprit, before anything is compiled and without touching the data."""

import copy
import io
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas
import polars
import pytest
from scipy.sparse import csr_array

import jaxmle as jm
from jaxmle.runtime import Compilation

from .models import NORMAL, POISSON, REGRESSION, bernoulli, counts, fit, normal, poisson

N = 12
RNG = np.random.default_rng(0)
GOOD = {"y": RNG.normal(size=N), "x": RNG.normal(size=N), "name": np.array(list("abcdefghijkl")), "w": np.ones(N)}


def put(column, rows, value, base=GOOD):
    values = np.array(base[column], dtype=object if isinstance(value, str) or value is None else None)
    values[rows] = value
    return dict(base, **{column: values})


def returns(value, **params):
    """A model whose density returns what `value(p, row)` gives."""
    return jm.Model(value, params or {"mu": jm.Real(), "sigma": jm.Positive()})


def writes(p, row):
    row["z"] = row["y"] - p["mu"]
    return -(row["z"] ** 2)


class Closed:
    """A data structure that knows its columns and nothing of tables."""


@dataclass(frozen=True)
class Bad:
    """A call that must fail, the error, and the words that must stand in it."""

    name: str
    error: type
    words: tuple[str, ...]
    model: Any = REGRESSION
    data: Any = field(default_factory=lambda: GOOD)
    arguments: dict[str, Any] = field(default_factory=dict)


D, M = jm.DataError, jm.ModelError
table = lambda **columns: {"y": GOOD["y"], "x": GOOD["x"]} | columns

DATA = [
    Bad("missing values", D, ("'x'", "2 missing values", "rows 3, 7", "missing='drop'"), data=put("x", [3, 7], np.nan)),
    Bad("many missing values", D, ("'y'", "8 missing", "rows 0, 1, 2, 3, 4 and 3 more"), data=put("y", slice(8), np.nan)),
    Bad("missing in two columns", D, ("'x'", "'y'", "row 3", "row 5"), data=put("y", 5, np.nan, put("x", 3, np.nan))),
    Bad("null", D, ("'y'", "1 missing value", "row 1"), NORMAL, polars.DataFrame({"y": [1.0, None, 2.0]})),
    Bad("pandas NA", D, ("'y'", "1 missing value", "row 2"), NORMAL,
        pandas.DataFrame({"y": pandas.array([1, 2, None], dtype="Int64")})),
    Bad("infinities", D, ("'x'", "1 infinite value", "row 4", "log(0)"), data=put("x", 4, -np.inf)),
    Bad("infinities when missing ones are dropped", D, ("'x'", "infinite", "row 4"), data=put("x", 4, np.inf),
        arguments={"missing": "drop"}),
    Bad("nothing left", D, ("'x'", "every row", "nothing to fit"), data=put("x", slice(None), np.nan),
        arguments={"missing": "drop"}),
    Bad("two responses", D, ("'y'", "(12, 2)", "one number in each row"), jm.poisson("y ~ x"),
        table(y=np.ones((N, 2), int))),
    Bad("the response among the terms", M, ("'mean'", "response 'y'", "terms"), jm.normal("y ~ x + y")),
    Bad("a column as an attribute", M, ("row['y']", "row.y"), returns(lambda p, row: -((row.y - p["mu"]) ** 2))),
    Bad("a row written to", M, ("row['z']", "cannot be written to"), returns(writes)),
    Bad("both kinds of weights", M, ("frequencies", "not both", "repeat each row"),
        arguments={"weights": "w", "probability_weights": np.ones(N)}),
    Bad("unequal lengths", D, ("'x'", "11 rows", "12 rows"), data=dict(GOOD, x=GOOD["x"][:-1])),
    Bad("turned matrix", D, ("'X'", "3 rows", "transpose"), data=table(X=np.ones((3, N)))),
    Bad("ragged", D, ("'x'", "ragged", "row 1"), data=table(x=[[1.0], [1.0, 2.0]] * 6)),
    Bad("scalar column", D, ("'x'", "1.5", "np.full"), data=table(x=1.5)),
    Bad("empty data", D, ("no rows", "'y'"), data={"y": [], "x": []}),
    Bad("no columns", D, ("no columns",), data={}),
    Bad("empty frame", D, ("no rows",), data=pandas.DataFrame({"y": [], "x": []})),
    Bad("unknown column of a predictor", D, ("'mu'", "'x'", "Did you mean 'X'?"), data={"y": GOOD["y"], "X": GOOD["x"]}),
    Bad("unknown column of a density", D, ("'y'", "log-density", "'Y'"), NORMAL, {"Y": GOOD["y"]}),
    Bad("unknown column of weights", D, ("'ww'", "weights", "'w'"), arguments={"weights": "ww"}),
    Bad("unknown column of an offset", D, ("offset", "'mu'", "'o'"),
        jm.Model(normal, {"mu": jm.Linear([1], offset="o"), "sigma": 1.0})),
    Bad("text column", D, ("'name'", "not numeric", "'a'", "rows 0, 1"),
        jm.Model(normal, {"mu": jm.Linear([1, "name"]), "sigma": jm.Positive()})),
    Bad("text response", D, ("'y'", "log-density", "not numeric", "np.unique"), NORMAL, {"y": ["low", "high"]}),
    Bad("object column of numbers", D, ("'y'", "object", "np.asarray(x, dtype=float)"), NORMAL,
        {"y": np.array([1, 2.5, 3], dtype=object)}),
    Bad("a word among numbers", D, ("'y'", "row 2", "'n/a'"), NORMAL, put("y", 2, "n/a")),
    Bad("categories", D, ("'y'", "categor"), NORMAL, pandas.DataFrame({"y": pandas.Categorical(["a", "b"])})),
    Bad("dates", D, ("'y'", "2020-01-01", "np.timedelta64"), NORMAL, {"y": np.array(["2020-01-01"], "M8[D]")}),
    Bad("complex column", D, ("'y'", "complex128", "x.real"), NORMAL, {"y": GOOD["y"] + 1j}),
    Bad("duplicated names", D, ("Duplicated", "'y'"), NORMAL, pandas.DataFrame(np.ones((3, 2)), columns=["y", "y"])),
    Bad("numbers as names", D, ("strings", "0", "df.columns.map(str)"), data=pandas.DataFrame(np.ones((3, 2)))),
    Bad("an array", D, ("no column names", "(12,)"), data=GOOD["y"]),
    Bad("a file name", D, ("'data.csv'", "read the file"), data="data.csv"),
    Bad("None", D, ("NoneType", "mapping"), data=None),
    Bad("a list of rows", D, ("list", "pandas.DataFrame(rows)"), data=[{"y": 1.0, "x": 2.0}]),
    Bad("something else", D, ("Closed", "mapping"), data=Closed()),
    Bad("a series", D, ("Series", "{'y': series}"), data=pandas.Series([1.0, 2.0])),
    Bad("a sparse column", D, ("'x'", "toarray"), data=table(x=csr_array(np.ones((N, 1))))),
    Bad("a generator as a column", D, ("'x'", "np.array(list"), data=table(x=(i for i in range(N)))),
    Bad("the unit's column is missing", D, ("'person'", "unit of observation"),
        jm.Model(lambda p, rows, mask: rows["y"].sum() * p["a"], {"a": jm.Real()}, unit="person")),
    Bad("a unit without a label", D, ("'x'", "missing", "row 2"),
        jm.Model(lambda p, rows, mask: rows["y"].sum() * p["a"], {"a": jm.Real()}, unit="x"), put("x", 2, np.nan)),
    Bad("weights that differ within a unit", D, ("same in all rows", "'name'", "a"),
        jm.Model(lambda p, rows, mask: rows["y"].sum() * p["a"], {"a": jm.Real()}, unit="name"),
        dict(GOOD, name=np.array(list("aabbccddeeff"))), {"weights": np.arange(1.0, 13)}),
    Bad("a predictor with three axes", D, ("'x'", "'mu'", "(12, 2, 2)", "matrix"), data=table(x=np.ones((N, 2, 2)))),
]  # fmt: skip

DENSITY = [
    Bad("not one number", M, ("(3,)", "jnp.sum"), returns(lambda p, row: jnp.ones(3) * p["mu"])),
    Bad("None returned", M, ("must be a number", "NoneType"), returns(lambda p, row: None)),
    Bad("a tuple returned", M, ("must be a number", "tuple"), returns(lambda p, row: (p["mu"], 1))),
    Bad("text returned", M, ("must be a number", "str"), returns(lambda p, row: "low")),
    Bad("complex", M, ("complex", "real number"), returns(lambda p, row: p["mu"] * 1j)),
    Bad("an unknown parameter", M, ("'mean'", "'mu'", "'sigma'"), returns(lambda p, row: p["mean"] * row["y"])),
    Bad("if on a parameter", M, ("jnp.where",), returns(lambda p, row: p["mu"] if p["sigma"] > 1 else row["y"])),
    Bad("NumPy on a parameter", M, ("jax.numpy",), returns(lambda p, row: np.asarray(p["mu"]) * row["y"])),
    Bad("float() of a parameter", M, ("Python number",), returns(lambda p, row: float(p["mu"]))),
    Bad("shapes that do not go together", M, ("'lambda'", "cannot be evaluated", "(3,)", "(4,)"),
        returns(lambda p, row: jnp.ones(3) @ jnp.ones(4) * p["mu"])),
    Bad("an error of the density's own", M, ("cannot be evaluated", "TypeError"),
        returns(lambda p, row: p["mu"] + row["y"] + "a")),
    Bad("an attribute that is not there", M, ("cannot be evaluated", "AttributeError"),
        returns(lambda p, row: p["mu"].wibble)),
    Bad("a total where terms are expected", M, ("one term per row", "(12,)", "()"),
        jm.Model(lambda p, data: jnp.sum(data["y"]) * p["mu"], {"mu": jm.Real()}, unit="all")),
]  # fmt: skip


class Solverless:
    pass


ARGUMENTS = [
    Bad("not a model", M, ("jm.Model", "function"), model=normal),
    Bad("the class of models", M, ("jm.Model", "type"), model=jm.Model),
    Bad("solver unknown", M, ("'simplex'", "'newton'", "'lbfgs'"), arguments={"solver": "simplex"}),
    Bad("solver's class", M, ("Newton()",), arguments={"solver": jm.Newton}),
    Bad("solver no solver", M, ("solver", "minimise", "Solverless"), arguments={"solver": Solverless()}),
    *(Bad(f"tol={v!r}", M, ("tol", "positive", repr(v)), arguments={"tol": v})
      for v in (0, -1.0, np.nan, np.inf, "1e-3", True)),
    *(Bad(f"max_steps={v!r}", M, ("max_steps", "positive whole number", repr(v)), arguments={"max_steps": v})
      for v in (0, -3, 2.5, "many", True)),
    *(Bad(f"key={v!r}", M, ("key", "whole number", repr(v)), arguments={"key": v}) for v in ("a", 1.5, -1, None)),
    *(Bad(f"chunk_rows={v!r}", M, ("chunk_rows", repr(v)), arguments={"chunk_rows": v}) for v in (0, 1.5, "8", True)),
    Bad("precision", M, ("precision", "'float32'", "'half'"), arguments={"precision": "half"}),
    Bad("missing", M, ("missing='omit'", "'drop'"), arguments={"missing": "omit"}),
    Bad("callback", M, ("callback", "function", "3"), arguments={"callback": 3}),
    Bad("penalty not callable", M, ("penalty", "function", "0.5"), arguments={"penalty": 0.5}),
    Bad("penalty not one number", M, ("penalty", "one", "(2,)"), arguments={"penalty": lambda p: p["mu"] ** 2}),
    Bad("penalty of nothing", M, ("penalty", "NoneType"), arguments={"penalty": lambda p: None}),
    Bad("penalty on an unknown parameter", M, ("parameter", "'beta'", "'mu'"), arguments={"penalty": lambda p: p["beta"]}),
    Bad("penalty that fails", M, ("penalty", "jax.numpy"), arguments={"penalty": lambda p: np.sum(np.asarray(p["mu"]))}),
    Bad("weights too short", D, ("weights", "3 values", "12 rows"), arguments={"weights": [1, 2, 3]}),
    Bad("weights negative", D, ("weights", "negative", "rows 0, 5"), arguments={"weights": -1.0 * np.isin(np.arange(N), [0, 5])}),
    Bad("weights missing", D, ("weights", "missing", "row 2"), arguments={"weights": put("w", 2, np.nan)["w"]}),
    Bad("weights all zero", D, ("weights", "zero"), arguments={"weights": np.zeros(N)}),
    Bad("weights of text", D, ("weights", "numeric"), arguments={"weights": "name"}),
    Bad("weights a matrix", D, ("weights", "(12, 2)"), arguments={"weights": np.ones((N, 2))}),
    Bad("weights a number", D, ("weights", "2.0"), arguments={"weights": 2.0}),
    Bad("sampling weights negative", D, ("probability_weights", "negative", "row 1"),
        arguments={"probability_weights": 1.0 - 2 * (np.arange(N) == 1)}),
    Bad("fixed unknown", M, ("fixed", "'sigmaa'", "'sigma'"), arguments={"fixed": {"sigmaa": 1.0}}),
    Bad("fixed unknown coefficient", M, ("fixed", "'mu[z]'", "'mu[x]'"), arguments={"fixed": {"mu[z]": 1.0}}),
    Bad("fixed outside", M, ("sigma", "-1.0", "positive"), arguments={"fixed": {"sigma": -1.0}}),
    Bad("fixed shape", M, ("'mu'", "fixed", "(2,)"), arguments={"fixed": {"mu": [1.0, 2.0, 3.0]}}),
    Bad("fixed coefficient not a number", M, ("fixed", "'mu[x]'", "nan"), arguments={"fixed": {"mu[x]": np.nan}}),
    Bad("fixed no mapping", M, ("fixed", "map"), arguments={"fixed": ["sigma"]}),
    Bad("fixed everything", M, ("nothing to estimate",), arguments={"fixed": {"mu": 0.0, "sigma": 1.0}}),
    Bad("start outside", M, ("sigma", "-2.0", "positive"), arguments={"start": {"sigma": -2.0}}),
    Bad("start at the limit", M, ("sigma", "0.0", "positive"), arguments={"start": {"sigma": 0}}),
    Bad("start shape", M, ("sigma", "(2,)"), arguments={"start": {"sigma": [1.0, 2.0]}}),
    Bad("start shape of a linear", M, ("'mu'", "start", "(2,)"), arguments={"start": {"mu": np.ones(3)}}),
    Bad("start not finite", M, ("sigma", "nan"), arguments={"start": {"sigma": np.nan}}),
    Bad("start of text", M, ("sigma", "'one'"), arguments={"start": {"sigma": "one"}}),
    Bad("start unknown", M, ("start", "'scale'", "'sigma'"), arguments={"start": {"scale": 1.0}}),
    Bad("start unknown coefficient", M, ("start", "'mu[w]'"), arguments={"start": {"mu[w]": 1.0}}),
    Bad("start coefficient of text", M, ("start", "'mu[x]'", "'one'"), arguments={"start": {"mu[x]": "one"}}),
    Bad("start of an entry outside", M, ("start", "'s[1]'", "-1.0", "0"),
        jm.Model(lambda p, row: -row["y"] @ p["s"], {"s": jm.Positive(shape=2)}), {"y": np.ones((4, 2))},
        {"start": {"s[1]": -1.0}}),
    Bad("fixed entry outside", M, ("fixed", "'s[1]'", "1.5", "between 0 and 1"),
        jm.Model(lambda p, row: -row["y"] @ p["s"], {"s": jm.UnitInterval(shape=2)}), {"y": np.ones((4, 2))},
        {"fixed": {"s[1]": 1.5}}),
    Bad("start no mapping", M, ("start", "map"), arguments={"start": [0.0, 1.0]}),
    Bad("one share of several", M, ("'share[0]'", "Simplex", "'share'"),
        jm.Model(lambda p, row: jnp.log(p["share"])[row["k"]], {"share": jm.Simplex(3)}), {"k": [0, 1, 2]},
        {"fixed": {"share[0]": 0.5}}),
]  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def _nothing_is_compiled_yet():
    jax.clear_caches()


def untouched(data):
    return copy.deepcopy(data) if isinstance(data, dict) and "x" in data and isinstance(data["x"], np.ndarray) else None


@pytest.mark.parametrize("bad", DATA + DENSITY + ARGUMENTS, ids=lambda b: b.name)
def test_one_clear_error_before_anything_is_compiled(bad, capfd):
    before = untouched(bad.data)
    with Compilation() as compilation, pytest.raises(bad.error) as caught:
        fit(bad.model, bad.data, **bad.arguments)
    text = str(caught.value)
    for word in bad.words:
        assert word in text, f"{word!r} is not in: {text}"
    says_no_more_than_needed(text)
    assert compilation.count == 0, "something was compiled first"
    assert capfd.readouterr() == ("", "")
    if before is not None:
        for name, values in before.items():
            np.testing.assert_array_equal(bad.data[name], values)


def says_no_more_than_needed(text):
    """A few sentences, and none of JAX's words about how it traces."""
    assert len(text) < 700, text
    assert "\n" not in text
    for word in (
        "Traceback",
        "Traced<",
        "Tracer",
        "JitTracer",
        "jaxpr",
        "docs.jax.dev",
        "ShapedArray",
        "site-packages",
    ):
        assert word not in text, text


# --- start values, which only an evaluation can judge -------------------------------------------------------------------


def log_of_difference(p, row):
    return jnp.log(row["y"] - p["low"]) + 0.0 * p["other"]


@pytest.mark.parametrize(
    ("model", "data", "words"),
    [
        (jm.Model(log_of_difference, {"low": jm.Real(start=2.0), "other": jm.Real(start=0.0)}),
         {"y": [5.0, 1.0, 7.0, 1.5]}, ("At the start values", "NaN", "rows 1, 3", "'low'", "start=")),
        (jm.Model(lambda p, row: jnp.where(row["y"] > p["low"], -1.0, -jnp.inf) * jnp.exp(p["a"]),
                  {"low": jm.Real(start=2.0), "a": jm.Real(start=0.0)}),
         {"y": [5.0, 1.0]}, ("At the start values", "density of zero", "row 1", "'low'")),
        (jm.Model(lambda p, row: jnp.sqrt(p["a"]) - row["y"] * p["a"], {"a": jm.Real(start=0.0)}),
         {"y": [1.0, 2.0]}, ("derivative", "'a'", "start=")),
        (jm.Model(lambda p, row: jnp.log(row["y"]) + p["a"], {"a": jm.Real()}),
         {"y": [1.0, -2.0]}, ("NaN", "row 1", "those rows")),
    ],
    ids=["a value that is not a number", "a density of zero", "a derivative", "no parameter's fault"],
)  # fmt: skip
def test_a_start_without_a_density_names_rows_and_parameter(model, data, words):
    with pytest.raises(jm.ModelError) as caught:
        fit(model, data)
    for word in words:
        assert word in str(caught.value), f"{word!r} is not in: {caught.value}"
    says_no_more_than_needed(str(caught.value))


# --- models -----------------------------------------------------------------------------------------------------------

MODELS: dict[str, tuple[Callable[[], Any], tuple[str, ...]]] = {
    "a class for a domain": (lambda: jm.Model(normal, {"mu": jm.Real, "sigma": jm.Positive()}), ("'mu'", "Real(...)")),
    "no parameters": (lambda: jm.Model(normal, {}), ("params", "{}")),
    "a list of parameters": (lambda: jm.Model(normal, ["mu"]), ("params", "map")),
    "a parameter of text": (lambda: jm.Model(normal, {"mu": "real"}), ("'mu'", "'real'", "Real()")),
    "a name with brackets": (lambda: jm.Model(normal, {"mu[0]": jm.Real()}), ("'mu[0]'", "brackets")),
    "a name that is a number": (lambda: jm.Model(normal, {1: jm.Real()}), ("name", "1")),
    "a unit that is no text": (lambda: jm.Model(normal, {"mu": jm.Real()}, unit=3), ("unit", "3", "'row'")),
    "an empty unit": (lambda: jm.Model(normal, {"mu": jm.Real()}, unit=""), ("unit", "''", "'all'")),
    "too few arguments": (lambda: jm.Model(lambda p: 0.0, {"mu": jm.Real()}), ("log_density(p, row)", "(p)")),
    "no mask": (lambda: jm.Model(normal, {"mu": jm.Real()}, unit="firm"), ("'firm'", "log_density(p, rows, mask)", "normal")),
    "not a function": (lambda: jm.Model("normal", {"mu": jm.Real()}), ("function", "'normal'")),
    "a start outside": (lambda: jm.Positive(start=-1.0), ("start of Positive", "-1.0", "positive")),
    "start and fixed": (lambda: jm.Positive(start=1.0, fixed=2.0), ("start=", "fixed=")),
    "a prior of text": (lambda: jm.Real(prior="normal"), ("prior", "'normal'", "log_prob")),
    "a linear of nothing": (lambda: jm.Linear([]), ("no terms",)),
    "a linear of twice the same": (lambda: jm.Linear(["x", "x"]), ("twice", "x")),
    "a linear of a wrong constant": (lambda: jm.Linear([2, "x"]), ("number 1", "2")),
    "an unknown link": (lambda: jm.Linear(["x"], link="logg"), ("'logg'", "'log'")),
    "a backward interval": (lambda: jm.Interval(2.0, 1.0), ("Interval", "2.0", "1.0")),
    "a simplex of one": (lambda: jm.Simplex(1), ("Simplex", "k", "1")),
    "a tree of integers": (lambda: jm.Tree({"w": np.arange(3)}), ("['w']", "floats")),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_a_model_that_makes_no_sense_is_refused_where_it_is_written(name):
    make, words = MODELS[name]
    with pytest.raises(jm.ModelError) as caught:
        make()
    for word in words:
        assert word in str(caught.value), f"{word!r} is not in: {caught.value}"
    says_no_more_than_needed(str(caught.value))


# --- questions to a fit -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def good():
    return fit(REGRESSION, GOOD)


QUESTIONS: dict[str, tuple[Callable[[jm.Fit], Any], type, tuple[str, ...]]] = {
    **{f"level={v!r}": (lambda f, v=v: f.confint(level=v), M, ("level", "between 0 and 1", repr(v)))
       for v in (0, 1, 95, -0.5, np.nan, "95%", None, True)},
    "method": (lambda f: f.confint(method="exact"), M, ("method", "'wald'", "'exact'")),
    "level of tidy": (lambda f: f.tidy(level=2), M, ("level", "2")),
    "level of the summary": (lambda f: str(f.summary(level=2)), M, ("level", "2")),
    "kind": (lambda f: f.covariance("HC9"), M, ("'HC9'", "'HC1'", "'sandwich'")),
    "kind of another type": (lambda f: f.covariance(3), M, ("3", "'HC1'")),
    "cluster with a kind that has none": (lambda f: f.covariance("observed", cluster="name"), M, ("cluster", "'observed'")),
    "cluster too short": (lambda f: f.covariance(cluster=[1, 2, 3]), D, ("cluster", "(12,)", "(3,)")),
    "cluster of two axes": (lambda f: f.covariance(cluster=np.ones((N, 2))), D, ("cluster", "(12,)", "(12, 2)")),
    "cluster unknown": (lambda f: f.covariance(cluster="firm"), D, ("'firm'", "cluster", "'name'")),
    "cluster with a missing label": (lambda f: f.covariance(cluster=put("w", 2, np.nan)["w"]), D,
                                     ("cluster", "missing", "row 2")),
    "one cluster alone": (lambda f: f.covariance("HC1", cluster=np.ones(N)), M, ("cluster", "one")),
    "density of rows without a column": (lambda f: f.log_density({"y": [1.0]}), D, ("'x'", "'y'")),
    "picture of an unknown coefficient": (lambda f: f.plot("mu[q]"), M, ("'mu[q]'", "'mu[x]'")),
}  # fmt: skip


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_that_makes_no_sense_gets_one_clear_error(name, good):
    ask, error, words = QUESTIONS[name]
    with pytest.raises(error) as caught:
        ask(good)
    for word in words:
        assert word in str(caught.value), f"{word!r} is not in: {caught.value}"
    says_no_more_than_needed(str(caught.value))


def test_errors_are_value_errors_and_end_where_the_user_called():
    with pytest.raises(ValueError, match="'z'") as caught:
        fit(POISSON, counts() | {"z": ["a"] * 200})
    text = io.StringIO()
    traceback.print_exception(caught.value, file=text)
    assert "site-packages/jax/" not in text.getvalue()
    assert jm.Model(bernoulli, {"p": jm.UnitInterval()}).title == "bernoulli"
    assert jm.Model(poisson, {"rate": jm.Positive()}, name="counts").title == "counts"

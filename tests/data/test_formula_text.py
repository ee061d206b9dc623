"""The text of formulas: responses, offsets, names and wildcards are read without data; Python is refused."""

import re
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxmle.data import formula
from jaxmle.data.expressions import check, evaluate, names_in
from jaxmle.data.formula import bind, columns, expand, split_offset, split_response, variables
from jaxmle.data.tables import Table
from jaxmle.errors import DataError, ModelError


def refused(*parts, error=ModelError):
    return pytest.raises(error, match="(?s)" + ".*".join(re.escape(part) for part in parts))


# ---- the left side


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("y ~ x + z", ("y", "~ x + z")),
        ("y~x", ("y", "~ x")),
        ("y", ("y", None)),
        (" visits ", ("visits", None)),
        ("`my response` ~ x", ("my response", "~ x")),
        ("`a~b` ~ x", ("a~b", "~ x")),
        ("Sepal.Length ~ .", ("Sepal.Length", "~ .")),
    ],
)
def test_the_response_is_a_column(text, expected):
    assert split_response(text) == expected


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("np.log(y) ~ x", ["name of a column", "np.log(y)", "lognormal"]),
        ("Surv(time, died) ~ x", ["censored", "event"]),
        ("cbind(a, b) ~ x", ["trials"]),
        ("y + z ~ x", ["y + z", "as a column"]),
        ("my response ~ x", ["my response", "backticks"]),
        ("~ x", ["no response"]),
        ("y ~", ["no terms", "~ 1"]),
        ("y ~ x ~ z", ["2 '~'"]),
        ("1 ~ x", ["name of a column"]),
        ("", ["no response"]),
    ],
)
def test_anything_else_on_the_left_is_refused(text, parts):
    with refused(*parts):
        split_response(text)


# ---- names, offsets, wildcards


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("~ x + z", ("x", "z")),
        ("~ 1", ()),
        ("~ x*C(g) + x:z - 1", ("x", "g", "z")),
        ("~ np.log(a) + poly(b, 2) + bs(c, df=4)", ("a", "b", "c")),
        ("~ C(g, contr.treatment(base='B')) + I(x > 3 * y)", ("g", "x", "y")),
        ("~ `my col` + log(`other col` + 1)", ("my col", "other col")),
        ("~ I(g == 'a `b`')", ("g",)),
        ("~ my_function(x, 2)", ("x",)),
        ("~ offsetting(x)", ("x",)),
        ("~ x + offset(log(t))", ("x", "t")),
        ("~ np.pi:x + I(np.e * z)", ("np.pi", "x", "z")),
        ("~ Petal.Width + log(Petal.Length)", ("Petal.Width", "Petal.Length")),
    ],
)
def test_variables_need_no_data(text, expected):
    assert variables(text) == expected


@pytest.mark.parametrize(
    ("text", "rest", "offsets"),
    [
        ("~ x + offset(z)", "~ x", ("z",)),
        ("~ offset(log(t)) + x", "~ x", ("log(t)",)),
        ("~ offset(z)", "~ 1", ("z",)),
        ("~ x + offset(a) + z + offset(log(b + 1))", "~ x + z", ("a", "log(b + 1)")),
        ("~ offset(z) - 1 + x", "~ - 1 + x", ("z",)),
        ("y ~ offset(`my col`)", "y ~ 1", ("my col",)),
        ("~ x + `offset(z)`", "~ x + `offset(z)`", ()),
        ("~ x", "~ x", ()),
    ],
)
def test_offsets_are_taken_out(text, rest, offsets):
    assert split_offset(text) == (rest, offsets)


@pytest.mark.parametrize("text", ["~ x:offset(z)", "~ x - offset(z)", "~ x * offset(z)", "~ x + (offset(z))"])
def test_an_offset_is_a_term_of_its_own(text):
    with refused("offset(z)", "term of its own"):
        split_offset(text)


def test_the_wildcard_is_all_other_columns():
    names = ("y", "x", "my col", "t")
    assert expand("y ~ .", names) == "y ~ (x + `my col` + t)"
    assert expand("~ . - x", names, exclude=("y", "t")) == "~ (x + `my col`) - x"
    assert expand("~ x", names) == "~ x"
    with refused("'.'", "none"):
        expand("y ~ .", ("y",))
    data = Table.read({"y": np.zeros(3), "a": np.arange(3.0), "b": np.ones(3)})
    assert columns(bind("~ .", data, "rate", exclude=("y",)), data, "rate")[0] == ("Intercept", "a", "b")


# ---- what may not be said


TABLE = Table.read({"x": np.arange(1.0, 5.0), "z": np.ones(4), "g": np.array(list("abab"))})

CODE = [
    "__import__('os').system('touch /tmp/owned')",
    "().__class__.__bases__[0].__subclasses__()",
    "x.__class__",
    "log(x.__class__)",
    "(lambda: 1)()",
    "[v for v in x]",
    "x[0]",
    "log(x)[0]",
    "os.system('ls')",
    "eval('1')",
    "exec('1')",
    "open('/etc/passwd')",
    "np.load('f')",
    "np.fromfile('f')",
    "np.linalg.inv(x)",
    "numpy.save('f', x)",
    "I((1).__class__)",
    "{__import__('os')}",
    "C(g, __import__('os'))",
    "C(g, contr.treatment(base=open('f')))",
    "bs(x, df=__import__('os').getpid())",
    "poly(x, x)",
    "log(*x)",
    "C(**x)",
    "log(x, out=z)",
    "I(x if z else 1)",
    "I(x := 1)",
    "I(f'{x}')",
    "I(x and z)",
    "I(not x)",
    "I(x is z)",
    "I(1j)",
    "C(g)(x)",
    "contr.sum(x)",
    "hashed(g)",
    "lag(x)",
    "I(C(g))",
]


@pytest.mark.parametrize("code", CODE)
def test_formulas_run_no_python(code):
    with pytest.raises(ModelError):
        bind(f"~ z + {code}", TABLE, "rate")


@pytest.mark.parametrize("code", [c for c in CODE if not c.startswith(("C(", "{", "poly", "bs"))])
def test_offsets_run_no_python(code):
    with pytest.raises((ModelError, DataError)):
        evaluate(code, TABLE)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("~", ["no terms", "~ 1"]),
        ("~ 0", ["nothing to estimate"]),
        ("~ x - x - 1", ["nothing to estimate"]),
        ("~ x > 3", ["'>'", "I(...)"]),
        ("~ 'x'", ["backticks"]),
        ("~ x z", ["Missing operator", "`x` and `z`"]),
        ("~ (x", ["does not close"]),
        ("~ x)", ["does not open"]),
        ("~ log(x", ["does not close", "'('"]),
        ("~ `x", ["does not close", "'`'"]),
        ("~ x +", ["cannot be read", "`+`"]),
        ("~ x | z", ["formula of its own"]),
        ("~ 5 * x", ["scale other terms"]),
        ("~ (x + z)**99", ["too many"]),
        ("~ lgo(x)", ["calls 'lgo'", "functions=", "Did you mean 'log'"]),
        ("~ C(g, contr.treatment('q'))", ["'q' is not a level", "'a', 'b'"]),
        ("~ I(g > 'a')", ["== or !="]),
        ("~ log(bs(x, df=4))", ["term of its own"]),
        ("~ bs(x, degre=3)", ["degre"]),
        ("~ minimum(x)", ["2 argument"]),
        ("~ round(x, z)", ["must be a constant"]),
        ("~ poly(x, 1000000000)", ["too many"]),
        ("~ bs(x, df=1000000000)", ["too many"]),
    ],
)
def test_messages_say_what_is_wrong(text, parts):
    with refused(*parts):
        bind(text, TABLE, "rate")


def test_a_huge_power_of_integers_is_only_infinite():
    with refused("not finite", error=DataError):
        columns(bind("~ I(9**9**9**9)", TABLE, "rate"), TABLE, "rate")


def test_a_deeply_nested_or_long_expression_is_refused_or_read():
    with pytest.raises(ModelError):
        check("-" * 5_000 + "x")
    with refused("too long"):
        check("x+" * 10_000 + "x")


# ---- the numbers of expressions


def test_expressions_are_evaluated_in_float64():
    rng = np.random.default_rng(0)
    data = {"x": rng.normal(size=6), "i": np.array([100, -100, 3, 4, 5, 6], np.int8), "g": np.array(list("aabbcc"))}
    data["my col"] = rng.uniform(1, 2, 6).astype(np.float32)
    x, i, m = data["x"], data["i"].astype(float), data["my col"].astype(float)
    expected = {
        "i**2 * i": i**3,  # int8 would wrap
        "i**-1": 1 / i,
        "-x + 2 * i / 3 - 1": -x + 2 * i / 3 - 1,
        "i % 3 + i // 4": i % 3 + i // 4,
        "log(`my col`)": np.log(m),
        "np.log1p(`my col`) + numpy.sqrt(`my col`)": np.log1p(m) + np.sqrt(m),
        "maximum(x, 0) + np.minimum(x, i)": np.maximum(x, 0) + np.minimum(x, i),
        "clip(x, -1, 1) + round(x, 1)": np.clip(x, -1, 1) + np.round(x, 1),
        "(x > 0) & (i < 5) | ~(x < 1)": (x > 0) & (i < 5) | ~(x < 1),
        "0 < x <= 1": (x > 0) & (x <= 1),
        "g == 'a'": data["g"] == "a",
        "'a' != g": data["g"] != "a",
        "np.pi * x": np.pi * x,
        "3": np.full(6, 3.0),
    }
    for text, numbers in expected.items():
        got = evaluate(text, Table.read(data))
        assert got.dtype == np.float64
        np.testing.assert_allclose(got, numbers, rtol=1e-15, err_msg=text)
    assert names_in("np.log(b) + a*b") == ("b", "a")


def test_expressions_say_which_column_is_no_number():
    with refused("'g'", "not numeric", error=DataError):
        evaluate("log(g)", TABLE)
    with refused("asks for column 'nope'", error=DataError):
        evaluate("log(nope)", TABLE)
    with refused("shape (3, 2)", error=DataError):
        evaluate("X + 1", Table.read({"X": np.zeros((3, 2))}))


def test_a_missing_formulaic_names_the_extra(monkeypatch):
    for name in [m for m in sys.modules if m.split(".")[0] == "formulaic"]:
        monkeypatch.setitem(sys.modules, name, None)
    formula._read.cache_clear()  # what was read before needs no formulaic
    with refused("This formula needs formulaic: pip install 'jaxmle[formulas]'", error=(DataError, ImportError)):
        bind("~ x * z", TABLE, "rate")


@given(
    st.booleans(), st.lists(st.integers(0, 4), min_size=1, max_size=7), st.lists(st.booleans(), min_size=5, max_size=5)
)
@settings(max_examples=60, deadline=None)
def test_sums_mean_what_formulaic_says(constant, numbers, spans):
    """They are read without formulaic, which takes longer to be imported than most fits."""
    first = {n: i for i, n in enumerate(dict.fromkeys(numbers))}  # placeholders are numbered as they come
    shown = " + ".join([*(["1"] if constant else []), *(f"v{first[n]}" for n in numbers)])
    kinds = tuple(spans[: len(first)])
    assert formula.SUM.fullmatch(shown)
    assert formula._sum(shown, kinds) == formula._read(shown, kinds)


def test_what_is_no_sum_is_asked_of_formulaic():
    assert formula._sum("1", ()) == formula._read("1", ())
    for shown in (
        "0 + v0",
        "v0 - 1",
        "v0 * v1",
        "v0 : v1",
        "( v0 + v1 ) ** 2",
        "v0 + 1",
        "v0 + 2",
        "v0 + v1 - v0",
        "v0 v1",
    ):
        assert not formula.SUM.fullmatch(shown), shown


def test_a_sum_imports_neither_formulaic_nor_pandas():
    code = (
        "import sys, numpy as np, jaxmle as jm; rng = np.random.default_rng(0);"
        "data = {'x': rng.normal(size=50), 'g': rng.choice(list('abc'), 50), 'y': rng.poisson(2.0, 50)};"
        "print(jm.fit(jm.poisson('y ~ x + C(g)'), data).converged, {'formulaic', 'pandas', 'scipy.sparse'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.split("\n")[0] == "True set()", done.stderr

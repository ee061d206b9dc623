"""What is compiled, when, and where it is kept: once per shape, under names of jaxmle's, on disk for the next process."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxmle as jm
from jaxmle import runtime
from jaxmle.runtime import Compilation

ROOT = Path(__file__).parents[2]


def density(p, row):
    z = (row["y"] - p["loc"]) / p["scale"]
    return -0.5 * z**2 - jnp.log(p["scale"])


MODEL = jm.Model(density, {"loc": jm.Linear([1, "x"]), "scale": jm.Positive()})


def data(n: int, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    return {"y": 1 + x + rng.normal(size=n), "x": x}


def fit(n: int = 200, seed: int = 0, model: jm.Model = MODEL, **settings: Any) -> jm.Fit:
    return jm.fit(model, data(n, seed), progress=False, **settings)


@pytest.fixture
def compiled(monkeypatch) -> Iterator[list[str]]:
    """The names of the programs that JAX compiles from here on, whoever asks for them."""
    names: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if found := re.match(r"Compiling (?:jit\()?([\w<>.]+)", record.getMessage()):
                names.append(found[1])

    handler = Handler()
    loggers = [logging.getLogger(f"jax._src.{name}") for name in ("interpreters.pxla", "dispatch")]
    for logger in loggers:
        monkeypatch.setattr(logger, "level", logging.DEBUG)
        monkeypatch.setattr(logger, "propagate", False)
        logger.addHandler(handler)
        logger._cache.clear()  # type: ignore[attr-defined]
    yield names
    for logger in loggers:
        logger.removeHandler(handler)


# --- one process --------------------------------------------------------------------------------------------------------


def test_a_first_fit_compiles_a_few_programs_and_all_are_of_jaxmle(compiled):
    """Nothing runs eagerly: an operation of its own would be compiled under its own name, such as `add`."""
    own = jm.Model(lambda p, row: density(p, row), MODEL.params)
    with Compilation() as first:
        result = fit(model=own)
    assert sorted(compiled) == ["evaluate", "naturalise_blocks"]
    assert first.count == len(compiled)
    assert result.converged
    compiled.clear()
    with Compilation() as questions:
        str(result), result.std_errors, result.confint(), result.covariance("sandwich"), result.summary()
    assert set(compiled) <= {"_mapped", "evaluate", "per_unit"}
    assert questions.count == len(compiled) <= 2


FAMILIES = {
    "poisson": "counts",
    "negative_binomial": "counts",
    "gamma": "times",
    "weibull": "times",
    "inverse_gaussian": "times",
    "beta": "shares",
    "bernoulli": "events",
    "ordinal": "events",
    "student_t": "times",
}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_runs_nothing_eagerly_either(compiled, family):
    """The starts that it suggests go through links, and these through programs that are kept on disk."""
    rng = np.random.default_rng(0)
    z = rng.normal(size=150)
    table = {"counts": rng.poisson(np.exp(0.5 + 0.3 * z)), "times": rng.gamma(2.0, np.exp(0.3 * z)), "z": z}
    table |= {"shares": 0.05 + 0.9 * rng.random(150), "events": (rng.random(150) < 0.6).astype(float)}
    str(jm.fit(getattr(jm, family)(f"{FAMILIES[family]} ~ z"), table))
    ours = {
        "_forward",
        "_values",
        "_mapped",
        "evaluate",
        "naturalise_blocks",
        "unconstrained",
        "_jacobians",
        "per_unit",
    }
    assert set(compiled) <= ours


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"n": 195},
        {"start": {"scale": 3.0}},
        {"start": {"loc": [0.5, 0.1], "scale": 0.3}},
        {"fixed": {"loc[x]": 0.5}},
        {"fixed": {"loc": [0.9, 1.0]}},
        {"fixed": {"scale": 2.0}},
        {"weights": np.arange(200.0) % 3 + 1},
        {"tol": 1e-3, "max_steps": 50},
    ],
    ids=str,
)
def test_another_fit_of_the_same_shapes_compiles_nothing(change: dict):
    str(fit())
    if "scale" in change.get("fixed", {}):
        str(fit(fixed={"scale": 1.0}))  # a parameter that is held whole is an argument of another program
    if "start" in change:
        fit(start={"loc": 0.0, "scale": 1.0})
    with Compilation() as compilation:
        str(fit(**change))
    assert compilation.count == 0


def test_an_equal_model_declared_again_compiles_nothing_if_its_function_is_the_same():
    fit()
    again = jm.Model(density, {"loc": jm.Linear([1, "x"], start=0.1), "scale": jm.Positive(start=2.0)})
    with Compilation() as compilation:
        fit(model=again)
    assert compilation.count == 0


def test_another_penalty_compiles_the_penalty_alone(compiled):
    fit(penalty=lambda p: 0.1 * jnp.sum(p["loc"] ** 2))
    compiled.clear()
    fit(penalty=lambda p: 0.2 * jnp.sum(p["loc"] ** 2))
    assert set(compiled) == {"penalty"}


def test_more_rows_within_a_bucket_of_chunks_compile_nothing():
    fit(n=2048 * 9 + 5)
    with Compilation() as compilation:
        fit(n=2048 * 9 + 2000)
    assert compilation.count == 0


def test_data_are_arguments_and_no_constants():
    """The text of the program is as long for many rows as for few, and holds no numbers of the data."""
    from jaxmle.data.tables import Table
    from jaxmle.objective import passes
    from jaxmle.objective.build import build

    def text(n: int) -> str:
        columns = data(n) | {"mark": np.full(n, 0.123456789)}
        model = jm.Model(lambda p, row: density(p, row) * row["mark"], MODEL.params)
        o = build(model, Table.read(columns), weights=np.ones(n)).objective
        with runtime.x64():
            (first, *_) = o.stretches
            args = (o.program, "hessian", o.to_u(np.zeros(3)), o.constants, first.data, first.span)
            return passes.evaluate.lower(*args).as_text()

    few, many = text(1024), text(2048 * 8)
    assert abs(len(many) - len(few)) < 0.05 * len(few)
    assert "0.123456" not in many


def program(n: int, columns: int, needs: str = "hessian") -> tuple[tuple, str]:
    """The arguments of a pass over a density of many products, and what XLA makes of it."""
    from jaxmle.data.tables import Table
    from jaxmle.objective import passes
    from jaxmle.objective.build import build

    def long_winded(p, row):
        eta, total = p["eta"], 0.0
        for _ in range(30):
            total = total + eta * (row["y"] - eta * (0.3 + total))
        return total

    x = np.random.default_rng(0).normal(size=(n, columns))
    model = jm.Model(long_winded, {"eta": jm.Linear("x")})
    o = build(model, Table.read({"y": x[:, 0], "x": x}), weights=np.ones(n)).objective
    with runtime.x64():
        (first, *_) = o.stretches
        args = (o.likelihood, needs, o.to_u(np.zeros(columns)), o.constants, first.data, first.span)
        return args, passes.evaluate.lower(*args).compile().as_text()


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="XLA's fusions on CPUs")
def test_derivatives_of_a_row_are_not_computed_for_each_column():
    """The weights of the products are stored: no loop over rows and columns has the density's own products in it."""
    _, text = program(4096, 7)
    inside = dict(re.findall(r"\n%(\S+) \([^\n]*\{\n(.*?)\n\}", text, re.S))
    loops = re.findall(r"f64\[[\d,]*\b[78]\b[\d,]*\]\S* fusion\(.*?calls=%(\S+?)[,\n]", text)  # 8 with the score
    assert max(body.count(" multiply(") for body in inside.values()) > 30  # the density is there
    assert loops
    assert max(inside[name].count(" multiply(") for name in loops) <= 3


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="XLA's fusions on CPUs")
def test_terms_are_not_written_over_their_predictors():
    """The loop with the density in it writes a matrix where it reads vectors: it cannot be given the place of one."""
    _, text = program(4096, 5, needs="value")
    inside = dict(re.findall(r"\n%(\S+) \([^\n]*\{\n(.*?)\n\}", text, re.S))
    loops = re.findall(r"f64\[([\d,]*)\]\S* fusion\(.*?calls=%(\S+?)[,\n]", text)
    long_winded = [shape for shape, name in loops if inside[name].count(" multiply(") > 20]
    assert long_winded == ["128,16"]


@pytest.mark.skipif(not runtime.QUICKLY, reason="this compiler has no quick way")
def test_little_data_are_compiled_quickly_and_much_data_well():
    from jaxmle.objective import passes

    little, _ = program(512, 3)
    quick, _ = runtime._fitting(passes.evaluate, little)
    large = np.broadcast_to(np.zeros(1), runtime.LITTLE_BYTES // 8 + 1)
    usual, _ = runtime._fitting(passes.evaluate, (*little, large))
    assert (usual, quick) == tuple(map(runtime._programs[passes.evaluate], (False, True)))
    with runtime.x64():
        a, b = (jax.device_get(f(*little)) for f in (quick, usual))
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-12)


def test_a_large_array_from_outside_is_reported():
    table = np.linspace(0.0, 1.0, 20_000)
    model = jm.Model(lambda p, row: density(p, row) + 0.0 * jnp.asarray(table)[0], MODEL.params)
    with pytest.warns(jm.FitWarning, match="20,000 numbers"):
        fit(model=model)


def test_counters_see_their_own_thread_alone():
    from threading import Thread

    counts = {}

    def work(name: str, n: int) -> None:
        with Compilation() as compilation:
            for i in range(n):
                jax.jit(lambda x, i=i: x + i)(1.0)
        counts[name] = compilation.count

    threads = [Thread(target=work, args=(name, n)) for name, n in (("few", 2), ("many", 7))]
    with Compilation() as outside:
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    assert counts == {"few": 2, "many": 7}
    assert outside.count == 0


def test_counters_may_be_nested():
    with Compilation() as outer:
        jax.jit(lambda x: x + 1.25)(1.0)
        with Compilation() as inner:
            jax.jit(lambda x: x + 2.25)(1.0)
    assert (outer.count, inner.count) == (2, 1)
    assert outer.seconds >= inner.seconds > 0


def test_the_time_of_compiling_is_told_apart():
    own = jm.Model(lambda p, row: density(p, row) * 1.0, MODEL.params)
    first, second = fit(model=own), fit(model=own)
    assert first.estimates.compile_seconds > 0
    assert second.estimates.compile_seconds == 0
    assert second.estimates.run_seconds > 0


# --- the folder ---------------------------------------------------------------------------------------------------------


def test_the_folder_is_chosen_by_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("JAXMLE_CACHE_DIR", str(tmp_path))
    assert runtime.cache_dir() == tmp_path
    for word in ("off", "OFF", " none ", "0", ""):
        monkeypatch.setenv("JAXMLE_CACHE_DIR", word)
        assert runtime.cache_dir() is None
    monkeypatch.delenv("JAXMLE_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert runtime.cache_dir() == tmp_path / "jaxmle"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert runtime.cache_dir() == tmp_path / "home" / ".cache" / "jaxmle"

    def nobody() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", nobody)
    assert runtime.cache_dir() is None


def test_a_folder_that_cannot_be_made_is_no_trouble(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("JAXMLE_CACHE_DIR", str(tmp_path / "file" / "folder"))
    own = jm.Model(lambda p, row: density(p, row) - 0.0, MODEL.params)
    assert fit(model=own).converged


# --- several processes ----------------------------------------------------------------------------------------------------

PROGRAM = """
import json, sys
import jax, jax.numpy as jnp, numpy as np
{before}
import jaxmle as jm
from jaxmle.runtime import Compilation

def density(p, row):
    z = (row["y"] - p["loc"]) / p["scale"]
    return -0.5 * z**2 - jnp.log(p["scale"])

rng = np.random.default_rng(0)
x = rng.normal(size=200)
model = jm.Model(density, {{"loc": jm.Linear([1, "x"]), "scale": jm.Positive()}})
with Compilation() as compilation:
    fit = jm.fit(model, {{"y": 1 + x + rng.normal(size=200), "x": x}}, progress=False)
    str(fit)
{after}
print(json.dumps({{"count": compilation.count, "from_disk": compilation.from_disk, "value": fit.log_likelihood}}))
"""


def run(cache: str | Path, before: str = "", after: str = "", **environment: str) -> tuple[dict, str]:
    """A fit in a process of its own: what it reports, and its stderr."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("JAX", "XLA", "TF_"))}
    env |= {"JAXMLE_CACHE_DIR": str(cache), "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error", **environment}
    code = PROGRAM.format(before=textwrap.dedent(before), after=textwrap.dedent(after))
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


def programs(folder: Path) -> set[str]:
    """What the cache in a folder holds, by the names of the compiled functions."""
    return {re.sub(r"-[0-9a-f]{20,}.*", "", p.name) for p in folder.rglob("*") if p.is_file()}


def test_a_second_process_compiles_nothing_and_is_quiet(tmp_path):
    mine = """
    jax.jit(lambda x: jnp.sin(x) + 17)(jnp.arange(5.0)).block_until_ready()
    assert jax.config.jax_compilation_cache_dir is None
    """
    first, _ = run(tmp_path, before=mine, after=mine)
    kept = programs(tmp_path)
    assert {"jit_evaluate", "jit_naturalise_blocks"} <= kept
    assert kept <= {f"jit_{name}" for name in ("evaluate", "naturalise_blocks", "_mapped")}
    second, stderr = run(tmp_path, after="print('a word of my own', file=sys.stderr)")
    assert first["from_disk"] == 0 < first["count"]
    assert second["from_disk"] == second["count"] == first["count"]
    assert second["value"] == first["value"]
    assert stderr.strip() == "a word of my own"
    assert programs(tmp_path) == kept


def test_off_writes_nothing(tmp_path):
    report, _ = run("off", HOME=str(tmp_path), XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert report["from_disk"] == 0
    assert not programs(tmp_path)


def test_a_cache_of_the_users_own_is_used_and_left_as_it_was(tmp_path):
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    settings = f"""
    jax.config.update("jax_compilation_cache_dir", {str(theirs)!r})
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    before = dict(jax.config.values)
    """
    unchanged = """
    assert dict(jax.config.values) == before
    jax.jit(lambda x: jnp.sin(x) + 17)(jnp.arange(5.0))
    """
    report, _ = run(ours, before=settings, after=unchanged)
    assert not programs(ours)
    assert {"jit_evaluate", "jit_naturalise_blocks", "jit__lambda"} <= programs(theirs)
    again, _ = run(ours, before=settings)
    assert again["from_disk"] == again["count"] == report["count"]

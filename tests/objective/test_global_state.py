"""Importing jaxmle and fitting leave no trace: not in JAX's settings, not in the caller's arrays, streams or threads."""

from __future__ import annotations

import gc
import hashlib
import logging
import os
import random
import signal
import subprocess
import sys
import threading
import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxmle as jm
from jaxmle import process, runtime

from .test_compilation import MODEL, ROOT, data, density

OPTIONAL = ("pandas", "polars", "pyarrow", "narwhals", "matplotlib", "rich", "optax", "IPython")
"""Packages that only those who use them wait for."""

HEAVY = (
    "scipy",
    "scipy.stats",
    "scipy.optimize",
    "scipy.linalg",
    "scipy.sparse",
    "scipy.integrate",
    "pytest",
    "hypothesis",
)


def fresh_model() -> jm.Model:
    """A model that no test has compiled yet."""
    return jm.Model(lambda p, row: density(p, row), MODEL.params)


@pytest.fixture(autouse=True, scope="module")
def _x64():
    """The tests of this file run as a user does: with JAX's own defaults."""
    return


def state() -> dict[str, Any]:
    """All that a well-behaved library leaves alone."""
    return {
        "jax": dict(jax.config.values),
        "x64": jax.config.jax_enable_x64,
        "float": jnp.zeros(1).dtype,
        "int": jnp.arange(3).dtype,
        "numpy random": hashlib.sha256(np.random.get_state()[1].tobytes()).hexdigest(),  # noqa: NPY002
        "random": random.getstate(),
        "numpy errors": np.geterr(),
        "numpy print": {k: v for k, v in np.get_printoptions().items() if k != "formatter"},
        "warnings": list(warnings.filters),
        "environment": dict(os.environ),
        "interrupt": signal.getsignal(signal.SIGINT),
        "hook": sys.excepthook,
        "streams": (sys.stdout, sys.stderr, os.fstat(1).st_ino, os.fstat(2).st_ino),
        "logging": (logging.getLogger().level, tuple(logging.getLogger().handlers), logging.getLogger("jax").level),
        "threads": threading.active_count(),
        "folder": os.getcwd(),
        "recursion": sys.getrecursionlimit(),
        "garbage": (gc.isenabled(), gc.get_threshold(), gc.get_freeze_count()),
    }


def everything() -> jm.Fit:
    fit = jm.fit(fresh_model(), data(200), progress=False)
    str(fit), fit.std_errors, fit.covariance("sandwich"), fit.confint()
    return fit


def test_a_fit_changes_no_global_state():
    everything()
    before = state()
    everything()
    after = state()
    assert {k: (before[k], after[k]) for k in before if before[k] != after[k]} == {}


def test_a_fit_that_fails_changes_no_global_state():
    before = state()
    with pytest.raises(jm.ModelError):
        jm.fit(jm.Model(lambda p, row: 1.0 if row["y"] > 0 else 0.0, MODEL.params), data(20))

    def interrupted(progress):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        jm.fit(fresh_model(), data(200), callback=interrupted, progress=False)

    def broken(p, row):
        raise LookupError("of my own")

    with pytest.raises((LookupError, jm.ModelError), match="of my own"):
        jm.fit(jm.Model(broken, MODEL.params), data(20))
    after = state()
    assert {k: (before[k], after[k]) for k in before if before[k] != after[k]} == {}


def test_a_float32_program_is_the_same_to_the_last_bit_before_between_and_after():
    @jax.jit
    def program(x):
        assert x.dtype == jnp.float32
        return jax.nn.logsumexp(x @ x.T, axis=1) + jnp.linspace(0, 1, x.shape[0]), jnp.arange(3) * 2.5

    x = np.random.default_rng(0).normal(size=(60, 7))
    run = lambda: tuple(np.asarray(part) for part in program(jnp.asarray(x)))
    before = run()
    assert [part.dtype for part in before] == [np.float32, np.float32]
    between: list[Any] = []
    compiled: list[int] = []

    def watch(progress):
        with runtime.Compilation() as compilation:
            between.append(run())
        compiled.append(compilation.count)
        assert jnp.ones(2).dtype == jnp.float32

    jm.fit(fresh_model(), data(200), callback=watch, progress=False)
    assert between
    assert not any(compiled)
    with runtime.Compilation() as compilation:
        after = run()
    assert compilation.count == 0
    for other in (*between, after):
        for a, b in zip(before, other):
            assert a.dtype == b.dtype
            assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize(
    "setting",
    [
        lambda: jax.enable_x64(True),
        lambda: jax.default_matmul_precision("bfloat16"),
        lambda: jax.numpy_dtype_promotion("strict"),
        lambda: jax.numpy_rank_promotion("raise"),
        lambda: jax.transfer_guard("disallow"),
        lambda: jax.debug_nans(True),
        lambda: jax.default_device(jax.devices()[1]),
    ],
    ids=["x64", "bfloat16", "strict_promotion", "no_rank_promotion", "no_transfers", "debug_nans", "second_device"],
)
def test_the_answer_does_not_depend_on_the_callers_settings(setting):
    expected = jm.fit(MODEL, data(200), progress=False)
    with setting():
        fit = jm.fit(MODEL, data(200), progress=False)
        errors = fit.std_errors
    for name, value in expected.coef.items():
        assert fit.coef[name] == pytest.approx(value, rel=1e-9)
        assert errors[name] == pytest.approx(expected.std_errors[name], rel=1e-9)


def test_standard_errors_are_exact_to_float64_outside_any_scope():
    """σ/√n for a mean, σ/√(2n) for a scale; σ itself has no rounding error of float32."""
    y = np.random.default_rng(0).normal(size=500)
    model = jm.Model(density, {"loc": jm.Real(), "scale": jm.Positive()})
    fit = jm.fit(model, {"y": y}, progress=False)
    s = y.std()
    assert fit.std_errors["loc"] == pytest.approx(s / np.sqrt(500), rel=1e-7)
    assert fit.std_errors["scale"] == pytest.approx(s / np.sqrt(1000), rel=1e-7)
    u = fit.session.objective.to_u(fit.session.z)
    jacobian = fit.session.objective.layout.jacobian(u)
    assert jacobian[1, 1] == pytest.approx(np.exp(u[1]), rel=1e-15)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_callers_arrays_are_read_and_left_as_they_are(dtype: type):
    columns = {k: v.astype(dtype) for k, v in data(200).items()} | {"w": np.arange(200) % 3}
    columns["matrix"] = np.asfortranarray(np.random.default_rng(1).normal(size=(200, 2)).astype(dtype))
    given = np.linspace(0.5, 1.5, 200)
    start = {"loc": np.array([0.5, 0.5, 0.1, 0.1]), "scale": np.array(1.0)}
    arrays = [*columns.values(), given, *start.values()]
    for array in arrays:
        array.flags.writeable = False
    hashes = [hashlib.sha256(a.tobytes()).hexdigest() for a in arrays]
    model = jm.Model(density, {"loc": jm.Linear([1, "x", "matrix"]), "scale": jm.Positive()})
    for settings in ({"weights": "w"}, {"probability_weights": given}, {"start": start}):
        fit = jm.fit(model, columns, progress=False, **settings)
        fit.covariance("sandwich")
    assert hashes == [hashlib.sha256(a.tobytes()).hexdigest() for a in arrays]


# --- threads --------------------------------------------------------------------------------------------------------------


def in_threads(works: list[Any]) -> list[Any]:
    """The results of functions that run at the same time; what one raises is raised here."""
    together, out = threading.Barrier(len(works)), [None] * len(works)

    def run(i: int) -> None:
        together.wait()
        try:
            out[i] = works[i]()
        except BaseException as error:
            out[i] = error

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(works))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for result in out:
        if isinstance(result, BaseException):
            raise result
    return out


def test_fits_in_threads_give_the_right_answers(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("JAXMLE_CACHE_DIR", str(tmp_path))
    before = state()
    models = [fresh_model() for _ in range(3)]
    work = lambda i: jm.fit(models[i], data(200 + 100 * i, seed=i), progress=False)
    fits = in_threads([lambda i=i: (work(i), os.write(2, b"a word\n"))[0] for i in range(3)])
    for i, fit in enumerate(fits):
        columns = data(200 + 100 * i, seed=i)
        X = np.stack([np.ones_like(columns["x"]), columns["x"]], 1)
        beta = np.linalg.lstsq(X, columns["y"], rcond=None)[0]
        assert list(fit.coef.values())[:2] == pytest.approx(beta, rel=1e-6)
        assert fit.estimates.compile_seconds > 0
    after = state()
    assert {k: (before[k], after[k]) for k in before if before[k] != after[k]} == {}
    assert capfd.readouterr().err == "a word\n" * 3
    assert any(tmp_path.iterdir())


def test_stderr_comes_back_in_whatever_order_threads_leave(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("JAXMLE_CACHE_DIR", str(tmp_path))
    first_in, second_in, first_out = threading.Event(), threading.Event(), threading.Event()

    def first():
        with runtime.compile_cache, runtime.quiet_loader:
            os.write(2, b"one\n")
            first_in.set()
            second_in.wait()
        first_out.set()

    def second():
        first_in.wait()
        with runtime.compile_cache, runtime.quiet_loader:
            second_in.set()
            first_out.wait()
            os.write(2, b"two E0 cpu_aot_loader.cc:195] a false alarm\nthree\n")
        os.write(2, b"four\n")

    in_threads([first, second])
    assert capfd.readouterr().err == "one\nthree\nfour\n"
    assert jax.config.jax_compilation_cache_dir is None


def test_stderr_that_is_closed_or_missing_is_no_trouble(tmp_path):
    code = f"""
import os, sys
sys.path.insert(0, {str(ROOT)!r})
import jax.numpy as jnp, numpy as np, jaxmle as jm
how = sys.argv[1]
if how == "closed": os.close(2)
if how == "none": sys.stderr = None
if how == "closed_object": sys.stderr.close()
y = np.random.default_rng(0).normal(size=50)
fit = jm.fit(jm.Model(lambda p, row: -(row["y"] - p["m"]) ** 2, {{"m": jm.Real()}}), {{"y": y}}, progress=False)
print(abs(fit.coef["m"] - y.mean()) < 1e-9)
"""
    env = os.environ | {"JAXMLE_CACHE_DIR": str(tmp_path)}
    for how in ("closed", "none", "closed_object"):
        done = subprocess.run([sys.executable, "-c", code, how], env=env, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout.strip()) == (0, "True"), done.stderr


def test_garbage_is_looked_for_again_once_all_are_done_unless_the_caller_wanted_none_of_it():
    inside, leave = threading.Event(), threading.Event()

    def first():
        with process.uncollected:
            inside.set()
            leave.wait()
            assert not gc.isenabled()

    def second():
        inside.wait()
        with process.uncollected:
            assert not gc.isenabled()
        assert not gc.isenabled()
        leave.set()

    in_threads([first, second])
    assert gc.isenabled()
    gc.disable()
    try:
        with process.uncollected:
            assert not gc.isenabled()
        assert not gc.isenabled()
    finally:
        gc.enable()


# --- import ---------------------------------------------------------------------------------------------------------------


def test_importing_is_light_and_changes_nothing():
    code = f"""
import gc, sys, warnings
warnings.simplefilter("error")
import jax, numpy as np
searched = []
gc.callbacks.append(lambda phase, how: searched.append(how["generation"]))
settings, errors, seed = dict(jax.config.values), np.geterr(), np.random.get_state()[1].tobytes()
sys.path.insert(0, {str(ROOT)!r})
import jaxmle as jm
assert gc.isenabled() and 2 not in searched, "importing has gone through all that JAX has made"
from jax._src import xla_bridge
assert not xla_bridge.backends_are_initialized(), "a device was claimed"
assert dict(jax.config.values) == settings
assert np.geterr() == errors
assert np.random.get_state()[1].tobytes() == seed
unwanted = {OPTIONAL + HEAVY!r}
found = lambda: [name for name in unwanted if name in sys.modules]
assert not found(), found()
y = np.random.default_rng(0).normal(size=50)
fit = jm.fit(jm.Model(lambda p, row: -(row["y"] - p["m"]) ** 2, {{"m": jm.Real()}}), {{"y": y}}, progress=False)
assert fit.std_errors and "scipy" not in sys.modules
str(fit)
assert not [name for name in {OPTIONAL!r} if name in sys.modules]
assert dict(jax.config.values) == settings
"""
    env = {k: v for k, v in os.environ.items() if not k.startswith("COV")} | {"JAXMLE_CACHE_DIR": "off"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

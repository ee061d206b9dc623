"""Whether the installed compiler gets small matrix-vector products right, row by row, against NumPy.

jaxlib 0.9.2 to 0.10.2 on CPU do not, for kernels of many rows (docs/hazards.md). jaxmle gives no kernel more than
`runtime.MAX_KERNEL_ROWS` rows, which must be right on every release; larger kernels may be wrong only where
`runtime.check_compiler` refuses them. The next bad release fails here.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmle import runtime
from jaxmle.errors import ModelError

CHUNK = runtime.MAX_KERNEL_ROWS
PRECISIONS = ("float32", "float64")
FORMS = {
    "sum of squares": (lambda v: (v**2).sum(), lambda v: (v**2).sum(1)),
    "max": (lambda v: v.max(), lambda v: v.max(1)),
    "cumsum": (lambda v: jnp.cumsum(v)[-1], lambda v: np.cumsum(v, axis=1)[:, -1]),
    "logsumexp": (jax.nn.logsumexp, lambda v: np.log(np.exp(v).sum(1))),
}

pytestmark = pytest.mark.skipif(
    jax.default_backend() != "cpu", reason="the known miscompilations are those of XLA on CPU"
)


def rows_around(k: int) -> list[int]:
    return [2**k - 1, 2**k + 1, 2**k + 64, 2**k + 1024]


def by_rows(m, x):
    return {name: jax.vmap(lambda r, f=f: f(m @ r))(x[name]) for name, (f, _) in FORMS.items()}


@jax.jit
def one_kernel(ms, xs):
    return {key: by_rows(ms[key], xs[key]) for key in ms}


@jax.jit
def in_chunks(ms, xs):
    def step(carry, chunk):
        return carry, {key: by_rows(ms[key], chunk[key]) for key in ms}

    parts = jax.lax.scan(step, None, jax.tree.map(lambda x: x.reshape(-1, CHUNK, x.shape[-1]), xs))[1]
    return jax.tree.map(lambda y: y.reshape(-1), parts)


def wrong_rows(rows: int, chunked: bool) -> dict[tuple[str, int, str], int]:
    """How many rows are wrong, by precision, number of columns and form; nothing for those that are all right.

    One program has all of them, each with arguments of its own: forms that shared one would be compiled into one
    kernel, and the failure hides.
    """
    rng = np.random.default_rng(rows)
    keys = [(p, c) for p in PRECISIONS for c in range(2, 9)]
    ms = {f"{p} {c}": rng.normal(size=(c, c)).astype(p) for p, c in keys}
    data = {f"{p} {c}": rng.normal(size=(rows, c)).astype(p) for p, c in keys}
    fill = -rows % CHUNK if chunked else 0
    with runtime.x64():
        xs = {k: dict.fromkeys(FORMS, jnp.asarray(np.pad(x, ((0, fill), (0, 0))))) for k, x in data.items()}
        result = jax.device_get((in_chunks if chunked else one_kernel)(ms, xs))
    found = {}
    for (precision, columns), (key, x) in zip(keys, data.items(), strict=True):
        products = x.astype(float) @ ms[key].astype(float).T
        for name, (_, truth) in FORMS.items():
            # The rounding of single precision is 1e-6; a wrong row is off by its own size.
            tolerance = 1e-4 * (1.0 + (products**2).sum(1))
            count = int((np.abs(result[key][name][:rows] - truth(products)) > tolerance).sum())
            if count:
                found[precision, columns, name] = count
    return found


@pytest.mark.parametrize("rows", [n for k in range(10, 14) for n in rows_around(k)])
def test_kernels_as_large_as_jaxmle_makes_them_are_right(rows):
    assert not wrong_rows(rows, chunked=rows > CHUNK)


@pytest.mark.parametrize("rows", [*rows_around(14), *rows_around(15), 2**16 + 1, 2**16 + 1024, 2**17 + 1, 2**17 + 1024])
def test_a_larger_kernel_is_right_or_refused(rows, record_property):
    found = wrong_rows(rows, chunked=False)
    record_property("jaxlib", runtime.JAXLIB)
    record_property("wrong rows", str(found))
    for precision in {p for p, _, _ in found}:
        with pytest.raises(ModelError, match="miscompile"):
            runtime.check_compiler(rows, precision)


@pytest.mark.parametrize(
    ("version", "refused"),
    [
        *(("0.7.2", ()), ("0.8.3", ()), ("0.9.2", ("float32",)), ("0.10.0", ("float32",)), ("0.10.1", ("float32",))),
        ("0.10.2", PRECISIONS),
    ],
)
def test_the_known_bad_releases_are_refused_for_large_kernels_alone(version, refused):
    for precision in PRECISIONS:
        runtime.check_compiler(CHUNK, precision, version, "cpu")
        runtime.check_compiler(10 * CHUNK, precision, version, "gpu")
        if precision in refused:
            with pytest.raises(ModelError, match=rf"jaxlib {version}.*{precision}"):
                runtime.check_compiler(CHUNK + 1, precision, version, "cpu")
        else:
            runtime.check_compiler(10 * CHUNK, precision, version, "cpu")


def test_the_release_that_is_wrong_in_float64_cannot_be_installed():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    for package in ("jax", "jaxlib"):
        (requirement,) = [d for d in project["dependencies"] if d.startswith(f"{package}>")]
        assert "!=0.10.2" in requirement

"""The compiler: small matrix-vector products in large kernels, which some releases of XLA get silently wrong on CPU."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxmle as jm
from jaxmle import runtime

FORMS = ("square", "max", "cumsum", "logsumexp")


def reference(m, rows):
    """The four forms by NumPy, in float64."""
    v = rows.astype(np.float64) @ m.astype(np.float64).T
    top = v.max(axis=1)
    return np.stack([(v**2).sum(1), top, np.cumsum(v, axis=1)[:, -1], top + np.log(np.exp(v - top[:, None]).sum(1))])


def forms(m, r):
    v = m @ r
    return jnp.stack([(v**2).sum(), v.max(), jnp.cumsum(v)[-1], jax.nn.logsumexp(v)])


@jax.jit
def in_one_kernel(m, rows):
    return jax.vmap(partial(forms, m))(rows).T


@jax.jit
def in_chunks(m, chunks):
    """As the passes do it: one chunk after the other."""
    return jax.lax.map(lambda rows: jax.vmap(partial(forms, m))(rows).T, chunks)


def counts(powers):
    return [2**k + d for k in powers for d in (-1, 1, 64, 1024)]


def wrong_rows(columns, n, dtype, chunked):
    rng = np.random.default_rng(n + columns)
    m, rows = rng.normal(size=(columns, columns)).astype(dtype), rng.normal(size=(n, columns)).astype(dtype)
    with runtime.x64():
        if chunked:
            size = runtime.MAX_KERNEL_ROWS
            padded = np.resize(rows, (-(-n // size) * size, columns)).reshape(-1, size, columns)
            out = np.moveaxis(np.asarray(in_chunks(m, padded)), 1, 0).reshape(len(FORMS), -1)[:, :n]
        else:
            out = np.asarray(in_one_kernel(m, rows))
    tolerance = 1e-10 if dtype == np.float64 else 1e-3
    return int((np.abs(out - reference(m, rows)) > tolerance * (1 + np.abs(reference(m, rows)))).sum())


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("columns", range(2, 9))
def test_kernels_of_at_most_8192_rows_are_right(columns, dtype):
    for n in (1023, 1025, 4097, 8191, 8192):
        assert wrong_rows(columns, n, dtype, chunked=False) == 0
    assert wrong_rows(columns, 2**17 + 1, dtype, chunked=True) == 0


@pytest.mark.parametrize(("dtype", "precision"), [(np.float64, "float64"), (np.float32, "float32")])
def test_a_release_that_fails_the_probe_is_refused_for_larger_kernels(dtype, precision):
    failed = [(c, n) for c in (3, 5) for n in counts((14, 15, 17)) if wrong_rows(c, n, dtype, chunked=False)]
    if failed:  # the next bad release is caught here: it belongs into runtime.check_compiler
        with pytest.raises(jm.ModelError, match="miscompile"):
            runtime.check_compiler(failed[0][1], precision)


@pytest.mark.parametrize(
    ("version", "precision", "refused"),
    [
        ("0.10.2", "float64", True),
        ("0.10.1", "float64", False),
        ("0.10.1", "float32", True),
        ("0.8.3", "float32", False),
    ],
)
def test_the_list_of_bad_releases(version, precision, refused):
    check = partial(runtime.check_compiler, precision=precision, version=version, platform="cpu")
    check(8192)
    if refused:
        with pytest.raises(jm.ModelError, match=f"jaxlib {version}.*smaller units"):
            check(20_000)
    else:
        check(20_000)


def test_the_release_that_is_wrong_in_float64_is_excluded():
    from importlib.metadata import requires

    assert all("!=0.10.2" in r for r in requires("jaxmle") if r.startswith("jax"))

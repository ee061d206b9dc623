"""Total functions, and what all functions share: integers, float32, broadcasting, no constant made at import."""

from __future__ import annotations

import ast
from pathlib import Path

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest

import jaxmle.numerics
from jaxmle import numerics as nm
from jaxmle import runtime

POSITIVE = [1e-300, 1e-100, 1e-9, 0.3, 1.0, 2.0, 1e10, 1e100, 1e300]


def test_safe_log_and_sqrt(agree):
    agree(nm.safe_log, POSITIVE, mp.log, lambda x: [1 / x], lambda x: [-1 / x**2])
    half = mp.mpf(1) / 2
    agree(
        nm.safe_sqrt,
        POSITIVE,
        mp.sqrt,
        lambda x: [half / mp.sqrt(x)],
        lambda x: [-half * half * x ** (-3 * half)],
    )


def test_safe_divide(agree):
    agree(
        nm.safe_divide,
        [(x, y) for x in (0.0, -2.0, *POSITIVE) for y in (-0.5, *POSITIVE[1:]) if abs(x / y) < 1e308],
        lambda x, y: x / y,
        lambda x, y: [1 / y, -x / y**2],
        lambda x, y: [mp.mpf(0), -1 / y**2, 2 * x / y**3],
    )


@pytest.mark.parametrize(
    ("f", "value"),
    [
        (nm.safe_log, -np.inf),
        (lambda x: nm.safe_log(x, 0.0), 0.0),
        (nm.safe_sqrt, 0.0),
        (lambda x: nm.safe_divide(1.0, x), 0.0),
        (lambda x: nm.safe_divide(x, x, otherwise=1.0), 1.0),
        (nm.norm, 0.0),
    ],
)
def test_the_replaced_point_has_the_value_and_derivatives_of_zero(f, value):
    assert f(0.0) == value
    for second in (jax.jacfwd(jax.jacrev(f)), jax.jacrev(jax.jacrev(f)), jax.jacfwd(jax.jacfwd(f))):
        assert second(0.0) == 0.0
    assert jax.grad(f)(0.0) == 0.0


def test_norm(agree):
    def length(*x):
        return mp.sqrt(sum(v * v for v in x))

    def second(*x):
        n = length(*x)
        return [(int(i == j) - x[i] * x[j] / n / n) / n for i in range(3) for j in range(i, 3)]

    # Curvature is zero along x: there, relative to the curvature across.
    agree(
        lambda *x: nm.norm(jnp.stack(x)),
        [
            (3.0, 4.0, 12.0),
            (1e300, 1e300, -1e300),
            (1e-300, 1e-300, 1e-301),
            (0.0, 2.0, 0.0),
            (1e-100, 1.0, 1e100),
            (-1, 1, 1),
        ],
        length,
        lambda *x: [v / length(*x) for v in x],
        second,
        scale=lambda *x: (0, [0] * 3, [1 / length(*x)] * 6),
    )
    m = np.arange(12.0).reshape(3, 4)
    np.testing.assert_allclose(nm.norm(m, axis=0), np.linalg.norm(m, axis=0))
    assert float(nm.norm(m)) == pytest.approx(np.linalg.norm(m))
    assert nm.norm(jnp.array([np.inf, 1.0])) == np.inf


# Every public function, at arguments where it is smooth.
CALLS = {
    "bernoulli_logit_log_prob": (nm.bernoulli_logit_log_prob, (0.3, 1.0)),
    "bessel_ratio": (nm.bessel_ratio, (2.5,)),
    "betainc": (nm.betainc, (2.0, 3.0, 0.3)),
    "betaincinv": (nm.betaincinv, (2.0, 3.0, 0.3)),
    "betaln": (nm.betaln, (2.0, 3.0)),
    "binary_cross_entropy": (nm.binary_cross_entropy, (0.3, 0.0)),
    "categorical_logit_log_prob": (lambda x: nm.categorical_logit_log_prob(jnp.stack([x, 2 * x]), 1), (0.4,)),
    "digamma": (nm.digamma, (2.5,)),
    "gammainc": (nm.gammainc, (2.0, 1.5)),
    "gammaincc": (nm.gammaincc, (2.0, 1.5)),
    "gammaincinv": (nm.gammaincinv, (2.0, 0.3)),
    "gammaln": (nm.gammaln, (2.5,)),
    "inverse_mills": (nm.inverse_mills, (-3.0,)),
    "log1mexp": (nm.log1mexp, (0.7,)),
    "log1pexp": (nm.log1pexp, (0.7,)),
    "log_betainc": (nm.log_betainc, (2.0, 3.0, 0.3)),
    "log_betaincc": (nm.log_betaincc, (2.0, 3.0, 0.3)),
    "log_binomial": (nm.log_binomial, (12.0, 5.0)),
    "log_factorial": (nm.log_factorial, (6.0,)),
    "log_gamma_ratio": (nm.log_gamma_ratio, (20.0, 0.5)),
    "log_gammainc": (nm.log_gammainc, (2.0, 1.5)),
    "log_gammaincc": (nm.log_gammaincc, (2.0, 1.5)),
    "log_i0": (nm.log_i0, (12.0,)),
    "log_multinomial": (lambda x: nm.log_multinomial(jnp.stack([x, 2 * x])), (3.0,)),
    "log_ndtr": (nm.log_ndtr, (-2.5,)),
    "log_ndtr_interval": (nm.log_ndtr_interval, (-1.0, 2.0)),
    "log_sigmoid": (nm.log_sigmoid, (-0.3,)),
    "log_skew_normal_cdf": (nm.log_skew_normal_cdf, (-1.5, 0.8)),
    "log_skew_normal_sf": (nm.log_skew_normal_sf, (-0.5, 0.8)),
    "log_softmax": (lambda x: nm.log_softmax(jnp.stack([x, 2 * x]), 2.0)[0], (0.5,)),
    "log_student_t_cdf": (nm.log_student_t_cdf, (-3.0, 4.0)),
    "log_student_t_sf": (nm.log_student_t_sf, (0.3, 4.0)),
    "logaddexp": (nm.logaddexp, (1.0, 2.0)),
    "logit": (nm.logit, (0.3,)),
    "logsubexp": (nm.logsubexp, (2.0, 1.0)),
    "logsumexp": (lambda x: nm.logsumexp(jnp.stack([x, 2 * x])), (0.5,)),
    "ndtr": (nm.ndtr, (-1.0,)),
    "ndtri": (nm.ndtri, (0.1,)),
    "norm": (lambda x: nm.norm(jnp.stack([x, 2 * x])), (0.5,)),
    "owens_t": (nm.owens_t, (0.7, 1.8)),
    "polygamma": (lambda x: nm.polygamma(1, x), (2.5,)),
    "safe_divide": (nm.safe_divide, (1.0, 3.0)),
    "safe_log": (nm.safe_log, (2.0,)),
    "safe_sqrt": (nm.safe_sqrt, (2.0,)),
    "sigmoid": (nm.sigmoid, (0.3,)),
    "softmax": (lambda x: nm.softmax(jnp.stack([x, 2 * x]), 2.0)[0], (0.5,)),
    "stirling_correction": (nm.stirling_correction, (3.0,)),
    "student_t_quantile": (nm.student_t_quantile, (0.1, 4.0)),
    "von_mises_cdf": (nm.von_mises_cdf, (-1.0, 3.0)),
    "xlog1py": (nm.xlog1py, (2.0, 0.5)),
    "xlogy": (nm.xlogy, (2.0, 0.5)),
}


def test_every_public_function_is_listed():
    assert set(CALLS) == set(jaxmle.numerics.__all__)


LONG = ("gammainc", "betainc", "student_t", "skew_normal", "owens_t")  # integrals: seconds to compile


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] * any(w in n for w in LONG)) for n in CALLS])
def test_float32_stays_float32_with_and_without_x64(name):
    f, arguments = CALLS[name]

    def value_and_slope(*x):
        return f(*x), jax.grad(f)(*x)

    exact = np.asarray(jax.jit(value_and_slope)(*map(jnp.float64, arguments)))
    narrow = [jnp.asarray(a, dtype=jnp.float32) for a in arguments]
    shapes = jax.eval_shape(value_and_slope, *narrow)
    with jax.enable_x64(False):
        result = jax.jit(value_and_slope)(*narrow)
    assert {leaf.dtype for leaf in jax.tree.leaves((shapes, result))} == {np.dtype("float32")}
    np.testing.assert_allclose(result, exact, rtol=2e-5, atol=1e-6)


def test_integers_become_floats_and_arguments_broadcast():
    assert nm.betaln(2, 3).dtype == jnp.float64
    assert nm.xlogy(np.arange(3)[:, None], np.arange(1, 5)).shape == (3, 4)
    assert nm.log_binomial(np.arange(5, 8), 2).shape == (3,)
    assert nm.logaddexp(np.zeros((2, 1)), 0.0).shape == (2, 1)
    with pytest.raises(TypeError, match="complex"):
        nm.sigmoid(1j)
    with runtime.x64():
        assert nm.log_ndtr(np.float32(1.0)).dtype == jnp.float32


def test_no_array_is_made_at_import():
    """A module-level jnp constant would have the precision of whoever imports first."""
    for file in Path(jaxmle.numerics.__file__).parent.glob("*.py"):
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.Assign | ast.AnnAssign):
                assert "jnp." not in ast.unparse(node), f"{file.name}: {ast.unparse(node)}"

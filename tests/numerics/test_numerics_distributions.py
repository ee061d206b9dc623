"""Student's t, von Mises and skew-normal probabilities and the quantiles against mpmath, and against each other."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest
from differences import beta_lower, complement, differenced, disagreements, second_order

from jaxmle import numerics as nm


def right(wrong):
    assert not wrong, f"{len(wrong)} wrong:\n" + "\n".join(wrong[:12])


def t_upper(t, df):
    """log P(T > t) for t > 0."""
    x, y, half = df / (df + t * t), t * t / (df + t * t), mp.mpf(1) / 2
    if x < 0.9:
        return beta_lower(df / 2, half, x, y) - mp.log(2)
    return mp.log((1 - mp.exp(beta_lower(half, df / 2, y, x))) / 2)


@pytest.mark.slow
def test_student_t():
    def truth(t, df):
        with mp.workdps(90):
            upper = differenced(t_upper, (abs(t), df), "1e-17")
            if t > 0:
                return upper
            v, d, h = complement(*upper)
            return v, [-d[0], d[1]], [[h[0][0], -h[0][1]], [-h[1][0], h[1][1]]]

    freedom = [0.05, 1.0, 2.0, 7.5, 200.0, 1e4]
    points = [
        (t, df) for df in freedom for t in (-30.0, -4.0, -1.4, -1e-5, 0.2, 1.0, 3.0, 50.0) if abs(t) < 20 or df < 500
    ]
    right(disagreements(nm.log_student_t_sf, points, truth))
    t, df = map(jnp.array, zip(*points))
    np.testing.assert_array_equal(nm.log_student_t_cdf(-t, df), nm.log_student_t_sf(t, df))
    np.testing.assert_allclose(nm.log_student_t_sf(t, jnp.inf), nm.log_ndtr(-t), rtol=1e-12)
    assert nm.log_student_t_sf(jnp.array([0.0, np.inf, -np.inf]), 3.0).tolist() == [float(np.log(0.5)), -np.inf, 0.0]
    # Through zero, where the incomplete beta function of t**2 has a kink: the slope is minus twice the density.
    h = jax.jit(jax.hessian(lambda v: nm.log_student_t_sf(v[0], v[1])))(jnp.array([0.0, 5.0]))
    np.testing.assert_allclose(h[0, 0], -((2 * 0.3796066898224944) ** 2), rtol=1e-13)


def test_log_i0():
    points = [(k,) for k in (-20.0, -3.0, 1e-8, 1e-3, 0.5, 2.0, 7.99, 8.0, 12.0, 30.0, 700.0, 1e4, 1e6)]
    with mp.workdps(60):
        right(
            disagreements(nm.log_i0, points, lambda k: differenced(lambda k: mp.log(mp.besseli(0, k)), (k,), "1e-15"))
        )
        ratio = lambda k: mp.besseli(1, k) / mp.besseli(0, k)
        right(disagreements(nm.bessel_ratio, points, lambda k: differenced(ratio, (k,), "1e-15")))
    assert (float(nm.log_i0(0.0)), float(nm.log_i0(jnp.inf))) == (0.0, np.inf)


def test_von_mises():
    def left(x, k):
        density = lambda t: mp.exp(k * (mp.cos(t) - mp.cos(x)))
        steps = [-mp.pi, *(x - (mp.pi + x) * mp.mpf(2) ** -j for j in range(2, 24, 2)), x]
        return mp.quad(density, steps) * mp.exp(k * mp.cos(x)) / (2 * mp.pi * mp.besseli(0, k))

    points = [(x, k) for k in (0.3, 8.0, 40.0, 1e3) for x in (-3.0, -1.5, -0.4, -0.05)]
    with mp.workdps(40):
        right(disagreements(nm.von_mises_cdf, points, lambda x, k: differenced(left, (x, k), "1e-9")))
    f = lambda x, k: float(nm.von_mises_cdf(x, k))
    assert f(-np.pi, 2.0) == 0.0
    assert f(np.pi, 2.0) == 1.0
    assert f(1.0, 2.0) == pytest.approx(1 - f(-1.0, 2.0), rel=1e-15)
    assert f(1.0, 0.0) == pytest.approx((1 + np.pi) / (2 * np.pi), rel=1e-15)


def arc(h, low, high):
    f = lambda x: mp.exp(-h * h * (1 + x * x) / 2) / (1 + x * x)
    return mp.quad(f, mp.linspace(low, high, 30)) / (2 * mp.pi)


def test_owens_t():
    def truth(h, a):
        h, a = mp.mpf(h), mp.mpf(a)
        e, n = mp.erf(a * h / mp.sqrt(2)), mp.npdf(h)
        along = mp.exp(-h * h * (1 + a * a) / 2) / (2 * mp.pi * (1 + a * a))
        cross = -h * (1 + a * a) * along
        hessian = [[h * n * e / 2 - n * a * mp.npdf(a * h), cross], [cross, -along * (h * h * a + 2 * a / (1 + a * a))]]
        return arc(h, mp.mpf(0), mp.sign(a) * min(abs(a), 14 / abs(h))), [-n * e / 2, along], hessian

    points = [(h, a) for h in (-2.0, 0.1, 1.0, 6.0, 20.0) for a in (-3.0, -1.0, 1e-6, 0.5, 0.99, 1.01, 4.0)]
    with mp.workdps(30):
        right(disagreements(nm.owens_t, points, truth))
    assert float(nm.owens_t(1.5, 1e300)) == pytest.approx(0.5 * float(mp.ncdf(-1.5)), rel=1e-14)
    assert float(nm.owens_t(0.0, 1.0)) == pytest.approx(0.125, rel=1e-15)


def test_skew_normal():
    def left(z, shape):
        """For z < 0, by the integral of what Owen's T lacks."""
        z, shape = mp.mpf(z), mp.mpf(shape)
        h, a = -z, abs(shape)
        rest = 2 * arc(h, a, a + 40 / (h + h * h * a))
        total = rest if shape > 0 else mp.erfc(h / mp.sqrt(2)) - rest
        slope = 2 * mp.npdf(z) * mp.ncdf(shape * z)
        along = -mp.exp(-z * z * (1 + shape**2) / 2) / (mp.pi * (1 + shape**2))
        kernel = 2 * mp.npdf(z) * mp.npdf(shape * z)
        zz, za = -z * slope + shape * kernel, z * kernel
        aa = -along * (z * z * shape + 2 * shape / (1 + shape**2))
        d = [slope / total, along / total]
        cross = za / total - d[0] * d[1]
        return mp.log(total), d, [[zz / total - d[0] ** 2, cross], [cross, aa / total - d[1] ** 2]]

    def truth(z, shape):
        if z < 0:
            return left(z, shape)
        v, d, h = complement(*left(-z, -shape))
        return v, [-g for g in d], h

    points = [
        (z, a) for z in (-30.0, -3.0, -0.9, -0.3, 0.2, 2.0, 5.0) for a in (-20.0, -1.0, -0.3, 0.3, 0.99, 3.0, 200.0)
    ]
    with mp.workdps(40):
        right(disagreements(nm.log_skew_normal_cdf, points, truth))
    z, a = map(jnp.array, zip(*points))
    np.testing.assert_array_equal(nm.log_skew_normal_sf(z, a), nm.log_skew_normal_cdf(-z, -a))
    np.testing.assert_allclose(nm.log_skew_normal_cdf(z, 0.0), nm.log_ndtr(z), rtol=1e-12)
    np.testing.assert_allclose(nm.log_skew_normal_cdf(0.0, a), np.log(0.5 - np.arctan(a) / np.pi), rtol=1e-12)


def test_normal_quantile():
    def truth(p):
        p = mp.mpf(p)
        f = (lambda x: mp.log(mp.ncdf(x) / p)) if p < 0.5 else (lambda x: mp.log(mp.ncdf(-x) / (1 - p)))
        x = mp.findroot(f, mp.mpf(float(nm.ndtri(float(p)))) + mp.mpf("1e-9"))
        return x, [1 / mp.npdf(x)], [[x / mp.npdf(x) ** 2]]

    with mp.workdps(40):
        right(disagreements(nm.ndtri, [(p,) for p in (1e-150, 1e-20, 1e-5, 0.1, 0.4999, 0.7, 1 - 1e-12)], truth))
        assert float(nm.ndtri(1e-300)) == pytest.approx(float(truth(1e-300)[0]), rel=1e-14)
    assert jax.vmap(nm.ndtri)(jnp.array([0.0, 0.5, 1.0])).tolist() == [-np.inf, 0.0, np.inf]
    assert jax.jit(jax.vmap(jax.grad(nm.ndtri)))(jnp.array([0.0, 1.0])).tolist() == [0.0, 0.0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("quantile", "lower", "upper", "shapes"),
    [
        (nm.gammaincinv, nm.log_gammainc, nm.log_gammaincc, [(0.3,), (1.0,), (2.5,), (30.0,), (1e3,)]),
        pytest.param(
            *(nm.betaincinv, nm.log_betainc, nm.log_betaincc, [(0.3, 1.0), (1.0, 7.0), (2.5, 0.8), (30.0, 100.0)]),
            marks=pytest.mark.slow,  # to compile
        ),
        pytest.param(
            lambda df, p: nm.student_t_quantile(p, df),
            lambda df, t: nm.log_student_t_cdf(t, df),
            lambda df, t: nm.log_student_t_sf(t, df),
            [(0.5,), (2.0,), (7.5,), (50.0,)],
            marks=pytest.mark.slow,
        ),
    ],
    ids=["gamma", "beta", "student"],
)
def test_quantiles_undo_the_distribution_functions(quantile, lower, upper, shapes):
    """log F(F^-1(p)) - log p is zero for all parameters and p, and so are its two derivatives."""

    def surplus(v):
        *s, p = v
        x = quantile(*s, p)
        return jnp.where(p < 0.5, lower(*s, x) - jnp.log(p), upper(*s, x) - jnp.log1p(-p))

    # No closer to 1: there x itself is rounded.
    points = jnp.array([(*s, p) for s in shapes for p in (1e-20, 1e-3, 0.1, 0.49, 0.51, 0.8)])
    value, gradient, hessian = second_order(surplus, points)
    unit = np.concatenate([points[:, :-1], np.minimum(points[:, -1:], 1 - points[:, -1:])], axis=1)
    np.testing.assert_allclose(value, 0.0, atol=1e-12)
    np.testing.assert_allclose(gradient * unit, 0.0, atol=1e-11)
    np.testing.assert_allclose(hessian * unit[:, :, None] * unit[:, None, :], 0.0, atol=1e-9)
    ends = jnp.array([(*shapes[0], 0.0), (*shapes[0], 1.0), (*shapes[0], 1.5)])
    assert np.isnan(jax.jit(jax.vmap(lambda v: quantile(*v)))(ends)).tolist() == [False, False, True]


@pytest.mark.slow
def test_quantiles_of_known_distributions():
    p = jnp.array([1e-300, 1e-9, 0.3, 0.9])
    np.testing.assert_allclose(nm.gammaincinv(1.0, p), -np.log1p(-p), rtol=1e-13)
    np.testing.assert_allclose(nm.betaincinv(3.0, 1.0, p), p ** (1 / 3), rtol=1e-13)
    q = jnp.array([1e-250, 1e-9, 0.3, 0.9])
    np.testing.assert_allclose(nm.student_t_quantile(q, 1.0), -1 / np.tan(np.pi * q), rtol=1e-13)
    np.testing.assert_allclose(nm.student_t_quantile(q[1:], jnp.inf), nm.ndtri(q[1:]), rtol=1e-13)

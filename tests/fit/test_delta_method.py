"""Standard errors of every domain on the natural scale, against a numeric delta method that uses no autodiff."""

import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.special import gammaln, ndtr
from scipy.special import gammaln as np_gammaln
from scipy.special import ndtr as np_ndtr
from scipy.special import xlogy

import jaxmle as jm

from .models import fit


def second_differences(f, x, step=1e-4):
    """The Hessian of `f` at `x` by central differences with one Richardson extrapolation."""

    def at(h):
        n = len(x)
        steps = h * np.maximum(1.0, np.abs(x)) * np.eye(n)
        value = lambda i, j, a, b: f(x + a * steps[i] + b * steps[j])
        sums = [
            [value(i, j, 1, 1) - value(i, j, 1, -1) - value(i, j, -1, 1) + value(i, j, -1, -1) for j in range(n)]
            for i in range(n)
        ]
        return np.array(sums) / (4 * np.outer(np.diag(steps), np.diag(steps)))

    return (4 * at(step) - at(2 * step)) / 3


def first_differences(f, x, step=1e-5):
    return np.stack([(f(x + d) - f(x - d)) / (2 * step) for d in step * np.eye(len(x))], axis=1)


def gamma(p, row):
    a, b = p["shape"], p["rate"]
    return a * jnp.log(b) - gammaln(a) + (a - 1) * jnp.log(row["y"]) - b * row["y"]


def multinomial(p, row):
    return jnp.log(p["share"])[row["k"]]


def ordered_probit(p, row):
    cut = jnp.concatenate([jnp.array([-jnp.inf]), p["cut"], jnp.array([jnp.inf])])
    return jnp.log(ndtr(cut[row["k"] + 1]) - ndtr(cut[row["k"]]))


def bivariate_normal(p, row):
    away = row["y"] - p["mean"]
    return -0.5 * away @ jnp.linalg.solve(p["cov"], away) - 0.5 * jnp.linalg.slogdet(p["cov"])[1]


def geometric(p, row):
    return jnp.log(p["p"]) + row["y"] * jnp.log1p(-p["p"])


RNG = np.random.default_rng(10)
Y = RNG.gamma(2.0, 1.5, 60)
K = np.repeat([0, 1, 2], [7, 20, 13])
PAIRS = RNG.multivariate_normal([1, 2], [[2, 0.8], [0.8, 1]], 50)
G = RNG.geometric(0.3, 40) - 1


def covariance_of(v):
    """Σ from (log of its diagonal, covariance): another parametrisation than the one under test."""
    return np.array([[np.exp(v[0]), v[1]], [v[1], np.exp(v[2])]])


def normal_pairs(v):
    away, sigma = PAIRS - v[:2], covariance_of(v[2:])
    quadratic = np.einsum("ni,ij,nj->", away, np.linalg.inv(sigma), away)
    return -0.5 * quadratic - 0.5 * len(PAIRS) * np.log(np.linalg.det(sigma))


def softmax(v):
    e = np.exp(np.append(v, 0.0))
    return e / e.sum()


S = np.cov(PAIRS.T, bias=True)
COUNTS = np.bincount(K)
CASES = {
    # (model, data, log-likelihood in NumPy of some free values, the maximum there, the reported values from them)
    "Positive": (
        jm.Model(gamma, {"shape": jm.Positive(), "rate": jm.Positive()}), {"y": Y},
        lambda v: np.sum(np.exp(v[0]) * v[1] - np_gammaln(np.exp(v[0])) + (np.exp(v[0]) - 1) * np.log(Y)
                         - np.exp(v[1]) * Y),
        lambda coef: np.log([coef["shape"], coef["rate"]]), np.exp,
    ),
    "UnitInterval": (
        jm.Model(geometric, {"p": jm.UnitInterval()}), {"y": G},
        lambda v: len(G) * np.log(v[0]) + G.sum() * np.log1p(-v[0]),
        lambda _: np.array([1 / (1 + G.mean())]), lambda v: v,
    ),
    "Interval": (
        jm.Model(geometric, {"p": jm.Interval(0.1, 0.9)}), {"y": G},
        lambda v: len(G) * np.log(v[0]) + G.sum() * np.log1p(-v[0]),
        lambda _: np.array([1 / (1 + G.mean())]), lambda v: v,
    ),
    "Simplex": (
        jm.Model(multinomial, {"share": jm.Simplex(3)}), {"k": K},
        lambda v: np.sum(xlogy(COUNTS, softmax(v))),
        lambda _: np.log(COUNTS[:2] / COUNTS[2]), softmax,
    ),
    "Ordered": (
        jm.Model(ordered_probit, {"cut": jm.Ordered(2)}), {"k": K},
        lambda v: np.sum(COUNTS * np.log(np.diff(np_ndtr(np.array([-np.inf, *v, np.inf]))))),
        lambda coef: np.array([coef["cut[0]"], coef["cut[1]"]]), lambda v: v,
    ),
    "Covariance": (
        jm.Model(bivariate_normal, {"mean": jm.Real(shape=2), "cov": jm.Covariance(2)}), {"y": PAIRS},
        normal_pairs,
        lambda _: np.array([*PAIRS.mean(axis=0), np.log(S[0, 0]), S[0, 1], np.log(S[1, 1])]),
        lambda v: np.array([v[0], v[1], np.exp(v[2]), v[3], np.exp(v[4])]),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_standard_errors_follow_the_delta_method(name):
    model, data, log_likelihood, maximum, reported = CASES[name]
    result = fit(model, data)
    at = maximum(result.coef)
    covariance = np.linalg.inv(-second_differences(log_likelihood, at))
    jacobian = first_differences(reported, at)
    expected = jacobian @ covariance @ jacobian.T
    assert result.converged
    np.testing.assert_allclose(list(result.coef.values()), reported(at), rtol=1e-6)
    np.testing.assert_allclose(result.covariance(), expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("level", [0.95, 1 - 1e-9])
def test_intervals_stay_inside_the_domain(name, level):
    model, data, *_ = CASES[name]
    result = fit(model, data)
    for label, (low, high) in result.confint(level).items():
        assert low < result.coef[label] < high
        if name in ("Positive", "UnitInterval", "Simplex") or label in ("cov[0,0]", "cov[1,1]"):
            assert low > 0
        if name in ("UnitInterval", "Simplex"):
            assert high < 1
        if name == "Interval":
            assert 0.1 < low < high < 0.9


def test_the_maxima_are_the_closed_forms():
    """k/n for shares; Φ⁻¹ of cumulative shares for cut points; the sample's mean and its covariance of divisor n."""
    from scipy.special import ndtri

    share, cut, pairs = (fit(*CASES[name][:2]) for name in ("Simplex", "Ordered", "Covariance"))
    np.testing.assert_allclose(share.params["share"], COUNTS / 40, rtol=1e-8)
    # se of a share: √(p(1 − p)/n)
    p = COUNTS / 40
    np.testing.assert_allclose(list(share.std_errors.values()), np.sqrt(p * (1 - p) / 40), rtol=1e-6)
    np.testing.assert_allclose(cut.params["cut"], ndtri(np.cumsum(COUNTS)[:2] / 40), rtol=1e-7)
    np.testing.assert_allclose(pairs.params["mean"], PAIRS.mean(axis=0), rtol=1e-8)
    np.testing.assert_allclose(pairs.params["cov"], S, rtol=1e-7)
    assert tuple(pairs.coef) == ("mean[0]", "mean[1]", "cov[0,0]", "cov[0,1]", "cov[1,1]")


def test_a_correlation_has_fishers_interval():
    """tanh(artanh r ± 1.96·se/(1 − r²)), and se = (1 − r²)/√n where means and variances are known (Kendall and Stuart)."""

    def density(p, row):
        return bivariate_normal({"mean": jnp.zeros(2), "cov": p["r"]}, row)

    pairs = RNG.multivariate_normal([0, 0], [[1, 0.7], [0.7, 1]], 200)
    result = fit(jm.Model(density, {"r": jm.Correlation(2)}), {"y": pairs})
    (name,) = result.coef
    r, se = result.coef[name], result.std_errors[name]
    low, high = result.confint()[name]
    half = 1.959963984540054 * se / (1 - r**2)
    np.testing.assert_allclose([low, high], np.tanh(np.arctanh(r) + half * np.array([-1, 1])), rtol=1e-9)
    f = lambda v: (
        -0.5
        * (
            ((pairs**2).sum() - 2 * v[0] * (pairs[:, 0] * pairs[:, 1]).sum()) / (1 - v[0] ** 2)
            + 200 * np.log(1 - v[0] ** 2)
        )
    )
    np.testing.assert_allclose(se**2, 1 / -second_differences(f, np.array([r]))[0, 0], rtol=1e-5)

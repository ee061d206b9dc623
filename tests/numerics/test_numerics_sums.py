"""Sums of exponentials, and log-probabilities from logits, against mpmath: relative error 1e-12."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest

from jaxmle import numerics as nm

TRIPLES = [
    *((0.0, 0.0, 0.0), (1.0, 2.0, 3.0), (0.0, -40.0, -60.0), (-745.0, -700.0, -745.5), (1e10, 1e10 - 1.5, 1e10 + 2)),
    *((1e300, -1e300, 0.0), (1e-300, 0.0, -1e-300), (800.0, 0.0, -800.0), (-1e10, -1e10, -1e10 - 30), (5.0, 5.0, -5.0)),
]
UPPER = [(i, j) for i in range(3) for j in range(i, 3)]


def deep(point):
    return 800


def exp(x):
    return mp.exp(x) if x > -1500 else mp.mpf(0)


def shares(x):
    top = max(x)
    e = [exp(v - top) for v in x]
    return [v / sum(e) for v in e]


def log_share(x, i):
    """log of the i-th share; one minus the others where it is close to one."""
    top = max(x)
    return x[i] - top - mp.log(sum(exp(v - top) for v in x))


def hessian_of_lse(x):
    w = shares(x)
    return [w[i] * (1 - w[i]) if i == j else -w[i] * w[j] for i, j in UPPER]


def test_logsumexp(agree):
    # The value has zeros, where its terms cancel: 1e-12 of the arguments, each by its share.
    agree(
        lambda *x: nm.logsumexp(jnp.stack(x)),
        TRIPLES,
        lambda *x: max(x) + mp.log(sum(exp(v - max(x)) for v in x)),
        lambda *x: shares(x),
        lambda *x: hessian_of_lse(x),
        scale=lambda *x: (sum(abs(v) * w for v, w in zip(x, shares(x), strict=True)), [0] * 3, [0] * 6),
        digits=deep,
    )


def test_logsumexp_keeps_what_is_added_to_the_largest():
    assert float(nm.logsumexp(jnp.array([0.0, -50.0, -60.0]))) == pytest.approx(
        float(mp.exp(-50) + mp.exp(-60)), rel=1e-13
    )


WEIGHTED = [
    *((0.0, 1.0, 1.0, 2.0), (3.0, -40.0, 0.5, 2.0), (-745.0, -700.0, 1e-10, 3.0), (1e10, 1e10 + 2, 2.0, 0.25)),
    *((-5.0, 2.0, 0.0, 1.0), (1.0, 1.0, 1e300, 1e-300), (600.0, 0.0, 1e-300, 7.0), (0.5, 0.25, 3.0, 4.0)),
]


def weighted_terms(x0, x1, b0, b1):
    top = max(x0, x1)
    total = b0 * exp(x0 - top) + b1 * exp(x1 - top)
    v = [exp(x0 - top) / total, exp(x1 - top) / total]
    return top + mp.log(total), v, [b0 * v[0], b1 * v[1]]


def test_logsumexp_with_weights(agree):
    def second(*x):
        _, v, w = weighted_terms(*x)
        return [
            *(w[0] * (1 - w[0]), -w[0] * w[1], v[0] * (1 - w[0]), -w[0] * v[1]),
            *(w[1] * (1 - w[1]), -w[1] * v[0], v[1] * (1 - w[1])),
            *(-v[0] * v[0], -v[0] * v[1], -v[1] * v[1]),
        ]

    def scale(*x):
        _, _, w = weighted_terms(*x)
        return abs(x[0]) * w[0] + abs(x[1]) * w[1] + 1, [0] * 4, [0] * 10

    agree(
        lambda x0, x1, b0, b1: nm.logsumexp(jnp.stack([x0, x1]), weights=jnp.stack([b0, b1])),
        WEIGHTED,
        lambda *x: weighted_terms(*x)[0],
        lambda *x: [*weighted_terms(*x)[2], *weighted_terms(*x)[1]],
        second,
        scale,
        digits=deep,
    )


def test_logsumexp_weights_at_their_edges():
    x = jnp.array([1.0, 2.0, 5000.0])
    assert float(nm.logsumexp(x, weights=jnp.array([1.0, 1.0, 0.0]))) == pytest.approx(np.log(np.e + np.e**2))
    assert float(nm.logsumexp(x[:2], weights=jnp.array([-1.0, 1.0]))) == pytest.approx(np.log(np.e**2 - np.e))
    assert np.isnan(nm.logsumexp(x[:2], weights=jnp.array([-1.0, 0.1])))
    assert nm.logsumexp(x, weights=jnp.zeros(3)) == -np.inf


def test_logsumexp_of_minus_infinity_has_derivatives_of_zero():
    p = 1 / (1 + np.e)
    curvature = p * (1 - p)
    x = jnp.array([[-jnp.inf, 1.0, 2.0], [-jnp.inf, -jnp.inf, -jnp.inf], [jnp.inf, 0.0, 0.0]])
    for weights in (None, np.ones(3)):
        f = lambda x, b=weights: nm.logsumexp(x, weights=b)
        value, gradient, hessian = jax.jit(jax.vmap(lambda x, f=f: (f(x), jax.grad(f)(x), jax.hessian(f)(x))))(x)
        np.testing.assert_allclose(value, [np.log(np.e + np.e**2), -np.inf, np.inf], rtol=1e-15)
        np.testing.assert_allclose(gradient[:2], [[0.0, p, 1 - p], [0.0, 0.0, 0.0]], rtol=1e-14)
        truth = curvature * np.array([[0, 0, 0], [0, 1, -1], [0, -1, 1]])
        np.testing.assert_allclose(hessian[0], truth, rtol=1e-13)
        assert np.all(np.asarray(hessian[1]) == 0.0)


def test_logsumexp_axes():
    x = np.random.default_rng(3).normal(size=(2, 3, 4))
    whole = np.log(np.exp(x).sum())
    assert float(nm.logsumexp(x)) == pytest.approx(whole)
    np.testing.assert_allclose(nm.logsumexp(x, axis=1), np.log(np.exp(x).sum(1)))
    np.testing.assert_allclose(nm.logsumexp(x, axis=(0, -1)), np.log(np.exp(x).sum((0, 2))))
    np.testing.assert_allclose(
        nm.logsumexp(x, axis=(2, 0), keepdims=True), np.log(np.exp(x).sum((0, 2), keepdims=True))
    )
    weights = np.arange(1.0, 4.0)[:, None]
    np.testing.assert_allclose(nm.logsumexp(x, axis=1, weights=weights), np.log((weights * np.exp(x)).sum(1)))
    assert nm.logsumexp(np.zeros((2, 0)), axis=1).tolist() == [-np.inf, -np.inf]
    assert float(nm.logsumexp(3.0)) == 3.0


TEMPERED = [(*x, t) for x in TRIPLES[:7] for t in (1.0, 0.25, 3.0, 1e10) if max(map(abs, x)) < 1e20]


def log_softmax_parts(i, x, t):
    """Value, gradient and Hessian (upper triangle) of the i-th log share of x / t in (x, t)."""
    y = [v / t for v in x]
    w = shares(y)
    mean = sum(a * b for a, b in zip(w, y, strict=True))
    variance = sum(a * (b - mean) ** 2 for a, b in zip(w, y, strict=True))
    gradient = [((i == j) - w[j]) / t for j in range(3)] + [-(y[i] - mean) / t]
    hessian = []
    for j in range(4):
        for k in range(j, 4):
            if k < 3:
                hessian.append((w[j] * w[k] - (j == k) * w[j]) / t**2)
            elif j < 3:
                hessian.append((w[j] * (1 + y[j] - mean) - (i == j)) / t**2)
            else:
                hessian.append((2 * (y[i] - mean) - variance) / t**2)
    return log_share(y, i), gradient, hessian


def softmax_parts(i, x, t):
    value, g, h = log_softmax_parts(i, x, t)
    w = mp.exp(value)
    pairs = [(j, k) for j in range(4) for k in range(j, 4)]
    return w, [w * a for a in g], [w * (a + g[j] * g[k]) for a, (j, k) in zip(h, pairs, strict=True)]


def terms_in_temperature(i, x, t, w_i):
    """Derivatives in the temperature are differences: 1e-12 of the largest term."""
    y = [(v - max(x)) / t for v in x]
    w = shares(y)
    spread = sum(a * abs(b) for a, b in zip(w, y, strict=True)) + abs(y[i])
    square = sum(a * b * b for a, b in zip(w, y, strict=True)) + spread**2
    second = [0] * 10
    for j, place in enumerate((3, 6, 8)):
        second[place] = w_i * (w[j] * (1 + abs(y[j]) + spread) + (i == j)) * (1 + spread) / t**2
    second[9] = w_i * (2 * spread + square) / t**2
    return w_i * spread / t, second


@pytest.mark.parametrize("i", [0, 1])
def test_log_softmax(agree, i):
    def scale(*p):
        first, second = terms_in_temperature(i, p[:3], p[3], 1)
        return 0, [0, 0, 0, first], second

    agree(
        lambda a, b, c, t: nm.log_softmax(jnp.stack([a, b, c]), t)[i],
        TEMPERED,
        *(lambda *p, n=n: log_softmax_parts(i, p[:3], p[3])[n] for n in range(3)),
        scale,
        digits=deep,
    )


@pytest.mark.parametrize("i", [0, 2])
def test_softmax(agree, i):
    def scale(*p):
        w = shares([v / p[3] for v in p[:3]])
        first, second = terms_in_temperature(i, p[:3], p[3], w[i])
        # Off the temperature, w_i (1 - w_i) (1 - 2 w_i) and the like: zeros at w_i = 1/2, of terms of this size.
        places = {0: 0, 4: 1, 7: 2}
        for n, j in places.items():
            second[n] = w[j] * (1 - w[j]) * w[i] / p[3] ** 2
        for n, (j, k) in {1: (0, 1), 2: (0, 2), 5: (1, 2)}.items():
            second[n] = w[i] * w[j if k == i else k] / p[3] ** 2
        return 0, [0, 0, 0, first], second

    agree(
        lambda a, b, c, t: nm.softmax(jnp.stack([a, b, c]), t)[i],
        TEMPERED,
        *(lambda *p, n=n: softmax_parts(i, p[:3], p[3])[n] for n in range(3)),
        scale,
        digits=deep,
    )


def test_softmax_of_minus_infinity_and_of_cold():
    x = jnp.array([0.5, -jnp.inf, 2.0])
    f = jax.jit(nm.softmax)
    np.testing.assert_allclose(f(x, 2.0), np.exp([-0.75, -np.inf, 0.0]) / (1 + np.exp(-0.75)), rtol=1e-14)
    for argument in (0, 1):
        first = jax.jit(jax.jacrev(f, argument))(x, 2.0)
        second = jax.jit(jax.jacfwd(jax.jacrev(f, argument), argument))(x, 2.0)
        assert np.all(np.isfinite(first))
        assert np.all(np.isfinite(second))
        assert np.all(np.asarray(first)[1] == 0.0)
    assert nm.softmax(x, 1e-300).tolist() == [0.0, 0.0, 1.0]
    assert np.all(np.isfinite(jax.jacrev(f, 1)(x, 1e-300)))
    assert nm.softmax(jnp.zeros(4), jnp.inf).tolist() == [0.25] * 4
    assert np.all(np.isnan(nm.softmax(jnp.full(2, -jnp.inf))))
    assert nm.log_softmax(x)[1] == -np.inf
    m = np.random.default_rng(0).normal(size=(3, 5))
    np.testing.assert_allclose(nm.softmax(m, 0.5, axis=0).sum(0), 1.0)
    np.testing.assert_allclose(nm.softmax(m, np.array([[1.0], [2.0], [4.0]])).sum(1), 1.0)


LOGITS = [0.0, 1e-300, 1e-9, -1e-3, 0.5, -2.0, 20.0, 40.0, -40.0, 700.0, -700.0, 1e10, -1e10, 1e300]


def logistic(x):
    return 1 / (1 + exp(-x)) if x > 0 else exp(x) / (1 + exp(x))


def log_logistic(x):
    return -mp.log1p(exp(-x)) if x > 0 else x - mp.log1p(exp(x))


@pytest.mark.parametrize("sign", [1, -1])
def test_bernoulli(agree, sign):
    # The residual, label - p, has a zero where they are equal: relative to its two terms.
    agree(
        nm.bernoulli_logit_log_prob if sign == 1 else nm.binary_cross_entropy,
        [(x, y) for x in LOGITS for y in (0.0, 1.0, 0.25, 0.5, 1e-300)],
        lambda x, y: sign * (y * log_logistic(x) + (1 - y) * log_logistic(-x)),
        lambda x, y: [sign * (y * logistic(-x) - (1 - y) * logistic(x)), sign * x],
        lambda x, y: [-sign * logistic(x) * logistic(-x), mp.mpf(sign), mp.mpf(0)],
        scale=lambda x, y: (0, [y * logistic(-x) + (1 - y) * logistic(x), 0], [0, 0, 0]),
        digits=deep,
    )


def test_bernoulli_at_infinite_logits():
    f = nm.bernoulli_logit_log_prob
    both = jax.jit(jax.vmap(lambda x, y: (f(x, y), jax.grad(f)(x, y), jax.jacfwd(f)(x, y))))
    value, reverse, forward = both(jnp.array([np.inf, -np.inf, -np.inf]), jnp.array([1.0, 0.0, 1.0]))
    assert value.tolist() == [0.0, 0.0, -np.inf]
    assert reverse.tolist() == forward.tolist() == [0.0, 0.0, 1.0]
    assert nm.bernoulli_logit_log_prob(jnp.zeros(2), jnp.array([True, False])).tolist() == [-np.log(2.0)] * 2


def test_categorical_logit_log_prob(agree):
    def parts(x, n):
        value, gradient, hessian = log_softmax_parts(2, x, mp.mpf(1))
        return (value, gradient[:3], [hessian[k] for k in (0, 1, 2, 4, 5, 7)])[n]

    agree(
        lambda *x: nm.categorical_logit_log_prob(jnp.stack(x), 2),
        TRIPLES,
        *(lambda *x, n=n: parts(x, n) for n in range(3)),
        digits=deep,
    )
    logits = np.random.default_rng(1).normal(size=(4, 3))
    index = np.array([0, 2, 1, 1])
    truth = np.log(np.exp(logits) / np.exp(logits).sum(1, keepdims=True))[np.arange(4), index]
    np.testing.assert_allclose(nm.categorical_logit_log_prob(logits, index), truth, rtol=1e-13)
    np.testing.assert_allclose(nm.categorical_logit_log_prob(logits[0], index), nm.log_softmax(logits[0])[index])
    assert np.all(np.isnan(nm.categorical_logit_log_prob(logits, np.array([3, -1, 3, 7]))))
    assert nm.categorical_logit_log_prob(jnp.array([-jnp.inf, 0.0]), 1) == 0.0
    assert nm.categorical_logit_log_prob(jnp.array([-jnp.inf, 0.0]), 0) == -np.inf

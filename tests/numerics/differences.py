"""Derivatives in the digits of mpmath by differences, and the comparison of a JAX function with them."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np


def differenced(f, point, relative="1e-20"):
    """Value, gradient and Hessian of f by central differences in the working precision."""
    k, p = len(point), [mp.mpf(float(v)) for v in point]
    h = [abs(v) * mp.mpf(relative) for v in p]

    def at(*moves):
        return f(*(v + sum(s * h[i] for j, s in moves if j == i) for i, v in enumerate(p)))

    centre, up, down = at(), [at((i, 1)) for i in range(k)], [at((i, -1)) for i in range(k)]
    gradient = [(u - d) / 2 / s for u, d, s in zip(up, down, h)]
    hessian = [[(up[i] + down[i] - 2 * centre) / h[i] ** 2 if i == j else 0 for j in range(k)] for i in range(k)]
    for i in range(k):
        for j in range(i):
            same = at((i, 1), (j, 1)) + at((i, -1), (j, -1))
            hessian[i][j] = hessian[j][i] = (same - at((i, 1), (j, -1)) - at((i, -1), (j, 1))) / 4 / h[i] / h[j]
    return centre, gradient, hessian


def complement(value, d, h):
    """The same of log(1 - exp(value))."""
    e, k = mp.exp(value), range(len(d))
    odds = e / (1 - e)
    return mp.log1p(-e), [-odds * v for v in d], [[-odds * ((1 + odds) * d[i] * d[j] + h[i][j]) for j in k] for i in k]


def power(value, d, h):
    """The same of exp(value)."""
    e, k = mp.exp(value), range(len(d))
    return e, [e * v for v in d], [[e * (d[i] * d[j] + h[i][j]) for j in k] for i in k]


def second_order(f, points):
    """Value, gradient and Hessian of f at each point, in one compilation."""

    def gradient(v):
        value, slope = jax.value_and_grad(f)(v)
        return slope, (value, slope)

    hessians, (values, gradients) = jax.jit(jax.vmap(jax.jacfwd(gradient, has_aux=True)))(points)
    return np.asarray(values), np.asarray(gradients), np.asarray(hessians)


def disagreements(f, points, truth):
    """Where f differs from the truth by more than 1e-12 in value, and 1e-9 in derivatives.

    The scale of a second derivative is at least that of its terms, d_i d_j and d_i / x_j: it may be zero.
    """
    k = len(points[0])
    packed = lambda v: f(*(v[i] for i in range(k)))
    values, gradients, hessians = second_order(packed, jnp.array(points))
    wrong = []
    for n, point in enumerate(points):
        v, d, h = truth(*point)
        x = [mp.mpf(float(abs(p))) or mp.mpf(1) for p in point]
        compared = [("value", values[n], v, 0, 1e-12)]
        compared += [(f"d{i}", gradients[n, i], d[i], 0, 1e-9) for i in range(k)]
        for i in range(k):
            for j in range(k):
                scale = max(abs(d[i] * d[j]), abs(d[i]) / x[j], abs(d[j]) / x[i])
                compared.append((f"d{i}{j}", hessians[n, i, j], h[i][j], scale, 1e-9))
        wrong += [
            f"{name} at {point}: got {got!r}, true {mp.nstr(ref, 18)}"
            for name, got, ref, scale, tolerance in compared
            if not abs(mp.mpf(float(got)) - ref) <= tolerance * max(abs(ref), scale) + 1e-290
        ]
    return wrong


def beta_lower(a, b, x, y):
    """log I(a, b, x), y = 1 - x, by a series of positive terms."""
    total = term = mp.mpf(1)
    n = 0
    while term > total * mp.eps:
        term *= x * (a + b + n) / (a + 1 + n)
        n += 1
        total += term
    beta = mp.loggamma(a) + mp.loggamma(b) - mp.loggamma(a + b)
    return a * mp.log(x) + b * mp.log(y) - mp.log(a) - beta + mp.log(total)

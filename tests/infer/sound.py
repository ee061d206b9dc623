"""Sound models: twenty densities, each with data simulated from it, of which a fit must be proved without a word of caution."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxmle as jm
from jaxmle.numerics import gammaln, log_factorial, log_ndtr, log_sigmoid

LOG_2PI = float(np.log(2 * np.pi))


def normal_log_density(y, mean, sd):
    return -0.5 * ((y - mean) / sd) ** 2 - jnp.log(sd) - 0.5 * LOG_2PI


@dataclass(frozen=True)
class Sound:
    """A model, and how data of it are simulated with a generator and a number of rows."""

    name: str
    model: jm.Model
    simulate: Callable[[np.random.Generator, int], dict[str, Any]]
    options: dict[str, Any] = field(default_factory=dict)


def line(x):
    return 0.4 + 0.7 * x


def with_x(draw):
    def simulate(rng, n):
        x = rng.normal(size=n)
        return {"x": x, "y": draw(rng, x, n)}

    return simulate


LINE = jm.Linear([1, "x"])
LOG_LINE = jm.Linear([1, "x"], link="log")


def poisson(p, r):
    return r["y"] * jnp.log(p["rate"]) - p["rate"] - log_factorial(r["y"])


def negative_binomial(p, r):
    k, y = 1 / p["alpha"], r["y"]
    return (
        gammaln(y + k)
        - gammaln(k)
        - log_factorial(y)
        - k * jnp.log1p(p["alpha"] * p["mu"])
        + y * (jnp.log(p["alpha"] * p["mu"]) - jnp.log1p(p["alpha"] * p["mu"]))
    )


def gamma(p, r):
    k, y = p["shape"], r["y"]
    return k * jnp.log(k / p["mu"]) + (k - 1) * jnp.log(y) - k * y / p["mu"] - gammaln(k)


def censored_weibull(p, r):
    w = (jnp.log(r["y"]) - p["mu"]) / p["s"]
    return jnp.where(r["seen"], w - jnp.exp(w) - jnp.log(p["s"]) - jnp.log(r["y"]), -jnp.exp(w))


def simulate_censored(rng, n):
    x = rng.normal(size=n)
    t = np.exp(line(x) + 0.6 * np.log(rng.exponential(size=n)))
    c = rng.exponential(6.0, size=n)
    return {"x": x, "y": np.minimum(t, c), "seen": t <= c}


def beta(p, r):
    a, b = p["a"], p["b"]
    return (a - 1) * jnp.log(r["y"]) + (b - 1) * jnp.log1p(-r["y"]) - gammaln(a) - gammaln(b) + gammaln(a + b)


def student(p, r):
    df, z = p["df"], (r["y"] - p["mu"]) / p["s"]
    constant = gammaln((df + 1) / 2) - gammaln(df / 2) - 0.5 * jnp.log(df * jnp.pi) - jnp.log(p["s"])
    return constant - (df + 1) / 2 * jnp.log1p(z**2 / df)


def gumbel(p, r):
    z = (r["y"] - p["mu"]) / p["s"]
    return -jnp.log(p["s"]) - z - jnp.exp(-z)


def logistic(p, r):
    return jnp.where(r["y"] == 1, log_sigmoid(p["eta"]), log_sigmoid(-p["eta"]))


def probit(p, r):
    return log_ndtr(jnp.where(r["y"] == 1, p["eta"], -p["eta"]))


def ordinal(p, r):
    low, high = p["cut"][0] - p["eta"], p["cut"][1] - p["eta"]
    middle = log_sigmoid(high) + log_sigmoid(-low) + jnp.log(-jnp.expm1(low - high))
    return jnp.where(r["y"] == 0, log_sigmoid(low), jnp.where(r["y"] == 2, log_sigmoid(-high), middle))


def zero_inflated(p, r):
    count = r["y"] * jnp.log(p["rate"]) - p["rate"] - log_factorial(r["y"])
    zero = jnp.logaddexp(jnp.log(p["extra"]), jnp.log1p(-p["extra"]) - p["rate"])
    return jnp.where(r["y"] == 0, zero, jnp.log1p(-p["extra"]) + count)


def simulate_inflated(rng, n):
    x = rng.normal(size=n)
    return {"x": x, "y": rng.poisson(np.exp(line(x))) * (rng.uniform(size=n) > 0.3)}


def mixture(p, r):
    one = jnp.log(p["share"]) + normal_log_density(r["y"], p["m"][0], p["s"])
    return jnp.logaddexp(one, jnp.log1p(-p["share"]) + normal_log_density(r["y"], p["m"][1], p["s"]))


def softmax(p, r):
    logits = jnp.concatenate([jnp.zeros(1), p["eta"]])
    return logits[r["y"]] - jax.nn.logsumexp(logits)


def two_normals(p, r):
    chol = jnp.linalg.cholesky(p["cov"])
    z = jax.scipy.linalg.solve_triangular(chol, r["y"] - p["mean"], lower=True)
    return -0.5 * z @ z - jnp.log(jnp.diag(chol)).sum() - LOG_2PI


def shares(p, r):
    return jnp.log(p["share"][r["y"]])


def autoregression(p, d):
    y = d["y"] - p["mu"]
    first = normal_log_density(y[:1], 0.0, p["s"] / jnp.sqrt(1 - p["rho"] ** 2))
    return jnp.concatenate([first, normal_log_density(y[1:], p["rho"] * y[:-1], p["s"])])


def simulate_series(rng, n):
    y = np.zeros(n)
    for t in range(1, n):
        y[t] = 0.6 * y[t - 1] + rng.normal()
    return {"y": y + 3.0}


def panel(p, rows, mask):
    """A random intercept, integrated out in closed form."""
    e = jnp.where(mask, rows["y"] - p["mu"], 0.0)
    n, v, u = mask.sum(), p["s"] ** 2, p["u"] ** 2
    return -0.5 * (
        n * LOG_2PI + (n - 1) * jnp.log(v) + jnp.log(v + n * u) + (e @ e - u * e.sum() ** 2 / (v + n * u)) / v
    )


def simulate_panel(rng, n):
    g = np.repeat(np.arange(n // 6), 6)
    x = rng.normal(size=len(g))
    return {"x": x, "g": g, "y": line(x) + rng.normal(size=n // 6)[g] + rng.normal(size=len(g))}


def heteroskedastic(p, r):
    return normal_log_density(r["y"], p["mu"], p["s"])


def curve(p, r):
    return normal_log_density(r["y"], p["top"] * (1 - jnp.exp(-p["speed"] * r["x"])), p["s"])


def simulate_curve(rng, n):
    x = rng.uniform(0.1, 5.0, size=n)
    return {"x": x, "y": 8.0 * (1 - np.exp(-0.9 * x)) + 0.3 * rng.normal(size=n)}


SOUND = [
    Sound("normal", jm.Model(heteroskedastic, {"mu": jm.Real(),
          "s": jm.Positive()}), with_x(lambda g, x, n: 1e4 + 3 * g.normal(size=n))),
    Sound("heteroskedastic", jm.Model(heteroskedastic, {"mu": LINE, "s": LOG_LINE}),
          with_x(lambda g, x, n: line(x) + np.exp(0.2 + 0.3 * x) * g.normal(size=n))),
    Sound("poisson", jm.Model(poisson, {"rate": LOG_LINE}), with_x(lambda g, x, n: g.poisson(np.exp(line(x))))),
    Sound("negative binomial", jm.Model(negative_binomial, {"mu": LOG_LINE, "alpha": jm.Positive()}),
          with_x(lambda g, x, n: g.negative_binomial(1.5, 1.5 / (1.5 + np.exp(line(x)))))),
    Sound("gamma", jm.Model(gamma, {"mu": LOG_LINE, "shape": jm.Positive()}),
          with_x(lambda g, x, n: g.gamma(2.5, np.exp(line(x)) / 2.5))),
    Sound("censored weibull", jm.Model(censored_weibull, {"mu": LINE, "s": jm.Positive()}), simulate_censored),
    Sound("beta", jm.Model(beta, {"a": jm.Positive(), "b": jm.Positive()}), lambda g, n: {"y": g.beta(2.0, 3.5, size=n)}),
    Sound("student", jm.Model(student, {"mu": LINE, "s": jm.Positive(), "df": jm.Positive()}),
          with_x(lambda g, x, n: line(x) + g.standard_t(2.5, size=n))),
    Sound("gumbel", jm.Model(gumbel, {"mu": LINE, "s": jm.Positive()}), with_x(lambda g, x, n: line(x) + g.gumbel(size=n))),
    Sound("logistic", jm.Model(logistic, {"eta": LINE}), with_x(lambda g, x, n: g.uniform(size=n) < 1 / (1 + np.exp(-line(x))))),
    Sound("probit", jm.Model(probit, {"eta": LINE}), with_x(lambda g, x, n: line(x) + g.normal(size=n) > 0)),
    Sound("ordinal", jm.Model(ordinal, {"eta": jm.Linear("x"), "cut": jm.Ordered(2)}),
          with_x(lambda g, x, n: np.digitize(line(x) + g.logistic(size=n), [-0.5, 1.0]))),
    Sound("zero-inflated", jm.Model(zero_inflated, {"rate": LOG_LINE, "extra": jm.UnitInterval()}), simulate_inflated),
    # a mixture has other optima, at one component: it is started between its components
    Sound("mixture", jm.Model(mixture, {"m": jm.Ordered(2, start=[-1, 1]),
          "s": jm.Positive(start=1), "share": jm.UnitInterval(start=0.5)}),
          lambda g, n: {"y": np.where(g.uniform(size=n) < 0.4, -2.0, 2.0) + g.normal(size=n)}),
    Sound("softmax", jm.Model(softmax, {"eta": jm.Linear([1, "x"], shape=(2,))}),
          with_x(lambda g, x, n: np.argmax(np.stack([0 * x, line(x), -x]) + g.gumbel(size=(3, n)), axis=0))),
    Sound("two normals", jm.Model(two_normals, {"mean": jm.Real(shape=(2,)), "cov": jm.Covariance(2)}),
          lambda g, n: {"y": g.multivariate_normal([1.0, -2.0], [[2.0, 0.7], [0.7, 1.0]], size=n)}),
    Sound("shares", jm.Model(shares, {"share": jm.Simplex(3)}), lambda g, n: {"y": g.choice(3, p=[0.2, 0.5, 0.3], size=n)}),
    Sound("autoregression", jm.Model(autoregression, {"mu": jm.Real(),
          "rho": jm.Interval(-1, 1), "s": jm.Positive()}, unit="all"),
          simulate_series),
    Sound("panel", jm.Model(panel, {"mu": LINE, "s": jm.Positive(), "u": jm.Positive()}, unit="g"), simulate_panel),
    Sound("saturation", jm.Model(curve, {"top": jm.Real(), "speed": jm.Positive(), "s": jm.Positive()}), simulate_curve),
]  # fmt: skip

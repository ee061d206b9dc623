"""Traps that people set for themselves: derivatives switched off, clipped probabilities, terms forgotten, too rich models."""

import jax
import jax.numpy as jnp
import numpy as np

import jaxmle as jm
from jaxmle.numerics import log_factorial

from . import densities as d
from .traps import Trap, numbers


def stopped(p, row):
    """A normal density whose derivative by sigma lacks a term."""
    z = (row["y"] - p["mu"]) / jax.lax.stop_gradient(p["sigma"])
    return -0.5 * z**2 - jnp.log(p["sigma"])


@jax.custom_jvp
def square(x):
    return x**2


@square.defjvp
def _(primals, tangents):
    (x,), (t,) = primals, tangents
    return x**2, 2.1 * x * t


def own_derivative(p, row):
    """The square's own derivative is five per cent too large: the maximum is right, its Hessian is not."""
    return -0.5 * square((row["y"] - p["mu"]) / 2.0)


def without_constant(p, row):
    """The normal density without its − log sigma."""
    return -0.5 * ((row["y"] - p["mu"]) / p["sigma"]) ** 2


def change_point(p, row):
    mean = jnp.where(row["t"] < p["tau"], p["before"], p["after"])
    return -0.5 * ((row["y"] - mean) / p["sigma"]) ** 2 - jnp.log(p["sigma"])


def clipped_logistic(p, row):
    q = jnp.clip(jax.nn.sigmoid(p["eta"]), 1e-6, 1 - 1e-6)
    return row["y"] * jnp.log(q) + (1 - row["y"]) * jnp.log(1 - q)


def rectified_rate(p, row):
    rate = jnp.maximum(p["rate"], 1e-10)
    return row["y"] * jnp.log(rate) - rate


def pair(p, row):
    return -0.5 * (row["y"] @ jnp.linalg.solve(p["cov"], row["y"]) + jnp.linalg.slogdet(p["cov"])[1])


def zero_inflated(p, row):
    y, rate = row["y"], p["rate"]
    count = y * jnp.log(rate) - rate - log_factorial(y)
    zero = jnp.logaddexp(jnp.log(p["extra"]), jnp.log1p(-p["extra"]) - rate)
    return jnp.where(y == 0, zero, jnp.log1p(-p["extra"]) + count)


def gamma(p, row):
    k, y = p["shape"], row["y"]
    return k * jnp.log(k / p["mean"]) + (k - 1) * jnp.log(y) - k * y / p["mean"] - jax.scipy.special.gammaln(k)


def exponential_survival(p, row):
    return row["died"] * jnp.log(p["hazard"]) - p["hazard"] * row["time"]


def ordinal(p, row):
    """Cumulative logits of four categories."""
    cuts = jnp.concatenate([jnp.array([-jnp.inf]), p["cut"], jnp.array([jnp.inf])])
    upper, lower = jax.nn.sigmoid(cuts[row["y"] + 1]), jax.nn.sigmoid(cuts[row["y"]])
    return jnp.log(upper - lower)


def softmax(p, row):
    logits = jnp.concatenate([jnp.zeros(1), p["eta"]])
    return logits[row["y"]] - jax.nn.logsumexp(logits)


def lasso(theta):
    return 30.0 * jnp.abs(theta["mu"][1])


def in_single(p, row):
    r = (row["y"].astype(jnp.float32) - p["mu"].astype(jnp.float32)).astype(jnp.float64)
    return -0.5 * (r / p["sigma"]) ** 2 - jnp.log(p["sigma"])


def derivatives() -> list[Trap]:
    y, x = numbers(31, 40), numbers(32, 40)
    both = {"mu": jm.Real(), "sigma": jm.Positive()}
    binary = (x > 0.1) * 1
    t = np.arange(40.0)
    jump = np.where(t < 17, 0.0, 4.0) + y
    sides = {"before": jump[:17].mean(), "after": jump[17:].mean()}
    spread = np.sqrt(((jump - np.where(t < 17, sides["before"], sides["after"])) ** 2).mean())
    return [
        Trap("a derivative switched off", jm.Model(stopped, both), {"y": y}, "wrong_derivatives", ("'sigma'",),
             withheld=("sigma",), by_luck=True),
        Trap("a derivative of one's own that is wrong", jm.Model(own_derivative, {"mu": jm.Real()}), {"y": y},
             "wrong_derivatives", ("'mu'",), no_std_errors=True, estimates={"mu": y.mean()}),
        Trap("a change point in time", jm.Model(change_point, {"tau": jm.Interval(1.0, 39.0, start=16.5), "before": jm.Real(),
             "after": jm.Real(), "sigma": jm.Positive()}), {"y": jump, "t": t}, "wrong_derivatives",
             ("'tau'", "steps"), ("tau",), estimates=sides,
             std_errors={"before": spread / 17**0.5, "after": spread / 23**0.5, "sigma": spread / 80**0.5}),
        Trap("separated, the probability clipped", jm.Model(clipped_logistic, {"eta": jm.Linear([1, "x"])}),
             {"y": binary, "x": x}, "no_finite_maximum", ("eta[x] → +∞",), no_std_errors=True),
        Trap("a lasso penalty at zero", jm.Model(d.normal, {"mu": jm.Linear([1, "x"]), "sigma": jm.Positive()}),
             {"y": y, "x": x}, "wrong_derivatives", ("'mu[x]'",), ("mu[x]",), options={"penalty": lasso},
             estimates={"mu[x]": 0.0, "mu[Intercept]": y.mean(), "sigma": y.std()},
             std_errors={"mu[Intercept]": y.std() / 40**0.5, "sigma": y.std() / 80**0.5}),
        Trap("a rate rectified at its bound", jm.Model(rectified_rate, {"rate": jm.Real(start=-1.0)}),
             {"y": np.zeros(40)}, "not_identified", ("rate",), no_std_errors=True),
        Trap("single precision far from zero", jm.Model(in_single, both), {"y": y + 1e6}, "rounding", ("Rounding",),
             no_std_errors=True, options={"start": {"mu": 1e6}}),
    ]  # fmt: skip


def limits() -> list[Trap]:
    y, x = numbers(33, 40), numbers(34, 40)
    both = {"mu": jm.Real(), "sigma": jm.Positive()}
    counts = np.arange(40) % 3 + 1
    counts[5] = 0
    three = (x > -0.4) * 1 + (x > 0.5)
    skipping = np.array([0, 1, 3])[np.arange(40) % 3]
    return [
        Trap("a term forgotten: − log sigma", jm.Model(without_constant, both), {"y": y}, "boundary", ("sigma → ∞",),
             no_std_errors=True),
        Trap("two columns, one twice the other", jm.Model(pair, {"cov": jm.Covariance(2)}),
             {"y": np.stack([y, 2 * y], axis=1)}, "unbounded", ("cov → a singular matrix",), no_std_errors=True),
        Trap("zeros not inflated", jm.Model(zero_inflated, {"rate": jm.Positive(), "extra": jm.UnitInterval()}),
             {"y": counts}, "boundary", ("extra → 0",), ("extra",), estimates={"rate": counts.mean()},
             std_errors={"rate": np.sqrt(counts.mean() / 40)}),
        Trap("equal waiting times", jm.Model(gamma, {"mean": jm.Positive(), "shape": jm.Positive()}),
             {"y": np.full(40, 1.7)}, "rounding", ("shape = ", "exact fit"), no_std_errors=True),
        Trap("a random intercept for every row", jm.Model(d.random_intercept,
             {"mu": jm.Real(), "s": jm.Positive(), "u": jm.Positive()}, unit="row_number"),
             {"y": y, "row_number": np.arange(40)}, "not_identified", ("s", "u"), ("s", "u"),
             estimates={"mu": y.mean()}, std_errors={"mu": y.std() / 40**0.5}),
        Trap("nobody died", jm.Model(exponential_survival, {"hazard": jm.Positive()}),
             {"time": 1 + counts, "died": np.zeros(40)}, "boundary", ("hazard → 0",), no_std_errors=True),
        Trap("a category that was never chosen", jm.Model(ordinal, {"cut": jm.Ordered(3)}), {"y": skipping},
             "boundary", ("cut[2] → cut[1]",), std_errors={"cut[0]": np.sqrt(40 / (14 * 26)), "cut[1]": np.sqrt(40 / (27 * 13))}),
        Trap("three categories separated", jm.Model(softmax, {"eta": jm.Linear([1, "x"], shape=(2,))}),
             {"y": three, "x": x}, "no_finite_maximum", ("eta[x,1] → +∞",), no_std_errors=True),
    ]  # fmt: skip


TRAPS = derivatives() + limits()

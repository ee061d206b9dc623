"""Traps in the density itself: kinks, steps, wrong derivatives, edges, numbers that are all rounding."""

import jax.numpy as jnp
import numpy as np
from scipy.optimize import brentq, minimize
from scipy.special import betaln, polygamma, psi
from scipy.stats import beta

import jaxmle as jm

from . import densities as d
from .traps import Trap, numbers, quantiles


def beta_information(a: float, b: float, n: int) -> np.ndarray:
    """The covariance of the beta distribution's maximum likelihood estimates, from SciPy's polygamma."""
    both = polygamma(1, a + b)
    return np.linalg.inv(n * np.array([[polygamma(1, a) - both, -both], [-both, polygamma(1, b) - both]]))


def beta_traps() -> list[Trap]:
    model = jm.Model(d.beta_by_size, {"a": jm.Positive(), "b": jm.Positive()})
    skewed = quantiles(50, beta(2.0, 3.5).ppf)
    nll = lambda t: 50 * betaln(*t) - (t[0] - 1) * np.log(skewed).sum() - (t[1] - 1) * np.log1p(-skewed).sum()
    best = minimize(nll, [2.0, 3.0], method="Nelder-Mead", options=dict(xatol=1e-10, fatol=1e-12, maxiter=4000)).x
    errors = np.sqrt(np.diag(beta_information(*best, 50)))
    right = {"estimates": dict(zip("ab", best)), "std_errors": dict(zip("ab", errors))}
    symmetric = quantiles(50, beta(2.0, 2.0).ppf)
    symmetric = 0.5 * (symmetric + 1 - symmetric[::-1])
    slope = lambda s: psi(s / 2) - psi(s) - np.log(symmetric).mean()
    size = brentq(slope, 1.0, 20.0, xtol=1e-14)
    return [
        Trap(
            "betaln at (1, 1) at the start", model, {"y": skewed}, "optimum", caution=("start", "'a'", "'b'"),
            options={"start": {"a": 1.0, "b": 1.0}}, **right,
        ),
        Trap(
            "betaln at (2, 2) at the start", model, {"y": skewed}, "optimum", caution=("start", "'a'", "'b'"),
            options={"start": {"a": 2.0, "b": 2.0}}, **right,
        ),
        Trap(
            "betaln at an optimum with a = b", jm.Model(beta_by_mean, {"mean": jm.UnitInterval(), "size": jm.Positive()}),
            {"y": symmetric}, "wrong_derivatives", ("'mean'",), withheld=("mean",), estimates={"mean": 0.5},
            options={"start": {"mean": 0.5, "size": float(size)}},
        ),
    ]  # fmt: skip


def beta_by_mean(p, row):
    """Symmetric data keep the mean at ½ exactly: both shape parameters are equal all the way."""
    return d.beta_by_size({"a": p["mean"] * p["size"], "b": (1 - p["mean"]) * p["size"]}, row)


def rounded_mean(p, row):
    return -0.5 * (row["y"] - jnp.round(p["mu"])) ** 2


def cast_mean(p, row):
    return -0.5 * ((row["y"] - p["mu"].astype(int)) / p["sigma"]) ** 2 - jnp.log(p["sigma"])


def clipped_mean(p, row):
    return -0.5 * ((row["y"] - jnp.clip(p["mu"], -1.0, 1.0)) / p["sigma"]) ** 2 - jnp.log(p["sigma"])


def hinge(p, row):
    """A quantile regression's check function, with jnp.maximum."""
    r = row["y"] - p["mu"]
    return -jnp.maximum(0.75 * r, -0.25 * r)


def absolute_mean(p, row):
    return -0.5 * (row["y"] - jnp.abs(p["mu"])) ** 2


def uniform(p, row):
    """Uniform on (0, theta)."""
    return jnp.where(row["y"] <= p["theta"], -jnp.log(p["theta"]), -jnp.inf)


def shifted_exponential(p, row):
    return jnp.where(row["y"] >= p["c"], -(row["y"] - p["c"]) / p["s"] - jnp.log(p["s"]), -jnp.inf)


def least_absolute(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Intercept and slope of the least absolute residuals, which pass through two of the points: the best such pair."""
    pairs = [(i, j) for i in range(len(x)) for j in range(i)]
    slopes = [(y[i] - y[j]) / (x[i] - x[j]) for i, j in pairs]
    lines = [(y[i] - b * x[i], b) for (i, _), b in zip(pairs, slopes)]
    return np.array(min(lines, key=lambda ab: np.abs(y - ab[0] - ab[1] * x).sum()))


def kinks() -> list[Trap]:
    y, waits = numbers(1, 21), 3.0 - np.log(numbers(3, 20, "uniform"))
    line = np.linspace(-1, 1, 20)
    laplace = jm.Model(d.laplace, {"mu": jm.Real(), "b": jm.Positive()})
    regression = jm.Model(d.laplace, {"mu": jm.Linear([1, "x"]), "b": jm.Positive()})
    spread = lambda y: {"b": np.abs(y - np.median(y)).mean()}
    least = least_absolute(line, y[:20] + line)
    rest = np.abs(y[:20] + line - least[0] - least[1] * line).mean()
    mu_and_sigma = {"mu": jm.Real(), "sigma": jm.Positive()}
    return [
        Trap(
            "Laplace, odd n: the median is a data point", laplace, {"y": y}, "wrong_derivatives", ("'mu'", "kink"),
            withheld=("mu",), estimates={"mu": np.median(y)} | spread(y), std_errors={"b": spread(y)["b"] / 21**0.5},
        ),
        Trap(
            "Laplace, even n: flat between two data points", laplace, {"y": y[:20]}, "wrong_derivatives",
            ("'mu'", "kink"), withheld=("mu",), estimates=spread(y[:20]), std_errors={"b": spread(y[:20])["b"] / 20**0.5},
            by_luck=True,
        ),
        Trap(
            "median regression", regression, {"y": y[:20] + line, "x": line}, "wrong_derivatives",
            ("'mu[Intercept]'", "'mu[x]'", "kink"), withheld=("mu[Intercept]", "mu[x]"),
            estimates={"b": rest}, std_errors={"b": rest / 20**0.5},  # of an even number: many lines are as good
        ),
        Trap(
            "quantile by max", jm.Model(hinge, {"mu": jm.Real()}), {"y": y}, "wrong_derivatives", ("'mu'", "kink"),
            withheld=("mu",), no_std_errors=True, estimates={"mu": np.sort(y)[15]},
        ),
        Trap(
            "round", jm.Model(rounded_mean, {"mu": jm.Real(start=4.0)}), {"y": y + 1.8}, "wrong_derivatives",
            ("'mu'", "steps"), withheld=("mu",), no_std_errors=True,
        ),
        Trap(
            "integer cast", jm.Model(cast_mean, mu_and_sigma), {"y": y + 2.5}, "wrong_derivatives",
            ("'mu'", "steps"), withheld=("mu",),
        ),
        Trap(
            "a plateau by clip", jm.Model(clipped_mean, mu_and_sigma), {"y": y + 3.0}, "not_identified",
            ("mu",), withheld=("mu",), options={"start": {"mu": 2.0}},
            std_errors={"sigma": np.sqrt(((y + 2.0) ** 2).mean() / 42)},
        ),
        Trap(
            "abs with its kink at the optimum", jm.Model(absolute_mean, {"mu": jm.Real()}), {"y": y - 3.0},
            "wrong_derivatives", ("'mu'", "kink"), withheld=("mu",), no_std_errors=True, estimates={"mu": 0.0},
        ),
        Trap(
            "uniform(0, theta)", jm.Model(uniform, {"theta": jm.Positive()}), {"y": numbers(2, 20, "uniform")},
            "support_edge", ("'theta'", f"row {numbers(2, 20, 'uniform').argmax()}"), withheld=("theta",),
            no_std_errors=True, estimates={"theta": numbers(2, 20, "uniform").max()},
        ),
        Trap(
            "shifted exponential", jm.Model(shifted_exponential, {"c": jm.Real(), "s": jm.Positive()}),
            {"y": waits}, "support_edge", ("'c'", f"row {waits.argmin()}"), withheld=("c",),
            estimates={"c": waits.min(), "s": waits.mean() - waits.min()},
            std_errors={"s": (waits.mean() - waits.min()) / np.sqrt(20)}, options={"start": {"c": 2.0}},
        ),
        Trap(
            "shifted exponential by L-BFGS", jm.Model(shifted_exponential, {"c": jm.Real(), "s": jm.Positive()}),
            {"y": waits}, "support_edge", ("'c'",), withheld=("c",), options={"start": {"c": 2.0}, "solver": "lbfgs"},
            estimates={"c": waits.min(), "s": waits.mean() - waits.min()}, tolerance=1e-4,
        ),
    ]  # fmt: skip


def cancelling(p, row):
    r = (row["y"] + 1e15) - (p["mu"] + 1e15)
    return -0.5 * (r / p["sigma"]) ** 2 - jnp.log(p["sigma"])


def square_by_expansion(p, row):
    y, mu = row["y"], p["mu"]
    return -0.5 * (y**2 - 2 * y * mu + mu**2) / p["sigma"] ** 2 - jnp.log(p["sigma"])


def exponentials(p, row):
    """Three decays, as in NIST's Lanczos1."""
    mean = (p["a"] * jnp.exp(-p["k"] * row["x"])).sum()
    return -0.5 * ((row["y"] - mean) / p["sigma"]) ** 2 - jnp.log(p["sigma"])


def rounding() -> list[Trap]:
    y = numbers(5, 30)
    both = {"mu": jm.Real(), "sigma": jm.Positive()}
    x = np.arange(24) * 0.05
    decay = 0.0951 * np.exp(-x) + 0.8607 * np.exp(-3 * x) + 1.5576 * np.exp(-5 * x)
    three = {"a": jm.Positive(shape=3, start=[0.1, 0.9, 1.5]), "k": jm.Positive(shape=3, start=[1.1, 3.1, 4.9])}
    return [
        Trap("1e15 added and taken off", jm.Model(cancelling, both), {"y": y}, "rounding", ("Rounding errors",),
             no_std_errors=True),
        Trap("a square multiplied out, far from zero", jm.Model(square_by_expansion, both), {"y": y + 1e8}, "rounding",
             ("Rounding errors",), no_std_errors=True, options={"start": {"mu": 1e8}, "max_steps": 200}),
        Trap("an exact fit of three decays", jm.Model(exponentials, three | {"sigma": jm.Positive(start=0.1)}),
             {"x": x, "y": decay}, "unbounded", ("sigma",), no_std_errors=True),
    ]  # fmt: skip


TRAPS = beta_traps() + kinks() + rounding()

"""Traps in which there is no maximum inside: bounds, separation, likelihoods without limit; and searches that ended early."""

import jax.numpy as jnp
import numpy as np
from scipy.optimize import minimize

import jaxmle as jm

from . import densities as d
from .traps import Trap, numbers


def mean_in_interval(p, row):
    return -0.5 * (row["y"] - p["mu"]) ** 2


def correlated(p, row):
    """Two standard normal numbers with correlation r."""
    y, r = row["y"], p["r"][0, 1]
    return -0.5 * (y[0] ** 2 - 2 * r * y[0] * y[1] + y[1] ** 2) / (1 - r**2) - 0.5 * jnp.log1p(-(r**2))


def bounds() -> list[Trap]:
    zeros, counts = np.zeros(20, int), np.array([2, 1, 2, 3, 2, 1, 2, 2, 3, 2] * 2)
    y = numbers(21, 20)
    probability = jm.Model(d.bernoulli_probability, {"p": jm.UnitInterval()})
    rate = jm.Model(d.poisson, {"rate": jm.Positive()})
    nb = jm.Model(d.negative_binomial, {"rate": jm.Linear([1, "x"], link="log"), "alpha": jm.Positive()})
    x = np.linspace(-1, 1, 20)
    poisson_errors = np.sqrt(np.diag(np.linalg.inv(poisson_information(x, counts))))
    interval = jm.Model(mean_in_interval, {"mu": jm.Interval(-1.0, 1.0)})
    share = jm.Model(d.multinomial, {"share": jm.Simplex(3)})
    student = jm.Model(d.student_t, {"mu": jm.Real(), "sigma": jm.Positive(), "nu": jm.Positive()})
    light = np.linspace(-1, 1, 20) + 2.0
    pair = np.stack([y, y], axis=1)
    group = np.repeat(np.arange(5), 4)
    balanced = np.tile([-1.2, -0.4, 0.5, 1.1], 5) + 0.01 * y
    component = jm.Model(
        d.random_intercept, {"mu": jm.Real(), "s": jm.Positive(), "u": jm.Positive()}, unit="group"
    )  # fmt: skip
    return [
        Trap("no success in 20", probability, {"y": zeros}, "boundary", ("p → 0",), ("p",), no_std_errors=True),
        Trap("20 successes in 20", probability, {"y": zeros + 1}, "boundary", ("p → 1",), ("p",), no_std_errors=True),
        Trap("counts that are all zero", rate, {"y": zeros}, "boundary", ("rate → 0",), ("rate",), no_std_errors=True),
        Trap("negative binomial without overdispersion", nb, {"y": counts, "x": x}, "boundary", ("alpha → 0",),
             ("alpha",), std_errors=dict(zip(("rate[Intercept]", "rate[x]"), poisson_errors))),
        Trap("the mean below its interval", interval, {"y": y - 5}, "boundary", ("mu → -1",), ("mu",),
             no_std_errors=True),
        Trap("the mean above its interval", interval, {"y": y + 5}, "boundary", ("mu → 1",), ("mu",),
             no_std_errors=True),
        Trap("a share that was never seen", share, {"k": np.repeat([0, 1], [8, 12])}, "boundary", ("share[2] → 0",),
             ("share[2]",), std_errors={"share[0]": np.sqrt(0.4 * 0.6 / 20), "share[1]": np.sqrt(0.4 * 0.6 / 20)}),
        Trap("light tails under Student's t", student, {"y": light}, "boundary", ("nu → ∞",), ("nu",),
             estimates={"mu": 2.0, "sigma": light.std()},
             std_errors={"mu": light.std() / np.sqrt(20), "sigma": light.std() / np.sqrt(40)}),
        Trap("two columns that are equal", jm.Model(correlated, {"r": jm.Correlation(2)}), {"y": pair}, "unbounded",
             ("r[0,1] → 1",), ("r[0,1]",), no_std_errors=True),
        Trap("groups more alike than chance", component, {"y": balanced, "group": group}, "boundary", ("u → 0",),
             ("u",), estimates={"mu": balanced.mean()}, std_errors={"mu": balanced.std() / np.sqrt(20)}),
    ]  # fmt: skip


def poisson_information(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The information of a Poisson regression with log link at its maximum, by SciPy and the closed form."""
    design = np.stack([np.ones_like(x), x], axis=1)
    nll = lambda b: (np.exp(design @ b) - y * (design @ b)).sum()
    slope = lambda b: design.T @ (np.exp(design @ b) - y)
    mean = np.exp(design @ minimize(nll, [0.0, 0.0], jac=slope, method="BFGS", options={"gtol": 1e-9}).x)
    return design.T @ (mean[:, None] * design)


def logistic_errors(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Standard errors of a logistic regression on the columns of `x`, by SciPy and the closed form."""
    nll = lambda b: (np.logaddexp(0, x @ b) - y * (x @ b)).sum()
    slope = lambda b: x.T @ (1 / (1 + np.exp(-x @ b)) - y)
    b = minimize(nll, np.zeros(x.shape[1]), jac=slope, method="BFGS", options={"gtol": 1e-9}).x
    p = 1 / (1 + np.exp(-x @ b))
    return np.sqrt(np.diag(np.linalg.inv(x.T @ ((p * (1 - p))[:, None] * x))))


def separation() -> list[Trap]:
    x, z = numbers(22, 40), numbers(23, 40)
    logit = lambda *terms: jm.Model(d.bernoulli, {"eta": jm.Linear(list(terms))})
    complete = (x > 0.1) * 1
    treated = (np.arange(40) < 12) * 1.0
    died = np.where(treated > 0, 1, (z + numbers(24, 40) > 0) * 1)
    rest = treated == 0
    quasi = logistic_errors(np.stack([np.ones(28), z[rest]], axis=1), died[rest])
    with_ties = np.where(x > 0, 1, 0)
    tied = np.where(np.arange(40) < 6, 0.0, x)
    with_ties = np.where(tied == 0, np.arange(40) % 2, with_ties)
    counts = np.where(treated > 0, 0, np.arange(40) % 4)
    reduced = poisson_information(z[rest], counts[rest])
    probit = jm.Model(d.probit, {"eta": jm.Linear([1, "x", "z"])})
    gaps = {"eta[Intercept]": quasi[0], "eta[z]": quasi[1]}
    return [
        Trap("complete separation", logit(1, "x", "z"), {"y": complete, "x": x, "z": z}, "no_finite_maximum",
             ("eta[Intercept]", "eta[x] → +∞", "separated"), no_std_errors=True),
        Trap("complete separation under a probit", probit, {"y": complete, "x": x, "z": z}, "no_finite_maximum",
             ("eta[x] → +∞",), no_std_errors=True),
        Trap("a group in which all died", logit(1, "t", "z"), {"y": died, "t": treated, "z": z}, "no_finite_maximum",
             ("eta[t] → +∞",), ("eta[t]",), std_errors=gaps),
        Trap("started where all probabilities are 0 or 1", logit(1, "t", "z"), {"y": died, "t": treated, "z": z},
             "no_finite_maximum", ("eta[t] → +∞",), ("eta[t]",), std_errors=gaps,
             options={"start": {"eta": [0.0, 60.0, 0.0]}}),
        Trap("quasi-complete: ties at the threshold", logit(1, "x"), {"y": with_ties, "x": tied}, "no_finite_maximum",
             ("eta[x] → +∞",), ("eta[x]",)),
        Trap("all responses equal", logit(1, "x"), {"y": np.ones(40, int), "x": x}, "no_finite_maximum",
             ("eta[Intercept] → +∞",), no_std_errors=True),
        Trap("a covariate that isolates zero counts", jm.Model(d.poisson, {"rate": jm.Linear([1, "t", "z"], link="log")}),
             {"y": counts, "t": treated, "z": z}, "no_finite_maximum", ("rate[t] → −∞",), ("rate[t]",),
             std_errors=dict(zip(("rate[Intercept]", "rate[z]"), np.sqrt(np.diag(np.linalg.inv(reduced)))))),
    ]  # fmt: skip


def unlimited() -> list[Trap]:
    x, y = numbers(25, 40), numbers(26, 40)
    mixture = jm.Model(d.two_normals, {"w": jm.UnitInterval(), "m": jm.Real(shape=2), "s": jm.Positive(shape=2)})
    at_point = {"m": [float(y[0]), 0.0], "s": [0.01, 1.0], "w": 0.9}
    normal = jm.Model(d.normal, {"mu": jm.Linear([1, "x"]), "sigma": jm.Positive()})
    return [
        Trap("an exact line", normal, {"y": 1.0 + 0.5 * x, "x": x}, "unbounded", ("sigma → 0",), no_std_errors=True),
        Trap("as many coefficients as rows", jm.Model(d.normal, {"mu": jm.Linear(["z"]), "sigma": jm.Positive()}),
             {"y": y[:4], "z": numbers(27, 16).reshape(4, 4)}, "unbounded", ("sigma → 0",), no_std_errors=True),
        Trap("a constant response", normal, {"y": np.full(40, 3.0), "x": x}, "unbounded", ("sigma → 0",),
             no_std_errors=True),
        Trap("a mixture started on a data point", mixture, {"y": y}, "unbounded", ("s[0] → 0",),
             no_std_errors=True, options={"start": at_point}),
    ]  # fmt: skip


def stop(progress) -> None:
    if progress.step == 3:
        raise KeyboardInterrupt


def early() -> list[Trap]:
    y, x = np.arange(40) % 5, numbers(28, 40)
    model = jm.Model(d.poisson, {"rate": jm.Linear([1, "x"], link="log")})
    far = {"rate": [3.0, 2.0]}
    return [
        Trap("one step", model, {"y": y, "x": x}, "max_steps", ("1 step",), no_std_errors=True,
             options={"max_steps": 1, "start": far}),
        Trap("interrupted", model, {"y": y, "x": x}, "interrupted", ("3 steps", "best point"), no_std_errors=True,
             options={"callback": stop, "start": far}),
    ]  # fmt: skip


TRAPS = bounds() + separation() + unlimited() + early()

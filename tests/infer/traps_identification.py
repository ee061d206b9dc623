"""Traps in which the data do not tell the parameters apart, or the information is zero where the maximum is."""

import jax
import jax.numpy as jnp
import numpy as np

import jaxmle as jm

from . import densities as d
from .traps import Trap, numbers


def sum_of_two(p, row):
    return -0.5 * ((row["y"] - p["a"] - p["b"]) / p["sigma"]) ** 2 - jnp.log(p["sigma"])


def product_of_two(p, row):
    return -0.5 * ((row["y"] - p["a"] * p["b"] * row["x"]) / p["sigma"]) ** 2 - jnp.log(p["sigma"])


def softmax(p, row):
    return jax.nn.log_softmax(p["eta"])[row["k"]]


def probit_with_scale(p, row):
    return jax.scipy.special.log_ndtr((2 * row["y"] - 1) * p["eta"] / p["scale"])


def unused(p, row):
    return -0.5 * (row["y"] - p["mu"]) ** 2 + 0.0 * p["extra"]


def quartic(p, row):
    return -0.5 * ((row["y"] - p["theta"] ** 2) / p["sigma"]) ** 2 - jnp.log(p["sigma"])


def ratio(p, row):
    return -0.5 * (row["y"] - row["x"] * p["a"] / p["b"]) ** 2


def least_squares(columns: list[np.ndarray], y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients of a normal regression and their standard errors by maximum likelihood, from NumPy."""
    x = np.stack(columns, axis=1)
    beta, *_ = np.linalg.lstsq(x, y, rcond=None)
    variance = ((y - x @ beta) ** 2).mean()
    return beta, np.sqrt(variance * np.diag(np.linalg.inv(x.T @ x)))


def normal_traps() -> list[Trap]:
    y, x = numbers(11, 40), numbers(12, 40)
    group = np.arange(40) % 3
    dummies = {f"g{k}": (group == k) * 1.0 for k in range(3)}
    s = y.std()
    beta, errors = least_squares([np.ones(40), x], y)
    with_group, group_errors = least_squares([x, *dummies.values()], y)
    near = lambda size: {"x": x, "same": x + size * numbers(13, 40)}
    mu = lambda *terms: {"mu": jm.Linear(list(terms)), "sigma": jm.Positive()}
    return [
        Trap("a + b", jm.Model(sum_of_two, {"a": jm.Real(), "b": jm.Real(), "sigma": jm.Positive()}), {"y": y},
             "not_identified", ("a − b",), ("a", "b"), std_errors={"sigma": s / np.sqrt(80)}),
        Trap("a·b", jm.Model(product_of_two, {"a": jm.Real(start=1.0), "b": jm.Real(start=0.5), "sigma": jm.Positive()}),
             {"y": y + 2 * x, "x": x}, "not_identified", ("a", "b"), ("a", "b")),
        Trap("a·b, of which a is large and b small",
             jm.Model(product_of_two, {"a": jm.Real(), "b": jm.Real(), "sigma": jm.Positive()}),
             {"y": y + 2 * x, "x": x}, "not_identified", ("a − ", "·b"), ("a", "b"), options={"start": {"a": 1e5, "b": 2e-5}}),
        Trap("a column far from zero", jm.Model(d.normal, mu(1, "x")), {"y": y + x, "x": 1e6 + x}, "rounding",
             ("'x' (1e+06 times)", "subtract the mean", "centre"), no_std_errors=True, by_luck=True),
        Trap("a/b", jm.Model(ratio, {"a": jm.Positive(), "b": jm.Positive()}), {"y": y + 2 * x, "x": x},
             "not_identified", ("a·b",), ("a", "b"), no_std_errors=True),
        Trap("two identical columns", jm.Model(d.normal, mu(1, "x", "same")), {"y": y, "x": x, "same": x},
             "not_identified", ("mu[x] − mu[same]",), ("mu[x]", "mu[same]"),
             std_errors={"mu[Intercept]": errors[0]}),
        Trap("a column that is a multiple of another", jm.Model(d.normal, mu(1, "x", "same")),
             {"y": y, "x": x, "same": 1e4 * x}, "not_identified", ("mu[x]", "mu[same]"), ("mu[x]", "mu[same]"),
             estimates={"mu[Intercept]": beta[0]}, std_errors={"mu[Intercept]": errors[0]}),
        Trap("a constant column beside the intercept", jm.Model(d.normal, mu(1, "x", "same")),
             {"y": y, "x": x, "same": np.full(40, 3.0)}, "not_identified", ("mu[Intercept]", "mu[same]"),
             ("mu[Intercept]", "mu[same]"), std_errors={"mu[x]": errors[1]}),
        Trap("a column of zeros", jm.Model(d.normal, mu(1, "x", "same")), {"y": y, "x": x, "same": np.zeros(40)},
             "not_identified", ("mu[same]",), ("mu[same]",), std_errors={"mu[x]": errors[1]}),
        Trap("dummies of all groups beside the intercept", jm.Model(d.normal, mu(1, "x", *dummies)),
             {"y": y, "x": x} | dummies, "not_identified", ("mu[Intercept]", "mu[g0]", "mu[g1]", "mu[g2]"),
             ("mu[Intercept]", "mu[g0]", "mu[g1]", "mu[g2]"), std_errors={"mu[x]": group_errors[0]}),
        Trap("more coefficients than rows", jm.Model(d.poisson, {"rate": jm.Linear(["z"], link="log")}),
             {"y": np.array([1, 3, 2]), "z": numbers(14, 12).reshape(3, 4)}, "not_identified", ("rate[",),
             no_std_errors=True),
        Trap("columns that differ by a billionth", jm.Model(d.normal, mu(1, "x", "same")), {"y": y} | near(1e-9),
             "not_identified", ("mu[x] − mu[same]",), ("mu[x]", "mu[same]"), std_errors={"mu[Intercept]": errors[0]}),
        Trap("columns that differ by three millionths", jm.Model(d.normal, mu(1, "x", "same")), {"y": y} | near(3e-6),
             "optimum", caution=("mu[x] − mu[same]",)),
    ]  # fmt: skip


def other_traps() -> list[Trap]:
    k = np.repeat([0, 1, 2], [5, 10, 15])
    y, x = numbers(15, 40), numbers(16, 40)
    binary = (y + x > 0) * 1
    scaled = jm.Model(probit_with_scale, {"eta": jm.Linear([1, "x"]), "scale": jm.Positive()})
    centred = y - y.mean()
    quartic_model = jm.Model(quartic, {"theta": jm.Real(start=1.0), "sigma": jm.Positive()})
    symmetric = np.concatenate([y, -y])
    skew = jm.Model(d.skew_normal, {"mu": jm.Real(), "sigma": jm.Positive(), "shape": jm.Real(start=1.0)})
    mixture = jm.Model(d.two_normals, {"w": jm.UnitInterval(), "m": jm.Real(shape=2), "s": jm.Positive(shape=2)})
    apart = np.concatenate([y, y + 6.0])
    equal = {"m": [apart.mean()] * 2, "s": [apart.std()] * 2, "w": 0.5}
    return [
        Trap("softmax of as many logits as categories", jm.Model(softmax, {"eta": jm.Real(shape=3)}), {"k": k},
             "not_identified", ("eta[0] + eta[1] + eta[2]",), no_std_errors=True),
        Trap("scale × coefficient in a probit", scaled, {"y": (binary + (numbers(17, 40) > 1)) % 2, "x": x},
             "not_identified", ("eta[Intercept]", "eta[x]", "scale"), no_std_errors=True),
        Trap("a parameter that the density does not use", jm.Model(unused, {"mu": jm.Real(), "extra": jm.Real()}),
             {"y": y}, "not_identified", ("extra: in it",), ("extra",), std_errors={"mu": 40**-0.5}),
        Trap("a fourth-order maximum: y ~ N(theta²) of mean 0", quartic_model, {"y": centred}, "singular_information",
             ("'theta'",), ("theta",), std_errors={"sigma": centred.std() / np.sqrt(80)}, tolerance=1e-3),
        Trap("skew normal at shape 0", skew, {"y": symmetric}, "singular_information", ("'mu'", "'shape'"),
             ("mu", "shape")),
        Trap("a mixture started with equal components", mixture, {"y": apart}, "saddle", ("m[", "saddle point"),
             no_std_errors=True, options={"start": equal}),
        Trap("a saddle that gradients do not see", mixture, {"y": apart}, "saddle", ("m[", "saddle point"),
             no_std_errors=True, options={"start": equal, "solver": "lbfgs"}),
    ]  # fmt: skip


TRAPS = normal_traps() + other_traps()

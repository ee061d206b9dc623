"""Densities that several files of this room fit, and the numbers that stand beside them."""

import jax.numpy as jnp
import numpy as np

import jaxmle as jm


def normal(p, row):
    return -0.5 * ((row["y"] - p["mu"]) / p["sigma"]) ** 2 - jnp.log(p["sigma"]) - 0.5 * jnp.log(2 * jnp.pi)


def bernoulli(p, row):
    return row["y"] * jnp.log(p["p"]) + (1 - row["y"]) * jnp.log1p(-p["p"])


def poisson(p, row):
    """Without log(y!), which no parameter moves."""
    return row["y"] * jnp.log(p["rate"]) - p["rate"]


NORMAL = jm.Model(normal, {"mu": jm.Real(), "sigma": jm.Positive()})
REGRESSION = jm.Model(normal, {"mu": jm.Linear([1, "x"]), "sigma": jm.Positive()})
POISSON = jm.Model(poisson, {"rate": jm.Linear([1, "x", "z"], link="log")})


def fit(model, data, **arguments):
    return jm.fit(model, data, progress=False, **arguments)


def counts(n=200, seed=0):
    """Counts that depend on `x` and `z`, with a grouping column and whole-numbered weights."""
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=(2, n))
    y = rng.poisson(np.exp(0.5 + 0.4 * x - 0.3 * z))
    return {"y": y, "x": x, "z": z, "group": np.arange(n) % 17, "w": rng.integers(1, 4, n)}


def design(data):
    return np.stack([np.ones(len(data["x"])), data["x"], data["z"]], axis=1)


def irls(data, weights=1.0):
    """Poisson regression by iteratively reweighted least squares in NumPy (McCullagh and Nelder, 1989, section 2.5).

    Returns the coefficients, the information XᵀWX and each row's score.
    """
    x, y = design(data), np.asarray(data["y"], float)
    w = np.broadcast_to(weights, y.shape)
    beta = np.zeros(3)
    for _ in range(50):
        rate = np.exp(x @ beta)
        information = (x * (w * rate)[:, None]).T @ x
        beta = beta + np.linalg.solve(information, x.T @ (w * (y - rate)))
    rate = np.exp(x @ beta)
    return beta, (x * (w * rate)[:, None]).T @ x, x * (y - rate)[:, None]


def array(mapping):
    return np.array(list(mapping.values()))

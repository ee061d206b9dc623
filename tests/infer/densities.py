"""Log-densities of one observation that the tests of the certificate share, so that each is compiled once per shape."""

import jax.numpy as jnp
from jax.scipy.special import gammaln, log_ndtr

from jaxmle.numerics import log_gamma_ratio

HALF_LOG_2PI = 0.9189385332046727


def normal(p, row):
    z = (row["y"] - p["mu"]) / p["sigma"]
    return -0.5 * z**2 - jnp.log(p["sigma"]) - HALF_LOG_2PI


def bernoulli(p, row):
    """`p["eta"]` is the logit."""
    return row["y"] * p["eta"] - jnp.logaddexp(0.0, p["eta"])


def bernoulli_probability(p, row):
    return row["y"] * jnp.log(p["p"]) + (1 - row["y"]) * jnp.log1p(-p["p"])


def probit(p, row):
    return log_ndtr((2 * row["y"] - 1) * p["eta"])


def poisson(p, row):
    """`p["rate"]` is the mean."""
    return row["y"] * jnp.log(p["rate"]) - p["rate"] - gammaln(row["y"] + 1)


def negative_binomial(p, row):
    """Mean `rate`, variance rate + alpha·rate²."""
    y, m, a = row["y"], p["rate"], p["alpha"]
    size = 1 / a
    terms = log_gamma_ratio(size, y) - gammaln(y + 1)
    return terms - (y + size) * jnp.log1p(a * m) + y * jnp.log(a * m)


def student_t(p, row):
    z = (row["y"] - p["mu"]) / p["sigma"]
    nu = p["nu"]
    scale = gammaln(0.5 * (nu + 1)) - gammaln(0.5 * nu) - 0.5 * jnp.log(nu * jnp.pi) - jnp.log(p["sigma"])
    return scale - 0.5 * (nu + 1) * jnp.log1p(z**2 / nu)


def laplace(p, row):
    return -jnp.abs(row["y"] - p["mu"]) / p["b"] - jnp.log(2 * p["b"])


def beta_by_size(p, row):
    """With log B as JAX had it before 0.12: sorted by minimum and maximum, so that its Hessian is wrong at a = b."""
    a, b = jnp.minimum(p["a"], p["b"]), jnp.maximum(p["a"], p["b"])
    log_beta = gammaln(a) + gammaln(b) - gammaln(a + b)
    return (p["a"] - 1) * jnp.log(row["y"]) + (p["b"] - 1) * jnp.log1p(-row["y"]) - log_beta


def multinomial(p, row):
    """One category per row, numbered from zero; `p["share"]` are the probabilities."""
    return jnp.log(p["share"][row["k"]])


def two_normals(p, row):
    """A mixture with shares 1 − w and w, means m[0], m[1] and standard deviations s[0], s[1]."""
    z = (row["y"] - p["m"]) / p["s"]
    parts = -0.5 * z**2 - jnp.log(p["s"]) - HALF_LOG_2PI
    return jnp.logaddexp(jnp.log1p(-p["w"]) + parts[0], jnp.log(p["w"]) + parts[1])


def skew_normal(p, row):
    z = (row["y"] - p["mu"]) / p["sigma"]
    return jnp.log(2.0) - 0.5 * z**2 - HALF_LOG_2PI - jnp.log(p["sigma"]) + log_ndtr(p["shape"] * z)


def random_intercept(p, rows, mask):
    """Normal observations of one group with an intercept of its own, integrated out: variance s² I + u² 11ᵀ."""
    n = mask.sum()
    r = jnp.where(mask, rows["y"] - p["mu"], 0.0)
    within, between = p["s"] ** 2, p["u"] ** 2
    total = within + n * between
    square = (r**2).sum() / within - between * r.sum() ** 2 / (within * total)
    return -0.5 * (square + (n - 1) * jnp.log(within) + jnp.log(total)) - n * HALF_LOG_2PI

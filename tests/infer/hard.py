"""Sound models in hard circumstances: bad scales, near-collinearity, few rows, rare events, weights, priors, held values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jax.numpy as jnp
import numpy as np

import jaxmle as jm
from jaxmle.numerics import gammaln, log_ndtr

from .sound import SOUND, line

MODELS = {s.name: s.model for s in SOUND}
N = 240


@dataclass(frozen=True)
class Hard:
    """A model and data of which a fit is right, however it looks."""

    name: str
    model: jm.Model
    data: Mapping[str, Any]
    options: Mapping[str, Any] = field(default_factory=dict)


def seeded(name: str) -> np.random.Generator:
    return np.random.default_rng(list(name.encode()))


def scales() -> list[Hard]:
    """Units of the response and of the covariate, from 1e-12 to 1e12."""
    rng = seeded("scales")
    x, e = rng.normal(size=N), rng.normal(size=N)
    normal, regression = MODELS["normal"], MODELS["heteroskedastic"]
    counts = rng.poisson(np.exp(line(x)))
    out = [
        Hard("a mean of 1e8 beside a spread of 1", normal, {"y": 1e8 + e}),
        Hard("a response in units of 1e12", normal, {"y": 1e12 * (2 + e)}),
        Hard("a response in units of 1e-12", normal, {"y": 1e-12 * (2 + e)}),
        Hard("a small spread around a thousand", normal, {"y": 1e3 + 1e-6 * e}),
        Hard("a covariate far from zero", regression, {"x": 2000 + x, "y": line(x) + e}),
        Hard("counts of a million", MODELS["poisson"], {"x": x, "y": rng.poisson(1e6 * np.exp(0.1 * x))}),
        Hard("counts that are nearly all zero", MODELS["poisson"], {"x": x, "y": (np.arange(N) % 60 == 0) * 1}),
        Hard("waiting times in nanoseconds", MODELS["censored weibull"],
             {"x": x, "y": 1e9 * rng.weibull(1.5, size=N), "seen": np.arange(N) % 5 > 0}),
        Hard("a shape of 500", MODELS["gamma"], {"x": x, "y": rng.gamma(500.0, 0.002 * np.exp(x))}),
        Hard("a shape of 0.2", MODELS["gamma"], {"x": x, "y": rng.gamma(0.2, 5.0 * np.exp(x)) + 1e-12}),
    ]  # fmt: skip
    for unit in (1e6, 1e-6):
        out.append(Hard(f"a covariate in units of {unit:g}", MODELS["poisson"], {"x": unit * x, "y": counts}))
        out.append(Hard(f"a covariate in units of {unit:g}, twice", regression, {"x": unit * x, "y": line(x) + e}))
    return out


def shapes() -> list[Hard]:
    """Shapes of the likelihood that are nearly something worse."""
    rng = seeded("shapes")
    x = rng.normal(size=N)
    near = {"x": x, "z": 0.999 * x + 0.0447 * rng.normal(size=N)}
    three = jm.Model(MODELS["poisson"].log_density, {"rate": jm.Linear([1, "x", "z"], link="log")})
    steep = 1 / (1 + np.exp(-(6 * x - 1)))
    walk = np.zeros(N)
    for t in range(1, N):
        walk[t] = 0.97 * walk[t - 1] + rng.normal()
    pair = rng.multivariate_normal([0, 0], [[1, 0.999], [0.999, 1]], size=N)
    return [
        Hard("correlated covariates (0.999)", three, near | {"y": rng.poisson(np.exp(line(x)))}),
        Hard("rare events", MODELS["logistic"], {"x": x, "y": np.isin(np.arange(N), [3, 50, 99, 150, 201])}),
        Hard("nearly separated", MODELS["logistic"], {"x": x, "y": rng.uniform(size=N) < steep}),
        Hard("a category seen once", MODELS["shares"], {"y": np.where(np.arange(N) == 7, 2, np.arange(N) % 2)}),
        Hard("a middle category seen twice", MODELS["ordinal"],
             {"x": x, "y": np.where(np.isin(np.arange(N), [5, 6]), 1, 2 * (rng.logistic(size=N) + x > 0))}),
        Hard("a U-shaped beta", MODELS["beta"], {"y": rng.beta(0.3, 0.4, size=N)}),
        Hard("a narrow beta", MODELS["beta"], {"y": rng.beta(800, 1200, size=N)}),
        Hard("mixed normals three deviations apart", MODELS["mixture"],
             {"y": np.where(np.arange(N) % 2, 0.0, 3.0) + rng.normal(size=N)}),
        Hard("slowly reverting series", MODELS["autoregression"], {"y": walk}),
        Hard("an alternating series", MODELS["autoregression"], {"y": np.tile([1.0, -1.0], N // 2) + 0.7 * rng.normal(size=N)}),
        Hard("nearly equal columns", MODELS["two normals"], {"y": pair}),
        Hard("strong overdispersion", MODELS["negative binomial"], {"x": x, "y": rng.negative_binomial(0.1, 0.02, size=N)}),
        Hard("tails of a Cauchy distribution", MODELS["student"], {"x": x, "y": line(x) + rng.standard_cauchy(size=N)}),
    ]  # fmt: skip


def few() -> list[Hard]:
    """Three to eight rows."""
    return [
        Hard("three normal rows", MODELS["normal"], {"y": np.array([1.0, 2.5, 2.7])}),
        Hard("two normal rows", MODELS["normal"], {"y": np.array([1.0, 2.5])}),
        Hard("four normal rows on a line", jm.Model(MODELS["heteroskedastic"].log_density,
             {"mu": jm.Linear([1, "x"]), "s": jm.Positive()}), {"x": np.arange(4.0), "y": np.array([0.1, 1.3, 1.7, 3.2])}),
        Hard("three counts", MODELS["poisson"], {"x": np.array([0.0, 1.0, 2.0]), "y": np.array([1, 0, 3])}),
        Hard("five binary rows", MODELS["logistic"], {"x": np.arange(5.0), "y": np.array([0, 1, 0, 1, 1])}),
        Hard("four survival times", MODELS["censored weibull"],
             {"x": np.array([0.0, 1.0, 0.0, 1.0]), "y": np.array([1.0, 0.5, 3.0, 2.0]), "seen": np.ones(4, bool)}),
        Hard("three draws from three categories", MODELS["shares"], {"y": np.arange(3)}),
        Hard("four pairs", MODELS["two normals"], {"y": np.array([[0.0, 1.0], [1.0, -1.0], [2.0, 0.5], [0.5, 0.7]])}),
        Hard("one count", jm.Model(MODELS["poisson"].log_density, {"rate": jm.Positive()}), {"y": np.array([4])}),
    ]  # fmt: skip


def log_normal_prior(theta):
    return -0.5 * jnp.sum(theta**2) / 4.0


def ridge(theta):
    return 0.5 * jnp.sum(theta["eta"] ** 2)


def told() -> list[Hard]:
    """What the arguments of a fit change: weights, held values, priors and penalties, starts, solvers."""
    rng = seeded("told")
    x = rng.normal(size=N)
    counts = {"x": x, "y": rng.poisson(np.exp(line(x)))}
    separated = {"x": x, "y": x > 0.1}
    weights = rng.integers(0, 4, size=N)
    beta = jm.Model(MODELS["beta"].log_density, {"a": jm.Positive(), "b": jm.Positive()})
    with_prior = jm.Model(MODELS["logistic"].log_density, {"eta": jm.Linear([1, "x"], prior=log_normal_prior)})
    poisson = MODELS["poisson"]
    return [
        Hard("frequencies, some of them zero", poisson, counts, {"weights": weights}),
        Hard("fractional weights", poisson, counts, {"weights": 0.01 + rng.uniform(size=N)}),
        Hard("huge frequencies", poisson, counts, {"weights": np.full(N, 1e6)}),
        Hard("sampling weights", poisson, counts, {"probability_weights": 0.5 + rng.uniform(size=N)}),
        Hard("a held coefficient", poisson, counts, {"fixed": {"rate[x]": 0.5}}),
        Hard("a held parameter", beta, {"y": rng.beta(2, 3, size=N)}, {"fixed": {"a": 2.0}}),
        Hard("separated, with a prior", with_prior, separated),
        Hard("separated, with a penalty", MODELS["logistic"], separated, {"penalty": ridge}),
        Hard("a start far away", poisson, counts, {"start": {"rate": [3.0, -2.0]}}),
        Hard("L-BFGS", poisson, counts, {"solver": "lbfgs"}),
        Hard("BHHH", poisson, counts, {"solver": "bhhh"}),
        Hard("Newton by products", poisson, counts, {"solver": "newton_cg"}),
    ]


def generalised_extreme(p, row):
    z = (row["y"] - p["mu"]) / p["s"]
    t = 1 + p["xi"] * z
    log_t = jnp.log(jnp.where(t > 0, t, 1.0))
    return jnp.where(t > 0, -jnp.log(p["s"]) - (1 + 1 / p["xi"]) * log_t - jnp.exp(-log_t / p["xi"]), -jnp.inf)


def skewed(p, row):
    z = (row["y"] - p["mu"]) / p["s"]
    return -0.5 * z**2 - jnp.log(p["s"]) + log_ndtr(p["shape"] * z)


def huber(p, row):
    """Its second derivative jumps where its score does not."""
    z = jnp.abs(row["y"] - p["mu"]) / p["s"]
    return -jnp.where(z < 1.5, 0.5 * z**2, 1.5 * z - 1.125) - jnp.log(p["s"])


def broken_stick(p, row):
    """A bend at an unknown place: a kink of the mean in the covariate, not of the likelihood at its maximum."""
    mean = p["a"] + p["b"] * row["x"] + p["c"] * jnp.maximum(row["x"] - p["bend"], 0.0)
    return -0.5 * ((row["y"] - mean) / p["s"]) ** 2 - jnp.log(p["s"])


def dirichlet(p, row):
    alpha = p["mean"] * p["size"]
    return gammaln(p["size"]) - gammaln(alpha).sum() + ((alpha - 1) * jnp.log(row["y"])).sum()


def inverse_gaussian(p, row):
    y, m = row["y"], p["mu"]
    return 0.5 * jnp.log(p["lam"]) - p["lam"] * (y - m) ** 2 / (2 * m**2 * y) - 1.5 * jnp.log(y)


def on_a_circle(p, row):
    """Von Mises, by the modified Bessel function."""
    from jax.scipy.special import i0e

    k = p["kappa"]
    return k * (jnp.cos(row["y"] - p["mu"]) - 1) - jnp.log(i0e(k))


def others() -> list[Hard]:
    """More families."""
    rng = seeded("others")
    x = rng.uniform(0, 10, size=N)
    location = {"mu": jm.Real(), "s": jm.Positive()}
    skew = 4 / np.sqrt(17) * np.abs(rng.normal(size=N)) + rng.normal(size=N) / np.sqrt(17)
    stick = 1 + 0.5 * x - 1.2 * np.maximum(x - 4.3, 0) + 0.3 * rng.normal(size=N)
    uniform = rng.uniform(size=N)
    return [
        Hard("generalised extreme values", jm.Model(generalised_extreme, location | {"xi": jm.Real(start=0.1)}),
             {"y": ((-np.log(uniform)) ** -0.2 - 1) / 0.2}),
        Hard("bounded extreme values", jm.Model(generalised_extreme, location | {"xi": jm.Real(start=0.1)}),
             {"y": ((-np.log(uniform)) ** 0.2 - 1) / -0.2}),
        Hard("skew normal", jm.Model(skewed, location | {"shape": jm.Real(start=1.0)}), {"y": skew}),
        Hard("Huber's location", jm.Model(huber, {"mu": jm.Real(), "s": 1.0}), {"y": rng.standard_t(3, size=N)}),
        Hard("a broken stick", jm.Model(broken_stick, {"a": jm.Real(), "b": jm.Real(), "c": jm.Real(),
             "bend": jm.Interval(1, 9), "s": jm.Positive()}), {"x": x, "y": stick}),
        Hard("Dirichlet", jm.Model(dirichlet, {"mean": jm.Simplex(3), "size": jm.Positive()}),
             {"y": rng.dirichlet([1.0, 3.0, 2.0], size=N)}),
        Hard("inverse Gaussian", jm.Model(inverse_gaussian, {"mu": jm.Positive(), "lam": jm.Positive()}),
             {"y": rng.wald(2.0, 3.0, size=N)}),
        Hard("von Mises", jm.Model(on_a_circle, {"mu": jm.Interval(-np.pi, np.pi), "kappa": jm.Positive()}),
             {"y": rng.vonmises(1.0, 2.0, size=N)}),
        Hard("twenty thousand counts", MODELS["poisson"],
             {"x": (z := rng.normal(size=20_000)), "y": rng.poisson(np.exp(line(z)))}),
        Hard("twenty thousand binary rows, sorted", MODELS["logistic"],
             {"x": (z := np.sort(rng.normal(size=20_000))), "y": rng.uniform(size=20_000) < 1 / (1 + np.exp(-line(z)))}),
    ]  # fmt: skip


HARD = scales() + shapes() + few() + told() + others()

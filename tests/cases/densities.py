"""The models of the reference cases, each written as a user would write a density that nobody ships."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import i0e

import jaxmle as jm
from jaxmle.numerics import (
    gammaln,
    log1mexp,
    log_binomial,
    log_factorial,
    log_gamma_ratio,
    log_ndtr,
    log_sigmoid,
    logsubexp,
)

LOG_2PI = float(np.log(2 * np.pi))


def normal_log_density(y, mean, sd):
    return -0.5 * ((y - mean) / sd) ** 2 - jnp.log(sd) - 0.5 * LOG_2PI


def poisson_log_density(y, rate):
    return y * jnp.log(rate) - rate - log_factorial(y)


def nb2(y, mu, alpha):
    r = 1 / alpha
    return (
        log_gamma_ratio(r, y)
        - log_factorial(y)
        - r * jnp.log1p(alpha * mu)
        + y * (jnp.log(alpha * mu) - jnp.log1p(alpha * mu))
    )


def nb1(y, mu, alpha):
    r = mu / alpha
    return log_gamma_ratio(r, y) - log_factorial(y) - r * jnp.log1p(alpha) + y * (jnp.log(alpha) - jnp.log1p(alpha))


def log_beta(a, b):
    return gammaln(a) + gammaln(b) - gammaln(a + b)


def zero_inflated(y, logit_zero, log_count, log_count_zero):
    inflated = jnp.logaddexp(log_sigmoid(logit_zero), log_sigmoid(-logit_zero) + log_count_zero)
    return jnp.where(y == 0, inflated, log_sigmoid(-logit_zero) + log_count)


def hurdle(y, logit_positive, log_count, log_count_zero):
    return jnp.where(
        y == 0, log_sigmoid(-logit_positive), log_sigmoid(logit_positive) + log_count - log1mexp(-log_count_zero)
    )


def columns(case, predictor=None):
    names = case["covariates"]
    names = names if isinstance(names, list) else names[predictor or next(iter(names))]
    return [1 if n == "Intercept" else n for n in names]


def response(case):
    return case["response"]


# --- one function for each kind: case -> (params, log_density) or (params, log_density, unit) -----------------------


def bernoulli_mean(c):
    return {"p": jm.UnitInterval()}, lambda p, r: jnp.where(r["low"] == 1, jnp.log(p["p"]), jnp.log1p(-p["p"]))


def normal_iid(c):
    y = response(c)
    return {"mu": jm.Real(), "sigma": jm.Positive()}, lambda p, r: normal_log_density(r[y], p["mu"], p["sigma"])


def exponential_iid(c):
    return {"rate": jm.Positive()}, lambda p, r: jnp.log(p["rate"]) - p["rate"] * r["y"]


def logit(c):
    y = response(c)
    return {"eta": jm.Linear(columns(c))}, lambda p, r: r[y] * p["eta"] + log_sigmoid(-p["eta"])


def probit(c):
    y = response(c)
    return {"eta": jm.Linear(columns(c))}, lambda p, r: log_ndtr(jnp.where(r[y] == 1, 1.0, -1.0) * p["eta"])


def cloglog(c):
    def density(p, r):
        lam = jnp.exp(p["eta"])
        return log_binomial(r["n"], r["y"]) + r["y"] * log1mexp(lam) - (r["n"] - r["y"]) * lam

    return {"eta": jm.Linear(columns(c))}, density


def poisson(c):
    y = response(c)
    offset = "log_" + c["offset_is_log_of_column"] if "offset_is_log_of_column" in c else None
    eta = jm.Linear(columns(c), link="log", offset=offset)
    return {"eta": eta}, lambda p, r: poisson_log_density(r[y], p["eta"])


def negbin_nb2(c):
    y = response(c)
    params = {"eta": jm.Linear(columns(c), link="log"), "alpha": jm.Positive()}
    return params, lambda p, r: nb2(r[y], p["eta"], p["alpha"])


def negbin_nb1(c):
    y = response(c)
    params = {"eta": jm.Linear(columns(c), link="log"), "alpha": jm.Positive()}
    return params, lambda p, r: nb1(r[y], p["eta"], p["alpha"])


def gamma_glm(c):
    def density(p, r):
        y, k, mu = r["time"], p["shape"], p["eta"]
        return k * jnp.log(k / mu) + (k - 1) * jnp.log(y) - k * y / mu - gammaln(k)

    return {"eta": jm.Linear(columns(c), link="inverse", start=[0.05, 0, 0, 0]), "shape": jm.Positive()}, density


def inverse_gaussian(c):
    def density(p, r):
        y, lam, mu = r["time"], p["lambda"], p["eta"]
        return 0.5 * (jnp.log(lam) - LOG_2PI - 3 * jnp.log(y)) - lam * (y - mu) ** 2 / (2 * mu**2 * y)

    return {"eta": jm.Linear(columns(c), link="log"), "lambda": jm.Positive()}, density


def beta_regression(c):
    def density(p, r):
        a, b = p["eta"] * p["phi"], (1 - p["eta"]) * p["phi"]
        return (a - 1) * jnp.log(r["prop"]) + (b - 1) * jnp.log1p(-r["prop"]) - log_beta(a, b)

    return {"eta": jm.Linear(columns(c), link="logit"), "phi": jm.Positive()}, density


def tweedie(c):
    def density(p, r):
        y, mu, phi, power = r["affairs"], p["eta"], p["phi"], p["power"]
        lam = mu ** (2 - power) / (phi * (2 - power))
        a, g = (2 - power) / (power - 1), phi * (power - 1) * mu ** (power - 1)
        safe = jnp.where(y > 0, y, 1.0)
        n = jnp.arange(1, 120)
        terms = (
            n * jnp.log(lam)
            - gammaln(n + 1.0)
            + (n * a - 1) * jnp.log(safe)
            - safe / g
            - n * a * jnp.log(g)
            - gammaln(n * a)
        )
        return jnp.where(y > 0, jax.nn.logsumexp(terms) - lam, -lam)

    params = {"eta": jm.Linear(columns(c), link="log"), "phi": jm.Positive(), "power": jm.Interval(1, 2)}
    return params, density


def multinomial_logit(c):
    def density(p, r):
        logits = jnp.concatenate([jnp.zeros(1), p["eta"]])
        return logits[r["PID"].astype(int)] - jax.nn.logsumexp(logits)

    return {"eta": jm.Linear(columns(c), shape=(6,))}, density


def _ordered(log_cdf):
    def make(c):
        def density(p, r):
            low, high = p["cut"][0] - p["eta"], p["cut"][1] - p["eta"]
            middle = logsubexp(log_cdf(high), log_cdf(low))
            return jnp.where(r["apply"] == 0, log_cdf(low), jnp.where(r["apply"] == 2, log_cdf(-high), middle))

        return {"eta": jm.Linear(columns(c)), "cut": jm.Ordered(2)}, density

    return make


ordered_logit, ordered_probit = _ordered(log_sigmoid), _ordered(log_ndtr)


def _counts(c, combine, count, dispersion):
    params = {"count": jm.Linear(columns(c, "count"), link="log"), "zero": jm.Linear(columns(c, "zero"))}
    if dispersion:
        params["alpha"] = jm.Positive()

    def density(p, r):
        extra = (p["alpha"],) if dispersion else ()
        y = r["art"]
        return combine(y, p["zero"], count(y, p["count"], *extra), count(0.0, p["count"], *extra))

    return params, density


def zip(c):
    return _counts(c, zero_inflated, poisson_log_density, False)


def zinb(c):
    return _counts(c, zero_inflated, nb2, True)


def hurdle_poisson(c):
    return _counts(c, hurdle, poisson_log_density, False)


def hurdle_nb(c):
    return _counts(c, hurdle, nb2, True)


def zero_truncated_poisson(c):
    return {
        "eta": jm.Linear(columns(c), link="log")
    }, lambda p, r: poisson_log_density(r["los"], p["eta"]) - log1mexp(p["eta"])


def zero_truncated_nb2(c):
    params = {"eta": jm.Linear(columns(c), link="log"), "alpha": jm.Positive()}

    def density(p, r):
        return nb2(r["los"], p["eta"], p["alpha"]) - log1mexp(-nb2(0.0, p["eta"], p["alpha"]))

    return params, density


def tobit(c):
    def density(p, r):
        seen = normal_log_density(r["affairs"], p["eta"], p["sigma"])
        return jnp.where(r["affairs"] > 0, seen, log_ndtr(-p["eta"] / p["sigma"]))

    return {"eta": jm.Linear(columns(c)), "sigma": jm.Positive()}, density


def _aft(log_density, log_survival, free_scale=True):
    def make(c):
        def density(p, r):
            scale = p["scale"] if free_scale else 1.0
            w = (jnp.log(r["time"]) - p["eta"]) / scale
            return jnp.where(r["event"] == 1, log_density(w) - jnp.log(scale) - jnp.log(r["time"]), log_survival(w))

        return {"eta": jm.Linear(columns(c))} | ({"scale": jm.Positive()} if free_scale else {}), density

    return make


aft_weibull_right_censored = _aft(lambda w: w - jnp.exp(w), lambda w: -jnp.exp(w))
aft_exponential_right_censored = _aft(lambda w: w - jnp.exp(w), lambda w: -jnp.exp(w), free_scale=False)
aft_lognormal_right_censored = _aft(lambda w: -0.5 * w**2 - 0.5 * LOG_2PI, lambda w: log_ndtr(-w))
aft_loglogistic_right_censored = _aft(lambda w: log_sigmoid(w) + log_sigmoid(-w), lambda w: log_sigmoid(-w))


def gev(c):
    def density(p, r):
        z = 1 + p["xi"] * (r["y"] - p["mu"]) / p["sigma"]
        return -jnp.log(p["sigma"]) - (1 + 1 / p["xi"]) * jnp.log(z) - z ** (-1 / p["xi"])

    return {"mu": jm.Real(), "sigma": jm.Positive(), "xi": jm.Real()}, density


def gumbel(c):
    def density(p, r):
        z = (r["y"] - p["mu"]) / p["sigma"]
        return -jnp.log(p["sigma"]) - z - jnp.exp(-z)

    return {"mu": jm.Real(), "sigma": jm.Positive()}, density


def generalised_pareto(c):
    def density(p, r):
        return -jnp.log(p["sigma"]) - (1 + 1 / p["xi"]) * jnp.log1p(p["xi"] * r["excess"] / p["sigma"])

    return {"sigma": jm.Positive(), "xi": jm.Real()}, density


def cauchy_location_scale(c):
    def density(p, r):
        return -jnp.log(jnp.pi * p["sigma"]) - jnp.log1p(((r["y"] - p["mu"]) / p["sigma"]) ** 2)

    return {"mu": jm.Real(), "sigma": jm.Positive()}, density


def student_t_regression_df_estimated(c):
    def density(p, r):
        df, z = p["df"], (r["y"] - p["eta"]) / p["sigma"]
        constant = gammaln((df + 1) / 2) - gammaln(df / 2) - 0.5 * jnp.log(df * jnp.pi) - jnp.log(p["sigma"])
        return constant - (df + 1) / 2 * jnp.log1p(z**2 / df)

    return {"eta": jm.Linear(columns(c)), "sigma": jm.Positive(), "df": jm.Positive()}, density


def von_mises(c):
    def density(p, r):
        k = p["kappa"]
        return k * (jnp.cos(r["theta"] - p["mu"]) - 1) - LOG_2PI - jnp.log(i0e(k))

    return {"mu": jm.Interval(0, 2 * np.pi), "kappa": jm.Positive()}, density


def gaussian_mixture_2(c):
    y = response(c)

    def density(p, r):
        one = jnp.log(p["pi1"]) + normal_log_density(r[y], p["mu1"], p["sigma1"])
        two = jnp.log1p(-p["pi1"]) + normal_log_density(r[y], p["mu2"], p["sigma2"])
        return jnp.logaddexp(one, two)

    start = c["expected"]["params"]
    params = {
        "mu1": jm.Real(start=round(start["mu1"] - 2)),
        "sigma1": jm.Positive(start=round(start["sigma1"]) + 3),
        "pi1": jm.UnitInterval(),
        "mu2": jm.Real(start=round(start["mu2"]) + 3),
        "sigma2": jm.Positive(start=round(start["sigma2"]) + 3),
    }
    return params, density


def beta_binomial(c):
    def density(p, r):
        a, b = p["eta"] * p["phi"], (1 - p["eta"]) * p["phi"]
        return log_binomial(r["N"], r["R"]) + log_beta(r["R"] + a, r["N"] - r["R"] + b) - log_beta(a, b)

    return {"eta": jm.Linear(columns(c), link="logit"), "phi": jm.Positive()}, density


def dirichlet(c):
    names = ["A", "F", "M"]

    def density(p, r):
        a = jnp.stack([p[f"alpha_{n}"] for n in names])
        y = jnp.stack([r[n] for n in names])
        return gammaln(a.sum()) - gammaln(a).sum() + ((a - 1) * jnp.log(y / y.sum())).sum()

    return {f"alpha_{n}": jm.Positive() for n in names}, density


def conditional_logit(c):
    def density(p, rows, mask):
        utility = jnp.where(mask, p["eta"], -jnp.inf)
        return jnp.sum(jnp.where(mask, rows["choice"] * p["eta"], 0.0)) - jax.nn.logsumexp(utility)

    return {"eta": jm.Linear(columns(c))}, density, "individual"


def heteroskedastic_normal(c):
    params = {"mu": jm.Linear(columns(c, "mu")), "logsigma": jm.Linear(columns(c, "logsigma"))}
    return params, lambda p, r: normal_log_density(r["foodexp"], p["mu"], jnp.exp(p["logsigma"]))


def garch11(c):
    def density(p, d):
        e2 = (d["y"] - p["mu"]) ** 2
        start = e2.mean()

        def step(h, previous):
            h = p["omega"] + p["alpha"] * previous + p["beta"] * h
            return h, h

        _, h = jax.lax.scan(step, start, jnp.concatenate([start[None], e2[:-1]]))
        return -0.5 * (LOG_2PI + jnp.log(h) + e2 / h)

    params = {
        "mu": jm.Real(),
        "omega": jm.Positive(start=0.05),
        "alpha": jm.UnitInterval(start=0.1),
        "beta": jm.UnitInterval(start=0.8),
    }
    return params, density, "all"


def ar1_exact(c):
    def density(p, d):
        y, rho, s2 = d["y"] - p["mu"], p["rho"], p["sigma2"]
        first = normal_log_density(y[:1], 0.0, jnp.sqrt(s2 / (1 - rho**2)))
        return jnp.concatenate([first, normal_log_density(y[1:], rho * y[:-1], jnp.sqrt(s2))])

    return {"mu": jm.Real(), "rho": jm.Interval(-1, 1), "sigma2": jm.Positive()}, density, "all"


def interval_censored_lognormal(c):
    def density(p, r):
        a = (jnp.log(r["left"]) - p["mu"]) / p["sigma"]
        b = (jnp.log(r["right"]) - p["mu"]) / p["sigma"]
        exact = normal_log_density(a, 0.0, 1.0) - jnp.log(p["sigma"]) - jnp.log(r["left"])
        wide = jnp.where(b > a, b, a + 1.0)
        between = logsubexp(log_ndtr(wide), log_ndtr(a))
        return jnp.where(
            r["kind"] == 0,
            exact,
            jnp.where(r["kind"] == 1, log_ndtr(b), jnp.where(r["kind"] == 2, log_ndtr(-a), between)),
        )

    return {"mu": jm.Real(), "sigma": jm.Positive()}, density


def linear_regression(c):
    y = response(c)
    params = {"eta": jm.Linear(columns(c)), "sigma": jm.Positive()}
    return params, lambda p, r: normal_log_density(r[y], p["eta"], p["sigma"])


def lmm_ml(c):
    """The marginal density of one subject: multivariate normal with covariance Z D Zᵀ + σ² I."""

    def density(p, rows, mask):
        n = mask.shape[0]
        d = p["sd_intercept"] ** 2 * jnp.ones((n, n)) + p["sigma"] ** 2 * jnp.eye(n)
        if slope:
            t = rows["days"]
            cross = p["corr"] * p["sd_intercept"] * p["sd_slope"]
            d = d + cross * (t[:, None] + t[None, :]) + p["sd_slope"] ** 2 * t[:, None] * t[None, :]
        both = mask[:, None] & mask[None, :]
        d = jnp.where(both, d, jnp.eye(n))
        e = jnp.where(mask, rows["reaction"] - p["fixed"], 0.0)
        chol = jnp.linalg.cholesky(d)
        half = jax.scipy.linalg.solve_triangular(chol, e, lower=True)
        return -0.5 * half @ half - jnp.log(jnp.diag(chol)).sum() - 0.5 * LOG_2PI * mask.sum()

    slope = "sd_slope" in c["parameters"]
    params = {
        "fixed": jm.Linear(columns(c, "fixed")),
        "sd_intercept": jm.Positive(start=20.0),
        "sigma": jm.Positive(start=40.0),
    }
    if slope:
        params |= {"sd_slope": jm.Positive(start=5.0), "corr": jm.Interval(-1, 1)}
    return params, density, "subject"


def precision_weighted_normal(c):
    def density(p, r):
        return normal_log_density(r["lifeexp"], p["eta"], p["sigma"] / jnp.sqrt(r["w"]))

    return {"eta": jm.Linear(columns(c)), "sigma": jm.Positive()}, density


def nist_linear(c):
    names = [k for k in c["expected"]["params"] if k != "sigma"]
    params = {"eta": jm.Linear([1 if n == "B0" else n for n in names]), "sigma": jm.Positive()}
    return params, lambda p, r: normal_log_density(r["y"], p["eta"], p["sigma"])


def nist_nonlinear(c):
    names = [k for k in c["expected"]["params"] if k != "sigma"]
    code = compile(c["formula"].split("=", 1)[1].removesuffix("+ e").strip(), c["id"], "eval")
    known = dict(exp=jnp.exp, cos=jnp.cos, sin=jnp.sin, arctan=jnp.arctan, log=jnp.log, pi=np.pi)

    def density(p, r):
        mean = eval(code, known | {n: p[n] for n in names} | {"x": r["x"]})
        return normal_log_density(r["y"], mean, p["sigma"])

    return {n: jm.Real() for n in names} | {"sigma": jm.Positive()}, density


KINDS = {
    "poisson_offset": poisson, "poisson_cluster_robust": poisson, "freq_weighted_poisson": poisson,
    "freq_weighted_logit": logit, "no_finite_mle_complete_separation": logit, "no_finite_mle_quasi_separation": logit,
    "ols_cluster_robust": linear_regression, "not_identified_rank_deficient": linear_regression,
    "boundary_nb2_underdispersed": negbin_nb2, "lmm_ml_random_slope": lmm_ml, "nist_linear_exact_fit": nist_linear,
    "normal_iid_numerically_hard": normal_iid, "normal_iid_certified": normal_iid,
    "nist_nonlinear_lower": nist_nonlinear, "nist_nonlinear_average": nist_nonlinear,
    "nist_nonlinear_higher": nist_nonlinear,
}  # fmt: skip

LATER = {"glmm_binomial_laplace", "glmm_binomial_agq25", "glmm_poisson_laplace"}
"""Random effects integrated out by Laplace's approximation or quadrature: they need the `Random` parameter to come."""


def model_of(case):
    """The model of a case."""
    make = KINDS.get(case["kind"]) or globals()[case["kind"]]
    params, density, *unit = make(case)
    return jm.Model(density, params, unit=unit[0] if unit else "row", name=case["id"])

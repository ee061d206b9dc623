"""The models of the reference cases as families and formulas: what a user of regressions writes.

Each function takes a case and returns the model and, for each parameter of the case, our name for it or a function of
our estimates. Kinds that are no family (GARCH, state space, nonlinear regression, mixed models) are left to `densities`.
"""

import math

import jaxmle as jm


def rhs(case, predictor=None):
    names = case["covariates"]
    if isinstance(names, dict):
        names = names[predictor or next(iter(names))]
    terms = [n for n in names if n != "Intercept"]
    constant = "Intercept" in names
    return "~ " + " + ".join(terms or ["1"]) + ("" if constant else " - 1")


def named(case, parameter, predictor=None, sign=1):
    """Case names of the coefficients of one predictor → names or functions of ours."""
    names = case["covariates"]
    if isinstance(names, dict):
        names = names[predictor or next(iter(names))]
    prefix = f"{predictor}:" if predictor else ""
    if sign == 1:
        return {prefix + n: f"{parameter}[{n}]" for n in names}
    return {prefix + n: (lambda c, n=n: sign * c[f"{parameter}[{n}]"]) for n in names}


def regression(factory, parameter, case, **arguments):
    return factory(f"{case['response']} {rhs(case)}", **arguments), named(case, parameter)


def bernoulli_mean(c):
    return jm.bernoulli("low"), {"p": "prob"}


def normal_iid(c):
    return jm.normal("y"), {"mu": "mean", "sigma": "sd"}


normal_iid_numerically_hard = normal_iid_certified = normal_iid


def exponential_iid(c):
    return jm.exponential("y"), {"rate": "rate"}


def logit(c):
    return regression(jm.bernoulli, "prob", c)


freq_weighted_logit = no_finite_mle_complete_separation = no_finite_mle_quasi_separation = logit


def probit(c):
    return regression(jm.bernoulli, "prob", c, link="probit")


def cloglog(c):
    return regression(jm.binomial, "prob", c, trials="n", link="cloglog")


def poisson_offset(c):
    return regression(jm.poisson, "rate", c, exposure=c["offset_is_log_of_column"])


def poisson_cluster_robust(c):
    return regression(jm.poisson, "rate", c)


freq_weighted_poisson = poisson_cluster_robust


def negbin_nb2(c):
    model, names = regression(jm.negative_binomial, "mean", c)
    return model, names | {"alpha": "dispersion"}


boundary_nb2_underdispersed = negbin_nb2


def negbin_nb1(c):
    model, names = regression(jm.negative_binomial, "mean", c, power=1)
    return model, names | {"alpha": "dispersion"}


def gamma_glm(c):
    model, names = regression(jm.gamma, "mean", c, link="inverse")
    return model, names | {"shape": lambda e: 1 / e["dispersion"]}


def inverse_gaussian(c):
    model, names = regression(jm.inverse_gaussian, "mean", c)
    return model, names | {"lambda": lambda e: 1 / e["dispersion"]}


def beta_regression(c):
    model, names = regression(jm.beta, "mean", c)
    return model, names | {"phi": "precision"}


def tweedie(c):
    model, names = regression(jm.tweedie, "mean", c)
    return model, names | {"phi": "dispersion", "power": "power"}


def multinomial_logit(c):
    names = next(iter(c["covariates"].values()))
    model = jm.categorical("PID ~ " + " + ".join(n for n in names if n != "Intercept"))
    return model, {f"y{j}:{n}": f"logits.{j}[{n}]" for j in range(1, 7) for n in names}


def ordered_logit(c, link="logit"):
    model = jm.ordinal(f"apply ~ {' + '.join(c['covariates']['eta'])}", link=link)
    return model, named(c, "location") | {"cut1": "cutpoints[0]", "cut2": "cutpoints[1]"}


def ordered_probit(c):
    return ordered_logit(c, "probit")


def two_parts(c, model, parameter, sign=1):
    return model, named(c, parameter, "count") | named(c, "zero", "zero", sign)


def zip(c):
    return two_parts(c, jm.zero_inflated(jm.poisson(f"art {rhs(c, 'count')}"), zero=rhs(c, "zero")), "rate")


def zinb(c):
    inner = jm.negative_binomial(f"art {rhs(c, 'count')}")
    model, names = two_parts(c, jm.zero_inflated(inner, zero=rhs(c, "zero")), "mean")
    return model, names | {"alpha": "dispersion"}


def hurdle_poisson(c):
    return two_parts(c, jm.hurdle(jm.poisson(f"art {rhs(c, 'count')}"), zero=rhs(c, "zero")), "rate", sign=-1)


def hurdle_nb(c):
    inner = jm.negative_binomial(f"art {rhs(c, 'count')}")
    model, names = two_parts(c, jm.hurdle(inner, zero=rhs(c, "zero")), "mean", sign=-1)
    return model, names | {"alpha": "dispersion"}


def zero_truncated_poisson(c):
    model, names = regression(jm.poisson, "rate", c)
    return jm.truncated(model, low=0), names


def zero_truncated_nb2(c):
    model, names = negbin_nb2(c)
    return jm.truncated(model, low=0), names


def tobit(c):
    model, names = regression(jm.normal, "mean", c)
    return jm.censored(model, low=0), names | {"sigma": "sd"}


def aft_weibull_right_censored(c):
    model, names = regression(jm.weibull, "scale", c)
    return jm.censored(model, event="event"), names | {"scale": lambda e: 1 / e["shape"]}


def aft_loglogistic_right_censored(c):
    model, names = regression(jm.loglogistic, "scale", c)
    return jm.censored(model, event="event"), names | {"scale": lambda e: 1 / e["shape"]}


def aft_lognormal_right_censored(c):
    model, names = regression(jm.lognormal, "mu", c)
    return jm.censored(model, event="event"), names | {"scale": "sigma"}


def aft_exponential_right_censored(c):
    model, _ = regression(jm.exponential, "rate", c)
    return jm.censored(model, event="event"), named(c, "rate", sign=-1)


def gev(c):
    return jm.gev("y"), {"mu": "loc", "sigma": "scale", "xi": "shape"}


def gumbel(c):
    return jm.gumbel("y"), {"mu": "loc", "sigma": "scale"}


def generalised_pareto(c):
    return jm.generalized_pareto("excess"), {"sigma": "scale", "xi": "shape"}


def cauchy_location_scale(c):
    return jm.cauchy("y"), {"mu": "loc", "sigma": "scale"}


def student_t_regression_df_estimated(c):
    model, names = regression(jm.student_t, "loc", c)
    return model, names | {"sigma": "scale", "df": "df"}


def von_mises(c):
    return jm.von_mises("theta"), {"mu": lambda e: e["direction"] % (2 * math.pi), "kappa": "concentration"}


def gaussian_mixture_2(c):
    names = {"mu1": "mean.0", "sigma1": "sd.0", "pi1": "weight.0", "mu2": "mean.1", "sigma2": "sd.1"}
    return jm.mixture(jm.normal("eruptions"), components=2), names


def beta_binomial(c):
    model, names = regression(jm.beta_binomial, "mean", c, trials="N")
    return model, names | {"phi": "precision"}


def dirichlet(c):
    alpha = lambda k: lambda e: e[f"mean[{k}]"] * e["precision"]
    return jm.dirichlet(["A", "F", "M"]), {f"alpha_{name}": alpha(k) for k, name in enumerate("AFM")}


def conditional_logit(c):
    terms = " + ".join(c["covariates"]["eta"])
    return jm.conditional_logit(f"choice ~ {terms}", group="individual"), named(c, "utility")


def heteroskedastic_normal(c):
    sd = jm.Linear("~ logincome", link="log")
    return jm.normal("foodexp ~ income", sd=sd), named(c, "mean", "mu") | named(c, "sd", "logsigma")


def interval_censored_lognormal(c):
    return jm.censored(jm.lognormal("left"), low="left", high="right"), {"mu": "mu", "sigma": "sigma"}


def ols_cluster_robust(c):
    model, names = regression(jm.normal, "mean", c)
    return model, names | {"sigma": "sd"}


not_identified_rank_deficient = ols_cluster_robust


def precision_weighted_normal(c):
    model, names = regression(jm.normal, "mean", c, sd="~ 1 + offset(-0.5 * log(w))")
    return model, names | {"sigma": lambda e: math.exp(e["sd[Intercept]"])}


def nist_linear(c):
    """Polynomials and regressions of NIST: Bj multiplies x^j, or the column xj."""
    terms = [n for n in c["expected"]["params"] if n.startswith("B")]
    columns = c["covariates"]
    power = lambda j: columns[j - 1] if len(columns) > 1 else ("x" if j == 1 else f"I(x ** {j})")
    used = [int(n[1:]) for n in terms]
    right = " + ".join(power(j) for j in used if j) + ("" if 0 in used else " - 1")
    names = {f"B{j}": f"mean[{power(j) if j else 'Intercept'}]" for j in used}
    return jm.normal(f"y ~ {right}"), names | {"sigma": "sd"}


nist_linear_exact_fit = nist_linear


NO_FAMILY = ("garch11", "ar1_exact", "lmm_ml_random_slope", "lmm_ml", "nist_nonlinear")


def model_of(case):
    """The model of a case and the names of its parameters; None for a kind that is no family."""
    make = globals().get(case["kind"])
    return None if make is None else make(case)

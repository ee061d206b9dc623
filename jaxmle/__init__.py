"""jaxmle: maximum likelihood on JAX, for any log-density, with a proof of its optimum."""

from .process import uncollected

with uncollected:
    from . import datasets, numerics
    from .batch import fit_many
    from .check import check_model
    from .clusterings import Clusterings, choose_clusters
    from .components import BootstrapTest, Components, bootstrap_test, choose_components
    from .cross_validation import CrossValidation, cross_validate
    from .declare.catalogue import (
        bernoulli,
        beta,
        beta_binomial,
        binomial,
        categorical,
        cauchy,
        conditional_logit,
        conway_maxwell_poisson,
        cox,
        dirichlet,
        exponential,
        gamma,
        generalized_gamma,
        generalized_pareto,
        generalized_poisson,
        geometric,
        gev,
        gompertz,
        gumbel,
        hawkes,
        inverse_gaussian,
        laplace,
        logistic,
        loglogistic,
        lognormal,
        multivariate_normal,
        negative_binomial,
        normal,
        ordinal,
        panel,
        pareto,
        poisson,
        skew_normal,
        student_t,
        tweedie,
        von_mises,
        weibull,
    )
    from .declare.clusters import gaussian_mixture
    from .declare.combinators.censored import censored
    from .declare.combinators.inflated import hurdle, zero_inflated, zero_one_inflated
    from .declare.combinators.mixture import mixture
    from .declare.combinators.truncated import truncated
    from .declare.dependence.hawkes import simulate_hawkes
    from .declare.distributions.base import Distribution, Known
    from .declare.distributions.supports import Support
    from .declare.distributions.wrapped import wrap
    from .declare.domains import Interval, Positive, Real, UnitInterval
    from .declare.families import family
    from .declare.linear import Linear
    from .declare.matrices import Correlation, Covariance, Ordered, Simplex
    from .declare.model import Model
    from .declare.penalties import ElasticNet, Lasso, Ridge
    from .declare.series.arma import ar, arma
    from .declare.series.garch import garch
    from .declare.series.hidden import hidden_markov
    from .declare.series.stationary import Invertible, Stationary
    from .declare.tree import Tree
    from .design import design
    from .errors import DataError, FitWarning, ModelError
    from .estimate import estimate
    from .fit import fit
    from .fits import FitMany
    from .infer.bound import CramerRao, cramer_rao
    from .infer.comparison import compare
    from .infer.information_matrix import information_matrix_test
    from .infer.laplace import Laplace, laplace_covariance
    from .infer.tests import likelihood_ratio_test, score_test, wald_test
    from .infer.vuong import vuong_test
    from .path import Path, fit_path
    from .result import Fit, load
    from .solve.em import EM
    from .solve.lbfgs import LBFGS
    from .solve.minibatch import Minibatch
    from .solve.multistart import MultiStart
    from .solve.newton import BHHH, FisherScoring, Newton
    from .solve.newton_cg import NewtonCG
    from .solve.proximal import ProximalNewton

__version__ = "0.1.0"

__all__ = [
    "BHHH",
    "BootstrapTest",
    "Clusterings",
    "Components",
    "Correlation",
    "Covariance",
    "CramerRao",
    "CrossValidation",
    "DataError",
    "Distribution",
    "EM",
    "ElasticNet",
    "FisherScoring",
    "Fit",
    "FitMany",
    "FitWarning",
    "Interval",
    "Invertible",
    "Known",
    "LBFGS",
    "Laplace",
    "Lasso",
    "Linear",
    "Minibatch",
    "Model",
    "ModelError",
    "MultiStart",
    "Newton",
    "NewtonCG",
    "Ordered",
    "Path",
    "Positive",
    "ProximalNewton",
    "Real",
    "Ridge",
    "Simplex",
    "Stationary",
    "Support",
    "Tree",
    "UnitInterval",
    "ar",
    "arma",
    "bernoulli",
    "beta",
    "beta_binomial",
    "binomial",
    "bootstrap_test",
    "categorical",
    "cauchy",
    "censored",
    "compare",
    "check_model",
    "choose_clusters",
    "choose_components",
    "conditional_logit",
    "conway_maxwell_poisson",
    "cox",
    "cramer_rao",
    "cross_validate",
    "datasets",
    "design",
    "dirichlet",
    "exponential",
    "family",
    "estimate",
    "fit",
    "fit_many",
    "fit_path",
    "gamma",
    "garch",
    "gaussian_mixture",
    "generalized_gamma",
    "generalized_pareto",
    "generalized_poisson",
    "geometric",
    "gev",
    "gompertz",
    "gumbel",
    "hidden_markov",
    "hawkes",
    "hurdle",
    "information_matrix_test",
    "inverse_gaussian",
    "laplace",
    "laplace_covariance",
    "likelihood_ratio_test",
    "load",
    "logistic",
    "loglogistic",
    "lognormal",
    "mixture",
    "multivariate_normal",
    "negative_binomial",
    "normal",
    "numerics",
    "ordinal",
    "panel",
    "pareto",
    "poisson",
    "score_test",
    "simulate_hawkes",
    "skew_normal",
    "student_t",
    "truncated",
    "tweedie",
    "von_mises",
    "vuong_test",
    "wald_test",
    "weibull",
    "wrap",
    "zero_inflated",
    "zero_one_inflated",
]

"""Numerics: functions that keep their digits, and so do their derivatives, over the whole range of the floats.

Held to mpmath, JAX's own `erfc` and `ndtr` are right to 1e-12 in value and two derivatives, and `erfc` is used here.
Its other functions are not, each somewhere: the second derivatives of softplus, log_sigmoid, logaddexp and softmax in
their tails, logit near 1/2, gammaln near 1 and 2, polygamma beyond 1e100, log_ndtr below -12, betaln nearly everywhere.
"""

from .bessel import bessel_ratio, log_i0, von_mises_cdf
from .gammas import (
    betaln,
    log_binomial,
    log_factorial,
    log_gamma_ratio,
    log_multinomial,
    stirling_correction,
)
from .incomplete_beta import betainc, log_betainc, log_betaincc
from .incomplete_gamma import gammainc, gammaincc, log_gammainc, log_gammaincc
from .logs import log1mexp, log1pexp, log_sigmoid, logaddexp, logit, logsubexp, sigmoid
from .losses import bernoulli_logit_log_prob, binary_cross_entropy, categorical_logit_log_prob
from .normal import inverse_mills, log_ndtr, log_ndtr_interval, ndtr
from .polygammas import digamma, gammaln, polygamma
from .products import xlog1py, xlogy
from .quantiles import betaincinv, gammaincinv, ndtri, student_t_quantile
from .safe import norm, safe_divide, safe_log, safe_sqrt
from .skew_normal import log_skew_normal_cdf, log_skew_normal_sf, owens_t
from .student_t import log_student_t_cdf, log_student_t_sf
from .sums import log_softmax, logsumexp, softmax

__all__ = [
    "bernoulli_logit_log_prob",
    "bessel_ratio",
    "betainc",
    "betaincinv",
    "betaln",
    "binary_cross_entropy",
    "categorical_logit_log_prob",
    "digamma",
    "gammainc",
    "gammaincc",
    "gammaincinv",
    "gammaln",
    "inverse_mills",
    "log1mexp",
    "log1pexp",
    "log_betainc",
    "log_betaincc",
    "log_binomial",
    "log_factorial",
    "log_gamma_ratio",
    "log_gammainc",
    "log_gammaincc",
    "log_i0",
    "log_multinomial",
    "log_ndtr",
    "log_ndtr_interval",
    "log_sigmoid",
    "log_skew_normal_cdf",
    "log_skew_normal_sf",
    "log_softmax",
    "log_student_t_cdf",
    "log_student_t_sf",
    "logaddexp",
    "logit",
    "logsubexp",
    "logsumexp",
    "ndtr",
    "ndtri",
    "norm",
    "owens_t",
    "polygamma",
    "safe_divide",
    "safe_log",
    "safe_sqrt",
    "sigmoid",
    "softmax",
    "stirling_correction",
    "student_t_quantile",
    "von_mises_cdf",
    "xlog1py",
    "xlogy",
]

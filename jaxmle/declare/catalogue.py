"""The ready-made families by their public names."""

from __future__ import annotations

from typing import Any

from .choices.categorical import categorical
from .choices.conditional import conditional_logit
from .choices.ordinal import ordinal
from .dependence.cox import cox
from .dependence.hawkes import hawkes
from .dependence.panel import panel
from .distributions.bernoulli import Bernoulli
from .distributions.beta import Beta
from .distributions.beta_binomial import BetaBinomial
from .distributions.binomial import Binomial
from .distributions.conway_maxwell_poisson import ConwayMaxwellPoisson
from .distributions.exponential import Exponential
from .distributions.gamma import Gamma
from .distributions.generalized_gamma import GeneralizedGamma
from .distributions.generalized_poisson import GeneralizedPoisson
from .distributions.geometric import Geometric
from .distributions.gev import GEV
from .distributions.gompertz import Gompertz
from .distributions.inverse_gaussian import InverseGaussian
from .distributions.location_scale import Cauchy, Gumbel, Laplace, Logistic
from .distributions.lognormal import LogNormal
from .distributions.negative_binomial import NegativeBinomial, NegativeBinomial1
from .distributions.normal import Normal
from .distributions.pareto import GeneralizedPareto, Pareto
from .distributions.poisson import Poisson
from .distributions.skew_normal import SkewNormal
from .distributions.student_t import StudentT
from .distributions.tweedie import Tweedie
from .distributions.von_mises import VonMises
from .distributions.weibull import LogLogistic, Weibull
from .families import Family, family
from .joint import dirichlet, multivariate_normal

bernoulli = family(Bernoulli)
beta = family(Beta)
beta_binomial = family(BetaBinomial)
binomial = family(Binomial)
cauchy = family(Cauchy)
conway_maxwell_poisson = family(ConwayMaxwellPoisson)
exponential = family(Exponential)
gamma = family(Gamma)
generalized_gamma = family(GeneralizedGamma)
generalized_pareto = family(GeneralizedPareto)
generalized_poisson = family(GeneralizedPoisson)
geometric = family(Geometric)
gev = family(GEV)
gompertz = family(Gompertz)
gumbel = family(Gumbel)
inverse_gaussian = family(InverseGaussian)
laplace = family(Laplace)
logistic = family(Logistic)
loglogistic = family(LogLogistic)
lognormal = family(LogNormal)
negative_binomial = Family(NegativeBinomial, (("power", ((2, NegativeBinomial), (1, NegativeBinomial1))),))
normal = family(Normal)
pareto = family(Pareto)
poisson = family(Poisson)
skew_normal = family(SkewNormal)
student_t = family(StudentT)
tweedie = family(Tweedie)
von_mises = family(VonMises)
weibull = family(Weibull)

OTHERS: dict[str, Any] = {
    "categorical": categorical,
    "conditional_logit": conditional_logit,
    "cox": cox,
    "dirichlet": dirichlet,
    "hawkes": hawkes,
    "multivariate_normal": multivariate_normal,
    "ordinal": ordinal,
    "panel": panel,
}
"""Families whose factories are functions of their own."""

FAMILIES: dict[str, Any] = {name: made for name, made in list(globals().items()) if isinstance(made, Family)} | OTHERS
"""Public name → factory of models."""

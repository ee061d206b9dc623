"""jaxmle: maximum likelihood on JAX, for any log-density, with a proof of its optimum."""

from . import datasets, numerics
from .declare.catalogue import bernoulli, normal, poisson
from .declare.distributions.base import Distribution, Known
from .declare.distributions.wrapped import wrap
from .declare.domains import Interval, Positive, Real, UnitInterval
from .declare.families import family
from .declare.linear import Linear
from .declare.matrices import Correlation, Covariance, Ordered, Simplex
from .declare.model import Model
from .declare.tree import Tree
from .errors import DataError, FitWarning, ModelError
from .fit import fit
from .result import Fit, load
from .solve.lbfgs import LBFGS
from .solve.minibatch import Minibatch
from .solve.multistart import MultiStart
from .solve.newton import BHHH, FisherScoring, Newton
from .solve.newton_cg import NewtonCG

__version__ = "0.1.0"

__all__ = [
    "BHHH",
    "Correlation",
    "Covariance",
    "DataError",
    "Fit",
    "FitWarning",
    "Interval",
    "LBFGS",
    "Linear",
    "Minibatch",
    "Model",
    "ModelError",
    "MultiStart",
    "Newton",
    "NewtonCG",
    "Ordered",
    "Positive",
    "Real",
    "Simplex",
    "Tree",
    "UnitInterval",
    "datasets",
    "fit",
    "load",
    "numerics",
]

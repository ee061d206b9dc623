"""Lists of all there is: whatever is added here meets every generic test of its kind."""

import numpy as np

from jaxmle.declare.domains import Domain, Interval, Positive, Real, UnitInterval
from jaxmle.declare.matrices import Correlation, Covariance, Ordered, Simplex
from jaxmle.declare.series.stationary import Invertible, Stationary
from jaxmle.declare.tree import Tree

NETWORK = {"hidden": {"w": np.array([[0.5, -1.0, 2.0], [0.1, 0.0, -0.3]]), "b": np.zeros(3)}, "out": 0.25}

DOMAINS: dict[str, Domain] = {
    "real": Real(),
    "real_2x3": Real(shape=(2, 3)),
    "positive": Positive(),
    "positive_4": Positive(shape=4),
    "unit_interval": UnitInterval(),
    "unit_interval_2x2": UnitInterval(shape=(2, 2)),
    "interval": Interval(-1.5, 4.0),
    "interval_to_zero_3": Interval(-2.0, 0.0, shape=3),
    "simplex_2": Simplex(2),
    "simplex_4": Simplex(4),
    "simplex_3_batch": Simplex(3, shape=(2,)),
    "ordered_1": Ordered(1),
    "ordered_4": Ordered(4),
    "ordered_3_batch": Ordered(3, shape=(2,)),
    "correlation_2": Correlation(2),
    "correlation_4": Correlation(4),
    "correlation_3_batch": Correlation(3, shape=(2,)),
    "covariance_1": Covariance(1),
    "covariance_2": Covariance(2),
    "covariance_3_batch": Covariance(3, shape=(2,)),
    "stationary_1": Stationary(1),
    "stationary_3": Stationary(3),
    "stationary_2_batch": Stationary(2, shape=(2,)),
    "invertible_2": Invertible(2),
    "tree": Tree(NETWORK),
    "tree_of_one_array": Tree(np.array([[1.0, 2.0]])),
    "tree_batch": Tree((np.array([1.0, 2.0]), [np.array(3.0)]), shape=2),
}

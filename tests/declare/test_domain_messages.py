"""What a domain says about a bad setting, start or fixed value: what was expected, and what was given."""

import math

import numpy as np
import pytest

from jaxmle.declare.domains import Interval, Positive, Real, UnitInterval
from jaxmle.declare.matrices import Correlation, Covariance, Ordered, Simplex
from jaxmle.declare.tree import Tree
from jaxmle.errors import ModelError

REFUSED = {
    "Interval needs low < high, got low=2, high=1": lambda: Interval(2, 1),
    "Interval needs two numbers low < high, got low='a', high=1": lambda: Interval("a", 1),
    "high=inf. For any positive number use Positive()": lambda: Interval(0, math.inf),
    "For any real number use Real()": lambda: Interval(-math.inf, math.inf),
    "For numbers above 3 declare a Positive() and add 3": lambda: Interval(3, math.inf),
    "For numbers below 2.5 declare a Positive() and subtract it from 2.5": lambda: Interval(-math.inf, 2.5),
    "Interval needs low < high, got low=nan": lambda: Interval(math.nan, 1),
    "Simplex needs k to be a whole number of at least 2, got 1": lambda: Simplex(1),
    "Simplex needs k to be a whole number of at least 2, got 2.0": lambda: Simplex(2.0),
    "Ordered needs k to be a whole number of at least 1, got 0": lambda: Ordered(0),
    "Ordered needs k to be a whole number of at least 1, got True": lambda: Ordered(True),
    "Correlation needs k to be a whole number of at least 2, got 1": lambda: Correlation(1),
    "Covariance needs k to be a whole number of at least 1, got 'x'": lambda: Covariance("x"),
    "Real needs every length in shape to be a whole number of at least 1, got 0": lambda: Real(shape=(2, 0)),
    "Real needs every length in shape to be a whole number of at least 1, got 1.5": lambda: Real(shape=1.5),
    "Positive got both start= and fixed=": lambda: Positive(start=1, fixed=1),
    "prior of Positive: expected a callable or an object with log_prob, got 'normal'": lambda: Positive(prior="normal"),
    "start of Positive is -2.0; expected a positive number": lambda: Positive(start=-2),
    "fixed of Positive: got True of type bool; expected a positive number": lambda: Positive(fixed=True),
    "start of Positive: element [1] is 0.0; expected a positive number": lambda: Positive(shape=2, start=[1, 0]),
    "start of Positive: got an array of shape (3,); expected an array of shape (2,), each element a positive number": (
        lambda: Positive(shape=2, start=[1, 1, 1])
    ),
    "fixed of UnitInterval is 1.0; expected a number strictly between 0 and 1": lambda: UnitInterval(fixed=1),
    "start of Interval is 7.0; expected a number strictly between -1 and 2.5": lambda: Interval(-1, 2.5, start=7),
    "start of Simplex: element [2] is -0.5; expected 3 positive shares that sum to one": (
        lambda: Simplex(3, start=[1, 0.5, -0.5])
    ),
    "start of Simplex: row [1] sums to 1.5; expected 2 positive shares": (
        lambda: Simplex(2, shape=2, start=[[0.5, 0.5], [0.5, 1.0]])
    ),
    "start of Ordered: element [2] is 3.0, not above element [1], which is 3.0; expected 3 strictly increasing": (
        lambda: Ordered(3, start=[1, 3, 3])
    ),
    "start of Correlation: element [1,1] is 2.0; expected a 2×2 correlation matrix (symmetric, ones on the": (
        lambda: Correlation(2, start=[[1, 0], [0, 2]])
    ),
    "start of Correlation: element [0,1] is 1.0, a correlation of 1.0": lambda: Correlation(2, start=np.ones((2, 2))),
    "start of Covariance: element [1,0,1] is 0.5 but element [1,1,0] is 0.1; expected a 2×2 covariance matrix": (
        lambda: Covariance(2, shape=2, start=[np.eye(2), [[1, 0.5], [0.1, 1]]])
    ),
    "start of Covariance: element [0,0] is 0.0": lambda: Covariance(2, start=np.zeros((2, 2))),
    "start of Covariance is not positive definite (its correlations have the smallest eigenvalue -0.8)": (
        lambda: Covariance(3, start=[[1, 0.9, -0.9], [0.9, 1, 0.9], [-0.9, 0.9, 1]])
    ),
    "matrix [1] is not positive definite": (
        lambda: Covariance(3, shape=2, start=[np.eye(3), [[1, 0.9, -0.9], [0.9, 1, 0.9], [-0.9, 0.9, 1]]])
    ),
    "start of Covariance: got the number 1.0; expected a 2×2 covariance matrix": lambda: Covariance(2, start=1.0),
    "Tree needs a pytree with at least one array of floats": lambda: Tree({}),
    "Tree leaf ['a']: got type int64; expected an array of floats": lambda: Tree({"a": np.arange(3)}),
    "Tree leaf ['a']: got a int; expected an array of floats": lambda: Tree({"a": 3}),
    "Tree leaf [1]: got a str; expected an array of floats: keep it outside": lambda: Tree([1.0, "relu"]),
    "Tree leaf ['a']: it holds values that are not finite": lambda: Tree({"a": np.array([1.0, np.nan])}),
    "start of Tree: got the structure PyTreeDef({'b': *}) (without ['a'] and with ['b'])": (
        lambda: Tree({"a": 1.0}, start={"b": 1.0})
    ),
    "start of Tree['a']: got an array of shape (3,); expected finite numbers of shape (2,)": (
        lambda: Tree({"a": np.ones(2)}, start={"a": np.ones(3)})
    ),
    "start of Tree['a']: element [1] is inf; expected finite numbers": (
        lambda: Tree({"a": np.ones(2)}, start={"a": np.array([1, np.inf])})
    ),
}


@pytest.mark.parametrize("message", REFUSED)
def test_bad_configuration_says_what_was_expected_and_what_was_given(message):
    with pytest.raises(ModelError) as error:
        REFUSED[message]()
    assert message in str(error.value)


def test_a_misspelt_setting_fails():
    with pytest.raises(TypeError, match="strat"):
        Positive(strat=1)


@pytest.mark.parametrize("prior", [lambda theta: -theta, type("Prior", (), {"log_prob": lambda self, theta: -theta})()])
def test_a_prior_is_a_callable_or_has_log_prob(prior):
    assert Positive(prior=prior).prior is prior

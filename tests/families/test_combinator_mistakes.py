"""What combinators refuse: data without a maximum, responses outside the support, models that do not go together."""

import numpy as np
import pytest

import jaxmle as jm
from jaxmle.declare.catalogue import normal, poisson
from jaxmle.declare.combinators.censored import censored
from jaxmle.declare.combinators.inflated import hurdle, zero_inflated, zero_one_inflated
from jaxmle.declare.combinators.mixture import mixture
from jaxmle.declare.combinators.truncated import truncated
from jaxmle.declare.distributions.beta import Beta
from jaxmle.declare.distributions.exponential import Exponential
from jaxmle.declare.distributions.gamma import Gamma
from jaxmle.declare.families import family

exponential, gamma, beta = family(Exponential), family(Gamma), family(Beta)


Y = {"y": np.array([0.0, 1, 2, 5]), "x": np.arange(4.0), "t": np.array([1.0, 2, 3, 4])}

DEGENERATE = [
    (zero_inflated(poisson("y")), {"y": np.array([1.0, 2, 3])}, "no response is 0"),
    (zero_inflated(poisson("y")), {"y": np.zeros(5)}, "all 5 counts are 0"),
    (hurdle(poisson("y")), {"y": np.array([1.0, 2, 3])}, "no response is 0"),
    (hurdle(poisson("y")), {"y": np.zeros(5)}, "all 5 responses are 0"),
    (hurdle(poisson("y")), {"y": np.array([0.0, 1, 1])}, "all positive responses are 1"),
    (truncated(poisson("y"), low=0), {"y": np.ones(5)}, "the smallest that can be seen"),
    (censored(exponential("y"), event="e"), {"y": np.ones(3), "e": np.zeros(3)}, "right-censored"),
    (censored(normal("y"), low=0), {"y": np.zeros(3)}, "left-censored"),
    (zero_one_inflated(beta("y")), {"y": np.array([0.0, 0.3, 0.6])}, "no response is 1"),
    (mixture(normal("y"), 2), {"y": np.ones(5)}, "all 5 responses are 1"),
    (truncated(poisson("y"), low=0), {"y": np.array([0.0, 1, 2])}, r"not above low=0.0.* row 0"),
    (truncated(normal("y"), high="x"), Y, r"not below high='x'.* rows 0, 1, 2"),
    (zero_inflated(poisson("y")), {"y": np.array([0.0, 1.5, 2])}, "row 1"),
    (hurdle(gamma("y")), {"y": np.array([0.0, -1.5, 2])}, r"outside the support of Gamma in row 1"),
    (zero_one_inflated(beta("y")), {"y": np.array([0.0, 1.5, 0.2])}, r"outside 0 to 1 in row 1"),
    (censored(exponential("y"), event="e"), {"y": np.ones(3), "e": np.array([1, 2, 1])}, r"'e' \(event\) has the values 1, 2"),
    (censored(exponential("y"), event="e"), {"y": np.ones(2), "e": np.array(["dead", "alive"])}, "expected 1 or True"),
    (censored(exponential("y"), low="a", high="b"), {"a": np.array([2.0, 1]), "b": np.array([1.0, 2])}, "is above 'b'"),
    (censored(exponential("y"), low="a", high="b"), {"a": np.array([np.nan, 1]), "b": np.array([-1.0, 2])}, "cannot be in row 0"),
    (censored(exponential("y"), event="e", entry="t"), Y | {"e": np.ones(4), "y": Y["t"]}, r"'t' \(entry\) is not below"),
]  # fmt: skip


@pytest.mark.parametrize(("model", "data", "words"), DEGENERATE, ids=range(len(DEGENERATE)))
def test_data_without_a_maximum_or_outside_the_support_are_refused(model, data, words):
    with pytest.raises(jm.DataError, match=words):
        jm.fit(model, data, progress=False)


MISUSE = [
    (lambda: zero_inflated(normal("y")), "counts that may be 0"),
    (lambda: zero_inflated(gamma("y")), "use hurdle"),
    (lambda: zero_inflated(zero_inflated(poisson("y"))), "parameter 'zero'"),
    (lambda: zero_inflated(truncated(poisson("y"), low=0)), "counts that may be 0"),
    (lambda: hurdle(normal("y")), "counts from 0 up, or of positive numbers"),
    (lambda: zero_one_inflated(gamma("y")), "strictly between 0 and 1"),
    (lambda: zero_inflated(poisson), "takes a model"),
    (lambda: zero_inflated(jm.Model(lambda p, row: p["a"], {"a": jm.Real()})), "needs a model made of a family"),
    (lambda: zero_inflated(censored(poisson("y"), high=5)), "the last step"),
    (lambda: zero_inflated(poisson("y"), zero="x"), "starts with '~'"),
    (lambda: truncated(poisson("y")), "needs low=, high= or both"),
    (lambda: truncated(truncated(poisson("y"), low=0), high=5), "applied twice"),
    (lambda: truncated(poisson("y"), low=1, high=2), "no value of a count"),
    (lambda: truncated(gamma("y"), high=-1), "no value of"),
    (lambda: truncated(normal("y"), low=[0, 1]), "a number or the name of a column"),
    (lambda: censored(normal("y")), "needs event=, low=, high= or entry="),
    (lambda: censored(normal("y"), event=np.ones(3)), "event takes the name of a column"),
    (lambda: censored(normal("y"), low=2, high=1), "low < high"),
    (lambda: censored(gamma("y"), low=0), "below a positive number"),
    (lambda: censored(normal("y"), event="e", low="a", high="b"), "leave out event="),
    (lambda: mixture(normal("y")), "at least 2"),
    (lambda: mixture([normal("y"), normal("z")]), "one response"),
    (lambda: mixture(normal("y"), 2, weights=0.5), "weights takes a formula"),
    (lambda: mixture(censored(normal("y"), low=0), 2), "the last step"),
]


@pytest.mark.parametrize(("make", "words"), MISUSE, ids=range(len(MISUSE)))
def test_models_that_do_not_combine_are_refused(make, words):
    with pytest.raises(jm.ModelError, match=words):
        make()


def test_a_censored_model_has_no_expected_information():
    with pytest.raises(jm.ModelError, match="no expected information"):
        jm.fit(censored(normal("y"), low=0), Y, solver="fisher_scoring", progress=False)

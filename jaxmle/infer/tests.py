"""Tests of hypotheses: Wald's, the likelihood ratio's and Rao's score test."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..errors import ModelError
from ..objective.expectation import expected_information
from ..objective.objective import Objective
from ..objective.rowwise import best_kind
from ..special import chdtrc
from .boundary import mixture_weights
from .chi_squares import mixture_tail
from .comparable import check_likelihood, check_same_data
from .hypotheses import equations
from .profile import optimum_of
from .restricted import Restricted, equation_of, restricted
from .transform import of_coefficients, transformed

Hypothesis = str | Sequence[str] | Callable[[Mapping[str, Any]], Any]
"""Equations in coefficients, `"age = income, C(site)[B] = 0"`, or a function of the parameters that is zero."""


INFORMATION = ("expected", "observed", "opg")
"""What a score may be compared with."""

SAME = 1e-8
"""Of the log-likelihood: so small a gain is none, but what searches leave."""


@dataclass(frozen=True)
class Test:
    """A test's `statistic`, its degrees of freedom `df` and its `p_value`; `name` says which, `hypothesis` of what.

    Where the statistic is a mixture of χ² with df − k, ..., df degrees of freedom, `weights` are the k + 1 shares.
    """

    __test__ = False

    name: str
    statistic: float
    df: int
    p_value: float
    hypothesis: str = ""
    weights: tuple[float, ...] = ()

    def __repr__(self) -> str:
        p = f"p = {self.p_value:.3g}"
        words = f" of {self.hypothesis}" if self.hypothesis else ""
        df = f"{self.df} df"
        if self.weights:
            shares = ", ".join(f"{w:.3g}" for w in self.weights)
            df = f"{self.df - len(self.weights) + 1} to {self.df} df (a mixture, {shares})"
        return f"{self.name[0].upper()}{self.name[1:]}{words}: {self.statistic:.4g} on {df}, {p}"


def wald_test(fit: Any, hypothesis: Hypothesis, kind: str = "default", cluster: Any = None) -> Test:
    """Wald's test: how many standard errors the estimates are from where the hypothesis has them.

    Arguments:
        fit: a `Fit`.
        hypothesis: equations in coefficients, `"age = income, C(site)[B] = 0"` or `"age / income = 2"`, or a
            differentiable function of the parameters on their natural scale that is zero under the hypothesis, a number
            or an array. Where it is not linear the statistic depends on how it is written (a ratio, a product): the
            likelihood-ratio test does not.
        kind, cluster: of the covariance, as in `fit.covariance`.

    Returns:
        A `Test`; the statistic is χ² with as many degrees of freedom as there are equations.

    Raises:
        ModelError: for a hypothesis that cannot be read, and for coefficients without a standard error.
    """
    if callable(hypothesis):
        gap, covariance = transformed(fit, hypothesis, kind, cluster)
        words = getattr(hypothesis, "__name__", "a function") + " = 0"
    else:
        names = fit.estimates.names
        read = equations(hypothesis, names)
        lost = [names[i] for i in read.coefficients if np.isnan(np.diag(fit.covariance(kind, cluster))[i])]
        if lost:
            raise ModelError(
                f"{', '.join(lost)} has no standard error: {fit.withheld.get(lost[0], 'see fit.withheld')}"
            )
        gap, covariance = of_coefficients(fit, read, kind, cluster)
        words = str(read)
    rank = np.linalg.matrix_rank(covariance, hermitian=True) if np.isfinite(covariance).all() else 0
    if rank < len(gap):
        raise ModelError(f"The {len(gap)} parts of the hypothesis are not all known by themselves: rank {rank}.")
    statistic = float(gap @ np.linalg.solve(covariance, gap))
    return Test("Wald test", statistic, len(gap), float(chdtrc(len(gap), statistic)), words)


def likelihood_ratio_test(small: Any, large: Any, boundary: int | str | Sequence[str] = 0) -> Test:
    """The likelihood-ratio test of a model against a larger one that contains it, or of a hypothesis about one fit.

    Arguments:
        small, large: two `Fit`s of the same data; or a `Fit` and a hypothesis about it, `"age = 0, income = 2*height"`,
            which may be nonlinear, or a function of the parameters that is zero: the model is then fitted again under it.
        boundary: how many of the restrictions hold a parameter at the end of its range (a variance at zero), or the names
            of these in the larger model. The statistic is then a mixture of χ² under the hypothesis: for one parameter
            half of the time of one degree of freedom less (Self and Liang, 1987, Journal of the American Statistical
            Association 82, 605-610), for several by the correlations of their estimates (Shapiro, 1985, Biometrika 72,
            133-144). An estimate that is at the end itself is no hindrance.

    Returns:
        A `Test`, with the `weights` of the mixture where it is one.

    Raises:
        ModelError: for fits that cannot be compared, and for a hypothesis that cannot be read or holds nowhere.
    """
    if isinstance(large, (str, list, tuple)) or (callable(large) and not hasattr(large, "estimates")):
        return _of_hypothesis(small, large, boundary)
    check_likelihood(small)
    check_likelihood(large, at_bound=bool(boundary))
    check_same_data((small, large))
    df = large.df - small.df
    if df <= 0:
        raise ModelError(
            f"The first model has {small.df} free parameters, the second {large.df}: name the smaller first."
        )
    statistic, unit = 2 * (large.log_likelihood - small.log_likelihood), max(1.0, abs(large.log_likelihood))
    weights = mixture_weights(small, large, boundary, df)
    if statistic < -1e-6 * unit:
        raise ModelError(
            f"The larger model has the lower log-likelihood, by {-statistic / 2:.4g}: it does not contain the other."
        )
    statistic = statistic if statistic > SAME * unit else 0.0
    p_value = mixture_tail(statistic, range(df - len(weights) + 1, df + 1), weights)
    words = f"{small.df} against {large.df} parameters"
    mixture = tuple(weights.tolist()) if len(weights) > 1 else ()
    return Test("likelihood-ratio test", statistic, df, p_value, words, mixture)


def _of_hypothesis(fit: Any, hypothesis: Hypothesis, boundary: Any) -> Test:
    if boundary:
        raise ModelError("boundary= is of two fits: one with the parameters at the end of their range, one without.")
    at, words = _restricted(fit, hypothesis, "A likelihood-ratio test")
    statistic = max(2 * (at.value - fit.session.objective.value(fit.session.z)), 0.0)
    return Test("likelihood-ratio test", statistic, at.count, float(chdtrc(at.count, statistic)), words)


def _restricted(fit: Any, hypothesis: Hypothesis, what: str) -> tuple[Restricted, str]:
    """The best point under a hypothesis, and its words."""
    check_likelihood(fit)
    optimum = optimum_of(fit, what)
    f, words = equation_of(fit, hypothesis)
    return restricted(optimum, f, words), words


def score_test(fit: Any, hypothesis: Hypothesis | None = None, kind: str | None = None) -> Test:
    """Rao's score test: how steep the likelihood is where a hypothesis holds.

    Arguments:
        fit: a `Fit`; without a hypothesis one with coefficients held by `fixed=`, `jm.fit(model, data,
            fixed={"rate[age]": 0.0})`: it is then a test of those, and nothing else is fitted.
        hypothesis: equations about the fit's coefficients, `"age = 0, income = 0"`, which may be nonlinear, or a function
            of the parameters that is zero: the model is fitted again under it.
        kind: the information: "expected" (Fisher's, as in R), "observed", or "opg" (the outer product of the scores). By
            default that of `with_covariance`, or else "expected" where the family knows it in closed form: far from the
            estimates the observed one may say much more than the data do. Elsewhere "observed".

    Raises:
        ModelError: for a hypothesis that cannot be read, for a fit that holds nothing where none is given, for one
            that has no proved optimum or no data, and for one with a sandwich covariance.
    """
    if kind not in (None, *INFORMATION):
        raise ModelError(f"kind must be one of {', '.join(map(repr, INFORMATION))}; got {kind!r}.")
    session = fit.session
    if session is None:
        raise ModelError("A score test needs the data, which a loaded fit does not have; fit again.")
    chosen = fit.choice.settled(session.sampling_weights).kind
    if chosen not in INFORMATION:
        raise ModelError(
            f"A score test compares with an information, and this fit has the covariance {chosen!r}: take jm.wald_test, "
            "which uses it."
        )
    kind = kind or (chosen if fit.choice.kind != "default" else best_kind(session.objective.likelihood))
    if not fit.converged:
        raise ModelError("A score test needs a proved optimum of what is free.")
    if hypothesis is not None:
        at, words = _restricted(fit, hypothesis, "A score test")
        return _score_test(session.objective, at.z, at.count, kind, words)
    objective = session.objective
    held = np.setdiff1d(np.arange(objective.layout.size), objective.free)
    if not len(held):
        raise ModelError(
            "The fit holds no coefficient: give a hypothesis, score_test(fit, 'age = 0'), or fit with fixed={'age': 0.0}."
        )
    order = np.concatenate([objective.free, held])
    whole = replace(objective, free=order, scale=np.concatenate([objective.scale, np.ones(len(held))]))
    z = np.concatenate([session.z, objective.base[held]])
    return _score_test(whole, z, len(held), kind, ", ".join(fit.estimates.fixed))


def _score_test(objective: Objective, z: np.ndarray, df: int, kind: str, words: str) -> Test:
    e = objective.evaluate(z, "opg" if kind == "opg" else "hessian")
    information = e.matrix
    if kind == "expected" and (information := expected_information(objective, z)[0]) is None:
        raise ModelError("The expected information can only be simulated here: take kind='observed' or 'opg'.")
    statistic = float(e.gradient @ np.linalg.solve(information, e.gradient))
    if not statistic >= 0:
        raise ModelError("The information at the hypothesis is not positive definite: use kind='opg', or another test.")
    return Test("score test", statistic, df, float(chdtrc(df, statistic)), words)

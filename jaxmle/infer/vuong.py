"""Vuong's tests of two models of the same data, neither of which need contain the other or be right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import ModelError
from ..special import ndtr
from .chi_squares import weighted_sum_tail
from .comparable import check_likelihood, check_same_data

CORRECTIONS = (None, "aic", "bic")


@dataclass(frozen=True)
class VuongTest:
    """Which of two models is closer to the truth, and whether the data can tell them apart at all.

    `statistic` is standard normal where both are as close, positive where the first is closer; `p_value` two-sided.
    `variance` is that of the differences of the log-densities, and `p_value_same` the p-value of its being zero: the two
    are then the same, and the other test has no meaning.
    """

    statistic: float
    p_value: float
    variance: float
    p_value_same: float
    difference: float
    correction: str | None
    names: tuple[str, str]

    __test__ = False

    @property
    def better(self) -> int | None:
        """0 where the first model is closer to the truth, 1 where the second is, None where 5 % do not decide."""
        if self.p_value_same >= 0.05 or self.p_value >= 0.05:
            return None
        return 0 if self.statistic > 0 else 1

    def __repr__(self) -> str:
        first, second = self.names
        corrected = f", {self.correction.upper()} correction" if self.correction else ""
        if self.p_value_same >= 0.05:
            verdict = "the data cannot tell the two apart"
        elif self.better is None:
            verdict = "the data do not say which is closer to the truth"
        else:
            verdict = f"{(first, second)[self.better]} is closer to the truth"
        return (
            f"Vuong's test of {first} against {second}{corrected}: z = {self.statistic:.4g}, p = {self.p_value:.3g}\n"
            f"  log-likelihoods differ by {self.difference:.4g}; variance of the terms {self.variance:.4g}, "
            f"p = {self.p_value_same:.3g} that it is zero\n"
            f"  {verdict}"
        )


def vuong_test(first: Any, second: Any, correction: str | None = None) -> VuongTest:
    """Vuong's test of which of two models is closer to the truth, by their log-densities of the same observations.

    It is for models neither of which contains the other. Of a model and one with more zeros, which contains it at a
    boundary, the statistic is not normal (Wilson, 2015, Economics Letters 127, 51-53).

    Arguments:
        first, second: two `Fit`s of the same data, of any two models. Frequency weights count observations.
        correction: None, or "aic" or "bic": their penalty for parameters is taken off the difference.

    Returns:
        A `VuongTest`; its variance is that of divisor n, as in the paper.

    Raises:
        ModelError: for fits that cannot be compared, and for an unknown correction.

    Source:
        Vuong, 1989, Econometrica 57, 307-333: theorem 5.1 for the test, 4.1 for that of the variance, whose statistic is
        n times the variance and a sum of χ² weighted by the squared eigenvalues of his matrix W.
    """
    if correction not in CORRECTIONS:
        raise ModelError(f"correction must be None, 'aic' or 'bic'; got {correction!r}.")
    for fit in (first, second):
        check_likelihood(fit)
        if fit.session is None or fit.session.hessian is None:
            raise ModelError("Vuong's test needs the data and Hessian, which a loaded fit does not have; fit again.")
    check_same_data((first, second))
    a, b = first.session, second.session
    if a.objective.program.unit != b.objective.program.unit:
        raise ModelError("The fits have different units of observation; their log-densities do not compare one by one.")
    weights, n = a.objective.weights(), first.n_obs
    gaps = a.objective.terms(a.z) - b.objective.terms(b.z)
    difference = float(weights @ gaps)
    variance = float(weights @ (gaps - difference / n) ** 2 / n)
    per_parameter = {None: 0.0, "aic": 1.0, "bic": 0.5 * float(np.log(n))}[correction]
    excess = difference - per_parameter * (first.df - second.df)
    statistic = excess / float(np.sqrt(n * variance)) if variance > 0 else 0.0
    return VuongTest(
        statistic=statistic,
        p_value=float(2 * ndtr(-abs(statistic))),
        variance=variance,
        p_value_same=weighted_sum_tail(n * variance, _eigenvalues(a, b, weights) ** 2),
        difference=difference,
        correction=correction,
        names=_names(first, second),
    )


def _names(first: Any, second: Any) -> tuple[str, str]:
    titles = tuple(fit.estimates.title[:1].upper() + fit.estimates.title[1:] for fit in (first, second))
    if titles[0] != titles[1]:
        return titles[0], titles[1]
    formulas = tuple(f"{t} ({fit.estimates.about})" for t, fit in zip(titles, (first, second)))
    return (formulas[0], formulas[1]) if formulas[0] != formulas[1] else ("the first", "the second")


def _eigenvalues(a: Any, b: Any, weights: np.ndarray) -> np.ndarray:
    """Of Vuong's W (3.6), made of both Hessians and the products of both models' scores."""
    s, t = a.objective.scores(a.z), b.objective.scores(b.z)
    of_a, of_b = np.linalg.inv(a.hessian), np.linalg.inv(b.hessian)
    cross = (s * weights[:, None]).T @ t
    w = np.block(
        [
            [(s * weights[:, None]).T @ s @ of_a, cross @ of_b],
            [-cross.T @ of_a, -(t * weights[:, None]).T @ t @ of_b],
        ]
    )
    return np.linalg.eigvals(w).real

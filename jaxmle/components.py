"""How many components: mixtures of one to several, compared by a criterion, or by a test that simulates the smaller one."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .declare.combinators.mixture import Mixing, mixture
from .declare.model import Model
from .errors import DataError, FitWarning, ModelError
from .fit import fit
from .infer.predict import data_sets
from .result import Fit

CRITERIA = ("bic", "aic", "icl")

FEWEST = 19
"""Data sets with which a p-value of 5 % can be said."""


@dataclass(frozen=True, eq=False, repr=False)
class Components:
    """Mixtures of several numbers of components; what `jm.choose_components` returns.

    Arguments:
        fits: number of components → fit.
        criterion: by which `best` is chosen, "bic", "aic" or "icl".
    """

    fits: Mapping[int, Fit]
    criterion: str

    @property
    def values(self) -> dict[int, float]:
        """The criterion by number of components, smaller for a better model; NaN where no proper maximum was found."""
        return {k: _value(f, self.criterion) if f.converged else np.nan for k, f in self.fits.items()}

    @property
    def best(self) -> int:
        """The number of components with the smallest value."""
        values = self.values
        return min(values, key=lambda k: np.inf if np.isnan(values[k]) else values[k])

    @property
    def fit(self) -> Fit:
        """The fit with the best number of components."""
        return self.fits[self.best]

    def tidy(self) -> dict[str, np.ndarray]:
        """Columns: components, log_likelihood, df, bic, aic, icl, proved."""
        fits = self.fits.values()
        columns = {name: np.array([_value(f, name) for f in fits]) for name in CRITERIA}
        return {
            "components": np.array(list(self.fits)),
            "log_likelihood": np.array([f.log_likelihood for f in fits]),
            "df": np.array([f.df for f in fits]),
            **columns,
            "proved": np.array([f.converged for f in fits]),
        }

    def __repr__(self) -> str:
        lines = [f"{'components':>10}  {'log-likelihood':>14}  {'df':>3}  {'BIC':>11}  {'AIC':>11}  {'ICL':>11}"]
        for k, f in self.fits.items():
            numbers = "  ".join(f"{_value(f, name):11,.2f}" for name in CRITERIA)
            mark = f" ← smallest {self.criterion.upper()}" if k == self.best else ""
            why = "" if f.converged else f" ✗ {f.certificate.status.replace('_', ' ')}"
            lines.append(f"{k:10}  {f.log_likelihood:14,.2f}  {f.df:3}  {numbers}{mark}{why}")
        return "\n".join(lines)


def _value(found: Fit, criterion: str) -> float:
    if criterion != "icl":
        return getattr(found, criterion)
    return found.bic + 2 * _entropy(found)


def _entropy(found: Fit) -> float:
    """The entropy of the components given the responses, summed over the observations: zero where each is certain."""
    if found.model is None or not isinstance(found.model.log_density, Mixing):
        return 0.0
    r = found.predict(what="posterior")
    terms = np.where(r > 0, r * np.log(np.where(r > 0, r, 1.0)), 0.0).sum(axis=1)
    assert found.session is not None
    return float(-(found.session.objective.weights() * terms).sum())


def choose_components(
    model: Model | Callable[[int], Model],
    data: Any,
    *,
    components: Iterable[int] = range(1, 6),
    criterion: str = "bic",
    weights: Any = None,
    solver: Any = None,
    key: int = 0,
) -> Components:
    """Choose the number of components of a mixture.

    Arguments:
        model: the model of every component, as for `jm.mixture`, or a function of the number of components that returns
            a model, such as `lambda k: jm.mixture(jm.normal("y ~ x"), k, weights="~ w")` (called for two and more), or
            jm.normal("y ~ x") for one.
        data: as for `jm.fit`.
        components: the numbers to try; one is the model alone.
        criterion: "bic" (Schwarz, 1978), "aic" (Akaike, 1974), or "icl", which is the BIC plus twice the entropy of the
            components given the responses, and so counts those alone that are apart (Biernacki, Celeux and Govaert, 2000).
            The smallest is best.
        weights: frequencies, as for `jm.fit`.
        solver: as for `jm.fit`; by default EM from ten starts.
        key: the seed of the starts.

    Returns:
        A `Components`: the `fits`, `values`, `best` and its `fit`; where no proper maximum was found, the number is not
        chosen.

    Raises:
        ModelError: for arguments that make no sense, and where no number has a proper maximum.
        DataError: for data that cannot be used.
    """
    if criterion not in CRITERIA:
        raise ModelError(f"criterion is one of {', '.join(map(repr, CRITERIA))}; got {criterion!r}.")
    counts = _counts(components)
    if not (isinstance(model, Model) or callable(model)):
        raise ModelError(f"choose_components takes a model or a function of the number of components; got {model!r}.")

    def of(k: int) -> Model:
        if not isinstance(model, Model):
            return model(k)
        return model if k == 1 else mixture(model, components=k)

    fits = {}
    for k in counts:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FitWarning)  # `proved` says it
            fits[k] = fit(of(k), data, weights=weights, solver=solver if k > 1 else None, key=key, progress=False)
    if not any(f.converged for f in fits.values()):
        why = next(iter(fits.values())).certificate.reason
        raise ModelError(f"No number of components has a proper maximum. With {counts[0]}: {why}")
    return Components(fits, criterion)


def _counts(components: Any) -> list[int]:
    try:
        counts = list(components)
    except TypeError:
        counts = []
    whole = all(isinstance(k, int | np.integer) and not isinstance(k, bool) and k >= 1 for k in counts)
    if not counts or not whole or len(set(counts)) < len(counts):
        raise ModelError(
            f"components must be distinct whole numbers from 1 up, such as range(1, 6); got {components!r}."
        )
    return [int(k) for k in counts]


@dataclass(frozen=True, eq=False, repr=False)
class BootstrapTest:
    """A likelihood-ratio test whose distribution is simulated; what `jm.bootstrap_test` returns.

    Arguments:
        statistic: twice the difference of the log-likelihoods.
        simulated: the same of R data sets drawn from the smaller model, both models fitted to each, (R,).
        df: how many more parameters the larger model has; the statistic has no χ² distribution with these.
        n_failed: data sets in which a model has no proved optimum; they are left out.
        titles: of the two models.
    """

    statistic: float
    simulated: np.ndarray
    df: int
    n_failed: int
    titles: tuple[str, str]

    @property
    def p_value(self) -> float:
        """(1 + how many simulated statistics are as large) / (1 + R)."""
        return float((1 + np.sum(self.simulated >= self.statistic)) / (1 + len(self.simulated)))

    def __repr__(self) -> str:
        small, large = self.titles
        failed = f", {self.n_failed} more without a proved optimum" if self.n_failed else ""
        return (
            f"Bootstrap likelihood-ratio test: {small} against {large}\n"
            f"  statistic {self.statistic:.4g}, p = {self.p_value:.3g} "
            f"({len(self.simulated):,} data sets drawn from the smaller model{failed})"
        )


def bootstrap_test(small: Fit, large: Fit, n: int = 99, *, key: int = 0) -> BootstrapTest:
    """Whether the data speak for the larger of two models, the smaller one simulated: McLachlan's test of k components.

    Of a mixture with fewer components the parameters of the others are not identified, and twice the difference of the
    log-likelihoods has no χ² distribution. So data sets are drawn from the smaller fit, both models are fitted to each as
    they were to the data, and the statistics are compared.

    Arguments:
        small: the fit of the smaller model, such as k components.
        large: the fit of the larger one to the same data, such as k + 1.
        n: how many data sets, at least 19.
        key: the seed.

    Returns:
        A `BootstrapTest`: `statistic`, `simulated`, `p_value`.

    Raises:
        ModelError: for fits of different data, weighted or loaded ones, and those without a proved optimum.

    Source: McLachlan (1987), On bootstrapping the likelihood ratio test statistic for the number of components in a normal
    mixture, Applied Statistics 36, 318-324.
    """
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < FEWEST:
        raise ModelError(f"n must be a whole number of at least {FEWEST} data sets; got {n!r}.")
    for which, found in (("small", small), ("large", large)):
        if not isinstance(found, Fit) or found.session is None or found.model is None:
            raise ModelError(f"bootstrap_test needs fits with their data; {which} is {found!r:.60}.")
        if not found.converged:
            raise ModelError(f"bootstrap_test needs proved optima; {which} has none: {found.certificate.reason}")
        if (found.session.objective.weights() != 1).any():
            raise ModelError("bootstrap_test draws one response for each row: repeat the rows in place of weights.")
    if small.n_obs != large.n_obs or large.df <= small.df:
        raise ModelError(
            f"bootstrap_test compares a model with a larger one of the same data; these have {small.df} and {large.df} "
            f"parameters, and {small.n_obs:g} and {large.n_obs:g} observations."
        )
    assert small.session is not None
    used = small.session.used
    simulated, failed = [], 0
    for columns in data_sets(small.model, small.estimates.params, used, int(n), key):
        table = used.with_columns(columns)
        try:
            ends = [_again(found, table) for found in (small, large)]
        except DataError:  # such as all responses alike
            failed += 1
            continue
        if all(end.converged for end in ends):
            simulated.append(max(2 * (ends[1].log_likelihood - ends[0].log_likelihood), 0.0))
        else:
            failed += 1
    if not simulated:
        raise ModelError("bootstrap_test: no simulated data set has proved optima of both models.")
    statistic = 2 * (large.log_likelihood - small.log_likelihood)
    titles = small.estimates.title, large.estimates.title
    return BootstrapTest(float(statistic), np.array(simulated), large.df - small.df, failed, titles)


def _again(found: Fit, table: Any) -> Fit:
    """The same model fitted to another data set, from starts of its own."""
    assert found.model is not None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FitWarning)  # it is counted
        return fit(found.model, table, progress=False)

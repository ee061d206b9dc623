"""What a fit says of its own uncertainty: covariances, intervals, profiles, resampling, functions of the parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any, Self

import numpy as np

from .data.tables import Table
from .declare.model import Model
from .errors import ModelError
from .infer.bootstrap import Bootstrap, resampled
from .infer.estimates import Estimates
from .infer.goodness_of_fit import GoodnessOfFit, goodness_of_fit
from .infer.intervals import chosen, wald_intervals
from .infer.profile import Profile, optimum_of, profile_ends, profile_of_fit
from .infer.robust import check_kind, covariance_of
from .infer.transform import Transformed, transform
from .objective.build import Source
from .objective.objective import Objective


@dataclass(frozen=True, eq=False)
class Session:
    """What a fit keeps for further questions while its data are in memory; it is not saved.

    `table` are the user's data, `used` the rows that were fitted, responses encoded; `refit` fits another model to them.
    """

    table: Table
    used: Table
    objective: Objective
    source: Source
    z: np.ndarray
    hessian: np.ndarray | None
    sampling_weights: bool
    refit: Callable[[Model], Any]


@dataclass(frozen=True, eq=False, repr=False)
class Inference:
    """The part of a `Fit` that is about uncertainty.

    `estimates` holds all numbers, `model` what was fitted, `session` the data in their compiled form; after `jm.load`
    only the first is there. `choice` is the covariance that every statement uses: its kind, and clusters.
    """

    estimates: Estimates
    session: Session | None = None
    model: Model | None = None
    choice: tuple[str, Any] = ("default", None)

    @cached_property
    def _with_covariance(self) -> Estimates:
        return self.estimates if self.session is None else self._covaried(*self.choice)

    def _covaried(self, kind: str, cluster: Any) -> Estimates:
        if self.session is None:
            what = "A covariance by cluster" if kind == "default" else f"The covariance {kind!r}"
            raise ModelError(f"{what} needs the data, which a loaded fit does not have; fit again.")
        s = self.session
        return covariance_of(
            self.estimates, s.objective, s.z, s.hessian, kind, self._clusters(cluster), s.sampling_weights
        )

    @property
    def std_errors(self) -> Mapping[str, float]:
        """Standard errors with the keys of `coef`; NaN where one would mean nothing, see `withheld`."""
        return self._named(self._with_covariance.std_errors)

    @property
    def withheld(self) -> Mapping[str, str]:
        """Names of the coefficients without a standard error, each with the reason."""
        return MappingProxyType(self._with_covariance.withheld)

    def covariance(self, kind: str = "default", cluster: Any = None) -> np.ndarray:
        """The covariance matrix of the estimates, in the order of `coef`, on the natural scale.

        Arguments:
            kind: "observed" (inverse Hessian), "opg" (outer product of the scores), "sandwich" = "HC0" (robust to a
                wrong model; White, 1982), "HC1" (with n/(n − k)). "default" is that of `with_covariance`, or else "observed",
                and "sandwich" for a fit with `probability_weights`.
            cluster: column name, or one label per row: contributions are summed within clusters first.

        Raises:
            ModelError: for an unknown kind.
        """
        if kind != "default":
            check_kind(kind)
        saved = self.session is None and kind == self.estimates.covariance_kind
        if (kind == "default" or saved) and cluster is None:
            return self._with_covariance.covariance.copy()
        return self._covaried(kind, cluster).covariance

    def with_covariance(self, kind: str = "default", cluster: Any = None) -> Self:
        """The same fit with every statement by another covariance: standard errors, intervals, tests, predictions.

        Arguments:
            kind, cluster: as in `covariance`.

        Raises:
            ModelError: for an unknown kind, and for a loaded fit.
        """
        if kind == "default" and cluster is None:
            return self
        if kind != "default":
            check_kind(kind)
        other = replace(self, choice=(kind, cluster))
        other._with_covariance  # noqa: B018 - what is wrong with it is said here
        return other

    def confint(
        self, level: float = 0.95, method: str = "wald", names: Sequence[str] | None = None
    ) -> dict[str, tuple[float, float]]:
        """Confidence intervals by name: (low, high).

        Wald intervals are formed on each parameter's own scale (log for positive ones) and mapped back, so that they
        stay inside its range. Profile intervals end where the log-likelihood, all other parameters following, is χ²/2
        below its maximum: better for few data, and one-sided where there is no such end.

        Arguments:
            level: between 0 and 1.
            method: "wald" or "profile".
            names: of which coefficients; all by default.

        Raises:
            ModelError: for a level, a method or names that make no sense, and where there is no profile likelihood.
        """
        if method not in ("wald", "profile"):
            raise ModelError(f"confint has method='wald' and method='profile'; got {method!r}.")
        asked = chosen(names, self.estimates.names)
        if method == "profile":
            return profile_ends(self, asked, level)
        low, high = wald_intervals(self._with_covariance, level)
        wald = {name: (float(a), float(b)) for name, a, b in zip(self.estimates.names, low, high)}
        return {name: wald[name] for name in asked}

    def profile(self, what: str | Callable[[Mapping[str, Any]], Any], level: float = 0.95) -> Profile:
        """The profile log-likelihood of a coefficient or of any function of the parameters, and its interval.

        Arguments:
            what: a name of `coef`, or a differentiable function of the parameters on their natural scale (a `Linear` by
                its coefficients), written with `jax.numpy`, that returns one number: a ratio, a prediction, an effect.
            level: of the interval.

        Raises:
            ModelError: for an unknown name, and where there is no profile likelihood.
        """
        return profile_of_fit(self, what, level)

    def bootstrap(self, n: int = 1000, kind: str = "pairs", cluster: Any = None, key: int = 0) -> Bootstrap:
        """The estimates on resampled data sets, and what follows from them; all data sets are fitted as one batch.

        Arguments:
            n: how many data sets.
            kind: "pairs" draws observations with replacement, "parametric" responses from the fitted distribution.
            cluster: a column name, or one label per row: whole clusters are drawn.
            key: seed.

        Returns:
            A `Bootstrap`, with standard errors, bias, and intervals of five kinds.

        Raises:
            ModelError: for arguments that make no sense, and for a fit that has no proved optimum or no data.
        """
        optimum = optimum_of(self, "A bootstrap")
        return resampled(self, optimum, self._with_covariance.std_errors, n, kind, self._clusters(cluster), key)

    def goodness_of_fit(self, n: int = 1000, key: int = 0) -> GoodnessOfFit:
        """Whether the responses may come from the fitted distribution: tests with p-values by parametric bootstrap.

        Kolmogorov-Smirnov and Anderson-Darling distances of P(Y ≤ y) at the responses from the uniform distribution, at
        random within jumps, and for counts Pearson's χ² of frequencies. Each of the simulated data sets is fitted as the
        data were, so that p-values are right though parameters were estimated.

        Arguments:
            n: how many data sets; the error of a p-value of 5 % is 0.7 % with 1000.
            key: seed.

        Returns:
            A `GoodnessOfFit`: `statistic`, `p_value`, `p_value_error` and `simulated` by name ("ks", "ad", "chi2").

        Raises:
            ModelError: for censored, binary and labelled responses, a log-density alone, weights, and a fit that has no
                proved optimum or no data.
        """
        return goodness_of_fit(self, n, key)

    def transform(
        self, f: Callable[[Mapping[str, Any]], Any], kind: str = "default", cluster: Any = None
    ) -> Transformed:
        """A function of the parameters, with standard errors by the delta method.

        Arguments:
            f: a differentiable function of the parameters on their natural scale (a `Linear` by its coefficients), written
                with `jax.numpy`; it may return any structure of numbers and arrays.
            kind, cluster: of the covariance, as in `covariance`.

        Returns:
            A `Transformed`: `estimate` and `std_error` of the structure that `f` returns, `covariance` of all its numbers,
            and `confint(level)`.

        Raises:
            ModelError: for a function that cannot be differentiated, and for a loaded fit.
        """
        return transform(self, f, kind, cluster)

    @property
    def z_values(self) -> Mapping[str, float]:
        """Estimate over standard error, for quantities that may be zero; NaN for others."""
        return self._named(self._with_covariance.z())

    @property
    def p_values(self) -> Mapping[str, float]:
        """Two-sided p-values of each `z_values` entry."""
        return self._named(self._with_covariance.p_values())

    def _named(self, values: np.ndarray) -> Mapping[str, float]:
        return MappingProxyType(dict(zip(self.estimates.names, map(float, values))))

    def _clusters(self, cluster: Any) -> np.ndarray | None:
        if cluster is None:
            return None
        if self.session is None:
            raise ModelError("cluster= needs the data, which a loaded fit does not have; fit again.")
        return self.session.source.unit_labels(cluster, self.session.table)

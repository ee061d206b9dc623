"""What a fit says of its own uncertainty: covariances, intervals, profiles, resampling, functions of the parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any, Self

import numpy as np

from . import blas
from .data.tables import Table
from .declare.model import Model
from .errors import ModelError
from .infer.bias import BiasCorrected, bias_corrected
from .infer.bootstrap import Bootstrap, resampled
from .infer.estimates import Estimates
from .infer.goodness_of_fit import GoodnessOfFit, goodness_of_fit
from .infer.intervals import chosen, wald_intervals
from .infer.predict import data_sets
from .infer.profile import Profile, optimum_of, profile_ends, profile_of_fit
from .infer.robust import DEFAULT, Choice, check_kind, covariance_of, is_list_of_ways, refuse_unformed
from .infer.rounding import Rounding, rounding_of
from .infer.simultaneous import largest_z
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
    only the first is there. `choice` is the covariance that every statement uses.
    """

    estimates: Estimates
    session: Session | None = None
    model: Model | None = None
    choice: Choice = DEFAULT

    @cached_property
    def _with_covariance(self) -> Estimates:
        return self.estimates if self.session is None else self._covaried(self.choice)

    def _covaried(self, choice: Choice) -> Estimates:
        if self.session is None:
            what = "A covariance by cluster" if choice.kind == "default" else f"The covariance {choice.kind!r}"
            raise ModelError(f"{what} needs the data, which a loaded fit does not have; fit again.")
        s = self.session
        draw = lambda n, key: data_sets(self.model, self.estimates.params, s.used, n, key)
        with blas.one_thread:
            return covariance_of(self.estimates, s.objective, s.z, s.hessian, choice, s.sampling_weights, draw)

    def _choice(self, kind: str, cluster: Any, lags: int | None, draws: int | None, key: int) -> Choice:
        if kind != "default":
            check_kind(kind)
        return Choice(kind, self._ways(cluster), lags, draws, key)

    @property
    def std_errors(self) -> Mapping[str, float]:
        """Standard errors with the keys of `coef`; NaN where one would mean nothing, see `withheld`."""
        return self._named(self._with_covariance.std_errors)

    @property
    def withheld(self) -> Mapping[str, str]:
        """Names of the coefficients without a standard error, each with the reason."""
        return MappingProxyType(self._with_covariance.withheld)

    def covariance(
        self,
        kind: str = "default",
        cluster: Any = None,
        *,
        lags: int | None = None,
        draws: int | None = None,
        key: int = 0,
    ) -> np.ndarray:
        """The covariance matrix of the estimates, in the order of `coef`, on the natural scale.

        Arguments:
            kind: "default" is that of `with_covariance`, or else "observed", and "sandwich" for a fit with
                `probability_weights`.

                - "observed", "expected" and "opg" are inverses of an information: of the Hessian, of its expectation under
                  the fitted distribution (Fisher's), of the outer product of the scores. The expectation is taken in
                  closed form, by summation or quadrature, and where none of these can be by simulation.
                - "sandwich" = "HC0" is robust to a wrong model (White, 1982), "HC1" has the factor n/(n − k); "HC2" and
                  "HC3" free each score of the unit's own leverage on its parameter, the other parameters held
                  (MacKinnon and White, 1985): OLS's own in a normal regression.
                - "HAC" is for observations in the order of time (Newey and West, 1987).
            cluster: column name, or one label per row: contributions are summed within clusters first. A list of two is
                for two ways of clustering at once, A + B − A∩B (Cameron, Gelbach and Miller, 2011). "HC1" multiplies each
                by its G/(G − 1)·(n − 1)/(n − k), G its number of clusters.
            lags: of "HAC", those with a weight in Bartlett's kernel; by default ⌊4 (n/100)^(2/9)⌋.
            draws: of "expected", simulate so many data sets, even where it can be had exactly.
            key: seed of these.

        Raises:
            ModelError: for an unknown kind, arguments that do not belong to it, and where there is no such covariance.
        """
        choice = self._choice(kind, cluster, lags, draws, key)
        refuse_unformed(self.estimates)
        saved = self.session is None and kind == self.estimates.covariance_kind
        if (kind == "default" or saved) and not choice.clusters and lags is None and draws is None:
            return self._with_covariance.covariance.copy()
        return self._covaried(choice).covariance

    def with_covariance(
        self,
        kind: str = "default",
        cluster: Any = None,
        *,
        lags: int | None = None,
        draws: int | None = None,
        key: int = 0,
    ) -> Self:
        """The same fit with every statement by another covariance: standard errors, intervals, tests, predictions.

        Arguments:
            kind, cluster, lags, draws, key: as in `covariance`; a summary says which it is.

        Raises:
            ModelError: for an unknown kind, and for a loaded fit.
        """
        choice = self._choice(kind, cluster, lags, draws, key)
        if kind == "default" and not choice.clusters and lags is None and draws is None:
            return self
        other = replace(self, choice=choice)
        other._with_covariance  # noqa: B018 - what is wrong with it is said here
        return other

    def confint(
        self,
        level: float = 0.95,
        method: str = "wald",
        names: Sequence[str] | None = None,
        *,
        simultaneous: bool = False,
    ) -> dict[str, tuple[float, float]]:
        """Confidence intervals by name: (low, high).

        Wald intervals are formed on each parameter's own scale (log for positive ones) and mapped back, so that they
        stay inside its range. Profile intervals end where the log-likelihood, all other parameters following, is χ²/2
        below its maximum: better for few data, and one-sided where there is no such end.

        Arguments:
            level: between 0 and 1.
            method: "wald" or "profile".
            names: of which coefficients; all by default.
            simultaneous: whether `level` is for all these Wald intervals at once: as wide as the quantile of the
                largest |z| among them, given their correlations (Hothorn, Bretz and Westfall, 2008).

        Raises:
            ModelError: for a level, a method or names that make no sense, and where there is no profile likelihood.
        """
        if method not in ("wald", "profile"):
            raise ModelError(f"confint has method='wald' and method='profile'; got {method!r}.")
        asked = chosen(names, self.estimates.names)
        if method == "profile":
            if simultaneous:
                raise ModelError("simultaneous=True goes with method='wald': profiles are of one coefficient each.")
            with blas.one_thread:
                return profile_ends(self, asked, level)
        known = self._with_covariance
        low, high = wald_intervals(known, level, largest_z(known, asked, level) if simultaneous else None)
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
        with blas.one_thread:
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
        with blas.one_thread:
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
        self,
        f: str | Sequence[str] | Callable[[Mapping[str, Any]], Any],
        kind: str = "default",
        cluster: Any = None,
    ) -> Transformed:
        """A function of the parameters, with standard errors by the delta method.

        Arguments:
            f: an expression in coefficients, `"age / income"`, or several; or a differentiable function of the parameters on
                their natural scale (a `Linear` by its coefficients), written with `jax.numpy`; it may return any structure
                of numbers and arrays.
            kind, cluster: of the covariance, as in `covariance`.

        Returns:
            A `Transformed`: `estimate` and `std_error` of the structure that `f` returns (a number for one expression, a
            mapping by text for several), `covariance` of all its numbers, and `confint(level)`.

        Raises:
            ModelError: for an expression that cannot be read, a function that cannot be differentiated, and a function of
                the parameters of a loaded fit.
        """
        return transform(self, f, kind, cluster)

    def bias_corrected(self, kind: str | None = None) -> BiasCorrected:
        """The estimates less their bias of order 1/n, which maximum likelihood leaves in small samples.

        Arguments:
            kind: "expected" (Cox and Snell, 1968, Journal of the Royal Statistical Society B 30, 248-275: expectations
                under the fitted model, for families that know them) or "empirical" (Rilstone, Srivastava and Ullah, 1996,
                Journal of Econometrics 75, 369-395: means over the data, for any log-density, right or wrong). By default
                "expected" where it is known, else "empirical".

        Returns:
            A `BiasCorrected`, with `coef` and `bias` on the natural scale.

        Raises:
            ModelError: for a fit that has no proved optimum or no data, a penalised one, and unit="all".
        """
        return bias_corrected(self, self._with_covariance.std_errors, kind)

    def rounding(self) -> Rounding:
        """What rounding does to the fit: log-likelihood and score summed once more, without any.

        Returns:
            A `Rounding`: `log_likelihood`, `exact`, `difference`, and `move`, the standard errors by which exact sums would
            move an estimate.

        Raises:
            ModelError: for a loaded fit, and for one that has no standard errors.
        """
        if self.session is None:
            raise ModelError("rounding needs the fit's data, which a loaded fit does not have; fit again.")
        found = rounding_of(self.session.objective, self.session.z, self.session.hessian)
        reported = self.estimates.log_likelihood  # another pass may have summed in another order
        return replace(found, log_likelihood=reported)

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

    def _ways(self, cluster: Any) -> tuple[tuple[str, np.ndarray], ...]:
        """Each way of clustering: its name, and codes of the units."""
        n = None if self.session is None else self.session.table.n_rows
        each = tuple(cluster) if is_list_of_ways(cluster, n) else () if cluster is None else (cluster,)
        names = (c if isinstance(c, str) else "labels" for c in each)
        return tuple((name, self._clusters(c)) for name, c in zip(names, each))  # type: ignore[misc]

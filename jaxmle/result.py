"""The fit: an immutable result whose every statement is a delegation to the room that makes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from .data.tables import Table
from .declare.model import Model
from .errors import ModelError, did_you_mean
from .infer.bootstrap import Bootstrap, bootstrap
from .infer.certificate import Certificate
from .infer.covariance import observed
from .infer.estimates import Estimates
from .infer.goodness import deviance, null_model, pearson, pseudo_r_squared, residuals
from .infer.intervals import wald_intervals
from .infer.predict import predict, responses, simulate
from .infer.profile import Optimum, Profile, Quantity, ends_of, half_width, profile_of
from .infer.robust import check_kind, covariance_of
from .infer.stored import read, write
from .objective.build import Source
from .objective.objective import Objective
from .objective.rebuild import log_density_of
from .report.peers import PEERS
from .report.plots import plot_coefficients, plot_log_likelihood
from .report.summary import Summary, glance_columns, tidy_columns


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
    refit: Callable[[Model], Fit]


@dataclass(frozen=True, eq=False, repr=False)
class Fit:
    """A fitted model; what `jm.fit` returns. See each attribute's own description.

    `estimates` holds all numbers, `model` what was fitted, `session` the data in their compiled form; after `jm.load`
    only the first is there.
    """

    estimates: Estimates
    session: Session | None = None
    model: Model | None = None

    # --- estimates ---------------------------------------------------------------------------------------------------

    @property
    def params(self) -> Mapping[str, Any]:
        """Every parameter on its natural scale, in the declared structure, as NumPy; a `Linear` by its coefficients."""
        return MappingProxyType(self.estimates.params)

    @property
    def coef(self) -> Mapping[str, float]:
        """Every estimated quantity by flat name, such as `"rate[age]"`, on the natural scale."""
        return self._named(self.estimates.values)

    @cached_property
    def _with_covariance(self) -> Estimates:
        return self.estimates if self.session is None else self._covaried("default", None)

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
                wrong model; White, 1982), "HC1" (with n/(n − k)). "default" is "observed", or "sandwich" for a fit with
                `probability_weights`.
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
        low, high = wald_intervals(self._with_covariance, level)
        asked = self.estimates.names if names is None else [names] if isinstance(names, str) else list(names)
        for name in asked:
            if name not in self.estimates.names:
                raise ModelError(f"The fit has no coefficient {name!r}.{did_you_mean(name, self.estimates.names)}")
        if method == "wald":
            wald = {name: (float(a), float(b)) for name, a, b in zip(self.estimates.names, low, high)}
            return {name: wald[name] for name in asked}
        optimum = self._optimum("A profile interval")
        of = lambda name: ends_of(optimum, Quantity.named(optimum.objective, name), half_width(level))
        return {name: of(name) if name not in self.withheld else (np.nan, np.nan) for name in asked}

    def profile(self, what: str | Callable[[Mapping[str, Any]], Any], level: float = 0.95) -> Profile:
        """The profile log-likelihood of a coefficient or of any function of the parameters, and its interval.

        Arguments:
            what: a name of `coef`, or a differentiable function of the parameters on their natural scale (a `Linear` by
                its coefficients), written with `jax.numpy`, that returns one number: a ratio, a prediction, an effect.
            level: of the interval.

        Raises:
            ModelError: for an unknown name, and where there is no profile likelihood.
        """
        optimum = self._optimum("A profile")
        if not callable(what):
            if what not in self.estimates.names:
                raise ModelError(f"The fit has no coefficient {what!r}.{did_you_mean(str(what), self.estimates.names)}")
            return profile_of(optimum, Quantity.named(optimum.objective, what), what, level)
        name = getattr(what, "__name__", type(what).__name__)
        return profile_of(optimum, Quantity.of(optimum.objective, what), name, level)

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
        if kind not in ("pairs", "parametric"):
            raise ModelError(f"kind must be 'pairs' or 'parametric'; got {kind!r}.")
        if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
            raise ModelError(f"n must be a whole number of at least 1; got {n!r}.")
        if kind == "parametric" and cluster is not None:
            raise ModelError("cluster= goes with kind='pairs': a parametric bootstrap draws each response by itself.")
        optimum = self._optimum("A bootstrap")
        if optimum.objective.program.unit == "all":
            raise ModelError("A bootstrap needs units that are drawn by themselves, not yet unit='all'.")
        assert self.session is not None
        errors = self._with_covariance.std_errors
        if kind == "parametric":
            model, used = self._known_model("A parametric bootstrap"), self.session.used
            draw = lambda n, key: responses(model, self.estimates, used, n, key)
            return bootstrap(optimum, self.session.source, n, key, errors, draw=draw)
        return bootstrap(optimum, self.session.source, n, key, errors, self._clusters(cluster))

    def _optimum(self, what: str) -> Optimum:
        """The objective and its least point, for inference that goes back to it."""
        s = self.session
        if s is None:
            raise ModelError(f"{what} needs the data, which a loaded fit does not have; fit again.")
        if s.sampling_weights:
            raise ModelError(f"{what} needs a likelihood, which sampling weights do not make; use method='wald'.")
        if not self.converged or s.hessian is None:
            raise ModelError(f"{what} needs a proved optimum. {self.certificate.reason}")
        return Optimum(s.objective, s.z, s.objective.value(s.z), observed(s.hessian))

    @property
    def z_values(self) -> Mapping[str, float]:
        """Estimate over standard error, for quantities that may be zero; NaN for others."""
        return self._named(self._with_covariance.z())

    @property
    def p_values(self) -> Mapping[str, float]:
        """Two-sided p-values of each `z_values` entry."""
        return self._named(self._with_covariance.p_values())

    # --- fit ----------------------------------------------------------------------------------------------------------

    @property
    def log_likelihood(self) -> float:
        """The log-likelihood at the estimates, penalties and priors left out."""
        return self.estimates.log_likelihood

    @property
    def n_obs(self) -> float:
        """Observations: units (rows, groups), or the sum of their frequency weights."""
        return self.estimates.n_obs

    @property
    def df(self) -> int:
        """Free parameters."""
        return self.estimates.df

    @property
    def aic(self) -> float:
        """−2·log-likelihood + 2·df."""
        return -2 * self.log_likelihood + 2 * self.df

    @property
    def bic(self) -> float:
        """−2·log-likelihood + log(n_obs)·df."""
        return -2 * self.log_likelihood + float(np.log(self.n_obs)) * self.df

    @property
    def converged(self) -> bool:
        """Whether the certificate holds."""
        return self.certificate.proved

    @property
    def certificate(self) -> Certificate:
        """What is known about the optimum: status, reason, remedy and the numbers behind them."""
        return self.estimates.certificate

    @property
    def solver(self) -> str:
        """The solver, and why it was chosen."""
        return f"{self.estimates.solver} ({self.estimates.why})"

    @property
    def n_steps(self) -> int:
        return self.estimates.n_steps

    @property
    def seconds(self) -> Mapping[str, float]:
        """Seconds spent: `compile` and `run`."""
        return MappingProxyType({"compile": self.estimates.compile_seconds, "run": self.estimates.run_seconds})

    @property
    def optima(self) -> tuple[tuple[float, dict[str, float]], ...]:
        """The distinct optima that a `MultiStart` found, best first: log-likelihood and coefficients."""
        return self.estimates.optima

    # --- the data --------------------------------------------------------------------------------------------------

    def predict(
        self,
        data: Any = None,
        what: Any = "mean",
        se: bool = False,
        *,
        q: Any = None,
        value: Any = None,
        level: float = 0.95,
    ) -> Any:
        """Predictions for rows, with standard errors by the delta method if wanted.

        Arguments:
            data: new rows, in any form that `fit` takes; None are the rows that were fitted. The response is not needed.
            what: "mean"; "prob" (of the second of two classes, of every class, or with `value=` of that value);
                "label" (the likeliest class); "quantile" (with `q=`); "interval" (between the quantiles that hold a new
                response with probability `level`, at the estimates); "variance"; "linear" (the first parameter's
                predictor); the name of a parameter that is none of these; or a function `f(p, row)` that returns a
                number, like a log-density.
            se: whether to return a `Prediction` with standard errors.

        Returns:
            An array (rows,), or (rows, k) for several classes, values or quantiles; with `se` a `Prediction` of two.

        Raises:
            ModelError: for what the model cannot answer.
            DataError: for rows that it cannot use: missing values, levels that were not fitted.
        """
        table = self._rows_of("predict", data)
        return predict(self._known_model("predict"), self._with_covariance, table, what, se, q, value, level)

    def simulate(self, key: Any = 0, data: Any = None) -> np.ndarray:
        """Responses drawn from the fitted distribution, one for each row.

        Arguments:
            key: a seed, or a key of `jax.random`.
            data: rows; None are those that were fitted.

        Returns:
            An array (rows,), or (rows, k) for a response of k columns.
        """
        return simulate(self._known_model("simulate"), self.estimates, self._rows_of("simulate", data), key)

    def residuals(self, kind: str = "response", key: int = 0) -> np.ndarray:
        """Residuals of the rows that were fitted.

        Arguments:
            kind: "response" (y − mean), "pearson" and "deviance" (as of generalised linear models, unscaled), "working",
                or "quantile": standard normal if the model is right, randomised for counts by `key` (Dunn and Smyth,
                1996, Journal of Computational and Graphical Statistics 5, 236-244).
        """
        return residuals(self._known_model("residuals"), self.params, self._rows_of("residuals", None), kind, key)

    @cached_property
    def deviance(self) -> float:
        """The deviance, unscaled: Σ w φ·2(saturated − fitted log-density); the residual sum of squares of a normal."""
        return deviance(self._known_model("deviance"), self.params, self._rows_of("deviance", None), self._row_weights)

    @cached_property
    def pearson_statistic(self) -> float:
        """Pearson's statistic: Σ w (y − μ)²/V(μ), V the variance function of the family."""
        table = self._rows_of("pearson_statistic", None)
        return pearson(self._known_model("pearson_statistic"), self.params, table, self._row_weights)

    @cached_property
    def null(self) -> Fit:
        """The fit of the null model: every predictor a constant, offsets kept."""
        self._rows_of("null", None)
        assert self.session is not None
        return self.session.refit(null_model(self._known_model("null")))

    def pseudo_r2(self, kind: str = "mcfadden") -> float:
        """How much better than the null model: "mcfadden", "mcfadden_adjusted", "cox_snell" or "nagelkerke"."""
        null = self.null
        return pseudo_r_squared(kind, self.log_likelihood, null.log_likelihood, self.df, null.df, self.n_obs)

    # --- statements ---------------------------------------------------------------------------------------------------

    def summary(self, level: float = 0.95) -> Summary:
        """A table for people: prints as text, shows as HTML in a notebook."""
        return Summary(self._with_covariance, level)

    def tidy(self, level: float = 0.95) -> Any:
        """One row per estimate, in the user's own frame type.

        Columns: term, estimate, std_error, statistic, p_value, conf_low, conf_high.
        """
        return self._frame(tidy_columns(self._with_covariance, level))

    def glance(self) -> Any:
        """One row about the fit, in the user's own frame type."""
        return self._frame(glance_columns(self._with_covariance))

    def log_density(self, data: Any) -> np.ndarray:
        """The log-density of new rows (or groups) at the estimates, one per unit.

        Raises:
            DataError: for data that the model cannot use.
        """
        if self.model is None:
            raise ModelError("A loaded fit has no log-density: give it the model, jm.load(path, model=model).")
        return log_density_of(self.model, self.estimates.params, data)

    def plot(self, name: str | None = None, ax: Any = None) -> Any:
        """A picture: the coefficients with their intervals, or the log-likelihood along the one that is named.

        Arguments:
            name: a coefficient; None draws all of them.
            ax: a matplotlib Axes to draw on; None makes one.

        Returns:
            The Axes.

        Raises:
            ImportError: without matplotlib, saying what to install.
        """
        return plot_coefficients(self, ax=ax) if name is None else plot_log_likelihood(self, name, ax=ax)

    def without_data(self) -> Fit:
        """The same fit without its data and compiled programs: small, and can be pickled where its model can."""
        return Fit(self._with_covariance, None, self.model)

    def save(self, path: str | Path) -> None:
        """Write the fit to one file, without the data and without pickle; `jm.load` reads it."""
        write(self._with_covariance, path, self.model)

    # --- manners ------------------------------------------------------------------------------------------------------

    def _named(self, values: np.ndarray) -> Mapping[str, float]:
        return MappingProxyType(dict(zip(self.estimates.names, map(float, values))))

    def _frame(self, columns: dict[str, list]) -> Any:
        if self.session is None:
            return {name: np.asarray(values) for name, values in columns.items()}
        return self.session.table.frame_like(columns)

    def _known_model(self, what: str) -> Model:
        if self.model is None:
            raise ModelError(f"{what} needs the model, which a loaded fit lacks: jm.load(path, model=model).")
        return self.model

    def _rows_of(self, what: str, data: Any) -> Table:
        if data is not None:
            return Table.read(data)
        if self.session is None:
            raise ModelError(f"{what} needs data, which a loaded fit does not have: give it rows, or fit again.")
        return self.session.used

    @property
    def _row_weights(self) -> np.ndarray:
        assert self.session is not None
        return self.session.objective.weights()

    def _clusters(self, cluster: Any) -> np.ndarray | None:
        if cluster is None:
            return None
        assert self.session is not None
        return self.session.source.unit_labels(cluster, self.session.table)

    def __repr__(self) -> str:
        return str(self.summary())

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()

    def __dir__(self) -> Iterator[str]:
        return iter(sorted(name for name in super().__dir__() if not name.startswith("_")))

    def __getattr__(self, name: str) -> Any:
        if name in PEERS:
            raise AttributeError(f"Fit has no {name!r}; it is called {PEERS[name]!r}.")
        raise AttributeError(f"Fit has no {name!r}.")


def load(path: str | Path, model: Model | None = None) -> Fit:
    """Read a fit that `Fit.save` wrote.

    Arguments:
        path: the file.
        model: the model that was fitted, if its log-density is a function of yours and predictions are wanted: code is
            never saved. A family's model is in the file.

    Returns:
        The fit, with everything that needs no data.

    Raises:
        DataError: if the file is not a saved fit, or of a later format.
        ModelError: if the model is not the one that was fitted.
    """
    estimates, stored = read(path)
    if model is not None:
        if not isinstance(model, Model):
            raise ModelError(f"model must be the jm.Model that was fitted; got {model!r}.")
        if set(model.params) != set(estimates.params):
            fitted, given = (", ".join(map(repr, names)) for names in (estimates.params, model.params))
            raise ModelError(f"{path} is a fit of the parameters {fitted}, but the model has {given}.")
    return Fit(estimates, model=stored if model is None else model)

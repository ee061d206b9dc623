"""What a fit says of rows of data: predictions, effects, residuals, how well it fits them, and which of them matter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np

from .data.tables import Table
from .declare.dependence.cox import PartialLikelihood
from .declare.dependence.whole import Whole
from .declare.model import Model
from .declare.series.dependent import Dependent
from .errors import ModelError
from .infer.averages import Case
from .infer.baseline import Baseline, baseline_of, survival_of, times_asked
from .infer.concordance import Concordance, concordance_of
from .infer.effects import Effects, contrasts, marginal_effects
from .infer.goodness import deviance, has_empty_null, null_model, pearson, pseudo_r_squared, residuals
from .infer.influence import Influence, influence_of
from .infer.predict import OF_TIME, predict, simulate
from .infer.whole import drawn_of_all, residuals_of_all
from .inference import Inference
from .objective.ahead import following
from .objective.rebuild import log_density_of
from .report.effects import MarginalEffects


@dataclass(frozen=True, eq=False, repr=False)
class Predictive(Inference):
    """The part of a `Fit` that is about rows, those that were fitted or new ones."""

    def predict(
        self,
        data: Any = None,
        what: Any = "mean",
        se: bool = False,
        *,
        q: Any = None,
        value: Any = None,
        level: float = 0.95,
        times: Any = None,
    ) -> Any:
        """Predictions for rows, with standard errors by the delta method if wanted.

        Arguments:
            data: new rows, in any form that `fit` takes; None are the rows that were fitted. The response is not needed.
                Of a series, rows without it are those that come next, and what is said of them are forecasts.
            what: "mean"; "prob" (of the second of two classes, of every class, or with `value=` of that value);
                "label" (the likeliest class); "quantile" (with `q=`); "interval" (between the quantiles that hold a new
                response with probability `level`, at the estimates); "variance"; "linear" (the first parameter's
                predictor); "survival", the probability of more than each of `times=`, and "cumulative_hazard", both of a
                Cox model too (NaN after the last time under observation); the name of a parameter that is none of these;
                or a function `f(p, row)` that returns a number, like a log-density. Of a series, each is said of a row
                given the rows before it; hidden states have "states" (their chances given all responses) and "path" (the
                likeliest sequence). Of a mixture, "posterior" is the probability of each component given the response,
                which the rows must have, and "component" the number of the likeliest.
            se: whether to return a `Prediction` with standard errors.

        Returns:
            An array (rows,), or (rows, k) for several classes, values or quantiles; with `se` a `Prediction` of two.

        Raises:
            ModelError: for what the model cannot answer.
            DataError: for rows that it cannot use: missing values, levels that were not fitted.
        """
        table = self._rows_of("predict", data)
        model = self._known_model("predict")
        if isinstance(what, str) and what in OF_TIME and what not in model.params:
            value = times_asked(times, what)
            if isinstance(model.log_density, PartialLikelihood):
                return survival_of(model, self._with_covariance, self.baseline, table, what, value, se)
        return predict(model, self._with_covariance, table, what, se, q, value, level)

    @cached_property
    def baseline(self) -> Baseline:
        """The baseline hazard of a Cox model: `time`, `hazard`, `cumulative` and `survival` for a predictor of zero.

        Raises:
            ModelError: for any other model, and for a loaded fit.
        """
        table = self._rows_of("baseline", None)
        return baseline_of(self._known_model("baseline"), self.estimates.params, table, self._row_weights)

    def concordance(self, data: Any = None) -> Concordance:
        """Harrell's concordance of a Cox model: of pairs of rows, how often the higher risk has its event first.

        Arguments:
            data: rows with times and events; None are those that were fitted.

        Raises:
            ModelError: for any other model.
        """
        table = self._rows_of("concordance", data)
        return concordance_of(self._known_model("concordance"), self.estimates.params, table)

    def simulate(self, key: Any = 0, data: Any = None) -> np.ndarray:
        """Responses drawn from the fitted distribution, one for each row.

        Arguments:
            key: a seed, or a key of `jax.random`.
            data: rows; None are those that were fitted.

        Returns:
            An array (rows,), or (rows, k) for a response of k columns.
            Of a Hawkes process, the times of new events in its window.
        """
        model = self._known_model("simulate")
        if isinstance(model.log_density, Whole):
            return drawn_of_all(model, self.estimates.params, key)
        return simulate(model, self.estimates, self._rows_of("simulate", data), key)

    def residuals(self, kind: str = "response", key: int = 0) -> np.ndarray:
        """Residuals of the rows that were fitted.

        Arguments:
            kind: "response" (y − mean), "pearson" and "deviance" (as of generalised linear models, unscaled), "working",
                or "quantile": standard normal if the model is right, randomised for counts by `key` (Dunn and Smyth,
                1996, Journal of Computational and Graphical Statistics 5, 236-244). Of a Cox model "martingale" and
                "deviance"; of a Hawkes process "compensator".
        """
        model, table = self._known_model("residuals"), self._rows_of("residuals", None)
        if isinstance(model.log_density, Whole):
            return residuals_of_all(model, self.estimates.params, table, kind)
        return residuals(model, self.estimates.params, table, kind, key)

    def marginal_effects(
        self,
        columns: str | Sequence[str] | None = None,
        what: Any = None,
        *,
        at: Any = "observed",
        by: str | None = None,
        scale: str = "dydx",
        discrete: bool = True,
        data: Any = None,
        q: Any = None,
        value: Any = None,
    ) -> MarginalEffects:
        """How predictions move with columns of the data, averaged over the rows; standard errors by the delta method.

        Numbers have the derivative of the prediction, exact, through all terms of all formulas that they are in; factors,
        booleans and columns of zeros and ones the change of the prediction from their reference level.

        Arguments:
            columns: which columns; None are all that linear predictors have among their terms.
            what: as in `predict`: the mean, or the probability of every label, by default; a parameter; a function
                `f(p, row)`; "prob" with `value=`, "quantile" with `q=`.
            at: "observed", each row as it is; "mean", at one row of the means of numbers and the most frequent level of
                factors, text and booleans; or a mapping such as `{"age": [20, 40]}`, all rows with these columns set, for
                every combination of the values.
            by: a column: averages (or means) within its groups.
            scale: "dydx", "eyex" (d log y / d log x), "eydx" (d log y / dx) or "dyex" (dy / d log x), taken in each row; a
                change of levels has log y with "eyex" and "eydx".
            discrete: whether numbers that are all zeros and ones change from 0 to 1; else they have a derivative.
            data: new rows to average over, equally; None are those that were fitted, by their weights.

        Returns:
            `MarginalEffects`: a table with `estimates`, `std_errors`, `confint(level)` and `tidy()`.

        Raises:
            ModelError: for columns that predictions do not depend on, and for what the model cannot answer.
            DataError: for rows that it cannot use, and where a derivative is infinite.
        """
        case = self._case("marginal_effects", data, what, q, value)
        return self._of_effects(marginal_effects(case, columns, at, by, scale, discrete))

    def contrasts(
        self,
        contrast: Any,
        what: Any = None,
        *,
        at: Any = "observed",
        by: str | None = None,
        kind: str = "difference",
        data: Any = None,
        q: Any = None,
        value: Any = None,
    ) -> MarginalEffects:
        """Differences or ratios of average predictions, all rows with a column set to one value and to another.

        Arguments:
            contrast: for columns by name what is compared: two values, `{"treated": (0, 1)}`; a number to add,
                `{"age": 10}`; or for factors "reference", "pairwise" or "sequential". A name alone means "reference".
            what, at, by, data, q, value: as in `marginal_effects`.
            kind: "difference", or "ratio" of the averages, with test and interval on its logarithm.

        Returns:
            `MarginalEffects`: a table with `estimates`, `std_errors`, `confint(level)` and `tidy()`.

        Raises:
            ModelError: for columns and values that make no sense, and for what the model cannot answer.
            DataError: for rows that it cannot use.
        """
        case = self._case("contrasts", data, what, q, value)
        return self._of_effects(contrasts(case, contrast, at, by, kind))

    def _case(self, asked_by: str, data: Any, what: Any, q: Any, value: Any) -> Case:
        if isinstance(self._known_model(asked_by).log_density, Dependent):
            raise ModelError(
                f"{asked_by} is for rows by themselves; the rows of a series depend on those before them: predict two series "
                "that differ in the column, and compare them."
            )
        table = self._rows_of(asked_by, data)
        weights = np.ones(table.n_rows) if self.session is None or data is not None else self._weights_by_row
        return Case.of(self._known_model(asked_by), self._with_covariance, table, weights, what, q, value)

    def _of_effects(self, effects: Effects) -> MarginalEffects:
        return MarginalEffects(**vars(effects), frame=self._frame)

    @cached_property
    def deviance(self) -> float:
        """The deviance, unscaled: Σ w φ·2(saturated − fitted log-density); the residual sum of squares of a normal."""
        return deviance(
            self._known_model("deviance"), self.estimates.params, self._rows_of("deviance", None), self._row_weights
        )

    @cached_property
    def pearson_statistic(self) -> float:
        """Pearson's statistic: Σ w (y − μ)²/V(μ), V the variance function of the family."""
        table = self._rows_of("pearson_statistic", None)
        return pearson(self._known_model("pearson_statistic"), self.estimates.params, table, self._row_weights)

    @cached_property
    def null(self) -> Self:
        """The fit of the null model: every predictor a constant, offsets kept."""
        self._rows_of("null", None)
        assert self.session is not None
        return self.session.refit(null_model(self._known_model("null")))

    def influence(self, kind: str | None = None) -> Influence:
        """What each unit (row, or group) does to the estimates: leverage, Cook's distance, estimates without it.

        One step from the optimum of all units to that without one, (H − H_i)⁻¹ s_i, for every unit in one read of the
        data. A unit is left out with all of its weight.

        Arguments:
            kind: the information H_i of a unit: "expected" (as in generalised linear models, and for the normal exact) or
                "observed" (of any density). By default "expected" where the family knows it, else "observed"; where a
                density has more than 24 variables in a row, all of H, to first order.

        Returns:
            An `Influence`: arrays by unit, and `most(n)`, a table of the most influential.

        Raises:
            ModelError: for a fit that has no proved optimum or no data, a lasso, and unit="all".
        """
        return influence_of(self, self._with_covariance.std_errors, kind)

    def pseudo_r2(self, kind: str = "mcfadden") -> float:
        """How much better than the null model: "mcfadden", "mcfadden_adjusted", "cox_snell" or "nagelkerke"."""
        self._rows_of("pseudo_r2", None)
        assert self.session is not None
        e, objective = self.estimates, self.session.objective
        if has_empty_null(self._known_model("pseudo_r2")):
            null, df = -objective.value(np.zeros(objective.size)), 0
        else:
            null, df = self.null.log_likelihood, self.null.df
        return pseudo_r_squared(kind, e.log_likelihood, null, e.df, df, e.n_obs)

    def log_density(self, data: Any) -> np.ndarray:
        """The log-density of new rows (or groups) at the estimates, one per unit.

        Raises:
            DataError: for data that the model cannot use.
        """
        if self.model is None:
            raise ModelError("A loaded fit has no log-density: give it the model, jm.load(path, model=model).")
        return log_density_of(self.model, self.estimates.params, data)

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
            used = self.session and self.session.used if what == "predict" else None
            return following(self.model, Table.read(data), used)
        if self.session is None:
            raise ModelError(f"{what} needs data, which a loaded fit does not have: give it rows, or fit again.")
        return self.session.used

    @property
    def _row_weights(self) -> np.ndarray:
        assert self.session is not None
        return self.session.objective.weights()

    @property
    def _weights_by_row(self) -> np.ndarray:
        """The weight of every row that was fitted, which is that of its unit."""
        assert self.session is not None
        groups, weights = self.session.source.groups, self._row_weights
        if groups is None:
            return weights
        out = np.empty(self.session.used.n_rows)
        for members, weight in zip(groups.members, weights):
            out[members] = weight
        return out

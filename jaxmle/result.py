"""The fit: an immutable result whose every statement is a delegation to the room that makes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from .declare.linear import Linear
from .declare.model import Model
from .errors import ModelError
from .infer.certificate import Certificate
from .infer.comparison import aicc, tic
from .infer.stored import read, write
from .predictive import Predictive
from .report.peers import PEERS
from .report.plots.choice import plot
from .report.summary import Summary, glance_columns, tidy_columns


@dataclass(frozen=True, eq=False, repr=False)
class Fit(Predictive):
    """A fitted model; what `jm.fit` returns. See each attribute's own description."""

    # --- estimates ---------------------------------------------------------------------------------------------------

    @property
    def params(self) -> Mapping[str, Any]:
        """Every parameter on its natural scale, in the declared structure, as NumPy; a `Linear` by its coefficients."""
        return MappingProxyType(self.estimates.params)

    @property
    def coef(self) -> Mapping[str, float]:
        """Every estimated quantity by flat name, such as `"rate[age]"`, on the natural scale."""
        return self._named(self.estimates.values)

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
    def aicc(self) -> float:
        """AIC corrected for few observations: + 2·df·(df + 1)/(n_obs − df − 1)."""
        return aicc(self.log_likelihood, self.df, self.n_obs)

    @property
    def tic(self) -> float:
        """Takeuchi's criterion, right for a wrong model: −2·log-likelihood + 2·trace(J⁻¹K)."""
        return tic(self)

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

    def plot(self, name: Any = None, ax: Any = None, *, what: str | None = None, **options: Any) -> Any:
        """A picture; without arguments the few that say most about the model, in one figure.

        - `fit.plot("rate[age]")`: the log-likelihood along a coefficient. A pair of names is a contour, a function of the
          parameters its profile, and a column of the data its effect.
        - `fit.plot(what="residuals")`, and likewise "coefficients", "likelihood", "profile", "contour", "effect",
          "density", "rootogram", "calibration", "survival": each has a function `plot_...` in `jaxmle.report.plots` that
          says what is drawn and what options there are, such as `fit.plot("age", what="effect", by="sex")`.

        Arguments:
            name: as above; for `what="effect"` a column.
            ax: matplotlib axes to draw on; new ones by default. Residuals take several.
            what: which picture.
            options: of that picture, such as `truth=`, `level=`, `by=`, `bins=`, `parts=`.

        Returns:
            The matplotlib Axes, or an array of them where there are several.

        Raises:
            ImportError: without matplotlib, saying what to install.
            ModelError: for names, pictures and options that there are not, and for what this fit cannot draw.
        """
        return plot(self, name, ax, what, options)

    def without_data(self) -> Fit:
        """The same fit without its data and compiled programs: small, and can be pickled where its model can."""
        return Fit(self._with_covariance, None, self.model)

    def save(self, path: str | Path) -> None:
        """Write the fit to one file, without the data and without pickle; `jm.load` reads it."""
        write(self._with_covariance, path, self.model)

    # --- manners ------------------------------------------------------------------------------------------------------

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
            never saved. What its formulas have learnt (levels, knots, means) is, and a family's model is in the file.

    Returns:
        The fit, with everything that needs no data.

    Raises:
        DataError: if the file is not a saved fit, or of a later format.
        ModelError: if the model is not the one that was fitted.
    """
    estimates, stored, learnt = read(path)
    if model is None:
        return Fit(estimates, model=stored)
    if not isinstance(model, Model):
        raise ModelError(f"model must be the jm.Model that was fitted; got {model!r}.")
    if stored is not None:
        fitted, given = (f"{m.title} {m.about}".strip() for m in (stored, model))
        if fitted != given:
            raise ModelError(
                f"{path} is a fit of {fitted!r}, but the model is {given!r}. Leave it out: it is in the file."
            )
        return Fit(estimates, model=stored)
    if set(model.params) != set(estimates.params):
        fitted, given = (", ".join(map(repr, names)) for names in (estimates.params, model.params))
        raise ModelError(f"{path} is a fit of the parameters {fitted}, but the model has {given}.")
    for name, parameter in model.params.items():
        if isinstance(parameter, Linear) and _learns(parameter) and name not in learnt:
            raise ModelError(
                f"What the formula of {name!r} learnt from the data (levels, knots, means) is not in {path}: functions of "
                "your own in a formula, and links of your own, are not saved."
            )
    return Fit(estimates, model=replace(model, params={**model.params, **learnt}))


def _learns(linear: Linear) -> bool:
    return isinstance(linear.terms, str) and linear.is_formula

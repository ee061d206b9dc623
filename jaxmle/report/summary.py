"""The summary of a fit, and its numbers as columns of a table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..infer.estimates import Estimates
from ..infer.intervals import wald_intervals
from . import html, text
from .table import table_of


@dataclass(frozen=True, repr=False)
class Summary:
    """What `print(fit)` shows: text in a terminal, a table in a notebook.

    Arguments:
        estimates: the estimates with their covariance.
        level: the level of the intervals.

    Raises:
        ModelError: when shown, if `level` is not between 0 and 1.
    """

    estimates: Estimates
    level: float = 0.95

    def text(self, width: int | None = None, encoding: str | None = None) -> str:
        """The summary as text of `width` columns (the terminal's), in symbols of an encoding (that of stdout)."""
        return text.render(table_of(self.estimates, self.level), width, encoding)

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        return html.render(table_of(self.estimates, self.level))


def tidy_columns(estimates: Estimates, level: float) -> dict[str, list]:
    """One entry per estimate in each column; `statistic` and `p_value` are NaN where zero is no hypothesis.

    Raises:
        ModelError: if `level` is not between 0 and 1.
    """
    low, high = wald_intervals(estimates, level)
    numbers = {
        "estimate": estimates.values,
        "std_error": estimates.std_errors,
        "statistic": estimates.z(),
        "p_value": estimates.p_values(),
        "conf_low": low,
        "conf_high": high,
    }
    return {"term": list(estimates.names)} | {name: np.asarray(v, float).tolist() for name, v in numbers.items()}


def glance_columns(estimates: Estimates) -> dict[str, list]:
    """One entry in each column, about the fit as a whole."""
    e = estimates
    return {
        "n_obs": [float(e.n_obs)],
        "df": [int(e.df)],
        "log_likelihood": [float(e.log_likelihood)],
        "aic": [float(-2 * e.log_likelihood + 2 * e.df)],
        "bic": [float(-2 * e.log_likelihood + np.log(e.n_obs) * e.df)],
        "converged": [bool(e.certificate.proved)],
        "n_steps": [int(e.n_steps)],
        "solver": [e.solver],
        "covariance": [e.covariance_kind],
    }

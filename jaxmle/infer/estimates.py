"""What a fit knows without its data: numbers and names, so that they can be saved, and the statements they support."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..declare.links import Link
from ..special import ndtr
from .certificate import Certificate


def nothing_known(k: int) -> np.ndarray:
    """The covariance of k estimates of which none is known, (k, k): NaN throughout, in no memory however many they are."""
    return np.broadcast_to(np.float64(np.nan), (k, k))


@dataclass(frozen=True)
class Estimates:
    """The estimates, their covariance and how they were found.

    Arguments:
        names: flat names of the k estimated quantities, in order.
        values: their estimates on the natural scale, shape (k,).
        covariance: their covariance, shape (k, k); NaN where there is none, with the reason in `withheld`.
            `covariance_kind` is its kind, `covariance_about` how it was come by, where there is more to say.
        links: for each the scale on which its interval is formed.
        is_location: for each whether zero is a hypothesis worth a test (coefficients and unbounded parameters).
        groups: for each the parameter that it belongs to; `group_links` what a summary calls that parameter's scale.
        params: every parameter on its natural scale; `fixed` the names of those that were held.
    """

    title: str
    subtitle: str
    names: tuple[str, ...]
    values: np.ndarray
    covariance: np.ndarray
    covariance_kind: str
    withheld: dict[str, str]
    links: tuple[Link, ...]
    is_location: np.ndarray
    groups: tuple[str, ...]
    group_links: dict[str, str]
    params: dict[str, Any]
    fixed: tuple[str, ...]
    log_likelihood: float
    n_obs: float
    n_rows: int
    df: int
    certificate: Certificate
    solver: str
    why: str
    n_steps: int
    compile_seconds: float
    run_seconds: float
    optima: tuple[tuple[float, dict[str, float]], ...]
    notes: tuple[str, ...]
    objective_name: str = "log-likelihood"
    objective_value: float = np.nan
    about: str = ""
    covariance_about: str = ""

    @property
    def std_errors(self) -> np.ndarray:
        with np.errstate(invalid="ignore"):
            return np.sqrt(np.diag(self.covariance))

    def z(self) -> np.ndarray:
        """Estimate over standard error, NaN for parameters that cannot be zero."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(self.is_location, self.values / self.std_errors, np.nan)

    def p_values(self) -> np.ndarray:
        """Two-sided p-values of the hypotheses that each location is zero, from the normal distribution."""
        return 2 * ndtr(-np.abs(self.z()))

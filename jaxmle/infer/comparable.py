"""Whether fits can be compared: likelihoods at their maxima, of the same observations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..declare.conditional import Conditional
from ..errors import ModelError, rows_in_words


def check_likelihood(fit: Any, at_bound: bool = False) -> None:
    """Raises `ModelError` for what is no likelihood at a proved maximum; one at an end of a range counts if `at_bound`."""
    estimates: Any = getattr(fit, "estimates", None)
    if not hasattr(estimates, "certificate"):
        raise ModelError(f"A Fit is needed, as jm.fit returns it; got {fit!r}.")
    if not fit.converged and not (at_bound and fit.certificate.status == "boundary"):
        raise ModelError(f"The {fit.estimates.title} has no proved optimum, so no likelihood to compare.")
    if estimates.subtitle:
        raise ModelError(f"A {estimates.subtitle} estimate has no likelihood at its maximum to compare.")
    if fit.session is not None and fit.session.sampling_weights:
        raise ModelError("Sampling weights make no likelihood to compare: use wald_test.")


def check_same_data(fits: Sequence[Any]) -> None:
    """Raises `ModelError` unless the fits are of the same rows, weights and, where it is known, the same response."""
    first = fits[0]
    for other in fits[1:]:
        if other.n_obs != first.n_obs:
            raise ModelError(
                f"The fits are of {first.n_obs:g} and {other.n_obs:g} observations; they need the same data."
            )
        if first.session is None or other.session is None:
            continue
        a, b = first.session, other.session
        if a.objective.n_units != b.objective.n_units or not np.array_equal(a.source.rows, b.source.rows):
            raise ModelError("The fits are of different rows of the data; they need the same.")
        if not np.array_equal(a.objective.weights(), b.objective.weights()):
            raise ModelError("The fits have different weights; they need the same data.")
        y, z = response(first), response(other)
        if y is None or z is None:
            continue
        if y.shape != z.shape or not np.array_equal(y, z, equal_nan=True):
            differ = "" if y.shape != z.shape else f" in {rows_in_words(a.source.rows[_differ(y, z)])}"
            raise ModelError(
                f"The fits are of different responses{differ}: likelihoods compare for the same one, on the same scale."
            )


def _differ(y: np.ndarray, z: np.ndarray) -> np.ndarray:
    different = (y != z) & ~(np.isnan(y) & np.isnan(z))
    return different.reshape(len(y), -1).any(axis=1)


def response(fit: Any) -> np.ndarray | None:
    """The response of a family, (units, columns) as the log-density reads it; None where there is no telling what it is."""
    if fit.model is None or not isinstance(fit.model.log_density, Conditional):
        return None
    columns = [fit.session.objective.column(name) for name in fit.model.log_density.response]
    if any(c is None for c in columns):
        return None
    return np.concatenate([np.asarray(c, float).reshape(len(c), -1) for c in columns if c is not None], axis=1)

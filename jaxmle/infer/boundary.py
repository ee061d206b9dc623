"""The likelihood ratio where restrictions hold parameters at an end of their range, such as variances at zero.

The statistic is then a mixture of χ² (Self and Liang, 1987, Journal of the American Statistical Association 82,
605-610): an estimate is at the end itself as often as chance pushes it there. How often k of them are depends on the
correlations of their estimates, all other parameters estimated too.
"""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import ModelError
from .chi_squares import MOST, chi_bar_weights
from .covariance import observed
from .intervals import chosen
from .reported import Reported, entry_names

FAR = 50.0
"""On the unconstrained scale: as near to an end as makes no difference, and no number is too small yet."""


def mixture_weights(small: Any, large: Any, boundary: int | str | Sequence[str], df: int) -> np.ndarray:
    """Weights (k + 1,) of χ² with df − k, ..., df degrees of freedom, for k parameters of `large` at an end; see the test.

    Raises:
        ModelError: for a number or names that make no sense, and where the correlations are not known.
    """
    if isinstance(boundary, numbers.Integral) and not isinstance(boundary, bool):
        k = int(boundary)
        if not 0 <= k <= df:
            raise ModelError(
                f"boundary must be how many of the {df} restrictions hold a parameter at an end of its range, or the names "
                f"of these; got {k}."
            )
        if k < 2:
            return np.full(k + 1, 0.5**k)
        return _weights(large, _bounded(small, large, k))
    if not isinstance(boundary, (str, list, tuple)):
        raise ModelError(f"boundary must be a number of restrictions, or names of coefficients; got {boundary!r}.")
    names = chosen(boundary, large.estimates.names)
    if len(set(names)) < len(names) or not 0 < len(names) <= df:
        raise ModelError(f"boundary names {len(names)} coefficients; the models differ by {df}, each named once.")
    free = [name for name in names if _end(large, name) is None]
    if free:
        raise ModelError(f"{', '.join(free)} can be any number: only a parameter with a range can be at an end of it.")
    return _weights(large, names)


def _bounded(small: Any, large: Any, k: int) -> list[str]:
    """The k parameters with a range that the larger model has alone."""
    names = [n for n in large.estimates.names if n not in small.estimates.names and _end(large, n) is not None]
    if len(names) != k:
        raise ModelError(
            f"Which {k} parameters are at an end of their range? The larger model alone has {', '.join(names) or 'none'}: "
            "name them, boundary=['sd_a', 'sd_b']."
        )
    return names


def _end(fit: Any, name: str) -> float | None:
    """1 where the end of a parameter's range is the lower one, -1 where the upper: the finite one, or the nearer."""
    if fit.session is None:
        raise ModelError(
            "boundary= with names or of several needs the data, which a loaded fit does not have; fit again."
        )
    reported = Reported.at(fit.session.objective, fit.session.z)
    at = reported.names.index(name)
    low, high = reported.bounds[at]
    if not (np.isfinite(low) or np.isfinite(high)):
        return None
    return 1.0 if reported.values[at] - low <= high - reported.values[at] else -1.0


def _weights(fit: Any, names: Sequence[str]) -> np.ndarray:
    """Of the correlations of the estimates in `z`: those of functions that rise with them, each of one, are the same."""
    if len(names) == 1:
        return np.full(2, 0.5)
    if len(names) > MOST:
        raise ModelError(
            f"boundary= takes at most {MOST} parameters; got {len(names)}. Simulate from the smaller model."
        )
    s = fit.session
    entries = entry_names(s.objective)
    whole = [name for name in names if name not in entries]
    if whole:
        raise ModelError(
            f"{', '.join(whole)} depends on other entries of its parameter: its range has no end of its own."
        )
    at = [entries.index(name) for name in names]
    correlation = _correlation(s, at, fit.converged)
    if not (np.isfinite(correlation).all() and np.linalg.eigvalsh(correlation)[0] > 1e-12):
        raise ModelError(
            f"The information about {', '.join(names)} is not positive definite: weights of the mixture are not known. "
            "Simulate from the smaller model."
        )
    signs = np.array([_end(fit, name) for name in names], dtype=float)
    return chi_bar_weights(correlation * np.outer(signs, signs))


def _correlation(session: Any, at: list[int], proved: bool) -> np.ndarray:
    """Of the estimates numbered `at`: by the Hessian at an optimum inside, else by the scores where one is at its end.

    Near an end the score in `z` vanishes, but in units of its own size it is that of the parameter itself.
    """
    if proved and session.hessian is not None:
        covariance = observed(session.hessian)
    else:
        objective, z = session.objective, session.z.copy()
        z[at] = np.clip(z[at], -FAR / objective.scale[at], FAR / objective.scale[at])
        scores = np.sqrt(objective.weights())[:, None] * objective.scores(z)
        with np.errstate(invalid="ignore"):
            scores = scores / np.linalg.norm(scores, axis=0)
        covariance = observed(scores.T @ scores) if np.isfinite(scores).all() else np.full((len(z), len(z)), np.nan)
    covariance = covariance[np.ix_(at, at)]
    size = np.sqrt(np.diag(covariance))
    return covariance / np.outer(size, size)

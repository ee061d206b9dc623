"""Models side by side: information criteria of fits of the same data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import ModelError
from .comparable import check_likelihood, check_same_data
from .covariance import outer_product

BY = ("aic", "aicc", "bic", "tic")


def aicc(log_likelihood: float, df: int, n: float) -> float:
    """AIC corrected for few observations (Hurvich and Tsai, 1989, Biometrika 76, 297-307); infinite where n ≤ df + 1."""
    spare = n - df - 1
    return -2 * log_likelihood + 2 * df + (2 * df * (df + 1) / spare if spare > 0 else np.inf)


def tic(fit: Any) -> float:
    """Takeuchi's criterion (1976): −2·log-likelihood + 2·trace(J⁻¹K), J the Hessian and K the scores' products.

    Raises:
        ModelError: for a fit without data or proved optimum, and for one that is no maximum of a likelihood.
    """
    check_likelihood(fit)
    s = fit.session
    if s is None or s.hessian is None:
        raise ModelError("TIC needs the data and the Hessian, which a loaded fit does not have; fit again.")
    return -2 * fit.log_likelihood + 2 * float(np.trace(np.linalg.solve(s.hessian, outer_product(s.objective, s.z))))


@dataclass(frozen=True)
class Comparison:
    """Fits of the same data, best first by the criterion `by`; one entry per fit in each tuple.

    `delta` is the criterion less the best one's, `weights` the Akaike weights exp(−delta/2) that sum to one.
    """

    by: str
    n_obs: float
    names: tuple[str, ...]
    log_likelihood: tuple[float, ...]
    df: tuple[int, ...]
    aic: tuple[float, ...]
    aicc: tuple[float, ...]
    bic: tuple[float, ...]
    tic: tuple[float, ...]
    delta: tuple[float, ...]
    weights: tuple[float, ...]

    def tidy(self) -> dict[str, np.ndarray]:
        """The table as columns: name, log_likelihood, df, aic, aicc, bic, tic, delta, weight."""
        columns = ("log_likelihood", "df", "aic", "aicc", "bic", "tic", "delta")
        return (
            {"name": np.array(self.names)}
            | {name: np.array(getattr(self, name)) for name in columns}
            | {"weight": np.array(self.weights)}
        )

    def __repr__(self) -> str:
        head = ("", "log-lik", "df", "AIC", "AICc", "BIC", "TIC", f"Δ{_WORDS[self.by]}", "weight")
        rows: list[tuple[str, ...]] = [head]
        for i, name in enumerate(self.names):
            criteria = (self.aic[i], self.aicc[i], self.bic[i], self.tic[i], self.delta[i])
            weight = f"{self.weights[i]:.3f}" if self.weights[i] >= 5e-4 else "<0.001"
            numbers = ("–" if not np.isfinite(x) else f"{x:,.2f}" for x in criteria)
            rows.append((name, f"{self.log_likelihood[i]:,.2f}", str(self.df[i]), *numbers, weight))
        widths = [max(len(row[j]) for row in rows) for j in range(len(head))]
        line = lambda name, *cells: "  ".join(
            [name.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(cells, widths[1:]))]
        )
        title = f"{len(self.names)} fits of {self.n_obs:,g} observations, best first by {_WORDS[self.by]}"
        return "\n".join([title, *(("  " + line(*row)).rstrip() for row in rows)])


_WORDS = {"aic": "AIC", "aicc": "AICc", "bic": "BIC", "tic": "TIC"}


def compare(*fits: Any, by: str = "aic") -> Comparison:
    """Fits of the same data side by side: log-likelihood, AIC, AICc, BIC, TIC and Akaike weights, best first.

    Arguments:
        fits: `Fit`s, or one mapping of names to them.
        by: the criterion that orders them and makes the weights: "aic", "aicc", "bic" or "tic".

    Returns:
        A `Comparison`; it prints as a table, `tidy()` gives its columns.

    Raises:
        ModelError: for fewer than two fits, for fits of different data, weights or responses, for fits without a proved
            optimum, penalised ones, and those with sampling weights.

    Source:
        Burnham and Anderson, 2002, Model Selection and Multimodel Inference, sections 2.3, 2.4 and 2.9.
    """
    if by not in BY:
        raise ModelError(f"by must be one of {', '.join(map(repr, BY))}; got {by!r}.")
    named = dict(fits[0]) if len(fits) == 1 and isinstance(fits[0], Mapping) else dict(enumerate(fits))
    if len(named) < 2:
        raise ModelError("compare takes two fits or more: jm.compare(a, b), or jm.compare({'poisson': a, 'nb': b}).")
    for fit in named.values():
        check_likelihood(fit)
    every = list(named.values())
    check_same_data(every)
    names = _distinct(every) if all(isinstance(key, int) for key in named) else [str(key) for key in named]
    columns = {
        "aic": [fit.aic for fit in every],
        "aicc": [fit.aicc for fit in every],
        "bic": [fit.bic for fit in every],
        "tic": [np.nan if fit.session is None or fit.session.hessian is None else fit.tic for fit in every],
    }
    score = np.array(columns[by])
    if not np.isfinite(score).all():
        raise ModelError(f"{_WORDS[by]} is not known of all fits: choose by= another criterion.")
    delta = score - score.min()
    weights = np.exp(-0.5 * delta) / np.exp(-0.5 * delta).sum()
    order = np.argsort(score, kind="stable")
    sort = lambda values: tuple(values[i] for i in order)
    return Comparison(
        by=by,
        n_obs=every[0].n_obs,
        names=sort(names),
        log_likelihood=sort([fit.log_likelihood for fit in every]),
        df=sort([fit.df for fit in every]),
        delta=sort(delta.tolist()),
        weights=sort(weights.tolist()),
        **{name: sort([float(x) for x in values]) for name, values in columns.items()},
    )


def _distinct(fits: list[Any]) -> list[str]:
    """What to call fits that have no names: by their titles, formulas where these are the same, numbers at last."""
    titles = [fit.estimates.title[:1].upper() + fit.estimates.title[1:] for fit in fits]
    if len(set(titles)) < len(titles):
        titles = [f"{t}  {fit.estimates.about}".strip() for t, fit in zip(titles, fits)]
    again = {t for t in titles if titles.count(t) > 1}
    return [f"{i + 1}: {t}" if t in again else t for i, t in enumerate(titles)]

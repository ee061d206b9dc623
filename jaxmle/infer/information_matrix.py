"""White's test of whether a model is right at all: are the Hessian and the scores' products the same information?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import ModelError
from ..special import chdtrc
from .comparable import check_likelihood
from .intervals import chosen
from .reported import entry_names
from .tests import Test

REDUNDANT = 1e-6
"""Of an indicator's size: so little left beside the scores and the indicators before it says nothing new."""


@dataclass(frozen=True, repr=False)
class InformationMatrixTest(Test):
    """The test, with the pairs of parameters that were compared, and those `redundant` that say nothing beside them."""

    indicators: tuple[tuple[str, str], ...] = ()
    redundant: tuple[tuple[str, str], ...] = ()

    def __repr__(self) -> str:
        told = super().__repr__()
        if not self.redundant:
            return told
        shown = ", ".join(f"{a} × {b}" if a != b else f"{a}²" for a, b in self.redundant[:6])
        more = f" and {len(self.redundant) - 6} more" if len(self.redundant) > 6 else ""
        return f"{told}\n  redundant, and left out: {shown}{more}"


def information_matrix_test(fit: Any, names: Sequence[str] | None = None) -> InformationMatrixTest:
    """White's information matrix test: Hessian and products of scores sum to zero where the model is right.

    The statistic is n R² of a regression of ones on the scores and the indicators, the entries of s sᵀ + ∂s/∂θ of every
    observation. It does not depend on how the parameters are written. In samples that are not large it rejects too often:
    take its verdict with care below some hundreds of observations for each indicator.

    Arguments:
        fit: a `Fit` of any density.
        names: of the coefficients whose information is compared; all by default. All k make k (k + 1)/2 indicators.

    Returns:
        A `Test`; indicators that depend on the scores and on the others are left out of the degrees of freedom and
        listed as `redundant`.

    Raises:
        ModelError: for a fit without data, likelihood or proved optimum, and for more indicators than observations.

    Source:
        White, 1982, Econometrica 50, 1-25; Chesher, 1983, Economics Letters 13, 45-48; Lancaster, 1984, Econometrica 52,
        1051-1053.
    """
    check_likelihood(fit)
    s = fit.session
    if s is None or s.hessian is None:
        raise ModelError("An information matrix test needs the data, which a loaded fit does not have; fit again.")
    entries = entry_names(s.objective)
    asked = entries if names is None else chosen(names, entries)
    at = sorted({entries.index(name) for name in asked})
    count = len(at) * (len(at) + 1) // 2
    weights, size = s.objective.weights(), np.sqrt(np.diag(s.hessian))
    n = int((weights > 0).sum())
    if count + len(entries) >= n:
        raise ModelError(
            f"{count} indicators and {len(entries)} scores are too many for {n} observations: choose coefficients by names=."
        )
    root = np.sqrt(weights)[:, None]
    scores = s.objective.scores(s.z) / size
    basis = np.linalg.qr(root * scores)[0]
    ones, kept, redundant = root[:, 0], [], []
    columns = np.empty((len(weights), basis.shape[1] + count))
    columns[:, : basis.shape[1]], used = basis, basis.shape[1]
    for j in at:
        bends = s.objective.bends(s.z, np.eye(len(entries))[j] / size[j]) / size
        for i in (i for i in at if i <= j):
            indicator = ones * (scores[:, i] * scores[:, j] + bends[:, i])
            length, own = float(np.linalg.norm(indicator)), columns[:, :used]
            rest = indicator - own @ (own.T @ indicator)
            rest -= own @ (own.T @ rest)  # once more: the first leaves rounding errors
            if np.linalg.norm(rest) <= REDUNDANT * length or not length:
                redundant.append((entries[i], entries[j]))
                continue
            columns[:, used] = rest / np.linalg.norm(rest)
            used += 1
            kept.append((entries[i], entries[j]))
    if not kept:
        raise ModelError("Every indicator depends on the scores: the information of this model cannot be compared.")
    statistic = float(((columns[:, :used].T @ ones) ** 2).sum())
    return InformationMatrixTest(
        "information matrix test",
        statistic,
        len(kept),
        float(chdtrc(len(kept), statistic)),
        f"{len(at)} parameters" if len(at) > 1 else entries[at[0]],
        indicators=tuple(kept),
        redundant=tuple(redundant),
    )

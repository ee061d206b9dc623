"""The result of `jm.fit_many`: arrays with the data sets first, and each data set's own `Fit` when it is asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from types import SimpleNamespace
from typing import Any

import numpy as np

from .data.tables import Table
from .declare.links import Link
from .errors import ModelError, did_you_mean
from .infer.intervals import wald_intervals
from .infer.many import Certificates
from .report import digits
from .report.digits import count
from .result import Fit
from .special import ndtr

SHOWN = 3
"""Reasons that are printed, each with the first data set that it is about."""


@dataclass(frozen=True, eq=False, repr=False)
class FitMany:
    """The fits of one model to G data sets; what `jm.fit_many` returns. Arrays have the data sets first.

    `fits[i]`, or `fits["label"]`, is that data set's own `Fit`, with all statements and the full proof of its optimum,
    made when it is asked for. An integer is a number from 0, not a label: `fits[fits.position(7)]` has the label 7.

    Arguments:
        names: flat names of the k estimated quantities, in order.
        groups: the label of each data set, in the order of appearance, shape (G,).
        coef: the estimates on the natural scale, shape (G, k).
        covariance: their covariances, inverse observed information, shape (G, k, k); NaN where no optimum is proved.
        log_likelihood: at the estimates, penalties and priors left out, shape (G,).
        n_obs: the sum of the weights of each data set, shape (G,); `n_rows` how many rows it has.
        converged: whether an optimum is proved, shape (G,) of bool.
        reasons: why not, in words; "" where it is.
        certificate: the numbers behind it, arrays likewise.
        n_steps: steps of each search, shape (G,).
        seconds: `compile` and `run`.
        title: what the model is, `about` its formula; `subtitle` what the estimates are called, where there is a penalty.
    """

    title: str
    subtitle: str
    names: tuple[str, ...]
    groups: np.ndarray
    coef: np.ndarray
    covariance: np.ndarray
    log_likelihood: np.ndarray
    n_obs: np.ndarray
    n_rows: np.ndarray
    converged: np.ndarray
    reasons: np.ndarray
    certificate: Certificates
    n_steps: np.ndarray
    seconds: dict[str, float]
    links: tuple[Link, ...]
    is_location: np.ndarray
    about: str = ""
    table: Table = field(default=None)  # type: ignore[assignment]
    refit: Callable[[int], Fit] = field(default=None)  # type: ignore[assignment]

    @cached_property
    def std_errors(self) -> np.ndarray:
        """Standard errors, shape (G, k); NaN where no optimum is proved."""
        with np.errstate(invalid="ignore"):
            return np.sqrt(np.diagonal(self.covariance, axis1=1, axis2=2))

    @property
    def n_groups(self) -> int:
        return len(self.groups)

    def position(self, label: Any) -> int:
        """The number of the data set with a label; `ModelError` if there is none."""
        if label not in self._positions:
            raise ModelError(f"No data set has the label {label!r}.{did_you_mean(str(label), self._positions)}")
        return self._positions[label]

    @cached_property
    def _positions(self) -> dict[Any, int]:
        return {label: i for i, label in enumerate(self.groups.tolist())}

    def __getitem__(self, which: Any) -> Fit:
        if isinstance(which, int | np.integer) and not isinstance(which, bool):
            if not -len(self) <= which < len(self):
                raise IndexError(f"There are {len(self):,} data sets, numbered from 0; got {which}.")
            return self.refit(int(which) % len(self))
        return self.refit(self.position(which))

    def __len__(self) -> int:
        return len(self.groups)

    def __iter__(self) -> Iterator[Fit]:
        return (self[i] for i in range(len(self)))

    def tidy(self, level: float = 0.95) -> Any:
        """One row per data set and estimate, in the user's own frame type.

        Columns: group, term, estimate, std_error, statistic, p_value, conf_low, conf_high.

        Raises:
            ModelError: if `level` is not between 0 and 1.
        """
        g, k = self.coef.shape
        values, errors = self.coef.reshape(-1), self.std_errors.reshape(-1)
        flat: Any = SimpleNamespace(values=values, std_errors=errors, links=self.links * g)
        low, high = wald_intervals(flat, level)
        with np.errstate(invalid="ignore", divide="ignore"):
            z = np.where(np.tile(self.is_location, g), values / errors, np.nan)
        return self.table.frame_like(
            {
                "group": np.repeat(self.groups, k).tolist(),
                "term": list(self.names) * g,
                "estimate": values,
                "std_error": errors,
                "statistic": z,
                "p_value": 2 * ndtr(-np.abs(z)),
                "conf_low": low,
                "conf_high": high,
            }
        )

    def glance(self) -> Any:
        """One row per data set, in the user's own frame type: log-likelihood, observations, convergence, reason."""
        return self.table.frame_like(
            {
                "group": self.groups.tolist(),
                "n_obs": self.n_obs,
                "log_likelihood": self.log_likelihood,
                "converged": self.converged,
                "n_steps": self.n_steps,
                "status": self.certificate.status.tolist(),
                "reason": self.reasons.tolist(),
            }
        )

    @property
    def failures(self) -> str:
        """How many searches ended without a proven optimum, by status, each with its first data set; "" if none did."""
        counts = Counter(self.certificate.status[~self.converged].tolist())
        parts = []
        for status, n in counts.most_common(SHOWN):
            g = int(np.flatnonzero(self.certificate.status == status)[0])
            parts.append(f"{n:,} {status.replace('_', ' ')} (first {self.groups.tolist()[g]!r}: {self.reasons[g]})")
        more = sum(counts.values()) - sum(n for _, n in counts.most_common(SHOWN))
        return "; ".join([*parts, *([f"{more:,} for other reasons"] if more else [])])

    def __repr__(self) -> str:
        good = self.coef[self.converged]
        title = f"{self.title[:1].upper()}{self.title[1:]}{f', {self.subtitle}' if self.subtitle else ''}"
        counts = count(len(self), "data set"), count(int(self.n_rows.sum()), "row")
        head = "   ".join(filter(None, [title, self.about, *counts]))
        width = max([len(n) for n in self.names] + [8])
        lines = [head, f"  {'':{width}}  {'5 %':>11}  {'median':>11}  {'95 %':>11}  {'std error':>11}"]
        for i, name in enumerate(self.names[:20]):
            low, middle, high = np.quantile(good[:, i], [0.05, 0.5, 0.95]) if len(good) else [np.nan] * 3
            error = np.median(self.std_errors[self.converged, i]) if len(good) else np.nan
            numbers = "  ".join(f"{x:>11.4g}" for x in (low, middle, high, error))
            lines.append(f"  {name:{width}}  {numbers}".replace("-", digits.MINUS))
        if len(self.names) > 20:
            lines.append(f"  … and {len(self.names) - 20} more")
        n = int(self.converged.sum())
        if n == len(self):
            lines.append(f"✓ all {n:,} optima proved")
        else:
            lines.append(f"✗ {n:,} of {len(self):,} optima proved: {self.failures}")
        compiling = f" (compile {digits.seconds(self.seconds['compile'])})"
        lines.append(
            f"  Newton, at most {int(self.n_steps.max()):,} steps, {digits.seconds(self.seconds['run'])}{compiling}"
        )
        return "\n".join(lines)

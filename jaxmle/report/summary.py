"""The summary of a fit."""

from __future__ import annotations

from dataclasses import dataclass

from ..infer.estimates import Estimates
from ..infer.intervals import wald_intervals


@dataclass(frozen=True)
class Summary:
    estimates: Estimates
    level: float = 0.95

    def __str__(self) -> str:
        e = self.estimates
        low, high = wald_intervals(e, self.level)
        rows = [f"{e.title} {e.n_rows} rows  log-likelihood {e.log_likelihood:.6f} df {e.df}"]
        for n, v, s, a, b in zip(e.names, e.values, e.std_errors, low, high):
            rows.append(f"  {n:20s} {v:14.6g} {s:12.4g} [{a:.5g}, {b:.5g}]")
        rows.append(str(e.certificate))
        rows.append(f"  {e.solver}, {e.n_steps} steps, run {e.run_seconds:.3f} s compile {e.compile_seconds:.2f}")
        return "\n".join(rows)

    def _repr_html_(self) -> str:
        return f"<pre>{self}</pre>"


def tidy_columns(estimates: Estimates, level: float) -> dict[str, list]:
    low, high = wald_intervals(estimates, level)
    return {
        "term": list(estimates.names),
        "estimate": list(estimates.values),
        "std_error": list(estimates.std_errors),
        "statistic": list(estimates.z()),
        "p_value": list(estimates.p_values()),
        "conf_low": list(low),
        "conf_high": list(high),
    }


def glance_columns(estimates: Estimates) -> dict[str, list]:
    return {"n_obs": [estimates.n_obs]}

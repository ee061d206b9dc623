"""Estimates made by hand: a report sees nothing else."""

from dataclasses import replace

import numpy as np

from jaxmle.declare.links import LINKS
from jaxmle.infer.certificate import Certificate
from jaxmle.infer.estimates import Estimates

PROVED = Certificate("optimum", "", gradient=1e-9, gain=2e-16, distance=2e-8, curvature=(0.01, 2.1))


def poisson() -> Estimates:
    """A regression whose terms have one scale, and a positive number beside it."""
    std_errors = np.array([0.0123, 0.00491, 0.0122, 0.0451])
    return Estimates(
        title="Poisson regression",
        subtitle="",
        names=("rate[Intercept]", "rate[age]", "rate[income]", "shape"),
        values=np.array([1.02138, 0.03114, -0.02009, 1.2345]),
        covariance=np.diag(std_errors**2),
        covariance_kind="observed",
        withheld={},
        links=(*[LINKS["identity"]] * 3, LINKS["log"]),
        is_location=np.array([True, True, True, False]),
        groups=("rate", "rate", "rate", "shape"),
        group_links={"rate": "log"},
        params={"rate": np.array([1.02138, 0.03114, -0.02009]), "shape": 1.2345, "nu": 3.0},
        fixed=("nu",),
        log_likelihood=-60613.534,
        n_obs=20190.0,
        n_rows=20190,
        df=4,
        certificate=PROVED,
        solver="Newton",
        why="4 parameters",
        n_steps=5,
        compile_seconds=0.42,
        run_seconds=0.11,
        optima=(),
        notes=("12 rows with missing values were dropped",),
        objective_value=-60613.534,
    )


def many(k: int) -> Estimates:
    """`k` positive numbers."""
    return replace(
        poisson(),
        names=tuple(f"theta[{i}]" for i in range(k)),
        values=np.linspace(1.0, 2.0, k),
        covariance=np.eye(k) * 0.01,
        links=(LINKS["log"],) * k,
        is_location=np.zeros(k, bool),
        groups=("theta",) * k,
        group_links={},
        fixed=(),
        df=k,
    )


def failed(e: Estimates, status: str, reason: str) -> Estimates:
    """The same after a failed search: no standard errors."""
    k = len(e.names)
    certificate = Certificate(status, reason)
    nothing = np.full((k, k), np.nan)
    return replace(e, certificate=certificate, covariance=nothing, withheld=dict.fromkeys(e.names, reason))

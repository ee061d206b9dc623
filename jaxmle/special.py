"""SciPy's special functions, loaded when one of them is first called: a fit needs none, and loading them takes 0.1 s."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def _later(name: str) -> Callable[..., Any]:
    def function(*args: Any) -> Any:
        from scipy import special

        return getattr(special, name)(*args)

    return function


betaincinv, chdtrc, chdtri, chndtr = (_later(name) for name in ("betaincinv", "chdtrc", "chdtri", "chndtr"))
ndtr, ndtri, ndtri_exp = (_later(name) for name in ("ndtr", "ndtri", "ndtri_exp"))
expit, gamma, logit = (_later(name) for name in ("expit", "gamma", "logit"))

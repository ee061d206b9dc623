"""What a distribution does not know in closed form, found from its `log_prob`: sums and integrals over the support."""

from __future__ import annotations

from typing import Any


def expectation(d: Any) -> Any:
    """E Y."""
    raise NotImplementedError


def variance(d: Any) -> Any:
    """Var Y."""
    raise NotImplementedError


def log_cdf(d: Any, y: Any) -> Any:
    """log P(Y ≤ y)."""
    raise NotImplementedError


def log_survival(d: Any, y: Any) -> Any:
    """log P(Y > y)."""
    raise NotImplementedError


def quantile(d: Any, q: Any) -> Any:
    """The smallest value with P(Y ≤ value) ≥ q."""
    raise NotImplementedError

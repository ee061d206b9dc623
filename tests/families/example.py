"""What a family brings to the registry of tests."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Example:
    """One family at one set of parameters.

    family: its class; params: natural values of all parameters; known: what each row gives (trials);
    grid: responses, extreme ones among them; reference: the log-density in mpmath, `f(mp, y, **params, **known)` with
    mpf arguments, written from the definition in the literature (`source`), not from the code;
    others: further parameter values (dicts), extreme ones among them, at which `reference` is compared.
    """

    family: type
    params: dict[str, float]
    grid: tuple[float, ...]
    reference: Callable[..., Any]
    source: str
    known: dict[str, float] = field(default_factory=dict)
    others: tuple[dict[str, float], ...] = ()
    n: int = 400

    @property
    def id(self) -> str:
        return self.family.__name__

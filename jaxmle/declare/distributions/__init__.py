"""The distributions that families are made of: one class each, `FAMILIES` by public name."""

from .base import Distribution, Known
from .bernoulli import Bernoulli
from .normal import Normal
from .poisson import Poisson

FAMILIES: dict[str, type[Distribution]] = {
    "bernoulli": Bernoulli,
    "normal": Normal,
    "poisson": Poisson,
}
"""Public name of a family → its distribution."""

__all__ = ["FAMILIES", "Distribution", "Known"]

"""The ready-made families by their public names."""

from __future__ import annotations

from typing import Any

from .distributions.bernoulli import Bernoulli
from .distributions.normal import Normal
from .distributions.poisson import Poisson
from .families import Family, family

bernoulli = family(Bernoulli)
normal = family(Normal)
poisson = family(Poisson)

FAMILIES: dict[str, Any] = {name: made for name, made in list(globals().items()) if isinstance(made, Family)}
"""Public name → factory of models."""

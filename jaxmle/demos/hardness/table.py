"""All hard likelihoods."""

from __future__ import annotations

from .edges import corners, edges
from .ground import flat, ridges, scales
from .hard import Hard
from .optima import saddles, several_optima


def all_of_them() -> list[Hard]:
    """Every hard likelihood, in groups of one kind."""
    return [*several_optima(), *ridges(), *flat(), *scales(), *corners(), *edges(), *saddles()]

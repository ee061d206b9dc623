"""All covariance shapes by name, from few parameters to many."""

from __future__ import annotations

from typing import Any

from ...errors import ModelError, did_you_mean
from .axis_aligned import EEI, EII, EVI, VEI, VII, VVI
from .oriented import EEV, EVE, VEV, VVE
from .shape import Shape
from .triangular import EEE, EVV, VEE, VVV

SHAPES: dict[str, Shape] = {s.name: s() for s in (EII, VII, EEI, VEI, EVI, VVI, EEE, VEE, EVE, VVE, EEV, VEV, EVV, VVV)}


def shape_of(name: Any) -> Shape:
    """The shape that a user names; `ModelError` for what is none."""
    if isinstance(name, str) and name.upper() in SHAPES:
        return SHAPES[name.upper()]
    raise ModelError(
        f"shape is one of {', '.join(SHAPES)} (volume, shape, orientation: Equal, Varying, Identity); got {name!r}."
        f"{did_you_mean(str(name).upper(), SHAPES)}"
    )

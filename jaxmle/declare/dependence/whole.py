"""A response all of whose rows are one observation: what may be asked of it beside the likelihood."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import ModelError
from ..conditional import OneColumn
from ..distributions.base import Distribution


@dataclass(frozen=True)
class Whole(OneColumn):
    """A density of the whole data (`unit="all"`), one term for each row; no row has a distribution of its own."""

    @property
    def outermost(self) -> bool:
        return True

    @property
    @abc.abstractmethod
    def instead(self) -> str:
        """What to ask for where a row's distribution was."""

    @property
    def residual_kinds(self) -> tuple[str, ...]:
        """Kinds of residuals that it has."""
        return ()

    def residual(self, kind: str, p: Any, data: Mapping[str, Any]) -> Any:
        """Residuals of one kind (n,), from all parameters and rows."""
        raise NotImplementedError

    def drawn(self, params: Mapping[str, Any], rng: np.random.Generator) -> np.ndarray:
        """A data set drawn from the fitted model."""
        raise ModelError(f"Nothing can be drawn from {self.name!r} alone. {self.instead}")

    def distribution(self, p: Any, row: Mapping[str, Any]) -> Distribution:
        raise ModelError(f"The rows of this model depend on each other, and none has a distribution. {self.instead}")

    def expected(self, p: Any, row: Mapping[str, Any]) -> Any:
        raise ModelError(
            "This likelihood has no expected information; take 'observed', 'opg' or 'sandwich' (and Newton's method)."
        )

"""What may be asked of a model all of whose rows are one observation: residuals, and a new data set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..declare.dependence.whole import Whole
from ..declare.model import Model
from ..errors import ModelError, did_you_mean
from ..objective.rebuild import log_density_of


@dataclass(frozen=True)
class ResidualOfAll:
    """The residuals of one kind, as a density of all rows."""

    whole: Whole
    kind: str

    def __call__(self, p: Any, data: Any) -> Any:
        return self.whole.residual(self.kind, p, data)


def residuals_of_all(model: Model, params: Mapping[str, Any], table: Any, kind: str) -> np.ndarray:
    """Residuals (rows,) of one kind; `table` has the columns that binding adds."""
    whole: Any = model.log_density
    if kind not in whole.residual_kinds:
        known = ", ".join(map(repr, whole.residual_kinds))
        raise ModelError(
            f"residuals of {model.title!r} have kind={known}; got {kind!r}.{did_you_mean(str(kind), whole.residual_kinds)}"
        )
    return log_density_of(replace(model, log_density=ResidualOfAll(whole, kind)), params, table)


def drawn_of_all(model: Model, params: Mapping[str, Any], key: Any) -> np.ndarray:
    """A data set drawn from the fitted model; `key` is a seed."""
    if not isinstance(key, int | np.integer) or isinstance(key, bool):
        raise ModelError(f"simulate of {model.title!r} takes a whole number as its key; got {key!r}.")
    whole: Any = model.log_density
    return whole.drawn(params, np.random.default_rng(int(key)))

"""The log-density of new rows at given parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..data.tables import Table
from ..declare.model import Model
from .build import build
from .fixing import start_vector


def log_density_of(model: Model, params: Mapping[str, Any], data: Any) -> np.ndarray:
    """One log-density per unit of `data`, at `params` (natural scale); raises `DataError` for data that do not fit."""
    table = Table.read(data)
    built = build(model, table, weights=np.ones(table.n_rows))
    u, _ = start_vector(model, built.objective.layout, {k: v for k, v in params.items() if k in model.params})
    return built.objective.terms(built.objective.to_z(u))

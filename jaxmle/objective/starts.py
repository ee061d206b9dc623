"""From the values that a family suggests for its parameters to coefficients that a search can start from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from .. import runtime
from ..declare.conditional import Conditional
from ..declare.linear import Linear
from ..declare.links import Identity
from ..declare.model import Model
from .source import Source

ROWS = 2_000

DENSE = 5_000_000
"""The largest design, in numbers, that is written out for a family's own starts."""


def suggested_starts(
    model: Model, source: Source, design_number: Mapping[str, int], starts: Mapping[str, Any], weights: np.ndarray
) -> dict[str, Any]:
    """Name → start in the form that `start=` takes: coefficients whose predictor is the suggested value in all rows."""
    out = _regression(model, source, design_number, weights)
    for name, value in starts.items():
        if name in out:
            continue
        parameter = model.params.get(name)
        if parameter is None or parameter.start is not None or parameter.fixed is not None:
            continue
        if not isinstance(parameter, Linear):
            out[name] = value
            continue
        with runtime.x64():
            eta = np.asarray(jax.device_get(parameter.link.forward(np.asarray(value, np.float64))), np.float64)
        if np.isfinite(eta).all():
            out[name] = _coefficients(source, name, source.designs[design_number[name]], eta)
    return out


def _regression(model: Model, source: Source, design_number: Mapping[str, int], weights: np.ndarray) -> dict[str, Any]:
    """What a family knows of a whole regression, where only its first parameter has a predictor, of identity link."""
    kind = model.log_density.kind if isinstance(model.log_density, Conditional) else None
    if kind is None or not kind.has("regression_starts"):
        return {}
    first, *others = model.params
    parameter = model.params[first]
    free = all(p.start is None and p.fixed is None and p.prior is None for p in model.params.values())
    if not (isinstance(parameter, Linear) and free and isinstance(parameter.link, Identity)):
        return {}
    design = source.designs[design_number[first]]
    n, p = len(source.rows), len(design.names)
    if parameter.shape or n * p > DENSE or any(isinstance(model.params[name], Linear) for name in others):
        return {}
    y = np.asarray(source.columns[model.log_density.response[0]], np.float64)
    offset = np.asarray(source.offsets.get(first, np.zeros(len(y))), np.float64)
    return dict(kind.regression_starts(y, weights, design.written_out(np.arange(n)), offset))


def _coefficients(source: Source, name: str, design: Any, eta: np.ndarray) -> np.ndarray:
    """Coefficients (p, *shape) with predictor `eta` (shape,), in least squares where there is no constant term."""
    out = np.zeros((len(design.names), *eta.shape))
    some = np.linspace(0, len(source.rows) - 1, min(len(source.rows), ROWS)).astype(int)
    known = source.offsets[name][some] if name in source.offsets else np.zeros(len(some))
    if "Intercept" in design.names:
        out[design.names.index("Intercept")] = eta - np.mean(known, axis=0)
        return out
    for factor in design.factors:  # a level in every row
        if (factor.codes[some] >= 0).all():
            out[factor.first : factor.first + factor.n_levels] = eta - np.mean(known, axis=0)
            return out
    target = np.broadcast_to(eta, (len(some), *eta.shape)) - known.reshape(len(some), *[1] * eta.ndim)
    dense = np.asarray(design.matrix[some], np.float64)
    scale = np.maximum(np.abs(dense).max(axis=0, initial=0.0), 1e-300)
    fitted, *_ = np.linalg.lstsq(dense / scale, target.reshape(len(some), -1), rcond=1e-10)
    out[list(design.dense)] = (fitted / scale[:, None]).reshape(-1, *eta.shape)
    return out

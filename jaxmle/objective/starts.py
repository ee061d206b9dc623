"""From the values that a family suggests for its parameters to coefficients that a search can start from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..declare.conditional import Conditional
from ..declare.linear import Linear
from ..declare.links import Identity
from ..declare.model import Model
from .fixing import on_predictor_scale
from .source import Reading, Source

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
        eta = on_predictor_scale(parameter.link, value)
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


SPARE = 3
"""Rows more than there are coefficients from which a regression starts."""


def scattered_starts(reading: Reading, weights: np.ndarray, n: int, key: int) -> list[Mapping[str, Any]]:
    """`n` starts drawn at random, as `suggested_starts` for what the family suggests.

    In every other one the first parameter of a component, where it has a predictor, starts from the regression through
    a few rows: so the slopes differ too.
    """
    assert reading.scattered is not None
    model, source, numbers = reading.model, reading.source, reading.design_number
    out: list[Mapping[str, Any]] = []
    rng = np.random.default_rng([key, 1])
    for i, starts in enumerate(reading.scattered(n, key)):
        suggested = suggested_starts(model, source, numbers, starts, weights)
        if i % 2:
            suggested |= _through_few(model, source, numbers, weights, rng, suggested)
        out.append(suggested)
    return out


def _through_few(
    model: Model,
    source: Source,
    numbers: Mapping[str, int],
    weights: np.ndarray,
    rng: np.random.Generator,
    suggested: Mapping[str, Any],
) -> dict[str, np.ndarray]:
    """Coefficients of predictors of the response, each by least squares through a few rows drawn at random."""
    conditional = model.log_density
    assert isinstance(conditional, Conditional)
    out: dict[str, np.ndarray] = {}
    names = getattr(conditional, "first_parameters", ())
    if len(conditional.response) != 1:
        return out
    y = np.asarray(source.columns[conditional.response[0]], np.float64)
    for name in names:
        parameter = model.params[name]
        if not isinstance(parameter, Linear) or parameter.shape or name not in suggested:
            continue
        design = source.designs[numbers[name]]
        if len(design.names) < 2:
            continue
        rows = rng.choice(np.flatnonzero(weights > 0), size=len(design.names) + SPARE)
        mild = y.mean() + 0.8 * (y[rows] - y.mean())  # inside the range of the link, and of less leverage
        eta = on_predictor_scale(parameter.link, mild)
        if name in source.offsets:
            eta = eta - source.offsets[name][rows]
        x = design.written_out(rows)
        scale = np.maximum(np.abs(x).max(axis=0), 1e-300)
        if np.isfinite(eta).all():
            out[name] = np.linalg.lstsq(x / scale, eta, rcond=1e-6)[0] / scale
    return out

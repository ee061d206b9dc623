"""Pictures of a fit. Each function draws on the axes given, or on new ones, and returns them; none shows or saves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from scipy.special import chdtri

from ..errors import ModelError, did_you_mean
from ..infer.intervals import wald_intervals
from .table import INTERCEPT

Axes: TypeAlias = Any
"""A `matplotlib.axes.Axes`; matplotlib is imported when a picture is drawn, and not before."""

POINTS = 61
"""Points of a curve."""

SPAN = 3.2
"""Half the range of a curve, in standard errors."""


def plot_coefficients(
    fit: Any, ax: Axes | None = None, names: Sequence[str] | None = None, level: float = 0.95
) -> Axes:
    """Estimates with their intervals, one below the other.

    Arguments:
        fit: a `Fit`.
        ax: matplotlib axes to draw on; new ones by default.
        names: which estimates, in which order; by default the coefficients other than constant terms if there are
            any, else all.
        level: the level of the intervals.

    Raises:
        ImportError: without matplotlib.
        ModelError: for unknown names, or a level that is not between 0 and 1.
    """
    estimates = fit.summary(level).estimates
    known = {name: i for i, name in enumerate(estimates.names)}
    if names is None:
        slopes = [n for n, g in zip(known, estimates.groups) if g in estimates.group_links and not _is_constant(n, g)]
        names = slopes or list(known)
    for name in names:
        if name not in known:
            raise ModelError(f"The fit has no coefficient {name!r}.{did_you_mean(name, known)}")
    which = np.array([known[name] for name in names], dtype=int)
    low, high = wald_intervals(estimates, level)
    values, rows = estimates.values[which], np.arange(len(which))
    axes = _axes(ax, height=1.2 + 0.32 * len(which))
    if len(which) and estimates.is_location[which].all():
        axes.axvline(0.0, color="0.6", linewidth=1, linestyle=(0, (4, 3)), zorder=0)
    (dots,) = axes.plot(values, rows, "o", markersize=5)
    axes.hlines(rows, low[which], high[which], color=dots.get_color(), linewidth=1.6)
    axes.set_yticks(rows, list(names))
    axes.set_ylim(len(which) - 0.5, -0.5)
    axes.set_xlabel(f"estimate and {100 * level:.6g} % interval")
    _open(axes)
    return axes


def plot_log_likelihood(
    fit: Any, name: str, ax: Axes | None = None, others: str = "follow", level: float = 0.95
) -> Axes:
    """The log-likelihood along one parameter, with the parabola that its Wald interval takes it for.

    The parabola is one on the scale on which the interval is formed (the logarithm of a positive parameter). Where the
    two curves part between the ends of the interval, prefer another kind of interval.

    Arguments:
        fit: a `Fit` with its data.
        name: a coefficient, by its name in `fit.coef`.
        ax: matplotlib axes to draw on; new ones by default.
        others: what the other parameters do meanwhile. "follow": they move along their regression on this one, the
            first-order approximation of the profile likelihood; "hold": they stay at their estimates, a slice that is
            narrower than the interval by as much as they are correlated with it.
        level: the level of the interval that is shaded.

    Raises:
        ImportError: without matplotlib.
        ModelError: for a loaded fit, an unknown name, or a parameter that has no standard error or no scale of its own.
    """
    if others not in ("follow", "hold"):
        raise ModelError(f"others is 'follow' or 'hold'; got {others!r}.")
    estimates = fit.summary(level).estimates
    at = _position(fit, estimates, name)
    objective, z, hessian = fit.session.objective, fit.session.z, fit.session.hessian
    entry = int(np.flatnonzero(objective.free == at)[0])
    path = np.eye(len(z))[entry]
    if others == "follow":
        path = np.linalg.solve(hessian, path)
        path = path / path[entry]
    curvature = float(path @ hessian @ path)
    steps = np.linspace(-SPAN, SPAN, POINTS) / np.sqrt(curvature)
    label = estimates.names.index(name)
    reported = list(objective.layout.labels()).index(name)
    where = np.array([objective.natural(z + s * path)[1][reported] for s in steps])
    top = -objective.value(z)
    exact = np.array([-objective.value(z + s * path) for s in steps]) - top
    low, high = (float(end[label]) for end in wald_intervals(estimates, level))

    axes = _axes(ax)
    axes.axvspan(low, high, color="0.5", alpha=0.13, linewidth=0, label=f"Wald {100 * level:.6g} % interval")
    (curve,) = axes.plot(where, exact, linewidth=2, label="log-likelihood")
    axes.plot(where, -0.5 * curvature * steps**2, color="0.35", linestyle=(0, (5, 3)), linewidth=1.3, label="quadratic")
    axes.plot([estimates.values[label]], [0.0], "o", color=curve.get_color(), markersize=6)
    drop = 0.5 * float(chdtri(1, 1 - level))
    axes.axhline(-drop, color="0.6", linewidth=0.8, linestyle=":", zorder=0)
    axes.set_xlim(where.min(), where.max())
    axes.set_ylim(-0.55 * SPAN**2, 0.06 * SPAN**2)
    axes.set_xlabel(name)
    axes.set_ylabel("log-likelihood − maximum")
    axes.legend(frameon=False, fontsize="small", loc="lower center")
    _open(axes)
    return axes


def _position(fit: Any, estimates: Any, name: str) -> int:
    """The place of a named coefficient in the unconstrained vector, if it has one and a standard error."""
    if fit.session is None:
        raise ModelError("A loaded fit has no log-likelihood to draw: fit the model again.")
    if name not in estimates.names:
        held = f"{name!r} is held fixed." if name in estimates.fixed else f"The fit has no coefficient {name!r}."
        raise ModelError(held + did_you_mean(name, estimates.names))
    layout = fit.session.objective.layout
    for block in layout.blocks:
        if name in block.labels():
            if not block.elementwise:
                raise ModelError(f"{name!r} cannot be moved alone: the entries of {block.name!r} depend on each other.")
            std_error = estimates.std_errors[estimates.names.index(name)]
            if fit.session.hessian is None or not np.isfinite(std_error):
                reason = estimates.withheld.get(name, "the log-likelihood has no Hessian here.")
                raise ModelError(f"{name!r} has no standard error, so no range to draw: {reason}")
            return block.start + block.labels().index(name)
    raise ModelError(f"The fit has no coefficient {name!r}.")


def _is_constant(name: str, group: str) -> bool:
    return name.removeprefix(f"{group}[").rstrip("]").split(",")[0] == INTERCEPT


def _axes(ax: Axes | None, height: float = 3.6) -> Axes:
    if ax is not None:
        return ax
    try:
        from matplotlib import pyplot
    except ImportError:
        raise ImportError("Pictures need matplotlib: pip install 'jaxmle[plots]'") from None
    return pyplot.subplots(figsize=(5.6, height), layout="constrained")[1]


def _open(ax: Axes) -> None:
    """No frame on the sides where there is no scale."""
    ax.spines[["top", "right"]].set_visible(False)

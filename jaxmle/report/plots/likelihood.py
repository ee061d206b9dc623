"""The log-likelihood along one parameter, over two, and its profile, each with the quadratic that Wald's intervals see."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ...errors import ModelError, did_you_mean
from ...infer.estimates import Estimates
from ...infer.intervals import wald_intervals
from ...special import chdtri, ndtr
from .canvas import DASHED, FITTED, INK, REFERENCE, TRUE, Axes, axes_of, legend, opened
from .coefficients import is_constant

POINTS = 61
"""Points of a curve."""

SPAN = 3.2
"""Half the range of a curve, in standard errors."""

SIDE = 45
"""Points of each side of the grid of a contour."""

CONFIDENCES = (0.5, 0.9, 0.99)
"""Of the regions that the contours bound, by default."""


def plot_log_likelihood(
    fit: Any, name: str, ax: Axes | None = None, others: str = "follow", level: float = 0.95, truth: Any = None
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
        truth: the true value where it is known, a number or a mapping with this name.

    Raises:
        ImportError: without matplotlib.
        ModelError: for a loaded fit, an unknown name, or a parameter that has no standard error or no scale of its own.
    """
    _check_others(others)
    estimates = fit.summary(level).estimates
    (entry,) = _entries(fit, estimates, [name])
    objective, z, hessian = fit.session.objective, fit.session.z, fit.session.hessian
    (path,) = _paths(hessian, [entry], others).T
    curvature = float(path @ hessian @ path)
    steps = np.linspace(-SPAN, SPAN, POINTS) / np.sqrt(curvature)
    where = np.array([_natural(fit, [name], z + s * path)[0] for s in steps])
    top = -objective.value(z)
    exact = np.array([-objective.value(z + s * path) for s in steps]) - top
    axes = axes_of(ax)
    _shade(axes, estimates, name, level)
    axes.plot(where, exact, linewidth=2, color=FITTED, label="log-likelihood")
    axes.plot(where, -0.5 * curvature * steps**2, color=INK, linestyle=DASHED, linewidth=1.3, label="quadratic")
    axes.set_xlim(where.min(), where.max())
    _finish(axes, name, fit.coef[name], level, _true(truth, [name]))
    return axes


def plot_profile(
    fit: Any,
    what: str | Callable[[Mapping[str, Any]], Any],
    ax: Axes | None = None,
    level: float = 0.95,
    truth: Any = None,
) -> Axes:
    """The profile log-likelihood of a coefficient or of a function of the parameters, with the quadratic of its Wald interval.

    Arguments:
        fit: a `Fit` with its data.
        what: as in `Fit.profile`.
        ax: matplotlib axes to draw on; new ones by default.
        level: the level of the profile interval that is shaded.
        truth: the true value where it is known, a number or a mapping with this name.

    Raises:
        ImportError: without matplotlib.
        ModelError: where there is no profile likelihood.
    """
    profile = fit.profile(what, level)
    widths = np.linspace(-SPAN, SPAN, POINTS)
    if callable(what):
        made = fit.transform(what)
        quadratic = float(made.estimate) + widths * float(made.std_error)
    else:
        quadratic = _wald_ends(fit.summary(level).estimates, what, widths)
    heights = profile.log_likelihood - profile.log_likelihood.max()
    axes = axes_of(ax)
    low, high = profile.interval
    drawn = np.concatenate([profile.values, quadratic])
    ends = np.clip(
        np.where(np.isfinite(profile.interval), profile.interval, [-np.inf, np.inf]), drawn.min(), drawn.max()
    )
    if not np.isnan([low, high]).any():
        axes.axvspan(*ends, color="0.5", alpha=0.13, linewidth=0, label=f"profile {100 * level:.6g} % interval")
    axes.plot(*_smooth(profile, heights), linewidth=2, color=FITTED, label="profile log-likelihood")
    axes.plot(quadratic, -0.5 * widths**2, color=INK, linestyle=DASHED, linewidth=1.3, label="quadratic")
    axes.set_xlim(drawn.min(), drawn.max())
    _finish(axes, profile.name.replace("_", " ") if callable(what) else what, profile.estimate, level,
            _true(truth, [profile.name]))  # fmt: skip
    return axes


def plot_contour(
    fit: Any,
    names: Sequence[str] | None = None,
    ax: Axes | None = None,
    others: str = "follow",
    truth: Any = None,
    levels: Sequence[float] = CONFIDENCES,
) -> Axes:
    """Contours of the log-likelihood over two parameters, with the ellipses of its quadratic approximation.

    The contour of a level bounds the region where the log-likelihood is no more than χ²/2 below its maximum, χ² with two
    degrees of freedom: a joint confidence region. The ellipses are such on the scale on which intervals are formed.

    Arguments:
        fit: a `Fit` with its data.
        names: two coefficients, by their names in `fit.coef`; by default the first two that are no constant terms, if
            there are two, or else the first two.
        ax: matplotlib axes to draw on; new ones by default.
        others: what the other parameters do meanwhile: "follow" (their regression on the two) or "hold" (they stay).
        truth: the true values where they are known, a pair or a mapping with these names.
        levels: of the regions, between 0 and 1.

    Raises:
        ImportError: without matplotlib.
        ModelError: for a loaded fit, unknown names, or parameters that have no standard error or no scale of their own.
    """
    _check_others(others)
    estimates = fit.summary().estimates
    names = list(_two(estimates) if names is None else [names] if isinstance(names, str) else names)
    if len(names) != 2 or names[0] == names[1]:
        raise ModelError(f"A contour is over two different coefficients, by their names in fit.coef; got {names!r}.")
    if not len(levels) or not all(0 < v < 1 for v in levels):
        raise ModelError(f"levels must be between 0 and 1, such as (0.5, 0.95); got {levels!r}.")
    levels = sorted(levels)
    drops = np.array([0.5 * chdtri(2, 1 - v) for v in levels])
    entries = _entries(fit, estimates, names)
    objective, z, hessian = fit.session.objective, fit.session.z, fit.session.hessian
    paths = _paths(hessian, entries, others)
    curvature = paths.T @ hessian @ paths
    spread = np.sqrt(np.diag(np.linalg.inv(curvature)))
    reach = 1.25 * np.sqrt(2 * drops[-1])
    sides = [np.linspace(-reach, reach, SIDE) * s for s in spread]
    grid = np.stack(np.meshgrid(*sides, indexing="ij"), axis=-1)
    at = [z + row @ paths.T for row in grid]
    with np.errstate(invalid="ignore"):
        heights = np.array([[-e.value for e in objective.evaluate_batch(points, "value")] for points in at])
        heights = np.ma.masked_invalid(heights + objective.value(z))
    # each parameter is a function of its own entry alone
    x = np.array([_natural(fit, names, z + s * paths[:, 0])[0] for s in sides[0]])
    y = np.array([_natural(fit, names, z + s * paths[:, 1])[1] for s in sides[1]])
    axes = axes_of(ax, 4.2, 5.0)
    shades = [(*_rgb(FITTED), 0.10 + 0.34 * i / len(drops)) for i in range(1, len(drops) + 1)]
    axes.contourf(x, y, heights.T, levels=[*-drops[::-1], 1e-9], colors=shades)
    lines = axes.contour(x, y, heights.T, levels=-drops[::-1], colors=[FITTED], linewidths=1.4, linestyles="solid")
    axes.clabel(lines, fmt={-d: f"{100 * v:.6g} %" for d, v in zip(drops, levels)}, fontsize="x-small")
    turn = np.linspace(0, 2 * np.pi, 181)
    half = np.linalg.inv(np.linalg.cholesky(curvature)).T @ np.stack([np.cos(turn), np.sin(turn)])
    for i, drop in enumerate(drops):
        a, b = np.sqrt(2 * drop) * half
        axes.plot(np.interp(a, sides[0], x), np.interp(b, sides[1], y), color=INK, linestyle=DASHED, linewidth=1,
                  label="quadratic" if i == 0 else None)  # fmt: skip
    axes.plot(*([fit.coef[n]] for n in names), "o", color=FITTED, markersize=6, label="estimate")
    known = _true(truth, names)
    if known is not None:
        axes.plot([known[0]], [known[1]], "X", color=TRUE, markersize=8, markeredgecolor="white", label="true value")
    axes.set_xlabel(names[0])
    axes.set_ylabel(names[1])
    legend(axes)
    return opened(axes)


def _check_others(others: str) -> None:
    if others not in ("follow", "hold"):
        raise ModelError(f"others is 'follow' or 'hold'; got {others!r}.")


def _two(estimates: Estimates) -> Sequence[str]:
    slopes = [
        n for n, g in zip(estimates.names, estimates.groups) if g in estimates.group_links and not is_constant(n, g)
    ]
    return (slopes if len(slopes) > 1 else estimates.names)[:2]


def _rgb(colour: str) -> tuple[float, ...]:
    return tuple(int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))


def _paths(hessian: np.ndarray, entries: Sequence[int], others: str) -> np.ndarray:
    """The directions (size, entries) in `z` along which each entry moves alone, and the others follow or stay."""
    units = np.eye(len(hessian))[:, list(entries)]
    if others == "hold":
        return units
    moved = np.linalg.solve(hessian, units)
    return moved @ np.linalg.inv(moved[list(entries)])


def _natural(fit: Any, names: Sequence[str], z: np.ndarray) -> list[float]:
    """Named quantities at `z` on their natural scale."""
    objective = fit.session.objective
    labels, values = list(objective.layout.labels()), objective.natural(z)[1]
    return [float(values[labels.index(name)]) for name in names]


def _wald_ends(estimates: Estimates, name: str, widths: np.ndarray) -> np.ndarray:
    """Where the ends of Wald intervals of a quantity are, so many standard errors wide to one side."""
    at = estimates.names.index(name)
    out = np.full(len(widths), estimates.values[at])
    for i, width in enumerate(widths):
        if abs(width) > 1e-9:
            out[i] = wald_intervals(estimates, float(2 * ndtr(abs(width)) - 1))[int(width > 0)][at]
    return out


def _smooth(profile: Any, heights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The profile at more values, by a curve through its signed root, which is nearly straight."""
    from scipy.interpolate import PchipInterpolator

    if len(profile.values) < 3:
        return profile.values, heights
    values = np.union1d(np.linspace(profile.values[0], profile.values[-1], 4 * POINTS), profile.values)
    return values, -0.5 * PchipInterpolator(profile.values, profile.signed_root)(values) ** 2


def _shade(axes: Axes, estimates: Estimates, name: str, level: float) -> None:
    low, high = (float(end[estimates.names.index(name)]) for end in wald_intervals(estimates, level))
    axes.axvspan(low, high, color="0.5", alpha=0.13, linewidth=0, label=f"Wald {100 * level:.6g} % interval")


def _finish(axes: Axes, name: str, estimate: float, level: float, known: Sequence[float] | None) -> None:
    """The marks and labels of a curve."""
    if known is not None:
        axes.axvline(known[0], color=TRUE, linewidth=1.5, label="true value")
    axes.plot([estimate], [0.0], "o", color=FITTED, markersize=6)
    axes.axhline(-0.5 * float(chdtri(1, 1 - level)), color=REFERENCE, linewidth=0.8, linestyle=":", zorder=0)
    axes.set_ylim(-0.55 * SPAN**2, 0.06 * SPAN**2)
    axes.set_xlabel(name)
    axes.set_ylabel("log-likelihood − maximum")
    legend(axes, loc="lower center")
    opened(axes)


def _true(truth: Any, names: Sequence[str]) -> list[float] | None:
    """The true values of what is named, from a mapping, a number or a sequence; None where they are not known."""
    if truth is None:
        return None
    if isinstance(truth, Mapping):
        missing = [n for n in names if n not in truth]
        if missing:
            raise ModelError(f"truth has no {missing[0]!r}.{did_you_mean(missing[0], list(truth))}")
        truth = [truth[n] for n in names]
    try:
        values = [float(v) for v in np.atleast_1d(np.asarray(truth, dtype=np.float64))]
    except (TypeError, ValueError):
        values = []
    if len(values) != len(names):
        raise ModelError(f"truth must be {len(names)} number{'s' * (len(names) > 1)}, or a mapping; got {truth!r}.")
    return values


def _entries(fit: Any, estimates: Estimates, names: Sequence[str]) -> list[int]:
    """The places of named coefficients in `z`, if each has one and a standard error."""
    positions = [_position(fit, estimates, name) for name in names]
    return [int(np.flatnonzero(fit.session.objective.free == at)[0]) for at in positions]


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

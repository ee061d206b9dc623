"""Which picture is drawn: the one that is asked for, or those that say most about a model."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...declare.combinators.censored import EXACT, RIGHT, UNKNOWN, Censoring
from ...declare.conditional import Conditional
from ...errors import ModelError, did_you_mean
from ...infer.certificate import PROVED
from ...infer.marginal import mean_density
from ...objective.covariates import distribution_columns
from .calibration import plot_calibration
from .canvas import figure_of
from .coefficients import is_constant, plot_coefficients
from .density import plot_density, plot_rootogram
from .effects import FEW, plot_effect
from .likelihood import plot_contour, plot_log_likelihood, plot_profile
from .observed import candidates, is_labelled, middle
from .residuals import plot_residuals
from .survival import plot_survival

NAMED: Mapping[str, Callable[..., Any]] = {
    "likelihood": plot_log_likelihood,
    "profile": plot_profile,
    "contour": plot_contour,
    "effect": plot_effect,
}
"""Pictures of something that has a name: coefficients or a column."""

OTHERS: Mapping[str, Callable[..., Any]] = {
    "coefficients": plot_coefficients,
    "density": plot_density,
    "rootogram": plot_rootogram,
    "calibration": plot_calibration,
    "survival": plot_survival,
    "residuals": plot_residuals,
}

APART = 4
"""Survival is drawn apart for the values of the first column of a predictor, where it has so many or fewer."""

WIDE = 300
"""Values at which it is looked what the integral of a density is."""


def plot(fit: Any, name: Any, ax: Any, what: str | None, options: Mapping[str, Any]) -> Any:
    """`Fit.plot`."""
    if isinstance(name, str) and name not in fit.estimates.names and what is None:
        if name in {**NAMED, **OTHERS}:
            name, what = None, name
        elif (
            fit.session is not None
            and fit.model is not None
            and name in distribution_columns(fit.model, fit.session.used)
        ):
            what = "effect"
    if what is None and name is None:
        return panel(fit, ax, options)
    if what is None:
        what = "contour" if isinstance(name, list | tuple) else "profile" if callable(name) else "likelihood"
    if what not in {**NAMED, **OTHERS}:
        known = (*NAMED, *OTHERS)
        raise ModelError(f"There is no picture what={what!r}.{did_you_mean(str(what), known)}")
    draw = {**NAMED, **OTHERS}[what]
    first, *others = [p for p in inspect.signature(draw).parameters if p not in ("fit", "ax", "axes")]
    if name is None and first not in options and what in ("likelihood", "profile"):
        name = next(iter(fit.estimates.names), None)
    if name is not None:
        if what in OTHERS:
            raise ModelError(f"The picture {what!r} is of the whole fit and takes no name; got {name!r}.")
        if first in options:
            raise ModelError(f"name={name!r} and {first}={options[first]!r} say the same thing: give one of them.")
        options = {first: name, **options}
    for option in options:
        if option not in (first, *others):
            raise ModelError(f"The picture {what!r} has no option {option!r}; it has {', '.join((first, *others))}.")
    return draw(fit, **{"axes" if what == "residuals" else "ax": ax}, **options)


def panel(fit: Any, ax: Any = None, options: Mapping[str, Any] | None = None) -> Any:
    """The pictures that say most about a model, at most four, in one figure; on given axes the coefficients alone.

    Returns:
        An array of axes, or the axes where there is one.
    """
    if options:
        raise ModelError(f"The option {next(iter(options))!r} belongs to one picture: say which by what=.")
    chosen = [] if ax is not None else chosen_for(fit)
    if len(chosen) < 2:
        return chosen[0](None) if chosen else plot_coefficients(fit, ax)
    rows = 2 if len(chosen) > 3 else 1
    axes = np.atleast_1d(figure_of(rows, -(-len(chosen) // rows))).ravel()
    for draw, one in zip(chosen, axes):
        draw(one)
    for one in axes[len(chosen) :]:
        one.set_visible(False)
    return axes[: len(chosen)]


def chosen_for(fit: Any) -> list[Callable[[Any], Any]]:
    """The pictures of a panel, each a function of the axes."""
    out: list[Callable[[Any], Any]] = []
    estimates, model = fit.estimates, fit.model
    regression = any(g in estimates.group_links for g in estimates.groups) and len(estimates.names) > 1
    if regression or fit.session is None:
        out.append(lambda ax: plot_coefficients(fit, ax))
    if fit.session is None or model is None:
        return out
    if model.unit == "row" and isinstance(model.log_density, Conditional):
        out += _of_family(fit)
    elif model.unit == "row" and _is_density(fit):
        out.append(lambda ax: plot_density(fit, ax))
    return (out + ([] if regression and len(out) > 2 else _of_likelihood(fit)))[:4]


def _of_family(fit: Any) -> list[Callable[[Any], Any]]:
    conditional, columns = fit.model.log_density, list(distribution_columns(fit.model, fit.session.used))
    support = conditional.support
    if is_labelled(fit) or getattr(conditional.kind, "__name__", "") in ("Bernoulli", "Binomial"):
        first = plot_calibration if columns else plot_density
        effect = [lambda ax: plot_effect(fit, ax=ax)] if columns and _is_scale(fit, columns[0]) else []
        return [lambda ax: first(fit, ax), *effect]
    if support is None or len(conditional.response) != 1:
        return []
    qq, fitted = (lambda ax, part=part: plot_residuals(fit, ax, part) for part in ("qq", "fitted"))
    if isinstance(conditional, Censoring) and set(conditional.kinds) != {EXACT}:
        by = next((c for c in columns[:1] if len(set(fit.session.used.column(c).tolist())) <= APART), None)
        survival = [lambda ax: plot_survival(fit, ax, by)] if set(conditional.kinds) <= {EXACT, RIGHT, UNKNOWN} else []
        return [*survival, qq]
    first = plot_rootogram if support.whole else plot_density
    return [lambda ax: first(fit, ax), qq, *([fitted] if columns else [])]


def _of_likelihood(fit: Any) -> list[Callable[[Any], Any]]:
    """A contour of two parameters that are all there are, or the curves of the first few of others."""
    estimates, layout = fit.estimates, fit.session.objective.layout
    alone = {label for block in layout.blocks if block.elementwise for label in block.labels()}
    known = [n for n in estimates.names if n in alone and np.isfinite(fit.std_errors[n])]
    constant = dict(zip(estimates.names, map(is_constant, estimates.names, estimates.groups)))
    known.sort(key=lambda n: constant[n])  # the others say more
    if estimates.certificate.status != PROVED or fit.session.hessian is None or not known:
        return []
    if len(estimates.names) == len(known) == 2:
        return [lambda ax: plot_contour(fit, known, ax)]
    return [lambda ax, n=n: plot_log_likelihood(fit, n, ax) for n in known[:3]]


def _is_scale(fit: Any, column: str) -> bool:
    """Whether an effect along a column has room in a picture."""
    values = fit.session.used.column(column)
    return values.ndim == 1 and (values.dtype.kind in "iuf" or len(set(values.tolist())) <= FEW)


def _is_density(fit: Any) -> bool:
    """Whether a log-density alone is of one column of numbers, and leaves out no constant: its integral is near one."""
    if len(candidates(fit)) != 1:
        return False
    name = candidates(fit)[0]
    values = fit.session.used.numeric(name)
    if values.ndim > 1 or values.dtype.kind == "b":
        return False
    low, high = middle(values.astype(np.float64))
    whole = values.dtype.kind in "iu"
    at = np.arange(low, high + 1) if whole and high - low < WIDE else np.linspace(low, high, WIDE)
    density = mean_density(fit, at, name)
    total = density.sum() if whole and high - low < WIDE else np.trapezoid(density, at)
    return bool(0.5 < total < 1.05)

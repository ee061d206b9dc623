"""What all pictures share: axes that are made when asked for, few colours, little ink."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from ...errors import ModelError

Axes: TypeAlias = Any
"""A `matplotlib.axes.Axes`; matplotlib is imported when a picture is drawn, and not before."""

FITTED = "#2a6ca8"
"""What the model says."""

TRUE = "#c8502d"
"""What is known to be true, or stands out."""

DATA = "0.78"
"""The data as areas; as lines and points they are `INK`."""

INK = "0.25"

REFERENCE = "0.55"
"""Lines to compare with."""

GROUPS = ("#2a6ca8", "#d98324", "#3c8d5a", "#8f5aa8", "#c8502d", "#6b6b6b", "#b09a2f", "#3aa6b0")
"""One for each level of a factor."""

DASHED: Any = (0, (5, 3))

MANY = 5_000
"""More points than this are drawn as an image within a vector file."""


def axes_of(ax: Axes | None, height: float = 3.6, width: float = 5.6) -> Axes:
    """The axes given, or those of a new figure; raises `ImportError` without matplotlib, saying what to install."""
    if ax is None:
        return figure_of(1, 1, width, height)
    if not hasattr(ax, "get_xlabel"):
        raise ModelError(f"ax must be matplotlib axes to draw on; got {ax!r}.")
    return ax


def figure_of(rows: int, columns: int, width: float = 4.3, height: float = 3.1) -> Any:
    """The axes of a new figure, an array of them where there are several; sizes are those of one, in inches."""
    try:
        from matplotlib import pyplot
    except ImportError:
        raise ImportError("Pictures need matplotlib: pip install 'jaxmle[plots]'") from None
    return pyplot.subplots(rows, columns, figsize=(columns * width, rows * height), layout="constrained")[1]


def opened(ax: Axes) -> Axes:
    """The same axes without a frame on the sides where there is no scale."""
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def legend(ax: Axes, **where: Any) -> None:
    """A legend without a frame."""
    ax.legend(frameon=False, fontsize="small", **where)


def points(ax: Axes, x: np.ndarray, y: np.ndarray, **style: Any) -> Any:
    """A cloud of points, the paler the more there are."""
    alpha = float(np.clip(20 / np.sqrt(max(len(x), 1)), 0.08, 0.7))
    look = {"color": INK, "alpha": alpha, "markersize": 3.4, "markeredgewidth": 0, "rasterized": len(x) > MANY}
    return ax.plot(x, y, "o", **(look | style))[0]

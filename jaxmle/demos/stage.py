"""What the demos share: how they speak, draw, and compare a number with the one it should be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..datasets import load
from ..report.text import writable


def say(text: str = "") -> None:
    """Print, in what signs the terminal has."""
    print(writable(text), flush=True)


class Numbers:
    """A list of numbers beside those they should be."""

    def __init__(self) -> None:
        self.hold = True
        say(f"{'':52}{'found':>12}{'expected':>12}{'within':>10}")

    def compare(self, what: str, found: float, expected: float, within: float) -> None:
        """Print a line, and remember if the numbers are farther apart than `within`."""
        fine = abs(found - expected) <= within
        self.hold &= fine
        say(f"{what:52}{found:>12.5g}{expected:>12.5g}{within:>10.1g}  {'✓' if fine else '✗'}")


def draw(path: Path, panels: int, paint: Callable[..., None]) -> None:
    """Save a picture of so many panels, one beside the other, which `paint(*axes)` fills; say where it is, or what it needs."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        say("No picture: it needs matplotlib (pip install 'jaxmle[plots]').")
        return
    figure = Figure(figsize=(5.5 * panels, 4.4), layout="constrained")
    FigureCanvasAgg(figure)
    axes: Any = figure.subplots(1, panels, squeeze=False)[0]
    paint(*axes)
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)
    say(f"Picture: {path}")


def label(ax: Any, title: str, x: str, y: str = "") -> None:
    """Title and names of the axes; a legend if anything is named."""
    ax.set_title(title, fontsize="medium", loc="left")
    ax.set_xlabel(x)
    ax.set_ylabel(y)
    if ax.get_legend_handles_labels()[0]:
        ax.legend(frameon=False, fontsize="small")


def handwritten(held_out: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Images of digits to learn from, and as many as asked held back: `pixels` (n, 64), from 0 to 16, and `digit` (n,)."""
    data = load("digits")
    pixels = np.stack([data[f"pixel{i}"] for i in range(64)], axis=1).astype(int)
    whole = {"pixels": pixels, "digit": data["digit"].astype(int)}
    order = np.random.default_rng(0).permutation(len(pixels))
    return {k: v[order[held_out:]] for k, v in whole.items()}, {k: v[order[:held_out]] for k, v in whole.items()}

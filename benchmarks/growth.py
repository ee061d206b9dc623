"""How time grows with the rows (row K): slopes on the log–log scale, and the picture."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np

from .report import Row


def times(rows: list[Row]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Tool → rows of the data and warm seconds, of the tools whose answers were equal, in rising order."""
    points: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for row in rows:
        if row.row == "K" and row.equal and row.outcome.warm:
            points[row.outcome.tool].append((row.n, row.outcome.warm))
    return {
        tool: (np.array([n for n, _ in sorted(p)]), np.array([s for _, s in sorted(p)])) for tool, p in points.items()
    }


def slopes(rows: list[Row]) -> dict[str, tuple[float, float]]:
    """Tool → slope of log seconds on log n by least squares over all sizes, and between the two largest."""
    out = {}
    for tool, (n, seconds) in times(rows).items():
        if len(n) > 1:
            x, y = np.log(n), np.log(seconds)
            out[tool] = (float(np.polyfit(x, y, 1)[0]), float((y[-1] - y[-2]) / (x[-1] - x[-2])))
    return out


def in_words(rows: list[Row]) -> str:
    """The slopes as a sentence, or nothing where row K did not run."""
    found = slopes(rows)
    if not found:
        return ""
    words = ", ".join(f"{tool} {every:.2f} ({last:.2f})" for tool, (every, last) in found.items())
    return f"Growth of warm time with n, slope on log–log over all sizes (between the two largest): {words}."


def draw(rows: list[Row], file: Path) -> str:
    """Draw time against n, a line for each tool, and say where it is, or what is needed for it."""
    found = times(rows)
    if not found:
        return ""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        return "No picture of row K: pip install matplotlib."
    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    axes = figure.subplots()
    for tool, (n, seconds) in found.items():
        ours = tool == "jaxmle"
        axes.plot(n, seconds, "o-", label=tool, linewidth=2.5 if ours else 1.2, color="black" if ours else None)
    axes.set(
        xscale="log", yscale="log", xlabel="rows", ylabel="seconds, warm", title="Logistic regression, 10 coefficients"
    )
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    FigureCanvasAgg(figure).print_png(file)
    return f"Picture: {file.name}"
